# SPDX-License-Identifier: Apache-2.0
"""Reads back what runnel made objects of, and checks their names against what is in them."""
import gzip
import hashlib
import json
import re

from harness import check

NAME = re.compile(r"dt=(\d{4}-\d\d-\d\d)/hour=(\d\d)/([^/]+)/"
                  r"([0-9a-f]{16})-(\d{16})-(\d{16})-([0-9a-f]{16})\.ndjson(\.gz)?$")


def read(name, body):
    """The records of an object; its name says what they are."""
    match = NAME.match(name)
    check(match, f"{name} has another form")
    day, hour, device, spool, first, last, digest, compressed = match.groups()
    check(hashlib.sha256(body).hexdigest().startswith(digest), f"{name}: not this content's hash")
    text = gzip.decompress(body) if compressed else body
    check(text.endswith(b"\n"), f"{name}: the last line has no end")
    records = [json.loads(line) for line in text.splitlines()]
    numbers = [record["seq"] for record in records]
    check((min(numbers), max(numbers)) == (int(first), int(last)), f"{name}: has {numbers}")
    for record in records:
        check(record["ts"].startswith(f"{day}T{hour}:"), f"{name}: a record of {record['ts']}")
        check(record["spool"] == spool and record["device"] == device, f"{name}: has {record}")
    return records


def check_lines(records, lines):
    """Each of LINES once, unchanged, among the records with documents."""
    seen = {}
    for record in records:
        if "data" in record:
            number = record["data"]["id"]
            check(record["data"] == json.loads(lines[number]), f"line {number} was changed")
            seen[number] = seen.get(number, 0) + 1
    missing = len(lines) - len(seen)
    twice = sum(times - 1 for times in seen.values())
    check(missing == 0 and twice == 0, f"{missing} lines are missing, {twice} came twice")
