#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What the far side costs a month, for each way in and each packing.

usage: cost.py [--gateways N] [--readings-per-second R] [--age SECONDS]

Prints two tables in Markdown (README.md has them for the defaults): the ways in by month and by
million readings, and the hourly count of the devices. It is arithmetic over the prices and
assumptions below, not a bill; both are to be checked before anyone relies on them. A free tier is
not counted.
"""
import argparse
import dataclasses
import math

MONTH_S = 30 * 86400
GIB = 1 << 30

# US dollars in us-east-1, as remembered on 2026-11-28 and not looked up: check them at
# https://aws.amazon.com/pricing/ for your region.
PRICES = {
    "api_request": ((333e6, 3.50e-6), (667e6, 2.80e-6), (19e9, 2.38e-6), (math.inf, 1.51e-6)),
                                        # REST; the first 333 millions of a month, the next ...
    "api_log_gb": 0.50,                 # access logs, CloudWatch
    "shard_hour": 0.015,
    "payload_unit": 0.014e-6,           # 25 KiB of one record
    "firehose_gb": 0.029,               # each record in steps of 5 KiB
    "lambda_request": 0.20e-6,
    "lambda_gb_s": 0.0000133334,        # arm64
    "dynamodb_write": 0.625e-6,         # on demand, 1 KiB; a transaction takes two
    "dynamodb_read": 0.125e-6,
    "s3_put": 5e-6,
    "s3_gb_month": 0.023,
    "alarm": 0.10,
    "metric": 0.30,
    "athena_tb": 5.0,                   # read; 10 MB a query at least
}

READING_BYTES = 160         # a typical record as JSON, with its line end
GZIP_BYTES = 20             # the same among others, as gzip
BASE64 = 4 / 3
KPL_BYTES = 8               # what an aggregate adds to a reading
LOG_BYTES = 350             # one line of the access log
FUNCTION_GB = 0.5
CHUNK_S = 0.25              # a chunk of the consumer: read, announce, write, commit
CHUNK_PAGES = 90            # delivery.MAX_PAGES
READING_S = 30e-6           # and what each reading adds
WINDOW_S = 60               # ConsumerWindowSeconds
BATCH_RECORDS = 1000        # BatchSize
BATCH_BYTES = 4 << 20       # what fits into a call of 6 MB as base64
PEAK = 2                    # shards for so many times the mean
FIREHOSE_BUFFER = 64 << 20
FIREHOSE_S = 300
STREAM_ALARMS, FIREHOSE_ALARMS, API_ALARMS, FLEET_ALARMS = 7, 3, 2, 1
COUNTS = MONTH_S / 3600     # of the devices, a month
COUNT_HOURS = 2.5           # of readings that each reads: two, and what there is of the third
COUNT_S = 20                # how long each takes
HEALTH_BYTES = 55           # what it leaves of each device, as gzip
RETIRE_DAYS = 14            # RetireDays: so much of that the view reads
QUERY_BYTES = 10e6          # the least that Athena bills


@dataclasses.dataclass
class Fleet:
    """What the gateways send."""
    gateways: int
    readings_per_s: float
    age_s: int

    @property
    def readings(self):
        """A month, of all."""
        return self.gateways * self.readings_per_s * MONTH_S

    @property
    def requests(self):
        """A month: each gateway sends when its batch is `age` old, or full."""
        batch = min(max(self.age_s * self.readings_per_s, 1), 500)
        return self.readings / batch


@dataclasses.dataclass
class Load:
    """What arrives of it at a stream: records and their size."""
    records: float
    record_bytes: float

    @property
    def total_bytes(self):
        """A month."""
        return self.records * self.record_bytes


def packed(fleet, packing):
    """The load of PACKING: none puts each reading into a record, the others a batch into one."""
    if packing == "none":
        return Load(fleet.readings, READING_BYTES)
    reading = {"kpl": READING_BYTES + KPL_BYTES, "lines": READING_BYTES,
               "lines+gzip": GZIP_BYTES}[packing]
    return Load(fleet.requests, reading * fleet.readings / fleet.requests)


def shards(load):
    """How many it takes: 1,000 records and 1 MiB a second each."""
    records_s = PEAK * load.records / MONTH_S
    bytes_s = PEAK * load.total_bytes / MONTH_S
    return max(1, math.ceil(records_s / 1000), math.ceil(bytes_s / (1 << 20)))


def stream_cost(load):
    """Kinesis Data Streams with shards."""
    units = load.records * math.ceil(load.record_bytes / (25 << 10))
    return shards(load) * MONTH_S / 3600 * PRICES["shard_hour"] + units * PRICES["payload_unit"]


def consumer_calls(load):
    """Calls of the consumer: by time, by records or by bytes, whichever makes most."""
    return max(shards(load) * MONTH_S / WINDOW_S, load.records / BATCH_RECORDS,
               load.total_bytes / BATCH_BYTES)


def consumer_cost(fleet, load, partition):
    """The function, the table of identities, the objects."""
    calls = consumer_calls(load)
    # By `even`, the records of one request may reach every shard, and each shard's calls its page.
    spread = 1 if partition == "device" else min(shards(load), load.records / fleet.requests)
    pages = min(fleet.requests * spread, calls * fleet.gateways)
    chunks = max(calls, pages / CHUNK_PAGES)
    duration = chunks * CHUNK_S + fleet.readings * READING_S
    cost = calls * PRICES["lambda_request"] + duration * FUNCTION_GB * PRICES["lambda_gb_s"]
    # A transaction's write counts twice. A page: read, and written once; a chunk: the shard's item
    # read, and written to announce and to commit; an object.
    cost += pages * (PRICES["dynamodb_read"] + 2 * PRICES["dynamodb_write"])
    cost += chunks * (PRICES["dynamodb_read"] + 4 * PRICES["dynamodb_write"])
    return cost + chunks * PRICES["s3_put"]


def storage_cost(fleet):
    """A month's readings, kept for a month."""
    return fleet.readings * GZIP_BYTES / GIB * PRICES["s3_gb_month"]


