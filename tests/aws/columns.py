# SPDX-License-Identifier: Apache-2.0
"""Whether a JSON record fits the columns of a Glue table that the OpenX reader fills."""
import re

BIGINT = 1 << 63


def _split(text):
    """The parts of TEXT between commas that stand in no <>."""
    parts, depth = [""], 0
    for character in text:
        depth += {"<": 1, ">": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def misfit(value, kind, where):
    """Why VALUE does not fit the Hive type KIND; None: it does."""
    if value is None or kind == "string":
        return None  # the reader makes the JSON of whatever is not a text
    outer, inner = re.fullmatch(r"(\w+)(?:<(.*)>)?", kind).groups()
    if outer in ("bigint", "int"):
        is_fit = isinstance(value, int) and -BIGINT <= value < BIGINT
        return None if is_fit else f"{where}: {value!r} is no {kind}"
    if outer == "double":
        return None if isinstance(value, (int, float)) else f"{where}: {value!r} is no double"
    if not isinstance(value, dict):
        return f"{where}: {value!r} is no {outer}"
    if outer == "map":
        members = dict.fromkeys(value, _split(inner)[1])
    else:
        members = dict(one.split(":", 1) for one in _split(inner))
    return _first_misfit(value, members, where)


def _first_misfit(value, members, where):
    for name, one in value.items():
        if name not in members:
            return f"{where}: {name} would be lost"
        why = misfit(one, members[name], f"{where}.{name}")
        if why:
            return why
    return None


def misfit_of(record, table):
    """Why RECORD loses something in TABLE (an AWS::Glue::Table's properties); None: nothing."""
    declared = table["TableInput"]
    columns = {one["Name"]: one["Type"] for one in declared["StorageDescriptor"]["Columns"]}
    return _first_misfit(record, columns, declared["Name"])
