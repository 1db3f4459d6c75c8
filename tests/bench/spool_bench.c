/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spool by itself, at its own interface: what it writes, holds and costs. Time is simulated.
 *
 * usage: spool_bench groups DIRECTORY documents|readings online|offline GROUP RECORDS
 *        spool_bench hour DIRECTORY online|offline [HOURS]
 *        spool_bench capacity DIRECTORY MIB GROUP
 *
 * groups commits every GROUP records; online a route acknowledges them afterwards, 500 at a time.
 * hour takes 10 readings a second in default lanes; online two routes that hold take them, with
 * replies after 300 ms and now and then 5 s, beside one that does not hold and is dead; the file
 * must stay as it is until sequence numbers run out.
 * capacity fills a file, drains it, and starts it again after a power cut 60 s later.
 *
 * Prints name=value pairs. groups and hour wait for a line on stdin behind "ready" and "done" where
 * $SPOOL_BENCH_STEPS is set: the caller reads the counters of the block layer. 1: a promise does
 * not hold.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/spool/spool.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"
#include "platform/stop.h"
#include "tests/bench/commit_now.h"
#include "tests/bench/sim_clock.h"

enum {
    MIB = 1024 * 1024,
    BATCH = 500,
    DOCUMENT_BYTES = 180,
    STEP_MS = 100,
    WAIT_MS = 3600000, /* of simulated time, which stands still meanwhile */
    REPLY_MS = 300,
    SPIKE_MS = 5000,
    SPIKES = 50, /* one in so many */
    ROUTES = 2,
    RESERVATION = 65536,
    READINGS_PER_MIB = 1500000 / 32,
    EMPTY_RECORDS = 100000,
    DIRTY_PERCENT = 110,
};

/* A route as the uplink is one: a batch per lane, pinned while it is in flight. */
struct link {
    struct spool_route *route;
    struct spool_mark marks[BATCH];
    size_t count;
    enum lane lane;
    int64_t reply_ms; /* when the batch in flight is answered; 0: none is */
};

struct bench {
    struct spool_options options;
    struct spool *spool;
    uint32_t board;
    uint32_t plc;
    int event_fd;
    uint64_t appended;
    unsigned random;
    struct link links[ROUTES];
    struct spool_reader reader;
};

static void expect(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "spool_bench: %s\n", what);
    exit(1);
}

static void step(const char *name)
{
    char line[8];
    if (getenv("SPOOL_BENCH_STEPS") == NULL)
        return;
    (void)puts(name);
    (void)fflush(stdout);
    expect(fgets(line, sizeof line, stdin) != NULL, "nobody goes on");
}

/* ---- a spool ---- */

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading = (struct spool_clock_reading){
        .boot_ms = clock_boot_ms(), .offset_ms = 1700000000000, .quality = TIME_SYNCED};
}

/* The defaults of the configuration; a commit by window where WINDOWS, else when asked for. */
static void set_options(struct bench *bench, const char *path, uint64_t size_bytes, bool windows)
{
    static const struct spool_lane_options lanes[LANE_COUNT] = {
        {.full = SPOOL_REFUSE, .window_ms = 0, .age_ms = 0},
        {.full = SPOOL_DROP_OLDEST, .window_ms = 75000, .age_ms = 60000},
        {.full = SPOOL_DROP_OLDEST, .window_ms = 600000, .age_ms = 300000},
    };
    bench->options = (struct spool_options){.path = path,
                                            .size_bytes = size_bytes,
                                            .device = "gw",
                                            .wait_ms = 1000,
                                            .ack_window_ms = 30000,
                                            .ack_window_records = 10000,
                                            .clock = read_clock};
    memcpy(bench->options.lanes, lanes, sizeof lanes);
    for (enum lane lane = 0; lane < LANE_COUNT && !windows; lane++)
        bench->options.lanes[lane].window_ms = INT64_C(1) << 40;
}

