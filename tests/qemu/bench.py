# SPDX-License-Identifier: Apache-2.0
"""The scenario on a bench of sensors: chips, lines and buses that follow what is set from outside,
through the kernel's own interfaces."""
import itertools

import harness
from guest import Gateway, check, debian_of, wait_until
from scenarios import records_of
from sim_modules import NAMES, NEEDS, sim_modules

AT_ONCE = {"normal": {"window": "0s", "age": "50ms"}}
STUB = 0x2a                           # the address of the chip that i2c-stub simulates


def must_fail(what, comparison):
    """The control of a comparison: with a planted fault it has to find something."""
    try:
        comparison()
    except harness.Failure:
        return
    raise harness.Failure(f"{what} went unseen")


class Bench:
    """The Sabre Lite with all that can be simulated on it, and what arrives of that."""

    chips = ("tmp105,id=cabinet,bus=i2c-bus.0,address=0x48",
             "tmp105,id=duct,bus=i2c-bus.0,address=0x49",
             "dps310,bus=i2c-bus.0,address=0x77", "dps310,bus=i2c-bus.0,address=0x76")
    modules = ("i2c-dev", "lm75", "dps310", "vcan", "can-raw", *NEEDS)

    def __init__(self, run, board, sensors):
        self.sink = harness.Sink(run)
        folder = sim_modules(debian_of(board))
        built = {folder / f"{name}.ko": f"chip_addr={STUB}" if name == "i2c-stub" else ""
                 for name in NAMES}
        self.gateway = Gateway(run, board, self.sink, modules=self.modules, built=built,
                               sensors=sensors, spool={"lanes": AT_ONCE, "volatile": True})
        self.machine = self.gateway.boot(
            *itertools.chain.from_iterable(("-device", chip) for chip in self.chips), serve=False)
        self.machine.run("hardware")
        code, said = self.machine.call("runnel check")
        check(code == 0, f"the configuration: {said}")
        self.gateway.serve()

    def records(self, sensor):
        return sorted(records_of(self.sink, sensor), key=lambda record: record["seq"])

    def values(self, sensor, channel):
        """What has arrived, in the order in which it was taken, once as long as it is the same."""
        return [value for value, _ in itertools.groupby(
            record["values"].get(channel) for record in self.records(sensor))]

    def follow(self, expected, steps):
        """Takes STEPS, each when the values of the one before are here; EXPECTED is {(sensor,
        channel): all values from the start}, and nothing else may arrive."""
        for number, step in enumerate((lambda: None, *steps)):
            step()
            for (sensor, channel), values in expected.items():
                wait_until(f"{values[number]} of {sensor} {channel}",
                           lambda sensor=sensor, channel=channel, value=values[number]:
                           self.values(sensor, channel)[-1:] == [value])
        self.compare(expected)

    def compare(self, expected):
        for (sensor, channel), values in expected.items():
            found = self.values(sensor, channel)
            check(found == values, f"{sensor} {channel} was {found}, not {values}")


# ---- tmp105: set by QMP; by hwmon and from user space ----

# In thousandths of a degree; the chip has sixteenths, which the kernel rounds down to thousandths.
TEMPERATURES = (21500, -40000, 47500, 21063, 125000)
ON_BUS = {"driver": "i2c", "bus": "/dev/i2c-0", "interval": "200ms"}
TMP105 = (
    {"name": "cabinet", "driver": "hwmon", "chip": "tmp105", "interval": "200ms"},
    {"name": "duct", **ON_BUS, "address": "0x49", "chip": "tmp105", "resolution": 12},
    # The control: the limit, which stands in the register behind.
    {"name": "duct-limit", **ON_BUS, "address": "0x49", "chip": "registers",
     "channels": [{"name": "temp", "register": "0x03", "type": "int16", "shift": 4, "bits": 12,
                   "decimals": 4, "factor": 625, "unit": "Cel"}]},
)


