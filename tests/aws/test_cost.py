#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
platform/aws/cost.py: its inputs against the template and the functions, its sums against sums by
hand, and that the page has what it prints.
"""
import gzip
import json
import math
import pathlib
import random
import subprocess
import sys
import unittest

import fakes
import streams
import variants
from variants import cfn

FOLDER = variants.TEMPLATE.parent
README = (FOLDER / "README.md").read_text("utf-8")
sys.path.insert(0, str(FOLDER))
import cost  # noqa: E402
import delivery  # noqa: E402
from fleet import HOURS_BACK, line_of  # noqa: E402
import output  # noqa: E402

HOUR_A_MONTH = 720


def alarms(**parameters):
    """How many alarms a stack has."""
    resources = cfn.resolve(variants.TEMPLATE, parameters)["Resources"].values()
    return sum(one["Type"] == "AWS::CloudWatch::Alarm" for one in resources)


def readings(count, devices=1):
    """Typical records, as the agent renders them."""
    value = random.Random(1)
    return [(f'{{"device":"gw-{at % devices:04}","sensor":"board","ts":"2026-11-23T22:{at % 60:02}:'
             f'26.{at % 1000:03}Z","seq":{4711 + at},"spool":"9f31c2a47be0d815","tags":{{"site":'
             f'"pump-4"}},"values":{{"temp":{40 + value.random():.2f}}}}}').encode()
            for at in range(count)]


class Inputs(unittest.TestCase):
    """What cost.py assumes of the stack is what the stack is."""

    def test_template(self):
        """Windows, sizes and memory are the template's defaults."""
        resources = cfn.resolve(variants.TEMPLATE)["Resources"]
        mapping = resources["ConsumerMapping"]["Properties"]
        self.assertEqual(int(mapping["BatchSize"]), cost.BATCH_RECORDS)
        self.assertEqual(int(mapping["MaximumBatchingWindowInSeconds"]), cost.WINDOW_S)
        function = resources["ConsumerFunction"]["Properties"]
        self.assertEqual(function["MemorySize"], cost.FUNCTION_GB * 1024)
        self.assertEqual(function["Architectures"], ["arm64"])
        hints = resources["DeliveryStream"]["Properties"]["ExtendedS3DestinationConfiguration"][
            "BufferingHints"]
        self.assertEqual((int(hints["SizeInMBs"]) << 20, int(hints["IntervalInSeconds"])),
                         (cost.FIREHOSE_BUFFER, cost.FIREHOSE_S))

    def test_alarms(self):
        """As many as each way has."""
        counted = alarms(Api="none", Firehose="none")
        self.assertEqual(counted - alarms(Api="none", Firehose="none", Fleet="off"),
                         cost.FLEET_ALARMS)
        stream = counted - cost.FLEET_ALARMS
        self.assertEqual(stream, cost.STREAM_ALARMS)
        self.assertEqual(alarms(Api="none", StreamMode="none", Fleet="off"), cost.FIREHOSE_ALARMS)
        self.assertEqual(alarms(Firehose="none") - counted, cost.API_ALARMS)

    def row_of(self, at, value):
        """What Athena answers of device number AT, of random VALUEs."""
        health = {"version": "0.1.0", "config_id": "0123456789abcdef", "depth": 0, "evicted": 0,
                  "oldest_age_s": value.randrange(60), "dead": 0, "clock": "synced",
                  "certificate_days": value.randrange(365), "healthy": True, "warnings": 0,
                  "uptime_s": value.randrange(10**7), "flash_bytes": value.randrange(10**9),
                  "flash_commits": value.randrange(10**5), "link_bytes": value.randrange(10**9)}
        return {"device": f"gw-{at}", "spool": f"{value.getrandbits(64):016x}", "seq": str(at),
                "heard": f"2026-11-28T19:{at % 60:02}:{at % 59:02}.{at % 1000:03}Z",
                "health": json.dumps(health)}

    def test_count(self):
        """Hours, memory and days are those of the count; what it leaves is as large as assumed."""
        self.assertEqual(cost.COUNT_HOURS, HOURS_BACK + 0.5)
        resources = cfn.resolve(variants.TEMPLATE)["Resources"]
        function = resources["FleetFunction"]["Properties"]
        self.assertEqual(function["MemorySize"], cost.FUNCTION_GB * 1024)
        self.assertEqual(resources["FleetSchedule"]["Properties"]["ScheduleExpression"],
                         "rate(1 hours)")
        self.assertEqual(cost.RETIRE_DAYS,
                         cfn.load(variants.TEMPLATE)["Parameters"]["RetireDays"]["Default"])
        value = random.Random(1)
        lines = [line_of(self.row_of(at, value)) for at in range(10000)]
        self.assertAlmostEqual(len(output.pack(lines)) / 10000, cost.HEALTH_BYTES, delta=9)

    def test_reading(self):
        """A typical record is as large as assumed, within a tenth; a minute of them as gzip."""
        lines = streams.lines(readings(60))
        self.assertAlmostEqual(len(lines) / 60, cost.READING_BYTES, delta=16)
        self.assertLess(len(gzip.compress(lines)) / 60, 1.1 * cost.GZIP_BYTES)

    def calls_of(self, devices):
        """What one call of the consumer asks of AWS for a batch of DEVICES."""
        world = fakes.World()
        shard = streams.Shard("shardId-000000000000")
        for data in readings(devices, devices):
            shard.put(data)
        self.assertTrue(streams.Mapping(world, shard, random.Random(1)).call(devices))
        writes = [put for some in world.dynamodb.tokens.values() for put in some]
        return world.calls, len(writes)

    def test_chunks(self):
        """A chunk: one read, two transactions (the shard's item in both), one object; as many pages
        as it has devices, and no more of them than assumed."""
        self.assertEqual(cost.CHUNK_PAGES, delivery.MAX_PAGES)
        for devices in (1, cost.CHUNK_PAGES, 200):
            chunks = math.ceil(devices / cost.CHUNK_PAGES)
            calls, writes = self.calls_of(devices)
            self.assertEqual((calls["BatchGetItem"], calls["TransactWriteItems"],
                              calls["PutObject"]), (chunks, 2 * chunks, chunks))
            self.assertEqual(writes, devices + 2 * chunks)


