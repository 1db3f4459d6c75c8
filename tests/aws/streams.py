# SPDX-License-Identifier: Apache-2.0
"""
A Kinesis stream and the event source mapping that calls the consumer, as Lambda does: in the order
of a shard, again until a batch is done, from the lowest sequence number that is reported, in other
cuts behind a function that died.
"""
import base64
import gzip
import hashlib
import json

import fakes
import consumer
import delivery

STREAM = "telemetry"
ARN = f"arn:aws:kinesis:eu-west-1:123456789012:stream/{STREAM}"
SETTINGS = delivery.Settings(table="identities", bucket="lake", prefix="records/",
                             dead_letters="https://sqs.eu-west-1.amazonaws.com/1/dead")
FIRST_NUMBER = 49590338271490256608559692538361571095921575989136588898
MAX_CALLS = 400


def record(device="gw-17", seq=0, spool="9f31c2a47be0d815", ts="2026-11-23T22:31:26.123Z"):
    """A record as the agent renders it."""
    return (f'{{"device":"{device}","sensor":"board","ts":"{ts}","seq":{seq},"spool":"{spool}",'
            f'"values":{{"temp":41.50}}}}').encode()


def varint(value):
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def member(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def aggregate(records, key=b"gw-17"):
    """What the KPL makes of RECORDS, all of one key."""
    message = member(1, key) + b"".join(
        member(3, b"\x08\x00" + member(3, data)) for data in records)
    return b"\xf3\x89\x9a\xc2" + message + hashlib.md5(message).digest()


def lines(records):
    return b"".join(data + b"\n" for data in records)


PACKINGS = {
    "none": lambda records: list(records),
    "kpl": lambda records: [aggregate(records)],
    "lines": lambda records: [lines(records)],
    "gzip": lambda records: [gzip.compress(lines(records))],
    "kpl of gzip": lambda records: [aggregate([gzip.compress(lines(records[:2])),
                                               *records[2:]])],
}


class Shard:
    """What a shard holds, and how far Lambda is with it."""

    def __init__(self, name, parents=()):
        self.name = name
        self.parents = parents
        self.records = []             # (sequence number, data)
        self.done = 0
        self.batch = None             # what is delivered next; None: whatever there is
        self.pieces = []              # batches behind it, of one that was cut

    def put(self, data):
        number = FIRST_NUMBER + int(self.name[-3:]) * 16 + len(self.records) * 1_000_003
        self.records.append((number, data))

    def is_done(self):
        return self.done == len(self.records)

    def next_batch(self, size):
        return self.batch or (self.done, min(len(self.records), self.done + size))

    def settle(self, last):
        """The batch was taken up to LAST."""
        first, end = self.batch
        self.done = last
        self.batch = (last, end) if last < end else None
        if not self.batch and self.pieces:
            self.batch = self.pieces.pop(0)

    def cut(self):
        """BisectBatchOnFunctionError."""
        first, end = self.batch
        middle = (first + end + 1) // 2
        if middle < end:
            self.batch, self.pieces = (first, middle), [(middle, end), *self.pieces]


def event_of(shard, first, last):
    """The records [FIRST, LAST) of a shard, in the shape that AWS documents."""
    return {"Records": [{
        "kinesis": {"kinesisSchemaVersion": "1.0", "partitionKey": "gw-17",
                    "sequenceNumber": str(number), "data": base64.b64encode(data).decode(),
                    "approximateArrivalTimestamp": 1545084650.987},
        "eventSource": "aws:kinesis", "eventVersion": "1.0",
        "eventID": f"{shard.name}:{number}", "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::123456789012:role/lambda-role",
        "awsRegion": "eu-west-1", "eventSourceARN": ARN}
        for number, data in shard.records[first:last]]}


class Mapping:
    """Calls the consumer for one shard until all is settled."""

    def __init__(self, world, shard, random, settings=SETTINGS, may_go_on=None):
        self.world = world
        self.shard = shard
        self.random = random
        self.settings = settings
        self.may_go_on = may_go_on or (lambda: True)
        self.calls = 0

    def call(self, size=None):
        """One call of the function. False: it died, or reported a failure."""
        shard = self.shard
        shard.batch = shard.next_batch(size or self.random.randint(1, 12))
        first, last = shard.batch
        self.calls += 1
        assert self.calls < MAX_CALLS, "the shard does not get on"
        try:
            answer = consumer.consume(event_of(shard, first, last), self.world.services(),
                                      self.settings, self.may_go_on)
        except fakes.Crash:
            if self.random.random() < 0.5:
                shard.cut()
            return False
        failures = [int(item["itemIdentifier"]) for item in answer["batchItemFailures"]]
        numbers = [number for number, _ in shard.records[first:last]]
        taken = first + (numbers.index(min(failures)) if failures else len(numbers))
        shard.settle(taken)
        return not failures

    def run(self):
        while not self.shard.is_done():
            self.call()


def dead_letters(world):
    return [json.loads(message) for message in world.sqs.messages]
