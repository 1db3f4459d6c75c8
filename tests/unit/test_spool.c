/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/spool/spool.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/stop.h"
#include "tests/unit/folder.h"

/* A spool in a directory of its own, with one sensor and one route, and a clock that stands. */
struct bench {
    char path[64];
    struct spool_options options;
    struct spool *spool;
    struct spool_route *route;
    uint32_t sensor;
};

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading = (struct spool_clock_reading){
        .boot_ms = clock_boot_ms(), .offset_ms = 1700000000000, .quality = TIME_SYNCED};
}

static const struct channel channels[] = {
    {.name = "temp", .unit = "Cel", .decimals = 2},
    {.name = "hum", .unit = "%RH", .decimals = 1},
    {.name = "volt", .unit = "V", .decimals = 3},
};
static const struct tag tags[] = {{"site", "pump-4"}};
static const struct sensor_definition definition = {.device = "gw-17",
                                                    .name = "board",
                                                    .channel_count = 3,
                                                    .channels = channels,
                                                    .tag_count = 1,
                                                    .tags = tags};

static struct spool_route *open_route(struct bench *bench, const char *name)
{
    struct spool_route *route;
    struct spool_route_options options = {.name = name, .lanes = {true, true, true}, .hold = true};
    assert_int_equal(spool_route_open(bench->spool, &options, &route), 0);
    return route;
}

static void open_bench(struct bench *bench)
{
    char fault[SPOOL_FAULT_BYTES] = "";
    int rc = spool_open(&bench->options, fault, &bench->spool);
    if (rc != 0)
        fail_msg("%s", fault);
    assert_int_equal(spool_define_sensor(bench->spool, &definition, &bench->sensor), 0);
    bench->route = open_route(bench, "live");
    assert_int_equal(spool_start(bench->spool), 0);
}

static void close_bench(struct bench *bench, bool clean)
{
    if (clean)
        assert_int_equal(spool_stop(bench->spool, clock_mono_ms() + 10000), 0);
    spool_close(bench->spool);
    bench->spool = NULL;
}

static void make_bench(struct bench *bench)
{
    memset(bench, 0, sizeof *bench);
    (void)snprintf(bench->path, sizeof bench->path, "/tmp/runnel-spool-XXXXXX");
    assert_non_null(mkdtemp(bench->path));
    bench->options = (struct spool_options){
        .path = bench->path,
        .size_bytes = 4 * 1024 * 1024,
        .device = "gw-17",
        .wait_ms = 1,
        .ack_window_ms = 30000,
        .ack_window_records = 10000,
        .clock = read_clock,
    };
    for (int lane = 0; lane < LANE_COUNT; lane++)
        bench->options.lanes[lane] =
            (struct spool_lane_options){.window_ms = 3600000, .age_ms = 60000};
}

static void remove_bench(struct bench *bench)
{
    folder_empty(bench->path);
    assert_int_equal(rmdir(bench->path), 0);
}

/* Windows count from the instant of measuring, so that has to be now. */
static int64_t first_boot_ms;

static struct sample reading(int64_t number)
{
    if (first_boot_ms == 0)
        first_boot_ms = clock_boot_ms();
    struct sample sample = {.boot_ms = first_boot_ms + number, .value_count = 3};
    sample.values[0] = (struct value){.kind = VALUE_DECIMAL, .decimals = 2, .mantissa = number};
    sample.values[1] = (struct value){.kind = VALUE_DECIMAL, .decimals = 1, .mantissa = -number};
    sample.values[2] = (struct value){.kind = VALUE_DECIMAL, .decimals = 3, .mantissa = 7};
    return sample;
}

static uint64_t append(struct bench *bench, enum lane lane, const struct sample *sample)
{
    uint64_t sequence = 0;
    struct spool_append request = {.lane = lane,
                                   .sensor = bench->sensor,
                                   .sample = sample,
                                   .source = "plc",
                                   .deadline_ms = clock_mono_ms() + 20000};
    assert_int_equal(spool_append(bench->spool, &request, &sequence), 0);
    return sequence;
}

static void append_readings(struct bench *bench, enum lane lane, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        struct sample sample = reading(i);
        (void)append(bench, lane, &sample);
    }
}

static void wait_accepted(struct bench *bench, enum lane lane, uint64_t sequence)
{
    struct spool_ticket ticket = {.lane = lane, .sequence = sequence};
    assert_int_equal(stop_event_open(&ticket.event_fd), 0);
    spool_ticket_wait(bench->spool, &ticket);
    while (!spool_ticket_accepted(bench->spool, &ticket)) {
        struct pollfd poll_fd = {.fd = ticket.event_fd, .events = POLLIN};
        assert_int_equal(poll(&poll_fd, 1, 30000), 1);
    }
    spool_ticket_forget(bench->spool, &ticket);
    (void)close(ticket.event_fd);
}

