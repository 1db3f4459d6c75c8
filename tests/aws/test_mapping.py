#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The API's mapping templates in Apache Velocity (Mapping.java), which API Gateway is built on: each
body becomes the request that the service wants, and each refusal the right status.
"""
import base64
import json
import pathlib
import shutil
import subprocess
import sys

import variants
from variants import cfn

SKIPPED = 77
JARS = ("velocity", "commons-lang", "commons-collections3", "json-smart", "accessors-smart", "asm")
GZIP = bytes.fromhex("1f8b08000000000000ff03000000000000000000")


def record(device, value="41.50"):
    """A record as runnel renders it."""
    return (f'{{"device":"{device}","sensor":"board","ts":"2026-11-23T22:31:26.123Z","seq":4711,'
            f'"spool":"9f31c2a47be0d815","values":{{"temp":{value}}}}}')


def entries(*data):
    """The body of /records."""
    return json.dumps({"Records": [{"Data": base64.b64encode(one).decode(), "PartitionKey": "k"}
                                   for one in data]})


ONE, TWO = record("gw-1"), record("g\u00e4-2", "42.5")
TAIL = [b"", b"a", b"ab", b"abc", b"abcd", b"\xff\xfe\x00", b"\xff\xfe", b"\xff"]

# Method, body, and what the service must get: (keys, data of the records).
CASES = (
    ("KinesisRecords", entries(b"x", GZIP), ["k", "k"], [b"x", GZIP]),
    ("KinesisArray", f'{{"records":[{ONE},{TWO}]}}', ["gw-1", "g\u00e4-2"], None),
    ("KinesisLines", f"{ONE}\n{TWO}\n", ["gw-1"], [f"{ONE}\n{TWO}\n".encode()]),
    ("KinesisLines", f"{TWO}\n", ["g\u00e4-2"], [f"{TWO}\n".encode()]),
    ("KinesisLines", record('a\\"b'), ["request-1"], [record('a\\"b').encode()]),
    ("KinesisLines", "no record", ["request-1"], [b"no record"]),
    ("KinesisLines", '{"device":"', ["request-1"], [b'{"device":"']),
    ("KinesisSingle", ONE, ["gw-1"], [ONE.encode()]),
    ("KinesisSingle", record('a\\"b'), ['a"b'], [record('a\\"b').encode()]),
    ("FirehoseRecords", entries(*TAIL), None, [one + b"\n" for one in TAIL]),
    ("FirehoseRecords", entries(*(one + b"\n" for one in TAIL)), None,
     [one + b"\n" for one in TAIL]),
    ("FirehoseRecords", entries(GZIP), None, [GZIP]),
    ("FirehoseArray", f'{{"records":[{ONE},{TWO}]}}', None, None),
    ("FirehoseLines", f"{ONE}\n{TWO}", None, [f"{ONE}\n{TWO}\n".encode()]),
    ("FirehoseLines", f"{ONE}\n{TWO}\n", None, [f"{ONE}\n{TWO}\n".encode()]),
    ("FirehoseSingle", ONE, None, [f"{ONE}\n".encode()]),
)

# What a service answers, the pattern that takes it, and the status that the gateway sees.
REFUSALS = (
    ("com.amazonaws.kinesis.v20131202#ProvisionedThroughputExceededException", r"4\d{2}", 429),
    ("LimitExceededException", r"4\d{2}", 429), ("KMSThrottlingException", r"4\d{2}", 429),
    ("ValidationException", r"4\d{2}", None), ("ResourceNotFoundException", r"4\d{2}", None),
    (None, r"4\d{2}", None), ("ServiceUnavailableException", None, 503),
    ("InternalFailure", None, None), (None, None, None),
)


def run(cases):
    """What Velocity makes of [(template, body)]."""
    jars = ":".join(f"/usr/share/java/{jar}.jar" for jar in JARS)
    source = pathlib.Path(__file__).parent / "Mapping.java"
    result = subprocess.run(
        ["java", "-cp", jars, source], capture_output=True, text=True, timeout=120, check=False,
        input=json.dumps([{"template": template, "body": body} for template, body in cases]))
    if result.returncode != 0:
        raise RuntimeError(result.stderr)
    return [json.loads(line) for line in result.stdout.splitlines()]


def unpacked(request):
    """(keys, data) of a request's records."""
    records = request.get("Records") or [request.get("Record") or request]
    return ([one.get("PartitionKey") for one in records],
            [base64.b64decode(one["Data"], validate=True) for one in records])


