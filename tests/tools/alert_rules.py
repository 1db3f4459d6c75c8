#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The alerts of platform/prometheus: each number that they name is one that the agent or its script
writes, each alert tells what it means and what to do, stands in README.md, and, where promtool is
there, is raised by the series that should raise it and not by those that should not.

usage: alert_rules.py [--control]      with mistakes planted in the rules: each is found
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

try:
    import yaml
except ImportError:
    print("alert_rules.py: left out: python3-yaml is not there")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "platform/prometheus"
RULES = FOLDER / "runnel.rules.yml"
LABELS = {"route": "live", "lane": "normal", "sensor": "meter"}

DAY = 24 * 60
# Alert: the series that raise it, those that do not, and when each is looked at, in minutes. A
# series is a name with its labels and values a minute apart, as promtool writes them.
CASES = {
    "RunnelDown": ({"runnel_up": "0x60"}, {"runnel_up": "1x60"}, 30),
    "RunnelGone": ({"runnel_up": "1x10 _x100"}, {"runnel_up": "1x100"}, 60),
    "RunnelNumbersStale": (
        {'node_textfile_mtime_seconds{file="/x/runnel.prom"}': "0x60"},
        {'node_textfile_mtime_seconds{file="/x/runnel.prom"}': "0+60x60"}, 40),
    "RunnelRestarts": ({"runnel_uptime_seconds": "60 120 0 60 120 0 60 0 60 120"},
                       {"runnel_uptime_seconds": "60 120 0 60 120 180 240 300 360"}, 8),
    "RunnelNotHealthy": ({"runnel_healthy": "0x20"}, {"runnel_healthy": "1x20"}, 15),
    "RunnelUndelivered": (
        {"runnel_route_stored_records{route,lane}": "5x200",
         "runnel_route_delivered_age_seconds{route}": "0+60x200",
         "runnel_uptime_seconds": "0+60x200"},
        {"runnel_route_stored_records{route,lane}": "5x200",
         "runnel_route_delivered_age_seconds{route}": "5x200",
         "runnel_uptime_seconds": "0+60x200"}, 100),
    "RunnelRouteNeedsOperator": ({'runnel_route_state{route,state="needs-operator"}': "1x20"},
                                 {'runnel_route_state{route,state="offline"}': "1x20"}, 15),
    "RunnelCredentialsFailing": ({"runnel_route_credentials_failures_total{route}": "0+1x60"},
                                 {"runnel_route_credentials_failures_total{route}": "3x60"}, 50),
    "RunnelThrottled": ({"runnel_route_throttled_requests_total{route}": "0+2x120",
                         "runnel_route_requests_total{route}": "0+10x120"},
                        {"runnel_route_throttled_requests_total{route}": "0+2x120",
                         "runnel_route_requests_total{route}": "0+100x120"}, 100),
    "RunnelLinkPaused": ({"runnel_link_paused": "1x30"}, {"runnel_link_paused": "0x30"}, 20),
    "RunnelEvicting": (
        {"runnel_route_evicted_records_total{route,lane}": "0+3x30",
         "runnel_route_hold{route}": "1x30"},
        {"runnel_route_evicted_records_total{route,lane}": "0+3x30",
         "runnel_route_hold{route}": "0x30"}, 20),
    "RunnelRefusing": ({"runnel_lane_refused_records_total{lane}": "0+3x30"},
                       {"runnel_lane_refused_records_total{lane}": "7x30"}, 20),
    "RunnelDeadLetters": ({"runnel_dead_letters": "2x20"}, {"runnel_dead_letters": "0x20"}, 10),
    "RunnelSpoolFills": (
        {"runnel_spool_used_bytes": "300+1x240", "runnel_spool_size_bytes": "1000x240"},
        {"runnel_spool_used_bytes": "300x240", "runnel_spool_size_bytes": "1000x240"}, 200),
    "RunnelSpoolFull": (
        {"runnel_spool_used_bytes": "910x20", "runnel_spool_size_bytes": "1000x20"},
        {"runnel_spool_used_bytes": "890x20", "runnel_spool_size_bytes": "1000x20"}, 15),
    "RunnelNotDurable": ({"runnel_durable": "0x20"}, {"runnel_durable": "1x20"}, 15),
    "RunnelSpoolSetAside": ({"runnel_spool_set_aside_files": "1x2000"},
                            {"runnel_spool_set_aside_files": "1x600 0x1400"}, DAY + 60),
    "RunnelSensorFailing": (
        {"runnel_sensor_errors_total{sensor}": "0+1x120",
         "runnel_sensor_samples_total{sensor}": "9x120"},
        {"runnel_sensor_errors_total{sensor}": "0+1x120",
         "runnel_sensor_samples_total{sensor}": "0+5x120"}, 90),
    "RunnelSensorStale": (
        {"runnel_sensor_age_seconds{sensor}": "1x600 0+60x120",
         "runnel_sensor_samples_total{sensor}": "0+6x600 3600x120"},
        {"runnel_sensor_age_seconds{sensor}": "0+60x60 0+60x60 0+60x60",
         "runnel_sensor_samples_total{sensor}": "0x60 1x60 2x60"}, 660),
    "RunnelClockUnknown": ({'runnel_clock_quality{quality="estimated"}': "1x90"},
                           {'runnel_clock_quality{quality="synced"}': "1x90"}, 70),
    "RunnelCertificateExpires": ({"runnel_certificate_valid_seconds": "1728000x90"},
                                 {"runnel_certificate_valid_seconds": "2678400x90"}, 70),
    "RunnelCertificateExpiresSoon": ({"runnel_certificate_valid_seconds": "-86400x9"},
                                     {"runnel_certificate_valid_seconds": "1728000x9"}, 5),
    "RunnelFlashWorn": (
        {"runnel_flash_written_bytes_total": "0+1000000x600",
         'runnel_route_state{route,state="connected"}': "1x600"},
        {"runnel_flash_written_bytes_total": "0+1000000x600",
         'runnel_route_state{route,state="offline"}': "1x600"}, 500),
    "RunnelWarnings": ({"runnel_warnings": "1x2000"}, {"runnel_warnings": "0x2000"}, DAY + 60),
}
PLANTED = (("runnel_dead_letters > 0", "runnel_dead_letter > 0"),
           ("runnel_healthy == 0", "runnel_healthy == 1"),
           ("- alert: RunnelDown", "- alert: RunnelAway"),
           ('          runbook: "runnel dead list', '          notes: "runnel dead list'),
           ("increase(runnel_lane", "increase((runnel_lane"))