static struct spool_counters counters(struct spool_route *route, enum lane lane)
{
    struct spool_counters result;
    spool_route_counters(route, lane, &result);
    assert_int_equal(result.accepted,
                     result.delivered + result.stored + result.dead + result.evicted);
    return result;
}

/* Reads what ROUTE owes in LANE; acknowledges all but every SKIP-th (0: nothing) on the way. */
static uint64_t drain(struct spool_route *route, enum lane lane, uint64_t skip, bool acknowledge)
{
    struct spool_reader reader;
    struct record record;
    uint64_t previous;
    uint64_t count = 0;
    int rc;
    spool_reader_start(&reader, route, lane);
    while ((rc = spool_reader_next(&reader, &record, &previous)) == 0) {
        count++;
        assert_true(record.sequence > previous);
        if (acknowledge && (skip == 0 || count % skip != 0))
            spool_route_ack(route, lane, &(struct spool_mark){record.sequence, previous}, 1,
                            SPOOL_DELIVERED);
    }
    assert_int_equal(rc, E_END);
    return count;
}

static void test_reads_what_was_written(void **state)
{
    (void)state;
    struct bench bench;
    struct spool_reader reader;
    struct record record;
    uint64_t previous;
    make_bench(&bench);
    open_bench(&bench);
    append_readings(&bench, LANE_NORMAL, 2000);
    for (int pass = 0; pass < 2; pass++) { /* from the head, then from flash after a new start */
        spool_reader_start(&reader, bench.route, LANE_NORMAL);
        for (int64_t i = 0; i < 2000; i++) {
            assert_int_equal(spool_reader_next(&reader, &record, &previous), 0);
            assert_int_equal(record.sequence, i + 1);
            assert_int_equal(previous, i);
            assert_int_equal(record.wall_ms, 1700000000000 + first_boot_ms + i);
            assert_int_equal(record.values[0].mantissa, i);
            assert_int_equal(record.values[0].decimals, 2);
            assert_int_equal(record.values[1].mantissa, -i);
            assert_int_equal(record.time_quality, TIME_SYNCED);
            assert_string_equal(spool_sensor(bench.spool, record.sensor)->name, "board");
        }
        assert_int_equal(spool_reader_next(&reader, &record, &previous), E_END);
        close_bench(&bench, true);
        open_bench(&bench);
    }
    assert_int_equal(counters(bench.route, LANE_NORMAL).stored, 2000);
    close_bench(&bench, true);
    remove_bench(&bench);
}

static void test_delivered_in_time_never_reaches_flash(void **state)
{
    (void)state;
    struct bench bench;
    struct spool_status status;
    make_bench(&bench);
    open_bench(&bench);
    append_readings(&bench, LANE_NORMAL, 1); /* waits for the file to be made */
    wait_accepted(&bench, LANE_NORMAL, 1);
    spool_get_status(bench.spool, &status);
    uint64_t commits = status.commits;
    for (int round = 0; round < 200; round++) {
        append_readings(&bench, LANE_NORMAL, 100);
        assert_int_equal(drain(bench.route, LANE_NORMAL, 0, true), round == 0 ? 101 : 100);
    }
    spool_get_status(bench.spool, &status);
    assert_int_equal(status.commits, commits);
    assert_int_equal(status.lanes[LANE_NORMAL].pending, 0);
    assert_int_equal(counters(bench.route, LANE_NORMAL).delivered, 20001);
    close_bench(&bench, true);
    remove_bench(&bench);
}

static void test_holes_come_first_and_survive(void **state)
{
    (void)state;
    struct bench bench;
    make_bench(&bench);
    open_bench(&bench);
    append_readings(&bench, LANE_BULK, 300);
    assert_int_equal(drain(bench.route, LANE_BULK, 10, true), 300);
    assert_int_equal(counters(bench.route, LANE_BULK).delivered, 270);
    close_bench(&bench, true);
    open_bench(&bench);
    assert_int_equal(counters(bench.route, LANE_BULK).stored, 30);
    assert_int_equal(drain(bench.route, LANE_BULK, 0, true), 30);
    assert_int_equal(counters(bench.route, LANE_BULK).delivered, 300);
    assert_int_equal(drain(bench.route, LANE_BULK, 0, true), 0);
    close_bench(&bench, true);
    remove_bench(&bench);
}

/* Fresh records first: nothing of the backlog is acknowledged with them, and when it is gone as
 * well, the numbers of another lane between the two keep nothing on flash. */
