# SPDX-License-Identifier: Apache-2.0
"""
The faults of week.py: what happens, and by what the agent shows that it did.

Each is a generator of a world and a Fault: where it yields a number, so many seconds pass. Those of
NETWORK are about one route or both; those of LOCAL are about the program, its disk, its clock, its
sensors and its configuration. One of each may be under way.
"""
import contextlib
import json
import os
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
# pylint: disable=wrong-import-position
import clock_shim
import damage as pages
from harness import check
from matrix_http import answer, poison
from rogue import error, message
from week_world import HOUR_S, MINUTE_S, SICK, found_ids

NETWORK, LOCAL = {}, {}
LINES, LINES_PER_HOUR = 12, 60
PAGE_DAMAGE = b"\xff\x00\xff\x00"


class Kind:
    def __init__(self, function, shortest_s, longest_s, shown):
        self.function = function
        self.shortest_s, self.longest_s = shortest_s, longest_s
        self.shown = shown


class Fault:
    """One of them: KIND, and from when on for how long; ROUTES: whom it is about."""

    def __init__(self, kind, at, seconds, routes=()):
        self.kind, self.at, self.seconds, self.routes = kind, at, seconds, routes
        self.offset = 0   # of the log, where it began

    def __str__(self):
        about = " of " + " and ".join(self.routes) if self.routes else ""
        return f"{self.kind}{about}, {self.seconds / MINUTE_S:.0f} min"

    def begin(self, world):
        """What happens, as a generator."""
        self.offset = world.log_size()
        return {**NETWORK, **LOCAL}[self.kind].function(world, self)

    def must_show(self, world, pattern):
        """The log has it, and not in a loop."""
        lines = re.findall(f"^.*(?:{pattern}).*$", world.log_since(self.offset), re.M)
        check(lines, f"unsaid: nothing in the log says {pattern} of {self}: {world.agent.tail()}")
        hours = (world.now() - self.at) / HOUR_S
        check(len(lines) <= LINES + LINES_PER_HOUR * hours,
              f"unsaid: {len(lines)} lines say {pattern} in {hours:.1f} h")

    def end(self, world):
        """It was shown, and counted."""
        shown = {**NETWORK, **LOCAL}[self.kind].shown
        for about in [f"route={name} " for name in self.routes] or [""]:
            if shown is not None:
                self.must_show(world, about + shown)


def of(table, name, shortest_min, longest_min, shown=None):
    """Enters a fault. SHOWN: a pattern that the log has once, of a network fault for each route."""
    def enter(function):
        table[name] = Kind(function, shortest_min * MINUTE_S, longest_min * MINUTE_S, shown)
        return function
    return enter


# ---- the network ----

def acting(act):
    """A network fault in which every request of the routes meets ACT."""
    def happen(world, fault):
        for name in fault.routes:
            world.rogues[name].act = act
        world.urge()
        yield fault.seconds
        for name in fault.routes:
            world.rogues[name].act = world.rogues[name].usual
    return happen


def refusing(world, fault, seconds):
    for name in fault.routes:
        world.rogues[name].refuse(True)
    world.urge()
    yield seconds
    for name in fault.routes:
        world.rogues[name].refuse(False)


of(NETWORK, "outage", 10, 360, "state=offline")(
    lambda world, fault: refusing(world, fault, fault.seconds))
of(NETWORK, "long outage", 24 * 60, 48 * 60, "state=offline")(
    lambda world, fault: refusing(world, fault, fault.seconds))


@of(NETWORK, "flapping", 20, 60, "state=offline")
def flapping(world, fault):
    """Three minutes up, three minutes down."""
    end = world.now() + fault.seconds
    while world.now() < end - 6 * MINUTE_S:
        yield from refusing(world, fault, 3 * MINUTE_S)
        yield 3 * MINUTE_S


def hold(talk):
    talk.hold()


@of(NETWORK, "silence", 20, 60, "state=(offline|backing-off)")
def silence(world, fault):
    """Whoever connects hears nothing more; so all that waits for a connection waits for time."""
    world.is_mute = True
    yield from acting(hold)(world, fault)
    world.is_mute = False
    for one in world.rogues.values():
        one.drop_all()


def lose_reply(talk):
    talk.forward()
    talk.reset()


def half_reply(talk):
    reply = talk.forward()
    talk.send(reply[:len(reply) - 9])
    talk.close()


def crawl(talk):
    """A reply that comes in pieces."""
    reply = talk.forward()
    for start in range(0, len(reply), 100):
        talk.send(reply[start:start + 100])
        time.sleep(0.002)
    talk.told = True


def throttle(talk):
    talk.send(error("ProvisionedThroughputExceededException" if talk.form.failed ==
                    "FailedRecordCount" else "ServiceUnavailableException", 400))


HTML = message(200, "<html><body>Please log in</body></html>", ("Content-Type: text/html",))
of(NETWORK, "lost replies", 20, 60, "state=(offline|backing-off)")(acting(lose_reply))
of(NETWORK, "throttled", 20, 120, "state=backing-off")(acting(throttle))


