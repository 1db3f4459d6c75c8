# SPDX-License-Identifier: Apache-2.0
"""
An endpoint that misbehaves byte by byte.

A Rogue stands between the agent and a sink without TLS. What it is not told to spoil it passes on,
and writes down: which records were in a request, which of them the sink stored, and whether the
agent was told so. So a duplicate can be explained, or not. An act is a function of a Talk, one
request; it may forward, answer anything, stop in the middle, or do nothing.

A Relay stands in front of it and spoils what it cannot read: the records of TLS.
"""
import base64
import contextlib
import json
import re
import select
import socket
import ssl
import struct
import threading
import time

READ_S = 60  # longer than any deadline of an agent whose time runs faster
NAMES = {200: "OK", 302: "Found", 307: "Temporary Redirect", 400: "Bad Request", 403: "Forbidden",
         404: "Not Found", 413: "Content Too Large", 429: "Too Many Requests",
         500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
         504: "Gateway Timeout", 511: "Network Authentication Required"}


class Gone(Exception):
    """The other side has closed, or is not waited for any longer."""


def message(status, body=b"", headers=(), version="HTTP/1.1", length=True):
    """A reply as it goes over the wire."""
    body = body.encode() if isinstance(body, str) else body
    lines = [f"{version} {status} {NAMES.get(status, 'Odd')}", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Form:
    """What a service calls the parts of a reply that has a result for each record."""

    def __init__(self, results, failed, stored):
        self.results, self.failed, self.stored = results, failed, stored

    def spell(self, body):
        """BODY, which is or becomes JSON, in the words of this service instead of Kinesis's."""
        text = body if isinstance(body, (str, bytes)) else json.dumps(body)
        if self is KINESIS or isinstance(text, bytes):
            return text
        for word, own in ((KINESIS.failed, self.failed), (KINESIS.results, self.results),
                          (KINESIS.stored, self.stored)):
            text = text.replace(f'"{word}"', f'"{own}"')
        return text


KINESIS = Form("Records", "FailedRecordCount", "SequenceNumber")
FIREHOSE = Form("RequestResponses", "FailedPutCount", "RecordId")


def aws(body, status=200, headers=(), **options):
    """The same as Kinesis spells it; BODY may be what becomes JSON."""
    text = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return message(status, text, ("Content-Type: application/x-amz-json-1.1",
                                  "x-amzn-RequestId: 00000000-0000-4000-8000-0123456789ab",
                                  *headers), **options)


def error(code, status=400, text="Refused on command", headers=()):
    return aws({"__type": code, "message": text}, status, headers)


def stored_entry(number):
    return {"SequenceNumber": f"4959{number:052d}", "ShardId": "shardId-000000000000"}


def success(count):
    """A reply that says of COUNT records that they were stored, which nobody did."""
    return {"FailedRecordCount": 0, "Records": [stored_entry(i) for i in range(count)]}


def read_message(receive, rest=b""):
    """(head, body, rest) of one HTTP message with Content-Length; None at the end."""
    while b"\r\n\r\n" not in rest:
        piece = receive()
        if not piece:
            return None
        rest += piece
    head, rest = rest.split(b"\r\n\r\n", 1)
    found = re.search(rb"\r\nContent-Length: *(\d+)", head, re.I)
    length = int(found.group(1)) if found else 0
    while len(rest) < length:
        piece = receive()
        if not piece:
            return None
        rest += piece
    return head + b"\r\n\r\n", rest[:length], rest[length:]


def identities(body):
    """(device, spool, sequence number) of each record of a PutRecords, PutRecordBatch or PutRecord,
    if it is."""
    request = json.loads(body) if body.startswith(b"{") else {}
    found = []
    for entry in request.get("Records", [request] if "Data" in request else []):
        record = json.loads(base64.b64decode(entry["Data"]))
        found.append((record["device"], record["spool"], record["seq"]))
    return found


def stop_hard(sock):
    """A reset instead of an end."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Talk:
    """One request, and the connection that it came on."""

    def __init__(self, rogue, sock, raw, head):
        self.rogue = rogue
        self.sock = sock
        self.raw = raw       # the socket below TLS
        self.head = head
        self.form = FIREHOSE if b"X-Amz-Target: Firehose" in head else KINESIS
        self.body = b""
        self.records = []
        self.stored = set()  # which of the records, by their place
        self.told = False    # the agent has the sink's own reply
        self.at = time.monotonic()

    def forward(self, places=None):
        """Hands the request to the sink, or only the records at PLACES of it; its reply."""
        head, body = self.head, self.body
        if places is not None:
            request = json.loads(body)
            request["Records"] = [request["Records"][place] for place in places]
            body = json.dumps(request).encode()
            head = re.sub(rb"(?i)(content-length: *)\d+", rb"\g<1>%d" % len(body), head)
        reply_head, reply_body = self.rogue.ask_sink(head + body)
        places = range(len(self.records)) if places is None else places
        if b" 200 " in reply_head.split(b"\r\n")[0]:
            reply = json.loads(reply_body)
            entries = reply.get(self.form.results, [reply])
            self.stored |= {place for place, entry in zip(places, entries)
                            if self.form.stored in entry}
        return reply_head + reply_body

    def send(self, data, pieces=None):
        """All of it, or in PIECES: places where it is cut into records of their own."""
        if isinstance(data, str):
            data = data.encode()
        for start, end in zip([0, *(pieces or [])], [*(pieces or []), len(data)]):
            if end > start:
                self.sock.sendall(data[start:end])

    def tell(self, data, pieces=None):
        """What the agent may believe: the sink's own words."""
        self.send(data, pieces)
        self.told = True

    def hold(self, seconds=READ_S):
        """Says nothing more; until the agent has gone."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.raw], [], [], 0.05)[0]:
                with contextlib.suppress(ssl.SSLWantReadError):
                    if not self.sock.recv(65536):
                        break
        raise Gone

    def reset(self):
        stop_hard(self.raw)
        raise Gone

    def close(self):
        """An end without TLS's own goodbye."""
        with contextlib.suppress(OSError):
            self.raw.shutdown(socket.SHUT_RDWR)
        raise Gone

    def goodbye(self):
        """An orderly end."""
        if isinstance(self.sock, ssl.SSLSocket):
            with contextlib.suppress(OSError):
                self.raw = self.sock.unwrap()
        self.close()


class Server:
    """Takes connections, each in a thread of its own."""

    def __init__(self, address="127.0.0.1", port=0):
        self.listener = socket.create_server((address, port), family=socket.AF_INET6
                                             if ":" in address else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.connections = 0
        self.open = set()
        self.ended = False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(READ_S)
            with self.lock:
                self.connections += 1
                self.open.add(sock)
            threading.Thread(target=self.serve_and_close, args=(sock,), daemon=True).start()

    def serve_and_close(self, sock):
        try:
            self.serve(sock)
        except (OSError, Gone):
            pass
        finally:
            with self.lock:
                self.open.discard(sock)
            sock.close()

    def serve(self, sock):
        raise NotImplementedError

    def drop_all(self):
        """Ends what is open, so that what comes next is a new connection."""
        with self.lock:
            for sock in self.open:
                with contextlib.suppress(OSError):  # TLS's own would read on without deciphering
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def stop(self):
        self.ended = True
        self.listener.close()
        self.drop_all()


class Rogue(Server):
    """See above. What may be set at any time: `tls`, a context; `act`, until it is set to None;
    `early`, likewise, once the head is in and before the body is; `once`, acts for one request
    each; `on_accept`, a function of the raw socket."""

    def __init__(self, sink_port, tls=None, address="127.0.0.1", port=0):
        self.sink_port = sink_port
        self.tls = tls
        self.act = None
        self.early = None
        self.once = []
        self.on_accept = None
        self.talks = []
        self.refused_handshakes = []
        super().__init__(address, port)

    def serve(self, raw):
        if self.on_accept is not None:
            self.on_accept(raw)
        sock = raw
        if self.tls is not None:
            try:
                sock = self.tls.wrap_socket(raw, server_side=True, suppress_ragged_eofs=True)
            except (ssl.SSLError, OSError) as fault:
                self.refused_handshakes.append(str(fault))
                return
            with self.lock:  # wrapping takes the descriptor over
                self.open.discard(raw)
                self.open.add(sock)
        try:
            self.talk_on(sock)
        finally:
            with self.lock:
                self.open.discard(sock)
            sock.close()

    def talk_on(self, sock):
        rest = b""
        while True:
            while b"\r\n\r\n" not in rest:
                piece = sock.recv(65536)
                if not piece:
                    return
                rest += piece
            head, rest = rest.split(b"\r\n\r\n", 1)
            talk = Talk(self, sock, sock, head + b"\r\n\r\n")
            if self.early is not None:
                self.early(talk)
            found = read_message(lambda: sock.recv(65536), talk.head + rest)
            if found is None:
                return
            talk.head, talk.body, rest = found
            self.answer(talk)

    def answer(self, talk):
        """Nobody spoils a request without records: it asks for the time."""
        talk.records = identities(talk.body)
        with self.lock:
            self.talks.append(talk)
            act = self.act
            if self.once and talk.records:
                act = self.once.pop(0)
        if act is None or not talk.records:
            talk.tell(talk.forward())
        else:
            act(talk)

    def ask_sink(self, data):
        with socket.create_connection(("127.0.0.1", self.sink_port), timeout=READ_S) as sock:
            sock.sendall(data)
            found = read_message(lambda: sock.recv(65536))
        if found is None:
            raise Gone
        return found[0], found[1]

    def requests(self):
        """How many came, with records."""
        with self.lock:
            return sum(1 for talk in self.talks if talk.records)

    def unexplained(self, knows_what_arrived=True):
        """Identities that came again although the agent had been told that they were stored. Who
        cannot know what arrived takes it that a batch was in doubt if the next request began with
        a record of it."""
        with self.lock:
            talks = [talk for talk in self.talks if talk.records]
        sure, found = {}, []
        for number, talk in enumerate(talks):
            following = talks[number + 1].records[0] if number + 1 < len(talks) else None
            known = talk.told if knows_what_arrived else following not in talk.records
            for place in sorted(talk.stored):
                record = talk.records[place]
                if sure.get(record):
                    found.append(record)
                sure[record] = sure.get(record, False) or known
        return found


class Relay(Server):
    """Passes bytes on between the agent and TARGET, a port. `spoil`, a function of (number,
    record), is given each record of TLS that comes back, and returns what is sent instead;
    (bytes, True) also ends the connection."""

    def __init__(self, target, address="127.0.0.1"):
        self.target = target
        self.spoil = None
        super().__init__(address)

    def serve(self, sock):
        with socket.create_connection(("127.0.0.1", self.target), timeout=READ_S) as other:
            up = threading.Thread(target=self.pass_on, args=(sock, other), daemon=True)
            up.start()
            self.pass_back(other, sock, self.spoil)
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            up.join()

    @staticmethod
    def pass_on(source, to):
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                to.sendall(piece)
            to.shutdown(socket.SHUT_WR)

    @staticmethod
    def take(source, count):
        data = b""
        while len(data) < count:
            piece = source.recv(count - len(data))
            if not piece:
                raise Gone
            data += piece
        return data

    def pass_back(self, source, to, spoil):
        number = 0
        while True:
            if spoil is None:
                piece = source.recv(65536)
                if not piece:
                    return
                to.sendall(piece)
                continue
            header = self.take(source, 5)
            record = header + self.take(source, int.from_bytes(header[3:5], "big"))
            spoilt = spoil(number, record)
            number += 1
            if isinstance(spoilt, tuple):
                to.sendall(spoilt[0])
                return
            to.sendall(spoilt)