static void test_start_at_a_later_record(void **state)
{
    (void)state;
    struct bench bench;
    struct spool_reader reader;
    struct record record;
    struct spool_status status;
    struct spool_mark mark;
    make_bench(&bench);
    open_bench(&bench);
    append_readings(&bench, LANE_NORMAL, 300);
    append_readings(&bench, LANE_BULK, 10);
    uint64_t from = spool_next_sequence(bench.spool);
    assert_int_equal(from, 311);
    append_readings(&bench, LANE_BULK, 10);
    append_readings(&bench, LANE_NORMAL, 300);
    wait_accepted(&bench, LANE_NORMAL, 620);
    spool_reader_start_at(&reader, bench.route, LANE_NORMAL, from);
    for (uint64_t sequence = 321; sequence <= 620; sequence++) {
        assert_int_equal(spool_reader_next(&reader, &record, &mark.previous), 0);
        assert_int_equal(record.sequence, sequence);
        assert_int_equal(mark.previous, sequence == 321 ? 310 : sequence - 1);
        mark.sequence = sequence;
        spool_route_ack(bench.route, LANE_NORMAL, &mark, 1, SPOOL_DELIVERED);
    }
    assert_int_equal(spool_reader_next(&reader, &record, &mark.previous), E_END);
    assert_int_equal(drain(bench.route, LANE_NORMAL, 0, true), 300);
    assert_int_equal(drain(bench.route, LANE_NORMAL, 0, true), 0);
    assert_int_equal(drain(bench.route, LANE_BULK, 0, true), 20);
    assert_int_equal(counters(bench.route, LANE_NORMAL).delivered, 600);
    spool_reader_start(&reader, bench.route, LANE_NORMAL);
    assert_int_equal(reader.last, 620);
    close_bench(&bench, true);
    open_bench(&bench);
    spool_get_status(bench.spool, &status);
    assert_int_equal(status.lanes[LANE_NORMAL].stored, 0);
    close_bench(&bench, true);
    remove_bench(&bench);
}

static void test_more_holes_than_flash_keeps(void **state)
{
    (void)state;
    struct bench bench;
    make_bench(&bench);
    open_bench(&bench);
    append_readings(&bench, LANE_NORMAL, 500);
    wait_accepted(&bench, LANE_NORMAL, 500);
    assert_int_equal(drain(bench.route, LANE_NORMAL, 2, true), 500);
    assert_int_equal(counters(bench.route, LANE_NORMAL).delivered, 250);
    close_bench(&bench, true);
    open_bench(&bench); /* what the stored cursor could not say is sent again, and still adds up */
    struct spool_counters after = counters(bench.route, LANE_NORMAL);
    assert_int_equal(after.accepted, 500);
    assert_int_equal(drain(bench.route, LANE_NORMAL, 0, true), after.stored);
    assert_true(after.stored > 250);
    assert_int_equal(counters(bench.route, LANE_NORMAL).delivered, 500);
    close_bench(&bench, true);
    remove_bench(&bench);
}

static void test_two_routes(void **state)
{
    (void)state;
    struct bench bench;
    struct spool_status status;
    make_bench(&bench);
    open_bench(&bench);
    struct spool_route *second = open_route(&bench, "lake");
    append_readings(&bench, LANE_NORMAL, 1000);
    assert_int_equal(drain(bench.route, LANE_NORMAL, 0, true), 1000);
    spool_get_status(bench.spool, &status);
    assert_int_equal(status.lanes[LANE_NORMAL].pending, 1000);
    assert_int_equal(drain(second, LANE_NORMAL, 3, true), 1000);
    spool_get_status(bench.spool, &status);
    assert_int_equal(status.lanes[LANE_NORMAL].pending, 333);
    assert_int_equal(counters(bench.route, LANE_NORMAL).accepted, 667);
    assert_int_equal(counters(second, LANE_NORMAL).delivered, 667);
    struct sample sample = reading(1);
    wait_accepted(&bench, LANE_NORMAL, append(&bench, LANE_NORMAL, &sample));
    assert_int_equal(counters(bench.route, LANE_NORMAL).delivered, 1000);
    assert_int_equal(counters(second, LANE_NORMAL).stored, 334);
    close_bench(&bench, true);
    remove_bench(&bench);
}

static bool is_woken(int event_fd)
{
    struct pollfd poll_fd = {.fd = event_fd, .events = POLLIN};
    bool woken = poll(&poll_fd, 1, 0) == 1;
    stop_event_drain(event_fd);
    return woken;
}

/* So many records wake a route, and the first in a lane that it watches; whichever it was, once. */
static void test_wakes_a_route_for_what_it_waits_for(void **state)
{
    (void)state;
    struct bench bench;
    int event_fd;
    const struct spool_wake wake = {
        .records = 5, .bytes = UINT64_MAX, .lanes = {[LANE_ALARM] = true}};
    make_bench(&bench);
    open_bench(&bench);
    assert_int_equal(stop_event_open(&event_fd), 0);
    spool_route_arm(bench.route, event_fd, &wake);
    append_readings(&bench, LANE_NORMAL, 4);
    assert_false(is_woken(event_fd));
    append_readings(&bench, LANE_BULK, 1);
    assert_true(is_woken(event_fd));
    append_readings(&bench, LANE_NORMAL, 10);
    assert_false(is_woken(event_fd));
    assert_int_equal(drain(bench.route, LANE_NORMAL, 0, true), 14);
    assert_int_equal(drain(bench.route, LANE_BULK, 0, true), 1);
    spool_route_arm(bench.route, event_fd, &wake);
    append_readings(&bench, LANE_NORMAL, 1);
    assert_false(is_woken(event_fd));
    append_readings(&bench, LANE_ALARM, 1);
    assert_true(is_woken(event_fd));
    spool_route_arm(bench.route, event_fd, &wake); /* the alarm is still there */
    assert_true(is_woken(event_fd));
    close_bench(&bench, true);
    (void)close(event_fd);
    remove_bench(&bench);
}

