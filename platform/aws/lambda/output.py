# SPDX-License-Identifier: Apache-2.0
"""
Objects of gzip JSON lines in S3, under the hour in which their records were measured:

    PREFIX year=2026/month=11/day=23/hour=22/STREAM-SHARD-SEQUENCE-N.jsonl.gz

SEQUENCE is the stream's number of the chunk's first record, N the attempt to write it.
"""
import datetime
import gzip
import re

TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?Z\Z", re.ASCII)
UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


def event_hour(document, arrived_s):
    """The hour of the record's `ts`; of its arrival where it has none that is a time."""
    text = document.get("ts") if isinstance(document, dict) else None
    match = TIME.match(text) if isinstance(text, str) else None
    if match:
        try:
            return datetime.datetime(*map(int, match.groups()))
        except ValueError:
            pass
    return datetime.datetime.fromtimestamp(arrived_s, datetime.timezone.utc)


def partition_keys(hour):
    return {"year": f"{hour.year:04}", "month": f"{hour.month:02}", "day": f"{hour.day:02}",
            "hour": f"{hour.hour:02}"}


def folder(hour):
    return "".join(f"{name}={value}/" for name, value in partition_keys(hour).items())


def key_of(prefix, place, owner, first, attempt):
    name = f"{owner.stream}-{owner.shard}-" + "-".join(map(str, first))
    return f"{prefix}{place}{UNSAFE.sub('_', name)}-{attempt}.jsonl.gz"


def pack(lines):
    """The same lines give the same bytes: no time, no name."""
    return gzip.compress(b"".join(line + b"\n" for line in lines), 6, mtime=0)
