#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The event source mapping of consumer.py: what it hands out again, and what it gives up."""
import datetime
import unittest

from cloud import harness
from consumer import Mapping

ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/telemetry"
NOW = datetime.datetime(2026, 11, 23, tzinfo=datetime.timezone.utc)


class Stream:
    """A stream with {shard: numbers of records}, three of them an answer."""

    def __init__(self, **shards):
        self.shards = shards

    def describe_stream(self, StreamName):
        return {"StreamDescription": {"Shards": [{"ShardId": name} for name in self.shards]}}

    def get_shard_iterator(self, ShardId, **_):
        return {"ShardIterator": (ShardId, 0)}

    def get_records(self, ShardIterator, Limit):
        shard, at = ShardIterator
        part = self.shards[shard][at:at + min(3, Limit)]
        return {"NextShardIterator": (shard, at + len(part)), "Records": [
            {"SequenceNumber": str(number), "PartitionKey": "k", "Data": b"x",
             "ApproximateArrivalTimestamp": NOW} for number in part]}


def numbers(event):
    return [int(one["kinesis"]["sequenceNumber"]) for one in event["Records"]]


def named(number):
    return {"value": {"batchItemFailures": [{"itemIdentifier": str(number)}]}}


class Test(unittest.TestCase):
    """ANSWERS: what the function says to each invocation, then that all is well."""

    def run_mapping(self, stream, *answers, **settings):
        answers, self.calls, self.given_up = list(answers), [], []

        def invoke(event):
            self.calls.append(numbers(event))
            return answers.pop(0) if answers else {"value": {"batchItemFailures": []}}

        mapping = Mapping(stream, ARN, {"FunctionResponseTypes": ["ReportBatchItemFailures"],
                                        **settings}, invoke,
                          lambda shard, records: self.given_up.extend(
                              int(one["SequenceNumber"]) for one in records))
        self.total = mapping.poll()
        return mapping

    def test_reads_every_shard_once_in_its_order(self):
        stream = Stream(a=[1, 2, 3, 4], b=[5])
        mapping = self.run_mapping(stream)
        self.assertEqual((self.total, self.calls), (5, [[1, 2, 3], [4], [5]]))
        stream.shards["b"] += [6]
        self.assertEqual(mapping.poll(), 1)
        self.assertEqual(self.calls[3:], [[6]])

    def test_batch_size(self):
        self.run_mapping(Stream(a=[1, 2, 3]), BatchSize=2)
        self.assertEqual(self.calls, [[1, 2], [3]])

    def test_hands_out_again_from_the_lowest_that_failed(self):
        self.run_mapping(Stream(a=[1, 2, 3]), {"value": {"batchItemFailures": [
            {"itemIdentifier": "3"}, {"itemIdentifier": "2"}]}})
        self.assertEqual(self.calls, [[1, 2, 3], [2, 3]])

    def test_halves_what_failed(self):
        self.run_mapping(Stream(a=[1, 2, 3]), named(2), named(2), BisectBatchOnFunctionError=True)
        self.assertEqual(self.calls, [[1, 2, 3], [2], [2], [3]])
        self.run_mapping(Stream(a=[1, 2, 3]), {"errorType": "killed"},
                         BisectBatchOnFunctionError="true")
        self.assertEqual(self.calls, [[1, 2, 3], [1, 2], [3]])

    def test_an_unknown_name_fails_all(self):
        for name in ("9", "", None):
            self.run_mapping(Stream(a=[1, 2]), named(2), named(name))
            self.assertEqual(self.calls, [[1, 2], [2], [2]])

    def test_without_reports_only_an_error_is_a_failure(self):
        self.run_mapping(Stream(a=[1, 2]), named(2), FunctionResponseTypes=[])
        self.assertEqual(self.calls, [[1, 2]])

    def test_gives_up_in_the_end(self):
        failed = {"errorType": "killed"}
        self.run_mapping(Stream(a=[1, 2, 3, 4]), failed, failed, failed, MaximumRetryAttempts=2)
        self.assertEqual((self.calls, self.given_up), ([[1, 2, 3]] * 3 + [[4]], [1, 2, 3]))

    def test_no_end_is_a_failure_of_the_test(self):
        with self.assertRaises(harness.Failure):
            self.run_mapping(Stream(a=[1]), *[named(1)] * 100)


if __name__ == "__main__":
    unittest.main()
