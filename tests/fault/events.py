#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What happens to the agent is told in its own records: each event once to every route that holds,
with the members that agent_event.def says, however the run before ended, and without a commit while
the routes are up.

Time runs faster for agent and sinks (fast_clock.c), and a kernel that vouches for nothing and the
boots are clock_shim.c's. A sensor vanishes and comes back, an endpoint throttles, is away and gets
another clock, keys expire with none to follow, a record is too large. A sensor that goes back and
forth is told of four times, and an hour later once more, with how much was left out (quota:).
"""
import itertools
import json
import os
import pathlib
import re
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import api as apis  # pylint: disable=wrong-import-position
import clock_shim  # pylint: disable=wrong-import-position
import harness  # pylint: disable=wrong-import-position
import matrix_world  # pylint: disable=wrong-import-position
from harness import check, wait_until  # pylint: disable=wrong-import-position

FACTOR, FLAP_FACTOR, HOUR_FACTOR = 60, 300, 1200
FLAPS = 3
KEYS = "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n"
OF_ONE_MAX = 4  # at once


def table():
    """{event: (members, those of them that may be absent)} of agent_event.def."""
    text = (harness.ROOT / "agent/agent_event.def").read_text()
    joined = re.sub(r'"\s*\n\s*"', "", text)
    found = {}
    for name, members in re.findall(r'AGENT_EVENT\(\w+, "([^"]+)",\s*"([^"]+)"', joined):
        names = [member.rstrip("?") for member in members.split()]
        found[name] = (names, {member[:-1] for member in members.split() if member[-1] == "?"})
    check("started" in found and "sensor-down" in found, f"the table has {list(found)}")
    return found


class Gateway:
    """An agent with two routes to sinks of their own, and a sensor that fails on command."""

    def __init__(self, run):
        self.table = table()
        self.clock = matrix_world.FastClock(run, FACTOR)
        self.shim = clock_shim.Clocks(run)
        self.shim.set(sync=clock_shim.UNSYNCED)
        environment = {**os.environ, **self.clock.environment}
        self.sinks = {name: harness.Sink(run, name=name, environment=environment)
                      for name in ("live", "side")}
        self.keys = run.folder / "keys"
        self.flag = run.folder / "flag"
        probe = f"test ! -e {self.flag} && echo 1"
        certificates = harness.make_certificates(run.folder / "certificates")
        api = apis.Api(certificates)
        narrow = {"name": "narrow", "destination": "apigateway", "url": api.url, "auth": "none",
                  "ca_file": str(certificates / "ca.pem"), "hold": False, "lanes": ["bulk"],
                  "batch": {"bytes": "2KiB"}, **harness.NO_QUESTION}
        self.agent = matrix_world.Agent(
            run, None, routes=[*(self.route(name) for name in self.sinks), narrow],
            sensors=[{"name": "probe", "driver": "exec", "command": ["/bin/sh", "-c", probe],
                      "interval": "20s", "timeout": "10s"}],
            credentials={"kept": {"provider": "file"}}, alarm_after="1m", health="0s", events="1m",
            spool={"lanes": {"normal": {"age": "1s"}}})
        self.shim.preload(self.agent.environment)
        shim = self.agent.environment["LD_PRELOAD"]
        self.agent.environment.update(self.clock.environment)
        self.agent.environment["LD_PRELOAD"] = ":".join(dict.fromkeys(
            [*self.clock.environment["LD_PRELOAD"].split(":"), *shim.split(":")]))
        self.agent.environment["AWS_SHARED_CREDENTIALS_FILE"] = str(self.keys)
        self.give_keys(harness.ACCESS_KEY)

    def route(self, name):
        """live has keys of its own."""
        sink = self.sinks[name]
        return {"name": name, "endpoint": sink.endpoint, "ca_file": str(sink.ca),
                "credentials": "kept" if name == "live" else "default"}

    def give_keys(self, key):
        new = self.keys.with_suffix(".new")
        new.write_text(KEYS.format(key, harness.SECRET_KEY))
        new.chmod(0o600)
        new.rename(self.keys)

    def told(self, sink="side"):
        """The events that this sink has, in order; each once, with the right members."""
        seen, found = set(), []
        for _, _, data in self.sinks[sink].records():
            record = json.loads(data)
            identity = (record["spool"], record["seq"])
            if record.get("sensor") != "runnel" or identity in seen:
                continue
            seen.add(identity)
            event = record["data"]
            names, absent = self.table[event["event"]]
            given = [name for name in event if name != "event"]
            check(given == [name for name in names if name in given or name not in absent],
                  f"members: {event}, not {names}")
            found.append(event)
        return found

    def await_event(self, name, count=1, sink="side", **members):
        def arrived():
            found = [event for event in self.told(sink) if event["event"] == name and
                     all(event.get(key) == value for key, value in members.items())]
            return found if len(found) >= count else None
        try:
            found = wait_until(name, arrived, timeout_s=20)
        except harness.Failure as why:
            told = [event["event"] for event in self.told(sink)]
            raise harness.Failure(f"{why}: {told}") from None
        check(len(found) == count, f"twice: {found}")
        return found[-1]

    def break_sensor(self, broken):
        if broken:
            self.flag.touch()
        else:
            self.flag.unlink()

    def is_broken(self):
        """None: the answer did not come in its time, which runs fast."""
        status = self.agent.status()
        return status and status["sensors"]["probe"]["error"] is not None

    def commits(self):
        return self.agent.status()["flash"]["commits"]


def reload_at_once(agent):
    """Before anything was told, which must not be forgotten for that."""
    agent.config["alarm_after"] = "61s"
    agent.write_config()
    agent.process.send_signal(signal.SIGHUP)


def live_runs(gateway):
    """Each start says how the run before it ended."""
    agent, shim = gateway.agent, gateway.shim
    shim.reboot(time.time())
    ends = []
    for end, follows in ((agent.stop, "clean"), (agent.kill, "killed"), (None, None)):
        agent.start()
        if len(ends) == 2:
            reload_at_once(agent)
        ends.append(gateway.await_event("started", len(ends) + 1)["ended"])
        gateway.await_event("clock-corrected", **{"from": "estimated"})
        if end is None:
            break
        end()
    check(ends == ["unknown", "clean", "killed"], f"the runs before ended: {ends}")
    agent.kill()
    shim.reboot(time.time())
    agent.start()
    last = gateway.await_event("started", ended="power")
    check(last["boot"] == shim.boot_id[:8] and last["boot_s"] >= 30, last)
    gateway.await_event("clock-corrected", 2, **{"from": "estimated"})


def check_sensor(gateway):
    gateway.break_sensor(True)
    down = gateway.await_event("sensor-down", sensor="probe")
    check(down["for_s"] >= 60 and "left_out" not in down and down["error"], down)
    gateway.break_sensor(False)
    up = gateway.await_event("sensor-up", sensor="probe")
    check(up["for_s"] >= down["for_s"], up)


def check_clock(gateway):
    """An endpoint whose clock is others' is believed, since nobody else vouches for one."""
    for sink in gateway.sinks.values():
        sink.faults(clock_offset_ms=3600000)
    event = gateway.await_event("clock-corrected", to="synced", **{"from": "synced"})
    check(abs(event["step_ms"] - 3600000) < 60000, event)


