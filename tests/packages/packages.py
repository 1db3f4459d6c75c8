#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Debian packages are made, installed, used, upgraded, removed and purged in a Debian of their own.

usage: packages.py [--build DIR] [--architecture amd64|armhf|arm64]

It needs root, and mmdebstrap with this machine's apt sources. This machine's own architecture is
booted in a container with systemd (guest.sh says what must hold there): the service starts by
itself, does all it is made for within its limits, and every refused system call ends it. Others
run in a chroot under qemu-user, for which a user namespace has a binfmt_misc of its own. The system
is made once and kept below build/cache (or $RUNNEL_TEST_CACHE).
"""
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # pylint: disable=wrong-import-position
from harness import ROOT, check  # pylint: disable=wrong-import-position

LINES = 200
NEXT = "99.0.0"
SUITE = "bookworm"
# Where systemd is not wanted, the smaller of what the package may depend on.
PACKAGES = {True: "systemd,systemd-sysv,dbus,procps", False: "systemd-standalone-sysusers"}
# binfmt_misc's: how a program of that architecture begins, and which bits of that count.
EMULATED = {
    "armhf": ("qemu-arm-static", r"\x7fELF\x01\x01\x01" + r"\x00" * 9 + r"\x02\x00\x28\x00",
              r"\xff" * 7 + r"\x00" + r"\xff" * 8 + r"\xfe\xff\xff\xff"),
    "arm64": ("qemu-aarch64-static", r"\x7fELF\x02\x01\x01" + r"\x00" * 9 + r"\x02\x00\xb7\x00",
              r"\xff" * 7 + r"\x00" + r"\xff" * 8 + r"\xfe\xff\xff\xff"),
}
BOARDS = {"armhf": "qemu-armv7", "arm64": "qemu-aarch64"}


def run(*command, log, timeout=None, mapped=False, **options):
    """MAPPED: it waits for a line, before which its user namespace gets all users of this one."""
    with log.open("ab") as file, \
         subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=file,
                          stderr=file, **options) as process:
        if mapped:
            harness.wait_until("a user namespace", lambda: is_apart(process.pid))
            for users in ("uid_map", "gid_map"):
                pathlib.Path(f"/proc/{process.pid}/{users}").write_text("0 0 65536")
        try:
            process.communicate(b"\n" if mapped else b"", timeout)
        finally:
            process.kill()
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    check(process.returncode == 0, f"{command[0]} ended with {process.returncode}\n{tail}")


def is_apart(pid):
    return os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user")


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise harness.Skip(f"{program} is not there; tests/tools/install.sh packages")


def native():
    return subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True,
                          text=True).stdout.strip()


class Guest:
    """A Debian in a folder, and the package of both versions in it."""

    def __init__(self, scenario, architecture):
        self.scenario = scenario
        self.architecture = architecture
        self.emulated = architecture != native()
        self.folder = scenario.folder / "debian"
        self.test = self.folder / "test"
        self.log = scenario.folder / "log"

    def inside(self):
        """What goes in front of a command so that it may run this architecture's programs."""
        if not self.emulated:
            return ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        qemu, magic, mask = EMULATED[self.architecture]
        register = f":runnel:M::{magic}:{mask}:{shutil.which(qemu)}:F"
        script = ("read -r mapped && mount -t proc proc /proc && "
                  "mount -t binfmt_misc binfmt /proc/sys/fs/binfmt_misc && "
                  f"printf %s {shlex.quote(register)} >/proc/sys/fs/binfmt_misc/register "
                  '&& exec "$@"')
        return ["unshare", "--user", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec",
                script, "sh"]

    def make(self):
        packages = PACKAGES[not self.emulated]
        recipe = hashlib.sha256(f"{SUITE} {packages}".encode()).hexdigest()[:12]
        cache = pathlib.Path(os.environ.get("RUNNEL_TEST_CACHE") or ROOT / "build/cache")
        cache.mkdir(parents=True, exist_ok=True)
        archive = cache / f"debian-{self.architecture}-{recipe}.tar"
        if not archive.exists():
            part = archive.with_suffix(".part.tar")
            run(*self.inside(), "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase",
                f"--architectures={self.architecture}", f"--include={packages}",
                *self.apt_options(), SUITE, part, *self.sources(), log=self.log,
                mapped=self.emulated)
            part.rename(archive)
        self.folder.mkdir()
        run("tar", "-C", self.folder, "-xf", archive, log=self.log)

    def sources(self):
        """Debian's own in this machine's apt, as tools/chroot.sh takes them. The release alone for
        an emulated one: of other architectures the index of a mirror's updates may be out of step,
        and mmdebstrap wants all or none."""
        found = [path for path in [pathlib.Path("/etc/apt/sources.list"),
                                   *sorted(pathlib.Path("/etc/apt/sources.list.d").iterdir())]
                 if path.is_file() and path.suffix in (".list", ".sources")
                 and SUITE in path.read_text()
                 and "debian" in path.read_text()]
        if not found:
            raise harness.Skip(f"no Debian source for {SUITE} in /etc/apt")
        return [self.release_alone(path) for path in found] if self.emulated else found

    def release_alone(self, path):
        text = path.read_text()
        ends = "\n\n" if path.suffix == ".sources" else "\n"
        kept = [part for part in text.split(ends) if f"{SUITE}-security" not in part]
        copy = self.scenario.folder / path.name
        copy.write_text(ends.join(kept) + "\n")
        return copy

    @staticmethod
    def apt_options():
        """How apt reaches its sources from here."""
        dump = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True)
        return [f"--aptopt={line}" for line in dump.stdout.splitlines()
                if line.lower().startswith("acquire::") and "proxy" in line.lower()]

    def package(self, build):
        """The package of this version and of the next one."""
        self.test.mkdir()
        run("cmake", "--build", build, "-t", "package", log=self.log)
        run("cpack", "--config", build / "CPackConfig.cmake", "-R", NEXT, "-B", build / "next",
            log=self.log, cwd=build)
        made = sorted(build.glob(f"runnel_*_{self.architecture}.deb"))
        check(len(made) == 1, f"{build} has {made}")
        shutil.copy(made[0], self.test / "old.deb")
        shutil.copy(build / f"next/runnel_{NEXT}_{self.architecture}.deb", self.test / "new.deb")
        return made[0]

    def look(self):
        run("lintian", "--allow-root", "--fail-on", "error,warning", "--suppress-tags",
            "bogus-mail-host,bogus-mail-host-in-debian-changelog", self.test / "old.deb",
            log=self.log)
        depends = subprocess.run(["dpkg-deb", "-f", self.test / "old.deb", "Depends"], check=True,
                                 capture_output=True, text=True).stdout
        for library in ("libc6", "libcjson1", "liblmdb0", "libmbedtls14", "libmodbus5",
                        "libcoap3", "zlib1g"):
            check(library in depends, f"{library} is not in {depends}")

    def write(self, sink):
        shutil.copy(pathlib.Path(__file__).parent / "guest.sh", self.test)
        shutil.copy(sink.ca, self.test / "ca.pem")
        for name in ("resolv.conf", "hosts"):
            (self.folder / "etc" / name).unlink(missing_ok=True)
            shutil.copy(f"/etc/{name}", self.folder / "etc" / name)
        (self.test / "credentials").write_text(
            f"[default]\naws_access_key_id = {harness.ACCESS_KEY}\n"
            f"aws_secret_access_key = {harness.SECRET_KEY}\n")
        (self.test / "lines").write_text(
            "".join(f'{{"state":"line {i}"}}\n' for i in range(LINES)))
        kinesis = route("live", "kinesis", "telemetry", sink.endpoint)
        lines = [{"name": "file", "driver": "lines", "path": "/test/lines"}]
        if self.emulated:
            self.write_config("away.json", lines,
                              [route("live", "kinesis", "telemetry", "https://localhost:1")])
            self.write_config("runnel.json", lines, [kinesis])
            return
        self.write_config("runnel.json", [
            {"name": "machine", "driver": "proc", "interval": "1s"},
            {"name": "tank", "driver": "sim", "interval": "1s"},
            {"name": "tty", "driver": "lines", "path": "/run/line"},
            {"name": "fifo", "driver": "lines", "path": "/run/plc.fifo"},
            {"name": "tail", "driver": "lines", "path": "/var/log/plc.log"},
            {"name": "listens", "driver": "lines", "path": "unix:/run/runnel/plc.sock"}],
            [kinesis, route("lake", "firehose", "telemetry-lake", sink.endpoint),
             {"name": "stick", "destination": "archive", "path": "/mnt/archive",
              "every": "1s"}])

    def write_config(self, name, sensors, routes):
        lane = {"window": "11s", "age": "1s"}
        config = {"device": "gw", "spool": {"volatile": True, "lanes": {"normal": lane}},
                  "sensors": sensors, "routes": routes}
        (self.test / name).write_text(json.dumps(config, indent=2))

    def live(self):
        """guest.sh, to its end."""
        if self.emulated:
            run(*self.inside(), "sh", "-ec", 'mount --rbind /dev "$0/dev"; mount -t proc proc '
                '"$0/proc"; mount -t tmpfs run "$0/run"; exec chroot "$0" /test/guest.sh chroot '
                '>"$0/test/result" 2>&1', self.folder, log=self.log, mapped=True)
            return
        unit = self.folder / "etc/systemd/system/guest.service"
        unit.write_text("[Unit]\nAfter=multi-user.target\nSuccessAction=exit-force\n"
                        "FailureAction=exit-force\n[Service]\nType=oneshot\n"
                        "ExecStart=/test/guest.sh systemd\nStandardOutput=file:/test/result\n"
                        "StandardError=inherit\n[Install]\nWantedBy=default.target\n")
        wants = self.folder / "etc/systemd/system/default.target.wants"
        wants.mkdir(exist_ok=True)
        (wants / "guest.service").symlink_to(f"../{unit.name}")
        run("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--directory",
            self.folder, "--machine", f"runnel-{os.getpid()}", log=self.log, timeout=280)

    def result(self):
        path = self.test / "result"
        return path.read_text(errors="replace") if path.exists() else ""


