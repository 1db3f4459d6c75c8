#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A configuration that is pushed to a gateway and does not deliver comes back by itself: a wrong
stream, region, role, CA or proxy, each with the agent killed at random during its trial, and once
left alone. Nothing that was taken is lost, sampling goes on, and the outcome is told in status, in
the log and as a record. A good one is confirmed and stays.

--must-find: a control, whose agent has a planted bug.
"""
import json
import pathlib
import random
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
# pylint: disable=wrong-import-position
import credentials
import harness
import matrix_world
import proxy
import rogue
from harness import Failure, check, wait_until

FACTOR = 30
CONFIRM = "60s"
NAME = "sink.test"


class World(matrix_world.World):
    """The sink is reached through a proxy, by a name that nobody here resolves."""

    def __init__(self, run):
        self.proxy = proxy.Proxy()
        super().__init__(run, FACTOR)

    def make_rogue(self, context):
        context = self.authority.context(f"trial-{self.run.folder.name}", names=f"DNS:{NAME}")
        server = rogue.Rogue(self.sink.port, context)
        self.proxy.names = {f"{NAME}:{server.port}": ("127.0.0.1", server.port)}
        self.endpoint = f"https://{NAME}:{server.port}"
        return server

    def make_agent(self, route, environment, config):
        route = {"proxy": f"http://127.0.0.1:{self.proxy.port}", **route}
        sensors = [{"name": "wave", "driver": "sim", "interval": "1s"}]
        super().make_agent(route, environment, {**config, "sensors": sensors})

    def push(self, change, *options):
        """Applies the main file as CHANGE(configuration) leaves it."""
        pushed = json.loads(json.dumps(self.agent.config))
        change(pushed)
        path = self.run.folder / "pushed.json"
        path.write_text(json.dumps(pushed))
        return self.agent.call("config", "apply", path, "--confirm", CONFIRM, *options)

    def push_well(self, change, *options):
        result = self.push(change, *options)
        check(result.returncode == 0, f"not applied: {result.stderr}{result.stdout}")

    def config(self):
        return self.status()["config"]

    def wait_config(self, what, found):
        return wait_until(what, lambda: (self.check_alive(), found(self.config()))[1])

    def told(self, event):
        """The records of the sensor runnel that tell EVENT."""
        for _, _, data in self.sink.records():
            record = json.loads(data)
            if record.get("sensor") == "runnel" and record.get("data", {}).get("event") == event:
                yield record["data"]

    def numbers(self):
        return {json.loads(data)["seq"] for _, _, data in self.sink.records()}

    def check_sequence(self, first):
        """Every number from FIRST on that was given out has arrived: no record was lost."""
        numbers = {number for number in self.numbers() if number >= first}
        missing = set(range(first, max(numbers) + 1)) - numbers
        check(not missing, f"lost: {len(missing)} numbers between others: {sorted(missing)[:5]}")

    def restart(self):
        self.agent.kill()
        self.agent.start()


def bad(key, value):
    def change(config):
        config["routes"][0][key] = value
    return change


def wrong_role(run, world):
    """A role alias that IoT does not know."""
    certificates = harness.make_certificates(run.folder / "certificates")
    giver = credentials.Giver(world.sink, certificates)
    giver.answer = (404, '{"message":"Role alias does not exist"}')

    def change(config):
        config["credentials"] = credentials.iot(certificates, giver, role_alias="wrong")
    return change, giver


def faults(run, world):
    """name: (the change, what is said of it)."""
    role, giver = wrong_role(run, world)
    other = matrix_world.Authority(run.folder, "other")
    return giver, {
        "stream": (bad("stream", "nowhere"), "nowhere"),
        "region": (bad("region", "eu-west-1"), "region|signature|credential"),
        "role": (role, "role_alias"),
        "ca": (bad("ca_file", str(other.pem)), "certificate|trust"),
        "proxy": (bad("proxy", "http://127.0.0.1:1"), "proxy"),
    }


def pass_time(process, seconds):
    """So long, or until it ends by itself."""
    try:
        process.popen.wait(seconds)
    except subprocess.TimeoutExpired:
        pass


def suffer(world, name, change, words, kills):
    """One pushed fault, until the configuration before is back."""
    told = sum(1 for _ in world.told("config-reverted"))
    world.push_well(change)
    check(world.config()["state"] == "trial", f"{name}: not on trial: {world.config()}")
    world.feed(3)
    for pause_s in kills:
        pass_time(world.agent.process, pause_s)
        world.restart()
        world.feed(2)
    config = world.wait_config(f"the end of the trial of {name}",
                               lambda config: config["state"] != "trial" and config)
    check(config["state"] == "main" and config["last_trial"] == "reverted",
          f"stays: {name}: {config}")
    reverted = config["reverted"]
    check(reverted["route"] == "live" or "ran out" in reverted["error"], f"{name}: {reverted}")
    check(re.search(words, reverted["error"], re.I) or "in time" in reverted["error"]
          or "ran out" in reverted["error"], f"{name}: {reverted}")
    if not kills:
        check(re.search(words, reverted["error"], re.I), f"{name}: {reverted}")
    world.feed(3)
    world.wait_stored()
    wait_until("the record of it",
               lambda: sum(1 for _ in world.told("config-reverted")) > told)
    check("config-reverted" in world.agent.log.read_text(), f"{name}: not in the log")


def test_faults(world, giver, table):
    """Left alone first: not a number is missing. Then with kills."""
    generator = random.Random(7)
    first = max(world.numbers())                  # a kill skips numbers, a restart does not
    for name, (change, words) in table.items():
        suffer(world, name, change, words, ())
    world.check_sequence(first)
    for name, (change, words) in table.items():
        suffer(world, name, change, words,
               [generator.random() * 1.5 for _ in range(generator.randrange(1, 4))])
    check(giver.asked, "nobody asked for the keys of the wrong role")


def test_cut_short(world, generator):
    """Killed while it takes a bad one: applied or not, the main file is what runs in the end."""
    pushed = json.loads(json.dumps(world.agent.config))
    pushed["routes"][0]["stream"] = "nowhere"
    path = world.run.folder / "pushed.json"
    path.write_text(json.dumps(pushed))
    for _ in range(5):
        command = world.agent.command("config", "apply", path, "--confirm", CONFIRM)
        plain = {name: value for name, value in world.agent.environment.items()
                 if name != "LD_PRELOAD"}
        push = harness.Process(command, world.run.folder / "push.log", env=plain,
                               stdout=subprocess.DEVNULL)
        pass_time(push, generator.random() * 0.2)
        world.restart()
        push.wait()
        config = world.wait_config("the end of the trial",
                                   lambda config: config["state"] != "trial" and config)
        check(config["state"] == "main", f"stays: {config}")
        world.feed(1)
    world.wait_stored()


def test_crash_loop(world):
    """Hardly any time passes, but each start costs some of the trial's."""
    world.clock.set(1)
    world.push_well(bad("stream", "nowhere"))
    starts = 0
    while (config := world.config())["state"] == "trial":
        starts += 1
        check(starts <= 12, f"stays: {starts} starts have not ended it: {config}")
        world.restart()
    check(config["state"] == "main" and "ran out" in config["reverted"]["error"], f"{config}")
    world.clock.set(FACTOR)


