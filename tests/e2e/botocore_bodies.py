#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Every request that the agent renders, against the models of the services in botocore.

The sink records what the agent sends. Each request becomes the parameters that a program would give
to botocore, which must accept them: names, types, what is required, and, beyond what botocore
checks by itself, how long things may be and of which characters. Requests with one mistake each
must be refused, or this test would see nothing.
"""
import base64
import binascii
import copy
import json
import re

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
}


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


# Each makes a Call of (head, body), or None if the request is none of its kind.
READERS = (read_json_call,)


def read_request(path):
    head, _, body = path.read_bytes().partition(b"\r\n\r\n")
    head = head.decode("ascii") + "\r\n"
    calls = [call for call in (reader(head, body) for reader in READERS) if call is not None]
    check(len(calls) == 1, f"{path.name}: {len(calls)} services would take it: {head}")
    return calls[0]


def sent_by(run, name, route):
    """The calls of an agent that drains some lines by ROUTE."""
    folder = name.replace(" ", "-")
    recorded = run.folder / f"{folder}-requests"
    sink = harness.Sink(run, "--record", recorded, name=folder)
    source = harness.lines_file(run.folder / f"{folder}.jsonl", LINES)
    agent = harness.Agent(run, sink.endpoint, sink.ca, name=f"{folder}-agent",
                          sensors=[harness.lines_sensor(source)],
                          routes=[{**harness.NO_QUESTION, "batch": {"records": 15}, **route}])
    check(agent.drain() == 0, f"the agent did not deliver: {agent.tail()}")
    summary = sink.stop()
    check(summary["rejected"] == 0, f"{name}: {summary}")
    return [read_request(path) for path in sorted(recorded.glob("*.request"))]


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
}


def check_mistakes(call):
    """Each mistake alone is seen."""
    for number, mistake in enumerate(MISTAKES[call.operation.name]):
        wrong = copy.copy(call)
        wrong.params = copy.deepcopy(call.params)
        mistake(wrong.params)
        check(wrong.faults(), f"{call.operation.name}: mistake {number} was not seen")


def knows_arns():
    """Older models of Kinesis do not."""
    shape = Call.model("kinesis").operation_model("PutRecords").input_shape
    return "StreamARN" in shape.members


def scenario(run):
    for name, route in ROUTES.items():
        if "stream" in route and not knows_arns():
            print(f"{name}: left out, this botocore is older than StreamARN")
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
