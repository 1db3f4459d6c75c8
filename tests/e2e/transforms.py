#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Transforms in the real agent: what arrives is what the chain of each sensor makes of it, nothing
that was redacted is anywhere, and no line of a followed file is lost to an interval that a kill
cuts off.
"""
import collections
import hashlib
import hmac
import json
import sys

import harness
from harness import check, wait_until

KEY = "4f1c5d0e9a"
DRIVER = "Zq7secret"
LINES = 2000
KILLS = 5
CHUNK = 40
NO_WAIT = {"lanes": {lane: {"window": "1s", "age": "0s"} for lane in ("normal", "bulk")}}


def told(record):
    """A time that was corrected is worked out by each run anew, to a millisecond or so."""
    return {**record, "ts": None} if record.get("time_quality") == "corrected" else record


def received(sink, sensor):
    """The records of SENSOR by their numbers: duplicates of one delivery count once."""
    records = {}
    for _, _, data in sink.records():
        record = json.loads(data)
        if record["sensor"] == sensor:
            check(told(records.setdefault(record["seq"], record)) == told(record),
                  f"two records are number {record['seq']}")
    return [records[number] for number in sorted(records)]


def plant_documents(path):
    """One for each line: what a controller says, and who drives."""
    with open(path, "w", encoding="ascii") as file:
        for number in range(100):
            print(json.dumps({"id": f"line-{number // 50}", "who": {"name": DRIVER, "age": 42},
                              "state": {"temp": 200 + number, "n": number}}), file=file)


def machine(path, key_file):
    return harness.lines_sensor(path, name="machine", tags={"site": "hall-2"}, transforms=[
        {"redact": {"channel": "who.name", "action": "hmac", "key_file": str(key_file)}},
        {"redact": {"channel": "who.age", "action": "drop"}},
        {"tag": {"name": "line", "channel": "id"}},
        {"flatten": {"channels": {"temp": "state.temp", "n": "state.n", "who": "who.name"}}},
        {"scale": {"channel": "temp", "factor": 0.1, "offset": -5}},
        {"unit": {"channel": "temp", "unit": "Cel"}},
        {"filter": {"channel": "n", "op": "<", "value": 10, "action": "drop"}},
        {"alarm": {"channel": "temp", "above": 24.4}},
    ])


def check_machine(records, lanes):
    check(len(records) == 90, f"{len(records)} records, not 90")
    digest = hmac.new(KEY.encode(), DRIVER.encode(), hashlib.sha256).hexdigest()
    records.sort(key=lambda record: record["values"]["n"])
    for number, record in enumerate(records, 10):
        expected = {"n": number, "temp": round((200 + number) / 10 - 5, 1)}
        check(record["values"] == expected, f"{record['values']} is not {expected}")
        check(record["text"] == {"who": digest}, f"{record['text']} is not {digest}")
        tags = {"site": "hall-2", "line": f"line-{number // 50}"}
        check(record["tags"] == tags, f"{record['tags']} is not {tags}")
    # 24.4 is 294 of them: five lines are beyond it
    check(lanes == {"alarm": 5, "normal": 85}, f"lanes: {lanes}")


def scenario_chain(run, sink):
    source = run.folder / "machine.jsonl"
    key_file = run.folder / "key"
    plant_documents(source)
    agent = harness.Agent(run, sink.endpoint, sink.ca, name="chain", spool=NO_WAIT,
                          sensors=[machine(source, key_file)])
    warned = agent.call("check", "-c", agent.config_file)
    check(warned.returncode == 0 and f"redact.key_file: {key_file}: " in warned.stderr,
          f"a key that is not there is not said: {warned.stderr}")
    key_file.write_text(KEY + "\n")
    key_file.chmod(0o600)
    agent.start()
    wait_until("90 records", lambda: len(received(sink, "machine")) >= 90)
    lanes = {lane: agent.counters(lane=lane)["accepted"] for lane in ("alarm", "normal")}
    status = agent.status()["sensors"]["machine"]
    check(status["suppressed"] == 10 and status["samples"] == 90, f"status: {status}")
    # The agent's own record of its start is among them.
    lanes["normal"] -= sum(json.loads(data)["sensor"] == "runnel" for _, _, data in sink.records())
    check(agent.stop() == 0, "it did not stop well")
    check_machine(received(sink, "machine"), lanes)
    for path in (agent.state / "spool.mdb", agent.log, sink.dump):
        check(DRIVER.encode() not in path.read_bytes(), f"{path} holds the name of the driver")
    refuse_open_key(agent, key_file)


def refuse_open_key(agent, key_file):
    key_file.chmod(0o666)
    agent.start()
    wait_until("a failing sensor",
               lambda: "key" in (agent.status()["sensors"]["machine"]["error"] or ""))
    check("chmod go-w" in agent.log.read_text(), "the log does not say what to do about the key")
    check(agent.stop() == 0, "it did not stop well")
    key_file.unlink()
    warnings = agent.call("check", "-c", agent.config_file).stderr
    check(f"redact.key_file: {key_file}: No such file" in warnings, warnings)


def followed(source, plant):
    # With --plant a line gets lost, as it would if an offset went ahead of its record.
    kept = [{"filter": {"channel": "value", "op": "!=", "value": LINES - 7}}] if plant else []
    return [harness.lines_sensor(source, name="log", transforms=[
        *kept,
        {"filter": {"channel": "value", "op": ">", "value": 0}},
        {"summarize": {"interval": "100ms", "functions": ["min", "max", "count"]}},
        {"alarm": {"channel": "value_count", "above": 100}}])]


def ask(agent):
    return agent.status()["sensors"]["log"]


def write_lines(source, first, count):
    """Numbers, every third of them 0; returns how many are not."""
    lines = [0 if number % 3 == 0 else number for number in range(first, first + count)]
    with source.open("a", encoding="ascii") as file:
        print(*lines, sep="\n", file=file)
    return sum(line != 0 for line in lines)


def scenario_kill(run, sink, plant):
    """Lines of which every third is filtered; the agent is killed within an interval of them."""
    source = run.folder / "log.txt"
    source.write_text("")
    agent = harness.Agent(run, sink.endpoint, sink.ca, name="kill", spool=NO_WAIT,
                          sensors=followed(source, plant))
    written, counted = 0, 0
    for _ in range(KILLS):
        agent.start()
        for chunk in range(LINES // KILLS // CHUNK):
            seen = ask(agent)["suppressed"]
            counted += write_lines(source, written + 1, CHUNK)
            written += CHUNK
            wait_until("the lines", lambda known=seen: ask(agent)["suppressed"] > known)
            if chunk == 0:
                wait_until("the end of an interval", lambda: ask(agent)["samples"] > 0)
        agent.kill()
    check(agent.drain() == 0, f"the drain left something: {agent.tail()}")
    records = received(sink, "log")
    total = sum(record["values"]["value_count"] for record in records)
    check(total == counted, f"{counted} lines went in, {total} came out")
    spans = collections.Counter(record["values"]["value_min"] for record in records)
    check(max(spans.values()) == 1, f"counted twice: {spans.most_common(1)}")
    print(f"{written} lines, {KILLS} kills: {total} in {len(records)} records, none twice")


def scenario(run, plant):
    sink = harness.Sink(run)
    if not plant:
        scenario_chain(run, sink)
    scenario_kill(run, sink, plant)
    sink.stop()


if __name__ == "__main__":
    OPTIONS = harness.arguments(
        __doc__, (["--plant"], {"action": "store_true", "help": "lose a line"}))
    sys.exit(harness.main(OPTIONS, lambda run: scenario(run, OPTIONS.plant)))
