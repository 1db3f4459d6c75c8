/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/spool/room.h"
#include "agent/spool/spool.h"
#include "agent/spool/store.h"
#include "platform/base/error.h"
#include "platform/clock.h"

enum { SMALL = 256 * 1024, LARGE = 4 * 1024 * 1024, DOCUMENT_BYTES = 3000, KILLS = 12 };

struct bench {
    char path[64];
    char file[96];
    struct spool_options options;
    struct spool *spool;
    struct spool_route *route;
    uint32_t sensor;
    unsigned next;  /* document to be appended */
    unsigned first; /* that is not acknowledged */
};

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading =
        (struct spool_clock_reading){.boot_ms = clock_boot_ms(), .offset_ms = 1700000000000};
}

static void make_bench(struct bench *bench, uint64_t size_bytes)
{
    memset(bench, 0, sizeof *bench);
    (void)snprintf(bench->path, sizeof bench->path, "/tmp/runnel-size-XXXXXX");
    assert_non_null(mkdtemp(bench->path));
    (void)snprintf(bench->file, sizeof bench->file, "%s/spool.mdb", bench->path);
    bench->options = (struct spool_options){.path = bench->path,
                                            .size_bytes = size_bytes,
                                            .device = "gw",
                                            .wait_ms = 1,
                                            .ack_window_ms = 3600000,
                                            .ack_window_records = 100000,
                                            .clock = read_clock};
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        bench->options.lanes[lane] =
            (struct spool_lane_options){.window_ms = 3600000, .age_ms = 3600000};
}

static void remove_bench(struct bench *bench)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", bench->path);
    assert_int_equal(system(command), 0);
}

static void open_bench(struct bench *bench)
{
    static const struct sensor_definition definition = {.device = "gw", .name = "plc"};
    const struct spool_route_options route = {
        .name = "live", .lanes = {true, true, true}, .hold = true};
    char fault[SPOOL_FAULT_BYTES] = "";
    if (spool_open(&bench->options, fault, &bench->spool) != 0)
        fail_msg("%s", fault);
    assert_int_equal(spool_define_sensor(bench->spool, &definition, &bench->sensor), 0);
    assert_int_equal(spool_route_open(bench->spool, &route, &bench->route), 0);
    assert_int_equal(spool_start(bench->spool), 0);
}

static void close_bench(struct bench *bench)
{
    assert_int_equal(spool_stop(bench->spool, clock_mono_ms() + 20000), 0);
    spool_close(bench->spool);
}

static void append(struct bench *bench, unsigned count)
{
    static uint8_t document[DOCUMENT_BYTES];
    uint64_t sequence;
    for (unsigned i = 0; i < count; i++) {
        struct sample sample = {.document = document, .document_bytes = sizeof document};
        struct spool_append request = {.lane = LANE_NORMAL,
                                       .sensor = bench->sensor,
                                       .sample = &sample,
                                       .deadline_ms = clock_mono_ms() + 20000};
        memset(document, 'a' + (int)(bench->next++ % 26), sizeof document);
        assert_int_equal(spool_append(bench->spool, &request, &sequence), 0);
    }
}

/* How many records there are, all of them whole. */
static unsigned count(struct bench *bench)
{
    struct spool_reader reader;
    struct record record;
    uint64_t previous;
    unsigned found = 0;
    spool_reader_start(&reader, bench->route, LANE_NORMAL);
    while (spool_reader_next(&reader, &record, &previous) == E_OK) {
        assert_int_equal(record.document_bytes, DOCUMENT_BYTES);
        assert_int_equal(record.document[DOCUMENT_BYTES - 1], 'a' + (bench->first + found) % 26);
        found++;
    }
    return found;
}

static void acknowledge_all(struct bench *bench)
{
    struct spool_reader reader;
    struct record record;
    struct spool_mark mark;
    spool_reader_start(&reader, bench->route, LANE_NORMAL);
    while (spool_reader_next(&reader, &record, &mark.previous) == E_OK) {
        mark.sequence = record.sequence;
        bench->first++;
        spool_route_ack(bench->route, LANE_NORMAL, &mark, 1, SPOOL_DELIVERED);
    }
}

static uint64_t file_bytes(const struct bench *bench)
{
    struct stat file;
    assert_int_equal(stat(bench->file, &file), 0);
    return (uint64_t)file.st_size;
}

