#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
`runnel sensors` of a running agent and of none: what it lists, reads and refuses, that a reading is
not recorded, and that whoever stands before a sensor is told the path, the errno and what to check.
"""
import json
import os
import stat

import harness
from harness import check

SENSORS = [
    {"name": "machine", "driver": "proc", "interval": "1h"},
    {"name": "stairs", "driver": "sim", "interval": "1h", "wave": "saw", "period": 1000,
     "unit": "Cel"},
    {"name": "deaf", "driver": "sim", "interval": "1h", "bus": "far", "hang": "60s",
     "timeout": "200ms"},
    {"name": "behind", "driver": "sim", "interval": "1h", "bus": "stuck", "timeout": "100ms"},
    {"name": "stuck", "driver": "sim", "interval": "1s", "bus": "stuck", "hang": "60s",
     "timeout": "50s"},
    {"name": "absent", "driver": "lines", "path": "/dev/no-such-tty"},
]


def read(agent, name, *options, code=0):
    result = agent.call("sensors", name, "-c", agent.config_file, "--json", *options)
    check(result.returncode == code, f"{name}: {result.returncode}, not {code}: {result.stderr}")
    return json.loads(result.stdout)[name]


def text(agent, *arguments, code=0):
    result = agent.call("sensors", "-c", agent.config_file, *arguments)
    check(result.returncode == code, f"{arguments}: {result.returncode}: {result.stderr}")
    wide = [line for line in result.stdout.splitlines() if len(line) > 80]
    check(not wide, f"wider than 80 columns: {wide}")
    check(not result.stdout.endswith("what to check\n"), f"nothing to check: {result.stdout}")
    return result.stdout


def check_list(agent, by_agent):
    result = agent.call("sensors", "--json", "-c", agent.config_file)
    listed = json.loads(result.stdout)
    check(listed["agent"] == by_agent, result.stdout)
    check(list(listed["sensors"]) == [sensor["name"] for sensor in agent.config["sensors"]],
          list(listed["sensors"]))
    for name, driver in listed["drivers"].items():
        check(driver["kind"] in ("polled", "stream") and driver["summary"], name)
        check(f"\n  {name} " in text(agent), f"the text does not list {name}")
    for name, symbol in listed["left_out"].items():
        check(symbol == f"CONFIG_DRIVER_{name.upper()}", symbol)
        refused = agent.call("sensors", "--driver", name)
        check(refused.returncode == 2 and symbol in refused.stderr, refused.stderr)
    check(("state" in listed["sensors"]["machine"]) == by_agent, listed["sensors"]["machine"])


def check_columns(agent):
    """What stands under the names of drivers is a driver."""
    lines = text(agent).splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("  ") and number)
    names = [line.split()[0] for line in lines[1:end] if not line.startswith(13 * " ")]
    drivers = json.loads(agent.call("sensors", "--json", "-c", agent.config_file).stdout)["drivers"]
    check(names == list(drivers), f"looks like a driver: {sorted(set(names) - set(drivers))}")


def check_driver(agent):
    keys = json.loads(agent.call("sensors", "--driver", "sim", "--json").stdout)["keys"]
    check(keys["wave"]["choices"] == "sine|square|saw|walk|noise", keys["wave"])
    check((keys["channels"]["low"], keys["channels"]["high"]) == (1, 32), keys["channels"])
    shown = text(agent, "--driver", "lines")
    check("path" in shown and "required" in shown and "115200" in shown, shown)
    refused = agent.call("sensors", "--driver", "telepathy")
    check(refused.returncode == 2 and "telepathy" in refused.stderr, refused.stderr)


def check_failures(agent):
    late = read(agent, "deaf", code=1)["fault"]
    check(late["name"] == "E_TIMEOUT" and late["check"], late)
    check("E_" not in text(agent, "deaf", code=1), "a name of our own in a text for people")
    absent = read(agent, "absent", "--wait", "0s", code=1)["fault"]
    check(absent["name"] == "ENOENT" and absent["errno"] == 2, absent)
    check("/dev/no-such-tty" in absent["text"], absent)
    shown = text(agent, "absent", "--wait", "0s", code=1)
    check("- /dev is there, /dev/no-such-tty is not" in shown and "(errno 2)" in shown, shown)
    check(shown.count("\n  - ") >= 3, shown)
    nobody = agent.call("sensors", "nobody", "-c", agent.config_file)
    check(nobody.returncode == 2 and "machine" in nobody.stderr, nobody.stderr)


def check_running(agent):
    stored = harness.wait_until("first samples", lambda: (
        status := agent.status()) and status["sensors"]["stairs"]["samples"] == 1 and status)
    first = stored["sensors"]["stairs"]["values"]["value"]
    for number in range(1, 4):
        value = read(agent, "stairs")["values"]["value"]
        check(value["unit"] == "Cel" and value["meaning"] == "degrees Celsius", value)
        check(round(value["value"] - first, 2) == round(0.02 * number, 2), f"{first} {value}")
    shown = text(agent, "stairs")
    check("degrees Celsius" in shown and "not recorded" in shown, shown)
    status = agent.status()["sensors"]["stairs"]
    check(status["samples"] == 1 and status["errors"] == 0, f"it was counted: {status}")
    check("load1" in read(agent, "machine")["values"], "machine has no load")
    busy = read(agent, "behind", "--wait", "100ms", code=1)["fault"]
    check("the sensor stuck is being asked" in busy["text"] and busy["name"] == "E_BUSY", busy)
    itself = read(agent, "stuck", "--wait", "100ms", code=1)["fault"]
    check("its driver has not come back" in itself["text"], itself)
    check(itself["name"] == "E_TIMEOUT", itself)


def check_stream(agent, fifo):
    writer = os.open(fifo, os.O_WRONLY)
    silent = read(agent, "plc", "--wait", "100ms", code=1)["fault"]
    check("nothing new came" in silent["text"], silent)
    reader = harness.Process(agent.command("sensors", "plc", "--wait", "30s", "--json"),
                             agent.folder / "reader.log", env=agent.environment, stdout=-1)
    # Whatever of these comes after it asked is its answer.
    while reader.running():
        os.write(writer, b'{"state":"run"}\n')
        harness.time.sleep(0.02)
    said = json.loads(reader.popen.stdout.read())["plc"]
    check(said["document"] == '{"state":"run"}' and said["fault"] is None, said)
    os.close(writer)


def check_stopped(agent, fifo):
    check_list(agent, by_agent=False)
    check_failures(agent)
    check(read(agent, "stairs")["values"]["value"]["value"] == -10, "the first step")
    check("no agent runs" in text(agent, "stairs"), "who read it")
    plain = agent.folder / "numbers"
    plain.write_text("21.50\n")
    agent.set_sensors([harness.lines_sensor(plain, name="file", unit="Cel"),
                       harness.lines_sensor(fifo, name="plc")])
    check(read(agent, "file")["values"]["value"]["value"] == 21.5, "the line of the file")
    check(read(agent, "plc", "--wait", "50ms", code=1)["fault"]["name"] == "E_AGAIN", "silence")
    if os.geteuid() != 0:
        plain.chmod(0)
        fault = read(agent, "file", code=1)["fault"]
        check(fault["name"] == "EACCES" and "who" not in fault["text"], fault)
    shown = text(agent, "file", code=1) if os.geteuid() != 0 else ""
    check(os.geteuid() == 0 or "mode 0000" in shown, shown)
    agent.config["sensors"] = [{"name": "x", "driver": "sim", "tags": {"site": "${file:/no/such}"}}]
    agent.write_config()
    waiting = agent.call("sensors", "-c", agent.config_file).stderr
    check("/no/such" in waiting.splitlines()[0] and
          "cannot be used: something that it names is missing, see above\n" in waiting, waiting)
    agent.config["sensors"] = [{"name": "x", "driver": "telepathy"}]
    agent.write_config()
    faulty = agent.call("sensors", "-c", agent.config_file)
    check(faulty.returncode == 78 and "telepathy" in faulty.stderr, faulty.stderr)
    check("\n  sim " in faulty.stdout, "a faulty configuration hides the drivers")


def check_without_configuration(agent):
    """The list of drivers is what a first configuration is written by."""
    missing = ("-c", agent.folder / "no-such-file")
    plain = agent.call("sensors", *missing)
    check(plain.returncode == 78 and "no-such-file" in plain.stderr, plain.stderr)
    listed = json.loads(agent.call("sensors", "--json", *missing).stdout)
    check("sim" in listed["drivers"] and listed["sensors"] is None, listed)
    for name in listed["drivers"]:
        check(f"\n  {name} " in plain.stdout, f"the text does not list {name}")
    check(agent.call("sensors", "x", *missing).stdout == "", "drivers where a sensor was asked for")


def check_how_often(agent):
    """As `runnel check` says it, and never less than it is."""
    agent.set_sensors([{"name": "quick", "driver": "sim", "interval": "250ms"},
                       {"name": "slow", "driver": "sim", "interval": "1s"},
                       harness.lines_sensor("/dev/no-such-tty", name="tty")])
    shown = text(agent)
    for line in ("quick: sim, every 250ms,", "slow: sim, every 1s,",
                 "tty: lines on /dev/no-such-tty, when it speaks,"):
        check(line in shown, shown)
    if "gpio" in json.loads(agent.call("sensors", "--json").stdout)["drivers"]:
        pulses = {"name": "pulses", "driver": "gpio", "chip": "none", "interval": "2s",
                  "lines": [{"offset": 1, "mode": "count"}]}
        agent.set_sensors([pulses])
        check("pulses: gpio on none, every 2s of what it says," in text(agent), text(agent))


def check_usage(agent):
    for arguments in (["--wait", "1s"], ["a", "--driver", "sim"], ["a", "b"], ["--wait", "x", "a"],
                      ["--colour"]):
        check(agent.call("sensors", *arguments).returncode == 2, arguments)
    check("usage: runnel sensors" in agent.call("sensors", "--help").stdout, "help")


def scenario(run):
    fifo = run.folder / "fifo"
    os.mkfifo(fifo)
    sensors = SENSORS + [harness.lines_sensor(fifo, name="plc")]
    agent = harness.Agent(run, "https://localhost:1", sensors=sensors)
    agent.start()
    check(stat.S_ISSOCK(os.stat(agent.environment["RUNNEL_SOCKET"]).st_mode), "no socket")
    check_list(agent, by_agent=True)
    check_driver(agent)
    check_columns(agent)
    check_failures(agent)
    check_running(agent)
    check_stream(agent, fifo)
    check_usage(agent)
    check(agent.stop() == 0, agent.tail())
    check_stopped(agent, fifo)
    check_how_often(agent)
    check_without_configuration(agent)


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
