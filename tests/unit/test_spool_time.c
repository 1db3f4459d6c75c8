/* SPDX-License-Identifier: Apache-2.0 */
/* Boots of a machine whose clock is often not set: P6, as the spool keeps it. */
#include "tests/unit/unit.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/batch/batch.h"
#include "agent/spool/spool_state.h"
#include "agent/spool/spool_walk.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "tests/unit/folder.h"

enum { WAIT_MS = 20000, RECORDS_MAX = 256, ROUTES = 3 };
#define SECOND INT64_C(1000)
#define HOUR   (3600 * SECOND)
static const int64_t never_ms = INT64_C(1) << 50;
static const int64_t today = INT64_C(1795392000000);

/* The machine's clocks, on which the spool is opened: they stand still unless a test moves them. */
static struct {
    uint32_t boot; /* its id; 0: this one has none of its own */
    struct spool_clock_reading now;
} machine;

void __wrap_clock_boot_id(uint8_t ret_id[CLOCK_BOOT_ID_BYTES]);
void __wrap_clock_boot_id(uint8_t ret_id[CLOCK_BOOT_ID_BYTES])
{
    memset(ret_id, 0, CLOCK_BOOT_ID_BYTES);
    bytes_put_le32(ret_id, machine.boot);
}

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading = machine.now;
}

struct bench {
    char path[64];
    struct spool_options options;
    struct spool *spool;
    struct spool_route *routes[ROUTES];
    uint32_t sensor;
};

/* A record, and what was known of its time when it was read. */
struct seen {
    uint64_t sequence;
    int64_t wall_ms;
    enum time_quality quality;
};

static void start(struct bench *bench)
{
    static const char *const names[ROUTES] = {"live", "lake", "cold"};
    const struct sensor_definition plc = {.device = "gw", .name = "plc"};
    char fault[SPOOL_FAULT_BYTES] = "";
    if (spool_open(&bench->options, fault, &bench->spool) != 0)
        fail_msg("%s", fault);
    assert_int_equal(spool_define_sensor(bench->spool, &plc, &bench->sensor), 0);
    for (int i = 0; i < ROUTES; i++) {
        struct spool_route_options options = {
            .name = names[i], .lanes = {true, true, true}, .hold = true};
        assert_int_equal(spool_route_open(bench->spool, &options, &bench->routes[i]), 0);
    }
    assert_int_equal(spool_start(bench->spool), 0);
}

static void stop(struct bench *bench)
{
    assert_int_equal(spool_stop(bench->spool, clock_mono_ms() + WAIT_MS), 0);
    spool_close(bench->spool);
}

static uint64_t commits(struct bench *bench)
{
    struct spool_status status;
    spool_get_status(bench->spool, &status);
    return status.commits;
}

static void commit(struct bench *bench)
{
    uint64_t before = commits(bench);
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
    spool_commit_soon(bench->spool);
    while (commits(bench) == before && clock_mono_ms() < deadline_ms)
        (void)sched_yield();
    assert_true(commits(bench) > before);
}

/* A boot whose clock was never set begins. */
static void boot(struct bench *bench, uint32_t id)
{
    machine.boot = id;
    machine.now = (struct spool_clock_reading){.boot_ms = 10 * SECOND, .quality = TIME_ESTIMATED};
    start(bench);
}

static void make(struct bench *bench)
{
    memset(bench, 0, sizeof *bench);
    (void)snprintf(bench->path, sizeof bench->path, "/tmp/runnel-time-XXXXXX");
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

static void pass(int64_t ms)
{
    machine.now.boot_ms += ms;
}

static void append(struct bench *bench)
{
    static const uint8_t document[] = "{}";
    struct sample sample = {.document = document, .document_bytes = 2};
    struct spool_append request = {.lane = LANE_NORMAL, .sensor = bench->sensor, .sample = &sample};
    uint64_t sequence;
    assert_int_equal(spool_append(bench->spool, &request, &sequence), 0);
}

/* COUNT records a minute apart, and another minute. */
static void take(struct bench *bench, int count)
{
    for (int i = 0; i < count; i++) {
        append(bench);
        pass(60 * SECOND);
    }
}

static void learn(struct bench *bench, int64_t offset_ms)
{
    machine.now.offset_ms = offset_ms;
    machine.now.quality = TIME_SYNCED;
    spool_time_learn(bench->spool, machine.now.boot_ms, offset_ms);
}

static size_t read_all(struct bench *bench, int route, struct seen seen[RECORDS_MAX])
{
    struct spool_reader reader;
    struct record record;
    uint64_t previous;
    size_t count = 0;
    spool_reader_start(&reader, bench->routes[route], LANE_NORMAL);
    while (spool_reader_next(&reader, &record, &previous) == E_OK) {
        assert_true(count < RECORDS_MAX);
        seen[count++] = (struct seen){record.sequence, record.wall_ms, record.time_quality};
    }
    return count;
}

static void check_order(const struct seen *seen, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        assert_true(seen[i].sequence > seen[i - 1].sequence);
        assert_true(seen[i].wall_ms >= seen[i - 1].wall_ms);
    }
}

