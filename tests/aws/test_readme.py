#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What platform/aws/README.md says of the template."""
import re
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

    def test_tables(self):
        """The tables for Athena are those of the template."""
        declared = sorted(one["Properties"]["TableInput"]["Name"]
                          for one in TEMPLATE["Resources"].values()
                          if one["Type"] == "AWS::Glue::Table")
        self.assertEqual(sorted(re.findall(r"^\| `(\w+)` \| .* \| `\w+/", README, re.MULTILINE)),
                         declared)


    def test_fleet(self):
        """The columns of the view, and the saved queries."""
        table = README[README.index("| column of `fleet` |"):README.index("The saved queries")]
        named = [name for cell in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
                 for name in re.findall(r"`(\w+)`", cell)]
        view = TEMPLATE["Resources"]["FleetView"]["Properties"]["TableInput"]
        self.assertEqual(sorted(named),
                         sorted(one["Name"] for one in view["StorageDescriptor"]["Columns"]))
        queries = re.search(r"The saved queries (.*?) ask", README, re.DOTALL)[1]
        self.assertEqual(sorted(re.findall(r"`(\w+)`", queries) + ["latest"]),
                         sorted(one["Properties"]["Name"] for one in TEMPLATE["Resources"].values()
                                if one["Type"] == "AWS::Athena::NamedQuery"))


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