def route(name, destination, stream, endpoint):
    return {"name": name, "destination": destination, "region": "us-east-1", "stream": stream,
            "endpoint": endpoint, "ca_file": "/etc/runnel/ca.pem", "start_delay": "0s"}


def check_status(text):
    """Each sensor was read and every route is well, within the limits of the unit."""
    status = json.loads(text)
    for name, sensor in status["sensors"].items():
        check(sensor["samples"] > 0 and sensor["errors"] == 0, f"sensor {name}: {sensor}")
    for name, state in status["routes"].items():
        check(state["state"] == "connected", f"route {name}: {state['state']}, {state['error']}")
    print(f"{len(status['sensors'])} sensors and {len(status['routes'])} routes within the limits")


def configure(architecture, folder, log):
    """The build of a board with that architecture."""
    board = BOARDS[architecture]
    if not (ROOT / "boards" / board).is_dir():
        raise harness.Skip(f"there is no board {board}")
    run(ROOT / "tests/tools/sysroot.sh", architecture, log=log)
    run("cmake", "-G", "Ninja", "-S", ROOT, "-B", folder, f"-DBOARD={board}",
        "-DRUNNEL_DEFCONFIG=boards/host/defconfig", "-DRUNNEL_TESTS=OFF", log=log)
    return folder


def scenario(options):
    def act(this):
        harness.need_own_mounts()
        need("mmdebstrap", "systemd-nspawn", "lintian", "dpkg-shlibdeps")
        guest = Guest(this, options.architecture)
        build = this.build
        if guest.emulated:
            need(EMULATED[guest.architecture][0])
            build = configure(guest.architecture, ROOT / "build/packages" / guest.architecture,
                              guest.log)
        guest.make()
        made = guest.package(build)
        guest.look()
        sink = harness.Sink(this)
        guest.write(sink)
        try:
            guest.live()
        finally:
            print(guest.result().rstrip(), flush=True)
        check(guest.result().endswith("PASS\n"), "not all of it holds")
        if guest.emulated:
            found = sum(1 for _ in sink.records())
            check(found == LINES, f"{found} of {LINES} lines arrived")
        else:
            check_status((guest.test / "status.json").read_text())
        sink.stop()
        print(f"{made.name}: {made.stat().st_size} bytes")
    return act


def main():
    options = harness.arguments(__doc__, (("--architecture",), {
        "type": harness.one_of(["amd64", *EMULATED]), "default": native()}))
    harness.main(options, scenario(options))


if __name__ == "__main__":
    main()
