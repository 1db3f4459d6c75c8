# SPDX-License-Identifier: Apache-2.0
"""
The Lambda consumer of a Kinesis stream: takes records apart, drops what came twice, writes gzip
JSON lines to S3, and sends what nobody can read to a queue.

handler(event, context): an event source mapping with ReportBatchItemFailures calls it. If AWS does
not do what it must, the answer names the lowest sequence number that is not settled; Lambda
delivers again from there. Everything before it stays settled.

Environment: TABLE          DynamoDB table: key `id` (string), time to live `expires`
             OUTPUT_BUCKET  and OUTPUT_PREFIX (default none, else "records/"): where objects go
             DEAD_LETTERS   URL of the SQS queue
             IDENTITY_DAYS  how long an identity is remembered after it last arrived (400)
             RAW            "keep": what is no JSON is kept as {"raw":"<base64>"}; else a dead
                            letter

The role needs dynamodb:BatchGetItem and PutItem on the table, s3:PutObject and DeleteObject below
OUTPUT_PREFIX, sqs:SendMessage on the queue, and to read the stream. The mapping's
ParallelizationFactor must be 1 (its default): what has no identity is known by how far its shard is
settled, and that needs calls in the order of the shard. Each consumer needs a table of its own.
"""
import base64
import os

import delivery
import services as aws

# Left for answering when a call ends early.
SPARE_MS = 15000


def settings_of(environment):
    return delivery.Settings(
        table=environment["TABLE"], bucket=environment["OUTPUT_BUCKET"],
        prefix=environment.get("OUTPUT_PREFIX", ""), dead_letters=environment["DEAD_LETTERS"],
        days=int(environment.get("IDENTITY_DAYS") or 400),
        keep_raw=environment.get("RAW") == "keep")


class Clock:
    """Says no once the call's time runs out, but lets each call settle one chunk."""

    def __init__(self, context):
        self.context = context
        self.is_first = True

    def __call__(self):
        is_first, self.is_first = self.is_first, False
        return is_first or not self.context or (
            self.context.get_remaining_time_in_millis() > SPARE_MS)


def incoming_of(record):
    kinesis = record["kinesis"]
    return delivery.Incoming((int(kinesis["sequenceNumber"]), 0), base64.b64decode(kinesis["data"]),
                             kinesis["partitionKey"], kinesis["approximateArrivalTimestamp"])


def shards_of(event):
    """The records of each (stream, shard). A call has those of one; nothing here relies on it."""
    shards = {}
    for record in event["Records"]:
        stream = record["eventSourceARN"].split(":stream/")[-1].split("/")[0]
        shard = record["eventID"].split(":")[0]
        shards.setdefault((stream, shard), []).append(record)
    return shards


def consume(event, services, settings, may_go_on=lambda: True):
    """The answer to Lambda. Prints a line of counts for each shard."""
    failures = []
    for (stream, shard), records in shards_of(event).items():
        outcome = delivery.Delivery(services, settings).run(
            stream, shard, map(incoming_of, records), may_go_on)
        print(delivery.log(outcome, stream=stream, shard=shard, records=len(records)))
        if outcome.failed:
            failures.append({"itemIdentifier": str(outcome.failed[0])})
    return {"batchItemFailures": failures}


class Handler:
    """What one process of Lambda keeps between calls: its clients and its settings."""

    def __init__(self):
        self.services = aws.Services()
        self.settings = None

    def __call__(self, event, context):
        self.settings = self.settings or settings_of(os.environ)
        return consume(event, self.services, self.settings, Clock(context))


handler = Handler()
