#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
`runnel dead` on a stopped agent and on a running one: what it exports is, byte for byte, what the
spool held; a letter that is sent again arrives under its old identity, once; a purged one never.
"""
import json
import subprocess

import harness
from harness import check

DOCUMENTS, SPOOL_BYTES = 40, 4 * 1024 * 1024


def dead(agent, *arguments, code=0):
    result = agent.call("dead", *arguments, "-c", agent.config_file)
    check(result.returncode == code, f"dead {arguments}: {result}")
    return result


def letters_of(agent, *options):
    lines = dead(agent, "list", "--json", *options).stdout.splitlines()
    return [json.loads(line) for line in lines]


def ids(letters):
    return [letter["id"] for letter in letters]


def fill(agent, run):
    """Records in an outage, every second of which dies: all lines, and the dead ones."""
    agent.start()
    documents = [json.dumps({"n": number}) for number in range(DOCUMENTS)]
    documents[4] = json.dumps({"long": "y" * 10000})
    check(agent.send("plc", documents) == 0, f"not accepted: {agent.tail()}")
    check(agent.stop() == 0, agent.tail())
    lines = agent.call("spool", "export", "-c", agent.config_file).stdout.splitlines()
    check(len(lines) == DOCUMENTS, f"{len(lines)} records")
    rig = subprocess.run([run.program("tests/e2e/dead_letters"), agent.state, "live",
                          str(SPOOL_BYTES), "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, timeout=harness.DEADLINE_S, check=False)
    check(rig.returncode == 0, rig.stderr)
    buried = {int(number) for number in rig.stdout.split()}
    check(len(buried) == DOCUMENTS / 2, buried)
    return lines, [line for line in lines if json.loads(line)["seq"] in buried]


def check_list(agent, buried):
    letters = letters_of(agent)
    records = [json.loads(line) for line in buried]
    for letter, record in zip(letters, records, strict=True):
        same = [letter[key] == record[key] for key in ("spool", "seq", "sensor")]
        check(all(same) and letter["lane"] == "normal" and letter["attempts"] == 3 and
              letter["id"].startswith("live/") and letter["route"] == "live" and
              "\n\x1b[31m" in letter["reason"] and letter["time"].endswith("Z"), letter)
    table = dead(agent, "list").stdout.splitlines()
    check(len(table) == len(letters) + 1 and table[0].startswith("LETTER"), table)
    check(all(len(line) <= 80 and line.isprintable() for line in table), table)
    check([line.split()[0] for line in table[1:]] == ids(letters), table)
    check(letters_of(agent, "--route", "live") == letters, "--route live")
    check(not letters_of(agent, "--route", "other"), "--route other")
    return letters


def alike(lines, expected):
    return harness.timeless(lines, expected) == harness.timeless(expected, expected)


def check_records(agent, letters, buried):
    check(alike(dead(agent, "export").stdout.splitlines(), buried), "exported is something else")
    check(dead(agent, "export", "--route", "other").stdout == "", "exported another route")
    for letter, line in zip(letters, buried, strict=True):
        shown = dead(agent, "show", letter["id"]).stdout.splitlines()
        check(alike([shown[-1]], [line]), f"{shown[-1]} is not {line}")
        check(f"letter    {letter['id']}" in shown and "attempts  3" in shown, shown)


def check_mistakes(agent):
    before = letters_of(agent)
    for arguments in (["resend"], ["purge"], ["purge", "--route", "live"], ["show"], ["burn"], [],
                      ["purge", "--all", "live/1"], ["list", "live/1"], ["export", "--all"]):
        result = dead(agent, *arguments, code=2)
        check("usage: runnel dead" in result.stderr, result)
    for unknown in ("live/999999", "other/1", "live", "*", "live/0", "live/1x", ""):
        for action in ("show", "resend", "purge"):
            result = dead(agent, action, unknown, code=1)
            check(f'"{unknown}" is none' in result.stderr, result)
    check(letters_of(agent) == before, "a mistake changed something")


def check_stopped(agent, buried):
    """One is purged and one marked: what is left, and what is purged."""
    letters = check_list(agent, buried)
    check_records(agent, letters, buried)
    check_mistakes(agent)
    result = dead(agent, "purge", letters[0]["id"])
    check(result.stdout == "1 dead letter purged\n", result)
    result = dead(agent, "resend", letters[1]["id"], "live/999999", code=1)
    check(result.stdout == "1 dead letter marked, to be sent again when the agent starts\n" and
          '"live/999999" is none' in result.stderr, result)
    left = letters_of(agent)
    check(ids(left) == ids(letters[1:]), left)
    check([letter["queued"] for letter in left] == [True] + [False] * (len(left) - 1), left)
    check("queued: " in dead(agent, "list").stdout, "the table does not say queued")
    return buried[2:]


def check_other_route(agent, kept):
    """The letters' route does not run: they stay, which is said of each, and may be purged."""
    route = agent.config["routes"][0]
    route["name"] = "other"
    agent.write_config()
    agent.start()
    result = dead(agent, "resend", "--all", code=1)
    check(result.stdout == "0 dead letters sent again\n" and
          result.stderr.count(": its route does not run") == kept, result)
    check(len(letters_of(agent)) == kept, "a letter of another route went")
    check(agent.stop() == 0, agent.tail())
    route["name"] = "live"
    agent.write_config()


