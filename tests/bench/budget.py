#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The budgets of the design, each beside the least that it could cost on this machine in this run.

  tls      CPU time from the spool to TLS: a spool of documents is drained, by each way of packing,
           against base64, SHA-256, AES-GCM of the same bytes (floor.c), and what the packing asks
           for: MD5 or gzip. What a start and a stop cost is taken off.
  end      CPU time from a line of a file to TLS, all of it, durable in between
  append   records a second from a sample to flash, and CPU time against memcpy and CRC-32C
  commit   how long one takes, against write and fdatasync of as many pages
  paced    what a record costs where they come at 10, 200 and 2,000 a second
  flash    bytes for a reading: while the link keeps up, and offline (spool_bench.c, block layer)
  memory   Private_Dirty, with a route over TLS: idle, and while a backlog of a million goes out
  idle     how often which thread wakes in a minute when nothing happens
  start    how long from the start of the program to its first record at the endpoint

Programs and floors run by turns, and medians are held against each other, so that the ratio means
something on a busy machine; times in seconds mean little elsewhere. What belongs to root (flash
bytes) is left out without it.

--results appends the figures to a CSV file, --page puts them into the tables of a page, as of
RESULTS.md, --compare shows what changed in the CSV file between its last two commits.
"""
import csv
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import bench  # pylint: disable=wrong-import-position
import estimate  # pylint: disable=wrong-import-position
import harness  # pylint: disable=wrong-import-position
import spool as spool_bench  # pylint: disable=wrong-import-position
from harness import check  # pylint: disable=wrong-import-position

ROUTES = {"plain": {}, "kpl": {"pack": "kpl"},
          "lines+gzip": {"pack": "lines", "compress": "gzip"}}
PACES = (10, 200, 2000)
FRAME_BYTES = len('{"Data":"","PartitionKey":""},')
TLS_RATIO = 1.5
RECORDS_PER_S = 200000
# Of a 32-bit board; on 64 bits pointers and arenas are larger (tests/qemu/memory.py).
PRIVATE_KIB = 1536 if sys.maxsize < 2 ** 32 or platform.machine().startswith("arm") else 1792
OFFLINE_BYTES = 20
READINGS_PER_COMMIT = 7000    # 64 KB and more
COLUMNS = ("date", "commit", "machine", "budget", "figure", "unit", "floor", "ratio", "limit",
           "verdict")


class Sizes:
    """How much of everything: as it should be, or just to see that it runs."""

    def __init__(self, tiny):
        self.lines = 2000 if tiny else 100000
        self.spool = "2MiB" if tiny else "64MiB"
        self.repeats = 1 if tiny else 5
        self.appends = 5000 if tiny else 200000
        self.commits = 3 if tiny else 60
        self.paced_s = 1 if tiny else 10
        self.paces = (200,) if tiny else PACES
        self.idle_s = 1 if tiny else 60
        self.commit_groups = 1 if tiny else 10


def row(budget, figure, unit, floor=None, limit=None, is_met=None):
    """A figure, what it is held against, and whether that is kept (None: nobody asks)."""
    verdict = "" if is_met is None else "met" if is_met else "not met"
    return {"budget": budget, "figure": figure, "unit": unit,
            "floor": "" if floor is None else floor,
            "ratio": "" if not floor else round(figure / floor, 2),
            "limit": "" if limit is None else limit, "verdict": verdict}


def median(values, digits=2):
    return round(statistics.median(values), digits)


def cpu_s(usage):
    return usage.ru_utime + usage.ru_stime


class World:
    """One agent at a time and a sink for it, each in a folder of its own."""

    def __init__(self, run, flash, sizes):
        self.run = run
        self.flash = flash
        self.sizes = sizes
        self.count = 0
        self.lines = harness.lines_file(run.folder / "lines.jsonl", sizes.lines)

    def pair(self, name, sensors, route=None, **config):
        """An agent on the flash, with its sink."""
        self.count += 1
        place = f"{name}-{self.count}"
        sink = harness.Sink(self.run, name=f"{place}-sink")
        agent = harness.Agent(self.run, sink.endpoint, sink.ca, name=place, sensors=sensors,
                              routes=[{**(route or {}), **harness.NO_QUESTION}], **config)
        state = self.flash.mount / place
        state.mkdir()
        agent.environment["RUNNEL_STATE"] = str(state)
        return agent, sink

    def state_of(self, agent):
        return pathlib.Path(agent.environment["RUNNEL_STATE"])

    def forget(self, agent, sink):
        """Ends the sink and returns its summary; the state goes, for the flash is small."""
        summary = sink.stop()
        shutil.rmtree(self.state_of(agent))
        return summary

    def floor(self, *arguments):
        result = subprocess.run([self.run.program("tests/bench/floor"), *map(str, arguments)],
                                stdout=subprocess.PIPE, text=True, check=False)
        check(result.returncode == 0, "floor failed: see above")
        return [spool_bench.pairs(line) for line in result.stdout.splitlines()]


# ---- from a line to TLS ----

def fill_spool(world, name, count):
    """A state with COUNT of the lines in its spool, for which nobody was there."""
    kept = world.run.folder / name
    agent, sink = world.pair(name, [harness.lines_sensor(world.lines)] if count else [],
                             spool={"size": world.sizes.spool, "lanes": {"normal": {"age": "1s"}}})
    sink.outage()
    agent.start()
    harness.wait_until("records on flash", lambda: bench.stored(agent) >= count, 600)
    agent.stop()
    shutil.copytree(world.state_of(agent), kept)
    world.forget(agent, sink)
    return kept


def filled_spool(world):
    kept = world.run.folder / "filled"
    return kept if kept.exists() else fill_spool(world, kept.name, world.sizes.lines)


def drain(world, name, state, route, sensors=()):
    """CPU seconds of an agent that delivers what STATE and SENSORS have; what came, and it."""
    agent, sink = world.pair(name, list(sensors), route, spool={"size": world.sizes.spool})
    if state is not None:
        shutil.copytree(state, world.state_of(agent), dirs_exist_ok=True)
    sampler, usage = bench.run_agent(agent, "--drain")
    return cpu_s(usage), sampler, agent, sink


class Bytes:
    """What went through the hash and TLS, and through base64, and of what it was made."""

    def __init__(self, sink):
        sizes = estimate.entries(sink, "kinesis")
        self.entries = len(sizes)
        self.data = sum(size for size, _ in sizes)
        self.body = sum(-(-size // 3) * 4 + key + FRAME_BYTES for size, key in sizes)


def write_plain(sink, path):
    """The records as they were rendered, a line each: what a compressor gets."""
    with open(path, "w", encoding="utf-8") as file:
        for _, _, data in sink.records():
            file.write(json.loads(f'"{data}"') if "\\" in data and data[0] != "{" else data)
            file.write("\n")


def floor_of(world, case, amount, plain):
    is_compressed = "gzip" in case
    found = world.floor("tls", amount.data, amount.body,
                        *([plain, amount.entries] if is_compressed else []))[0]
    # Twice, as a body is compressed once for its hash and once into the connection.
    more = 2 * found["gzip_cpu_us"] + (found["md5_cpu_us"] if case == "kpl" else 0)
    return (found["base64_cpu_us"] + found["sha256_cpu_us"] + found["gcm_cpu_us"] + more) / 1e6


def measure_tls(world):
    """Also private memory at its highest, since here a backlog goes out."""
    empty = fill_spool(world, "empty", 0)
    filled = filled_spool(world)
    plain = world.run.folder / "plain.txt"
    cpu = {case: [] for case in ("nothing", *ROUTES)}
    floors = {case: [] for case in ROUTES}
    dirty = []
    for _ in range(world.sizes.repeats):
        used, _, agent, sink = drain(world, "nothing", empty, {})
        world.forget(agent, sink)
        cpu["nothing"].append(used)
        for case, route in ROUTES.items():
            used, sampler, agent, sink = drain(world, "drain", filled, route)
            if case == "plain" and not plain.exists():
                write_plain(sink, plain)
            amount = Bytes(sink)
            world.forget(agent, sink)
            cpu[case].append(used)
            floors[case].append(floor_of(world, case, amount, plain))
            dirty.append(sampler.private_dirty_kib)
    nothing = statistics.median(cpu["nothing"])
    scale = 1e6 / world.sizes.lines
    rows = []
    for case in ROUTES:
        used = (statistics.median(cpu[case]) - nothing) * scale
        floor = statistics.median(floors[case]) * scale
        rows.append(row(f"spool to TLS, {case}", round(used, 2), "CPU s/M records",
                        round(floor, 2), f"{TLS_RATIO} x floor", used <= TLS_RATIO * floor))
    rows.append(row("private memory, a backlog going out", max(dirty), "KiB", None, PRIVATE_KIB,
                    max(dirty) <= PRIVATE_KIB))
    return rows


def measure_end(world):
    cpu = {case: [] for case in ROUTES}
    for _ in range(world.sizes.repeats):
        for case, route in ROUTES.items():
            used, _, agent, sink = drain(world, "end", None, route,
                                         [harness.lines_sensor(world.lines)])
            world.forget(agent, sink)
            cpu[case].append(used / world.sizes.lines * 1e6)
    return [row(f"line to TLS, durable, {case}", median(cpu[case]), "CPU s/M records")
            for case in ROUTES]


# ---- the spool ----

def measure_append(world):
    rounds = [world.floor("append", world.flash.mount / f"append-{number}", world.sizes.appends, 20)
              for number in range(world.sizes.repeats)]
    rows = []
    for shape, name in enumerate(("readings", "documents of 180 bytes")):
        found = [lines[shape] for lines in rounds]
        # The best: it is time that passes, and others take turns on the CPU.
        rate = round(max(one["records"] / one["us"] * 1e6 for one in found))
        cpu = median([one["cpu_us"] * 1000 / one["records"] for one in found], 1)
        floor = median([one["floor_cpu_us"] * 1000 / one["records"] for one in found], 1)
        limit = RECORDS_PER_S if shape == 0 else None
        rows.append(row(f"sample to commit, {name}", rate, "records/s", None, limit,
                        None if limit is None else rate >= limit))
        rows.append(row(f"append and commit, {name}", cpu, "CPU ns/record", floor))
    for number in range(world.sizes.repeats):
        shutil.rmtree(world.flash.mount / f"append-{number}")
    return rows


def measure_commit(world):
    rows = []
    for records in (1, 200, READINGS_PER_COMMIT):
        folder = world.flash.mount / f"commit-{records}"
        folder.mkdir()
        found = world.floor("commit", folder, records, world.sizes.commits)[0]
        rows.append(row(f"commit of {records} readings, {found['bytes']:.0f} bytes",
                        round(found["us"]), "us", round(found["floor_us"])))
        shutil.rmtree(folder)
    return rows


def measure_flash(world):
    result = subprocess.run(
        [world.run.program("tests/bench/spool_bench"), "hour", world.run.folder / "hour", "online",
         "1"], stdout=subprocess.PIPE, text=True, check=False)
    check(result.returncode == 0, "flash was written while the link kept up: see above")
    rows = [row("flash while the link keeps up, beyond sequence numbers", 0, "bytes/reading", None,
                0, True)]
    if world.flash.device is None:
        return rows
    count = READINGS_PER_COMMIT * world.sizes.commit_groups
    found = spool_bench.Program(world.run, world.flash, world.flash.mount / "groups", "groups",
                                "readings", "offline", str(READINGS_PER_COMMIT),
                                str(count)).measure()
    each = round(found["bytes"] / found["records"], 2)
    return rows + [row("flash offline, 64 KB a commit", each, "bytes/reading", None, OFFLINE_BYTES,
                       each <= OFFLINE_BYTES)]


# ---- at a pace ----

def pour(fifo, lines, pace, seconds, process):
    """Lines into the pipe, ten times a second or whenever one is due."""
    with open(lines, "rb") as source, open(fifo, "wb", buffering=0) as pipe:
        step_s = max(0.1, 1 / pace)
        start = time.monotonic()
        for turn in range(round(seconds / step_s)):
            time.sleep(max(0, start + turn * step_s - time.monotonic()))
            pipe.write(b"".join(source.readline() for _ in range(round(pace * step_s))))
            check(process.running(), "the agent ended")


def measure_pace(world, case, pace):
    fifo = world.run.folder / f"pace-{world.count}.fifo"
    os.mkfifo(fifo)
    seconds = world.sizes.paced_s
    agent, sink = world.pair("pace", [harness.lines_sensor(fifo)], ROUTES[case],
                             spool={"size": "32MiB", "lanes": {"normal": {"age": "5s"}}})
    bench.create_spool(agent)
    written = world.flash.written_bytes()
    sampler, usage = bench.run_agent(
        agent, "--drain",
        during=lambda process: pour(fifo, world.lines, pace, seconds, process))
    after = world.flash.written_bytes()
    records = pace * seconds
    summary = world.forget(agent, sink)
    wire = summary["wire_bytes_in"] + summary["wire_bytes_out"]
    name = f"{pace} records/s, {case}"
    rows = [row(name, round(cpu_s(usage) / seconds * 100, 2), "% of a CPU"),
            row(name, round(wire / records, 1), "wire bytes/record"),
            row(name, round(sampler.switches / seconds, 1), "wake-ups/s")]
    if written is not None:
        rows.append(row(name, round((after - written) / records, 1), "flash bytes/record"))
    return rows


def measure_paced(world):
    return [one for case in ROUTES for pace in world.sizes.paces
            for one in measure_pace(world, case, pace)]


# ---- at rest ----

def switches_of(pid):
    """{thread: how often it went to sleep}"""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        text = (task / "status").read_text()
        name = (task / "comm").read_text().strip()
        count = int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M).group(1))
        found[name] = found.get(name, 0) + count
    return found


def rest(world, sensors):
    """Wake-ups a minute by thread, and memory, of an agent that has delivered and waits."""
    agent, sink = world.pair("idle", sensors)
    agent.start()
    harness.wait_until("the route", lambda: agent.status() is not None)
    # What a start leaves behind (its first commit, a reply's idle connection) is over then.
    time.sleep(min(16, world.sizes.idle_s))
    before, started = switches_of(agent.process.pid), time.monotonic()
    time.sleep(world.sizes.idle_s)
    after = switches_of(agent.process.pid)
    minutes = (time.monotonic() - started) / 60
    dirty = agent.private_dirty_kib()
    agent.stop()
    world.forget(agent, sink)
    woken = {name: round((after[name] - before.get(name, 0)) / minutes, 1) for name in after}
    return {name: count for name, count in woken.items() if count > 0}, dirty


def measure_idle(world):
    five = [{"name": f"sensor-{number}", "driver": "sim", "interval": "10s", "channels": 3}
            for number in range(5)]
    rows = []
    for name, sensors in (("nothing configured", []), ("5 sensors each 10 s", five)):
        woken, dirty = rest(world, sensors)
        if not sensors:
            rows.append(row(f"wake-ups, {name}", sum(woken.values()), "a minute", None, 0,
                            not woken))
        rows += [row(f"wake-ups, {name}, thread {thread}", count, "a minute")
                 for thread, count in sorted(woken.items())]
        rows.append(row(f"private memory at rest, {name}", dirty, "KiB", None, PRIVATE_KIB,
                        dirty <= PRIVATE_KIB))
    return rows


# ---- at the start ----

class Moments(threading.Thread):
    """When the first request was counted by a sink."""

    def __init__(self, sink):
        super().__init__()
        self.sink = sink
        self.seen = None
        self.done = threading.Event()

    def run(self):
        while not self.done.wait(0.002):
            if self.sink.summary()["records"] > 0:
                self.seen = time.time()
                return


def log_time(agent, event):
    """When the log had EVENT first, in seconds since 1970."""
    found = re.search(rf"^(\S+) \w+ {event}\b", agent.log.read_text(), re.M)
    check(found, f"no {event}: {agent.tail()}")
    moment = bench.datetime.datetime.fromisoformat(found.group(1).replace("Z", "+00:00"))
    return moment.timestamp()


def start_once(world, state):
    one = harness.lines_file(world.run.folder / "one.jsonl", 1)
    agent, sink = world.pair("start", [harness.lines_sensor(one)],
                             spool={"size": world.sizes.spool})
    if state is not None:
        shutil.copytree(state, world.state_of(agent), dirs_exist_ok=True)
    moments = Moments(sink)
    moments.start()
    begun = time.time()
    process = agent.begin_drain()
    harness.wait_until("a record", lambda: moments.seen or not process.running(), 60)
    check(process.wait() == 0, f"the agent failed: {agent.tail()}")
    moments.join()
    started = log_time(agent, "started")
    parts = [started - begun, moments.seen - started]
    world.forget(agent, sink)
    return [1000 * part for part in (sum(parts), *parts)]


def measure_start(world):
    rows = []
    filled = world.run.folder / "filled"
    states = {"no spool yet": None,
              f"{world.sizes.lines} records waiting": filled_spool(world)}
    for name, state in states.items():
        found = list(zip(*(start_once(world, state) for _ in range(world.sizes.repeats)),
                         strict=True))
        for part, values in zip(("to the first record at the endpoint", "until \"started\"",
                                 "on to the record"), found, strict=True):
            rows.append(row(f"start, {name}: {part}", median(values, 0), "ms"))
    return rows


# ---- results ----

PARTS = {"tls": measure_tls, "end": measure_end, "append": measure_append,
         "commit": measure_commit, "paced": measure_paced, "flash": measure_flash,
         "idle": measure_idle, "start": measure_start}


def compare(path):
    """What changed between the last two commits of the CSV file, by more than a twentieth."""
    with open(path, newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    commits = list(dict.fromkeys(line["commit"] for line in lines))
    check(len(commits) > 1, f"{path} has figures of one commit alone")
    old, new = ({(line["budget"], line["unit"]): line for line in lines if line["commit"] == commit}
                for commit in commits[-2:])
    print(f"{commits[-2]} -> {commits[-1]}")
    for key in sorted(old.keys() & new.keys()):
        name = "ratio" if old[key]["ratio"] and new[key]["ratio"] else "figure"
        before, after = float(old[key][name]), float(new[key][name])
        if abs(after - before) > 0.05 * abs(before):
            print(f"{key[0]} ({name if name == 'ratio' else key[1]}): {before:g} -> {after:g}")
    for key in sorted(old.keys() ^ new.keys()):
        print(f"{key[0]} ({key[1]}): only in {commits[-2] if key in old else commits[-1]}")


def cell(value):
    return f"{value:,}" if isinstance(value, (int, float)) else value


def write_tables(path, rows_by_part):
    """Each table of PATH that stands behind a mark of a part is made anew."""
    text = path.read_text(encoding="utf-8")
    for part, rows in rows_by_part.items():
        table = "| what | figure | floor | ratio | budget | |\n|---|---|---|---|---|---|\n"
        for one in rows:
            table += (f"| {one['budget']} | {cell(one['figure'])} {one['unit']} | "
                      f"{cell(one['floor'])} | {one['ratio']} | {cell(one['limit'])} | "
                      f"{one['verdict']} |\n")
        mark = f"<!-- {part} -->\n"
        text = re.sub(rf"(?<={mark})(\|.*\n)*", lambda found, table=table: table, text)
    path.write_text(text, encoding="utf-8")


def print_rows(rows):
    bench.print_columns(rows, [(name, name) for name in COLUMNS[3:]])


def scenario(run, options):
    about = bench.describe()
    rows = {}
    with bench.Flash(run.folder) as flash:
        world = World(run, flash, Sizes(options.tiny))
        for part in options.parts:
            rows[part] = PARTS[part](world)
            print_rows(rows[part])
            sys.stdout.flush()
            harness.end_children()
    if options.results:
        bench.append(options.results,
                     [{**about, **one} for found in rows.values() for one in found], COLUMNS)
    if options.page:
        write_tables(pathlib.Path(options.page), rows)


if __name__ == "__main__":
    chosen = harness.arguments(
        __doc__, (("--tiny",), {"action": "store_true", "help": "only to see that it runs"}),
        (("--results",), {"metavar": "FILE", "help": "append the figures to this CSV file"}),
        (("--page",), {"metavar": "FILE", "help": "put the figures into the tables of this page"}),
        (("--compare",), {"metavar": "FILE", "help": "show what changed in it, measure nothing"}),
        (("parts",), {"nargs": "*", "default": list(PARTS), "metavar": "PART",
                      "type": harness.one_of(PARTS)}))
    if chosen.compare:
        harness.main(chosen, lambda run: compare(chosen.compare))
    # On a disk: pages of a tmpfs are never clean and would count as the process's own.
    tempfile.tempdir = str(pathlib.Path(chosen.build).resolve())
    harness.main(chosen, lambda run: scenario(run, chosen))
