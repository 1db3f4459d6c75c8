# SPDX-License-Identifier: Apache-2.0
"""
Rows N1 to N5 and N9 of the fault matrix: the network itself, between two name spaces.
"""
import time

import rogue
import wire
from harness import check, wait_until
from matrix_world import World, case, descriptors, threads

NAME = "kinesis.matrix.test"


class NetWorld(World):
    """The agent at one end of a wire, sink and rogue at the other."""

    knows_what_arrived = False

    def __init__(self, run, factor=10, at=wire.FAR4, host=None, **options):
        self.wire = wire.Wire(**{name: options.pop(name) for name in ("v4", "v6", "mtu")
                                 if name in options})
        self.at = at
        self.host = host or (f"[{at}]" if ":" in at else at)
        self.names = None
        super().__init__(run, factor, **options)

    def make_sink(self, run, options):
        with self.wire.far():
            sink = super().make_sink(run, options)
        ask = sink.ask

        def ask_there(*arguments):
            with self.wire.far():
                return ask(*arguments)
        sink.ask = ask_there
        return sink

    def make_rogue(self, context):
        names = ",".join(f"DNS:{name}" for name in (NAME, wire.FAR4, wire.FAR6))
        context = self.authority.context(f"net-{id(self)}", names=names)
        with self.wire.far():
            server = rogue.Rogue(self.sink.port, context, address=self.at)
        self.endpoint = f"https://{self.host}:{server.port}"
        return server

    def name_server(self, *addresses, at=wire.FAR4):
        """Before the agent starts."""
        wire.resolver(self.run)
        with self.wire.far():
            self.names = wire.NameServer(at, list(addresses))

    def start_agent(self):
        with self.wire.near():
            self.agent.start()


def suffer(world, begin, end, words, state="offline", records=5):
    """From BEGIN until status has said WORDS, then END, and all comes through."""
    begin()
    world.feed(records)
    world.wait_said(words, state)
    world.check_alive()
    end()
    world.wait_stored()


# ---- N1 ----

@case("N1", "the link down for a day, then up")
def day_without(run):
    """24 hours in some 15 seconds. Sampling goes on, the agent says that it is not healthy, and
    what it took comes in its order."""
    world = NetWorld(run, 30, config={
        "spool": {"size": "8MiB"},
        "sensors": [{"name": "wave", "driver": "sim", "interval": "60s"}]})
    world.start()
    pid = world.agent.process.pid
    world.wire.link("down")
    world.feed(20)
    world.wait_said("unreachable|link|route", "offline")
    world.pass_hours(24, 6000)
    world.wire.link("up")
    world.wait_stored()
    check(world.agent.process.pid == pid, "it was restarted")
    wait_until("healthy again", lambda: world.status()["healthy"])
    ids = stored_ids(world)
    check(ids == sorted(ids), "the backlog came out of its order")
    world.finish()


def stored_ids(world):
    import json  # pylint: disable=import-outside-toplevel
    records = (json.loads(data) for _, _, data in world.sink.records())
    return [record["data"]["id"] for record in records if record["sensor"] == "plc"]


# ---- N2 ----

def flap(world, rounds, seconds=3):
    """Down and up by turns; (windows in which something came through, windows)."""
    progress = 0
    for number in range(rounds):
        world.wire.link("down")
        world.feed(3)
        time.sleep(seconds)
        before = world.stored()
        world.wire.link("up")
        world.feed(3)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            world.check_alive()
            time.sleep(0.1)
        came = world.stored() > before
        progress += came
        if not came:
            print(f"      N2 nothing came through in window {number}: {world.said()}", flush=True)
    return progress


def flapping(run, rounds):
    world = NetWorld(run, 1)
    world.start()
    pid = world.agent.process.pid
    flap(world, 2)
    before, memory = (descriptors(pid), threads(pid)), world.memory_kib()
    progress = flap(world, rounds)
    world.wait_stored()
    after = descriptors(pid), threads(pid)
    check(progress == rounds, f"progress in {progress} of {rounds} windows")
    check(after[0] <= before[0] + 1, f"descriptors grew from {before[0]} to {after[0]}")
    check(after[1] == before[1], f"threads grew from {before[1]} to {after[1]}")
    world.check_memory(memory, "a flapping link")
    world.finish()