static void test_documents_in_pieces(void **state)
{
    (void)state;
    struct bench bench;
    struct spool_reader reader;
    struct record record;
    uint64_t previous;
    static uint8_t document[60000];
    for (size_t i = 0; i < sizeof document; i++)
        document[i] = (uint8_t)('a' + i % 23);
    static const size_t sizes[] = {1, 3900, 3960, 3961, 4000, 4001, 8000, 12345, 60000};
    const size_t count = sizeof sizes / sizeof sizes[0];
    make_bench(&bench);
    open_bench(&bench);
    for (size_t i = 0; i < count; i++) {
        struct sample sample = {.document = document, .document_bytes = sizes[i]};
        (void)append(&bench, LANE_NORMAL, &sample);
    }
    for (int pass = 0; pass < 2; pass++) {
        spool_reader_start(&reader, bench.route, LANE_NORMAL);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(spool_reader_next(&reader, &record, &previous), 0);
            assert_int_equal(record.document_bytes, sizes[i]);
            const uint8_t *piece = record.document;
            size_t bytes = record.document_piece_bytes;
            size_t at = 0;
            do {
                assert_memory_equal(piece, document + at, bytes);
                at += bytes;
            } while (spool_reader_piece(&reader, &piece, &bytes) == 0);
            assert_int_equal(at, sizes[i]);
        }
        assert_int_equal(spool_reader_next(&reader, &record, &previous), E_END);
        close_bench(&bench, true);
        open_bench(&bench);
    }
    assert_int_equal(drain(bench.route, LANE_NORMAL, 0, true), count);
    close_bench(&bench, true);
    open_bench(&bench);
    assert_int_equal(drain(bench.route, LANE_NORMAL, 0, true), 0);
    close_bench(&bench, true);
    remove_bench(&bench);
}

static void test_unclean_stop_keeps_what_was_accepted(void **state)
{
    (void)state;
    struct bench bench;
    uint64_t last = 0;
    make_bench(&bench);
    open_bench(&bench);
    for (int i = 0; i < 50; i++) {
        append_readings(&bench, LANE_NORMAL, 7);
        struct sample sample = reading(i);
        last = append(&bench, LANE_ALARM, &sample);
        wait_accepted(&bench, LANE_ALARM, last);
    }
    append_readings(&bench, LANE_NORMAL, 1);
    wait_accepted(&bench, LANE_NORMAL, last + 1);
    /* The process "dies": no final commit. The thread is stopped so that the file can be opened. */
    append_readings(&bench, LANE_NORMAL, 13);
    uint8_t id[SPOOL_ID_BYTES];
    uint8_t id_after[SPOOL_ID_BYTES];
    spool_get_id(bench.spool, id);
    spool_abandon(bench.spool);
    open_bench(&bench);
    spool_get_id(bench.spool, id_after);
    assert_memory_equal(id, id_after, sizeof id);
    assert_int_equal(drain(bench.route, LANE_NORMAL, 0, true), 351);
    assert_int_equal(drain(bench.route, LANE_ALARM, 0, true), 50);
    struct sample sample = reading(0);
    assert_true(append(&bench, LANE_NORMAL, &sample) > last + 14); /* never a number twice */
    (void)counters(bench.route, LANE_NORMAL);
    close_bench(&bench, true);
    remove_bench(&bench);
}

static void test_followed_files_are_stored_first(void **state)
{
    (void)state;
    struct bench bench;
    struct sample_origin origin;
    make_bench(&bench);
    open_bench(&bench);
    for (uint64_t i = 1; i <= 100; i++) {
        struct sample sample = reading((int64_t)i);
        sample.origin =
            (struct sample_origin){.present = true, .device = 8, .inode = 77, .offset = 10 * i};
        (void)append(&bench, LANE_NORMAL, &sample);
    }
    assert_int_equal(drain(bench.route, LANE_NORMAL, 0, true), 0);
    spool_find_origin(bench.spool, "plc", &origin);
    assert_false(origin.present);
    wait_accepted(&bench, LANE_NORMAL, 100);
    spool_find_origin(bench.spool, "plc", &origin);
    assert_int_equal(origin.offset, 1000);
    assert_int_equal(drain(bench.route, LANE_NORMAL, 0, true), 100);
    close_bench(&bench, true);
    open_bench(&bench);
    spool_find_origin(bench.spool, "plc", &origin);
    assert_int_equal(origin.inode, 77);
    assert_int_equal(origin.offset, 1000);
    close_bench(&bench, true);
    remove_bench(&bench);
}