static void check(const struct seen *seen, int64_t wall_ms, enum time_quality quality)
{
    assert_int_equal(seen->wall_ms, wall_ms);
    assert_int_equal(seen->quality, quality);
}

/* ---- ---- */

/* The two boots before lived 5 min each, as their last commits say: by an orderly stop, or by the
 * commit before a power cut. */
static void three_boots(bool orderly)
{
    struct bench bench;
    struct seen seen[RECORDS_MAX];
    make(&bench);
    for (uint32_t id = 1; id <= 2; id++) {
        boot(&bench, id);
        take(&bench, 5);
        assert_false(spool_time_known(bench.spool));
        commit(&bench);
        if (orderly)
            stop(&bench);
        else
            spool_abandon(bench.spool);
    }
    boot(&bench, 3);
    take(&bench, 2);
    assert_int_equal(read_all(&bench, 0, seen), 12);
    for (int i = 0; i < 12; i++)
        assert_int_equal(seen[i].quality, TIME_ESTIMATED);
    assert_false(spool_time_known(bench.spool));
    learn(&bench, today);
    assert_true(spool_time_known(bench.spool));
    take(&bench, 1);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(read_all(&bench, 0, seen), 13);
        check_order(seen, 13);
        check(&seen[12], today + 130 * SECOND, TIME_SYNCED);
        check(&seen[11], today + 70 * SECOND, TIME_CORRECTED);
        check(&seen[10], today + 10 * SECOND, TIME_CORRECTED);
        /* Off for no time: nobody knows better. */
        check(&seen[9], today - 60 * SECOND, TIME_ESTIMATED);
        check(&seen[5], today - 300 * SECOND, TIME_ESTIMATED);
        check(&seen[4], today - 310 * SECOND - 60 * SECOND, TIME_ESTIMATED);
        check(&seen[0], today - 310 * SECOND - 300 * SECOND, TIME_ESTIMATED);
        if (round == 0)
            commit(&bench);
        if (round == 0 && orderly)
            stop(&bench);
        else if (round == 0)
            spool_abandon(bench.spool);
        if (round == 0)
            boot(&bench, 4); /* which knows nothing itself */
    }
    stop(&bench);
    clear(&bench);
}

static void boots_that_never_learnt_the_time_end_where_the_next_began(void **state)
{
    (void)state;
    three_boots(true);
}

static void likewise_after_power_cuts(void **state)
{
    (void)state;
    three_boots(false);
}

static void boots_between_known_ones_lie_between_them(void **state)
{
    (void)state;
    struct bench bench;
    struct seen seen[RECORDS_MAX];
    make(&bench);
    boot(&bench, 1);
    learn(&bench, today);
    take(&bench, 1);
    stop(&bench);
    boot(&bench, 2);
    take(&bench, 1);
    stop(&bench);
    boot(&bench, 3);
    take(&bench, 1);
    learn(&bench, today + HOUR);
    assert_int_equal(read_all(&bench, 0, seen), 3);
    check(&seen[0], today + 10 * SECOND, TIME_SYNCED);
    /* From 70 s to an hour it lived 70 s: off for 1,730 s before and behind. */
    check(&seen[1], today + (70 + 1730 + 10) * SECOND, TIME_ESTIMATED);
    check(&seen[2], today + HOUR + 10 * SECOND, TIME_CORRECTED);
    stop(&bench);
    clear(&bench);
}

