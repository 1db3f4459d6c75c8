# SPDX-License-Identifier: Apache-2.0
"""The scenarios about sensors: the kernel's own interfaces, and many at a time."""
import harness
from guest import Gateway, check, wait_until
from scenarios import records_of


def must_fail(what, comparison):
    """The control of a comparison: with a planted fault it has to find something."""
    try:
        comparison()
    except harness.Failure:
        return
    raise harness.Failure(f"{what} went unseen")


# ---- chips ----

AT_ONCE = {"normal": {"window": "0s", "age": "50ms"}}
# In thousandths of a degree, as they are set from outside; the chip has sixteenths.
TEMPERATURES = (21500, -40000, 47500, 21063, 125000)


class Bench:
    """The Sabre Lite, whose chips follow what is set from outside, and what arrives of them."""

    CHIPS = ("-device", "tmp105,id=cabinet,bus=i2c-bus.0,address=0x48")
    BOUND = "echo tmp105 0x48 >/sys/bus/i2c/devices/i2c-0/new_device"

    def __init__(self, run, board, sensors):
        self.sink = harness.Sink(run)
        self.gateway = Gateway(run, board, self.sink, modules=["lm75"], sensors=sensors,
                               spool={"lanes": AT_ONCE, "volatile": True})
        self.machine = self.gateway.boot(*self.CHIPS, serve=False)
        self.machine.run(self.BOUND)
        self.gateway.serve()

    def values(self, sensor, channel):
        """What has arrived, in the order in which it was taken, once as long as it is the same."""
        found = []
        for record in sorted(records_of(self.sink, sensor), key=lambda record: record["seq"]):
            value = record["values"].get(channel)
            if found[-1:] != [value]:
                found.append(value)
        return found

    def follow(self, expected, steps):
        """Takes STEPS, each when the values of the one before are here; EXPECTED is {(sensor,
        channel): all values from the start}, and nothing else may arrive."""
        for number, step in enumerate((lambda: None, *steps)):
            step()
            for (sensor, channel), values in expected.items():
                wait_until(f"{values[number]} of {sensor} {channel}", lambda name=(sensor, channel):
                           self.values(*name)[-1:] == [expected[name][number]])
        self.compare(expected)

    def compare(self, expected):
        for name, values in expected.items():
            found = self.values(*name)
            check(found == values, f"{name} was {found}, not {values}")


def temperatures(bench):
    """The kernel's lm75 driver, by hwmon."""
    name = ("cabinet", "temp1")
    # As the kernel rounds sixteenths.
    expected = {name: [0] + [milli * 16 // 1000 * 1000 // 16 / 1000 for milli in TEMPERATURES]}
    bench.follow(expected, [lambda value=milli: bench.machine.qmp(
        "qom-set", path="/machine/peripheral/cabinet", property="temperature", value=value)
        for milli in TEMPERATURES])
    must_fail("a step that was left out",
              lambda: bench.compare({name: expected[name][:2] + expected[name][3:]}))
    return f"hwmon followed {len(TEMPERATURES)} temperatures of a tmp105"


CABINET = {"name": "cabinet", "driver": "hwmon", "chip": "tmp105", "interval": "200ms"}


def sensors(run, board="sabrelite"):
    """The kernel's own interfaces: chips whose values are set from outside, through hwmon; each
    value arrives, and no other."""
    bench = Bench(run, board, [CABINET])
    print(f"{board}: {temperatures(bench)}")
    bench.machine.cut()