def wait_received(sink, lines):
    """In any order, none twice."""
    expected = set(harness.timeless(lines, lines))

    def received():
        found = harness.timeless([data for _, _, data in sink.records()], lines)
        check(len(found) == len(set(found)), "received twice")
        check(set(found) <= expected, f"received besides: {set(found) - expected}")
        return len(found) == len(lines)
    harness.wait_until(f"{len(lines)} records", received)


def check_running(agent, sink, received, buried):
    wait_received(sink, received)
    harness.wait_until("the marked letter to go", lambda: len(letters_of(agent)) == len(buried))
    letters = check_list(agent, buried)
    check_records(agent, letters, buried)
    check_mistakes(agent)
    kept = agent.status()["dead"]
    check(kept["letters"] == len(buried) and kept["bytes"] > 100 * len(buried), kept)
    check(f"{len(buried)} dead letters" in agent.call("status").stdout, "status tells of none")
    result = dead(agent, "resend", letters[0]["id"], letters[1]["id"])
    check(result.stdout == "2 dead letters sent again\n", result)
    check(ids(letters_of(agent)) == ids(letters[2:]), "they are still there")
    wait_received(sink, received + buried[:2])
    result = dead(agent, "purge", letters[2]["id"])
    check(result.stdout == "1 dead letter purged\n", result)
    check(dead(agent, "resend", "--all", "--route", "other").stdout ==
          "0 dead letters sent again\n", "of another route")
    check(ids(letters_of(agent)) == ids(letters[3:]), "others went, too")
    result = dead(agent, "resend", "--all", "--route", "live")
    check(result.stdout == f"{len(letters) - 3} dead letters sent again\n", result)
    check(letters_of(agent) == [] and agent.status()["dead"] == {"letters": 0, "bytes": 0},
          "something is left")
    wait_received(sink, received + buried[:2] + buried[3:])
    check(dead(agent, "purge", "--all").stdout == "0 dead letters purged\n", "there are none")


def scenario(run):
    sink = harness.Sink(run)
    sink.outage()
    agent = harness.Agent(run, sink.endpoint, sink.ca, spool={
        "size": "4MiB", "lanes": {"normal": {"age": "50ms", "window": "1s"}}})
    lines, buried = fill(agent, run)
    left = check_stopped(agent, buried)
    check_other_route(agent, len(left) + 1)
    sink.outage(0)
    agent.start()
    received = [line for line in lines if line not in buried or line == buried[1]]
    check_running(agent, sink, received, left)
    check(agent.stop() == 0, agent.tail())
    check(letters_of(agent) == [], "a letter came back")
    sink.stop()
    print(f"{len(buried)} dead letters: 2 purged, the others arrived under their old identity")


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
