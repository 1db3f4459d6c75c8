/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "platform/base/error.h"
#include "tests/unit/batch_fixture.h"

enum { HOUR_MS = 3600000, MANY = 2000, GZIP_FORMAT = 16 + MAX_WBITS };

/* Packed lines that show: <0:line line /key,1:...> */
static struct batch_options packed_options(struct fixture *fixture, enum batch_pack pack)
{
    struct batch_options options = usual_options(fixture);
    options.pack = pack;
    options.frame = &frame_plain;
    options.device = "gw-17";
    return options;
}

static void add_some(struct fixture *fixture, enum lane lane, uint64_t first, uint64_t last)
{
    for (uint64_t sequence = first; sequence <= last; sequence++)
        add(fixture, lane, sequence, "{}");
}

static void add_values(struct fixture *fixture, uint64_t count)
{
    for (uint64_t i = 1; i <= count; i++)
        (void)fake_route_add(&fixture->spool, LANE_NORMAL, i, (int64_t)(2000 + i % 37));
}

static void build(struct fixture *fixture)
{
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
    assert_passes_agree(fixture);
}

/* ---- lines ---- */

static void test_lines_in_one_entry(void **state)
{
    struct fixture *fixture = *state;
    const struct batch_options options = packed_options(fixture, BATCH_PACK_LINES);
    open_batch(fixture, &options);
    add(fixture, LANE_NORMAL, 5, "{}");
    add(fixture, LANE_ALARM, 6, "{\n}");
    add(fixture, LANE_NORMAL, 9, "[]");
    assert_builds(fixture, "<0:{ }\n{}\n[]\n/key,>");
    assert_int_equal(fixture->batch.count, 3);
    assert_int_equal(fixture->batch.summary.entry_count, 1);
    assert_int_equal(fixture->batch.data_bytes, 4 + 3 + 3 + 3);
    assert_int_equal(batch_acknowledge(&fixture->batch, (const uint8_t[]){1}), 3);
    assert_int_equal(fake_route_left(&fixture->spool), 0);
}

/* To the byte: an entry takes no more than it may, and what is alone too long for it goes alone. */
static void test_entries_are_cut(void **state)
{
    struct fixture *fixture = *state;
    struct batch_options options = packed_options(fixture, BATCH_PACK_LINES);
    add_some(fixture, LANE_NORMAL, 1, 5);
    add(fixture, LANE_NORMAL, 6, "{\"long\":123456}");
    add(fixture, LANE_NORMAL, 7, "{}");
    options.entry_bytes = 9; /* two lines of 3, and a key of 3 */
    open_batch(fixture, &options);
    assert_builds(fixture, "<0:{}\n{}\n/key,1:{}\n{}\n/key,2:{}\n/key,"
                           "3:{\"long\":123456}\n/key,4:{}\n/key,>");
    assert_int_equal(fixture->batch.count, 7);
    /* What failed comes again, cut anew. */
    assert_int_equal(batch_acknowledge(&fixture->batch, (const uint8_t[]){0x1a}), 4);
    assert_builds(fixture, "<0:{}\n{}\n/key,1:{}\n/key,>");
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 3);
    assert_int_equal(fake_route_left(&fixture->spool), 0);
}

/* Limits count entries and their bytes; so much the fewer records are taken by a search for one
 * that is refused. */
static void test_limits_of_packed_batches(void **state)
{
    struct fixture *fixture = *state;
    struct batch_options options = packed_options(fixture, BATCH_PACK_LINES);
    add_some(fixture, LANE_NORMAL, 1, 100);
    options.entry_bytes = 33;
    options.limits.records = 3;
    open_batch(fixture, &options);
    build(fixture);
    assert_int_equal(fixture->batch.count, 30);
    assert_int_equal(fixture->batch.summary.entry_count, 3);
    assert_int_equal(fixture->batch.data_bytes, 99);
    assert_int_equal(batch_build(&fixture->batch, 7, UINT64_MAX), E_OK);
    assert_passes_agree(fixture);
    assert_int_equal(fixture->batch.count, 7);
    for (uint64_t bytes = 1; bytes < 99; bytes++) {
        assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, bytes), E_OK);
        assert_passes_agree(fixture);
        assert_true(fixture->batch.data_bytes <= bytes || fixture->batch.count == 1);
        assert_true(fixture->batch.data_bytes + 6 > bytes);
    }
    fixture->batch.entries_max = 2;
    build(fixture);
    assert_int_equal(fixture->batch.count, 20);
}

