# SPDX-License-Identifier: Apache-2.0
"""What the checks share: the files of a source tree, copies to plant mistakes in, and reports."""
import contextlib
import functools
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def files(root, *suffixes):
    """The files that belong to the tree (in git or about to be), as paths relative to ROOT."""
    if (root / ".git").exists():
        command = ["git", "-c", "safe.directory=*", "-C", str(root), "ls-files", "-z", "--cached",
                   "--others", "--exclude-standard"]
        listed = subprocess.run(command, check=True, capture_output=True).stdout.decode()
        found = [name for name in listed.split("\0") if name and (root / name).is_file()]
    else:
        found = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    return sorted(name for name in set(found) if not suffixes or name.endswith(suffixes))


@contextlib.contextmanager
def copy(root):
    """A temporary copy of the tree without its history, to plant mistakes in."""
    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder)
        for name in files(root):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, target / name)
        yield target


@contextlib.contextmanager
def planted(root, name, text):
    """The copy ROOT with TEXT at the end of file NAME (which may be new); undone at the end."""
    path = root / name
    before = path.read_text() if path.exists() else None
    made = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((before or "") + text)
    try:
        yield
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before)
        for folder in made:
            folder.rmdir()


# A control asks the same of the same files again for each mistake that it plants.
@functools.lru_cache(maxsize=None)
def glob(patterns, name):
    """Whether NAME matches one of PATTERNS (blanks between): * stays in a folder, ** does not."""
    for pattern in patterns.split():
        regex = re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
        if re.fullmatch(regex, name):
            return True
    return False


@functools.lru_cache(maxsize=None)
def without_comments(text):
    """C text with comments and literals blanked, line by line in place."""
    def blank(match):
        found = match.group(0)
        return found if found[0] not in "/\"'" else re.sub(r"[^\n]", " ", found)
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", blank, text,
                  flags=re.S)


def report(what, faults):
    """Prints the faults and ends the program."""
    for fault in faults:
        print(fault)
    if faults:
        sys.exit(f"{what}: {len(faults)} faults")
    print(f"{what}: none")
    sys.exit(0)


def control(check, mistakes):
    """
    Plants each of MISTAKES (file, text, expected words) in a copy of the tree: CHECK(copy) must
    then name the file and the words, and must not have done so before. Ends the program.
    """
    missed = []
    with copy(ROOT) as root:
        before = set(check(root))
        for name, text, words in mistakes:
            with planted(root, name, text):
                new = [fault for fault in check(root) if fault not in before]
            if not any(fault.startswith(name) and words in fault for fault in new):
                missed.append(f"{name}: this should be refused ({words}), but is not:\n{text}")
            else:
                print(f"refused: {name}: {words}")
    report("planted mistakes that were not found", missed)


def main(checks, usage):
    """--list, NAME, NAME --control of CHECKS: {name: (check, what is planted to control it)}."""
    arguments = sys.argv[1:]
    if arguments == ["--list"]:
        print("\n".join(checks))
    elif len(arguments) == 1 and arguments[0] in checks:
        report(f"faults of {arguments[0]}", checks[arguments[0]][0](ROOT))
    elif len(arguments) == 2 and arguments[0] in checks and arguments[1] == "--control":
        control(*checks[arguments[0]])
    else:
        sys.exit(usage)
