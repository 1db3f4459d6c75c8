#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What a record costs: CPU, wire, flash and memory of the agent, on this machine.

  file     lines of a followed file, link up: stored with the file's offset, then sent
  burst    lines of a pipe as fast as they are taken, link up: faster than RAM holds them
  live     lines of a pipe at a pace that the link keeps up with: flash should see next to nothing
  offline  lines of a pipe while the endpoint is away, then sent
  idle     5 sensors, one reading each in 10 s, for a minute

CPU is the agent's user and system time. Wire bytes are TCP payload both ways, handshakes included,
as the sink counts them. Flash bytes are what the block layer wrote to a loop device with ext4 that
holds the state directory, from before the start to after a sync at the end; mounting it needs root.
(/proc/PID/io counts whole folios and would be wrong.) Memory is sampled every 20 ms; RSS counts
pages of the spool's file too, which the kernel takes back when it wants. Figures are for this
machine: compare columns and commits, not machines.
"""
import csv
import datetime
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # pylint: disable=wrong-import-position
from harness import check  # pylint: disable=wrong-import-position

SECTOR_BYTES = 512
IMAGE_BYTES = 1024 * 1024 * 1024
LIVE_LINES_PER_S = 5000
CASES = ("file", "burst", "live", "offline", "idle")
COLUMNS = ("date", "commit", "machine", "case", "records", "seconds", "cpu_s", "cpu_s_per_million",
           "wire_bytes_per_record", "flash_bytes_per_record", "flash_bytes", "wire_bytes",
           "private_dirty_peak_kib", "rss_peak_kib", "context_switches")


class Flash:
    """A loop device with ext4, whose writes the block layer counts."""

    def __init__(self, folder):
        self.image = folder / "flash.img"
        self.mount = folder / "flash"
        self.device = None

    def __enter__(self):
        self.mount.mkdir()
        if os.geteuid() != 0:
            print("flash bytes are left out: a loop device needs root", flush=True)
            return self
        with self.image.open("wb") as image:
            image.truncate(IMAGE_BYTES)
        try:
            # All tables at once: ext4 would otherwise write them in the background, into our count.
            self.call("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image)
            self.device = self.call("losetup", "--find", "--show", self.image).strip()
            self.call("mount", self.device, self.mount)
        except (OSError, subprocess.CalledProcessError) as fault:
            print(f"flash bytes are left out: {fault}", flush=True)
            self.__exit__()
        return self

    def __exit__(self, *ignored):
        if self.device is not None:
            subprocess.run(["umount", self.mount], check=False, stderr=subprocess.DEVNULL)
            subprocess.run(["losetup", "--detach", self.device], check=False)
            self.device = None

    @staticmethod
    def call(*command):
        return subprocess.run([str(part) for part in command], check=True, capture_output=True,
                              text=True).stdout

    def written_bytes(self):
        """Bytes written since the device was made, or None."""
        if self.device is None:
            return None
        self.call("sync", "-f", self.mount)
        name = pathlib.Path(self.device).name
        fields = pathlib.Path(f"/sys/block/{name}/stat").read_text().split()
        return int(fields[6]) * SECTOR_BYTES


class Sampler(threading.Thread):
    """The highest memory of a process, and how often its threads went to sleep."""

    def __init__(self, pid):
        super().__init__()
        self.pid = pid
        self.done = threading.Event()
        self.private_dirty_kib = self.switches = 0

    def run(self):
        while not self.done.wait(0.02):
            try:
                self.private_dirty_kib = max(self.private_dirty_kib,
                                             harness.memory_kib(self.pid)["Private_Dirty"])
                self.switches = self.count_switches()
            except (OSError, KeyError):
                return

    def count_switches(self):
        total = 0
        for status in pathlib.Path(f"/proc/{self.pid}/task").glob("*/status"):
            text = status.read_text()
            total += sum(int(line.split()[1]) for line in text.splitlines()
                         if line.startswith("voluntary_ctxt_switches"))
        return total

    def stop(self):
        self.done.set()
        self.join()


class Bench:
    """One case: a sink and an agent of its own, on the flash that is shared."""

    def __init__(self, run, flash, case, sensors, **config):
        self.flash = flash
        self.case = case
        self.sink = harness.Sink(run, name=f"{case}-sink")
        self.agent = harness.Agent(run, self.sink.endpoint, self.sink.ca, name=case,
                                   sensors=sensors, **config)
        state = flash.mount / case
        state.mkdir()
        self.agent.environment["RUNNEL_STATE"] = str(state)

    def measure(self, records, work, settle=lambda: None):
        """WORK(agent) from the agent's start to its end; SETTLE before counting begins."""
        settle()
        wire = self.wire_bytes()
        flash = self.flash.written_bytes()
        started = time.monotonic()
        sampler, usage = work(self.agent)
        seconds = time.monotonic() - started
        cpu_s = usage.ru_utime + usage.ru_stime
        written = None if flash is None else self.flash.written_bytes() - flash
        summary = self.sink.summary()
        if records is None:
            records = summary["records"]
        check(summary["records"] >= records, f"{self.case}: {summary['records']} delivered")
        return {
            "case": self.case, "records": records, "seconds": round(seconds, 2),
            "cpu_s": round(cpu_s, 3), "cpu_s_per_million": ratio(cpu_s * 1e6, records, 2),
            "wire_bytes": self.wire_bytes() - wire,
            "wire_bytes_per_record": ratio(self.wire_bytes() - wire, records, 1),
            "flash_bytes": "" if written is None else written,
            "flash_bytes_per_record": "" if written is None else ratio(written, records, 1),
            "private_dirty_peak_kib": sampler.private_dirty_kib, "rss_peak_kib": usage.ru_maxrss,
            "context_switches": sampler.switches,
        }

    def wire_bytes(self):
        summary = self.sink.summary()
        return summary["wire_bytes_in"] + summary["wire_bytes_out"]

    def close(self):
        self.sink.stop()


