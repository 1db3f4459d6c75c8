#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Packs through `runnel run --drain` into kinesalite, read back by others' programs.

kpl by AWS's de-aggregator (npm aws-kinesis-agg): every record inside has the key of the whole and
hashes into the shard that it was read from, so that a consumer library keeps it. lines and gzip by
Python. Every line exactly once, and packs spread over the shards.
"""
import base64
import gzip
import hashlib
import json
import pathlib
import subprocess

import drain_kinesalite as kinesalite
import harness
from harness import check

AGGREGATION_VERSION = "4.2.8"
SHARDS = 4
CASES = (
    {"pack": "kpl"},
    {"pack": "kpl", "partition": "device"},
    {"pack": "lines"},
    {"pack": "lines", "compress": "gzip"},
    {"compress": "gzip"},
)


def deaggregate(modules, records):
    """The records inside of each, as AWS's module finds them."""
    asked = "".join(json.dumps({
        "partitionKey": record["PartitionKey"], "sequenceNumber": record["SequenceNumber"],
        "data": base64.b64encode(record["Data"]).decode()}) + "\n" for record in records)
    result = subprocess.run(
        ["node", pathlib.Path(__file__).parent / "deaggregate.js", modules], input=asked,
        capture_output=True, text=True, timeout=120, check=False)
    check(result.returncode == 0, f"an aggregate cannot be taken apart: {result.stderr[-400:]}")
    return [json.loads(line) for line in result.stdout.splitlines()]


def lost_by_a_consumer(inside, whole, bounds):
    """Why the Kinesis Client Library would drop records of an aggregate, or None."""
    for record in inside:
        if record.get("explicitPartitionKey"):
            return "an explicit hash key"
        if record["partitionKey"] != whole:
            return f"the key {record['partitionKey']} inside {whole}"
        place = int.from_bytes(hashlib.md5(record["partitionKey"].encode()).digest(), "big")
        if not bounds[0] <= place <= bounds[1]:
            return f"{place} is not in the shard {bounds}"
    return None


def control(bounds):
    """The judge above finds what it is there for."""
    whole = next(key for key in map(str, range(1000)) if lost_by_a_consumer(
        [{"partitionKey": key}], key, bounds) is None)
    outside = next(key for key in map(str, range(1000)) if lost_by_a_consumer(
        [{"partitionKey": key}], key, bounds) is not None)
    for planted in ({"partitionKey": outside}, {"partitionKey": f"{whole}."},
                    {"partitionKey": whole, "explicitPartitionKey": "0"}):
        inside = [{"partitionKey": whole}, planted]
        check(lost_by_a_consumer(inside, whole, bounds), f"{planted} was not found")
    check(lost_by_a_consumer([{"partitionKey": outside}], outside, bounds), "a shard too far")


def lines_of_aggregates(records, modules, bounds):
    for record, inside in zip(records, deaggregate(modules, records), strict=True):
        check(record["Data"][:4] == bytes.fromhex("f3899ac2"), "this is no aggregate")
        fault = lost_by_a_consumer(inside, record["PartitionKey"], bounds)
        check(fault is None, f"a consumer would drop records: {fault}")
        yield from (base64.b64decode(part["data"]) for part in inside)


def lines_of_texts(records, case):
    for record in records:
        data = gzip.decompress(record["Data"]) if "compress" in case else record["Data"]
        check(data.endswith(b"\n") == ("pack" in case), "the last line does not end")
        yield from data.splitlines()


def bounds_of(client):
    shards = client.describe_stream(StreamName="telemetry")["StreamDescription"]["Shards"]
    return {shard["ShardId"]: (int(shard["HashKeyRange"]["StartingHashKey"]),
                               int(shard["HashKeyRange"]["EndingHashKey"])) for shard in shards}


def drain(run, case, client, endpoint, ca, source):
    """One route's records; returns how many packs each shard got."""
    name = "-".join(case.values())
    lines = source.read_text().splitlines()
    agent = harness.Agent(run, endpoint, ca, name=name, sensors=[harness.lines_sensor(source)],
                          routes=[dict(case)])
    check(agent.drain(600) == 0, f"the agent did not deliver: {agent.tail()}")
    modules = harness.modules_of("aws-kinesis-agg", AGGREGATION_VERSION)
    seen, loads = [], []
    for shard, bounds in bounds_of(client).items():
        control(bounds)
        records = list(kinesalite.read_records(client, shard))
        loads.append(len(records))
        found = (lines_of_aggregates(records, modules, bounds) if case.get("pack") == "kpl"
                 else lines_of_texts(records, case))
        for line in found:
            record = json.loads(line)
            number = record["data"]["id"]
            check(record["data"] == json.loads(lines[number]), f"line {number} was changed")
            seen.append(number)
    check(sorted(seen) == list(range(len(lines))),
          f"{name}: {len(seen)} of {len(lines)} lines, {len(set(seen))} of them different")
    packs = sum(loads)
    if "pack" in case:
        check(packs * 10 < len(lines), f"{packs} packs of {len(lines)} lines")
    if case.get("partition") == "device":
        check(loads.count(0) == SHARDS - 1, f"one device went to {loads}")
    elif packs >= 8 * SHARDS:
        check(max(loads) - min(loads) <= 6, f"{name} went to shards as {loads}")
    print(f"{name}: {len(lines)} lines exactly once, {packs} packs, shards {loads}", flush=True)


def scenario(run, count):
    modules = harness.modules_of("kinesalite", kinesalite.VERSION)
    endpoint, ca = kinesalite.start(run, modules)
    client = kinesalite.connect(endpoint, ca)
    source = harness.lines_file(run.folder / "lines.jsonl", count)
    for case in CASES:
        kinesalite.create_stream(client, SHARDS)
        drain(run, case, client, endpoint, ca, source)
        client.delete_stream(StreamName="telemetry")
        harness.wait_until("the end of the stream",
                           lambda: not client.list_streams()["StreamNames"])


if __name__ == "__main__":
    options = harness.arguments(__doc__, (("--lines",), {"type": int, "default": 10000}))
    harness.main(options, lambda run: scenario(run, options.lines))