/* The agent begins anew, not the machine. */
static void a_restart_forgets_nothing(void **state)
{
    (void)state;
    struct bench bench;
    struct seen seen[RECORDS_MAX];
    make(&bench);
    boot(&bench, 1);
    take(&bench, 1);
    learn(&bench, today);
    stop(&bench);
    machine.now.quality = TIME_ESTIMATED;
    machine.now.offset_ms = 0;
    for (int i = 0; i < 70; i++) {
        start(&bench);
        assert_true(spool_time_known(bench.spool));
        stop(&bench);
    }
    start(&bench);
    take(&bench, 1);
    assert_int_equal(bench.spool->times[bench.spool->times_now].count, 1);
    assert_int_equal(read_all(&bench, 0, seen), 2);
    check(&seen[0], today + 10 * SECOND, TIME_CORRECTED);
    check(&seen[1], today + 70 * SECOND, TIME_CORRECTED);
    stop(&bench);
    clear(&bench);
}

static void what_was_trusted_is_never_bound_again(void **state)
{
    (void)state;
    struct bench bench;
    struct seen seen[RECORDS_MAX];
    make(&bench);
    boot(&bench, 1);
    take(&bench, 1);
    learn(&bench, today);
    take(&bench, 1);
    learn(&bench, today + 24 * HOUR);
    assert_int_equal(read_all(&bench, 0, seen), 2);
    check(&seen[0], today + 24 * HOUR + 10 * SECOND, TIME_CORRECTED);
    check(&seen[1], today + 70 * SECOND, TIME_SYNCED);
    stop(&bench);
    clear(&bench);
}

static void what_is_learnt_rides_on_a_commit_and_causes_none(void **state)
{
    (void)state;
    struct bench bench;
    make(&bench);
    boot(&bench, 1);
    commit(&bench); /* until the file is there this waits, too */
    uint64_t before = commits(&bench);
    learn(&bench, today);
    commit(&bench);
    assert_int_equal(commits(&bench), before + 1);
    spool_abandon(bench.spool);
    machine.now.quality = TIME_ESTIMATED;
    start(&bench);
    assert_true(spool_time_known(bench.spool));
    spool_abandon(bench.spool);
    boot(&bench, 2);
    commit(&bench);
    learn(&bench, today + HOUR);
    assert_true(spool_time_known(bench.spool));
    spool_abandon(bench.spool); /* before any commit */
    machine.now.quality = TIME_ESTIMATED;
    start(&bench);
    assert_false(spool_time_known(bench.spool));
    stop(&bench);
    clear(&bench);
}

static void readings_of_a_trusted_clock_are_learnt_by_themselves(void **state)
{
    (void)state;
    struct bench bench;
    struct seen seen[RECORDS_MAX];
    make(&bench);
    boot(&bench, 1);
    take(&bench, 1);
    machine.now.offset_ms = today;
    machine.now.quality = TIME_SYNCED; /* the kernel says so */
    take(&bench, 1);
    assert_int_equal(read_all(&bench, 0, seen), 2);
    check(&seen[0], today + 10 * SECOND, TIME_CORRECTED);
    check(&seen[1], today + 70 * SECOND, TIME_SYNCED);
    stop(&bench);
    clear(&bench);
}

static void a_batch_in_flight_sees_no_change(void **state)
{
    (void)state;
    struct bench bench;
    struct seen seen[RECORDS_MAX];
    make(&bench);
    boot(&bench, 1);
    take(&bench, 1);
    spool_time_freeze(bench.routes[0]);
    learn(&bench, today);
    spool_time_freeze(bench.routes[1]);
    machine.now.quality = TIME_ESTIMATED; /* or freezing would learn by itself */
    pass(HOUR);
    spool_time_learn(bench.spool, machine.now.boot_ms, today + 2 * SECOND);
    spool_time_freeze(bench.routes[2]);
    pass(HOUR);
    spool_time_learn(bench.spool, machine.now.boot_ms, today + 24 * HOUR); /* no room for it now */
    for (int round = 0; round < 2; round++) {
        assert_int_equal(read_all(&bench, 0, seen), 1);
        check(&seen[0], 10 * SECOND, TIME_ESTIMATED);
        assert_int_equal(read_all(&bench, 1, seen), 1);
        check(&seen[0], today + 10 * SECOND, TIME_CORRECTED);
        assert_int_equal(read_all(&bench, 2, seen), 1);
        check(&seen[0], today + 10 * SECOND, TIME_CORRECTED);
        commit(&bench);
    }
    spool_route_unpin(bench.routes[0]);
    assert_int_equal(read_all(&bench, 0, seen), 1);
    check(&seen[0], today + 10 * SECOND, TIME_CORRECTED);
    spool_time_learn(bench.spool, machine.now.boot_ms, today + 24 * HOUR);
    assert_int_equal(read_all(&bench, 0, seen), 1);
    check(&seen[0], today + 24 * HOUR + 10 * SECOND, TIME_CORRECTED);
    assert_int_equal(read_all(&bench, 1, seen), 1);
    check(&seen[0], today + 10 * SECOND, TIME_CORRECTED);
    stop(&bench);
    clear(&bench);
}

