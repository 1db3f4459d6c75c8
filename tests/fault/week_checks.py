# SPDX-License-Identifier: Apache-2.0
"""
What must hold of a week (week.py), by what the sink has, what the rogues passed on and what was
handed in. The word before the colon of a failure names the invariant: lost (I1), altered (I2),
again (I3), ended and grown (I4), unsaid (I5), secret (I6), and wrong for times (P6).
"""
import collections
import datetime
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
# pylint: disable=wrong-import-position
from harness import check
from week_world import ACK_WINDOW_S, AGE_S, ROUTES, WINDOW_S

SENSORS = {"gap", "wave", "slow", "sick", "log", "cli", "peer", "runnel"}
SLACK_S = 30     # of real time that passes while something is killed, on a busy machine
DATE_S = 2.5     # a Date has whole seconds, and jitters
MEMORY_KIB = 4096   # a reload has two configurations for a moment
GROWTH = {"KiB of private memory": 512, "descriptors": 4, "threads": 1, "bytes of state": 65536}
SETTLED_S = 3600
BLOCKS_RECORDS = 3 * 255   # of one block of each lane


class Record:
    def __init__(self, text):
        self.text = text
        members = json.loads(text)
        self.identity = (members["device"], members["spool"], members["seq"])
        self.gap = members.get("gap")
        self.sensor = members.get("sensor", "gap" if self.gap else None)
        self.data = members.get("data", {})
        self.at = datetime.datetime.fromisoformat(members["ts"].replace("Z", "+00:00")).timestamp()
        self.quality = members.get("time_quality", "synced")

    def timeless(self):
        """Without what may be learnt between two deliveries."""
        return re.sub(r'"(ts|time_quality)":"[^"]*",?', "", self.text)


def received(world):
    """{route: [records]} as they came."""
    return {"live": [Record(data) for _, _, data in world.sink.records()],
            "lake": [Record(line) for line in world.sink.delivered()]}


def check_unaltered(world, found):
    """I2: each identity is one record, whoever has it; documents are as they were handed in."""
    texts = {}
    for route, records in found.items():
        for record in records:
            text = texts.setdefault(record.identity, record.timeless())
            check(text == record.timeless(), f"altered: {route}: {record.text} was {text}")
            check(record.sensor in SENSORS, f"altered: invented: {record.text}")
            if "sum" in record.data:
                check(world.documents.is_whole(record.data) and
                      record.data["id"] in world.documents.all, f"altered: {record.text}")
    return texts


def gone_with(world, document):
    """Letters are not salvaged."""
    return any(document.began <= at for at in world.damaged_at)


def anew(world, record):
    """Where a followed file was left is not salvaged: behind damage that a start finds the file is
    read anew, into another spool."""
    return record.identity[1] if record.sensor == "log" and world.damaged_at else None


def check_documents(world, found, dead):
    """I1: what was acknowledged is there, under one identity."""
    identity_of = {}
    for route, records in found.items():
        there = set()
        for record in records:
            if "sum" not in record.data:
                continue
            number = record.data["id"]
            there.add(number)
            first = identity_of.setdefault((number, anew(world, record)), record.identity)
            check(first == record.identity,
                  f"again: document {number} is {first} and {record.identity}")
        missing = [one for one in world.documents.all.values()
                   if one.is_acked and one.number not in there and not one.is_excused]
        buried = [one for one in missing if one.is_poison and
                  (one.number in dead[route] or gone_with(world, one))]
        check(len(missing) == len(buried), f"lost: {route}: "
              f"{[(one.number, one.how) for one in missing if one not in buried][:8]} of "
              f"{len(world.documents.all)} documents")


def check_sequence(world, route, records):
    """I1: what has no number between two others was in RAM at an unclean stop, or damaged, or is
    dead."""
    by_spool = collections.defaultdict(dict)
    for record in records:
        by_spool[record.identity[1]][record.identity[2]] = record
    holes = 0
    for spool, numbers in by_spool.items():
        ordered = sorted(numbers)
        for before, behind in zip(ordered, ordered[1:]):
            if behind == before + 1:
                continue
            holes += behind - before - 1
            first, last = numbers[before], numbers[behind]
            check(is_excused(world, first, last), f"lost: {route}: the numbers {before + 1} to "
                  f"{behind - 1} of {spool}, between {first.text[:120]} and {last.text[:120]}")
    return holes


def is_excused(world, before, behind):
    if "estimated" in (before.quality, behind.quality):
        return True
    if any(one.is_poison and before.at <= one.ended + 1 and one.began - 1 <= behind.at
           for one in world.documents.all.values()):
        return True
    early = WINDOW_S + AGE_S + SLACK_S
    return any(behind.at >= stop.since - early and before.at <= stop.at + SLACK_S
               for stop in world.stops) or \
        any(behind.at >= at - 2 * early and before.at <= at + early for at in world.damaged_at)


