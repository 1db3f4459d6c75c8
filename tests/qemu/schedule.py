# SPDX-License-Identifier: Apache-2.0
"""The scenario with many sensors at a time."""
import datetime
import itertools
import json

import harness
from bench import must_fail
from guest import Gateway, check, wait_until
from scenarios import DRAIN_S, LANES, check_once

INTERVAL_MS = 100
BUSES = 8
# Slower than its interval, so that every other slot is missed.
SLOW = {"name": "slow", "driver": "sim", "bus": "slow", "hang": f"{INTERVAL_MS * 3 // 2}ms"}


def many(count):
    """A quarter reads /proc, the others are made up, on BUSES buses."""
    listed = [{"name": f"s{number}", **({"driver": "proc"} if number % 4 == 0 else
                                        {"driver": "sim", "bus": f"bus{number % BUSES}",
                                         "channels": 3})} for number in range(count)]
    return [{**sensor, "interval": f"{INTERVAL_MS}ms"} for sensor in (*listed, SLOW)]


def without_gap(sink):
    """What arrived up to the first number that did not (yet), by sensor."""
    records = sorted((json.loads(data) for _, _, data in sink.records()),
                     key=lambda record: record["seq"])
    check_once(records)
    found = {}
    for number, record in enumerate(records, records[0]["seq"]):
        if record["seq"] != number:
            break
        found.setdefault(record["sensor"], []).append(record)
    return found


def lateness_ms(records):
    """By how much each reading is behind its slot, of which none is empty and none has two."""
    times_ms = [round(datetime.datetime.fromisoformat(record["ts"].replace("Z", "+00:00"))
                      .timestamp() * 1000) for record in records]
    offsets_ms = [time_ms - number * INTERVAL_MS for number, time_ms in enumerate(times_ms)]
    late_ms = [offset_ms - min(offsets_ms) for offset_ms in offsets_ms]
    check(max(late_ms) < INTERVAL_MS,
          f"{len(records)} readings of {records[0]['sensor']} are up to {max(late_ms)} ms late")
    return late_ms


def cpu_seconds(machine):
    """What the agent has used of the processor, and for how long that has run."""
    stat, uptime = machine.run("cat /proc/$(pidof runnel)/stat /proc/uptime").splitlines()
    fields = stat.rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100, float(uptime.split()[0])


def schedule_64(run, board="qemu-armv7", count=64, readings=100, shift=2):
    """64 sensors at 10 Hz with 64 MB of RAM, delivered over TLS: no slot is missed, and every
    reading arrives with the time of its slot. An instruction takes 2^SHIFT ns by the guest's clock,
    however slow this machine is; a sensor that is slower than its interval is seen to be."""
    sink = harness.Sink(run)
    gateway = Gateway(run, board, sink, spool={"lanes": LANES}, sensors=many(count))
    machine = gateway.boot("-icount", f"shift={shift}", memory_mib=64, serve=False)
    machine.run("clock_good")         # else the agent goes by the sink's, which is this machine's
    gateway.serve()
    begin = cpu_seconds(machine)
    wait_until("the readings", lambda: sink.summary()["records"] > (readings + 10) * count,
               DRAIN_S + 4 * readings * INTERVAL_MS // 1000)
    used, passed = (end - start for end, start in zip(cpu_seconds(machine), begin))
    sensors = gateway.status()["sensors"]
    machine.cut()
    missed = {name: sensor["missed"] for name, sensor in sensors.items() if sensor["missed"]}
    check(missed.pop("slow", 0) > 0, "the control: a slow sensor misses slots")
    check(not missed, f"slots were missed: {missed}")
    found = without_gap(sink)
    must_fail("a slow sensor", lambda: lateness_ms(found["slow"]))
    must_fail("a lost reading", lambda: lateness_ms(found["s1"][:5] + found["s1"][6:]))
    late_ms = sorted(itertools.chain.from_iterable(lateness_ms(found[f"s{number}"])
                                                   for number in range(count)))
    check(len(late_ms) >= readings * count, f"only {len(late_ms)} arrived without a gap")
    print(f"{board}, 64 MB, {1000 >> shift} MIPS: {count} sensors, {len(late_ms)} readings at "
          f"10 Hz, 0 slots missed, late by {late_ms[len(late_ms) // 2]} ms in the middle, "
          f"{late_ms[len(late_ms) * 99 // 100]} ms for 1 in 100, {late_ms[-1]} ms at most; "
          f"the agent used {100 * used / passed:.0f} % of the processor")
