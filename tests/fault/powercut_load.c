/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Works on a spool while recorder.c watches, and reports what the spool promised: which records
 * it accepted, which acknowledgements began and which a commit has written (powercut_rig.h).
 *
 * usage: powercut_load WORKLOAD DIRECTORY SEED FIRST-KEY
 *
 * The descriptor of the reports is $POWERCUT_REPORT. Ends without closing anything, as by a cut.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/spool/spool_state.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"
#include "platform/fs.h"
#include "platform/stop.h"
#include "tests/fault/powercut_rig.h"

enum {
    SMALL = 256 * 1024,
    MEDIUM = 512 * 1024,
    LARGE = 1024 * 1024,
    TICKETS_MAX = 64,
    BATCH_MAX = 100
};

struct waiting {
    struct spool_ticket ticket;
    uint64_t key;
    bool used;
};

struct load {
    struct rig rig;
    const char *path;
    uint64_t size_bytes;
    bool full;
    unsigned random;
    uint64_t next_key;
    int report_fd;
    int event_fd;
    struct waiting waiting[TICKETS_MAX];
};

static void expect(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "powercut_load: %s\n", what);
    _exit(1);
}

static unsigned draw(struct load *load, unsigned below)
{
    return (unsigned)rand_r(&load->random) % below;
}

static void report(const struct load *load, struct report report)
{
    expect(write(load->report_fd, &report, sizeof report) == sizeof report, "no reports");
}

/* ---- a life of the spool ---- */

static void open_spool(struct load *load)
{
    char fault[SPOOL_FAULT_BYTES] = "";
    int rc = rig_open(&load->rig, load->path, load->size_bytes, load->full, fault);
    if (rc < 0)
        (void)fprintf(stderr, "powercut_load: %s\n", fault);
    expect(rc == 0, "the spool does not open");
    report(load, (struct report){.kind = REPORT_OPENED,
                                 .full = load->full,
                                 .key = load->size_bytes,
                                 .sequence = rig_id(&load->rig)});
}

static void commit(struct load *load)
{
    expect(rig_commit(&load->rig), "no commit holds");
    report(load, (struct report){.kind = REPORT_COMMITTED});
}

/* Ends like a killed process; what waited for its acceptance will never hear of it. */
static void abandon(struct load *load)
{
    for (int i = 0; i < TICKETS_MAX; i++) {
        if (load->waiting[i].used)
            spool_ticket_forget(load->rig.spool, &load->waiting[i].ticket);
        load->waiting[i].used = false;
    }
    spool_abandon(load->rig.spool);
}

static void stop(struct load *load)
{
    expect(spool_stop(load->rig.spool, clock_mono_ms() + RIG_WAIT_MS) == 0, "no clean stop");
    report(load, (struct report){.kind = REPORT_COMMITTED});
    spool_close(load->rig.spool);
}

/* ---- appending ---- */

/* Reports what has been accepted meanwhile; returns how many still wait. */
static int look_at_tickets(struct load *load)
{
    int left = 0;
    for (int i = 0; i < TICKETS_MAX; i++) {
        struct waiting *waiting = &load->waiting[i];
        if (!waiting->used)
            continue;
        left++;
        if (!spool_ticket_accepted(load->rig.spool, &waiting->ticket))
            continue;
        report(load, (struct report){.kind = REPORT_ACCEPTED, .key = waiting->key});
        waiting->used = false;
        left--;
    }
    return left;
}

static void wait_for_tickets(struct load *load)
{
    const struct stop never = {.fd = -1};
    while (look_at_tickets(load) > 0) {
        expect(stop_wait(&never, load->event_fd, POLLIN, clock_mono_ms() + RIG_WAIT_MS) == 0,
               "a ticket is not accepted");
        stop_event_drain(load->event_fd);
    }
}

static void take_ticket(struct load *load, enum lane lane, uint64_t key, uint64_t sequence)
{
    struct waiting *waiting = load->waiting;
    while (waiting < load->waiting + TICKETS_MAX && waiting->used)
        waiting++;
    if (waiting == load->waiting + TICKETS_MAX)
        return; /* not every sender waits */
    *waiting = (struct waiting){
        .used = true,
        .key = key,
        .ticket = {.lane = lane, .sequence = sequence, .event_fd = load->event_fd}};
    spool_ticket_wait(load->rig.spool, &waiting->ticket);
}

