# SPDX-License-Identifier: Apache-2.0
"""
Gateways that QEMU plays: a machine with its console, its network and its disk, and what can happen
to them.

Everything is emulated, so it is slow, but nothing here depends on how slow. What a guest says on
its serial console is kept in a log beside the run's others; --watch shows it as it comes.
"""
import json
import os
import pathlib
import queue
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "platform/image")]
import harness  # noqa: E402  pylint: disable=wrong-import-position
import parts  # noqa: E402  pylint: disable=wrong-import-position
from harness import check, wait_until  # noqa: E402  pylint: disable=wrong-import-position

BOOT_S = 300
COMMAND_S = 240
# The guest's name for this machine's loopback, and for the sink's certificate.
HOST = "10.0.2.2"
NAME = "sink.test"
# What guests have beside the agent.
HELPERS = ("clock_good", "send_frames", "stop_thread")


VIRTIO = ("-serial", "{serial}", "-netdev", "user,id=n0", "-device", "virtio-net-device,netdev=n0")
VIRTIO_MODULES = "virtio_mmio virtio_blk virtio_net virtio_rng crc32c_generic ext4".split()


class Board:
    """A QEMU machine, which runs what is built for a folder in boards/."""

    console = "ttyAMA0"
    ports = VIRTIO                    # of QEMU; {serial} is where its console goes
    modules = VIRTIO_MODULES
    device_tree = None                # its file's name; None: QEMU makes it
    has_disks = True

    def __init__(self, name, arch, firmware, *command):
        self.name = name
        self.arch = arch
        self.firmware = firmware      # what loads an image, by its own boot loader
        self.command = command
        self.build = ROOT / "build" / name


class Sabrelite(Board):
    """A real board, as QEMU plays it, with its I2C buses: everything is in RAM."""

    console = "ttymxc1"
    ports = ("-serial", "null", "-serial", "{serial}", "-netdev", "user,id=n0",
             "-net", "nic,netdev=n0")
    modules = ("gpio-mxc", "i2c-imx", "fec")
    device_tree = "imx6q-sabrelite.dtb"
    has_disks = False


BOARDS = {
    "qemu-armv7": Board("qemu-armv7", "armhf", "/usr/lib/u-boot/qemu_arm/u-boot.bin",
                        "qemu-system-arm", "-M", "virt", "-cpu", "cortex-a7"),
    "qemu-aarch64": Board("qemu-aarch64", "arm64", "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
                          "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53"),
}
# What a Gateway can be; the others have no image.
MACHINES = BOARDS | {"sabrelite": Sabrelite("qemu-armv7", "armhf", None,
                                            "qemu-system-arm", "-M", "sabrelite")}


def with_parent(*command):
    """The same, which ends when this program does."""
    return ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)]


