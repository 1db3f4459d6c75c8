#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Peers hand in by CoAP: libcoap's client and aiocoap both deliver every format, plain and by DTLS,
and the sink has their values and times exactly. Each answer is given where it is due; a key file
that changes is in use at once; hostile payloads are refused; a message that is repeated is one
record.
"""
import asyncio
import base64
import datetime
import decimal
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import harness
from harness import Skip, check, wait_until
import coap_message as coap

RELAY_VERSION = "2.0.3"
KEYS = {"pump-4": "0123456789abcdef", "well-7": "fedcba9876543210"}
NEW_KEY = "a key that came later"
BASE_TIME = 1700000000
BIG = {"log": [f"line {number}: {'x' * (number % 50)}" for number in range(300)]}
TOOLS = pathlib.Path(__file__).resolve().parents[1] / "tools"


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def instant(seconds):
    """As records say it."""
    moment = datetime.datetime.fromtimestamp(0, datetime.timezone.utc) + \
        datetime.timedelta(milliseconds=round(seconds * 1000))
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


# ---- what is handed in, and what becomes of it ----


class Case:
    """A payload, and the records: {"values" or "data": ..., "ts": at, "ago": relative}."""

    def __init__(self, name, content, payload, *records):
        self.name = name
        self.content = content
        self.payload = payload
        self.records = records


def number(text):
    return decimal.Decimal(text)


def cases():
    absolute_json = [{"bn": "urn:dev:mac:01:", "bt": BASE_TIME, "n": "temp", "u": "Cel", "v": 21.5},
                     {"n": "hum", "u": "%RH", "v": 40},
                     {"n": "temp", "u": "Cel", "t": -10.25, "v": -3.25}]
    relative_json = [{"n": "temp", "u": "Cel", "t": -60, "v": 20.0},
                     {"n": "temp", "u": "Cel", "v": 20.5}]
    # Labels of RFC 8428 section 6: bn -2, bt -3, n 0, u 1, v 2, t 6, vs 3, vb 4.
    absolute_cbor = [{-2: "urn:dev:mac:02:", -3: BASE_TIME, 0: "temp", 1: "Cel",
                      2: coap.fraction(-2, 2150)},
                     {0: "state", 3: "run"},
                     {0: "temp", 1: "Cel", 6: -10, 2: -3.25}]
    relative_cbor = [{0: "temp", 1: "Cel", 6: -60, 2: 20}, {0: "on", 4: True}]
    octets = bytes(range(256))
    document = {"state": "run", "rpm": 1480, "nested": {"list": [1, 2.5, None, True, "ä"]}}
    return [
        Case("text", coap.TEXT, b"21.50", {"values": {"value": number("21.50")}}),
        Case("octets", coap.OCTETS, octets,
             {"data": {"octets": base64.b64encode(octets).decode()}}),
        Case("json", coap.JSON, json.dumps(document).encode(), {"data": document}),
        Case("cbor", coap.CBOR, coap.cbor(document), {"data": document}),
        Case("big", coap.JSON, json.dumps(BIG).encode(), {"data": BIG}),
        Case("senml-json", coap.SENML_JSON, json.dumps(absolute_json).encode(),
             {"values": {"temp": number("21.5"), "hum": number(40)}, "ts": BASE_TIME,
              "bn": "urn:dev:mac:01:"},
             {"values": {"temp": number("-3.25")}, "ts": BASE_TIME - 10.25,
              "bn": "urn:dev:mac:01:"}),
        Case("senml-json-ago", coap.SENML_JSON, json.dumps(relative_json).encode(),
             {"values": {"temp": number("20.0")}, "ago": 60},
             {"values": {"temp": number("20.5")}, "ago": 0}),
        Case("senml-cbor", coap.SENML_CBOR, coap.cbor(absolute_cbor),
             {"values": {"temp": number("21.50")}, "text": {"state": "run"}, "ts": BASE_TIME,
              "bn": "urn:dev:mac:02:"},
             {"values": {"temp": number("-3.25")}, "ts": BASE_TIME - 10,
              "bn": "urn:dev:mac:02:"}),
        Case("senml-cbor-ago", coap.SENML_CBOR, coap.cbor(relative_cbor),
             {"values": {"temp": number(20)}, "ago": 60}, {"values": {"on": 1}, "ago": 0}),
    ]


# ---- the clients ----


class LibcoapClient:
    """libcoap's example, a process for each message."""

    name, short = "libcoap", "lib"

    def __init__(self, run, world):
        self.program = next(filter(None, map(shutil.which, (
            "coap-client-openssl", "coap-client-gnutls", "coap-client"))), None)
        if self.program is None:
            raise Skip("libcoap's client is not there: apt-get install libcoap3-bin")
        self.folder = run.folder
        self.world = world

    def post(self, path, case, secure, identity="pump-4", key=None, patience_s=10):
        """What it printed: nothing, or the code and the diagnostic of a refusal."""
        file = self.folder / "payload"
        file.write_bytes(case.payload)
        scheme, port = ("coaps", self.world.secure_port) if secure else ("coap", self.world.port)
        credentials = ["-u", identity, "-k", key or KEYS[identity]] if secure else []
        result = subprocess.run(
            [self.program, "-m", "post", "-t", str(case.content), "-f", file, "-B", str(patience_s),
             *credentials, f"{scheme}://127.0.0.1:{port}{path}"],
            capture_output=True, text=True, timeout=30, check=False)
        return (result.stdout + result.stderr).strip()

    def deliver(self, path, case, secure):
        said = self.post(path, case, secure)
        check(not said, f"libcoap's client, {path}: {said}")


