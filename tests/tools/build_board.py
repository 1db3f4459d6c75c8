#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Builds and installs one board from its defconfig and looks at the program that comes out.

usage: build_board.py BOARD      a folder of boards/, or all-off: every switch of Kconfig turned off
"""
import pathlib
import re
import subprocess
import sys
import tempfile

import tree

# Of destinations and credentials, a function each, and what several of them share.
SWITCHED = ("kinesis_open", "firehose_open", "apigateway_open", "s3_open", "archive_open",
            "results_end", "object_name", "credentials_env_open", "credentials_file_open",
            "credentials_iot_open", "credentials_container_open", "credentials_imds_open",
            "credentials_web_identity_open", "credentials_oauth2_open",
            "credentials_token_file_open", "credentials_assume_role_open", "credentials_fetch")


def run(*command):
    """Runs it, shows what it says and stops if it fails."""
    result = subprocess.run([str(word) for word in command], cwd=tree.ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if result.returncode != 0:
        sys.exit(result.stdout)
    return result.stdout


def options_of(board, build):
    if board != "all-off":
        return [f"-DBOARD={board}"]
    build.mkdir(parents=True, exist_ok=True)
    defconfig = build / "all-off.defconfig"
    run(sys.executable, tree.ROOT / "platform/cmake/kconfig.py", "all-off",
        tree.ROOT / "Kconfig", defconfig)
    return ["-DBOARD=host", f"-DRUNNEL_DEFCONFIG={defconfig}"]


def check_program(program):
    """Position-independent, read-only after relocation, stack not executable."""
    shown = run("readelf", "-W", "-h", "-l", "-d", program)
    for pattern, meaning in ((r"Type:\s+DYN", "position-independent"),
                             (r"GNU_RELRO", "relocations become read-only"),
                             (r"\bNOW\b", "symbols are bound at start"),
                             (r"GNU_STACK.* RW  ", "the stack is not executable")):
        if not re.search(pattern, shown):
            sys.exit(f"{program}: {meaning}: is not so\n{shown}")
        print(meaning)


def check_switches(board, program):
    """What is off leaves no code; on the host all of it is on."""
    symbols = {line.split()[-1] for line in run("nm", program).splitlines()}
    found = [name for name in SWITCHED if name in symbols]
    expected = {"host": list(SWITCHED), "all-off": []}.get(board, found)
    if found != expected:
        sys.exit(f"{program}: of {', '.join(SWITCHED)} it has {', '.join(found) or 'none'}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    board = sys.argv[1]
    build = tree.ROOT / "build/boards" / board
    run("cmake", "-G", "Ninja", "-S", tree.ROOT, "-B", build, "-DRUNNEL_TESTS=OFF",
        "-DCMAKE_BUILD_TYPE=MinSizeRel", "-DCMAKE_INSTALL_PREFIX=/usr", *options_of(board, build))
    run("cmake", "--build", build, "-j2", "--", "--quiet", "-k0")
    with tempfile.TemporaryDirectory() as folder:
        run("env", f"DESTDIR={folder}", "cmake", "--install", build, "--strip")
        program = pathlib.Path(folder) / "usr/bin/runnel"
        check_program(program)
        check_switches(board, build / "runnel")
        print(f"{board}: {program.stat().st_size} bytes stripped")


main()