def tmp105(bench):
    sixteenths = [0] + [milli * 16 // 1000 for milli in TEMPERATURES]
    expected = {("cabinet", "temp1"): [number * 1000 // 16 / 1000 for number in sixteenths],
                ("duct", "temp"): [number / 16 for number in sixteenths]}

    def step(milli):
        for chip in ("cabinet", "duct"):
            bench.machine.qmp("qom-set", path=f"/machine/peripheral/{chip}",
                              property="temperature", value=milli)

    bench.follow(expected, [lambda milli=milli: step(milli) for milli in TEMPERATURES])
    must_fail("another register",
              lambda: bench.compare({("duct-limit", "temp"): expected["duct", "temp"]}))
    must_fail("a value that is missing",
              lambda: bench.compare({("duct", "temp"): expected["duct", "temp"][:-1]}))
    return f"hwmon and i2c followed {len(TEMPERATURES)} temperatures of a tmp105"


# ---- dps310: what the kernel's driver computes, and what the chip says ----

DPS310 = (
    {"name": "air", "driver": "iio", "device": "dps310", "interval": "200ms"},
    {"name": "air-raw", **ON_BUS, "address": "0x76", "chip": "registers",
     "id_register": "0x28", "id": "0x90",  # QEMU's has no number of a product
     "channels": [{"name": "pressure", "register": "0x00", "type": "int24"},
                  {"name": "temp", "register": "0x03", "type": "int24"}]},
)


def signed(value, bits):
    return value - (1 << bits) if value >> (bits - 1) else value


def dps310_result(coefficients, pressure, temp):
    """(pascals, degrees) of raw values, as the data sheet says; COEFFICIENTS are the bytes of the
    registers from 0x10 on, and each value is one measurement (kP = kT = 524288)."""
    bits = int.from_bytes(coefficients, "big")

    def field(start, width):
        return signed(bits >> (len(coefficients) * 8 - start - width) & ((1 << width) - 1), width)

    c0, c1, c00, c10 = field(0, 12), field(12, 12), field(24, 20), field(44, 20)
    c01, c11, c20, c21, c30 = (field(64 + 16 * number, 16) for number in range(5))
    p, t = pressure / 524288, temp / 524288
    return (c00 + p * (c10 + p * (c20 + p * c30)) + t * c01 + t * p * (c11 + p * c21),
            c0 / 2 + c1 * t)


def dps310(bench):
    for sensor in ("air", "air-raw"):
        wait_until(sensor, lambda sensor=sensor: bench.records(sensor))
    coefficients = bytes(int(text, 16) for text in bench.machine.run(
        f"for register in {' '.join(map(hex, range(0x10, 0x22)))}; do i2cget -y 0 0x76 $register; "
        "done").split())
    raw = bench.records("air-raw")[0]["values"]
    kernel = bench.records("air")[0]["values"]

    def compare(pressure, temp):
        found = dps310_result(coefficients, pressure, temp)
        check(abs(found[0] - kernel["pressure"]) <= 1 and abs(found[1] - kernel["temp"]) <= 0.001,
              f"the kernel says {kernel}, the registers {found}")

    compare(raw["pressure"], raw["temp"])
    must_fail("a register that is one too far", lambda: compare(raw["pressure"] >> 8, raw["temp"]))
    return f"iio and i2c agree on a dps310: {kernel['pressure']} Pa, {kernel['temp']} Cel"


# ---- i2c-stub: an adapter that knows only SMBus ----

BEHIND = {"driver": "i2c", "bus": "3", "address": hex(STUB), "chip": "registers",
          "interval": "200ms"}
STUBBED = (
    {"name": "stub", **BEHIND,
     "channels": [{"name": "level", "register": "0x10", "type": "int16"},
                  {"name": "flow", "register": "0x20", "type": "uint24", "decimals": 2}]},
    # The control: the other order.
    {"name": "stub-swapped", **BEHIND,
     "channels": [{"name": "level", "register": "0x10", "type": "int16", "order": "little"}]},
)
LEVELS = (0x1234, -2, 0x7fff)


def stub(bench):
    expected = {("stub", "level"): [0, *LEVELS],
                ("stub", "flow"): [0, *((level + 100000) / 100 for level in LEVELS)]}

    def step(level):
        high, low = level.to_bytes(2, "big", signed=True)
        flow = (level + 100000).to_bytes(3, "big")
        bench.machine.run(f"i2cset -y 3 {STUB:#x} 0x10 {low << 8 | high:#x} w && "
                          f"i2cset -y 3 {STUB:#x} 0x20 {' '.join(map(hex, flow))} i")

    bench.follow(expected, [lambda level=level: step(level) for level in LEVELS])
    must_fail("the other order", lambda: bench.compare({("stub-swapped", "level"): [0, *LEVELS]}))
    return f"i2c followed {len(LEVELS)} settings of registers behind SMBus"


# ---- gpio-sim: levels, edges and pulses ----

PANEL = (
    {"name": "panel", "driver": "gpio", "interval": "200ms", "lines": [
        {"line": "door"}, {"line": "meter", "mode": "count", "name": "total"},
        {"line": "meter", "mode": "delta", "name": "volume", "per_pulse": 0.01, "unit": "m3"}]},
    {"name": "bell", "driver": "gpio", "chip": "panel",
     "lines": [{"line": "bell", "mode": "edge"}]},
    # The control: both edges of the same pulses.
    {"name": "twin", "driver": "gpio", "interval": "200ms", "lines": [
        {"line": "twin", "mode": "count", "name": "total", "edge": "both"}]},
)
DOOR, METER, BELL, TWIN = range(4)
PULSES, EDGES = 50, 12
# The simulated interrupt comes with the kernel's tick, of which there are 250 a second.
SETTLE = "usleep 10000"


def panel(bench):
    def pull(line, way):
        return f"echo pull-{way} >/run/panel/sim_gpio{line}/pull"

    bench.follow({("panel", "door"): [0, 1, 0, 1]}, [
        lambda way=way: bench.machine.run(pull(DOOR, way)) for way in ("up", "down", "up")])
    pulse = "; ".join(f"{pull(METER, way)}; {pull(TWIN, way)}; {SETTLE}" for way in ("up", "down"))
    bench.machine.run(f"for i in $(seq {PULSES}); do {pulse}; done")
    wait_until("the twin", lambda: bench.values("twin", "total")[-1] == 2 * PULSES)

    def count(sensor):
        wait_until("the total", lambda: bench.values(sensor, "total")[-1] >= PULSES)
        total = bench.values(sensor, "total")[-1]
        check(total == PULSES, f"{sensor} counted {total} of {PULSES} pulses")

    count("panel")
    must_fail("both edges", lambda: count("twin"))
    volumes = sorted(round(record["values"]["volume"] * 100) for record in bench.records("panel"))

    def add_up(volumes):
        check(sum(volumes) == PULSES, f"the volumes add up to {sum(volumes)} of {PULSES} pulses")

    add_up(volumes)
    must_fail("a lost delta", lambda: add_up(volumes[:-1]))

    bench.machine.run(f"for i in $(seq {EDGES // 2}); do {pull(BELL, 'up')}; {SETTLE}; "
                      f"{pull(BELL, 'down')}; {SETTLE}; done")
    wait_until("the edges", lambda: len(bench.records("bell")) > EDGES)

    def ring(records):
        rung = [record["values"]["bell"] for record in records]
        check(rung == [0] + [1, 0] * (EDGES // 2), f"the edges of the bell were {rung}")

    ring(bench.records("bell"))
    must_fail("a lost edge", lambda: ring(bench.records("bell")[:-1]))
    return f"gpio counted {PULSES} pulses and told {EDGES} edges"


# ---- iio_dummy: asked, and by a buffer with a trigger ----

DUMMIES = (
    {"name": "walker", "driver": "iio", "device": "walker", "interval": "200ms",
     "channels": "steps,voltage0"},
    {"name": "scanner", "driver": "iio_buffer", "device": "scanner", "trigger": "sysfstrig1",
     "interval": "200ms", "timeout": "300s", "length": 256, "watermark": 8},
)
STEPS = (17, 4711, 65535)
SCANS = 100


def dummies(bench):
    bench.follow({("walker", "steps"): [47, *STEPS]}, [
        lambda steps=steps: bench.machine.run(f"echo {steps} >/run/walker/in_steps_input")
        for steps in STEPS])
    bench.machine.run("until [ $(cat /run/scanner/buffer/enable) = 1 ]; do sleep 0.1; done; "
                      f"for i in $(seq {SCANS}); do echo 1 >/run/trigger/trigger_now; "
                      f"{SETTLE}; done")
    wait_until("the scans", lambda: len(bench.records("scanner")) >= SCANS)
    records = bench.records("scanner")
    compare_scans(records)
    must_fail("a lost scan", lambda: compare_scans(records[:7] + records[8:]))
    must_fail("a scan twice", lambda: compare_scans(records[:-2] + records[-3:-1]))
    return f"iio followed {len(STEPS)} counts, iio_buffer took {SCANS} scans of {SCANS}"


def compare_scans(records):
    """The values that iio_dummy has for its buffer, by its scale and offset of millivolts."""
    expected = {"voltage0": (7 + 7) * 1333 / 10**9, "voltage1-voltage2": -33 * 1344 / 10**12,
                "voltage3-voltage4": -2 * 1344 / 10**12, "accel_x": 344}
    wrong = [record["values"] for record in records if record["values"] != expected]
    check(not wrong, f"scans were {wrong[:2]}, not {expected}")
    times = [record["ts"] for record in records]
    check(len(times) == SCANS and times == sorted(set(times)),
          f"{SCANS} scans have {len(set(times))} times")


# ---- vcan: a stream of frames ----

SPEED = {"name": "speed", "id": "0x0CF00400", "start": 24, "length": 16, "factor": 0.125,
         "unit": "1/min"}
LEVEL = {"name": "level", "id": "0x123", "start": 7, "length": 16, "order": "big", "type": "signed",
         "factor": 0.01}
BUS = (
    {"name": "engine", "driver": "can", "interface": "vcan0", "errors": True,
     "signals": [SPEED, LEVEL]},
    # The control: one bit beside it, and the other order.
    {"name": "engine-twin", "driver": "can", "interface": "vcan0", "errors": True,
     "signals": [SPEED | {"start": 25, "length": 15}, LEVEL | {"start": 0, "order": "little"}]},
)
FRAMES = 150
# Both kinds of identifier, and one that nobody asked for.
STREAM = (f"for i in $(seq 0 {FRAMES - 1}); do s=$((i * 100)); l=$(((i * 217 - 9000) & 65535)); "
          "printf '0CF00400 ffffff%02x%02xffffff\\n123 %04x\\n124 ffff\\n' "
          "$((s & 255)) $((s >> 8)) $l; done | send_frames vcan0")


def bus(bench):
    # The first record says how the bus is.
    wait_until("the bus", lambda: bench.records("engine") and bench.records("engine-twin"))
    bench.machine.run(STREAM)
    wait_until("the frames", lambda: all(len(bench.records(name)) > 2 * FRAMES
                                         for name in ("engine", "engine-twin")))

    def compare(records):
        speeds, levels = ([record["values"][name] for record in records if name in record["values"]]
                          for name in ("speed", "level"))
        check(speeds == [number * 100 * 0.125 for number in range(FRAMES)], f"speed was {speeds}")
        check(levels == [(number * 217 - 9000) / 100 for number in range(FRAMES)],
              f"level was {levels}")

    records = bench.records("engine")
    compare(records)
    must_fail("a bit beside it", lambda: compare(bench.records("engine-twin")))
    must_fail("a lost frame", lambda: compare(records[:7] + records[8:]))
    return f"can took the {2 * FRAMES} of {3 * FRAMES} frames that were asked for"


PARTS = {"tmp105": (TMP105, tmp105), "dps310": (DPS310, dps310), "stub": (STUBBED, stub),
         "panel": (PANEL, panel), "dummies": (DUMMIES, dummies), "bus": (BUS, bus)}


def sensors(run, board="sabrelite", only="all"):
    """Chips, lines and buses that follow what is set from outside, through the kernel's hwmon, IIO,
    I2C, GPIO and CAN: each value arrives, and no other. ONLY plays one part of it."""
    parts = [part for name, part in PARTS.items() if only in ("all", name)]
    bench = Bench(run, board, [sensor for configured, _ in parts for sensor in configured])
    for _, play in parts:
        print(f"{board}: {play(bench)}", flush=True)
    bench.machine.cut()
