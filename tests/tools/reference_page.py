# SPDX-License-Identifier: Apache-2.0
"""How the reference looks: as a page of Markdown, and as lists of keys for the manual."""
import re
import textwrap

MANUAL_COLUMNS = 100
UNITS = {
    "duration": ((86400000, "d"), (3600000, "h"), (60000, "m"), (1000, "s"), (1, "ms")),
    "size": ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "")),
    "rate": ((1 << 20, "MiB/s"), (1 << 10, "KiB/s"), (1, "/s")),
    "frequency": ((3600, "/s"), (60, "/m"), (1, "/h")),
    "percentage": ((1, "%"),),
    "integer": ((1, ""),),
}
KINDS = {"boolean": "true or false", "integer": "whole number", "tags": "object of texts",
         "texts": "list of texts", "list": "list of objects", "map": "object of objects",
         "unit": "SenML unit"}
# The selector of a table that has parts: their keys go with some of its choices.
SELECTOR = "destination"
TEXT_BYTES = 511

INTRO = """# Reference

What `runnel.json` may say, what the commands take, and what the agent tells. This page is made from
what the program itself goes by: `{command}` writes it, and a test compares it. The same keys are in
[runnel.json(5)](../platform/man/runnel.json.5), the commands are explained in
[runnel(1)](../platform/man/runnel.1).

"""
KEYS = """## Keys of runnel.json

In a path `[]` is each element of a list, and `*` a name that you choose. Defaults are those of
Kconfig where it can set them; `runnel config show` says what is in effect, and where it comes from.

| value | how it is written |
|---|---|
| duration | a whole number and a unit: `"250ms"`, `"5s"`, `"10m"`, `"2h"`, `"7d"` |
| size | `"64KiB"`, `"32MiB"`, `"8GiB"`, or `KB`, `MB`, `GB` for powers of 1000 |
| rate | a size and `/s`: `"16KiB/s"` |
| frequency | how many a second, minute or hour: `"20/s"`, `"5/m"`, `"90/h"` |
| percentage | `"10%"` |
| name | at most 31 letters, digits, `_`, `.` and `-` |
| text | at most 511 bytes, unless it says otherwise; `${...}` is replaced, see runnel.json(5) |
| number | its digits are kept as they are written |

"""


# ---- values ----

def quantity(kind, number):
    if number == 0:
        return {"duration": "0s", "percentage": "0%"}.get(kind, "0")
    unit, name = next(pair for pair in UNITS[kind] if number % pair[0] == 0)
    return f"{number // unit}{name}"


def limits(kind, low, high):
    if kind in UNITS and (low or high):
        least, most = quantity(kind, low), quantity(kind, high)
        return f", {least} to {most}" if low and high else f", at most {most}"
    if kind == "text" and high and high != TEXT_BYTES:
        return f", at most {high} bytes"
    return f", at most {high}" if kind in ("tags", "texts", "list") and high else ""


def value(key, quote):
    """What a key takes, in words; QUOTE marks what is written literally."""
    kind, choices = key["kind"], key["choices"]
    words = ", ".join(quote(word) for word in choices.split("|")) if choices else ""
    if kind == "words":
        return f"list of {words}"
    if kind == "partition":
        return f"{words} or an object"
    if kind == "lanes":
        return "list of lanes"
    if kind == "transforms":
        return "list of transforms"
    if words:
        return f"one of {words}"
    return KINDS.get(kind, kind) + limits(kind, key["low"], key["high"])


def standard(key, quote):
    """The default in words, "required", or nothing."""
    if key.get("required"):
        return "required"
    if "default" in key:
        return key["default"]
    text = key.get("standard")
    if isinstance(text, dict):
        return ", ".join(f"{where}: {quote(one)}" for where, one in text.items())
    if text is None or not text:
        return ""
    if key["kind"] == "words" and set(text.split("|")) == set(key["choices"].split("|")):
        return "all"
    if key["kind"] == "lanes" and text in ("all", "alarm|normal|bulk"):
        return "all"
    return ", ".join(quote(word) for word in text.split("|"))


# ---- keys in groups ----

def parent(path):
    return path.rpartition(".")[0]


def leaf(path):
    return path.rpartition(".")[2]


