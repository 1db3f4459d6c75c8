# SPDX-License-Identifier: Apache-2.0
"""
iot.Account behind HTTP on loopback, which spoils answers and kills who asks; and `enroll` as a
process of its own that is asked to survive it.

The process is a fork of this one, so that boto3 is loaded once and not for each of its deaths;
therefore the server has no threads.
"""
import asyncio
import json
import os
import random
import re
import signal
import traceback
import urllib.parse

import iot

# What may happen to a request, and how often in a thousand besides the deaths.
FATES = {"throttle": 15, "refuse": 4, "fail": 5, "lose": 5, "drop": 4, "cut": 3}
DEATHS = ("before", "after", "late")


def _routes():
    """[(method, pattern of the path, operation's name)], longer paths first."""
    found = []
    for name in iot.model().operation_names:
        http = iot.model().operation_model(name).http
        path = http["requestUri"].split("?")[0]
        pattern = "".join(f"(?P<{part[1:-1].rstrip('+')}>.+)" if part.endswith("+}")
                          else f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{")
                          else re.escape(part) for part in re.split(r"(\{[^}]+\})", path))
        if hasattr(iot.Account, iot.xform_name(name)):
            found.append((http["method"], re.compile(pattern), name))
    return found


ROUTES = _routes()


def operation_of(method, target, headers, body):
    """(operation, arguments) of a request, by the model."""
    path, _, query = target.partition("?")
    queries = dict(urllib.parse.parse_qsl(query))
    for wanted, pattern, name in ROUTES:
        match = pattern.fullmatch(path)
        if wanted != method or not match:
            continue
        sources = {"uri": {key: urllib.parse.unquote(value)
                           for key, value in match.groupdict().items()},
                   "querystring": queries, "header": headers,
                   None: json.loads(body) if body else {}}
        arguments = {}
        for member, shape in iot.model().operation_model(name).input_shape.members.items():
            at = shape.serialization.get("location")
            key = shape.serialization.get("name", member)
            value = sources[at].get(key.lower() if at == "header" else key)
            if value is None:
                continue
            if shape.type_name == "integer":
                value = int(value)
            elif shape.type_name == "boolean":
                value = value in (True, "true")
            arguments[member] = value
        return name, arguments
    raise iot.Refusal("InvalidRequestException", f"{method} {target}")


def _reply(status, answer, error=None):
    body = json.dumps(answer, default=lambda moment: moment.timestamp()).encode()
    head = f"HTTP/1.1 {status} Status\r\nContent-Length: {len(body)}\r\n" \
           "Content-Type: application/json\r\n"
    if error:
        head += f"x-amzn-ErrorType: {error}:\r\n"
    return head.encode() + b"\r\n" + body


class Front:
    """Serves ACCOUNT; SEED decides what happens. `death` is after how many requests, and how."""

    def __init__(self, account, seed, fates=None):
        self.account = account
        self.chance = random.Random(seed)
        self.fates = FATES if fates is None else fates
        self.child = None
        self.death = None
        self.happened = {}
        self.writers = set()

    def _fate(self):
        """What happens to the next request."""
        if self.death:
            left, kind = self.death
            self.death = (left - 1, kind) if left > 1 else None
            if left <= 1:
                return kind
        at = self.chance.randrange(1000)
        for name, share in self.fates.items():
            if at < share:
                return name
            at -= share
        return "answer"

    def _perform(self, request):
        try:
            return _reply(200, self.account.perform(*operation_of(*request)))
        except iot.Refusal as refusal:
            return _reply(refusal.status, {"message": refusal.text}, refusal.name)

    def answer(self, request):
        """The bytes that go back, and whether the connection stays."""
        fate = self._fate()
        self.happened[fate] = self.happened.get(fate, 0) + 1
        if fate in ("throttle", "refuse", "drop", "before"):
            reply = {"throttle": _reply(400, {"message": "rate"}, "ThrottlingException"),
                     "refuse": _reply(503, {"message": "busy"}, "ServiceUnavailableException"),
                     }.get(fate, b"")
        else:
            reply = self._perform(request)
            if fate == "fail":
                reply = _reply(500, {"message": "internal"}, "InternalFailureException")
            elif fate == "cut":
                head, body = reply.split(b"\r\n\r\n", 1)
                reply = head + b"\r\n\r\n" + body[:len(body) // 2]
            elif fate in ("lose", "after"):
                reply = b""
        if fate in ("before", "after"):
            os.kill(self.child, signal.SIGKILL)
        return reply, fate

    async def serve(self, reader, writer):
        """One connection."""
        self.writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ")
                headers = {name.lower(): value for name, _, value
                           in (line.partition(": ") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                reply, fate = self.answer((method, target, headers, body))
                writer.write(reply)
                await writer.drain()
                if fate == "late":
                    os.kill(self.child, signal.SIGKILL)
                if fate in ("lose", "drop", "cut") + DEATHS:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()


async def _end_of(pid):
    """The exit code of a child, or minus the signal that ended it."""
    ended = asyncio.Event()
    descriptor = os.pidfd_open(pid)
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def fork(work, log):
    """The id of a child that does WORK(), writes into LOG and ends with its result."""
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        code = work()
    except BaseException:       # the parent's loop and tests must not see it
        traceback.print_exc()
    finally:
        os._exit(code)


async def live(front, work, log, life, begun):
    """
    Lets WORK(url of FRONT) be done by one child after the other, until one ends by itself; LIFE()
    is called before each, BEGUN(url) before the first. Returns the exit code of the last and how
    many were killed before it.
    """
    server = await asyncio.start_server(front.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    begun(url)
    try:
        for deaths in range(1000):
            life()
            front.child = fork(lambda: work(url), log)
            code = await _end_of(front.child)
            if code != -signal.SIGKILL:
                return code, deaths
    finally:
        server.close()
        for writer in list(front.writers):
            writer.close()
        await asyncio.sleep(0)
    raise AssertionError("killed a thousand times")