static uint64_t hand_in(struct bench *bench, int64_t wall_ms)
{
    static const uint8_t document[] = "{}";
    const struct sample sample = {
        .boot_ms = wall_ms - machine.now.offset_ms, .document = document, .document_bytes = 2};
    const struct spool_append request = {
        .lane = LANE_NORMAL, .sensor = bench->sensor, .sample = &sample, .handed_in = &machine.now};
    uint64_t sequence;
    assert_int_equal(spool_append(bench->spool, &request, &sequence), 0);
    return sequence;
}

/* The clock is true, and windows last for an hour. */
static void start_synced(struct bench *bench)
{
    make(bench);
    bench->options.lanes[LANE_NORMAL] =
        (struct spool_lane_options){.window_ms = HOUR, .age_ms = HOUR};
    machine.boot = 1;
    machine.now = (struct spool_clock_reading){.boot_ms = clock_boot_ms(), .quality = TIME_SYNCED};
    machine.now.offset_ms = today - machine.now.boot_ms;
    start(bench);
}

static void what_was_handed_in_keeps_its_time_to_the_millisecond(void **state)
{
    (void)state;
    static const int64_t walls[] = {0,  INT64_C(4291747200000), /* 2106 */
                                    -1, today - 10 * SECOND,    today + 60 * SECOND, today, 1};
    enum { COUNT = sizeof walls / sizeof walls[0] };
    struct bench bench;
    struct seen seen[RECORDS_MAX];
    start_synced(&bench);
    for (size_t i = 0; i < COUNT; i++) {
        (void)hand_in(&bench, walls[i]);
        machine.now.offset_ms += i % 2 == 0 ? 7 : -3; /* the kernel slews it */
    }
    for (int pass = 0; pass < 2; pass++) { /* from RAM, and from flash after a restart */
        assert_int_equal(read_all(&bench, 0, seen), COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(seen[i].wall_ms, walls[i]);
            assert_int_equal(seen[i].quality, TIME_SYNCED);
        }
        stop(&bench);
        if (pass == 0)
            start(&bench);
    }
    clear(&bench);
}

static int64_t due_ms(struct bench *bench)
{
    (void)pthread_mutex_lock(&bench->spool->lock);
    int64_t due_ms = bench->spool->lanes[LANE_NORMAL].due_ms;
    (void)pthread_mutex_unlock(&bench->spool->lock);
    return due_ms;
}

static int64_t oldest_ms(struct bench *bench)
{
    (void)pthread_mutex_lock(&bench->spool->lock);
    int64_t oldest_ms = spool_head_oldest_pending_locked(bench->spool, LANE_NORMAL);
    (void)pthread_mutex_unlock(&bench->spool->lock);
    return oldest_ms;
}

static void what_was_handed_in_waits_from_when_it_came(void **state)
{
    (void)state;
    static struct spool_reader reader;
    struct record record;
    struct bench bench;
    uint64_t previous;
    start_synced(&bench);
    int64_t came_at_ms = machine.now.boot_ms;
    uint64_t before = commits(&bench);
    (void)hand_in(&bench, 0);
    pass(SECOND);
    (void)hand_in(&bench, today + HOUR);
    assert_int_equal(due_ms(&bench), came_at_ms + HOUR);
    assert_int_equal(oldest_ms(&bench), came_at_ms);
    assert_int_equal(commits(&bench), before);
    spool_reader_start(&reader, bench.routes[0], LANE_NORMAL);
    for (int i = 0; i < 2; i++) { /* as finely as it matters */
        assert_int_equal(spool_reader_next(&reader, &record, &previous), 0);
        assert_int_equal(spool_reader_came_ms(&reader, &record), came_at_ms);
    }
    stop(&bench);
    clear(&bench);
}

