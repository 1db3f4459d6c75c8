#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What is text on its way in arrives as values: a table, pairs and a receiver's sentences from files,
each resumed in its middle, what programs print, and what the agent says of itself. Of a program
that does not end nothing is left, neither at its deadline nor after the agent.
"""
import decimal
import fractions
import json
import pathlib

import harness
from harness import check, wait_until

ROWS, FIXES = 300, 120


def write_table(path):
    """Rows with every number of decimals, some without a value, one cut off. The values."""
    expected = []
    with path.open("w", encoding="utf-8") as file:
        file.write('time;"T out";state\n')
        for number in range(ROWS):
            temp = "" if number % 10 == 3 else f"{number * 37 - 4000}"
            if temp and number % 4:
                temp = f"{decimal.Decimal(temp).scaleb(-(number % 4))}"
            file.write(f'{number};{temp.replace(".", ",")};"state ""{number % 7}"";"\n')
            values = {"temp": decimal.Decimal(temp)} if temp else {}
            expected.append({**values, "state": f'state "{number % 7}";'})
        file.write("300;5\n")
    return expected


def write_pairs(path):
    lines = [f"up temp={number}.{number % 10}0 hum: {number % 100}, ok" for number in range(ROWS)]
    path.write_text("\n".join(lines) + "\n")
    return [{"temp": decimal.Decimal(f"{number}.{number % 10}0"),
             "hum": decimal.Decimal(number % 100)} for number in range(ROWS)]


def sentence(body):
    total = 0
    for byte in body.encode():
        total ^= byte
    return f"${body}*{total:02X}\r\n"


def degrees(whole, minutes):
    """Exact to half of 10^-7, as a number of such."""
    exact = (whole + fractions.Fraction(minutes) / 60) * 10 ** 7
    return decimal.Decimal(int(exact + fractions.Fraction(1, 2))).scaleb(-7)


def write_fixes(path):
    expected = []
    with path.open("w", encoding="ascii", newline="") as file:
        for number in range(FIXES):
            time = f"12{number // 60:02}{number % 60:02}.00"
            north, west = f"{number / 7:07.4f}", f"{59 - number / 11:08.5f}"
            valid = number % 20 != 7
            place = f"48{north},N,011{west},W" if valid else ",,,"
            file.write(sentence(f"GNRMC,{time},{'A' if valid else 'V'},{place},,,281126,,,"))
            file.write(sentence(f"GNGGA,{time},{place},{int(valid)},08,0.9,{number}.4,M,46.9,M,,"))
            file.write(sentence("GPGSV,1,1,00"))
            values = {"quality": int(valid), "satellites": 8,
                      "time": f"2026-11-28T12:{number // 60:02}:{number % 60:02}.00Z"}
            if valid:
                values |= {"lat": degrees(48, north), "lon": -degrees(11, west),
                           "alt": decimal.Decimal(f"{number}.4"), "hdop": decimal.Decimal("0.9")}
            expected.append(values)
    return expected


def arrived(sink, sensor):
    """What the records of SENSOR say, in order."""
    records = [json.loads(data, parse_float=decimal.Decimal, parse_int=decimal.Decimal)
               for _, _, data in sink.records()]
    records = [record for record in records if record["sensor"] == sensor]
    records.sort(key=lambda record: record["seq"])
    return [{**record.get("values", {}), **record.get("text", {}), **record.get("data", {})}
            for record in records]


def compare(sink, sensor, expected):
    found = arrived(sink, sensor)
    check(len(found) == len(expected), f"{sensor}: {len(found)} records of {len(expected)}")
    for number, (have, want) in enumerate(zip(found, expected)):
        check(have == want, f"{sensor} {number}: {have} is not {want}")
        digits = {name: str(value) for name, value in have.items()}
        check(digits == {name: str(value) for name, value in want.items()},
              f"{sensor} {number}: {digits} has other decimals than {want}")


def check_files(run, sink):
    """Half of each file, then, after a restart, the rest."""
    folder = run.folder
    expected = {"table": write_table(folder / "table"), "pairs": write_pairs(folder / "pairs"),
                "fixes": write_fixes(folder / "fixes")}
    channels = [{"name": "temp", "key": "T out", "unit": "Cel"}, {"name": "state", "type": "text"}]
    settings = {
        "table": {"format": "csv", "separator": ";", "header": True, "decimal_comma": True,
                  "channels": channels},
        "pairs": {"format": "keyvalue", "channels": [{"name": "temp"}, {"name": "hum"}]},
        "fixes": {"format": "nmea"},
    }
    agent = harness.Agent(run, sink.endpoint, sink.ca, name="files", sensors=[
        harness.lines_sensor(folder / f"{name}.log", name, **keys)
        for name, keys in settings.items()])
    for part in range(2):
        for name in settings:
            text = (folder / name).read_bytes()
            half = text.index(b"\n$GNRMC" if name == "fixes" else b"\n", len(text) // 2) + 1
            with (folder / f"{name}.log").open("ab") as file:
                file.write(text[half:] if part else text[:half])
        check(agent.drain() == 0, f"the agent did not deliver: {agent.tail()}")
    for name, values in expected.items():
        compare(sink, name, values)
    check("fewer fields than columns" in agent.log.read_text(), "the row that was cut is not told")


def members(groups):
    """The processes in GROUPS that are alive."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(group) in groups and state not in "ZX":
            found.append(path.parent.name)
    return found


