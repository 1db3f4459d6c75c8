# SPDX-License-Identifier: Apache-2.0
"""
What the code says by itself: commands with their flags, metrics, and the names of events, records,
variables and exit codes, which agent/reference.def must have as well.
"""
import functools
import re

import tree

LITERAL = re.compile(r'"((?:\\.|[^"\\])*)"')
DEF = "agent/reference.def"
EVENT_DEF = "agent/agent_event.def"
MANUAL = "platform/man/runnel.1"
METRICS = "agent/control/metrics.c"
SCOPES = {"OF_AGENT": "", "OF_LANE": "lane", "OF_ROUTE": "route", "OF_ROUTE_LANE": "route, lane",
          "OF_SENSOR": "sensor", "OF_VALUE": "sensor, channel", "OF_COAP_CODE": "code",
          "OF_COAP_SENSOR": "sensor"}
# Who looks a variable up, with its name among the arguments.
LOOKUP = re.compile(r"\b(?:secure_)?getenv\(|\b\w*variable\(|_switch\(|\bis_on\(|\beither\(")
PREFIX = re.compile(r'"(?:AWS|RUNNEL)_\w+"')
# In runnel(1), but flags of other programs.
FOREIGN = {"--endpoint-type"}


def text_of(literals):
    """What C makes of "a" "b"."""
    escapes = {"n": "\n", "t": "\t"}
    return re.sub(r"\\(.)", lambda match: escapes.get(match[1], match[1]),
                  "".join(LITERAL.findall(literals)))


def without_comments(text):
    """C text whose literals stay."""
    return re.sub(r'("(?:\\.|[^"\\\n])*")|/\*.*?\*/', lambda match: match[1] or "", text,
                  flags=re.S)


# ---- agent/reference.def ----

def entries(root, macro, file=DEF):
    """{name: the texts} of EVENT("name", "text", ...), and the names that are there twice."""
    text = without_comments((root / file).read_text())
    found, twice = {}, []
    string = r'(?:\s*"(?:\\.|[^"\\])*")+'
    for match in re.finditer(macro + r'\("?([\w-]+)"?((?:,' + string + r")+)\)", text):
        if match[1] in found:
            twice.append(match[1])
        found[match[1]] = [text_of(part) for part in re.findall("," + "(" + string + ")", match[2])]
    return found, [f"{file}: {macro}({name}) is there twice" for name in twice]


def compare(what, macro, described, named, table=DEF):
    """Both ways; NAMED is {name: the file that has it}."""
    faults = [f'{file}: the {what} {name} is not in {table}: add {macro}("{name}", ...) there'
              for name, file in named.items() if name not in described]
    faults += [f"{table}: the {what} {name} is not in the code: remove it, or correct its name"
               for name in described if name not in named]
    return faults


# ---- what the sources name ----

def events_in(text):
    """[(event, level)]: the first word of what log_error(), ... are given."""
    for match in re.finditer(r"\blog_(error|warning|info|debug)\)?\(\s*\"([^\s\"]+)", text):
        words = re.findall(r'"([a-z]+(?:-[a-z]+)+)"', text) if match[2] == "%s" else [match[2]]
        yield from ((word, match[1]) for word in words)


def records_in(text):
    """What the sensor "runnel" records: symbols of agent_event.def, and what is written as text."""
    yield from re.findall(r"\bAGENT_EVENT_([A-Z]\w+)", text)
    yield from re.findall(r'\{\\"event\\":\\"([a-z-]+)\\"', text)


def variables_in(text):
    own = "getenv(" in text
    for line in text.splitlines() if own or LOOKUP.search(text) or PREFIX.search(text) else ():
        for word in LITERAL.findall(line):
            if (PREFIX.fullmatch(f'"{word}"') or (own and re.fullmatch(r"[A-Z][A-Z_]+", word))
                    or (LOOKUP.search(line) and re.fullmatch(r"[A-Z]\w+|[a-z]+_proxy", word))):
                yield word


# The control asks the same of most files again for each mistake that it plants.
@functools.lru_cache(maxsize=None)
def names_in(text):
    text = without_comments(text)
    return list(events_in(text)), list(records_in(text)), list(variables_in(text))