static uint64_t count_evicted(struct load *load, enum lane lane)
{
    struct spool_counters counters;
    spool_route_counters(load->rig.routes[0], lane, &counters);
    return counters.evicted;
}

static void append(struct load *load, enum lane lane, size_t bytes, bool wait)
{
    uint64_t key = load->next_key++;
    uint64_t sequence = 0;
    uint64_t evicted = count_evicted(load, lane);
    report(load, (struct report){.kind = REPORT_APPENDING,
                                 .lane = (uint8_t)lane,
                                 .key = key,
                                 .bytes = (uint32_t)bytes});
    expect(rig_append(&load->rig, lane, key, bytes, &sequence) == 0, "a record is not taken");
    report(load, (struct report){.kind = REPORT_NUMBERED, .key = key, .sequence = sequence});
    bool drops = load->rig.options.lanes[lane].full == SPOOL_DROP_NEWEST;
    if (drops && count_evicted(load, lane) > evicted)
        report(load, (struct report){.kind = REPORT_DROPPED, .key = key});
    else if (wait)
        take_ticket(load, lane, key, sequence);
}

/* A reading, a document of one block or, LONG_ONES of ten times, one of several fragments. */
static size_t draw_size(struct load *load, unsigned long_ones)
{
    unsigned kind = draw(load, 10);
    if (kind < long_ones)
        return 4100 + draw(load, RIG_DOCUMENT_BYTES_MAX - 4100);
    return kind < 6 ? 0 : 1 + draw(load, 600);
}

/* COUNT records in a burst; half of the bursts wait for all of their records. */
static void append_some(struct load *load, unsigned count)
{
    enum lane lane = (enum lane)draw(load, LANE_COUNT);
    for (unsigned i = 0; i < count; i++) {
        append(load, lane, draw_size(load, 1), draw(load, 4) > 0);
        if (draw(load, 3) == 0)
            (void)look_at_tickets(load);
        if (draw(load, 3) == 0)
            lane = (enum lane)draw(load, LANE_COUNT);
    }
    if (draw(load, 2) == 0)
        wait_for_tickets(load);
}

/* ---- draining ---- */

struct run {
    struct spool_mark marks[BATCH_MAX];
    struct record_identity identities[BATCH_MAX];
    size_t count;
};

static void report_identity(const struct load *load, enum report_kind kind, int r, enum lane lane,
                            const struct record_identity *identity)
{
    report(load, (struct report){.kind = (uint8_t)kind,
                                 .lane = (uint8_t)lane,
                                 .route = (uint8_t)r,
                                 .key = identity->spool_id,
                                 .sequence = identity->sequence});
}

static void acknowledge(struct load *load, int r, enum lane lane, struct run *run)
{
    for (size_t i = 0; i < run->count; i++)
        report_identity(load, REPORT_ACKNOWLEDGED, r, lane, &run->identities[i]);
    if (run->count > 0)
        spool_route_ack(load->rig.routes[r], lane, run->marks, run->count,
                        draw(load, 10) == 0 ? SPOOL_DEAD : SPOOL_DELIVERED);
    run->count = 0;
}

/* One batch as a route does it, at most MOST records; of these one in HOLES is left out. */
static void deliver(struct load *load, int r, enum lane lane, unsigned most, unsigned holes)
{
    struct spool_route *route = load->rig.routes[r];
    struct run run = {.count = 0};
    struct record record;
    uint64_t previous;
    int rc = 0;
    spool_route_pin(route, lane, UINT64_MAX);
    spool_reader_start(&load->rig.reader, route, lane);
    while (most-- > 0 && (rc = spool_reader_next(&load->rig.reader, &record, &previous)) == E_OK) {
        bool skip = holes > 0 && draw(load, holes) == 0;
        if (skip || run.count == BATCH_MAX ||
            (run.count > 0 && run.marks[run.count - 1].sequence != previous))
            acknowledge(load, r, lane, &run);
        if (skip)
            continue;
        run.identities[run.count] = record.identity;
        run.marks[run.count++] = (struct spool_mark){record.sequence, previous};
    }
    expect(rc == 0 || rc == E_END, "a batch cannot be read");
    acknowledge(load, r, lane, &run);
    spool_route_unpin(route);
}

static void deliver_some(struct load *load)
{
    deliver(load, (int)draw(load, RIG_ROUTES), (enum lane)draw(load, LANE_COUNT),
            1 + draw(load, BATCH_MAX), 12);
}

