#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The record of how the agent is: each holding route gets it once, with the numbers of the status,
also when there is nothing else to send, and without anything being written to flash for it.
"""
import json
import re

import harness
from harness import check, wait_until

MEMBERS = {"event": str, "version": str, "config_id": str, "uptime_s": int, "depth": int,
           "oldest_age_s": int, "evicted": int, "dead": int, "clock": str, "flash_bytes": int,
           "flash_commits": int, "link_bytes": int, "healthy": bool, "warnings": int}
OPTIONAL = {"certificate_days": int}


def arrived(sink):
    return [json.loads(data) for _, _, data in sink.records()]


def check_members(record):
    check(record["sensor"] == "runnel", record)
    data = record["data"]
    expected = {**MEMBERS, **{name: kind for name, kind in OPTIONAL.items() if name in data}}
    check({name: type(value) for name, value in data.items()} == expected, data)
    check(data["event"] == "health" and data["clock"] in ("synced", "corrected", "estimated"), data)


def check_own_name(agent):
    """Nobody else speaks under the agent's name."""
    result = agent.call("send", "runnel", stdin='{"event":"health"}\n')
    check(result.returncode == 1 and "this name is the agent's own" in result.stderr,
          f"send runnel: {result.returncode} {result.stderr}")


def check_estimate(agent):
    """What the hourly record costs is in the estimate: some 720 requests of a month."""
    requests = []
    for agent.config["health"] in ("1h", "0s"):
        agent.write_config()
        text = agent.call("check", "--estimate", "-c", agent.config_file).stdout
        requests.append(int(re.search(r"route +live requests=(\d+)", text).group(1)))
    check(700 <= requests[0] <= 740 and requests[1] == 0, f"estimated requests: {requests}")


def scenario(run, lane):
    sinks = [harness.Sink(run, name=name) for name in ("live", "side")]
    routes = [{"name": name, "endpoint": sink.endpoint, "ca_file": str(sink.ca), "lanes": lanes,
               **harness.NO_QUESTION} for name, sink, lanes in
              (("live", sinks[0], ["alarm", "normal", "bulk"]), ("side", sinks[1], [lane]))]
    agent = harness.Agent(run, None, routes=routes, health="1s",
                          spool={"lanes": {"normal": {"age": "50ms"}}})
    agent.start()
    wait_until("the first record", lambda: all(map(arrived, sinks)))
    before = agent.status()
    wait_until("five of them", lambda: all(len(arrived(sink)) >= 5 for sink in sinks))
    after = agent.status()
    check(before["flash"]["commits"] == after["flash"]["commits"],
          f"written while online: {before['flash']} {after['flash']}")
    check_own_name(agent)
    check(agent.stop() == 0, agent.tail())
    check_estimate(agent)
    found = [arrived(sink) for sink in sinks]
    for record in found[0]:
        check_members(record)
        check(record["data"]["config_id"] == after["config_id"], record)
        check(record["data"]["warnings"] == len(after["warnings"]), record)
    first, last = found[0][0]["data"], found[0][4]["data"]
    check(first["uptime_s"] < last["uptime_s"] and first["link_bytes"] < last["link_bytes"],
          f"{first} {last}")
    numbers = [[record["seq"] for record in records] for records in found]
    check(len(set(numbers[0])) == len(numbers[0]), f"twice: {numbers[0]}")
    check(set(numbers[1]) ^ set(numbers[0]) <= {max(map(max, numbers))}, f"only one has: {numbers}")
    print(f"{len(numbers[0])} records each, {after['flash']['commits']} commits", flush=True)


if __name__ == "__main__":
    chosen = harness.arguments(
        __doc__, (("--plant",), {"action": "store_true",
                                 "help": "only in the lane whose records are written at once"}))
    harness.main(chosen, lambda run: scenario(run, "alarm" if chosen.plant else "normal"))