class AiocoapClient:
    """aiocoap, and for DTLS a relay in front of the agent."""

    name, short = "aiocoap", "aio"

    def __init__(self, run, world):
        tried = subprocess.run([TOOLS / "aiocoap.sh"], capture_output=True, text=True, check=False)
        if tried.returncode != 0:
            raise Skip(tried.stdout.strip() or tried.stderr.strip())
        sys.path.insert(0, tried.stdout.strip())
        import aiocoap  # pylint: disable=import-outside-toplevel,import-error
        self.aiocoap = aiocoap
        self.plain_port = world.port
        self.relay = start_relay(run, world.secure_port, "pump-4", KEYS["pump-4"])

    async def _deliver_all(self, messages):
        context = await self.aiocoap.Context.create_client_context(transports=["udp6"])
        try:
            for path, case, secure in messages:
                port = self.relay if secure else self.plain_port
                request = self.aiocoap.Message(
                    code=self.aiocoap.POST, payload=case.payload, content_format=case.content,
                    uri=f"coap://127.0.0.1:{port}{path}")
                answer = await asyncio.wait_for(context.request(request).response, 20)
                check(answer.code == self.aiocoap.CHANGED,
                      f"aiocoap, {path}: {answer.code} {answer.payload}")
        finally:
            await context.shutdown()

    def deliver_all(self, messages):
        asyncio.run(self._deliver_all(messages))


def start_relay(run, port, identity, key):
    """The port of a relay to coaps://127.0.0.1:PORT. Failure: the handshake failed."""
    modules = harness.modules_of("node-dtls-client", RELAY_VERSION)
    process = harness.Process(
        ["node", pathlib.Path(__file__).parent / "coaps_relay.mjs", modules, port, identity, key],
        run.folder / "relay-log", stdout=subprocess.PIPE)
    line = process.popen.stdout.readline().decode().strip()
    check(line.isdigit(), f"the relay has no session: {line} {process.tail()}")
    return int(line)


# ---- the agent ----


def peers_of(**keys):
    return {"peers": [
        {"identity": "pump-4", "key": KEYS["pump-4"], "lanes": ["normal", "alarm"],
         "sensors": ["pump-4", "lib-*", "aio-*", "strict", "small", "narrow", "full"]},
        {"identity": "well-7", "key": KEYS["well-7"], "sensors": ["well-7"], "lanes": ["normal"]},
        *({"identity": name, "key": key} for name, key in keys.items())]}


