#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Live requests of the agent against botocore's signatures, byte for byte.

The sink records every request. botocore signs each again, from the recorded headers and body at the
recorded time, and must come to the same Authorization header. With and without a session token.
"""
import datetime
import re

import harness
from harness import check

import botocore.auth
import botocore.awsrequest
import botocore.credentials

TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQDexample+token/With=Chars"
REQUIRED = {"content-type", "host", "x-amz-date", "x-amz-target"}
BATCHES = 5


def parse(raw):
    """(headers with their names in lower case, body) of a recorded request."""
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode("ascii").split("\r\n")
    check(lines[0] == "POST / HTTP/1.1", lines[0])
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        check(name.lower() not in headers, f"{name} comes twice")
        headers[name.lower()] = value.strip()
    return headers, body


class At:
    """The clock that botocore reads, stopped at one moment."""

    def __init__(self, stamp):
        self.moment = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ")
        self.datetime = self

    def utcnow(self):
        return self.moment


def sign(headers, body, token, at, path="/", service="kinesis", region="us-east-1"):
    """What botocore would send as Authorization."""
    signed = re.search(r"SignedHeaders=([^,]+)", headers["authorization"]).group(1).split(";")
    required = REQUIRED | ({"x-amz-security-token"} if token else set())
    if service != "kinesis":
        required -= {"x-amz-target"}
    check(required <= set(signed), f"not signed: {required - set(signed)}")
    request = botocore.awsrequest.AWSRequest(
        "POST", f"https://{headers['host']}{path}", data=body,
        headers={name: headers[name] for name in signed})
    credentials = botocore.credentials.Credentials(harness.ACCESS_KEY, harness.SECRET_KEY, token)
    real, botocore.auth.datetime = botocore.auth.datetime, at
    try:
        botocore.auth.SigV4Auth(credentials, service, region).add_auth(request)
    finally:
        botocore.auth.datetime = real
    return request.headers["Authorization"]


def verify(run, name, token):
    options = [] if token is None else ["--session-token", token]
    recorded = run.folder / f"{name}-requests"
    sink = harness.Sink(run, "--record", recorded, *options, name=name)
    lines = harness.lines_file(run.folder / f"{name}.jsonl", BATCHES * 100)
    agent = harness.Agent(run, sink.endpoint, sink.ca, name=f"{name}-agent",
                          sensors=[harness.lines_sensor(lines)],
                          routes=[{**harness.NO_QUESTION, "batch": {"records": 100}}])
    if token is not None:
        agent.environment["AWS_SESSION_TOKEN"] = token
    check(agent.drain() == 0, f"the agent did not deliver: {agent.tail()}")
    summary = sink.stop()
    check(summary["records"] == BATCHES * 100, summary)
    check(summary["signature_failures"] == 0, summary)

    requests = sorted(recorded.glob("*.request"))
    check(len(requests) == summary["requests"] >= BATCHES, f"{len(requests)} requests")
    for path in requests:
        headers, body = parse(path.read_bytes())
        check(headers.get("x-amz-security-token") == token, headers)
        at = At(headers["x-amz-date"])
        expected = sign(headers, body, token, at)
        check(headers["authorization"] == expected,
              f"{path.name}: sent {headers['authorization']}, botocore says {expected}")
        # That it can tell: one byte more in the body is another signature.
        check(sign(headers, body + b" ", token, at) != expected, "the comparison sees nothing")
    print(f"{name}: {len(requests)} requests agree with botocore", flush=True)


def scenario(run):
    verify(run, "permanent", None)
    verify(run, "session", TOKEN)


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
