#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Prints aggregated records as C: those without explicit hash keys, which runnel never has.

usage: kpl_vectors.py KPL_JSON OUTPUT
"""
import json
import sys


def text_of(data):
    return '"' + "".join(f"\\x{byte:02x}" for byte in data) + '"'


def vector_of(vector):
    records = [bytes.fromhex(record["data_hex"]) for record in vector["user_records"]]
    key = vector["outer_partition_key"].encode()
    whole = bytes.fromhex(vector["aggregated_hex"])
    parts = ", ".join(f"{{{len(data)}, {text_of(data)}}}" for data in records)
    return (f'    {{"{vector["name"]}", {len(key)}, {text_of(key)}, {len(whole)}, '
            f'{text_of(whole)}, {len(records)}, {{{parts}}}}},\n')


def main():
    with open(sys.argv[1], encoding="utf-8") as source:
        vectors = json.load(source)["vectors"]
    plain = [vector for vector in vectors
             if all(record["explicit_hash_key"] is None for record in vector["user_records"])]
    with open(sys.argv[2], "w", encoding="utf-8") as output:
        output.writelines(vector_of(vector) for vector in plain)


if __name__ == "__main__":
    main()