static struct spool_route *open_route(struct bench *bench, const char *name, bool hold)
{
    const struct spool_route_options options = {
        .name = name, .lanes = {true, true, true}, .hold = hold};
    struct spool_route *route;
    expect(spool_route_open(bench->spool, &options, &route) == 0, "a route does not open");
    return route;
}

static void open_spool(struct bench *bench)
{
    static const struct channel channels[] = {
        {.name = "temp", .unit = "Cel", .decimals = 2},
        {.name = "hum", .unit = "%RH", .decimals = 2},
        {.name = "volt", .unit = "V", .decimals = 2},
    };
    static const struct sensor_definition board = {
        .device = "gw", .name = "board", .channel_count = 3, .channels = channels};
    static const struct sensor_definition plc = {.device = "gw", .name = "plc"};
    char fault[SPOOL_FAULT_BYTES] = "";
    expect(spool_open(&bench->options, fault, &bench->spool) == 0, fault);
    expect(spool_define_sensor(bench->spool, &board, &bench->board) == 0, "no sensor");
    expect(spool_define_sensor(bench->spool, &plc, &bench->plc) == 0, "no sensor");
    bench->links[0].route = open_route(bench, "live", true);
    expect(spool_start(bench->spool) == 0, "the spool does not start");
}

static struct spool_status status_of(const struct bench *bench)
{
    struct spool_status status;
    spool_get_status(bench->spool, &status);
    return status;
}

/* ---- records: number N can be told from its values ---- */

static void fill_reading(uint64_t n, struct sample *sample)
{
    sample->value_count = 3;
    for (int i = 0; i < 3; i++)
        sample->values[i] = (struct value){.kind = VALUE_DECIMAL, .decimals = 2};
    sample->values[0].mantissa = 1800 + (int64_t)(n % 700);
    sample->values[1].mantissa = 4200 + (int64_t)(n * 7 % 1500);
    sample->values[2].mantissa = 1190 + (int64_t)(n * 3 % 60);
}

static bool is_reading(uint64_t n, const struct record *record)
{
    struct sample sample;
    fill_reading(n, &sample);
    bool same = record->value_count == sample.value_count;
    for (size_t i = 0; same && i < sample.value_count; i++)
        same = record->values[i].kind == VALUE_DECIMAL && record->values[i].decimals == 2 &&
               record->values[i].mantissa == sample.values[i].mantissa;
    return same;
}

static void fill_document(uint64_t n, struct sample *sample)
{
    static char text[DOCUMENT_BYTES + 1];
    (void)snprintf(text, sizeof text, "{\"id\":%010" PRIu64 ",\"state\":\"run\",\"note\":\"%0*d\"}",
                   n, DOCUMENT_BYTES - 42, 0);
    sample->document = (const uint8_t *)text;
    sample->document_bytes = strlen(text);
}

static uint64_t append(struct bench *bench, enum lane lane, bool document, int64_t boot_ms)
{
    struct sample sample = {.boot_ms = boot_ms};
    uint64_t sequence;
    struct spool_append append = {.lane = lane,
                                  .sensor = document ? bench->plc : bench->board,
                                  .sample = &sample,
                                  .deadline_ms = clock_mono_ms() + WAIT_MS};
    if (document)
        fill_document(bench->appended, &sample);
    else
        fill_reading(bench->appended, &sample);
    expect(spool_append(bench->spool, &append, &sequence) == 0, "a record is not taken");
    bench->appended++;
    return sequence;
}

static void wait_for_file(struct bench *bench)
{
    commit_now(bench->spool, bench->event_fd, append(bench, LANE_NORMAL, false, 0));
}

/* ---- delivering ---- */

