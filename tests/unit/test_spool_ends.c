/* SPDX-License-Identifier: Apache-2.0 */
/* A spool whose numbers stand where they outgrow 32 bits, and where they outgrow what JSON can say:
 * appended to, delivered, restarted, cut off, rendered. */
#include "tests/unit/unit.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/batch/render_json.h"
#include "agent/spool/spool_state.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "tests/unit/folder.h"

enum { WAIT_MS = 20000, RECORDS = 300 };
static const int64_t never_ms = INT64_C(1) << 50;

/* A boot that has run for 49.7 days, at the end of what 32 bits count in seconds (2106). */
static const struct spool_clock_reading now = {.boot_ms = (INT64_C(1) << 32) - 150,
                                               .offset_ms =
                                                   INT64_C(4294967296000) - (INT64_C(1) << 32),
                                               .quality = TIME_SYNCED};
static int64_t passed_ms;

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading = now;
    ret_reading->boot_ms += passed_ms;
}

struct bench {
    char path[64];
    struct spool_options options;
    struct spool *spool;
    struct spool_route *route;
    uint32_t sensor;
};

static void start(struct bench *bench)
{
    const struct sensor_definition plc = {.device = "gw", .name = "plc"};
    const struct spool_route_options route = {
        .name = "live", .lanes = {true, true, true}, .hold = true};
    char fault[SPOOL_FAULT_BYTES] = "";
    if (spool_open(&bench->options, fault, &bench->spool) != 0)
        fail_msg("%s", fault);
    assert_int_equal(spool_define_sensor(bench->spool, &plc, &bench->sensor), 0);
    assert_int_equal(spool_route_open(bench->spool, &route, &bench->route), 0);
    assert_int_equal(spool_start(bench->spool), 0);
}

static void stop(struct bench *bench)
{
    assert_int_equal(spool_stop(bench->spool, clock_mono_ms() + WAIT_MS), 0);
    spool_close(bench->spool);
}

static void make(struct bench *bench)
{
    memset(bench, 0, sizeof *bench);
    passed_ms = 0;
    (void)snprintf(bench->path, sizeof bench->path, "/tmp/runnel-ends-XXXXXX");
    assert_non_null(mkdtemp(bench->path));
    bench->options = (struct spool_options){.path = bench->path,
                                            .size_bytes = 1024 * 1024,
                                            .device = "gw",
                                            .wait_ms = 1,
                                            .ack_window_ms = never_ms,
                                            .ack_window_records = 1000000,
                                            .dead_percent = 10,
                                            .clock = read_clock};
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        bench->options.lanes[lane] =
            (struct spool_lane_options){.window_ms = never_ms, .age_ms = never_ms};
}

static void clear(struct bench *bench)
{
    folder_empty(bench->path);
    assert_int_equal(rmdir(bench->path), 0);
}

/* The file is left by a run whose numbers had come so far. */
static void begin_at(struct bench *bench, uint64_t sequence)
{
    start(bench);
    (void)pthread_mutex_lock(&bench->spool->lock);
    bench->spool->next_sequence = sequence;
    bench->spool->reserved = sequence;
    (void)pthread_mutex_unlock(&bench->spool->lock);
    stop(bench);
}

static uint64_t append(struct bench *bench)
{
    static const uint8_t document[] = "{}";
    struct sample sample = {.document = document, .document_bytes = 2};
    struct spool_append request = {.lane = LANE_NORMAL,
                                   .sensor = bench->sensor,
                                   .sample = &sample,
                                   .deadline_ms = clock_mono_ms() + WAIT_MS};
    uint64_t sequence = 0;
    assert_int_equal(spool_append(bench->spool, &request, &sequence), 0);
    passed_ms++;
    return sequence;
}

static void commit(struct bench *bench)
{
    struct spool_status status;
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
    spool_commit_soon(bench->spool);
    do {
        assert_true(clock_mono_ms() < deadline_ms);
        (void)sched_yield();
        spool_get_status(bench->spool, &status);
    } while (status.lanes[LANE_NORMAL].pending > 0);
}

static void check_rendered(struct bench *bench, const struct record *record, uint64_t sequence)
{
    char wanted[64];
    uint8_t text[512];
    struct writer out;
    struct render_json render = {.sensor = spool_sensor(bench->spool, record->sensor)};
    writer_to_memory(&out, text, sizeof text - 1);
    assert_int_equal(render_json(&render, record, &out), 0);
    text[out.used_bytes] = '\0';
    (void)snprintf(wanted, sizeof wanted, "\"seq\":%" PRIu64 ",", sequence);
    if (strstr((const char *)text, wanted) == NULL)
        fail_msg("%s is not in %s", wanted, (const char *)text);
    assert_non_null(strstr((const char *)text, "\"ts\":\"2106-02-07T06:28:1"));
}

