#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Every request that the agent renders, against the models of the services in botocore.

The sink and the bucket record what the agent sends. Each request becomes the parameters that a
program would give to botocore, which must accept them: names, types, what is required, and, beyond
what botocore checks by itself, how long things may be, of which characters, and which of a few
words. Requests with one mistake each must be refused, or this test would see nothing.
"""
import base64
import binascii
import copy
import json
import re
import urllib.parse

import bucket
import harness
from harness import check

import botocore.loaders
import botocore.model
import botocore.validate

LINES = 40
ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/telemetry"
ROUTES = {
    "PutRecords": {},
    "PutRecords by ARN": {"stream": ARN},
    "PutRecord": {"order": "strict", "partition": "sensor"},
    "PutRecordBatch": {"destination": "firehose"},
    "PutObject": {"destination": "s3"},
    "PutObject by AES256": {"destination": "s3", "sse": "AES256", "compress": "none"},
    "PutObject by KMS": {
        "destination": "s3", "sse": "aws:kms", "kms_key_id": "alias/telemetry", "bucket_key": True,
        "expected_bucket_owner": "123456789012", "storage_class": "STANDARD_IA"},
    "PutObject by KMS twice": {"destination": "s3", "sse": "aws:kms:dsse"},
}
BUCKET, PREFIX, DEVICE = "tele.metry", "raw/v=1/", "plant@7:gw"


# ---- requests ----

class Call:
    """An operation of a service with parameters as botocore takes them."""

    loader = botocore.loaders.Loader()
    models = {}

    def __init__(self, service, operation, params):
        self.operation = self.model(service).operation_model(operation)
        self.params = params

    @classmethod
    def model(cls, service):
        if service not in cls.models:
            description = cls.loader.load_service_model(service, "service-2")
            cls.models[service] = botocore.model.ServiceModel(description, service)
        return cls.models[service]

    def faults(self):
        """What is wrong with it, in words; empty if nothing is."""
        shape = self.operation.input_shape
        report = botocore.validate.ParamValidator().validate(self.params, shape)
        return [report.generate_report()] * report.has_errors() + list(excesses(shape, self.params))


def excesses(shape, value, path=""):
    """Where VALUE is longer than its shape allows, or of other characters."""
    limits = shape.metadata
    if hasattr(value, "__len__") and len(value) > limits.get("max", len(value)):
        yield f"{path}: {len(value)} is more than {limits['max']}"
    if isinstance(value, str) and not re.fullmatch(limits.get("pattern", "(?s).*"), value):
        yield f"{path}: {value!r} is not like {limits['pattern']}"
    if value not in (getattr(shape, "enum", None) or [value]):
        yield f"{path}: {value!r} is none of {shape.enum}"
    if shape.type_name == "structure" and isinstance(value, dict):
        for name in shape.members.keys() & value.keys():
            yield from excesses(shape.members[name], value[name], f"{path}.{name}")
    if shape.type_name == "list" and isinstance(value, list):
        for number, item in enumerate(value):
            yield from excesses(shape.member, item, f"{path}[{number}]")


def from_json(shape, value):
    """VALUE as the JSON protocol has it, with its blobs as bytes. What is wrong stays as it is."""
    if shape.type_name == "structure" and isinstance(value, dict):
        return {name: from_json(shape.members[name], item) if name in shape.members else item
                for name, item in value.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [from_json(shape.member, item) for item in value]
    if shape.type_name == "blob" and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise harness.Failure(f"no base64: {value[:40]!r}: {error}") from None
    return value


def read_json_call(head, body):
    """The call of a request in the JSON protocol, or None."""
    target = re.search(r"\r\nX-Amz-Target: (\w+)\.(\w+)\r\n", head)
    for service in ("kinesis", "firehose"):
        metadata = Call.model(service).metadata
        if target is None or target.group(1) != metadata["targetPrefix"]:
            continue
        check(f"\r\nContent-Type: application/x-amz-json-{metadata['jsonVersion']}\r\n" in head,
              f"another content type: {head}")
        call = Call(service, target.group(2), {})
        call.params = from_json(call.operation.input_shape, json.loads(body))
        return call
    return None


def read_recorded(path):
    head, _, body = path.read_bytes().partition(b"\r\n\r\n")
    head = head.decode("ascii") + "\r\n"
    call = read_json_call(head, body)
    check(call is not None, f"{path.name}: no service would take it: {head}")
    return call


# ---- S3 ----

# What HTTP and the signature need, and what this model may be too old for.
NO_MEMBERS = {"host", "user-agent", "authorization", "x-amz-date", "x-amz-content-sha256"}
TOO_NEW = {"if-none-match": "*"}
MEMBERS = {"sse": "ServerSideEncryption", "kms_key_id": "SSEKMSKeyId",
           "bucket_key": "BucketKeyEnabled", "storage_class": "StorageClass",
           "expected_bucket_owner": "ExpectedBucketOwner"}


def from_header(shape, value):
    """VALUE as its type; what is wrong stays text."""
    if shape.type_name in ("integer", "long") and value.isdigit():
        return int(value)
    if shape.type_name == "boolean":
        return {"true": True, "false": False}.get(value, value)
    return value


def read_put_object(request):
    """The call of a PUT; a header that is no member's is a parameter that there is not."""
    _, bucket_name, key = urllib.parse.unquote(request.path, errors="strict").split("/", 2)
    call = Call("s3", "PutObject", {"Bucket": bucket_name, "Key": key, "Body": request.body})
    members = {shape.serialization["name"].lower(): (name, shape)
               for name, shape in call.operation.input_shape.members.items()
               if shape.serialization.get("location") == "header"}
    for header, value in request.headers.items():
        if header in NO_MEMBERS or (header not in members and TOO_NEW.get(header) == value):
            continue
        name, shape = members.get(header, (header, None))
        call.params[name] = value if shape is None else from_header(shape, value)
    return call


