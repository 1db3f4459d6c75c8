#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The transformation Lambda: every record answered once, in order; what leaves is JSON lines."""
import base64
import gzip
import json
import pathlib
import unittest
import unittest.mock

import fakes
import streams
import transform

EVENTS = pathlib.Path(__file__).with_name("events")
ARRIVED_MS = 1495072949453


def event_of(*payloads):
    return {"records": [{"recordId": str(at), "approximateArrivalTimestamp": ARRIVED_MS,
                         "data": base64.b64encode(data).decode()}
                        for at, data in enumerate(payloads)]}


def run(payloads, limit_bytes=transform.MAX_REPLY_BYTES, **environment):
    event = event_of(*payloads)
    answers = transform.transform(event, transform.Rules(environment), limit_bytes)["records"]
    assert [answer["recordId"] for answer in answers] == \
        [record["recordId"] for record in event["records"]]
    return answers


def data_of(answer):
    assert answer["result"] == "Ok", answer
    return base64.b64decode(answer["data"])


def one(document, **environment):
    """What becomes of one document."""
    answer, = run([document], **environment)
    return data_of(answer)


class Answers(unittest.TestCase):
    def test_direct_put(self):
        event = json.loads((EVENTS / "firehose-direct.json").read_text())
        with unittest.mock.patch.dict("os.environ", {"REDACT": "seq"}):
            good, bad = transform.handler(event, None)["records"]
        self.assertEqual(event["records"][0]["recordId"], good["recordId"])
        self.assertEqual(b'{"device":"gw-17","ts":"2026-11-23T22:31:26.123Z"}\n', data_of(good))
        self.assertEqual({"year": "2026", "month": "11", "day": "23", "hour": "22"},
                         good["metadata"]["partitionKeys"])
        self.assertEqual({"recordId": event["records"][1]["recordId"],
                          "result": "ProcessingFailed"}, bad)

    def test_from_a_stream(self):
        event = json.loads((EVENTS / "firehose-stream.json").read_text())
        answer, = transform.handler(event, None)["records"]
        self.assertEqual(b'{"device":"gw-17","seq":1}\n', data_of(answer))
        # It has no time of its own: that of its arrival.
        self.assertEqual({"year": "2017", "month": "10", "day": "05", "hour": "15"},
                         answer["metadata"]["partitionKeys"])

    def test_each_packing(self):
        records = [streams.record(seq=seq) for seq in range(4)]
        for name, pack in streams.PACKINGS.items():
            with self.subTest(name):
                found = b"".join(map(data_of, run(pack(records))))
                self.assertEqual(streams.lines(records), found)

    def test_results(self):
        found = run([b"", b" \n", b'{"a":1}', b"x", b'{"a":1}\nx', gzip.compress(b"5")[:-1],
                     b"[" * 900 + b"]" * 900], REDACT="x")
        results = [answer["result"] for answer in found]
        self.assertEqual(["Dropped", "Dropped", "Ok"] + ["ProcessingFailed"] * 3, results[:6])
        self.assertIn(results[6], ("Ok", "ProcessingFailed"))

    def test_the_reply_stays_below_what_lambda_takes(self):
        small, large = b'{"a":1}', b'{"a":"' + b"x" * 3_000_000 + b'"}'
        answers = run([small, large, large, small])
        self.assertEqual(["Ok", "Ok", "ProcessingFailed", "Ok"],
                         [answer["result"] for answer in answers])
        for limit_bytes in range(0, 60_000, 1777):
            answers = run([b'{"a":"%s"}' % (b"y" * size) for size in range(0, 2000, 50)],
                          limit_bytes)
            sent = [answer for answer in answers if answer["result"] == "Ok"]
            self.assertLessEqual(len(json.dumps({"records": sent})), max(limit_bytes, 100))

    def test_a_bomb_fails(self):
        bomb = gzip.compress(b'{"a":1}\n' * 700_000, 1)
        self.assertEqual("ProcessingFailed", run([bomb])[0]["result"])