def test_no_start(world):
    """One that loads no longer at the next start goes back at once."""
    file = world.run.folder / "site"
    file.write_text("pump-4")

    def change(config):
        config["routes"][0]["stream"] = "nowhere"
        config["sensors"][-1]["tags"] = {"site": f"${{file:{file}}}"}
    world.push_well(change)
    world.agent.kill()
    file.unlink()
    world.agent.start()
    config = world.config()
    check(config["state"] == "main" and "site" in config["reverted"]["error"], f"stays: {config}")


def test_good(world):
    """Confirmed as soon as it delivers; there after a kill; then back to the main file."""
    result = world.push(bad("batch", {"records": 10}), "--wait")
    check(result.returncode == 0 and "confirmed" in result.stdout, f"{result}")
    config = world.config()
    check(config["state"] == "applied" and config["origin"] == "local", f"{config}")
    name = world.status()["config_id"]
    world.restart()
    check(world.config()["state"] == "applied", f"not there any more: {world.config()}")
    check(world.status()["config_id"] == name, "it has another name after a start")
    world.feed(5)
    world.wait_stored()
    world.agent.config["routes"][0]["time_wait"] = "9m"
    world.agent.write_config()
    warned = world.agent.call("config", "show", "-c", world.agent.config_file)
    check("was changed since" in warned.stdout, f"show: {warned.stdout[:400]}")
    result = world.agent.call("config", "apply", "--none", "--confirm", CONFIRM, "--wait")
    check(result.returncode == 0, f"{result}")
    check(world.config()["state"] == "main", f"{world.config()}")