def check_throttling(gateway):
    """Of the other route, which tells of it."""
    gateway.sinks["live"].faults(throttle_rate=1)
    wait_until("throttling",
               lambda: gateway.agent.status()["routes"]["live"]["throttled"] >= 3)
    gateway.sinks["live"].faults(throttle_rate=0)
    event = gateway.await_event("throttled", route="live")
    check(event["count"] >= 3 and event["for_s"] >= 60, event)


def check_letters(gateway):
    code = gateway.agent.send("plc", [json.dumps({"long": "y" * 3000})], "--lane", "bulk")
    check(code == 0, gateway.agent.tail())
    event = gateway.await_event("dead-letters", route="narrow")
    check(event["count"] == 1 and "batch.bytes" in event["error"], event)


def check_keys(gateway):
    """They expire, and there are no others; then there are."""
    live = gateway.sinks["live"]
    gateway.keys.unlink()
    live.expire_key(harness.ACCESS_KEY)
    failing = gateway.await_event("credentials-failing", credentials="kept")
    check(failing["for_s"] >= 60 and str(gateway.keys) in failing["error"], failing)
    down = gateway.await_event("route-down", route="live")
    check(down["state"] == "needs-operator" and down["error"], down)
    live.add_key("AKIDSECOND", harness.SECRET_KEY)
    gateway.give_keys("AKIDSECOND")
    recovered = gateway.await_event("credentials-recovered", credentials="kept")
    check(recovered["for_s"] >= failing["for_s"], recovered)
    gateway.await_event("route-up", route="live")


