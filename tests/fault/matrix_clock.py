# SPDX-License-Identifier: Apache-2.0
"""
Rows P2 to P7 and T2 of the fault matrix: clocks that are wrong, step, or stand still.

P1, three boots in 1970, is boots.py.
"""
import calendar
import datetime
import json
import signal
import time

import clock_shim
import harness
from clock_shim import DAY_MS
from harness import check, wait_until
from matrix_http import answer
from matrix_world import Authority, World, case
from rogue import error

MINUTE_MS, HOUR_MS = 60 * 1000, 3600 * 1000
FACTOR = 20


class ClockWorld(World):
    """The agent's clocks can be set (clock_shim.py); the sink's are right."""

    def __init__(self, run, factor=FACTOR, **options):
        self.clocks = clock_shim.Clocks(run)
        super().__init__(run, factor, **options)

    def make_agent(self, route, environment, config):
        super().make_agent(route, environment, config)
        clocks = {}
        self.clocks.preload(clocks)
        mine = self.clock.environment.get("LD_PRELOAD")
        if mine:
            clocks["LD_PRELOAD"] = f"{mine}:{clocks['LD_PRELOAD']}"
        self.agent.environment.update(clocks)

    def times(self):
        """When the records of the sink were taken, as they say, by id: seconds since 1970."""
        found = {}
        for _, _, data in self.sink.records():
            record = json.loads(data)
            if "id" in record.get("data", {}):
                found[record["data"]["id"]] = datetime.datetime.fromisoformat(
                    record["ts"].replace("Z", "+00:00")).timestamp()
        return found


# ---- P2 ----

@case("P2", "a day forward and back while a batch is in flight")
def steps_in_flight(run):
    world = ClockWorld(run).start()

    def step(milliseconds):
        def act(talk):
            reply = talk.forward()
            world.clocks.step(milliseconds)
            talk.tell(reply)
        return act
    for milliseconds in (DAY_MS, -DAY_MS, -DAY_MS, DAY_MS, 7 * MINUTE_MS, -7 * MINUTE_MS):
        world.meet(step(milliseconds))
        world.feed(3)
        world.wait_stored()
    # What waits for its time waits on: a step is no reason to send at once, or never.
    world.rogue.act = answer(error("ThrottlingException"))
    world.feed(3)
    world.wait_said("Throttling", "backing-off")
    world.clocks.step(-DAY_MS)
    world.rogue.act = None
    world.wait_stored()
    summary = world.finish()
    check(summary["identities"]["duplicates"] == 0, f"a step made duplicates: {summary}")


# ---- P3 ----

def skewed(run, minutes):
    """Delivered after one extra request at most, and the next time without."""
    world = ClockWorld(run)
    world.clocks.set(wall_ms=minutes * MINUTE_MS)
    world.start()
    refused = world.sink.summary()["signature_failures"]
    check(refused <= 1, f"{refused} requests were signed with a wrong time")
    for _ in range(3):
        world.feed(3)
        world.wait_stored()
    check(world.sink.summary()["signature_failures"] == refused, "it learns only once")
    world.clocks.set(wall_ms=0)  # somebody sets the clock right
    world.feed(3)
    world.wait_stored()
    world.finish()


for ahead in (6, -6, 20, -20):
    case("P3", f"the clock {abs(ahead)} minutes {'fast' if ahead > 0 else 'slow'}")(
        lambda run, minutes=ahead: skewed(run, minutes))


# ---- P4 ----

@case("P4", "the Date of a server that is not the right one, or of a cache")
def foreign_date(run):
    """A wrong certificate's Date is never seen; one with an Age is old; both change nothing."""
    world = ClockWorld(run).start()
    offset = world.status()["clock"]["offset_ms"]
    future = "Date: Wed, 01 Jan 2098 00:00:00 GMT"
    good = world.rogue.tls
    world.rogue.tls = Authority(run.folder, "theirs").context("theirs")
    world.rogue.drop_all()
    world.feed(3)
    world.wait_said("certificate|verif|trust", "needs-operator")
    world.rogue.tls = good
    world.wait_stored()
    world.meet(answer(error("ServiceUnavailable", 503, headers=[future, "Age: 600"])))
    world.meet(answer(error("ServiceUnavailable", 503, headers=["Date: yesterday"])))
    world.meet(answer(error("ServiceUnavailable", 503, headers=["Date: "])))
    now = world.status()["clock"]["offset_ms"]
    check(abs(now - offset) < DAY_MS, f"the offset moved by {now - offset} ms")
    check(world.sink.summary()["signature_failures"] == 0, "a foreign Date was believed")
    world.finish()


@case("P4", "a right server whose Date is wrong for a while")
def wrong_date(run):
    world = ClockWorld(run).start()

    def wrong(year):
        def act(talk):
            talk.send(error("InternalFailure", 500,
                            headers=[f"Date: Thu, 01 Jan {year} 00:00:00 GMT"]))
            talk.goodbye()  # the next connection is made by that time
        return act
    for year in (1971, 2098):
        world.meet(wrong(year))
    world.finish()


