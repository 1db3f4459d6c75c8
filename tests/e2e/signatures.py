#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Live requests of the agent against botocore's signatures, byte for byte.

Towards Kinesis and Firehose the sink records every request; botocore signs each again, from the
recorded headers and body at the recorded time, and must come to the same Authorization header. With
and without a session token. A bucket and an API sign each request again themselves and refuse it
where that differs: paths that S3 signs as they are sent, a stage and a query of an API. Another
secret, body, path or way of encoding must be seen.
"""
import api
import bucket
import harness
import signer
from harness import check, wait_until

import botocore.auth

TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQDexample+token/With=Chars"
BATCHES, LINES = 5, 500
BATCH = {**harness.NO_QUESTION, "batch": {"records": LINES // BATCHES}}
# Not in the order in which they are signed, nor written as they are.
QUERIES = ("", "?b=2&a=1%202&a=1%2F2&flag&B=")


def parse(raw):
    """(headers with their names in lower case, body) of a recorded request."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    check(first == "POST / HTTP/1.1", first)
    return signer.lower(line.split(":", 1) for line in lines), body


def drain(run, name, endpoint, ca, route, **environment):
    lines = harness.lines_file(run.folder / f"{name}.jsonl", LINES)
    agent = harness.Agent(run, endpoint, ca, name=f"{name}-agent", routes=[route],
                          sensors=[harness.lines_sensor(lines)])
    agent.environment.update(environment)
    check(agent.drain(30) == 0, f"{name}: the agent did not deliver: {agent.tail()}")


def check_recorded(path, token, service):
    headers, body = parse(path.read_bytes())
    check(headers.get("x-amz-security-token") == token, headers)
    check("x-amz-target" in headers, f"no target: {headers}")
    expected = signer.sign(headers, body, service=service)
    check(headers["authorization"] == expected,
          f"{path.name}: sent {headers['authorization']}, botocore says {expected}")
    # That it can tell: one byte more in the body is another signature.
    check(signer.sign(headers, body + b" ", service=service) != expected,
          "the comparison sees nothing")


def verify_stream(run, name, token=None, service="kinesis"):
    options = [] if token is None else ["--session-token", token]
    recorded = run.folder / f"{name}-requests"
    sink = harness.Sink(run, "--record", recorded, *options, name=name)
    environment = {} if token is None else {"AWS_SESSION_TOKEN": token}
    drain(run, name, sink.endpoint, sink.ca, {"destination": service, **BATCH}, **environment)
    summary = sink.stop()
    check(summary["signature_failures"] == 0, summary)
    requests = sorted(recorded.glob("*.request"))
    check(len(requests) == summary["requests"] >= BATCHES, f"{len(requests)} requests")
    for path in requests:
        check_recorded(path, token, service)
    print(f"{name}: {len(requests)} requests agree with botocore", flush=True)


# ---- S3 ----

def s3_route(place):
    return {"destination": "s3", "region": place.region, "bucket": "tele.metry",
            "prefix": "v=1/a-b_c/", "endpoint": place.endpoint, **harness.NO_QUESTION,
            "batch": {"bytes": "16KiB"}, "sse": "aws:kms", "kms_key_id": "alias/k",
            "expected_bucket_owner": "123456789012"}


def sign_again(place, request, **change):
    given = {"body": request.body, "path": request.path, **change}
    return signer.sign(request.headers, method="PUT", service="s3", region=place.region, **given)


def verify_bucket(run, certificates):
    """The path is signed as it is sent, with each "=" of the key encoded once."""
    place = bucket.Bucket(certificates)
    drain(run, "s3", None, place.ca, s3_route(place), AWS_SESSION_TOKEN=TOKEN)
    check(place.refused == 0 and len(place.requests) >= BATCHES,
          f"{place.refused} requests were refused, {len(place.requests)} were not")
    for request in place.requests:
        check("/tele.metry/v%3D1/a-b_c/dt%3D" in request.path, f"another path: {request.path}")
        right = request.headers["authorization"]
        check(sign_again(place, request) == right, "the bucket saw nothing")
        check(sign_again(place, request, path=request.path.replace("%3D", "=")) != right and
              sign_again(place, request, auth=botocore.auth.SigV4Auth) != right,
              "one encoding is as good as another")
    print(f"s3: {len(place.requests)} requests agree with botocore", flush=True)


def refuse_wrong_secret(run, certificates):
    """The bucket can tell, and the agent passes on what it was told."""
    place = bucket.Bucket(certificates)
    agent = harness.Agent(run, None, place.ca, name="wrong", routes=[s3_route(place)],
                          sensors=[{"name": "proc", "driver": "proc", "interval": "1s"}])
    agent.config["routes"][0]["every"] = "1s"
    agent.write_config()
    agent.environment["AWS_SECRET_ACCESS_KEY"] = harness.SECRET_KEY[:-1]
    agent.start()
    said = wait_until("a refusal", lambda: place.refused and
                      agent.status()["routes"]["live"]["error"])
    check("SignatureDoesNotMatch" in said, said)
    check(not place.objects, "something was stored")
    agent.stop()


# ---- API Gateway ----

def verify_api(run, certificates):
    for number, query in enumerate(QUERIES):
        place = api.Api(certificates, "iam")
        drain(run, f"api-{number}", None, certificates / "ca.pem",
              {"destination": "apigateway", "auth": "iam", "region": api.REGION,
               "url": place.url + query, **BATCH})
        check(place.paths == {api.PATH + query}, f"asked for {place.paths}")
        check(place.statuses(403) == 0 and len(place.stored) >= LINES,
              f"{place.statuses(403)} requests were refused")
        _, headers, body = place.requests[-1]
        check(signer.sign(headers, body, "POST", api.PATH + query + "?x", "execute-api", api.REGION)
              != headers["authorization"], "the comparison sees nothing")
        place.stop()
        print(f"{api.PATH + query}: {len(place.requests)} requests agree with botocore", flush=True)


def scenario(run):
    verify_stream(run, "permanent")
    verify_stream(run, "session", TOKEN)
    verify_stream(run, "firehose", service="firehose")
    certificates = harness.make_certificates(run.folder / "certificates")
    verify_bucket(run, certificates)
    refuse_wrong_secret(run, certificates)
    verify_api(run, certificates)


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
