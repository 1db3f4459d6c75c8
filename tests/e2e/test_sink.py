#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
An independent client against the sink: Python's TLS and HTTP, botocore's signatures.

Every limit, every refusal and every fault is provoked once, and the counts must tell of it.
"""
import base64
import calendar
import datetime
import hashlib
import http.client
import json
import socket
import ssl
import time

import harness
from harness import check

import botocore.auth
import botocore.awsrequest
import botocore.credentials

TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQDexample+token/With=Chars"


class Client:
    """One kept connection and one key."""

    def __init__(self, sink, token=None, secret=harness.SECRET_KEY, region="us-east-1",
                 key=harness.ACCESS_KEY, service="kinesis"):
        self.sink = sink
        self.service = service
        self.credentials = botocore.credentials.Credentials(key, secret, token)
        self.region = region
        self.connection = None

    def connect(self):
        if self.connection is None:
            context = ssl.create_default_context(cafile=self.sink.ca)
            self.connection = http.client.HTTPSConnection("localhost", self.sink.port, timeout=20,
                                                          context=context)
        return self.connection

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def headers(self, body, extra, offset_s=0):
        request = botocore.awsrequest.AWSRequest(
            "POST", self.sink.endpoint + "/", data=body, headers={
                "Content-Type": "application/x-amz-json-1.1",
                "X-Amz-Target": "Kinesis_20131202.PutRecords", **extra})
        signer = botocore.auth.SigV4Auth(self.credentials, self.service, self.region)
        if offset_s == 0:
            signer.add_auth(request)
            return dict(request.headers)
        # botocore signs at its own clock's time only.
        real = botocore.auth.datetime

        class Shifted(datetime.datetime):
            @classmethod
            def utcnow(cls):
                return datetime.datetime.utcnow() + datetime.timedelta(seconds=offset_s)

        class Module:
            datetime = Shifted

        botocore.auth.datetime = Module
        try:
            signer.add_auth(request)
        finally:
            botocore.auth.datetime = real
        return dict(request.headers)

    def post(self, body, offset_s=0, tamper=None, **extra):
        """(status, parsed body); a broken connection is None."""
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = self.headers(text, extra, offset_s)
        if tamper:
            tamper(headers)
        try:
            connection = self.connect()
            connection.request("POST", "/", body=text, headers=headers)
            reply = connection.getresponse()
            raw = reply.read()
            if reply.will_close:
                self.close()
        except (OSError, http.client.HTTPException) as broken:
            self.close()
            return None, broken
        try:
            return reply.status, json.loads(raw)
        except ValueError:
            return reply.status, raw.decode()

    def put_single(self, data, **members):
        """PutRecord."""
        return self.post({"StreamName": "telemetry", **record(data), **members},
                         **{"X-Amz-Target": "Kinesis_20131202.PutRecord"})

    def firehose(self, action, **members):
        """PutRecordBatch or PutRecord of Firehose."""
        return self.post({"DeliveryStreamName": "telemetry-lake", **members},
                         **{"X-Amz-Target": f"Firehose_20150804.{action}"})

    def put(self, *records, **options):
        return self.post({"StreamName": "telemetry", "Records": list(records)}, **options)


def record(data, key="key", **members):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return {"Data": base64.b64encode(data).decode(), "PartitionKey": key, **members}


def telemetry(sequence):
    return {"device": "gw", "sensor": "plc", "seq": sequence, "spool": "9f31c2a47be0d815",
            "data": {"id": sequence}}


def test_store(run):
    sink = harness.Sink(run, "--shards", "3", "--id-member", "id", name="store")
    client = Client(sink)
    records = [record(telemetry(i), key=f"key {i}") for i in range(100)]
    status, reply = client.put(*records)
    check(status == 200 and reply["FailedRecordCount"] == 0, reply)
    for sent, answer in zip(records, reply["Records"], strict=True):
        digest = int.from_bytes(hashlib.md5(sent["PartitionKey"].encode()).digest(), "big")
        shard = min(digest // (2 ** 128 // 3), 2)
        check(answer["ShardId"] == f"shardId-{shard:012}", (sent, answer))
    numbers = [int(answer["SequenceNumber"]) for answer in reply["Records"]
               if answer["ShardId"].endswith("0")]
    check(numbers == sorted(set(numbers)), "sequence numbers rise within a shard")

    boundary = 2 ** 128 // 3
    for explicit, shard in ((0, 0), (boundary - 1, 0), (boundary, 1), (2 ** 128 - 1, 2)):
        status, reply = client.put(record(b"raw\n\x00", ExplicitHashKey=str(explicit)))
        check(reply["Records"][0]["ShardId"].endswith(str(shard)), (explicit, reply))

    client.put(*records[:7])
    arn = "arn:aws:kinesis:us-east-1:123456789012:stream/telemetry"
    status, reply = client.post({"StreamARN": arn, "Records": [record(telemetry(100))]})
    check(status == 200, reply)
    stored = [data for shard, key, data in sink.records()]
    check(stored[0] == json.dumps(telemetry(0)) and "raw\\x0a\\x00" in stored, stored[:2])
    client.close()
    summary = sink.stop()
    check(summary["records"] == 112 and sum(summary["shards"]) == 112, summary)
    check(summary["identities"] == {"unique": 101, "duplicates": 7, "unexplained": 7,
                                    "anonymous": 4}, summary)
    check(summary["ids"] == {"unique": 101, "duplicates": 7, "absent": 4}, summary)
    check(summary["connections"] == 1 and summary["requests"] == 7, summary)


def test_limits(run):
    sink = harness.Sink(run, name="limits")
    client = Client(sink)
    mebibyte = 1024 * 1024
    good = record(b"{}")

    def refused(code, text, body):
        status, reply = client.post(body)
        check(status == 400 and reply["__type"] == code, (code, status, reply))
        message = reply.get("message") or reply.get("Message", "")
        check(text in message, (text, reply))

    def batch(*records):
        return {"StreamName": "telemetry", "Records": list(records)}

    refused("ValidationException", "less than or equal to 500", batch(*[good] * 501))
    refused("ValidationException", "greater than or equal to 1", batch())
    refused("ValidationException", "not be null", {"StreamName": "telemetry"})
    refused("ValidationException", "less than or equal to 1048576", batch(record(b"x" * mebibyte)))
    refused("ValidationException", "less than or equal to 256", batch(record(b"{}", "é" * 257)))
    refused("ValidationException", "greater than or equal to 1", batch(record(b"{}", "")))
    refused("ValidationException", "partitionKey", batch({"Data": "e30="}))
    refused("ValidationException", "member.data", batch({"PartitionKey": "a"}))
    refused("InvalidArgumentException", "10 MB limit", batch(*[record(b"x" * (mebibyte - 3))] * 11))
    for data in ("e30", "e3=0", "e30=e30=", "e30\n", "====", "e-0="):
        refused("SerializationException", "Blob", batch({**good, "Data": data}))
    refused("SerializationException", "", batch({**good, "Data": 7}))
    refused("SerializationException", "", batch({**good, "PartitionKey": 7}))
    refused("SerializationException", "", b"{\"StreamName\":")
    for explicit in ("", "01", "-1", "x", str(2 ** 128)):
        refused("InvalidArgumentException", "", batch({**good, "ExplicitHashKey": explicit}))
    refused("ResourceNotFoundException", "not found", {"StreamName": "other", "Records": [good]})
    refused("InvalidArgumentException", "", {"Records": [good]})

    for body in (batch(*[good] * 500), batch(record(b"x" * (mebibyte - 256), "k" * 256)),
                 batch(*[record(b"x" * (mebibyte - 3))] * 10), batch(record(b"{}", "é" * 256))):
        status, reply = client.post(body)
        check(status == 200 and reply["FailedRecordCount"] == 0, (status, str(reply)[:300]))
    status, reply = client.post(b"x" * (17 * mebibyte))
    check(status in (413, None), reply)
    summary = sink.stop()
    check(summary["records"] == 512 and summary["batch_records_max"] == 500, summary)


def test_single(run):
    sink = harness.Sink(run, name="single")
    client = Client(sink)
    status, first = client.put_single(telemetry(1))
    check(status == 200 and first["ShardId"].startswith("shardId-"), f"not stored: {first}")
    last = first["SequenceNumber"]
    status, reply = client.put_single(telemetry(2), SequenceNumberForOrdering=last)
    check(status == 200 and reply["SequenceNumber"] > last, f"not behind {last}: {reply}")
    for wrong, code in ((last[:-1] + "9", "InvalidArgumentException"),
                        ("04", "ValidationException"), (4, "SerializationException")):
        status, reply = client.put_single(telemetry(3), SequenceNumberForOrdering=wrong)
        check((status, reply["__type"]) == (400, code), f"{wrong!r}: {status} {reply}")
    status, reply = client.put_single(telemetry(3), PartitionKey="")
    check(status == 400 and "'partitionKey'" in reply["message"], f"no key: {status} {reply}")
    status, reply = client.put_single(b"x" * (1024 * 1024))
    check(status == 400 and reply["__type"] == "ValidationException", f"large: {status} {reply}")
    sink.faults(record_failure_rate=1)
    replies = [client.put_single(telemetry(3)) for _ in range(8)]
    check([status for status, _ in replies] == [400] * 7 + [500], f"failures: {replies}")
    check(replies[0][1]["__type"] == "ProvisionedThroughputExceededException",
          f"throttled: {replies[0]}")
    client.close()
    summary = sink.stop()
    check((summary["records"], summary["served"], summary["ordered"]) == (2, 2, 1),
          f"counted: {summary}")
    check(summary["injected"]["records_failed"] == 8 and summary["rejected"] == 5,
          f"counted: {summary}")


def test_firehose(run):
    sink = harness.Sink(run, "--id-member", "id", name="firehose")
    client = Client(sink, service="firehose")
    lines = [json.dumps(telemetry(i)).encode() + b"\n" for i in range(20)]
    mebibyte = 1024 * 1024

    def batch(*datas, **members):
        return client.firehose("PutRecordBatch", Records=[blob(data) for data in datas], **members)

    def blob(data):
        return {"Data": base64.b64encode(data).decode()}

    def refused(code, text, answer):
        status, reply = answer
        message = reply.get("message") or reply.get("Message", "")
        check(status == 400 and reply["__type"] == code and text in message, (code, text, answer))

    status, reply = batch(*lines[:9], lines[9] + lines[10])
    check(status == 200 and reply["FailedPutCount"] == 0, reply)
    ids = [result["RecordId"] for result in reply["RequestResponses"]]
    check(len(set(ids)) == 10, f"ids: {ids}")
    status, reply = client.firehose("PutRecord", Record=blob(lines[11]))
    check(status == 200 and reply["RecordId"] not in ids, reply)
    batch(b"no end")
    check(sink.firehose_dump.read_bytes() == b"".join(lines[:12]) + b"no end", "joined as they are")

    refused("ValidationException", "less than or equal to 500", batch(*[b"x"] * 501))
    refused("ValidationException", "greater than or equal to 1", batch())
    refused("ValidationException", "less than or equal to 1024000", batch(b"x" * 1024001))
    refused("InvalidArgumentException", "4 MB", batch(*[b"x" * 1024000] * 4, b"x" * 98305))
    refused("ValidationException", "not be null", client.firehose("PutRecordBatch"))
    refused("ValidationException", "records.1.member.data",
            client.firehose("PutRecordBatch", Records=[{"Date": ""}]))
    refused("SerializationException", "Blob",
            client.firehose("PutRecordBatch", Records=[{"Data": "e30"}]))
    refused("ResourceNotFoundException", "not found", batch(b"x", DeliveryStreamName="telemetry"))
    refused("InvalidSignatureException", "service",
            Client(sink).firehose("PutRecord", Record=blob(b"x")))

    sink.faults(record_failure_rate=1)
    status, reply = batch(*lines[:8])
    codes = [result["ErrorCode"] for result in reply["RequestResponses"]]
    check(status == 200 and reply["FailedPutCount"] == 8, reply)
    check(codes == ["ServiceUnavailableException"] * 7 + ["InternalFailure"], f"failures: {codes}")
    sink.faults(record_failure_rate=0, throttle_rate=1)
    status, reply = batch(b"x")
    check((status, reply["__type"]) == (503, "ServiceUnavailableException"), (status, reply))
    sink.faults(throttle_rate=0, cut_rate=1)
    check(isinstance(batch(*lines[12:14])[1], http.client.IncompleteRead), "the reply is cut")
    sink.faults(cut_rate=0)
    batch(*lines[12:14])
    client.close()
    summary = sink.stop()
    check(summary["records"] == 0, f"Kinesis has none: {summary}")
    there = summary["firehose"]
    check((there["records"], there["lines"], there["unterminated"]) == (16, 17, 1), there)
    check(there["identities"] == {"unique": 14, "duplicates": 2, "unexplained": 0, "anonymous": 1},
          there)
    check(there["lost"]["whole"] == 1 and there["ids"]["unique"] == 14, there)


def test_protocol(run):
    sink = harness.Sink(run, name="protocol")
    client = Client(sink)
    good = {"StreamName": "telemetry", "Records": [record(b"{}")]}
    status, reply = client.post(good, **{"X-Amz-Target": "Kinesis_20131202.Nonsense"})
    check(status == 400 and reply["__type"] == "UnknownOperationException", reply)
    status, reply = client.post(good, tamper=lambda headers: headers.pop("X-Amz-Target"))
    check(status == 403 and "Unable to determine service/operation" in reply, reply)

    def raw(text):
        context = ssl.create_default_context(cafile=sink.ca)
        with socket.create_connection(("127.0.0.1", sink.port), timeout=20) as plain, \
                context.wrap_socket(plain, server_hostname="127.0.0.1") as stream:
            # Byte by byte: whatever the pieces, the request is the same.
            for byte in text:
                stream.sendall(bytes([byte]))
            return stream.recv(12)

    check(raw(b"POST / HTTP/1.1\r\n\r\n") == b"HTTP/1.1 411", "a length is required")
    check(raw(b"GET / HTTP/1.0\r\n\r\n") == b"HTTP/1.1 400", "HTTP/1.1 is required")
    check(raw(b"GET / HTTP/1.1\r\nno colon\r\n\r\n") == b"HTTP/1.1 400", "headers have a colon")
    check(raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == b"HTTP/1.1 403", "nothing is at GET /")
    status, reply = client.post(good)
    check(status == 200, reply)
    sink.stop()


def test_signatures(run):
    sink = harness.Sink(run, name="signatures")
    good = record(b"{}")

    def refused(code, text, client, **options):
        status, reply = client.put(good, **options)
        check(status == 400 and reply["__type"] == code and text in reply["message"], reply)

    client = Client(sink)
    check(client.put(good)[0] == 200, "a good signature passes")
    check(client.put(good, offset_s=-290)[0] == 200, "five minutes are allowed")
    check(client.put(good, offset_s=290)[0] == 200, "five minutes are allowed")
    refused("InvalidSignatureException", "Signature expired:", client, offset_s=-310)
    refused("InvalidSignatureException", "Signature not yet current:", client, offset_s=310)
    refused("InvalidSignatureException", "does not match", Client(sink, secret="wrong"))
    refused("InvalidSignatureException", "region", Client(sink, region="eu-west-1"))
    refused("UnrecognizedClientException", "security token", Client(sink, token=TOKEN))
    refused("MissingAuthenticationTokenException", "Missing", client,
            tamper=lambda headers: headers.pop("Authorization"))
    refused("InvalidSignatureException", "must be a 'SignedHeader'", client,
            tamper=lambda headers: headers.update({"X-Amz-Extra": "unsigned"}))
    refused("IncompleteSignatureException", "", client,
            tamper=lambda headers: headers.update(
                {"Authorization": "AWS4-HMAC-SHA256 Credential="}))
    refused("InvalidSignatureException", "does not match", client,
            tamper=lambda headers: headers.update(
                {"Authorization": headers["Authorization"] + "0"}))
    check(client.put(good, **{"X-Amz-Note": "two  blanks, and   three"})[0] == 200, "values fold")
    check(sink.stop()["signature_failures"] == 9, "each refusal is counted")

    sink = harness.Sink(run, "--session-token", TOKEN, name="token")
    check(Client(sink, token=TOKEN).put(good)[0] == 200, "a token passes")
    refused("UnrecognizedClientException", "", Client(sink))
    sink.faults(clock_offset_ms=3600000)
    refused("InvalidSignatureException", "Signature expired:", Client(sink, token=TOKEN))
    check(Client(sink, token=TOKEN).put(good, offset_s=3600)[0] == 200, "the sink's clock counts")
    client = Client(sink, token=TOKEN)
    client.connect().request("GET", "/")
    date = client.connect().getresponse().headers["Date"]
    there = calendar.timegm(time.strptime(date, "%a, %d %b %Y %H:%M:%S GMT"))
    check(3590 < there - time.time() < 3610, f"Date tells the sink's clock: {date}")
    sink.stop()

    sink = harness.Sink(run, "--no-signature", name="unsigned")
    check(Client(sink, secret="wrong").put(good)[0] == 200, "the check can be left out")
    sink.stop()


def test_keys(run):
    sink = harness.Sink(run, name="keys")
    first, second = Client(sink), Client(sink, token=TOKEN, secret="other", key="ASIASECOND")

    def answer(client):
        status, reply = client.put(record(b"{}"))
        return reply.get("__type", status)

    check(answer(second) == "UnrecognizedClientException", "a key that nobody knows")
    sink.add_key("ASIASECOND", "other", TOKEN)
    check(answer(second) == 200 and answer(first) == 200, "keys are taken beside one another")
    sink.expire_key("ASIASECOND")
    check(answer(second) == "ExpiredTokenException", "a key that expired")
    sink.add_key("ASIASECOND", "other", TOKEN + "2")
    check(answer(second) == "UnrecognizedClientException", "a token that was replaced")
    check(sink.keys()["ASIASECOND"] == {"expired": False, "requests": 0}, sink.keys())
    check(sink.keys()[harness.ACCESS_KEY] == {"expired": False, "requests": 1}, sink.keys())
    try:
        sink.expire_key("nobody's")
        check(False, "a key that does not exist cannot expire")
    except harness.urllib.error.HTTPError as error:
        check(error.code == 400, error)
    sink.stop()


def test_faults(run):
    sink = harness.Sink(run, "--seed", "7", "--record-failure-rate", "0.25", name="faults")
    client = Client(sink)
    status, reply = client.put(*[record(telemetry(i)) for i in range(400)])
    failed = [answer for answer in reply["Records"] if "ErrorCode" in answer]
    check(status == 200 and reply["FailedRecordCount"] == len(failed), reply)
    check(60 < len(failed) < 140, f"a quarter fails: {len(failed)}")
    check({answer["ErrorCode"] for answer in failed} ==
          {"ProvisionedThroughputExceededException", "InternalFailure"}, failed[:9])
    check(sink.summary()["records"] == 400 - len(failed), "what failed is not stored")

    sequence = iter(range(1000, 2000))

    def put(**faults):
        quiet = {name: 0 for name, value in sink.ask("/faults").items() if name.endswith("_rate")}
        sink.faults(**{**quiet, **faults})
        return client.put(record(telemetry(next(sequence))))

    status, reply = put(throttle_rate=1)
    check(status == 400 and reply["__type"] == "ProvisionedThroughputExceededException", reply)
    check({put(error_rate=1)[0], put(error_rate=1)[0]} == {500, 503}, "5xx of both kinds")
    status, reply = put(refuse_rate=1, refuse_code="ExpiredTokenException")
    check(status == 400 and reply["__type"] == "ExpiredTokenException", reply)

    before = sink.summary()["records"]
    check(isinstance(put(reset_before_rate=1)[1], OSError), "the connection is reset")
    check(sink.summary()["records"] == before, "reset before storing")
    check(isinstance(put(reset_after_rate=1)[1], OSError), "the connection is reset")
    check(sink.summary()["records"] == before + 1, "reset after storing")
    check(isinstance(put(cut_rate=1)[1], http.client.IncompleteRead), "the reply is cut")
    check(sink.summary()["records"] == before + 2, "cut after storing")
    started = time.monotonic()
    check(put(latency_ms=300)[0] == 200 and time.monotonic() - started >= 0.3, "latency")
    sink.faults(latency_ms=0)

    injected = sink.summary()["injected"]
    check({name: injected[name] for name in ("throttled", "errors", "refused", "resets_before",
                                             "resets_after", "cuts")} ==
          {"throttled": 1, "errors": 2, "refused": 1, "resets_before": 1, "resets_after": 1,
           "cuts": 1}, injected)
    for wrong in ({"throttle_rate": 2}, {"nonsense": 1}, {"latency_ms": -1}, {"error_rate": []}):
        try:
            sink.faults(**wrong)
            check(False, f"{wrong} was taken")
        except harness.urllib.error.HTTPError as refusal:
            check(refusal.code == 400, refusal)
    sink.stop()


def test_lost_batches(run):
    sink = harness.Sink(run, name="lost")
    client = Client(sink)
    first, second = ([record(telemetry(i)) for i in range(at, at + 10)] for at in (0, 10))
    for batch in (first, second):
        sink.faults(reset_after_rate=1)
        client.put(*batch)
    sink.faults(reset_after_rate=0)
    client.put(*first)
    client.put(*second[:4])
    summary = sink.summary()
    check(summary["lost"] == {"batches": 2, "whole": 1, "per_batch": [
        {"records": 10, "duplicated": 10}, {"records": 10, "duplicated": 4}]}, summary["lost"])
    client.put(*second[4:])
    client.put(first[0])
    summary = sink.stop()
    check(summary["lost"]["whole"] == 2, summary)
    check(summary["identities"]["unique"] == 20, summary)
    check(summary["identities"]["duplicates"] == 21, summary)
    check(summary["identities"]["unexplained"] == 1, summary)


def test_outages(run):
    sink = harness.Sink(run, "--idle-ms", "100", name="outage")
    client = Client(sink)
    good = record(b"{}")
    client.put(good)
    check(client.connection.sock.recv(1) == b"", "an idle connection is closed in the end")
    client.close()
    sink.faults(idle_ms=60000)

    client.put(good)
    sink.outage()
    check(client.connection.sock.recv(1) == b"", "an outage ends connections")
    client.close()
    status, broken = client.put(good)
    check(isinstance(broken, ConnectionRefusedError), broken)
    sink.outage(0)
    check(client.put(good)[0] == 200, "the outage is over")
    client.close()

    sink.outage(0.2)
    harness.wait_until("the end of the outage", lambda: client.put(good)[0] == 200)

    sink.outage(mode="silent")
    connection = client.connect()
    connection.sock.settimeout(0.3)
    text = json.dumps({"StreamName": "telemetry", "Records": [good]}).encode()
    before = sink.summary()["records"]
    connection.request("POST", "/", body=text, headers=client.headers(text, {}))
    try:
        connection.sock.recv(1)
        check(False, "a silent endpoint answered")
    except TimeoutError:
        pass
    sink.outage(0)
    client.close()
    check(client.put(good)[0] == 200, "the silence is over")
    check(sink.summary()["records"] == before + 1, "what came in silence is not stored")

    # Ending while somebody waits for a reply, and by command.
    sink.faults(latency_ms=60000)
    connection = client.connect()
    connection.request("POST", "/", body=text, headers=client.headers(text, {}))
    harness.wait_until("the request", lambda: sink.summary()["records"] == before + 2)
    sink.ask("/stop", {})
    check(sink.process.wait(10) == 0, "the sink ends")


def test_determinism(run):
    shards = []
    for turn in range(2):
        sink = harness.Sink(run, "--seed", "42", "--record-failure-rate", "0.3",
                            "--reset-after-rate", "0.2", name=f"seed{turn}")
        client = Client(sink)
        for at in range(30):
            client.put(*[record(telemetry(at * 10 + i), f"key {i}") for i in range(10)])
        shards.append({name: value for name, value in sink.stop().items()
                       if name in ("records", "shards", "identities", "lost", "injected")})
    check(shards[0] == shards[1], shards)
    check(shards[0]["injected"]["resets_after"] > 0, shards[0])


def scenario(run):
    for test in (test_store, test_limits, test_single, test_firehose, test_protocol,
                 test_signatures, test_keys, test_faults, test_lost_batches, test_outages,
                 test_determinism):
        test(run)
        print(f"{test.__name__}: good", flush=True)


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
