#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What a connection costs before its first byte of data: with a full handshake, and taking up the
session of the one before.

A tap between agent and sink counts the bytes and the turns of each connection until the agent sends
its first record of application data; a round trip is the agent waiting for an answer once, TCP's
own comes on top. The tap ends the connection behind each delivery, so that the agent makes another.
"""
import os
import pathlib
import select
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # pylint: disable=wrong-import-position
from harness import check  # pylint: disable=wrong-import-position

APPLICATION_DATA = 23
RECORD_HEAD_BYTES = 5
CONNECTIONS = 4


class Connection:
    """What passed before the client's first application data."""

    def __init__(self):
        self.up = self.down = self.round_trips = 0
        self.over = False
        self.last_was_up = False
        self.left = b""

    def note(self, data, is_up):
        if self.over:
            return
        if not is_up:
            self.down += len(data)
            self.round_trips += self.last_was_up
            self.last_was_up = False
            return
        self.left += data
        while len(self.left) >= RECORD_HEAD_BYTES and not self.over:
            size = RECORD_HEAD_BYTES + int.from_bytes(self.left[3:5], "big")
            self.over = self.left[0] == APPLICATION_DATA
            if self.over or len(self.left) < size:
                break
            self.up += size
            self.last_was_up = True
            self.left = self.left[size:]


class Tap:
    """Passes connections on to PORT, one after the other."""

    def __init__(self, port):
        self.port = port
        self.connections = []
        self.client = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"https://localhost:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            self.client, _ = self.listener.accept()
            self.connections.append(Connection())
            with self.client, socket.create_connection(("127.0.0.1", self.port)) as server:
                try:
                    self.pass_on(self.client, server)
                except OSError:
                    pass  # cut

    def pass_on(self, client, server):
        while True:
            for end in select.select([client, server], [], [])[0]:
                data = end.recv(65536)
                if not data:
                    return
                self.connections[-1].note(data, end is client)
                (server if end is client else client).sendall(data)

    def cut(self):
        self.client.shutdown(socket.SHUT_RDWR)


def scenario(run):
    sink = harness.Sink(run)
    tap = Tap(sink.port)
    fifo = run.folder / "fifo"
    os.mkfifo(fifo)
    agent = harness.Agent(run, tap.endpoint, sink.ca, sensors=[harness.lines_sensor(fifo)],
                          spool={"lanes": {"normal": {"age": "1s"}}})
    agent.start()
    with open(fifo, "w", encoding="ascii") as lines:
        for number in range(CONNECTIONS):
            lines.write(f'{{"id":{number}}}\n')
            lines.flush()
            harness.wait_until("a delivery", lambda: agent.counters()["delivered"] > number)
            tap.cut()
    route = agent.status()["routes"]["live"]
    agent.stop()
    check(route["resumed"] == route["handshakes"] - 1 > 0, f"nothing was resumed: {route}")
    print("handshake   bytes out  bytes in  round trips")
    for name, index in (("full", 0), ("resumed", 1)):
        one = tap.connections[index]
        print(f"{name:<10} {one.up:>10} {one.down:>9} {one.round_trips:>12}")


if __name__ == "__main__":
    harness.main(harness.arguments(__doc__), scenario)
