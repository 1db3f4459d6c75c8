#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Twelve faults are planted for real, and more: runnel doctor names each and what helps, in the words
of doctor.txt, which was read by people; nothing it says is a secret, wider than 80 columns, or
other than ASCII. Its exit code agrees with its verdict, and its JSON with its text.

With --write doctor.txt is written anew, to be read. With --must-find WORDS the program of --agent
has a bug planted, and the scenario passes only if it is found by WORDS, a pattern.
"""
import contextlib
import json
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
# pylint: disable=wrong-import-position
import harness
import own_mounts
import proxy
import rogue
import wire
from clock_shim import SYNCED, UNSYNCED, Clocks
from credentials import Giver, iot
from harness import check, wait_until
from matrix_world import Authority, server_context

SNAPSHOT = pathlib.Path(__file__).with_name("doctor.txt")
PLACE = pathlib.Path("/mnt")  # so that paths, and with them lines, are as long everywhere
NAME = "kinesis.matrix.test"
PASSWORD = "Hidden/5ecret"
SECRETS = (PASSWORD, "Hidden%2F5ecret", harness.SECRET_KEY, "HUSH", "Z3c6SGlkZGVu")
CASES = []


def case(function):
    CASES.append(function)
    return function


class World:
    """What the cases share; each has an agent of its own, of which it says what is different."""

    def __init__(self, run):
        self.run = run
        self.clocks = Clocks(run)
        self.clocks.set(sync=SYNCED)
        self.sink = harness.Sink(run)
        self.plain = harness.Sink(run, "--plain", name="plain")
        self.authority = Authority(run.folder)
        self.certificates = harness.make_certificates(run.folder / "certificates")
        self.wire = None

    def agent(self, name, endpoint=None, ca=None, route=None, **config):
        agent = harness.Agent(self.run, endpoint or self.sink.endpoint, ca or self.sink.ca,
                              name=name, routes=[dict(route or {})], **config)
        self.clocks.preload(agent.environment)
        return agent

    def wired(self, far_end=True):
        """Two machines; the name server is at the far one."""
        self.wire = wire.Wire(v6=False)
        wire.command("ip", "-n", self.wire.near_name, "route", "add", "default", "via", wire.FAR4)
        if not far_end:
            wire.command("ip", "-n", self.wire.far_name, "link", "set", "v0", "down")
            wait_until("the carrier to go", lambda: "NO-CARRIER" in wire.command(
                "ip", "-n", self.wire.near_name, "link", "show", "v0"))


def ask(agent, *arguments):
    """The words of doctor, whose form is checked on the way."""
    result = agent.call("doctor", "-c", agent.config_file, *arguments)
    text = result.stdout
    check(result.stderr == "", f"it said more: {result.stderr}")
    check(text.isascii(), f"not ASCII: {text}")
    wide = [line for line in text.splitlines() if len(line) > 80]
    check(not wide, f"wider than 80 columns: {wide}")
    for secret in SECRETS:
        check(secret not in text, f"it shows {secret}: {text}")
    failures = len(re.findall(r"^  FAIL ", text, re.M))
    check(result.returncode == (1 if failures else 0), f"exit code {result.returncode}: {text}")
    verdict = text.splitlines()[-1]
    found = re.match(r"verdict: (?:(\d+) faults?|nothing fails)", verdict)
    check(found and int(found.group(1) or 0) == failures, f"{failures} failures: {verdict}")
    check_remedies(text)
    return text


def ask_running(agent):
    """Of an agent that runs and has nothing to do."""
    agent.start()
    text = ask(agent)
    agent.stop()
    return text


def check_remedies(text):
    """Behind each failure and each warning stands what helps."""
    for place in re.finditer(r"^  (?:FAIL|warn) .*\n(?: {22}(?!-> ).*\n)*(.*)", text, re.M):
        check(place.group(1).startswith(22 * " " + "-> ") or "; " in place.group(0),
              f"no remedy: {place.group(0)}")


def normal(text):
    """Without what is of this run alone, and as long. The folder may be in RAM, and a spool is not
    durable before it is made."""
    text = re.sub(r"  warn  warning       the spool is not durable.*?-> see runnel status\n", "",
                  text, flags=re.S)
    if "  warn  " not in text:
        text = text.replace(", but see the warnings", "")
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", "0000-00-00T00:00Z", text)
    text = re.sub(r"(?<=[: ])[1-9]\d{4}(?=\b)", "00000", text)
    text = re.sub(r"localhost is (?:127.0.0.1|::1)(?:, and 1 more)?", "localhost is 127.0.0.1",
                  text)
    text = re.sub(r"\d+d\d\dh behind", "00000d00h behind", text)
    text = re.sub(r"full \([\d.]+ KiB", "full (000.0 KiB", text)
    text = re.sub(r"[\d.]+ K?i?B of 32.0 MiB", "0 B of 32.0 MiB", text)
    return re.sub(r"\b\d+(?:\.\d)?s ago", "0s ago", text)


# ---- the twelve, and one without ----

@case
def healthy(world):
    agent = world.agent("healthy", sensors=[{"name": "wave", "driver": "sim", "interval": "50ms"}],
                        spool={"lanes": {"normal": {"age": "100ms"}}})
    agent.start()
    wait_until("a delivery", lambda: agent.counters()["delivered"] > 0)
    text = ask(agent)
    agent.stop()
    return text


@case
def cable(world):
    world.wired(far_end=False)
    agent = world.agent("cable", f"https://{wire.FAR4}:44300")
    with world.wire.near():
        return ask_running(agent)


@case
def dns(world):
    """No such name; then nobody who knows."""
    wire.resolver(world.run)
    world.wired()
    agent = world.agent("dns", f"https://{NAME}:44300")
    texts = []
    with world.wire.far():
        names = wire.NameServer(wire.FAR4, [])
    for names.mode in ("nxdomain", "servfail"):
        with world.wire.near():
            texts.append(ask_running(agent))
    names.stop()
    return "\n".join(texts)


@case
def proxies(world):
    """It wants a password, it has another, it forbids, and it is gone."""
    way = proxy.Proxy("gw", PASSWORD, names={f"{NAME}:443": ("localhost", world.sink.port)})
    agents = {"none": world.agent("proxy", f"https://{NAME}", route={"proxy": way.url}),
              "right": world.agent("proxy2", f"https://{NAME}",
                                   route={"proxy": way.url_with_secrets})}
    texts = [ask_running(agents["none"])]
    way.fault = 403
    texts.append(ask_running(agents["right"]))
    way.close()
    texts.append(ask_running(agents["right"]))
    return "\n".join(texts)


@case
def wrong_ca(world):
    return ask_running(world.agent("ca", ca=world.certificates / "ca.pem"))


@case
def expired_server(world):
    chain = world.authority.sign("old", end="20200101000000Z")
    server = rogue.Rogue(world.plain.port, server_context(*chain))
    text = ask_running(world.agent("old", f"https://localhost:{server.port}", world.authority.pem))
    server.stop()
    return text


@case
def expired_device(world):
    """And a key that belongs to another."""
    giver = Giver(world.sink, world.certificates)
    cert, key = world.authority.sign("device", usage="clientAuth", end="20200101000000Z")
    shutil.copy(cert, world.run.folder / "device.pem")
    shutil.copy(key, world.run.folder / "device.key")
    mine = {"cert_file": str(world.run.folder / "device.pem"),
            "key_file": str(world.run.folder / "device.key")}
    texts = [ask_running(world.agent("device", credentials=iot(world.certificates, giver, **mine)))]
    mine["key_file"] = str(world.certificates / "device.key")
    mixed = iot(world.certificates, giver, **mine)
    texts.append(ask_running(world.agent("device2", credentials=mixed)))
    giver.stop()
    return "\n".join(texts)


@case
def year_1970(world):
    agent = world.agent("1970")
    world.clocks.reboot(100000)
    world.clocks.set(sync=UNSYNCED)
    text = ask_running(agent)
    world.clocks.set(wall_ms=0, boot_ms=0, boot_id="", sync=SYNCED)
    return text


@case
def role_alias(world):
    giver = Giver(world.sink, world.certificates)
    giver.answer = 404, '{"message":"Role alias does not exist"}'
    text = ask_running(world.agent("alias", credentials=iot(world.certificates, giver)))
    giver.stop()
    return text


@case
def denied(world):
    world.sink.faults(refuse_rate=1, refuse_code="AccessDeniedException")
    text = ask_running(world.agent("denied"))
    world.sink.faults(refuse_rate=0)
    return text


@case
def denied_record(world):
    """A service that looks at a request before it looks at who sent it: only a record tells."""
    server = rogue.Rogue(world.plain.port, world.authority.context())
    server.act = lambda talk: talk.send(rogue.error("AccessDeniedException"))
    agent = world.agent("record", f"https://localhost:{server.port}", world.authority.pem)
    agent.start()
    text = ask(agent, "--send")
    agent.stop()
    server.stop()
    return text


@case
def missing_stream(world):
    return ask_running(world.agent("stream", route={"stream": "telemetri"}))


@case
def throttled(world):
    world.sink.faults(throttle_rate=1)
    text = ask_running(world.agent("throttled"))
    world.sink.faults(throttle_rate=0)
    return text


def fill(agent):
    lines = [json.dumps({"id": number, "note": f"{number:04}" * 200}) for number in range(400)]

    def is_full():
        agent.send("plc", lines)
        return agent.counters()["evicted"] > 0
    wait_until("a full spool", is_full)


@case
def full_spool(world):
    agent = world.agent("full", f"https://localhost:{free_port()}",
                        spool={"size": "256KiB", "lanes": {"normal": {"window": "0s"}}})
    agent.start()
    fill(agent)
    text = ask(agent)
    agent.stop()
    return re.sub(r"\d+ records gave way", "999 records gave way", text)


@case
def dead_sensor(world):
    agent = world.agent("sensor", sensors=[
        {"name": "wave", "driver": "sim"},
        {"name": "plc", "driver": "lines", "path": str(world.run.folder / "plc.fifo")}])
    agent.start()
    wait_until("the sensor's fault", lambda: agent.status()["sensors"]["plc"]["error"])
    text = ask(agent)
    agent.stop()
    return text


@case
def two_at_once(world):
    agent = world.agent("two", ca=world.certificates / "ca.pem", sensors=[
        {"name": "plc", "driver": "lines", "path": str(world.run.folder / "plc.fifo")}])
    agent.start()
    wait_until("the sensor's fault", lambda: agent.status()["sensors"]["plc"]["error"])
    text = ask(agent)
    agent.stop()
    check(text.count("FAIL  TLS") == 1 and text.count("FAIL  sensor ") == 1, text)
    return text


@case
def edited(world):
    """The file says something else than the agent that runs knows."""
    agent = world.agent("edited")
    agent.start()
    agent.config["routes"].append({**agent.config["routes"][0], "name": "spare"})
    agent.write_config()
    text = ask(agent)
    agent.stop()
    return re.sub(r"\b[0-9a-f]{16}\b", 16 * "0", text)


@case
def stopped(world):
    """Everything else is looked at all the same."""
    return ask(world.agent("stopped", sensors=[{"name": "wave", "driver": "sim"}]))


@case
def bad_configuration(world):
    agent = world.agent("bad")
    agent.config_file.write_text(agent.config_file.read_text().replace("kinesis", "kinesiss"))
    return ask(agent)


# ---- beside the words ----

def free_port():
    with contextlib.closing(harness.socket.create_server(("127.0.0.1", 0))) as server:
        return server.getsockname()[1]


def check_full_before(world):
    """What gave way in an outage that is over makes no full spool of that of the next one, nor do
    records that nobody keeps for an archive."""
    agent = harness.Agent(
        world.run, world.sink.endpoint, world.sink.ca, name="before",
        routes=[{}, {"name": "usb", "destination": "archive", "size": "64MiB",
                     "path": str(world.run.folder / "absent")}],
        spool={"size": "256KiB", "lanes": {"normal": {"window": "0s", "age": "50ms"}}})
    world.clocks.preload(agent.environment)
    world.sink.outage()
    agent.start()
    fill(agent)
    world.sink.outage(0)
    wait_until("all to be delivered", lambda: agent.counters()["stored"] == 0)
    world.sink.outage()
    agent.send("plc", ['{"id":1}'])
    wait_until("the outage", lambda: agent.status()["routes"]["live"]["state"] == "offline")
    text = ask(agent)
    agent.stop()
    world.sink.outage(0)
    check("it is full" not in text and "of 256.0 KiB are used" in text, text)
    check(text.count("warn  evicted") == 2 and '-> "hold": true has' in text, text)


def check_send(world):
    """A record arrives, once; without --send none does."""
    agent = world.agent("send")
    before = world.sink.summary()["records"]
    ask(agent)
    check(world.sink.summary()["records"] == before, "a record was sent unasked")
    text = ask(agent, "--send")
    check("it took a record" in text, text)
    check(world.sink.summary()["records"] == before + 1, "it did not arrive once")
    record = json.loads(list(world.sink.records())[-1][2])
    check(record["sensor"] == "runnel" and record["data"] == {"event": "doctor"}, record)
    world.sink.faults(refuse_rate=1, refuse_code="AccessDeniedException")
    text = ask(agent, "--send")
    check(world.sink.summary()["records"] == before + 1 and "-> allow" in text, text)
    world.sink.faults(refuse_rate=0)


def check_send_in_1970(world):
    """The record has the time that the endpoint told a moment before."""
    agent = world.agent("send1970")
    world.clocks.reboot(100000)
    world.clocks.set(sync=UNSYNCED)
    text = ask(agent, "--send")
    world.clocks.set(wall_ms=0, boot_ms=0, boot_id="", sync=SYNCED)
    check("it took a record" in text, text)
    record = json.loads(list(world.sink.records())[-1][2])
    check(not record["ts"].startswith("1970") and "time_quality" not in record, record)


def check_json(world):
    agent = world.agent("json", ca=world.certificates / "ca.pem")
    result = agent.call("doctor", "-c", agent.config_file, "--json")
    found = json.loads(result.stdout)
    text = ask(agent)
    outcomes = [rung["outcome"] for section in found["sections"] for rung in section["findings"]]
    check(result.returncode == 1 and not found["ok"] and
          found["failures"] == outcomes.count("fail"), found)
    for mine, theirs in (("fail", "FAIL"), ("warn", "warn"), ("ok", "ok  "), ("untried", "-   ")):
        there = len(re.findall(rf"^  {theirs} ", text, re.M))
        check(outcomes.count(mine) == there, f"{mine}: {outcomes} {text}")
    names = [section["name"] for section in found["sections"]]
    check(names == ["gateway", "credentials default", "route live", "agent"], names)


def check_one_route(world):
    agent = harness.Agent(world.run, world.sink.endpoint, world.sink.ca, name="routes",
                          routes=[{"name": "live"}, {"name": "spare"}])
    world.clocks.preload(agent.environment)
    text = ask(agent, "spare")
    check("route spare" in text and "route live" not in text, text)
    result = agent.call("doctor", "-c", agent.config_file, "spar")
    check(result.returncode == 2 and "spar" in result.stderr, result.stderr)


def check_member(world):
    """Who is not root but in the socket's group is told what he may not read, and gets the rest."""
    giver = Giver(world.sink, world.certificates)
    agent = world.agent("member", credentials=iot(world.certificates, giver))
    (world.certificates / "device.key").chmod(0o600)
    for path in (world.sink.folder, world.sink.ca):
        path.chmod(0o755)
    agent.start()
    result = harness.subprocess.run(
        ["setpriv", "--reuid", "65534", "--regid", "0", "--clear-groups",
         *agent.command("doctor", "-c", agent.config_file)],
        env=agent.environment, capture_output=True, text=True, check=False)
    agent.stop()
    giver.stop()
    text = result.stdout
    if "configuration" not in text:
        print(f"the programs of this build are not for others: {result.stderr}", flush=True)
        return
    check("device.key is not for" in text and "it runs and is healthy" in text, text)
    check(text.endswith(", but not all could be tried\n"), text)


