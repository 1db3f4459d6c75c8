/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spools that earlier versions of this program wrote are read to the last record. They lie in
 * data/, one per format, word size and way to stop.
 *
 * usage: test_format [write DIRECTORY]      writes clean.mdb and unclean.mdb in today's format
 */
#include "tests/unit/unit.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/spool/spool.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "tests/unit/folder.h"

enum {
    ITEMS = 207,
    LOST_ITEMS = 5, /* more, which were in RAM at an unclean stop */
    REFUSED = 3,
    SIZE_BYTES = 256 * 1024,
    DOCUMENT_BYTES_MAX = 10240,
    ORIGIN_INODE = 4711,
    LINE_BYTES = 20,
    SINCE_BOOT_MS = 100000,
    WAIT_MS = 20000,
};
/* Windows count from the instant of measuring, which is soon after some boot. */
static const int64_t never_ms = INT64_C(1) << 40;
static const int64_t offset_ms = 1700000000000;

static const struct channel board_channels[] = {
    {.name = "temp", .unit = "Cel", .decimals = 2},
    {.name = "hum", .unit = "%RH", .decimals = 1},
};
static const struct channel meter_channels[] = {
    {.name = "energy", .unit = "J", .decimals = 3},
    {.name = "power", .unit = "W", .decimals = 0},
    {.name = "state", .unit = "", .decimals = 0},
    {.name = "spare", .unit = "", .decimals = 0},
};
static const struct tag board_tags[] = {{"site", "pump-4"}, {"rack", "\xc3\xbc"}};
static const struct sensor_definition definitions[] = {
    {"gw-17", "board", 2, board_channels, 2, board_tags},
    {"gw-17", "meter", 4, meter_channels, 0, NULL},
    {"gw-17", "plc", 0, NULL, 0, NULL},
};
enum { BOARD, METER, PLC, SENSORS };

/* ---- what lies in them: item N is the record with sequence number N ---- */

static enum lane lane_of(unsigned n)
{
    return n % 10 == 0 ? LANE_ALARM : n % 3 == 0 ? LANE_BULK : LANE_NORMAL;
}

static bool has_origin(unsigned n)
{
    return n % 6 == 1; /* all of the normal lane */
}

static size_t document_bytes(unsigned n)
{
    static const struct {
        unsigned n;
        size_t bytes;
    } documents[] = {{33, 2},
                     {60, 300},
                     {91, 1000},
                     {122, 2500},
                     {150, 3900},
                     {101, DOCUMENT_BYTES_MAX},
                     {159, DOCUMENT_BYTES_MAX}};
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++)
        if (documents[i].n == n)
            return documents[i].bytes;
    return 0;
}

static uint8_t document_byte(unsigned n, size_t at)
{
    return (uint8_t)('a' + (n * 7 + at * 3 + at / 26) % 26);
}

static unsigned sensor_of(unsigned n)
{
    return document_bytes(n) > 0 ? PLC : n % 2 == 0 ? BOARD : METER;
}

/* The clock was learnt on the way: a new block begins there. */
static enum time_quality quality_of(unsigned n)
{
    return n <= 50 ? TIME_ESTIMATED : TIME_SYNCED;
}

static int64_t boot_ms_of(unsigned n)
{
    return SINCE_BOOT_MS + 1000 * (int64_t)n + n % 7;
}

static void fill_board(unsigned n, struct sample *sample)
{
    sample->value_count = 2;
    sample->values[0] =
        (struct value){.kind = VALUE_DECIMAL, .decimals = 2, .mantissa = 2100 - 37 * (int64_t)n};
    sample->values[1] =
        (struct value){.kind = VALUE_DECIMAL, .decimals = 1, .mantissa = (int64_t)n << n % 40};
}

