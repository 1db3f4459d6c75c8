# SPDX-License-Identifier: Apache-2.0
"""
By what a record is recognised when it arrives twice, and what is remembered of that.

A record's identity is (device, spool, seq), for ever. What has been seen is kept in pages: one
bitmap for 65,536 sequence numbers of one device and spool. Numbers do not arrive in order: lanes
are interleaved, what was retried comes after newer numbers, and behind an outage fresh records
overtake a backlog of weeks. So there is no number below which everything counts as seen, for that
would lose the backlog, and none below which everything counts as new, for that would let
duplicates through: each number has its page, however far it lies below the highest. The highest
page is the high-water mark.

A device that keeps up touches one page per invocation, two where a page ends or a backlog flows
beside. A bitmap is 8 KiB, and compressed: some 30 bytes where all numbers of a page arrived, so
that an item seldom exceeds the 1 KB which one write unit pays for, and never 9 KB.

Pages that nobody touched for IDENTITY_DAYS are deleted by DynamoDB; a record that comes again after
that counts as new. Forgetting lets a duplicate through; it never drops a record.
"""
import hashlib
import json
import zlib

PAGE_NUMBERS = 1 << 16
PAGE_BYTES = PAGE_NUMBERS // 8
MAX_SEQ = (1 << 53) - 1
MAX_NAME_BYTES = 1024


def identity_of(document):
    """(device, spool, seq), or None: a document that is not a record of runnel has none."""
    if not isinstance(document, dict):
        return None
    device, spool, seq = (document.get(name) for name in ("device", "spool", "seq"))
    if not (isinstance(device, str) and isinstance(spool, str) and type(seq) is int):
        return None
    return (device, spool, seq) if device and spool and 0 <= seq <= MAX_SEQ else None


def page_id(device, spool, seq):
    """The key of the page that SEQ belongs to; a JSON list, so that no two names run together."""
    name = "page" + json.dumps([device, spool, seq // PAGE_NUMBERS], separators=(",", ":"))
    if len(name) > MAX_NAME_BYTES:
        name = "page-sha256:" + hashlib.sha256(name.encode()).hexdigest()
    return name


class Page:
    """Which of 65,536 sequence numbers were seen."""

    def __init__(self, packed=None):
        self.bits = bytearray(PAGE_BYTES)
        if packed:
            bits = zlib.decompressobj().decompress(packed, PAGE_BYTES)
            self.bits[:len(bits)] = bits

    def has(self, seq):
        at = seq % PAGE_NUMBERS
        return bool(self.bits[at >> 3] >> (at & 7) & 1)

    def add(self, seq):
        at = seq % PAGE_NUMBERS
        self.bits[at >> 3] |= 1 << (at & 7)

    def pack(self):
        return zlib.compress(bytes(self.bits), 9)
