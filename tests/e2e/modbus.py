# SPDX-License-Identifier: Apache-2.0
"""
The driver modbus and the agent against units that others wrote (pymodbus), by TCP and by a serial
line (two pseudo-terminals): values of all types in all orders as they arrive at the sink,
exceptions in words, a unit that falls silent while the others keep their schedule, a server that
is restarted, an adapter that is unplugged and plugged in.
"""
import importlib.util
import json
import os
import pathlib
import pty
import select
import struct
import subprocess
import sys
import threading

import harness
from harness import check, wait_until

ORDERS = {"ABCD": ("AB", "ABCD", "ABCDEFGH"), "CDAB": ("AB", "CDAB", "GHEFCDAB"),
          "BADC": ("BA", "BADC", "BADCFEHG"), "DCBA": ("BA", "DCBA", "HGFEDCBA")}
# Of each type how it is packed, and a value that has no two bytes alike.
TYPES = {"int16": (">h", -12345), "uint16": (">H", 54321), "bcd16": (None, 1984),
         "int32": (">i", -1234567890), "uint32": (">I", 4023456789), "bcd32": (None, 31415926),
         "float32": (">f", -1234.56789), "int64": (">q", -1234567890123456789),
         "uint64": (">Q", 9123456789012345678), "float64": (">d", 2.718281828459045)}
EXCEPTIONS = {21: (1, "does not have this table"), 22: (2, "there is no such register"),
              23: (3, "does not take the request"), 24: (4, "the unit failed"),
              25: (6, "the unit is busy"), 26: (10, "no path to the unit"),
              27: (11, "does not answer the gateway")}


def need_pymodbus():
    names = ("pymodbus.server.async_io", "serial_asyncio")
    try:
        missing = [name for name in names if importlib.util.find_spec(name) is None]
    except ModuleNotFoundError:
        missing = names
    if missing:
        raise harness.Skip(f"needs pymodbus 3.0 (python3-pymodbus): no {', '.join(missing)}")


# ---- units ----

class Units:
    """What a server holds: registers by unit and table; and the channels that read them."""

    def __init__(self):
        self.units = {}
        self.expected = {}
        self.channels = {}

    def put(self, unit, table, at, values):
        tables = self.units.setdefault(str(unit), {})
        tables.setdefault(table, {}).update({str(at + i): value for i, value in enumerate(values)})

    def add(self, unit, channel, expected):
        name = channel["name"]
        self.channels.setdefault(unit, []).append(channel)
        self.expected.setdefault(unit, {})[name] = expected

    def write(self, path):
        codes = {str(unit): code for unit, (code, _) in EXCEPTIONS.items()}
        for unit in codes:
            self.put(unit, "h", 0, [0])
        path.write_text(json.dumps({"units": self.units, "exceptions": codes}))


def words_of(packed, letters):
    """The registers of PACKED, highest byte first, when its bytes go in the order of LETTERS."""
    sent = bytes(packed[ord(letter) - ord("A")] for letter in letters)
    return list(struct.unpack(f">{len(sent) // 2}H", sent))


def pack(kind, value):
    packing = TYPES[kind][0]
    if packing is None:  # a decimal digit in four bits is a hexadecimal one
        return bytes.fromhex(str(value))
    return struct.pack(packing, value)


def add_numbers(units, plant):
    """Unit 1 in two orders and unit 2 in the others: no more than 32 channels are a sensor's."""
    for number, (order, letters) in enumerate(ORDERS.items()):
        unit, at = 1 + number // 2, 100 * number
        for kind, (packing, value) in TYPES.items():
            packed = pack(kind, value)
            sent = letters[{2: 0, 4: 1, 8: 2}[len(packed)]]
            if plant and order == "CDAB" and kind == "int32":
                sent = "ABCD"
            units.put(unit, "h", at, words_of(packed, sent))
            expected = struct.unpack(packing, packed)[0] if packing else value
            units.add(unit, {"name": f"{kind}-{order.lower()}", "register": at, "type": kind,
                             "order": order}, expected)
            at += len(packed) // 2