def together(tables):
    """[(path of the object, its keys)], where objects that differ in defaults alone are one."""
    groups = {}
    for key in tables["keys"]:
        groups.setdefault(parent(key["path"]), []).append(key)
    merged = {}
    for path, keys in groups.items():
        shape = tuple((leaf(key["path"]), key["does"], key["only"]) for key in keys)
        merged.setdefault((parent(path), shape), []).append((path, keys))
    found = []
    for same in merged.values():
        path, keys = same[0]
        if len(same) == 1:
            found.append((path, keys))
            continue
        places = [leaf(place) for place, _ in same]
        rows = []
        for column in zip(*(rows for _, rows in same)):
            defaults = {place: key["standard"] for place, key in zip(places, column)
                        if key["standard"] is not None}
            alike = len(set(defaults.values())) < 2
            rows.append({**column[0], "standard": column[0]["standard"] if alike else defaults})
        found.append((f"{parent(path)}.{'|'.join(places)}", rows))
    return found


# ---- Markdown ----

def code(text):
    return f"`{text}`"


def cell(text):
    """Of a table; what is code already stays as it is."""
    pieces = re.split(r"(`[^`]*`)", re.sub(r"\s+", " ", text))
    return "".join(piece if piece.startswith("`") else re.sub(r"([*<>])", r"\\\1", piece)
                   for piece in pieces).replace("|", "\\|")


def sentence(text):
    if not text:
        return ""
    if not re.match(r"\w+://", text):
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else text + "."


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines).replace("|  |", "| |") + "\n"


def anchor(title):
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def with_default(key):
    """The help of a driver's key says its default last."""
    match = re.fullmatch(r"(.*); default:? ([^;]+)", key["does"] or "")
    return {**key, "does": match[1], "default": match[2]} if match else key


def key_row(key, with_only):
    row = [code(leaf(key["path"]) if "only" in key else key["path"]), cell(value(key, code)),
           cell(standard(key, code)), cell(sentence(key["does"]))]
    if with_only:
        row.insert(1, cell((key["only"] or "all").replace("|", ", ")))
    return row


def key_table(keys):
    with_only = any(key.get("only") for key in keys)
    head = ["key", "takes", "default", "what it does"]
    if with_only:
        head.insert(1, SELECTOR)
    return table(head, [key_row(key, with_only) for key in keys])


def key_pages(tables):
    """[(title, text)] of runnel.json."""
    does = {key["path"]: key["does"] for key in tables["keys"]}
    pages = []
    for path, keys in together(tables):
        if path == "transforms[]":
            continue
        title = path or "Top level"
        intro = f"{does[path]}\n\n" if path.startswith("transforms[]") else ""
        pages.append((title, intro + key_table(keys)))
    return pages


def driver_pages(tables):
    pages = []
    for driver in tables["drivers"]:
        how = "asked on a schedule" if driver["polled"] else "speaks by itself"
        text = f"{sentence(driver['summary'])[:-1]}; {how}.\n\n"
        keys = list(map(with_default, driver["keys"]))
        text += key_table(keys) if keys else "No keys of its own.\n\n"
        pages.append((f"driver {driver['name']}", text))
    return pages


def subpages(pages):
    links = ", ".join(f"[{title}](#{anchor(title)})" for title, _ in pages)
    return textwrap.fill(links, 160, break_long_words=False, break_on_hyphens=False) + "\n\n" + \
        "".join(f"### {title}\n\n{text}" for title, text in pages)


def command_text(facts):
    text = "Each takes `--help` (`-h`), which prints this.\n\n"
    for name, usage, _, _ in facts["commands"]:
        text += f"### runnel {name}\n\n```text\n{usage.rstrip()}\n```\n\n"
    return text


