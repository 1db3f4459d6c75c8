#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
platform/aws/template.yaml, for every choice of its parameters, against AWS's specification of
resources (npm @aws-cdk/aws-service-spec, read by spec.mjs), and then with planted bugs: the whole
for every pair of values, each resource in every form that it can have (variants.py).
"""
import json
import pathlib
import subprocess
import sys

import variants
from variants import cfn

import npm  # beside cfn

VERSION = "0.1.216"
SKIPPED = 77

# OLD and NEW text of the template, and what must be said of it.
PLANTED = (
    ("RetentionPeriodHours:", "RetentionPeriodHour:", "no property RetentionPeriodHour"),
    ("KeyType: API_KEY", "KeyKind: API_KEY", "KeyType is required"),
    ("[OnDemand, ON_DEMAND, PROVISIONED]", "[OnDemand, ON_DEMAND, PROVISIONAL]", "is none of"),
    ("Type: AWS::Kinesis::Stream\n", "Type: AWS::Kinesis::River\n", "no type AWS::Kinesis::River"),
    ("ParquetSerDe: {Compression: SNAPPY}", "ParquetSerDe: {Compresion: SNAPPY}",
     "no property Compresion"),
    ("!GetAtt WebAcl.Arn", "!GetAtt WebAcl.ARN", "has no such attribute"),
    ("MemorySize: 512", "MemorySize: much", "is no integer"),
    ("ThrottlingRateLimit: !Ref ApiThrottleRate", "ThrottlingRateLimit: [1]", "is no number"),
    ("Rules: [{ObjectOwnership: BucketOwnerEnforced}]", "Rules: {Id: x}", "is no list"),
    ("EnableKeyRotation: true", "EnableKeyRotation: 7", "is no boolean"),
    # Only in forms that the few sets below do not have.
    ("ErrorOutputPrefix: errors/source-", "ErrorOutputPrefixes: errors/source-",
     "no property ErrorOutputPrefixes"),
)


def packaged(resources):
    """As `aws cloudformation package` leaves them: a folder of code has become an object in S3."""
    for one in resources.values():
        if one["Type"] == "AWS::Lambda::Function" and one["Properties"]["Code"] == "lambda/":
            one["Properties"]["Code"] = {"S3Bucket": "code-of-runnel", "S3Key": "lambda.zip"}
    return resources


def line_of(template, given):
    """What spec.mjs reads for one set of parameters."""
    resolver, result = variants.resolved(template, given)
    references = sorted(set(resolver.references), key=str)
    return json.dumps({"resources": packaged(result["Resources"]), "references": references})


def lines_of(template, sets):
    """The template for each of SETS, then each form of each resource."""
    yield from (line_of(template, given) for given in sets)
    for name, resource in variants.each_resource(template):
        yield json.dumps({"resources": packaged({name: resource}), "references": []})


def faults_of(asked, modules):
    """For each (template, sets) of ASKED all that the specification says, and of how many lines."""
    groups = [list(lines_of(template, sets)) for template, sets in asked]
    script = pathlib.Path(__file__).parent / "spec.mjs"
    result = subprocess.run(["node", script, modules], capture_output=True, text=True, check=True,
                            input="\n".join(line for lines in groups for line in lines),
                            timeout=240)
    answers = iter([json.loads(line) for line in result.stdout.splitlines()])
    for lines in groups:
        faults = {fault for _ in lines for fault in next(answers)}
        yield sorted(faults), len(lines)


def planted():
    """(template, sets) of each planted bug."""
    text = variants.TEMPLATE.read_text("utf-8")
    few = [{"Waf": "on", "FirehoseFormat": "parquet", "Encryption": "kms", "ApiAuth": "api-key"}]
    for old, new, _ in PLANTED:
        if old not in text:
            raise ValueError(f"the template has no {old!r}")
        yield cfn.parse(text.replace(old, new)), few


def main():
    """Exit code of the test."""
    try:
        modules = npm.install("@aws-cdk/aws-service-spec", VERSION)
    except npm.Unable as why:
        print(f"NOT RUN: {why}")
        return SKIPPED
    template = cfn.load(variants.TEMPLATE)
    sets = variants.pairwise(template)[0]
    (faults, asked), *others = faults_of([(template, sets), *planted()], modules)
    for (_, new, said), (found, _) in zip(PLANTED, others, strict=True):
        if not any(said in fault for fault in found):
            faults.append(f"{new!r} is not found ({found[:2]})")
    print("\n".join(faults) or f"{len(sets)} sets of parameters, {asked - len(sets)} forms of "
          f"resources, {len(PLANTED)} planted bugs found")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