# ---- without promtool ----

def numbers():
    """What there is to ask for: the table of metrics.c, and what the script adds."""
    table = (ROOT / "agent/control/metrics.c").read_text(encoding="utf-8")
    names = re.findall(r'^    \{"(\w+)", OF_\w+,', table, re.M)
    return {f"runnel_{name}" for name in names} | {"runnel_info", "runnel_up"}


def alerts_of(text):
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def read_rule(rule, known):
    """What is wrong with it, as far as one sees without Prometheus."""
    name, expression = rule.get("alert", "?"), rule.get("expr", "")
    for number in sorted(set(re.findall(r"\brunnel_\w+", expression)) - known):
        yield f"{name}: there is no number {number}"
    for opening, closing in ("()", "[]", "{}"):
        if expression.count(opening) != expression.count(closing):
            yield f"{name}: {opening} without {closing}"
    if rule.get("labels", {}).get("severity") not in ("page", "ticket"):
        yield f"{name}: it is neither for a pager nor a ticket"
    if set(rule.get("annotations", {})) != {"summary", "description", "runbook"}:
        yield f"{name}: a summary, a description and a runbook are wanted"


def read(text):
    found = [fault for rule in alerts_of(text) for fault in read_rule(rule, numbers())]
    names = [rule.get("alert") for rule in alerts_of(text)]
    page = re.findall(r"^\| `(\w+)` \|", (FOLDER / "README.md").read_text("utf-8"), re.M)
    if names != page:
        found.append(f"README.md has others: {sorted(set(names) ^ set(page))}")
    if sorted(names) != sorted(CASES):
        found.append(f"no series for {sorted(set(names) ^ set(CASES))}")
    return found


# ---- with it ----

def series(cases):
    """As promtool wants them: all of one gateway."""
    result = []
    for name, values in cases.items():
        name, _, inner = name.partition("{")
        labels = [part if "=" in part else f'{part}="{LABELS[part]}"'
                  for part in inner.rstrip("}").split(",") if part]
        labels = ",".join([*labels, 'instance="gw-17"', 'job="node"'])
        result.append({"series": f"{name}{{{labels}}}", "values": values})
    return result


def tests_of(name):
    """That it is raised once by what should raise it, and not by what should not."""
    raising, quiet, minutes = CASES[name]
    query = f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)'
    return [{"interval": "1m", "name": f"{name}: {series_name}", "input_series": series(cases),
             "promql_expr_test": [{"expr": query, "eval_time": f"{minutes}m",
                                   "exp_samples": [{"labels": "{}", "value": raised}]}]}
            for series_name, cases, raised in (("raised", raising, 1), ("quiet", quiet, 0))]


def write_tests(text, folder):
    """A file for each alert, whose rules are that alone: the others would be reckoned as well."""
    for rule in alerts_of(text):
        name = rule["alert"]
        rules = {"groups": [{"name": "runnel", "rules": [rule]}]}
        pace = "1m" if CASES[name][2] < DAY else "10m"
        (folder / f"{name}.rules.yml").write_text(json.dumps(rules))
        test = folder / f"{name}.test.yml"
        test.write_text(json.dumps({"rule_files": [f"{name}.rules.yml"],
                                    "evaluation_interval": pace, "tests": tests_of(name)}))
        yield test


def promtool(text):
    """What Prometheus finds in the rules, and in what they do."""
    with tempfile.TemporaryDirectory() as folder:
        rules = pathlib.Path(folder) / RULES.name
        rules.write_text(text)
        tests = list(write_tests(text, pathlib.Path(folder)))
        for command in (["check", "rules", rules], ["test", "rules", *tests]):
            result = subprocess.run(["promtool", *map(str, command)], capture_output=True,
                                    text=True, check=False)
            said = (result.stdout + result.stderr).splitlines()
            if result.returncode != 0:
                return [line for line in said if line and line.strip() != "SUCCESS"
                        and not line.startswith("Unit Testing")]
    return []


def faults(text):
    try:
        found = read(text)
    except yaml.YAMLError as why:
        return [str(why)]
    if shutil.which("promtool") is None:
        return found
    return found or promtool(text)


def control(text):
    missed = []
    for old, new in PLANTED:
        if old not in text:
            sys.exit(f"nothing to plant in: {old}")
        if old == "runnel_healthy == 0" and shutil.which("promtool") is None:
            continue
        found = faults(text.replace(old, new))
        print(f"{new.strip()}: {found[:1]}")
        missed += [new] if not found else []
    return missed


def main():
    text = RULES.read_text(encoding="utf-8")
    found = control(text) if sys.argv[1:] == ["--control"] else faults(text)
    for fault in found:
        print(fault)
    if shutil.which("promtool") is None:
        print("promtool is not there (Debian: prometheus): nobody looked whether alerts are raised")
    print(f"faults of the rules: {len(found) or 'none'}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
