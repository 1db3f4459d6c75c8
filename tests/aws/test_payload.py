#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every form that a record's data may have, and every way to be none of them."""
import base64
import gzip
import json
import unittest

import fakes
import exact
import identity
import payload
import streams

RECORDS = [streams.record(seq=seq) for seq in range(3)]


def texts(data, **options):
    return [item.line for item in payload.unpack(data, **options)]


def faults(data, **options):
    return [item.fault for item in payload.unpack(data, **options)]


class Forms(unittest.TestCase):
    def test_each_packing_gives_the_bytes_back(self):
        for name, pack in streams.PACKINGS.items():
            with self.subTest(name):
                found = [line for data in pack(RECORDS) for line in texts(data)]
                self.assertEqual(RECORDS, found)

    def test_line_ends(self):
        self.assertEqual(RECORDS[:2], texts(b"\n" + RECORDS[0] + b"\r\n\n" + RECORDS[1]))

    def test_one_document_over_several_lines(self):
        text = b'{\n  "text": "two  spaces",\r\n  "n": 41.50\n}\n'
        self.assertEqual([b'{ "text": "two  spaces", "n": 41.50 }'], texts(text))

    def test_gzip_of_several_members(self):
        self.assertEqual(RECORDS, texts(b"".join(gzip.compress(line + b"\n") for line in RECORDS)))

    def test_json_without_identity_is_kept(self):
        for text in (b'{"a":1}', b"12.50", b'"text"', b"[1,2]", b"null"):
            self.assertEqual([text], texts(text))
            self.assertIsNone(identity.identity_of(payload.unpack(text)[0].document))


class Faults(unittest.TestCase):
    def test_a_bad_line_leaves_the_good_ones(self):
        found = payload.unpack(RECORDS[0] + b"\nnonsense\n" + RECORDS[1])
        self.assertEqual([False, True, False], [bool(item.fault) for item in found])
        self.assertEqual(b"nonsense", found[1].line)

    def test_each_has_a_reason(self):
        packed = gzip.compress(RECORDS[0])
        for data, reason in ((b"", "nothing"), (b" \n ", "nothing"), (b"x", "no JSON"),
                             (b"NaN", "NaN"), (b"[" * 100_000, "nested"), (b"\xff", "no JSON"),
                             ('{"a":1}'.encode("utf-16"), "no JSON"), (b"1" * 5000, "no JSON"),
                             (packed[:-1], "cut off"), (packed[:-4] + bytes(4), "damaged gzip"),
                             (packed + b"tail", "damaged gzip"), (packed[:2], "cut off"),
                             (streams.aggregate(RECORDS)[:-1], "damaged KPL"),
                             (streams.aggregate([]), "without records")):
            with self.subTest(data[:20]):
                found, = faults(data)
                self.assertIn(reason, found)

    def test_nothing_of_an_aggregate_is_silent(self):
        found = faults(streams.aggregate([RECORDS[0], b"", b"x"]))
        self.assertEqual([False, True, True], [bool(fault) for fault in found])

    def test_a_gzip_may_not_unpack_to_anything(self):
        bomb = gzip.compress(bytes(payload.MAX_INFLATED_BYTES + 1), 1)
        self.assertIn("more than", faults(bomb)[0])

    def test_raw_is_kept_when_asked_for(self):
        found, = texts(b"\x00\xffbinary", keep_raw=True)
        self.assertEqual(b"\x00\xffbinary", base64.b64decode(json.loads(found)["raw"]))
        self.assertTrue(faults(gzip.compress(b"x")[:-1], keep_raw=True)[0])


class Identities(unittest.TestCase):
    def test_of_a_record(self):
        document = json.loads(streams.record("gw-17", 4711))
        self.assertEqual(("gw-17", "9f31c2a47be0d815", 4711), identity.identity_of(document))

    def test_none(self):
        good = {"device": "a", "spool": "b", "seq": 1}
        for name, value in (("device", ""), ("device", 5), ("spool", None), ("seq", "1"),
                            ("seq", True), ("seq", 1.0), ("seq", -1), ("seq", 1 << 53)):
            self.assertIsNone(identity.identity_of({**good, name: value}))
        self.assertEqual((1 << 53) - 1, identity.identity_of({**good, "seq": (1 << 53) - 1})[2])

    def test_pages_are_apart(self):
        ids = [identity.page_id(*names) for names in (
            ("a", "b", 0), ("a", "b", 65536), ("a,b", "", 0), ("a", "b,0", 0), ('a","b', "c", 0),
            ("a", 'b","c', 0), ("x" * 2000, "b", 0), ("x" * 2001, "b", 0), ("\ud800", "b", 0))]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual(ids[0], identity.page_id("a", "b", 65535))
        self.assertTrue(all(len(name.encode()) <= 2048 for name in ids))

    def test_a_page_holds_what_was_put_in(self):
        page = identity.Page()
        numbers = {0, 7, 8, 65535, 65536 * 3 + 9}
        for number in numbers:
            page.add(number)
        page = identity.Page(page.pack())
        found = {number for number in range(65536) if page.has(number)}
        self.assertEqual({number % 65536 for number in numbers}, found)

    def test_a_page_is_small(self):
        page = identity.Page()
        for number in range(65536):
            page.add(number)
        self.assertLess(len(page.pack()), 64)
        page.bits[:] = hashed(8192)
        self.assertLess(len(page.pack()), 9000)


def hashed(count):
    """Bytes that do not compress."""
    import hashlib                    # pylint: disable=import-outside-toplevel
    return b"".join(hashlib.sha256(bytes([at % 256, at // 256])).digest()
                    for at in range(count // 32))


class Exact(unittest.TestCase):
    def test_numbers_and_texts_stay(self):
        for text in ('{"a":41.50,"b":-0,"c":1e400,"d":123456789012345678901234567890.10}',
                     '{"text":"ä \\" \\\\ \\n","list":[true,false,null,{}]}', "[]", "5"):
            self.assertEqual(text, exact.dumps(exact.loads(text.encode())))


if __name__ == "__main__":
    fakes.main()
