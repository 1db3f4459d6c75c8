# SPDX-License-Identifier: Apache-2.0
"""
What every scenario needs: the sink, the agent and folders of their own, started, watched and ended.

Programs come from the build folder given with --build (default build/host). Nothing here sleeps and
hopes: starts are awaited by what the programs say (the sink's first line, the agent's READY=1), and
states by asking for them until a deadline. Only processes that this run started are ever ended.
"""
import argparse
import atexit
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/tools"))
import npm  # noqa: E402

ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SKIPPED = 77
# Of a route whose requests are counted: on a machine whose clock is not synchronised the first one
# would ask for the time.
NO_QUESTION = {"time_wait": "0s"}
DEADLINE_S = 60


class Failure(Exception):
    """What a scenario found wrong, in words."""


class Skip(Exception):
    """Why a scenario cannot run on this machine."""


def modules_of(name, version):
    """The folder of the modules of a package of npm."""
    try:
        return npm.install(name, version)
    except npm.Unable as why:
        raise Skip(str(why)) from None


def check(condition, message):
    if not condition:
        raise Failure(message)


def need_own_mounts():
    """Root, and a root that is a mount point, as that of a plain chroot is not."""
    if os.geteuid() != 0:
        raise Skip("needs root, for mounts of its own")
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True,
                           check=False)
    if tried.returncode != 0:
        raise Skip(f"no mounts of its own can be made here: {tried.stderr.strip()}")


def wait_until(what, condition, timeout_s=DEADLINE_S):
    """Asks CONDITION until it says something true, and returns that."""
    end = time.monotonic() + timeout_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise Failure(f"waited {timeout_s} s in vain for {what}")
        time.sleep(0.02)


class Process:
    """A child in its own session, which ends at the latest with this program."""

    children = []

    def __init__(self, command, log, **options):
        self.log = pathlib.Path(log)
        with self.log.open("ab") as stderr:
            self.popen = subprocess.Popen([str(part) for part in command], stderr=stderr,
                                          stdin=options.pop("stdin", subprocess.DEVNULL),
                                          start_new_session=True, **options)
        Process.children.append(self)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def send_signal(self, number):
        if self.running():
            self.popen.send_signal(number)

    def kill(self):
        self.send_signal(signal.SIGKILL)
        return self.popen.wait()

    def wait(self, timeout_s=DEADLINE_S):
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"{self.popen.args[0]} did not end within {timeout_s} s") from None

    def stop(self, timeout_s=DEADLINE_S):
        self.send_signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def end_children():
    for child in Process.children:
        if child.running():
            child.kill()


atexit.register(end_children)


class Sink:
    """runnel-sink, and its admin port."""

    def __init__(self, run, *options, name="sink", environment=None):
        self.folder = run.folder / name
        self.folder.mkdir(exist_ok=True)
        self.dump = self.folder / "dump.tsv"
        self.firehose_dump = self.folder / "firehose.jsonl"
        self.process = Process(
            [run.program("runnel-sink"), "--dir", self.folder, "--dump", self.dump,
             "--firehose-dump", self.firehose_dump, "--die-with-parent", *options],
            self.folder / "log", stdout=subprocess.PIPE, env=environment)
        line = self.process.popen.stdout.readline().decode()
        found = re.match(r"sink: listening on (https?)://localhost:(\d+) admin (\S+) ca (\S+)",
                         line)
        check(found, f"the sink did not start: {line!r} {self.process.tail()}")
        self.port = int(found.group(2))
        self.endpoint = f"{found.group(1)}://localhost:{self.port}"
        self.admin = found.group(3)
        self.ca = pathlib.Path(found.group(4))

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.admin + path, data=data)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as reply:
            return json.loads(reply.read())

    def summary(self):
        return self.ask("/summary")

    def faults(self, **faults):
        return self.ask("/faults", faults)

    def add_key(self, access_key, secret_key, session_token=""):
        """Takes requests that are signed with it, too; replaces one of the same name."""
        return self.ask("/keys", {"access_key": access_key, "secret_key": secret_key,
                                  "session_token": session_token})

    def expire_key(self, access_key):
        return self.ask("/keys", {"access_key": access_key, "expired": True})

    def keys(self):
        """{access key: {"expired", "requests"}}; requests are those rightly signed with it."""
        return self.ask("/keys")

    def outage(self, seconds=None, mode="refuse"):
        """Begins an outage, for ever without SECONDS; 0 ends one. In effect on return."""
        body = {"mode": mode}
        if seconds is not None:
            body["seconds"] = seconds
        self.ask("/outage", body)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        text = self.process.popen.stdout.read().decode()
        self.process.popen.stdout.close()
        check(self.process.wait() == 0, f"the sink ended badly: {self.process.tail()}")
        return json.loads(text)

    def records(self):
        """(shard, partition key, data) of everything stored so far, in order."""
        with self.dump.open(encoding="utf-8") as dump:
            for line in dump:
                if line.endswith("\n"):
                    shard, key, data = line[:-1].split("\t", 2)
                    yield int(shard), key, data

    def delivered(self):
        """The lines that Firehose delivered so far, in order."""
        with self.firehose_dump.open(encoding="utf-8") as dump:
            yield from (line[:-1] for line in dump if line.endswith("\n"))


