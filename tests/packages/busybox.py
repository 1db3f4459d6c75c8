#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The init script in a root that has BusyBox and the program alone, and a process table of its own.

usage: busybox.py [--build DIR] [--control]     with what the script does broken: it is found
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # pylint: disable=wrong-import-position
from harness import ROOT, check  # pylint: disable=wrong-import-position

SOURCE = ROOT / "platform/busybox/S90runnel"
IMPORT = ROOT / "platform/import/import"
BROKEN = (('kill -KILL "$child"', "true"), ('[ "$code" -eq 78 ]', "false"),
          ('    wait "$child"\n    kill "$killer"', '    kill "$killer"'),
          ('grep -qF "${SELF##*/} run " || return 1', "cat >/dev/null"),
          ("while :; do\n        make_directories", "while :; do"),
          ("export STATE_DIRECTORY=", "true "),
          ('[ "$IMPORT" != yes ] || /usr', "true /usr"))
# Shorter than a real machine's, so that nobody waits.
DEFAULTS = "RESTART_S=1\nSTOP_S=2\n"


def libraries(program):
    """Those that the program is linked with, and what loads them."""
    said = subprocess.run(["ldd", program], check=False, capture_output=True, text=True).stdout
    return [pathlib.Path(path) for path in re.findall(r"(/\S+) \(0x", said)]


def make(folder, program, script):
    for name in ("bin", "dev", "proc", "run", "tmp", "test", "archive", "usr/bin", "etc/init.d",
                 "usr/lib/runnel", "medium/runnel",
                 "etc/runnel", "etc/default", "var/log", "var/lib"):
        (folder / name).mkdir(parents=True)
    os.chown(folder / "archive", 900, 900)
    (folder / "tmp").chmod(0o1777)
    shutil.copy(shutil.which("busybox"), folder / "bin/busybox")
    shutil.copy(program, folder / "usr/bin/runnel")
    shutil.copy(IMPORT, folder / "usr/lib/runnel")
    for path in [*libraries(program), *libraries(folder / "bin/busybox")]:
        target = folder / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (folder / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n"
                                       "runnel:x:900:900:runnel:/:/bin/false\n")
    (folder / "etc/group").write_text("root:x:0:\nrunnel:x:900:\ndialout:x:20:runnel\n")
    (folder / "etc/default/runnel").write_text(DEFAULTS)
    shutil.copy(ROOT / "platform/etc/runnel.json", folder / "etc/runnel")
    target = folder / "etc/init.d/S90runnel"
    target.write_text(script)
    target.chmod(0o755)
    shutil.copy(pathlib.Path(__file__).with_suffix(".sh"), folder / "test")
    (folder / "test/runnel.json").write_text(json.dumps({
        "device": "gw",
        "spool": {"volatile": True, "lanes": {"normal": {"window": "11s", "age": "1s"}}},
        "sensors": [{"name": "machine", "driver": "proc", "interval": "100ms"}],
        "routes": [{"name": "stick", "destination": "archive", "path": "/archive",
                    "every": "1s", **harness.NO_QUESTION}]}))


def live(folder):
    """What busybox.sh says, in name spaces that take everything along when it ends."""
    script = ('mount --bind "$0" "$0"; mount -t proc proc "$0/proc"; mount -t tmpfs run "$0/run"; '
              'mount -t tmpfs dev "$0/dev"; mknod -m 666 "$0/dev/null" c 1 3; '
              'mknod -m 666 "$0/dev/urandom" c 1 9; chroot "$0" /bin/busybox --install -s /bin; '
              'exec chroot "$0" /bin/sh /test/busybox.sh')
    result = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", script, folder],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
    return result.returncode, result.stdout.decode(errors="replace")


def find(run, text, before, after):
    """What fails with a script in which BEFORE became AFTER."""
    check(before in text, f"the script has no {before}")
    folder = run.folder / str(BROKEN.index((before, after)))
    make(folder, run.program("runnel"), text.replace(before, after))
    code, said = live(folder)
    check(code != 0, f"without {before} nothing fails:\n{said}")
    found = re.search("FAIL.*", said)
    return f"{before.strip()}: {found.group() if found else said.strip()[-80:]}"


def scenario(options):
    def act(run):
        harness.need_own_mounts()
        if shutil.which("busybox") is None:
            raise harness.Skip("there is no busybox; tests/tools/install.sh packages")
        text = SOURCE.read_text()
        if not options.control:
            make(run.folder / "root", run.program("runnel"), text)
            code, said = live(run.folder / "root")
            print(said.rstrip())
            check(code == 0 and said.endswith("PASS\n"), "not all of it holds")
            return
        with concurrent.futures.ThreadPoolExecutor(max_workers=len(BROKEN)) as pool:
            for line in pool.map(lambda pair: find(run, text, *pair), BROKEN):
                print(line, flush=True)
    return act


def main():
    options = harness.arguments(__doc__, (("--control",), {"action": "store_true"}))
    harness.main(options, scenario(options))


if __name__ == "__main__":
    main()
