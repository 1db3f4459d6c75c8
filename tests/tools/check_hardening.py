#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What compiler and linker do for a program that is attacked: this proves from the program that they
did.

usage: check_hardening.py PROGRAM
       check_hardening.py --control

--control builds programs that lack one thing each; each must be found.
"""
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

# Functions that a processor checks the way into, by architecture.
GUARDED = {"X86-64": r"\bendbr64\b", "Intel 80386": r"\bendbr32\b"}


def run(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=True).stdout


def segments(shown):
    """(type, flags) of what is loaded."""
    return re.findall(r"^  (\w+) +(?:0x\w+ ){5}([RWE ]{3}) 0x", shown, re.M)


def is_guarded(program, shown):
    """True where the architecture knows no such guard."""
    machine = re.search(r"Machine:\s+.*?(AArch64|X86-64|Intel 80386|ARM|RISC-V)", shown).group(1)
    if machine not in GUARDED:
        return True
    text = run("objdump", "-d", "--no-show-raw-insn", program)
    entries = len(re.findall(GUARDED[machine], text))
    return entries > 10  # those of the C library's start-up files alone are fewer


def missing(program):
    """What PROGRAM lacks, in words."""
    shown = run("readelf", "-W", "-h", "-l", "-d", program)
    called = run("readelf", "-W", "--dyn-syms", program)
    held = (
        ("it is not position-independent", re.search(r"Type:\s+DYN", shown)),
        ("relocations stay writable", "GNU_RELRO" in shown),
        ("symbols are not bound at the start", re.search(r"\bNOW\b", shown)),
        ("the stack is executable", ("GNU_STACK", "RW ") in segments(shown)),
        ("something is writable and executable",
         not any("W" in flags and "E" in flags for _, flags in segments(shown))),
        ("the code itself is relocated", "TEXTREL" not in shown),
        ("libraries are searched in a path of its own", not re.search("R(UN)?PATH", shown)),
        ("return addresses are not guarded", "__stack_chk_fail" in called),
        ("the C library's calls are not checked", re.search(r"__\w+_chk@", called)),
        ("jumps and returns are not guarded", is_guarded(program, shown)),
    )
    return [words for words, holds in held if not holds]


def check(program):
    found = missing(program)
    if found:
        sys.exit(f"{program}: {'; '.join(found)}")
    print(f"{program}: hardened")


SOURCE = """
#include <stdio.h>
#include <string.h>
#ifdef PLANT
__asm__(".section .planted,\\"awx\\",%progbits\\n.byte 0\\n.previous");
#endif
""" + "".join(f"__attribute__((noinline)) int copy{i}(char *to, const char *from)"
              "{ char text[32]; strcpy(text, from); return sprintf(to, \"%s\", text); }\n"
              for i in range(12)) + """
int (*table[])(char *, const char *) = {""" + ",".join(f"copy{i}" for i in range(12)) + """};
int main(int argc, char **argv)
{ char text[64]; return table[argc % 12](text, argv[0]) + printf("%s", text); }
"""
GOOD = ("-O2", "-fPIE", "-pie", "-fstack-protector-strong", "-U_FORTIFY_SOURCE",
        "-D_FORTIFY_SOURCE=2", "-Wl,-z,relro,-z,now,-z,noexecstack")
CHECKS_JUMPS = platform.machine() == "x86_64"
PLANTED = (
    (("-no-pie", "-fno-pie"), "it is not position-independent"),
    (("-Wl,-z,norelro",), "relocations stay writable"),
    (("-Wl,-z,lazy",), "symbols are not bound at the start"),
    (("-Wl,-z,execstack",), "the stack is executable"),
    (("-DPLANT",), "something is writable and executable"),
    (("-Wl,-rpath,/tmp",), "libraries are searched in a path of its own"),
    (("-fno-stack-protector",), "return addresses are not guarded"),
    (("-D_FORTIFY_SOURCE=0",), "the C library's calls are not checked"),
    (("-fcf-protection=none",), "jumps and returns are not guarded"),
)


def build(folder, *flags):
    """A program of this machine."""
    guard = ["-fcf-protection=full"] if CHECKS_JUMPS else []
    source, program = folder / "program.c", folder / "program"
    source.write_text(SOURCE)
    subprocess.run(["cc", "-w", *GOOD, *guard, *flags, str(source), "-o", str(program)], check=True)
    return program


def control():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        found = missing(build(folder))
        if found:
            sys.exit(f"a program that lacks nothing: {found}")
        for flags, words in PLANTED:
            if "-fcf-protection=none" in flags and not CHECKS_JUMPS:
                continue
            found = missing(build(folder, *flags))
            if words not in found:
                sys.exit(f"{' '.join(flags)}: not found: {words}; but {found}")
            print(f"found: {words}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--control":
        control()
    else:
        check(sys.argv[1])


if __name__ == "__main__":
    main()
