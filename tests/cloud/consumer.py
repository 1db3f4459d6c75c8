# SPDX-License-Identifier: Apache-2.0
"""
Lambda's event source mapping for a Kinesis stream: reads each shard, invokes the function with
batches in order, and does with its answer what the mapping is told to.
"""
import base64
import math

from harness import Failure

ATTEMPTS_MAX = 50
PAYLOAD_BYTES_MAX = 6 << 20


def event_of(record, shard, arn):
    return {
        "eventID": f"{shard}:{record['SequenceNumber']}", "eventName": "aws:kinesis:record",
        "eventSource": "aws:kinesis", "eventVersion": "1.0", "awsRegion": arn.split(":")[3],
        "eventSourceARN": arn, "invokeIdentityArn": "arn:aws:iam::123456789012:role/consumer",
        "kinesis": {
            "kinesisSchemaVersion": "1.0", "partitionKey": record["PartitionKey"],
            "sequenceNumber": record["SequenceNumber"],
            "data": base64.b64encode(record["Data"]).decode(),
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp()}}


def parts(records, count, size=PAYLOAD_BYTES_MAX):
    """RECORDS in batches of at most COUNT and of what fits into one invocation."""
    part, room = [], size
    for record in records:
        length = len(record["Data"]) * 4 // 3 + 500
        if part and (len(part) == count or length > room):
            yield part
            part, room = [], size
        part.append(record)
        room -= length
    if part:
        yield part


class Mapping:
    """
    SETTINGS: the properties of an AWS::Lambda::EventSourceMapping. INVOKE(event) gives
    {"value": answer} or {"errorType", "errorMessage"}; GIVE_UP(shard, records) takes what failed
    too often.
    """

    def __init__(self, kinesis, arn, settings, invoke, give_up):
        self.kinesis = kinesis
        self.arn = arn
        self.stream = arn.split("/")[-1]
        self.settings = settings
        self.invoke = invoke
        self.give_up = give_up
        self.iterators = {}
        self.invocations = self.failures = 0

    def shards(self):
        """Ids of all shards, parents first."""
        listed = self.kinesis.describe_stream(StreamName=self.stream)["StreamDescription"]["Shards"]
        return sorted(shard["ShardId"] for shard in listed)

    def poll(self):
        """Reads every shard to its end; how many records there were."""
        return sum(self.poll_shard(shard) for shard in self.shards())

    def poll_shard(self, shard):
        if shard not in self.iterators:
            self.iterators[shard] = self.kinesis.get_shard_iterator(
                StreamName=self.stream, ShardId=shard,
                ShardIteratorType=self.settings.get("StartingPosition", "TRIM_HORIZON"),
            )["ShardIterator"]
        total = 0
        while self.iterators[shard] is not None:
            reply = self.kinesis.get_records(ShardIterator=self.iterators[shard], Limit=1000)
            for batch in parts(reply["Records"], int(self.settings.get("BatchSize", 100))):
                self.process(shard, batch)
            total += len(reply["Records"])
            # None behind a shard that was closed by a reshard.
            self.iterators[shard] = reply.get("NextShardIterator")
            if not reply["Records"]:
                break
        return total

    def process(self, shard, batch):
        """Until BATCH is settled, in order: done, or given up."""
        waiting = [(batch, 0)]
        while waiting:
            records, attempts = waiting.pop(0)
            left = self.attempt(shard, records)
            if not left:
                continue
            self.failures += 1
            attempts = attempts + 1 if len(left) == len(records) else 1
            if attempts > self.retries():
                self.give_up(shard, left)
            elif attempts > ATTEMPTS_MAX:
                raise Failure(f"{shard}: no progress in {attempts} invocations")
            elif self.is_on("BisectBatchOnFunctionError") and len(left) > 1:
                half = math.ceil(len(left) / 2)
                waiting[:0] = [(left[:half], attempts), (left[half:], attempts)]
            else:
                waiting.insert(0, (left, attempts))

    def attempt(self, shard, records):
        """One invocation; those of RECORDS that it does not settle."""
        self.invocations += 1
        answer = self.invoke({"Records": [event_of(one, shard, self.arn) for one in records]})
        if "errorType" in answer:
            return records
        if "ReportBatchItemFailures" not in self.settings.get("FunctionResponseTypes", ()):
            return []
        failed = [one.get("itemIdentifier") for one in
                  (answer["value"] or {}).get("batchItemFailures") or ()]
        if not failed:
            return []
        numbers = [record["SequenceNumber"] for record in records]
        # What names no record of the batch fails all of it.
        if any(one not in numbers for one in failed):
            return records
        return records[min(map(numbers.index, failed)):]

    def retries(self):
        most = int(self.settings.get("MaximumRetryAttempts", -1))
        return math.inf if most < 0 else most

    def is_on(self, name):
        return str(self.settings.get(name, False)).lower() == "true"