static void test_record_that_no_entry_can_hold(void **state)
{
    struct fixture *fixture = *state;
    struct batch_options options = packed_options(fixture, BATCH_PACK_LINES);
    options.limits.record_bytes = 10;
    open_batch(fixture, &options);
    add(fixture, LANE_NORMAL, 1, "{}");
    add(fixture, LANE_NORMAL, 2, "1234567");
    add(fixture, LANE_NORMAL, 3, "{}");
    assert_builds(fixture, "<0:{}\n/key,>");
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 1);
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_REFUSED);
    assert_int_equal(fixture->batch.refusal.reason, E_TOO_BIG);
    assert_int_equal(fixture->batch.refusal.bytes, 11);
    assert_int_equal(batch_refuse(&fixture->batch, &fixture->batch.refusal, "too big", 0), E_OK);
    assert_builds(fixture, "<0:{}\n/key,>");
}

/* ---- keys ---- */

/* Records of another key begin another entry; a key that is free is one per entry. */
static void test_one_key_per_entry(void **state)
{
    static const struct sensor_definition other = {.device = "gw-17", .name = "other"};
    struct fixture *fixture = *state;
    struct batch_options options = packed_options(fixture, BATCH_PACK_LINES);
    options.partition.kind = PARTITION_SENSOR;
    open_batch(fixture, &options);
    add_some(fixture, LANE_NORMAL, 1, 5);
    fixture->spool.sensors[1] = &other;
    fixture->spool.records[2].record.sensor = fixture->spool.records[3].record.sensor = 1;
    assert_builds(fixture, "<0:{}\n{}\n/board,1:{}\n{}\n/other,2:{}\n/board,>");
}

/* The keys of entries step through the table as those of records do, also from batch to batch. */
static void test_even_keys_of_entries(void **state)
{
    struct fixture *fixture = *state;
    struct batch_options options = packed_options(fixture, BATCH_PACK_LINES);
    char body[1024];
    char expected[3][PARTITION_KEY_BYTES + 1];
    const struct record none = {.value_count = 0};
    options.partition.kind = PARTITION_EVEN;
    options.entry_bytes = 12;
    for (uint64_t turn = 0; turn < 3; turn++)
        expected[turn][partition_key(&options.partition, turn, &none, &fake_route_sensor,
                                     expected[turn])] = '\0';
    open_batch(fixture, &options);
    add_some(fixture, LANE_NORMAL, 101, 106);
    static const size_t records[] = {4, 2}; /* of a batch: two entries, and then one */
    for (size_t i = 0; i < 2; i++) {
        char *end = body + sprintf(body, "<");
        for (uint64_t entry = 0; entry < records[i] / 2; entry++)
            end += sprintf(end, "%u:{}\n{}\n/%.256s,", (unsigned)entry, expected[2 * i + entry]);
        (void)sprintf(end, ">");
        assert_int_equal(batch_build(&fixture->batch, records[i], UINT64_MAX), E_OK);
        assert_passes_agree(fixture);
        assert_string_equal(fixture->body, body);
        assert_int_equal(batch_acknowledge(&fixture->batch, NULL), records[i]);
    }
}

/* ---- gaps ---- */

static void test_gap_in_a_pack(void **state)
{
    struct fixture *fixture = *state;
    const struct batch_options options = packed_options(fixture, BATCH_PACK_LINES);
    open_batch(fixture, &options);
    add_some(fixture, LANE_NORMAL, 5, 6);
    fixture->spool.gap = (struct spool_gap){.sequence = 9, .first = 1, .last = 4, .count = 3};
    build(fixture);
    assert_int_equal(fixture->batch.summary.entry_count, 1);
    assert_int_equal(fixture->batch.count, 3);
    assert_non_null(strstr(fixture->body, "}}\n{}\n{}\n/key,>"));
    assert_int_equal(batch_acknowledge(&fixture->batch, (const uint8_t[]){0}), 0);
    assert_false(fixture->spool.gap_told);
    assert_int_equal(batch_acknowledge(&fixture->batch, (const uint8_t[]){1}), 3);
    assert_true(fixture->spool.gap_told);
}

/* ---- aggregates ---- */

static void test_aggregates(void **state)
{
    static const uint8_t expected[] = "\xf3\x89\x9a\xc2\x0a\x03key\x1a\x06\x08\x00\x1a\x02{}"
                                      "\x1a\x07\x08\x00\x1a\x03[1]";
    struct fixture *fixture = *state;
    const struct batch_options options = packed_options(fixture, BATCH_PACK_KPL);
    open_batch(fixture, &options);
    add(fixture, LANE_NORMAL, 1, "{}");
    add(fixture, LANE_NORMAL, 2, "[1]");
    build(fixture);
    assert_memory_equal(fixture->body, "<0:", 3);
    assert_memory_equal(fixture->body + 3, expected, sizeof expected - 1);
    /* A digest, and the end: the body holds nothing else. */
    size_t bytes = sizeof expected - 1 + HASH_MD5_BYTES;
    assert_int_equal(fixture->out.used_bytes, 3 + bytes + 6);
    assert_int_equal(fixture->batch.data_bytes, bytes + 3);
}

