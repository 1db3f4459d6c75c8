# SPDX-License-Identifier: Apache-2.0
"""
A network of two machines, each a network name space of its own, and a name server in one of them.

The agent lives at the near end, the endpoint at the far one. Needs root, ip and iptables.
"""
import contextlib
import ctypes
import itertools
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import threading
import time

import harness
import own_mounts

NEAR4, FAR4, OTHER4 = "10.77.0.1", "10.77.0.2", "10.77.0.3"
NEAR6, FAR6 = "fd77::1", "fd77::2"
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def command(*words):
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                            check=False)
    harness.check(result.returncode == 0, f"{' '.join(map(str, words))}: {result.stderr}")
    return result.stdout


class Wire:
    """Two ends of a wire. What is started within `near` or `far` lives there."""

    lock = threading.Lock()
    ready = False
    numbers = itertools.count()

    def __init__(self, v4=True, v6=True, mtu=None):
        self.prepare()
        number = next(Wire.numbers)
        self.near_name, self.far_name = f"near{number}", f"far{number}"
        for name in (self.near_name, self.far_name):
            command("ip", "netns", "add", name)
            command("ip", "-n", name, "link", "set", "lo", "up")
        command("ip", "-n", self.near_name, "link", "add", "v0", "type", "veth", "peer", "name",
                "v0", "netns", self.far_name)
        for name, four, six in ((self.near_name, [NEAR4], [NEAR6]),
                                (self.far_name, [FAR4, OTHER4], [FAR6])):
            if mtu:
                command("ip", "-n", name, "link", "set", "v0", "mtu", mtu)
            command("ip", "-n", name, "link", "set", "v0", "up")
            for address in four if v4 else []:
                command("ip", "-n", name, "address", "add", f"{address}/24", "dev", "v0")
            for address in six if v6 else []:
                command("ip", "-n", name, "address", "add", f"{address}/64", "dev", "v0", "nodad")

    @classmethod
    def prepare(cls):
        """Once for a run, whose mounts are its own."""
        if not own_mounts.entered():
            raise harness.Skip("network name spaces need root")
        for tool in ("ip", "iptables", "tc"):
            if shutil.which(tool) is None:
                raise harness.Skip(f"there is no {tool} here: install iproute2 and iptables")
        with cls.lock:
            if not cls.ready:
                pathlib.Path("/run/netns").mkdir(exist_ok=True)
                command("mount", "-t", "tmpfs", "none", "/run/netns")
                cls.ready = True

    @staticmethod
    @contextlib.contextmanager
    def inside(name):
        """This thread, and what it starts, is in the name space."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            harness.check(LIBC.setns(there, CLONE_NEWNET) == 0, f"setns {name}")
            yield
        finally:
            harness.check(LIBC.setns(before, CLONE_NEWNET) == 0, "setns back")
            os.close(before)
            os.close(there)

    def near(self):
        return self.inside(self.near_name)

    def far(self):
        return self.inside(self.far_name)

    def link(self, state):
        """Up or down, as when a plug is drawn. The addresses stay, IPv6's too."""
        command("ip", "netns", "exec", self.near_name, "sysctl", "-qw",
                "net.ipv6.conf.v0.keep_addr_on_down=1")
        command("ip", "-n", self.near_name, "link", "set", "v0", state)

    def rule(self, *words, family=None):
        """A rule of iptables at the far end, for one FAMILY of addresses (4, 6) or for both."""
        for program in {4: ["iptables"], 6: ["ip6tables"]}.get(family, ["iptables", "ip6tables"]):
            command("ip", "netns", "exec", self.far_name, program, "-w", *words)

    def lossy(self, share):
        self.rule("-A", "INPUT", "-i", "v0", "-m", "statistic", "--mode", "random",
                  "--probability", share, "-j", "DROP")

    def silence(self):
        """Nothing gets through either way, and nobody is told."""
        self.rule("-I", "INPUT", "-i", "v0", "-j", "DROP")
        self.rule("-I", "OUTPUT", "-o", "v0", "-j", "DROP")

    def clear(self):
        self.rule("-F")

    def slow(self, rate):
        for name in (self.near_name, self.far_name):
            command("tc", "-n", name, "qdisc", "add", "dev", "v0", "root", "tbf", "rate", rate,
                    "burst", "4kb", "latency", "1s")


def resolver(run):
    """From now on all of this run ask the name server at the far end of their wire."""
    with Wire.lock:
        file = run.folder.parent / "resolv.conf"
        if not file.exists():
            harness.check(pathlib.Path("/etc/resolv.conf").exists(), "there is no /etc/resolv.conf")
            file.write_text(f"nameserver {FAR4}\nnameserver {FAR6}\n")
            command("mount", "--bind", file, "/etc/resolv.conf")


class NameServer:
    """Answers any name with `addresses`, as `mode` says: answer, silent, nxdomain, servfail, late,
    huge, garbage, loop, other-name."""

    LATE_S = 5

    def __init__(self, address, addresses):
        self.addresses = addresses
        self.mode = "answer"
        self.asked = 0
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            self.asked += 1
            threading.Thread(target=self.answer, args=(query, peer), daemon=True).start()

    def answer(self, query, peer):
        mode = self.mode
        if mode == "silent":
            return
        if mode == "late":
            time.sleep(self.LATE_S)
        with contextlib.suppress(OSError):
            self.socket.sendto(self.reply(query, mode), peer)

    def reply(self, query, mode):
        end = query.index(b"\0", 12) + 5
        question = query[12:end]
        kind = struct.unpack(">H", query[end - 4:end - 2])[0]
        code = {"nxdomain": 3, "servfail": 2}.get(mode, 0)
        records = [] if code else self.records(kind, mode)
        head = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(records), 0, 0)
        data = head + question + b"".join(records)
        return {"garbage": query[:2] + os.urandom(200),
                "loop": head + question + b"\xc0\x1c" * 20}.get(mode, data)

    def records(self, kind, mode):
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        found = [socket.inet_pton(family, address) for address in self.addresses
                 if family is not None and (":" in address) == (kind == 28)]
        name = b"\x05other\x04test\0" if mode == "other-name" else b"\xc0\x0c"
        filler = []
        if mode == "huge" and family is not None:
            filler = [b"\x10" + b"x" * 16 + b"\x04test\0" + struct.pack(">HHIH", 16, 1, 60, 201) +
                      b"\xc8" + b"y" * 200] * 250
        return filler + [name + struct.pack(">HHIH", kind, 1, 1, len(address)) + address
                         for address in found]

    def stop(self):
        self.socket.close()
