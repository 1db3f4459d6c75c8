#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The KCL record processor, driven over its standard input and output with the messages of a
MultiLangDaemon.

The process runs the processor's own main(). `--processor` starts it with services in memory, which
come from and go to a folder, so that a second process finds what a first one left.
"""
import base64
import collections
import json
import os
import pathlib
import pickle
import subprocess
import sys
import tempfile
import unittest

import fakes
import streams
from streams import record

sys.path.insert(0, str(fakes.FUNCTIONS / "kcl"))
import processor                      # pylint: disable=wrong-import-position

ENVIRONMENT = {"STREAM": streams.STREAM, "TABLE": "identities", "OUTPUT_BUCKET": "lake",
               "OUTPUT_PREFIX": "records/", "DEAD_LETTERS": streams.SETTINGS.dead_letters}
TIMEOUT_S = 60


def load(folder):
    """A world whose content lies in FOLDER, written behind every step."""
    world = fakes.World()
    path = pathlib.Path(folder) / "world"
    if path.exists():
        world.dynamodb.items, world.s3.objects, world.sqs.messages = pickle.loads(
            path.read_bytes())
    def save():
        path.write_bytes(pickle.dumps((world.dynamodb.items, world.s3.objects,
                                       world.sqs.messages)))
    world.at_step = save
    return world


def child(folder):
    """The processor's own main(), with the services of FOLDER."""
    world = load(folder)
    plan = json.loads(os.environ.get("PLAN", "{}"))
    if plan.get("die"):
        world.faults[plan["die"]] = SystemExit(9)
    if plan.get("refuse"):
        world.refuse["PutObject"] = [fakes.error("AccessDenied")] * plan["refuse"]
    if plan.get("chatty"):
        put = world.s3.put_object
        world.s3.put_object = lambda **params: print("chatter of a library") or put(**params)
    services = world.services()
    processor.aws.Services = lambda: services
    return processor.main()


class Daemon:
    """Plays the MultiLangDaemon."""

    def __init__(self, folder, plan=None, **environment):
        self.folder = folder
        self.popen = subprocess.Popen(
            [sys.executable, "-B", __file__, "--processor", folder], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **ENVIRONMENT, "PLAN": json.dumps(plan or {}), **environment})
        self.checkpoints = []

    def send(self, message, cut=None):
        data = message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"
        for part in ([data] if cut is None else [data[:cut], data[cut:]]):
            self.popen.stdin.write(part)
            self.popen.stdin.flush()

    def receive(self):
        """The next message, as the daemon reads: a line that is no JSON object is passed over."""
        for line in self.popen.stdout:
            if line.startswith(b"{"):
                return json.loads(line)
        return None

    def ask(self, message, answers=(), cut=None):
        """
        The status that answers MESSAGE; checkpoints in between get ANSWERS: None is good, text an
        error, a dict is sent as it is.
        """
        answers = collections.deque(answers)
        self.send(message, cut)
        while (reply := self.receive()) and reply["action"] == "checkpoint":
            self.checkpoints.append((reply["sequenceNumber"], reply["subSequenceNumber"]))
            answer = answers.popleft() if answers else None
            error = {} if answer is None else {"error": answer}
            self.send(answer if isinstance(answer, (dict, bytes)) else
                      {**reply, **error, "action": "checkpoint"})
        assert not answers, "fewer checkpoints than were planned"
        return reply

    def end(self):
        out, err = self.popen.communicate(timeout=TIMEOUT_S)
        assert not out.strip(), out
        return self.popen.returncode, err.decode()


def initialize(shard="shardId-000000000000"):
    return {"action": "initialize", "shardId": shard, "sequenceNumber": "TRIM_HORIZON",
            "subSequenceNumber": 0}


def records(*payloads, first=1000):
    return {"action": "processRecords", "millisBehindLatest": 0, "records": [
        {"action": "record", "data": base64.b64encode(data).decode(), "partitionKey": "gw-17",
         "sequenceNumber": str(streams.FIRST_NUMBER + first + at), "subSequenceNumber": sub,
         "approximateArrivalTimestamp": 1476889707000}
        for at, data, sub in ((at, *(data if isinstance(data, tuple) else (data, 0)))
                              for at, data in enumerate(payloads))]}


def number(at):
    return str(streams.FIRST_NUMBER + at)


