#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
A bus that hangs for 10 s delays no sensor of another bus by more than 50 ms.

Three things hang from the start: a driver that waits for its device, one that is stuck in a system
call whatever its deadline says (statvfs on a file system whose server is gone), and, where there is
Modbus, one whose unit takes the connection and says nothing. Meanwhile eight sensors on four other
buses are asked ten times a second, and so are those of a second agent in which nothing hangs. A
slot is late by what the next record of its sensor is behind its place in the grid, so one that is
left out is late until the next one. This machine has other things to do as well: how late the
second agent's slots are at the same time is its own doing, and only what goes beyond that counts.
Such noise comes and goes, while a bus that waits for another one does so each time: so it is tried
up to three times.

As a control, --one-bus puts all of them on the bus that hangs.
"""
import datetime
import json
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # pylint: disable=wrong-import-position
from harness import check  # pylint: disable=wrong-import-position

ALLOWED_MS = 50
INTERVAL_MS = 100
SETTLED_MS = 500
BUSES = ("a", "b", "c", "d")
TRIES = 3


def sensors(hang_s, one_bus, stuck, port):
    """PUMP, SHARE and GATEWAY hang; all others are named like their bus."""
    victims = [{"name": f"{bus}{number}", "driver": "sim", "interval": f"{INTERVAL_MS}ms",
                "bus": "pump" if one_bus else bus} for bus in BUSES for number in (1, 2)]
    pump = {"name": "pump", "driver": "sim", "bus": "pump", "interval": "1h",
            "timeout": f"{hang_s + 5}s"}
    share = {"name": "share", "driver": "proc", "interval": "1h"}
    if hang_s:
        pump["hang"] = f"{hang_s}s"
        share["disk"] = str(stuck)
    silent = [{"name": "gateway", "driver": "modbus", "bus": f"tcp://127.0.0.1:{port}",
               "interval": "1h", "timeout": f"{hang_s + 5}s", "response": f"{hang_s}s",
               "channels": [{"name": "level", "register": 1}]}] if port else []
    return [pump, share, *silent, *victims]


def silent_peer(run):
    """Who takes connections and says nothing; None where no driver would come."""
    driver = harness.subprocess.run([run.program("runnel"), "sensors", "--driver", "modbus"],
                                    capture_output=True, check=False)
    if driver.returncode != 0:
        return None
    return socket.create_server(("127.0.0.1", 0))


def start(run, sink, name, hang_s, one_bus, port=None):
    stuck = run.folder / name / "share"
    agent = harness.Agent(run, sink.endpoint, sink.ca, name=name, device=name,
                          sensors=sensors(hang_s, one_bus, stuck, port),
                          spool={"lanes": {"normal": {"age": "200ms"}}},
                          routes=[dict(harness.NO_QUESTION)])
    stuck.mkdir()
    agent.environment |= {"LD_PRELOAD": str(run.build / "tests/fault/libfault_hang.so"),
                          "RUNNEL_HANG": str(stuck), "RUNNEL_HANG_S": str(hang_s)}
    agent.start()
    return agent


def times(sink):
    """{(device, sensor): times of its records in ms}"""
    found = {}
    for _, _, data in sink.records():
        record = json.loads(data)
        stamp = datetime.datetime.fromisoformat(record["ts"].replace("Z", "+00:00"))
        found.setdefault((record["device"], record["sensor"]), []).append(
            round(stamp.timestamp() * 1000))
    return found


def lateness(stamps, begin, end):
    """How late the slots of a sensor from BEGIN to END are, in ms; the grid is that of its earliest
    record."""
    base = min(stamps, key=lambda stamp: (stamp - stamps[0]) % INTERVAL_MS
               if (stamp - stamps[0]) % INTERVAL_MS < INTERVAL_MS / 2
               else (stamp - stamps[0]) % INTERVAL_MS - INTERVAL_MS)
    late, at = [], 0
    first = base + (begin - base) // INTERVAL_MS * INTERVAL_MS + INTERVAL_MS
    for slot in range(first, end, INTERVAL_MS):
        while at < len(stamps) and stamps[at] < slot - INTERVAL_MS / 2:
            at += 1
        late.append(stamps[at] - slot if at < len(stamps) else end - slot)
    return late


def worst(found, device, begin, end):
    """The worst slot of all sensors of DEVICE, of how many, and the sensor."""
    every = {}
    for (whose, sensor), stamps in found.items():
        if whose == device and sensor[0] in BUSES and len(sensor) == 2:
            every[sensor] = lateness(sorted(stamps), begin, end)
    sensor = max(every, key=lambda name: max(every[name]))
    return max(every[sensor]), sum(map(len, every.values())), sensor


def measure(run, number, hang_s, one_bus):
    """Hangs once: by how much more than without it the worst slot was late, and whose it was."""
    sink = harness.Sink(run, name=f"sink{number}")
    names = (f"calm{number}", f"hang{number}")
    peer = silent_peer(run)
    agents = [start(run, sink, names[0], 0, one_bus),
              start(run, sink, names[1], hang_s, one_bus, peer and peer.getsockname()[1])]

    def is_over():
        found = times(sink)
        hung = [stamps[0] for who, stamps in found.items()
                if who in ((names[1], "pump"), (names[1], "share"))]
        return found if len(hung) == 2 and all(
            max(stamps) > max(hung) + SETTLED_MS for (_, sensor), stamps in found.items()
            if len(sensor) == 2) else None

    found = harness.wait_until("what hangs to come back", is_over, 60)
    if peer is not None:
        harness.wait_until("the gateway's timeout", lambda: agents[1].status()["sensors"][
            "gateway"]["errors"] == 1)
        check(peer.accept(), "nobody came to the gateway")
    for agent in agents:
        check(agent.stop() == 0, agent.tail())
    sink.stop()
    end = min(found[names[1], name][0] for name in ("pump", "share"))
    begin = end - hang_s * 1000 + SETTLED_MS
    own, slots, _ = worst(found, names[0], begin, end)
    late, _, sensor = worst(found, names[1], begin, end)
    print(f"{slots} slots of {len(BUSES) * 2} sensors in {(end - begin) / 1000:.1f} s: the worst "
          f"is late by {late} ms ({sensor}), without anything that hangs by {own} ms", flush=True)
    return late - own, sensor


def scenario(run, hang_s, one_bus):
    for number in range(1 if one_bus else TRIES):
        late_ms, sensor = measure(run, number, hang_s, one_bus)
        if late_ms <= ALLOWED_MS:
            return
    raise harness.Failure(f"{sensor} is late by {late_ms} ms more than without the hang")


if __name__ == "__main__":
    chosen = harness.arguments(
        __doc__, (("--one-bus",), {"action": "store_true", "help": "the control"}),
        (("--seconds",), {"type": int, "default": 10, "help": "how long it hangs"}))
    harness.main(chosen, lambda run: scenario(run, chosen.seconds, chosen.one_bus))