def is_own(values):
    """With the sensor that fails, and what was delivered of the others."""
    return (values["failing"] == 1 and values["delivered"] >= 3 and values["healthy"] == 1
            and values["dead"] == values["evicted"] == 0 and values["threads"] >= 4
            and values["rss"] >= values["private"] > 0
            and values["clock"] in ("synced", "corrected", "estimated"))


def check_programs(run, sink):
    pids = run.folder / "pids"
    pids.touch()
    hang = f"echo $$ >>{pids}; trap '' TERM; sleep 600 & echo stuck >&2; sleep 600; sleep 600"
    sensors = [
        {"name": "hang", "driver": "exec", "command": ["/bin/sh", "-c", hang], "interval": "1s",
         "timeout": "200ms"},
        {"name": "load", "driver": "exec", "command": ["/bin/cat", "/proc/loadavg"],
         "interval": "200ms", "format": "csv", "separator": " ",
         "channels": [{"name": "load1"}, {"name": "load5"}, {"name": "load15"},
                      {"type": "skip"}, {"name": "last_pid"}]},
        {"name": "me", "driver": "self", "interval": "200ms"},
    ]
    agent = harness.Agent(run, sink.endpoint, sink.ca, name="programs", sensors=sensors,
                          spool={"lanes": {"normal": {"age": "100ms"}}})
    agent.start()
    first = wait_until("a run that is over", lambda: agent.status()["sensors"]["hang"]["errors"])
    groups = {int(line) for line in pids.read_text().split()}
    check(len(groups) >= first, f"{groups}: {first} errors")
    done = sorted(groups)[:first]
    wait_until("the end of all that it started", lambda: not members(done))
    error = agent.status()["sensors"]["hang"]["error"]
    check("not done after 200 ms" in error and "stuck" in error, error)
    wait_until("records of the other one", lambda: len(arrived(sink, "load")) >= 5)
    wait_until("what the agent says of itself",
               lambda: any(is_own(values) for values in arrived(sink, "me")))
    count = len(pids.read_text().split())
    wait_until("another run", lambda: len(pids.read_text().split()) > count)
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")
    groups = {int(line) for line in pids.read_text().split()}
    wait_until("the end of all that was started", lambda: not members(groups), timeout_s=10)
    for values in arrived(sink, "load"):
        check(set(values) == {"load1", "load5", "load15", "last_pid"}, f"load: {values}")
        check(values["load1"].as_tuple().exponent == -2, f"load1 has other decimals: {values}")


def scenario(run):
    sink = harness.Sink(run)
    check_files(run, sink)
    check_programs(run, sink)
    sink.stop()


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
