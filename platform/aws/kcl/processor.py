#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A record processor for the Kinesis Client Library: the consumer of ../lambda, run by a
MultiLangDaemon.

The daemon starts one of these for each shard that it holds and talks JSON lines with it, on
standard input and output: it says what to do, and waits for {"action":"status","responseFor":...}.
Between, the processor may ask for a checkpoint and then gets that answered first.

    initialize         which shard
    processRecords     settle them (delivery.py), then a checkpoint, if one is due
    shardEnded         a checkpoint at the end of the shard, which its children wait for
    shutdownRequested  a checkpoint, since the lease goes to somebody else
    leaseLost          nothing: the shard is somebody else's already

The KCL takes any answer for success and goes on to the next records. So while records cannot be
settled this keeps trying, and in the end leaves with code 1, unanswered: the daemon ends, is
started again, and reads from the last checkpoint. Records that were settled behind that checkpoint
are known by their identity, or their place in the shard, and not written twice.

Environment: what ../lambda/consumer.py says, and
             STREAM         name of the stream
             CHECKPOINT_S   a checkpoint at most so often (60); 0 is one for each batch
             ROUNDS         how often records are tried before this gives up (10)
"""
import base64
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lambda"))

# pylint: disable=wrong-import-position
import consumer
import delivery
import services as aws

CHECKPOINT_ATTEMPTS = 8
# What passes: throttled, or one of the KCL's own dependencies is ill.
PASSING = ("ThrottlingException", "KinesisClientLibDependencyException")


class Ended(Exception):
    """Why this process cannot go on, in words."""


class Channel:
    """Lines of JSON to and from the daemon."""

    def __init__(self, source, sink):
        self.source = source
        self.sink = sink

    def read(self):
        """The next message; None at the end of the input."""
        while True:
            line = self.source.readline()
            if not line:
                return None
            if not line.endswith(b"\n"):
                raise Ended("the daemon's input ends in the middle of a message")
            if line.strip():
                return self._parse(line)

    @staticmethod
    def _parse(line):
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict) or "action" not in message:
            raise Ended(f"the daemon sent no message: {line[:80]!r}")
        return message

    def write(self, message):
        # A line of its own, whatever was written before.
        self.sink.write(b"\n" + json.dumps(message).encode() + b"\n")
        self.sink.flush()


class Checkpointer:
    """Where the KCL would go on, kept by the daemon."""

    def __init__(self, channel, services):
        self.channel = channel
        self.services = services
        self.is_lost = False

    def checkpoint(self, sequence_number, sub_sequence_number=None):
        """
        True if it was taken; None as the number is the end of the shard. False: throttled for too
        long, or the lease is lost. Raises Ended where daemon and processor do not agree.
        """
        for attempt in range(CHECKPOINT_ATTEMPTS):
            if self.is_lost:
                return False
            error = self._ask(sequence_number, sub_sequence_number)
            if error is None:
                return True
            if error == "ShutdownException":
                self.is_lost = True
            elif error not in PASSING:
                raise Ended(f"a checkpoint at {sequence_number} is refused: {error}")
            else:
                self.services.wait(attempt)
        return False

    def _ask(self, sequence_number, sub_sequence_number):
        self.channel.write({"action": "checkpoint", "sequenceNumber": sequence_number,
                            "subSequenceNumber": sub_sequence_number})
        message = self.channel.read()
        if message is None or message["action"] != "checkpoint":
            raise Ended("the daemon does not answer a checkpoint")
        return message.get("error")


class Processor:
    """One shard's records, from initialize to its end."""

    def __init__(self, channel, services, environment, clock=time.monotonic):
        self.channel = channel
        self.services = services
        self.delivery = delivery.Delivery(services, consumer.settings_of(environment))
        self.stream = environment["STREAM"]
        self.every_s = float(environment.get("CHECKPOINT_S") or 60)
        self.rounds = int(environment.get("ROUNDS") or 10)
        self.clock = clock
        self.checkpointer = Checkpointer(channel, services)
        self.shard = None
        self.settled = None           # (sequence number, sub-sequence number) without a checkpoint
        self.checkpointed_at = clock()
        self.actions = {"initialize": self._initialize, "processRecords": self._process,
                        "shardEnded": self._shard_ended, "leaseLost": self._lease_lost,
                        "shutdownRequested": self._shutdown_requested,
                        "shutdown": self._shutdown}

    def run(self):
        """Until the daemon closes the input. Raises Ended."""
        while (message := self.channel.read()) is not None:
            action = self.actions.get(message["action"])
            if not action:
                raise Ended(f"the daemon asks for {message['action']}, which nobody knows")
            action(message)
            self.channel.write({"action": "status", "responseFor": message["action"]})

    def _initialize(self, message):
        self.shard = message["shardId"]

    def _process(self, message):
        if self.shard is None:
            raise Ended("records come before initialize")
        records = message["records"]
        if records:
            self._settle(records)
            last = records[-1]
            self.settled = (last["sequenceNumber"], last.get("subSequenceNumber") or 0)
        if self.clock() - self.checkpointed_at >= self.every_s:
            self._checkpoint_settled()

    def _settle(self, records):
        for attempt in range(self.rounds):
            outcome = self.delivery.run(self.stream, self.shard, map(incoming_of, records))
            print(delivery.log(outcome, shard=self.shard, records=len(records)), file=sys.stderr)
            if not outcome.failed:
                return
            self.services.wait(attempt)
        raise Ended(f"records from {outcome.failed[0]} on cannot be settled: {outcome.reason}")

    def _checkpoint_settled(self):
        if self.settled and self.checkpointer.checkpoint(*self.settled):
            self.settled = None
            self.checkpointed_at = self.clock()

    def _shard_ended(self, _message):
        if not self.checkpointer.checkpoint(None) and not self.checkpointer.is_lost:
            raise Ended("the end of the shard cannot be checkpointed")

    def _shutdown_requested(self, _message):
        self._checkpoint_settled()

    def _lease_lost(self, _message):
        self.checkpointer.is_lost = True

    def _shutdown(self, message):
        """What daemons before KCL 2 say for the two ways a shard ends."""
        (self._shard_ended if message.get("reason") == "TERMINATE" else self._lease_lost)(message)


def incoming_of(record):
    """A sub-sequence number is the KCL's, which takes aggregates apart by itself."""
    position = (int(record["sequenceNumber"]), int(record.get("subSequenceNumber") or 0))
    arrived_ms = record.get("approximateArrivalTimestamp") or 0
    return delivery.Incoming(position, base64.b64decode(record["data"]), record["partitionKey"],
                             int(arrived_ms) / 1000)


def main():
    channel = Channel(sys.stdin.buffer, sys.stdout.buffer)
    # What anything prints must not get between the messages.
    sys.stdout = sys.stderr
    try:
        Processor(channel, aws.Services(), os.environ).run()
    except Ended as ended:
        print(f"processor: {ended}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
