# SPDX-License-Identifier: Apache-2.0
"""
Rows T1 to T5 of the fault matrix: what may be wrong below HTTP.
"""
import contextlib
import json
import socket
import ssl
import struct
import subprocess
import threading
import time

import harness
import rogue
from harness import check, wait_until
from matrix_world import Authority, Shared, World, case, server_context
from rogue import aws, success

FACTOR = 30
CERTIFICATE = "certificate|verif|trust|usage"
HANDSHAKE = "connecting to"


def refuse(world, context, words, state):
    """A server with CONTEXT gets no request, and whatever it does no plain text either."""
    good, before = world.rogue.tls, world.rogue.requests()
    plain = []

    def look(sock):
        if sock.recv(1, socket.MSG_PEEK) not in (b"\x16", b""):
            plain.append(sock)
    world.rogue.on_accept = look
    world.rogue.tls = context
    world.rogue.drop_all()
    world.feed(3)
    world.wait_said(words, state)
    check(world.rogue.requests() == before, f"a request went to a server that is {words}")
    check(not plain, "something was sent in the clear")
    world.rogue.on_accept = None
    world.rogue.tls = good
    world.wait_stored()


@case("T1", "certificates of every wrong kind")
def wrong_certificates(run):
    world = World(run, 2 * FACTOR).start()
    ours, _ = Shared.tls(run)
    theirs = Authority(run.folder, "theirs")
    alone = run.folder / "alone"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{alone}.key", "-out",
                    f"{alone}.pem", "-days", "30", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    for context in (
            theirs.context("theirs"),
            server_context(f"{alone}.pem", f"{alone}.key"),
            ours.context("expired", end="20210101000000Z"),
            ours.context("early", start="20480101000000Z"),
            ours.context("elsewhere", names="DNS:kinesis.us-east-1.amazonaws.com"),
            ours.context("wild", names="DNS:*.localhost"),
            ours.context("client", usage="clientAuth"),
            leaf_signed_by_leaf(run, ours)):
        refuse(world, context, CERTIFICATE, "needs-operator")
    check(world.agent.log.read_text().count("needs-operator") >= 1, "the log has it, too")
    world.finish()


def leaf_signed_by_leaf(run, authority):
    """A server that signs for another name with its own certificate, which is no authority's."""
    folder = run.folder / "leaf"
    folder.mkdir()
    chain, key = authority.sign("middle")
    (folder / "ext").write_text("subjectAltName = DNS:localhost\n")
    for command in (["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-keyout", "key", "-out", "csr", "-subj", "/CN=localhost"],
                    ["x509", "-req", "-in", "csr", "-CA", chain, "-CAkey", key, "-CAcreateserial",
                     "-out", "leaf.pem", "-days", "30", "-extfile", "ext"]):
        subprocess.run(["openssl", *map(str, command)], cwd=folder, check=True,
                       capture_output=True)
    (folder / "chain.pem").write_text((folder / "leaf.pem").read_text() + chain.read_text())
    return server_context(folder / "chain.pem", folder / "key")


