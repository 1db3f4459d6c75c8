#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
`runnel spool` on a running agent and on a stopped one, during an outage: what it exports is, byte
for byte, what the cloud then receives; looking changes nothing; damage is found and passed over.
"""
import hashlib
import json
import shutil
import subprocess

import harness
from harness import check

READINGS, DOCUMENTS = 3000, 400
LANES = ("alarm", "normal", "bulk")


def document(number, lane):
    note = "marker-small" if number == 7 and lane == "bulk" else "x" * 40
    return json.dumps({"n": number, "lane": lane, "note": note})


def long_document():
    return json.dumps({"long": "y" * 10000 + "marker-long" + "z" * 10000})


def fill(agent, run):
    """Readings, documents in every lane, and one of several blocks: how many records."""
    source = run.folder / "numbers"
    source.write_text("".join(f"{number / 100:.2f}\n" for number in range(READINGS)))
    agent.set_sensors([harness.lines_sensor(source, name="meter")])
    agent.start()
    for lane in LANES:
        lines = [document(number, lane) for number in range(DOCUMENTS)]
        check(agent.send("plc", lines, "--lane", lane) == 0, f"not accepted: {agent.tail()}")
    check(agent.send("plc", [long_document()], "--lane", "bulk") == 0, agent.tail())
    return READINGS + len(LANES) * DOCUMENTS + 1


def export(agent, *options):
    result = agent.call("spool", "export", "-c", agent.config_file, *options)
    check(result.returncode == 0, result.stderr)
    return result


def export_all(agent, count):
    """The lines, once all of them are there, and what the summary said."""
    def whole():
        result = export(agent)
        return result if result.stdout.count("\n") == count else None

    result = harness.wait_until(f"{count} exported records", whole)
    check(result.stderr == f"exported {count} records, 0 damaged blocks passed over\n",
          result.stderr)
    return result.stdout.splitlines()


def check_lane(agent, lines):
    alarm = export(agent, "--lane", "alarm").stdout.splitlines()
    check(alarm == lines[:DOCUMENTS], "--lane alarm is not what stands first in the whole")
    check(all('"lane": "alarm"' in line for line in alarm), alarm[0])


def check_show(agent, count, running):
    result = agent.call("spool", "show", "--json", "-c", agent.config_file)
    check(result.returncode == 0, result.stderr)
    shown = json.loads(result.stdout)
    check(sum(lane["records"] for lane in shown["lanes"].values()) == count, shown)
    check(all(lane["oldest"] <= lane["newest"] for lane in shown["lanes"].values()), shown)
    route = shown["routes"]["live"]
    check(route["running"] == running, route)
    for counters in route["lanes"].values():
        harness.check_identity(counters)
    if not running:
        check(sum(lane["stored"] for lane in route["lanes"].values()) == count, route)
    text = agent.call("spool", "show", "-c", agent.config_file).stdout
    check(shown["spool"] in text and "route live" in text, text)
    wide = [line for line in text.splitlines() if len(line) > 80]
    check(all(line.startswith("spool ") or "  " in line and "=" in line for line in wide),
          f"wider than a serial console: {wide}")


def check_sound(agent, count):
    result = agent.call("spool", "check", "-c", agent.config_file)
    check(result.returncode == 0 and f"sound: {count} records" in result.stdout, result)
    result = agent.call("spool", "check", "--json", "-c", agent.config_file)
    check(json.loads(result.stdout) == {"damaged": [], "records": count, "sound": True}, result)


def check_full_output(agent):
    with open("/dev/full", "w", encoding="ascii") as full:
        result = subprocess.run(agent.command("spool", "export", "-c", agent.config_file),
                                env=agent.environment, stdout=full, stderr=subprocess.PIPE,
                                text=True, timeout=harness.DEADLINE_S, check=False)
    check(result.returncode == 1 and "standard output cannot be written" in result.stderr, result)


def check_broken_pipe(agent):
    with harness.Process(agent.command("spool", "export", "-c", agent.config_file),
                         agent.folder / "pipe.log", env=agent.environment,
                         stdout=subprocess.PIPE).popen as popen:
        check(len(popen.stdout.readline()) > 1, "nothing was exported")
        popen.stdout.close()
        code = popen.wait(harness.DEADLINE_S)
    said = (agent.folder / "pipe.log").read_text()
    check(code == 1 and "standard output cannot be written" in said, f"{code}: {said}")


def check_other_process(agent):
    """Somebody has the spool, and nobody answers: both are named."""
    environment, agent.environment = agent.environment, {
        **agent.environment, "RUNNEL_SOCKET": str(agent.folder / "nobody.sock")}
    result = agent.call("spool", "show", "-c", agent.config_file)
    agent.environment = environment
    check(result.returncode == 1 and "nobody.sock" in result.stderr and
          str(agent.state) in result.stderr and "RUNNEL_SOCKET" in result.stderr, result)


def file_of(agent):
    return agent.state / "spool.mdb"


def check_damage(agent, lines):
    """In a copy: a block, a piece of a long document, and then the pages."""
    state = agent.environment["RUNNEL_STATE"]
    copy = agent.folder / "copy"
    shutil.copytree(agent.state, copy)
    damaged = (copy / "spool.mdb").read_bytes()
    for marker in (b"marker-small", b"marker-long"):
        check(marker in damaged, f"{marker} is not in the file")
        damaged = damaged.replace(marker, b"M" + marker[1:])
    (copy / "spool.mdb").write_bytes(damaged)
    agent.environment["RUNNEL_STATE"] = str(copy)
    result = export(agent)
    found = result.stdout.splitlines()
    check("2 damaged blocks passed over" in result.stderr, result.stderr)
    check(set(found) < set(lines) and len(found) > len(lines) / 2, f"{len(found)} records")
    check(not [line for line in found if "arker-" in line], "a damaged record was exported")
    result = agent.call("spool", "check", "-c", agent.config_file)
    check(result.returncode == 1, result)
    check(result.stdout.count("damaged: lane bulk, from sequence ") == 2, result.stdout)
    result = agent.call("spool", "check", "--json", "-c", agent.config_file)
    shown = json.loads(result.stdout)
    check(result.returncode == 1 and not shown["sound"] and len(shown["damaged"]) == 2, shown)
    (copy / "spool.mdb").write_bytes(damaged[:8192] + b"\xff" * 8192 + damaged[16384:])
    result = agent.call("spool", "check", "-c", agent.config_file)
    check(result.returncode == 1 and "page" in result.stderr, result)
    shutil.rmtree(copy)
    result = agent.call("spool", "export", "-c", agent.config_file)
    check(result.returncode == 1 and "there is no spool" in result.stderr, result)
    check(not copy.exists(), "looking made a state directory")
    agent.environment["RUNNEL_STATE"] = state


def scenario(run):
    sink = harness.Sink(run)
    sink.outage()
    agent = harness.Agent(run, sink.endpoint, sink.ca, spool={
        "size": "4MiB", "lanes": {"normal": {"age": "1s", "window": "11s"}}})
    count = fill(agent, run)
    lines = export_all(agent, count)
    check_lane(agent, lines)
    check_show(agent, count, running=True)
    check_sound(agent, count)
    check_full_output(agent)
    check_broken_pipe(agent)
    check_other_process(agent)
    check(agent.stop() == 0, agent.tail())

    before = hashlib.sha256(file_of(agent).read_bytes()).digest()
    check(export_all(agent, count) == lines, "a stopped agent's spool exports something else")
    check_lane(agent, lines)
    check_show(agent, count, running=False)
    check_sound(agent, count)
    check_full_output(agent)
    check_broken_pipe(agent)
    check(hashlib.sha256(file_of(agent).read_bytes()).digest() == before, "the file was changed")
    check_damage(agent, lines)

    sink.outage(0)
    agent.set_sensors([])
    check(agent.drain() == 0, agent.tail())
    sink.stop()
    received = [data for _, _, data in sink.records()]
    check(sorted(harness.timeless(received, lines)) == sorted(harness.timeless(lines, lines)),
          "the sink received something else than was exported")
    print(f"{count} records exported as they were received")


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