class Agent:
    """One state directory, one configuration, and runnel on them, as often as a scenario wants."""

    # What runs the agent; RUNNEL_UNDER=build/host/tests/e2e/strict has whole scenarios under it.
    under = os.environ.get("RUNNEL_UNDER", "").split()

    def __init__(self, run, endpoint, ca=None, name="agent", **config):
        self.run = run
        self.folder = run.folder / name
        self.folder.mkdir(exist_ok=True)
        self.state = self.folder / "state"
        self.state.mkdir(exist_ok=True)
        self.config_file = self.folder / "runnel.json"
        self.log = self.folder / "log"
        self.process = None
        # Scenarios count records: what happens is told to those that are about it.
        self.config = {"device": "gw-e2e", "sensors": [], "events": "0s", **config}
        self.config.setdefault("routes", [{}])
        for route in self.config["routes"]:
            self.fill_route(route, endpoint, ca)
        self.environment = {
            "PATH": os.environ["PATH"],
            "RUNNEL_STATE": str(self.state),
            "RUNNEL_SOCKET": str(self.folder / "control.sock"),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_EC2_METADATA_DISABLED": "true",
            **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")},
        }
        self.write_config()
        self.allow_volatile()

    def allow_volatile(self):
        """By a fragment, where the program finds that the folder of this run is in RAM."""
        fragment = self.folder / "runnel.d" / "volatile.json"
        plain = self.folder / "plain.json"
        if self.run.volatile is None:
            config = {"device": "gw", "sensors": [], "routes": [{}]}
            self.fill_route(config["routes"][0], "https://localhost", None)
            plain.write_text(json.dumps(config))
            judged = self.call("check", "-c", plain)
            self.run.volatile = '"volatile": true' in judged.stderr
            plain.unlink()
        if self.run.volatile:
            fragment.parent.mkdir(exist_ok=True)
            fragment.write_text('{ "spool": { "volatile": true } }')

    @staticmethod
    def fill_route(route, endpoint, ca):
        streams = {"kinesis": "telemetry", "firehose": "telemetry-lake"}
        destination = route.setdefault("destination", "kinesis")
        route.setdefault("name", "live")
        if destination == "archive":
            return
        defaults = {"start_delay": "0s"}
        if destination in streams:
            defaults |= {"region": "us-east-1", "stream": streams[destination],
                         "endpoint": endpoint}
        for key, value in defaults.items():
            route.setdefault(key, value)
        if ca is not None:
            route.setdefault("ca_file", str(ca))

    def write_config(self):
        self.config_file.write_text(json.dumps(self.config, indent=2))

    def command(self, *arguments):
        under = self.under if arguments[:1] == ("run",) else []
        return [*under, str(self.run.program("runnel")), *map(str, arguments)]

    def call(self, *arguments, stdin=None, timeout_s=DEADLINE_S):
        """A short command; returns what subprocess.run does, with text."""
        return subprocess.run(self.command(*arguments), env=self.environment, input=stdin,
                              capture_output=True, text=True, timeout=timeout_s, check=False)

    def start(self, *arguments, redirection=""):
        """runnel run, until it says READY=1; a shell's REDIRECTION may close its descriptors."""
        with Notifications(self.folder / "notify") as notifications:
            environment = {**self.environment, "NOTIFY_SOCKET": notifications.path}
            command = self.command("run", "-c", self.config_file, *arguments)
            if redirection:
                command = ["/bin/sh", "-c", f'exec "$0" "$@" {redirection}', *command]
            self.process = Process(command, self.log, env=environment, stdout=subprocess.DEVNULL)
            notifications.wait_for("READY=1", self.process)
        return self.process

    def begin_drain(self):
        """runnel run --drain, of which the caller waits for the end."""
        self.process = Process(self.command("run", "-c", self.config_file, "--drain"), self.log,
                               env=self.environment, stdout=subprocess.DEVNULL)
        return self.process

    def drain(self, timeout_s=600):
        """runnel run --drain: its exit code."""
        return self.begin_drain().wait(timeout_s)

    def set_sensors(self, sensors):
        """Those of the next start; returns the ones until now."""
        before, self.config["sensors"] = self.config["sensors"], sensors
        self.write_config()
        return before

    def send(self, sensor, lines, *options, timeout="30s"):
        """runnel send: its exit code."""
        result = self.call("send", sensor, "--timeout", timeout, *options,
                           stdin="\n".join(lines) + "\n")
        return result.returncode

    def status(self):
        """status --json, or None while nobody answers."""
        result = self.call("status", "--json")
        return json.loads(result.stdout) if result.returncode in (0, 1) and result.stdout else None

    def counters(self, route="live", lane="normal"):
        status = self.status()
        check(status is not None, f"status --json gave nothing: {self.tail()}")
        counters = dict(status["routes"][route]["lanes"][lane])
        return {**counters, "pending": status["lanes"][lane]["pending"]}

    def private_dirty_kib(self):
        return memory_kib(self.process.pid)["Private_Dirty"]

    def stop(self):
        return self.process.stop()

    def kill(self):
        return self.process.kill()

    def tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Notifications:
    """A service manager's notification socket (sd_notify(3))."""

    def __init__(self, path):
        # A socket's path has little room, and a scenario's folder may lie deep.
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def __enter__(self):
        pathlib.Path(self.path).unlink(missing_ok=True)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o666)  # as a service manager's: the agent may have another user
        return self

    def __exit__(self, *ignored):
        self.socket.close()
        pathlib.Path(self.path).unlink(missing_ok=True)

    def wait_for(self, state, process, timeout_s=DEADLINE_S):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if select.select([self.socket], [], [], 0.05)[0]:
                if state in self.socket.recv(4096).decode().splitlines():
                    return
            elif not process.running():
                break
        raise Failure(f"the agent did not become ready: {process.tail()}")


