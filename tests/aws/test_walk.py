#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The commands of platform/aws/README.md, run in their order with an `aws` that notes how it is called
and answers as the stack would; each call is held against the models of the AWS command line.
"""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import commands
import variants
from variants import cfn

FOLDER = variants.TEMPLATE.parent
README = (FOLDER / "README.md").read_text("utf-8")
TEMPLATE = cfn.load(variants.TEMPLATE)

# Notes its arguments, each ended by \1 and each call by \2; a certificate it signs itself.
AWS = r"""#!/bin/bash
printf '%s\1' "$@" >>"$CALLS"
printf '\2' >>"$CALLS"
case "$*" in
"sts get-caller-identity"*) echo 123456789012 ;;
*"OutputKey=='RestApiId'"*) echo abc123 ;;
*"OutputKey=='StageName'"*) echo prod ;;
*"OutputKey=='RoleAlias'"*) echo telemetry ;;
"iot describe-endpoint"*) echo abc.credentials.iot.eu-west-1.amazonaws.com ;;
"iot create-certificate-from-csr"*)
    openssl x509 -req -in device.csr -signkey device.key -days 1 -out device.pem 2>/dev/null
    echo arn:aws:iot:eu-west-1:123456789012:cert/0 ;;
"athena start-query-execution"*) echo 11111111-2222 ;;
esac
"""


def blocks():
    """The shell's blocks, in their order."""
    found = re.findall(r"(?:^ {4}.*\n(?:\n(?= {4}))?)+", README, re.MULTILINE)
    return [block for block in found if re.match(r" +(aws|cd|query=|platform)", block)]