/* A line that became an alarm is due at once; its offset must not pass those that wait. */
static void test_a_followed_file_in_two_lanes(void **state)
{
    (void)state;
    struct bench bench;
    make_bench(&bench);
    bench.options.lanes[LANE_NORMAL].window_ms = bench.options.lanes[LANE_NORMAL].age_ms = 600000;
    open_bench(&bench);
    for (uint64_t i = 1; i <= 10; i++) {
        struct sample sample = reading((int64_t)i);
        sample.origin =
            (struct sample_origin){.present = true, .device = 8, .inode = 77, .offset = 10 * i};
        (void)append(&bench, i == 10 ? LANE_ALARM : LANE_NORMAL, &sample);
    }
    wait_accepted(&bench, LANE_ALARM, 10);
    spool_abandon(bench.spool); /* the power is cut */
    open_bench(&bench);
    struct sample_origin origin;
    spool_find_origin(bench.spool, "plc", &origin);
    assert_int_equal(origin.offset, 100);
    assert_int_equal(drain(bench.route, LANE_NORMAL, 0, true), 9);
    assert_int_equal(drain(bench.route, LANE_ALARM, 0, true), 1);
    close_bench(&bench, true);
    remove_bench(&bench);
}

static void test_full_evicts_the_oldest_and_counts(void **state)
{
    (void)state;
    struct bench bench;
    make_bench(&bench);
    bench.options.size_bytes = 256 * 1024;
    open_bench(&bench);
    append_readings(&bench, LANE_NORMAL, 60000);
    spool_commit_soon(bench.spool);
    struct sample sample = reading(0);
    wait_accepted(&bench, LANE_NORMAL, append(&bench, LANE_NORMAL, &sample));
    struct spool_counters now = counters(bench.route, LANE_NORMAL);
    assert_int_equal(now.accepted, 60001);
    assert_true(now.evicted > 30000);
    assert_int_equal(drain(bench.route, LANE_NORMAL, 0, true), now.stored);
    now = counters(bench.route, LANE_NORMAL);
    assert_int_equal(now.stored, 0);
    close_bench(&bench, true);
    open_bench(&bench);
    assert_int_equal(counters(bench.route, LANE_NORMAL).evicted, now.evicted);
    close_bench(&bench, true);
    remove_bench(&bench);
}

/* What was let in finds room in the file, however full: nothing is left waiting in RAM. */
static void test_full_refuses_only_before_it_accepts(void **state)
{
    (void)state;
    struct bench bench;
    struct spool_status status;
    uint64_t sequence = 0;
    int rc = 0;
    make_bench(&bench);
    bench.options.size_bytes = 256 * 1024;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        bench.options.lanes[lane].full = SPOOL_REFUSE;
    open_bench(&bench);
    static uint8_t document[3000];
    memset(document, 'x', sizeof document);
    struct sample sample = {.boot_ms = 1, .document = document, .document_bytes = sizeof document};
    for (unsigned i = 0; rc == 0; i++) {
        struct spool_append request = {.lane = (enum lane)(i % LANE_COUNT),
                                       .sensor = bench.sensor,
                                       .sample = &sample,
                                       .deadline_ms = clock_mono_ms() + 20000};
        rc = spool_append(bench.spool, &request, &sequence);
    }
    assert_int_equal(rc, E_REFUSED);
    spool_commit_soon(bench.spool);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        wait_accepted(&bench, lane, sequence);
    spool_get_status(bench.spool, &status);
    assert_int_equal(status.error, 0);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        assert_int_equal(status.lanes[lane].pending, 0);
    close_bench(&bench, true);
    remove_bench(&bench);
}

/* Appends documents until one finds no room; the number of the last one that did. */
static uint64_t append_until_full(struct bench *bench)
{
    static uint8_t document[3000];
    uint64_t last = 0;
    uint64_t sequence;
    memset(document, 'x', sizeof document);
    struct sample sample = {.boot_ms = 1, .document = document, .document_bytes = sizeof document};
    struct spool_append request = {
        .lane = LANE_NORMAL, .sensor = bench->sensor, .sample = &sample, .source = "plc"};
    for (;;) {
        request.deadline_ms = clock_mono_ms() + 3000;
        if (spool_append(bench->spool, &request, &sequence) < 0)
            return last;
        last = sequence;
        spool_commit_soon(bench->spool);
    }
}

/* What is in flight must not be evicted, and a file without any free page could not even forget
 * what was delivered. */