class World:
    def __init__(self, run):
        self.run = run
        self.sink = harness.Sink(run)
        self.port, self.secure_port = free_port(), free_port()
        self.psk_file = run.folder / "psk.json"
        self.write_peers(peers_of())
        sensors = [{"name": name} for name in ("pump-4", "well-7")]
        sensors += [{"name": f"{client}-{case.name}-{kind}"} for case in cases()
                    for client in ("lib", "aio") for kind in ("plain", "secure")]
        sensors += [
            {"name": "strict", "formats": ["json"], "unknown": "refuse", "members": [
                {"name": "rpm", "type": "integer", "required": True, "min": 0, "max": 3000}]},
            {"name": "small", "bytes": "64B"},
            {"name": "narrow", "formats": ["text"]},
            {"name": "repeated"}, {"name": "hostile"},
        ]
        self.agent = harness.Agent(
            run, self.sink.endpoint, self.sink.ca,
            spool={"lanes": {"normal": {"age": "50ms", "window": "1s"},
                             "alarm": {"age": "0s", "window": "0s"}}},
            coap={"listen": [f"coap://127.0.0.1:{self.port}",
                             f"coaps://127.0.0.1:{self.secure_port}"],
                  "psk_file": str(self.psk_file), "wait": "10ms", "rate": "1000/s",
                  "byte_rate": "16MiB/s", "total_byte_rate": "16MiB/s", "sensors": sensors})

    def write_peers(self, peers):
        """As an operator does it: whole, and nobody else's."""
        partial = self.psk_file.with_suffix(".new")
        partial.write_text(json.dumps(peers))
        partial.chmod(0o600)
        os.replace(partial, self.psk_file)

    def records(self, sensor):
        records = [json.loads(data, parse_float=decimal.Decimal)
                   for _, _, data in self.sink.records()]
        found = [record for record in records if record.get("sensor") == sensor]
        return sorted(found, key=lambda record: record["seq"])

    def wait_for(self, sensor, count):
        return wait_until(f"{count} records of {sensor}",
                          lambda: len(self.records(sensor)) >= count and self.records(sensor))


# ---- what must hold ----


def compare(sensor, found, case, began, ended):
    check(len(found) == len(case.records),
          f"{sensor}: {len(found)} records of {len(case.records)}: {found}")
    for record, wanted in zip(found, case.records):
        for member in ("values", "text", "data"):
            want, have = wanted.get(member), record.get(member)
            check(have == want, f"{sensor}: {member} is {have}, not {want}")
            for name, value in (want or {}).items() if member == "values" else ():
                check(str(have[name]) == str(value), f"{sensor}: {name} is {have[name]}: {value}")
        have = record.get("tags", {}).get("bn")
        check(have == wanted.get("bn"), f"{sensor}: the base name is {have}")
        if "ts" in wanted:
            check(record["ts"] == instant(wanted["ts"]), f"{sensor}: {record['ts']}: {wanted}")
        ago = wanted.get("ago", 0)
        if "ts" not in wanted:
            check(instant(began - ago - 0.001) <= record["ts"] <= instant(ended - ago + 0.001),
                  f"{sensor}: {record['ts']} is not {ago} s before {instant(ended)}")


def check_formats(world, clients):
    began = time.time()
    expected = []
    for client in clients:
        messages = [(f"/t/{client.short}-{case.name}-{kind}", case, kind == "secure")
                    for case in cases() for kind in ("plain", "secure")]
        if isinstance(client, AiocoapClient):
            client.deliver_all(messages)
        else:
            for message in messages:
                client.deliver(*message)
        expected += messages
    ended = time.time()
    for path, case, _ in expected:
        sensor = path.removeprefix("/t/")
        compare(sensor, world.wait_for(sensor, len(case.records)), case, began, ended)
    return len(expected)


def expect(answer, code, what, *words):
    check(answer is not None, f"{what}: no answer")
    check(answer.code == code, f"{what}: {answer.code} {answer.text()}, not {code}")
    for word in words:
        check(word in answer.text(), f"{what}: {answer.text()!r} does not say {word!r}")
    return answer