class Machine:
    """One power-on of a board: from start() to cut() or off()."""

    def __init__(self, run, board, *options, disks=None, memory_mib=128, clock="utc",
                 terminal=False):
        self.run_folder = run.folder
        self.watch = run.watch
        self.qmp_path = run.folder / "qmp"
        self.qmp_path.unlink(missing_ok=True)
        self.lines = queue.Queue()
        self.pending = []             # lines that came while something else was awaited
        self.serial = 0
        self.helper = None
        command = [*board.command, "-m", memory_mib, "-smp", 1, "-nodefaults", "-nographic",
                   "-no-reboot", "-rtc", f"base={clock}",
                   "-qmp", f"unix:{self.qmp_path},server=on,wait=off",
                   *(port.format(serial="mon:stdio" if terminal else "stdio")
                     for port in board.ports), *options]
        for name, (file, mode) in (disks or {}).items():
            command += ["-drive", f"if=none,id={name},format=raw,cache=writeback,{mode},"
                        f"file={file}", "-device", f"virtio-blk-device,drive={name},serial={name}"]
        pipes = {"stdin": None, "stdout": None} if terminal else {"stdin": subprocess.PIPE,
                                                                  "stdout": subprocess.PIPE}
        self.process = harness.Process(with_parent(*command), run.folder / "qemu.log", **pipes)
        if terminal:
            return
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with (self.run_folder / "console.log").open("a", encoding="utf-8") as log:
            for line in self.process.popen.stdout:
                text = line.decode(errors="replace").rstrip("\r\n")
                log.write(text + "\n")
                log.flush()
                if self.watch:
                    print(f"  | {text}", flush=True)
                self.lines.put(text)
        self.lines.put(None)

    def wait_for(self, pattern, timeout_s=BOOT_S, or_end=False):
        """The match of the next line that PATTERN matches; what stood before it is dropped."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise harness.Failure(f"the guest did not say {pattern} within {timeout_s} s: "
                                      + self.tail()) from None
            if line is None:
                if or_end:
                    return None
                raise harness.Failure(f"the machine ended before it said {pattern}: {self.tail()}")
            found = re.search(pattern, line)
            if found:
                return found
            self.pending.append(line)

    def tail(self, lines=15):
        text = (self.run_folder / "console.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:]) + self.process.tail()

    def type(self, text):
        self.process.popen.stdin.write(text.encode() + b"\n")
        self.process.popen.stdin.flush()

    def start_shell(self, timeout_s=BOOT_S):
        """Until the shell on an image's console answers; it echoes no more then."""
        self.wait_for(r"^This gateway is emulated", timeout_s)
        self.type("stty -echo -onlcr; PS1=; PS2=")
        self.run("true")

    def call(self, command, timeout_s=COMMAND_S):
        """A command of the guest's shell: (exit code, what it printed)."""
        self.serial += 1
        self.pending.clear()
        mark = f"@{self.serial}:"
        # A document within the command ends with its line. The mark is in two pieces, so that an
        # echo of the command is no answer.
        end = "\n" if "\n" in command else " "
        self.type(f"( {command}{end}) 2>&1; echo \"@\"\"{mark[1:]}$?\"")
        code = self.wait_for(re.escape(mark) + r"(\d+)$", timeout_s)
        before = code.string[:code.start()]
        output = "\n".join(self.pending + ([before] if before else []))
        return int(code.group(1)), output

    def run(self, command, timeout_s=COMMAND_S):
        """The same for one that must succeed: what it printed."""
        code, output = self.call(command, timeout_s)
        check(code == 0, f"{command!r} ended with {code} in the guest: {output}")
        return output

    def ask(self, execute, **arguments):
        """The reply of QEMU's monitor, which may be an error."""
        with socket.socket(socket.AF_UNIX) as connection:
            wait_until("QMP", lambda: connection.connect_ex(str(self.qmp_path)) == 0)
            stream = connection.makefile("rw")
            stream.readline()
            for command in ({"execute": "qmp_capabilities"},
                            {"execute": execute, "arguments": arguments}):
                stream.write(json.dumps(command) + "\n")
                stream.flush()
                reply = json.loads(stream.readline())
                while "event" in reply:
                    reply = json.loads(stream.readline())
            return reply

    def qmp(self, execute, **arguments):
        """What it returns."""
        reply = self.ask(execute, **arguments)
        check("return" in reply, f"QMP {execute}: {reply}")
        return reply["return"]

    def link(self, up):
        """Pulls the network's plug, or puts it in again: the guest sees its carrier go."""
        self.qmp("set_link", name="n0", up=up)

    def cut(self):
        """The power goes, at once."""
        self.process.kill()
        if self.helper is not None:
            self.helper.kill()

    def wait_off(self, timeout_s=COMMAND_S):
        """Until it has powered itself off or asked for a reboot."""
        self.process.wait(timeout_s)
        if self.helper is not None:
            self.helper.stop()