def test_refused(world):
    """What has faults is not even tried, and says where they are."""
    result = world.push(bad("streem", "x"))
    check(result.returncode == 78 and "pushed.json:1:" in result.stderr and "streem" in
          result.stderr, f"{result}")
    result = world.push(lambda config: config["spool"].update(path="/elsewhere"))
    check(result.returncode == 78 and "moves the spool" in result.stderr, f"{result}")
    check(world.config()["state"] == "main", f"{world.config()}")


def test_reload(world):
    """A changed main file is taken with SIGHUP or by command; one with faults is not."""
    def files():
        return world.status()["config_id"]
    before = files()
    world.agent.config["sensors"].append({"name": "extra", "driver": "sim", "interval": "1s"})
    world.agent.write_config()
    result = world.agent.call("config", "reload")
    check(result.returncode == 0, f"{result}")
    wait_until("the new sensor",
               lambda: "extra" in (world.agent.status() or {"sensors": ()})["sensors"])
    check(files() != before, "another configuration has the same name")
    world.agent.config_file.write_text('{ "sensors": 5 }')
    result = world.agent.call("config", "reload")
    check(result.returncode == 78 and "sensors" in result.stderr, f"{result}")
    world.agent.process.send_signal(harness.signal.SIGHUP)
    wait_until("its refusal", lambda: world.agent.log.read_text().count("config-refused") >= 2)
    check("extra" in world.status()["sensors"], "what ran before does not run on")
    world.agent.write_config()


def look_for(world, table, pattern):
    """A control: the planted bug is found by the first fault."""
    try:
        suffer(world, "stream", *table["stream"], ())
    except Failure as failure:
        check(re.search(pattern, str(failure)), f"found otherwise: {failure}")
        return
    raise Failure("the planted bug was not found")


def test_all(world, giver, table):
    test_refused(world)
    test_cut_short(world, random.Random(11))
    test_crash_loop(world)
    test_no_start(world)
    test_good(world)
    test_reload(world)
    test_faults(world, giver, table)
    world.feed(3)
    world.wait_stored()
    world.check_accounts()
    world.check_secrets()
    world.stop_agent()


def scenario(outer, options):
    folder = outer.folder / "w"                   # certificates lie beside it
    folder.mkdir()
    run = harness.Run(outer.build, folder)
    run.agent_program = pathlib.Path(options.agent) if options.agent else run.program("runnel")
    world = World(run).start()
    giver, table = faults(run, world)
    if options.must_find:
        look_for(world, table, options.must_find)
    else:
        test_all(world, giver, table)
    world.close()
    giver.stop()


def main():
    options = harness.arguments(__doc__, (("--agent",), {"help": "instead of runnel"}),
                                (("--must-find",), {"help": "the pattern of a failure: a control"}))
    harness.main(options, lambda run: scenario(run, options))


if __name__ == "__main__":
    main()