def status(action):
    return {"action": "status", "responseFor": action}


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.daemon = None

    def start(self, plan=None, shard="shardId-000000000000", **environment):
        self.daemon = Daemon(self.folder, plan, **environment)
        self.addCleanup(self.close, self.daemon)
        self.expect("initialize", initialize(shard))
        return self.daemon

    @staticmethod
    def close(daemon):
        daemon.popen.kill()
        daemon.popen.communicate()

    def expect(self, action, message, answers=(), cut=None):
        self.assertEqual(status(action), self.daemon.ask(message, answers, cut))

    def lines(self):
        return load(self.folder).lines()


class Life(Case):
    def test_a_shard_from_beginning_to_end(self):
        self.start(CHECKPOINT_S="0")
        sent = [record(seq=seq) for seq in range(6)]
        self.expect("processRecords", records(*sent[:3]), [None])
        self.expect("processRecords", records(first=1003))
        self.expect("processRecords", records(streams.aggregate(sent[3:5]), sent[5], first=1003),
                    [None])
        self.expect("shardEnded", {"action": "shardEnded"}, [None])
        self.assertEqual([(number(1002), 0), (number(1004), 0), (None, None)],
                         self.daemon.checkpoints)
        self.assertEqual(0, self.daemon.end()[0])
        self.assertEqual(dict.fromkeys(sent, 1), self.lines())

    def test_sub_sequence_numbers(self):
        """The KCL took an aggregate apart: one number, several records."""
        self.start(CHECKPOINT_S="0")
        message = records((record(seq=0), 0), (b'{"a":1}', 1), (b'{"a":1}', 2))
        for entry in message["records"]:
            entry["sequenceNumber"] = number(1000)
        self.expect("processRecords", message, [None])
        self.assertEqual([(number(1000), 2)], self.daemon.checkpoints)
        self.expect("processRecords", message, [None])
        self.assertEqual({record(seq=0): 1, b'{"a":1}': 2}, self.lines())

    def test_a_message_in_pieces(self):
        self.start()
        message = records(record(seq=0))
        for cut in (1, 50, len(json.dumps(message))):
            self.expect("processRecords", message, cut=cut)
        self.daemon.send(b"\n")
        self.expect("leaseLost", {"action": "leaseLost"})
        self.assertEqual({record(seq=0): 1}, self.lines())

    def test_what_libraries_print_is_no_message(self):
        self.start({"chatty": True})
        self.expect("processRecords", records(record(seq=0)))
        code, err = self.daemon.end()
        self.assertEqual(0, code)
        self.assertIn("chatter of a library", err)

    def test_lease_lost(self):
        self.start()
        self.expect("processRecords", records(record(seq=0)))
        self.expect("leaseLost", {"action": "leaseLost"})
        self.assertEqual([], self.daemon.checkpoints)

    def test_shutdown_requested(self):
        self.start()
        self.expect("shutdownRequested", {"action": "shutdownRequested"})
        self.expect("processRecords", records(record(seq=0)))
        self.expect("shutdownRequested", {"action": "shutdownRequested"}, [None])
        self.assertEqual([(number(1000), 0)], self.daemon.checkpoints)

    def test_an_older_daemon(self):
        self.start()
        message = records(record(seq=0))
        for entry in message["records"]:
            del entry["subSequenceNumber"], entry["approximateArrivalTimestamp"]
        self.expect("processRecords", message)
        self.expect("shutdown", {"action": "shutdown", "reason": "ZOMBIE"})
        self.assertEqual([], self.daemon.checkpoints)
        self.start()
        self.expect("shutdown", {"action": "shutdown", "reason": "TERMINATE"}, [None])
        self.assertEqual([(None, None)], self.daemon.checkpoints)