static uint64_t status_bytes(struct bench *bench)
{
    struct spool_status status;
    spool_get_status(bench->spool, &status);
    return status.size_bytes;
}

static void assert_no_copy(const struct bench *bench)
{
    char copy[128];
    (void)snprintf(copy, sizeof copy, "%s.new", bench->file);
    assert_int_equal(access(copy, F_OK), -1);
}

static void test_grow(void **state)
{
    struct bench bench;
    struct stat file;
    (void)state;
    make_bench(&bench, SMALL);
    open_bench(&bench);
    append(&bench, 20);
    close_bench(&bench);
    bench.options.size_bytes = LARGE;
    open_bench(&bench);
    assert_int_equal(file_bytes(&bench), LARGE);
    assert_int_equal(stat(bench.file, &file), 0);
    assert_true(file.st_blocks * 512 >= LARGE / 2); /* not a hole, so far as it can be seen */
    assert_int_equal(status_bytes(&bench), LARGE);
    append(&bench, 600); /* far more than the small one held */
    close_bench(&bench);
    open_bench(&bench);
    assert_int_equal(count(&bench), 20 + 600);
    close_bench(&bench);
    remove_bench(&bench);
}

/* The larger size does not fit the disk: here, the largest file that a process may write. */
static void test_grow_fails(void **state)
{
    struct bench bench;
    struct rlimit old;
    (void)state;
    make_bench(&bench, SMALL);
    open_bench(&bench);
    append(&bench, 8);
    close_bench(&bench);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    const struct rlimit less = {LARGE / 2, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
    bench.options.size_bytes = LARGE;
    open_bench(&bench);
    assert_int_equal(file_bytes(&bench), SMALL);
    assert_int_equal(status_bytes(&bench), SMALL);
    append(&bench, 6);
    close_bench(&bench);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    open_bench(&bench);
    assert_int_equal(file_bytes(&bench), LARGE);
    assert_int_equal(count(&bench), 14);
    close_bench(&bench);
    remove_bench(&bench);
}

static void test_shrink_at_start(void **state)
{
    struct bench bench;
    (void)state;
    make_bench(&bench, LARGE);
    open_bench(&bench);
    append(&bench, 12);
    close_bench(&bench);
    bench.options.size_bytes = SMALL;
    open_bench(&bench);
    assert_int_equal(file_bytes(&bench), SMALL);
    assert_int_equal(status_bytes(&bench), SMALL);
    assert_no_copy(&bench);
    append(&bench, 1);
    close_bench(&bench);
    open_bench(&bench);
    assert_int_equal(count(&bench), 13);
    close_bench(&bench);
    remove_bench(&bench);
}

/* What does not fit keeps the larger file, also over a restart, until enough is delivered. */
static void test_shrink_once_it_fits(void **state)
{
    struct bench bench;
    (void)state;
    make_bench(&bench, LARGE);
    open_bench(&bench);
    append(&bench, 300);
    close_bench(&bench);
    bench.options.size_bytes = SMALL;
    for (int i = 0; i < 2; i++) {
        open_bench(&bench);
        assert_int_equal(file_bytes(&bench), LARGE);
        assert_int_equal(status_bytes(&bench), LARGE);
        assert_int_equal(count(&bench), 300);
        if (i == 0)
            close_bench(&bench);
    }
    acknowledge_all(&bench);
    for (int64_t end_ms = clock_mono_ms() + 20000; status_bytes(&bench) != SMALL;) {
        assert_true(clock_mono_ms() < end_ms);
        spool_commit_soon(bench.spool);
        (void)usleep(1000);
    }
    assert_int_equal(file_bytes(&bench), SMALL);
    append(&bench, 5);
    assert_int_equal(count(&bench), 5);
    close_bench(&bench);
    open_bench(&bench);
    assert_int_equal(count(&bench), 5);
    assert_no_copy(&bench);
    close_bench(&bench);
    remove_bench(&bench);
}

/* Opens the spool in a process of its own, which dies after so long, or at its end. */
static void open_and_kill(struct bench *bench, unsigned after_us)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char fault[SPOOL_FAULT_BYTES];
        _exit(spool_open(&bench->options, fault, &bench->spool) == 0 ? 0 : 1);
    }
    (void)usleep(after_us);
    (void)kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* Killed at any time while it grows or shrinks, the file is whole in one size or between them. */
