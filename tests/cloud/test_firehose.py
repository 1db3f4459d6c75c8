#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The local Firehose without the agent: what it refuses, and what becomes of what it takes.

  limits      500 records, 4 MiB, 1,000 KiB a record, base64, names, signatures
  transform   the transformation's own code: redacted, normalised, retried; what fails is set aside
  event       dynamic partitioning: each reading in its hour, by jq and by the function
  source      fed by the stream, aggregates of the KPL taken apart; kept as it came, too
"""
import base64
import gzip
import json
import struct
import hashlib

from cloud import Cloud, resolve, run_cases
from client import line, record, signer
import harness
from harness import check

import botocore.config
import botocore.exceptions
import botocore.session

STREAM = "telemetry-lake"


def connect(cloud, secret=harness.SECRET_KEY):
    """botocore's client on the endpoint that the agent uses."""
    return botocore.session.Session().create_client(
        "firehose", region_name=cloud.region, endpoint_url=cloud.aws, verify=str(cloud.ca),
        aws_access_key_id=harness.ACCESS_KEY, aws_secret_access_key=secret,
        config=botocore.config.Config(proxies={}, retries={"max_attempts": 0},
                                      parameter_validation=False))


def refuses(client, code, records, name=STREAM):
    try:
        client.put_record_batch(DeliveryStreamName=name, Records=records)
    except botocore.exceptions.ClientError as error:
        check(error.response["Error"]["Code"] == code, error)
        return
    raise harness.Failure(f"taken, instead of {code}")


def put(client, *texts):
    reply = client.put_record_batch(DeliveryStreamName=STREAM,
                                    Records=[{"Data": text.encode()} for text in texts])
    check(reply["FailedPutCount"] == 0 and len(reply["RequestResponses"]) == len(texts), reply)


def lines(*numbers, **members):
    return [line(record(seq, **members)) + "\n" for seq in numbers]


def limits(run):
    cloud = Cloud(run, resolve(), name="limits")
    client = connect(cloud)
    refuses(client, "ValidationException", [])
    refuses(client, "ValidationException", [{"Data": b"x"}] * 501)
    refuses(client, "ValidationException", [{"Data": b"x" * (1024000 + 1)}])
    refuses(client, "InvalidArgumentException", [{"Data": b"x" * 1000000}] * 4 +
            [{"Data": b"x" * 194305}])
    refuses(client, "ResourceNotFoundException", [{"Data": b"x"}], name="another")
    refuses(connect(cloud, "another"), "InvalidSignatureException", [{"Data": b"x"}])
    check(cloud.summary()["firehose"]["records"] == 0, "what was refused was taken")
    put(client, *["x" * 1000000] * 4, "x" * 194304)
    cloud.faults(records=2)
    reply = client.put_record_batch(DeliveryStreamName=STREAM, Records=[{"Data": b"x"}] * 3)
    codes = [one.get("ErrorCode") for one in reply["RequestResponses"]]
    check(codes == ["ServiceUnavailableException"] * 2 + [None], reply)
    cloud.stop()


def below(cloud, prefix):
    return {key: gzip.decompress(data).decode() for key, data in cloud.objects()
            if key.startswith(prefix)}


def transform(run):
    cloud = Cloud(run, resolve(Transform="on", TransformRedact="owner"), name="transform")
    client = connect(cloud)
    put(client, *lines(1, 2, tags={"site": "a", "owner": "b"}), "no JSON\n")
    cloud.faults(**{"lambda": 3})
    cloud.flush()
    check(list(cloud.records("lake/")) ==
          [record(seq, tags={"site": "a"}, time_quality="synced") for seq in (1, 2)],
          below(cloud, "lake/"))
    key, text = below(cloud, "errors/").popitem()
    aside = json.loads(text)
    check(key.startswith("errors/processing-failed/") and
          base64.b64decode(aside["rawData"]) == b"no JSON\n", (key, aside))
    put(client, *lines(3))
    cloud.faults(**{"lambda": 4})
    cloud.flush()
    aside = [json.loads(one) for text in below(cloud, "errors/").values()
             for one in text.splitlines()]
    check(sorted(one["errorCode"] for one in aside) ==
          ["Lambda.FunctionError", "Lambda.ProcessingFailedStatus"], aside)
    check(len(list(cloud.records("lake/"))) == 2, "what the function never saw is in the lake")
    cloud.stop()


def event(run):
    for how in ("off", "on"):
        cloud = Cloud(run, resolve(FirehosePartitioning="event", Transform=how),
                      name=f"event-{how}")
        hours = [line(record(hour, ts=f"2026-01-02T0{hour}:59:59.999Z")) for hour in range(3)]
        put(connect(cloud), hours[0], "\n".join(hours[1:]) + "\n")
        cloud.flush()
        found = {key.rsplit("/", 1)[0]: text.replace(',"time_quality":"synced"', "")
                 for key, text in below(cloud, "lake/").items()}
        check(found == {f"lake/year=2026/month=01/day=02/hour=0{hour}": hours[hour] + "\n"
                        for hour in range(3)}, found)
        cloud.stop()


def aggregate(*texts):
    """By hand, for one partition key; every length is below 128."""
    def field(number, data):
        return struct.pack("BB", number << 3 | 2, len(data)) + data

    message = field(1, b"gw-1") + b"".join(field(3, b"\x08\x00" + field(3, text.encode()))
                                           for text in texts)
    return b"\xf3\x89\x9a\xc2" + message + hashlib.md5(message).digest()


def source(run):
    cloud = Cloud(run, resolve(Firehose="stream", SourceBackup="on"), name="source")
    short = [json.dumps({"seq": seq}) + "\n" for seq in range(3)]
    data = [short[0].encode(), aggregate(*short[1:]), aggregate(*short)[:-1] + b"\n"]
    body = {"Records": [{"Data": base64.b64encode(one).decode(), "PartitionKey": "k"}
                        for one in data]}
    check(signer(cloud).send(cloud.url("/records"), body).status == 200, "not taken")
    refuses(connect(cloud), "InvalidArgumentException", [{"Data": b"x"}])
    cloud.flush()
    cloud.flush()
    expected = b"".join(text.encode() for text in short) + data[2]
    for prefix in ("lake/", "source/"):
        found = b"".join(gzip.decompress(one) for key, one in cloud.objects()
                         if key.startswith(prefix))
        check(found == expected, (prefix, found))
    cloud.stop()


CASES = {one.__name__: one for one in (limits, transform, event, source)}

if __name__ == "__main__":
    run_cases(__doc__, CASES)
