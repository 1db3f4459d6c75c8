#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A week with faults of all kinds, from one seed (U8): the real program, its time compressed.

leap.c lets days pass in seconds. One fault of the network and one of the program, its disk, clock,
sensors or configuration may be under way at a time (week_faults.py); meanwhile documents come by
`runnel send`, from a CoAP peer and in a followed file, and what was accepted is written down.
week_checks.py has what must hold, all the time and at the end. Needs root, for a disk whose power
can be cut.

--plant: a control, that is, a bug made from outside; --must-find: how it has to be called.
"""
import heapq
import pathlib
import random
import re
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
# pylint: disable=wrong-import-position
import harness
import own_mounts
import week_checks
import week_plants
from harness import check
from week_faults import LOCAL, NETWORK, Fault
from week_world import DAY_S, HOUR_S, MINUTE_S, ROUTES, World

TICK_S = 40 * MINUTE_S
NETWORK_A_DAY, LOCAL_A_DAY = 5, 14
QUIET_S = 5 * MINUTE_S   # at the beginning, and between two faults of a kind
OF_ALL_ROUTES = ("silence", "expired credentials", "partial failures")
LONG = "long outage"


def deck(generator, names, count):
    """COUNT of NAMES in any order; each comes once before any comes again."""
    drawn = []
    while len(drawn) < count:
        names = sorted(names)
        generator.shuffle(names)
        drawn += names
    return drawn[:count]


def timeline(generator, table, names, begin_s, end_s):
    """A fault for each of NAMES between BEGIN_S and END_S, one behind the other."""
    edges = sorted(generator.uniform(begin_s, end_s) for _ in names)
    faults = []
    for name, at, following in zip(names, edges, [*edges[1:], end_s]):
        kind = table[name]
        at = max(at, faults[-1].at + faults[-1].seconds + QUIET_S if faults else begin_s)
        room = max(kind.shortest_s, min(kind.longest_s, following - at - QUIET_S))
        routes = ()
        if table is NETWORK:
            routes = ROUTES if name in OF_ALL_ROUTES else \
                generator.choice((ROUTES, ROUTES[:1], ROUTES[1:]))
        faults.append(Fault(name, at, generator.uniform(kind.shortest_s, room), routes))
    return faults


def make_plan(seed, days, kinds=None):
    """Of a week a day or two are one outage; of less, each kind comes once at least."""
    generator = random.Random(seed)
    end_s = days * DAY_S
    network = [name for name in NETWORK if name != LONG and (not kinds or name in kinds)]
    local = [name for name in LOCAL if not kinds or name in kinds]
    counts = [0 if not names else max(len(names), round(days * a_day))
              for names, a_day in ((network, NETWORK_A_DAY), (local, LOCAL_A_DAY))]
    names = deck(generator, network, counts[0])
    if days >= 5:
        middle_s = generator.uniform(2, 4) * DAY_S
        half = len(names) // 2
        long = Fault(LONG, middle_s, generator.uniform(1, 2) * DAY_S, ROUTES)
        faults = timeline(generator, NETWORK, names[:half], QUIET_S, middle_s - 3 * HOUR_S)
        faults = [fault for fault in faults if fault.at + fault.seconds < middle_s] + [long]
        after_s = middle_s + long.seconds + HOUR_S
        faults += timeline(generator, NETWORK, names[half:], after_s, end_s)
    else:
        faults = timeline(generator, NETWORK, names, QUIET_S, end_s)
    faults += timeline(generator, LOCAL, deck(generator, local, counts[1]), QUIET_S, end_s)
    return sorted(faults, key=lambda fault: fault.at)


class Week:
    """Lets the plan happen."""

    def __init__(self, world, plan, days, verbose):
        self.world, self.days, self.verbose = world, days, verbose
        self.due = [(TICK_S, -1, None, None)]
        for number, fault in enumerate(plan):
            heapq.heappush(self.due, (fault.at, number, fault, None))
        self.began = time.monotonic()
        self.last = "none yet"
        self.busy = {"network": None, "local": None}
        self.looked_on_day = 0

    def live(self):
        faults = len(self.due) - 1
        while faults:
            at, number, fault, happening = heapq.heappop(self.due)
            self.world.pass_to(at)
            if fault is None:
                self.tick(at)
            else:
                faults -= self.go_on(number, fault, happening)

    def go_on(self, number, fault, happening):
        """Whether it is over. What one before delayed waits for its end."""
        which = "network" if fault.routes else "local"
        if happening is None:
            if self.busy[which] is not None:
                heapq.heappush(self.due, (self.world.now() + QUIET_S, number, fault, None))
                return False
            self.busy[which] = fault
            fault.at, self.last = self.world.now(), f"{fault}, {self.world.when()}"
            if self.verbose:
                print(f"{time.monotonic() - self.began:6.1f} s  {self.world.when()}  {fault}",
                      flush=True)
            self.world.counts[fault.kind] += 1
            happening = fault.begin(self.world)
        wait_s = next(happening, None)
        if wait_s is not None:
            heapq.heappush(self.due, (self.world.now() + wait_s, number, fault, happening))
            return False
        fault.end(self.world)
        self.busy[which] = None
        return True

    def tick(self, at):
        """Documents come in, and somebody looks."""
        world = self.world
        world.feed()
        world.look()
        world.measure()
        if world.now() // DAY_S > self.looked_on_day:
            self.looked_on_day = world.now() // DAY_S
            world.check_secrets()
        heapq.heappush(self.due, (max(at + TICK_S, world.now()), -1, None, None))


def live(world, options, plan):
    week = Week(world, plan, options.days, options.verbose)
    world.start()
    try:
        plant = week_plants.PLANTS.get(options.plant)
        if plant:
            plant(world)
        world.send(3)
        week.live()
        status = world.wait_delivered()
        world.check_secrets()
        check(world.agent.stop() == 0, f"ended: badly: {world.agent.tail()}")
        check(world.agent.drain(120) == 0, f"lost: the rest was not delivered: "
              f"{world.agent.tail()}")
        print(week_checks.check_all(world, status), flush=True)
    except harness.Failure as failure:
        raise harness.Failure(
            f"{failure}\nseed {options.seed}, {world.when()}; the fault before: {week.last}\n"
            f"again: tests/fault/week.py --seed {options.seed} --days {options.days} --verbose"
        ) from None


def scenario(options):
    def play(run):
        if not own_mounts.entered():
            raise harness.Skip("needs root, for a disk of its own")
        plan = make_plan(options.seed, options.days, options.kind)
        if options.verbose:
            print("\n".join(f"{fault.at / HOUR_S:7.2f} h  {fault}" for fault in plan), flush=True)
        quick = pathlib.Path("/dev/shm")
        with tempfile.TemporaryDirectory(prefix="runnel-week-",
                                         dir=quick if quick.is_dir() else run.folder) as folder:
            program = pathlib.Path(options.agent) if options.agent else None
            began = time.monotonic()
            with World(run, options.seed, pathlib.Path(folder), program,
                       signed=options.plant not in week_plants.UNSIGNED) as world:
                live(world, options, plan)
                print(f"seed {options.seed}: {options.days} days in "
                      f"{time.monotonic() - began:.0f} s", flush=True)

    def control(run):
        try:
            play(run)
        except harness.Failure as failure:
            found = re.search(options.must_find, str(failure))
            print(f"found: {str(failure).splitlines()[0]}", flush=True)
            check(found, f"the planted bug was called {failure}")
            return
        raise harness.Failure("the planted bug was not found")

    return control if options.must_find else play


def main():
    options = harness.arguments(
        __doc__,
        (["--seed"], {"type": int, "default": 1}),
        (["--days"], {"type": float, "default": 7}),
        (["--kind"], {"action": "append", "help": "only such faults; again for more"}),
        (["--verbose"], {"action": "store_true", "help": "print the plan, and each fault"}),
        (["--agent"], {"help": "the program under test, instead of runnel"}),
        (["--plant"], {"choices": sorted(week_plants.PLANTS)}),
        (["--must-find"], {"help": "pass only if it fails with words that match this"}))
    own_mounts.enter()
    harness.main(options, scenario(options))


if __name__ == "__main__":
    main()
