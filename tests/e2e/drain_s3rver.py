#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
JSON lines from a file through `runnel run --drain` into s3rver, an S3 that others wrote.

s3rver checks neither signatures nor conditions and never fails: what stands before it does. It
verifies each request by botocore, answers 412 for what is there, says that the bucket is in another
region, and has faults.
"""
import http.client
import pathlib
import subprocess

import bucket
import harness
import objects
from harness import check

import botocore.config
import botocore.session

VERSION = "3.7.1"
BUCKET, ELSEWHERE = "telemetry-archive", "us-west-2"
KEY = "S3RVER"  # the only one that s3rver knows
# What happens to the requests in turn; behind the last all goes well.
FAULTS = ("slow-down", "lost", None, "internal", "conflict", None, "cut", "lost")
# Of those that do not reach the bucket.
REFUSALS = {"slow-down": bucket.error(503, "SlowDown"),
            "conflict": bucket.error(409, "ConditionalRequestConflict"), "cut": None}


class Front(bucket.Bucket):
    """The bucket is behind the port BEHIND. BLIND: it stores again what it has."""

    def __init__(self, certificates, behind, blind):
        super().__init__(certificates, keys=(KEY, KEY))
        self.behind, self.blind = behind, blind
        self.faults, self.stored, self.known = list(FAULTS), [], 0

    def put(self, request):
        fault = self.faults.pop(0) if self.faults else None
        if fault in REFUSALS:
            return REFUSALS[fault]
        if request.path in self.stored and not self.blind:
            self.known += 1
            return bucket.THERE
        status = self.forward(request)
        self.stored.append(request.path)
        return {"lost": None, "internal": bucket.error(500, "InternalError")}.get(
            fault, (status, {}, b""))

    def forward(self, request):
        behind = http.client.HTTPConnection("127.0.0.1", self.behind, timeout=30)
        behind.request("PUT", request.path, request.body, request.headers)
        reply = behind.getresponse()
        reply.read()
        behind.close()
        return reply.status


def start_s3rver(run):
    directory = run.folder / "bucket"
    directory.mkdir()
    modules = harness.modules_of("s3rver", VERSION)
    process = harness.Process(
        ["node", pathlib.Path(__file__).parent / "s3rver.js", modules, directory, BUCKET],
        run.folder / "log", stdout=subprocess.PIPE)
    port = process.popen.stdout.readline().decode().strip()
    check(port.isdigit(), f"s3rver did not start: {process.tail()}")
    return int(port)


def read_bucket(port):
    """Every object, by name."""
    client = botocore.session.Session().create_client(
        "s3", region_name=bucket.REGION, endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=KEY, aws_secret_access_key=KEY,
        config=botocore.config.Config(proxies={}))
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for entry in page.get("Contents", ()):
            reply = client.get_object(Bucket=BUCKET, Key=entry["Key"])
            yield entry["Key"], reply["Body"].read()


def drain(run, count, blind):
    port = start_s3rver(run)
    front = Front(harness.make_certificates(run.folder / "certificates"), port, blind)
    source = harness.lines_file(run.folder / "lines.jsonl", count)
    route = {"name": "cold", "destination": "s3", "region": ELSEWHERE, "bucket": BUCKET,
             "prefix": "raw/v=1/", "batch": {"bytes": "256KiB"}, "sse": "aws:kms",
             "kms_key_id": "alias/k", "storage_class": "STANDARD_IA",
             "expected_bucket_owner": "123456789012",
             "endpoint": front.endpoint, "ca_file": str(front.ca), "start_delay": "0s"}
    agent = harness.Agent(run, None, routes=[route], sensors=[harness.lines_sensor(source)])
    agent.environment.update(AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=KEY)
    check(agent.drain(1800) == 0, f"the agent did not deliver: {agent.tail()}")
    check(front.refused == 0, f"{front.refused} requests are wrong")
    check(not front.faults, f"these faults were not met: {front.faults}")
    check(front.redirected == 1, f"{front.redirected} requests went to the wrong region")

    records, found = [], 0
    for key, body in read_bucket(port):
        check(key.startswith("raw/v=1/"), f"{key} has not the prefix")
        records += objects.read(key[len("raw/v=1/"):], body)
        found += 1
    objects.check_lines(records, source.read_text().splitlines())
    check(found == len(front.stored), f"{found} objects, {len(front.stored)} were stored")
    check(front.known == 3, f"{front.known} requests met their object")
    print(f"s3rver {VERSION}: {count} lines exactly once in {found} objects, "
          f"{front.known} replies were lost", flush=True)


if __name__ == "__main__":
    options = harness.arguments(
        __doc__, (("--lines",), {"type": int, "default": 20000}),
        (("--blind",), {"action": "store_true",
                        "help": "a control: the front takes what it has once more"}))
    harness.main(options, lambda run: drain(run, options.lines, options.blind))