class Sums(unittest.TestCase):
    """A month of 30 days, by hand, at the prices that stand in cost.py."""

    def test_stream(self):
        """One gateway, a batch a minute: a shard for 720 hours and 43,200 units."""
        fleet = cost.Fleet(1, 1.0, 60)
        load = cost.packed(fleet, "lines")
        self.assertEqual((fleet.requests, load.records, load.record_bytes), (43200, 43200, 9600))
        self.assertAlmostEqual(cost.stream_cost(load), HOUR_A_MONTH * 0.015 + 43200 * 0.014e-6)
        # 10,000 readings a second take 20 shards for twice that; packed it is the bytes that count.
        many = cost.Fleet(10000, 1.0, 60)
        self.assertEqual(cost.shards(cost.packed(many, "none")), 20)
        self.assertEqual(cost.shards(cost.packed(many, "lines")), 4)
        # 300 readings of 160 bytes are two units of 25 KiB.
        slow = cost.packed(cost.Fleet(1, 1.0, 300), "lines")
        self.assertAlmostEqual(cost.stream_cost(slow), HOUR_A_MONTH * 0.015 + 8640 * 2 * 0.014e-6)

    def test_consumer(self):
        """One gateway: a call a minute, of one chunk with one page."""
        fleet = cost.Fleet(1, 1.0, 60)
        seconds = 43200 * 0.25 + 2592000 * 30e-6
        each = 0.2e-6 + (0.125e-6 + 2 * 0.625e-6) + (0.125e-6 + 4 * 0.625e-6) + 5e-6
        self.assertAlmostEqual(
            cost.consumer_cost(fleet, cost.packed(fleet, "lines"), "even"),
            43200 * each + seconds * 0.5 * 0.0000133334)

    def test_many(self):
        """10,000 gateways: calls by bytes (9,600 a request, 4 MiB a call), a page a request, chunks
        of 90 pages."""
        fleet = cost.Fleet(10000, 1.0, 60)
        load = cost.packed(fleet, "lines")
        pages, calls = 432e6, 432e6 * 9600 / 2**22
        self.assertAlmostEqual(cost.consumer_calls(load), calls)
        chunks = pages / 90
        seconds = chunks * 0.25 + 25.92e9 * 30e-6
        self.assertAlmostEqual(
            cost.consumer_cost(fleet, load, "device"),
            calls * 0.2e-6 + pages * 1.375e-6 + chunks * (2.625e-6 + 5e-6)
            + seconds * 0.5 * 0.0000133334, places=6)

    def test_firehose(self):
        """A reading alone is billed as 5 KiB; sixty in a record as two such steps."""
        fleet = cost.Fleet(1, 1.0, 60)
        gib = 2592000 * 5120 / 2**30
        objects = 8640 * 5e-6
        self.assertAlmostEqual(cost.firehose_cost(cost.packed(fleet, "none")),
                               gib * 0.029 + objects)
        self.assertAlmostEqual(cost.firehose_cost(cost.packed(fleet, "lines")),
                               gib * 2 / 60 * 0.029 + objects)

    def test_api(self):
        """432 million requests: 333 of them at the first price, 99 at the second; and their log."""
        log = 432e6 * 350 / 2**30 * 0.5
        self.assertAlmostEqual(cost.api_cost(cost.Fleet(10000, 1.0, 60)),
                               333e6 * 3.5e-6 + 99e6 * 2.8e-6 + log)
        self.assertAlmostEqual(cost.tiered(1e9 + 5, ((333e6, 3), (667e6, 2), (math.inf, 1))),
                               999e6 + 1334e6 + 5)

    def test_count(self):
        """10,000 gateways: 36 million readings an hour of 20 bytes, two and a half of them; 14 days
        of 24 lines; 720 times 20 seconds of half a gigabyte."""
        many, one = cost.Fleet(10000, 1.0, 60), cost.Fleet(1, 1.0, 60)
        count, look = cost.count_bytes(many)
        self.assertAlmostEqual(count, 1.8e9)
        self.assertAlmostEqual(look, 10000 * cost.HEALTH_BYTES * 336)
        function = 20 * 0.5 * 0.0000133334 + 0.2e-6
        kept = 10000 * cost.HEALTH_BYTES * 720 / 2**30 * 0.023
        self.assertAlmostEqual(cost.count_cost(many),
                               720 * ((count + look) / 1e12 * 5 + function + 5e-6) + kept + 0.4)
        # Two queries of less than 10 MB.
        kept = cost.HEALTH_BYTES * 720 / 2**30 * 0.023
        self.assertAlmostEqual(cost.count_cost(one),
                               720 * (20e6 / 1e12 * 5 + function + 5e-6) + kept + 0.4)

    def test_rows(self):
        """A row is the sum of its parts, and per million what the month is to its readings."""
        fleet = cost.Fleet(10000, 1.0, 60)
        load = cost.packed(fleet, "lines")
        storage = 25.92e9 * 20 / 2**30 * 0.023
        month = (cost.stream_cost(load) + cost.consumer_cost(fleet, load, "even") + storage + 0.7
                 + cost.api_cost(fleet) + 0.2)
        row, = (line for line in cost.table([fleet]).splitlines()
                if line.startswith("| apigateway /lines |"))
        self.assertEqual(row, "| apigateway /lines | lines | 20 | "
                         f"{cost.money(month)} | {cost.money(month / 25920)} |")


class Page(unittest.TestCase):
    """The table of the README."""

    def test_table(self):
        """It is what cost.py prints."""
        printed = subprocess.run([sys.executable, "-B", pathlib.Path(cost.__file__)], check=True,
                                 capture_output=True, text=True).stdout
        self.assertIn(printed, README)


if __name__ == "__main__":
    unittest.main()
