#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What platform/aws/README.md says of the template and of its costs."""
import pathlib
import re
import subprocess
import sys
import unittest

import variants
from variants import cfn

FOLDER = variants.TEMPLATE.parent
README = (FOLDER / "README.md").read_text("utf-8")
TEMPLATE = cfn.load(variants.TEMPLATE)


def values_of(declared):
    """The cell of the table that says what a parameter may be."""
    if "AllowedValues" in declared:
        return " ".join(f"`{value}`" for value in declared["AllowedValues"])
    if "MaxValue" in declared:
        return f"{declared['MinValue']} to {declared['MaxValue']}"
    return f"from {declared['MinValue']}" if "MinValue" in declared else "text"


class Tables(unittest.TestCase):
    """Tables that repeat what a file says."""

    def test_parameters(self):
        """Each parameter has its row, and no row is of anything else."""
        rows = [f"| {name} | {values_of(one)} | "
                + (f"`{one['Default']}`" if one["Default"] != "" else "-")
                + f" | {one['Description']} |" for name, one in TEMPLATE["Parameters"].items()]
        self.assertIn("| parameter | values | default | |\n|---|---|---|---|\n" + "\n".join(rows)
                      + "\n\n", README)

    def test_costs(self):
        """The table of costs is what cost.py prints."""
        printed = subprocess.run([sys.executable, FOLDER / "cost.py"], capture_output=True,
                                 text=True, check=True).stdout
        self.assertIn(printed, README)

    def test_tables(self):
        """The tables for Athena are those of the template."""
        declared = sorted(one["Properties"]["TableInput"]["Name"]
                          for one in TEMPLATE["Resources"].values()
                          if one["Type"] == "AWS::Glue::Table")
        self.assertEqual(sorted(re.findall(r"^\| `(\w+)` \| .* \| `\w+/", README, re.MULTILINE)),
                         declared)


class Costs(unittest.TestCase):
    """cost.py against sums by hand."""

    @classmethod
    def setUpClass(cls):
        sys.path.insert(0, str(FOLDER))
        import cost
        cls.cost = cost

    def test_stream(self):
        """One gateway, a batch a minute: a shard for 720 hours and 43,200 units."""
        fleet = self.cost.Fleet(1, 1.0, 60)
        load = self.cost.packed(fleet, "lines")
        self.assertEqual((fleet.requests, load.records, load.record_bytes), (43200, 43200, 9600))
        self.assertAlmostEqual(self.cost.stream_cost(load), 720 * 0.015 + 43200 * 0.014e-6)
        # 10,000 readings a second take 20 shards for twice that; packed it is the bytes that count.
        many = self.cost.Fleet(10000, 1.0, 60)
        self.assertEqual(self.cost.shards(self.cost.packed(many, "none")), 20)
        self.assertEqual(self.cost.shards(self.cost.packed(many, "lines")), 4)

    def test_firehose(self):
        """A reading alone is billed as 5 KiB; sixty in a record as two such steps."""
        fleet = self.cost.Fleet(1, 1.0, 60)
        gib = 2592000 * 5120 / 2**30
        objects = 8640 * 5e-6
        self.assertAlmostEqual(self.cost.firehose_cost(self.cost.packed(fleet, "none")),
                               gib * 0.029 + objects)
        self.assertAlmostEqual(self.cost.firehose_cost(self.cost.packed(fleet, "lines")),
                               gib * 2 / 60 * 0.029 + objects)


class Names(unittest.TestCase):
    """Names of files and outputs."""

    def test_files(self):
        """Files that the page names are there."""
        for name in re.findall(r"(?:platform|tests)/[\w./]+\w", README):
            if name != "tests/run":
                self.assertTrue((variants.ROOT / name).exists(), name)

    def test_outputs(self):
        """Every output that is named there exists."""
        table = README[README.index("| destination | settings |"):README.index("`runnel check`")]
        named = set(re.findall(r"\b([A-Z][a-z]+(?:[A-Z][a-z]+)+)\b", table))
        known = set(TEMPLATE["Outputs"]) | set(TEMPLATE["Parameters"])
        self.assertEqual(named - known, set())
        self.assertGreater(len(named), 8)


if __name__ == "__main__":
    unittest.main()