def add_others(units):
    """Unit 3: tables, bits, strings, scales, a hole, and what is no number."""
    units.put(2, "h", 0, [7])
    units.put(3, "h", 0, [2305, 0x8001, *struct.unpack(">4H", b"PUMP-4\0\0"),
                          *struct.unpack(">2H", struct.pack(">f", 21.4567)), 0x7fc0, 0])
    units.put(3, "h", 14, [77])  # between this and what is before it there is nothing
    units.put(3, "i", 65535, [4242])
    units.put(3, "c", 0, [True, False, True])
    units.put(3, "d", 30, [False, True])
    for channel, expected in (
            ({"name": "scaled", "register": 0, "decimals": 1, "factor": -0.25}, -57.625),
            ({"name": "high", "register": 1, "bit": 15}, 1),
            ({"name": "low", "register": 1, "bit": 1}, 0),
            ({"name": "label", "register": 2, "type": "string", "registers": 4}, "PUMP-4"),
            ({"name": "rounded", "register": 6, "type": "float32", "decimals": 2}, 21.46),
            ({"name": "nan", "register": 8, "type": "float32"}, None),
            ({"name": "behind", "register": 14}, 77),
            ({"name": "input", "register": 65535, "table": "input"}, 4242),
            ({"name": "coil", "register": 2, "table": "coil"}, 1),
            ({"name": "discrete", "register": 30, "table": "discrete"}, 0)):
        units.add(3, channel, expected)


class Server:
    """pymodbus, from Debian's python3 whatever runs this."""

    def __init__(self, run, file, kind, place, name):
        script = pathlib.Path(__file__).with_name("modbus_server.py")
        self.process = harness.Process([sys.executable, "-B", script, file, kind, place],
                                       run.folder / f"{name}.log", stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)
        line = self.process.popen.stdout.readline().decode()
        check(line.startswith("ready "), f"no server: {self.process.tail()}")
        self.port = int(line.split()[1])

    def tell(self, words):
        self.process.popen.stdin.write(f"{words}\n".encode())
        self.process.popen.stdin.flush()
        check(self.process.popen.stdout.readline() == b"done\n", self.process.tail())


class Line:
    """A serial line: a pseudo-terminal at each end, and who carries the bytes between them."""

    def __init__(self, folder):
        self.device = folder / "ttyUSB0"
        self.server, self.server_device = pty.openpty()
        self.ends = ()
        self.orders = os.pipe()
        self.obeyed = threading.Semaphore(0)
        threading.Thread(target=self.carry, daemon=True).start()
        self.plug()

    def order(self, what):
        os.write(self.orders[1], what)
        self.obeyed.acquire()

    def plug(self):
        self.order(b"+")

    def unplug(self):
        self.order(b"-")

    def obey(self, what):
        """By the one who reads the ends: nobody else's descriptor may get the number of one."""
        if what == b"+":
            self.ends = pty.openpty()
            self.device.symlink_to(os.ttyname(self.ends[1]))
        else:
            self.device.unlink()
            for end in self.ends:
                os.close(end)
            self.ends = ()
        self.obeyed.release()

    def carry(self):
        while True:
            ready = select.select([self.orders[0], self.server, *self.ends[:1]], [], [])[0]
            if self.orders[0] in ready:
                self.obey(os.read(self.orders[0], 1))
                continue
            for end in ready:
                data = os.read(end, 4096)
                if end != self.server:
                    os.write(self.server, data)
                elif self.ends:
                    os.write(self.ends[0], data)


# ---- sensors ----

def sensor(name, bus, unit, channels, **more):
    return {"name": name, "driver": "modbus", "bus": bus, "unit_id": unit, "interval": "200ms",
            "timeout": "2s", "response": "1s", "channels": channels, **more}


def buses_of(server, line):
    return {"tcp": f"tcp://127.0.0.1:{server.port}", "rtu": f"rtu://{line.device}"}


def records_of(sink):
    """The newest record of each sensor."""
    return {record["sensor"]: record for record in
            (json.loads(data) for _, _, data in sink.records()) if "values" in record}


def check_values(record, expected):
    values = {**record["values"], **record.get("text", {})}
    for name, value in expected.items():
        check(values.get(name) == value,
              f"{record['sensor']}: {name} is {values.get(name)}, not {value}")
    wanted = {name for name, value in expected.items() if value is not None}
    check(set(values) == wanted, f"{record['sensor']}: {sorted(set(values) ^ wanted)}")


def sensors_of(agent):
    status = agent.status()
    check(status is not None, agent.process.tail())
    return status["sensors"]


def values_arrive(agent, sink, units, buses):
    """All types and orders, by both ways."""
    agent.set_sensors([sensor(f"{way}-{unit}", bus, unit, channels)
                       for way, bus in buses.items() for unit, channels in units.channels.items()])
    agent.start()
    names = {f"{way}-{unit}" for way in buses for unit in units.channels}
    wait_until("a record of each unit", lambda: names <= set(records_of(sink)))
    for name, record in records_of(sink).items():
        if name in names:
            check_values(record, units.expected[int(name.split("-")[1])])
    lacks = agent.log.read_text(errors="replace")
    check("sensor-incomplete sensor=tcp-3" in lacks and "nan (unit 3, holding register 8)" in lacks,
          "nobody said that a value is none")


