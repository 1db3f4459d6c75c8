#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The rules of style that a machine can see, one check each.

usage: check_style.py CHECK            one of the checks listed by --list
       check_style.py CHECK --control  plant a violation in a copy of the tree; it must be found
"""
import os
import re
import statistics
import subprocess

import tree

PRODUCT = "agent/** platform/** drivers/**"
COLUMNS = 100
FUNCTION_LINES = 60
FUNCTION_LINES_RARE = 40
FUNCTION_LINES_MEDIAN = 15
TOP_LEVEL = ("agent", "platform", "drivers", "boards", "tests", "Kconfig", "CMakeLists.txt",
             "README.md", "LICENSE")
# In pieces, so that this file passes its own check.
UNFINISHED = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")


def read(root, name):
    try:
        return (root / name).read_text()
    except UnicodeDecodeError:
        return ""


def sources(root, patterns=PRODUCT, suffixes=(".c", ".h")):
    return [name for name in tree.files(root, *suffixes) if tree.glob(patterns, name)]


class Function:
    """A function definition as clang-format lays it out: `{` and `}` alone in the first column."""

    def __init__(self, signature, line, last_line):
        self.line, self.lines = line, last_line - line + 1
        plain = re.sub(r"__attribute__\s*\(\(.*?\)\)\s*(?=\w)", "", signature)
        self.is_static = re.search(r"\bstatic\b", plain.split("(")[0]) is not None
        match = re.search(r"(\w+)\s*\(", plain)
        self.name = match.group(1) if match else ""


def functions(text):
    lines = tree.without_comments(text).splitlines()
    found = []
    for number, line in enumerate(lines):
        if line.rstrip() != "{":
            continue
        first = number
        while first > 0 and lines[first - 1].strip() and not re.match(r"#|.*[;}]\s*$",
                                                                      lines[first - 1]):
            first -= 1
        signature = " ".join(lines[first:number])
        last = next((later for later in range(number, len(lines))
                     if lines[later].rstrip() == "}"), len(lines) - 1)
        if "(" in signature:
            found.append(Function(signature, first + 1, last + 1))
    return found


def check_format(root):
    names = sources(root, "**")
    faults = []
    command = ["clang-format", "--dry-run", "--Werror", "--style=file", *names]
    if names:
        result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        for line in result.stderr.splitlines():
            match = re.match(r"(\S+?):(\d+):\d+: (?:error|warning): ", line)
            if match:
                faults.append(f"{match[1]}:{match[2]}: clang-format -i would change it")
        if result.returncode != 0 and not faults:
            faults.append(result.stderr)
    return faults


def check_length(root):
    found = [(name, function) for name in sources(root) for function in functions(read(root, name))]
    lengths = [function.lines for _, function in found] or [0]
    rare = [length for length in lengths if length > FUNCTION_LINES_RARE]
    print(f"{len(found)} functions; lines from signature to brace: "
          f"median {statistics.median(lengths):g} (aim: {FUNCTION_LINES_MEDIAN}), "
          f"longest {max(lengths)}, above {FUNCTION_LINES_RARE}: {len(rare)} "
          f"({100 * len(rare) / len(lengths):.1f} %)")
    return [f"{name}:{function.line}: {function.name} has {function.lines} lines, "
            f"more than {FUNCTION_LINES}"
            for name, function in found if function.lines > FUNCTION_LINES]


def prefix_of(name):
    """foo.c exports foo or foo_*; the contract of the drivers has a header of its own."""
    stem = os.path.basename(name)[:-2]
    if name == "drivers/registry.c":
        return "driver"
    return f"driver_{stem}" if name == f"drivers/{stem}/{stem}.c" else stem


def check_prefix(root):
    """Besides the name, a header declares each; drivers.def lists the drivers."""
    headers = " ".join(tree.without_comments(read(root, name))
                       for name in sources(root, suffixes=(".h", ".def")))
    words = set(re.findall(r"\w+", headers))
    faults = []
    for name in sources(root, suffixes=(".c",)):
        module = prefix_of(name)
        text = read(root, name)
        exported = [(function.line, function.name) for function in functions(text)
                    if not function.is_static and function.name != "main"]
        for number, line in enumerate(tree.without_comments(text).splitlines(), 1):
            match = re.match(r"(?!static\b|extern\b|typedef\b|return\b)"
                             r"[A-Za-z_][\w \t]*[ \t*]+\*?(\w+)(?:\[[^\]]*\])*\s*(?:=.*|;)$", line)
            if match and not re.match(r"(?:struct|enum|union)\s+\w+;", line):
                exported.append((number, match[1]))
        for line, exported_name in exported:
            if exported_name != module and not exported_name.startswith(module + "_"):
                faults.append(f"{name}:{line}: {exported_name} should be static or be called "
                              f"{module}_*")
            elif exported_name not in words and not (
                    module.startswith("driver_") and exported_name[len("driver_"):] in words):
                faults.append(f"{name}:{line}: {exported_name} is in no header: make it static")
    return faults


def check_typedef(root):
    """struct foo is written struct foo; only function types have a typedef."""
    faults = []
    for name in sources(root):
        for number, line in enumerate(tree.without_comments(read(root, name)).splitlines(), 1):
            if re.match(r"\s*typedef\b", line) and "(" not in line:
                faults.append(f"{name}:{number}: a typedef that is not of a function")
    return faults


def check_constructor(root):
    return [f"{name}:{number}: a constructor: register in a table instead"
            for name in sources(root)
            for number, line in enumerate(read(root, name).splitlines(), 1)
            if re.search(r"__attribute__.*\bconstructor\b", line)]


def check_float(root):
    return [f"{name}:{number}: no float or double crosses the contract of the drivers"
            for name in sources(root, "drivers/*", (".h",))
            for number, line in
            enumerate(tree.without_comments(read(root, name)).splitlines(), 1)
            if re.search(r"\b(float|double)\b", line)]


def check_guard(root):
    faults = []
    for name in sources(root, "**", (".h",)):
        guard = "RUNNEL_" + re.sub(r"\W", "_", name).upper()
        lines = read(root, name).splitlines()[:4]
        if f"#ifndef {guard}" not in lines or f"#define {guard}" not in lines:
            faults.append(f"{name}:2: the guard should be {guard}")
    return faults


def needs_licence(name):
    is_code = name.endswith((".c", ".h", ".def", ".py", ".sh", ".cmake", "CMakeLists.txt"))
    return is_code or re.fullmatch(r"(?:\.ci|tests|boards/\w+)/run", name) is not None


def check_licence(root):
    """The first line says it, or the second behind #!."""
    faults = []
    for name in tree.files(root):
        if not needs_licence(name):
            continue
        lines = read(root, name).splitlines()
        line = 1 if lines and lines[0].startswith("#!") else 0
        if "SPDX-License-Identifier: Apache-2.0" not in "".join(lines[line:line + 1]):
            faults.append(f"{name}:{line + 1}: should say SPDX-License-Identifier: Apache-2.0")
    return faults


