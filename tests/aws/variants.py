# SPDX-License-Identifier: Apache-2.0
"""
Sets of parameters of platform/aws/template.yaml that between them have every value of every
parameter, and every pair of values of two parameters unless a rule of the template refuses it.
"""
import itertools
import pathlib
import random
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "platform/aws/template.yaml"
sys.path.insert(0, str(ROOT / "tests/tools"))
import cfn  # noqa: E402

# What the rules ask for beside a choice; harmless where it is not asked for.
PLACES = {
    "VpcId": "vpc-0123456789abcdef0", "SubnetIds": "subnet-0123456789abcdef0",
    "SecurityGroupIds": "sg-0123456789abcdef0", "FlinkCodeBucket": "code-of-runnel",
    "FlinkCodeKey": "flink.zip",
    "OpenSearchDomainArn": "arn:aws:es:eu-west-1:123456789012:domain/readings",
    "RedshiftJdbcUrl": "jdbc:redshift://c.abc.eu-west-1.redshift.amazonaws.com:5439/readings",
    "RedshiftSecretArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:redshift-abcdef",
    "HttpUrl": "https://example.com/readings",
    "HttpSecretArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:http-abcdef",
}

# Values that matter of parameters without a list of them: those that a condition asks for, and the
# ends of ranges.
FREE = {"ArchiveAfterDays": [0, 90], "ExpireAfterDays": [0, 365],
        "AlarmEmail": ["", "a@example.com"], "ApiPrivateEndpoint": ["", "vpce-0123456789abcdef0"],
        "FirehoseBufferSeconds": [0, 300, 900], "ConsumerWindowSeconds": [0, 60, 300],
        "StreamHours": [24, 8760], "Shards": [1, 1000]}


def choices(template):
    """The values to try of each parameter, as texts."""
    result = {}
    for name, declared in template["Parameters"].items():
        values = declared.get("AllowedValues") or FREE.get(name)
        if values:
            result[name] = [str(value) for value in values]
    return result


def refusals(template, given):
    """What the rules say against GIVEN."""
    return cfn.Resolver(template, {**PLACES, **given}).refusals()


def _candidate(template, values, pair, dice):
    """An allowed set with PAIR in it, else None."""
    for _ in range(30):
        given = {name: dice.choice(some) for name, some in values.items()} | dict(pair)
        if not refusals(template, given):
            return given
    return None if refusals(template, dict(pair)) else dict(pair)


def pairwise(template):
    """(sets of parameters, pairs that are refused)."""
    values = choices(template)
    single = [[(name, value) for value in some] for name, some in values.items()]
    dice = random.Random(1)
    sets, refused, covered = [{}], [], set()
    for ones in itertools.combinations(single, 2):
        for pair in itertools.product(*ones):
            if pair in covered:
                continue
            given = _candidate(template, values, pair, dice)
            if given is None:
                refused.append(pair)
                continue
            sets.append(given)
            covered.update(itertools.combinations(
                [(name, given[name]) for name in values if name in given], 2))
    return sets, refused


def resolved(template, given):
    """(resolver, resolved template) for GIVEN."""
    resolver = cfn.Resolver(template, {**PLACES, **given})
    return resolver, resolver.all()