def check_outage(gateway):
    """What nobody could be told is told when it is over, once to each."""
    live = gateway.sinks["live"]
    live.outage()
    down = gateway.await_event("route-down", 2, route="live")
    check(down["state"] == "offline" and down["for_s"] >= 60, down)
    live.outage(0)
    gateway.await_event("route-up", 2, route="live")


def flap(gateway):
    """Of what goes back and forth little is told, and then how much was left out."""
    for broken in itertools.islice(itertools.cycle((True, False)), 2 * FLAPS + 1):
        gateway.clock.set(FLAP_FACTOR)
        gateway.break_sensor(broken)
        wait_until(f"broken {broken}", lambda wanted=broken: gateway.is_broken() == wanted)
        time.sleep(75 / FLAP_FACTOR)  # that it has lasted for so long is what is to be told
    gateway.clock.set(FACTOR)
    gateway.agent.send("plc", ['{"behind": true}'])
    wait_until("what was told", lambda: any('"behind"' in data for _, _, data in
                                            gateway.sinks["side"].records()))
    told = [event for event in gateway.told() if "sensor" in event]
    check(len(told) <= OF_ONE_MAX, f"quota: {len(told)} events of a sensor: {told}")
    gateway.clock.set(HOUR_FACTOR)
    wait_until("the next hour", lambda: [event for event in gateway.told() if
                                         event.get("left_out", 0) >= 2 * FLAPS - OF_ONE_MAX])
    gateway.clock.set(FACTOR)
    gateway.break_sensor(False)


def look_for(gateway, pattern):
    """A control: what its agent does wrong is found by a sensor that goes back and forth."""
    gateway.agent.start()
    try:
        flap(gateway)
    except harness.Failure as failure:
        check(re.search(pattern, str(failure)), f"found something else: {failure}")
        print(f"found: {failure}")
        return
    raise harness.Failure("the planted bug was not found")


def test_all(gateway):
    live_runs(gateway)
    before = gateway.commits()
    check_sensor(gateway)
    check_clock(gateway)
    after = gateway.commits()
    check(after == before, f"{after - before} commits while online")
    flap(gateway)
    check_throttling(gateway)
    check_letters(gateway)
    check_keys(gateway)
    check_outage(gateway)
    check(gateway.agent.stop() == 0, gateway.agent.tail())
    told = {sink: [event["event"] for event in gateway.told(sink)] for sink in gateway.sinks}
    check(sorted(told["live"]) == sorted(told["side"]), f"one route heard others: {told}")
    print(f"{len(told['live'])} events each")


def scenario(run, options):
    run.agent_program = pathlib.Path(options.agent or run.program("runnel")).resolve()
    gateway = Gateway(run)
    if options.must_find:
        look_for(gateway, options.must_find)
    else:
        test_all(gateway)


if __name__ == "__main__":
    chosen = harness.arguments(__doc__, (("--agent",), {"help": "instead of runnel"}),
                               (("--must-find",), {"help": "the pattern of a failure: a control"}))
    harness.main(chosen, lambda run: scenario(run, chosen))
