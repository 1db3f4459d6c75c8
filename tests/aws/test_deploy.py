#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""platform/aws/deploy against an `aws` that notes how it is called: what is missing is said before
anything is changed."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "platform/aws"
TOOLS = ("bash", "cut", "dirname", "env", "mktemp", "rm", "sha256sum")

# Answers what ANSWERS says; a call whose first words are in FAILS fails.
AWS = """#!/usr/bin/env bash
echo "$*" >>"$CALLS"
case "$*" in
$FAILS*) [ -z "$FAILS" ] || exit 1 ;;
esac
case "$*" in
"sts get-caller-identity"*) echo 123456789012 ;;
*"OutputKey=='RestApiId'"*) echo "$API" ;;
*"OutputKey=='StageName'"*) echo prod ;;
*"OutputKey=='RoleAlias'"*) echo telemetry ;;
"iot describe-endpoint"*) echo abc.credentials.iot.eu-west-1.amazonaws.com ;;
esac
"""


class Deploy(unittest.TestCase):
    """One run each."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        (self.bin / "python3").symlink_to(sys.executable)
        (self.bin / "aws").write_text(AWS)
        (self.bin / "aws").chmod(0o755)
        (self.folder / "flink").mkdir()
        for name in ("deploy", "template.yaml", "flink/job.py"):
            shutil.copy(SOURCE / name, self.folder / name)

    def run_it(self, *arguments, fails="", api="abc123"):
        """(exit code, output and errors, calls of aws)."""
        calls = self.folder / "calls"
        calls.write_text("")
        environment = {"PATH": str(self.bin), "CALLS": str(calls), "FAILS": fails, "API": api,
                       "AWS_REGION": "eu-west-1", "TMPDIR": str(self.folder)}
        result = subprocess.run([self.folder / "deploy", *arguments], capture_output=True,
                                text=True, check=False, env=environment, timeout=60)
        return result.returncode, result.stdout + result.stderr, calls.read_text().splitlines()

    def test_deploys(self):
        """Packages, deploys with the parameters, brings the stage up to date, says what to use."""
        code, said, calls = self.run_it("--stack", "pumps", "Api=none", "ApiAuth=cognito")
        self.assertEqual(code, 0, said)
        changes = [call for call in calls if call.startswith(("cloudformation p", "cloudformation "
                                                              "deploy", "apigateway"))]
        self.assertEqual([call.split()[1] for call in changes],
                         ["package", "deploy", "create-deployment"])
        self.assertIn("--s3-bucket runnel-code-123456789012-eu-west-1", changes[0])
        self.assertIn("--stack-name pumps", changes[1])
        self.assertTrue(changes[1].endswith("--parameter-overrides Api=none ApiAuth=cognito"))
        self.assertIn("https://abc.credentials.iot.eu-west-1.amazonaws.com, role_alias pumps", said)
        self.assertEqual([each for each in os.listdir(self.folder) if each.startswith("tmp")], [])

    def test_without_api(self):
        """No API: nothing to bring up to date."""
        code, said, calls = self.run_it(api="None")
        self.assertEqual(code, 0, said)
        self.assertEqual([call for call in calls if "apigateway" in call], [])

    def test_flink(self):
        """The job is zipped under the name of its content, and the template is told."""
        (self.folder / "flink/connectors.jar").write_bytes(b"jar")
        code, said, calls = self.run_it("Flink=on")
        self.assertEqual(code, 0, said)
        key = next(call for call in calls if call.startswith("s3 cp")).rsplit("/", 1)[1]
        self.assertRegex(key, r"^flink-[0-9a-f]{16}\.zip$")
        deploy = next(call for call in calls if call.startswith("cloudformation deploy"))
        self.assertIn(f"FlinkCodeBucket=runnel-code-123456789012-eu-west-1 FlinkCodeKey={key}",
                      deploy)

    def refused(self, remedy, *arguments, **how):
        """It fails with REMEDY in what it says, and has changed nothing."""
        code, said, calls = self.run_it(*arguments, **how)
        self.assertEqual(code, 1, said)
        self.assertIn(remedy, said)
        self.assertEqual([call for call in calls if call.startswith(("cloudformation", "s3 "))], [])

    def test_missing(self):
        """Each thing that may be missing."""
        self.refused("aws s3 mb s3://code-of-mine", "--code", "code-of-mine",
                     fails="s3api head-bucket")
        self.refused("aws configure", fails="sts get-caller-identity")
        self.refused("curl -fo", "Flink=on")
        self.refused("the stack's name", "--stack", "Pumps")
        (self.bin / "aws").unlink()
        self.refused("the AWS command line is missing")


if __name__ == "__main__":
    unittest.main()