def firehose_cost(load):
    """By the rounded gigabyte, and the objects."""
    billed = load.records * math.ceil(load.record_bytes / 5120) * 5120
    objects = max(MONTH_S / FIREHOSE_S, load.total_bytes / FIREHOSE_BUFFER)
    return billed / GIB * PRICES["firehose_gb"] + objects * PRICES["s3_put"]


def tiered(count, tiers):
    """COUNT at the prices of TIERS, ((how many, price of one), ...)."""
    cost = 0
    for size, price in tiers:
        part = min(count, size)
        cost += part * price
        count -= part
    return cost


def api_cost(fleet):
    """Requests and their lines in the access log."""
    return tiered(fleet.requests, PRICES["api_request"]) + \
        fleet.requests * LOG_BYTES / GIB * PRICES["api_log_gb"]


def to_stream(fleet, packing, partition="even"):
    """Gateway, stream, consumer, bucket."""
    load = packed(fleet, packing)
    return stream_cost(load) + consumer_cost(fleet, load, partition) + \
        storage_cost(fleet) + STREAM_ALARMS * PRICES["alarm"]


def to_stream_by_device(fleet, packing):
    """The same with partition device."""
    return to_stream(fleet, packing, "device")


def to_firehose(fleet, packing):
    """Gateway, Firehose, bucket."""
    return firehose_cost(packed(fleet, packing)) + storage_cost(fleet) + \
        FIREHOSE_ALARMS * PRICES["alarm"]


def by_api(way):
    """The same behind the API."""
    return lambda fleet, packing: way(fleet, packing) + api_cost(fleet) + \
        API_ALARMS * PRICES["alarm"]


