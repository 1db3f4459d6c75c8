# SPDX-License-Identifier: Apache-2.0
"""
The AWS services that the functions use, in memory, with faults.

Every request is checked against botocore's own model of the service, and against the limits that
the functions have to know (100 keys, 100 writes, 400 KB an item, 256 KiB a message). A fault is
planned for a step: each call has one before it takes effect and one after. There a Crash kills the
caller, and an error of AWS is what the caller sees: before, nothing happened; after, it did.
"""
import collections
import functools
import gzip
import os
import pathlib
import sys
import unittest

import botocore.session
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The controls put a copy with a planted bug here.
FUNCTIONS = pathlib.Path(os.environ.get("RUNNEL_FUNCTIONS") or ROOT / "platform/aws")
sys.path.insert(0, str(FUNCTIONS / "lambda"))

# pylint: disable=wrong-import-position
import services

MAX_ITEM_BYTES = 400 << 10
MAX_MESSAGE_BYTES = 256 << 10


class Crash(BaseException):
    """The process is gone; nothing in it may notice."""


def error(code, operation="Call", **more):
    return ClientError({"Error": {"Code": code, "Message": f"planned: {code}"}, **more}, operation)


@functools.lru_cache(maxsize=None)
def shape_of(service, operation):
    model = botocore.session.Session().get_service_model(service)
    return model.operation_model(operation).input_shape


def require_valid(service, operation, params):
    report = ParamValidator().validate(params, shape_of(service, operation))
    assert not report.has_errors(), f"{operation}: {report.generate_report()}"


class World:
    """All services of one account, and the steps that their users take."""

    def __init__(self):
        self.step = 0
        self.faults = {}              # step: exception
        self.calls = collections.Counter()
        self.refuse = {}              # operation: exceptions, one for each call, then none
        self.at_step = lambda: None   # called at each; a scheduler may wait in it
        self.dynamodb = DynamoDB(self)
        self.s3 = S3(self)
        self.sqs = SQS(self)
        self.kinesis = Kinesis(self)
        self.firehose = Firehose(self)
        self.athena = Athena(self)
        self.cloudwatch = CloudWatch(self)
        self.now_s = 1_800_000_000.0
        self.slept_s = 0.0

    def services(self, **more):
        clients = {name: getattr(self, name)
                   for name in ("athena", "cloudwatch", "dynamodb", "s3", "sqs", "kinesis",
                                "firehose")}
        return services.Services(sleep=self.sleep, now=lambda: self.now_s, **{**clients, **more})

    def sleep(self, seconds):
        self.slept_s += seconds
        self.now_s += seconds

    def take_step(self):
        self.at_step()
        self.step += 1
        fault = self.faults.pop(self.step, None)
        if fault:
            raise fault

    def call(self, service, operation, params, effect):
        require_valid(service, operation, params)
        self.calls[operation] += 1
        self.take_step()
        planned = self.refuse.get(operation)
        if planned and (fault := planned.pop(0)):
            raise fault
        reply = effect(**params)
        self.take_step()
        return reply

    def lines(self):
        """Every line of every object of records, with how often it is there."""
        found = collections.Counter()
        for key, body in self.s3.objects.items():
            if key.endswith(".jsonl.gz"):
                found.update(gzip.decompress(body).splitlines())
        return found


class DynamoDB:
    def __init__(self, world):
        self.world = world
        self.items = {}
        self.tokens = {}
        self.most_keys = 1 << 30      # answered by one BatchGetItem

    def batch_get_item(self, **params):
        return self.world.call("dynamodb", "BatchGetItem", params, self._get)

    def transact_write_items(self, **params):
        return self.world.call("dynamodb", "TransactWriteItems", params, self._write)

    def _get(self, RequestItems):     # pylint: disable=invalid-name
        (table, wanted), = RequestItems.items()
        keys = [key["id"]["S"] for key in wanted["Keys"]]
        assert len(keys) <= 100 and len(set(keys)) == len(keys), "ValidationException"
        assert wanted["ConsistentRead"], "an eventually consistent read does not do"
        now, later = keys[:self.most_keys], keys[self.most_keys:]
        reply = {"Responses": {table: [self.items[key] for key in now if key in self.items]}}
        if later:
            rest = [{"id": {"S": key}} for key in later]
            reply["UnprocessedKeys"] = {table: {"Keys": rest, "ConsistentRead": True}}
        return reply

    def _write(self, TransactItems, ClientRequestToken):  # pylint: disable=invalid-name
        if ClientRequestToken in self.tokens:
            assert self.tokens[ClientRequestToken] == TransactItems, "IdempotentParameterMismatch"
            return {}
        puts = [write["Put"] for write in TransactItems]
        names = [put["Item"]["id"]["S"] for put in puts]
        assert len(names) <= 100 and len(set(names)) == len(names), "ValidationException"
        assert all(size_of(put["Item"]) <= MAX_ITEM_BYTES for put in puts), "item size"
        assert all(len(name.encode()) <= 2048 for name in names), "key size"
        reasons = [{"Code": "None" if self._holds(put) else "ConditionalCheckFailed"}
                   for put in puts]
        if any(reason["Code"] != "None" for reason in reasons):
            raise error("TransactionCanceledException", CancellationReasons=reasons)
        for name, put in zip(names, puts):
            self.items[name] = put["Item"]
        self.tokens[ClientRequestToken] = TransactItems
        return {}

    def _holds(self, put):
        item = self.items.get(put["Item"]["id"]["S"])
        condition = put.get("ConditionExpression")
        if condition is None:
            return True
        if condition == "attribute_not_exists(id)":
            return item is None
        assert condition == "version = :read"
        return item is not None and item["version"] == put["ExpressionAttributeValues"][":read"]


