#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
usage: test_columns.py BUILD

Every record that the agent renders fits the columns of the template's tables: those that its unit
test of rendering expects, byte for byte, and those that a running agent has in its spool, of this
machine's own channels, which the template has never seen, and of documents.
"""
import json
import pathlib
import re
import sys
import tempfile
import unittest

import columns
import variants
from variants import cfn

sys.path.insert(0, str(variants.ROOT / "tests/e2e"))
import harness  # noqa: E402

RENDERED = variants.ROOT / "tests/unit/test_render_json.c"
LITERAL = r'"(?:[^"\\]|\\.)*"'
DOCUMENTS = ('{"state":"run","Rpm":1480,"axes":[1,2.5,null],"ts":"no time"}', '{}',
             '{"values":{"temp":"hot"},"tags":[],"deep":{"a":{"b":[{}]}}}')


def tables():
    """The tables of records, whichever the choices are."""
    resources = cfn.resolve(variants.TEMPLATE)["Resources"]
    return [resources[f"{name}Table"]["Properties"] for name in ("Records", "Lake", "Raw")]


def misfits(record):
    """What RECORD would lose in some table."""
    return [why for table in tables() if (why := columns.misfit_of(record, table))]


def unquoted(literals):
    """The text of adjacent literals of C."""
    text = "".join(one[1:-1] for one in re.findall(LITERAL, literals))
    return text.encode().decode("unicode_escape").encode("latin-1").decode()


def expected():
    """(the function of the unit test, record) of every record that it expects."""
    text = RENDERED.read_text("utf-8").replace("\\\n", "\n")
    before, head, behind = re.split(rf"#define HEAD\s+((?:{LITERAL}\s*)+)", text)
    for function in re.split(r"\nstatic void ", before + behind)[1:]:
        for literals in re.findall(rf"(?:HEAD|{LITERAL})(?:\s*{LITERAL})*", function):
            rendered = unquoted(literals.replace("HEAD", head))
            if rendered.startswith('{"device"') and "%s" not in rendered:
                yield function.split("(")[0], json.loads(rendered)


class Expected(unittest.TestCase):
    """What the unit test of rendering expects."""

    def test_nested(self):
        """All of the nested layout fits; there are values, texts, documents, gaps and tags."""
        records = [record for function, record in expected() if "flat" not in function]
        for record in records:
            with self.subTest(record):
                self.assertEqual(misfits(record), [])
        self.assertLessEqual({"values", "text", "data", "gap", "tags", "time_quality"},
                             {name for record in records for name in record})

    def test_flat(self):
        """The control: of the flat layout some does not."""
        flat = [record for function, record in expected() if "flat" in function]
        self.assertTrue(any(misfits(record) for record in flat))


class Running(unittest.TestCase):
    """What an agent has in its spool."""

    def test_spool(self):
        """This machine's channels, and documents."""
        with tempfile.TemporaryDirectory() as folder:
            agent = harness.Agent(
                harness.Run(BUILD, pathlib.Path(folder)), "https://localhost:1",
                sensors=[{"name": name, "driver": name, "interval": "100ms", "tags": {"Line": "1"}}
                         for name in ("proc", "sim")])
            agent.start()
            self.assertEqual(agent.send("plc", DOCUMENTS), 0, agent.tail())

            def whole():
                said = agent.call("spool", "export", "-c", agent.config_file).stdout
                found = [json.loads(line) for line in said.splitlines()]
                return found if {"proc", "sim", "plc"} == {one["sensor"] for one in found} else None

            records = harness.wait_until("records of each sensor", whole)
            self.assertEqual(agent.stop(), 0, agent.tail())
        self.assertEqual([why for record in records for why in misfits(record)], [])
        self.assertGreater(len({name for one in records for name in one.get("values", {})}), 3)
        # The control: a channel that the template would have to know.
        self.assertTrue(misfits({**records[0], "temp": 1}))


if __name__ == "__main__":
    BUILD = sys.argv.pop()
    unittest.main()