static void note_gap(struct bench *bench)
{
    const struct gap_range range = {1, 1, 1};
    (void)pthread_mutex_lock(&bench->spool->lock);
    spool_gap_note_locked(bench->routes[0], LANE_NORMAL, &range, SPOOL_GAP_DROP_OLDEST);
    (void)pthread_mutex_unlock(&bench->spool->lock);
}

static void frame_nothing(const void *context, struct writer *out)
{
    (void)context;
    (void)out;
}

static void frame_record(const void *context, struct writer *out, size_t index)
{
    (void)context;
    (void)out;
    (void)index;
}

static void frame_key(const void *context, struct writer *out, const char *key, size_t bytes)
{
    (void)context;
    writer_bytes(out, key, bytes);
}

static int drop(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    (void)bytes;
    (void)count;
    return E_OK;
}

/* What is learnt between its two passes is for the next batch. */
static void a_batch_is_written_as_it_was_built(void **state)
{
    (void)state;
    static const struct batch_frame frame = {.begin = frame_nothing,
                                             .record_begin = frame_record,
                                             .record_end = frame_key,
                                             .end = frame_nothing};
    struct bench bench;
    struct batch batch;
    struct writer out;
    uint8_t buffer[64];
    make(&bench);
    boot(&bench, 1);
    take(&bench, 2);
    note_gap(&bench);
    commit(&bench);
    const struct batch_options options = {.spool = bench.spool,
                                          .route = bench.routes[0],
                                          .device = "gw",
                                          .lanes = {true, true, true},
                                          .limits = {10, 100000, 10000},
                                          .frame = &frame};
    assert_int_equal(batch_open(&options, &batch), E_OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(batch_build(&batch, 10, UINT64_MAX), E_OK);
        assert_int_equal(batch.count, 3);
        learn(&bench, today + round * 24 * HOUR);
        writer_to_function(&out, buffer, sizeof buffer, drop, NULL);
        assert_int_equal(batch_write(&batch, &out), E_OK);
        batch_release(&batch);
        assert_int_equal(batch_build(&batch, 10, UINT64_MAX), E_OK);
        assert_int_equal(batch_write(&batch, &out), E_OK);
        batch_release(&batch);
    }
    batch_close(&batch);
    stop(&bench);
    clear(&bench);
}

static void check_gap(struct bench *bench, int64_t wall_ms, enum time_quality quality)
{
    struct spool_gap gap;
    assert_int_equal(spool_gap_next(bench->routes[0], 0, &gap), E_OK);
    assert_int_equal(gap.wall_ms, wall_ms);
    assert_int_equal(gap.time_quality, quality);
}

static void gaps_are_told_by_the_same_clock(void **state)
{
    (void)state;
    struct bench bench;
    make(&bench);
    boot(&bench, 1);
    machine.now.offset_ms = SECOND;
    note_gap(&bench);
    commit(&bench);
    check_gap(&bench, 10 * SECOND, TIME_ESTIMATED); /* as the system's clock said at the start */
    pass(60 * SECOND);
    stop(&bench);
    boot(&bench, 2);
    check_gap(&bench, 10 * SECOND, TIME_ESTIMATED);
    spool_time_freeze(bench.routes[0]);
    learn(&bench, today);
    check_gap(&bench, 10 * SECOND, TIME_ESTIMATED);
    spool_route_unpin(bench.routes[0]);
    check_gap(&bench, today - 60 * SECOND, TIME_ESTIMATED);
    stop(&bench);
    start(&bench);
    check_gap(&bench, today - 60 * SECOND, TIME_ESTIMATED);
    stop(&bench);
    clear(&bench);
}