ROWS = (
    ("kinesis", "none", to_stream), ("kinesis, partition device", "none", to_stream_by_device),
    ("kinesis", "kpl", to_stream),
    ("kinesis", "lines", to_stream), ("kinesis", "lines+gzip", to_stream),
    ("firehose", "none", to_firehose), ("firehose", "lines", to_firehose),
    ("firehose", "lines+gzip", to_firehose),
    ("apigateway /records", "none", by_api(to_stream)),
    ("apigateway /lines", "lines", by_api(to_stream)),
    ("apigateway /firehose/lines", "lines", by_api(to_firehose)),
)


def count_bytes(fleet):
    """(what a count reads of the readings, what a look at the view reads)."""
    hour = fleet.readings / MONTH_S * 3600 * GZIP_BYTES
    return COUNT_HOURS * hour, fleet.gateways * HEALTH_BYTES * 24 * RETIRE_DAYS


def count_cost(fleet):
    """The hourly count of the devices: Athena, the function, the objects, metric and alarm."""
    read = sum(max(size, QUERY_BYTES) for size in count_bytes(fleet))
    function = COUNT_S * FUNCTION_GB * PRICES["lambda_gb_s"] + PRICES["lambda_request"]
    each = read / 1e12 * PRICES["athena_tb"] + function + PRICES["s3_put"]
    kept = fleet.gateways * HEALTH_BYTES * COUNTS / GIB * PRICES["s3_gb_month"]
    return COUNTS * each + kept + PRICES["metric"] + FLEET_ALARMS * PRICES["alarm"]


def link_bytes(way, packing):
    """Bytes on the link for each reading, without headers."""
    if way.endswith("/lines"):
        return GZIP_BYTES  # Content-Encoding: gzip of the whole body
    reading = {"none": READING_BYTES, "kpl": READING_BYTES + KPL_BYTES, "lines": READING_BYTES,
               "lines+gzip": GZIP_BYTES}[packing]
    return reading * BASE64


def money(value):
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def table(fleets):
    """The Markdown of every row for FLEETS."""
    heads = [f"{fleet.gateways:,} gateway{'s' if fleet.gateways > 1 else ''}" for fleet in fleets]
    lines = ["| way in | packing | link, B/reading | " +
             " | ".join(f"{head}, $/month" for head in heads) + " | " +
             " | ".join(f"{head}, $/million" for head in heads) + " |",
             "|---|---|---|" + "---|" * 2 * len(fleets)]
    for way, packing, cost in ROWS:
        months = [cost(fleet, packing) for fleet in fleets]
        millions = [month / fleet.readings * 1e6 for month, fleet in zip(months, fleets)]
        lines.append(f"| {way} | {packing} | {link_bytes(way, packing):.0f} | " +
                     " | ".join(map(money, months + millions)) + " |")
    return "\n".join(lines)


def count_table(fleets):
    """The Markdown of the hourly count for FLEETS."""
    lines = ["| gateways | a count reads, MB | counts of a day, GB | a look at `fleet`, MB "
             "| $/month |", "|---|---|---|---|---|"]
    for fleet in fleets:
        count, look = count_bytes(fleet)
        lines.append(f"| {fleet.gateways:,} | {money(count / 1e6)} | {money(24 * count / 1e9)} | "
                     f"{money(look / 1e6)} | {money(count_cost(fleet))} |")
    return "\n".join(lines)


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0].strip())
    parser.add_argument("--gateways", type=int, action="append", help="default 1 and 10,000")
    parser.add_argument("--readings-per-second", type=float, default=1.0, metavar="R")
    parser.add_argument("--age", type=int, default=60, metavar="SECONDS",
                        help="how long a batch fills (the lane's age)")
    given = parser.parse_args()
    fleets = [Fleet(gateways, given.readings_per_second, given.age)
              for gateways in given.gateways or (1, 10000)]
    print(table(fleets), count_table(fleets), sep="\n\n")


if __name__ == "__main__":
    main()
