/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/spool/spool.h"
#include "agent/spool/spool_state.h"
#include "agent/spool/store.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "tests/unit/folder.h"

/*
 * Random work on a spool against a list of what was appended and acknowledged: appending in all
 * lanes, batches with holes, commits, commits that fail, crashes, clean stops. After each step the
 * counters add up, and whenever nothing is pending they are exactly those of the list. Each seed is
 * one life of a spool; a failure names it.
 *
 * usage: test_spool_model [FIRST-SEED [LIVES]], or with the word lie: as a control, some commits
 * are said to hold that were given up, which must be seen.
 */
enum {
    ROUTES = 2,
    TOLD_MAX = 1000,
    STEPS = 400,
    ITEMS_MAX = 60000,
    DOCUMENT_BYTES_MAX = 9000,
    BATCH_MAX = 400
};

/* How the next commit fails: not at all, before anything is on flash, or only seemingly. */
enum failure { HOLDS, FAILS_BEFORE, FAILS_AFTER };
static atomic_int failure;
static bool lies;

int __real_store_commit(struct store_txn *txn);
int __wrap_store_commit(struct store_txn *txn);
int __wrap_store_commit(struct store_txn *txn)
{
    static unsigned commits;
    if (lies && ++commits % 8 == 0) {
        store_abort(txn);
        return E_OK;
    }
    switch ((enum failure)atomic_load(&failure)) {
    case FAILS_BEFORE:
        store_abort(txn);
        return error_sys(EIO);
    case FAILS_AFTER:
        (void)__real_store_commit(txn);
        return error_sys(EIO);
    case HOLDS:
        break;
    }
    return __real_store_commit(txn);
}

/* A failed commit is tried again after a second: the boot clock, which says so, runs ahead. */
static atomic_llong clock_ahead_ms;
int64_t __real_clock_boot_ms(void);
int64_t __wrap_clock_boot_ms(void);
int64_t __wrap_clock_boot_ms(void)
{
    return __real_clock_boot_ms() + atomic_load(&clock_ahead_ms);
}

struct item {
    uint64_t sequence;
    enum lane lane;
    size_t document_bytes; /* 0: a reading */
    bool accepted;         /* the spool has said so */
    bool gone;             /* drop-newest, or a crash before it was accepted, took it */
    bool acked[ROUTES];
    bool ack_durable[ROUTES]; /* a commit followed, and the cursor was not too long for it */
    bool seen[ROUTES];
    bool missed[ROUTES]; /* a crash took it from a route that does not hold */
};

struct totals {
    uint64_t appended[LANE_COUNT]; /* in this run */
    uint64_t acked[ROUTES][LANE_COUNT];
    struct spool_counters at_open[ROUTES][LANE_COUNT];
};

/* The gaps that a route's destination was told of. */
struct told {
    struct spool_gap gaps[TOLD_MAX];
    size_t count;
    bool again; /* one may be told as a part of another: a crash forgot that it was told */
};

struct model {
    char path[64];
    struct told told[ROUTES];
    unsigned seed;
    unsigned random;
    struct spool_options options;
    struct spool *spool;
    struct spool_route *routes[ROUTES];
    bool holds[ROUTES];
    uint32_t sensor;
    uint32_t plc;
    int64_t offset_ms;
    uint8_t id[SPOOL_ID_BYTES]; /* of the spool that the list is about */
    struct item *items;
    size_t count;
    uint64_t next_sequence;      /* at least */
    bool had_many_holes[ROUTES]; /* at some time since the last check */
    struct totals totals;
    struct spool_reader reader;
};

#define CHECK(model, condition)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("seed %u, %zu records: %s", (model)->seed, (model)->count, #condition);       \
    } while (0)

static unsigned draw(struct model *model, unsigned below)
{
    return (unsigned)rand_r(&model->random) % below;
}

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    const struct model *model = context;
    *ret_reading = (struct spool_clock_reading){
        .boot_ms = clock_boot_ms(),
        .offset_ms = model->offset_ms,
        .quality = model->offset_ms % 2 != 0 ? TIME_SYNCED : TIME_ESTIMATED};
}

/* ---- opening and ending ---- */

static void open_routes(struct model *model)
{
    static const char *const names[ROUTES] = {"live", "lake"};
    for (int r = 0; r < ROUTES; r++) {
        struct spool_route_options options = {
            .name = names[r], .lanes = {true, true, true}, .hold = model->holds[r]};
        CHECK(model, spool_route_open(model->spool, &options, &model->routes[r]) == 0);
        for (enum lane lane = 0; lane < LANE_COUNT; lane++)
            spool_route_counters(model->routes[r], lane, &model->totals.at_open[r][lane]);
    }
}

