#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The build is a program too: what it must refuse, keep and write.

usage: test_build.py CASE | --list
"""
import os
import pathlib
import pty
import select
import subprocess
import sys
import tempfile

import tree

KCONFIG_PY = str(tree.ROOT / "platform/cmake/kconfig.py")
KCONFIG = """
config SWITCH
    bool "Switch"
    default y

config COUNT
    int "Count"
    range 2 9
    default 4

config DEPENDENT
    int "Dependent"
    depends on !SWITCH
    default 1

config TEXT
    string "Text"
    default "a b"
"""


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False, **options)


def expect(condition, what):
    if not condition:
        sys.exit(f"not so: {what}")
    print(f"so: {what}")


class Folder:
    """A folder with a Kconfig and a defconfig of its own, and what kconfig.py makes of them."""

    def __init__(self, path, defconfig):
        self.path = pathlib.Path(path)
        (self.path / "Kconfig").write_text(KCONFIG)
        self.defconfig = self.path / "defconfig"
        self.config = self.path / ".config"
        self.header = self.path / "autoconf.h"
        self.defconfig.write_text(defconfig)

    def configure(self, defconfig=None):
        return run(sys.executable, KCONFIG_PY, "configure", self.path / "Kconfig",
                   defconfig or self.defconfig, self.config, self.header, cwd=self.path)


def refuse(defconfig, *words):
    with tempfile.TemporaryDirectory() as path:
        folder = Folder(path, defconfig)
        result = folder.configure()
        expect(result.returncode == 1, f"refused: {defconfig!r}")
        for word in words:
            expect(word in result.stderr, f"it says {word!r}: {result.stderr.strip()}")
        expect(not folder.header.exists(), "no header was written")


def case_unknown_symbol():
    refuse("CONFIG_SWITCH=y\nCONFIG_SWICH=y\n", "defconfig:2", "SWICH")


def case_bad_value():
    refuse("CONFIG_COUNT=many\n", "defconfig:1", "COUNT", "many")
    refuse("CONFIG_SWITCH=y\nCONFIG_COUNT=10\n", "defconfig:2", "COUNT=10", "range")
    refuse("CONFIG_SWITCH=maybe\n", "defconfig:1", "SWITCH")
    refuse("CONFIG_TEXT=bare\n", "defconfig:1", "TEXT")
    refuse("CONFIG_COUNT=3\nCONFIG_COUNT=4\n", "defconfig:2", "COUNT")
    refuse("CONFIG_COUNT 3\n", "defconfig:1", "malformed")


def case_unmet_dependency():
    refuse("CONFIG_DEPENDENT=3\n", "defconfig:1", "DEPENDENT=3", "dependencies")


def case_good_values():
    with tempfile.TemporaryDirectory() as path:
        folder = Folder(path, "# CONFIG_SWITCH is not set\nCONFIG_DEPENDENT=3\nCONFIG_COUNT=9\n")
        result = folder.configure()
        expect(result.returncode == 0, f"accepted: {result.stderr}")
        header = folder.header.read_text()
        expect("CONFIG_DEPENDENT 3" in header and "CONFIG_COUNT 9" in header, "values arrive")
        expect("CONFIG_SWITCH" not in header, "what is off is not defined")
        expect('CONFIG_TEXT "a b"' in header, "defaults arrive")
        before = os.stat(folder.header).st_mtime_ns
        folder.configure()
        expect(os.stat(folder.header).st_mtime_ns == before, "an equal header is not touched")


def case_merge():
    with tempfile.TemporaryDirectory() as path:
        folder = Folder(path, "# A board.\nCONFIG_COUNT=5\nCONFIG_TEXT=\"board\"\n")
        (folder.path / "Kconfig").write_text(KCONFIG + "\nconfig CHOSEN\n    def_bool SWITCH\n")
        merged = folder.path / "merged"

        def merge(*texts):
            fragments = []
            for number, text in enumerate(texts):
                fragments.append(folder.path / f"{number}.cfg")
                fragments[-1].write_text(text)
            return run(sys.executable, KCONFIG_PY, "merge", folder.path / "Kconfig",
                       folder.defconfig, merged, *fragments, cwd=folder.path)

        result = merge("CONFIG_COUNT=6\n", "CONFIG_COUNT=7\n# CONFIG_SWITCH is not set\n")
        expect(result.returncode == 0, f"merged: {result.stderr}")
        expect(merged.read_text() == "# A board.\n# CONFIG_SWITCH is not set\nCONFIG_COUNT=7\n"
               "CONFIG_TEXT=\"board\"\n", f"the last one counts: {merged.read_text()}")
        expect(merge("# CONFIG_CHOSEN is not set\n").returncode == 0,
               "what nobody can choose is passed over")
        merged.unlink()
        for text, words in (("CONFIG_COUNT=6\nCONFIG_SWICH=y\n", "1.cfg:2"),
                            ("CONFIG_DEPENDENT=3\n", "1.cfg:1"), ("CONFIG_COUNT=10\n", "1.cfg:1")):
            result = merge("", text)
            expect(result.returncode == 1 and words in result.stderr,
                   f"refused with {words}: {result.stderr.strip()}")
        expect(not merged.exists(), "nothing was written")


def case_edit_is_kept():
    with tempfile.TemporaryDirectory() as path:
        folder = Folder(path, "CONFIG_COUNT=5\n")
        folder.configure()
        folder.defconfig.write_text("CONFIG_COUNT=6\n")
        folder.configure()
        expect("CONFIG_COUNT 6" in folder.header.read_text(), "an edited defconfig takes effect")

        edited = folder.config.read_text().replace("COUNT=6", "COUNT=7")
        folder.config.write_text(edited)
        os.utime(folder.defconfig)
        result = folder.configure()
        expect("CONFIG_COUNT 7" in folder.header.read_text(), "an edited .config is kept")
        expect("kept" in result.stdout, "and it is said")

        folder.config.write_text(edited.replace("COUNT=7", "COUNT=70"))
        result = folder.configure()
        expect(result.returncode == 1 and "delete it" in result.stderr,
               "a wrong edit is refused, with the way out")

        folder.config.unlink()
        folder.configure()
        expect("CONFIG_COUNT 6" in folder.header.read_text(), "deleting .config returns")

        other = folder.path / "other"
        other.write_text("CONFIG_COUNT=8\n")
        folder.configure(other)
        expect("CONFIG_COUNT 8" in folder.header.read_text(), "another board takes effect")


def cmake(build, *options):
    return run("cmake", "-G", "Ninja", "-S", tree.ROOT, "-B", build, *options)


def build_folder(path, text):
    """A configured build of the tree with a defconfig that holds TEXT."""
    defconfig = pathlib.Path(path) / "defconfig"
    defconfig.write_text(text)
    build = pathlib.Path(path) / "build"
    result = cmake(build, f"-DRUNNEL_DEFCONFIG={defconfig}", "-DRUNNEL_TESTS=OFF")
    return result, build, defconfig


def case_cmake_refuses():
    with tempfile.TemporaryDirectory() as path:
        result, _, _ = build_folder(path, "CONFIG_NO_SUCH_SYMBOL=y\n")
        expect(result.returncode != 0, "cmake stops at an unknown symbol")
        expect("defconfig:1" in result.stderr and "NO_SUCH_SYMBOL" in result.stderr,
               "it names the line and the symbol")
        result = cmake(pathlib.Path(path) / "board", "-DBOARD=no-such-board")
        expect(result.returncode != 0, "cmake stops at an unknown board")
        expect("no-such-board" in result.stderr and "host" in result.stderr,
               "it names the board and those that exist")


def case_cmake_refuses_symbols():
    with tempfile.TemporaryDirectory() as path:
        build = pathlib.Path(path) / "build"
        options = ("-DBOARD=host", "-DRUNNEL_TESTS=OFF")
        result = cmake(build, *options, "-DCONFIG_DRIVER_SIM=n", "-DCONFIG_STREAM=telemetry")
        expect(result.returncode != 0, "cmake stops at symbols that it is given")
        for word in ("CONFIG_DRIVER_SIM", "CONFIG_STREAM", "menuconfig", "boards/host/defconfig"):
            expect(word in result.stderr, f"it says {word!r}: {result.stderr.strip()}")
        result = cmake(build, *options)
        expect(result.returncode == 0, f"without them it configures: {result.stderr}")


def case_savedefconfig():
    comment = "# What this board is.\n"
    with tempfile.TemporaryDirectory() as path:
        result, build, defconfig = build_folder(
            path, comment + "CONFIG_STACK_BYTES=262144\nCONFIG_DOCUMENT_KIB=64\n")
        expect(result.returncode == 0, f"configured: {result.stderr}")
        header = (build / "autoconf.h").read_text()
        result = run("cmake", "--build", build, "-t", "savedefconfig")
        expect(result.returncode == 0, f"savedefconfig ran: {result.stdout}{result.stderr}")
        expect(defconfig.read_text() == comment + "CONFIG_STACK_BYTES=262144\n",
               "the defconfig holds the comment and what differs from the defaults")
        result = cmake(build)
        expect(result.returncode == 0 and (build / "autoconf.h").read_text() == header,
               "it configures the same")


def drive(command, keys):
    """Runs menuconfig on a terminal of its own and types KEYS, each when the screen rests."""
    pid, terminal = pty.fork()
    if pid == 0:
        # A locale that is not installed, as the en_US.UTF-8 that BitBake sets may not be.
        os.environ.update(TERM="linux", LINES="24", COLUMNS="80", LC_ALL="xx_XX.UTF-8")
        os.execvp(command[0], command)
    shown = ""
    pending = list(keys)
    while True:
        ready, _, _ = select.select([terminal], [], [], 0.3 if pending else 60)
        if ready:
            try:
                data = os.read(terminal, 65536)
            except OSError:
                data = b""
            if not data:
                break
            shown += data.decode(errors="replace")
        elif pending:
            os.write(terminal, pending.pop(0).encode())
        else:
            sys.exit(f"menuconfig did not end:\n{shown}")
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), shown


# Jump to the symbol, turn it off, save under the proposed name, leave.
TURN_OFF = ["/", "DRIVER_SIM\n", "\n", "n", "s", "\n", "\n", "q"]


def case_menuconfig():
    with tempfile.TemporaryDirectory() as path:
        result, build, _ = build_folder(path, "")
        expect(result.returncode == 0, f"configured: {result.stderr}")
        expect("CONFIG_DRIVER_SIM 1" in (build / "autoconf.h").read_text(), "the driver is on")
        status, shown = drive(["cmake", "--build", str(build), "-t", "menuconfig"], TURN_OFF)
        expect(status == 0, "menuconfig ended well" if status == 0 else shown)
        expect("# CONFIG_DRIVER_SIM is not set" in (build / ".config").read_text(), "it saved")
        result = cmake(build)
        expect(result.returncode == 0 and "kept" in result.stdout, "the edit is kept")
        expect("CONFIG_DRIVER_SIM" not in (build / "autoconf.h").read_text(),
               "the driver is off")


def case_menuconfig_by_make():
    """As Yocto's class cml1 does it: by make in the build folder, then what changed by diff."""
    with tempfile.TemporaryDirectory() as path:
        build = pathlib.Path(path) / "build"
        defconfig = build / "defconfig"
        build.mkdir()
        defconfig.write_text("CONFIG_DOCUMENT_KIB=32\n")
        options = (f"-DRUNNEL_DEFCONFIG={defconfig}", "-DRUNNEL_TESTS=OFF")
        result = run("cmake", "-G", "Unix Makefiles", "-S", tree.ROOT, "-B", build, *options)
        expect(result.returncode == 0, f"configured: {result.stderr}")
        config = build / ".config"
        before = config.read_text().splitlines()
        status, shown = drive(["make", "-C", str(build), "menuconfig"], TURN_OFF)
        expect(status == 0, "menuconfig ended well" if status == 0 else shown)
        after = config.read_text().splitlines()
        fragment = pathlib.Path(path) / "fragment.cfg"
        fragment.write_text("".join(f"{line}\n" for line in after if line not in before))
        expect(fragment.read_text() == "# CONFIG_DRIVER_SIM is not set\n", "the fragment has it")

        merged = pathlib.Path(path) / "merged"
        result = run(sys.executable, KCONFIG_PY, "merge", "Kconfig", defconfig, merged, fragment,
                     cwd=tree.ROOT)
        expect(result.returncode == 0, f"merged: {result.stderr}")
        result = run("make", "-C", build, "savedefconfig")
        expect(result.returncode == 0, f"savedefconfig ran: {result.stderr}")
        expect(defconfig.read_text() == merged.read_text(), "the defconfig has both")
        result = run("make", "-C", build, "rebuild_cache")
        expect("CONFIG_DRIVER_SIM" not in (build / "autoconf.h").read_text(),
               "the driver is off in what is built next")


CASES = {name[len("case_"):].replace("_", "-"): function
         for name, function in list(globals().items()) if name.startswith("case_")}


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(CASES))
    elif len(sys.argv) == 2 and sys.argv[1] in CASES:
        CASES[sys.argv[1]]()
    else:
        sys.exit(__doc__)


main()