def check_answers(world, libcoap):
    peer = coap.Peer(world.port, first=1000)

    def post(path, payload, content, code, *words):
        return expect(peer.ask(coap.POST, path, payload, content), code, f"{path} {payload[:40]}",
                      *words)
    post("/t/strict", b'{"rpm":1480}', coap.JSON, "2.04")
    post("/t/strict", b'{"rpm":1480', coap.JSON, "4.00")
    post("/t/strict", b'{"rpm":3001}', coap.JSON, "4.00", "rpm")
    post("/t/strict", b'{"rpm":"fast"}', coap.JSON, "4.00", "rpm")
    post("/t/strict", b'{}', coap.JSON, "4.00", "rpm")
    post("/t/strict", b'{"rpm":1,"extra":2}', coap.JSON, "4.00", "extra")
    post("/t/narrow", b"twelve", coap.TEXT, "4.00")
    post("/t/narrow", b"{}", coap.JSON, "4.15")
    post("/t/narrow", b"<a/>", 41, "4.15")
    post("/t/unknown", b"1", coap.TEXT, "4.04")
    expect(peer.ask(coap.GET, "/nothing"), "4.04", "GET /nothing")
    expect(peer.ask(coap.DELETE, "/t/narrow"), "4.05", "DELETE")
    expect(peer.ask(coap.GET, "/t/narrow"), "4.05", "GET of a sensor")
    expect(peer.ask(coap.PUT, "/t/narrow", b"12", coap.TEXT), "2.04", "PUT")
    large = post("/t/small", b'{"a":"' + b"x" * 100 + b'"}', coap.JSON, "4.13")
    check(large.number(coap.SIZE1) == 64, f"4.13 with Size1 {large.number(coap.SIZE1)}")
    peer.close()
    # An identity has its own sensors and lanes.
    case = Case("", coap.TEXT, b"1")
    for path, identity, code in (("/t/well-7", "well-7", ""), ("/t/pump-4", "well-7", "4.03"),
                                 ("/t/well-7?lane=alarm", "well-7", "4.03"),
                                 ("/t/pump-4?lane=alarm", "pump-4", "")):
        said = libcoap.post(path, case, True, identity)
        check(said.startswith(code) and bool(said) == bool(code), f"{identity} {path}: {said}")
    world.wait_for("well-7", 1)
    world.wait_for("pump-4", 1)


def check_discovery(world):
    peer = coap.Peer(world.port, first=2000)
    links = expect(peer.ask(coap.GET, "/.well-known/core"), "2.05", "/.well-known/core")
    for path in ("</t", "</time>", "</status>"):
        check(path in links.text(), f"{path} is not in {links.text()}")
    before = time.time()
    told = expect(peer.ask(coap.GET, "/time"), "2.05", "/time")
    after = time.time()
    pack = json.loads(told.text(), parse_float=float) if told.number(coap.CONTENT_FORMAT) == \
        coap.SENML_JSON else None
    check(pack is not None, f"/time is of the format {told.number(coap.CONTENT_FORMAT)}")
    for member in ("t", "v"):
        check(before - 0.002 <= pack[0][member] <= after + 0.002, f"/time {pack}, it is {after}")
    status = json.loads(expect(peer.ask(coap.GET, "/status"), "2.05", "/status").text())
    check(isinstance(status, dict) and status, f"/status is {status}")
    peer.close()


def check_keys(world, libcoap):
    case = Case("", coap.TEXT, b"2")

    def is_let_in(identity, key):
        return not libcoap.post("/t/lib-text-plain", case, True, identity, key, patience_s=2)
    check(not is_let_in("pump-4", "another key, of 16"), "a wrong key is let in")
    check(not is_let_in("nobody", KEYS["pump-4"]), "an unknown identity is let in")
    world.write_peers({"peers": peers_of(late=NEW_KEY)["peers"][1:]})
    wait_until("the new identity", lambda: is_let_in("late", NEW_KEY))
    check(not is_let_in("pump-4", KEYS["pump-4"]), "a removed identity is let in")
    world.write_peers(peers_of())


