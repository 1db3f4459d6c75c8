#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The view `fleet`, its saved queries and the hourly count, over the records of 10,000 devices
(gateways.py): the SQL is the template's and the function's own, checked by Trino's grammar and run
by DuckDB (trino.py). Planted bugs in each must be found.

usage: test_fleet_view.py [--every-hour]   a count behind each of the 30 hours, not behind a few
"""
import collections
import pathlib
import sys
import tempfile
import unittest

import fakes
import gateways
import trino
import fleet

DEVICES = 10_000
COUNTS = gateways.EVERY if "--every-hour" in sys.argv else gateways.SOME


class Fleet:
    """COUNT devices, gathered and counted."""

    def __init__(self, template, count):
        self.holder = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.holder.name)
        self.template = template
        self.records = gateways.of_fleet(count, COUNTS)
        gateways.write_retired(self.folder, count)
        self.engine = trino.engine_or_skip(self.folder, template)
        self.world = fakes.World()
        self.world.athena.answer = self.answer
        self.settings = fleet.settings_of(
            template["Resources"]["FleetFunction"]["Properties"]["Environment"]["Variables"])
        for now_s in gateways.write_hours(self.folder, self.records, COUNTS):
            self.world.now_s = now_s
            self.engine.now = gateways.datetime.datetime.fromtimestamp(now_s, gateways.UTC)
            fleet.Watch(self.world.services(), self.settings).run()
        self.engine.freeze("health")

    def answer(self, sql):
        """(names, rows), over a folder that has what the function put into the bucket."""
        for key, body in self.world.s3.objects.items():
            file = self.folder / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body)
        self.world.s3.objects.clear()
        return self.engine.query(sql)[::2]

    def rows(self, sql):
        """The rows of SQL as dictionaries."""
        names, _, rows = self.engine.query(sql)
        return [dict(zip(names, row)) for row in rows]

    def silent(self):
        """What the metric said, hour by hour."""
        return [one["Value"] for _, one in self.world.cloudwatch.metrics]

    def close(self):
        self.engine.close()
        self.holder.cleanup()


def differences(rows, expected):
    """(device, column, found, wanted) of all that is not alike."""
    found = {row["device"]: row for row in rows}
    for device in sorted(found.keys() ^ expected.keys()):
        yield device, None, device in found, device in expected
    for device in sorted(found.keys() & expected.keys()):
        for name, wanted in expected[device].items():
            value = found[device][name]
            value = int(value) if isinstance(wanted, int) and isinstance(value, str) else value
            if name == "flash_bytes_day" and wanted is not None:
                value, wanted = int(value), round(wanted)
            elif name == "silent_h":
                value, wanted = round(value, 9), round(wanted, 9)
            if value != wanted:
                yield device, name, value, wanted


class View(unittest.TestCase):
    """The whole fleet."""

    @classmethod
    def setUpClass(cls):
        cls.template = trino.resolved()
        cls.fleet = Fleet(cls.template, DEVICES)
        cls.addClassCleanup(cls.fleet.close)
        cls.expected = gateways.expected(cls.fleet.records, COUNTS)

    def saved(self, name):
        """The rows of a saved query."""
        sql, = (one["Properties"]["QueryString"] for one in self.template["Resources"].values()
                if one["Type"] == "AWS::Athena::NamedQuery" and one["Properties"]["Name"] == name)
        return self.fleet.rows(sql)

    def silent(self):
        """Names of the devices that are."""
        return {name for name, row in self.expected.items() if row["silent_h"] >= 3}

    def test_rows(self):
        """One row for each device, each value as worked out without SQL."""
        rows = self.fleet.rows("SELECT * FROM Database.fleet")
        self.assertEqual(len(rows), len({row["device"] for row in rows}))
        self.assertEqual(list(differences(rows, self.expected))[:5], [])
        kinds = collections.Counter(gateways.Device(int(name[3:])).kind for name in self.expected)
        # Of a device at 1970, `records` has nothing that a count looks at.
        self.assertEqual((kinds["1970"], kinds["retired"]), (250, 0))
        self.assertGreater(kinds["silent"], 400)

    def test_columns(self):
        """The view's columns are those that its SQL gives, in order, for Athena and for Glue."""
        names, types, _ = self.fleet.engine.query("SELECT * FROM Database.fleet LIMIT 0")
        table = self.template["Resources"]["FleetView"]["Properties"]["TableInput"]
        columns = table["StorageDescriptor"]["Columns"]
        given = [(one["name"], one["type"]) for one in trino.view_of(self.template)["columns"]]
        self.assertEqual(given, [(one["Name"], trino.OF_VIEW.get(one["Type"], one["Type"]))
                                 for one in columns])
        self.assertEqual(list(zip(names, types)),
                         [(one["Name"], trino.TYPES[one["Type"]]) for one in columns])

    def test_silent(self):
        """The metric counts those that the saved query names, longest first; before anything came
        it was 0."""
        rows = self.saved("silent")
        self.assertEqual({row["device"] for row in rows}, self.silent())
        hours = [row["silent_h"] for row in rows]
        self.assertEqual(hours, sorted(hours, reverse=True))
        said = self.fleet.silent()
        self.assertEqual((len(said), said[0], said[-1]), (len(COUNTS), 0, len(rows)))
        self.assertGreater(len(rows), 400)

    def test_versions(self):
        """Each version and configuration with its devices."""
        wanted = collections.Counter((row["version"], row["config_id"])
                                     for row in self.expected.values())
        silent = collections.Counter((self.expected[name]["version"],
                                      self.expected[name]["config_id"]) for name in self.silent())
        rows = self.saved("versions")
        self.assertEqual({(row["version"], row["config_id"]): (int(row["devices"]),
                                                               int(row["silent"])) for row in rows},
                         {key: (count, silent[key]) for key, count in wanted.items()})
        self.assertIn((None, None), wanted)  # readings alone

    def test_evictions(self):
        """Who lost something, most of the last day first."""
        rows = self.saved("evictions")
        self.assertEqual({row["device"] for row in rows},
                         {name for name, row in self.expected.items()
                          if row["evicted"] or row["dead"]})
        days = [int(row["evicted_day"]) for row in rows]
        self.assertEqual(days, sorted(days, reverse=True))
        # A spool that was replaced, both of them with losses.
        self.assertTrue(any(row["evicted"] > row["evicted_day"] > 0 for row in
                            self.expected.values() if row["evicted"]))

    def test_certificates_and_clocks(self):
        """Who needs a certificate, and whose clock is not set."""
        self.assertEqual([row["device"] for row in self.saved("certificates")],
                         sorted((name for name, row in self.expected.items()
                                 if (row["certificate_days"] or 0) <= 60 and
                                 row["certificate_days"] is not None),
                                key=lambda name: (self.expected[name]["certificate_days"], name)))
        self.assertEqual({row["device"] for row in self.saved("clocks")},
                         {name for name, row in self.expected.items()
                          if row["clock"] == "estimated"})

    def test_planted(self):
        """Bugs in the view's SQL."""
        for old, new in (
                ("heard_at DESC", "heard_at"), ("WHERE gone.device IS NULL", ""),
                ("INTERVAL '24' HOUR", "INTERVAL '12' HOUR"),
                ("GROUP BY device, spool", "GROUP BY device"),
                ("max(heard) AS last_seen", "min(heard) AS last_seen"), ("/ 3600", "/ 3601"),
                ("THEN 1 ELSE 0", "THEN 0 ELSE 1"), ("uptime_s >= 3600", "uptime_s >= 60"),
                ("INTERVAL '14' DAY", "INTERVAL '0' DAY"), ("LEFT JOIN gone", "JOIN gone"),
                ("min(evicted)) AS", "0) AS")):
            with self.subTest(new, instead_of=old):
                sql = self.fleet.engine.view
                self.assertIn(old, sql)
                rows = self.fleet.rows(f"SELECT * FROM ({sql.replace(old, new)})")
                self.assertIsNotNone(next(differences(rows, self.expected), None))

    def test_gathering(self):
        """What the last count asked for is what it had to find; planted bugs are found."""
        wanted = {key: (gateways.iso(heard_s), one and one.seq, one and one.data) for
                  key, (heard_s, one) in
                  gateways.gathered(self.fleet.records, gateways.NOW_S).items()}
        gather = fleet.gather_sql(self.fleet.settings, gateways.NOW)
        for old, new in (
                ("", ""), ("substr(ts, 1, 13) = arrived", "true"), ("sensor = 'runnel' AND ", ""),
                (" AND json_extract_scalar(data, '$.event') = 'health'", ""),
                ("max_by(health, seq)", "min_by(health, seq)"),
                ("hour = 17", "hour = 16"), ("Database.lake", "Database.records"),
                ("GROUP BY device, spool", "GROUP BY device, spool LIMIT 100")):
            with self.subTest(new, instead_of=old):
                self.assertIn(old, gather)
                found = {(row["device"], row["spool"]): (row["heard"], row["seq"] and
                                                         int(row["seq"]), row["health"])
                         for row in self.fleet.rows(gather.replace(old, new))}
                self.assertEqual(found == wanted, not old)

    def test_grammar(self):
        """What is no SQL of Trino is refused, though DuckDB takes it."""
        for sql in ("SELECT device::int FROM Database.fleet",
                    "SELECT * EXCLUDE (device) FROM Database.fleet",
                    "SELECT device FROM Database.fleet LIMIT 1 OFFSET 1"):
            with self.subTest(sql), self.assertRaisesRegex(trino.Fault, "^Trino: "):
                self.fleet.engine.query(sql)


if __name__ == "__main__":
    unittest.main(argv=[one for one in sys.argv if one != "--every-hour"])
