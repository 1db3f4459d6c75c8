# SPDX-License-Identifier: Apache-2.0
"""
Checks of platform/aws/template.yaml, for every choice of its parameters (variants.py).

A check takes a resolved template and yields faults. Beside it stand planted bugs, OLD text and NEW
text of the template, each of which it must find.
"""
import itertools

import variants
from variants import cfn

TEXT = variants.TEMPLATE.read_text(encoding="utf-8")


def walk(value, where=""):
    """(path, dictionary) of every dictionary in VALUE."""
    if isinstance(value, dict):
        yield where, value
        for key, one in value.items():
            yield from walk(one, f"{where}/{key}")
    elif isinstance(value, list):
        for i, one in enumerate(value):
            yield from walk(one, f"{where}/{i}")


def of_type(template, kind):
    """(logical id, properties) of the resources of one type."""
    return [(name, one.get("Properties", {})) for name, one in template["Resources"].items()
            if one["Type"] == kind]


def listed(value):
    """A list, where IAM takes one or many."""
    return value if isinstance(value, list) else [value]


def statements(template):
    """(path, statement) of every policy."""
    for where, one in walk(template["Resources"]):
        for i, statement in enumerate(one.get("Statement", [])
                                      if "Version" in one else []):
            yield f"{where}/{i}", statement


def faults(check, template, sets):
    """(parameters, fault) of CHECK for every set of parameters, one by one."""
    for given in sets:
        try:
            for fault in check(variants.resolved(template, given)[1]):
                yield given, fault
        except (ValueError, KeyError, cfn.Fault) as error:
            yield given, repr(error)


class Planted:
    """Every check of CHECKS ({check: [(old, new)]}) over every set, and its planted bugs."""

    CHECKS = {}

    @classmethod
    def setUpClass(cls):
        cls.template = cfn.parse(TEXT)
        cls.sets, cls.refused = variants.pairwise(cls.template)
        cls.resolved = [(given, variants.resolved(cls.template, given)[1]) for given in cls.sets]

    def test_checks(self):
        """No check finds anything."""
        for check in self.CHECKS:
            with self.subTest(check.__name__):
                found = ((given, fault) for given, one in self.resolved for fault in check(one))
                self.assertIsNone(next(found, None))

    def test_planted(self):
        """Each check finds what is planted for it."""
        for check, bugs in self.CHECKS.items():
            self.assertTrue(bugs, check.__name__)
            for old, new in bugs:
                with self.subTest(check.__name__, planted=new):
                    self.assertIn(old, TEXT)
                    planted = cfn.parse(TEXT.replace(old, new))
                    # Sets of its own only where it may be a rule that has the bug.
                    sets = itertools.chain(self.sets, variants.pairwise(planted)[0]
                                           if "Assert" in old else [])
                    self.assertIsNotNone(next(faults(check, planted, sets), None))