/* Every size of an entry from that of one record on is kept to the byte. */
static void test_aggregates_are_cut(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t bytes = 28 + 8; bytes < 200; bytes++) {
        struct batch_options options = packed_options(fixture, BATCH_PACK_KPL);
        fixture->spool.count = 0;
        add_some(fixture, LANE_NORMAL, 1, 40);
        options.entry_bytes = bytes;
        open_batch(fixture, &options);
        build(fixture);
        size_t each =
            (size_t)(bytes - 28) / 8; /* 4 + 2 + 3 + 16 and the key outside; 8 for a record */
        assert_int_equal(fixture->batch.summary.entry_count, (40 + each - 1) / each);
        batch_close(&fixture->batch);
    }
}

/* Aggregates, and 2 a document that comes in pieces and is longer than the buffer. */
static void open_with_long_document(struct fixture *fixture)
{
    static char document[20000];
    const struct batch_options options = packed_options(fixture, BATCH_PACK_KPL);
    memset(document, 'x', sizeof document);
    fixture->spool.piece_bytes = 4000;
    open_batch(fixture, &options);
    add(fixture, LANE_NORMAL, 1, "{}");
    (void)fake_route_add_document(&fixture->spool, LANE_NORMAL, 2, document, sizeof document);
    add(fixture, LANE_NORMAL, 3, "{}");
}

/* Its length stands before it all the same. */
static void test_long_documents_in_aggregates(void **state)
{
    struct fixture *fixture = *state;
    open_with_long_document(fixture);
    build(fixture);
    assert_int_equal(fixture->batch.count, 3);
    assert_int_equal(fixture->batch.summary.entry_count, 1);
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 3);
}

/* ---- gzip ---- */

/* All members of COUNT bytes FROM, as text. Returns how many there were. */
static size_t unzip(const char *from, size_t count, char *to, size_t room)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)from, .avail_in = (uInt)count};
    size_t total = 0;
    size_t members = 0;
    for (; stream.avail_in > 0; members++) {
        assert_int_equal(inflateInit2(&stream, GZIP_FORMAT), Z_OK);
        stream.next_out = (Bytef *)to + total;
        stream.avail_out = (uInt)(room - total - 1);
        assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
        total += stream.total_out;
        assert_int_equal(inflateEnd(&stream), Z_OK);
    }
    to[total] = '\0';
    return members;
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (; (text = strchr(text, '\n')) != NULL; text++)
        lines++;
    return lines;
}

static void test_entries_of_gzip(void **state)
{
    static char text[BODY_BYTES_MAX];
    struct fixture *fixture = *state;
    struct batch_options options = packed_options(fixture, BATCH_PACK_LINES);
    options.format = BATCH_JSON;
    options.frame = &frame_object; /* nothing but the members */
    options.gzip_entry = true;
    options.entry_bytes = 10000;
    options.limits.record_bytes = 40000;
    add_values(fixture, MANY);
    open_batch(fixture, &options);
    build(fixture);
    assert_int_equal(fixture->batch.count, MANY);
    size_t members = unzip(fixture->body, fixture->out.used_bytes, text, sizeof text);
    assert_int_equal(members, fixture->batch.summary.entry_count);
    assert_true(members > 1);
    assert_int_equal(count_lines(text), MANY);
    /* Ten times as small, or more; and no entry is larger than what was wanted. */
    assert_true(fixture->out.used_bytes * 10 < strlen(text));
    assert_true(fixture->batch.data_bytes <= members * options.entry_bytes);
}

