# SPDX-License-Identifier: Apache-2.0
"""
Takes apart what the Kinesis Producer Library aggregates: several user records in one record.

The format is AWS's aggregation-format.md: F3 89 9A C2, a protobuf message (AggregatedRecord), and
the MD5 of that message. As the KCL does, whoever meets something that begins like an aggregate but
is none passes it on as it is: deaggregate() says None, it never raises. Unlike the KCL's own, this
reader does not drop an aggregate whose keys hash into another shard: it has no use for the shard's
range, and a record that arrived is kept.
"""
import collections
import hashlib

MAGIC = b"\xf3\x89\x9a\xc2"
DIGEST_BYTES = 16
VARINT_BYTES = 10
MAX_VARINT = (1 << 64) - 1

# Wire types of protobuf.
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

UserRecord = collections.namedtuple("UserRecord", "partition_key explicit_hash_key data")


class Damaged(Exception):
    """The bytes are not the message that they should be."""


def deaggregate(data):
    """The user records of an aggregate, in order; None if DATA is none, or is damaged."""
    if not data.startswith(MAGIC) or len(data) <= len(MAGIC) + DIGEST_BYTES:
        return None
    message = data[len(MAGIC):-DIGEST_BYTES]
    if hashlib.md5(message, usedforsecurity=False).digest() != data[-DIGEST_BYTES:]:
        return None
    try:
        return _aggregate(message)
    except Damaged:
        return None


def _aggregate(message):
    keys, hash_keys, records = [], [], []
    tables = {1: keys, 2: hash_keys, 3: records}
    for number, wire_type, value in _fields(message):
        if number in tables:
            if wire_type != BYTES:
                raise Damaged
            tables[number].append(value)
    # Tables may follow the records that point into them, so these come last.
    return [_record(record, keys, hash_keys) for record in records]


def _record(message, keys, hash_keys):
    key_index = hash_key_index = data = None
    for number, wire_type, value in _fields(message):
        if number in (1, 2) and wire_type != VARINT or number in (3, 4) and wire_type != BYTES:
            raise Damaged
        if number == 1:
            key_index = value
        elif number == 2:
            hash_key_index = value
        elif number == 3:
            data = value
    if key_index is None or data is None:
        raise Damaged
    hash_key = None if hash_key_index is None else _entry(hash_keys, hash_key_index)
    return UserRecord(_entry(keys, key_index), hash_key, bytes(data))


def _entry(table, index):
    if index >= len(table):
        raise Damaged
    return bytes(table[index]).decode("utf-8", "replace")


def _fields(message):
    """(number, wire type, value) of each field; the value of a fixed field is left out."""
    message = memoryview(message)
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise Damaged
        if wire_type == VARINT:
            value, at = _varint(message, at)
        elif wire_type == BYTES:
            length, at = _varint(message, at)
            value, at = _take(message, at, length)
        elif wire_type in (FIXED64, FIXED32):
            _, at = _take(message, at, 8 if wire_type == FIXED64 else 4)
            value = None
        else:
            raise Damaged
        yield number, wire_type, value


def _take(message, at, length):
    if length > len(message) - at:
        raise Damaged
    return message[at:at + length], at + length


def _varint(message, at):
    value = 0
    for shift in range(0, 7 * VARINT_BYTES, 7):
        if at >= len(message):
            raise Damaged
        byte = message[at]
        at += 1
        value |= (byte & 0x7f) << shift
        if byte < 0x80:
            if value > MAX_VARINT:
                raise Damaged
            return value, at
    raise Damaged