def check_put_object(call, route):
    """Besides, that it says what the route says."""
    for key, member in MEMBERS.items():
        check(call.params.get(member) == route.get(key), f"{member}: {call.params.get(member)}")
    gzip = route.get("compress") != "none"
    check(call.params.get("ContentEncoding") == ("gzip" if gzip else None), "another encoding")
    check(re.fullmatch(PREFIX + r"dt=\d{4}-\d\d-\d\d/hour=\d\d/plant=407=3Agw/[0-9a-f]{16}-"
                       r"\d{16}-\d{16}-[0-9a-f]{16}\.ndjson(\.gz)?", call.params["Key"]) and
          call.params["Bucket"] == BUCKET, f"another key: {call.params['Key']}")


def check_headers(request):
    """A header that is misspelt or has another word is seen."""
    for header, name, value in (("x-amz-storage-class", "x-amz-storageclass", None),
                                ("x-amz-server-side-encryption", None, "aws-kms"),
                                ("x-amz-server-side-encryption-bucket-key-enabled", None, "yes"),
                                ("content-length", None, "few")):
        headers = dict(request.headers)
        headers[name or header] = value or headers.get(header, "STANDARD")
        if name:
            headers.pop(header, None)
        wrong = read_put_object(request._replace(headers=headers))
        check(wrong.faults(), f"PutObject: {name or header}: {value} was not seen")


# ---- what is sent ----

def drain(run, folder, endpoint, ca, route, **config):
    source = harness.lines_file(run.folder / f"{folder}.jsonl", LINES)
    agent = harness.Agent(run, endpoint, ca, name=f"{folder}-agent",
                          sensors=[harness.lines_sensor(source)],
                          routes=[{**harness.NO_QUESTION, **route}], **config)
    check(agent.drain() == 0, f"the agent did not deliver: {agent.tail()}")


def sent_to_bucket(run, folder, route):
    certificates = run.folder / "certificates"
    if not certificates.exists():
        harness.make_certificates(certificates)
    place = bucket.Bucket(certificates)
    drain(run, folder, None, place.ca,
          {"region": place.region, "endpoint": place.endpoint, "bucket": BUCKET, "prefix": PREFIX,
           "batch": {"bytes": "4KiB"}, **route}, device=DEVICE)
    check(place.refused == 0, f"{place.refused} requests were refused")
    calls = [read_put_object(request) for request in place.requests]
    for call in calls:
        check_put_object(call, route)
    check_headers(place.requests[-1])
    return calls


