#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Power cuts: every promise of the spool against the states that a cut may legally leave (P1, P2).

powercut_load works on a spool while recorder.c, preloaded, logs all that is asked of the files.
Here the log is played up to a cut, and states are made of it:

  * what was synced is there, and what a file opened with O_DSYNC had written when that returned;
  * of every other write each sector of 512 bytes holds what it held before, or what it held after
    any write since: kept, dropped, reordered and torn writes are all among that;
  * a file's size, likewise, is one that it had since the last sync;
  * a name that was made, renamed or removed without a sync of its directory is so or not; what was
    done to the same name before comes first.

powercut_check starts the spool from each state and compares. Double cuts come from the recording of
a start from such a state, cut again. `killed` is a process that dies while it makes the spool,
followed by another: what the first had not synced is still unsynced.

Which states are made follows from --seed and the log. A failing state is kept, with a command line
that shows it again.
"""
import argparse
import collections
import contextlib
import itertools
import os
import pathlib
import queue
import random
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

SECTOR = 512
REPORT_BYTES = 24
REPORT_FD = 999
ENTRY = struct.Struct("=IIQQII")
(MADE_FILE, MADE_DIRECTORY, WROTE, TRUNCATED, ALLOCATED, RENAMED, UNLINKED, SYNCED,
 REPORTED, LINKED) = range(1, 11)

WORKLOADS = ("create", "killed", "append", "drain", "evict", "restart", "move", "resize", "salvage",
             "dead", "migrate")
# The start after a first cut, where it is not `recover`.
STARTS = {"create": "create", "killed": "create", "evict": "recover-full",
          "move": "recover-moved",
          "salvage": "recover-salvage", "dead": "recover-dead", "migrate": "recover-migrate"}
# Spools of format 1, stopped cleanly and not.
STORED = pathlib.Path(__file__).parent.parent / "unit" / "data" / "spool-1.tar.gz"
STORED_NAMES = ("spool-1/64/clean.mdb", "spool-1/64/unclean.mdb")
# The keys of the records of one run begin at a multiple of this.
KEYS_PER_RUN = 1 << 20
# Behind how many changes a process that makes a spool is killed.
KILLS = (*range(2, 22), *range(24, 60, 4))
FAILURES_SHOWN = 5
# How many states of a second cut come from one first cut.
DOUBLES_OF_ONE = 10

Entry = collections.namedtuple("Entry", "kind durable inode at name data")


def read_log(path):
    data = path.read_bytes()
    entries, at = [], 0
    while at < len(data):
        kind, durable, inode, position, name_bytes, data_bytes = ENTRY.unpack_from(data, at)
        at += ENTRY.size
        name = data[at:at + name_bytes].decode()
        at += name_bytes
        entries.append(Entry(kind, durable, inode, position, name, data[at:at + data_bytes]))
        at += data_bytes
    return entries


# ---- files as they are, and as they may be after a cut ----


class Change:
    """What one call did to a file: whole sectors as they were behind it, and a new size."""

    def __init__(self, sectors, end, size, shrinks=False):
        self.sectors = sectors        # number: content
        self.end = end                # behind what was written
        self.size = size              # None: the same
        self.shrinks = shrinks


class File:
    def __init__(self, data=b""):
        self.now = bytearray(data)
        self.durable = bytes(data)
        self.pending = []

    def sector(self, number):
        return bytes(self.now[number * SECTOR:(number + 1) * SECTOR]).ljust(SECTOR, b"\0")

    def write(self, at, data):
        end = at + len(data)
        size = end if end > len(self.now) else None
        if size:
            self.now.extend(bytes(end - len(self.now)))
        self.now[at:end] = data
        numbers = range(at // SECTOR, (end + SECTOR - 1) // SECTOR)
        self.pending.append(Change({number: self.sector(number) for number in numbers}, end, size))

    def resize(self, size):
        old = len(self.now)
        if size < old:
            del self.now[size:]
        else:
            self.now.extend(bytes(size - old))
        numbers = range(size // SECTOR, (old + SECTOR - 1) // SECTOR)
        self.pending.append(Change({number: self.sector(number) for number in numbers}, size, size,
                                   size < old))

    def sync_last(self):
        """What the last write wrote is durable, in the state in which it is now."""
        last = self.pending.pop()
        image = bytearray(self.durable)
        image.extend(bytes(max(0, last.end - len(image))))
        for number, content in last.sectors.items():
            put_sector(image, number, content)
            for change in self.pending:
                change.sectors.pop(number, None)
        self.durable = bytes(image)
        self.pending = [change for change in self.pending
                        if change.sectors or change.size is not None]

    def sync(self):
        if self.pending:
            self.durable = bytes(self.now)
            self.pending = []

    def image(self, kept):
        """The content if of each pending change the sectors in KEPT got there, and its size."""
        size = len(self.durable)
        image = bytearray(self.durable)
        for change, (sectors, has_size) in zip(self.pending, kept):
            if has_size and change.size is not None:
                size = change.size
                if change.shrinks:
                    del image[size:]
                image.extend(bytes(max(0, size - len(image))))
            for number in sectors:
                image.extend(bytes(max(0, (number + 1) * SECTOR - len(image))))
                put_sector(image, number, change.sectors[number])
        return bytes(image[:size])


def put_sector(image, number, content):
    """Keeps the size: the last sector may be a short one."""
    end = min((number + 1) * SECTOR, len(image))
    if end > number * SECTOR:
        image[number * SECTOR:end] = content[:end - number * SECTOR]


class Link:
    """A symbolic one, which never changes."""

    def __init__(self, target):
        self.target = target


class Directory:
    def __init__(self):
        self.now = {}
        self.durable = {}
        self.pending = []             # (new entries by name, None: removed)

    def change(self, names):
        alter(self.now, names)
        self.pending.append(names)

    def sync(self):
        self.durable = dict(self.now)
        self.pending = []

    def names(self, kept):
        """The entries if the changes in KEPT got there, with each change that another needs."""
        result, lost = dict(self.durable), set()
        for change, is_kept in zip(self.pending, kept):
            if is_kept and not lost & set(change):
                alter(result, change)
            else:
                lost |= set(change)
        return result


def alter(names, change):
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


class Machine:
    """The files below the watched directory, as the log tells."""

    def __init__(self):
        self.root = Directory()
        self.nodes = {}               # by inode
        self.reports = b""

    @classmethod
    def of(cls, state, root):
        """As a start finds the files of STATE, which were written to ROOT: all durable."""
        machine = cls()
        machine.reports = state.reports
        for path in sorted(root.rglob("*")):
            directory, name = machine.place(str(path.relative_to(root)))
            if path.is_symlink():
                node = Link(os.readlink(path))
            else:
                node = Directory() if path.is_dir() else File(path.read_bytes())
                machine.nodes[path.stat().st_ino] = node
            directory.change({name: node})
            directory.sync()
        return machine

    def place(self, path):
        """The directory of PATH, and its name there."""
        *parents, name = path.split("/")
        directory = self.root
        for parent in parents:
            directory = directory.now[parent]
        return directory, name

    def begin(self, entry):
        """ENTRY was called; nothing of it is durable yet."""
        if entry.kind == MADE_DIRECTORY and entry.name == "":
            self.nodes[entry.inode] = self.root
        elif entry.kind in (MADE_FILE, MADE_DIRECTORY):
            directory, name = self.place(entry.name)
            node = File() if entry.kind == MADE_FILE else Directory()
            self.nodes[entry.inode] = node
            directory.change({name: node})
        elif entry.kind == WROTE:
            self.nodes[entry.inode].write(entry.at, entry.data)
        elif entry.kind in (TRUNCATED, ALLOCATED):
            node = self.nodes[entry.inode]
            if entry.kind == TRUNCATED or entry.at > len(node.now):
                node.resize(entry.at)
        elif entry.kind == UNLINKED:
            directory, name = self.place(entry.name)
            directory.change({name: None})
        elif entry.kind == LINKED:
            path, target = entry.name.split("\0")
            directory, name = self.place(path)
            directory.change({name: Link(target)})
        elif entry.kind == RENAMED:
            self.rename(*entry.name.split("\0"))

    def rename(self, old, new):
        directory, name = self.place(old)
        other, new_name = self.place(new)
        if other is not directory:
            raise ValueError(f"{old} moves to another directory: {new}")
        directory.change({name: None, new_name: directory.now[name]})

    def complete(self, entry):
        """ENTRY has returned."""
        if entry.kind == WROTE and entry.durable:
            self.nodes[entry.inode].sync_last()
        elif entry.kind == SYNCED:
            self.nodes[entry.inode].sync()
        elif entry.kind == REPORTED:
            self.reports += entry.data

    def unsynced(self):
        """The nodes that a cut may change, in a fixed order."""
        return [node for node in self.nodes.values() if node.pending]

    def tree(self, kept):
        """The files by path, and the directories; KEPT: of each unsynced node what got there."""
        files, directories = {}, []

        def walk(path, directory):
            names = directory.names(kept.get(id(directory), itertools.repeat(False)))
            for name, node in names.items():
                if isinstance(node, Directory):
                    directories.append(path + name)
                    walk(path + name + "/", node)
                elif isinstance(node, Link):
                    files[path + name] = node
                else:
                    nothing = itertools.repeat(((), False))
                    files[path + name] = node.image(kept.get(id(node), nothing))
        walk("", self.root)
        return files, directories


def is_reader_table(path):
    """LMDB maps it and stores without a call: its content may be anything that it was."""
    return path.endswith("-lock")


def check_log(machine, directory):
    """With everything kept the files are those that the programs left: nothing was overlooked."""
    kept = {id(node): [(change.sectors, True) for change in node.pending]
            if isinstance(node, File) else [True] * len(node.pending)
            for node in machine.unsynced()}
    files, _ = machine.tree(kept)
    found = {str(path.relative_to(directory)): path.read_bytes()
             for path in directory.rglob("*") if path.is_file() and not path.is_symlink()}
    links = {str(path.relative_to(directory)): os.readlink(path)
             for path in directory.rglob("*") if path.is_symlink()}
    if links != {path: files.pop(path).target for path in list(files)
                 if isinstance(files[path], Link)}:
        sys.exit(f"the log is not complete: there are the links {links}")
    if files.keys() != found.keys():
        sys.exit(f"the log is not complete: {sorted(files)} instead of {sorted(found)}")
    for path, data in files.items():
        if data != found[path] and not is_reader_table(path):
            sys.exit(f"the log is not complete: it has another content of {path}")
    return {path: data for path, data in found.items() if is_reader_table(path)}


# ---- choosing states ----


def choose_changes(generator, count, mode):
    """Of COUNT changes those that got there: a list of True, False or None, None meaning torn."""
    if mode == "none":
        return [False] * count
    if mode == "all":
        return [True] * count
    if mode == "torn":
        return [None] * count
    if mode == "any":
        return [generator.choice((True, False)) for _ in range(count)]
    at = generator.randrange(count)
    if mode == "all but one":
        return [number != at or generator.choice((None, False)) for number in range(count)]
    if mode == "one":
        return [number == at for number in range(count)]
    if mode == "up to":
        return [True] * at + [None] + [False] * (count - at - 1)
    return [False] * at + [None] + [True] * (count - at - 1)


MODES = ("any", "torn", "all but one", "up to", "from", "one", "any", "torn", "none", "all")
# A recording is made for so many states; the next is of other random work.
STATES_OF_ONE = 1000


def tear(generator, sectors, kept):
    """Of SECTORS those that got there."""
    if kept is not None:
        return tuple(sectors) if kept else ()
    if generator.random() < 0.5:
        return tuple(number for number in sectors if generator.random() < 0.5)
    numbers = list(sectors)
    return tuple(numbers[:generator.randrange(len(numbers) + 1)])


def choose(generator, nodes, mode):
    """One legal outcome for all that is unsynced, and a key that tells it from others."""
    kept = iter(choose_changes(generator, sum(len(node.pending) for node in nodes), mode))
    outcome, key = {}, []
    for node in nodes:
        fates = list(itertools.islice(kept, len(node.pending)))
        if isinstance(node, Directory):
            chosen = tuple(generator.choice((True, False)) if fate is None else fate
                           for fate in fates)
        else:
            chosen = tuple((tear(generator, change.sectors, fate),
                            generator.choice((True, False)) if fate is None else fate)
                           for change, fate in zip(node.pending, fates))
        outcome[id(node)] = chosen
        key.append(chosen)
    return outcome, tuple(key)


class State:
    """What a cut left, and what had been reported by then."""

    def __init__(self, about, files, directories, reports):
        self.about = about
        self.files = files
        self.directories = directories
        self.reports = reports

    def write(self, place):
        """Into the new directory PLACE: the files, and beside them the reports."""
        root = place / "state"
        root.mkdir(parents=True)
        for name in self.directories:
            (root / name).mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            if isinstance(data, Link):
                (root / name).symlink_to(data.target)
            else:
                (root / name).write_bytes(data)
        (place / "reports").write_bytes(self.reports)


def spoil_reader_tables(generator, files, left):
    for path in files:
        if not is_reader_table(path) or path not in left:
            continue
        sectors = range(len(left[path]) // SECTOR)
        image = bytearray(len(left[path]))
        for number in sectors:
            if generator.random() < 0.5:
                put_sector(image, number, left[path][number * SECTOR:(number + 1) * SECTOR])
        files[path] = bytes(image[:generator.choice((0, len(image)))])


def states_here(generator, machine, wanted, about, left):
    """Up to WANTED different states of a cut at this place."""
    nodes = machine.unsynced()
    seen = set()
    attempts = 2 * wanted if nodes else 1
    for _ in range(attempts):
        mode = generator.choice(MODES)
        kept, key = choose(generator, nodes, mode) if nodes else ({}, ())
        if key in seen:
            continue
        seen.add(key)
        files, directories = machine.tree(kept)
        spoil_reader_tables(generator, files, left)
        yield State(f"{about}, {mode}", files, directories, machine.reports)
        if len(seen) == wanted:
            return


def cuts(generator, entries):
    """The entries in which the power may go. Between reports nothing changes but what is
    promised: the last of several in a row promises most, save that acknowledgements take back."""
    return [number for number, entry in enumerate(entries)
            if entry.kind != REPORTED or generator.random() < 0.03]


def states(generator, machine, entries, wanted, about, left):
    """About WANTED states, spread evenly over the cuts in ENTRIES."""
    places = cuts(generator, entries)
    wanted_here = dict.fromkeys(places, 0)
    for number in range(wanted):
        wanted_here[places[number * len(places) // wanted]] += 1
    for number, entry in enumerate(entries):
        machine.begin(entry)
        count = wanted_here.get(number, 0)
        if count:
            yield from states_here(generator, machine, count, f"{about}, cut at {number}", left)
        machine.complete(entry)
    yield from states_here(generator, machine, 1, f"{about}, cut at the end", left)


# ---- running programs ----


class Recording:
    """Programs run one after another on one directory, and the log of what they did."""

    def __init__(self, options, place):
        self.options = options
        self.root = place / "state"
        self.log = place / "log"
        self.root.mkdir(parents=True, exist_ok=True)

    def run(self, workload, seed, run_number, kill=None):
        environment = {
            "PATH": os.defpath,
            "LD_PRELOAD": str(self.options.programs / "libpowercut_recorder.so"),
            "POWERCUT_ROOT": str(self.root), "POWERCUT_LOG": str(self.log),
            "POWERCUT_REPORT": str(REPORT_FD)}
        if kill:
            environment["POWERCUT_KILL"] = str(kill)
        command = [self.options.programs / self.options.load, workload, self.root / "var" / "spool",
                   str(seed), str(run_number * KEYS_PER_RUN)]
        return subprocess.run(command, env=environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=120, check=False)


class Checkers:
    """Several powercut_check at work; what they find wrong is collected."""

    def __init__(self, options, place, about):
        self.options = options
        self.place = place
        self.about = about
        self.waiting = queue.Queue(maxsize=8)
        self.lock = threading.Lock()
        self.checked = self.compared = 0
        self.failures = []
        self.broken = None            # what ended one of the threads
        self.threads = [threading.Thread(target=self.work, args=(number,))
                        for number in range(options.jobs)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        try:
            self.answer_all(self.place / f"check-{number}")
        except Exception as error:    # pylint: disable=broad-except
            self.broken = error
            while self.waiting.get() is not None:
                pass                  # nobody waits for this thread in vain

    def answer_all(self, slot):
        with subprocess.Popen([self.options.programs / "powercut_check"], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as program:
            while (state := self.waiting.get()) is not None:
                state.write(slot)
                print(f"{slot}/state/var/spool {slot}/reports {len(state.reports)}",
                      file=program.stdin, flush=True)
                answer = program.stdout.readline().strip()
                shutil.rmtree(slot)
                self.note(state, answer)
            program.stdin.close()

    def note(self, state, answer):
        with self.lock:
            self.checked += 1
            if answer.startswith("ok "):
                self.compared += int(answer[3:])
                return
            self.failures.append((state.about, answer.removeprefix("FAIL ")))
            if self.options.must_find or len(self.failures) > FAILURES_SHOWN:
                return
            kept = self.options.keep / f"{self.about}-{len(self.failures)}"
            shutil.rmtree(kept, ignore_errors=True)
            state.write(kept)
            print(f"FAIL {state.about}: {answer}\n     again: {self.options.programs}/"
                  f"powercut_check {kept}/state/var/spool {kept}/reports {len(state.reports)}",
                  flush=True)

    def check(self, state):
        self.waiting.put(state)
        if self.broken:
            raise self.broken

    def fail(self, about, why):
        with self.lock:
            self.failures.append((about, why))
            print(f"FAIL {about}: {why}", flush=True)

    def finish(self):
        for _ in self.threads:
            self.waiting.put(None)
        for thread in self.threads:
            thread.join()
        if self.broken:
            raise self.broken


class Harness:
    def __init__(self, options, place):
        self.options = options
        self.place = place
        self.generator = random.Random(options.seed)
        self.failures = []
        self.states = self.doubles = self.compared = 0
        self.numbers = itertools.count()

    def new_place(self):
        return self.place / f"run-{next(self.numbers)}"

    def prepare(self, workload, seed):
        """What WORKLOAD starts from, all durable: made by a program that nobody records."""
        root = self.new_place() / "state"
        files = {}
        if workload == "migrate":
            with tarfile.open(STORED) as stored:
                name = STORED_NAMES[seed % len(STORED_NAMES)]
                files["var/spool/spool.mdb"] = stored.extractfile(name).read()
        elif workload != "salvage":
            return State("", {}, [], b"")
        (root / "var" / "spool").mkdir(parents=True)
        for name, data in files.items():
            (root / name).write_bytes(data)
        command = [self.options.programs / "powercut_load", f"{workload}-before",
                   root / "var" / "spool", str(seed), "0"]
        result = subprocess.run(command, env={"POWERCUT_REPORT": "1"}, capture_output=True,
                                stdin=subprocess.DEVNULL, timeout=120, check=False)
        if result.returncode != 0:
            sys.exit(f"{workload}-before did not end well: {result.stderr}")
        if not files:
            files = {str(path.relative_to(root)): path.read_bytes()
                     for path in root.rglob("*") if path.is_file()}
        shutil.rmtree(root.parent)
        return State("", files, ["var", "var/spool"], result.stdout)

    def record(self, workload, seed, kill):
        """What WORKLOAD did: what it began with, the entries, the reader tables that it left."""
        recording = Recording(self.options, self.new_place())
        base = self.prepare(workload, seed)
        shutil.rmtree(recording.root.parent)
        base.write(recording.root.parent)
        machine = Machine.of(base, recording.root)
        again = Machine.of(base, recording.root)
        if kill is not None:
            recording.run("create", seed, 0, kill)
        result = recording.run("create" if kill is not None else workload, seed, 1)
        if result.returncode != 0:
            sys.exit(f"{workload} did not end well: {result.returncode} {result.stderr}")
        entries = read_log(recording.log)
        left = self.replay(again, entries, recording.root)
        shutil.rmtree(recording.root.parent)
        return machine, entries, left

    @staticmethod
    def replay(machine, entries, root):
        for entry in entries:
            machine.begin(entry)
            machine.complete(entry)
        return check_log(machine, root)

    def cut_again(self, checkers, base, workload, wanted):
        """Records a start from the state BASE and cuts that as well."""
        recording = Recording(self.options, self.new_place())
        shutil.rmtree(recording.root)
        base.write(recording.root.parent)
        start = STARTS.get(workload, "recover")
        machine = Machine.of(base, recording.root)
        again = Machine.of(base, recording.root)
        result = recording.run(start, self.generator.randrange(1 << 16), 2)
        if result.returncode != 0:
            checkers.fail(base.about, f"a start ended with {result.returncode}: {result.stderr}")
            return 0
        entries = read_log(recording.log)
        left = self.replay(again, entries, recording.root)
        shutil.rmtree(recording.root.parent)
        count = 0
        for state in states(self.generator, machine, entries, wanted, f"{base.about}; {start}",
                            left):
            checkers.check(state)
            count += 1
        return count

    def cut_recording(self, checkers, workload, seed, kill, wanted, wanted_doubles):
        machine, entries, left = self.record(workload, seed, kill)
        about = f"{workload} {seed}" if kill is None else f"{workload} {seed} at {kill}"
        bases = max(1, wanted_doubles // DOUBLES_OF_ONE) if wanted_doubles else 0
        chosen = []
        for number, state in enumerate(states(self.generator, machine, entries, wanted, about,
                                              left)):
            checkers.check(state)
            self.states += 1
            # Each state has the same chance to be cut again (reservoir sampling).
            at = number if number < bases else self.generator.randrange(number + 1)
            if at < bases:
                chosen[at:at + 1] = [state]
        for base in chosen:
            self.doubles += self.cut_again(checkers, base, workload, wanted_doubles // bases)

    def cut(self, workload):
        started = time.monotonic()
        before = self.states, self.doubles
        share = len(self.options.workloads)
        wanted, doubles = self.options.states // share, self.options.double // share
        checkers = Checkers(self.options, self.new_place(), workload)
        try:
            seeds = range(self.options.seed, self.options.seed + 1 + wanted // STATES_OF_ONE)
            runs = list(itertools.product(seeds, KILLS if workload == "killed" else (None,)))
            for seed, kill in runs:
                self.cut_recording(checkers, workload, seed, kill, wanted // len(runs),
                                   doubles // len(runs))
        finally:
            checkers.finish()
        self.compared += checkers.compared
        self.failures += checkers.failures
        print(f"{workload:<8} {self.states - before[0]:6} states {self.doubles - before[1]:6} "
              f"double cuts {checkers.compared:9} records compared {len(checkers.failures):6} "
              f"failures {time.monotonic() - started:6.1f} s", flush=True)


def judge(harness, must_find):
    """The exit code: no failure, or in a control the planted one."""
    total = (f"{harness.states} states and {harness.doubles} double cuts "
             f"(seed {harness.options.seed}), {harness.compared} records compared")
    if not must_find:
        print(f"{total}: {len(harness.failures)} failures")
        return 1 if harness.failures or not harness.compared else 0
    found = [why for _, why in harness.failures if re.search(must_find, why)]
    kinds = collections.Counter(why.partition(":")[0] for _, why in harness.failures)
    print(f"{total}: the planted bug is found in {len(found)} of them: {dict(kinds)}")
    for about, why in harness.failures[:FAILURES_SHOWN]:
        print(f"     {about}: {why}")
    return 0 if found else 1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--programs", type=pathlib.Path, required=True,
                        help="the folder with powercut_load, powercut_check and the recorder")
    parser.add_argument("--load", default="powercut_load", help="another one, with a planted bug")
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--states", type=int, default=3000, help="at about how many to look")
    parser.add_argument("--double", type=int, default=0, help="and at how many of two cuts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--must-find", metavar="REGEX", help="a control: failures are wanted")
    options = parser.parse_args()
    options.programs = options.programs.resolve()
    options.keep = options.programs / "powercut-kept"
    options.workloads = options.workloads.split(",")
    return options


@contextlib.contextmanager
def scratch():
    """A folder in RAM, where that may be: states are many and short-lived, and what one is does not
    depend on where it lies."""
    memory = pathlib.Path("/dev/shm")
    base = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="runnel-powercut-", dir=base) as place:
        yield pathlib.Path(place).resolve()


def main():
    options = arguments()
    with scratch() as place:
        harness = Harness(options, place)
        for workload in options.workloads:
            harness.cut(workload)
        return judge(harness, options.must_find)


if __name__ == "__main__":
    sys.exit(main())
