#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Files that are read again, by SIGHUP or by `runnel config reload`: what changed is said key by key,
takes effect and loses nothing; what needs a restart is said, and takes effect with one; a bad file
changes nothing, and log and status say why.

--plant leaves a change out of what is said, which must be noticed.
"""
import json
import re
import signal

import harness
from harness import check, wait_until

SECRETS = ("hunter2", "hunter3")


def reload(agent, code=0):
    """What `runnel config reload` says, once the stages run with it."""
    before = agent.log.read_text().count(" started device=")
    result = agent.call("config", "reload")
    check(result.returncode == code, f"reload: {result}")
    for secret in SECRETS:
        check(secret not in result.stdout + result.stderr + agent.log.read_text(),
              f"shows {secret}")
    if code == 0:
        wait_until("the stages again",
                   lambda: agent.log.read_text().count(" started device=") > before)
    return result


def expect(said, wanted):
    check(sorted(said) == sorted(wanted), f"said {said}, not {wanted}")


def test_changes(run, agent, plant):
    """A sensor's interval, the spool's size, a route and credentials that were not there."""
    secret = run.folder / "site"
    secret.write_text("hunter2")
    config = agent.config
    config["sensors"][0]["tags"] = {"site": f"${{file:{secret}}}"}
    agent.write_config()
    reload(agent)
    secret.write_text("hunter3")
    config["sensors"][0]["interval"] = "50ms"
    config["spool"]["size"] = "1MiB"
    config["credentials"] = {"default": {"provider": "env"}}
    route = json.loads(json.dumps(config["routes"][0]))
    config["routes"].append({**route, "name": "second"})
    config["sensors"].append({"name": "board", "driver": "sim", "lane": "alarm"})
    agent.write_config()
    lines = reload(agent).stdout.splitlines()
    if plant:
        lines = [line for line in lines if "interval" not in line]
    expect(lines, ["sensors.wave.interval: 10ms -> 50ms", "spool.size: 512KiB -> 1MiB",
                   "sensors.wave.tags.site: its secret changed",
                   "credentials.default.provider: chain -> env", "routes.second: added",
                   "sensors.board: added",
                   "6 changed; sensors and routes begin anew, nothing is lost"])
    log = agent.log.read_text()
    check('config-changed key=sensors.wave.interval from="10ms" to="50ms"' in log, agent.tail())
    check("config-changed key=sensors.wave.tags.site secret=changed" in log, agent.tail())
    check("config-reloaded changed=6 needs-restart=0" in log, agent.tail())
    wait_until("a delivery by the new route",
               lambda: agent.counters("second", "alarm")["delivered"] > 0)
    check("spool-grown" in agent.log.read_text(), agent.tail())
    check("board" in agent.status()["sensors"], agent.status()["sensors"])
    del config["routes"][1], config["sensors"][1]
    agent.write_config()
    agent.process.send_signal(signal.SIGHUP)
    wait_until("the former routes", lambda: list((agent.status() or {"routes": ()})["routes"]) ==
               ["live"])
    check('key=routes.second from="there" to="not set"' in agent.log.read_text(), agent.tail())


def test_bad(agent):
    """It changes nothing, until it is mended."""
    good = agent.config_file.read_text()
    agent.config_file.write_text(good.replace('"device"', '"devise"').replace('"wave"', "5", 1))
    before = agent.status()
    result = reload(agent, 78)
    check(re.search(r'runnel.json:\d+:\d+: devise: there is no such key; did you mean "device"',
                    result.stderr) and "sensors[0].name" in result.stderr, result.stderr)
    now = agent.status()
    check(now["config_id"] == before["config_id"], "another configuration runs")
    check(any("one before runs" in words and "runnel.json:" in words for words in now["warnings"]),
          now["warnings"])
    check('config-refused error="' in agent.log.read_text(), agent.tail())
    agent.config_file.write_text(good)
    said = reload(agent).stdout
    check(said.startswith("0 changed"), said)
    check(agent.status()["warnings"] == before["warnings"], agent.status()["warnings"])


def test_restart(run, agent):
    """The spool moves with the next start, and everything else at once."""
    moved = run.folder / "moved"
    moved.mkdir()
    del agent.environment["RUNNEL_STATE"]
    agent.config["spool"]["path"] = str(agent.state)
    agent.write_config()
    check(agent.stop() == 0, agent.tail())
    agent.start()
    agent.config["spool"]["path"] = str(moved)
    agent.config["sensors"][0]["interval"] = "20ms"
    agent.write_config()
    needs = f"spool.path: {agent.state} -> {moved}; needs a restart: systemctl restart runnel"
    expect(reload(agent).stdout.splitlines(),
           [needs, "sensors.wave.interval: 50ms -> 20ms",
            "1 changed, the rest waits for a restart; sensors and routes begin anew, "
            "nothing is lost"])
    check(f'config-needs-restart key=spool.path running="{agent.state}"' in
          agent.log.read_text(), agent.tail())
    check(not list(moved.iterdir()), "it moved")
    check(needs in reload(agent).stdout, "it is said once only")
    check(agent.stop() == 0, agent.tail())
    agent.start()
    check(list(moved.iterdir()), "it did not move")


def scenario(run, plant):
    sink = harness.Sink(run)
    agent = harness.Agent(run, sink.endpoint, sink.ca, spool={"size": "512KiB"},
                          sensors=[{"name": "wave", "driver": "sim", "interval": "10ms",
                                    "lane": "alarm"}])
    agent.start()
    test_changes(run, agent, plant)
    test_bad(agent)
    wait_until("a delivery", lambda: agent.counters(lane="alarm")["delivered"] > 0)
    test_restart(run, agent)
    counters = agent.counters(lane="alarm")
    check(counters["dead"] == counters["evicted"] == 0, counters)
    check(agent.stop() == 0, f"it ended badly: {agent.tail()}")
    sink.stop()


if __name__ == "__main__":
    chosen = harness.arguments(
        __doc__, (("--plant",), {"action": "store_true", "help": "leave a change out"}))
    harness.main(chosen, lambda run: scenario(run, chosen.plant))