# ---- P5 ----

@case("P5", "2038, a leap second, summer time: it is irrelevant")
def odd_times(run):
    for number, (zone, *when) in enumerate((("UTC", 2038, 1, 19, 3, 14, 4),
                                            ("Europe/Berlin", 2027, 3, 28, 0, 59, 57),
                                            ("Europe/Berlin", 2027, 10, 31, 0, 59, 57),
                                            ("UTC", 2028, 12, 31, 23, 59, 57),
                                            ("Australia/Lord_Howe", 2048, 2, 29, 23, 59, 57))):
        one = harness.Run(run.build, run.folder / str(number))
        one.folder.mkdir()
        one.agent_program, one.volatile = run.agent_program, run.volatile
        live_at(one, zone, calendar.timegm((*when, 0, 0, 0)))


def live_at(run, zone, begin_s):
    """Some seconds over the edge, which agent and sink pass together."""
    ahead_ms = begin_s * 1000 - int(time.time() * 1000)
    world = ClockWorld(run, 1, environment={"TZ": zone})
    world.clocks.set(wall_ms=ahead_ms)
    world.sink.faults(clock_offset_ms=ahead_ms)
    world.start()
    end = time.monotonic() + 3.5
    while time.monotonic() < end:
        world.feed(1)
        world.wait_stored()
        time.sleep(0.1)
    taken = world.times()
    found = [taken[number] for number in sorted(taken)]
    check(found == sorted(found), f"{zone}: times run back: {found}")
    check(abs(found[0] - begin_s) < 60 and found[-1] - found[0] >= 3,
          f"{zone}: taken from {found[0]} to {found[-1]}, begun {begin_s}")
    summary = world.finish()
    check(summary["signature_failures"] == 0, f"{zone}: signed with a wrong time")


# ---- P6 ----

def sleep(world):
    """Eight hours; the server's time goes on."""
    world.agent.process.send_signal(signal.SIGSTOP)
    world.clocks.suspend(8 * HOUR_MS)
    world.sink.faults(clock_offset_ms=8 * HOUR_MS)


def wake(world):
    world.agent.process.send_signal(signal.SIGCONT)


@case("P6", "eight hours asleep")
def suspended(run):
    """The connection from before is not trusted, and nothing comes in a burst."""
    world = ClockWorld(run).start()
    handshakes = world.route()["handshakes"]
    world.feed(40)
    world.wait_stored()
    sleep(world)
    world.feed(40)
    wake(world)
    world.wait_stored()
    wait_until("a new connection", lambda: world.route()["handshakes"] > handshakes)
    summary = world.finish()
    check(summary["identities"]["duplicates"] == 0, f"sleep made duplicates: {summary}")


@case("P6", "eight hours asleep with a reply on its way")
def suspended_in_flight(run):
    """Its Date is of the evening before: whoever learnt the time from it would sign with that."""
    world = ClockWorld(run).start()

    def act(talk):
        reply = talk.forward()
        sleep(world)
        talk.tell(reply)
        wake(world)
    handshakes = world.route()["handshakes"]
    world.meet(act)
    world.feed(40)
    world.wait_stored()
    check(world.route()["handshakes"] > handshakes, "the connection from before was used again")
    summary = world.finish()
    check(summary["signature_failures"] == 0, "signed with the time of the evening before")
    check(summary["identities"]["duplicates"] == 0, f"sleep made duplicates: {summary}")


# ---- P7 ----

@case("P7", "twenty power cycles")
def power_cycles(run):
    """Killed as soon as it is up. What powercut.py does to the disk is not done here; this is
    about a loop of boots: what each of them costs and whether it still starts."""
    world = World(run, 1)
    for _ in range(20):
        world.feed(5)
        world.agent.start()
        world.check_alive()
        world.agent.kill()
    world.agent.start()
    world.wait_stored()
    world.check_accounts()
    world.check_secrets()
    written = world.status()["flash"]["bytes"]
    check(world.agent.stop() == 0, world.agent.tail())
    world.agent.start()
    wait_until("its status", world.agent.status)
    idle = world.status()["flash"]["bytes"]
    check(idle <= 32 * 1024, f"a boot with nothing to do wrote {idle} bytes, the last {written}")
    world.close()


# ---- T2 ----

@case("T2", "a good certificate, and a clock that says 1970")
def certificate_in_1970(run):
    """Certificates are not yet valid then. The clock is known to be unset, so that is no reason
    to stay away for ever; chain and name are."""
    world = ClockWorld(run)
    world.clocks.set(wall_ms=-int(time.time() * 1000) + 60000, sync=clock_shim.UNSYNCED)
    world.start()
    world.finish()
