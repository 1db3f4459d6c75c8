#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What a million readings cost on the wire and on the bill, by how they are packed.

A typical reading is one value with two decimals that wanders (driver sim, wave walk, around 20): 10
sensors once a second, and the default age of 60 s, make 600 of them a request. Here ten times as
fast, so that a request is as large after 6 s. Wire bytes are what the agent's sockets saw of TLS,
both ways, with heads, signatures and replies; a connection rests too long for the next request at
the real pace, so a handshake that takes up the session before is added to each.

  wire        MB for a million readings, which are bytes for one
  PPU         PUT payload units of a provisioned stream of Kinesis: 25 KB of an entry, begun ones
  on-demand   MB that an on-demand stream of Kinesis bills: entries rounded up to 1 KB
  calls       of an API: REST APIs by the call, HTTP APIs by 512 KB of a body, begun ones
"""
import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import apigateway  # pylint: disable=wrong-import-position
import bench  # pylint: disable=wrong-import-position
import estimate  # pylint: disable=wrong-import-position
import harness  # pylint: disable=wrong-import-position
from harness import check  # pylint: disable=wrong-import-position

MILLION = 1000000
MOST_BYTES = 20  # of a typical reading by lines+gzip
HANDSHAKE_BYTES = 377 + 139 + 31  # resumed, and its end: handshake.py
CASES = {
    "none": {},
    "kpl": {"pack": "kpl"},
    "lines": {"pack": "lines"},
    "lines+gzip": {"pack": "lines", "compress": "gzip"},
    "api+gzip": {"body": "lines", "compress": "gzip"},
}
COLUMNS = ("date", "commit", "machine", "case", "records", "requests", "wire_bytes_per_reading",
           "ppu_per_million", "on_demand_mb_per_million",
           "calls_per_million")
SETTINGS = {
    "sensors": [{"name": f"sensor-{number}", "driver": "sim", "interval": "100ms", "wave": "walk",
                 "offset": 20, "seed": number + 1} for number in range(10)],
    "spool": {"lanes": {"normal": {"age": "6s"}}},
}


def measure(run, world, case, seconds):
    route = {**CASES[case], **harness.NO_QUESTION}
    if case.startswith("api"):
        api = world.api(kind="lines")
        agent = harness.Agent(run, None, world.certificates / "ca.pem", name=case, **SETTINGS,
                              routes=[{**world.keys_of(api), **route}])
        found = estimate.watch(agent, seconds)
        api.stop()
        return {**found, "calls": found["requests"]}
    sink = harness.Sink(run, name=f"{case}-sink")
    agent = harness.Agent(run, sink.endpoint, sink.ca, name=case, **SETTINGS, routes=[route])
    return estimate.measure(agent, sink, "kinesis", seconds)


def make_row(case, found):
    """Amounts a second become amounts a million readings."""
    def per_million(name, scale=1):
        return round(found[name] / found["records"] * MILLION / scale, 1) if name in found else ""

    wire = found["link_bytes"] + found["requests"] * HANDSHAKE_BYTES
    each = wire / found["records"]
    return {"case": case, "records": round(found["records"] * found["seconds"]),
            "requests": round(found["requests"] * found["seconds"]),
            "wire_bytes_per_reading": round(each, 1),
            "ppu_per_million": per_million("put_payload_units"),
            "on_demand_mb_per_million": per_million("on_demand_bytes", MILLION),
            "calls_per_million": per_million("calls")}


def scenario(run, options):
    world = apigateway.World(run)
    about = bench.describe()
    rows = []
    for case in options.cases:
        rows.append({**about, **make_row(case, measure(run, world, case, options.seconds))})
    bench.print_columns(rows, (
        ("case", "case"), ("records", "records"), ("requests", "requests"),
        ("wire_bytes_per_reading", "wire MB/M"),
        ("ppu_per_million", "PPU/M"), ("on_demand_mb_per_million", "on-demand MB/M"),
        ("calls_per_million", "calls/M")))
    if options.results:
        bench.append(options.results, rows, COLUMNS)
    found = {row["case"]: row["wire_bytes_per_reading"] for row in rows}
    check(found.get("lines+gzip", 0) <= MOST_BYTES, f"more than {MOST_BYTES} bytes a reading")
    check(found.get("lines", math.inf) > MOST_BYTES, "without gzip it cannot be so little")


if __name__ == "__main__":
    chosen = harness.arguments(
        __doc__, (("--seconds",), {"type": int, "default": 11,
                                   "help": "how long each case is watched, and up to 6 more (11)"}),
        (("--results",), {"metavar": "FILE", "help": "append the rows to this CSV file"}),
        (("cases",), {"nargs": "*", "default": list(CASES), "metavar": "CASE",
                      "type": harness.one_of(CASES)}))
    harness.main(chosen, lambda run: scenario(run, chosen))
