# SPDX-License-Identifier: Apache-2.0
"""
Sets of parameters of platform/aws/template.yaml: for the template as a whole such that between them
have every pair of values of two parameters, unless a rule of the template refuses it; for each
resource by itself every combination of all that its conditions ask for.
"""
import itertools
import json
import pathlib
import random
import re
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
        "AlarmEmail": ["", "a@example.com"], "ConfigBucket": ["", "fleet"],
        "ApiPrivateEndpoint": ["", "vpce-0123456789abcdef0"],
        "FirehoseBufferSeconds": [0, 300, 900], "ConsumerWindowSeconds": [0, 60, 300],
        "StreamHours": [24, 8760], "Shards": [1, 1000], "SilentDevices": [0, 1],
        "SilentHours": [2, 3], "RetireDays": [14, 365]}


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


def _named(value):
    """(what, name) of every condition and every reference in VALUE, in its unresolved form."""
    if isinstance(value, list):
        for one in value:
            yield from _named(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            if key in ("Ref", "Condition") and isinstance(one, str):
                yield key, one
            elif key == "Fn::If":
                yield "Condition", one[0]
            elif key == "Fn::GetAtt":
                yield "Ref", one[0]
            elif key == "Fn::Sub":
                text = one if isinstance(one, str) else one[0]
                yield from (("Ref", name.split(".")[0])
                            for name in re.findall(r"\$\{([^!}]+)\}", text))
            yield from _named(one)


def _of_condition(template, name):
    """The parameters that a condition asks for."""
    for kind, one in _named(template["Conditions"][name]):
        if kind == "Condition":
            yield from _of_condition(template, one)
        elif one in template["Parameters"]:
            yield one


def _parameters_of(template, resource):
    """(parameters that decide what there is of a resource, those that are merely handed on)."""
    deciding, handed = set(), set()
    for kind, name in _named(resource):
        other = template["Resources"].get(name, {}) if kind == "Ref" else {"Condition": name}
        if "Condition" in other:
            deciding.update(_of_condition(template, other["Condition"]))
        elif name in template["Parameters"]:
            handed.add(name)
    for call in re.findall(r'"Fn::FindInMap": \[[^][]*\]', json.dumps(resource)):
        deciding.update(re.findall(r'"Ref": "(\w+)"', call))
    return sorted(deciding), sorted(handed - deciding)


def _sets_of(template, resource):
    """Every combination of what decides; of what is handed on each value once."""
    values = choices(template)
    deciding, handed = ([(name, values[name]) for name in some if name in values]
                        for some in _parameters_of(template, resource))
    for some in itertools.product(*(values for _, values in deciding)):
        yield dict(zip((name for name, _ in deciding), some))
    for name, some in handed:
        for value in some:
            yield {name: value}


def each_resource(template):
    """(logical id, resolved resource) of every form that a resource can have. Raises cfn.Fault
    where one refers to what is then not there."""
    known = {}  # many resources are decided by the same parameters
    for name, resource in template["Resources"].items():
        seen = set()
        for given in _sets_of(template, resource):
            key = frozenset(given.items())
            if key not in known:
                resolver = cfn.Resolver(template, {**PLACES, **given})
                known[key] = None if resolver.refusals() else resolver
            resolver = known[key]
            if resolver is None or name not in resolver.resources:
                continue
            result = resolver.one(name)
            text = json.dumps(result, sort_keys=True)
            if text not in seen:
                seen.add(text)
                yield name, result
