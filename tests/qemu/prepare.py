# SPDX-License-Identifier: Apache-2.0
"""Compilers, programs, Debian's packages and images: what gateways under QEMU are made of."""
import fcntl
import subprocess

from guest import BOARDS, ROOT, parts
from sim_modules import sim_modules

GROUPS = ("build", "armhf", "arm64", "image", "qemu")


def build(folder, board, targets):
    """A build folder is configured once."""
    place = ROOT / "build" / folder
    if not (place / "build.ninja").exists():
        parts.call("cmake", "-G", "Ninja", "-S", ROOT, "-B", place, f"-DBOARD={board}")
    parts.call("ninja", "-C", place, *targets)


def is_current(image, board):
    """Whether nothing that went into an image is newer than it."""
    if not image.is_file():
        return False
    sources = [BOARDS[board].build / "runnel", ROOT / "boards" / board / "runnel.json",
               *(ROOT / "platform/image").rglob("*"), *(ROOT / "platform/systemd").rglob("*"),
               ROOT / "platform/import/import"]
    return all(source.stat().st_mtime <= image.stat().st_mtime for source in sources
               if source.is_file())


def prepare(boards=tuple(BOARDS)):
    """Installs, downloads and builds what is missing for BOARDS, and the sink; one at a time."""
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build/qemu.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prepare_alone(boards)


def prepare_alone(boards):
    subprocess.run([ROOT / "tests/tools/install.sh", *GROUPS], check=True)
    build("host", "host", ["runnel-sink"])
    for board in boards:
        subprocess.run([ROOT / "tests/tools/sysroot.sh", BOARDS[board].arch], check=True)
        build(board, board, ["runnel", "qemu"])
        if not is_current(BOARDS[board].build / f"{board}.img", board):
            subprocess.run([ROOT / "platform/image/make", board], check=True)
    if "qemu-armv7" in boards:
        sim_modules(parts.Debian("armhf"))
