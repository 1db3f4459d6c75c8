#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
An HTTP proxy that knows CONNECT alone, with basic authentication and faults on command. Scenarios
use class Proxy; it is a program of its own where it must live in another namespace:

usage: proxy.py [--bind ADDRESS] [--port PORT] [--user NAME --password WORD]

It prints `proxy: listening on http://ADDRESS:PORT` and runs until standard input ends.
"""
import argparse
import base64
import contextlib
import select
import socket
import socketserver
import sys
import threading

HEAD_BYTES_MAX = 16384
REASONS = {200: "Connection established", 403: "Forbidden", 407: "Proxy Authentication Required",
           502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


class Handler(socketserver.BaseRequestHandler):
    """One connection: its CONNECT, then bytes in both directions."""

    def handle(self):
        head = self.read_head()
        if head is not None:
            self.server.proxy.serve(self.request, head)

    def read_head(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.request.recv(1)
            if not byte or len(head) > HEAD_BYTES_MAX:
                return None
            head += byte
        return head.decode("latin-1")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    proxy = None

    def handle_error(self, request, client_address):
        pass  # a peer that is gone is no fault of the scenario


class Server6(Server):
    address_family = socket.AF_INET6


class Proxy:
    """
    Listens from its making until close(). What it saw: targets (each "host:port" that was asked
    for, refused ones too), tunnels (how many were made), up and down (their bytes).

    fault says what becomes of the next CONNECTs: None (all is well), a status such as 503, "hang"
    (no answer), "garbage" (no HTTP), "close" (the connection ends without a word), "half" (it ends
    within the head of the reply), "html" (a 200 with a page, and no tunnel).
    names maps "host:port" to the (host, port) to go to instead: names that resolve nowhere else.
    """

    def __init__(self, user=None, password=None, bind="127.0.0.1", port=0, names=None):
        self.user, self.password = user, password
        self.names = dict(names or {})
        self.fault = None
        self.targets, self.tunnels, self.up, self.down = [], 0, 0, 0
        self.open_sockets = set()
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.server = (Server6 if ":" in bind else Server)((bind, port), Handler)
        self.server.proxy = self
        self.host, self.port = bind, self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def authority(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self):
        """Without its secrets."""
        return f"http://{self.authority}"

    @property
    def url_with_secrets(self):
        user = "" if self.user is None else f"{self.user}:{self.password}@"
        return f"http://{user}{self.authority}"

    def close(self):
        self.ended.set()
        self.cut()
        self.server.shutdown()
        self.server.server_close()

    def cut(self):
        """Ends all tunnels there are."""
        with self.lock:
            for end in self.open_sockets:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def serve(self, client, head):
        lines = head.split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or words[0] != "CONNECT":
            return self.reply(client, 405)
        with self.lock:
            self.targets.append(words[1])
        if self.fault is not None:
            return self.fail(client)
        if not self.may_pass(lines[1:]):
            return self.reply(client, 407, "Proxy-Authenticate: Basic realm=\"site\"\r\n")
        return self.connect(client, words[1])

    def may_pass(self, lines):
        if self.user is None:
            return True
        word = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        headers = dict(line.lower().split(": ", 1)[:1] + line.split(": ", 1)[1:]
                       for line in lines if ": " in line)
        return headers.get("proxy-authorization") == f"Basic {word}"

    @staticmethod
    def reply(client, status, headers=""):
        client.sendall(f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}\r\n{headers}"
                       "Content-Length: 0\r\n\r\n".encode())

    def fail(self, client):
        if isinstance(self.fault, int):
            self.reply(client, self.fault)
        elif self.fault == "hang":
            self.ended.wait()
        elif self.fault == "garbage":
            client.sendall(b"\x15\x03\x01\x00\x02\x02\x46 no HTTP at all\r\n\r\n")
        elif self.fault == "half":
            client.sendall(b"HTTP/1.1 200 Conn")
        elif self.fault == "html":
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<p>Hi</p>")

    def connect(self, client, target):
        host, _, port = target.rpartition(":")
        address = self.names.get(target, (host.strip("[]"), int(port)))
        try:
            server = socket.create_connection(address, timeout=20)
        except OSError:
            return self.reply(client, 502)
        with server, self.known(client, server):
            # As RFC 9110 section 9.3.6 wants it: no length, the tunnel begins behind the head.
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self.pass_on(client, server)

    @contextlib.contextmanager
    def known(self, *ends):
        """To cut(), while the tunnel stands."""
        with self.lock:
            self.tunnels += 1
            self.open_sockets.update(ends)
        try:
            yield
        finally:
            with self.lock:
                self.open_sockets.difference_update(ends)

    def pass_on(self, client, server):
        other = {client: server, server: client}
        while True:
            for end in select.select(list(other), [], [])[0]:
                data = end.recv(65536)
                if not data:
                    return
                with self.lock:
                    if end is client:
                        self.up += len(data)
                    else:
                        self.down += len(data)
                other[end].sendall(data)


def main():
    parser = argparse.ArgumentParser(description="An HTTP proxy for tests: CONNECT alone.")
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    options = parser.parse_args()
    proxy = Proxy(options.user, options.password, options.bind, options.port)
    print(f"proxy: listening on {proxy.url}", flush=True)
    sys.stdin.read()
    proxy.close()


if __name__ == "__main__":
    main()