static void test_full_while_the_oldest_is_in_flight(void **state)
{
    (void)state;
    struct bench bench;
    struct spool_status status;
    make_bench(&bench);
    bench.options.size_bytes = 256 * 1024;
    open_bench(&bench);
    struct sample sample = reading(0);
    uint64_t first = append(&bench, LANE_NORMAL, &sample);
    spool_route_pin(bench.route, LANE_NORMAL, first);
    uint64_t last = append_until_full(&bench);
    spool_get_status(bench.spool, &status);
    assert_int_equal(status.error, 0);
    assert_true(last > first + 20);
    spool_route_pin(bench.route, LANE_NORMAL, UINT64_MAX);
    assert_true(drain(bench.route, LANE_NORMAL, 0, true) >= last - first);
    spool_route_unpin(bench.route);
    wait_accepted(&bench, LANE_NORMAL, append(&bench, LANE_NORMAL, &sample));
    struct spool_counters now = counters(bench.route, LANE_NORMAL);
    assert_int_equal(now.evicted, 0);
    close_bench(&bench, true);
    remove_bench(&bench);
}

/* The keys of three lanes interleave in time and must not in the file, on 32-bit machines too. */
static void test_three_lanes_and_3000_blocks(void **state)
{
    (void)state;
    enum { BLOCKS = 3000 };
    struct bench bench;
    struct spool_reader reader;
    struct spool_status status;
    struct record record;
    uint64_t previous;
    static uint8_t document[3500];
    make_bench(&bench);
    bench.options.size_bytes = 16 * 1024 * 1024;
    open_bench(&bench);
    for (uint64_t i = 0; i < BLOCKS; i++) {
        memcpy(document, &i, sizeof i);
        struct sample sample = {.document = document, .document_bytes = sizeof document};
        assert_int_equal(append(&bench, (enum lane)(i % LANE_COUNT), &sample), i + 1);
    }
    close_bench(&bench, true);
    open_bench(&bench);
    spool_get_status(bench.spool, &status);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        /* each its header, the head of the record (5 bytes) and the document */
        assert_int_equal(status.lanes[lane].stored_bytes,
                         BLOCKS / LANE_COUNT * (BLOCK_HEADER_BYTES + 5 + sizeof document));
        spool_reader_start(&reader, bench.route, lane);
        for (uint64_t i = (uint64_t)lane; i < BLOCKS; i += LANE_COUNT) {
            assert_int_equal(spool_reader_next(&reader, &record, &previous), 0);
            assert_int_equal(record.sequence, i + 1);
            assert_memory_equal(record.document, &i, sizeof i);
        }
        assert_int_equal(spool_reader_next(&reader, &record, &previous), E_END);
        assert_int_equal(drain(bench.route, lane, 0, true), BLOCKS / LANE_COUNT);
    }
    close_bench(&bench, true);
    open_bench(&bench);
    spool_get_status(bench.spool, &status);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        assert_int_equal(counters(bench.route, lane).delivered, BLOCKS / LANE_COUNT);
    close_bench(&bench, true);
    remove_bench(&bench);
}

static void write_file(const struct bench *bench, const void *bytes, size_t count)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/spool.mdb", bench->path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

static void assert_set_aside(struct bench *bench, unsigned count)
{
    struct spool_status status;
    char path[200];
    open_bench(bench);
    append_readings(bench, LANE_NORMAL, 10);
    struct sample sample = reading(10);
    wait_accepted(bench, LANE_NORMAL, append(bench, LANE_NORMAL, &sample));
    assert_int_equal(drain(bench->route, LANE_NORMAL, 0, true), 11);
    spool_get_status(bench->spool, &status);
    assert_int_equal(status.aside, count);
    close_bench(bench, true);
    (void)snprintf(path, sizeof path, "%s/spool.mdb.aside-%u", bench->path, count < 3 ? count : 3);
    assert_int_equal(access(path, F_OK), 0);
}

/* The agent collects and delivers at once, and the file stays as it is for whoever can read it. */
static void test_files_of_no_use_are_set_aside(void **state)
{
    (void)state;
    static uint8_t other[65536]; /* a meta page of the other word size */
    const uint32_t magic = 0xBEEFC0DE;
    struct bench bench;
    memcpy(other + (sizeof(size_t) == 8 ? 12 : 16), &magic, sizeof magic);
    make_bench(&bench);
    write_file(&bench, "", 0);
    assert_set_aside(&bench, 1);
    write_file(&bench, other, sizeof other);
    assert_set_aside(&bench, 2);
    write_file(&bench, "no spool at all", 15);
    assert_set_aside(&bench, 3);
    write_file(&bench, other, 4096);
    assert_set_aside(&bench, 3); /* each is as large as a spool: there are never more */
    remove_bench(&bench);
}

static int64_t days_later;

static void read_later_clock(void *context, struct spool_clock_reading *ret_reading)
{
    read_clock(context, ret_reading);
    ret_reading->offset_ms += days_later * 24 * 3600 * 1000;
}