static void open_spool(struct model *model)
{
    static const struct channel channels[] = {{.name = "n", .unit = "", .decimals = 1}};
    struct sensor_definition board = {
        .device = "gw", .name = "board", .channel_count = 1, .channels = channels};
    struct sensor_definition plc = {.device = "gw", .name = "plc"};
    char fault[SPOOL_FAULT_BYTES] = "";
    if (spool_open(&model->options, fault, &model->spool) != 0)
        fail_msg("seed %u: %s", model->seed, fault);
    memset(&model->totals, 0, sizeof model->totals);
    CHECK(model, spool_define_sensor(model->spool, &board, &model->sensor) == 0);
    CHECK(model, spool_define_sensor(model->spool, &plc, &model->plc) == 0);
    open_routes(model);
    CHECK(model, spool_start(model->spool) == 0);
}

static void make_model(struct model *model, unsigned seed)
{
    memset(model, 0, sizeof *model);
    model->seed = model->random = seed;
    model->items = calloc(ITEMS_MAX, sizeof *model->items);
    assert_non_null(model->items);
    (void)snprintf(model->path, sizeof model->path, "/tmp/runnel-model-XXXXXX");
    assert_non_null(mkdtemp(model->path));
    model->holds[0] = true;
    model->holds[1] = draw(model, 3) > 0;
    model->offset_ms = 1700000000000;
    model->options = (struct spool_options){
        .path = model->path,
        .size_bytes = draw(model, 2) == 0 ? 256 * 1024 : 1024 * 1024,
        .device = "gw",
        .wait_ms = 1,
        .ack_window_ms = 3600000,
        .ack_window_records = 1000000,
        .clock = read_clock,
        .clock_context = model,
    };
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        model->options.lanes[lane] = (struct spool_lane_options){
            .full = draw(model, 4) == 0 ? SPOOL_DROP_NEWEST : SPOOL_DROP_OLDEST,
            .window_ms = draw(model, 4) == 0 ? 0 : 36000000,
            .age_ms = 3600000};
}

static void remove_model(struct model *model)
{
    folder_empty(model->path);
    CHECK(model, rmdir(model->path) == 0);
    free(model->items);
}

/* ---- appending ---- */

static uint8_t document_byte(uint64_t key, size_t at)
{
    return (uint8_t)('a' + (key + at * 7) % 25);
}

static uint64_t count_evicted(struct model *model, enum lane lane)
{
    struct spool_counters counters;
    spool_route_counters(model->routes[0], lane, &counters);
    return counters.evicted;
}

static void note_append(struct model *model, enum lane lane, uint64_t sequence, size_t bytes,
                        bool dropped)
{
    CHECK(model, sequence >= model->next_sequence); /* never a number twice */
    CHECK(model, model->count < ITEMS_MAX);
    model->next_sequence = sequence + 1;
    model->totals.appended[lane]++;
    model->items[model->count++] =
        (struct item){.sequence = sequence, .lane = lane, .document_bytes = bytes, .gone = dropped};
}

/* The content is the record's place in the list, so that the reader can tell it from others. */
static void append_one(struct model *model, enum lane lane, size_t bytes, bool followed)
{
    static uint8_t document[DOCUMENT_BYTES_MAX];
    struct sample sample = {.boot_ms = clock_boot_ms(), .value_count = bytes == 0};
    struct spool_append append = {.lane = lane,
                                  .sensor = bytes == 0 ? model->sensor : model->plc,
                                  .sample = &sample,
                                  .source = "plc",
                                  .deadline_ms = clock_mono_ms() + 10000};
    uint64_t sequence = 0;
    sample.values[0] =
        (struct value){.kind = VALUE_DECIMAL, .decimals = 1, .mantissa = (int64_t)model->count};
    for (size_t i = 0; i < bytes; i++)
        document[i] = document_byte(model->count, i);
    if (bytes > 0)
        sample.document = document;
    sample.document_bytes = bytes;
    if (followed)
        sample.origin =
            (struct sample_origin){.present = true, .inode = 7, .offset = model->count + 1};
    uint64_t evicted = count_evicted(model, lane);
    int rc = spool_append(model->spool, &append, &sequence);
    CHECK(model, rc == 0 || (rc == E_FULL && followed));
    bool dropped = model->options.lanes[lane].full == SPOOL_DROP_NEWEST &&
                   count_evicted(model, lane) > evicted;
    if (rc == 0)
        note_append(model, lane, sequence, bytes, dropped);
}

