# SPDX-License-Identifier: Apache-2.0
"""
The Lambda-proxy variant of the API: takes the agent's bodies and puts them into Kinesis or
Firehose.

The last part of the path says which body comes: records, lines, array or single (the route's
`body`); a path with a part "firehose" goes to Firehose, any other to the stream where there is one.

    records  {"Records":[{"Data":"<base64>","PartitionKey":"gw-17"},...]}   as they are
    lines    one JSON record per line; as few records of Kinesis as their size allows
    array    {"records":[{...},...]}                                        one each
    single   {...}                                                          one

The partition key of the last three is the record's device, else the authorizer's, else the id of
the request. A body may be gzip (Content-Encoding) and base64 (isBase64Encoded). What goes to
Firehose ends in a line end.

The answer is AWS's own, with a result for each record: {"FailedRecordCount":0,"Records":[...]},
for Firehose {"FailedPutCount":0,"RequestResponses":[...]}. It is 200 if anything was taken. If
nothing was: 429 with Retry-After where AWS throttles, 503 where it is ill, 502 where it refuses
for good (a permission, no such stream), each {"message":...}. 413: a record, or what a gzip
unpacks to, is too large; 400: the body is not what the path says; 415: a coding that is unknown or
damaged.

Environment: STREAM             name of the Kinesis stream
             FIREHOSE           name of the Firehose stream; one of both, or both
             MAX_RECORD_BYTES   what the stream takes, data and key (1048576)
             RETRY_AFTER_S      (2)

The role needs kinesis:PutRecords on the stream, firehose:PutRecordBatch on the Firehose stream.
"""
import base64
import binascii
import json
import os

from botocore.exceptions import BotoCoreError, ClientError

import exact
import payload
import services as aws

# What one request may hold; Kinesis takes 10 MiB since 2025, and took 5 before.
BATCH_RECORDS = 500
KINESIS_BATCH_BYTES = 5 << 20
FIREHOSE_BATCH_BYTES = 4 << 20
FIREHOSE_RECORD_BYTES = 1000 << 10
KINESIS_RECORD_BYTES = 1 << 20
# Of a body that is gzip; any other Lambda itself limits, to 6 MB.
MAX_BODY_BYTES = 10 << 20
MAX_KEY_CHARACTERS = 256
BODIES = ("records", "lines", "array", "single")


class Refused(Exception):
    """A request that gets a status and a message."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Record:
    __slots__ = ("data", "key", "hash_key")

    def __init__(self, data, key, hash_key=None):
        self.data = data
        self.key = key
        self.hash_key = hash_key


class KinesisTarget:
    """PutRecords, and what its reply is called."""

    failed_name, results_name, batch_bytes = "FailedRecordCount", "Records", KINESIS_BATCH_BYTES

    def __init__(self, services, environment):
        self.services = services
        self.name = environment["STREAM"]
        self.record_bytes = int(environment.get("MAX_RECORD_BYTES") or KINESIS_RECORD_BYTES)

    @staticmethod
    def finish(data):
        return data

    def size(self, record):
        return len(record.data) + len(record.key.encode())

    def put(self, records):
        entries = [{"Data": record.data, "PartitionKey": record.key,
                    **({"ExplicitHashKey": record.hash_key} if record.hash_key else {})}
                   for record in records]
        return self.services.kinesis.put_records(StreamName=self.name, Records=entries)


class FirehoseTarget:
    failed_name, results_name, batch_bytes = ("FailedPutCount", "RequestResponses",
                                              FIREHOSE_BATCH_BYTES)
    record_bytes = FIREHOSE_RECORD_BYTES

    def __init__(self, services, environment):
        self.services = services
        self.name = environment["FIREHOSE"]

    @staticmethod
    def finish(data):
        return data if data.endswith(b"\n") else data + b"\n"

    def size(self, record):
        return len(record.data)

    def put(self, records):
        return self.services.firehose.put_record_batch(
            DeliveryStreamName=self.name, Records=[{"Data": record.data} for record in records])


def target_of(parts, services, environment):
    wants_firehose = "firehose" in parts or not environment.get("STREAM")
    return (FirehoseTarget if wants_firehose else KinesisTarget)(services, environment)


def body_of(event):
    """The bytes of the body, unpacked. Raises Refused."""
    body = event.get("body") or ""
    try:
        data = (base64.b64decode(body, validate=True) if event.get("isBase64Encoded")
                else body.encode("utf-8", "surrogatepass"))
    except binascii.Error:
        raise Refused(400, "the body is no base64") from None
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    coding = (headers.get("content-encoding") or "identity").strip().lower()
    # A REST API inflates by itself and leaves the header in place.
    if coding == "gzip" and data.startswith(payload.GZIP_MAGIC):
        try:
            data = payload.inflate(data, MAX_BODY_BYTES)
        except payload.Fault as fault:
            raise Refused(413 if "more than" in str(fault) else 415, str(fault)) from None
    elif coding not in ("identity", "gzip"):
        raise Refused(415, f"Content-Encoding {coding} is not gzip")
    return data


def parse(data):
    try:
        return exact.loads(data)
    except ValueError as error:
        raise Refused(400, f"the body is no JSON: {error}") from None


def key_of(document, fallback):
    device = document.get("device") if isinstance(document, dict) else None
    usable = type(device) is str and 0 < len(device) <= MAX_KEY_CHARACTERS
    return device if usable else fallback


def from_records(data, _target, _fallback):
    document = parse(data)
    entries = document.get("Records") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries:
        raise Refused(400, 'the body has no list "Records"')
    return [_entry(entry) for entry in entries]


def _entry(entry):
    entry = entry if isinstance(entry, dict) else {}
    texts = (entry.get("Data"), entry.get("PartitionKey", "-"), entry.get("ExplicitHashKey"))
    # A number is of type exact.Number, and no text.
    if not all(type(text) is str or text is None for text in texts) or texts[0] is None:
        raise Refused(400, 'an entry of "Records" has no Data or PartitionKey')
    if not 0 < len(texts[1] or "") <= MAX_KEY_CHARACTERS:
        raise Refused(400, f"a PartitionKey has 1 to {MAX_KEY_CHARACTERS} characters")
    try:
        return Record(base64.b64decode(texts[0], validate=True), texts[1], texts[2])
    except ValueError:
        raise Refused(400, "a Data is no base64") from None


def from_lines(data, target, fallback):
    """Fills one record after the other; the key is that of a record's first line."""
    records = []
    for line in filter(None, map(bytes.strip, data.split(b"\n"))):
        key = key_of(parse(line), fallback)
        last = records[-1] if records else None
        if last and target.size(last) + len(line) + 1 <= target.record_bytes:
            last.data += line + b"\n"
        else:
            records.append(Record(line + b"\n", key))
    if not records:
        raise Refused(400, "the body has no line")
    return records


