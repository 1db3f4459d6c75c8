# SPDX-License-Identifier: Apache-2.0
"""
From the records of a shard to objects in S3: each identity once, none lost. What the Lambda
consumer and the KCL record processor share.

A chunk of records is settled in five steps:

 1. read     the shard and the pages of the chunk, consistently; leave out what was seen before
 2. announce in the shard's item which objects will be written (conditional write)
 3. write    the objects, and dead letters for what cannot be read
 4. remove   objects that an earlier attempt announced and never settled
 5. commit   the pages and the shard's position in one transaction, conditional on what was read

Marking comes last, so whatever kills the process, nothing is marked that is not in S3: the stream
delivers it again. What the dead attempt wrote is known by its announcement and removed, in whatever
pieces the stream cuts the records then. Who finds at step 5 that another shard marked one of its
records meanwhile, or that another process works on its shard, begins again at step 1; its objects
of the first attempt are then no longer announced as its own, and go. An attempt's keys are new
ones, so that a late write of a process given up for dead changes no settled object.

Exact therefore is what is settled. Between 3 and 5 a reader may see a record twice. One case is
left in which that stays: a process was given up for dead and its shard settled by another one, then
it writes an object all the same, and dies before it notices. A dead letter may come again, with the
same `id`.
"""
import base64
import collections
import json

from botocore.exceptions import BotoCoreError, ClientError

import identity
import output
import payload
import store as tables

# A transaction has 100 writes, one of them for the shard.
MAX_PAGES = 90
MAX_HOURS = 24
MAX_BYTES = 16 << 20
CONFLICTS = 10
MAX_STALE = 200
# SQS takes 256 KiB (more since 2025); base64 and the letter's other members have to fit, too.
MAX_LETTER_BYTES = 128 << 10

Settings = collections.namedtuple(
    "Settings", "table bucket prefix dead_letters days keep_raw",
    defaults=("", "", "", 400, False))


class Incoming:
    """A record of the stream: POSITION (sequence number, sub-sequence number), data, origin."""

    __slots__ = ("position", "data", "partition_key", "arrived_s")

    def __init__(self, position, data, partition_key, arrived_s):
        self.position = position
        self.data = data
        self.partition_key = partition_key
        self.arrived_s = arrived_s


class Entry:
    """A document on its way; its position says where in the stream, to the document."""

    __slots__ = ("position", "item", "incoming", "page", "seq", "hour")

    def __init__(self, incoming, index, item):
        self.position = (*incoming.position, index)
        self.item = item
        self.incoming = incoming
        found = identity.identity_of(item.document)
        self.page = identity.page_id(*found) if found else None
        self.seq = found[2] if found else None
        self.hour = output.folder(output.event_hour(item.document, incoming.arrived_s))


class Outcome:
    """What became of a batch. FAILED: the position from which the stream must deliver again."""

    def __init__(self):
        self.written = self.duplicates = self.dead = 0
        self.failed = None
        self.reason = None

    def count(self, chunk, fresh, dead):
        self.written += len(fresh)
        self.dead += len(dead)
        self.duplicates += len(chunk) - len(fresh) - len(dead)


def entries(records, keep_raw):
    for incoming in records:
        for index, item in enumerate(payload.unpack(incoming.data, keep_raw)):
            yield Entry(incoming, index, item)


def chunks(stream_of_entries):
    """Cuts so that a chunk fits into one transaction and into memory; it keeps the order."""
    chunk, pages, hours, size_bytes = [], set(), set(), 0
    for entry in stream_of_entries:
        pages.add(entry.page)
        hours.add(entry.hour)
        size_bytes += len(entry.item.line)
        if chunk and (len(pages) > MAX_PAGES or len(hours) > MAX_HOURS or size_bytes > MAX_BYTES):
            yield chunk
            chunk, pages, hours, size_bytes = [], {entry.page}, {entry.hour}, len(entry.item.line)
        chunk.append(entry)
    if chunk:
        yield chunk