/* Reads the next batch of LANE and pins it. */
static void take_batch(struct bench *bench, struct link *link, enum lane lane)
{
    struct record record;
    link->count = 0;
    link->lane = lane;
    spool_route_pin(link->route, lane, UINT64_MAX);
    spool_reader_start(&bench->reader, link->route, lane);
    while (link->count < BATCH) {
        struct spool_mark *mark = &link->marks[link->count];
        int rc = spool_reader_next(&bench->reader, &record, &mark->previous);
        expect(rc == 0 || rc == E_END, "a batch cannot be read");
        if (rc < 0)
            break;
        mark->sequence = record.sequence;
        link->count++;
    }
    spool_route_pin(link->route, lane, link->count > 0 ? link->marks[link->count - 1].sequence : 0);
}

static void acknowledge(struct link *link)
{
    if (link->count > 0)
        spool_route_ack(link->route, link->lane, link->marks, link->count, SPOOL_DELIVERED);
    spool_route_unpin(link->route);
}

/* ---- groups ---- */

static int run_groups(struct bench *bench, char **arguments)
{
    bool documents = strcmp(arguments[0], "documents") == 0;
    bool online = strcmp(arguments[1], "online") == 0;
    uint64_t group = strtoull(arguments[2], NULL, 10);
    uint64_t records = strtoull(arguments[3], NULL, 10);
    uint64_t first = 1;
    open_spool(bench);
    wait_for_file(bench);
    step("ready");
    uint64_t commits = status_of(bench).commits;
    int64_t boot_ms = clock_boot_ms();
    while (bench->appended < first + records) {
        uint64_t sequence = 0;
        for (uint64_t i = 0; i < group; i++)
            sequence =
                append(bench, LANE_NORMAL, documents, boot_ms + 1000 * (int64_t)bench->appended);
        commit_now(bench->spool, bench->event_fd, sequence);
        struct spool_backlog backlog;
        spool_route_backlog(bench->links[0].route, LANE_NORMAL, &backlog);
        for (; online && backlog.records >= BATCH; backlog.records -= BATCH) {
            take_batch(bench, &bench->links[0], LANE_NORMAL);
            acknowledge(&bench->links[0]);
        }
    }
    struct spool_status status = status_of(bench);
    (void)printf("records=%" PRIu64 " commits=%" PRIu64 " used_bytes=%" PRIu64 "\n",
                 bench->appended - first, status.commits - commits, status.used_bytes);
    step("done");
    spool_abandon(bench->spool);
    return 0;
}

/* ---- an hour ---- */

static int64_t draw_latency(struct bench *bench)
{
    return (unsigned)rand_r(&bench->random) % SPIKES == 0 ? SPIKE_MS : REPLY_MS;
}

/* Whether LANE's records are due: enough of them, or old enough. */
static bool is_due(struct bench *bench, struct link *link, enum lane lane)
{
    struct spool_backlog backlog;
    struct record record;
    uint64_t previous;
    spool_route_backlog(link->route, lane, &backlog);
    if (backlog.records == 0 || backlog.records >= BATCH)
        return backlog.records > 0;
    spool_reader_start(&bench->reader, link->route, lane);
    return spool_reader_next(&bench->reader, &record, &previous) == 0 &&
           clock_boot_ms() - record.boot_ms >= bench->options.lanes[lane].age_ms;
}

static void run_link(struct bench *bench, struct link *link)
{
    if (link->reply_ms != 0 && clock_boot_ms() < link->reply_ms)
        return;
    if (link->reply_ms != 0)
        acknowledge(link);
    link->reply_ms = 0;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        if (!is_due(bench, link, lane))
            continue;
        take_batch(bench, link, lane);
        link->reply_ms = clock_boot_ms() + draw_latency(bench);
        return;
    }
}

static uint8_t *read_file(const struct bench *bench)
{
    char path[4096];
    size_t size = (size_t)bench->options.size_bytes;
    uint8_t *bytes = malloc(size);
    (void)snprintf(path, sizeof path, "%s/spool.mdb", bench->options.path);
    FILE *file = fopen(path, "rbe");
    expect(file != NULL && bytes != NULL, "the file cannot be read");
    expect(fread(bytes, 1, size, file) == size, "the file is short");
    (void)fclose(file);
    return bytes;
}