def check_columns(root):
    names = [name for name in tree.files(root)
             if needs_licence(name) or os.path.basename(name) in ("Kconfig", "defconfig")]
    return [f"{name}:{number}: {len(line)} columns, more than {COLUMNS}"
            for name in names for number, line in enumerate(read(root, name).splitlines(), 1)
            if len(line) > COLUMNS]


def check_unfinished(root):
    words = re.compile(r"\b(" + "|".join(UNFINISHED) + r"|not implemented|unimplemented)\b|"
                       r"\((to be written)\)")
    return [f"{name}:{number}: {match[0]}: finish it, or leave it out"
            for name in tree.files(root) if name != "tests/tools/check_style.py"
            for number, line in enumerate(read(root, name).splitlines(), 1)
            if (match := words.search(line))]


def check_empty(root):
    return [f"{name}:1: is empty" for name in tree.files(root)
            if not (root / name).is_symlink() and (root / name).stat().st_size == 0]


def check_kconfig(root):
    """Every symbol has a prompt and at least two lines of help."""
    faults = []
    for name in tree.files(root):
        if os.path.basename(name) != "Kconfig":
            continue
        entries = re.split(r"^(?=(?:menu)?config |menu |endmenu|if |endif|source |choice|endchoice"
                           r"|comment )", read(root, name), flags=re.M)
        line = 1
        for entry in entries:
            match = re.match(r"(?:menu)?config (\w+)", entry)
            text = re.search(r"^\s+help\n((?:[ \t]+.*\n?|\n)*)", entry, re.M)
            help_lines = [row for row in (text[1] if text else "").splitlines() if row.strip()]
            if match and len(help_lines) < 2:
                faults.append(f"{name}:{line}: {match[1]} has {len(help_lines)} lines of help, "
                              "less than 2")
            line += entry.count("\n")
    return faults


def check_top_level(root):
    return [f"{name}: {name.split('/')[0]} does not belong at the top of the tree"
            for name in tree.files(root)
            if name.split("/")[0] not in TOP_LEVEL and not name.startswith(".")]


def check_paths(root):
    """No file names the place where it was written: this checkout, its folder or a home."""
    places = [str(tree.ROOT)]
    parent = str(tree.ROOT.parent) + "/"
    if parent not in ("/", "/root/", "/home/", "/srv/", "/opt/", "/tmp/", "/usr/src/"):
        places.append(parent)
    pattern = re.compile("|".join([*map(re.escape, places), r"/(?:home|Users)/[a-z]\w*/"]))
    return [f"{name}:{number}: names a place on one machine: {match[0]}"
            for name in tree.files(root)
            for number, line in enumerate(read(root, name).splitlines(), 1)
            if (match := pattern.search(line))]