static void fill_meter(unsigned n, struct sample *sample)
{
    static const char text[] = "running \xe2\x9c\x93 and well";
    static const double power = -1234.0625;
    sample->value_count = 4;
    sample->values[0] =
        (struct value){.kind = VALUE_DECIMAL, .decimals = n % 19, .mantissa = INT64_MAX - n};
    sample->values[1] = (struct value){.kind = VALUE_FLOAT64};
    memcpy(&sample->values[1].float64_bits, &power, sizeof power);
    sample->values[1].float64_bits += n;
    sample->values[2] =
        (struct value){.kind = VALUE_TEXT, .text = text, .text_bytes = n % sizeof text};
    sample->values[3] = (struct value){.kind = VALUE_ABSENT};
}

static void fill_sample(unsigned n, struct sample *sample)
{
    static uint8_t document[DOCUMENT_BYTES_MAX];
    *sample = (struct sample){.boot_ms = boot_ms_of(n), .document_bytes = document_bytes(n)};
    sample->origin = (struct sample_origin){
        .present = has_origin(n), .device = 8, .inode = ORIGIN_INODE, .offset = n * LINE_BYTES};
    if (sensor_of(n) == BOARD)
        fill_board(n, sample);
    else if (sensor_of(n) == METER)
        fill_meter(n, sample);
    else
        sample->document = document;
    for (size_t i = 0; i < sample->document_bytes; i++)
        document[i] = document_byte(n, i);
}

/* Route 0, "live", has acknowledged some; route 1, "slow", does not read alarms and has none. */
enum { LIVE, SLOW, ROUTES };

static bool is_acked(unsigned n)
{
    switch (lane_of(n)) {
    case LANE_ALARM:
        return n <= 70 && n != 30;
    case LANE_NORMAL:
        return n <= 120 && n % 11 != 0;
    default:
        return n > 90 && n < 130;
    }
}

static bool is_dead(unsigned n)
{
    return n == 101; /* acknowledged as a dead letter */
}

/* ---- a spool ---- */

struct bench {
    char path[64];
    struct spool_options options;
    struct spool *spool;
    struct spool_route *routes[ROUTES];
    uint32_t sensors[SENSORS];
    struct spool_reader reader;
    atomic_uint now; /* the item whose time it is; a salvage asks for it, too */
};

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    struct bench *bench = context;
    unsigned now = atomic_load(&bench->now);
    *ret_reading = (struct spool_clock_reading){
        .boot_ms = boot_ms_of(now), .offset_ms = offset_ms, .quality = quality_of(now)};
}

static void make_bench(struct bench *bench)
{
    memset(bench, 0, sizeof *bench);
    (void)snprintf(bench->path, sizeof bench->path, "/tmp/runnel-format-XXXXXX");
    assert_non_null(mkdtemp(bench->path));
    bench->options = (struct spool_options){
        .path = bench->path,
        .size_bytes = SIZE_BYTES,
        .device = "gw-17",
        .wait_ms = 1,
        .ack_window_ms = 3600000,
        .ack_window_records = 10000,
        .clock = read_clock,
        .clock_context = bench,
    };
    for (int lane = 0; lane < LANE_COUNT; lane++)
        bench->options.lanes[lane] =
            (struct spool_lane_options){.window_ms = never_ms, .age_ms = 60000};
}

static void remove_bench(struct bench *bench)
{
    folder_empty(bench->path);
    assert_int_equal(rmdir(bench->path), 0);
}

static void open_bench(struct bench *bench)
{
    static const struct spool_route_options routes[ROUTES] = {
        {.name = "live", .lanes = {true, true, true}, .hold = true},
        {.name = "slow", .lanes = {false, true, true}, .hold = true},
    };
    char fault[SPOOL_FAULT_BYTES] = "";
    if (spool_open(&bench->options, fault, &bench->spool) != 0)
        fail_msg("%s", fault);
    for (int s = 0; s < SENSORS; s++)
        assert_int_equal(spool_define_sensor(bench->spool, &definitions[s], &bench->sensors[s]), 0);
    for (int r = 0; r < ROUTES; r++)
        assert_int_equal(spool_route_open(bench->spool, &routes[r], &bench->routes[r]), 0);
    assert_int_equal(spool_start(bench->spool), 0);
}