static void pass_time(struct bench *bench, int64_t ms, bool online)
{
    for (int64_t at = 0; at < ms; at += STEP_MS) {
        (void)append(bench, bench->appended % 5 == 0 ? LANE_BULK : LANE_NORMAL, false, 0);
        for (int i = 0; i < ROUTES && online; i++)
            run_link(bench, &bench->links[i]);
        sim_clock_advance(STEP_MS);
    }
}

/* What is written must be paid for by sequence numbers. */
static void check_unwritten(struct bench *bench, uint64_t commits, const uint8_t *before)
{
    struct spool_status status = status_of(bench);
    uint64_t reserved = bench->appended / RESERVATION;
    uint8_t *after = read_file(bench);
    bool same = memcmp(before, after, (size_t)bench->options.size_bytes) == 0;
    free(after);
    expect(status.commits - commits == reserved, "something was committed while the link was up");
    expect(reserved > 0 || same, "the file was written while the link was up");
}

static int run_hour(struct bench *bench, char **arguments, int count)
{
    bool online = strcmp(arguments[0], "online") == 0;
    int64_t hours = count > 1 ? strtol(arguments[1], NULL, 10) : 1;
    open_spool(bench);
    bench->links[1].route = open_route(bench, "lake", true);
    (void)open_route(bench, "extra", false); /* it never reads */
    wait_for_file(bench);
    for (int i = 0; i < ROUTES && online; i++) {
        take_batch(bench, &bench->links[i], LANE_NORMAL);
        acknowledge(&bench->links[i]);
    }
    for (int64_t at = 0; at < 2 * bench->options.ack_window_ms; at += STEP_MS)
        sim_clock_advance(STEP_MS);
    step("ready");
    uint8_t *before = read_file(bench);
    struct spool_status status = status_of(bench);
    uint64_t commits = status.commits;
    uint64_t flash_bytes = status.flash_bytes;
    pass_time(bench, hours * 3600000, online);
    status = status_of(bench);
    (void)printf("records=%" PRIu64 " commits=%" PRIu64 " formula_bytes=%" PRIu64 "\n",
                 bench->appended - 1, status.commits - commits, status.flash_bytes - flash_bytes);
    step("done");
    if (online)
        check_unwritten(bench, commits, before);
    free(before);
    spool_abandon(bench->spool);
    return 0;
}

/* ---- capacity ---- */

static double cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static long private_dirty_kib(void)
{
    char line[128];
    long kib = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    expect(file != NULL, "no smaps_rollup");
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "Private_Dirty:", 14) == 0)
            kib = strtol(line + 14, NULL, 10);
    (void)fclose(file);
    return kib;
}

/* Drains all, comparing record by record from number FIRST on; returns how many. */
static uint64_t drain(struct bench *bench, uint64_t first)
{
    struct link *link = &bench->links[0];
    struct record record;
    uint64_t count = 0;
    int rc = 0;
    spool_reader_start(&bench->reader, link->route, LANE_NORMAL);
    while (rc == 0) {
        for (link->count = 0; link->count < BATCH; link->count++) {
            struct spool_mark *mark = &link->marks[link->count];
            rc = spool_reader_next(&bench->reader, &record, &mark->previous);
            if (rc < 0)
                break;
            mark->sequence = record.sequence;
            expect(is_reading(first + count++, &record), "a record is lost or altered");
        }
        link->lane = LANE_NORMAL;
        acknowledge(link);
    }
    expect(rc == E_END, "the backlog cannot be read");
    return count;
}

