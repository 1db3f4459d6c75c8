/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "platform/base/error.h"
#include "tests/unit/batch_fixture.h"

static void test_golden_body(void **state)
{
    struct fixture *fixture = *state;
    open_usual(fixture);
    add(fixture, LANE_NORMAL, 5, "{}");
    add(fixture, LANE_NORMAL, 6, "{\"a\":1}");
    assert_builds(fixture, "<0:e30=/key,1:eyJhIjoxfQ==/key,>");
    assert_int_equal(fixture->batch.count, 2);
    assert_int_equal(fixture->batch.data_bytes, 2 + 7 + 3 + 3);
    assert_int_equal(fixture->spool.pinned[LANE_NORMAL], 6);
    batch_release(&fixture->batch);
    assert_int_equal(fixture->spool.pinned[LANE_NORMAL], 0);
}

/* As it is, or with a newline that counts, before base64 too; a line break of the document's own
 * would end the line of whoever reads lines. */
static void test_frames_without_base64_and_with_newlines(void **state)
{
    static const struct {
        const struct batch_frame *frame;
        const char *body;
        uint64_t data_bytes;
    } cases[] = {{&frame_plain, "<0:{}/key,1:{\r\n\"a\":\n1}/key,>", 2 + 10 + 6},
                 {&frame_lines, "<0:{}\n/key,1:{  \"a\": 1}\n/key,>", 3 + 11 + 6},
                 {&frame_newline, "<0:e30K/key,1:eyAgImEiOiAxfQo=/key,>", 3 + 11 + 6}};
    struct fixture *fixture = *state;
    struct batch_options options = usual_options(fixture);
    add(fixture, LANE_NORMAL, 5, "{}");
    fixture->spool.piece_bytes = 4;
    add(fixture, LANE_NORMAL, 6, "{\r\n\"a\":\n1}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        options.frame = cases[i].frame;
        open_batch(fixture, &options);
        assert_builds(fixture, cases[i].body);
        assert_int_equal(fixture->batch.data_bytes, cases[i].data_bytes);
        batch_close(&fixture->batch);
    }
}

/* Gaps are lines as well. */
static void test_gap_as_a_line(void **state)
{
    struct fixture *fixture = *state;
    struct batch_options options = usual_options(fixture);
    options.device = "gw-17";
    options.frame = &frame_lines;
    open_batch(fixture, &options);
    fixture->spool.gap = (struct spool_gap){.sequence = 9, .first = 1, .last = 4, .count = 3};
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
    assert_passes_agree(fixture);
    assert_non_null(strstr(fixture->body, "}}\n/key,>"));
}

/* While only alarms may go, neither other lanes nor gaps are taken, nor lost. */
static void test_alarms_only(void **state)
{
    struct fixture *fixture = *state;
    open_usual(fixture);
    add(fixture, LANE_NORMAL, 5, "{}");
    add(fixture, LANE_ALARM, 6, "{\"a\":1}");
    fixture->spool.gap = (struct spool_gap){.sequence = 9, .first = 1, .last = 4, .count = 3};
    fixture->batch.alarms_only = true;
    assert_builds(fixture, "<0:eyJhIjoxfQ==/key,>");
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 1);
    batch_release(&fixture->batch);
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_END);
    fixture->batch.alarms_only = false;
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
    assert_int_equal(fixture->batch.count, 2);
}

/* A gap goes first and has a record of its own, the same in both passes and when it is sent again;
 * what came to it meanwhile makes the second pass fail, for it would not be what was announced. */
static void test_gap_goes_first(void **state)
{
    struct fixture *fixture = *state;
    struct batch_options options = usual_options(fixture);
    options.device = "gw-17";
    open_batch(fixture, &options);
    add(fixture, LANE_NORMAL, 5, "{}");
    fixture->spool.gap = (struct spool_gap){.sequence = 9,
                                            .lane = LANE_NORMAL,
                                            .first = 1,
                                            .last = 4,
                                            .count = 3,
                                            .reason = SPOOL_GAP_DROP_OLDEST,
                                            .wall_ms = 1795559486123};
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
    assert_false(fixture->spool.gap_sealed);
    assert_passes_agree(fixture);
    assert_true(fixture->spool.gap_sealed);
    assert_int_equal(fixture->batch.count, 2);
    assert_non_null(strstr(fixture->body, "/key,1:e30=/key,>"));
    assert_int_equal(batch_acknowledge(&fixture->batch, (const uint8_t[]){2}), 1);
    assert_false(fixture->spool.gap_told);
    assert_int_equal(fake_route_left(&fixture->spool), 0);
    batch_release(&fixture->batch);

    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
    fixture->spool.gap.count++;
    assert_int_equal(write_body(fixture), E_CHANGED);
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
    assert_passes_agree(fixture);
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 1);
    assert_true(fixture->spool.gap_told);
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_END);
}