/* Whatever data there is, no entry and no batch is longer than it may be. */
static void test_bounds_of_gzip(void **state)
{
    static char documents[200][300];
    static char text[BODY_BYTES_MAX];
    struct fixture *fixture = *state;
    struct batch_options options = packed_options(fixture, BATCH_PACK_LINES);
    options.frame = &frame_object;
    options.gzip_entry = true;
    for (uint64_t i = 0; i < 200; i++) {
        for (size_t at = 0; at < sizeof documents[i]; at++)
            documents[i][at] = (char)('!' + (i * 7919 + at * at * 31 + at * i) % 90);
        (void)fake_route_add_document(&fixture->spool, LANE_NORMAL, i + 1, documents[i],
                                      sizeof documents[i]);
    }
    for (uint64_t most = 400; most < 60000; most += 1777) {
        options.limits.record_bytes = most;
        open_batch(fixture, &options);
        assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, 3 * most), E_OK);
        assert_passes_agree(fixture);
        assert_true(fixture->batch.data_bytes <= 3 * most);
        (void)unzip(fixture->body, fixture->out.used_bytes, text, sizeof text);
        assert_int_equal(count_lines(text), fixture->batch.count);
        batch_close(&fixture->batch);
    }
}

static void test_body_of_gzip(void **state)
{
    static char text[BODY_BYTES_MAX];
    struct fixture *fixture = *state;
    struct batch_options options = packed_options(fixture, BATCH_PACK_NONE);
    options.format = BATCH_JSON;
    options.gzip_body = true;
    options.limits.records = MANY;
    add_values(fixture, MANY);
    open_batch(fixture, &options);
    build(fixture);
    assert_int_equal(unzip(fixture->body, fixture->out.used_bytes, text, sizeof text), 1);
    assert_memory_equal(text, "<0:{\"device\":", 13);
    assert_non_null(strstr(text, ",1999:{"));
    assert_true(fixture->out.used_bytes * 10 < strlen(text));
    assert_true(fixture->batch.data_bytes + 12 * MANY > strlen(text)); /* what was compressed */
}

/* ---- objects ---- */

/* Where all is answered for together, records need no run each. */
static void test_runs_of_an_object(void **state)
{
    struct fixture *fixture = *state;
    struct batch_options options = packed_options(fixture, BATCH_PACK_NONE);
    options.frame = &frame_object;
    options.limits.records = MANY;
    add_some(fixture, LANE_NORMAL, 1, MANY);
    open_batch(fixture, &options);
    build(fixture);
    assert_int_equal(fixture->batch.count, MANY);
    assert_int_equal(fixture->batch.summary.entry_count, MANY);
    assert_int_equal(fixture->batch.run_count, 1);
    assert_int_equal(batch_acknowledge(&fixture->batch, (const uint8_t[MANY / 8 + 1]){0}), MANY);
    assert_int_equal(fake_route_left(&fixture->spool), 0);
    assert_int_equal(fixture->spool.ack_calls, 1);
}

/* Holes make runs; when there is no room for another, the batch ends. */
static void test_runs_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    const struct batch_options options = packed_options(fixture, BATCH_PACK_LINES);
    size_t taken = 0;
    open_batch(fixture, &options);
    add_some(fixture, LANE_NORMAL, 1, FAKE_RECORDS_MAX);
    for (size_t i = 0; i < FAKE_RECORDS_MAX; i += 2)
        fixture->spool.records[i].delivered = true;
    while (batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX) == E_OK) {
        assert_passes_agree(fixture);
        assert_true(fixture->batch.run_count <= CONFIG_BATCH_RUNS);
        taken += batch_acknowledge(&fixture->batch, NULL);
    }
    assert_int_equal(taken, FAKE_RECORDS_MAX / 2);
}

/* The records of one batch are of one hour of their own time, before 1970 as well. */
static void test_period(void **state)
{
    static const int64_t times_ms[] = {-1, 0, HOUR_MS - 1, HOUR_MS, 0};
    static const size_t counts[] = {2, 2, 1, 1};
    struct fixture *fixture = *state;
    struct batch_options options = packed_options(fixture, BATCH_PACK_NONE);
    options.frame = &frame_object;
    options.period_ms = HOUR_MS;
    open_batch(fixture, &options);
    for (uint64_t i = 0; i < 5; i++) {
        add_some(fixture, LANE_NORMAL, i + 1, i + 1);
        fixture->spool.records[i].record.wall_ms = times_ms[i];
    }
    add_some(fixture, LANE_BULK, 6, 6);
    fixture->spool.records[5].record.wall_ms = -HOUR_MS;
    fixture->spool.gap = (struct spool_gap){.sequence = 9, .wall_ms = HOUR_MS};
    fixture->spool.gap_told = true;
    for (size_t i = 0; i < 4; i++) {
        build(fixture);
        assert_int_equal(fixture->batch.count, counts[i]);
        assert_int_equal(batch_acknowledge(&fixture->batch, NULL), counts[i]);
    }
    for (size_t i = 0; i < fixture->spool.count; i++)
        fixture->spool.records[i].delivered = false;
    fixture->spool.gap_told = false;
    build(fixture); /* the gap comes first, and nothing that is first in its lane is of its hour */
    assert_int_equal(fixture->batch.count, 1);
    assert_int_equal(fixture->batch.summary.wall_ms, HOUR_MS);
}

