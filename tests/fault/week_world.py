# SPDX-License-Identifier: Apache-2.0
"""
The world of week.py: an agent on a disk of its own whose time leaps, two routes through rogues to
one sink, a service manager that starts it again, and everything that was handed in.
"""
import collections
import json
import os
import pathlib
import random
import re
import socket
import sys
import time
import uuid
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
# pylint: disable=wrong-import-position
import clock_shim
import coap_message
import harness
import leap
import matrix_world
import powercut_ext4
import rogue
from harness import Failure, check, wait_until

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
ACK_WINDOW_S, WINDOW_S, AGE_S = 60, 900, 480
ROUTES = ("live", "lake")
RESTART_S = 10
SENSORS = [
    {"name": "wave", "driver": "sim", "interval": "30s"},
    {"name": "slow", "driver": "sim", "interval": "2m", "lane": "bulk", "bus": "1"},
]
SICK = {"name": "sick", "driver": "sim", "interval": "1m", "bus": "2", "timeout": "1s"}


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Rogue(rogue.Rogue):
    """Also writes down when, by the time that leaps; and can be away."""

    def __init__(self, world, context):
        self.world = world
        self.usual = None  # the act where there is no fault
        super().__init__(world.sink.port, context)

    def answer(self, talk):
        talk.at = self.world.leap.now()
        try:
            super().answer(talk)
        finally:
            talk.told = talk.told and not self.world.is_mute
            talk.head = talk.body = b""  # a week has many

    def refuse(self, refuses):
        self.on_accept = self.slam if refuses else None
        if refuses:
            self.drop_all()

    @staticmethod
    def slam(sock):
        rogue.stop_hard(sock)
        raise rogue.Gone


class Document:
    """What was handed in, when, and how that ended."""

    def __init__(self, number, how, began):
        self.number, self.how, self.began = number, how, began
        self.ended = began
        self.is_acked = False
        self.is_excused = None   # why it may be missing
        self.knows_time = True
        self.is_poison = False


class Documents:
    """Each has a sum by which the sink's copy is known to be unaltered."""

    def __init__(self, seed):
        self.all = {}
        self.random = random.Random(seed)

    def make(self, how, began, poison=False):
        document = Document(len(self.all) + 1, how, began)
        document.is_poison = poison
        self.all[document.number] = document
        bits = 8 * self.random.randint(1, 40)
        note = "poison" if poison else f"{self.random.getrandbits(bits):x}"
        text = f"{document.number}:{note}"
        return document, json.dumps({"id": document.number, "note": note,
                                     "sum": zlib.crc32(text.encode())})

    @staticmethod
    def is_whole(data):
        return zlib.crc32(f"{data['id']}:{data['note']}".encode()) == data.get("sum")


class Stop:
    """An end that was not clean: from when on things may come twice or not at all."""

    def __init__(self, at, since):
        self.at, self.since = at, since


class Agent(matrix_world.Agent):
    """Its state lies on the disk that can be cut."""

    def start(self, *arguments, redirection=""):
        began = time.monotonic()
        super().start(*arguments, redirection=redirection)
        check(time.monotonic() - began < RESTART_S, "ended: it did not start again within 10 s")