static void dead_letters_and_walks_are_told_by_the_same_clock(void **state)
{
    (void)state;
    struct bench bench;
    struct spool_letter letter;
    struct spool_reader reader;
    struct record record;
    struct seen seen[RECORDS_MAX];
    uint64_t previous;
    make(&bench);
    boot(&bench, 1);
    take(&bench, 1);
    assert_int_equal(read_all(&bench, 0, seen), 1);
    const struct spool_death death = {
        .lane = LANE_NORMAL, .mark = {seen[0].sequence, seen[0].sequence - 1}, .reason = "no"};
    assert_int_equal(spool_dead_bury(bench.routes[0], &death, clock_mono_ms() + WAIT_MS), E_OK);
    learn(&bench, today);
    stop(&bench);
    machine.now.quality = TIME_ESTIMATED;
    bench.options.open_only = true;
    char fault[SPOOL_FAULT_BYTES];
    assert_int_equal(spool_open(&bench.options, fault, &bench.spool), E_OK);
    assert_int_equal(spool_dead_next(bench.spool, NULL, &letter), E_OK);
    assert_int_equal(spool_dead_open(&reader, bench.spool, &letter, &record), E_OK);
    assert_int_equal(record.wall_ms, today + 10 * SECOND);
    assert_int_equal(record.time_quality, TIME_CORRECTED);
    spool_walk_start(&reader, bench.spool, LANE_NORMAL, &(struct spool_position){0});
    assert_int_equal(spool_reader_next(&reader, &record, &previous), E_OK);
    assert_int_equal(record.wall_ms, today + 10 * SECOND);
    assert_int_equal(record.time_quality, TIME_CORRECTED);
    spool_close(bench.spool);
    clear(&bench);
}

static unsigned stored_boots(struct bench *bench)
{
    struct store_key key = {.count = 1, .bytes = {STORE_BOOTS}};
    struct store_txn *txn;
    const uint8_t *value;
    size_t bytes;
    unsigned count = 0;
    assert_int_equal(store_begin_read(bench->spool->store, &txn), E_OK);
    while (store_at_or_after(txn, &key, &key, &value, &bytes) == E_OK &&
           key.bytes[0] == STORE_BOOTS) {
        count++;
        key.bytes[key.count++] = 0;
    }
    store_abort(txn);
    return count;
}

static void of_many_boots_order_holds_and_no_table_grows(void **state)
{
    (void)state;
    struct bench bench;
    struct seen seen[RECORDS_MAX];
    make(&bench);
    for (uint32_t id = 1; id <= 80; id++) {
        boot(&bench, id);
        take(&bench, 2);
        stop(&bench);
    }
    boot(&bench, 81);
    assert_int_equal(stored_boots(&bench), TIMELINE_BOOTS_MAX);
    learn(&bench, today);
    assert_int_equal(read_all(&bench, 0, seen), 160);
    check_order(seen, 160);
    check(&seen[0], today - (TIMELINE_BOOTS_MAX - 1) * 130 * SECOND, TIME_ESTIMATED);
    stop(&bench);
    clear(&bench);
}

/* A file that this program cannot use leaves its boots to the next one. */
static void boots_of_a_file_that_was_set_aside_are_known_on(void **state)
{
    (void)state;
    struct bench bench;
    struct seen seen[RECORDS_MAX];
    struct spool_status status;
    char file[80], aside[96];
    make(&bench);
    (void)snprintf(file, sizeof file, "%s/spool.mdb", bench.path);
    (void)snprintf(aside, sizeof aside, "%s.aside-1", file);
    boot(&bench, 1);
    take(&bench, 2);
    learn(&bench, today);
    stop(&bench);
    boot(&bench, 2);
    take(&bench, 2);
    stop(&bench);
    assert_int_equal(rename(file, aside), 0);
    boot(&bench, 3);
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
    do
        spool_get_status(bench.spool, &status);
    while (status.salvaging && clock_mono_ms() < deadline_ms);
    assert_false(status.salvaging);
    take(&bench, 1);
    learn(&bench, today + HOUR);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(read_all(&bench, 0, seen), 5);
        check(&seen[0], today + 10 * SECOND, TIME_CORRECTED);
        check(&seen[1], today + 70 * SECOND, TIME_CORRECTED);
        /* Of 3,600 s the boots lived 130 and 130. */
        check(&seen[2], today + (130 + 1670 + 10) * SECOND, TIME_ESTIMATED);
        check(&seen[3], today + (130 + 1670 + 70) * SECOND, TIME_ESTIMATED);
        check(&seen[4], today + HOUR + 10 * SECOND, TIME_CORRECTED);
        if (round == 0)
            stop(&bench);
        if (round == 0)
            start(&bench);
    }
    assert_int_equal(stored_boots(&bench), 3);
    stop(&bench);
    clear(&bench);
}