static void stop_bench(struct bench *bench)
{
    assert_int_equal(spool_stop(bench->spool, clock_mono_ms() + WAIT_MS), 0);
    spool_close(bench->spool);
}

static uint64_t append(struct bench *bench, unsigned n)
{
    struct sample sample;
    uint64_t sequence = 0;
    fill_sample(n, &sample);
    atomic_store(&bench->now, n);
    const struct spool_append append = {.lane = lane_of(n),
                                        .sensor = bench->sensors[sensor_of(n)],
                                        .sample = &sample,
                                        .source = "plc",
                                        .deadline_ms = clock_mono_ms() + WAIT_MS};
    assert_int_equal(spool_append(bench->spool, &append, &sequence), 0);
    return sequence;
}

static void commit(struct bench *bench)
{
    struct spool_status status;
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
    spool_get_status(bench->spool, &status);
    for (int i = 0; i < 3; i++) { /* one may be under way, and one begin before it is told */
        uint64_t before = status.commits;
        spool_commit_soon(bench->spool);
        while (status.commits == before) {
            assert_true(clock_mono_ms() < deadline_ms);
            (void)sched_yield();
            spool_get_status(bench->spool, &status);
        }
    }
}

/* ---- writing one ---- */

static void acknowledge(struct bench *bench, enum lane lane)
{
    struct record record;
    struct spool_mark mark;
    spool_reader_start(&bench->reader, bench->routes[LIVE], lane);
    while (spool_reader_next(&bench->reader, &record, &mark.previous) == 0) {
        unsigned n = (unsigned)record.sequence;
        mark.sequence = record.sequence;
        if (is_acked(n))
            spool_route_ack(bench->routes[LIVE], lane, &mark, 1,
                            is_dead(n) ? SPOOL_DEAD : SPOOL_DELIVERED);
    }
}

static void write_spool(struct bench *bench, bool clean)
{
    make_bench(bench);
    open_bench(bench);
    for (unsigned n = 1; n <= ITEMS; n++)
        assert_int_equal(append(bench, n), n);
    for (int i = 0; i < REFUSED; i++)
        spool_count_refused(bench->spool, LANE_BULK);
    commit(bench);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        acknowledge(bench, lane);
    commit(bench);
    if (clean) {
        stop_bench(bench);
        return;
    }
    for (unsigned n = ITEMS + 1; n <= ITEMS + LOST_ITEMS; n++)
        (void)append(bench, n);
    spool_abandon(bench->spool);
}

static void copy_file(const char *from, const char *to)
{
    char bytes[4096];
    size_t count;
    FILE *in = fopen(from, "rbe");
    FILE *out = fopen(to, "wbe");
    if (in == NULL || out == NULL)
        fail_msg("cannot copy %s to %s", from, to);
    while ((count = fread(bytes, 1, sizeof bytes, in)) > 0)
        assert_int_equal(fwrite(bytes, 1, count, out), count);
    (void)fclose(in);
    assert_int_equal(fclose(out), 0);
}

static int write_both(const char *directory)
{
    static struct bench bench;
    char from[128];
    char to[256];
    for (int clean = 0; clean < 2; clean++) {
        write_spool(&bench, clean != 0);
        (void)snprintf(from, sizeof from, "%s/spool.mdb", bench.path);
        (void)snprintf(to, sizeof to, "%s/%s.mdb", directory, clean != 0 ? "clean" : "unclean");
        copy_file(from, to);
        remove_bench(&bench);
    }
    return 0;
}

/* ---- reading what earlier versions wrote ---- */

