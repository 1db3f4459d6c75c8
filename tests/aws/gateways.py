# SPDX-License-Identifier: Apache-2.0
"""
Thirty hours in the life of a fleet, made alike each time: what comes to lie in the bucket in which
hour, and, worked out from it without any SQL, what is to be known of each device at the end, when
counts were made behind some of these hours, or behind all.

Every device sends a health record an hour. What else befalls it is its kind's: device number N is
of kind KINDS[N % 20], and reaches the table `records` or the table `lake`, whichever its number
says. An object of `lake` lies under the hour in which it came, one of `records` under its record's.
"""
import collections
import dataclasses
import datetime
import json
import pathlib

UTC = datetime.timezone.utc
NOW = datetime.datetime(2026, 11, 28, 19, 7, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
HOURS = 30
START_S = NOW_S - HOURS * 3600
LATE_S = 600                # from a record's time to its object
HOURS_BACK = 2              # what a count looks at
# Behind which hours a count is made: most are missed.
SOME = (0, 6, 18, 27, 30)
EVERY = tuple(range(HOURS + 1))
KINDS = (*["steady"] * 8, "silent", "retired", "backlog", "upgraded", "replaced", "evicting",
         "1970", "expiring", "readings", "twice", "chatty", "ahead")
# Who needs more hours than those that a count may look at.
HOURS_OF = {"backlog": range(HOURS)}


@dataclasses.dataclass
class Sent:
    """A record and when it came to lie in the bucket."""
    device: str
    spool: str
    seq: int
    ts_s: int
    came_s: int
    table: str
    sensor: str = "runnel"
    data: str = ""
    health: dict = None

    def line(self):
        """As the agent renders it."""
        time = datetime.datetime.fromtimestamp(self.ts_s, UTC)
        quality = ',"time_quality":"estimated"' if self.ts_s < 1e9 else ""
        member = f'"data":{self.data}' if self.data else '"values":{"temp":41.50}'
        return (f'{{"device":"{self.device}","sensor":"{self.sensor}",'
                f'"ts":"{time:%Y-%m-%dT%H:%M:%S}.000Z","seq":{self.seq},"spool":"{self.spool}"'
                f'{quality},{member}}}\n')

    def hour_s(self):
        """Of the partition."""
        at = self.ts_s if self.table == "records" else self.came_s
        return at - at % 3600


class Device:
    """Number NUMBER of the fleet."""

    def __init__(self, number):
        self.number = number
        self.name = f"gw-{number:05}"
        self.kind = KINDS[number % 20]
        self.table = ("records", "lake")[number // 20 % 2]
        self.minute_s = number * 37 % 3600
        self.since_h = 1 + number // 40 % 29    # how long silent
        self.upgrade_hour = (29, 15)[number // 20 % 2]

    def state(self, hour):
        """The health record of an hour, 0 to HOURS - 1, as a dictionary."""
        number = self.number
        is_new = self.kind == "upgraded" and hour >= self.upgrade_hour
        spool_hour = hour - 20 if self.kind == "replaced" and hour >= 20 else hour
        lost = {"evicting": 7, "replaced": 3}.get(self.kind, 0)
        return {
            "version": "0.2.0" if is_new or number % 3 == 0 else "0.1.0",
            "config_id": f"{number % 4 + 16 * is_new:016x}",
            "uptime_s": 60 + 3600 * (hour - self.upgrade_hour if is_new else hour),
            "depth": number % 5, "oldest_age_s": number % 60,
            "evicted": lost * (spool_hour * (number % 11) + 1), "dead": int(number % 401 == 0),
            "clock": "estimated" if self.kind == "1970" else "synced",
            "certificate_days": None if number % 10 == 0 else
            number % 61 if self.kind == "expiring" else 300 + number % 60,
            "flash_bytes": 4096 * (hour + 1), "flash_commits": hour,
            "link_bytes": 1000 * (hour + 1) + number, "healthy": number % 50 != 0,
            "warnings": number % 3}

    def health(self, hour):
        """The health record of an hour, sent."""
        state = self.state(hour)
        data = json.dumps({"event": "health", **{name: value for name, value in state.items()
                                                 if value is not None}}, separators=(",", ":"))
        ts_s = START_S + 3600 * hour + self.minute_s
        spool = self.number + (1 << 40 if self.kind == "replaced" and hour >= 20 else 0)
        return Sent(self.name, f"{spool:016x}", 100 + 10 * hour, ts_s, ts_s + LATE_S, self.table,
                    data=data, health=state)

    def sent(self, hours):
        """All that it sends in HOURS."""
        send = getattr(self, "send_" + self.kind, self.send_steady)
        for hour in HOURS_OF.get(self.kind, ()) or hours:
            one = self.health(hour)
            if one.ts_s < NOW_S - LATE_S:
                yield from send(hour, one)

    def send_steady(self, _hour, one):
        """Nothing befalls it."""
        yield one

    def send_silent(self, hour, one):
        """Its last word was `since_h` hours ago."""
        if hour < HOURS - self.since_h:
            yield one

    send_retired = send_silent

    def send_backlog(self, hour, one):
        """Five hours without a network, whose records come with the last; some end there."""
        if 20 <= hour < 25:
            one.came_s = START_S + 3600 * 25 + self.minute_s
        if hour < 25 or self.number % 3:
            yield one

    def send_1970(self, _hour, one):
        """Its clock was never set."""
        one.ts_s -= START_S
        yield one

    def send_ahead(self, _hour, one):
        """Its clock is three hours ahead."""
        one.ts_s += 3 * 3600
        yield one

    def send_readings(self, hour, one):
        """No health records; of every third, no more of them."""
        is_told = self.number % 3 == 0 and hour < 10
        yield one if is_told else dataclasses.replace(one, sensor="board", data="", health=None)

    def send_twice(self, _hour, one):
        """By both ways, and once more an hour later."""
        for came_s in (one.came_s, one.came_s + 3600):
            yield dataclasses.replace(one, table="lake", came_s=came_s)
        yield dataclasses.replace(one, table="records")

    def send_chatty(self, hour, one):
        """Other documents that look like it, and a gap."""
        yield one
        for step, sensor, data in (
                (1, "plc", '{"event":"health","version":"9.9.9","evicted":1000000}'),
                (2, "runnel", '{"event":"config-reverted","route":"live","version":"9.9.9"}'),
                (3, "runnel", '"health"'), (4, "runnel", '["event","health"]')):
            yield dataclasses.replace(one, seq=one.seq + step, sensor=sensor, data=data,
                                      health=None)


def of_fleet(count, counts):
    """The records of COUNT devices, of the hours before each count."""
    hours = sorted({hour for each in counts for hour in range(max(0, each - HOURS_BACK), each)})
    return [one for number in range(count) for one in Device(number).sent(hours)]


def write_hours(folder, records, counts):
    """Yields the time of each count, seconds, behind the files of all that came before it."""
    waiting = collections.defaultdict(list)
    for one in records:
        waiting[-(-(one.came_s - START_S) // 3600)].append(one)
    for hour in EVERY:
        files = collections.defaultdict(list)
        for one in waiting[hour]:
            files[one.table, one.hour_s()].append(one.line())
        for (table, hour_s), lines in files.items():
            at = datetime.datetime.fromtimestamp(hour_s, UTC)
            place = pathlib.Path(folder) / table / f"year={at.year}/month={at:%m}/day={at:%d}" \
                / f"hour={at:%H}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{hour}.jsonl").write_text("".join(lines), "utf-8")
        if hour in counts:
            yield START_S + 3600 * hour


def write_retired(folder, count):
    """The list of those that nobody waits for."""
    (pathlib.Path(folder) / "retired").mkdir(exist_ok=True)
    names = [Device(number).name for number in range(count) if KINDS[number % 20] == "retired"]
    (pathlib.Path(folder) / "retired/list.txt").write_text("\n".join(names + names[:3]) + "\n")


def is_seen(one, counted_s):
    """Whether a count at COUNTED_S finds ONE, in an hour that it looks into."""
    this_s = counted_s - counted_s % 3600
    return one.came_s <= counted_s and this_s - HOURS_BACK * 3600 <= one.hour_s() <= this_s


def heard_at(one):
    """When ONE is heard, seconds."""
    return one.ts_s if one.ts_s - one.ts_s % 3600 == one.hour_s() else one.hour_s()


def iso(seconds):
    """As the agent writes it."""
    return f"{datetime.datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def gathered(records, counted_s):
    """What one count finds: (heard, the newest health record or None) by device and spool."""
    found = {}
    for one in records:
        if is_seen(one, counted_s):
            key = one.device, one.spool
            heard_s, newest = found.get(key, (0, None))
            if one.health and (newest is None or one.seq > newest.seq):
                newest = one
            found[key] = max(heard_s, heard_at(one)), newest
    return found


def lost_by(found):
    """(evicted, of these in the last day) of one spool, of which FOUND was found."""
    found = [(heard_s, one.health["evicted"]) for heard_s, one in found if one]
    if not found:
        return None
    before = [evicted for heard_s, evicted in found if heard_s <= NOW_S - 86400]
    most = max(evicted for _, evicted in found)
    return most, most - (max(before) if before else min(evicted for _, evicted in found))


def expected_of(device, spools):
    """The row of the view for DEVICE: SPOOLS has what was found of each of its spools."""
    found = [each for some in spools.values() for each in some]
    health = [(heard_s, one.seq, one.health) for heard_s, one in found if one]
    newest = max(health, key=lambda each: each[:2])[2] if health else {}
    lost = [each for each in map(lost_by, spools.values()) if each]
    last_s = max(heard_s for heard_s, _ in found)
    row = {name: newest.get(name) for name in (
        "version", "config_id", "healthy", "warnings", "clock", "certificate_days", "depth",
        "oldest_age_s", "dead", "link_bytes", "uptime_s")}
    a_day = newest and newest["uptime_s"] >= 3600
    return {**row, "device": device, "last_seen": iso(last_s),
            "silent_h": max(0, (NOW_S - last_s) / 3600),
            "evicted": sum(each[0] for each in lost) if lost else None,
            "evicted_day": sum(each[1] for each in lost) if lost else None,
            "flash_bytes_day": newest["flash_bytes"] * 86400 / newest["uptime_s"]
            if a_day else None}


def expected(records, counts):
    """The rows of the view, by device."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for hour in counts:
        for (device, spool), each in gathered(records, START_S + 3600 * hour).items():
            found[device][spool].append(each)
    return {device: expected_of(device, spools) for device, spools in found.items()
            if Device(int(device[3:])).kind != "retired"}