static void test_nothing_to_send(void **state)
{
    struct fixture *fixture = *state;
    open_usual(fixture);
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_END);
}

/* Alarms go first, then in order of sequence; lanes that the route does not carry stay. */
static void test_lanes_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct batch_options options = usual_options(fixture);
    add(fixture, LANE_BULK, 1, "b1");
    add(fixture, LANE_NORMAL, 2, "n2");
    add(fixture, LANE_ALARM, 3, "a3");
    add(fixture, LANE_NORMAL, 4, "n4");
    open_batch(fixture, &options);
    assert_builds(fixture, "<0:YTM=/key,1:bjI=/key,2:bjQ=/key,3:YjE=/key,>");
    assert_int_equal(fixture->batch.range_count, 3);
    assert_int_equal(fixture->spool.pinned[LANE_BULK], 1);
    batch_close(&fixture->batch);

    options.lanes[LANE_NORMAL] = false;
    open_batch(fixture, &options);
    assert_builds(fixture, "<0:YTM=/key,1:YjE=/key,>");
    assert_int_equal(fixture->batch.range_count, 2);
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 2);
    assert_int_equal(fake_route_left(&fixture->spool), 2);
}

/* ---- fresh-first ---- */

/* Records below 100 are backlog. Of 10 records in a batch 7 may be fresh ones. */
static void open_fresh_first(struct fixture *fixture, size_t records, uint64_t bytes)
{
    struct batch_options options = usual_options(fixture);
    options.backlog_percent = 30;
    options.limits.records = records;
    options.limits.bytes = bytes;
    open_batch(fixture, &options);
    fixture->batch.fresh_from = 100;
}

static void add_some(struct fixture *fixture, enum lane lane, uint64_t first, uint64_t last)
{
    for (uint64_t sequence = first; sequence <= last; sequence++)
        add(fixture, lane, sequence, "{}");
}

static void assert_takes(struct fixture *fixture, const uint64_t *sequences, size_t count)
{
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
    assert_passes_agree(fixture);
    assert_int_equal(fixture->batch.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(fixture->batch.runs[i].last, sequences[i]);
}

#define ASSERT_TAKES(fixture, ...)                                                                 \
    assert_takes(fixture, (const uint64_t[]){__VA_ARGS__},                                         \
                 sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* What failed is the first of its part again; the backlog's end leaves its room to fresh ones. */
static void test_fresh_first(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t delivered[] = {0x7b, 0x03}; /* neither 102 nor 1 */
    add_some(fixture, LANE_NORMAL, 1, 6);
    add_some(fixture, LANE_NORMAL, 100, 119);
    open_fresh_first(fixture, 10, 1 << 20);
    assert_true(batch_has_backlog(&fixture->batch));
    ASSERT_TAKES(fixture, 100, 101, 102, 103, 104, 105, 106, 1, 2, 3);
    assert_int_equal(fixture->batch.range_count, 2);
    assert_int_equal(fixture->spool.pinned[LANE_NORMAL], 106);
    assert_int_equal(batch_acknowledge(&fixture->batch, delivered), 8);
    ASSERT_TAKES(fixture, 102, 107, 108, 109, 110, 111, 112, 1, 4, 5);
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 10);
    ASSERT_TAKES(fixture, 113, 114, 115, 116, 117, 118, 119, 6);
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 8);
    assert_false(batch_has_backlog(&fixture->batch));
    assert_int_equal(fake_route_left(&fixture->spool), 0);
}

static void test_backlog_leaves_what_it_does_not_need(void **state)
{
    struct fixture *fixture = *state;
    add_some(fixture, LANE_NORMAL, 1, 1);
    add_some(fixture, LANE_BULK, 2, 2);
    add_some(fixture, LANE_NORMAL, 100, 108);
    add_some(fixture, LANE_ALARM, 109, 109);
    open_fresh_first(fixture, 10, 1 << 20);
    ASSERT_TAKES(fixture, 109, 100, 101, 102, 103, 104, 105, 1, 2, 106);
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 10);
    ASSERT_TAKES(fixture, 107, 108);
}

