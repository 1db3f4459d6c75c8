# SPDX-License-Identifier: Apache-2.0
"""What the program can say: the texts in its sources, held against messages that a page quotes."""
import pathlib
import re

TOKEN = re.compile(r"""//[^\n]*|/\*.*?\*/|"((?:[^"\\\n]|\\.)*)"|'(?:[^'\\\n]|\\.)+'"""
                   r"""|\b(PRI[a-zA-Z]\w*)""", re.DOTALL)
CONVERSION = re.compile(r"%[-+ #0]*(?:\d+|\*)?(?:\.(?:\d+|\*))?(?:hh|h|ll|l|z|j|t)?[a-zA-Z]")
ESCAPES = {'\\"': '"', "\\\\": "\\", "\\n": "\n"}
# What stands between two texts, and where something is filled in.
APART, FILLED = "\x01", "\x00"
PIECE = 6  # less of a text proves nothing


def texts_of(source):
    """The string literals of a C source; those that the compiler joins are one."""
    found, end = [""], 0
    for token in TOKEN.finditer(source):
        if token[1] is None and token[2] is None:
            if token[0].startswith("/"):
                end = token.end() if not source[end:token.start()].strip() else -1
            continue
        if end < 0 or source[end:token.start()].strip():
            found.append("")
        # What PRIu64 and its like stand for ends a conversion that a literal began.
        found[-1] += "u" if token[2] else token[1]
        end = token.end()
    for text in found:
        text = re.sub(r'\\["\\n]', lambda match: ESCAPES[match[0]], text)
        yield CONVERSION.sub(FILLED, text).replace("%%", "%")


def all_texts(root):
    """Of the whole program, as one text to look into."""
    names = [path for folder in ("agent", "drivers", "platform")
             for path in sorted((pathlib.Path(root) / folder).rglob("*"))
             if path.suffix in (".c", ".h", ".def")]
    return APART.join(text for name in names for text in texts_of(name.read_text("utf-8")))


def _longest(texts, part):
    """How much of the beginning of PART is in TEXTS, up to the end of a word."""
    low, high = 0, len(part)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if part[:middle] in texts else (low, middle - 1)
    while re.fullmatch(r"[\w-]{2}", part[low - 1:low + 1]):
        low -= 1
    return low


def unsaid(texts, message):
    """What of MESSAGE, in which "..." is anything, no source says; "" if all of it can be said."""
    for part in message.split("..."):
        part = part.strip(' ",:;')
        while part:
            count = _longest(texts, part)
            if count < min(PIECE, len(part)):
                return part
            part = part[count:].strip(' ",:;')
    return ""
