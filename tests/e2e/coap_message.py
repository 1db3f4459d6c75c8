# SPDX-License-Identifier: Apache-2.0
"""CoAP for scenarios: messages as bytes (RFC 7252), a peer that sends them as it likes, CBOR."""
import contextlib
import socket
import struct
import time

CON, NON, ACK, RST = range(4)
GET, POST, PUT, DELETE = range(1, 5)
URI_PATH, CONTENT_FORMAT, MAX_AGE, URI_QUERY, BLOCK2, BLOCK1, SIZE1 = 11, 12, 14, 15, 23, 27, 60
TEXT, OCTETS, JSON, CBOR, SENML_JSON, SENML_CBOR = 0, 42, 50, 60, 110, 112
PATIENCE_S = 20
RETRANSMIT_S = 2


def _extended(number):
    if number < 13:
        return number, b""
    return (13, bytes([number - 13])) if number < 269 else (14, struct.pack(">H", number - 269))


def uint(number):
    """An option that is a number."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def encode(kind, code, mid, token=b"", options=(), payload=b""):
    """OPTIONS: pairs of number and bytes, in any order."""
    parts = [struct.pack(">BBH", 0x40 | kind << 4 | len(token), code, mid), token]
    last = 0
    for number, value in sorted(options, key=lambda option: option[0]):
        delta, delta_more = _extended(number - last)
        length, length_more = _extended(len(value))
        parts += [bytes([delta << 4 | length]), delta_more, length_more, value]
        last = number
    if payload:
        parts += [b"\xff", payload]
    return b"".join(parts)


class Message:
    """One that came."""

    def __init__(self, data):
        first, code, self.mid = struct.unpack(">BBH", data[:4])
        self.kind = first >> 4 & 3
        self.code = f"{code >> 5}.{code & 31:02}"
        self.token = data[4:4 + (first & 15)]
        self.options = []
        self.payload = b""
        at, number = 4 + (first & 15), 0
        while at < len(data):
            if data[at] == 0xff:
                self.payload = data[at + 1:]
                break
            delta, length = data[at] >> 4, data[at] & 15
            at += 1
            delta, at = self._more(data, at, delta)
            length, at = self._more(data, at, length)
            number += delta
            self.options.append((number, data[at:at + length]))
            at += length

    @staticmethod
    def _more(data, at, number):
        if number == 13:
            return data[at] + 13, at + 1
        return (struct.unpack_from(">H", data, at)[0] + 269, at + 2) if number == 14 else (number,
                                                                                         at)

    def number(self, option):
        """The option as a number, or None."""
        found = [value for number, value in self.options if number == option]
        return int.from_bytes(found[0], "big") if found else None

    def text(self):
        return self.payload.decode(errors="replace")


def uri(path):
    """The options of /a/b?c=d."""
    path, _, query = path.partition("?")
    return ([(URI_PATH, part.encode()) for part in path.split("/")[1:]] +
            [(URI_QUERY, part.encode()) for part in query.split("&") if part])


class Peer:
    """A socket with messages of its own, numbered from FIRST on."""

    def __init__(self, port, first=1):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.next = first

    def close(self):
        self.socket.close()

    def request(self, code, path, payload=b"", content=None, kind=CON, more=()):
        """The bytes of the next message, and its token."""
        token = struct.pack(">Q", self.next)
        options = uri(path) + list(more)
        if content is not None:
            options.append((CONTENT_FORMAT, uint(content)))
        data = encode(kind, code, self.next & 0xffff, token, options, payload)
        self.next += 1
        return data, token

    def send(self, data):
        with contextlib.suppress(ConnectionRefusedError):   # of the message before
            self.socket.send(data)

    def receive(self, timeout_s):
        """The next message, acknowledged if it wants that; None: none came."""
        self.socket.settimeout(max(timeout_s, 0.001))
        try:
            message = Message(self.socket.recv(65536))
        except (TimeoutError, ConnectionRefusedError):
            return None
        if message.kind == CON:
            self.send(encode(ACK, 0, message.mid))
        return message

    def answer(self, token, timeout_s=PATIENCE_S, again=None):
        """What answers TOKEN, or None; AGAIN is sent as long as nothing came, as a sender does."""
        end = time.monotonic() + timeout_s
        repeat = time.monotonic() + RETRANSMIT_S
        while (now := time.monotonic()) < end:
            if again is not None and now >= repeat:
                self.send(again)
                repeat = now + RETRANSMIT_S
            message = self.receive(min(end, repeat if again else end) - now)
            if message is None:
                continue
            if message.code == "0.00":
                again = None           # it is acknowledged: the answer will come by itself
            elif message.token == token:
                return message
        return None

    def answers(self, tokens, timeout_s=PATIENCE_S):
        """Those to TOKENS, as they come."""
        tokens, found = set(tokens), []
        end = time.monotonic() + timeout_s
        while tokens and (left := end - time.monotonic()) > 0:
            message = self.receive(left)
            if message and message.token in tokens:
                tokens.remove(message.token)
                found.append(message)
        return found

    def ask(self, code, path, payload=b"", content=None, **more):
        """Sends a message and returns its answer, or None."""
        data, token = self.request(code, path, payload, content, **more)
        self.send(data)
        return self.answer(token, again=data)


# ---- CBOR (RFC 8949), as much as is needed ----


class Raw(bytes):
    """Goes in as it is."""


def _head(major, number):
    for extra, limit, form in ((24, 1 << 8, ">B"), (25, 1 << 16, ">H"), (26, 1 << 32, ">I")):
        if number < 24:
            return bytes([major << 5 | number])
        if number < limit:
            return bytes([major << 5 | extra]) + struct.pack(form, number)
    return bytes([major << 5 | 27]) + struct.pack(">Q", number)


def fraction(exponent, mantissa):
    """A decimal fraction."""
    return Raw(b"\xc4" + cbor([exponent, mantissa]))


def cbor(value):
    """VALUE as CBOR; Raw as it is."""
    if isinstance(value, Raw):
        return bytes(value)
    if value is None or isinstance(value, bool):
        return {None: b"\xf6", False: b"\xf4", True: b"\xf5"}[value]
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, (bytes, str)):
        data = value.encode() if isinstance(value, str) else value
        return _head(3 if isinstance(value, str) else 2, len(data)) + data
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(cbor, value))
    return _head(5, len(value)) + b"".join(cbor(part) for pair in value.items() for part in pair)