/* COUNT records that are known as FIRST and on are there, in order; the first HALF of them are
 * acknowledged. */
static void deliver(struct bench *bench, uint64_t first, int count, int half)
{
    struct spool_reader reader;
    struct record record;
    struct spool_mark mark = {0};
    spool_reader_start(&reader, bench->route, LANE_NORMAL);
    for (int i = 0; i < count; i++) {
        assert_int_equal(spool_reader_next(&reader, &record, &mark.previous), 0);
        check_rendered(bench, &record, first + (uint64_t)i);
        mark.sequence = record.sequence;
        if (i < half)
            spool_route_ack(bench->route, LANE_NORMAL, &mark, 1, SPOOL_DELIVERED);
    }
    assert_int_equal(spool_reader_next(&reader, &record, &mark.previous), E_END);
}

static void check_counters(struct bench *bench, uint64_t delivered, uint64_t stored)
{
    struct spool_counters counters;
    spool_route_counters(bench->route, LANE_NORMAL, &counters);
    assert_int_equal(counters.delivered, delivered);
    assert_int_equal(counters.stored, stored);
    assert_int_equal(counters.evicted + counters.dead, 0);
}

static void live_at(uint64_t begin)
{
    struct bench bench;
    make(&bench);
    begin_at(&bench, begin);
    start(&bench);
    uint64_t first = spool_next_sequence(bench.spool);
    assert_true(first == begin);
    for (int i = 0; i < RECORDS; i++)
        assert_true(append(&bench) == first + (uint64_t)i);
    commit(&bench);
    deliver(&bench, first, RECORDS, RECORDS / 2);
    stop(&bench);
    start(&bench);
    assert_true(spool_next_sequence(bench.spool) == first + RECORDS);
    deliver(&bench, first + RECORDS / 2, RECORDS / 2, 0);
    check_counters(&bench, RECORDS / 2, RECORDS / 2);
    spool_abandon(bench.spool);
    start(&bench); /* which passes over what was reserved */
    assert_true(spool_next_sequence(bench.spool) >= first + RECORDS);
    deliver(&bench, first + RECORDS / 2, RECORDS / 2, RECORDS / 2);
    check_counters(&bench, RECORDS, 0);
    assert_true(append(&bench) >= first + RECORDS);
    stop(&bench);
    clear(&bench);
}

static void numbers_beyond_32_bits(void **state)
{
    (void)state;
    live_at((UINT64_C(1) << 32) - 100);
}

static void the_last_numbers_that_a_start_goes_on_with(void **state)
{
    (void)state;
    live_at(SPOOL_SEQUENCE_END - 2 * RESERVATION);
}

/* What is in the file keeps its identity, and nothing new gets a number that JSON cannot say. */
static void a_file_whose_numbers_are_used_up_is_set_aside(void **state)
{
    (void)state;
    struct bench bench;
    struct spool_set_aside aside;
    struct spool_status status;
    uint8_t before[SPOOL_ID_BYTES];
    uint8_t after[SPOOL_ID_BYTES];
    make(&bench);
    begin_at(&bench, SPOOL_SEQUENCE_END - 100);
    start(&bench);
    uint64_t first = spool_next_sequence(bench.spool);
    for (int i = 0; i < RECORDS; i++)
        append(&bench);
    spool_get_id(bench.spool, before);
    stop(&bench);
    start(&bench);
    spool_get_id(bench.spool, after);
    assert_memory_not_equal(before, after, sizeof before);
    assert_true(spool_next_sequence(bench.spool) < SPOOL_SEQUENCE_END);
    assert_int_equal(spool_get_set_aside(bench.spool, &aside), 0);
    assert_non_null(strstr(aside.reason, "used up"));
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
    do {
        assert_true(clock_mono_ms() < deadline_ms);
        (void)sched_yield();
        spool_get_status(bench.spool, &status);
    } while (status.salvaging);
    deliver(&bench, first, RECORDS, RECORDS);
    stop(&bench);
    clear(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_beyond_32_bits),
        cmocka_unit_test(the_last_numbers_that_a_start_goes_on_with),
        cmocka_unit_test(a_file_whose_numbers_are_used_up_is_set_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