/* 2 of data and 3 of key each: 7 of 10 by bytes too. */
static void test_fresh_first_by_bytes(void **state)
{
    struct fixture *fixture = *state;
    add_some(fixture, LANE_NORMAL, 1, 9);
    add_some(fixture, LANE_NORMAL, 100, 119);
    open_fresh_first(fixture, 500, 50);
    ASSERT_TAKES(fixture, 100, 101, 102, 103, 104, 105, 106, 1, 2, 3);
}

/* A backlog that finds no room in one batch is the first in the next. */
static void test_backlog_is_not_starved(void **state)
{
    struct fixture *fixture = *state;
    static char large[60];
    memset(large, 'x', sizeof large);
    add_some(fixture, LANE_NORMAL, 1, 2);
    add_some(fixture, LANE_NORMAL, 100, 102);
    open_fresh_first(fixture, 1, 1 << 20);
    for (size_t i = 0; i < 4; i++) {
        static const uint64_t order[] = {100, 1, 101, 2};
        assert_takes(fixture, &order[i], 1);
        assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 1);
    }
    batch_close(&fixture->batch);

    fixture->spool.count = 0;
    struct batch_options options = usual_options(fixture);
    options.backlog_percent = 30;
    options.limits.record_bytes = 60;
    (void)fake_route_add_document(&fixture->spool, LANE_NORMAL, 1, large, sizeof large);
    add_some(fixture, LANE_NORMAL, 100, 101);
    open_batch(fixture, &options);
    fixture->batch.fresh_from = 100;
    ASSERT_TAKES(fixture, 100, 101);
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_REFUSED);
    assert_int_equal(fixture->batch.refusal.mark.sequence, 1);
}

/* ---- limits ---- */

static void test_count_limit(void **state)
{
    struct fixture *fixture = *state;
    struct batch_options options = usual_options(fixture);
    options.limits.records = 3;
    open_batch(fixture, &options);
    for (uint64_t i = 1; i <= 5; i++)
        add(fixture, i == 1 ? LANE_ALARM : LANE_NORMAL, i, "{}");
    assert_builds(fixture, "<0:e30=/key,1:e30=/key,2:e30=/key,>");
    assert_int_equal(batch_build(&fixture->batch, 1, UINT64_MAX), E_OK);
    assert_int_equal(fixture->batch.count, 1);
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 1);
    assert_int_equal(fake_route_left(&fixture->spool), 4);
}

/* Data and keys count, to the byte; base64 and frame do not. */
static void test_byte_limit(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t limit = 1; limit <= 24; limit++) {
        struct batch_options options = usual_options(fixture);
        fixture->spool.count = 0;
        options.limits.bytes = limit;
        open_batch(fixture, &options);
        for (uint64_t i = 1; i <= 4; i++)
            add(fixture, LANE_NORMAL, i, "12345");
        assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
        assert_passes_agree(fixture);
        /* 5 of data and 3 of key each; a single one may be more than the limit. */
        assert_int_equal(fixture->batch.count, limit < 16 ? 1 : limit / 8);
        assert_int_equal(fixture->batch.data_bytes, 8 * fixture->batch.count);
        batch_close(&fixture->batch);
    }
}

/* A newline counts, of the record and of the batch; a key that there is none does not. */
static void test_newline_without_key(void **state)
{
    struct fixture *fixture = *state;
    struct batch_options options = usual_options(fixture);
    options.frame = &frame_keyless;
    options.limits.bytes = 2 * 3;
    options.limits.record_bytes = 3;
    open_batch(fixture, &options);
    add(fixture, LANE_NORMAL, 2, "{}");
    add(fixture, LANE_NORMAL, 3, "[]");
    add(fixture, LANE_NORMAL, 4, "{}");
    add(fixture, LANE_NORMAL, 5, "[1]");
    assert_builds(fixture, "<0:e30K/,1:W10K/,>");
    assert_int_equal(fixture->batch.data_bytes, 6);
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 2);
    assert_builds(fixture, "<0:e30K/,>");
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 1);
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_REFUSED);
    assert_int_equal(fixture->batch.refusal.bytes, 4);
}