def ratio(amount, records, digits):
    return round(amount / records, digits) if records else ""


def run_agent(agent, *arguments, during=lambda process: None):
    """runnel run from start to end, watched, and what it used; DURING(process) while it runs."""
    process = harness.Process(agent.command("run", "-c", agent.config_file, *arguments), agent.log,
                              env=agent.environment, stdout=subprocess.DEVNULL)
    sampler = Sampler(process.pid)
    sampler.start()
    try:
        during(process)
        _, status, usage = os.wait4(process.pid, 0)
        process.popen.returncode = os.waitstatus_to_exitcode(status)
    finally:
        sampler.stop()
    check(status == 0, f"the agent ended with {process.popen.returncode}: {agent.tail()}")
    return sampler, usage


def create_spool(agent):
    """A first start and stop: the making of the spool is no cost of a record."""
    sensors = agent.set_sensors([])
    agent.start()
    harness.wait_until("the spool", lambda: agent.status() and agent.status()["durable"] in
                       (True, False))
    agent.stop()
    agent.set_sensors(sensors)


def pour(fifo, source, lines_per_s=None):
    """Writes SOURCE into FIFO, at a pace or as fast as it is taken."""
    started = time.monotonic()
    with open(source, "rb") as lines, open(fifo, "wb") as pipe:
        if lines_per_s is None:
            shutil.copyfileobj(lines, pipe, 65536)
            return
        for number, line in enumerate(lines):
            pipe.write(line)
            if number % 100 == 99:
                pipe.flush()
                time.sleep(max(0, started + number / lines_per_s - time.monotonic()))


def measure_file(run, flash, source, count):
    bench = Bench(run, flash, "file", [harness.lines_sensor(source)])
    row = bench.measure(count, lambda agent: run_agent(agent, "--drain"),
                        lambda: create_spool(bench.agent))
    bench.close()
    return row


