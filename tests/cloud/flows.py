#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The whole way of a record: the agent, the way in, what is behind it with its own code, files.

  kinesis    the agent to Kinesis, the consumer
  gateway    the agent to the API (each body; with faults two of them), Kinesis, the consumer
  firehose   the agent to Firehose, the transformation
  lake       the agent to the API (each body; with faults two of them), Firehose, the transformation
  both       the agent to Kinesis and to Firehose, from one spool

Each once as it should be, and once with faults: single records fail, requests are throttled, the
service fails, replies are lost when all is stored, and functions are killed before and after their
work. What lies in S3 at the end is each line, as it was, exactly once. Firehose knows nothing of
identities: behind it, what is there twice was in a request whose reply was lost.
"""
import json

from cloud import Cloud, resolve
import harness
from harness import check

SENSOR = "plc"
BATCH = 20
BODIES = ("records", "array", "lines", "single")
# Of those that the agent must live with; each strikes in some of at least 20 requests.
FAULTS = {"records": {"rate": 0.05}, "lost": {"at": 2}, "cut": {"at": 5}, "reset": {"at": 9},
          "error": {"at": 12}, "slow_down": {"at": 15}}
GATEWAY_FAULTS = {"throttle": {"at": 4}, "unavailable": {"at": 11}, **FAULTS}
# Firehose calls four times in all.
FUNCTION_FAULTS = {"lambda": 1, "lambda_after": 2}


class Agent(harness.Agent):
    """A route says itself where it goes."""

    @staticmethod
    def fill_route(route, endpoint, ca):
        if not route:
            harness.Agent.fill_route(route, endpoint, ca)
        route.setdefault("start_delay", "0s")
        if ca is not None:
            route.setdefault("ca_file", str(ca))


class Flow:
    """One cloud with what the agent is to deliver to it."""

    def __init__(self, run, name, count, faults, **parameters):
        self.run = run
        self.name = f"{name}-{'faults' if faults else 'plain'}"
        self.faults = faults
        self.cloud = Cloud(run, resolve(**parameters), "--shards", "2", name=self.name)
        self.cloud.use_role()
        self.source = harness.lines_file(run.folder / f"{self.name}.jsonl", count)
        self.lines = self.source.read_text().splitlines()

    def deliver(self, routes, faults):
        """The agent takes all lines and delivers them by ROUTES; with the FAULTS, each at work."""
        self.cloud.faults(**(faults if self.faults else {}))
        agent = Agent(self.run, None, self.cloud.ca, name=f"{self.name}-agent",
                      sensors=[harness.lines_sensor(self.source, SENSOR)], routes=routes)
        check(agent.drain() == 0, f"the agent did not deliver: {agent.tail()}")
        self.cloud.faults(**(FUNCTION_FAULTS if self.faults else {}))
        struck = set(self.cloud.summary()["injected"])
        check(struck == (set(faults) if self.faults else set()), f"faults at work: {struck}")
        agent.set_sensors([])
        agent.start()
        for route in routes:
            counters = agent.counters(route["name"])
            harness.check_identity(counters)
            check(counters["accepted"] == counters["delivered"] == len(self.lines), counters)
        check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")

    def check_files(self, prefix, twice_at_most=0):
        """Each line is in S3 below PREFIX, as it was, and nothing else is."""
        number_of, seen, twice = {}, set(), 0
        for document in self.cloud.records(prefix):
            number = document["data"]["id"]
            check(document["data"] == json.loads(self.lines[number]), f"changed: {document}")
            identity = (document["device"], document["spool"], document["seq"])
            check(number_of.setdefault(identity, number) == number, f"{document}: a second line")
            twice += number in seen
            seen.add(number)
        missing = set(range(len(self.lines))) - seen
        check(not missing, f"{len(missing)} lines are missing, such as {sorted(missing)[:5]}")
        check(len(number_of) == len(self.lines), "a line has two identities")
        check(twice <= twice_at_most, f"{twice} lines came twice, {twice_at_most} at most may")
        return twice

    def consume(self):
        """The stream by way of the consumer's function; returns how many came twice until there."""
        total = sum(len(data.splitlines()) for _, data in self.cloud.stored())
        check(self.faults or total == len(self.lines), f"{total} records in the stream")
        self.cloud.consume()
        failures = sum(mapping.failures for mapping in self.cloud.mappings)
        check((failures > 0) == self.faults, f"{failures} invocations failed")
        self.check_files("records/")
        return total - len(self.lines)

    def flush(self):
        """What Firehose holds by way of the transformation."""
        self.cloud.flush()
        injected = self.cloud.summary()["injected"]
        lost = injected.get("lost", 0) + injected.get("cut", 0)
        return self.check_files("lake/", BATCH * lost)

    def end(self, twice, where):
        """TWICE: how many records there were too many of; with faults there must be some."""
        self.cloud.stop()
        check((twice > 0) == self.faults, f"{twice} lines were {where} twice")
        print(f"{self.name}: {len(self.lines)} lines, {twice} of them twice {where}", flush=True)