/* Where the body counts, no body is larger, whatever is in it. */
static void test_body_limit(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t limit = 17; limit <= 80; limit++) {
        struct batch_options options = usual_options(fixture);
        fixture->spool.count = 0;
        options.frame = &frame_counted;
        options.limits.bytes = options.limits.record_bytes = limit;
        open_batch(fixture, &options);
        for (uint64_t i = 1; i <= 4; i++)
            add(fixture, LANE_NORMAL, i, "12345");
        assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
        assert_passes_agree(fixture);
        /* "<>" and as often as it fits "0:MTIzNDU=/key," */
        size_t fits = (size_t)(limit - 2) / 15;
        assert_int_equal(fixture->batch.count, fits > 4 ? 4 : fits);
        assert_int_equal(fixture->batch.summary.body_bytes, 2 + 15 * fixture->batch.count);
        assert_int_equal(fixture->batch.data_bytes, fixture->batch.summary.body_bytes);
        batch_release(&fixture->batch);
        batch_close(&fixture->batch);
    }
}

static void test_record_that_no_body_can_carry(void **state)
{
    struct fixture *fixture = *state;
    struct batch_options options = usual_options(fixture);
    options.frame = &frame_counted;
    options.limits.bytes = options.limits.record_bytes = 16;
    open_batch(fixture, &options);
    add(fixture, LANE_NORMAL, 1, "12345");
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_REFUSED);
    assert_int_equal(fixture->batch.refusal.reason, E_TOO_BIG);
    batch_close(&fixture->batch);
    options.limits.record_bytes = 2;
    assert_int_equal(batch_open(&options, &fixture->batch), E_INVALID);
}

/* What was begun and did not fit leaves no trace in hash and length, however large it is. */
static void test_large_record_waits_for_its_own_batch(void **state)
{
    static char large[20000];
    struct fixture *fixture = *state;
    struct batch_options options = usual_options(fixture);
    memset(large, 'x', sizeof large);
    options.limits.bytes = 100;
    open_batch(fixture, &options);
    add(fixture, LANE_NORMAL, 1, "{}");
    fake_route_add_document(&fixture->spool, LANE_NORMAL, 2, large, sizeof large);
    add(fixture, LANE_NORMAL, 3, "{}");
    assert_builds(fixture, "<0:e30=/key,>");
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 1);
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
    assert_passes_agree(fixture);
    assert_int_equal(fixture->batch.count, 1);
    assert_int_equal(fixture->batch.data_bytes, sizeof large + 3);
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 1);
    assert_builds(fixture, "<0:e30=/key,>");
}

static void test_record_that_no_request_can_carry(void **state)
{
    struct fixture *fixture = *state;
    struct batch_options options = usual_options(fixture);
    options.limits.record_bytes = 10;
    open_batch(fixture, &options);
    add(fixture, LANE_NORMAL, 1, "1234567");
    add(fixture, LANE_NORMAL, 2, "12345678");
    add(fixture, LANE_NORMAL, 3, "{}");
    assert_builds(fixture, "<0:MTIzNDU2Nw==/key,>");
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 1);
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_REFUSED);
    assert_int_equal(fixture->batch.refusal.reason, E_TOO_BIG);
    assert_int_equal(fixture->batch.refusal.mark.sequence, 2);
    assert_int_equal(fixture->batch.refusal.bytes, 11);
    assert_int_equal(batch_refuse(&fixture->batch, &fixture->batch.refusal, "too big", 0), E_OK);
    assert_string_equal(fixture->spool.buried_for, "too big");
    assert_true(fixture->spool.records[1].dead);
    assert_builds(fixture, "<0:e30=/key,>");
}

#if !defined(CONFIG_GZIP) && !defined(CONFIG_PACK_KPL) && !defined(CONFIG_FORMAT_SENML)
#define LACKS_SHAPES
static void test_shapes_that_kconfig_left_out(void **state)
{
    struct fixture *fixture = *state;
    struct batch_options senml = usual_options(fixture);
    struct batch_options kpl = senml;
    struct batch_options gzip = senml;
    senml.format = BATCH_SENML;
    kpl.pack = BATCH_PACK_KPL;
    gzip.gzip_body = true;
    assert_int_equal(batch_open(&senml, &fixture->batch), E_UNSUPPORTED);
    assert_int_equal(batch_open(&kpl, &fixture->batch), E_UNSUPPORTED);
    assert_int_equal(batch_open(&gzip, &fixture->batch), E_UNSUPPORTED);
}
#endif

static void test_limits_of_zero(void **state)
{
    struct fixture *fixture = *state;
    struct batch_options options = usual_options(fixture);
    options.limits.records = 0;
    assert_int_equal(batch_open(&options, &fixture->batch), E_INVALID);
}

/* ---- two passes ---- */