static void append_some(struct model *model)
{
    enum lane lane = (enum lane)draw(model, LANE_COUNT);
    unsigned kind = draw(model, 8);
    unsigned count = kind == 0 ? 1 + draw(model, 3) : 1 + draw(model, kind == 1 ? 1500 : 60);
    bool followed = draw(model, 6) == 0;
    for (unsigned i = 0; i < count && model->count < ITEMS_MAX; i++) {
        size_t bytes = 0;
        if (kind == 0)
            bytes = 1 + draw(model, DOCUMENT_BYTES_MAX - 1);
        else if (kind == 2)
            bytes = 1 + draw(model, 200);
        append_one(model, lane, bytes, followed);
    }
}

/* ---- reading ---- */

static struct item *find_item(struct model *model, uint64_t sequence)
{
    size_t from = 0;
    size_t to = model->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (model->items[middle].sequence < sequence)
            from = middle + 1;
        else
            to = middle;
    }
    CHECK(model, from < model->count && model->items[from].sequence == sequence);
    return &model->items[from];
}

/* The whole document; 0, or E_CHANGED where it went away while it was read. */
static int check_document(struct model *model, int r, const struct item *item,
                          const struct record *record)
{
    const uint8_t *piece = record->document;
    size_t bytes = record->document_piece_bytes;
    size_t at = 0;
    int rc;
    do {
        for (size_t i = 0; i < bytes; i++)
            CHECK(model, piece[i] == document_byte((uint64_t)(item - model->items), at + i));
        at += bytes;
    } while ((rc = spool_reader_piece(&model->reader, &piece, &bytes)) == 0);
    CHECK(model,
          (rc == E_END && at == item->document_bytes) || (rc == E_CHANGED && !model->holds[r]));
    return rc == E_END ? E_OK : rc;
}

/* The record is one that was appended, unaltered, and this route did not have it for good. NULL if
 * it went away. */
static struct item *check_record(struct model *model, int r, const struct record *record)
{
    struct item *item = find_item(model, record->sequence);
    CHECK(model, item->lane == record->lane);
    CHECK(model, !item->acked[r] && !item->gone && !item->missed[r]);
    CHECK(model, record->document_bytes == item->document_bytes);
    if (item->document_bytes > 0)
        return check_document(model, r, item, record) == E_OK ? item : NULL;
    CHECK(model, record->values[0].mantissa == item - model->items);
    return item;
}

struct run {
    struct spool_mark marks[BATCH_MAX];
    size_t count;
    enum spool_outcome outcome;
};

/* Whether a commit now would have more holes than flash keeps. */
static bool has_many_holes(const struct model *model, int r)
{
    size_t most = 0;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        if (model->routes[r]->cursors[lane].count > most)
            most = model->routes[r]->cursors[lane].count;
    return most > CURSOR_STORED_MAX;
}

static void acknowledge(struct model *model, int r, enum lane lane, struct run *run)
{
    if (run->count > 0)
        spool_route_ack(model->routes[r], lane, run->marks, run->count, run->outcome);
    model->totals.acked[r][lane] += run->count;
    model->had_many_holes[r] = model->had_many_holes[r] || has_many_holes(model, r);
    run->count = 0;
}

static bool was_told(const struct told *told, const struct spool_gap *gap)
{
    for (size_t i = 0; i < told->count; i++)
        if (told->gaps[i].sequence == gap->sequence)
            return true;
    return false;
}

/* A commit may make a gap larger between the two calls; then it is read anew. */
static void tell_gaps(struct model *model, int r)
{
    struct told *told = &model->told[r];
    struct spool_gap gap;
    uint64_t after = 0;
    while (spool_gap_next(model->routes[r], after, &gap) == 0) {
        CHECK(model, gap.count > 0 && gap.first <= gap.last);
        CHECK(model, told->count < TOLD_MAX);
        int rc = spool_gap_seal(model->routes[r], &gap);
        if (rc == E_CHANGED)
            continue;
        CHECK(model, rc == E_OK);
        after = gap.sequence;
        if (!was_told(told, &gap))
            told->gaps[told->count++] = gap;
        spool_gap_acknowledge(model->routes[r], gap.sequence);
    }
}