/* Whether the route called NAME, closed meanwhile, goes on where it was after DAYS more. */
static bool is_known_after(struct bench *bench, const char *name, int64_t days)
{
    close_bench(bench, true);
    days_later += days;
    open_bench(bench);
    append_readings(bench, LANE_ALARM, 1); /* two commits: the first one forgets */
    wait_accepted(bench, LANE_ALARM, spool_next_sequence(bench->spool) - 1);
    append_readings(bench, LANE_ALARM, 1);
    wait_accepted(bench, LANE_ALARM, spool_next_sequence(bench->spool) - 1);
    struct spool_route *route = open_route(bench, name);
    bool known = counters(route, LANE_NORMAL).delivered > 0;
    close_bench(bench, true);
    open_bench(bench);
    return known;
}

static void test_removed_routes_are_known_for_a_week(void **state)
{
    (void)state;
    struct bench bench;
    make_bench(&bench);
    bench.options.clock = read_later_clock;
    open_bench(&bench);
    struct spool_route *lake = open_route(&bench, "lake");
    append_readings(&bench, LANE_NORMAL, 10);
    assert_int_equal(drain(lake, LANE_NORMAL, 0, true), 10);
    assert_true(is_known_after(&bench, "lake", 6));
    assert_true(is_known_after(&bench, "lake", 7));
    assert_false(is_known_after(&bench, "lake", 8));
    close_bench(&bench, true);
    remove_bench(&bench);
}

/* ---- other hardware ---- */

enum { HOLES = 40, HOLE_EVERY = 50 };

static uint64_t id_of(const struct bench *bench)
{
    uint8_t id[SPOOL_ID_BYTES];
    spool_get_id(bench->spool, id);
    return bytes_get_be64(id);
}

/* 0: it is what it was. */
static uint64_t id_before(const struct bench *bench)
{
    uint8_t id[SPOOL_ID_BYTES];
    return spool_get_id_before(bench->spool, id) == E_OK ? bytes_get_be64(id) : 0;
}

static void open_on(struct bench *bench, const struct machine_mark *machine)
{
    bench->options.machine = *machine;
    open_bench(bench);
}

/* A clean stop, or what a power cut leaves. */
static void end_bench(struct bench *bench, bool clean)
{
    if (clean)
        close_bench(bench, true);
    else
        spool_abandon(bench->spool);
}

/* The medium of the machine, copied for another one. */
static void copy_bench(const struct bench *bench, struct bench *ret_copy)
{
    char command[200];
    make_bench(ret_copy);
    (void)snprintf(command, sizeof command, "cp %s/* %s", bench->path, ret_copy->path);
    assert_int_equal(system(command), 0);
}

/* What is owed: the holes, all under the id OLD, and behind them what is new. */
static void expect_owed(struct bench *bench, uint64_t old, uint64_t new_sequence)
{
    struct spool_reader reader;
    struct record record;
    uint64_t previous;
    spool_reader_start(&reader, bench->route, LANE_NORMAL);
    for (uint64_t hole = 1; hole <= HOLES; hole++) {
        assert_int_equal(spool_reader_next(&reader, &record, &previous), E_OK);
        assert_int_equal(record.identity.spool_id, old);
        assert_int_equal(record.identity.sequence, hole * HOLE_EVERY);
        assert_int_equal(record.time_quality, TIME_SYNCED);
    }
    if (new_sequence != 0) {
        assert_int_equal(spool_reader_next(&reader, &record, &previous), E_OK);
        assert_int_equal(record.identity.spool_id, id_of(bench));
        assert_int_equal(record.identity.sequence, new_sequence);
    }
    assert_int_equal(spool_reader_next(&reader, &record, &previous), E_END);
}

static void fill_with_holes(struct bench *bench, bool clean)
{
    append_readings(bench, LANE_NORMAL, HOLES * HOLE_EVERY);
    assert_int_equal(drain(bench->route, LANE_NORMAL, HOLE_EVERY, true), HOLES * HOLE_EVERY);
    wait_accepted(bench, LANE_NORMAL, HOLES * HOLE_EVERY);
    end_bench(bench, clean);
}

/* Both go on: what the copy brought along keeps its identity, and what either takes has its own. */
static void expect_two_machines(bool clean)
{
    const struct machine_mark one = {.serial = 1, .addresses = {11}};
    const struct machine_mark two = {.serial = 2, .addresses = {12}};
    struct sample sample = reading(0);
    struct bench bench;
    struct bench copy;
    make_bench(&bench);
    open_on(&bench, &one);
    uint64_t old = id_of(&bench);
    fill_with_holes(&bench, clean);
    copy_bench(&bench, &copy);

    open_on(&copy, &two);
    uint64_t new_id = id_of(&copy);
    assert_int_not_equal(new_id, old);
    assert_int_equal(id_before(&copy), old);
    assert_int_equal(counters(copy.route, LANE_NORMAL).stored, HOLES);
    uint64_t sequence = append(&copy, LANE_NORMAL, &sample);
    expect_owed(&copy, old, sequence);
    end_bench(&copy, clean);

    open_on(&copy, &two); /* the second start knows itself */
    assert_int_equal(id_of(&copy), new_id);
    assert_int_equal(id_before(&copy), 0);
    close_bench(&copy, true);

    open_on(&bench, &one);
    assert_int_equal(id_of(&bench), old);
    assert_int_equal(id_before(&bench), 0);
    expect_owed(&bench, old, 0);
    close_bench(&bench, true);
    remove_bench(&copy);
    remove_bench(&bench);
}