@case("T3", "old versions and weak suites")
def downgrade(run):
    world = World(run, 2 * FACTOR).start()
    authority, _ = Shared.tls(run)
    chain, key = authority.sign("rsa", rsa=True)
    for version, suites in ((ssl.TLSVersion.TLSv1, "ALL"), (ssl.TLSVersion.TLSv1_1, "ALL"),
                            (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256"),
                            (ssl.TLSVersion.TLSv1_2, "AES128-SHA"),
                            (ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-SHA"),
                            (ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES256-SHA384"),
                            (ssl.TLSVersion.TLSv1_2, "NULL-SHA256"),
                            (ssl.TLSVersion.TLSv1_2, "AECDH-AES128-SHA")):
        context = server_context(chain, key)
        context.set_ciphers(f"{suites}:@SECLEVEL=0")
        with contextlib.suppress(DeprecationWarning):
            context.minimum_version = context.maximum_version = version
        refuse(world, context, HANDSHAKE, None)
    world.finish()


@case("T3", "what AWS offers is taken: both kinds of certificate, TLS 1.2")
def modern(run):
    world = World(run, FACTOR).start()
    authority, good = Shared.tls(run)
    for name, options, suites in (
            ("rsa-gcm", {"rsa": True}, "ECDHE-RSA-AES128-GCM-SHA256"),
            ("rsa-chacha", {"rsa": True}, "ECDHE-RSA-CHACHA20-POLY1305"),
            ("ecdsa-384", {}, "ECDHE-ECDSA-AES256-GCM-SHA384")):
        context = authority.context(name, **options)
        context.set_ciphers(suites)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        world.rogue.tls = context
        world.rogue.drop_all()
        world.feed(3)
        world.wait_stored()
    world.rogue.tls = good
    world.finish()


# ---- T4 ----

class Relayed(World):
    """A relay between agent and rogue, which can spoil the records of TLS."""

    knows_what_arrived = False

    def make_agent(self, route, environment, config):
        self.relay = rogue.Relay(self.rogue.port)
        self.endpoint = f"https://localhost:{self.relay.port}"
        super().make_agent(route, environment, config)

    def spoil(self, number, change):
        """The record NUMBER of each connection is changed until status has said so. False if all
        went through before there was such a record: resumed handshakes are short, and some
        records carry nothing of the reply."""
        hit = threading.Event()

        def at_number(at, record):
            if at != number:
                return record
            hit.set()
            return change(record)
        self.relay.spoil = at_number
        self.relay.drop_all()
        self.feed(2)
        wait_until("a spoilt record", lambda: hit.is_set() or self.stored() == self.fed)
        if hit.is_set():
            wait_until("what status says of it", lambda: self.route()["error"] is not None or
                       self.stored() == self.fed)
        self.relay.spoil = None
        self.relay.drop_all()
        self.wait_stored()
        return hit.is_set()

    def spoil_all(self, change):
        """Each record of a connection in its turn, resumed or not."""
        hits = 0
        for resumes in (True, False):
            self.rogue.tls = Shared.tls(self.run)[0].context(f"whole-{resumes}-{id(change)}")
            if not resumes:
                self.rogue.tls.options |= ssl.OP_NO_TICKET
            hits += sum(self.spoil(number, change) for number in range(RECORDS))
        check(hits >= RECORDS, f"only {hits} records were there to be spoilt")


def alert(level, number):
    return struct.pack(">BHHBB", 21, 0x0303, 2, level, number)


RECORDS = 6  # of a handshake and the first reply


@case("T4", "an alert in place of each record")
def alerts(run):
    world = Relayed(run, FACTOR).start()
    world.spoil_all(lambda record: (alert(2, 40), True))
    world.spoil(0, lambda record: (alert(2, 70), True))
    world.spoil(0, lambda record: (alert(1, 0), True))
    world.finish()


@case("T4", "each record cut short, altered, or repeated")
def truncated(run):
    world = Relayed(run, FACTOR).start()
    world.spoil_all(lambda record: (record[:len(record) // 2], True))
    world.spoil_all(lambda record: record[:-1] + bytes([record[-1] ^ 1]))
    for number in range(3):
        world.spoil(number, lambda record: (record[:3], True))
        world.spoil(number, lambda record: (b"HTTP/1.1 400 Bad Request\r\n\r\n", True))
        world.spoil(number, lambda record: (b"\x16\x03\x03\xff\xff" + b"x" * 70000, True))
    world.finish()


@case("T4", "silence at each step of the handshake")
def silent_steps(run):
    world = Relayed(run, 2 * FACTOR).start()

    def swallow(record):
        time.sleep(3)
        return record
    for number in range(3):
        world.spoil(number, swallow)
    world.finish()


@case("T4", "an end without close_notify is no success")
def no_close_notify(run):
    """Replies that end with the connection, by a FIN that anybody on the way can send."""
    world = World(run, FACTOR).start()

    def cut(share):
        def act(talk):
            body = json.dumps(success(len(talk.records)))
            reply = aws(body, version="HTTP/1.0", length=False)
            talk.send(reply[:len(reply) - 1 - int(share * len(body))])
            talk.close()
        return act
    for i in range(10):
        world.meet(cut(i / 10))
    check(world.route()["retried"] >= 10, "a cut reply was believed")
    world.finish()


@case("T4", "records of 16 KB")
def large_records(run):
    world = World(run, FACTOR).start()

    def act(talk):
        body = talk.forward().split(b"\r\n\r\n", 1)[1]
        talk.tell(aws(body + b" " * 50000))
    world.meet(act)
    check(world.route()["retried"] == 0, "a large record was not understood")
    world.finish()


@case("T4", "a server that wants to renegotiate")
def renegotiation(run):
    """openssl's own server asks for it behind the request; then the good one is there again."""
    world = Relayed(run, FACTOR).start()
    chain, key = Shared.tls(run)[0].sign("old")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = harness.Process(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", chain, "-key", key,
         "-tls1_2"], run.folder / "s_server", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    check(b"ACCEPT" in read_until(server, b"ACCEPT"), "openssl s_server does not listen")
    world.relay.target = port
    world.relay.drop_all()
    world.feed(3)
    read_until(server, b'"Records":[')
    server.popen.stdin.write(b"r\n")
    server.popen.stdin.flush()
    world.wait_said(".")
    world.relay.target = world.rogue.port
    server.kill()
    world.wait_stored()
    world.finish()


def read_until(process, words):
    seen = b""
    while words not in seen:
        piece = process.popen.stdout.read1(4096)
        check(piece, f"{process.popen.args[0]} ended: {seen[-500:]} {process.tail()}")
        seen += piece
    return seen


# ---- T5 ----

@case("T5", "the server gets another certificate, and another authority")
def rotation(run):
    """The second authority has been in the agent's file all along, as Amazon's five are."""
    second = Authority(run.folder, "second")
    both = run.folder / "both.pem"
    both.write_text(Shared.tls(run)[0].pem.read_text() + second.pem.read_text())
    world = World(run, FACTOR, route={"ca_file": str(both)}).start()
    before = world.route()["handshakes"]
    for context in (world.authority.context("renewed"), second.context("other")):
        world.rogue.tls = context
        world.rogue.drop_all()
        world.feed(3)
        world.wait_stored()
    route = world.route()
    check(route["handshakes"] >= before + 2, f"new handshakes are made: {route}")
    world.finish()


@case("T1", "a wrong server in the middle of a run, then the right one: one alarm")
def one_alarm(run):
    world = World(run, FACTOR).start()
    refuse(world, Authority(run.folder, "theirs").context("theirs"), CERTIFICATE, "needs-operator")
    said = world.agent.log.read_text().count("state=needs-operator")
    check(said == 1, f"the log has it {said} times")
    wait_until("connected", lambda: world.route()["state"] == "connected")
    world.finish()
