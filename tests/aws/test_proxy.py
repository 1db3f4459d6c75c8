#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The Lambda-proxy variant: each body and target, what AWS answers, and what is refused."""
import base64
import gzip
import json
import pathlib
import unittest

import fakes
import proxy
import streams

EVENTS = pathlib.Path(__file__).with_name("events")
BOTH = {"STREAM": "telemetry", "FIREHOSE": "telemetry-lake"}


def event(name):
    return json.loads((EVENTS / f"proxy-{name}.json").read_text())


class Case(unittest.TestCase):
    def setUp(self):
        self.world = fakes.World()

    def serve(self, path, body, environment=None, **more):
        request = {**event("rest"), "path": path, "isBase64Encoded": isinstance(body, bytes),
                   "body": base64.b64encode(body).decode() if isinstance(body, bytes) else body,
                   **more}
        return self.answer(request, environment)

    def answer(self, request, environment=None):
        answer = proxy.serve(request, self.world.services(), environment or BOTH)
        self.assertEqual({"statusCode", "headers", "body", "isBase64Encoded"}, set(answer))
        return answer["statusCode"], json.loads(answer["body"]), answer["headers"]

    def stored(self):
        return [(record["Data"], record["PartitionKey"]) for record in self.world.kinesis.records]


class Bodies(Case):
    def test_the_documented_events(self):
        status, body, _ = self.answer(event("rest"))
        self.assertEqual((200, 0, 1), (status, body["FailedRecordCount"], len(body["Records"])))
        self.assertEqual([(b'{"a":1}', "gw-17")], self.stored())
        status, body, _ = self.answer(event("http"))
        self.assertEqual((b'{"a":1}\n{"a":2}\n', "gw-17"), self.stored()[1])

    def test_array(self):
        records = [streams.record(f"gw-{at}", at) for at in range(3)]
        body = '{"records":[' + ",".join(map(bytes.decode, records)) + ',{"n":41.50}]}'
        status, reply, _ = self.serve("/lambda/array", body)
        self.assertEqual((200, 4), (status, len(reply["Records"])))
        wanted = [(record, f"gw-{at}") for at, record in enumerate(records)]
        self.assertEqual([*wanted, (b'{"n":41.50}', "gw-17")], self.stored())

    def test_single(self):
        self.serve("/lambda/single", streams.record("gw-9", 1).decode() + "\n")
        self.assertEqual([(streams.record("gw-9", 1), "gw-9")], self.stored())

    def test_lines_fill_records(self):
        records = [streams.record("gw-9", at) for at in range(30)]
        self.serve("/lambda/lines", streams.lines(records), {**BOTH, "MAX_RECORD_BYTES": "1000"})
        stored = self.stored()
        self.assertEqual(streams.lines(records), b"".join(data for data, _ in stored))
        self.assertTrue(all(len(data) + len(key) <= 1000 for data, key in stored))
        self.assertLessEqual(len(stored), 6)

    def test_firehose(self):
        self.serve("/lambda/firehose/records", json.dumps({"Records": [
            {"Data": base64.b64encode(data).decode()} for data in (b'{"a":1}', b'{"a":2}\n')]}))
        self.serve("/lambda/array", '{"records":[{"a":3}]}', {"FIREHOSE": "telemetry-lake"})
        self.assertEqual([b'{"a":1}\n', b'{"a":2}\n', b'{"a":3}\n'], self.world.firehose.records)
        self.assertEqual([], self.stored())

    def test_more_than_a_request_takes(self):
        body = '{"records":[' + ",".join(f'{{"n":{at}}}' for at in range(1203)) + "]}"
        for path, calls in (("/lambda/array", "PutRecords"),
                            ("/lambda/firehose/array", "PutRecordBatch")):
            status, reply, _ = self.serve(path, body)
            results = reply.get("Records") or reply.get("RequestResponses")
            self.assertEqual((200, 1203, 3), (status, len(results), self.world.calls[calls]))
        big = json.dumps({"records": [{"text": "x" * 900_000}] * 10})
        self.assertEqual(200, self.serve("/lambda/array", big)[0])
        self.assertEqual(200, self.serve("/lambda/firehose/array", big)[0])

    def test_gzip_that_the_gateway_has_unpacked_already(self):
        headers = {"Content-Encoding": "gzip"}
        self.assertEqual(200, self.serve("/lambda/single", '{"a":1}', headers=headers)[0])
        packed = gzip.compress(b'{"a":2}')
        self.assertEqual(200, self.serve("/lambda/single", packed, headers=headers)[0])
        self.assertEqual([b'{"a":1}', b'{"a":2}'], [data for data, _ in self.stored()])


