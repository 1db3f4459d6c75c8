#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
An HTTP proxy is the only way to the sink, which is called by a name that nobody resolves: what the
proxy asks for, refuses and breaks is said with its remedy, and its password nowhere.
"""
import harness
import proxy
from harness import check, wait_until

USER, PASSWORD = "gw", "Hidden/5ecret"


def make_agent(run, sink, name, endpoint, variables, **route):
    agent = harness.Agent(run, endpoint, sink.ca, name=name, spool={"size": "256KiB"},
                          sensors=[{"name": "w", "driver": "sim", "interval": "50ms",
                                    "lane": "alarm"}], routes=[route])
    agent.environment.update(variables)
    return agent


def delivers(agent):
    return wait_until("a delivery", lambda: agent.counters(lane="alarm")["delivered"] > 0)


def route_when(agent, what, condition):
    return wait_until(what, lambda: next(
        (route for route in (agent.status() or {"routes": {}})["routes"].values()
         if condition(route)), None))


def check_secret(agent):
    """Neither log, status nor check show the password, as it is or as it is sent."""
    texts = {"log": agent.log.read_text(errors="replace"),
             "status": agent.call("status", "--json").stdout + agent.call("status").stdout}
    for place, text in texts.items():
        for secret in (PASSWORD, "Hidden%2F5ecret", "Z3c6SGlkZGVuLzVlY3JldA"):
            check(secret not in text, f"the {place} shows {secret}: {text}")


def check_variables(run, sink, endpoint, way):
    """HTTPS_PROXY, with credentials; every byte passes the proxy."""
    agent = make_agent(run, sink, "variables", endpoint,
                       {"HTTPS_PROXY": way.url_with_secrets, "no_proxy": "example.org"})
    agent.start()
    delivers(agent)
    route = agent.status()["routes"]["live"]
    check(route["dns_failures"] == 0, f"the name was looked up here: {route}")
    check(way.tunnels > 0 and set(way.targets) == {endpoint.removeprefix("https://")}, way.targets)
    check(way.up > 0, "nothing went through the tunnel")
    route_when(agent, "CONNECT in bytes_out", lambda one: one["bytes_out"] > way.up)
    checked = agent.call("check", "-c", agent.config_file).stdout
    check("by the proxy 127.0.0.1" in checked and PASSWORD not in checked, checked)
    check_secret(agent)
    way.cut()
    before = agent.counters(lane="alarm")["delivered"]
    wait_until("another delivery", lambda: agent.counters(lane="alarm")["delivered"] > before)
    check(agent.status()["routes"]["live"]["resumed"] > 0, "no session was resumed by the proxy")
    agent.stop()


def check_fault(run, sink, endpoint, way, fault, state, remedy, **route):
    """A FAULT of the proxy is told; without it the route delivers by itself, unless somebody has to
    act."""
    way.fault = fault
    agent = make_agent(run, sink, f"fault-{fault}", endpoint, {}, **route)
    agent.start()
    found = route_when(agent, f"an error for {fault}", lambda one: one["error"])
    error = found["error"]
    check(found["state"] == state and error.count(remedy) == 1, f"{fault}: {found}")
    check(f"asking the proxy {way.authority} for sink.test:" in error, error)
    way.fault = None
    if state != "needs-operator":
        delivers(agent)
    check_secret(agent)
    agent.stop()


def check_exception(run, sink, endpoint, way):
    """NO_PROXY has the host: it is looked up here, in vain, and the proxy hears nothing."""
    before = len(way.targets)
    agent = make_agent(run, sink, "exception", endpoint,
                       {"https_proxy": way.url_with_secrets, "NO_PROXY": ".test"})
    agent.start()
    route_when(agent, "a name that is not found",
               lambda one: one["dns_failures"] > 0 and one["state"] == "offline")
    check(len(way.targets) == before, "the proxy was asked all the same")
    agent.stop()


def check_loopback(run, sink, way):
    before = len(way.targets)
    agent = make_agent(run, sink, "loopback", sink.endpoint, {"HTTPS_PROXY": way.url_with_secrets})
    agent.start()
    delivers(agent)
    check(len(way.targets) == before, "the proxy was asked for this machine itself")
    agent.stop()


def scenario(run):
    sink = harness.Sink(run)
    endpoint = f"https://sink.test:{sink.port}"
    way = proxy.Proxy(USER, PASSWORD, names={f"sink.test:{sink.port}": ("127.0.0.1", sink.port)})
    right = {"proxy": way.url_with_secrets.replace("n/5", "n%2F5")}
    check_variables(run, sink, endpoint, way)
    check_fault(run, sink, endpoint, way, None, "needs-operator",
                'it answered 407; write its user name and password',
                proxy=way.url.replace("//", f"//{USER}:wrong@"))
    check_fault(run, sink, endpoint, way, 403, "needs-operator", "allow this host", **right)
    check_fault(run, sink, endpoint, way, 503, "offline", "the proxy's own link", **right)
    check_fault(run, sink, endpoint, way, "close", "offline", "serves this device", **right)
    check_fault(run, sink, endpoint, way, "garbage", "offline", "no HTTP proxy", **right)
    check_exception(run, sink, endpoint, way)
    check_loopback(run, sink, way)
    way.close()


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