def check_again(world, route, records):
    """I3: twice only what the agent could not know to be there."""
    copies = collections.Counter(record.identity for record in records)
    passed, known, whole_blocks = collections.Counter(), {}, 0
    for talk in [talk for talk in world.rogues[route].talks if talk.stored]:
        for place in talk.stored:
            identity = talk.records[place]
            passed[identity] += 1
            told_at = known.get(identity)
            if told_at is not None and not is_forgotten(world, told_at, talk.at):
                check(is_salvaged(world, told_at, talk.at),
                      f"again: {route}: {identity} at {talk.at:.0f}, known since {told_at}")
                whole_blocks += 1
            if talk.told:
                known[identity] = talk.at
    check(whole_blocks <= BLOCKS_RECORDS * len(world.damaged_at),
          f"again: {route}: {whole_blocks} records behind {len(world.damaged_at)} damages")
    more = [identity for identity, count in copies.items() if count > passed[identity]]
    check(not more, f"again: {route}: more than was sent: {more[:5]}")
    return sum(copies.values()) - len(copies)


def is_forgotten(world, told_at, again_at):
    """By an unclean stop within one ack_window behind it."""
    return any(told_at >= stop.since - ACK_WINDOW_S - SLACK_S and told_at <= stop.at + SLACK_S and
               stop.at <= again_at + SLACK_S for stop in world.stops)


def is_salvaged(world, told_at, again_at):
    """Blocks come out of a damaged file as a whole, though a part of them was delivered."""
    return any(told_at <= at + SLACK_S and at <= again_at + SLACK_S for at in world.damaged_at)


def check_times(world, found):
    """P6: true, or said to be estimated, which is so only where nobody could know."""
    checked = 0
    for records in found.values():
        for record in records:
            one = world.documents.all.get(record.data.get("id"))
            if one is None:
                continue
            if record.quality == "estimated":
                check(not one.knows_time or one.how == "log", f"wrong: estimated: {record.text}")
                continue
            checked += 1
            check(record.at >= one.began - DATE_S, f"wrong: {record.text} is from {one.began:.3f}")
            check(one.ended is None or record.at <= one.ended + DATE_S,
                  f"wrong: {record.text} is from {one.began:.3f} to {one.ended}")
    return checked


def check_sizes(world):
    """I4: nothing grows, neither in one life of the agent nor over the days."""
    most = max(sizes["KiB of private memory"] for _, sizes in world.samples)
    check(most <= MEMORY_KIB, f"grown: {most} KiB of private memory")
    slope = collections.Counter()
    for life in world.lives:
        settled = [sizes for at, sizes in life if at >= life[0][0] + SETTLED_S]
        for name, bound in GROWTH.items():
            if len(settled) < 2:
                break
            grown = settled[-1][name] - settled[0][name]
            slope[name] = max(slope[name], grown)
            check(grown <= bound, f"grown: {name} by {grown} in one life")
    for name, bound in GROWTH.items():
        days = collections.defaultdict(int)
        for day, sizes in world.samples:
            days[int(day)] = max(days[int(day)], sizes[name])
        if 1 in days and len(days) > 2:
            grown = days[max(days)] - days[1]
            check(grown <= bound, f"grown: {name} by {grown} since the second day")
    return most, slope


def dead_documents(world):
    """{route: numbers of the documents that are dead letters}."""
    found = {}
    for route in ROUTES:
        lines = world.agent.call("dead", "export", "--route", route, "-c",
                                 world.agent.config_file).stdout.splitlines()
        found[route] = {json.loads(line).get("data", {}).get("id") for line in lines}
    return found


def check_gaps(status, found):
    """I1: what the accounts call evicted has been told in gaps, and is none of the policy's, for
    the spool had room; returns how many."""
    for route, records in found.items():
        gone = sum(lane["evicted"] for lane in status["routes"][route]["lanes"].values())
        gaps = {record.identity: record.gap for record in records if record.gap}
        told = sum(gap["count"] for gap in gaps.values())
        check(gone <= told, f"lost: {route}: {gone} are counted as evicted, {told} told")
        check(all(gap["reason"] == "damaged" for gap in gaps.values()),
              f"lost: {route}: evicted although the spool had room: {gaps}")
    return sum(record.gap["count"] for records in found.values() for record in records
               if record.gap)


def check_all(world, status):
    """A summary, if everything holds."""
    found = received(world)
    texts = check_unaltered(world, found)
    dead = dead_documents(world)
    check_documents(world, found, dead)
    holes = {route: check_sequence(world, route, found[route]) for route in ROUTES}
    twice = {route: check_again(world, route, found[route]) for route in ROUTES}
    times = check_times(world, found)
    most, slope = check_sizes(world)
    lost = check_gaps(status, found)
    counts = world.counts
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items())
                      if kind not in ("starts", "looks", "acked", "refused"))
    grown = ", ".join(f"{name} {value}" for name, value in sorted(slope.items()))
    return (f"faults: {kinds}\n"
            f"{len(texts)} records compared; documents: {len(world.documents.all)}, of which "
            f"{counts['acked']} acknowledged and {counts['refused']} not, "
            f"{sum(1 for one in world.documents.all.values() if one.is_excused)} in damaged pages, "
            f"{sum(map(len, dead.values()))} dead letters; {lost} records told to be lost with "
            f"them; twice {twice}; numbers never seen "
            f"{holes}\n{counts['starts']} starts, {len(world.stops)} of them behind an unclean "
            f"stop; {counts['looks']} looks at the sums; {times} times compared; "
            f"at most {most} KiB private; most growth in one life: {grown}")
