# SPDX-License-Identifier: Apache-2.0
"""
What every case of the fault matrix stands on: a table, and a world of agent, rogue and sink.
"""
import contextlib
import json
import mmap
import os
import pathlib
import re
import ssl
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
# pylint: disable=wrong-import-position
import harness
import rogue
from clock_shim import sanitizers
from harness import Failure, check, wait_until

PATIENCE_S = 60
HOUR_S = 3600
LOOKS_MIN = 10  # behind the first hour
CASES = []


class Case:
    def __init__(self, row, name, function, group, full):
        self.row, self.name, self.function = row, name, function
        self.group, self.full = group, full

    @property
    def title(self):
        return f"{self.row} {self.name}"


def case(row, name, full=False):
    """Enters a function of a run into the table. FULL: it takes hours, only when asked for."""
    def enter(function):
        group = function.__module__.removeprefix("matrix_")
        CASES.append(Case(row, name, function, group, full))
        return function
    return enter


# ---- certificates ----

def openssl(*arguments, **options):
    result = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True,
                            check=False, **options)
    check(result.returncode == 0, f"openssl {' '.join(map(str, arguments))}: {result.stderr}")


class Authority:
    """A certificate authority, and what it signs."""

    CONFIG = """
[ca]
default_ca = it
[it]
database = {folder}/index.txt
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = usual
copy_extensions = none
unique_subject = no
[any]
commonName = supplied
[usual]
basicConstraints = critical,CA:FALSE
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
"""
    START, END = "20000101000000Z", "20491231235959Z"

    def __init__(self, folder, name="ca"):
        self.folder = pathlib.Path(folder) / name
        self.folder.mkdir()
        self.pem = self.folder / "ca.pem"
        self.key = self.folder / "ca.key"
        self.lock = threading.Lock()
        (self.folder / "index.txt").write_text("")
        (self.folder / "config").write_text(self.CONFIG.format(folder=self.folder))
        request = self.folder / "ca.csr"
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", self.key, "-out", request, "-subj", f"/CN=matrix {name}")
        openssl("ca", "-batch", "-config", self.folder / "config", "-selfsign", "-keyfile",
                self.key, "-in", request, "-out", self.pem, "-startdate", self.START, "-enddate",
                self.END, "-extensions", "authority", "-notext")

    def sign(self, name, names="DNS:localhost,IP:127.0.0.1", usage="serverAuth", rsa=False,
             start=START, end=END):
        """PEM of a chain with its key, for a server."""
        key, request = (self.folder / f"{name}.{suffix}" for suffix in ("key", "csr"))
        kind = (["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
        openssl("req", "-newkey", *kind, "-nodes", "-keyout", key, "-out", request,
                "-subj", f"/CN={name}")
        return self.sign_request(name, request, names, usage, start, end), key

    def sign_request(self, name, request, names="DNS:localhost", usage="clientAuth", start=START,
                     end=END):
        """PEM of a chain for who made the file REQUEST."""
        chain, extensions = (self.folder / f"{name}.{suffix}" for suffix in ("pem", "ext"))
        extensions.write_text("[usual]\nbasicConstraints = critical,CA:FALSE\n"
                              f"subjectAltName = {names}\n"
                              f"extendedKeyUsage = {usage}\n")
        with self.lock:
            openssl("ca", "-batch", "-config", self.folder / "config", "-in", request, "-out",
                    chain, "-cert", self.pem, "-keyfile", self.key, "-startdate", start,
                    "-enddate", end, "-extfile", extensions, "-extensions", "usual", "-notext")
        return chain

    def context(self, name="server", **options):
        """A server's TLS with such a certificate."""
        return server_context(*self.sign(name, **options))


def server_context(chain, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return context


class Shared:
    """Made once for all cases of a run."""

    authority = None
    context = None
    lock = threading.Lock()

    @classmethod
    def tls(cls, run):
        with cls.lock:
            if cls.authority is None:
                cls.authority = Authority(run.folder.parent, "authority")
                cls.context = cls.authority.context()
        return cls.authority, cls.context


# ---- agent and sink ----

class Agent(harness.Agent):
    """Its own time may run faster; that of the commands which ask it does not."""

    def call(self, *arguments, stdin=None, timeout_s=harness.DEADLINE_S):
        plain = {name: value for name, value in self.environment.items() if name != "LD_PRELOAD"}
        return subprocess.run(self.command(*arguments), env=plain, input=stdin,
                              capture_output=True, text=True, timeout=timeout_s, check=False)

    def command(self, *arguments):
        return [str(self.run.agent_program), *map(str, arguments)]


class FastClock:
    """Time that runs FACTOR times faster, for what is started with `environment`."""

    FORM = "<qqq"

    def __init__(self, run, factor):
        library = run.build / "tests/fault/libfast_clock.so"
        if factor != 1 and not library.is_file():
            raise harness.Skip("there is no fast_clock in this build")
        path = run.folder / "pace"
        path.write_bytes(struct.pack("<q", 0) + 2 * struct.pack(self.FORM, 1, 0, 0))
        with path.open("r+b") as file:
            self.control = mmap.mmap(file.fileno(), 0)
        self.current, self.factor, self.base, self.gained = 0, 1, 0, 0
        self.environment = {}
        if library.is_file():
            preload = [*sanitizers(run.agent_program), library]
            self.environment = {"LD_PRELOAD": ":".join(map(str, preload)), "FAST_CLOCK": str(path)}
        self.set(factor)

    def set(self, factor):
        """From now on; waits that have begun end by the pace of before."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        self.gained += (now - self.base) * (self.factor - 1)
        self.base, self.factor, self.current = now, factor, 1 - self.current
        struct.pack_into(self.FORM, self.control, 8 + self.current * struct.calcsize(self.FORM),
                         self.factor, self.base, self.gained)
        struct.pack_into("<q", self.control, 0, self.current)

    def gained_s(self):
        """What clocks are ahead by now."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        return (self.gained + (now - self.base) * (self.factor - 1)) / 1e9


class World:
    """A sink, a rogue in front of it, and an agent that follows a file of lines and sends to it.
    Time runs FACTOR times faster for agent and sink. ENVIRONMENT: more for the agent."""

    knows_what_arrived = True  # that is, whether a reply of the rogue reaches the agent

    def __init__(self, run, factor=30, sink_options=(), route=None, environment=None, config=None,
                 plain=False):
        self.run = run
        self.fed = 0
        self.to_firehose = (route or {}).get("destination") == "firehose"
        self.clock = FastClock(run, factor)
        self.authority, context = Shared.tls(run)
        self.ca = self.authority.pem
        self.sink = self.make_sink(run, sink_options)
        self.rogue = self.make_rogue(None if plain else context)
        self.input = run.folder / "input"
        self.input.write_text("")
        self.make_agent(route or {}, environment or {}, dict(config or {}))

    def make_sink(self, run, options):
        return harness.Sink(run, "--plain", "--id-member", "id", *options,
                            environment={**os.environ, **self.clock.environment})

    def make_rogue(self, context):
        server = rogue.Rogue(self.sink.port, context)
        self.endpoint = f"http{'' if context is None else 's'}://localhost:{server.port}"
        return server

    def make_agent(self, route, environment, config):
        route = {"batch": {"records": 20}, **route}
        spool = {"size": "2MiB", "ack_window": "1s", "lanes": {"normal": {"age": "100ms"}}}
        sensors = [harness.lines_sensor(self.input), *config.pop("sensors", [])]
        self.agent = Agent(self.run, self.endpoint, self.ca, **{
            "spool": spool, "routes": [route], "sensors": sensors, **config})
        self.agent.environment.update(self.clock.environment)
        self.agent.environment.update(environment)

    def start(self, records=5):
        """Up, and so many records through without a fault."""
        self.start_agent()
        self.feed(records)
        self.wait_stored()
        return self

    def start_agent(self):
        self.agent.start()

    def feed(self, count, **members):
        with self.input.open("a", encoding="ascii") as file:
            for _ in range(count):
                self.fed += 1
                file.write(json.dumps({"id": self.fed, **members}) + "\n")

    def arrived(self, summary):
        """What the route's destination has of SUMMARY."""
        return summary["firehose"] if self.to_firehose else summary

    def stored(self):
        return self.arrived(self.sink.summary())["ids"]["unique"]

    def wait_stored(self, less=0):
        """Until the sink has everything that was fed, but so many."""
        def all_there():
            self.check_alive()
            return self.stored() >= self.fed - less
        try:
            wait_until("", all_there, PATIENCE_S)
        except Failure as failure:
            if str(failure).startswith("waited"):
                missing = self.fed - less - self.stored()
                raise Failure(f"lost: {missing} of {self.fed} records are missing after "
                              f"{PATIENCE_S} s: {self.said()}") from None
            raise

    def check_alive(self):
        check(self.agent.process.running(), f"the agent ended: {self.agent.tail()}")

    def status(self):
        self.check_alive()
        return wait_until("status --json", self.agent.status)

    def route(self, name="live"):
        return self.status()["routes"][name]

    def said(self):
        route = self.agent.status()["routes"] if self.agent.process.running() else {}
        return "; ".join(f"{name} {at['state']} {at['error']}" for name, at in route.items())

    def wait_said(self, words, state=None, name="live"):
        """Until status gives WORDS, a pattern, as the route's error."""
        seen = set()

        def found():
            route = self.route(name)
            self.check_believed(route)
            text = f"{route['state']}: {route['error']}"
            seen.add(text)
            if state is not None and route["state"] not in state.split("|"):
                return False
            return re.search(words, route["error"] or "", re.I | re.S) is not None
        try:
            wait_until("", found, PATIENCE_S / 2)
        except Failure as failure:
            if not str(failure).startswith("waited"):
                raise
            raise Failure(f"unseen: status never said {words!r} ({state}), but "
                          f"{sorted(seen)}") from None

    def check_believed(self, route):
        """No more is delivered than the sink has: it is asked last."""
        delivered = sum(lane["delivered"] for lane in route["lanes"].values())
        stored = self.arrived(self.sink.summary())["identities"]["unique"]
        check(delivered <= stored, f"lost: {delivered} are said to be delivered, {stored} are")

    def suffer(self, act, words, state=None, records=3):
        """ACT meets every request until status says WORDS; then all goes through."""
        self.rogue.act = act
        self.feed(records)
        self.wait_said(words, state)
        self.rogue.act = None
        self.wait_stored()

    def meet(self, *acts, records=3):
        """Each act meets one request; then all goes through."""
        self.rogue.once.extend(acts)
        self.feed(records)
        wait_until("the faults", lambda: not self.rogue.once)
        self.wait_stored()

    def pass_hours(self, hours, factor):
        """So long without a delivery, and longer where a slow machine looks too rarely, at another
        pace: the sensor `wave` goes on, documents are taken, and behind the first hour nobody calls
        that healthy."""
        usual, looks = self.clock.factor, 0

        def samples():
            return self.status()["sensors"]["wave"]["samples"]
        taken = samples()
        self.clock.set(factor)
        wait_until("the new pace", lambda: samples() > taken + 1)
        taken, begun = samples(), self.clock.gained_s()
        while (past := self.clock.gained_s() - begun) < hours * HOUR_S or looks < LOOKS_MIN:
            self.feed(20)
            wait_until("a sample", lambda before=taken: samples() > before)
            status = self.status()
            taken = status["sensors"]["wave"]["samples"]
            check(past < HOUR_S or status["healthy"] is False, f"healthy after {past:.0f} s")
            looks += past >= HOUR_S
            time.sleep(0.2)
        self.clock.set(usual)

    def memory_kib(self):
        return self.agent.private_dirty_kib()

    def check_memory(self, before, what):
        """A sanitizer's own memory says nothing of the agent's."""
        grown = self.memory_kib() - before
        check(grown < 256 or sanitizers(self.run.agent_program),
              f"{grown} KiB more behind {what}")

    def check_accounts(self, dead=0):
        for name, route in self.status()["routes"].items():
            for counters in route["lanes"].values():
                harness.check_identity({**counters, "of": name})
            lost = sum(counters["evicted"] for counters in route["lanes"].values())
            buried = sum(counters["dead"] for counters in route["lanes"].values())
            check(lost == 0, f"lost: {lost} records of {name} were evicted")
            check(buried == dead, f"{buried} records of {name} are dead, not {dead}")

    def check_secrets(self, *secrets):
        """Neither the log nor what the commands show has them."""
        shown = "\n".join([self.agent.log.read_text(errors="replace"), self.sink.process.tail(1000),
                           json.dumps(self.agent.status()),
                           self.agent.call("status").stdout])
        for secret in (harness.SECRET_KEY, "Signature=", *secrets):
            check(secret not in shown, f"secret: {secret[:4]}... is in the log or in status")

    def check_duplicates(self):
        again = self.rogue.unexplained(self.knows_what_arrived)
        check(not again, f"duplicates: sent again though the agent knew better: {again[:5]}")

    def finish(self, dead=0, secrets=()):
        """What must hold behind every fault."""
        self.wait_stored(less=dead)
        wait_until("the accounts", lambda: self.settled(dead))
        self.check_accounts(dead)
        self.check_duplicates()
        self.check_secrets(*secrets)
        self.stop_agent()
        self.rogue.stop()
        summary = self.sink.stop()
        unique = self.arrived(summary)["ids"]["unique"]
        check(unique == self.fed - dead, f"lost or invented: {summary}")
        return summary

    def stop_agent(self):
        """Its two seconds for the end are short where time runs faster."""
        code = self.agent.stop()
        hurried = self.clock.factor > 1 and "threads=left-behind" in self.agent.tail(1)
        check(code == 0 or hurried, f"the agent ended badly, {code}: {self.agent.tail()}")

    def settled(self, dead):
        lanes = self.route()["lanes"].values()
        return sum(lane["delivered"] for lane in lanes) >= self.fed - dead

    def close(self):
        with contextlib.suppress(Exception):
            self.rogue.stop()
            self.agent.process.kill()
            self.sink.process.kill()


def descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:
        raise harness.Skip("needs root, the only one who sees the agent's descriptors") from None


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))