def names(root):
    """Of events, records and variables {name: the file that has it}; {event: its levels}."""
    events, records, variables, levels = {}, {}, {}, {}
    for file in tree.files(root, ".c"):
        if not file.startswith(("agent/", "platform/", "drivers/")):
            continue
        logged, recorded, read_there = names_in((root / file).read_text())
        for name, level in logged if file != "platform/base/log.c" else ():
            events.setdefault(name, file)
            if level not in levels.setdefault(name, []):
                levels[name].append(level)
        for name in recorded:
            records.setdefault(name, file)
        for name in read_there:
            if not name.startswith("CONFIG_"):
                variables.setdefault(name, file)
    return events, records, variables, levels


# ---- exit codes ----

def exit_codes(root):
    """{name: number} of enum cli_exit."""
    text = (root / "agent/cli/cli.h").read_text()
    body = re.search(r"enum cli_exit \{(.*?)\};", text, re.S)[1]
    return {name: int(number) for name, number in re.findall(r"(CLI_\w+) = (\d+)", body)}


# ---- commands ----

def usage_of(text):
    """The usage text, with all that Kconfig may leave out of it."""
    for name, value in re.findall(r'^#define (\w+)\s+((?:\\\n|\s*"(?:\\.|[^"\\])*")+)', text, re.M):
        if value.strip(' \\\n"'):
            text = re.sub(rf"\b{name}\b(?=[^\n]*[\";])", lambda _, value=value: value, text)
    match = re.search(r"\busage\[\] =((?:\s|\\|\"(?:\\.|[^\"\\])*\")+);", text)
    return text_of(match[1]) if match else None


def flags_in(text):
    return set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*|-[a-z])(?![\w-])", text))


def flag_groups(text):
    """[(the spellings of a flag, "required", "optional" or "no")] that getopt_long() knows, without
    that of help."""
    rows = re.findall(r'\{"([\w-]+)", (\w+)_argument, NULL, \'(\w)\'\}', text)
    match = re.search(r'getopt_long\([^"]*"([^"]*)"', text)
    shorts = dict(re.findall(r"(\w)(:?)", match[1])) if match else {}
    groups = [({f"--{name}"} | ({f"-{letter}"} if letter in shorts else set()), argument)
              for name, argument, letter in rows]
    groups += [({f"-{letter}"}, "required" if colon else "no") for letter, colon in shorts.items()
               if letter not in {letter for _, _, letter in rows}]
    return [group for group in groups if not group[0] & {"--help", "-h"}]


def argument_of(flag, text):
    """What the first mention of FLAG in TEXT has behind it, as flag_groups() says it."""
    behind = re.split(rf"(?<![\w-]){flag}(?![\w-])", text, maxsplit=1)[1]
    if behind.startswith("[="):
        return "optional"
    return "required" if re.match(r"[ =][A-Z]{2,}", behind) else "no"


def commands(root):
    """[(name, usage, groups of flags, file)] in the order of runnel --help."""
    main = (root / "agent/main.c").read_text()
    found = []
    for name in re.findall(r'\{"(\w+)", cmd_\w+,', main):
        file = f"agent/cli/cmd_{name}.c"
        text = (root / file).read_text()
        found.append((name, usage_of(text), flag_groups(text), file))
    return found


def synopsis(page, command):
    """What the manual says between `.B runnel COMMAND` and the next command, as plain text."""
    part = page.split(".SH SYNOPSIS")[1].split(".SH")[0]
    plain = re.sub(r"\\f.|^\.\w+ ", "", part, flags=re.M).replace("\\-", "-").replace('"', "")
    return "\n".join(piece for piece in plain.split("\n.br\n")
                     if re.match(rf"\s*runnel {command}\b", piece))