@case("N2", "3 s up, 3 s down")
def flapping_briefly(run):
    flapping(run, 6)


@case("N2", "3 s up, 3 s down, for two hours", full=True)
def flapping_long(run):
    flapping(run, 1200)


# ---- N3 ----

def named(run, factor=10, **options):
    """A world whose endpoint has a name, and its name server. IPv4, whatever else there is."""
    world = NetWorld(run, factor, host=NAME, **options)
    world.name_server(wire.FAR4)
    world.start()
    return world


def forget_connection(world):
    world.rogue.drop_all()


@case("N3", "a name server that is silent, late, or refuses: the last good address is used")
def last_good(run):
    """The resolver's own time does not run faster, and neither does this."""
    world = named(run, 1)
    for mode in ("silent", "nxdomain", "servfail", "late", "garbage", "loop", "other-name"):
        world.names.mode = mode
        forget_connection(world)
        world.feed(3)
        world.wait_stored()
    world.names.mode = "answer"
    world.finish()


@case("N3", "no name server at the start, then one")
def late_name_server(run):
    world = NetWorld(run, 10, host=NAME)
    world.name_server(wire.FAR4)
    for mode in ("nxdomain", "silent"):
        world.names.mode = mode
        if world.agent.process is None:
            world.start_agent()
        world.feed(3)
        world.wait_said(f"name|resolv|{NAME}", "offline")
    world.names.mode = "answer"
    world.wait_stored()
    world.finish()


@case("N3", "another address, without being told")
def moved(run):
    world = named(run, at="0.0.0.0")
    world.wire.rule("-A", "INPUT", "-p", "tcp", "-d", wire.FAR4, "-j", "DROP", family=4)
    world.names.addresses = [wire.OTHER4]
    forget_connection(world)
    world.feed(3)
    world.wait_stored()
    world.finish()


@case("N3", "huge and poisoned answers")
def poisoned(run):
    world = named(run)
    memory = world.memory_kib()
    for mode, addresses in (("huge", [wire.FAR4]),
                            ("answer", [f"10.77.9.{i}" for i in range(1, 60)]),
                            ("answer", ["255.255.255.255", "0.0.0.0", "224.0.0.1"])):
        world.names.mode, world.names.addresses = mode, addresses
        forget_connection(world)
        world.feed(3)
        time.sleep(0.5)
        world.check_alive()
    world.names.mode, world.names.addresses = "answer", [wire.FAR4]
    world.wait_stored()
    world.check_memory(memory, "huge answers")
    world.finish()


@case("N3", "one route waits for a name, the other delivers")
def names_block_nobody(run):
    world = NetWorld(run, 10, config={"routes": [
        {"name": "live"}, {"name": "named", "endpoint": "https://nowhere.matrix.test"}]})
    world.name_server()
    world.names.mode = "silent"
    world.start()
    world.feed(20)
    world.wait_stored()
    world.wait_said("nowhere", "offline", name="named")
    world.close()


# ---- N4 ----

@case("N4", "SYN dropped")
def syn_dropped(run):
    world = NetWorld(run)
    world.start()

    def begin():
        world.wire.rule("-A", "INPUT", "-i", "v0", "-p", "tcp", "--syn", "-j", "DROP")
        forget_connection(world)
    suffer(world, begin, world.wire.clear, "deadline|tim")
    world.finish()


@case("N4", "connections refused by a firewall, or reset at once")
def refused(run):
    world = NetWorld(run)
    world.start()

    def refuse():
        world.wire.rule("-A", "INPUT", "-p", "tcp", "--dport", world.rogue.port, "-j", "REJECT",
                        "--reject-with", "tcp-reset")
        forget_connection(world)
    suffer(world, refuse, world.wire.clear, "refused|reset|closed")

    def reset():
        world.rogue.on_accept = rogue.stop_hard
        forget_connection(world)

    def keep():
        world.rogue.on_accept = None
    suffer(world, reset, keep, ".")
    world.finish()


