/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does one operation of a spool while failer.c makes calls fail, lets the fault be over, and sees
 * the spool commit again by itself. Reports what it was promised, as powercut_load does, so that
 * powercut_check can judge what is left.
 *
 * usage: iofault_load OPERATION DIRECTORY
 *
 * Says at its end: `calls N failed N files N`. 3: the spool does not go on.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"
#include "platform/stop.h"
#include "tests/fault/powercut_rig.h"

enum {
    SMALL = 256 * 1024, /* it is soon full */
    MEDIUM = 1024 * 1024,
    LARGE = 2048 * 1024,
    STUCK = 3,
    LOOK_US = 200,
    TICKETS_MAX = 64,
};

struct load {
    struct rig rig;
    const char *path;
    uint64_t size_bytes;
    bool full;
    uint64_t next_key;
    int report_fd;
    int event_fd;
    struct spool_ticket tickets[TICKETS_MAX];
    uint64_t keys[TICKETS_MAX];
    size_t count;
    void (*arm)(void);
    void (*disarm)(void);
    long (*calls)(void);
    long (*failed)(void);
    long (*failed_files)(void);
};

static void end(const struct load *load, const char *fault)
{
    if (fault != NULL)
        (void)fprintf(stderr, "iofault_load: %s\n", fault);
    (void)printf("calls %ld failed %ld files %ld\n", load->calls(), load->failed(),
                 load->failed_files());
    (void)fflush(stdout);
    _exit(fault == NULL ? 0 : STUCK);
}

static void report(const struct load *load, struct report report)
{
    if (write(load->report_fd, &report, sizeof report) != sizeof report)
        end(load, "no reports");
}

/* ---- what may fail ---- */

static bool try_open(struct load *load)
{
    char fault[SPOOL_FAULT_BYTES] = "";
    load->rig.spool = NULL;
    int rc = rig_open(&load->rig, load->path, load->size_bytes, load->full, fault);
    if (rc < 0) {
        log_error("did-not-open error=\"%s\"", ERROR_TEXT(rc));
        spool_close(load->rig.spool);
        load->rig.spool = NULL;
        return false;
    }
    report(load, (struct report){.kind = REPORT_OPENED,
                                 .full = load->full,
                                 .key = load->size_bytes,
                                 .sequence = rig_id(&load->rig)});
    return true;
}

static void append(struct load *load, enum lane lane, size_t bytes)
{
    uint64_t key = load->next_key++;
    uint64_t sequence = 0;
    report(load, (struct report){.kind = REPORT_APPENDING,
                                 .lane = (uint8_t)lane,
                                 .key = key,
                                 .bytes = (uint32_t)bytes});
    if (rig_append(&load->rig, lane, key, bytes, &sequence) < 0)
        return;
    report(load, (struct report){.kind = REPORT_NUMBERED, .key = key, .sequence = sequence});
    if (load->count == TICKETS_MAX)
        return;
    load->keys[load->count] = key;
    load->tickets[load->count] =
        (struct spool_ticket){.lane = lane, .sequence = sequence, .event_fd = load->event_fd};
    spool_ticket_wait(load->rig.spool, &load->tickets[load->count++]);
}

static void append_some(struct load *load, unsigned count, size_t bytes)
{
    for (unsigned i = 0; i < count; i++)
        append(load, i % 2 == 0 ? LANE_NORMAL : LANE_ALARM, i % 3 == 0 ? 0 : bytes);
}

/* Reports what is accepted; true if that is all. */
static bool all_accepted(struct load *load)
{
    size_t left = 0;
    for (size_t i = 0; i < load->count; i++) {
        if (load->keys[i] == UINT64_MAX)
            continue;
        left++;
        if (!spool_ticket_accepted(load->rig.spool, &load->tickets[i]))
            continue;
        report(load, (struct report){.kind = REPORT_ACCEPTED, .key = load->keys[i]});
        load->keys[i] = UINT64_MAX;
        left--;
    }
    if (left == 0)
        load->count = 0;
    return left == 0;
}

static void forget_tickets(struct load *load)
{
    for (size_t i = 0; i < load->count; i++)
        if (load->keys[i] != UINT64_MAX)
            spool_ticket_forget(load->rig.spool, &load->tickets[i]);
    load->count = 0;
}

static void acknowledge(struct load *load, unsigned most)
{
    for (int r = 0; r < RIG_ROUTES; r++)
        for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
            struct spool_mark mark;
            struct record record;
            spool_reader_start(&load->rig.reader, load->rig.routes[r], lane);
            for (unsigned i = 0;
                 i < most && spool_reader_next(&load->rig.reader, &record, &mark.previous) == E_OK;
                 i++) {
                mark.sequence = record.sequence;
                report(load, (struct report){.kind = REPORT_ACKNOWLEDGED,
                                             .lane = (uint8_t)lane,
                                             .route = (uint8_t)r,
                                             .sequence = record.sequence});
                spool_route_ack(load->rig.routes[r], lane, &mark, 1, SPOOL_DELIVERED);
            }
        }
}

/* Until a commit has held or something has failed. */
static void commit(struct load *load)
{
    struct spool_status status;
    spool_get_status(load->rig.spool, &status);
    uint64_t before = status.commits;
    int64_t end_ms = clock_mono_ms() + RIG_WAIT_MS;
    spool_commit_soon(load->rig.spool);
    do {
        (void)usleep(LOOK_US);
        spool_get_status(load->rig.spool, &status);
        (void)all_accepted(load);
    } while (status.commits == before && load->failed() == 0 && clock_mono_ms() < end_ms);
}

