#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the KPL aggregates is taken apart; what is damaged anywhere is passed on as it is."""
import hashlib
import json
import pathlib
import random
import unittest

import fakes
import kpl
from streams import member, varint

VECTORS = json.loads(pathlib.Path(__file__).with_name("kpl.json").read_text())["vectors"]


def sealed(message):
    return kpl.MAGIC + message + hashlib.md5(message).digest()


def user_record(index, data, more=b""):
    return member(3, b"\x08" + varint(index) + more + member(3, data))


class Vectors(unittest.TestCase):
    def test_each(self):
        for vector in VECTORS:
            found = kpl.deaggregate(bytes.fromhex(vector["aggregated_hex"]))
            wanted = [(record["partition_key"], record["explicit_hash_key"], record["data_hex"])
                      for record in vector["user_records"]]
            self.assertEqual(wanted, [(key, hash_key, data.hex()) for key, hash_key, data in found])

    def test_every_damaged_byte_and_every_prefix(self):
        for vector in VECTORS:
            data = bytes.fromhex(vector["aggregated_hex"])
            for at in range(len(data)):
                self.assertIsNone(kpl.deaggregate(data[:at]))
                damaged = bytearray(data)
                damaged[at] ^= 1 << at % 8
                self.assertIsNone(kpl.deaggregate(bytes(damaged)))


class Messages(unittest.TestCase):
    def good(self, message, *wanted):
        found = kpl.deaggregate(sealed(message))
        self.assertIsNotNone(found)
        self.assertEqual(list(wanted), [record.data for record in found])

    def bad(self, message):
        self.assertIsNone(kpl.deaggregate(sealed(message)))

    def test_tables_may_follow(self):
        self.good(user_record(0, b"x") + member(1, b"key"), b"x")

    def test_what_nobody_knows_is_skipped(self):
        unknown = member(9, b"new") + varint(10 << 3) + b"\x05" + varint(11 << 3 | 1) + bytes(8) \
            + varint(12 << 3 | 5) + bytes(4)
        self.good(member(1, b"key") + unknown + user_record(0, b"x", unknown), b"x")

    def test_tags_are_read_over(self):
        tag = member(4, member(1, b"name") + member(2, b"value"))
        self.good(member(1, b"key") + user_record(0, b"x", tag), b"x")

    def test_indexes(self):
        self.good(member(1, b"a") + member(1, b"b") + user_record(1, b"x"), b"x")
        self.bad(member(1, b"a") + user_record(1, b"x"))
        self.bad(user_record(0, b"x"))
        self.bad(member(1, b"a") + user_record(0, b"x", b"\x10\x00"))
        self.bad(member(1, b"a") + user_record((1 << 64) - 1, b"x"))

    def test_what_is_required(self):
        self.bad(member(1, b"a") + member(3, b"\x08\x00"))
        self.bad(member(1, b"a") + member(3, member(3, b"x")))

    def test_bounds(self):
        good = member(1, b"a") + user_record(0, b"x")
        for tail in (b"\x1a", b"\x1a\x05abcd", b"\x1a" + b"\xff" * 9 + b"\x7f", b"\x80" * 11,
                     b"\x4a\x05abcd",
                     b"\x1b", b"\x00\x00", b"\x09\x00", b"\x1a\xff\xff\xff\xff\x0f"):
            self.bad(good + tail)
        self.bad(member(1, b"a") + b"\x18\x00")
        self.bad(member(1, b"a") + member(3, b"\x0a\x00" + member(3, b"x")))

    def test_any_message_is_read_or_refused(self):
        generator = random.Random(5)
        data = bytes.fromhex(VECTORS[1]["protobuf_hex"])
        for _ in range(3000):
            message = bytearray(data)
            for _ in range(generator.randint(1, 4)):
                message[generator.randrange(len(message))] = generator.randrange(256)
            kpl.deaggregate(sealed(bytes(message[:generator.randint(0, len(message))])))


if __name__ == "__main__":
    fakes.main()