/* One batch as a route does it: read, pin, acknowledge runs, leave holes. */
static void deliver(struct model *model)
{
    int r = (int)draw(model, ROUTES);
    enum lane lane = (enum lane)draw(model, LANE_COUNT);
    unsigned most = 1 + draw(model, BATCH_MAX);
    unsigned refused = draw(model, 4); /* of four */
    struct run run = {.outcome = draw(model, 10) == 0 ? SPOOL_DEAD : SPOOL_DELIVERED};
    struct record record;
    uint64_t previous;
    int rc = 0;
    spool_route_pin(model->routes[r], lane, UINT64_MAX);
    spool_reader_start(&model->reader, model->routes[r], lane);
    while (most-- > 0 && (rc = spool_reader_next(&model->reader, &record, &previous)) == 0) {
        struct item *item = check_record(model, r, &record);
        bool keep = item == NULL || (draw(model, 4) < refused && draw(model, 3) > 0);
        if (keep || (run.count > 0 && run.marks[run.count - 1].sequence != previous))
            acknowledge(model, r, lane, &run);
        if (keep)
            continue;
        run.marks[run.count++] = (struct spool_mark){record.sequence, previous};
        item->acked[r] = true;
    }
    CHECK(model, rc == 0 || rc == E_END);
    acknowledge(model, r, lane, &run);
    spool_route_unpin(model->routes[r]);
    if (draw(model, 3) == 0)
        tell_gaps(model, r);
}

/* ---- what must hold ---- */

static void check_counters(struct model *model)
{
    for (int r = 0; r < ROUTES; r++)
        for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
            struct spool_counters c;
            spool_route_counters(model->routes[r], lane, &c);
            CHECK(model, c.accepted == c.delivered + c.stored + c.dead + c.evicted);
            CHECK(model, c.stored <= model->count && c.evicted <= model->count);
            CHECK(model, c.accepted <= model->count && c.delivered <= model->count);
        }
}

static uint64_t pending(struct model *model)
{
    struct spool_status status;
    uint64_t sum = 0;
    spool_get_status(model->spool, &status);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        CHECK(model, status.lanes[lane].pending <= model->count);
        sum += status.lanes[lane].pending;
    }
    return sum;
}

static uint64_t commits(struct model *model)
{
    struct spool_status status;
    spool_get_status(model->spool, &status);
    return status.commits;
}

/* Waits for a commit that began now, or later, and holds. */
/* No commit is under way or asked for: one may evict, which is seen in parts while it runs. */
static bool is_idle(struct model *model)
{
    struct spool *spool = model->spool;
    (void)pthread_mutex_lock(&spool->lock);
    bool idle = !spool->commit_now && spool->sleeping_to_ms > 0;
    (void)pthread_mutex_unlock(&spool->lock);
    return idle;
}

static void commit(struct model *model)
{
    int64_t idle_by_ms;
    for (int i = 0; i < 3; i++) { /* one may end, and one begin, before it is told */
        uint64_t before = commits(model);
        int64_t deadline_ms = clock_mono_ms() + 20000;
        spool_commit_soon(model->spool);
        while (commits(model) == before) {
            CHECK(model, clock_mono_ms() < deadline_ms);
            (void)sched_yield();
        }
    }
    for (idle_by_ms = clock_mono_ms() + 20000; !is_idle(model); (void)sched_yield())
        CHECK(model, clock_mono_ms() < idle_by_ms);
    CHECK(model, pending(model) == 0);
}

/* Reads all that ROUTE owes in LANE and marks it; returns how much it is. */
static uint64_t look_through(struct model *model, int r, enum lane lane)
{
    struct record record;
    uint64_t previous;
    uint64_t count = 0;
    int rc;
    spool_reader_start(&model->reader, model->routes[r], lane);
    while ((rc = spool_reader_next(&model->reader, &record, &previous)) == 0) {
        struct item *item = check_record(model, r, &record);
        if (item == NULL)
            continue;
        item->seen[r] = true;
        count++;
    }
    CHECK(model, rc == E_END);
    return count;
}

/* Of the lane, what the route was never given: it must have been evicted. */
static uint64_t count_missing(const struct model *model, int r, enum lane lane)
{
    uint64_t missing = 0;
    for (size_t i = 0; i < model->count; i++) {
        const struct item *item = &model->items[i];
        missing += item->lane == lane && !item->gone && !item->acked[r] && !item->seen[r] &&
                   !item->missed[r];
    }
    return missing;
}

