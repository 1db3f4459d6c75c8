# SPDX-License-Identifier: Apache-2.0
"""
The template's tables, view and saved queries, over files in a folder that stands for the bucket:
their SQL is checked by Trino's grammar and run by DuckDB (trino.mjs).
"""
import base64
import datetime
import json
import pathlib
import re
import subprocess
import sys

import variants
from variants import cfn

import npm  # beside cfn

DUCKDB = ("@duckdb/node-api", "1.4.4-r.1")
PARSER = ("dt-sql-parser", "4.5.1")
# Hive's types as DuckDB calls them, and Trino's for the columns of a view.
TYPES = {"string": "VARCHAR", "bigint": "BIGINT", "int": "INTEGER", "double": "DOUBLE",
         "boolean": "BOOLEAN"}
OF_VIEW = {"string": "varchar"}


class Fault(Exception):
    """What the grammar or the engine says against a query."""


def kind_of(hive):
    """DuckDB's type for one of Hive."""
    inner = re.fullmatch(r"(\w+)(?:<(.*)>)?", hive)
    if inner[1] == "map":
        key, value = inner[2].split(",", 1)
        return f"MAP({kind_of(key)}, {kind_of(value)})"
    if inner[1] == "struct":
        members = (one.split(":", 1) for one in inner[2].split(","))
        return "STRUCT(" + ", ".join(f'"{name}" {kind_of(of)}' for name, of in members) + ")"
    return TYPES[hive]


def view_of(template):
    """The document inside the view's base64."""
    table = template["Resources"]["FleetView"]["Properties"]["TableInput"]
    inner = re.fullmatch(r"/\* Presto View: (\S+) \*/", table["ViewOriginalText"])[1]
    return json.loads(base64.b64decode(inner))


class Engine:
    """One stack's database; `now` is what its queries take for the time."""

    def __init__(self, folder, template):
        self.folder = pathlib.Path(folder)
        self.now = datetime.datetime.now(datetime.timezone.utc)
        self.process = subprocess.Popen(
            ["node", pathlib.Path(__file__).with_name("trino.mjs"), npm.install(*DUCKDB),
             npm.install(*PARSER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask({"sql": "CREATE SCHEMA Database"})
        for name, one in template["Resources"].items():
            if one["Type"] == "AWS::Glue::Table" and name in ("RecordsTable", "LakeTable",
                                                              "HealthTable", "RetiredTable"):
                self.make(one["Properties"]["TableInput"])
        self.view = view_of(template)["originalSql"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()

    def ask(self, request):
        """The answer of trino.mjs. Raises Fault."""
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "fault" in answer:
            raise Fault(answer["fault"])
        return answer

    def make(self, table):
        """Makes one of the template's tables."""
        place = self.folder / re.sub(r"^s3://[^/]+/", "", table["StorageDescriptor"]["Location"])
        keys = [one["Name"] for one in table.get("PartitionKeys", [])]
        columns = {one["Name"]: kind_of(one["Type"])
                   for one in table["StorageDescriptor"]["Columns"]}
        # A table without any file is one that DuckDB does not take.
        first = place.joinpath(*(f"{key}=0" for key in keys))
        first.mkdir(parents=True, exist_ok=True)
        (first / "none.jsonl").touch()
        glob = "/".join([str(place), *("*" for _ in keys), "*"])
        if "JsonSerDe" in table["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"]:
            types = {one["Name"]: kind_of(one["Type"]) for one in table["PartitionKeys"]}
            reader = (f"read_json('{glob}', format='newline_delimited', columns={columns}, "
                      f"hive_partitioning=true, hive_types={named(types)})")
        else:
            reader = f"read_csv('{glob}', columns={columns}, header=false, sep=chr(1), quote='')"
        self.ask({"sql": f"CREATE VIEW Database.{table['Name']} AS SELECT * FROM {reader}"})

    def freeze(self, name):
        """Reads the files of the table NAME for the last time."""
        self.ask({"sql": f"CREATE TABLE Database.frozen_{name} AS FROM Database.{name}"})
        self.ask({"sql": f"CREATE OR REPLACE VIEW Database.{name} AS "
                         f"FROM Database.frozen_{name}"})

    def query(self, sql):
        """(names, types, rows) of SQL, at `now`."""
        # Athena would find the view by itself.
        whole = re.sub(r"\bDatabase\.fleet\b", f"({self.view})", sql)
        fixed = whole.replace("current_timestamp", f"TIMESTAMP '{self.now:%Y-%m-%d %H:%M:%S}'")
        fixed = fixed.replace("current_date", f"DATE '{self.now:%Y-%m-%d}'")
        answer = self.ask({"trino": whole, "sql": fixed})
        return answer["names"], answer["types"], answer["rows"]


def named(types):
    return "{" + ", ".join(f"{name}: {kind}" for name, kind in types.items()) + "}"


def resolved(**parameters):
    """The template for PARAMETERS."""
    return cfn.resolve(variants.TEMPLATE, parameters)


def engine_or_skip(folder, template):
    """An Engine; ends the program with 77 where it cannot be had."""
    try:
        return Engine(folder, template)
    except npm.Unable as why:
        print(f"NOT RUN: {why}")
        sys.exit(77)
