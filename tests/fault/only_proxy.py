#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Every way out is shut but an HTTP proxy: keys from IoT's credentials provider and records to Kinesis
go through it, by HTTPS_PROXY or by "proxy", with names that nobody here resolves.

The agent has a network name space of its own, whose firewall drops all but the proxy. Needs root.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import credentials
import harness  # pylint: disable=wrong-import-position
import own_mounts
import proxy  # pylint: disable=wrong-import-position
import wire
from harness import check  # pylint: disable=wrong-import-position

USER, PASSWORD = "gw", "HUSHproxy"
IOT, KINESIS = "localhost", "sink.test"


def shut(ends, port):
    """What leaves the near end reaches the proxy or nothing."""
    for program in ("iptables", "ip6tables"):
        rules = ["ip", "netns", "exec", ends.near_name, program, "-w"]
        wire.command(*rules, "-P", "OUTPUT", "DROP")
        if program == "iptables":
            wire.command(*rules, "-A", "OUTPUT", "-p", "tcp", "-d", wire.FAR4, "--dport", port,
                         "-j", "ACCEPT")


def deliver(run, ends, name, members, way, variables):
    """One agent, its sink and its giver."""
    with ends.far():
        certificates = run.folder / "certificates"
        sink = harness.Sink(run, name=f"sink-{name}")
        giver = credentials.Giver(sink, certificates)
        # IoT's name is that of its certificate, on a port that only the proxy knows.
        way.names = {f"{IOT}.test:{giver.port}": ("127.0.0.1", giver.port),
                     f"{KINESIS}:{sink.port}": ("127.0.0.1", sink.port)}
    keys = credentials.iot(certificates, giver, **members)
    keys["default"]["endpoint"] = f"https://{IOT}.test:{giver.port}"
    agent = credentials.Agent(run, sink, name, keys, **variables)
    agent.config["routes"][0].update(endpoint=f"https://{KINESIS}:{sink.port}", **members)
    agent.write_config()
    seen = len(way.targets)
    with ends.near():
        agent.start()
    agent.wait_delivery("by the proxy")
    check(set(way.targets[seen:]) == set(way.names), way.targets[seen:])
    check(len(giver.given) == 1, f"{name}: asked {len(giver.asked)} times")
    agent.end()
    check(sink.stop()["records"] > 0, "nothing arrived")


def scenario(run):
    ends = wire.Wire(v6=False)
    harness.make_certificates(run.folder / "certificates", f"DNS:{IOT}.test")
    with ends.far():
        way = proxy.Proxy(USER, PASSWORD, bind=wire.FAR4)
    shut(ends, way.port)
    deliver(run, ends, "variable", {}, way, {"HTTPS_PROXY": way.url_with_secrets})
    deliver(run, ends, "written", {"proxy": way.url_with_secrets}, way, {})
    print(f"{way.tunnels} tunnels, {way.up} bytes up", flush=True)


if __name__ == "__main__":
    options = harness.arguments(__doc__)
    own_mounts.enter()
    harness.main(options, scenario)
