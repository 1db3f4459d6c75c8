#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What the orders of a route promise, by the requests that the sink got and the order in which it
stored.

fresh-first: after an outage a backlog goes out slowly; what is sent meanwhile is in one of the next
requests behind it, long before the backlog is gone, and every full request gives the backlog its
share. strict: with 20 % of the records failing, each lane is stored in the order of its sequence
numbers; a stream that was made anew costs one request more. Nothing is lost, nothing comes twice.
"""
import base64
import json

import harness
from harness import check, wait_until

SHARE_PERCENT = 30
SOON = 2  # the request that was being built when a record came, and the next
SINGLES, BURST = 10, 1000
STRICT_LINES, STRICT_ALARMS = 40, 10


def stored(agent, lane="normal"):
    status = agent.status()
    return status and status["lanes"][lane]["stored"] + status["lanes"][lane]["pending"]


def requests_of(folder):
    """{number: [(sensor, id), ...]} of the requests that were recorded."""
    found = {}
    for path in sorted(folder.glob("*.request")):
        body = json.loads(path.read_bytes().split(b"\r\n\r\n", 1)[1])
        records = [json.loads(base64.b64decode(item["Data"])) for item in body["Records"]]
        found[int(path.stem)] = [(record["sensor"], record["data"]["id"]) for record in records]
    return found


def check_done(agent, sink, count):
    """Everything arrived once, and the agent's accounts say so."""
    wait_until("all to be delivered", lambda: stored(agent) == 0, 600)
    harness.check_identity(agent.counters())
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")
    summary = sink.stop()
    check(summary["identities"]["unique"] == summary["records"] == count, summary)
    check(summary["identities"]["duplicates"] == 0, summary)
    return summary


def send_meanwhile(agent, sink, number):
    """Sends a record; the count of requests before and behind it."""
    before = sink.summary()["requests"]
    check(agent.send("door", [json.dumps({"id": number})]) == 0, f"not taken: {agent.tail()}")
    return before, sink.summary()["requests"]


def check_fresh(requests, sends, backlog_end):
    """Each of SENDS is in one of the next requests; the most requests that one waited."""
    place = {record: number for number, records in requests.items() for record in records}
    waits = []
    for record, (before, after) in enumerate(sends):
        at = place["door", record]
        check(at <= after + SOON, f"record {record}: sent between the requests {before} and "
                                  f"{after}, but it is in {at}")
        check(at < backlog_end, f"record {record} came behind the backlog: {at}")
        waits.append(at - before)
    return max(waits)


def check_share(requests, size, backlog_end):
    """Full requests give the backlog its share, and fresh records no more than the rest."""
    most = size * (100 - SHARE_PERCENT) // 100
    fresh = {number: sum(sensor == "door" for sensor, _ in records)
             for number, records in requests.items() if number < backlog_end}
    for number, count in fresh.items():
        check(count <= most, f"request {number} has {count} fresh records of {size}")
        check(len(requests[number]) == size, f"request {number} was not filled")
    check(max(fresh.values()) == most, f"the burst filled no request: {sorted(fresh.values())}")