/* ---- the workloads ---- */

static void create(struct load *load)
{
    open_spool(load);
    append_some(load, 6);
    wait_for_tickets(load);
    append_some(load, 6);
    wait_for_tickets(load);
}

static void append_only(struct load *load)
{
    open_spool(load);
    for (int i = 0; i < 45; i++)
        append_some(load, 1 + draw(load, 12));
    wait_for_tickets(load);
}

/* Part of it is delivered from RAM and never reaches flash. */
static void drain(struct load *load)
{
    open_spool(load);
    append_some(load, 60);
    wait_for_tickets(load);
    for (int i = 0; i < 60; i++) {
        unsigned what = draw(load, 10);
        if (what < 3)
            append_some(load, 1 + draw(load, 12));
        else if (what < 8)
            deliver_some(load);
        else
            commit(load);
    }
    wait_for_tickets(load);
    for (int r = 0; r < RIG_ROUTES; r++)
        for (enum lane lane = 0; lane < LANE_COUNT; lane++)
            deliver(load, r, lane, BATCH_MAX, 0);
    commit(load);
    append_some(load, 6);
    wait_for_tickets(load);
}

/* Far more than the file holds, in blocks that are nearly full, so that each commit evicts. */
static void evict(struct load *load)
{
    open_spool(load);
    for (int i = 0; i < 70; i++) {
        unsigned count = 1 + draw(load, 3);
        enum lane lane = (enum lane)draw(load, LANE_COUNT);
        while (count-- > 0)
            append(load, lane, draw(load, 6) == 0 ? 9000 : 2500 + draw(load, 1200), true);
        if (draw(load, 3) > 0)
            wait_for_tickets(load);
        if (draw(load, 4) == 0)
            deliver(load, (int)draw(load, RIG_ROUTES), (enum lane)draw(load, LANE_COUNT), 10, 6);
    }
    wait_for_tickets(load);
    commit(load);
}

static void work(struct load *load, int steps)
{
    for (int i = 0; i < steps; i++)
        if (draw(load, 3) == 0)
            deliver_some(load);
        else
            append_some(load, 1 + draw(load, 8));
}

/* Ends of both kinds, each followed by a start. */
static void restart(struct load *load)
{
    open_spool(load);
    for (int i = 0; i < 6; i++) {
        work(load, 8);
        if (i % 3 == 0) {
            wait_for_tickets(load);
            stop(load);
        } else {
            abandon(load);
        }
        open_spool(load);
    }
    work(load, 4);
    wait_for_tickets(load);
    stop(load);
}

/* Likewise, each on other hardware: the medium is copied from machine to machine. */
static void move(struct load *load)
{
    for (uint64_t serial = 1; serial <= 6; serial++) {
        load->rig.machine.serial = serial;
        open_spool(load);
        work(load, 6);
        if (serial % 2 == 0)
            abandon(load);
        else
            stop(load);
    }
    open_spool(load);
    wait_for_tickets(load);
    stop(load);
}

/* Starts with a larger file, and with a smaller one into which all fits, at once or later. */
static void resize(struct load *load)
{
    static const uint64_t sizes[] = {MEDIUM, LARGE, MEDIUM, 2 * LARGE, MEDIUM};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        load->size_bytes = sizes[i];
        open_spool(load);
        append_some(load, sizes[i] == MEDIUM ? 4 : 24);
        wait_for_tickets(load);
        for (int r = 0; r < RIG_ROUTES && sizes[i] == MEDIUM; r++)
            for (enum lane lane = 0; lane < LANE_COUNT; lane++)
                deliver(load, r, lane, BATCH_MAX, 12);
        commit(load);
        append_some(load, 4);
        wait_for_tickets(load);
        if (i % 2 == 0)
            stop(load);
        else
            abandon(load);
    }
}

/* The first start after a cut: everything is read, some delivered, more comes in. */
static void recover(struct load *load)
{
    open_spool(load);
    append_some(load, 3);
    wait_for_tickets(load);
    for (int i = 0; i < 4; i++)
        deliver_some(load);
    commit(load);
    work(load, 3);
    wait_for_tickets(load);
}

static void recover_moved(struct load *load)
{
    load->rig.machine.serial = 100;
    recover(load);
}

/* ---- where records change places ---- */

