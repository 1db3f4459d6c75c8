#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns the JSON of the signing vectors into C tables for test_sigv4.

usage: sigv4_vectors.py SUITE_DIRECTORY VECTORS_JSON OUTPUT
"""
import datetime
import json
import pathlib
import sys
from urllib.parse import urlsplit

SUITE_FIELDS = ["directory", "access_key_id", "secret", "token", "region", "service", "date"]
VECTOR_FIELDS = ["name", "access_key_id", "secret", "region", "service", "date", "method", "path",
                 "query", "payload_hash", "canonical_request", "string_to_sign", "signing_key",
                 "authorization"]


def quoted(text):
    if text is None:
        return "NULL"
    plain = set(range(0x20, 0x7f)) - set(b'"\\?')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode()) + '"'


def members(values, fields):
    return "".join(f"     .{field} = {quoted(values[field])},\n" for field in fields)


def suite_case(directory):
    context = json.loads((directory / "context.json").read_text())
    time = datetime.datetime.strptime(context["timestamp"], "%Y-%m-%dT%H:%M:%SZ")
    credentials = context["credentials"]
    values = {
        "directory": directory.name,
        "access_key_id": credentials["access_key_id"],
        "secret": credentials["secret_access_key"],
        "token": None if context.get("omit_session_token") else credentials.get("token"),
        "region": context["region"],
        "service": context["service"],
        "date": time.strftime("%Y%m%dT%H%M%SZ"),
    }
    return (members(values, SUITE_FIELDS) +
            f"     .normalize = {str(context['normalize']).lower()},\n"
            f"     .sign_body = {str(context['sign_body']).lower()}")


def vector(source):
    url = urlsplit(source["url"])
    headers = dict(source["request_headers"])
    values = {
        "name": source["name"],
        "access_key_id": source["access_key_id"],
        "secret": source["secret_access_key"],
        "region": source["region"],
        "service": source["service"],
        "date": source["amz_date"],
        "method": source["method"],
        "path": url.path,
        "query": url.query,
        "payload_hash": headers.get("X-Amz-Content-SHA256", source["body_sha256"]),
        "canonical_request": source["canonical_request"],
        "string_to_sign": source["string_to_sign"],
        "signing_key": source["kSigning"],
        "authorization": headers.pop("Authorization"),
    }
    pairs = ", ".join(f"{{{quoted(n)}, {quoted(v)}}}" for n, v in headers.items())
    return (members(values, VECTOR_FIELDS) +
            f"     .headers = {{{pairs}}},\n"
            f"     .header_count = {len(headers)}")


def table(kind, name, rows):
    body = "".join(f"    {{\n{row}}},\n" for row in rows)
    return f"static const struct {kind} {name}[] = {{\n{body}}};\n"


def main():
    suite, vectors, output = map(pathlib.Path, sys.argv[1:4])
    cases = sorted(path for path in suite.iterdir() if path.is_dir())
    sources = json.loads(vectors.read_text())["vectors"]
    output.write_text(
        "/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by sigv4_vectors.py. */\n" +
        table("suite_case", "suite_cases", map(suite_case, cases)) +
        table("vector", "vectors", map(vector, sources)))


if __name__ == "__main__":
    main()