static void test_a_copied_spool_gets_an_id_of_its_own(void **state)
{
    (void)state;
    expect_two_machines(true);
    expect_two_machines(false);
}

/* Whether a start on MACHINE takes the hardware for another one. */
static bool is_taken_for_another(struct bench *bench, const struct machine_mark *machine)
{
    open_on(bench, machine);
    uint64_t old = id_before(bench);
    uint64_t now = id_of(bench);
    close_bench(bench, true);
    assert_true(old == 0 || old != now);
    return old != 0;
}

static void test_what_is_not_known_of_a_machine_proves_nothing(void **state)
{
    (void)state;
    static const struct machine_mark starts[] = {
        {.addresses = {5}},              /* the first that knows something */
        {.serial = 0},                   /* nothing is there */
        {.addresses = {3, 5}},           /* one more came */
        {.addresses = {3}},              /* one is late */
        {.serial = 9},                   /* root asks */
        {.addresses = {5}},              /* another user does */
        {.serial = 9, .addresses = {7}}, /* its interfaces were replaced */
        {.addresses = {7}},
    };
    const struct machine_mark other = {.addresses = {5}};
    struct bench bench;
    make_bench(&bench);
    open_bench(&bench);
    close_bench(&bench, true);
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
        assert_false(is_taken_for_another(&bench, &starts[i]));
    assert_true(is_taken_for_another(&bench, &other));
    assert_false(is_taken_for_another(&bench, &other));
    remove_bench(&bench);
}

/* A start writes as much whether it has a mark to keep or not. */
static uint64_t flash_of_a_start(struct bench *bench, const struct machine_mark *machine)
{
    struct spool_status status;
    open_on(bench, machine);
    spool_get_status(bench->spool, &status);
    close_bench(bench, true);
    return status.flash_bytes;
}

static void test_a_mark_costs_no_flash(void **state)
{
    (void)state;
    const struct machine_mark none = {.serial = 0};
    const struct machine_mark some = {.serial = 9, .addresses = {1, 2, 3}};
    struct bench bench;
    make_bench(&bench);
    open_bench(&bench);
    close_bench(&bench, true);
    (void)flash_of_a_start(&bench, &none);
    uint64_t without = flash_of_a_start(&bench, &none);
    (void)flash_of_a_start(&bench, &some);
    assert_int_equal(flash_of_a_start(&bench, &some), without);
    remove_bench(&bench);
}

static void test_second_process_is_turned_away(void **state)
{
    (void)state;
    struct bench bench;
    struct spool *second;
    char fault[SPOOL_FAULT_BYTES];
    make_bench(&bench);
    open_bench(&bench);
    assert_int_equal(spool_open(&bench.options, fault, &second), E_BUSY);
    assert_non_null(strstr(fault, bench.path));
    close_bench(&bench, true);
    remove_bench(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_was_written),
        cmocka_unit_test(test_delivered_in_time_never_reaches_flash),
        cmocka_unit_test(test_holes_come_first_and_survive),
        cmocka_unit_test(test_start_at_a_later_record),
        cmocka_unit_test(test_more_holes_than_flash_keeps),
        cmocka_unit_test(test_two_routes),
        cmocka_unit_test(test_wakes_a_route_for_what_it_waits_for),
        cmocka_unit_test(test_documents_in_pieces),
        cmocka_unit_test(test_unclean_stop_keeps_what_was_accepted),
        cmocka_unit_test(test_followed_files_are_stored_first),
        cmocka_unit_test(test_a_followed_file_in_two_lanes),
        cmocka_unit_test(test_full_evicts_the_oldest_and_counts),
        cmocka_unit_test(test_full_refuses_only_before_it_accepts),
        cmocka_unit_test(test_full_while_the_oldest_is_in_flight),
        cmocka_unit_test(test_three_lanes_and_3000_blocks),
        cmocka_unit_test(test_files_of_no_use_are_set_aside),
        cmocka_unit_test(test_removed_routes_are_known_for_a_week),
        cmocka_unit_test(test_a_copied_spool_gets_an_id_of_its_own),
        cmocka_unit_test(test_what_is_not_known_of_a_machine_proves_nothing),
        cmocka_unit_test(test_a_mark_costs_no_flash),
        cmocka_unit_test(test_second_process_is_turned_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