/* Flips a byte of the state, under its checksum, wherever these bytes lie in the file. */
static void damage(struct load *load)
{
    char path[FS_PATH_BYTES];
    static uint8_t image[LARGE];
    struct store *store;
    struct store_txn *txn;
    struct store_key key = store_key_pair(STORE_STATE, 0, 0);
    const uint8_t *value;
    uint8_t state[SPOOL_STATE_BYTES];
    size_t bytes = 0;
    (void)snprintf(path, sizeof path, "%s/spool.mdb", load->path);
    expect(store_open(path, load->size_bytes, &store) == 0, "no store");
    expect(store_begin_read(store, &txn) == 0, "no transaction");
    expect(store_get(txn, &key, &value, &bytes) == 0 && bytes <= sizeof state, "no state");
    memcpy(state, value, bytes);
    store_abort(txn);
    store_close(store);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ssize_t count = pread(fd, image, sizeof image, 0);
    for (size_t at = 0; count > 0 && at + bytes <= (size_t)count; at++) {
        const uint8_t *in_id = image + at + 8;
        const uint8_t flipped = (uint8_t) ~*in_id;
        if (memcmp(image + at, state, bytes) == 0)
            expect(pwrite(fd, &flipped, 1, in_id - image) == 1, "no damage");
    }
    (void)close(fd);
}

/* What there is before it is damaged; stopped, or as a killed process leaves it. */
static void salvage_before(struct load *load)
{
    open_spool(load);
    append_some(load, 40);
    wait_for_tickets(load);
    for (int i = 0; i < 4; i++)
        deliver_some(load);
    commit(load);
    append_some(load, 30);
    wait_for_tickets(load);
    if (draw(load, 2) == 0)
        stop(load);
    else
        abandon(load);
    damage(load);
}

static void salvage(struct load *load)
{
    open_spool(load);
    append_some(load, 4);
    deliver_some(load);
    expect(rig_wait_salvaged(&load->rig), "the salvage does not end");
    append_some(load, 6);
    wait_for_tickets(load);
    for (int i = 0; i < 4; i++)
        deliver_some(load);
    commit(load);
    append_some(load, 6);
    wait_for_tickets(load);
    stop(load);
}

static void recover_salvage(struct load *load)
{
    open_spool(load);
    append_some(load, 3);
    wait_for_tickets(load);
    deliver_some(load);
    expect(rig_wait_salvaged(&load->rig), "the salvage does not end");
    deliver_some(load);
    commit(load);
    append_some(load, 3);
    wait_for_tickets(load);
}

/* One of the records that a route is owed, of every second lane a document of several blocks. */
static void bury(struct load *load)
{
    int r = (int)draw(load, RIG_ROUTES);
    enum lane lane = (enum lane)draw(load, LANE_COUNT);
    unsigned pass = draw(load, 8);
    bool longs = draw(load, 2) == 0;
    struct spool_death death = {.lane = lane, .attempts = 3, .reason = "it is not wanted"};
    struct record record;
    int rc;
    spool_reader_start(&load->rig.reader, load->rig.routes[r], lane);
    do
        rc = spool_reader_next(&load->rig.reader, &record, &death.mark.previous);
    while (rc == E_OK && (longs ? record.document_bytes < BLOCK_BYTES : pass-- > 0));
    if (rc == E_END)
        return;
    expect(rc == E_OK, "a record cannot be read");
    death.mark.sequence = record.sequence;
    report_identity(load, REPORT_BURYING, r, lane, &record.identity);
    rc = spool_dead_bury(load->rig.routes[r], &death, clock_mono_ms() + RIG_WAIT_MS);
    expect(rc == E_OK, "a record is not buried");
    report_identity(load, REPORT_BURIED, r, lane, &record.identity);
}

/* One of the letters is sent again or purged. */
static void ask(struct load *load)
{
    struct spool_letter letter;
    struct record record;
    unsigned pass = draw(load, 6);
    bool again = draw(load, 3) > 0;
    int rc = spool_dead_next(load->rig.spool, NULL, &letter);
    while (rc == E_OK && pass-- > 0)
        rc = spool_dead_next(load->rig.spool, &letter, &letter);
    if (rc == E_END)
        return;
    expect(rc == E_OK, "no letter can be read");
    rc = spool_dead_open(&load->rig.reader, load->rig.spool, &letter, &record);
    expect(rc == E_OK, "a letter cannot be opened");
    if (!again)
        report_identity(load, REPORT_PURGED, rig_find_route(letter.route_name), letter.lane,
                        &record.identity);
    rc = spool_dead_ask(load->rig.spool, &letter, again);
    expect(rc == E_OK || rc == E_AGAIN, "a letter is not taken");
    if (draw(load, 2) == 0)
        commit(load);
}

