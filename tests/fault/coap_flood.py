#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
20,000 datagrams a second from strangers come to the doors for CoAP and CoAP over DTLS while a peer
with a key hands in ten times a second: each of its messages is answered 2.04, 99 of 100 within two
seconds; a sensor of the agent keeps its slots; the agent's memory does not grow.
"""
import json
import pathlib
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import coap as peers  # pylint: disable=wrong-import-position
import coap_message as coap  # pylint: disable=wrong-import-position
import harness  # pylint: disable=wrong-import-position
from harness import Skip, check  # pylint: disable=wrong-import-position

RATE = 20000
PEER_RATE = 10
SLOWEST_S = 2
SLOT_S = 0.1
GROWTH_KIB = 4096


class Legitimate(threading.Thread):
    """A peer that sends ten times a second and notes how long each answer took."""

    def __init__(self, port, seconds):
        super().__init__(daemon=True)
        self.peer = coap.Peer(port, first=1 << 20)
        self.count = int(seconds * PEER_RATE)
        self.took_s, self.codes = [], []

    def run(self):
        began = time.monotonic()
        waiting = {}
        for number in range(self.count):
            data, token = self.peer.request(coap.POST, "/t/pump-4", str(number).encode(),
                                            coap.TEXT)
            waiting[token] = [data, time.monotonic(), time.monotonic()]
            self.peer.send(data)
            self.receive(waiting, began + (number + 1) / PEER_RATE)
        end = time.monotonic() + coap.PATIENCE_S
        while waiting and time.monotonic() < end:
            self.receive(waiting, time.monotonic() + coap.RETRANSMIT_S / 4)

    def receive(self, waiting, until):
        """What comes until then; what nobody answered is sent again."""
        while (left := until - time.monotonic()) > 0:
            message = self.peer.receive(left)
            now = time.monotonic()
            if message and message.token in waiting:
                self.codes.append(message.code)
                self.took_s.append(now - waiting.pop(message.token)[1])
            for again in waiting.values():
                if now - again[2] > coap.RETRANSMIT_S:
                    again[2] = now
                    self.peer.send(again[0])


def scenario(run, options):
    sink = harness.Sink(run)
    port, secure_port = peers.free_port(), peers.free_port()
    psk_file = run.folder / "psk.json"
    psk_file.touch(mode=0o600)
    psk_file.write_text(json.dumps(
        {"peers": [{"identity": "pump-4", "key": peers.KEYS["pump-4"]}]}))
    agent = harness.Agent(
        run, sink.endpoint, sink.ca,
        sensors=[{"name": "clockwork", "driver": "sim", "interval": f"{SLOT_S * 1000:.0f}ms"}],
        spool={"size": "32MiB", "lanes": {"normal": {"age": "1s", "window": "10s"}}},
        coap={"listen": [f"coap://127.0.0.1:{port}", f"coaps://127.0.0.1:{secure_port}"],
              "psk_file": str(psk_file)})
    agent.start()
    try:
        front, how = peers.start_relay(run, secure_port, "pump-4", peers.KEYS["pump-4"]), "DTLS"
    except Skip as reason:
        raise Skip(f"no peer with DTLS: {reason}") from None
    Legitimate(front, 1).run()                 # everything has been used once
    before = harness.memory_kib(agent.process.pid)
    samples = agent.status()["sensors"]["clockwork"]["samples"]
    began = time.monotonic()
    peer = Legitimate(front, options.seconds)
    flood = subprocess.Popen(
        [run.program("tests/fault/coap_flood"), str(port), str(secure_port), str(options.rate),
         str(options.seconds)], stdout=subprocess.PIPE, text=True)
    peer.start()
    said = flood.communicate(timeout=options.seconds + 60)[0].strip()
    taken = agent.status()["sensors"]["clockwork"]["samples"] - samples
    slots = (time.monotonic() - began) / SLOT_S
    peer.join()
    after = harness.memory_kib(agent.process.pid)
    status = agent.status()
    sent, took_ms = map(int, re.fullmatch(r"sent (\d+) in (\d+) ms", said).groups())
    times = sorted(peer.took_s)
    slow = times[len(times) * 99 // 100] if times else float("inf")
    print(f"{sent * 1000 // took_ms} datagrams/s; {len(times)} of {peer.count} messages by {how} "
          f"answered, median {times[len(times) // 2]:.3f} s, 99 of 100 within {slow:.3f} s, all "
          f"within {times[-1]:.3f} s; {taken} samples in {slots:.0f} slots; private "
          f"{before['Private_Dirty']} to {after['Private_Dirty']} KiB, resident {before['Rss']} to "
          f"{after['Rss']} KiB" if times else said, flush=True)
    print(json.dumps(status.get("coap")), flush=True)
    check(len(times) == peer.count and set(peer.codes) == {"2.04"},
          f"{peer.count} messages: {len(times)} answered, {sorted(set(peer.codes))}")
    # Whose datagram is lost waits for longer; of fewer than a hundred that may be none.
    check(slow <= SLOWEST_S or peer.count < 100, f"99 of 100 answers took up to {slow:.3f} s")
    check(taken >= 0.95 * slots - 2, f"{taken} samples in {slots:.0f} slots")
    check(after["Private_Dirty"] - before["Private_Dirty"] <= GROWTH_KIB, "memory grows")
    check(agent.stop() == 0, f"the agent ended badly: {agent.tail()}")


if __name__ == "__main__":
    chosen = harness.arguments(
        __doc__, (("--seconds",), {"type": int, "default": 5}),
        (("--rate",), {"type": int, "default": RATE, "help": "datagrams a second (20000)"}))
    harness.main(chosen, lambda run: scenario(run, chosen))