def measure_pipe(run, flash, source, count, case):
    fifo = run.folder / f"{case}.fifo"
    os.mkfifo(fifo)
    lanes = {"normal": {"age": "1s"}} if case == "live" else {}
    bench = Bench(run, flash, case, [harness.lines_sensor(fifo)],
                  spool={"size": "128MiB", "lanes": lanes})
    away = case == "offline"

    def during(process):
        check(process.running(), "the agent ended at once")
        pour(fifo, source, LIVE_LINES_PER_S if case == "live" else None)
        if away:
            harness.wait_until("records on flash", lambda: stored(bench.agent) >= count, 600)
            bench.sink.outage(0)

    def settle():
        create_spool(bench.agent)
        if away:
            bench.sink.outage()

    row = bench.measure(count, lambda agent: run_agent(agent, "--drain", during=during), settle)
    bench.close()
    return row


def stored(agent):
    status = agent.status()
    return status["routes"]["live"]["lanes"]["normal"]["stored"] if status else 0


def measure_idle(run, flash, seconds):
    sensors = [{"name": f"sensor-{number}", "driver": "sim", "interval": "10s", "channels": 3}
               for number in range(5)]
    bench = Bench(run, flash, "idle", sensors)

    def during(process):
        # An idle agent for as long as was asked: here time itself is what is waited for.
        time.sleep(seconds)
        process.send_signal(harness.signal.SIGTERM)

    row = bench.measure(None, lambda agent: run_agent(agent, during=during),
                        lambda: create_spool(bench.agent))
    bench.close()
    return row


def describe():
    commit = subprocess.run(["git", "-C", harness.ROOT, "describe", "--always", "--dirty"],
                            capture_output=True, text=True, check=False).stdout.strip()
    return {"date": datetime.date.today().isoformat(), "commit": commit or "unknown",
            "machine": f"{platform.machine()}-{os.cpu_count()}cpu"}


def print_table(rows):
    print_columns(rows, (
        ("case", "case"), ("records", "records"), ("seconds", "s"), ("cpu_s", "CPU s"),
        ("cpu_s_per_million", "CPU s/M"), ("wire_bytes_per_record", "wire B/rec"),
        ("flash_bytes_per_record", "flash B/rec"), ("flash_bytes", "flash B"),
        ("private_dirty_peak_kib", "dirty KiB"), ("rss_peak_kib", "RSS KiB"),
        ("context_switches", "switches")))


def print_columns(rows, columns):
    """COLUMNS: a name in each row, and its title."""
    table = [tuple(title for _, title in columns)]
    table += [tuple(str(row[name]) or "-" for name, _ in columns) for row in rows]
    widths = [max(len(line[i]) for line in table) for i in range(len(columns))]
    for line in table:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def append(path, rows, columns=COLUMNS):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        if is_new:
            table.writeheader()
        table.writerows(rows)


def scenario(run, options):
    source = harness.lines_file(run.folder / "lines.jsonl", options.lines)
    size = source.stat().st_size / options.lines
    print(f"{options.lines} lines of {size:.0f} bytes", flush=True)
    about = describe()
    rows = []
    with Flash(run.folder) as flash:
        for case in options.cases:
            if case == "file":
                row = measure_file(run, flash, source, options.lines)
            elif case == "idle":
                row = measure_idle(run, flash, options.idle)
            else:
                row = measure_pipe(run, flash, source, options.lines, case)
            rows.append({**about, **row})
            harness.end_children()
    print_table(rows)
    if options.results:
        append(options.results, rows)


if __name__ == "__main__":
    chosen = harness.arguments(
        __doc__, (("--lines",), {"type": int, "default": 200000}),
        (("--idle",), {"type": int, "default": 60, "metavar": "SECONDS"}),
        (("--results",), {"metavar": "FILE", "help": "append the rows to this CSV file"}),
        (("cases",), {"nargs": "*", "default": list(CASES), "metavar": "CASE",
                      "type": harness.one_of(CASES)}))
    harness.main(chosen, lambda run: scenario(run, chosen))
