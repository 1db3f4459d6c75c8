# SPDX-License-Identifier: Apache-2.0
"""
What the data of a Kinesis or Firehose record may be, taken apart into single JSON documents:

    one JSON record       {"device":...}           also over several lines
    JSON lines            one record per line
    gzip                  of one of these
    a KPL aggregate       of any of these

A document is kept byte for byte, so that a number keeps the decimals that the sensor gave it. JSON
without an identity (route format raw) is kept too. What is no JSON is a fault; with keep_raw it
is kept as {"raw":"<base64>"}, but never what is damaged: a gzip that does not inflate, a KPL
aggregate that does not add up.
"""
import base64
import json
import zlib

import kpl

GZIP_MAGIC = b"\x1f\x8b"
MAX_INFLATED_BYTES = 64 << 20
PIECE_BYTES = 1 << 20


class Item:
    """One document: its LINE and the parsed DOCUMENT; or what is no document, and the FAULT."""

    __slots__ = ("line", "document", "fault")

    def __init__(self, line, document=None, fault=None):
        self.line = line
        self.document = document
        self.fault = fault


class Fault(Exception):
    """Why bytes cannot be read, in words."""


def unpack(data, keep_raw=False):
    """The items of DATA in their order; at least one, so that nothing goes without an account."""
    records = kpl.deaggregate(data)
    if records is None:
        return _plain(data, keep_raw)
    items = [item for record in records for item in _plain(record.data, keep_raw)]
    return items or [Item(data, fault="a KPL aggregate without records")]


def _plain(data, keep_raw):
    if data.startswith(kpl.MAGIC):
        return [Item(data, fault="a damaged KPL aggregate")]
    if not data.startswith(GZIP_MAGIC):
        return _documents(data, keep_raw)
    try:
        return _documents(inflate(data), keep_raw)
    except Fault as fault:
        return [Item(data, fault=str(fault))]


def _documents(data, keep_raw):
    lines = [line for line in map(bytes.strip, data.split(b"\n")) if line]
    if not lines:
        return [Item(data, fault="holds nothing")]
    items = [_item(line) for line in lines]
    if any(item.fault for item in items):
        # Between the tokens of one document line ends are as good as spaces, and in its strings
        # JSON has none.
        whole = _item(b" ".join(lines))
        if not whole.fault:
            return [whole]
        if keep_raw:
            return [_raw(data)]
    return items


def _item(line):
    try:
        return Item(line, parse(line))
    except ValueError as error:
        return Item(line, fault=f"is no JSON: {error}")


def _raw(data):
    document = {"raw": base64.b64encode(data).decode()}
    return Item(json.dumps(document).encode(), document)


def parse(line, **options):
    """JSON as RFC 8259 has it, UTF-8 only. Raises ValueError."""
    try:
        return json.loads(line.decode("utf-8"), parse_constant=_refuse, **options)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(name):
    raise ValueError(f"{name} is no number of JSON")


def inflate(data, limit_bytes=MAX_INFLATED_BYTES):
    """What gzip packed, of one member or several. Raises Fault: damaged, cut off, or too large."""
    found = bytearray()
    while data:
        stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        while not stream.eof:
            try:
                piece = stream.decompress(data, PIECE_BYTES)
            except zlib.error:
                raise Fault("a damaged gzip") from None
            found += piece
            if len(found) > limit_bytes:
                raise Fault(f"a gzip of more than {limit_bytes} bytes")
            data = stream.unconsumed_tail
            if not data and not piece and not stream.eof:
                raise Fault("a gzip that is cut off")
        data = stream.unused_data
    return bytes(found)
