#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an operator gets wrong is said in status and log, once, with what to do about it."""
import re

import harness
from harness import check, wait_until

KEYS = f"aws_access_key_id = {harness.ACCESS_KEY}\naws_secret_access_key = {harness.SECRET_KEY}\n"


def start(run, sink, name, **changes):
    agent = harness.Agent(run, sink.endpoint, changes.pop("ca", sink.ca), name=name,
                          spool={"size": "256KiB"}, **{"sensors": [{"name": "w", "driver": "sim",
                                                                    "lane": "alarm"}], **changes})
    agent.start()
    return agent


def check_remedy(run, sink, name, remedy, **changes):
    """The route's error holds REMEDY exactly once, and waits for the operator, not for the link."""
    agent = start(run, sink, name, **changes)
    route = wait_until(f"an error of {name}",
                       lambda: next((route for route in (agent.status() or {"routes": {}})
                                     ["routes"].values() if route["error"]), None))
    error = route["error"]
    check(error.count(remedy) == 1, f"{name}: {remedy!r} is not once in {error!r}")
    check(route["state"] == "needs-operator", f"{name}: {route['state']}: {error!r}")
    agent.stop()


def check_credentials_file(run, sink, text):
    agent = harness.Agent(run, sink.endpoint, sink.ca, name="keys", spool={"size": "256KiB"},
                          sensors=[{"name": "w", "driver": "sim", "lane": "alarm"}])
    keys = agent.folder / "keys"
    keys.write_bytes(text)
    keys.chmod(0o600)
    del agent.environment["AWS_ACCESS_KEY_ID"], agent.environment["AWS_SECRET_ACCESS_KEY"]
    agent.environment["AWS_SHARED_CREDENTIALS_FILE"] = str(keys)
    agent.start()
    wait_until("a delivery", lambda: agent.counters(lane="alarm")["delivered"] > 0)
    agent.stop()


def check_quotes(run, sink):
    """A value in the log ends at its second quote, whatever a path or a server holds."""
    agent = start(run, sink, "quotes", sensors=[
        {"name": "odd", "driver": "lines", "path": str(run.folder / 'a"b c=d')}])
    line = wait_until("the sensor's failure",
                      lambda: re.search(r".* sensor-failed .*", agent.log.read_text()))
    check(re.search(r' sensor=odd error="[^"]*" silenced=0$', line.group()), line.group())
    agent.stop()


def check_missing_parts(run, sink):
    """A disk and an interface that are not there are named once; the rest arrives."""
    agent = start(run, sink, "parts", sensors=[{
        "name": "machine", "driver": "proc", "interval": "10ms", "lane": "alarm",
        "disk": str(run.folder / "no-disk"), "interface": "etth0"}])
    wait_until("samples", lambda: agent.status()["sensors"]["machine"]["samples"] >= 3)
    sensor = agent.status()["sensors"]["machine"]
    check(sensor["errors"] == 0 and "load1" in sensor["values"], sensor)
    check("disk_total" not in sensor["values"] and "network_rx" not in sensor["values"], sensor)
    lines = re.findall(r'sensor-incomplete sensor=machine missing="(.*)"', agent.log.read_text())
    check(len(lines) == 1 and "no-disk: No such file" in lines[0] and "etth0" in lines[0], lines)
    agent.stop()


def check_absent_input(run, sink):
    """A drain delivers what there is, names what is not there, and ends."""
    there = harness.lines_file(run.folder / "there.log", 100)
    absent = run.folder / "absent.log"
    agent = harness.Agent(run, sink.endpoint, sink.ca, name="absent-input",
                          sensors=[harness.lines_sensor(there, name="there"),
                                   harness.lines_sensor(absent, name="away")])
    before = sink.summary()["identities"]["unique"]
    code = agent.drain(timeout_s=harness.DEADLINE_S)
    check(code == 1, f"the drain gave {code}: {agent.tail()}")
    check(f'drain-unread sensor=away error="{absent}: No such file' in agent.tail(), agent.tail())
    check("drain-incomplete inputs=unfinished records=0" in agent.tail(), agent.tail())
    check(sink.summary()["identities"]["unique"] - before == 100, "the rest was not delivered")


def scenario(run):
    sink = harness.Sink(run)
    other = harness.Sink(run, name="other")
    check_remedy(run, sink, "wrong-ca", "check ca_file", ca=other.ca)
    check_remedy(run, sink, "folder-ca", "Is a directory", ca=run.folder)
    absent = run.folder / "absent.pem"
    check_remedy(run, sink, "absent-ca", "PEM files", ca=absent)
    check_remedy(run, sink, "named-ca", f"{absent}: No such file", ca=absent)
    check_remedy(run, sink, "wrong-region", "the region", routes=[{"region": "eu-west-1"}])
    check_credentials_file(run, sink, b"\xef\xbb\xbf[default]\r\n" +
                           KEYS.replace("\n", "\r\n").encode())
    check_quotes(run, sink)
    check_missing_parts(run, sink)
    check_absent_input(run, sink)


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