def hostile():
    deep = 10000
    for content, opening in ((coap.JSON, b"["), (coap.JSON, b'{"a":'), (coap.SENML_JSON, b"["),
                             (coap.CBOR, b"\x81"), (coap.CBOR, b"\xa1\x61a"),
                             (coap.SENML_CBOR, b"\x81"), (coap.CBOR, b"\x9f")):
        yield content, opening * deep
    long = b'{"a":"' + b"x" * 65536 + b'"}'
    for payload in (b'{"a":1e999}', b'{"a":"\0"}', b'{"a":"\\u0000"}', b'{"a":"\xff\xfe"}',
                    b'{"a":1,"a":2}', long, b"{", b"", b"[]", b"nul", b'{"a":"\\ud800"}'):
        yield coap.JSON, payload
    for payload in (coap.cbor({"a": float("inf")}), b"\xa1\x61a\x62\xff\xfe", b"\xa1\x61a\x61\0",
                    b"\xa2\x61a\x01\x61a\x02",
                    coap.cbor({"a": "x" * 65536}), b"\xa1", b"\xff", b"\xbb" + b"\xff" * 8,
                    b"\xa1\x61a\x7b" + b"\xff" * 8, coap.cbor({"a": coap.fraction(999, 1)})):
        yield coap.CBOR, payload
    for payload in (b'[{"n":"a","v":1e999}]', b'[{"n":"a","v":1,"v":2}]', b'[{"n":"a\0","v":1}]',
                    b'[{"bver":99,"n":"a","v":1}]', b'[{"n":"a","v":1,"must_":1}]'):
        yield coap.SENML_JSON, payload
    for payload in (b"nan", b"1e999", b"\xff", b"1" * 70000, b"1\0", b""):
        yield coap.TEXT, payload