def memory_kib(pid):
    """Rss, Private_Dirty and so on of a process, from the kernel's sum over its mappings."""
    try:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except PermissionError:
        raise Skip("needs root, the only one who looks into the agent's memory") from None
    return {name: int(value) for name, value in re.findall(r"^(\w+): +(\d+) kB", text, re.M)}


def make_certificates(folder, more_names=""):
    """A CA, a server "localhost" (and MORE_NAMES) and a device, by openssl."""
    if shutil.which("openssl") is None:
        raise Skip("openssl is not there: apt-get install openssl")
    folder.mkdir()

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30",
            "-subj", "/CN=runnel test CA")
    for name in ("localhost", "device"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr",
                "-subj", f"/CN={name}")
        names = f"DNS:{name}" + (f",{more_names}" if more_names else "")
        (folder / f"{name}.ext").write_text(f"subjectAltName={names}\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "30", "-extfile", f"{name}.ext", "-out", f"{name}.pem")
    return folder


def lines_file(path, count, size=180, start=0):
    """COUNT JSON objects of about SIZE bytes, one per line, each with an "id" of its own."""
    filler = "x" * max(0, size - 70)
    with open(path, "w", encoding="ascii") as file:
        for number in range(start, start + count):
            file.write(json.dumps({"id": number, "state": "run", "rpm": 1480 + number % 7,
                                   "temp": 21.5, "note": filler}, separators=(",", ":")) + "\n")
    return path


def lines_sensor(path, name="plc", **settings):
    return {"name": name, "driver": "lines", "path": str(path), **settings}


def check_spread(shards, share=0.01):
    """Shards hold the same within SHARE of their mean."""
    mean = sum(shards) / len(shards)
    check(max(shards) - min(shards) <= share * mean,
          f"shards differ by more than {share:.0%}: {shards}")


def timeless(lines, exported):
    """LINES, records as JSON, without the times of those that were EXPORTED before anybody knew."""
    early = {record["seq"] for record in map(json.loads, exported)
             if record.get("time_quality") == "estimated"}

    def leave_out(line):
        line = re.sub(r'"ts":"[^"]*",', "", line, count=1)
        return re.sub(r'"time_quality":"\w+",', "", line, count=1)

    return [leave_out(line) if json.loads(line)["seq"] in early else line for line in lines]


def check_identity(counters):
    total = sum(counters[part] for part in ("delivered", "stored", "dead", "evicted"))
    check(counters["accepted"] == total, f"accepted is not the sum of its parts: {counters}")


class Run:
    """One scenario's folder and where the programs are."""

    def __init__(self, build, folder):
        self.build = pathlib.Path(build).resolve()
        self.folder = folder
        self.volatile = None  # not known yet

    def program(self, name):
        path = self.build / name
        check(path.is_file(), f"{path} is missing: build it, or say --build DIR")
        return path


def one_of(names):
    """A type for argparse, whose own choices do not go with a list as default."""
    def case(name):
        if name not in names:
            raise argparse.ArgumentTypeError(f"{name}: there are {', '.join(names)}")
        return name
    return case


def arguments(description, *extra):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--build", default=ROOT / "build/host", help="folder of the programs")
    parser.add_argument("--keep", action="store_true", help="leave the folder of the run behind")
    for names, options in extra:
        parser.add_argument(*names, **options)
    return parser.parse_args()


def main(options, scenario):
    """Runs SCENARIO(run) in a folder of its own; the exit code is ctest's."""
    signal.signal(signal.SIGTERM, lambda *ignored: sys.exit(1))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="runnel-e2e-"))
    started, code = time.monotonic(), 1
    try:
        scenario(Run(options.build, folder))
        code = 0
        print(f"PASS ({time.monotonic() - started:.1f} s)")
    except Skip as reason:
        code = SKIPPED
        print(f"SKIP: {reason}")
    except Failure as failure:
        print(f"FAIL: {failure}")
    finally:
        end_children()
        if options.keep or code == 1:
            for log in sorted(path for path in folder.rglob("log") if path.is_file()):
                print(f"--- {log.relative_to(folder)}")
                print("\n".join(log.read_text(errors="replace").splitlines()[-30:]))
        if options.keep:
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)