class Walk(unittest.TestCase):
    """One new user."""

    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        cls.folder = pathlib.Path(holder.name)
        (cls.folder / "bin").mkdir()
        for name, text in (("aws", AWS), ("sleep", "#!/bin/bash\n")):
            (cls.folder / "bin" / name).write_text(text)
            (cls.folder / "bin" / name).chmod(0o755)
        (cls.folder / "platform").symlink_to(variants.ROOT / "platform")
        calls = cls.folder / "calls"
        environment = {"PATH": f"{cls.folder}/bin:{os.environ['PATH']}", "CALLS": str(calls),
                       "AWS_REGION": "eu-west-1", "HOME": str(cls.folder)}
        script = "set -eu\n" + "".join(blocks()).replace("/var/lib/runnel", str(cls.folder))
        result = subprocess.run(["bash"], input=script, capture_output=True, text=True, check=False,
                                cwd=cls.folder, env=environment, timeout=120)
        cls.result = result
        cls.calls = [call.split("\1")[:-1] for call in calls.read_text().split("\2")[:-1]]

    def test_runs(self):
        """Every block ends well."""
        self.assertEqual(len(blocks()), 6)
        self.assertEqual((self.result.returncode, self.result.stderr), (0, ""))
        said = {" ".join(call[:2]) for call in self.calls}
        for one in ("cloudformation deploy", "iot attach-policy", "athena get-query-results"):
            self.assertIn(one, said)

    def test_models(self):
        """The command line takes every call; also those between backticks, and those in comments of
        what to do next."""
        for call in self.calls:
            with self.subTest(" ".join(call[:2])):
                self.assertEqual(list(commands.faults_of(call)), [])
        inline = [one.split() for one in re.findall(r"`aws ([^`]+?) ?`", README.replace("\n", " "))]
        self.assertGreaterEqual(len(inline), 4)
        for call in inline:
            with self.subTest(inline=" ".join(call[:2])):
                # What follows in prose is a value that the reader puts there.
                faults = [fault for fault in commands.faults_of(call)
                          if " wants " not in fault]
                self.assertEqual(faults, [])

    def test_controls(self):
        """Misspelt commands, options and values, and what is missing, are found."""
        for call, said in (
                ("iot create-thingy --thing-name a", "no create-thingy"),
                ("iot create-thing --name a", "no --name"),
                ("iot attach-policy --policy-name a", "wants --target"),
                ("iot update-certificate --certificate-id 1 --new-status GONE", "none of"),
                ("iot create-thing --thing-name a --query thing", "answers no thing"),
                ("iot attach-policy --policy-name --target a", "wants a value"),
                ("cloudformation deploy --template a", "no --template")):
            with self.subTest(call):
                self.assertIn(said, " ".join(commands.faults_of(call.split())))

    def test_key(self):
        """The key is the gateway's alone, the certificate is of it, and carries its name."""
        self.assertEqual((self.folder / "device.key").stat().st_mode & 0o077, 0)

        def openssl(*arguments):
            return subprocess.run(["openssl", *arguments], cwd=self.folder, text=True, check=True,
                                  capture_output=True, timeout=60).stdout
        self.assertEqual(openssl("x509", "-in", "device.pem", "-noout", "-pubkey"),
                         openssl("pkey", "-in", "device.key", "-pubout"))
        self.assertRegex(openssl("req", "-in", "device.csr", "-noout", "-subject"),
                         r"CN ?= ?gw-17\b")

    def test_names(self):
        """Things, parameters, policy, workgroup and outputs are the stack's."""
        outputs = {name: one["Value"] for name, one in cfn.resolve(TEMPLATE)["Outputs"].items()}
        called = {" ".join(call[:2]): commands.parts_of(call[2:])[0] for call in self.calls}
        self.assertEqual(called["iot attach-policy"]["--policy-name"], [outputs["PolicyName"]])
        self.assertEqual(called["athena start-query-execution"]["--work-group"],
                         [outputs["WorkGroup"]])
        given = called["cloudformation deploy"]["--parameter-overrides"]
        cfn.resolve(TEMPLATE, dict(one.split("=", 1) for one in given))
        script = (FOLDER / "deploy").read_text("utf-8")
        for name in re.findall(r"\$\(output (\w+)\)", script):
            self.assertIn(name, outputs)
        page = " ".join((FOLDER / "kcl/README.md").read_text("utf-8").split())
        named = [name for one in re.findall(r"\(outputs? ([^)]*)\)", page)
                 for name in re.findall(r"`(\w+)`", one)]
        self.assertGreater(len(named), 4)
        self.assertLessEqual(set(named), set(TEMPLATE["Outputs"]))

    def queries(self):
        """What Athena is asked."""
        return [commands.parts_of(call[2:])[0]["--query-string"][0] for call in self.calls
                if call[1] == "start-query-execution"]

    def test_fleet(self):
        """The second asks the view for columns of it."""
        database, table = re.search(r" FROM (\w+)\.(\w+) ", self.queries()[1]).groups()
        resources = cfn.resolve(TEMPLATE)["Resources"]
        view = resources["FleetView"]["Properties"]["TableInput"]
        self.assertEqual(
            (database, table),
            (resources["Database"]["Properties"]["DatabaseInput"]["Name"], view["Name"]))
        chosen, by = re.fullmatch(r"SELECT (\w+), count\(\*\) AS devices FROM .* GROUP BY (\w+)",
                                  self.queries()[1]).groups()
        self.assertEqual(chosen, by)
        self.assertIn(by, [one["Name"] for one in view["StorageDescriptor"]["Columns"]])

    def test_query(self):
        """The first query names a table of the database and columns of it."""
        query, _ = self.queries()
        resources = cfn.resolve(TEMPLATE)["Resources"]
        chosen, database, table, condition = re.fullmatch(
            r"SELECT (.*) FROM (\w+)\.(\w+) WHERE (.*) ORDER BY ts DESC LIMIT 10",
            " ".join(query.split())).groups()
        self.assertEqual(database, resources["Database"]["Properties"]["DatabaseInput"]["Name"])
        table, = (one["Properties"]["TableInput"] for one in resources.values()
                  if one["Type"] == "AWS::Glue::Table"
                  and one["Properties"]["TableInput"]["Name"] == table)
        columns = {one["Name"] for one in table["StorageDescriptor"]["Columns"]}
        self.assertLessEqual(set(chosen.replace('"', "").split(", ")), columns)
        self.assertEqual(set(re.findall(r"(\w+) = ", condition)),
                         {one["Name"] for one in table["PartitionKeys"]} - {"hour"})

    def test_kcl(self):
        """The KCL consumer's settings are those that it reads, and the stack's names."""
        page = (FOLDER / "kcl/README.md").read_text("utf-8")
        code = "".join((FOLDER / name).read_text("utf-8")
                       for name in ("kcl/processor.py", "lambda/consumer.py"))
        given = set(re.findall(r"\b([A-Z_]{2,})=", page)) - {"AWS_REGION", "PATH"}
        asked = set(re.findall(r'environment(?:\.get\(|\[)"([A-Z_]+)"', code))
        self.assertLessEqual(given, asked)
        self.assertLessEqual(set(re.findall(r'environment\["([A-Z_]+)"\]', code)), given)
        outputs = cfn.resolve(TEMPLATE, {"Consumer": "kcl"})["Outputs"]
        queue = re.search(r"DEAD_LETTERS=\S*/(\S+)", page)[1]
        self.assertEqual(queue, outputs["DeadLettersUrl"]["Value"])
        settings = dict(re.findall(r"^(\w+) = (.*)$",
                                   (FOLDER / "kcl/runnel.properties").read_text("utf-8"),
                                   re.MULTILINE))
        self.assertEqual(settings["applicationName"], outputs["KclApplication"]["Value"])
        self.assertEqual(settings["streamName"], outputs["StreamName"]["Value"])


if __name__ == "__main__":
    if not shutil.which("openssl"):
        raise SystemExit("openssl is missing: apt-get install openssl")
    unittest.main()
