#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The whole way of a record: the agent, the way in, what is behind it with its own code, files.

  kinesis    the agent to Kinesis, the consumer
  gateway    the agent to the API (each body; with faults two of them), Kinesis, the consumer
  firehose   the agent to Firehose, the transformation
  lake       the agent to the API (each body; with faults two of them), Firehose, the transformation
  both       the agent to Kinesis and to Firehose, from one spool
  controls   with a mistake planted somewhere on the way the comparison at its end must see it

Each once as it should be, and once with faults: single records fail, requests are throttled, the
service fails and is away, replies are lost when all is stored, the agent is killed (-9) in the
middle and started again; functions are killed before, amid and after their work, and are denied a
write when half of it is done. What lies in S3 at the end is each line, as it was, under one
identity. From the consumer it is there once. Firehose knows nothing of identities: whoever reads
its objects drops what came twice by (device, spool, seq), and that can only be what was in a
request whose reply was lost, or what a killed agent had sent.
"""
import json
import shutil

from cloud import CODE, Cloud, resolve
import harness
from harness import Failure, check, wait_until

SENSOR = "plc"
BATCH = 10
BODIES = ("records", "array", "lines", "single")
# The agent is killed when it waits for these replies.
KILLS = {"silent": {"at": [7, 18]}}
# Of those that the agent must live with; each strikes in some of at least 40 requests, seldom two
# in a row: the waits grow with each that fails, and with each record that is throttled.
FAULTS = {"records": {"at": [60, 61, 200]}, "lost": {"at": 2}, "cut": {"at": 5},
          "reset": {"at": 12}, "away": {"at": 15, "times": 2}, "error": {"at": 26},
          "slow_down": {"at": 30}, **KILLS}
GATEWAY_FAULTS = {"throttle": {"at": 9}, "unavailable": {"at": 34}, **FAULTS}
# Firehose calls four times in all.
TRANSFORM_FAULTS = {"lambda": 1, "lambda_after": 2}
# Each invocation makes two transactions; the second one settles what was written between them.
CONSUMER_FAULTS = {"lambda": {"at": 1}, "denied": {"at": 2}, "killed": {"at": 4},
                   "lambda_after": {"at": 3}}


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
    """One cloud, RESOLVED and CODE perhaps changed, with what the agent is to deliver to it."""

    def __init__(self, run, name, count, faults, resolved, code=CODE):
        self.run = run
        self.name = f"{name}-{'faults' if faults else 'plain'}"
        self.faults = faults
        self.cloud = Cloud(run, resolved, "--shards", "2", name=self.name, code=code)
        self.cloud.use_role()
        self.source = harness.lines_file(run.folder / f"{self.name}.jsonl", count)
        self.lines = self.source.read_text().splitlines()
        self.before_kill = 0  # records that were answered until then, at most

    def agent(self, routes):
        return Agent(self.run, None, self.cloud.ca, name=f"{self.name}-agent",
                     sensors=[harness.lines_sensor(self.source, SENSOR)], routes=routes)

    def deliver(self, routes, faults):
        """The agent takes all lines and delivers them by ROUTES; with the FAULTS, each at work."""
        agent = self.agent(routes)
        if self.faults:
            self.cloud.faults(**faults)
            if "silent" in faults:
                self.interrupt(agent)
        check(agent.drain() == 0, f"the agent did not deliver: {agent.tail()}")
        struck = set(self.cloud.summary()["injected"])
        check(struck == (set(faults) if self.faults else set()), f"faults at work: {struck}")
        agent.set_sensors([])
        agent.start()
        for route in routes:
            counters = agent.counters(route["name"])
            harness.check_identity(counters)
            check(counters["accepted"] == counters["delivered"] == len(self.lines), counters)
        check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")

    def interrupt(self, agent):
        """Kills the agent in the middle of its work, again and again."""
        for number, _ in enumerate(KILLS["silent"]["at"], start=1):
            process = agent.begin_drain()
            wait_until("a reply that does not come",
                       lambda: self.injected("silent") >= number or not process.running())
            check(process.running(), f"nothing was left to kill: {agent.tail()}")
            agent.kill()
        self.before_kill = BATCH * self.cloud.summary()["statuses"].get("200", 0)

    def injected(self, *kinds):
        injected = self.cloud.summary()["injected"]
        return sum(injected.get(kind, 0) for kind in kinds)

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

    def call_functions(self, faults, work):
        """WORK, whose functions meet FAULTS, each at work."""
        self.cloud.faults(**(faults if self.faults else {}))
        work()
        missed = set(faults if self.faults else ()) - set(self.cloud.summary()["injected"])
        check(not missed, f"faults that were not at work: {missed}")

    def consume(self):
        """The stream by way of the consumer's function; returns how many came twice until there."""
        total = sum(len(data.splitlines()) for _, data in self.cloud.stored())
        check(self.faults or total == len(self.lines), f"{total} records in the stream")
        self.call_functions(CONSUMER_FAULTS, self.cloud.consume)
        self.check_files("records/")
        return total - len(self.lines)

    def flush(self):
        """What Firehose holds by way of the transformation."""
        lost = self.injected("lost", "cut", "silent")
        self.call_functions(TRANSFORM_FAULTS, self.cloud.flush)
        return self.check_files("lake/", self.before_kill + BATCH * lost)

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
    flow = Flow(run, "kinesis", count, faults, resolve())
    flow.deliver([kinesis_route(flow.cloud)], FAULTS)
    flow.end(flow.consume(), "before the consumer")


