# SPDX-License-Identifier: Apache-2.0
"""
The transformation Lambda of a Firehose stream: redaction, normalisation, flattening, and the hour
of the event as keys of dynamic partitioning.

What arrives: by direct put, a Firehose record as a producer put it: a JSON record, JSON lines, gzip
of either. From a Kinesis stream the same; KPL aggregates Firehose itself has taken apart
before it calls. One that arrives all the same, by direct put, is taken apart here.

What leaves: JSON lines, each with its line end, since Firehose puts no delimiter between records.
Firehose wants one answer for one record, so a record of many lines has one set of partition keys:
those of its first line. A record with a line that nobody can read fails as a whole, and Firehose
puts it, as it came, below its error prefix: nothing is dropped but what holds nothing.

A reply may have 6 MB. A record that does not fit any more fails likewise, and the log says
so: a gzip that unpacks to so much needs a smaller buffering hint or smaller batches.

Duplicates are not looked for: that needs memory between calls, which the consumer has
(consumer.py).

Environment: REDACT     names to remove, separated by commas: "gps" wherever it stands, "tags.owner"
                        there alone; "tags.owner=mask" puts "***" in its place
             NORMALIZE  "true": `ts` in UTC with milliseconds, `time_quality` always there, member
                        names in lower case (Firehose's OpenX reader wants that)
             FLATTEN    "true": {"values":{"temp":41.50}} becomes {"values_temp":41.50}
"""
import base64
import datetime
import json
import os
import re

import exact
import output
import payload

MAX_REPLY_BYTES = 6_000_000
# What stands around recordId and data in an answer, generously.
REPLY_OVERHEAD_BYTES = 256
MASK = "***"
TIME_WITH_OFFSET = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)\Z",
                              re.ASCII)


class Rules:
    """What is to be done with each document, from the environment."""

    def __init__(self, environment):
        self.remove, self.mask = set(), set()
        for name in filter(None, map(str.strip, environment.get("REDACT", "").split(","))):
            name, _, how = name.partition("=")
            if how not in ("", "drop", "mask"):
                raise ValueError(f"REDACT: {name}={how}: neither drop nor mask")
            (self.mask if how == "mask" else self.remove).add(name)
        self.normalize = environment.get("NORMALIZE", "").lower() == "true"
        self.flatten = environment.get("FLATTEN", "").lower() == "true"

    def is_neutral(self):
        return not (self.remove or self.mask or self.normalize or self.flatten)

    def apply(self, line):
        """The line that leaves. Raises ValueError."""
        if self.is_neutral():
            return line
        document = self._redact(exact.loads(line), "")
        if isinstance(document, dict):
            if self.normalize:
                document = normalize(document)
            if self.flatten:
                document = flatten(document)
        return exact.dumps(document).encode("utf-8", "surrogatepass")

    def _redact(self, value, path):
        if isinstance(value, list):
            return [self._redact(member, path) for member in value]
        if not isinstance(value, dict):
            return value
        kept = {}
        for name, member in value.items():
            place = f"{path}.{name}" if path else name
            if {name, place} & self.mask:
                kept[name] = MASK
            elif not {name, place} & self.remove:
                kept[name] = self._redact(member, place)
        return kept


def normalize(document):
    document = lower(document)
    if isinstance(document.get("ts"), str):
        document["ts"] = utc(document["ts"])
    if {"device", "spool", "seq"} <= document.keys():
        document.setdefault("time_quality", "synced")
    return document


def lower(value):
    if isinstance(value, list):
        return [lower(member) for member in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, member in value.items():
        if name.lower() in found:
            raise ValueError(f"two members are called {name.lower()}")
        found[name.lower()] = lower(member)
    return found


def utc(text):
    """2026-11-23T23:31:26.1234+01:00 as 2026-11-23T22:31:26.123Z; what is no time stays."""
    if not TIME_WITH_OFFSET.match(text):
        return text
    fraction = re.search(r"\.(\d+)", text)
    milliseconds = (fraction[1] if fraction else "").ljust(3, "0")[:3]
    plain = re.sub(r"\.\d+", "", text.upper().replace(" ", "T")).replace("Z", "+0000")
    try:
        moment = datetime.datetime.strptime(plain, "%Y-%m-%dT%H:%M:%S%z")
        moment = moment.astimezone(datetime.timezone.utc)
    except (ValueError, OverflowError):
        return text
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds}Z".rjust(24, "0")


def flatten(document):
    flat = {}

    def put(name, value):
        if isinstance(value, dict):
            for member in value:
                put(f"{name}_{member}", value[member])
        elif name in flat:
            raise ValueError(f"two members are called {name} once they are flat")
        else:
            flat[name] = value

    for name, value in document.items():
        put(name, value)
    return flat


def convert(record, rules):
    """The answer for one record."""
    answer = {"recordId": record["recordId"]}
    data = base64.b64decode(record["data"])
    if not data.strip():
        return {**answer, "result": "Dropped"}
    items = payload.unpack(data)
    try:
        lines = [rules.apply(item.line) for item in readable(items)]
    except (ValueError, RecursionError) as error:
        print(json.dumps({"recordId": record["recordId"], "failed": str(error)}))
        return {**answer, "result": "ProcessingFailed"}
    hour = output.event_hour(items[0].document, record["approximateArrivalTimestamp"] / 1000)
    return {**answer, "result": "Ok",
            "data": base64.b64encode(b"".join(line + b"\n" for line in lines)).decode(),
            "metadata": {"partitionKeys": output.partition_keys(hour)}}


def readable(items):
    for item in items:
        if item.fault:
            raise ValueError(item.fault)
        yield item


def transform(event, rules, limit_bytes=MAX_REPLY_BYTES):
    answers, reply_bytes = [], 0
    for record in event["records"]:
        answer = convert(record, rules)
        size_bytes = REPLY_OVERHEAD_BYTES + len(answer["recordId"])
        if reply_bytes + size_bytes + len(answer.get("data", "")) > limit_bytes:
            print(json.dumps({"recordId": record["recordId"],
                              "failed": "does not fit into Lambda's reply any more"}))
            answer = {"recordId": record["recordId"], "result": "ProcessingFailed"}
        reply_bytes += size_bytes + len(answer.get("data", ""))
        answers.append(answer)
    return {"records": answers}


def handler(event, _context):
    return transform(event, Rules(os.environ))
