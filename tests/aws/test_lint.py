#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
platform/aws/template.yaml through cfn-lint where that is installed, and then with a planted bug.

W1030 and W1031 are left out: they look at what a parameter's default makes of a property that its
condition, or a rule, keeps from being made with it.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import variants

SKIPPED = 77


def said_of(text):
    """What cfn-lint says of the template TEXT, line by line."""
    # As `aws cloudformation package` leaves it.
    text = re.sub(r"Code: lambda/$", "Code: {S3Bucket: code-of-runnel, S3Key: lambda.zip}", text,
                  flags=re.MULTILINE)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "template.yaml"
        file.write_text(text, "utf-8")
        result = subprocess.run(
            ["cfn-lint", "--format", "parseable", "--ignore-checks", "W1030", "W1031", "--", file],
            capture_output=True, text=True, check=False, timeout=280)
    if result.stderr:
        return [result.stderr.strip()]
    return result.stdout.splitlines()


def main():
    """Exit code of the test."""
    if not shutil.which("cfn-lint"):
        print("NOT RUN: cfn-lint is not installed (pip install cfn-lint)")
        return SKIPPED
    text = variants.TEMPLATE.read_text("utf-8")
    said = said_of(text)
    if not any("RetentionPeriodHour" in line for line in
               said_of(text.replace("RetentionPeriodHours:", "RetentionPeriodHour:"))):
        said.append("a misspelt property is not found")
    print("\n".join(said) or "cfn-lint finds nothing but the planted bug")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
