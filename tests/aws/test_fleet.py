#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The hourly count: what it asks Athena, leaves in the bucket and tells CloudWatch, and how it
fails."""
import datetime
import gzip
import json
import sys
import unittest

import fakes
import fleet

sys.path.insert(0, str(fakes.ROOT / "tests/e2e"))
import health  # noqa: E402

ENVIRONMENT = {"DATABASE": "telemetry", "TABLES": "records,lake", "WORK_GROUP": "telemetry",
               "BUCKET": "b", "STACK": "telemetry", "SILENT_HOURS": "3"}
NOW_S = datetime.datetime(2026, 12, 1, 1, 5, 30, tzinfo=datetime.timezone.utc).timestamp()
HEALTH = {"event": "health", "version": "0.1.0", "config_id": "0123456789abcdef", "uptime_s": 3600,
          "depth": 12, "oldest_age_s": 17, "evicted": 0, "dead": 0, "clock": "synced",
          "certificate_days": 212, "flash_bytes": 4096, "flash_commits": 3, "link_bytes": 9,
          "healthy": True, "warnings": 0}
HEAD = ["device", "spool", "heard", "seq", "health"]


def row(device="gw-1", document=None, seq="7"):
    return [device, "9f31c2a47be0d815", "2026-12-01T00:59:00.000Z", seq,
            document if document is None or isinstance(document, str) else json.dumps(document)]


class Count(unittest.TestCase):
    def setUp(self):
        self.world = fakes.World()
        self.world.now_s = NOW_S
        self.world.athena.answer = self.answer
        self.found, self.silent = [row(document=HEALTH)], 0

    def answer(self, sql):
        return (["silent"], [[self.silent]]) if "silent_h" in sql else (HEAD, self.found)

    def run_it(self, **environment):
        settings = fleet.settings_of({**ENVIRONMENT, **environment})
        return fleet.Watch(self.world.services(), settings).run()

    def lines(self):
        (_, body), = self.world.s3.objects.items()
        return [json.loads(line) for line in gzip.decompress(body).splitlines()]

    def test_leaves_a_line(self):
        """With each member of the record but what names it, under the day and time of the call."""
        self.assertEqual((1, 0), self.run_it())
        self.assertEqual(["health/dt=2026-12-01/2026-12-01T01-05-30Z.jsonl.gz"],
                         list(self.world.s3.objects))
        known = {name: value for name, value in HEALTH.items() if name != "event"}
        self.assertEqual([{"device": "gw-1", "spool": "9f31c2a47be0d815", "seq": 7,
                           "heard": "2026-12-01T00:59:00.000Z", **known}], self.lines())

    def test_members(self):
        """Those that the agent's own test finds in its records."""
        self.assertEqual({**health.MEMBERS, **health.OPTIONAL}, {"event": str, **fleet.MEMBERS})

    def test_hours(self):
        """Three hours of each table, across the end of a month, and nothing else of them."""
        self.run_it()
        sql = self.world.athena.queries[0][0]
        for table in ("records", "lake"):
            for where in ("year = 2026 AND month = 12 AND day = 1 AND hour = 1",
                          "year = 2026 AND month = 12 AND day = 1 AND hour = 0",
                          "year = 2026 AND month = 11 AND day = 30 AND hour = 23"):
                self.assertIn(f"FROM telemetry.{table} WHERE {where}", sql)
        self.assertEqual(6, sql.count(" WHERE year"))
        self.world = fakes.World()
        self.world.athena.answer = self.answer
        self.run_it(TABLES="lake")
        self.assertEqual(3, self.world.athena.queries[0][0].count(" WHERE year"))

    def test_what_does_not_fit(self):
        """A member of another type is left out, a document that is none is no health record, and a
        device without one is a line all the same."""
        odd = {"event": "health", "version": 1, "config_id": None, "uptime_s": "3600",
               "depth": 1.5, "evicted": True, "dead": 1 << 63, "clock": [], "healthy": 1,
               "unknown": 2, "warnings": -1}
        self.found = [row("gw-1", odd), row("gw-2", "{"), row("gw-3", None, None),
                      row("gw-4", "[1]"), ["gw-5", None, "2026-12-01T00:59:00.000Z", None, None]]
        self.assertEqual((5, 0), self.run_it())
        first, *others = self.lines()
        self.assertEqual({"seq": 7, "warnings": -1},
                         {name: value for name, value in first.items()
                          if name not in ("device", "spool", "heard")})
        self.assertEqual([{"device", "spool", "heard"}] * 3 + [{"device", "heard"}],
                         [set(line) for line in others])

    def test_many(self):
        """More devices than Athena shows at once; the first of a page is no head."""
        self.found = [row(f"gw-{at}") for at in range(2500)]
        self.assertEqual((2500, 0), self.run_it())
        self.assertEqual({f"gw-{at}" for at in range(2500)},
                         {line["device"] for line in self.lines()})

    def test_metric(self):
        """What the alarm looks at; it is told behind the object, so that the view has it."""
        self.silent = 4
        self.assertEqual((1, 4), self.run_it(SILENT_HOURS="5"))
        self.assertEqual([("runnel", {
            "MetricName": "SilentDevices", "Value": 4, "Unit": "Count",
            "Dimensions": [{"Name": "Stack", "Value": "telemetry"}]})],
                         self.world.cloudwatch.metrics)
        self.assertTrue(self.world.athena.queries[1][0].endswith("silent_h >= 5"))
        for step in ("PutObject", "PutMetricData"):
            self.assertEqual(1, self.world.calls[step])

    def test_nothing_yet(self):
        """A fleet of which nothing has come: no object, and a count of 0."""
        self.found = []
        self.assertEqual((0, 0), self.run_it())
        self.assertEqual({}, self.world.s3.objects)
        self.assertEqual(0, self.world.cloudwatch.metrics[0][1]["Value"])

    def test_queries_that_fail(self):
        """No count then, rather than a wrong one: that the metric is missing rings."""
        for state, needle in (("FAILED", "max_by"), ("CANCELLED", "silent_h")):
            with self.subTest(state):
                self.setUp()
                self.world.athena.fails = lambda sql: state if needle in sql else None
                with self.assertRaisesRegex(fleet.Failed, f"{state}: planned"):
                    self.run_it()
                self.assertEqual([], self.world.cloudwatch.metrics)

    def test_a_query_that_does_not_end(self):
        """Is not waited for until Lambda ends the call."""
        self.world.athena.busy = 10_000
        with self.assertRaisesRegex(fleet.Failed, "no answer"):
            self.run_it()
        self.assertLess(self.world.slept_s, 300)

    def test_throttled(self):
        """Each call is made again."""
        for operation in ("StartQueryExecution", "GetQueryExecution", "GetQueryResults",
                          "PutObject", "PutMetricData"):
            self.world.refuse[operation] = [fakes.error("ThrottlingException")] * 2
        self.assertEqual((1, 0), self.run_it())
        self.assertEqual(1, len(self.world.cloudwatch.metrics))


if __name__ == "__main__":
    fakes.main()