class World:
    """See above. Times are seconds since 1970 by the clocks that leap."""

    def __init__(self, run, seed, folder, program=None, signed=True):
        self.run = run
        run.agent_program = program or run.program("runnel")
        self.random = random.Random(seed * 7919)
        self.leap = leap.Leap(run)
        self.clocks = clock_shim.Clocks(run)
        self.disk = powercut_ext4.FileSystem(folder)
        self.sink_options = ["--plain", "--id-member", "id",
                             *(() if signed else ("--no-signature",))]
        self.began = self.leap.now()
        self.documents = Documents(seed)
        self.stops, self.lives, self.samples = [], [], []
        self.trouble_since = None      # commits fail since
        self.knows_time = True
        self.counts = collections.Counter()
        self.secrets = [harness.SECRET_KEY]
        self.key_number = 0
        self.key = None
        self.is_mute = False           # nobody who is connected ever answers
        self.damaged_at = []

    def __enter__(self):
        try:
            self.disk.__enter__()
        except powercut_ext4.Skip as why:
            raise harness.Skip(str(why)) from None
        try:
            self.furnish()
        except BaseException:
            self.__exit__()
            raise
        return self

    def furnish(self):
        """All that is no disk."""
        self.authority = matrix_world.Authority(self.run.folder)
        self.context = self.authority.context()
        self.stranger = matrix_world.Authority(self.run.folder, "stranger").context("stranger")
        self.sink = harness.Sink(self.run, *self.sink_options, environment={
            **os.environ, **self.leap.environment(follows=True)})
        self.rogues = {name: Rogue(self, self.context) for name in ROUTES}
        self.input = self.run.folder / "log.txt"
        self.input.write_text("")
        self.coap_port = free_port()
        self.make_agent()

    def __exit__(self, *ignored):
        self.stop_quietly()
        self.disk.__exit__()

    def stop_quietly(self):
        for one in getattr(self, "rogues", {}).values():
            one.stop()
        if getattr(self, "agent", None) and self.agent.process:
            self.agent.process.kill()

    def make_agent(self):
        routes = [{"name": name, "destination": kind, "batch": {"records": 200},
                   "endpoint": f"https://localhost:{self.rogues[name].port}"}
                  for name, kind in zip(ROUTES, ("kinesis", "firehose"))]
        for route in routes:
            route["ca_file"] = str(self.authority.pem)
        times = {"age": f"{AGE_S}s", "window": f"{WINDOW_S}s"}
        lanes = {lane: times for lane in ("normal", "bulk")}
        self.well = [*SENSORS, SICK, harness.lines_sensor(self.input, "log", interval="1m")]
        self.agent = Agent(
            self.run, self.sink.endpoint, None, routes=routes, sensors=self.well,
            spool={"size": "2MiB", "ack_window": f"{ACK_WINDOW_S}s", "lanes": lanes},
            coap={"listen": [f"coap://127.0.0.1:{self.coap_port}"], "wait": "10ms",
                  "sensors": [{"name": "peer"}]})
        self.switch = self.run.folder / "fails"
        self.state = self.disk.mount_point / "state"
        self.agent.environment["RUNNEL_STATE"] = str(self.state)
        self.keys = self.run.folder / "credentials"
        del self.agent.environment["AWS_ACCESS_KEY_ID"], self.agent.environment[
            "AWS_SECRET_ACCESS_KEY"]
        self.agent.environment["AWS_SHARED_CREDENTIALS_FILE"] = str(self.keys)
        self.new_key()
        self.clocks.set(sync=clock_shim.SYNCED, boot_id=str(uuid.uuid4()))

    def new_key(self):
        """The operator's: known to the sink, and written whole into the file."""
        self.key_number += 1
        self.key = key = f"ASIAWEEK{self.key_number:04d}"
        secret, token = (f"{what}-{key}-{self.random.getrandbits(96):x}"
                         for what in ("secret", "token"))
        self.sink.add_key(key, secret, token)
        self.secrets += [secret, token]
        new = self.keys.with_suffix(".new")
        new.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
                       f"aws_session_token = {token}\n")
        new.chmod(0o600)
        new.rename(self.keys)

    # ---- time ----

    def now(self):
        return self.leap.now() - self.began

    def when(self):
        seconds = self.now()
        return f"day {int(seconds // DAY_S) + 1} {time.strftime('%H:%M:%S', time.gmtime(seconds))}"

    def pass_to(self, at):
        """The agent lives until then."""
        self.leap.set(leap.MUTE, self.is_mute)
        end = time.monotonic() + harness.DEADLINE_S
        while (left := at - self.now()) > 0:
            self.leap.until(left)
            self.supervise()
            check(time.monotonic() < end, f"stuck: it is {self.when()} for a minute: "
                  f"{self.agent.tail()}")
            time.sleep(0.005)
        self.leap.set(leap.MUTE, 0)

    # ---- the service manager ----

    def start(self):
        number = self.random.choice((5, 28, 30))   # EIO, ENOSPC, EROFS
        environment = self.leap.environment(self.clocks.library,
                                            self.run.build / "tests/fault/libiofault_failer.so")
        self.agent.environment.update(environment)
        self.agent.environment.update({
            "CLOCK_SHIM": str(self.clocks.path), "FAILER_WHILE": str(self.switch),
            "FAILER_ERRNO": str(number), "FAILER_ROOT": str(self.state)})
        self.agent.start()
        self.counts["starts"] += 1
        self.lives.append([])

    def supervise(self):
        check(self.agent.process.running(), f"ended: nobody asked it to: {self.agent.tail()}")

    def note_unclean(self):
        now = self.leap.now()
        since = now if self.trouble_since is None else self.trouble_since
        self.stops.append(Stop(now, since))

    def kill(self):
        self.supervise()
        self.agent.kill()
        self.note_unclean()

    def terminate(self):
        self.supervise()
        code = self.agent.stop()
        if self.trouble_since is not None:
            self.note_unclean()
        check(code == 0 or self.trouble_since is not None,
              f"ended: {code} at SIGTERM: {self.agent.tail()}")

    def off(self, seconds):
        """Nothing runs for so long."""
        self.leap.skip(seconds)

    def reboot(self, wall_s=None):
        """Another boot; its wall clock is right, or says WALL_S."""
        up_ms = (time.clock_gettime_ns(time.CLOCK_BOOTTIME) + self.leap.get(leap.LEAPT)) // 1000000
        wall_ms = 0 if wall_s is None else round((wall_s - self.leap.now()) * 1000)
        self.knows_time = wall_s is None
        self.clocks.set(wall_ms=wall_ms, boot_ms=30000 - up_ms, boot_id=str(uuid.uuid4()),
                        sync=clock_shim.SYNCED if self.knows_time else clock_shim.UNSYNCED)

    def set_clock(self):
        """By a time daemon."""
        self.clocks.set(wall_ms=0, sync=clock_shim.SYNCED)
        self.knows_time = True

    # ---- the configuration ----

    def configure(self, **members):
        self.agent.config.update(members)
        self.agent.write_config()

    def reload(self):
        return self.agent.call("config", "reload").returncode

    # ---- the power ----

    def cut_power(self):
        """What no sync covered is gone."""
        try:
            self.disk.cut()
        except powercut_ext4.Skip as why:
            raise harness.Skip(str(why)) from None
        self.kill()
        self.disk.remount()

    # ---- what is handed in ----

    def send(self, count, lane="normal", poison=False):
        made = [self.documents.make("send", self.leap.now(), poison) for _ in range(count)]
        code = self.agent.send("cli", [line for _, line in made], "--lane", lane, timeout="2s")
        self.finish(made, code == 0)
        return code == 0

    def finish(self, made, is_acked):
        for document, _ in made:
            document.ended = self.leap.now()
            document.is_acked = is_acked
            document.knows_time = self.knows_time
        self.counts["acked" if is_acked else "refused"] += len(made)

    def post(self):
        """A message of a CoAP peer, that is answered 2.04 if it is accepted."""
        made = [self.documents.make("coap", self.leap.now())]
        peer = coap_message.Peer(self.coap_port, self.random.randrange(60000))
        answer = peer.ask(coap_message.POST, "t/peer", made[0][1].encode(), coap_message.JSON)
        peer.close()
        self.finish(made, answer is not None and answer.code == "2.04")

    def write(self, count):
        """Lines of a followed file: read at the latest when the trouble is over."""
        with self.input.open("a", encoding="ascii") as file:
            for _ in range(count):
                document, line = self.documents.make("log", self.leap.now())
                document.is_acked, document.ended = True, None
                file.write(line + "\n")

    def urge(self):
        """Something that does not wait."""
        if self.trouble_since is None:
            self.send(1, "alarm")

    def feed(self):
        self.write(self.random.randint(1, 4))
        if self.trouble_since is None:
            self.send(self.random.randint(1, 5), self.random.choice(("normal", "alarm", "bulk")))
            self.post()

    # ---- looking ----

    def status(self):
        def asked():
            self.supervise()
            return self.agent.status()
        return wait_until("status --json", asked)

    def look(self):
        """A sample of status, of which every sum holds."""
        status = self.status()
        for name, route in status["routes"].items():
            for lane, counters in route["lanes"].items():
                total = sum(counters[part] for part in ("delivered", "stored", "dead", "evicted"))
                check(counters["accepted"] == total, f"lost: {name} {lane}: {counters}")
        self.counts["looks"] += 1
        return status

    def measure(self):
        """What must not grow: (day, name of a size: its value)."""
        pid = self.agent.process.pid
        state = sum(path.stat().st_size for path in self.state.rglob("*") if path.is_file())
        self.samples.append((self.now() / DAY_S, {
            "KiB of private memory": harness.memory_kib(pid)["Anonymous"],
            "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
            "threads": len(os.listdir(f"/proc/{pid}/task")),
            "bytes of state": state}))
        self.lives[-1].append((self.now(), self.samples[-1][1]))

    def log_since(self, offset):
        with self.agent.log.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace")

    def log_size(self):
        return self.agent.log.stat().st_size if self.agent.log.exists() else 0

    def check_secrets(self):
        shown = [self.agent.log.read_text(errors="replace"), json.dumps(self.agent.status()),
                 self.agent.call("status").stdout, self.agent.call("log").stdout,
                 self.agent.call("report", "--offline", "-c", self.agent.config_file).stdout]
        for text in shown:
            for secret in (*self.secrets, "Signature="):
                check(secret not in (text or ""), f"secret: {secret[:9]}... is shown")

    def wait_delivered(self, hours=12):
        """Time passes until nothing waits; who needs somebody asks every quarter of an hour."""
        end = self.now() + hours * HOUR_S
        while self.now() < end:
            self.pass_to(self.now() + 20 * MINUTE_S)
            status = self.look()
            stored = sum(lane["stored"] for route in status["routes"].values()
                         for lane in route["lanes"].values())
            young = sum(lane["pending"] for lane in status["lanes"].values())
            if stored <= 60 and young <= 200:
                return status
        raise Failure(f"lost: {stored} records still wait {hours} h after the last fault: "
                      f"{re.sub(r'[{}]', '', json.dumps(status['routes']))[:600]}")


def found_ids(page):
    return {int(number) for number in re.findall(rb'"id": ?(\d+)', page)}
