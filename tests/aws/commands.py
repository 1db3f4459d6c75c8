# SPDX-License-Identifier: Apache-2.0
"""
Whether the AWS command line would take a command: by botocore's models, which it makes its commands
from, and by the few that it has besides.
"""
import functools
import re

import botocore.session
from botocore import xform_name

GLOBAL = {"--output", "--query", "--region"}
# Not made from a model: options and how many other arguments.
OWN = {
    ("configure", "get"): (set(), 1),
    ("s3", "mb"): (set(), 1),
    ("s3", "cp"): (set(), 2),
    ("cloudformation", "package"): ({"--template-file", "--s3-bucket", "--output-template-file"},
                                    0),
    ("cloudformation", "deploy"): ({"--template-file", "--stack-name", "--s3-bucket",
                                    "--capabilities", "--no-fail-on-empty-changeset",
                                    "--parameter-overrides"}, 0),
}
# Of such a command besides what its model has.
ADDED = {("iot", "create-certificate-from-csr"): {"--certificate-pem-outfile"}}
SERVICES = {"s3api": "s3"}


def _option(name):
    return "--" + xform_name(name).replace("_", "-")


@functools.cache
def _model(service):
    """The model of a service and its operations, as the command line calls them."""
    model = botocore.session.get_session().get_service_model(SERVICES.get(service, service))
    return model, {xform_name(name).replace("_", "-"): name for name in model.operation_names}


def parts_of(words):
    """({option: its values}, other arguments) of the WORDS behind service and operation."""
    options, others, last = {}, [], None
    for word in words:
        if word.startswith("--"):
            last = options.setdefault(word, [])
        elif last is None:
            others.append(word)
        else:
            last.append(word)
    return options, others


def _option_faults(name, shape, values):
    if shape.type_name == "boolean":
        if values:
            yield f"{name} takes no value"
    elif not values:
        yield f"{name} wants a value"
    elif getattr(shape, "enum", None) and values[0] not in shape.enum:
        yield f"{name} {values[0]} is none of {', '.join(shape.enum)}"


def _model_faults(service, command, options):
    model, operations = _model(service)
    if command not in operations:
        yield f"{service} has no {command}"
        return
    operation = model.operation_model(operations[command])
    shape = operation.input_shape
    members = {_option(name): one for name, one in shape.members.items()} if shape else {}
    for name, values in options.items():
        if name in members:
            yield from _option_faults(name, members[name], values)
        elif name not in GLOBAL | ADDED.get((service, command), set()):
            yield f"{service} {command} has no {name}"
    for name in shape.required_members if shape else ():
        if _option(name) not in options:
            yield f"{service} {command} wants {_option(name)}"
    asked = re.match(r"\w+", options.get("--query", [""])[0])
    if asked and asked[0] not in operation.output_shape.members:
        yield f"{service} {command} answers no {asked[0]}"


def faults_of(words):
    """What is wrong with the command `aws WORDS...`."""
    service, command = words[:2]
    options, others = parts_of(words[2:])
    known, count = OWN.get((service, command), (None, 0))
    if len(others) != count:
        yield f"{service} {command}: {others}"
    if known is None:
        yield from _model_faults(service, command, options)
    else:
        yield from (f"{service} {command} has no {name}" for name in set(options) - known - GLOBAL)