static void check_document(struct bench *bench, const struct record *record, unsigned n)
{
    const uint8_t *piece = record->document;
    size_t bytes = record->document_piece_bytes;
    size_t at = 0;
    assert_int_equal(record->shape, RECORD_DOCUMENT);
    assert_int_equal(record->document_bytes, document_bytes(n));
    do {
        assert_true(at + bytes <= document_bytes(n));
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(piece[i], document_byte(n, at + i));
        at += bytes;
    } while (spool_reader_piece(&bench->reader, &piece, &bytes) == 0);
    assert_int_equal(at, document_bytes(n));
}

static void check_value(const struct value *found, const struct value *expected)
{
    assert_int_equal(found->kind, expected->kind);
    if (expected->kind == VALUE_DECIMAL) {
        assert_int_equal(found->decimals, expected->decimals);
        assert_int_equal(found->mantissa, expected->mantissa);
    } else if (expected->kind == VALUE_FLOAT64) {
        assert_int_equal(found->float64_bits, expected->float64_bits);
    } else if (expected->kind == VALUE_TEXT) {
        assert_int_equal(found->text_bytes, expected->text_bytes);
        if (expected->text_bytes > 0)
            assert_memory_equal(found->text, expected->text, expected->text_bytes);
    }
}

static void check_record(struct bench *bench, const struct record *record, unsigned n)
{
    struct sample sample;
    fill_sample(n, &sample);
    assert_int_equal(record->identity.sequence, n);
    assert_int_equal(record->lane, lane_of(n));
    assert_int_equal(record->sensor, bench->sensors[sensor_of(n)]);
    assert_int_equal(record->boot_ms, boot_ms_of(n));
    if (quality_of(n) == TIME_SYNCED)
        assert_int_equal(record->wall_ms, boot_ms_of(n) + offset_ms);
    assert_int_equal(record->time_quality == TIME_SYNCED, quality_of(n) == TIME_SYNCED);
    assert_int_equal(record->value_count, sample.value_count);
    for (size_t i = 0; i < sample.value_count; i++)
        check_value(&record->values[i], &sample.values[i]);
    if (sample.document != NULL)
        check_document(bench, record, n);
    else
        assert_int_equal(record->shape, RECORD_VALUES);
}

static bool is_owed(unsigned n, int route)
{
    return route == LIVE ? !is_acked(n) : lane_of(n) != LANE_ALARM;
}

/* All that ROUTE is owed of LANE, in order, and nothing else. */
static void check_lane(struct bench *bench, int route, enum lane lane)
{
    struct record record;
    uint64_t previous;
    spool_reader_start(&bench->reader, bench->routes[route], lane);
    for (unsigned n = 1; n <= ITEMS; n++) {
        if (lane_of(n) != lane || !is_owed(n, route))
            continue;
        assert_int_equal(spool_reader_next(&bench->reader, &record, &previous), 0);
        check_record(bench, &record, n);
        assert_int_equal(record.sequence, n);
    }
    assert_int_equal(spool_reader_next(&bench->reader, &record, &previous), E_END);
}

/* MORE records were appended since. */
static void check_counters(struct bench *bench, int route, enum lane lane, unsigned more)
{
    struct spool_counters expected = {.accepted = more, .stored = more};
    struct spool_counters found;
    struct spool_backlog backlog;
    for (unsigned n = 1; n <= ITEMS; n++) {
        if (lane_of(n) != lane || (route == SLOW && lane == LANE_ALARM))
            continue;
        expected.accepted++;
        expected.stored += is_owed(n, route);
        expected.dead += !is_owed(n, route) && is_dead(n);
        expected.delivered += !is_owed(n, route) && !is_dead(n);
    }
    spool_route_counters(bench->routes[route], lane, &found);
    assert_int_equal(found.accepted, expected.accepted);
    assert_int_equal(found.delivered, expected.delivered);
    assert_int_equal(found.stored, expected.stored);
    assert_int_equal(found.dead, expected.dead);
    assert_int_equal(found.evicted, 0);
    spool_route_backlog(bench->routes[route], lane, &backlog);
    assert_int_equal(backlog.records, expected.stored);
}

