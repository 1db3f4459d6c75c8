#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
JSON lines from a file through `runnel run --drain` into kinesalite, a Kinesis that others wrote.

4 shards; read back by botocore: every line exactly once, shards within 1 %.
"""
import json
import pathlib
import subprocess

import harness
from harness import check

import botocore.config
import botocore.session

VERSION = "3.3.3"


def start(run, modules):
    """Returns the endpoint and the CA file."""
    folder = run.folder / "certificates"
    subprocess.run([run.program("runnel-sink"), "--certificates-only", "--dir", folder], check=True)
    process = harness.Process(
        ["node", pathlib.Path(__file__).parent / "kinesalite.js", modules, folder / "server.pem",
         folder / "server.key"], run.folder / "log", stdout=subprocess.PIPE)
    port = process.popen.stdout.readline().decode().strip()
    check(port.isdigit(), f"kinesalite did not start: {process.tail()}")
    return f"https://localhost:{port}", folder / "ca.pem"


def connect(endpoint, ca):
    session = botocore.session.Session()
    # Large answers take kinesalite a while.
    settings = botocore.config.Config(read_timeout=120, retries={"max_attempts": 2}, proxies={})
    return session.create_client(
        "kinesis", region_name="us-east-1", endpoint_url=endpoint, verify=str(ca),
        aws_access_key_id=harness.ACCESS_KEY, aws_secret_access_key=harness.SECRET_KEY,
        config=settings)


def create_stream(client, shards):
    client.create_stream(StreamName="telemetry", ShardCount=shards)

    def active():
        description = client.describe_stream(StreamName="telemetry")["StreamDescription"]
        return description["StreamStatus"] == "ACTIVE" and description["Shards"]

    return [shard["ShardId"] for shard in harness.wait_until("the stream", active)]


def read_records(client, shard):
    """Every record of a shard, as GetRecords has it."""
    iterator = client.get_shard_iterator(StreamName="telemetry", ShardId=shard,
                                         ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    while True:
        reply = client.get_records(ShardIterator=iterator, Limit=5000)
        yield from reply["Records"]
        if not reply["Records"]:
            return
        iterator = reply["NextShardIterator"]


def drain(run, count):
    modules = harness.modules_of("kinesalite", VERSION)
    endpoint, ca = start(run, modules)
    client = connect(endpoint, ca)
    shards = create_stream(client, 4)
    source = harness.lines_file(run.folder / "lines.jsonl", count)
    lines = source.read_text().splitlines()
    agent = harness.Agent(run, endpoint, ca, sensors=[harness.lines_sensor(source)])
    check(agent.drain(1800) == 0, f"the agent did not deliver: {agent.tail()}")

    seen, loads = {}, []
    for shard in shards:
        load = 0
        for stored in read_records(client, shard):
            record = json.loads(stored["Data"])
            number = record["data"]["id"]
            check(record["data"] == json.loads(lines[number]),
                  f"line {number} was changed: {record}")
            seen[number] = seen.get(number, 0) + 1
            load += 1
        loads.append(load)
    missing = count - len(seen)
    twice = sum(times - 1 for times in seen.values())
    check(missing == 0 and twice == 0, f"{missing} lines are missing, {twice} came twice")
    harness.check_spread(loads)
    print(f"kinesalite {VERSION}: {count} lines exactly once, shards {loads}", flush=True)


if __name__ == "__main__":
    options = harness.arguments(__doc__, (("--lines",), {"type": int, "default": 20000}))
    harness.main(options, lambda run: drain(run, options.lines))