@of(NETWORK, "partial failures", 20, 120, "state=backing-off .*not taken")
def partial_failures(world, fault):
    """A third of the records of each request."""
    world.sink.faults(record_failure_rate=0.3)
    world.urge()
    yield fault.seconds
    world.sink.faults(record_failure_rate=0)


of(NETWORK, "errors of the server", 20, 120, "state=backing-off")(
    acting(answer(error("InternalFailure", 500))))
of(NETWORK, "retry later", 20, 60, "state=backing-off")(
    acting(answer(error("ServiceUnavailable", 503, headers=["Retry-After: 90"]))))
of(NETWORK, "access denied", 20, 240, "state=needs-operator .*AccessDenied")(
    acting(answer(error("AccessDeniedException"))))
of(NETWORK, "a page of HTML", 20, 60, "state=backing-off .*answered 200")(acting(answer(HTML)))
of(NETWORK, "garbage", 20, 60, "state=(backing-off|offline)")(
    acting(answer(b"\x16\x03\x01\x02\x00nonsense" * 20)))
of(NETWORK, "half a reply", 20, 60, "state=(backing-off|offline)")(acting(half_reply))
of(NETWORK, "slow replies", 20, 60)(acting(crawl))


@of(NETWORK, "expired credentials", 20, 180, "state=needs-operator .*[Ee]xpired")
def expired(world, fault):
    """Until the operator writes others. Of all routes, since they have one key."""
    world.sink.expire_key(world.key)
    world.urge()
    yield fault.seconds
    world.new_key()


@of(NETWORK, "wrong certificate", 20, 120, "state=needs-operator .*certificate")
def wrong_certificate(world, fault):
    for name in fault.routes:
        world.rogues[name].tls = world.stranger
        world.rogues[name].drop_all()
    world.urge()
    yield fault.seconds
    for name in fault.routes:
        world.rogues[name].tls = world.context
        world.rogues[name].drop_all()


@of(NETWORK, "poison", 30, 60)
def poisoned(world, fault):
    """A record that one route's destination refuses for good, for ever."""
    for name in fault.routes:
        one = world.rogues[name]
        one.act = one.usual = poison("ValidationException" if name == "live" else
                                     "InvalidArgumentException", "1 validation error detected")
    world.send(3, "alarm")
    world.send(1, "alarm", poison=True)
    world.send(3, "alarm")
    yield fault.seconds


# ---- the program ----

def up_again(world, fault, seconds):
    world.off(seconds)
    world.start()
    fault.must_show(world, "started ")


@of(LOCAL, "kill -9", 0, 0, "stopped-uncleanly")
def killed(world, fault):
    world.kill()
    up_again(world, fault, world.random.choice((0, 0, 30)))
    yield 0


@of(LOCAL, "kill -9 at work", 0, 0, "stopped-uncleanly")
def killed_at_work(world, fault):
    """While documents come in, and while it starts."""
    for _ in range(3):
        world.send(20, "alarm")
        time.sleep(world.random.uniform(0, 0.02))
        world.kill()
        world.start()
    yield 0


@of(LOCAL, "SIGTERM", 0, 0, "stopping")
def terminated(world, fault):
    world.terminate()
    up_again(world, fault, world.random.choice((0, 60)))
    yield 0


@of(LOCAL, "reboot", 0, 0, "stopping")
def rebooted(world, fault):
    world.terminate()
    world.reboot()
    up_again(world, fault, world.random.uniform(20, 300))
    yield 0


@of(LOCAL, "power cut", 0, 0)
def power_cut(world, fault):
    world.feed()
    world.cut_power()
    world.reboot()
    up_again(world, fault, world.random.uniform(20, 3600))
    yield 0


@of(LOCAL, "power cut at the start", 0, 0)
def power_cut_twice(world, fault):
    """Again as soon as it runs, and once more."""
    for _ in range(3):
        world.cut_power()
        world.reboot()
        up_again(world, fault, world.random.uniform(20, 60))
        world.send(1)
    yield 0


# ---- the clock ----

@of(LOCAL, "boot in 1970", 20, 60)
def boot_in_1970(world, fault):
    """After a power cut; somebody sets the clock at the end."""
    world.cut_power()
    world.reboot(wall_s=20)
    up_again(world, fault, world.random.uniform(60, 3600))
    for _ in range(3):
        world.send(2, "alarm")
        yield fault.seconds / 3
    world.set_clock()


@of(LOCAL, "clock steps", 10, 60)
def clock_steps(world, fault):
    """Somebody sets it wrong; the time daemon has it right again at the end."""
    wrong_ms = world.random.choice((-1, 1)) * round(world.random.uniform(60, 86400) * 1000)
    world.clocks.set(wall_ms=wrong_ms, sync=clock_shim.UNSYNCED)
    world.send(2, "alarm")
    yield fault.seconds
    world.send(2, "alarm")
    world.set_clock()


# ---- the disk ----

