#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
`runnel check --estimate` against what an agent with the same configuration does.

Intervals and ages are short, so that seconds have what an hour has elsewhere. What is measured is
what the agent did between two of its requests, so that none is cut; the estimate is scaled to the
time between them. Requests, records, bytes both ways, billed units and flash: within a tenth.

With --hour: a gateway as there are many, at its own pace, for an hour.
"""
import re
import time

import harness
from harness import check

SHARE = 0.1
SECONDS = 3
SECONDS_FEW = 8
SECONDS_HOUR = 3600
DAY_S = 24 * 3600
KB = 1024
UNSEEN = {"commits": 1, "flash_bytes": 5 * 4 * KB}


def sensors(count=4, interval="20ms"):
    return [{"name": f"sensor-{number}", "driver": "sim", "interval": interval, "channels": 3,
             "wave": "walk", "seed": number + 1, "amplitude": 100, "offset": 500}
            for number in range(count)]


def spool(age, window="75s", **more):
    return {"lanes": {"normal": {"age": age, "window": window}}, **more}


CASES = {
    "none": {"sensors": sensors(), "spool": spool("500ms"), "routes": [{}]},
    "lines-gzip": {"sensors": sensors(), "spool": spool("1s"),
                   "routes": [{"pack": "lines", "compress": "gzip"}]},
    "kpl": {"sensors": sensors(), "spool": spool("1s"), "routes": [{"pack": "kpl"}]},
    "firehose": {"sensors": sensors(count=2), "spool": spool("500ms"),
                 "routes": [{"destination": "firehose"}]},
    # The window is over before the age is: everything is written.
    "written": {"sensors": sensors(count=2),
                "spool": spool("1s", window="400ms", ack_window="300ms"), "routes": [{}]},
    # Which of the sensors waited longest decides what is in time for a request.
    "few": {"sensors": sensors(3, "250ms"), "spool": spool("1500ms"), "routes": [{}]},
}

HOUR = {"hour": {"sensors": sensors(10, "10s"), "spool": spool("60s"),
                 "routes": [{"pack": "lines", "compress": "gzip"}]}}


def estimate(agent):
    """{name: amount in a second} of the route and of flash."""
    result = agent.call("check", "-c", agent.config_file, "--estimate")
    check(result.returncode == 0, f"no estimate: {result.stdout} {result.stderr}")
    days = int(re.search(r"^estimate days=(\d+) ", result.stdout, re.M).group(1))
    lines = re.findall(r"^(?:route +live|flash) .*$", result.stdout, re.M)
    return {name: int(amount) / days / DAY_S
            for line in lines for name, amount in re.findall(r" (\w+)=(\d+)", line)}


def look(agent):
    """(time, counters) right behind a request, which is counted once all else is."""
    def requests(status):
        return status["routes"]["live"]["requests"]

    before = requests(agent.status())

    def next_status():
        status = agent.status()
        return status if requests(status) > before else None

    status = harness.wait_until("a request", next_status, 3 * harness.DEADLINE_S)
    route = status["routes"]["live"]
    return time.monotonic(), {
        "requests": route["requests"], "records": route["lanes"]["normal"]["delivered"],
        "bytes_out": route["bytes_out"], "bytes_in": route["bytes_in"],
        "link_bytes": route["bytes_out"] + route["bytes_in"],
        "commits": status["flash"]["commits"], "flash_bytes": status["flash"]["bytes"]}


def entries(sink, destination):
    """How long each is that was stored, and with its key."""
    if destination == "firehose":
        return [(len(line) + 1, 0) for line in sink.delivered()]
    with sink.dump.open(encoding="latin-1", newline="\n") as dump:
        columns = [line[:-1].split("\t", 2) for line in dump]
    return [(len(re.sub(r"\\x[01][0-9a-f]", " ", data)), len(key)) for _, key, data in columns]


def bill(sizes, destination):
    if destination == "firehose":
        return {"firehose_bytes": sum(-(-size // (5 * KB)) * 5 * KB for size, _ in sizes)}
    return {"put_payload_units": sum(-(-(size + key) // (25 * KB)) for size, key in sizes),
            "on_demand_bytes": sum(-(-(size + key) // KB) * KB for size, key in sizes)}


def watch(agent, seconds):
    """The counters of an agent while it runs, a second, and for how long it was."""
    agent.start()
    look(agent)
    since, before = look(agent)
    harness.wait_until("the end", lambda: time.monotonic() > since + seconds, 2 * seconds)
    until, after = look(agent)
    agent.stop()
    found = {name: (after[name] - before[name]) / (until - since) for name in after}
    return {**found, "seconds": until - since}


def measure(agent, sink, destination, seconds):
    """The same, with what is billed."""
    found = watch(agent, seconds)
    requests = sink.stop()["requests"]
    for name, amount in bill(entries(sink, destination), destination).items():
        found[name] = amount / requests * found["requests"]
    return found


def differs(name, estimated, measured):
    """By more than a tenth; none at all while it was measured may be too few to be seen."""
    if measured == 0:
        return estimated * SECONDS > UNSEEN.get(name, 0)
    return abs(estimated - measured) > SHARE * measured


def faults(estimated, measured):
    return [f"{name}: {estimated.get(name, 0):.2f} a second estimated, {amount:.2f} measured"
            for name, amount in measured.items() if differs(name, estimated.get(name, 0), amount)]


def control(measured):
    """The judge above finds what it is there for."""
    check(not faults(measured, measured), "the same is not the same")
    for name, amount in measured.items():
        for planted in (amount * 0.85, amount * 1.15 + UNSEEN.get(name, 0) / SECONDS * 1.01):
            found = faults({**measured, name: planted}, measured)
            check(found or planted == amount, f"{name}: {planted} for {amount} passes")


def scenario(run, cases, seconds):
    for name, case in cases.items():
        route = case["routes"][0]
        route.update(harness.NO_QUESTION)
        sink = harness.Sink(run, name=f"{name}-sink")
        agent = harness.Agent(run, sink.endpoint, sink.ca, name=name, **case)
        estimated = estimate(agent)
        measured = measure(agent, sink, route.get("destination"),
                           SECONDS_FEW if name == "few" else seconds)
        del measured["seconds"]
        control(measured)
        print(f"{name}: " + ", ".join(
            f"{key} {estimated.get(key, 0):.1f}/{amount:.1f}" for key, amount in measured.items()),
              flush=True)
        found = faults(estimated, measured)
        check(not found, f"{name}: {'; '.join(found)}")


if __name__ == "__main__":
    options = harness.arguments(__doc__, (("--hour",), {"action": "store_true"}))
    harness.main(options, lambda run: scenario(run, HOUR if options.hour else CASES,
                                               SECONDS_HOUR if options.hour else SECONDS))