@case("N4", "a reset, or silence, in the middle of the body")
def middle_of_body(run):
    """A megabyte is on its way; some of it has arrived."""
    world = NetWorld(run, route={"batch": {"records": 500}}, config={"spool": {
        "size": "8MiB", "lanes": {"normal": {"age": "100ms"}}}})
    world.start()

    def take_some(talk):
        taken = 0
        while taken < 100000:
            taken += len(talk.sock.recv(65536))

    def reset(talk):
        take_some(talk)
        talk.reset()

    def silent(talk):
        take_some(talk)
        world.wire.silence()
        talk.hold()
    for early, end in ((reset, lambda: None), (silent, world.wire.clear)):
        world.rogue.early = early
        for _ in range(16):
            world.feed(1, note="x" * 60000)
        world.wait_said(".", "offline|backing-off")
        world.rogue.early = None
        end()
        world.wait_stored()
    world.finish()


@case("N4", "half open: the other side is gone without a word")
def half_open(run):
    world = NetWorld(run)
    world.start()
    suffer(world, world.wire.silence, world.wire.clear, "deadline|tim")
    world.finish()


# ---- N5 ----

@case("N5", "30 % of all packets are lost")
def loss(run):
    world = NetWorld(run, 1)
    world.start()
    world.wire.lossy(0.3)
    for _ in range(3):
        world.feed(20)
        world.wait_stored()
    world.wire.clear()
    world.finish()


@case("N5", "64 kbit/s")
def narrow(run):
    world = NetWorld(run, 1, route={"batch": {"records": 100}})
    world.start()
    world.wire.slow("64kbit")
    world.feed(200, note="x" * 40)
    world.wait_stored()
    summary = world.finish()
    check(summary["identities"]["duplicates"] == 0, f"a slow link made duplicates: {summary}")


# ---- N6 ----

@case("N6", "the network loses the reply")
def reply_lost(run):
    world = NetWorld(run)
    world.start()

    def act(talk):
        reply = talk.forward()
        world.wire.silence()
        talk.send(reply)
        talk.hold()
    world.rogue.once.append(act)
    world.feed(20)
    world.wait_said("deadline|tim", "offline")
    world.wire.clear()
    world.wait_stored()
    summary = world.finish()
    check(0 < summary["identities"]["duplicates"] <= 20, f"one batch came twice: {summary}")


# ---- N9 ----

@case("N9", "an MTU of 576")
def small_packets(run):
    world = NetWorld(run, v6=False, mtu=576)
    world.start()
    world.feed(300)
    world.wait_stored()
    world.finish()


@case("N9", "IPv6 alone, by address")
def only_v6(run):
    world = NetWorld(run, v4=False, at=wire.FAR6)
    world.start()
    world.feed(50)
    world.wait_stored()
    world.finish()


@case("N9", "IPv6 alone, by name")
def only_v6_by_name(run):
    world = NetWorld(run, v4=False, at=wire.FAR6, host=NAME)
    world.name_server(wire.FAR6, at=wire.FAR6)
    world.start()
    world.feed(50)
    world.wait_stored()
    world.finish()


@case("N9", "IPv4 alone, by name")
def only_v4(run):
    world = named(run, v6=False)
    world.feed(50)
    world.wait_stored()
    world.finish()


@case("N9", "both kinds of address, of which only one answers")
def broken_v6(run):
    """Happy or not: a family that leads nowhere costs time, not records."""
    world = NetWorld(run, host=NAME)
    world.name_server(wire.FAR6, wire.FAR4)
    world.wire.rule("-A", "INPUT", "-p", "tcp", "-j", "DROP", family=6)
    world.start()
    world.feed(50)
    world.wait_stored()
    world.finish()
