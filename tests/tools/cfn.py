#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A CloudFormation template as it is for a given set of parameters: conditions and intrinsic functions
are evaluated, and what then does not exist is not there.

usage: cfn.py resolve TEMPLATE [NAME=VALUE...]   prints {Parameters, Conditions, Resources, Outputs}
       cfn.py parameters TEMPLATE                prints the parameters as they are declared

What only a deployment knows has a stand-in: a Ref is the name that the resource is given, else its
logical id; an Arn is one of the region eu-west-1 and the account 123456789012; any other attribute
reads LogicalId.Attribute. A reference to what does not exist is a fault.
"""
import base64
import json
import re
import sys

import yaml

PSEUDO = {
    "AWS::AccountId": "123456789012", "AWS::Partition": "aws", "AWS::Region": "eu-west-1",
    "AWS::StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/telemetry/0",
    "AWS::StackName": "telemetry", "AWS::URLSuffix": "amazonaws.com", "AWS::NotificationARNs": [],
}

# The property that names a resource where Ref is that name, and its ARN after the partition.
NAMED = {
    "AWS::Athena::WorkGroup": ("Name", "athena:{place}:workgroup/{name}"),
    "AWS::DynamoDB::Table": ("TableName", "dynamodb:{place}:table/{name}"),
    "AWS::IAM::Role": ("RoleName", "iam::{account}:role/{name}"),
    "AWS::IoT::Policy": ("PolicyName", "iot:{place}:policy/{name}"),
    "AWS::IoT::RoleAlias": ("RoleAlias", "iot:{place}:rolealias/{name}"),
    "AWS::IoT::ThingType": ("ThingTypeName", "iot:{place}:thingtype/{name}"),
    "AWS::KMS::Key": (None, "kms:{place}:key/{name}"),
    "AWS::Kinesis::Stream": ("Name", "kinesis:{place}:stream/{name}"),
    "AWS::KinesisFirehose::DeliveryStream": ("DeliveryStreamName",
                                             "firehose:{place}:deliverystream/{name}"),
    "AWS::Lambda::Function": ("FunctionName", "lambda:{place}:function:{name}"),
    "AWS::Logs::LogGroup": ("LogGroupName", "logs:{place}:log-group:{name}:*"),
    "AWS::S3::Bucket": ("BucketName", "s3:::{name}"),
    "AWS::SQS::Queue": ("QueueName", "sqs:{place}:{name}"),
}

# Ref is an ARN, not a name.
REF_IS_ARN = {"AWS::SNS::Topic": "sns:{place}:{name}",
              "AWS::WAFv2::WebACL": "wafv2:{place}:regional/webacl/{name}/0",
              "AWS::SecretsManager::Secret": "secretsmanager:{place}:secret:{name}-000000"}

_NOTHING = object()


class Fault(Exception):
    """The template cannot be resolved; the text says where and why."""


# The one in C, where the library has it, is ten times as fast.
_SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):
    """Reads !Ref and its like as the long form; dates stay texts."""


def _short_tag(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


def _mapping(loader, node, deep=False):
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise Fault(f"line {node.start_mark.line + 1}: twice in one mapping: {sorted(twice)}")
    return _SafeLoader.construct_mapping(loader, node, deep)


def _map(loader, node):
    value = {}
    yield value
    value.update(_mapping(loader, node))


_Loader.add_multi_constructor("!", _short_tag)
_Loader.add_constructor("tag:yaml.org,2002:map", _map)
_Loader.add_constructor("tag:yaml.org,2002:timestamp",
                        lambda loader, node: loader.construct_scalar(node))


def parse(text):
    """The template TEXT with every intrinsic function in its long form."""
    return yaml.load(text, Loader=_Loader)


def load(path):
    """The template at PATH, parsed."""
    with open(path, encoding="utf-8") as file:
        return parse(file.read())


def _is_call(value):
    if not isinstance(value, dict) or len(value) != 1:
        return False
    name = next(iter(value))
    return name in ("Ref", "Condition") or name.startswith("Fn::")


def parameter_values(template, given):
    """Every parameter's value as text (lists as lists): GIVEN, else its default. Checks what
    CloudFormation checks: names, allowed values, patterns, ranges."""
    declared = template.get("Parameters", {})
    unknown = set(given) - set(declared)
    if unknown:
        raise Fault(f"no such parameter: {', '.join(sorted(unknown))}")
    values = {}
    for name, one in declared.items():
        if name not in given and "Default" not in one:
            raise Fault(f"parameter {name} has no default and no value")
        values[name] = _parameter(name, one, str(given.get(name, one.get("Default"))))
    return values


def _parameter(name, declared, text):
    allowed = [str(one) for one in declared.get("AllowedValues", [])]
    if allowed and text not in allowed:
        raise Fault(f"parameter {name}: {text!r} is none of {', '.join(allowed)}")
    pattern = declared.get("AllowedPattern")
    if pattern and not re.fullmatch(pattern, text):
        raise Fault(f"parameter {name}: {text!r} does not match {pattern}")
    if declared["Type"] == "Number":
        number = float(text)
        if not declared.get("MinValue", number) <= number <= declared.get("MaxValue", number):
            raise Fault(f"parameter {name}: {text} is out of range")
    if declared["Type"] == "CommaDelimitedList" or declared["Type"].startswith("List<"):
        return text.split(",") if text else []
    return text


class Resolver:
    """One template with one set of parameters. `references` gathers (logical id, attribute or
    None) of every Ref, Fn::GetAtt and Fn::Sub to a resource."""

    def __init__(self, template, given, pseudo=None):
        self.template = template
        self.pseudo = {**PSEUDO, **(pseudo or {})}
        self.parameters = parameter_values(template, given)
        self.references = []
        self.where = "Conditions"
        self.conditions = {}
        for name in template.get("Conditions", {}):
            self.conditions[name] = self._condition(name, ())
        self.resources = {name: one for name, one in template["Resources"].items()
                          if self._exists(one)}

    def _exists(self, one):
        if "Condition" not in one:
            return True
        if one["Condition"] not in self.conditions:
            raise Fault(f"no such condition: {one['Condition']}")
        return self.conditions[one["Condition"]]

    def _condition(self, name, within):
        if name in self.conditions:
            return self.conditions[name]
        declared = self.template.get("Conditions", {})
        if name not in declared:
            raise Fault(f"{self.where}: no such condition: {name}")
        if name in within:
            raise Fault(f"condition {name} depends on itself")
        return self._test(declared[name], (*within, name))

    def _test(self, value, within=()):
        function, argument = next(iter(value.items()))
        if function == "Condition":
            return self._condition(argument, within)
        if function == "Fn::Equals":
            return str(self.resolve(argument[0])) == str(self.resolve(argument[1]))
        if function == "Fn::Not":
            return not self._test(argument[0], within)
        if function == "Fn::And":
            return all([self._test(one, within) for one in argument])
        if function == "Fn::Or":
            return any([self._test(one, within) for one in argument])
        if function == "Fn::Contains":
            return self.resolve(argument[1]) in self.resolve(argument[0])
        raise Fault(f"{self.where}: {function} is no condition")

    def refusals(self):
        """What the template's Rules say against these parameters."""
        said = []
        for name, rule in self.template.get("Rules", {}).items():
            self.where = f"Rules.{name}"
            if "RuleCondition" in rule and not self._test(rule["RuleCondition"]):
                continue
            said += [one["AssertDescription"] for one in rule["Assertions"]
                     if not self._test(one["Assert"])]
        return said

    def all(self):
        """The whole template, resolved."""
        resources = {name: self.one(name) for name in self.resources}
        outputs = {}
        for name, one in self.template.get("Outputs", {}).items():
            self.where = f"Outputs.{name}"
            if self._exists(one):
                outputs[name] = self.resolve(
                    {key: part for key, part in one.items() if key != "Condition"})
        return {"Parameters": self.parameters, "Conditions": self.conditions,
                "Resources": resources, "Outputs": outputs}

    def one(self, name):
        """The resource NAME, resolved."""
        self.where = name
        one = self.resources[name]
        resolved = {key: self.resolve(value) for key, value in one.items() if key != "Condition"}
        wanted = one.get("DependsOn", [])
        # Nobody writes down what CloudFormation does where the other is left out: not relied on.
        for other in [wanted] if isinstance(wanted, str) else wanted:
            self._check_exists(other)
        return resolved

    def resolve(self, value):
        """VALUE with its intrinsic functions evaluated."""
        if _is_call(value):
            function, argument = next(iter(value.items()))
            return self._call(function, argument)
        if isinstance(value, dict):
            parts = ((key, self.resolve(part)) for key, part in value.items())
            return {key: part for key, part in parts if part is not _NOTHING}
        if isinstance(value, list):
            parts = [self.resolve(part) for part in value]
            return [part for part in parts if part is not _NOTHING]
        return value

    def _call(self, function, argument):
        handler = getattr(self, "_do_" + function.removeprefix("Fn::").lower(), None)
        if handler is None:
            raise Fault(f"{self.where}: {function} is not known here")
        return handler(argument)

    def _do_ref(self, name):
        if name == "AWS::NoValue":
            return _NOTHING
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        return self._reference(name, None)

    def _check_exists(self, name):
        if name in self.resources:
            return
        is_left_out = name in self.template["Resources"]
        raise Fault(f"{self.where}: refers to {name}, which " +
                    ("is left out by its condition" if is_left_out else "there is not"))

    def _reference(self, name, attribute):
        self._check_exists(name)
        self.references.append((name, attribute))
        kind = self.resources[name]["Type"]
        if attribute is None and kind in REF_IS_ARN:
            return self._arn(REF_IS_ARN[kind], name)
        if attribute is None:
            return self._name(name)
        if attribute == "Arn":
            shape = NAMED.get(kind, (None, None))[1]
            service = kind.split("::")[1].lower()
            return self._arn(shape or service + ":{place}:{name}", self._name(name))
        return f"{name}.{attribute}"

    def _arn(self, shape, name):
        account = self.pseudo["AWS::AccountId"]
        place = f"{self.pseudo['AWS::Region']}:{account}"
        return f"arn:{self.pseudo['AWS::Partition']}:" + shape.format(
            place=place, account=account, name=name)

    def _name(self, name):
        one = self.resources[name]
        key = NAMED.get(one["Type"], (None, None))[0]
        given = one.get("Properties", {}).get(key) if key else None
        return name if given is None else self.resolve(given)

    def _do_getatt(self, argument):
        name, attribute = argument
        return self._reference(name, attribute)

    def _do_sub(self, argument):
        text, extra = (argument, {}) if isinstance(argument, str) else argument

        def one(match):
            name = match.group(1).strip()
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if name in extra:
                return str(self.resolve(extra[name]))
            if name in self.pseudo or name in self.parameters:
                return str(self._do_ref(name))
            return str(self._reference(*name.split(".", 1)) if "." in name
                       else self._reference(name, None))

        return re.sub(r"\$\{([^}]*)\}", one, text)

    def _do_if(self, argument):
        condition, then, otherwise = argument
        return self.resolve(then if self._condition(condition, ()) else otherwise)

    def _do_join(self, argument):
        parts = self.resolve(argument[1])
        return argument[0].join(str(part) for part in parts)

    def _do_select(self, argument):
        parts = self.resolve(argument[1])
        index = int(self.resolve(argument[0]))
        if not 0 <= index < len(parts):
            raise Fault(f"{self.where}: Fn::Select of part {index} of {len(parts)}")
        return parts[index]

    def _do_split(self, argument):
        return self.resolve(argument[1]).split(argument[0])

    def _do_findinmap(self, argument):
        found = self.template.get("Mappings", {})
        for key in argument:
            key = self.resolve(key)
            if key not in found:
                raise Fault(f"{self.where}: Fn::FindInMap finds no {key}")
            found = found[key]
        return found

    def _do_base64(self, argument):
        return base64.b64encode(self.resolve(argument).encode()).decode()

    def _do_getazs(self, argument):
        region = self.resolve(argument) or self.pseudo["AWS::Region"]
        return [region + letter for letter in "abc"]

    def _do_importvalue(self, argument):
        return f"import.{self.resolve(argument)}"

    def _do_tojsonstring(self, argument):
        return json.dumps(self.resolve(argument))


def resolve(template, parameters=None, pseudo=None):
    """{Parameters, Conditions, Resources, Outputs} of TEMPLATE (a path or what load returns) for
    PARAMETERS over the defaults, and PSEUDO over the stand-ins. Raises Fault, also where the
    template's Rules refuse the parameters."""
    if not isinstance(template, dict):
        template = load(template)
    resolver = Resolver(template, parameters or {}, pseudo)
    refusals = resolver.refusals()
    if refusals:
        raise Fault("; ".join(refusals))
    return resolver.all()


def main(arguments):
    """Command line."""
    if len(arguments) < 2 or arguments[0] not in ("resolve", "parameters"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        template = load(arguments[1])
        if arguments[0] == "parameters":
            result = template.get("Parameters", {})
        else:
            result = resolve(template, dict(one.split("=", 1) for one in arguments[2:]))
    except (Fault, OSError, ValueError, yaml.YAMLError) as fault:
        print(f"cfn.py: {fault}", file=sys.stderr)
        return 1
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