static void test_interrupted(void **state)
{
    struct bench bench;
    (void)state;
    make_bench(&bench, SMALL);
    open_bench(&bench);
    append(&bench, 12);
    close_bench(&bench);
    for (unsigned i = 0; i < KILLS; i++) {
        bench.options.size_bytes = LARGE;
        open_and_kill(&bench, i * 1500);
        assert_in_range(file_bytes(&bench), SMALL, LARGE);
        open_bench(&bench);
        assert_int_equal(file_bytes(&bench), LARGE);
        assert_int_equal(count(&bench), 12);
        close_bench(&bench);
        bench.options.size_bytes = SMALL;
        open_and_kill(&bench, i * 1500);
        open_bench(&bench);
        assert_int_equal(file_bytes(&bench), SMALL);
        assert_int_equal(count(&bench), 12);
        assert_no_copy(&bench);
        close_bench(&bench);
    }
    remove_bench(&bench);
}

/* An event the size of a page: whether it could be committed. */
static bool clutter(struct store *store, uint32_t number)
{
    static const uint8_t page[3900];
    const struct store_key key = store_key_number(STORE_EVENTS, number);
    struct store_txn *txn;
    assert_int_equal(store_begin_write(store, &txn), 0);
    int rc = store_put(txn, &key, page, sizeof page);
    if (rc < 0)
        store_abort(txn);
    else
        rc = store_commit(txn);
    return rc == 0;
}

/* A file without a free page: not even what was delivered could be deleted. */
static void test_stretches_where_nothing_is_free(void **state)
{
    struct bench bench;
    struct spool_status status;
    struct store *store;
    uint64_t most_bytes = 0;
    (void)state;
    make_bench(&bench, LARGE);
    open_bench(&bench);
    append(&bench, 600);
    close_bench(&bench);
    assert_int_equal(store_open(bench.file, LARGE, &store), 0);
    for (uint32_t number = 0x10000; clutter(store, number);)
        number++;
    store_close(store);
    open_bench(&bench);
    assert_int_equal(count(&bench), 600);
    acknowledge_all(&bench);
    append(&bench, 3);
    do {
        spool_commit_soon(bench.spool);
        (void)usleep(1000);
        spool_get_status(bench.spool, &status);
        if (status.size_bytes > most_bytes)
            most_bytes = status.size_bytes;
    } while (status.lanes[LANE_NORMAL].pending > 0 || status.size_bytes > LARGE);
    assert_true(most_bytes > LARGE);
    assert_int_equal(file_bytes(&bench), LARGE);
    close_bench(&bench);
    open_bench(&bench);
    assert_int_equal(count(&bench), 3);
    close_bench(&bench);
    remove_bench(&bench);
}

/* What growing adds must not make a file that ends too early look whole. */
static void test_short_file_is_not_grown(void **state)
{
    struct bench bench;
    struct spool_status status;
    (void)state;
    make_bench(&bench, LARGE);
    open_bench(&bench);
    append(&bench, 300);
    close_bench(&bench);
    assert_int_equal(truncate(bench.file, LARGE / 16), 0);
    open_bench(&bench);
    spool_get_status(bench.spool, &status);
    assert_int_equal(status.aside, 1);
    close_bench(&bench);
    remove_bench(&bench);
}

static void test_room(void **state)
{
    const uint64_t reserve = ROOM_RESERVE_BYTES;
    (void)state;
    assert_int_equal(room_pages(64, 10, 4096, UINT64_MAX), 64);
    assert_int_equal(room_pages(64, 10, 4096, reserve + 54 * 4096), 64);
    assert_int_equal(room_pages(64, 10, 4096, reserve + 53 * 4096 + 4095), 63);
    assert_int_equal(room_pages(64, 10, 4096, reserve), 10);
    assert_int_equal(room_pages(64, 10, 4096, 0), 10); /* what lies there can be written again */
    assert_int_equal(room_pages(64, 64, 4096, 0), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_grow_fails),
        cmocka_unit_test(test_shrink_at_start),
        cmocka_unit_test(test_shrink_once_it_fits),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_stretches_where_nothing_is_free),
        cmocka_unit_test(test_short_file_is_not_grown),
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