def firehose(run, count, faults):
    flow = Flow(run, "firehose", count, faults, resolve(Transform="on"))
    flow.deliver([firehose_route(flow.cloud)], FAULTS)
    flow.end(flow.flush(), "behind Firehose")


def faults_of(body):
    """One record alone cannot fail where it is the only one that the service sees."""
    if body in ("records", "array"):
        return GATEWAY_FAULTS
    return {kind: plan for kind, plan in GATEWAY_FAULTS.items() if kind != "records"}


def gateway(run, count, faults):
    for body in ("records", "array") if faults else BODIES:
        flow = Flow(run, f"gateway-{body}", count // 10 if body == "single" else count, faults,
                    resolve())
        flow.deliver([gateway_route(flow.cloud, "", body)], faults_of(body))
        flow.end(flow.consume(), "before the consumer")


def lake(run, count, faults):
    for body in ("records", "lines") if faults else BODIES:
        flow = Flow(run, f"lake-{body}", count // 10 if body == "single" else count, faults,
                    resolve(Transform="on"))
        flow.deliver([gateway_route(flow.cloud, "/firehose", body)], faults_of(body))
        flow.end(flow.flush(), "behind Firehose")


def both(run, count, faults):
    flow = Flow(run, "both", count, faults, resolve(Transform="on"))
    flow.deliver([kinesis_route(flow.cloud), firehose_route(flow.cloud)], FAULTS)
    flow.end(flow.consume() + flow.flush(), "before the consumer or behind Firehose")


# -- controls: (what is planted, how the flow goes on, what the comparison must say)

def changed_code(run, name, file, old, new):
    """A copy of the functions' code in which OLD is NEW."""
    folder = run.folder / f"{name}-code"
    shutil.copytree(CODE, folder)
    text = (folder / file).read_text()
    check(text.count(old) == 1, f"{file} has no {old!r} to change")
    (folder / file).write_text(text.replace(old, new))
    return folder


def run_kinesis(flow):
    flow.deliver([kinesis_route(flow.cloud)], {"lost": {"at": 2}, **KILLS})
    flow.consume()


def run_firehose(run, name, count, code):
    flow = Flow(run, name, count, False, resolve(Transform="on"), code)
    flow.deliver([firehose_route(flow.cloud)], FAULTS)
    flow.flush()


def forgetful(run, count):
    """The consumer knows no identity again."""
    code = changed_code(run, "forgetful", "delivery.py",
                        "elif not pages.has(entry.page, entry.seq):", "else:")
    run_kinesis(Flow(run, "forgetful", count, True, resolve(), code))


def untidy(run, count):
    """What a killed consumer wrote stays."""
    code = changed_code(run, "untidy", "delivery.py", "        for key in keys:\n",
                        "        for key in ():\n")
    run_kinesis(Flow(run, "untidy", count, True, resolve(), code))


def deaf(run, count):
    """Lambda is not told to look at what the consumer says of its failures."""
    resolved = resolve()
    del resolved["Resources"]["ConsumerMapping"]["Properties"]["FunctionResponseTypes"]
    run_kinesis(Flow(run, "deaf", count, True, resolved))


def hiding(run, count):
    """The API says 200 and no more, whatever became of the records."""
    resolved = resolve()
    method = resolved["Resources"]["KinesisArrayMethod"]["Properties"]["Integration"]
    method["IntegrationResponses"] = [{"StatusCode": "200", "ResponseTemplates":
                                       {"application/json": '{"ok":true}'}}]
    flow = Flow(run, "hiding", count, True, resolved)
    flow.deliver([gateway_route(flow.cloud, "", "array")], {"error": {"at": 5}})
    flow.consume()


def dropping(run, count):
    """The transformation drops what its neighbour should have."""
    run_firehose(run, "dropping", count, changed_code(
        run, "dropping", "transform.py", "if not data.strip():",
        "if not data.strip() or b'\"id\":7,' in data:"))


def rounding(run, count):
    """The transformation has numbers of its own."""
    run_firehose(run, "rounding", count, changed_code(
        run, "rounding", "transform.py", "exact.dumps(document)",
        "exact.dumps(document).replace('21.5', '21')"))


class Amnesiac(Flow):
    """The agent's state is gone after it was killed."""

    def interrupt(self, agent):
        super().interrupt(agent)
        shutil.rmtree(agent.state)
        agent.state.mkdir()


def amnesia(run, count):
    run_kinesis(Amnesiac(run, "amnesia", count, True, resolve()))


CONTROLS = {forgetful: "came twice", untidy: "came twice",
            deaf: "are missing", hiding: "are missing", dropping: "are missing",
            rounding: "changed", amnesia: "two identities"}


def controls(run, count, faults):
    for plant, symptom in CONTROLS.items() if faults else ():
        try:
            plant(run, count)
        except Failure as found:
            check(symptom in str(found), f"{plant.__name__}: {found}")
            print(f"{plant.__name__}: found, {found}", flush=True)
            continue
        raise Failure(f"{plant.__name__} was not found")


CASES = {one.__name__: one for one in (kinesis, gateway, firehose, lake, both, controls)}

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