def wrong_request(case, output):
    """Why OUTPUT is not the request of CASE; None: it is."""
    method, body, keys, data = case
    request = json.loads(output)
    name = request.pop("StreamName" if keys else "DeliveryStreamName", None)
    if name != ("telemetry" if keys else "telemetry-lake"):
        return f"{method}: for {name}"
    found = unpacked(request)
    if found[0] != (keys or [None] * len(found[1])):
        return f"{method}: keys {found[0]}"
    if data is None:  # the records' own JSON is API Gateway's: compare what they say
        ends = {one[-1:] for one in found[1]}
        documents = [json.loads(one) for one in found[1]]
        is_same = documents == json.loads(body)["records"] and ends == {b"}" if keys else b"\n"}
        return None if is_same else f"{method}: {found[1]}"
    return None if found[1] == data else f"{method}: {found[1]}"


def faults_of(resources):
    """All that comes out wrong."""
    def template_of(method):
        integration = resources[f"{method}Method"]["Properties"]["Integration"]
        return next(iter(integration["RequestTemplates"].values()))

    replies = {one.get("SelectionPattern"): one for one in resources["KinesisLinesMethod"]
               ["Properties"]["Integration"]["IntegrationResponses"]}
    bodies = [json.dumps({"__type": kind, "message": "Throughput"} if kind else {"message": "m"})
              for kind, _, _ in REFUSALS]
    cases = [(template_of(case[0]), case[1]) for case in CASES]
    cases += [(replies[pattern]["ResponseTemplates"]["application/json"], body)
              for (_, pattern, _), body in zip(REFUSALS, bodies)]
    results = run(cases)
    for case, result in zip(CASES, results):
        fault = wrong_request(case, result["output"])
        if fault:
            yield fault
    for (kind, _, status), body, result in zip(REFUSALS, bodies, results[len(CASES):]):
        if result["status"] != status or json.loads(result["output"]) != json.loads(body):
            yield f"{kind}: {result}"


PLANTED = (
    ('$data.replace("=", "K")', '$data.replace("=", "L")'), ("$at + 10", "$at + 9"),
    ('#if($data.startsWith("H4sI") ||', "#if("), ('.concat("Cg==")', '.concat("")'),
    ('$type.indexOf("Throttling") >= 0', "false"), ("#if(!$body.endsWith($newline))", "#if(true)"),
    ("#if($end > $from)", "#if(true)"), ("#if($device.indexOf($backslash) < 0)", "#if(true)"),
)


def is_found(text, old, new):
    """Whether the planted bug shows: wrong output, no JSON, or an engine that gives up."""
    try:
        planted = cfn.resolve(cfn.parse(text.replace(old, new)))["Resources"]
        return old in text and any(True for _ in faults_of(planted))
    except (ValueError, RuntimeError):
        return True


def main():
    """Exit code of the test."""
    missing = [jar for jar in JARS if not pathlib.Path(f"/usr/share/java/{jar}.jar").exists()]
    if missing or not shutil.which("javac"):
        print("NOT RUN: apt-get install default-jdk-headless velocity libjson-smart-java")
        return SKIPPED
    text = variants.TEMPLATE.read_text("utf-8")
    faults = list(faults_of(cfn.resolve(variants.TEMPLATE)["Resources"]))
    faults += [f"{new!r} is not found" for old, new in PLANTED if not is_found(text, old, new)]
    print("\n".join(faults) or
          f"{len(CASES)} requests, {len(REFUSALS)} refusals, {len(PLANTED)} planted bugs found")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