static struct spool_status status_of(struct bench *bench)
{
    struct spool_status status;
    spool_get_status(bench->spool, &status);
    return status;
}

/* Of a boot that learns the time an hour before the end of its first day there. */
static void what_flash_took_today_begins_anew_at_midnight(void **state)
{
    (void)state;
    struct bench bench;
    make(&bench);
    boot(&bench, 1);
    take(&bench, 1);
    commit(&bench);
    uint64_t first = status_of(&bench).flash_today_bytes;
    assert_true(first > 0);
    learn(&bench, today + 23 * HOUR - machine.now.boot_ms);
    assert_int_equal(status_of(&bench).flash_today_bytes, first);
    take(&bench, 1);
    commit(&bench);
    uint64_t both = status_of(&bench).flash_today_bytes;
    assert_true(both > first);
    assert_int_equal(both, status_of(&bench).flash_bytes);
    pass(HOUR);
    assert_int_equal(status_of(&bench).flash_today_bytes, 0);
    take(&bench, 1);
    commit(&bench);
    assert_int_equal(status_of(&bench).flash_today_bytes, status_of(&bench).flash_bytes - both);
    stop(&bench);
    clear(&bench);
}

static void without_a_clock_a_day_is_one_of_the_boot(void **state)
{
    (void)state;
    struct bench bench;
    make(&bench);
    boot(&bench, 1);
    take(&bench, 1);
    commit(&bench);
    pass(23 * HOUR);
    assert_int_equal(status_of(&bench).flash_today_bytes, status_of(&bench).flash_bytes);
    pass(HOUR);
    assert_int_equal(status_of(&bench).flash_today_bytes, 0);
    stop(&bench);
    clear(&bench);
}

/* Whatever the run before did: also one that made no commit but its first. */
static void how_the_run_before_ended(void **state)
{
    (void)state;
    struct bench bench;
    make(&bench);
    boot(&bench, 1);
    assert_int_equal(spool_get_ended(bench.spool), SPOOL_ENDED_UNKNOWN);
    commit(&bench);
    stop(&bench);
    boot(&bench, 1);
    assert_int_equal(spool_get_ended(bench.spool), SPOOL_ENDED_CLEAN);
    spool_abandon(bench.spool);
    boot(&bench, 1);
    assert_int_equal(spool_get_ended(bench.spool), SPOOL_ENDED_KILLED);
    spool_abandon(bench.spool);
    boot(&bench, 2);
    assert_int_equal(spool_get_ended(bench.spool), SPOOL_ENDED_POWER);
    stop(&bench);
    boot(&bench, 3);
    assert_int_equal(spool_get_ended(bench.spool), SPOOL_ENDED_CLEAN);
    stop(&bench);
    clear(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_handed_in_keeps_its_time_to_the_millisecond),
        cmocka_unit_test(what_was_handed_in_waits_from_when_it_came),
        cmocka_unit_test(boots_that_never_learnt_the_time_end_where_the_next_began),
        cmocka_unit_test(likewise_after_power_cuts),
        cmocka_unit_test(how_the_run_before_ended),
        cmocka_unit_test(boots_between_known_ones_lie_between_them),
        cmocka_unit_test(a_restart_forgets_nothing),
        cmocka_unit_test(what_was_trusted_is_never_bound_again),
        cmocka_unit_test(what_is_learnt_rides_on_a_commit_and_causes_none),
        cmocka_unit_test(readings_of_a_trusted_clock_are_learnt_by_themselves),
        cmocka_unit_test(a_batch_in_flight_sees_no_change),
        cmocka_unit_test(a_batch_is_written_as_it_was_built),
        cmocka_unit_test(gaps_are_told_by_the_same_clock),
        cmocka_unit_test(dead_letters_and_walks_are_told_by_the_same_clock),
        cmocka_unit_test(of_many_boots_order_holds_and_no_table_grows),
        cmocka_unit_test(boots_of_a_file_that_was_set_aside_are_known_on),
        cmocka_unit_test(what_flash_took_today_begins_anew_at_midnight),
        cmocka_unit_test(without_a_clock_a_day_is_one_of_the_boot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