class Checkpoints(Case):
    def test_not_for_each_batch(self):
        self.start()
        for at in range(5):
            self.expect("processRecords", records(record(seq=at), first=1000 + at))
        self.assertEqual([], self.daemon.checkpoints)

    def test_throttled(self):
        self.start(CHECKPOINT_S="0")
        self.expect("processRecords", records(record(seq=0)),
                    ["ThrottlingException", "KinesisClientLibDependencyException", None])
        self.assertEqual([(number(1000), 0)] * 3, self.daemon.checkpoints)

    def test_throttled_for_long(self):
        """It goes on, and the next batch's checkpoint covers both."""
        self.start(CHECKPOINT_S="0")
        attempts = processor.CHECKPOINT_ATTEMPTS
        self.expect("processRecords", records(record(seq=0)), ["ThrottlingException"] * attempts)
        self.expect("processRecords", records(record(seq=1), first=1001), [None])
        self.assertEqual([(number(1000), 0)] * attempts + [(number(1001), 0)],
                         self.daemon.checkpoints)

    def test_the_lease_is_lost_meanwhile(self):
        self.start(CHECKPOINT_S="0")
        self.expect("processRecords", records(record(seq=0)), ["ShutdownException"])
        self.expect("processRecords", records(record(seq=1), first=1001))
        self.expect("shardEnded", {"action": "shardEnded"})
        self.assertEqual(1, len(self.daemon.checkpoints))

    def ends(self, message, answers, why):
        self.assertIsNone(self.daemon.ask(message, answers))
        code, err = self.daemon.end()
        self.assertEqual(1, code)
        self.assertIn(why, err)

    def test_what_cannot_go_on_ends_without_an_answer(self):
        batch = records(record(seq=0))
        for answers, why in ((["InvalidStateException"], "InvalidStateException"),
                             ([{"action": "processRecords", "records": []}], "does not answer"),
                             ([b"nonsense\n"], "no message")):
            with self.subTest(why):
                self.start(CHECKPOINT_S="0")
                self.ends(batch, answers, why)
        self.start()
        self.ends({"action": "shardEnded"}, ["ThrottlingException"] *
                  processor.CHECKPOINT_ATTEMPTS, "end of the shard")
        for message, why in (({"action": "dance"}, "nobody knows"), (b"[]\n", "no message"),
                             (b"{\n", "no message")):
            self.start()
            self.ends(message, [], why)

    def test_records_before_initialize(self):
        self.daemon = Daemon(self.folder)
        self.addCleanup(self.close, self.daemon)
        self.ends(records(record(seq=0)), [], "before initialize")

    def test_the_input_ends_in_a_message(self):
        self.start()
        self.daemon.send(b'{"action":')
        code, err = self.daemon.end()
        self.assertEqual(1, code)
        self.assertIn("middle of a message", err)


class Deaths(Case):
    SENT = [record(seq=seq) for seq in range(6)]

    def test_what_cannot_be_settled_is_not_answered(self):
        self.start({"refuse": 3}, ROUNDS="3")
        self.assertIsNone(self.daemon.ask(records(*self.SENT)))
        self.assertEqual(1, self.daemon.end()[0])
        self.assertEqual({}, self.lines())
        self.start({"refuse": 2}, ROUNDS="3")
        self.expect("processRecords", records(*self.SENT))
        self.assertEqual(dict.fromkeys(self.SENT, 1), self.lines())

    def test_killed_at_each_step(self):
        """The next process reads from the last checkpoint, in another cut."""
        raw = b'{"no":"identity"}'
        for step in range(1, 12):
            with self.subTest(step):
                self.setUp()
                self.start({"die": step})
                died = self.daemon.ask(records(*self.SENT, raw)) is None
                self.close(self.daemon)
                self.start()
                self.expect("processRecords", records(*self.SENT[:2]))
                self.expect("processRecords", records(*self.SENT[2:], raw, first=1002))
                self.assertEqual({**dict.fromkeys(self.SENT, 1), raw: 1}, self.lines())
        self.assertFalse(died, "there are more steps than were tried")

    def test_a_reshard(self):
        """The child shard brings again what the agent sent twice."""
        self.start()
        self.expect("processRecords", records(*self.SENT[:4]))
        self.expect("shardEnded", {"action": "shardEnded"}, [None])
        self.start(shard="shardId-000000000001")
        self.expect("processRecords", records(*self.SENT[2:], first=2000))
        self.assertEqual(dict.fromkeys(self.SENT, 1), self.lines())


class Package(unittest.TestCase):
    def test_properties_start_what_is_there(self):
        folder = fakes.FUNCTIONS / "kcl"
        pairs = dict(map(str.strip, line.split("=", 1))
                     for line in (folder / "runnel.properties").read_text().splitlines()
                     if line and not line.startswith("#"))
        program = folder / pairs["executableName"]
        self.assertTrue(os.access(program, os.X_OK))
        self.assertEqual("TRIM_HORIZON", pairs["initialPositionInStream"])
        for name in ("streamName", "applicationName", "regionName", "processingLanguage"):
            self.assertTrue(pairs[name])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--processor"]:
        sys.exit(child(sys.argv[2]))
    fakes.main()