/* ---- faults ---- */

static void damaged(struct fake_record *fake)
{
    fake->damaged = true;
}

static void evicted(struct fake_record *fake)
{
    fake->dead = true;
}

static void changed(struct fake_record *fake)
{
    fake->record.values[0].mantissa++;
}

/* A record of a pack that is not there any more, or otherwise, in any place: the last byte of what
 * was announced is not written, and the next batch is built without it. */
static void test_changes_in_a_pack(void **state)
{
    static void (*const changes[])(struct fake_record *) = {damaged, evicted, changed};
    struct fixture *fixture = *state;
    for (unsigned way = 0; way < 6; way++) {
        struct batch_options options =
            packed_options(fixture, way < 3 ? BATCH_PACK_LINES : BATCH_PACK_KPL);
        options.format = BATCH_JSON;
        options.gzip_entry = way == 1;
        options.gzip_body = way == 2;
        options.entry_bytes = way == 5 ? 700 : 0;
        open_batch(fixture, &options);
        for (size_t change = 0; change < sizeof changes / sizeof changes[0]; change++)
            for (size_t at = 0; at < 20; at++) {
                fixture->spool.count = 0;
                add_values(fixture, 20);
                assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
                changes[change](&fixture->spool.records[at]);
                assert_int_equal(write_body(fixture), E_CHANGED);
                assert_true(fixture->out.used_bytes < fixture->batch.summary.body_bytes);
                build(fixture);
                assert_int_equal(fixture->batch.count, change == 2 ? 20 : 19);
            }
        batch_close(&fixture->batch);
    }
}

/* A document of which a piece cannot be read is found before any of it is in the body. */
static void test_damaged_piece_in_a_pack(void **state)
{
    struct fixture *fixture = *state;
    open_with_long_document(fixture);
    fixture->spool.piece_error = E_DAMAGED;
    build(fixture);
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 1);
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_REFUSED);
    assert_int_equal(fixture->batch.refusal.reason, E_DAMAGED);
    assert_int_equal(fixture->batch.refusal.mark.previous, 1);
}

/* Every outcome of ten entries of three records each: exactly those records. */
static void test_every_outcome_of_entries(void **state)
{
    struct fixture *fixture = *state;
    struct batch_options options = packed_options(fixture, BATCH_PACK_LINES);
    options.entry_bytes = 12;
    open_batch(fixture, &options);
    for (unsigned bits = 0; bits < 1024; bits++) {
        const uint8_t delivered[] = {(uint8_t)bits, (uint8_t)(bits >> 8)};
        size_t expected = 0;
        fixture->spool.count = 0;
        add_some(fixture, LANE_NORMAL, 1, 30);
        build(fixture);
        assert_int_equal(fixture->batch.summary.entry_count, 10);
        size_t count = batch_acknowledge(&fixture->batch, delivered);
        for (size_t i = 0; i < 30; i++) {
            bool wanted = (bits >> i / 3 & 1) != 0;
            assert_int_equal(fixture->spool.records[i].delivered, wanted);
            expected += wanted;
        }
        assert_int_equal(count, expected);
    }
}

static void test_options_that_exclude_each_other(void **state)
{
    struct fixture *fixture = *state;
    struct batch_options options = packed_options(fixture, BATCH_PACK_KPL);
    options.gzip_entry = true;
    assert_int_equal(batch_open(&options, &fixture->batch), E_INVALID);
    options.pack = BATCH_PACK_LINES;
    options.gzip_body = true;
    assert_int_equal(batch_open(&options, &fixture->batch), E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lines_in_one_entry),
        TEST(test_entries_are_cut),
        TEST(test_limits_of_packed_batches),
        TEST(test_record_that_no_entry_can_hold),
        TEST(test_one_key_per_entry),
        TEST(test_even_keys_of_entries),
        TEST(test_gap_in_a_pack),
        TEST(test_aggregates),
        TEST(test_aggregates_are_cut),
        TEST(test_long_documents_in_aggregates),
        TEST(test_entries_of_gzip),
        TEST(test_bounds_of_gzip),
        TEST(test_body_of_gzip),
        TEST(test_runs_of_an_object),
        TEST(test_runs_are_bounded),
        TEST(test_period),
        TEST(test_changes_in_a_pack),
        TEST(test_damaged_piece_in_a_pack),
        TEST(test_every_outcome_of_entries),
        TEST(test_options_that_exclude_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