/* CPU seconds for a record that is delivered from an empty spool. */
static double measure_empty(struct bench *bench)
{
    double cpu_s = 0;
    while (bench->appended < EMPTY_RECORDS) {
        uint64_t first = bench->appended;
        for (int i = 0; i < BATCH; i++)
            (void)append(bench, LANE_NORMAL, false, 0);
        double before_s = cpu_seconds();
        expect(drain(bench, first) == BATCH, "an empty spool does not give what came");
        cpu_s += cpu_seconds() - before_s;
    }
    return cpu_s / EMPTY_RECORDS;
}

/* Appends until something is evicted; returns the number of the first record that is left. */
static uint64_t fill(struct bench *bench, uint64_t group, long *ret_dirty_kib)
{
    struct spool_counters counters = {0};
    uint64_t first = bench->appended;
    int64_t boot_ms = clock_boot_ms();
    *ret_dirty_kib = 0;
    while (counters.evicted == 0) {
        uint64_t sequence = 0;
        for (uint64_t i = 0; i < group; i++)
            sequence = append(bench, LANE_NORMAL, false,
                              boot_ms + 1000 * (int64_t)(bench->appended - first));
        commit_now(bench->spool, bench->event_fd, sequence);
        spool_route_counters(bench->links[0].route, LANE_NORMAL, &counters);
        if (*ret_dirty_kib == 0 && counters.stored >= 1000)
            *ret_dirty_kib = private_dirty_kib();
    }
    expect(counters.accepted == counters.delivered + counters.stored + counters.evicted,
           "the accounts do not add up");
    return first + counters.evicted;
}

static int run_capacity(struct bench *bench, char **arguments)
{
    uint64_t mib = bench->options.size_bytes / MIB;
    long empty_kib;
    open_spool(bench);
    wait_for_file(bench);
    expect(drain(bench, 0) == 1, "the first record is not there");
    double empty_s = measure_empty(bench);
    uint64_t first = fill(bench, strtoull(arguments[1], NULL, 10), &empty_kib);
    uint64_t stored = bench->appended - first;
    long full_kib = private_dirty_kib();
    double before_s = cpu_seconds();
    expect(drain(bench, first) == stored, "records are lost");
    double full_s = (cpu_seconds() - before_s) / (double)stored;
    for (int s = 0; s < 60; s++)
        sim_clock_advance(1000);
    spool_abandon(bench->spool);
    open_spool(bench);
    expect(drain(bench, 0) == 0, "what was drained a minute before the cut comes again");
    (void)printf("mib=%" PRIu64 " stored=%" PRIu64 " per_32_mib=%" PRIu64
                 " drain_ns=%.0f empty_ns=%.0f ratio=%.2f dirty_empty_kib=%ld dirty_full_kib=%ld\n",
                 mib, stored, stored * 32 / mib, full_s * 1e9, empty_s * 1e9, full_s / empty_s,
                 empty_kib, full_kib);
    spool_abandon(bench->spool);
    expect(stored >= mib * READINGS_PER_MIB, "the file holds too few");
    expect(full_kib * 100 <= empty_kib * DIRTY_PERCENT, "memory grows with the backlog");
    return 0;
}

int main(int argc, char **argv)
{
    static struct bench bench = {.random = 1};
    log_set_level(LOG_LEVEL_ERROR);
    sim_clock_start();
    expect(stop_event_open(&bench.event_fd) == 0, "no eventfd");
    if (argc == 7 && strcmp(argv[1], "groups") == 0) {
        set_options(&bench, argv[2], 64 * MIB, false);
        return run_groups(&bench, argv + 3);
    }
    if (argc >= 4 && strcmp(argv[1], "hour") == 0) {
        set_options(&bench, argv[2], 32 * MIB, true);
        return run_hour(&bench, argv + 3, argc - 3);
    }
    if (argc == 5 && strcmp(argv[1], "capacity") == 0) {
        set_options(&bench, argv[2], strtoull(argv[3], NULL, 10) * MIB, false);
        return run_capacity(&bench, argv + 3);
    }
    (void)fprintf(stderr, "usage: spool_bench groups|hour|capacity DIRECTORY ...\n");
    return 2;
}