def flag_faults(page, name, usage, groups, file):
    if usage is None:
        return [f"{file}: has no usage text"]
    faults = []
    known = set().union(*(spellings for spellings, _ in groups))
    shown = {"usage text": (file, flags_in(usage)),
             "synopsis": (MANUAL, flags_in(synopsis(page, name)))}
    for where, (place, flags) in shown.items():
        faults += [f"{place}: {flag} is in the {where} of {name}, but no flag of it"
                   for flag in sorted(flags - known - {"--help"})]
        faults += [f"{place}: {'|'.join(sorted(group))} is a flag of {name}, but not in its "
                   f"{where}" for group, _ in groups if not group & flags]
    lines = usage.split("\n\n")[0]
    faults += [f"{file}: {flag} of {name} takes {argument} argument, but in the usage text "
               f"{argument_of(flag, lines)}"
               for group, argument in groups for flag in sorted(group & flags_in(lines))
               if argument_of(flag, lines) != argument]
    return faults


def manual_faults(page, groups):
    known = set().union(*(spellings for spellings, _ in groups)) | FOREIGN
    known |= {"--help", "--version", "-h"}
    return [f"{MANUAL}: {flag} is no flag of any command"
            for flag in sorted(flags_in(page.replace("\\-", "-")) - known)
            if flag.startswith("--")]


# ---- metrics ----

def metrics(root):
    """[(name, labels, type, help)], and what could not be read."""
    text = (root / METRICS).read_text()
    found, faults = [], []
    table = re.search(r"struct metric metrics\[\] = \{(.*?)\n\};", text, re.S)[1]
    rows = re.findall(r'\{"(\w+)", (\w+), "([^"]*)", (\w+),\s*((?:\s*"(?:\\.|[^"\\])*")+)\}', table)
    if len(rows) != len(re.findall(r'\{"', table)):
        faults.append(f"{METRICS}: a row of the table is not read by reference_code.py")
    for name, scope, path, kind, words in rows:
        if scope not in SCOPES:
            faults.append(f"{METRICS}: say in reference_code.py which labels {scope} has")
        labels = SCOPES.get(scope, "")
        if kind == "KIND_WORD":
            labels = f"{labels}, {path.split('/')[-1]}".lstrip(", ")
        what = "counter" if name.endswith("_total") else "gauge"
        found.append((f"runnel_{name}", labels, what, text_of(words)))
    info = re.search(r'names\[\] = \{("device"[^}]*)\}', text)
    found.insert(0, ("runnel_info", ", ".join(LITERAL.findall(info[1])), "gauge", "Always 1"))
    return found, faults


# ---- records ----

def record_facts(root, written, used, faults):
    """{name: [its members, what it says]}; adds to FAULTS."""
    table, twice = entries(root, "AGENT_EVENT", EVENT_DEF)
    told = {name: [members, says] for name, members, says in table.values()}
    faults += twice
    faults += compare("record", "AGENT_EVENT", table,
                      {name: file for name, file in used.items() if name.isupper()}, EVENT_DEF)
    faults += compare("record", "RECORD", written,
                      {name: file for name, file in used.items()
                       if not name.isupper() and name not in told})
    return told | {name: ["", *texts] for name, texts in written.items()}


# ---- all of it ----

def read(root):
    """What the page needs of the code, and the faults."""
    page = re.sub(r'^\.\\".*\n', "", (root / MANUAL).read_text(), flags=re.M)
    events, records, variables, levels = names(root)
    known = commands(root)
    codes = exit_codes(root)
    rows, faults = metrics(root)
    described = {}
    for macro in ("EVENT", "RECORD", "VARIABLE", "EXIT"):
        described[macro], twice = entries(root, macro)
        faults += twice
    faults += compare("event", "EVENT", described["EVENT"], events)
    told = record_facts(root, described["RECORD"], records, faults)
    faults += compare("variable", "VARIABLE", described["VARIABLE"], variables)
    faults += compare("exit code", "EXIT", described["EXIT"],
                      {name: "agent/cli/cli.h" for name in codes})
    for name, usage, groups, file in known:
        faults += flag_faults(page, name, usage, groups, file)
    faults += manual_faults(page, [group for row in known for group in row[2]])
    facts = {"events": described["EVENT"], "levels": levels, "records": told,
             "variables": described["VARIABLE"], "commands": known, "metrics": rows,
             "exits": [(codes.get(name), *texts) for name, texts in described["EXIT"].items()]}
    return facts, faults