def exceptions_are_said(agent, buses):
    """Each in words, with unit and register, and nobody else fails for it."""
    sensors = [sensor(f"{way}-{unit}", bus, unit, [{"name": "a", "register": 0}])
               for way, bus in buses.items() for unit in EXCEPTIONS]
    sensors += [sensor(f"{way}-good", bus, 3, [{"name": "a", "register": 0}])
                for way, bus in buses.items()]
    agent.set_sensors(sensors)
    agent.start()
    wait_until("every exception", lambda: all(
        found["errors"] > 0 for name, found in sensors_of(agent).items() if "good" not in name))
    for name, found in sensors_of(agent).items():
        unit = name.split("-")[1]
        if unit == "good":
            check(found["errors"] == 0 and found["error"] is None, f"{name}: {found}")
            continue
        code, words = EXCEPTIONS[int(unit)]
        for part in (f"unit {unit}, holding register 0: exception {code}, ", words):
            check(part in found["error"], f"{name}: {found['error']}")
    check(agent.stop() == 0, agent.tail())


def others_keep_their_schedule(agent, servers, buses, response):
    """Unit 2 falls silent on both buses. By slots: none of the others' is missed."""
    more = {"interval": "1s", "timeout": "8s", "response": response}
    agent.set_sensors([sensor(f"{way}-{unit}", bus, unit, [{"name": "a", "register": 0}], **more)
                       for way, bus in buses.items() for unit in (1, 2, 3)])
    agent.start()
    wait_until("all of them", lambda: all(found["samples"] > 0
                                          for found in sensors_of(agent).values()))
    for server in servers:
        server.tell("silent 2")
    silent = [f"{way}-2" for way in buses]
    wait_until("two tries of what is silent",
               lambda: all(sensors_of(agent)[name]["errors"] >= 2 for name in silent))
    sensors = sensors_of(agent)
    missed = {name: found["missed"] for name, found in sensors.items() if name not in silent}
    check(not any(missed.values()), f"slots missed by others than the silent: {missed}")
    check(all(found["errors"] == 0 for name, found in sensors.items() if name not in silent),
          f"others failed: {sensors}")
    for name in silent:
        check("unit 2, holding register 0: no answer" in sensors[name]["error"], sensors[name])
    for server in servers:
        server.tell("speak 2")
    before = {name: sensors[name]["samples"] for name in silent}
    wait_until("the silent ones again", lambda: all(
        sensors_of(agent)[name]["samples"] > before[name] for name in silent))
    print(f"missed by others: {missed}", flush=True)


def comes_back(agent, name, part):
    """NAME fails with PART in its words; returns what makes sure that it is well again."""
    wait_until(f"{name} to fail", lambda: part in (sensors_of(agent)[name]["error"] or ""))
    before = sensors_of(agent)[name]["samples"]
    return lambda: wait_until(f"{name} to recover",
                              lambda: sensors_of(agent)[name]["samples"] > before)


def scenario(run, plant):
    need_pymodbus()
    units = Units()
    add_numbers(units, plant == "order")
    add_others(units)
    file = run.folder / "units.json"
    units.write(file)
    line = Line(run.folder)
    tcp = Server(run, file, "tcp", 0, "tcp")
    rtu = Server(run, file, "serial", os.ttyname(line.server_device), "rtu")
    buses = buses_of(tcp, line)
    sink = harness.Sink(run)
    agent = harness.Agent(run, sink.endpoint, sink.ca,
                          spool={"lanes": {"normal": {"age": "100ms"}}})
    if plant != "silent":
        values_arrive(agent, sink, units, buses)
        check(agent.stop() == 0, agent.tail())
        exceptions_are_said(agent, buses)
    others_keep_their_schedule(agent, (tcp, rtu), buses, "3s" if plant == "silent" else "200ms")
    line.unplug()
    well = comes_back(agent, "rtu-1", "is the adapter plugged in?")
    line.plug()
    well()
    tcp.process.kill()
    well = comes_back(agent, "tcp-1", f"127.0.0.1 port {tcp.port}: ")
    Server(run, file, "tcp", tcp.port, "tcp-again")
    well()
    check(agent.stop() == 0, agent.tail())


if __name__ == "__main__":
    chosen = harness.arguments(__doc__, (("--plant",), {
        "choices": ("order", "silent"),
        "help": "a number in another order than is read; a response time of three intervals"}))
    harness.main(chosen, lambda run: scenario(run, chosen.plant))