static void check_all(struct bench *bench, unsigned more)
{
    for (int route = 0; route < ROUTES; route++)
        for (enum lane lane = 0; lane < LANE_COUNT; lane++)
            if (route == LIVE || lane != LANE_ALARM)
                check_counters(bench, route, lane, lane == lane_of(ITEMS + 1) ? more : 0);
}

static void check_origin(struct bench *bench)
{
    struct sample_origin origin;
    unsigned last = ITEMS;
    while (!has_origin(last))
        last--;
    spool_find_origin(bench->spool, "plc", &origin);
    assert_true(origin.present);
    assert_int_equal(origin.device, 8);
    assert_int_equal(origin.inode, ORIGIN_INODE);
    assert_int_equal(origin.offset, last * LINE_BYTES);
}

enum { BITS = 8 * sizeof(void *), OTHER_BITS = 96 - BITS };

static void take(struct bench *bench, int format, int bits, const char *name)
{
    char from[256];
    char to[128];
    make_bench(bench);
    (void)snprintf(from, sizeof from, "%s/tests/unit/spool-%d/%d/%s.mdb", RUNNEL_BINARY_DIR, format,
                   bits, name);
    (void)snprintf(to, sizeof to, "%s/spool.mdb", bench->path);
    copy_file(from, to);
    bench->now = 1000;
    open_bench(bench);
}

static void check_reads(int format, const char *name)
{
    static struct bench bench;
    struct spool_status status;
    uint64_t sequence = 0;
    take(&bench, format, BITS, name);
    spool_get_status(bench.spool, &status);
    assert_int_equal(status.aside, 0);
    assert_int_equal(status.lanes[LANE_BULK].refused, REFUSED);
    check_origin(&bench);
    check_all(&bench, 0);
    for (int route = 0; route < ROUTES; route++)
        for (enum lane lane = 0; lane < LANE_COUNT; lane++)
            if (route == LIVE || lane != LANE_ALARM)
                check_lane(&bench, route, lane);
    for (int start = 0; start < 2; start++) { /* it goes on, and what it writes is read again */
        uint64_t before = sequence;
        sequence = append(&bench, ITEMS + 1);
        assert_true(sequence > (start == 0 ? ITEMS : before));
        commit(&bench);
        check_all(&bench, 1 + (unsigned)start);
        stop_bench(&bench);
        open_bench(&bench);
        check_all(&bench, 1 + (unsigned)start);
    }
    stop_bench(&bench);
    remove_bench(&bench);
}

static void test_reads_format_1_after_a_clean_stop(void **state)
{
    (void)state;
    check_reads(1, "clean");
}

static void test_reads_format_1_after_an_unclean_stop(void **state)
{
    (void)state;
    check_reads(1, "unclean");
}

static void test_reads_format_2_after_a_clean_stop(void **state)
{
    (void)state;
    check_reads(2, "clean");
}

static void test_reads_format_2_after_an_unclean_stop(void **state)
{
    (void)state;
    check_reads(2, "unclean");
}

static void assert_same_file(const char *one, const char *other)
{
    static char bytes[2][SIZE_BYTES + 1];
    const char *const paths[2] = {one, other};
    for (int i = 0; i < 2; i++) {
        FILE *file = fopen(paths[i], "rbe");
        assert_non_null(file);
        assert_int_equal(fread(bytes[i], 1, sizeof bytes[i], file), SIZE_BYTES);
        (void)fclose(file);
    }
    assert_memory_equal(bytes[0], bytes[1], SIZE_BYTES);
}