class Refusals(Case):
    def test_each_has_a_status_and_a_message(self):
        zipped = {"headers": {"content-encoding": "gzip"}}
        cases = (
            (404, "/lambda/other", "{}", {}), (404, "/", "{}", {}),
            (400, "/lambda/records", "", {}), (400, "/lambda/records", "[]", {}),
            (400, "/lambda/records", '{"Records":[]}', {}),
            (400, "/lambda/records", '{"Records":[{"PartitionKey":"a"}]}', {}),
            (400, "/lambda/records", '{"Records":[{"Data":"e30=","PartitionKey":5}]}', {}),
            (400, "/lambda/records", '{"Records":[{"Data":"e30=","PartitionKey":""}]}', {}),
            (400, "/lambda/records", '{"Records":[{"Data":"not base64!","PartitionKey":"a"}]}', {}),
            (400, "/lambda/records", '{"Records":[5]}', {}),
            (400, "/lambda/array", '{"records":{}}', {}), (400, "/lambda/array", "nonsense", {}),
            (400, "/lambda/array", '{"records":[' + "[" * 990 + "]" * 990 + "]}", {}),
            (400, "/lambda/lines", "\n\n", {}), (400, "/lambda/lines", "{}\nx", {}),
            (400, "/lambda/single", "x", {}), (400, "/lambda/single", b"\xff", {}),
            (400, "/lambda/single", "?", {"isBase64Encoded": True}),
            (415, "/lambda/single", "{}", {"headers": {"Content-Encoding": "br"}}),
            (415, "/lambda/single", gzip.compress(b"{}")[:-1], zipped),
            (413, "/lambda/single", gzip.compress(bytes(11 << 20)), zipped),
            (413, "/lambda/single", '{"a":"' + "x" * (1 << 20) + '"}', {}),
            (413, "/lambda/firehose/single", '{"a":"' + "x" * (1000 << 10) + '"}', {}))
        for status, path, body, more in cases:
            with self.subTest(path=path, body=body[:40]):
                found, reply, _ = self.serve(path, body, **more)
                self.assertEqual(status, found)
                self.assertEqual({"message"}, set(reply))
        self.assertEqual([], self.stored())


class Results(Case):
    BODY = '{"records":[{"n":0},{"n":1},{"n":2}]}'

    def test_some_fail(self):
        """200 with AWS's results in the order of the records: nothing is hidden."""
        throttled = "ProvisionedThroughputExceededException"
        self.world.kinesis.bad = lambda record: throttled if b"1" in record["Data"] else None
        status, reply, _ = self.serve("/lambda/array", self.BODY)
        self.assertEqual((200, 1), (status, reply["FailedRecordCount"]))
        self.assertEqual([None, throttled, None],
                         [result.get("ErrorCode") for result in reply["Records"]])

    def test_all_are_throttled(self):
        self.world.kinesis.bad = lambda record: "ProvisionedThroughputExceededException"
        status, reply, headers = self.serve("/lambda/array", self.BODY)
        self.assertEqual((429, "Rate exceeded", "2"),
                         (status, reply["message"], headers["Retry-After"]))
        self.world.firehose.bad = lambda record: "ServiceUnavailableException"
        status, _, headers = self.serve("/lambda/firehose/array", self.BODY,
                                        {**BOTH, "RETRY_AFTER_S": "7"})
        self.assertEqual((429, "7"), (status, headers["Retry-After"]))

    def test_the_whole_request_fails(self):
        for code, wanted in (("ProvisionedThroughputExceededException", 429),
                             ("KMSThrottlingException", 429), ("InternalFailure", 503),
                             ("AccessDeniedException", 502), ("ResourceNotFoundException", 502)):
            self.world.refuse["PutRecords"] = [fakes.error(code)]
            status, reply, headers = self.serve("/lambda/array", self.BODY)
            self.assertEqual((wanted, {"message"}), (status, set(reply)))
            self.assertEqual(wanted != 502, "Retry-After" in headers)

    def test_one_of_several_requests_fails(self):
        body = '{"records":[' + ",".join(f'{{"n":{at}}}' for at in range(700)) + "]}"
        self.world.refuse["PutRecords"] = [None, fakes.error("ThrottlingException")]
        status, reply, _ = self.serve("/lambda/array", body)
        self.assertEqual((200, 200, 700), (status, reply["FailedRecordCount"],
                                           len(reply["Records"])))
        self.assertTrue(all("ErrorCode" in result for result in reply["Records"][500:]))
        self.assertEqual(500, len(self.stored()))

    def test_a_reply_of_another_length_counts_for_nothing(self):
        self.world.kinesis._put = lambda **_: {"Records": [{"SequenceNumber": "1"}]}
        status, _, _ = self.serve("/lambda/array", self.BODY)
        self.assertEqual(503, status)


if __name__ == "__main__":
    fakes.main()