static void add_many(struct fixture *fixture, size_t count)
{
    for (uint64_t i = 1; i <= count; i++)
        if (i % 7 == 0)
            add(fixture, LANE_BULK, i, "{\"state\":\"run\",\"rpm\":1480}");
        else
            (void)fake_route_add(&fixture->spool, i % 2 == 0 ? LANE_ALARM : LANE_NORMAL, i,
                                 (int64_t)i);
}

static void test_many_records_in_all_formats(void **state)
{
    struct fixture *fixture = *state;
    struct batch_options options = usual_options(fixture);
    fixture->spool.piece_bytes = 5;
    add_many(fixture, 500);
    for (enum partition_kind kind = PARTITION_EVEN; kind <= PARTITION_FIXED; kind++) {
        options.partition.kind = kind;
        options.format = kind % 2 == 0 ? BATCH_JSON : BATCH_RAW;
        open_batch(fixture, &options);
        assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
        assert_int_equal(fixture->batch.count, 500);
        assert_passes_agree(fixture);
        batch_close(&fixture->batch);
    }
}

/* A record that arrives between the passes waits for the next batch. */
static void test_new_records_between_passes(void **state)
{
    struct fixture *fixture = *state;
    open_usual(fixture);
    add(fixture, LANE_NORMAL, 1, "{}");
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
    add(fixture, LANE_NORMAL, 2, "{}");
    add(fixture, LANE_ALARM, 3, "{}");
    assert_passes_agree(fixture);
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 1);
    assert_int_equal(fake_route_left(&fixture->spool), 2);
}

static void changed_value(struct fake_record *fake)
{
    fake->record.values[0].mantissa++;
}

static void changed_time(struct fake_record *fake)
{
    fake->record.time_quality = TIME_ESTIMATED;
}

static void changed_shorter(struct fake_record *fake)
{
    fake->record.values[0].mantissa = 1;
}

static void changed_longer(struct fake_record *fake)
{
    fake->record.values[0].mantissa = INT64_MAX;
}

static void damaged(struct fake_record *fake)
{
    fake->damaged = true;
}

static void evicted(struct fake_record *fake)
{
    fake->dead = true;
}

/* Whatever changes in between, the last byte of the announced body is never written. */
static void test_changes_between_passes(void **state)
{
    static void (*const changes[])(struct fake_record *) = {
        changed_value, changed_time, changed_shorter, changed_longer, damaged, evicted};
    struct fixture *fixture = *state;
    struct batch_options options = usual_options(fixture);
    options.format = BATCH_JSON;
    open_batch(fixture, &options);
    for (size_t change = 0; change < sizeof changes / sizeof changes[0]; change++)
        for (size_t at = 0; at < 20; at++) {
            fixture->spool.count = 0;
            for (uint64_t i = 1; i <= 20; i++)
                (void)fake_route_add(&fixture->spool, LANE_NORMAL, i, 1000);
            assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
            changes[change](&fixture->spool.records[at]);
            assert_int_equal(write_body(fixture), E_CHANGED);
            assert_true(fixture->out.used_bytes < fixture->batch.summary.body_bytes);
            assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
            assert_passes_agree(fixture);
        }
}

static void test_connection_that_breaks_off(void **state)
{
    struct fixture *fixture = *state;
    open_usual(fixture);
    add_many(fixture, 300);
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
    for (size_t room = 0; room < fixture->batch.summary.body_bytes; room += 997) {
        writer_to_memory(&fixture->out, fixture->body, room);
        assert_int_equal(batch_write(&fixture->batch, &fixture->out), E_TOO_BIG);
    }
    assert_passes_agree(fixture);
}

/* ---- damage ---- */

static void test_damaged_blocks_are_passed_over(void **state)
{
    struct fixture *fixture = *state;
    open_usual(fixture);
    for (uint64_t i = 1; i <= 4; i++)
        add(fixture, LANE_NORMAL, i, "{}");
    fixture->spool.records[0].damaged = true;
    fixture->spool.records[2].damaged = true;
    assert_builds(fixture, "<0:e30=/key,1:e30=/key,>");
    /* Two runs: the damaged ones are neither delivered nor counted. */
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 2);
    assert_int_equal(fixture->spool.ack_calls, 2);
}