static void dead_some(struct load *load, int steps)
{
    for (int i = 0; i < steps; i++) {
        unsigned what = draw(load, 10);
        if (what < 4)
            bury(load);
        else if (what < 7)
            ask(load);
        else if (what < 8)
            deliver_some(load);
        else
            append_some(load, 1 + draw(load, 6));
    }
    wait_for_tickets(load);
}

static void dead(struct load *load)
{
    open_spool(load);
    append_some(load, 60);
    wait_for_tickets(load);
    dead_some(load, 30);
    stop(load);
    open_spool(load);
    dead_some(load, 20);
    abandon(load);
    open_spool(load);
    dead_some(load, 6);
    stop(load);
}

static void recover_dead(struct load *load)
{
    open_spool(load);
    append_some(load, 3);
    wait_for_tickets(load);
    dead_some(load, 8);
    commit(load);
}

/* Tells what each route is owed of a stored file. */
static void migrate_before(struct load *load)
{
    struct record record;
    uint64_t previous;
    open_spool(load);
    for (int r = 0; r < RIG_ROUTES; r++)
        for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
            int rc;
            spool_reader_start(&load->rig.reader, load->rig.routes[r], lane);
            while ((rc = spool_reader_next(&load->rig.reader, &record, &previous)) == E_OK)
                report(load, (struct report){.kind = REPORT_HELD,
                                             .lane = (uint8_t)lane,
                                             .route = (uint8_t)r,
                                             .key = rig_digest(&load->rig, &record),
                                             .sequence = record.identity.sequence});
            expect(rc == E_END, "a stored file cannot be read");
        }
}

static void migrate(struct load *load)
{
    open_spool(load);
    append_some(load, 6);
    wait_for_tickets(load);
    for (int i = 0; i < 4; i++)
        deliver_some(load);
    commit(load);
    append_some(load, 6);
    wait_for_tickets(load);
    stop(load);
}

static const struct workload {
    const char *name;
    void (*run)(struct load *load);
    uint64_t size_bytes;
    bool full;
    bool identities;
} workloads[] = {
    {"create", create, MEDIUM, false, false},
    {"append", append_only, LARGE, false, false},
    {"drain", drain, LARGE, false, false},
    {"evict", evict, SMALL, true, false},
    {"restart", restart, LARGE, false, false},
    {"move", move, LARGE, false, true},
    {"recover-moved", recover_moved, LARGE, false, true},
    {"resize", resize, MEDIUM, false, false},
    {"recover", recover, LARGE, false, false},
    {"recover-full", recover, SMALL, true, false},
    {"salvage-before", salvage_before, LARGE, false, true},
    {"salvage", salvage, LARGE, false, true},
    {"recover-salvage", recover_salvage, LARGE, false, true},
    {"dead", dead, LARGE, false, true},
    {"recover-dead", recover_dead, LARGE, false, true},
    {"migrate-before", migrate_before, MEDIUM, false, true},
    {"migrate", migrate, MEDIUM, false, true},
    {"recover-migrate", migrate, MEDIUM, false, true},
};

int main(int argc, char **argv)
{
    static struct load load;
    const char *reports = getenv("POWERCUT_REPORT");
    log_set_level(LOG_LEVEL_WARNING);
    for (size_t i = 0; argc == 5 && i < sizeof workloads / sizeof workloads[0]; i++) {
        if (strcmp(workloads[i].name, argv[1]) != 0)
            continue;
        load.path = argv[2];
        load.size_bytes = workloads[i].size_bytes;
        load.full = workloads[i].full;
        load.random = (unsigned)strtoul(argv[3], NULL, 10);
        load.next_key = strtoull(argv[4], NULL, 10);
        load.report_fd = reports == NULL ? -1 : atoi(reports);
        expect(stop_event_open(&load.event_fd) == 0, "no eventfd");
        if (workloads[i].identities)
            report(&load, (struct report){.kind = REPORT_IDENTITIES});
        workloads[i].run(&load);
        _exit(0);
    }
    (void)fprintf(stderr, "usage: powercut_load WORKLOAD DIRECTORY SEED FIRST-KEY\n");
    return 2;
}
