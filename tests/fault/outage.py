#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The endpoint goes away, refuses, is silent, comes back; the accounts add up at every look (P2, P8).

For each route and lane accepted = delivered + stored + dead + evicted, as `status --json` tells,
and at the end the sink has exactly what the agent says that it delivered.
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # pylint: disable=wrong-import-position
from harness import check  # pylint: disable=wrong-import-position

LANES = ("alarm", "normal", "bulk")


class Watch:
    """The agent's own account, looked at again and again."""

    def __init__(self, agent):
        self.agent = agent
        self.looks = 0

    def look(self):
        status = self.agent.status()
        check(status is not None, f"the agent does not answer: {self.agent.tail()}")
        for name, route in status["routes"].items():
            for lane in LANES:
                harness.check_identity({**route["lanes"][lane], "of": f"{name} {lane}"})
        check(self.agent.process.running(), "an outage ended the agent")
        self.looks += 1
        return status

    def total(self, member):
        lanes = self.look()["routes"]["live"]["lanes"]
        return sum(lanes[lane][member] for lane in LANES)

    def wait_for(self, what, condition):
        """The first status of which CONDITION is true."""
        def seen():
            status = self.look()
            return status if condition(status) else None
        return harness.wait_until(what, seen)


def documents(first, count):
    return [json.dumps({"id": number}) for number in range(first, first + count)]


def scenario(run):
    sink = harness.Sink(run, "--id-member", "id")
    agent = harness.Agent(
        run, sink.endpoint, sink.ca,
        spool={"lanes": {"normal": {"age": "100ms"}, "bulk": {"age": "100ms"}}},
        sensors=[{"name": "wave", "driver": "sim", "interval": "20ms"},
                 {"name": "slow", "driver": "sim", "interval": "50ms", "lane": "bulk"}])
    agent.start()
    watch = Watch(agent)
    harness.wait_until("deliveries", lambda: watch.total("delivered") > 20)

    sink.outage()
    check(agent.send("cli", documents(0, 300)) == 0, "documents are accepted during an outage")
    check(agent.send("cli", documents(300, 1), timeout="5s") == 0, "and again")
    before = watch.total("delivered")
    status = watch.wait_for("stored records", lambda status:
                            status["routes"]["live"]["lanes"]["normal"]["stored"] >= 300)
    check(status["healthy"], f"a short outage is no illness: {status}")
    check(status["routes"]["live"]["error"], f"the route names its trouble: {status['routes']}")
    check(watch.total("delivered") == before, "nothing is delivered to nobody")
    sink.outage(0)
    watch.wait_for("all 301 documents", lambda status: sink.summary()["ids"]["unique"] >= 301)

    sink.outage(3, mode="silent")
    check(agent.send("cli", documents(301, 200)) == 0, "documents are accepted in silence")
    watch.wait_for("what was sent in silence",
                   lambda status: sink.summary()["ids"]["unique"] >= 501)

    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")
    # From here on nothing more comes in: what is counted stays as it is.
    agent.set_sensors([])
    check(agent.drain() == 0, f"the rest was not delivered: {agent.tail()}")
    agent.start()
    delivered = watch.total("delivered")
    check(watch.total("accepted") == delivered, watch.look()["routes"])
    agent.stop()
    summary = sink.stop()
    check(summary["identities"]["unique"] == delivered, f"{delivered} delivered, but {summary}")
    check(summary["ids"]["unique"] == 501, summary)
    print(f"{watch.looks} looks, the accounts added up at each; {delivered} records delivered, "
          f"{summary['identities']['duplicates']} of them twice", flush=True)


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