def sent_by(run, name, route):
    """The calls of an agent that drains some lines by ROUTE."""
    folder = name.replace(" ", "-")
    if route.get("destination") == "s3":
        return sent_to_bucket(run, folder, route)
    recorded = run.folder / f"{folder}-requests"
    sink = harness.Sink(run, "--record", recorded, name=folder)
    drain(run, folder, sink.endpoint, sink.ca, {"batch": {"records": 15}, **route})
    summary = sink.stop()
    check(summary["rejected"] == 0, f"{name}: {summary}")
    return [read_recorded(path) for path in sorted(recorded.glob("*.request"))]


# ---- mistakes ----

def rename(of, to):
    def mistake(params):
        params[to] = params.pop(of)
    return mistake


def in_first(change):
    """CHANGE of the first record, or of the one that there is."""
    def mistake(params):
        change(params["Records"][0] if "Records" in params else params)
    return mistake


def many(params):
    params["Records"] = params["Records"][:1] * 501


def change(name, value):
    def mistake(params):
        params[name] = value
    return mistake


LONG = "x" * 300
MISTAKES = {
    "PutRecords": (
        rename("Records", "records"), many, change("Records", []), change("StreamName", "a b"),
        change("StreamName", LONG), in_first(rename("PartitionKey", "Partitionkey")),
        in_first(rename("Data", "Date")), in_first(change("Data", 7)),
        in_first(change("PartitionKey", "")), in_first(change("PartitionKey", LONG)),
        in_first(change("ExplicitHashKey", "07"))),
    "PutRecord": (
        rename("Data", "data"), rename("PartitionKey", "Key"), change("StreamName", LONG),
        change("SequenceNumberForOrdering", "x"), change("SequenceNumberForOrdering", 7)),
    "PutRecordBatch": (
        rename("DeliveryStreamName", "StreamName"), many, change("DeliveryStreamName", LONG),
        rename("Records", "Record"), in_first(rename("Data", "data")),
        in_first(change("PartitionKey", "key")), in_first(change("Data", bytes(1024001)))),
    "PutObject": (
        rename("Key", "key"), rename("Bucket", "BucketName"), change("Key", ""),
        change("Body", 7), rename("ChecksumSHA256", "ChecksumSha256"),
        change("StorageClass", "STANDARD_AI"), change("ServerSideEncryption", "aes256"),
        change("BucketKeyEnabled", "true"), change("SSEKMSKeyId", 7),
        change("ExpectedBucketOwner", 123456789012), change("ContentLength", "9")),
}


def check_mistakes(call):
    """Each mistake alone is seen."""
    for number, mistake in enumerate(MISTAKES[call.operation.name]):
        wrong = copy.copy(call)
        wrong.params = copy.deepcopy(call.params)
        mistake(wrong.params)
        check(wrong.faults(), f"{call.operation.name}: mistake {number} was not seen")


def is_known(route):
    """Older models know no ARNs of streams, and not every encryption."""
    stream = Call.model("kinesis").operation_model("PutRecords").input_shape
    put = Call.model("s3").operation_model("PutObject").input_shape
    choices = put.members["ServerSideEncryption"].enum
    return ("stream" not in route or "StreamARN" in stream.members) and \
        route.get("sse", choices[0]) in choices


def scenario(run):
    for name, route in ROUTES.items():
        if not is_known(route):
            print(f"{name}: left out, this botocore is older than that")
            continue
        calls = sent_by(run, name, route)
        operation = name.split(maxsplit=1)[0]
        check({call.operation.name for call in calls} == {operation}, f"{name}: other operations")
        for call in calls:
            faults = call.faults()
            check(not faults, f"{name}: {faults}")
        check_mistakes(calls[-1])
        print(f"{name}: {len(calls)} requests are accepted", flush=True)


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