def fresh_first(run, count):
    size = min(500, max(10, count // 200))
    recorded = run.folder / "recorded"
    recorded.mkdir()
    sink = harness.Sink(run, "--record", recorded, "--error-rate", "1", name="fresh")
    source = harness.lines_file(run.folder / "backlog.jsonl", count, size=80)
    agent = harness.Agent(run, sink.endpoint, sink.ca, name="fresh-agent",
                          sensors=[harness.lines_sensor(source)],
                          routes=[{**harness.NO_QUESTION, "order": "fresh-first",
                                   "backlog_share": f"{SHARE_PERCENT}%",
                                   "batch": {"records": size}}])
    agent.start()
    wait_until("the backlog", lambda: stored(agent) == count, 300)
    # Lines of a followed file are served behind their commit only, which this one brings about.
    check(agent.send("last", ['{"id": 0}']) == 0, f"not taken: {agent.tail()}")
    wait_until("an outage", lambda: sink.summary()["injected"]["errors"] >= 4)
    sink.faults(error_rate=0, latency_ms=40)
    # The first success sends a few records to probe, and ends the outage; then full requests go.
    wait_until("the end of the outage", lambda: sink.summary()["records"] > 2 * size, 120)
    sends = [send_meanwhile(agent, sink, number) for number in range(SINGLES)]
    burst = [json.dumps({"id": number}) for number in range(SINGLES, SINGLES + BURST)]
    check(agent.send("door", burst, timeout="120s") == 0, f"not taken: {agent.tail()}")
    first = sink.summary()["injected"]["errors"] + 2  # the first full one
    summary = check_done(agent, sink, count + 1 + SINGLES + BURST)

    requests = {number: records for number, records in requests_of(recorded).items()
                if number >= first}
    backlog_end = max(number for number, records in requests.items()
                      if any(sensor == "plc" for sensor, _ in records))
    longest = check_fresh(requests, sends, backlog_end)
    check_share(requests, size, backlog_end)
    ids = [number for records in requests.values() for sensor, number in records
           if sensor == "plc"]
    check(ids == sorted(ids), "the backlog did not come in its order")
    print(f"fresh-first: a backlog of {count} in {summary['served']} requests; of {SINGLES} "
          f"records sent meanwhile each came with one of the next {longest}; "
          f"at most {size * (100 - SHARE_PERCENT) // 100} fresh ones of {size} in one",
          flush=True)


def strict(run):
    sink = harness.Sink(run, "--error-rate", "1", name="strict")
    source = harness.lines_file(run.folder / "strict.jsonl", STRICT_LINES)
    agent = harness.Agent(run, sink.endpoint, sink.ca, name="strict-agent",
                          sensors=[harness.lines_sensor(source)],
                          routes=[{**harness.NO_QUESTION, "order": "strict",
                                   "partition": "sensor"}])
    agent.start()
    wait_until("the lines", lambda: stored(agent) == STRICT_LINES)
    alarms = [json.dumps({"id": number}) for number in range(STRICT_ALARMS)]
    check(agent.send("door", alarms, "--lane", "alarm") == 0, f"not taken: {agent.tail()}")
    sink.faults(error_rate=0, record_failure_rate=0.2)
    wait_until("the alarms", lambda: stored(agent, "alarm") == 0, 300)
    summary = check_done(agent, sink, STRICT_LINES + STRICT_ALARMS)

    records = [json.loads(data) for _, _, data in sink.records()]
    check([record["sensor"] for record in records] ==
          ["door"] * STRICT_ALARMS + ["plc"] * STRICT_LINES, "alarms did not come first")
    for sensor, count in (("door", STRICT_ALARMS), ("plc", STRICT_LINES)):
        mine = [record for record in records if record["sensor"] == sensor]
        numbers = [record["seq"] for record in mine]
        check(numbers == sorted(numbers), f"{sensor} is out of order: {numbers}")
        check([record["data"]["id"] for record in mine] == list(range(count)),
              f"{sensor}: not what was sent")
    failed = summary["injected"]["records_failed"]
    check(failed > len(records) / 10, f"too few records failed: {failed}")
    # But for each key's first, every record named the one before it.
    check(summary["ordered"] == len(records) - 2, f"not ordered behind another: {summary}")
    print(f"strict: {len(records)} records in their order, {failed} failures in between, "
          f"{summary['requests']} requests", flush=True)


def made_anew(run):
    """A stream in place of another of its name knows none of the numbers that the agent has."""
    count = 3
    sink = harness.Sink(run, name="anew")
    agent = harness.Agent(run, sink.endpoint, sink.ca, name="anew-agent",
                          routes=[{**harness.NO_QUESTION, "order": "strict",
                                   "partition": "sensor"}])
    agent.start()

    def send(start):
        lines = [json.dumps({"id": start + number}) for number in range(count)]
        check(agent.send("door", lines, "--lane", "alarm") == 0, f"not taken: {agent.tail()}")
        wait_until("all to be delivered", lambda: stored(agent, "alarm") == 0)

    send(0)
    check(sink.stop()["ordered"] == count - 1, "not ordered behind another")
    sink = harness.Sink(run, "--port", str(sink.port), name="anew")
    send(count)
    counters = agent.counters(lane="alarm")
    check(counters["delivered"] == 2 * count and counters["dead"] == 0, f"{counters}")
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")
    summary = sink.stop()
    check(summary["records"] == count and summary["ordered"] == count - 1, f"{summary}")
    check(summary["rejected"] == 1, f"{summary}")


if __name__ == "__main__":
    options = harness.arguments(__doc__, (("--lines",), {"type": int, "default": 100000}))

    def scenario(run):
        fresh_first(run, options.lines)
        strict(run)
        made_anew(run)

    harness.main(options, scenario)