/* The other word size, without seals: the file is kept whole, and a new spool takes and gives. */
static void test_sets_the_other_word_size_aside(void **state)
{
    (void)state;
    static struct bench bench;
    struct spool_status status;
    struct record record;
    uint64_t previous;
    char aside[128];
    char original[256];
    take(&bench, 1, OTHER_BITS, "clean");
    spool_get_status(bench.spool, &status);
    assert_int_equal(status.aside, 1);
    (void)snprintf(aside, sizeof aside, "%s/spool.mdb.aside-1", bench.path);
    (void)snprintf(original, sizeof original, "%s/tests/unit/spool-1/%d/clean.mdb",
                   RUNNEL_BINARY_DIR, (int)OTHER_BITS);
    assert_same_file(aside, original);
    assert_int_equal(append(&bench, 1), 1);
    commit(&bench);
    spool_reader_start(&bench.reader, bench.routes[LIVE], lane_of(1));
    assert_int_equal(spool_reader_next(&bench.reader, &record, &previous), 0);
    assert_int_equal(record.sequence, 1);
    stop_bench(&bench);
    remove_bench(&bench);
}

static void wait_for_salvage(struct bench *bench, struct spool_status *ret_status)
{
    spool_get_status(bench->spool, ret_status);
    while (ret_status->salvaging) {
        (void)sched_yield();
        spool_get_status(bench->spool, ret_status);
    }
}

/* A block comes back as a whole: to what a route is owed of it, what it has had of it is added. The
 * dead letter's record filled blocks of its own. */
static void drain_lane(struct bench *bench, int route, enum lane lane, const uint8_t *new_id)
{
    struct record record;
    struct spool_mark mark;
    unsigned n = 0;
    spool_reader_start(&bench->reader, bench->routes[route], lane);
    while (spool_reader_next(&bench->reader, &record, &mark.previous) == 0) {
        for (n++; n < record.identity.sequence; n++)
            assert_true(lane_of(n) != lane || !is_owed(n, route));
        check_record(bench, &record, n);
        assert_int_not_equal(record.identity.spool_id, bytes_get_be64(new_id));
        assert_true(is_owed(n, route) || !is_dead(n));
        mark.sequence = record.sequence;
        spool_route_ack(bench->routes[route], lane, &mark, 1, SPOOL_DELIVERED);
    }
    for (n++; n <= ITEMS; n++)
        assert_true(lane_of(n) != lane || !is_owed(n, route));
}

/* Format 2 of the other word size is searched, not opened: all of it comes back, then it goes. */
static void check_drains(const char *name)
{
    static struct bench bench;
    struct spool_status status;
    struct spool_counters counters;
    uint8_t id[SPOOL_ID_BYTES];
    take(&bench, 2, OTHER_BITS, name);
    spool_get_status(bench.spool, &status);
    assert_true(status.aside_now);
    wait_for_salvage(&bench, &status);
    assert_int_equal(status.aside, 0);
    spool_get_id(bench.spool, id);
    for (int route = 0; route < ROUTES; route++)
        for (enum lane lane = 0; lane < LANE_COUNT; lane++)
            if (route == LIVE || lane != LANE_ALARM) {
                drain_lane(&bench, route, lane, id);
                spool_route_counters(bench.routes[route], lane, &counters);
                assert_int_equal(counters.delivered, counters.accepted);
            }
    stop_bench(&bench);
    open_bench(&bench); /* nothing comes a second time */
    spool_get_status(bench.spool, &status);
    assert_int_equal(status.aside, 0);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        assert_int_equal(status.lanes[lane].stored, 0);
    stop_bench(&bench);
    remove_bench(&bench);
}

static void test_drains_the_other_word_size_after_a_clean_stop(void **state)
{
    (void)state;
    check_drains("clean");
}

static void test_drains_the_other_word_size_after_an_unclean_stop(void **state)
{
    (void)state;
    check_drains("unclean");
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "write") == 0)
        return write_both(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_format_1_after_a_clean_stop),
        cmocka_unit_test(test_reads_format_1_after_an_unclean_stop),
        cmocka_unit_test(test_reads_format_2_after_a_clean_stop),
        cmocka_unit_test(test_reads_format_2_after_an_unclean_stop),
        cmocka_unit_test(test_sets_the_other_word_size_aside),
        cmocka_unit_test(test_drains_the_other_word_size_after_a_clean_stop),
        cmocka_unit_test(test_drains_the_other_word_size_after_an_unclean_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