def fact_pages(facts):
    levels = facts["levels"]
    return [
        ("Commands", command_text(facts)),
        ("Exit codes", table(["code", "when"],
                             [[str(number), cell(text)] for number, text in facts["exits"]])),
        ("Variables of the environment",
         table(["variable", "what it does"],
               [[code(name), cell(texts[0])] for name, texts in facts["variables"].items()])),
        ("Metrics", "What `runnel metrics` prints, beside the labels of each.\n\n" +
         table(["metric", "type", "labels", "help"],
               [[code(name), what, labels, cell(sentence(words))]
                for name, labels, what, words in facts["metrics"]])),
        ("Events of the log", "A line begins with one of these, and goes on with `key=value`. "
         "Those of the level debug are there with `runnel run --verbose` alone.\n\n" +
         table(["event", "level", "what has happened", "what to do"],
               [[code(name), ", ".join(levels.get(name, [])), cell(texts[0]), cell(texts[1])]
                for name, texts in facts["events"].items()])),
        ("Records of the sensor runnel", "Documents in the stream itself, told by their member "
         "`event`; [runnel.json(5)](../platform/man/runnel.json.5) shows one.\n\n" +
         table(["event", "its other members (?: not always)", "what it says"],
               [[code(name), code(members) if members else "", cell(sentence(says))]
                for name, (members, says) in facts["records"].items()])),
    ]


def markdown(tables, facts, command):
    titles = ["Keys of runnel.json", "Keys of the drivers"]
    rest = fact_pages(facts)
    contents = "".join(f"- [{title}](#{anchor(title)})\n"
                       for title in titles + [title for title, _ in rest]) + "\n"
    text = INTRO.replace("{command}", command) + contents + KEYS + subpages(key_pages(tables))
    text += "## Keys of the drivers\n\nBeside those of [sensors[]](#sensors).\n\n"
    text += subpages(driver_pages(tables))
    text += "".join(f"## {title}\n\n{page}" for title, page in rest)
    return text.rstrip("\n") + "\n"


# ---- the manual ----

def roff(text):
    """Plain text as lines of troff."""
    lines = []
    for line in textwrap.wrap(re.sub(r"\s+", " ", text), MANUAL_COLUMNS, break_long_words=False,
                              break_on_hyphens=False):
        line = line.replace("\\", "\\e").replace("-", "\\-")
        lines.append("\\&" + line if line.startswith((".", "'")) else line)
    return "".join(line + "\n" for line in lines)


def plain(text):
    return text


def entry(key):
    """A key with what it takes behind it, and its text below."""
    details = [value(key, plain), key.get("only") and "with " + key["only"].replace("|", ", ")]
    default = standard(key, plain)
    if default:
        details.append(default if default == "required" else f"default {default}")
    behind = "; ".join(detail for detail in details if detail)
    behind = behind.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    name = leaf(key["path"]) if "only" in key else key["path"]
    return f'.TP\n.BR {name} " ({behind})"\n' + roff(sentence(key["does"]))


def manual_transforms(tables):
    text = ""
    for path, keys in together(tables):
        if path.startswith("transforms[]."):
            does = next(key["does"] for key in tables["keys"] if key["path"] == path)
            text += f".TP\n.B {leaf(path)}\n{roff(does)}.RS\n"
            text += "".join(map(entry, keys)) + ".RE\n"
    return text


def manual_drivers(tables):
    text = ""
    for driver in tables["drivers"]:
        text += f".SS {driver['name']}\n{roff(sentence(driver['summary']))}"
        entries = [entry(with_default(key)) for key in driver["keys"]]
        text += "".join(entries) or "It has no keys of its own.\n"
    return text


def described(name, texts, behind=""):
    what, remedy = texts[0], texts[1] if len(texts) > 1 else ""
    head = f'.BR {name} " ({behind})"' if behind else f".B {name}"
    return (".TP\n" + head.replace("-", "\\-") + "\n" + roff(what) +
            (".br\n" + roff(f"Remedy: {remedy}") if remedy else ""))


def manual_lists(tables, facts):
    """{name: list}, of all that the manuals have to have."""
    lists = {path or "the top level": "".join(map(entry, keys))
             for path, keys in together(tables) if not path.startswith("transforms[]")}
    lists["transforms"] = manual_transforms(tables)
    lists["drivers"] = manual_drivers(tables)
    lists["exit codes"] = "".join(described(str(code), [text]) for code, text in facts["exits"])
    lists["variables"] = "".join(described(*item) for item in facts["variables"].items())
    lists["events"] = "".join(described(name, texts, ", ".join(facts["levels"].get(name, [])))
                              for name, texts in facts["events"].items())
    return lists