def compare(texts, snapshot):
    """The cases that differ, by name."""
    parts = re.split(r"^==== (\w+)\n", snapshot, flags=re.M)
    known = dict(zip(parts[1::2], parts[2::2]))
    check(set(known) == set(texts), f"{SNAPSHOT.name} has other cases: {set(known) ^ set(texts)}")
    return [name for name, text in texts.items() if known[name] != text]


def check_snapshot(options, texts):
    whole = "".join(f"==== {name}\n{text}" for name, text in texts.items())
    if options.write:
        SNAPSHOT.write_text(whole, encoding="ascii")
    differ = compare(texts, SNAPSHOT.read_text(encoding="ascii"))
    check(not differ, f"not as in {SNAPSHOT.name}: {differ}\n" +
          "\n".join(texts[name] for name in differ))


def scenario(run, options):
    if not own_mounts.entered():
        raise harness.Skip("needs root, for networks and mounts of its own")
    wire.command("mount", "--bind", run.folder, PLACE)
    PLACE.chmod(0o755)
    run.folder = PLACE / "doctor"
    run.folder.mkdir()
    world = World(run)
    wanted = [one for one in CASES if options.case in (None, one.__name__)]
    texts = {one.__name__: normal(one(world)) for one in wanted}
    if options.case is not None:
        print("".join(texts.values()))
        return
    check_snapshot(options, texts)
    for one in (check_full_before, check_send, check_send_in_1970, check_json, check_one_route,
                check_member):
        one(world)


def must_find(run, options):
    try:
        scenario(run, options)
    except harness.Failure as failure:
        if re.search(options.must_find, str(failure)) is not None:
            return
        raise
    raise harness.Failure(f"the planted bug was not found: {options.must_find}")


class Run(harness.Run):
    """With another program than that of the build."""

    agent = None

    def program(self, name):
        if name == "runnel" and self.agent is not None:
            return pathlib.Path(self.agent)
        return super().program(name)


def main():
    own_mounts.enter()
    options = harness.arguments(__doc__, (["--write"], {"action": "store_true"}), (["--case"], {}),
                                (["--agent"], {}), (["--must-find"], {}))
    Run.agent = options.agent
    act = scenario if options.must_find is None else must_find
    harness.main(options, lambda run: act(Run(run.build, run.folder), options))


if __name__ == "__main__":
    main()
