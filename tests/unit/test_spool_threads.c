/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/spool/spool.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/stop.h"
#include "tests/unit/folder.h"

/*
 * Writers, routes and the committer at once, with windows so short that blocks leave the head, by
 * delivery and by commit, all the time. Each route must get every record exactly once.
 */
enum { WRITERS = 3, ROUTES = 2, RECORDS = 6000, TOTAL = WRITERS * RECORDS };

struct shared {
    struct spool *spool;
    uint32_t sensor;
    atomic_bool written;
};

struct reader_thread {
    struct shared *shared;
    struct spool_route *route;
    unsigned seed;
    uint8_t *seen; /* per sequence */
    uint64_t delivered;
    bool good;
};

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading = (struct spool_clock_reading){.boot_ms = clock_boot_ms(), .offset_ms = 1};
}

static void *write_records(void *context)
{
    struct shared *shared = context;
    static const uint8_t document[] = "{\"state\":\"run\"}";
    static uint8_t large[9000];
    for (unsigned i = 0; i < RECORDS; i++) {
        struct sample sample = {.document = document, .document_bytes = sizeof document - 1};
        uint64_t sequence;
        struct spool_append append = {.lane = (enum lane)(i % LANE_COUNT),
                                      .sensor = shared->sensor,
                                      .sample = &sample,
                                      .source = "plc"};
        if (i % 500 == 499) {
            sample.document = large;
            sample.document_bytes = sizeof large;
        }
        if (i % 7 == 0)
            sample.origin = (struct sample_origin){.present = true, .offset = i};
        do
            append.deadline_ms = clock_mono_ms() + 1000;
        while (spool_append(shared->spool, &append, &sequence) != 0);
    }
    return NULL;
}

static void take_record(struct reader_thread *thread, enum lane lane, uint64_t previous,
                        const struct record *record)
{
    if (rand_r(&thread->seed) % 5 == 0)
        return; /* refused this time: it comes again */
    thread->good = thread->good && thread->seen[record->sequence]++ == 0;
    thread->delivered++;
    spool_route_ack(thread->route, lane, &(struct spool_mark){record->sequence, previous}, 1,
                    SPOOL_DELIVERED);
}

static void read_lane(struct reader_thread *thread, enum lane lane)
{
    struct spool_reader reader;
    struct record record;
    uint64_t previous;
    spool_reader_start(&reader, thread->route, lane);
    for (int i = 0; i < 300; i++) {
        int rc = spool_reader_next(&reader, &record, &previous);
        if (rc < 0) {
            thread->good = thread->good && rc == E_END;
            return;
        }
        const uint8_t *piece;
        size_t bytes = record.document_piece_bytes;
        size_t total = 0;
        do
            total += bytes;
        while (spool_reader_piece(&reader, &piece, &bytes) == 0);
        thread->good = thread->good && total == record.document_bytes;
        take_record(thread, lane, previous, &record);
    }
}

static void *read_records(void *context)
{
    struct reader_thread *thread = context;
    while (thread->delivered < TOTAL && thread->good) {
        for (enum lane lane = 0; lane < LANE_COUNT; lane++)
            read_lane(thread, lane);
        if (rand_r(&thread->seed) % 4 == 0)
            spool_commit_soon(thread->shared->spool);
    }
    return NULL;
}

static void remove_directory(const char *path)
{
    folder_empty(path);
    (void)rmdir(path);
}

static void test_every_record_once_per_route(void **state)
{
    (void)state;
    char path[] = "/tmp/runnel-threads-XXXXXX";
    char fault[SPOOL_FAULT_BYTES];
    struct shared shared = {.spool = NULL};
    struct reader_thread readers[ROUTES];
    pthread_t threads[WRITERS + ROUTES];
    struct sensor_definition definition = {.device = "gw", .name = "plc"};
    assert_non_null(mkdtemp(path));
    struct spool_options options = {.path = path,
                                    .size_bytes = 8 * 1024 * 1024,
                                    .device = "gw",
                                    .wait_ms = 5,
                                    .ack_window_ms = 20,
                                    .ack_window_records = 500,
                                    .clock = read_clock};
    for (int lane = 0; lane < LANE_COUNT; lane++)
        options.lanes[lane] = (struct spool_lane_options){.window_ms = 10 * lane, .age_ms = 10};
    assert_int_equal(spool_open(&options, fault, &shared.spool), 0);
    assert_int_equal(spool_define_sensor(shared.spool, &definition, &shared.sensor), 0);
    for (unsigned i = 0; i < ROUTES; i++) {
        struct spool_route_options route = {
            .name = i == 0 ? "one" : "two", .lanes = {true, true, true}, .hold = true};
        readers[i] = (struct reader_thread){.shared = &shared, .seed = i + 1, .good = true};
        readers[i].seen = calloc(TOTAL + 1, 1);
        assert_int_equal(spool_route_open(shared.spool, &route, &readers[i].route), 0);
    }
    assert_int_equal(spool_start(shared.spool), 0);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_records, &shared), 0);
    for (unsigned i = 0; i < ROUTES; i++)
        assert_int_equal(pthread_create(&threads[WRITERS + i], NULL, read_records, &readers[i]), 0);
    for (unsigned i = 0; i < WRITERS + ROUTES; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(spool_stop(shared.spool, clock_mono_ms() + 10000), 0);
    for (unsigned i = 0; i < ROUTES; i++) {
        struct spool_counters sum = {0};
        for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
            struct spool_counters counters;
            spool_route_counters(readers[i].route, lane, &counters);
            sum.accepted += counters.accepted;
            sum.delivered += counters.delivered;
            sum.stored += counters.stored;
        }
        assert_true(readers[i].good);
        assert_int_equal(sum.accepted, TOTAL);
        assert_int_equal(sum.delivered, TOTAL);
        assert_int_equal(sum.stored, 0);
        free(readers[i].seen);
    }
    spool_close(shared.spool);
    remove_directory(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_record_once_per_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
