#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints agent/batch/partition_table.def: the numbers behind the partition keys of "even".

Kinesis puts a record where the MD5 of its partition key lies in the 128-bit space. The space is
cut into SLOTS equal slots; for each the smallest number is searched whose base-36 text has its
MD5 in the first 1/1000 of the slot. So near to its start no boundary of up to 1,000 equal shards
falls between the two, and the keys count as if they were spaced exactly evenly. About 40 million
MD5s, two minutes. tests/unit/test_partition.c verifies the result.
"""
import hashlib
import itertools
import sys

SLOTS = 4096
TOLERANCE = 1000
DIGITS = b"0123456789abcdefghijklmnopqrstuvwxyz"
SPACE_BITS = 64
SLOT_SIZE = (1 << SPACE_BITS) // SLOTS


def texts():
    """Base-36 texts of 1, 2, 3... without leading zeros."""
    for length in itertools.count(1):
        for first in DIGITS[1:]:
            for rest in itertools.product(DIGITS, repeat=length - 1):
                yield bytes((first, *rest))


def search():
    numbers = [0] * SLOTS
    left = SLOTS
    md5 = hashlib.md5
    limit = SLOT_SIZE // TOLERANCE
    for number, text in enumerate(texts(), start=1):
        place = int.from_bytes(md5(text).digest()[:8], "big")
        slot, distance = divmod(place, SLOT_SIZE)
        if distance < limit and numbers[slot] == 0:
            numbers[slot] = number
            left -= 1
            if left == 0:
                return numbers


def main():
    print("/* SPDX-License-Identifier: Apache-2.0 */")
    print("/* Made by tests/tools/partition_table.py: number N is the key that is N in base 36, "
          "whose")
    print(" * MD5 lies at the start of the slot (one of 4,096) that is N's place in this list. */")
    numbers = search()
    for row in range(0, SLOTS, 10):
        print(" ".join(f"{number}," for number in numbers[row:row + 10]))


if __name__ == "__main__":
    sys.exit(main())
