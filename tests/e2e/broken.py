#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What `runnel check` says of broken configurations: each of broken/*.json, with its fragments,
against the reviewed words of broken.txt, and each message by the rules: place, key, remedy, no
secret.

--write writes broken.txt anew, to be read before it is kept.
--plant spoils a message in one way, which must be noticed.
"""
import difflib
import re
import shutil
import subprocess

import harness
from harness import check

HERE = harness.ROOT / "tests/e2e"
KINDS_MIN = 100
COLUMNS_MAX = 240
FAULTS_KEPT = 50
SECRETS = ("hunter2", "correct-horse-battery")
PLACED = re.compile(r"(?P<file>[\w-]+(\.d/[\w-]+)?\.json):\d+:\d+: (?P<warning>warning: )?"
                    r"(?P<words>.+)$")
KEYED = re.compile(r"[^:;\"]+: ")
REMEDY = re.compile(r"; (?!$)|\?$")
MORE = re.compile(r"and \d+ more; mend these first$")
# Of the text itself, before there are any keys.
KEYLESS = ("syntax-", "fragment-syntax", "fragment-list")
PLANTS = {
    "place": lambda lines: [re.sub(r":\d+:\d+:", ":", lines[0]), *lines[1:]],
    "key": lambda lines: [re.sub(r"(\d: )\S+: ", r"\1", lines[0]), *lines[1:]],
    "remedy": lambda lines: [re.sub(r"; .*", "", lines[0]), *lines[1:]],
    "secret": lambda lines: [*lines, lines[0] + " hunter2"],
    "first": lambda lines: lines[:1],
}
PLANTED_IN = "several-faults"


def copy_cases(run):
    """With the modes that a repository does not keep, and a name where none is written: that of
    the machine may be missing, or nobody's to read.
    """
    folder = run.folder / "broken"
    shutil.copytree(HERE / "broken", folder)
    for secret in folder.glob("loose-*.secret"):
        secret.chmod(0o644)
    for path in folder.glob("*.json"):
        if b'"device"' not in path.read_bytes():
            fragments = path.with_suffix(".d")
            fragments.mkdir(exist_ok=True)
            (fragments / "device.json").write_text('{ "device": "gw-17" }\n')
    return folder


def ask(run, folder, name):
    """Exit code and lines."""
    ran = subprocess.run([run.program("runnel"), "check", "-c", f"{name}.json"], cwd=folder,
                         env={"HOME": "/nonexistent"}, capture_output=True, text=True,
                         timeout=harness.DEADLINE_S, check=False)
    for secret in SECRETS:
        check(secret not in ran.stdout + ran.stderr, f"{name}: shows {secret}")
    return ran.returncode, ran.stderr.splitlines()


def check_line(name, line):
    """Whether it is a fault: warnings are none."""
    if MORE.match(line):
        return False
    placed = PLACED.match(line)
    check(placed, f"{name}: no place in {line!r}")
    words = placed.group("words")
    check(name.startswith(KEYLESS) or KEYED.match(words), f"{name}: no key in {line!r}")
    check(REMEDY.search(words), f"{name}: no remedy in {line!r}")
    check(len(line) <= COLUMNS_MAX, f"{name}: {len(line)} columns are too many: {line!r}")
    check(line.isprintable(), f"{name}: does not go to a terminal: {line!r}")
    return not placed.group("warning")


def check_case(name, code, lines):
    check(lines, f"{name}: nothing is said")
    for secret in SECRETS:
        check(not any(secret in line for line in lines), f"{name}: shows {secret}")
    faults = [check_line(name, line) for line in lines].count(True)
    check(code in ((78, 1) if faults else (0,)), f"{name}: exit code {code}, {faults} faults")
    check(len(lines) <= FAULTS_KEPT + 1, f"{name}: {len(lines)} lines")


def describe(run, plant):
    folder = copy_cases(run)
    names = sorted(path.stem for path in folder.glob("*.json"))
    check(len(names) >= KINDS_MIN, f"{len(names)} kinds are too few")
    said = []
    for name in [PLANTED_IN] if plant else names:
        code, lines = ask(run, folder, name)
        if plant:
            lines = PLANTS[plant](lines)
        check_case(name, code, lines)
        said += [f"== {name}: exit code {code}", *lines]
    return said


def words_of(reviewed, name):
    first = next(i for i, line in enumerate(reviewed) if line.startswith(f"== {name}:"))
    rest = (i for i, line in enumerate(reviewed) if i > first and line.startswith("== "))
    return reviewed[first:next(rest, None)]


def scenario(run, options):
    snapshot = HERE / "broken.txt"
    said = describe(run, options.plant)
    if options.write:
        snapshot.write_text("\n".join(said) + "\n")
        return
    reviewed = snapshot.read_text().splitlines()
    if options.plant:
        reviewed = words_of(reviewed, PLANTED_IN)
    differences = list(difflib.unified_diff(reviewed, said, "reviewed", "said", lineterm="", n=1))
    print(*differences, sep="\n")
    check(not differences, "the words differ from those that were reviewed: read the difference, "
                           "then --write")


if __name__ == "__main__":
    chosen = harness.arguments(
        __doc__, (("--write",), {"action": "store_true", "help": "write broken.txt anew"}),
        (("--plant",), {"choices": sorted(PLANTS), "help": "spoil a message"}))
    harness.main(chosen, lambda run: scenario(run, chosen))