@of(LOCAL, "disk fails", 10, 90, "spool-commit-failed")
def disk_fails(world, fault):
    """Writing and syncing fail; what comes is not accepted, or delivered out of RAM."""
    world.trouble_since = world.leap.now()
    world.switch.touch()
    world.write(3)
    yield fault.seconds
    status = world.status()
    check(status["problem"] and not status["healthy"], f"unsaid: a disk that fails: {status}")
    world.switch.unlink()
    yield 2 * MINUTE_S
    check(not world.switch.exists() and world.send(1), f"lost: the disk is well, and a document is "
          f"refused: {world.agent.tail()}")
    world.trouble_since = None


@of(LOCAL, "disk full", 10, 90)
def disk_full(world, fault):
    """The spool has its room already; a start meanwhile needs none."""
    filler = world.disk.mount_point / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))
    world.send(2, "alarm")
    world.kill()
    up_again(world, fault, 0)
    yield fault.seconds
    world.send(2, "alarm")
    filler.unlink()
    os.sync()   # a cut would bring it back


@of(LOCAL, "spool damaged", 0, 0, "spool-set-aside")
def spool_damaged(world, _):
    """The first page, and two with blocks, while the agent is away."""
    world.write(20)
    world.send(30)
    yield 20 * MINUTE_S
    world.send(30)
    spool = world.status()["spool"]
    world.terminate()
    path = world.state / "spool.mdb"
    blocks = pages.find_blocks(path, spool)
    with path.open("r+b", buffering=0) as file:
        for _, offset in blocks[-2:]:
            file.seek(offset)
            for number in found_ids(file.read(pages.PAGE)):
                world.documents.all[number].is_excused = "damage"
            file.seek(offset + pages.HEADER + 200)
            file.write(PAGE_DAMAGE)
        file.seek(pages.HEADER)
        file.write(PAGE_DAMAGE)   # LMDB's magic
    world.damaged_at.append(world.leap.now())
    world.start()


# ---- sensors ----

def sick(**symptoms):
    def happen(world, fault):
        world.configure(sensors=[*world.well[:-2], {**SICK, **symptoms}, world.well[-1]])
        check(world.reload() == 0, f"unsaid: a configuration is refused: {world.agent.tail()}")
        yield fault.seconds
        sensor = world.status()["sensors"]["sick"]
        check(sensor["errors"] > 0 or sensor["missed"] > 0, f"unsaid: {symptoms}: {sensor}")
        waved = world.status()["sensors"]["wave"]
        check(waved["errors"] == 0, f"lost: a sick sensor beside it: {waved}")
        world.configure(sensors=world.well)
        check(world.reload() == 0, f"unsaid: a configuration is refused: {world.agent.tail()}")
    return happen


of(LOCAL, "sensor fails", 10, 120, "sensor-failed sensor=sick")(sick(fail_every=1))
of(LOCAL, "sensor fails at times", 20, 120, "sensor-failed sensor=sick")(sick(fail_every=3))
of(LOCAL, "sensor hangs", 10, 120, "sensor-failed sensor=sick")(sick(hang="5s"))
of(LOCAL, "sensor talks garbage", 10, 120, "reading-refused sensor=sick")(sick(garbage=True))


@of(LOCAL, "file rotated", 0, 0)
def file_rotated(world, _):
    """Twice, and written to in between."""
    for _ in range(2):
        world.write(5)
        world.input.rename(world.input.with_suffix(".txt.1"))
        world.input.write_text("")
        world.write(5)
        yield 3 * MINUTE_S


# ---- the configuration ----

@of(LOCAL, "configuration reloaded", 0, 0)
def reloaded(world, _):
    """Four times, while lines and documents come in."""
    for _ in range(4):
        world.write(2)
        check(world.reload() == 0, f"unsaid: a configuration is refused: {world.agent.tail()}")
        world.send(2, "alarm")
        yield 1


@of(LOCAL, "bad configuration", 0, 0, "config-refused|config-not-loaded")
def bad_configuration(world, _):
    good = world.agent.config_file.read_text()
    for bad in ("{", good[:len(good) // 2], good.replace('"interval"', '"intreval"', 1), ""):
        world.agent.config_file.write_text(bad)
        check(world.reload() != 0, "unsaid: a bad configuration is taken")
        world.send(1)
        yield 1
    world.agent.config_file.write_text(good)


def trial(change):
    def happen(world, fault):
        pushed = json.loads(json.dumps(world.agent.config))
        change(pushed)
        path = world.run.folder / "pushed.json"
        path.write_text(json.dumps(pushed))
        result = world.agent.call("config", "apply", path, "--confirm", "15m")
        check(result.returncode == 0, f"unsaid: not applied: {result.stderr}")
        world.urge()
        yield 20 * MINUTE_S
        state = world.status()["config"]
        check(state["state"] != "trial", f"unsaid: the trial has no end: {state}")
        if state["state"] != "main":
            result = world.agent.call("config", "apply", "--none", "--confirm", "15m")
            check(result.returncode == 0, f"unsaid: not applied: {result.stderr}")
            world.urge()
            yield 20 * MINUTE_S
    return happen


of(LOCAL, "bad trial", 0, 0, "config-reverted")(
    trial(lambda config: config["routes"][0].update(stream="nowhere")))
of(LOCAL, "good trial", 0, 0, "config-(confirmed|reverted)")(
    trial(lambda config: config["routes"][0].update(batch={"records": 150})))