def in_blocks(peer, path, payload, content):
    """Block by block, as long as the agent wants the next; the last answer."""
    size, at = 1024, 0
    while True:
        more = at + size < len(payload)
        block = coap.uint((at // size) << 4 | more << 3 | 6)
        answer = peer.ask(coap.POST, path, payload[at:at + size], content,
                          more=[(coap.BLOCK1, block)])
        if answer is None or not more or answer.code != "2.31":
            return answer
        at += size


def check_hostile(world):
    """All of them refused; what may be a document is taken where the agent says so."""
    peer = coap.Peer(world.port, first=3000)
    count = 0
    for content, payload in hostile():
        send = in_blocks if len(payload) > 1024 else (
            lambda peer, path, payload, content: peer.ask(coap.POST, path, payload, content))
        answer = send(peer, "/t/hostile", payload, content)
        what = f"{content} {payload[:30]} ({len(payload)} bytes)"
        check(answer is not None, f"{what}: no answer")
        check(answer.code in ("4.00", "4.13"), f"{what}: {answer.code} {answer.text()}")
        count += 1
    expect(peer.ask(coap.POST, "/t/hostile", b"1", coap.TEXT), "2.04", "behind all of them")
    world.wait_for("hostile", 1)
    peer.close()
    return count


def check_repeated(world):
    """The same message before its answer, behind it, and NON: one record each."""
    peer = coap.Peer(world.port, first=4000)
    for at in range(5):
        data, token = peer.request(coap.POST, "/t/repeated", str(at).encode(), coap.TEXT)
        for _ in range(3):
            peer.send(data)
        expect(peer.answer(token), "2.04", "repeated before its answer")
        peer.send(data)
        expect(peer.answer(token), "2.04", "repeated behind its answer")
    data, token = peer.request(coap.POST, "/t/repeated", b"5", coap.TEXT, kind=coap.NON)
    peer.send(data)
    peer.send(data)
    # Whatever came before this one has been taken, or passed over.
    expect(peer.ask(coap.POST, "/t/repeated", b"6", coap.TEXT), "2.04", "behind the repeated")
    values = [record["values"]["value"] for record in world.wait_for("repeated", 7)]
    check(values == list(range(7)), f"of 7 messages came {values}")
    peer.close()


def check_throttle(run, sink):
    """An agent whose peers may send twice a second, and one whose spool is full."""
    port = free_port()
    agent = harness.Agent(run, sink.endpoint, sink.ca, name="throttled",
                          coap={"listen": [f"coap://127.0.0.1:{port}"], "rate": "2/s"})
    agent.start()
    peer = coap.Peer(port, first=5000)
    messages = [peer.request(coap.POST, "/t/quick", b"1", coap.TEXT) for _ in range(20)]
    for data, _ in messages:
        peer.send(data)
    answers = peer.answers({token for _, token in messages})
    codes = [answer.code for answer in answers]
    check({"2.04", "4.29"} == set(codes), f"throttled to 2/s: {codes}")
    for answer in answers:
        if answer.code == "4.29":
            check(1 <= answer.number(coap.MAX_AGE) <= 60, f"4.29: {answer.options}")
    peer.close()
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")


def check_full(run, sink):
    port = free_port()
    agent = harness.Agent(
        run, sink.endpoint, sink.ca, name="full",
        spool={"size": "1MiB", "lanes": {"normal": {"full": "refuse", "window": "0s"}}},
        coap={"listen": [f"coap://127.0.0.1:{port}"], "rate": "10000/s", "byte_rate": "64MiB/s",
              "total_rate": "100000/s", "total_byte_rate": "64MiB/s", "wait": "0s"})
    sink.outage()
    agent.start()
    peer = coap.Peer(port, first=6000)
    for at in range(10000):
        # What does not compress.
        payload = json.dumps({"a": base64.b64encode(os.urandom(750)).decode()}).encode()
        answer = peer.ask(coap.POST, "/t/much", payload, coap.JSON)
        check(answer is not None, f"no answer to message {at}")
        if answer.code != "2.04":
            break
    check(answer.code == "5.03", f"{answer.code} {answer.text()} when it is full")
    check(answer.number(coap.MAX_AGE) is not None, "5.03 without Max-Age")
    peer.close()
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")
    sink.outage(0)
    check(agent.drain() == 0, f"the agent did not deliver: {agent.tail()}")
    came = sum(json.loads(data).get("sensor") == "much" for _, _, data in sink.records())
    check(came == at, f"{at} documents were answered 2.04, {came} came")
    return at


def check_closed(run, sink):
    """A port of somebody else closes the door to peers and nothing else, until it is free."""
    port = free_port()
    agent = harness.Agent(run, sink.endpoint, sink.ca, name="closed",
                          coap={"listen": [f"coap://127.0.0.1:{port}"]})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", port))
        agent.start()
        status = agent.status()
        check(status["coap"]["listen"] == [] and "in use" in status["coap"]["error"], str(status))
        check(any("CoAP" in warning for warning in status["warnings"]), str(status["warnings"]))
    wait_until("the open door", lambda: "error" not in agent.status()["coap"])
    peer = coap.Peer(port)
    expect(peer.ask(coap.POST, "/t/late", b"1", coap.TEXT), "2.04", "once the port was free")
    peer.close()
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")


def scenario(run):
    world = World(run)
    libcoap = LibcoapClient(run, world)
    world.agent.start()
    clock = coap.Peer(world.port)              # the first delivery tells it the time
    expect(clock.ask(coap.POST, "/t/narrow", b"1", coap.TEXT), "2.04", "the first message")
    wait_until("the agent's clock", lambda: clock.ask(coap.GET, "/time").code == "2.05")
    clock.close()
    clients, missing = [libcoap], None
    try:
        clients.append(AiocoapClient(run, world))
    except Skip as reason:
        missing = reason
    count = check_formats(world, clients)
    check_answers(world, libcoap)
    check_discovery(world)
    refused = check_hostile(world)
    check_repeated(world)
    check_keys(world, libcoap)
    check(world.agent.stop() == 0, f"the agent ended badly: {world.agent.tail()}")
    check_closed(run, world.sink)
    check_throttle(run, world.sink)
    taken = check_full(run, world.sink)
    print(f"{count} messages by {' and '.join(client.name for client in clients)}, {refused} "
          f"hostile payloads, {taken} documents until it was full"
          + (f"; NOT by aiocoap: {missing}" if missing else ""))


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