def kinesis_route(cloud):
    return {"name": "live", "destination": "kinesis", "region": cloud.region,
            "stream": "telemetry", "endpoint": cloud.aws, "batch": {"records": BATCH}}


def firehose_route(cloud):
    return {"name": "lake", "destination": "firehose", "region": cloud.region,
            "stream": "telemetry-lake", "endpoint": cloud.aws, "batch": {"records": BATCH}}


def gateway_route(cloud, path, body):
    return {"name": "gate", "destination": "apigateway", "region": cloud.region, "auth": "iam",
            "url": cloud.url(f"{path}/{body}"), "body": body, "batch": {"records": BATCH}}


def kinesis(run, count, faults):
    flow = Flow(run, "kinesis", count, faults)
    flow.deliver([kinesis_route(flow.cloud)], FAULTS)
    flow.end(flow.consume(), "before the consumer")


def firehose(run, count, faults):
    flow = Flow(run, "firehose", count, faults, Transform="on")
    flow.deliver([firehose_route(flow.cloud)], FAULTS)
    flow.end(flow.flush(), "behind Firehose")


def faults_of(body):
    """One record alone cannot fail where the reply is the service's to the whole request."""
    return {kind: plan for kind, plan in GATEWAY_FAULTS.items()
            if kind != "records" or body in ("records", "array")}


def gateway(run, count, faults):
    for body in ("records", "array") if faults else BODIES:
        flow = Flow(run, f"gateway-{body}", count // 10 if body == "single" else count, faults)
        flow.deliver([gateway_route(flow.cloud, "", body)], faults_of(body))
        flow.end(flow.consume(), "before the consumer")


def lake(run, count, faults):
    for body in ("records", "lines") if faults else BODIES:
        flow = Flow(run, f"lake-{body}", count // 10 if body == "single" else count, faults,
                    Transform="on")
        flow.deliver([gateway_route(flow.cloud, "/firehose", body)], faults_of(body))
        flow.end(flow.flush(), "behind Firehose")


def both(run, count, faults):
    flow = Flow(run, "both", count, faults, Transform="on")
    flow.deliver([kinesis_route(flow.cloud), firehose_route(flow.cloud)], FAULTS)
    flow.end(flow.consume() + flow.flush(), "before the consumer or behind Firehose")


CASES = {one.__name__: one for one in (kinesis, gateway, firehose, lake, both)}

if __name__ == "__main__":
    options = harness.arguments(
        __doc__, (("--lines",), {"type": int, "default": 400}),
        (("cases",), {"nargs": "*", "default": list(CASES), "metavar": "CASE",
                      "type": harness.one_of(CASES)}))

    def scenario(run):
        for case in options.cases:
            for faults in (False, True):
                CASES[case](run, options.lines, faults)

    harness.main(options, scenario)
