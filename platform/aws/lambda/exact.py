# SPDX-License-Identifier: Apache-2.0
"""JSON that is read, changed and written without touching a number: 41.50 stays 41.50."""
import json

import payload


class Number(str):
    """A number as it stood in the text."""


def loads(line):
    """Raises ValueError."""
    return payload.parse(line, parse_float=Number, parse_int=Number)


def dumps(value):
    """As the agent writes it: no spaces, members in their order, UTF-8."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{dumps(name)}:{dumps(member)}"
                              for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dumps, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