/* What a route lost of a lane is in what it told and what it has to tell. */
static void check_gaps(struct model *model, int r, enum lane lane, uint64_t evicted)
{
    const struct told *told = &model->told[r];
    struct spool_gap gap = {.sequence = 0};
    uint64_t sum = 0;
    for (size_t i = 0; i < told->count; i++)
        sum += told->gaps[i].lane == lane ? told->gaps[i].count : 0;
    while (spool_gap_next(model->routes[r], gap.sequence, &gap) == 0)
        sum += gap.lane == lane && !was_told(told, &gap) ? gap.count : 0;
    CHECK(model, sum >= evicted);
    CHECK(model, sum == evicted || told->again);
}

/* Everything is on flash or delivered: the numbers are exactly those of the list. */
static void check_all(struct model *model)
{
    for (size_t i = 0; i < model->count; i++) {
        struct item *item = &model->items[i];
        item->accepted = !item->gone;
        memset(item->seen, 0, sizeof item->seen);
    }
    for (int r = 0; r < ROUTES; r++)
        for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
            const struct spool_counters *start = &model->totals.at_open[r][lane];
            struct spool_counters c;
            struct spool_backlog backlog;
            uint64_t owed = look_through(model, r, lane);
            spool_route_counters(model->routes[r], lane, &c);
            spool_route_backlog(model->routes[r], lane, &backlog);
            CHECK(model, c.stored == owed);
            CHECK(model, backlog.records == owed);
            CHECK(model, c.accepted - start->accepted == model->totals.appended[lane]);
            CHECK(model, c.delivered + c.dead - start->delivered - start->dead ==
                             model->totals.acked[r][lane]);
            CHECK(model, count_missing(model, r, lane) <= c.evicted);
            check_gaps(model, r, lane, c.evicted);
        }
}

static void commit_and_check(struct model *model)
{
    struct spool_status status;
    commit(model);
    check_all(model);
    spool_get_status(model->spool, &status);
    CHECK(model, status.durable && status.error == 0);
    for (int r = 0; r < ROUTES; r++) {
        model->had_many_holes[r] = has_many_holes(model, r);
        for (size_t i = 0; i < model->count; i++)
            model->items[i].ack_durable[r] = model->items[i].acked[r];
    }
}

/* ---- ends ---- */

/*
 * After a new start each route's records are looked at with all acknowledgements forgotten that may
 * be forgotten; what is not found was acknowledged, or was lost without having been accepted, or
 * evicted. More holes than the flash keeps make the durable ones uncertain: see cursor.h.
 */
static void take_stock(struct model *model, bool was_acked[ROUTES][ITEMS_MAX])
{
    for (size_t i = 0; i < model->count; i++) {
        struct item *item = &model->items[i];
        bool found = false;
        for (int r = 0; r < ROUTES; r++) {
            found = found || item->seen[r];
            item->acked[r] = was_acked[r][i] && !item->seen[r];
            item->ack_durable[r] = item->acked[r]; /* it comes from flash */
            item->missed[r] = !model->holds[r] && !item->acked[r] && !item->seen[r];
        }
        if (!item->accepted && !found)
            item->gone = true;
    }
}

/* A crash before the file is there leaves nothing: the next spool has an id and numbers of its own,
 * and nothing may have been called accepted. */
static bool is_another_spool(struct model *model, bool was_acked[ROUTES][ITEMS_MAX])
{
    uint8_t id[SPOOL_ID_BYTES];
    spool_get_id(model->spool, id);
    if (memcmp(id, model->id, sizeof id) == 0)
        return false;
    memcpy(model->id, id, sizeof id);
    for (size_t i = 0; i < model->count; i++)
        for (int r = 0; r < ROUTES; r++)
            CHECK(model, !model->items[i].accepted || was_acked[r][i] || !model->holds[r]);
    model->count = 0;
    model->next_sequence = 0;
    memset(model->told, 0, sizeof model->told);
    return true;
}