/* ---- what must not ---- */

static void open_spool(struct load *load)
{
    if (!try_open(load))
        end(load, "it does not open when nothing fails");
}

static void settle(struct load *load)
{
    int64_t end_ms = clock_mono_ms() + RIG_WAIT_MS;
    while (!all_accepted(load)) {
        if (clock_mono_ms() >= end_ms)
            end(load, "nothing is accepted when nothing fails");
        (void)usleep(LOOK_US);
    }
    if (!rig_commit(&load->rig))
        end(load, "no commit holds when nothing fails");
    report(load, (struct report){.kind = REPORT_COMMITTED});
}

static void stop(struct load *load)
{
    if (spool_stop(load->rig.spool, clock_mono_ms() + RIG_WAIT_MS) < 0)
        end(load, "it does not stop when nothing fails");
    spool_close(load->rig.spool);
    load->rig.spool = NULL;
}

/* ---- the operations: what comes before, and what is done while calls fail ---- */

static void prepare_some(struct load *load)
{
    open_spool(load);
    append_some(load, 12, 2000);
    settle(load);
}

static void prepare_full(struct load *load)
{
    open_spool(load);
    for (int i = 0; i < 4; i++) {
        append_some(load, 24, 3500);
        settle(load);
    }
}

static void prepare_stopped(struct load *load)
{
    prepare_some(load);
    stop(load);
}

static void prepare_killed(struct load *load)
{
    prepare_some(load);
    spool_abandon(load->rig.spool);
    load->rig.spool = NULL;
}

static void prepare_small(struct load *load)
{
    prepare_stopped(load);
    load->size_bytes = LARGE;
}

static void prepare_large(struct load *load)
{
    load->size_bytes = LARGE;
    prepare_stopped(load);
    load->size_bytes = MEDIUM;
}

static void do_append(struct load *load)
{
    append_some(load, 6, 5000);
    commit(load);
}

/* No more than the head of a small file holds: while nothing can be written more would wait. */
static void do_evict(struct load *load)
{
    append_some(load, 5, 2500);
    commit(load);
}

static void do_start(struct load *load)
{
    if (try_open(load))
        do_append(load);
}

static void do_drain(struct load *load)
{
    acknowledge(load, 3);
    commit(load);
    acknowledge(load, 3);
    append_some(load, 2, 100);
    commit(load);
}

static void do_stop(struct load *load)
{
    append_some(load, 3, 1000);
    int rc = spool_stop(load->rig.spool, clock_mono_ms() + RIG_WAIT_MS);
    if (rc < 0)
        log_error("did-not-stop error=\"%s\"", ERROR_TEXT(rc));
    (void)all_accepted(load);
    forget_tickets(load);
    spool_close(load->rig.spool);
    load->rig.spool = NULL;
}

static void prepare_nothing(struct load *load)
{
    (void)load;
}

static const struct operation {
    const char *name;
    void (*prepare)(struct load *load);
    void (*run)(struct load *load);
    bool full;
} operations[] = {
    {"create", prepare_nothing, do_start, false},  {"append", prepare_some, do_append, false},
    {"drain", prepare_some, do_drain, false},      {"evict", prepare_full, do_evict, true},
    {"restart", prepare_stopped, do_start, false}, {"recover", prepare_killed, do_start, false},
    {"stop", prepare_some, do_stop, false},        {"grow", prepare_small, do_start, false},
    {"shrink", prepare_large, do_start, false},
};

/* The fault is over: whatever it left goes on by itself, also what did not even start. */
static void go_on(struct load *load)
{
    if (load->rig.spool == NULL)
        open_spool(load);
    append(load, LANE_BULK, 700);
    append(load, LANE_NORMAL, 0);
    settle(load);
}

static bool find_failer(struct load *load)
{
    *(void **)&load->arm = dlsym(RTLD_DEFAULT, "failer_arm");
    *(void **)&load->disarm = dlsym(RTLD_DEFAULT, "failer_disarm");
    *(void **)&load->calls = dlsym(RTLD_DEFAULT, "failer_calls");
    *(void **)&load->failed = dlsym(RTLD_DEFAULT, "failer_failed");
    *(void **)&load->failed_files = dlsym(RTLD_DEFAULT, "failer_failed_files");
    return load->arm != NULL && load->disarm != NULL && load->calls != NULL &&
           load->failed != NULL && load->failed_files != NULL;
}

int main(int argc, char **argv)
{
    static struct load load;
    const char *reports = getenv("POWERCUT_REPORT");
    for (size_t i = 0; argc == 3 && i < sizeof operations / sizeof operations[0]; i++) {
        if (strcmp(operations[i].name, argv[1]) != 0)
            continue;
        load.path = argv[2];
        load.full = operations[i].full;
        load.size_bytes = load.full ? SMALL : MEDIUM;
        load.report_fd = reports == NULL ? -1 : atoi(reports);
        if (!find_failer(&load) || stop_event_open(&load.event_fd) < 0)
            break;
        operations[i].prepare(&load);
        load.arm();
        operations[i].run(&load);
        load.disarm();
        go_on(&load);
        end(&load, NULL);
    }
    (void)fprintf(stderr, "usage: LD_PRELOAD=failer iofault_load OPERATION DIRECTORY\n");
    return 2;
}
