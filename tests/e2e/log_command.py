#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What happened is there after kill -9 and a restart, of a running agent and of a stopped one, in the
order in which it happened; --follow goes on across a restart.

--plant leaves the spool of the first run behind, which must be noticed.
"""
import json
import signal

import harness
from harness import check, wait_until


def events(agent, *options):
    result = agent.call("log", "--json", "-c", agent.config_file, *options)
    check(result.returncode == 0, f"log: {result.stderr}")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    numbers = [event["number"] for event in found]
    check(numbers == sorted(set(numbers)), f"numbers: {numbers}")
    return found


def words(found):
    return [event["text"].split()[0] for event in found]


def check_text(agent, found):
    """The same for people, and only the last of it."""
    result = agent.call("log", "-c", agent.config_file)
    lines = [line for line in result.stdout.splitlines() if not line.startswith("--")]
    check(len(lines) == len(found), f"{lines} are not {found}")
    for line, event in zip(lines, found):
        check(line.endswith(event["text"]) and f" {event['level']} " in line and
              line.startswith(event["ts"][:19]), f"{line} is not {event}")
    check(events(agent, "-n", "2") == found[-2:], "-n 2 is not the end of it")


class Follower:
    """runnel log --follow, and what it said so far."""

    def __init__(self, agent):
        self.output = agent.folder / "followed"
        with self.output.open("wb") as output:
            self.process = harness.Process(agent.command("log", "--follow"),
                                           agent.folder / "follow.log", stdout=output,
                                           env=agent.environment)

    def wait_for(self, word, times=1):
        wait_until(f"--follow to show {word}",
                   lambda: self.output.read_text().count(f" {word}") >= times)


def scenario(run, plant):
    sink = harness.Sink(run)
    agent = harness.Agent(run, sink.endpoint, sink.ca,
                          spool={"lanes": {"normal": {"window": "0s", "age": "50ms"}}})
    agent.start()
    sink.outage()
    check(agent.send("plc", ['{"id":1}']) == 0, agent.tail())
    wait_until("the outage to be noticed", lambda: "route-state" in words(events(agent)))
    check(agent.send("plc", ['{"id":2}']) == 0, agent.tail())
    check_text(agent, events(agent))
    agent.kill()
    before = events(agent)
    said = [word for word in words(before) if word != "runs-as-root"]  # where root runs this
    check(said[0] == "started" and "route-state" in said, before)
    if plant:
        agent.state.rename(agent.folder / "left")
    agent.start()
    after = events(agent)
    check(after[:len(before)] == before, "what happened before the restart is gone")
    check("stopped-uncleanly" in words(after) and words(after).count("started") == 2, after)
    follower = Follower(agent)
    follower.wait_for("stopped-uncleanly")
    check(agent.stop() == 0, agent.tail())
    found = events(agent)
    check(words(found)[-1] == "stopping", found)
    check_text(agent, found)
    agent.start()
    follower.wait_for("started", times=3)
    result = agent.call("log", "-n", "0")
    check(result.returncode == 2 and "from 1 to 256" in result.stderr, result.stderr)
    follower.process.send_signal(signal.SIGTERM)
    follower.process.wait()
    check(agent.stop() == 0, agent.tail())
    print(f"{len(found)} events", flush=True)


if __name__ == "__main__":
    chosen = harness.arguments(
        __doc__, (("--plant",), {"action": "store_true", "help": "lose the first run's spool"}))
    harness.main(chosen, lambda run: scenario(run, chosen.plant))
