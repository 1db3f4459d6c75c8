#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
runnel config: what show says and does not say, what apply does where no agent runs, and who may
change something.
"""
import json
import os
import subprocess

import harness
from harness import check, wait_until

USER, PASSWORD, TOKEN = "gw", "HUSHproxy", "HUSHfile"


def shown(agent, *options):
    result = agent.call("config", "show", "-c", agent.config_file, *options)
    check(result.returncode == 0, f"show: {result}")
    check(PASSWORD not in result.stdout and TOKEN not in result.stdout, f"secret: {result.stdout}")
    return result.stdout


def test_show(run, agent):
    """Each value with its place; a variable's and a fragment's, too."""
    secret = run.folder / "secret"
    secret.write_text(TOKEN)
    agent.config["routes"][0]["proxy"] = f"http://{USER}:{PASSWORD}@127.0.0.1:1"
    agent.config["sensors"] = [{"name": "wave", "driver": "sim",
                                "tags": {"site": f"${{file:{secret}}}"}}]
    agent.write_config()
    text = shown(agent)
    line = 1 + agent.config_file.read_text().splitlines().index('      "stream": "telemetry",')
    for words in (f"routes.live.stream = telemetry  ({agent.config_file}:{line})",
                  f"spool.path = {agent.state}  (RUNNEL_STATE)",
                  "routes.live.order = fifo  (default)",
                  f"http://{USER}:***@127.0.0.1:1", f"sensors.wave.tags.site = ${{file:{secret}}}"):
        check(words in text, f"{words!r} is not in {text}")
    told = json.loads(shown(agent, "--json"))
    values = {value["key"]: value for value in told["values"]}
    check(told["state"] == "main" and str(agent.config_file) in told["files"], f"{told}")
    check(values["routes.live.stream"]["from"] == f"{agent.config_file}:{line}", f"{values}")
    check(f"config_id {told['config_id']}" in text, "two names for one configuration")
    del agent.config["routes"][0]["proxy"]
    agent.write_config()


def test_usage(agent):
    for arguments in ((), ("show", "x"), ("apply",), ("apply", "--none", "x"), ("reload", "--wait"),
                      ("apply", "x", "--confirm", "1s"), ("show", "--none"), ("other",)):
        result = agent.call("config", *arguments)
        check(result.returncode == 2, f"config {arguments}: {result}")
    result = agent.call("config", "apply", agent.folder / "nothing.json")
    check(result.returncode == 1 and "nothing.json" in result.stderr, f"{result}")


def test_without_an_agent(run, agent):
    """The trial begins with the next start, and is passed there, also without any sensor."""
    agent.config["sensors"] = []
    agent.write_config()
    pushed = json.loads(json.dumps(agent.config))
    pushed["routes"][0]["batch"] = {"records": 7}
    path = run.folder / "pushed.json"
    path.write_text(json.dumps(pushed))
    result = agent.call("config", "apply", path, "-c", agent.config_file)
    check(result.returncode == 0 and "no agent runs" in result.stdout, f"{result}")
    check(json.loads(shown(agent, "--json"))["state"] == "trial", shown(agent))
    agent.start()
    wait_until("the end of the trial", lambda: agent.status()["config"]["last_trial"])
    config = agent.status()["config"]
    check((config["state"], config["last_trial"]) == ("applied", "confirmed"), f"{config}")
    check("routes.live.batch.records = 7" in shown(agent), "it is not in effect")


def test_another_one(run, agent):
    """Who waits is not told of another one's trial as if it were the own."""
    path = run.folder / "nowhere.json"
    lost = json.loads(json.dumps(agent.config))
    lost["routes"][0]["stream"] = "nowhere"
    path.write_text(json.dumps(lost))
    with subprocess.Popen(agent.command("config", "apply", path, "--wait", "--confirm", "30s"),
                          text=True, env=agent.environment, stdout=subprocess.PIPE) as waiting:
        wait_until("the stages with it",
                   lambda: "nowhere" in agent.call("status").stdout)
        result = agent.call("config", "apply", "--none", "--wait")
        check((result.returncode, result.stdout) == (0, "confirmed\n"), f"{result}")
        told = waiting.communicate(timeout=harness.DEADLINE_S)[0]
    check(waiting.returncode == 1 and "another one" in told, f"{waiting.returncode}: {told}")


def test_late_file(run, agent):
    """What was applied comes back when the file is there that it could not be loaded without."""
    late = run.folder / "late"
    pushed = json.loads(json.dumps(agent.config))
    pushed["sensors"] = [{"name": "w", "driver": "sim", "tags": {"site": f"${{file:{late}}}"}}]
    path = run.folder / "late.json"
    path.write_text(json.dumps(pushed))
    late.write_text("pump-4")
    result = agent.call("config", "apply", path, "--wait", "--confirm", "10s")
    check((result.returncode, result.stdout) == (0, "confirmed\n"), f"{result}")
    late.unlink()
    check(agent.stop() == 0, f"it ended badly: {agent.tail()}")
    agent.start()
    check(any("does not load" in words for words in agent.status()["warnings"]), agent.tail())
    late.write_text("pump-4")
    wait_until("what was applied", lambda: "configuration applied" in agent.call("status").stdout)
    check(agent.status()["warnings"] == [], f"{agent.status()}")


def test_damaged(run, agent):
    """It is told that the main file runs because nobody knows what was applied."""
    state = agent.state / "config" / "state.json"
    path = run.folder / "pushed.json"
    check(agent.stop() == 0, f"it ended badly: {agent.tail()}")
    for apply in (False, True):
        state.write_bytes(state.read_bytes()[:20])
        if apply:
            result = agent.call("config", "apply", path, "-c", agent.config_file)
            check(result.returncode == 0 and "no agent runs" in result.stdout, f"{result}")
        agent.start()
        warned = any("state is damaged" in words for words in agent.status()["warnings"])
        check(warned != apply, f"warned: {warned}: {agent.status()}")
        if not apply:
            check(agent.stop() == 0, f"it ended badly: {agent.tail()}")


def test_who_may(agent):
    """Members of the socket's group may look, and change nothing; what they offer is not kept."""
    if os.geteuid() != 0:
        return
    store = agent.state / "config"
    for path in (agent.run.folder, agent.folder, agent.folder / "control.sock", agent.state, store):
        path.chmod(0o777)
    for words in (("reload",), ("apply", agent.config_file)):
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                   *agent.command("config", *words)]
        result = subprocess.run(command, env=agent.environment, capture_output=True, text=True,
                                timeout=60, check=False)
        check(result.returncode == 1 and "only root" in result.stderr, f"{result}")
    check(not (store / "offer.json").exists(), "the offer stays behind")


def scenario(run):
    sink = harness.Sink(run)
    agent = harness.Agent(run, sink.endpoint, sink.ca)
    test_usage(agent)
    test_show(run, agent)
    test_without_an_agent(run, agent)
    test_another_one(run, agent)
    test_late_file(run, agent)
    test_damaged(run, agent)
    test_who_may(agent)
    check(agent.stop() == 0, f"it ended badly: {agent.tail()}")
    sink.stop()


harness.main(harness.arguments(__doc__), scenario)