def size_of(item):
    def size(value):
        (kind, content), = value.items()
        return sum(map(size, content)) + 3 if kind == "L" else len(content) + 3
    return sum(len(name) + size(value) for name, value in item.items())


class S3:
    def __init__(self, world):
        self.world = world
        self.objects = {}

    def put_object(self, **params):
        return self.world.call("s3", "PutObject", params, self._put)

    def delete_object(self, **params):
        return self.world.call("s3", "DeleteObject", params, self._delete)

    def _put(self, Key, Body, **_more):  # pylint: disable=invalid-name
        self.objects[Key] = bytes(Body)
        return {}

    def _delete(self, Key, **_more):  # pylint: disable=invalid-name
        self.objects.pop(Key, None)
        return {}


class SQS:
    def __init__(self, world):
        self.world = world
        self.messages = []

    def send_message(self, **params):
        return self.world.call("sqs", "SendMessage", params, self._send)

    def _send(self, MessageBody, **_more):  # pylint: disable=invalid-name
        assert len(MessageBody.encode()) <= MAX_MESSAGE_BYTES, "InvalidMessageContents"
        self.messages.append(MessageBody)
        return {}


class Kinesis:
    """Takes records for `proxy`; bad(record) names the code with which one fails."""

    def __init__(self, world):
        self.world = world
        self.records = []
        self.bad = lambda record: None

    def put_records(self, **params):
        return self.world.call("kinesis", "PutRecords", params, self._put)

    def _put(self, Records, **_more):  # pylint: disable=invalid-name
        sizes = [len(record["Data"]) + len(record["PartitionKey"]) for record in Records]
        assert len(Records) <= 500 and sum(sizes) <= 5 << 20 and max(sizes) <= 1 << 20
        results = []
        for record in Records:
            code = self.bad(record)
            if code:
                results.append({"ErrorCode": code, "ErrorMessage": "Rate exceeded"})
            else:
                self.records.append(record)
                results.append({"SequenceNumber": str(len(self.records)),
                                "ShardId": "shardId-000000000000"})
        return {"FailedRecordCount": sum("ErrorCode" in result for result in results),
                "Records": results}


class Firehose:
    def __init__(self, world):
        self.world = world
        self.records = []
        self.bad = lambda record: None

    def put_record_batch(self, **params):
        return self.world.call("firehose", "PutRecordBatch", params, self._put)

    def _put(self, Records, **_more):  # pylint: disable=invalid-name
        sizes = [len(record["Data"]) for record in Records]
        assert len(Records) <= 500 and sum(sizes) <= 4 << 20 and max(sizes) <= 1000 << 10
        results = []
        for record in Records:
            code = self.bad(record)
            if code:
                results.append({"ErrorCode": code, "ErrorMessage": "Slow down."})
            else:
                self.records.append(record["Data"])
                results.append({"RecordId": str(len(self.records))})
        return {"FailedPutCount": sum("ErrorCode" in result for result in results),
                "RequestResponses": results}


class Athena:
    """Answers what answer(sql) says, (names, rows); a query takes `busy` looks until it is done,
    and ends in what fails(sql) says."""

    PAGE = 1000                       # GetQueryResults

    def __init__(self, world):
        self.world = world
        self.answer = lambda sql: ([], [])
        self.fails = lambda sql: None
        self.busy = 2
        self.queries = []             # [SQL, looks until it is done, what it answers]

    def start_query_execution(self, **params):
        return self.world.call("athena", "StartQueryExecution", params, self._start)

    def get_query_execution(self, **params):
        return self.world.call("athena", "GetQueryExecution", params, self._look)

    def get_query_results(self, **params):
        return self.world.call("athena", "GetQueryResults", params, self._results)

    def _start(self, QueryString, **_more):  # pylint: disable=invalid-name
        self.queries.append([QueryString, self.busy, self.answer(QueryString)])
        return {"QueryExecutionId": str(len(self.queries) - 1)}

    def _look(self, QueryExecutionId):  # pylint: disable=invalid-name
        query = self.queries[int(QueryExecutionId)]
        query[1] -= 1
        state = ("QUEUED" if query[1] == self.busy - 1 else "RUNNING") if query[1] >= 0 else \
            self.fails(query[0]) or "SUCCEEDED"
        return {"QueryExecution": {"Status": {"State": state, "StateChangeReason": "planned"}}}

    def _results(self, QueryExecutionId, NextToken="0"):  # pylint: disable=invalid-name
        _, left, (names, rows) = self.queries[int(QueryExecutionId)]
        assert left < 0, "InvalidRequestException: not finished"
        first = int(NextToken)
        page = {"ResultSet": {"Rows": [
            {"Data": [{} if value is None else {"VarCharValue": str(value)} for value in row]}
            for row in [names, *rows][first:first + self.PAGE]]}}
        if first + self.PAGE < 1 + len(rows):
            page["NextToken"] = str(first + self.PAGE)
        return page


class CloudWatch:
    def __init__(self, world):
        self.world = world
        self.metrics = []

    def put_metric_data(self, **params):
        return self.world.call("cloudwatch", "PutMetricData", params, self._put)

    def _put(self, Namespace, MetricData):  # pylint: disable=invalid-name
        self.metrics += [(Namespace, one) for one in MetricData]
        return {}


def main():
    """Runs the tests of the program; what the functions print for CloudWatch is let go."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # pylint: disable=consider-using-with
    unittest.main()