def from_array(data, _target, fallback):
    document = parse(data)
    entries = document.get("records") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries:
        raise Refused(400, 'the body has no list "records"')
    return [Record(exact.dumps(entry).encode("utf-8", "surrogatepass"), key_of(entry, fallback))
            for entry in entries]


def from_single(data, _target, fallback):
    return [Record(data.strip(), key_of(parse(data), fallback))]


READERS = {"records": from_records, "lines": from_lines, "array": from_array,
           "single": from_single}


def batches(records, target):
    batch, batch_bytes = [], 0
    for record in records:
        size_bytes = target.size(record)
        if batch and (len(batch) == BATCH_RECORDS or
                      batch_bytes + size_bytes > target.batch_bytes):
            yield batch
            batch, batch_bytes = [], 0
        batch.append(record)
        batch_bytes += size_bytes
    if batch:
        yield batch


def put_all(records, target):
    """A result for each record, in AWS's form; where a whole request failed, its error for each."""
    results = []
    for batch in batches(records, target):
        try:
            answers = target.put(batch)[target.results_name]
        except (ClientError, BotoCoreError) as error:
            answers = [{"ErrorCode": aws.code_of(error), "ErrorMessage": str(error)}] * len(batch)
        if len(answers) != len(batch):
            answers = [{"ErrorCode": "InternalFailure",
                        "ErrorMessage": "AWS answered another number of records"}] * len(batch)
        results += answers
    return results


def answer(status, document, **headers):
    return {"statusCode": status, "headers": {"Content-Type": "application/json", **headers},
            "body": json.dumps(document), "isBase64Encoded": False}


def reply(results, target, retry_after_s):
    failed = [result for result in results if result.get("ErrorCode")]
    if len(failed) < len(results):
        return answer(200, {target.failed_name: len(failed), target.results_name: results})
    codes = {result["ErrorCode"] for result in failed}
    message = failed[0].get("ErrorMessage") or failed[0]["ErrorCode"]
    wait = {"Retry-After": str(retry_after_s)}
    # Firehose calls it ServiceUnavailableException when it throttles.
    if codes <= aws.THROTTLED | {"ServiceUnavailableException"}:
        return answer(429, {"message": message}, **wait)
    if codes <= aws.THROTTLED | aws.TRANSIENT:
        return answer(503, {"message": message}, **wait)
    return answer(502, {"message": message})


def path_of(event):
    return [part for part in (event.get("rawPath") or event.get("path") or "").split("/") if part]


def fallback_key(event):
    context = event.get("requestContext") or {}
    authorizer = context.get("authorizer") or {}
    device = authorizer.get("device") or (authorizer.get("lambda") or {}).get("device")
    return device or context.get("requestId") or "unknown"


def serve(event, services, environment):
    parts = path_of(event)
    kind = parts[-1] if parts else ""
    try:
        if kind not in BODIES:
            raise Refused(404, f"the path ends in none of {', '.join(BODIES)}")
        target = target_of(parts, services, environment)
        records = READERS[kind](body_of(event), target, fallback_key(event))
        for record in records:
            record.data = target.finish(record.data)
            if target.size(record) > target.record_bytes:
                raise Refused(413, f"a record of more than {target.record_bytes} bytes")
        return reply(put_all(records, target), target,
                     int(environment.get("RETRY_AFTER_S") or 2))
    except Refused as refused:
        return answer(refused.status, {"message": str(refused)})
    except RecursionError:
        return answer(400, {"message": "the body is nested too deeply"})


class Handler:
    def __init__(self):
        self.services = aws.Services()

    def __call__(self, event, _context):
        return serve(event, self.services, os.environ)


handler = Handler()