class VolatileCache:
    """A disk whose write cache is lost with its power: what was not flushed is gone after a cut."""

    def __init__(self, run, image):
        self.path = run.folder / "nbd"
        self.path.unlink(missing_ok=True)
        self.process = harness.Process(
            ["nbdkit", "-f", "--exit-with-parent", "-U", self.path, "--filter=cache", "file", image,
             "cache=writeback"], run.folder / "nbdkit.log", stdout=subprocess.DEVNULL)
        wait_until("nbdkit", self.path.exists)
        self.url = f"nbd+unix:///?socket={self.path}"


def debian_of(board):
    return parts.Debian(MACHINES[board].arch)


class Gateway:
    """A gateway without systemd: kernel, BusyBox, the agent, and a disk that outlives its boots."""

    def __init__(self, run, board, sink, disk_mib=24, fs="ext4", files=None, modules=(),
                 built=None, program="runnel", **config):
        """MODULES are the kernel's own, by name; BUILT is {file: its parameters} of others."""
        self.run = run
        self.board = MACHINES[board]
        self.fs = fs if self.board.has_disks else "tmpfs"
        self.debian = debian_of(board)
        self.machine = None
        self.image = run.folder / "disk.img"
        if self.board.has_disks:
            self.make_disk(disk_mib, files or {})
        self.config = {"device": "gw-qemu", "sensors": [], **config}
        self.config.setdefault("routes", [{}])
        self.config["spool"] = {"size": "8MiB", **self.config.get("spool", {})}
        for route in self.config["routes"]:
            harness.Agent.fill_route(route, f"https://{NAME}:{sink.port}", "/etc/runnel/ca.pem")
        self.initrd = run.folder / "initrd"
        with self.initrd.open("wb") as out:
            out.write(self.common(["af_packet", *self.board.modules, *modules],
                                  built or {}, program).read_bytes())
            out.write(self.own(sink).read_bytes())

    def make_disk(self, size_mib, files):
        folder = self.run.folder / "disk"
        (folder / "state").mkdir(parents=True)
        for name, source in files.items():
            shutil.copy(source, folder / name)
        with self.image.open("wb") as image:
            image.truncate(size_mib << 20)
        if self.fs == "ext4":
            parts.call("mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-d", folder,
                       "-E", "root_owner=0:0", self.image)
        elif self.fs == "f2fs":
            if shutil.which("mkfs.f2fs", path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None:
                raise harness.Skip("f2fs-tools are not there")
            parts.call("mkfs.f2fs", "-q", self.image)

    def common(self, modules, built, program):
        """The part of the initramfs that all guests of a board have. The agent and its libraries
        are on a disk of their own: what a program maps from RAM would count as its dirty pages."""
        early = parts.early_root(self.debian, modules, ROOT / "tests/qemu/init",
                                 self.run.folder / "early")
        with (early / "modules").open("a") as order:
            for file, parameters in built.items():
                shutil.copy(file, early / "lib")
                order.write(f"/lib/{file.name} {parameters}\n")
        for script in ("serve", "load", "hardware"):
            shutil.copy(ROOT / "tests/qemu" / script, early / "bin" / script)
            (early / "bin" / script).chmod(0o755)
        root = self.run.folder / "root" if self.board.has_disks else early / "opt"
        for name in ("bin", "lib"):
            (root / name).mkdir(parents=True)
        for built, name in self.programs(modules, program).items():
            parts.call(f"{self.debian.arch.triple}-strip", "-o", root / "bin" / name, built)
            for library in self.debian.libraries(built):
                shutil.copy(library, root / "lib" / library.name)
        for path in root.glob("*/*"):
            (early / path.relative_to(root)).symlink_to(f"/opt/{path.relative_to(root)}")
        if self.board.has_disks:
            (early / "opt").mkdir()
            parts.call("mke2fs", "-q", "-t", "ext4", "-d", root, "-E", "root_owner=0:0",
                       self.run.folder / "root.img", "16M")
        return parts.initramfs(early, self.run.folder / "early.gz")

    def programs(self, modules, program):
        """{file: its name in the guest}"""
        found = {}
        for name in (program, *HELPERS):
            built = next((path for path in (self.board.build / name,
                                            self.board.build / "tests/qemu" / name)
                          if path.is_file()), None)
            check(built, f"{self.board.build} has no {name}: tests/qemu/run builds it")
            found[built] = "runnel" if name == program else name
        if "ubifs" in modules:
            found |= {self.debian.tools / "usr/sbin" / name: name
                      for name in ("ubiattach", "ubimkvol")}
        return found

    def own(self, sink):
        """The part that tells this run's gateway who it is."""
        folder = self.run.folder / "own"
        etc = folder / "etc/runnel"
        etc.mkdir(parents=True)
        (etc / "runnel.json").write_text(json.dumps(self.config, indent=1))
        shutil.copy(sink.ca, etc / "ca.pem")
        (folder / "etc/hosts").write_text(f"127.0.0.1 localhost\n{HOST} {NAME}\n")
        (etc / "environment").write_text(
            f"export AWS_ACCESS_KEY_ID={harness.ACCESS_KEY}\n"
            f"export AWS_SECRET_ACCESS_KEY={harness.SECRET_KEY}\n"
            "export AWS_EC2_METADATA_DISABLED=true RUNNEL_STATE=/data/state\n")
        return parts.initramfs(folder, self.run.folder / "own.gz")

    def boot(self, *hardware, volatile=False, memory_mib=128, clock="utc", link=True, serve=True,
             options=""):
        """HARDWARE are options of QEMU, OPTIONS those of the kernel and of init."""
        disk = VolatileCache(self.run, self.image) if volatile else None
        disks = {"data": (disk.url if disk else self.image, "readonly=off"),
                 "root": (self.run.folder / "root.img", "readonly=on")}
        if self.board.device_tree:
            hardware += ("-dtb", self.debian.device_tree(self.board.device_tree))
        self.machine = Machine(
            self.run, self.board, "-kernel", self.debian.vmlinuz, "-initrd", self.initrd,
            "-append", f"console={self.board.console} quiet loglevel=1 panic=-1 data={self.fs} "
                       f"{options}", *hardware,
            disks=disks if self.board.has_disks else None, memory_mib=memory_mib, clock=clock)
        self.machine.helper = disk.process if disk else None
        if not link:
            self.machine.link(False)
        self.machine.wait_for("guest: ready")
        if serve:
            self.serve()
        return self.machine

    def serve(self):
        """Starts the service, and waits until the agent answers."""
        self.machine.run("serve </dev/null >/dev/null &")
        self.machine.run("until runnel status >/dev/null 2>&1; do sleep 0.2; done", BOOT_S)

    def status(self):
        code, text = self.machine.call("runnel status --json")
        check(code in (0, 1) and text.startswith("{"), f"status in the guest: {code} {text}")
        return json.loads(text)

    def counters(self, lane="normal", route="live"):
        status = self.status()
        return {**status["routes"][route]["lanes"][lane],
                "pending": status["lanes"][lane]["pending"]}

    def log(self, lines=20):
        return self.machine.call(f"tail -n {lines} /run/log")[1]

    def wait_drained(self, lanes=("alarm", "normal", "bulk"), timeout_s=harness.DEADLINE_S):
        def is_drained():
            status = self.status()
            return all(status["lanes"][lane]["stored"] == status["lanes"][lane]["pending"] == 0
                       for lane in lanes)
        wait_until("an empty spool", is_drained, timeout_s)


class Installed:
    """A gateway that was written from a board's image, with systemd and all."""

    def __init__(self, run, board, sink, files=None, blank=False, **config):
        """BLANK: the disk is left to the caller."""
        self.run = run
        self.board = BOARDS[board]
        self.image = run.folder / "disk.img"
        self.machine = None
        if blank:
            with self.image.open("wb") as image:
                image.truncate(1 << 30)
            return
        made = self.board.build / f"{board}.img"
        check(made.is_file(), f"{made} is missing: tests/qemu/run makes it")
        parts.call("cp", "--sparse=always", made, self.image)
        own = run.folder / "own"
        (own / "runnel.d").mkdir(parents=True)
        self.configure(own, sink, config)
        for name, source in (files or {}).items():
            shutil.copy(source, own / name)
        parts.call("mcopy", "-s", "-o", "-i", f"{self.image}@@4M", *own.iterdir(), "::/runnel/")

    @staticmethod
    def configure(folder, sink, config):
        """What one puts on the boot partition of a card, from which it is imported: here, that the
        sink is the cloud."""
        route = {"name": "live", "endpoint": f"https://{NAME}:{sink.port}",
                 "ca_file": "/etc/runnel/ca.pem"}
        (folder / "runnel.d/sink.json").write_text(json.dumps({"routes": [route], **config}))
        shutil.copy(sink.ca, folder)
        (folder / "credentials").write_text(
            f"[default]\naws_access_key_id = {harness.ACCESS_KEY}\n"
            f"aws_secret_access_key = {harness.SECRET_KEY}\n")

    def start(self, *options, memory_mib=256, terminal=False):
        if not pathlib.Path(self.board.firmware).is_file():
            raise harness.Skip(f"{self.board.firmware} is not there")
        self.machine = Machine(self.run, self.board, "-bios", self.board.firmware, *options,
                               disks={"system": (self.image, "readonly=off")},
                               memory_mib=memory_mib, terminal=terminal)
        return self.machine

    def boot(self, *options, link=True):
        """Until its console answers."""
        self.start(*options)
        if not link:
            self.machine.link(False)
        self.machine.start_shell()
        return self.machine

    def status(self):
        """As soon as the agent answers."""
        code, text = self.machine.call(
            "for i in $(seq 200); do runnel status --json 2>/dev/null && exit; sleep 1; done; "
            "journalctl -u runnel -n 20 -o cat", BOOT_S)
        check(code == 0 and text.startswith("{"), f"the agent does not answer: {text}")
        return json.loads(text)

    def counters(self, lane="normal", route="live"):
        return self.status()["routes"][route]["lanes"][lane]

    def unit(self, name):
        """A property of the service."""
        return self.machine.run(f"systemctl show -P {name} runnel").strip()

    def reboot(self, **options):
        self.machine.type("systemctl reboot")
        self.machine.wait_off()
        return self.boot(**options)


def identities(sink):
    """{id of a document: the identities under which the sink has it}"""
    found = {}
    for _, _, data in sink.records():
        record = json.loads(data)
        number = record.get("data", {}).get("id")
        if number is not None:
            found.setdefault(number, set()).add((record["device"], record["spool"], record["seq"]))
    return found


class Stick:
    """A USB stick: FAT, with a folder runnel/."""

    def __init__(self, run, name="stick"):
        self.name = name
        self.image = run.folder / f"{name}.img"
        with self.image.open("wb") as image:
            image.truncate(32 << 20)
        parts.call("mkfs.vfat", "-n", "STICK", self.image)
        parts.call("mmd", "-i", self.image, "::/runnel")

    def put(self, file, name):
        parts.call("mcopy", "-i", self.image, file, f"::/runnel/{name}")

    def plug(self, machine):
        machine.qmp("blockdev-add", **{"node-name": self.name, "driver": "raw",
                                       "file": {"driver": "file", "filename": str(self.image)}})
        machine.qmp("device_add", driver="usb-storage", drive=self.name, id=f"{self.name}-usb",
                    bus="usb.0", removable=True)

    def unplug(self, machine):
        machine.qmp("device_del", id=f"{self.name}-usb")

        def is_free():
            return "return" in machine.ask("blockdev-del", **{"node-name": self.name})

        wait_until("the stick is out", is_free)

    def read(self, name):
        """A file's text, or None."""
        try:
            return parts.call("mtype", "-i", self.image, f"::/runnel/{name}")
        except OSError:
            return None

    def names(self):
        """All names on it, in any folder."""
        return parts.call("mdir", "-/", "-b", "-i", self.image, "::/").split()