static void begin_again(struct model *model, bool clean)
{
    static bool was_acked[ROUTES][ITEMS_MAX];
    bool uncertain[ROUTES];
    for (int r = 0; r < ROUTES; r++) {
        uncertain[r] = model->had_many_holes[r];
        for (size_t i = 0; i < model->count; i++) {
            struct item *item = &model->items[i];
            was_acked[r][i] = item->acked[r];
            item->seen[r] = false;
            item->acked[r] = item->acked[r] && !uncertain[r] && (clean || item->ack_durable[r]);
        }
    }
    open_spool(model);
    if (is_another_spool(model, was_acked))
        return;
    for (int r = 0; r < ROUTES; r++)
        for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
            struct spool_counters c;
            uint64_t owed = look_through(model, r, lane);
            spool_route_counters(model->routes[r], lane, &c);
            CHECK(model, c.stored == owed);
        }
    for (int r = 0; r < ROUTES; r++) {
        struct spool_gap gap = {.sequence = 0};
        while (spool_gap_next(model->routes[r], gap.sequence, &gap) == 0)
            model->told[r].again = model->told[r].again || was_told(&model->told[r], &gap);
    }
    take_stock(model, was_acked);
    for (int r = 0; r < ROUTES; r++)
        model->had_many_holes[r] = has_many_holes(model, r);
    for (int r = 0; r < ROUTES; r++)
        for (enum lane lane = 0; lane < LANE_COUNT; lane++)
            if (model->holds[r]) {
                struct spool_counters c;
                spool_route_counters(model->routes[r], lane, &c);
                CHECK(model, count_missing(model, r, lane) <= c.evicted);
            }
}

/* What a ticket says to be accepted must be there after the crash that follows. */
static void ask_what_is_accepted(struct model *model)
{
    for (size_t i = model->count; i-- > 0 && !model->items[i].accepted && !model->items[i].gone;) {
        struct item *item = &model->items[i];
        struct spool_ticket ticket = {
            .lane = item->lane, .sequence = item->sequence, .event_fd = -1};
        spool_ticket_wait(model->spool, &ticket);
        item->accepted = spool_ticket_accepted(model->spool, &ticket);
        spool_ticket_forget(model->spool, &ticket);
    }
}

static void crash(struct model *model)
{
    atomic_store(&failure, (int)draw(model, 3)); /* at a moment before, within or after a commit */
    if (draw(model, 2) == 0)
        spool_commit_soon(model->spool);
    ask_what_is_accepted(model);
    spool_abandon(model->spool);
    atomic_store(&failure, HOLDS);
    begin_again(model, false);
}

static void stop_and_start(struct model *model)
{
    CHECK(model, spool_stop(model->spool, clock_mono_ms() + 20000) == 0);
    for (size_t i = 0; i < model->count; i++)
        model->items[i].accepted = !model->items[i].gone;
    spool_close(model->spool);
    begin_again(model, true);
}

/* One commit fails; the next, a second later, makes up for it. */
static void fail_once(struct model *model)
{
    struct spool_status status;
    int64_t deadline_ms = clock_mono_ms() + 20000;
    atomic_store(&failure, 1 + (int)draw(model, 2));
    spool_commit_soon(model->spool);
    do {
        CHECK(model, clock_mono_ms() < deadline_ms);
        (void)sched_yield();
        spool_get_status(model->spool, &status);
    } while (status.error == 0);
    check_counters(model);
    atomic_store(&failure, HOLDS);
    (void)atomic_fetch_add(&clock_ahead_ms, 1001);
    spool_commit_soon(model->spool);
    commit_and_check(model);
}

static void step(struct model *model)
{
    unsigned what = draw(model, 100);
    if (what < 45)
        append_some(model);
    else if (what < 80)
        deliver(model);
    else if (what < 90)
        commit_and_check(model);
    else if (what < 94)
        crash(model);
    else if (what < 96)
        stop_and_start(model);
    else if (what < 98)
        fail_once(model);
    else
        model->offset_ms += 1 + (int64_t)draw(model, 5000);
    check_counters(model);
}

static void live(unsigned seed)
{
    static struct model model;
    make_model(&model, seed);
    open_spool(&model);
    spool_get_id(model.spool, model.id);
    for (int i = 0; i < STEPS && model.count < ITEMS_MAX - 2000; i++)
        step(&model);
    commit_and_check(&model);
    stop_and_start(&model);
    CHECK(&model, spool_stop(model.spool, clock_mono_ms() + 20000) == 0);
    spool_close(model.spool);
    remove_model(&model);
}

static unsigned first_seed = 1;
static unsigned lives = 12;

static void test_lives(void **state)
{
    (void)state;
    for (unsigned seed = first_seed; seed < first_seed + lives; seed++)
        live(seed);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lives),
    };
    lies = argc > 1 && strcmp(argv[1], "lie") == 0;
    if (argc > 1 && !lies)
        first_seed = (unsigned)strtoul(argv[1], NULL, 10);
    if (argc > 1 && !lies)
        lives = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