static void test_document_with_a_damaged_piece(void **state)
{
    struct fixture *fixture = *state;
    open_usual(fixture);
    fixture->spool.piece_bytes = 4;
    add(fixture, LANE_NORMAL, 1, "{}");
    add(fixture, LANE_NORMAL, 2, "{\"a\":12345}");
    fixture->spool.piece_error = E_DAMAGED;
    assert_builds(fixture, "<0:e30=/key,>");
    assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 1);
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_REFUSED);
    assert_int_equal(fixture->batch.refusal.reason, E_DAMAGED);
    assert_int_equal(fixture->batch.refusal.mark.previous, 1);
}

static void test_errors_of_the_spool(void **state)
{
    struct fixture *fixture = *state;
    open_usual(fixture);
    add(fixture, LANE_NORMAL, 1, "{}");
    fixture->spool.read_error = E_TIMEOUT;
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_TIMEOUT);
    fixture->spool.read_error = E_OK;
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
    fixture->spool.read_error = E_TIMEOUT;
    assert_int_equal(write_body(fixture), E_TIMEOUT);
}

/* ---- acknowledging ---- */

/* Every subset of ten records in two lanes: exactly those, in as few calls as runs. */
static void test_every_subset(void **state)
{
    struct fixture *fixture = *state;
    open_usual(fixture);
    for (unsigned bits = 0; bits < 1024; bits++) {
        const uint8_t delivered[] = {(uint8_t)bits, (uint8_t)(bits >> 8)};
        size_t expected = 0;
        fixture->spool.count = 0;
        for (uint64_t i = 1; i <= 10; i++)
            add(fixture, i % 2 == 0 ? LANE_ALARM : LANE_NORMAL, i * 3, "{}");
        assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
        size_t count = batch_acknowledge(&fixture->batch, delivered);
        for (size_t i = 0; i < 10; i++) {
            /* The alarms are 0 to 4 in the batch, then the normal ones. */
            const struct fake_record *fake =
                &fixture->spool.records[i < 5 ? 2 * i + 1 : 2 * i - 10];
            bool wanted = (bits >> i & 1) != 0;
            assert_int_equal(fake->delivered, wanted);
            expected += wanted;
        }
        assert_int_equal(count, expected);
        /* What is left comes first in the next batch. */
        assert_int_equal(fake_route_left(&fixture->spool), 10 - expected);
        int rc = batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX);
        assert_int_equal(rc, expected == 10 ? E_END : E_OK);
        if (rc == E_OK)
            assert_passes_agree(fixture);
        assert_int_equal(batch_acknowledge(&fixture->batch, NULL), 10 - expected);
        assert_int_equal(fake_route_left(&fixture->spool), 0);
    }
}

static void test_one_call_for_a_run(void **state)
{
    static uint8_t delivered[63];
    struct fixture *fixture = *state;
    open_usual(fixture);
    for (uint64_t i = 1; i <= 500; i++)
        add(fixture, LANE_NORMAL, i, "{}");
    memset(delivered, 0xff, sizeof delivered);
    delivered[10] = 0;
    assert_int_equal(batch_build(&fixture->batch, SIZE_MAX, UINT64_MAX), E_OK);
    assert_int_equal(batch_acknowledge(&fixture->batch, delivered), 492);
    assert_int_equal(fixture->spool.ack_calls, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_golden_body),
        TEST(test_frames_without_base64_and_with_newlines),
        TEST(test_body_limit),
        TEST(test_record_that_no_body_can_carry),
        TEST(test_gap_as_a_line),
        TEST(test_alarms_only),
        TEST(test_gap_goes_first),
        TEST(test_nothing_to_send),
        TEST(test_lanes_in_order),
        TEST(test_fresh_first),
        TEST(test_backlog_leaves_what_it_does_not_need),
        TEST(test_fresh_first_by_bytes),
        TEST(test_backlog_is_not_starved),
        TEST(test_count_limit),
        TEST(test_byte_limit),
        TEST(test_newline_without_key),
        TEST(test_large_record_waits_for_its_own_batch),
        TEST(test_record_that_no_request_can_carry),
#ifdef LACKS_SHAPES
        TEST(test_shapes_that_kconfig_left_out),
#endif
        TEST(test_limits_of_zero),
        TEST(test_many_records_in_all_formats),
        TEST(test_new_records_between_passes),
        TEST(test_changes_between_passes),
        TEST(test_connection_that_breaks_off),
        TEST(test_damaged_blocks_are_passed_over),
        TEST(test_document_with_a_damaged_piece),
        TEST(test_errors_of_the_spool),
        TEST(test_every_subset),
        TEST(test_one_call_for_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