class Delivery:
    def __init__(self, services, settings):
        self.services = services
        self.settings = settings
        self.store = tables.Store(services, settings.table, settings.days)

    def run(self, stream, shard, records, may_go_on=lambda: True):
        """
        Settles RECORDS, in their order, and says in the Outcome how far that went. Ends early where
        may_go_on() says no. An error that no repetition mends (a permission, a
        table that is not there) is an outcome, too: the stream keeps the records.
        """
        outcome = Outcome()
        for chunk in chunks(entries(records, self.settings.keep_raw)):
            try:
                if not may_go_on():
                    raise tables.Busy("the time is up")
                self._settle(stream, shard, chunk, outcome)
            except (tables.Busy, ClientError, BotoCoreError) as error:
                outcome.failed = chunk[0].position
                outcome.reason = str(error)
                break
        return outcome

    def _settle(self, stream, shard, chunk, outcome):
        ids = sorted({entry.page for entry in chunk if entry.page})
        mine = []                     # objects of my own attempts that were not settled
        for attempt in range(CONFLICTS):
            owner, pages = self.store.read(stream, shard, ids)
            fresh, dead = _sift(chunk, owner.done, pages)
            # Who settled the shard meanwhile knows only of what was announced before.
            owner.pending += [key for key in mine if key not in owner.pending]
            try:
                self._write(owner, chunk, pages, fresh, dead, mine)
            except tables.Conflict:
                self.services.wait(attempt)
                continue
            outcome.count(chunk, fresh, dead)
            return
        raise tables.Busy("others keep writing the same records")

    def _write(self, owner, chunk, pages, fresh, dead, mine):
        if not fresh and not dead and not owner.pending:
            return
        stale = owner.pending
        if len(stale) > MAX_STALE:
            # Many deaths in a row; the item must not outgrow what DynamoDB takes.
            self.store.announce(owner, ())
            self._remove(stale)
            owner.pending = stale = []
        objects = self._objects(owner, fresh)
        if objects or stale:
            # Also before a removal: from here on the owner of what is removed cannot commit it.
            self.store.announce(owner, objects)
        mine += objects
        for key, lines in objects.items():
            self._put_object(key, output.pack(lines))
        for entry in dead:
            self._bury(owner, entry)
        self._remove(stale)
        self.store.commit(owner, chunk[-1].position, pages)

    def _remove(self, keys):
        for key in keys:
            self.services.retry(lambda: self.services.s3.delete_object(
                Bucket=self.settings.bucket, Key=key))  # pylint: disable=cell-var-from-loop

    def _objects(self, owner, fresh):
        """The lines of each object, by their keys: one object for each hour."""
        objects = {}
        for entry in fresh:
            key = output.key_of(self.settings.prefix, entry.hour, owner, fresh[0].position,
                                owner.version + 1)
            objects.setdefault(key, []).append(entry.item.line)
        return objects

    def _put_object(self, key, body):
        self.services.retry(lambda: self.services.s3.put_object(
            Bucket=self.settings.bucket, Key=key, Body=body,
            ContentType="application/x-ndjson", ChecksumAlgorithm="CRC32"))

    def _bury(self, owner, entry):
        """A dead letter holds the bytes; where they do not fit, the key of an object with them."""
        name = "-".join([owner.stream, owner.shard, *map(str, entry.position)])
        letter = {"id": name, "reason": entry.item.fault, "stream": owner.stream,
                  "shard": owner.shard, "sequenceNumber": str(entry.position[0]),
                  "partitionKey": entry.incoming.partition_key}
        if len(entry.item.line) <= MAX_LETTER_BYTES:
            letter["data"] = base64.b64encode(entry.item.line).decode()
        else:
            letter["bucket"] = self.settings.bucket
            letter["key"] = f"{self.settings.prefix}dead/{output.UNSAFE.sub('_', name)}"
            self._put_object(letter["key"], entry.item.line)
        self.services.retry(lambda: self.services.sqs.send_message(
            QueueUrl=self.settings.dead_letters, MessageBody=json.dumps(letter)))


def _sift(chunk, done, pages):
    """
    What is new, and what is dead; marks the new in PAGES. A document without an identity is known
    by its place in the stream alone.
    """
    fresh, dead = [], []
    for entry in chunk:
        if entry.page is None:
            if entry.position > done:
                (dead if entry.item.fault else fresh).append(entry)
        elif not pages.has(entry.page, entry.seq):
            pages.add(entry.page, entry.seq)
            fresh.append(entry)
    return fresh, dead


def log(outcome, **more):
    """What became of a batch, as a line that CloudWatch Logs can search."""
    return json.dumps({"written": outcome.written, "duplicates": outcome.duplicates,
                       "dead": outcome.dead, "failed": outcome.reason, **more})