class Redaction(unittest.TestCase):
    DOCUMENT = (b'{"device":"gw-17","gps":1,"tags":{"owner":"x","site":"y"},'
                b'"data":{"gps":{"lat":41.50},"list":[{"gps":2,"n":41.50}]}}')

    def test_anywhere(self):
        self.assertEqual(b'{"device":"gw-17","tags":{"owner":"x","site":"y"},'
                         b'"data":{"list":[{"n":41.50}]}}\n', one(self.DOCUMENT, REDACT="gps"))

    def test_at_a_path(self):
        self.assertEqual(self.DOCUMENT.replace(b'"gps":{"lat":41.50},', b"") + b"\n",
                         one(self.DOCUMENT, REDACT="data.gps"
                             ).replace(b'"list":[{"n":', b'"list":[{"gps":2,"n":'))
        self.assertEqual(self.DOCUMENT.replace(b'"owner":"x",', b"") + b"\n",
                         one(self.DOCUMENT, REDACT=" tags.owner , nothing"))

    def test_masked(self):
        self.assertEqual(self.DOCUMENT.replace(b'"owner":"x"', b'"owner":"***"') + b"\n",
                         one(self.DOCUMENT, REDACT="tags.owner=mask"))

    def test_a_misspelt_way_is_refused(self):
        with self.assertRaises(ValueError):
            transform.Rules({"REDACT": "gps=hide"})

    def test_every_line_of_a_record(self):
        found = one(b'{"gps":1,"a":1}\n{"gps":2,"a":2}', REDACT="gps")
        self.assertEqual(b'{"a":1}\n{"a":2}\n', found)


class Normalisation(unittest.TestCase):
    def test_times(self):
        for text, wanted in (("2026-11-23T22:31:26.123Z", "2026-11-23T22:31:26.123Z"),
                             ("2026-11-23T23:31:26.1239+01:00", "2026-11-23T22:31:26.123Z"),
                             ("2026-11-23t22:31:26z", "2026-11-23T22:31:26.000Z"),
                             ("2026-12-31 23:59:59.5-0001", "2027-01-01T00:00:59.500Z"),
                             ("0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00+01:00"),
                             ("0033-01-01T00:00:00Z", "0033-01-01T00:00:00.000Z"),
                             ("2026-13-23T22:31:26Z", "2026-13-23T22:31:26Z"),
                             ("yesterday", "yesterday")):
            self.assertEqual(wanted, transform.utc(text))

    def test_a_record(self):
        record = b'{"Device":"gw-17","spool":"s","seq":1,"ts":"2026-11-23T22:31:26Z","n":41.50}'
        self.assertEqual(b'{"device":"gw-17","spool":"s","seq":1,"ts":"2026-11-23T22:31:26.000Z",'
                         b'"n":41.50,"time_quality":"synced"}\n', one(record, NORMALIZE="true"))
        estimated = b'{"device":"gw-17","spool":"s","seq":1,"time_quality":"estimated"}'
        self.assertEqual(estimated + b"\n", one(estimated, NORMALIZE="true"))
        self.assertEqual(b'{"other":1}\n', one(b'{"other":1}', NORMALIZE="true"))

    def test_names_that_meet_fail(self):
        self.assertEqual("ProcessingFailed",
                         run([b'{"A":1,"a":2}'], NORMALIZE="true")[0]["result"])


class Flattening(unittest.TestCase):
    def test_names(self):
        self.assertEqual(b'{"values_temp":41.50,"data_a_b":[{"c":1}],"n":null}\n',
                         one(b'{"values":{"temp":41.50},"data":{"a":{"b":[{"c":1}]}},"n":null}',
                             FLATTEN="true"))

    def test_names_that_meet_fail(self):
        self.assertEqual("ProcessingFailed",
                         run([b'{"a_b":1,"a":{"b":2}}'], FLATTEN="true")[0]["result"])


if __name__ == "__main__":
    fakes.main()
