#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The reference, agent/REFERENCE.md and the lists in runnel.json(5) and runnel(1), from what the
program itself goes by. Keys come from their tables (reference_keys.c), commands from their usage
texts, metrics from their table, and the rest from agent/reference.def.

usage: reference.py KEYS            what is wrong or stale; KEYS is the program that prints the
                                    tables
       reference.py KEYS --write    write the pages anew
       reference.py KEYS --control PLANTED   plant mistakes in a copy of the tree; each must be
                                    found, and those that PLANTED was compiled with
       reference.py --plant SCHEMA FILE      FILE is SCHEMA, schema.c, with mistakes
"""
import difflib
import json
import pathlib
import re
import subprocess
import sys

import reference_code
import reference_page
import tree

COMMAND = "cmake --build BUILD -t reference"
PAGE = "agent/REFERENCE.md"
MANUALS = ("platform/man/runnel.json.5", "platform/man/runnel.1")
LEFT_OUT = 77
REGION = re.compile(r'^(\.\\" (?:keys|list) of ([^\n]+)\n)(.*?)(^\.\\" end of \w+\n)', re.S | re.M)


def keys_of(program):
    result = subprocess.run([program], capture_output=True, text=True, check=False)
    if result.returncode == LEFT_OUT:
        print(result.stderr + "A reference of less than everything is none.")
        sys.exit(LEFT_OUT)
    if result.returncode != 0:
        sys.exit(f"{program} failed: {result.stderr}")
    return json.loads(result.stdout)


def text_faults(tables):
    """Keys that say nothing of themselves."""
    faults = [f"agent/control/schema*.c: the key {key['path']} has no text: "
              f'write SCHEMA_KEY("{key["path"].split(".")[-1]}", "What it does.") for its .name'
              for key in tables["keys"] if not key["does"]]
    for driver in tables["drivers"]:
        faults += [f"drivers/{driver['name']}: the key {key['path']} has no help"
                   for key in driver["keys"] if not key["does"]]
    return faults


def manuals(root, lists):
    """{manual: its text with each of its lists written anew}, and what is wrong with its marks."""
    faults, seen, pages = [], set(), {}

    def fill(match):
        seen.add(match[2])
        if match[2] not in lists:
            faults.append(f"there is no list of {match[2]}: {', '.join(lists)}")
        return match[1] + lists.get(match[2], "") + match[4]

    for name in MANUALS:
        pages[name] = REGION.sub(fill, (root / name).read_text())
    faults += [f'no manual has the line: .\\" list of {name}' for name in lists if name not in seen]
    return pages, [f"{MANUALS[0]}, {MANUALS[1]}: {fault}" for fault in faults]


def stale(name, now, wanted):
    if now == wanted:
        return []
    lines = difflib.unified_diff(now.splitlines(), wanted.splitlines(), name, "what it should say",
                                 lineterm="", n=1)
    return [f"{name}: is not what the tables say; {COMMAND} writes it anew:\n" + "\n".join(lines)]


def look(root, tables):
    """The faults, and the two pages as they should be."""
    facts, faults = reference_code.read(root)
    faults += text_faults(tables)
    pages, marks = manuals(root, reference_page.manual_lists(tables, facts))
    pages[PAGE] = reference_page.markdown(tables, facts, COMMAND)
    return faults + marks, pages


def check(root, tables):
    faults, pages = look(root, tables)
    for name, wanted in pages.items():
        path = root / name
        faults += stale(name, path.read_text() if path.exists() else "", wanted)
    return faults


def write(root, tables):
    faults, pages = look(root, tables)
    if faults:
        tree.report("nothing was written; faults", faults)
    for name, text in pages.items():
        (root / name).write_text(text)


# ---- control ----

# File, what is replaced there, by what, and words of the refusal.
PLANTS = (
    ("agent/reference.def", r'EVENT\("started",\s*"[^"]*",\s*""\)\n', "", "event started"),
    ("agent/agent.c", r'log_info\("stopping"\)', 'log_info("stoppping")', "event stoppping"),
    ("agent/agent_event.def", r'AGENT_EVENT\(ROUTE_UP,', "AGENT_EVENT(ROUTE_BACK,",
     "record ROUTE_BACK"),
    ("agent/reference.def", r'RECORD\("doctor",', 'RECORD("healer",', "record healer"),
    ("agent/reference.def", r'VARIABLE\("TMPDIR",', 'VARIABLE("TMPFOLDER",', "variable TMPFOLDER"),
    ("agent/agent_scratch.c", r'getenv\("TMPDIR"\)', 'getenv("SCRATCH")', "variable SCRATCH"),
    ("agent/reference.def", r"EXIT\(CLI_USAGE,", "EXIT(CLI_ABUSE,", "exit code CLI_ABUSE"),
    ("agent/cli/cmd_run.c", r"  --verbose ", "  --chatty ", "--chatty"),
    ("agent/cli/cmd_top.c", r'\{"once", no_argument', '{"twice", no_argument', "--twice"),
    ("agent/cli/cmd_top.c", r'\{"once", no_argument', '{"once", required_argument',
     "--once of top takes required argument"),
    ("agent/reference.def", r'(EVENT\("started")', r'\1, "Again.", "")\n\1',
     "EVENT(started) is there twice"),
    ("platform/man/runnel.1", r"\\-\\-estimate", r"\\-\\-guess", "--guess"),
    ("agent/control/metrics.c", r'"Since the agent started"', '"Since noon"', "Since noon"),
    ("platform/man/runnel.json.5", r"(keys of spool\n)", r"\1.TP\n.B sise\n", "-.B sise"),
    ("platform/man/runnel.1", r"list of variables\n", "list of constants\n",
     "no list of constants"),
    ("agent/REFERENCE.md", r"## Commands\n", "## Orders\n", "-## Orders"),
)
# The same of the tables of keys, which have to be compiled.
SCHEMA_PLANTS = (
    (r'SCHEMA_KEY\(\s*"health",(?:\s*"(?:\\.|[^"\\])*")+\)', '.name = "health"',
     "the key health has no text"),
    (r'("alarm_after".*?\.standard = )"15m"', r'\1"16m"', "duration, 1s to 7d | `16m`"),
)


def replace(text, pattern, replacement):
    planted, count = re.subn(pattern, replacement, text, count=1, flags=re.S)
    if count == 0:
        sys.exit(f"nothing to plant this in: {pattern}")
    return planted


def plant_schema(source, target):
    text = pathlib.Path(source).read_text()
    for pattern, replacement, _ in SCHEMA_PLANTS:
        text = replace(text, pattern, replacement)
    pathlib.Path(target).write_text(text)


def control(tables, planted_tables):
    before = set(check(tree.ROOT, tables))

    def found(root, tables):
        return "\n".join(fault for fault in check(root, tables) if fault not in before)

    refused = found(tree.ROOT, planted_tables)
    missed = [f"the tables: this should be refused: {words}"
              for _, _, words in SCHEMA_PLANTS if words not in refused]
    with tree.copy(tree.ROOT) as root:
        for name, pattern, replacement, words in PLANTS:
            text = (root / name).read_text()
            (root / name).write_text(replace(text, pattern, replacement))
            if words in found(root, tables):
                print(f"refused: {name}: {words}")
            else:
                missed.append(f"{name}: this should be refused: {pattern}")
            (root / name).write_text(text)
    tree.report("planted mistakes that were not found", missed)


def main():
    arguments = sys.argv[1:]
    if len(arguments) == 3 and arguments[0] == "--plant":
        plant_schema(*arguments[1:])
    elif len(arguments) == 1:
        tree.report("faults of the reference", check(tree.ROOT, keys_of(arguments[0])))
    elif len(arguments) == 2 and arguments[1] == "--write":
        write(tree.ROOT, keys_of(arguments[0]))
    elif len(arguments) == 3 and arguments[1] == "--control":
        control(keys_of(arguments[0]), keys_of(arguments[2]))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
