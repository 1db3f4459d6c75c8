#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
runnel metrics as Prometheus's own parser reads it: every number of status --json is in it, with
the labels that say of what, and nothing else. What puts them where node_exporter looks does so
whole, and says of an agent that does not answer only that. Names are as promtool wants them, where
that is there.

--plant leaves a line out, which must be noticed.
"""
import collections
import os
import shutil
import signal
import subprocess

import harness
from harness import Skip, check

try:
    from prometheus_client import parser
except ImportError:
    parser = None

# The words that are measured; others are for people.
WORDS = {"state", "quality"}


def samples(text):
    """{(name, labels): value}, and that each has its HELP and TYPE."""
    found = {}
    for family in parser.text_string_to_metric_families(text):
        check(family.documentation and family.type in ("counter", "gauge"), family)
        for sample in family.samples:
            check(sample.name.startswith("runnel_"), sample)
            check((family.type == "counter") == sample.name.endswith("_total"), sample)
            key = sample.name, tuple(sorted(sample.labels.items()))
            check(key not in found, f"twice: {key}")
            found[key] = sample.value
    return found


def leaves(status, path=()):
    """(path, value) of all that counts."""
    for name, value in status.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, name))
        elif value is not None and (name in WORDS or not isinstance(value, str)):
            yield (*path, name), len(value) if isinstance(value, list) else value


def labels_of(path):
    """What stands in the path beside the names of members."""
    if path[0] == "routes":
        return {"route": path[1], **({"lane": path[3]} if path[2] == "lanes" else {})}
    if path[0] == "sensors":
        return {"sensor": path[1], **({"channel": path[3]} if path[2] == "values" else {})}
    return {"lane": path[1]} if path[0] == "lanes" else {}


def expected_labels(path, value):
    word = {path[-1]: value} if isinstance(value, str) else {}
    return tuple(sorted({**labels_of(path), **word}.items()))


def check_values(status, found):
    """A sample for each leaf; and the same values where nothing changes meanwhile."""
    wanted = collections.Counter(expected_labels(path, value) for path, value in leaves(status))
    kept = collections.Counter(labels for name, labels in found if name != "runnel_info")
    check(wanted == kept, f"{wanted.total()} numbers, {kept.total()} samples: without a line in "
          f"metrics.c {dict(wanted - kept)}, without a number {dict(kept - wanted)}")
    for lane, counters in status["routes"]["live"]["lanes"].items():
        for name, suffix in (("accepted", "_total"), ("delivered", "_total"), ("stored", ""),
                             ("dead", ""), ("evicted", "_total")):
            key = (f"runnel_route_{name}_records{suffix}",
                   tuple(sorted({"route": "live", "lane": lane}.items())))
            check(found[key] == counters[name], f"{key}: {found[key]} {counters[name]}")
    info = tuple(sorted((name, status[name])
                        for name in ("device", "spool", "version", "config_id")))
    check(found["runnel_info", info] == 1, found)


def check_names(text):
    if shutil.which("promtool") is None:
        print("promtool is not there (Debian: prometheus): nobody looked at the names", flush=True)
        return
    result = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                            text=True, check=False)
    check(result.returncode == 0, result.stdout + result.stderr)


def hand_over_command(program, folder):
    script = (harness.ROOT / "platform/prometheus/metrics").read_text()
    script = script.replace("/usr/bin/runnel", str(program))
    return ["sh", "-c", script, "metrics", str(folder)]


def hand_over(agent, folder):
    """What platform/prometheus/metrics leaves for node_exporter."""
    result = subprocess.run(hand_over_command(agent.run.program("runnel"), folder),
                            env=agent.environment, capture_output=True, text=True, check=False)
    check(result.returncode == 0, result.stderr)
    check([file.name for file in folder.iterdir()] == ["runnel.prom"], "more is left than the file")
    return (folder / "runnel.prom").read_text()


def end_midway(run):
    """A stop of its unit, while the program still writes, leaves nothing behind."""
    folder = run.folder / "midway"
    folder.mkdir()
    slow = run.folder / "slow"
    slow.write_text("#!/bin/sh\necho half\nexec sleep 60\n")
    slow.chmod(0o755)
    with subprocess.Popen(hand_over_command(slow, folder), start_new_session=True) as process:
        try:
            harness.wait_until("half of it",
                               lambda: any(file.stat().st_size for file in folder.iterdir()))
        finally:
            os.killpg(process.pid, signal.SIGTERM)
    check(process.returncode == 143, f"it ended by {process.returncode}")
    check(not list(folder.iterdir()), f"left behind: {list(folder.iterdir())}")


def scenario(run, plant):
    if parser is None:
        raise Skip("python3-prometheus-client is not there")
    sink = harness.Sink(run)
    agent = harness.Agent(run, sink.endpoint, sink.ca, link={"month": "4MiB"},
                          routes=[{**harness.NO_QUESTION}],
                          sensors=[{"name": "machine", "driver": "proc", "interval": "1h"}],
                          spool={"lanes": {"normal": {"age": "50ms"}}})
    result = agent.call("metrics")
    check(result.returncode == 1 and "no agent runs there" in result.stderr, result.stderr)
    agent.start()
    check(agent.send("plc", [f'{{"id":{number}}}' for number in range(20)]) == 0, agent.tail())
    harness.wait_until("all to be delivered",
                       lambda: agent.counters()["delivered"] >= 21)
    lines = agent.call("metrics").stdout.splitlines()
    if plant:
        lines.remove(next(line for line in lines if line.startswith("runnel_flash_commits_total")))
    found = samples("\n".join(lines) + "\n")
    check_values(agent.status(), found)
    folder = run.folder / "textfiles"
    folder.mkdir()
    text = hand_over(agent, folder)
    check_names(text)
    handed = samples(text)
    check(handed.pop(("runnel_up", ())) == 1 and handed.keys() == found.keys(), text)
    check(agent.stop() == 0, agent.tail())
    text = hand_over(agent, folder)
    check(samples(text) == {("runnel_up", ()): 0}, text)
    end_midway(run)
    print(f"{len(found)} samples", flush=True)


if __name__ == "__main__":
    chosen = harness.arguments(
        __doc__, (("--plant",), {"action": "store_true", "help": "leave a line out"}))
    harness.main(chosen, lambda run: scenario(run, chosen.plant))
