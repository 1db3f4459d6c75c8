#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The consumer: what went into the stream is in the bucket, each record once, whatever dies, fails,
comes again or comes at the same moment.
"""
import base64
import collections
import json
import pathlib
import random
import sys
import threading
import types
import unittest
import unittest.mock

import fakes
import consumer
import delivery
import identity
import services
import store
import streams
from streams import SETTINGS, Mapping, Shard, record

EVENTS = pathlib.Path(__file__).with_name("events")
PASSING = ("ThrottlingException", "InternalServerError", "ServiceUnavailable")


def once(lines):
    return collections.Counter(dict.fromkeys(lines, 1))


def drain(world, shard, generator=None, **options):
    mapping = Mapping(world, shard, generator or random.Random(1), **options)
    mapping.run()
    return mapping


def shard_of(payloads, name="shardId-000000000000"):
    shard = Shard(name)
    for data in payloads:
        shard.put(data)
    return shard


class Bucket(unittest.TestCase):
    def setUp(self):
        self.world = fakes.World()

    def expect(self, lines):
        self.assertEqual(once(lines), self.world.lines())
        for name, item in self.world.dynamodb.items.items():
            if name.startswith("shard"):
                self.assertEqual([], item["pending"]["L"])


class Plain(Bucket):
    def test_each_packing(self):
        records = [record(seq=seq) for seq in range(20)]
        for name, pack in streams.PACKINGS.items():
            with self.subTest(name):
                self.world = fakes.World()
                drain(self.world, shard_of(pack(records)))
                self.expect(records)

    def test_hours_of_the_event(self):
        records = [record(seq=1, ts="2026-11-23T22:59:59.999Z"),
                   record(seq=2, ts="2026-11-23T23:00:00Z"), record(seq=3, ts="not a time"),
                   record(seq=4, ts="2026-02-30T00:00:00Z")]
        drain(self.world, shard_of(records))
        self.expect(records)
        hours = {key.rsplit("/", 1)[0] for key in self.world.s3.objects}
        # What has no time of its own lies under that of its arrival, 1545084650.
        self.assertEqual({"records/year=2026/month=11/day=23/hour=22",
                          "records/year=2026/month=11/day=23/hour=23",
                          "records/year=2018/month=12/day=17/hour=22"}, hours)

    def test_one_write_for_a_device_and_call(self):
        shard = shard_of([record(f"gw-{at % 3}", at) for at in range(300)])
        Mapping(self.world, shard, random.Random(1)).call(300)
        puts = [put for writes in self.world.dynamodb.tokens.values() for put in writes]
        pages = [put["Put"]["Item"]["id"]["S"] for put in puts
                 if put["Put"]["Item"]["id"]["S"].startswith("page")]
        self.assertEqual(3, len(pages))
        self.assertEqual(2, self.world.calls["TransactWriteItems"])

    def test_documents_without_identity_are_known_by_their_place(self):
        shard = shard_of([b'{"a":1}', b'{"a":1}'])
        mapping = Mapping(self.world, shard, random.Random(1))
        mapping.call(2)
        self.assertEqual({b'{"a":1}': 2}, self.world.lines())
        shard.done = 0
        mapping.call(2)
        self.assertEqual({b'{"a":1}': 2}, self.world.lines())

    def test_the_documented_event(self):
        event = json.loads((EVENTS / "kinesis.json").read_text())
        services_ = self.world.services()
        answer = consumer.consume(event, services_, SETTINGS)
        self.assertEqual({"batchItemFailures": []}, answer)
        letters = streams.dead_letters(self.world)
        self.assertEqual([b"Hello, this is a test.", b"This is only a test."],
                         [base64.b64decode(letter["data"]) for letter in letters])
        keep = SETTINGS._replace(keep_raw=True, prefix="raw/")
        consumer.consume(event, fakes.World().services(), keep)


class Duplicates(Bucket):
    def test_two_calls_a_reshard_and_a_retry(self):
        """0 through."""
        records = [record(f"gw-{at % 2}", at) for at in range(40)]
        parent = shard_of(records)
        drain(self.world, parent)
        # The agent did not get the reply and sends again, packed and keyed otherwise.
        again = shard_of([*streams.PACKINGS["gzip"](records[10:30]), *records[:5]],
                         "shardId-000000000001")
        drain(self.world, again)
        self.expect(records)
        # A reshard: children of both go on, with what is old and what is new.
        new = [record("gw-0", at) for at in range(40, 50)]
        for name in ("shardId-000000000002", "shardId-000000000003"):
            drain(self.world, shard_of([*records[35:], *new], name))
        self.expect(records + new)
        # Lambda calls again, from the beginning, in other cuts.
        parent.done = 0
        drain(self.world, parent, random.Random(9))
        self.expect(records + new)

    def test_within_a_call(self):
        records = [record(seq=seq) for seq in range(5)]
        drain(self.world, shard_of([records[0], *records, streams.aggregate(records)]))
        self.expect(records)

    def test_the_same_number_of_another_device_or_spool(self):
        records = [record("gw-1", 7), record("gw-2", 7), record("gw-1", 7, "0123456789abcdef")]
        drain(self.world, shard_of(records))
        self.expect(records)

    def test_a_backlog_far_below_the_newest(self):
        """Nothing is lost for being old, and nothing comes twice for it."""
        numbers = [5_000_000, 10, 3_000_000, 11, 5_000_001, 65535, 65536, (1 << 53) - 1]
        records = [record(seq=seq) for seq in numbers]
        drain(self.world, shard_of(records + records[::-1]))
        self.expect(records)

    def test_an_expired_page_lets_through_and_loses_nothing(self):
        drain(self.world, shard_of([record(seq=1)]))
        page = identity.page_id("gw-17", "9f31c2a47be0d815", 1)
        expires = int(self.world.dynamodb.items[page]["expires"]["N"])
        self.assertEqual(int(self.world.now_s) + 400 * 86400, expires)
        del self.world.dynamodb.items[page]
        drain(self.world, shard_of([record(seq=1), record(seq=2)], "shardId-000000000001"))
        self.assertEqual({record(seq=1): 2, record(seq=2): 1}, self.world.lines())

    def test_random_orders(self):
        """Lanes interleaved, batches late and again, gaps, packings, over shards and calls."""
        for seed in range(25):
            self.world = fakes.World()
            generator = random.Random(seed)
            numbers = generator.sample(range(200_000), 60) + list(range(65500, 65570))
            records = [record(f"gw-{number % 3}", number) for number in numbers]
            shards = [Shard(f"shardId-{at:012}") for at in range(3)]
            for _ in range(40):
                part = generator.sample(records, generator.randint(1, 20))
                pack = streams.PACKINGS[generator.choice(list(streams.PACKINGS))]
                for data in pack(part):
                    generator.choice(shards).put(data)
            for data in records:
                generator.choice(shards).put(data)
            mappings = [Mapping(self.world, shard, generator) for shard in shards]
            while waiting := [mapping for mapping in mappings if not mapping.shard.is_done()]:
                generator.choice(waiting).call()
            self.expect(records)


class Deaths(Bucket):
    """A fault at every step; then Lambda calls again until all is done."""

    RECORDS = [record(f"gw-{at % 3}", at, ts=f"2026-11-23T{20 + at // 8}:00:00Z")
               for at in range(20)]
    STREAM = [*RECORDS[:6], b"nonsense", *RECORDS[4:], b'{"no":"identity"}']
    EXPECTED = [*RECORDS, b'{"no":"identity"}']

    def run_with(self, faults, seed=1, refuse=None):
        self.world = fakes.World()
        self.world.faults = dict(faults)
        # A foreign duplicate is there from the beginning.
        with unittest.mock.patch.object(self.world, "take_step"):
            drain(self.world, shard_of(self.RECORDS[2:4], "shardId-000000000009"))
        self.world.refuse = refuse or {}
        drain(self.world, shard_of(self.STREAM), random.Random(seed))
        self.expect(self.EXPECTED)
        letters = {letter["id"] for letter in streams.dead_letters(self.world)}
        self.assertEqual(1, len(letters))
        return self.world.step

    def test_killed_at_each_step(self):
        for seed in range(4):
            for step in range(1, self.run_with({}, seed) + 1):
                with self.subTest(seed=seed, step=step):
                    self.run_with({step: fakes.Crash()}, seed)

    def test_killed_twice_and_often(self):
        for seed in range(150):
            generator = random.Random(seed)
            steps = generator.sample(range(1, 120), generator.randint(2, 12))
            with self.subTest(seed=seed):
                self.run_with({step: fakes.Crash() for step in steps}, seed)

    def test_an_error_at_each_step(self):
        """Before the call took effect, and after: a reply that is lost."""
        for code in PASSING:
            for step in range(1, self.run_with({}) + 1):
                with self.subTest(code=code, step=step):
                    self.run_with({step: fakes.error(code)})

    def test_refused_transactions(self):
        self.run_with({})
        for reason in ("TransactionConflict", "ThrottlingError", "ConditionalCheckFailed"):
            for at in range(self.world.calls["TransactWriteItems"]):
                fault = fakes.error("TransactionCanceledException",
                                    CancellationReasons=[{"Code": "None"}, {"Code": reason}])
                with self.subTest(reason=reason, at=at):
                    self.run_with({}, refuse={"TransactWriteItems": [None] * at + [fault]})

    def test_the_announcements_of_many_deaths_stay_small(self):
        self.world = fakes.World()
        shard = shard_of([record(seq=at, ts=f"2026-11-23T{at:02}:00:00Z") for at in range(20)])
        mapping = Mapping(self.world, shard, random.Random(1))
        planned = [fakes.Crash() for _ in range(60)]
        self.world.refuse["PutObject"] = planned
        mapping.shard.cut = lambda: None
        while planned:
            self.assertFalse(mapping.call(20))
        most = max(len(put["Put"]["Item"]["pending"]["L"])
                   for writes in self.world.dynamodb.tokens.values() for put in writes
                   if "pending" in put["Put"]["Item"])
        self.assertLessEqual(most, delivery.MAX_STALE + 2 * delivery.MAX_HOURS)
        mapping.run()
        self.expect([data for _, data in shard.records])


class Turns:
    """Runs functions in threads, one at a time; after each step any of them may go on."""

    def __init__(self, world, generator):
        self.generator = generator
        self.world = world
        self.back = threading.Semaphore(0)
        self.go = {}
        self.errors = []

    def run(self, *functions):
        self.world.at_step = self._wait
        threads = [threading.Thread(target=self._body, args=(function,), daemon=True)
                   for function in functions]
        for thread in threads:
            self.go[thread] = threading.Semaphore(0)
            thread.start()
        while self.go:
            self.go[self.generator.choice(list(self.go))].release()
            self.back.acquire()
        for thread in threads:
            thread.join()
        self.world.at_step = lambda: None
        if self.errors:
            raise self.errors[0]

    def _body(self, function):
        self.go[threading.current_thread()].acquire()
        try:
            function()
        except BaseException as failure:  # pylint: disable=broad-except
            self.errors.append(failure)
        del self.go[threading.current_thread()]
        self.back.release()

    def _wait(self):
        mine = self.go[threading.current_thread()]
        self.back.release()
        mine.acquire()


class AtTheSameMoment(Bucket):
    def race(self, seed, chaos=0.0):
        """Three shards with the same records; one of them is also worked on by a zombie."""
        self.world = fakes.World()
        generator = random.Random(seed)
        records = [record(f"gw-{at % 2}", at) for at in range(16)]
        shards = [shard_of(generator.sample(records, 12), f"shardId-{at:012}")
                  for at in range(3)]
        for data in records:
            generator.choice(shards).put(data)
        raw = b'{"raw":"once"}'
        shards[0].put(raw)
        twin = Shard(shards[0].name)
        twin.records = shards[0].records
        # A twin that dies at the wrong moment is the case that delivery.py leaves open.
        mappings = [Mapping(self.world, shard, generator)
                    for shard in (shards if chaos else (*shards, twin))]
        turns = Turns(self.world, generator)
        if chaos:
            self.world.take_step = lambda: (turns._wait(), self.disturb(generator, chaos))
        turns.run(*(mapping.run for mapping in mappings))
        self.expect([*records, raw])

    def disturb(self, generator, chaos):
        if generator.random() < chaos:
            raise fakes.Crash
        if generator.random() < chaos:
            raise fakes.error(generator.choice(PASSING))

    def test_in_any_order(self):
        for seed in range(60):
            with self.subTest(seed=seed):
                self.race(seed)

    def test_and_dying(self):
        for seed in range(60):
            with self.subTest(seed=seed):
                self.race(seed, chaos=0.03)


class Failures(Bucket):
    def test_the_lowest_number_is_reported(self):
        shard = shard_of([record(seq=at, ts=f"2026-11-{1 + at // 24:02}T{at % 24:02}:00:00Z")
                          for at in range(60)])
        event = streams.event_of(shard, 0, 60)
        self.world.refuse["PutObject"] = [None] * 30 + [fakes.error("AccessDenied")]
        answer = consumer.consume(event, self.world.services(), SETTINGS)
        # The first chunk, of 24 hours, is settled.
        self.assertEqual([{"itemIdentifier": str(shard.records[24][0])}],
                         answer["batchItemFailures"])
        consumer.consume(streams.event_of(shard, 24, 60), self.world.services(), SETTINGS)
        self.expect([data for _, data in shard.records])

    def test_what_stays_throttled_fails_the_call(self):
        operations = ("BatchGetItem", "TransactWriteItems", "PutObject")
        for operation in operations:
            with self.subTest(operation):
                self.world = fakes.World()
                self.world.refuse[operation] = [fakes.error("ThrottlingException")] * 6
                mapping = Mapping(self.world, shard_of([record(seq=1)]), random.Random(1))
                self.assertFalse(mapping.call())
                self.assertEqual({}, self.world.lines())
                self.assertLess(self.world.slept_s, 10)
                mapping.run()
                self.expect([record(seq=1)])

    def test_a_queue_that_fails_keeps_the_record(self):
        self.world.refuse["SendMessage"] = [fakes.error("AccessDenied")]
        mapping = Mapping(self.world, shard_of([b"nonsense", record(seq=1)]), random.Random(1))
        self.assertFalse(mapping.call(2))
        mapping.run()
        self.expect([record(seq=1)])
        self.assertEqual(1, len(streams.dead_letters(self.world)))

    def test_reads_in_parts(self):
        self.world.dynamodb.most_keys = 7
        records = [record(f"gw-{at}", 1) for at in range(60)]
        drain(self.world, shard_of(records), random.Random(1))
        Mapping(self.world, shard_of(records, "shardId-000000000001"), random.Random(1)).call(60)
        self.expect(records)

    def test_more_devices_than_a_transaction_takes(self):
        records = [record(f"gw-{at}", 1) for at in range(250)]
        for name in ("shardId-000000000000", "shardId-000000000001"):
            Mapping(self.world, shard_of(streams.PACKINGS["gzip"](records), name),
                    random.Random(1)).call()
        self.expect(records)

    def test_the_time_of_a_call(self):
        left = iter([16000, 16000, 14999])
        context = types.SimpleNamespace(get_remaining_time_in_millis=lambda: next(left))
        shard = shard_of([record(f"gw-{at}", 1) for at in range(400)])
        answer = consumer.consume(streams.event_of(shard, 0, 400), self.world.services(), SETTINGS,
                                  consumer.Clock(context))
        # Three chunks of 90 devices: the first in any case, then one for each look at the time.
        self.assertEqual([{"itemIdentifier": str(shard.records[270][0])}],
                         answer["batchItemFailures"])
        self.assertEqual(270, sum(self.world.lines().values()))


class DeadLetters(Bucket):
    def test_hold_the_bytes_and_the_reason(self):
        shard = shard_of([record(seq=1) + b"\n\x00\xff\n" + record(seq=2)])
        drain(self.world, shard)
        letter, = streams.dead_letters(self.world)
        self.assertEqual(b"\x00\xff", base64.b64decode(letter["data"]))
        self.assertIn("no JSON", letter["reason"])
        self.assertEqual(str(shard.records[0][0]), letter["sequenceNumber"])
        self.assertEqual(("telemetry", shard.name, "gw-17"),
                         (letter["stream"], letter["shard"], letter["partitionKey"]))
        self.expect([record(seq=1), record(seq=2)])

    def test_what_is_too_large_for_the_queue_is_an_object(self):
        data = b"x" * (1 << 20)
        drain(self.world, shard_of([data]))
        letter, = streams.dead_letters(self.world)
        self.assertNotIn("data", letter)
        self.assertEqual(data, self.world.s3.objects[letter["key"]])
        self.assertTrue(letter["key"].startswith("records/dead/"))

    def test_raw_is_data_when_asked_for(self):
        drain(self.world, shard_of([b"\x00\xff"]), settings=SETTINGS._replace(keep_raw=True))
        self.assertEqual([], streams.dead_letters(self.world))
        self.assertEqual({b'{"raw": "AP8="}': 1}, self.world.lines())


class Wiring(unittest.TestCase):
    ENVIRONMENT = {"TABLE": "identities", "OUTPUT_BUCKET": "lake", "OUTPUT_PREFIX": "records/",
                   "DEAD_LETTERS": SETTINGS.dead_letters, "RAW": "keep", "IDENTITY_DAYS": "30"}

    def test_environment(self):
        self.assertEqual(SETTINGS._replace(days=30, keep_raw=True),
                         consumer.settings_of(self.ENVIRONMENT))
        for name in ("TABLE", "OUTPUT_BUCKET", "DEAD_LETTERS"):
            with self.assertRaises(KeyError):
                consumer.settings_of({**self.ENVIRONMENT, name: None} if name is None else
                                     {key: value for key, value in self.ENVIRONMENT.items()
                                      if key != name})

    def test_clients_are_boto3s_and_made_once(self):
        world = fakes.World()
        made = []
        boto3 = types.ModuleType("boto3")
        boto3.client = lambda name, config: made.append(name) or getattr(world, name)
        context = types.SimpleNamespace(get_remaining_time_in_millis=lambda: 60000)
        handler = consumer.Handler()
        event = streams.event_of(shard_of([record(seq=1)]), 0, 1)
        with unittest.mock.patch.dict(sys.modules, boto3=boto3), \
                unittest.mock.patch.dict("os.environ", self.ENVIRONMENT):
            for _ in range(2):
                self.assertEqual({"batchItemFailures": []}, handler(event, context))
        self.assertEqual(["dynamodb", "s3"], made)
        self.assertEqual({record(seq=1): 1}, world.lines())
        with self.assertRaises(AttributeError):
            services.Services().no_such_service  # pylint: disable=expression-not-assigned

    def test_positions_are_read_back(self):
        self.assertEqual((5, 0, 7), store.position_of(store.position_text((5, 0, 7))))


if __name__ == "__main__":
    fakes.main()
