# SPDX-License-Identifier: Apache-2.0
"""
The DynamoDB table: pages of identities, and for each shard how far it is settled.

The table's key is one string, `id`; `expires` is its time-to-live attribute. Every item has a
`version`, and every write is conditional on the version that was read: whoever comes second reads
again.

    page["gw-17","9f31...",0]    version, seen (a compressed bitmap), expires
    shard["telemetry","shardId-000000000000"]
                                 version, done (the last settled position), pending (keys of objects
                                 that were announced and not yet settled); these do not expire

commit() writes the pages of a chunk and its shard in one transaction: a record is marked as
seen if and only if everything that its chunk wrote is settled. Half a chunk is never marked.
"""
import json
import uuid

from botocore.exceptions import BotoCoreError, ClientError

import identity
import services as aws

DAY_S = 86400
# Of one BatchGetItem; a transaction takes as many writes.
MAX_KEYS = 100
READS = 10


class Conflict(Exception):
    """Somebody else wrote what was to be written: read again."""


class Busy(Exception):
    """AWS does not do what it must, after all attempts; the caller fails and is called again."""


def position_text(position):
    return ".".join(map(str, position))


def position_of(text):
    return tuple(int(part) for part in text.split("."))


class Shard:
    """How far a shard is settled, as the table says it."""

    def __init__(self, stream, shard, item=None):
        item = item or {}
        self.stream, self.shard = stream, shard
        self.version = int(item["version"]["N"]) if item else 0
        self.done = position_of(item["done"]["S"]) if "done" in item else ()
        self.pending = [key["S"] for key in item.get("pending", {"L": []})["L"]]

    @property
    def id(self):
        return "shard" + json.dumps([self.stream, self.shard], separators=(",", ":"))


class Pages:
    """The pages of one chunk, by their ids; those that got new numbers are written."""

    def __init__(self, items):
        self.versions = {page: int(item["version"]["N"]) for page, item in items.items()}
        self.pages = {page: identity.Page(item["seen"]["B"]) for page, item in items.items()}
        self.changed = set()

    def has(self, page, seq):
        return page in self.pages and self.pages[page].has(seq)

    def add(self, page, seq):
        self.pages.setdefault(page, identity.Page()).add(seq)
        self.changed.add(page)


class Store:
    def __init__(self, services, table, days):
        self.services = services
        self.table = table
        self.days = days

    def read(self, stream, shard, page_ids):
        """The shard and the pages as they are now. Raises Busy."""
        owner = Shard(stream, shard)
        items = self._items([owner.id, *page_ids])
        owner = Shard(stream, shard, items.pop(owner.id, None))
        return owner, Pages(items)

    def announce(self, owner, keys):
        """
        Notes that objects under KEYS are about to be written. From here on nobody who read the
        shard before can commit. Raises Conflict, Busy.
        """
        owner.pending = owner.pending + [key for key in keys if key not in owner.pending]
        self._transact([self._put_shard(owner)])
        owner.version += 1

    def commit(self, owner, done, pages):
        """Marks what PAGES got and everything up to DONE as settled. Raises Conflict, Busy."""
        owner.pending = []
        owner.done = max(owner.done, done)
        self._transact([self._put_shard(owner)] +
                       [self._put_page(pages, page) for page in sorted(pages.changed)])
        owner.version += 1

    def _items(self, ids):
        found = {}
        for at in range(0, len(ids), MAX_KEYS):
            wanted = {self.table: {"Keys": [{"id": {"S": name}} for name in ids[at:at + MAX_KEYS]],
                                   "ConsistentRead": True}}
            for item in self._batch_get(wanted):
                found[item["id"]["S"]] = item
        return found

    def _batch_get(self, wanted):
        """DynamoDB answers a part and says what is left: by size, or where it is throttled."""
        found = []
        for attempt in range(READS):
            request = wanted
            reply = self._call(lambda: self.services.dynamodb.batch_get_item(
                RequestItems=request))      # pylint: disable=cell-var-from-loop
            found += reply["Responses"].get(self.table, [])
            wanted = reply.get("UnprocessedKeys")
            if not wanted:
                return found
            self.services.wait(attempt)
        raise Busy("DynamoDB leaves keys unread")

    def _put(self, name, version, attributes):
        put = {"TableName": self.table,
               "Item": {"id": {"S": name}, "version": {"N": str(version + 1)}, **attributes},
               "ConditionExpression": "attribute_not_exists(id)"}
        if version:
            put["ConditionExpression"] = "version = :read"
            put["ExpressionAttributeValues"] = {":read": {"N": str(version)}}
        return {"Put": put}

    def _put_shard(self, owner):
        attributes = {"pending": {"L": [{"S": key} for key in owner.pending]}}
        if owner.done:
            attributes["done"] = {"S": position_text(owner.done)}
        return self._put(owner.id, owner.version, attributes)

    def _put_page(self, pages, page):
        expires = int(self.services.now()) + self.days * DAY_S
        return self._put(page, pages.versions.get(page, 0),
                         {"seen": {"B": pages.pages[page].pack()}, "expires": {"N": str(expires)}})

    def _transact(self, writes):
        # The token makes a repetition behind a lost reply the same transaction.
        token = str(uuid.uuid4())
        self._call(lambda: self.services.dynamodb.transact_write_items(
            TransactItems=writes, ClientRequestToken=token))

    def _call(self, call):
        try:
            return self.services.retry(call, _is_passing)
        except (ClientError, BotoCoreError) as error:
            if "ConditionalCheckFailed" in _reasons(error):
                raise Conflict from error
            if _is_passing(error):
                raise Busy(f"DynamoDB: {aws.code_of(error)}") from error
            raise


def _reasons(error):
    """Why each write of a transaction was refused; of any other error its code."""
    if aws.code_of(error) != "TransactionCanceledException":
        return {aws.code_of(error)}
    return {reason.get("Code", "None") for reason in error.response.get("CancellationReasons", ())}


def _is_passing(error):
    reasons = _reasons(error)
    return "ConditionalCheckFailed" not in reasons and bool(reasons & (aws.THROTTLED |
                                                                       aws.TRANSIENT))