def check_shell(root):
    names = [name for name in tree.files(root)
             if re.match(r"#!/bin/(ba)?sh", read(root, name)[:20])]
    result = subprocess.run(["shellcheck", "--external-sources", "--format=gcc", *names],
                            cwd=root, capture_output=True, text=True, check=False)
    faults = (result.stdout + result.stderr).splitlines()
    return faults if faults or result.returncode == 0 else ["shellcheck failed"]


def check_python(root):
    faults = []
    for name in tree.files(root, ".py"):
        try:
            compile(read(root, name), name, "exec")
        except SyntaxError as error:
            faults.append(f"{name}:{error.lineno}: {error.msg}")
    return faults


def check_executable(root):
    """What starts with #! can be started, and nothing else claims to be startable."""
    faults = []
    for name in tree.files(root):
        is_script = read(root, name).startswith("#!")
        if is_script != os.access(root / name, os.X_OK):
            faults.append(f"{name}:1: " + ("chmod +x is missing" if is_script else
                                           "is executable, but has no #! line"))
    return faults


LONG_FUNCTION = ("int platform_long(void);\nint platform_long(void)\n{\n"
                 + "    long_call();\n" * 60 + "    return 0;\n}\n")
NEW_SYMBOL = "config NEW_THING\n\tbool \"A new thing\"\n\thelp\n\t  One line is too short.\n"

# The check, what it holds, and what to plant: file, text, words of the refusal.
CHECKS = {
    "format": (check_format, (
        ("agent/planted.c", "int  planted( void );\n", "clang-format"),)),
    "length": (check_length, (
        ("platform/planted.c", LONG_FUNCTION, "more than 60"),)),
    "prefix": (check_prefix, (
        ("agent/spool/planted.c", "int other_name(void)\n{\n    return 0;\n}\n", "planted_*"),
        ("agent/spool/planted.c", "const struct thing\nother_name(int (*call)(void),\n    int x)\n"
         "{\n    return 0;\n}\n", "other_name"),
        ("agent/spool/planted.c", "int planted_alone(void)\n{\n    return 0;\n}\n", "no header"),
        ("drivers/planted/planted.c", "const struct driver other_driver = {\n    0,\n};\n",
         "driver_planted_*"),
        ("platform/linux/planted.c", "int other_counter;\n", "planted_*"))),
    "typedef": (check_typedef, (
        ("agent/planted.h", "typedef struct planted planted_t;\n", "typedef"),)),
    "constructor": (check_constructor, (
        ("drivers/sim/planted.c", "__attribute__((constructor)) static void f(void);\n",
         "constructor"),)),
    "float": (check_float, (
        ("drivers/planted.h", "struct planted {\n    double value;\n};\n", "double"),)),
    "guard": (check_guard, (
        ("agent/planted.h", "/* no guard */\n", "RUNNEL_AGENT_PLANTED_H"),)),
    "licence": (check_licence, (
        ("agent/planted.c", "/* nobody's */\n", "SPDX"),
        ("tests/tools/planted.py", "#!/usr/bin/python3\n", "SPDX"))),
    "columns": (check_columns, (
        ("agent/planted.c", "/* " + "x" * COLUMNS + " */\n", "columns"),
        ("tests/tools/planted.sh", "# " + "x" * COLUMNS + "\n", "columns"))),
    "unfinished": (check_unfinished, tuple(
        ("agent/planted.c", f"/* {word}: later */\n", word) for word in UNFINISHED)),
    "empty": (check_empty, (
        ("agent/planted.c", "", "is empty"),)),
    "kconfig": (check_kconfig, (
        ("agent/Kconfig", NEW_SYMBOL, "NEW_THING"),
        ("drivers/sim/Kconfig", "config BARE\n\tbool \"Bare\"\n", "BARE"))),
    "top-level": (check_top_level, (
        ("docs/planted.md", "A page.\n", "top of the tree"),
        ("Makefile", "all:\n", "top of the tree"))),
    "paths": (check_paths, (
        ("agent/planted.c", f"/* see {tree.ROOT}/agent */\n", "one machine"),
        ("README.md", "/ho" + "me/somebody/runnel\n", "one machine"))),
    "shell": (check_shell, (
        ("tests/tools/planted.sh", "#!/bin/bash\ncd $1\nrm -rf $2\n", "SC2086"),)),
    "python": (check_python, (
        ("tests/tools/planted.py", "def planted(:\n", "syntax"),)),
    "executable": (check_executable, (
        ("tests/tools/planted.sh", "#!/bin/bash\n", "chmod"),)),
}


if __name__ == "__main__":
    tree.main(CHECKS, __doc__)
