/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts the spool that a power cut left and compares it with what had been promised.
 *
 * usage: powercut_check DIRECTORY REPORTS BYTES     one state; DIRECTORY is changed
 *        powercut_check                             one such line per state on stdin
 *
 * REPORTS is a file with what powercut_load had reported; its first BYTES count. Answers `ok` and
 * the number of records that were compared, or `FAIL` and the reason. Each state has a process of
 * its own: whatever kills it is a failure.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"
#include "platform/stop.h"
#include "tests/fault/powercut_identity.h"
#include "tests/fault/powercut_rig.h"

enum { ITEMS_MAX = 8192, TIMEOUT_S = 60, CPU_S = 3, OWN_ROUNDS = 3, LINE_BYTES = 4096 };

/* The keys of the check's own records: above those of all loads. */
#define OWN_KEYS (UINT64_C(1) << 40)

struct item {
    uint64_t key;
    uint64_t sequence; /* 0: not known, the cut came while it was being appended */
    uint32_t bytes;
    enum lane lane;
    bool accepted;
    bool dropped;
    bool acked[RIG_ROUTES];     /* this route may have it for good */
    bool recent[RIG_ROUTES];    /* acknowledged since the last start */
    bool committed[RIG_ROUTES]; /* and that is on flash */
    bool seen[RIG_ROUTES];
};

struct lane_sum {
    uint64_t seen;
    uint64_t lowest_seen;
    uint64_t missing;
    uint64_t highest_missing;
};

struct check {
    struct rig rig;
    struct item items[ITEMS_MAX];
    size_t count;
    uint64_t id;
    uint64_t size_bytes;
    bool full;
    uint64_t highest; /* sequence that was given out */
    uint64_t compared;
};

/* A verdict counts once its process is gone, with all that its threads do in the directory. */
static int verdict_fd;

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
    va_list arguments;
    char text[512];
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)dprintf(verdict_fd, "FAIL %s\n", text);
    _exit(0);
}

/* ---- what had been promised ---- */

static struct item *find_key(struct check *check, uint64_t key)
{
    for (size_t i = check->count; i-- > 0;)
        if (check->items[i].key == key)
            return &check->items[i];
    fail("the reports name a key that was never appended: %" PRIu64, key);
}

/* Sequences ascend with the list; those without one are looked at last. */
static struct item *find_sequence(struct check *check, uint64_t sequence)
{
    size_t from = 0;
    size_t to = check->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        size_t at = middle;
        while (at < to && check->items[at].sequence == 0)
            at++;
        if (at == to || check->items[at].sequence > sequence)
            to = middle;
        else if (check->items[at].sequence < sequence)
            from = at + 1;
        else
            return &check->items[at];
    }
    return NULL;
}

/* That everything is gone is right only if nothing was owed. */
static void expect_nothing_owed(const struct check *check)
{
    for (size_t i = 0; i < check->count; i++) {
        const struct item *item = &check->items[i];
        bool gone = item->dropped || !item->accepted;
        for (int r = 0; r < RIG_ROUTES && !gone; r++)
            if (!item->acked[r])
                fail("lost: the spool is another one, and record %" PRIu64 " of lane %s with it",
                     item->sequence, lane_name(item->lane));
    }
}

/* What no commit had written of the acknowledgements is forgotten by a start. */
static void forget_recent(struct check *check)
{
    for (size_t i = 0; i < check->count; i++)
        memset(check->items[i].recent, 0, sizeof check->items[i].recent);
}

static void note_opened(struct check *check, const struct report *report)
{
    if (check->id != 0 && check->id != report->sequence) {
        expect_nothing_owed(check);
        check->count = 0;
        check->highest = 0;
    }
    forget_recent(check);
    check->id = report->sequence;
    check->size_bytes = report->key;
    check->full = report->full != 0;
}

static void note_appending(struct check *check, const struct report *report)
{
    if (check->count == ITEMS_MAX)
        fail("the list is too short");
    check->items[check->count++] =
        (struct item){.key = report->key, .lane = (enum lane)report->lane, .bytes = report->bytes};
}

static void note_numbered(struct check *check, const struct report *report)
{
    if (report->sequence <= check->highest)
        fail("repeated: sequence %" PRIu64 " was given out before", report->sequence);
    check->highest = report->sequence;
    find_key(check, report->key)->sequence = report->sequence;
}

static void note_committed(struct check *check)
{
    for (size_t i = 0; i < check->count; i++)
        for (int r = 0; r < RIG_ROUTES; r++)
            check->items[i].committed[r] |= check->items[i].recent[r];
}

static void note_acknowledged(struct check *check, const struct report *report)
{
    struct item *item = find_sequence(check, report->sequence);
    /* After a first cut a route may deliver the record in whose appending the cut came. */
    for (size_t i = check->count; item == NULL && i-- > 0;)
        if (check->items[i].sequence == 0 && check->items[i].lane == report->lane)
            item = &check->items[i];
    if (item == NULL)
        fail("invented: a route was given %" PRIu64, report->sequence);
    item->sequence = report->sequence;
    item->acked[report->route] = item->recent[report->route] = true;
}

static void note(struct check *check, const struct report *report)
{
    switch ((enum report_kind)report->kind) {
    case REPORT_OPENED:
        note_opened(check, report);
        break;
    case REPORT_APPENDING:
        note_appending(check, report);
        break;
    case REPORT_NUMBERED:
        note_numbered(check, report);
        break;
    case REPORT_ACCEPTED:
        find_key(check, report->key)->accepted = true;
        break;
    case REPORT_DROPPED:
        find_key(check, report->key)->accepted = true;
        find_key(check, report->key)->dropped = true;
        break;
    case REPORT_ACKNOWLEDGED:
        note_acknowledged(check, report);
        break;
    case REPORT_COMMITTED:
        note_committed(check);
        break;
    default:
        fail("a report of an unknown kind");
    }
}

static void read_reports(struct check *check, const char *path, size_t bytes)
{
    struct report report;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        fail("no file %s", path);
    for (size_t i = 0; i < bytes / sizeof report; i++) {
        if (fread(&report, sizeof report, 1, file) != 1)
            fail("%s is too short", path);
        note(check, &report);
    }
    (void)fclose(file);
}

/* ---- what is there ---- */

static void open_spool(struct check *check, const char *path)
{
    char fault[SPOOL_FAULT_BYTES] = "";
    uint64_t size_bytes = check->size_bytes == 0 ? 256 * 1024 : check->size_bytes;
    int rc = rig_open(&check->rig, path, size_bytes, check->full, fault);
    if (rc < 0)
        fail("closed: it does not open: %s (%s)", ERROR_TEXT(rc), fault);
    struct spool_status status;
    spool_get_status(check->rig.spool, &status);
    if (status.aside > 0)
        fail("closed: it was set aside as damaged");
    forget_recent(check);
    if (check->id == rig_id(&check->rig))
        return;
    if (check->id != 0)
        expect_nothing_owed(check);
    check->id = rig_id(&check->rig);
    check->count = 0;
    check->highest = 0;
}

/* The one whose appending the cut interrupted has no number yet. */
static struct item *find_unnumbered(struct check *check, const struct record *record)
{
    for (size_t i = 0; i < check->count; i++) {
        struct item *item = &check->items[i];
        if (item->sequence == 0 && item->lane == record->lane &&
            rig_is_content(&check->rig, record, item->key, item->bytes)) {
            item->sequence = record->sequence;
            return item;
        }
    }
    return NULL;
}

static void compare(struct check *check, int r, const struct record *record)
{
    struct item *item = find_sequence(check, record->sequence);
    if (item == NULL && find_unnumbered(check, record) == NULL)
        fail("invented: route %d is given %" PRIu64 " of lane %s", r, record->sequence,
             lane_name(record->lane));
    check->compared++;
    if (item == NULL)
        item = find_sequence(check, record->sequence);
    else if (item->lane != record->lane ||
             !rig_is_content(&check->rig, record, item->key, item->bytes))
        fail("altered: route %d is given %" PRIu64 " of lane %s", r, record->sequence,
             lane_name(record->lane));
    if (item->committed[r])
        fail("again: route %d is given %" PRIu64 " of lane %s, which it had acknowledged before a "
             "commit",
             r, record->sequence, lane_name(record->lane));
    item->seen[r] = true;
}

static void read_lane(struct check *check, int r, enum lane lane, struct lane_sum *ret_sum)
{
    struct record record;
    uint64_t previous;
    uint64_t last = 0;
    int rc;
    for (size_t i = 0; i < check->count; i++)
        if (check->items[i].lane == lane)
            check->items[i].seen[r] = false;
    *ret_sum = (struct lane_sum){.lowest_seen = UINT64_MAX};
    spool_reader_start(&check->rig.reader, check->rig.routes[r], lane);
    while ((rc = spool_reader_next(&check->rig.reader, &record, &previous)) == E_OK) {
        if (record.sequence <= last)
            fail("twice: route %d is given %" PRIu64 " after %" PRIu64, r, record.sequence, last);
        last = record.sequence;
        if (ret_sum->seen++ == 0)
            ret_sum->lowest_seen = last;
        compare(check, r, &record);
    }
    if (rc != E_END)
        fail("damaged: route %d cannot read lane %s behind %" PRIu64 ": %s", r, lane_name(lane),
             last, ERROR_TEXT(rc));
}

static void count_missing(const struct check *check, int r, enum lane lane, struct lane_sum *sum)
{
    for (size_t i = 0; i < check->count; i++) {
        const struct item *item = &check->items[i];
        if (item->lane != lane || !item->accepted || item->dropped || item->acked[r] ||
            item->seen[r])
            continue;
        sum->missing++;
        sum->highest_missing = item->sequence;
    }
}

/* What is missing must have been evicted: the oldest of its lane, counted, and only where it was
 * full. */
static void check_missing(const struct check *check, int r, enum lane lane,
                          const struct lane_sum *sum, const struct spool_counters *counters)
{
    if (sum->missing == 0)
        return;
    if (!check->full || sum->highest_missing > sum->lowest_seen || sum->missing > counters->evicted)
        fail("lost: %" PRIu64 " accepted records of lane %s for route %d, up to %" PRIu64
             "; %" PRIu64 " were evicted",
             sum->missing, lane_name(lane), r, sum->highest_missing, counters->evicted);
}

/* What the counters may be at least and at most. */
static void check_counters(const struct check *check, int r, enum lane lane,
                           const struct lane_sum *sum, const struct spool_counters *c)
{
    uint64_t appended = 0;
    uint64_t accepted = 0;
    uint64_t acked = 0;
    uint64_t committed = 0;
    for (size_t i = 0; i < check->count; i++) {
        const struct item *item = &check->items[i];
        if (item->lane != lane)
            continue;
        bool delivered = true; /* everywhere: that may never have been on flash */
        for (int other = 0; other < RIG_ROUTES; other++)
            delivered = delivered && item->acked[other];
        appended++;
        accepted += item->accepted && !item->dropped && !delivered;
        acked += item->acked[r];
        committed += item->committed[r];
    }
    bool good = c->stored == sum->seen && c->accepted >= accepted && c->accepted <= appended &&
                c->delivered + c->dead <= acked && c->delivered + c->dead >= committed &&
                c->accepted == c->delivered + c->stored + c->dead + c->evicted &&
                (check->full || c->evicted == 0);
    if (!good)
        fail("accounts: route %d lane %s: accepted %" PRIu64 " delivered %" PRIu64
             " stored %" PRIu64 " dead %" PRIu64 " evicted %" PRIu64 "; found %" PRIu64
             ", appended %" PRIu64 ", accepted at least %" PRIu64 ", acknowledged %" PRIu64
             " to %" PRIu64,
             r, lane_name(lane), c->accepted, c->delivered, c->stored, c->dead, c->evicted,
             sum->seen, appended, accepted, committed, acked);
}

static void check_all(struct check *check)
{
    for (int r = 0; r < RIG_ROUTES; r++)
        for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
            struct spool_counters counters;
            struct spool_backlog backlog;
            struct lane_sum sum;
            read_lane(check, r, lane, &sum);
            count_missing(check, r, lane, &sum);
            spool_route_counters(check->rig.routes[r], lane, &counters);
            check_missing(check, r, lane, &sum, &counters);
            check_counters(check, r, lane, &sum, &counters);
            spool_route_backlog(check->rig.routes[r], lane, &backlog);
            if (backlog.records != sum.seen)
                fail("accounts: route %d lane %s: a backlog of %" PRIu64 ", found %" PRIu64, r,
                     lane_name(lane), backlog.records, sum.seen);
        }
}

/* ---- it goes on ---- */

static void append(struct check *check, enum lane lane, size_t bytes)
{
    struct report report = {.lane = (uint8_t)lane, .bytes = (uint32_t)bytes};
    report.key = OWN_KEYS + check->count;
    note_appending(check, &report);
    int rc = rig_append(&check->rig, lane, report.key, bytes, &report.sequence);
    if (rc < 0)
        fail("closed: it takes no record: %s", ERROR_TEXT(rc));
    note_numbered(check, &report);
}

/* Waits for the record that was appended last; those of its lane before it are accepted too. */
static void wait_for_acceptance(struct check *check, int event_fd)
{
    const struct stop never = {.fd = -1};
    struct item *item = &check->items[check->count - 1];
    struct spool_ticket ticket = {
        .lane = item->lane, .sequence = item->sequence, .event_fd = event_fd};
    spool_ticket_wait(check->rig.spool, &ticket);
    if (stop_wait(&never, event_fd, POLLIN, clock_mono_ms() + RIG_WAIT_MS) < 0)
        fail("closed: nothing is accepted");
    stop_event_drain(event_fd);
    if (!spool_ticket_accepted(check->rig.spool, &ticket))
        fail("closed: a ticket was signalled that is not accepted");
    for (struct item *own = check->items; own <= item; own++)
        own->accepted = own->accepted || (own->lane == item->lane && own->key >= OWN_KEYS);
}

/* Several commits, so that pages which the file calls free are used again: that nothing else
 * lies in them is seen when everything is read once more. */
static void write_more(struct check *check)
{
    int event_fd;
    if (stop_event_open(&event_fd) != 0)
        fail("no eventfd");
    for (int i = 0; i < OWN_ROUNDS; i++)
        for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
            append(check, lane, 0);
            append(check, lane, i == 1 ? 9000 : 300);
            /* drop-newest refuses what comes while its lane is full, which is not lost */
            bool drops = check->rig.options.lanes[lane].full == SPOOL_DROP_NEWEST;
            for (size_t n = 1; drops && n <= 2; n++)
                check->items[check->count - n].dropped = true;
            wait_for_acceptance(check, event_fd);
        }
    (void)close(event_fd);
}

/* Nobody has told a destination of a gap: what was evicted stands in gaps, all of it. */
static void check_gaps(const struct check *check, int r)
{
    uint64_t told[LANE_COUNT] = {0};
    struct spool_gap gap = {.sequence = 0};
    while (spool_gap_next(check->rig.routes[r], gap.sequence, &gap) == E_OK)
        told[gap.lane] += gap.count;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        struct spool_counters counters;
        spool_route_counters(check->rig.routes[r], lane, &counters);
        if (told[lane] != counters.evicted)
            fail("gaps: route %d lane %s: %" PRIu64 " were evicted, the gaps tell of %" PRIu64, r,
                 lane_name(lane), counters.evicted, told[lane]);
    }
}

/* Everything is acknowledged, and the next start knows it. */
static void drain(struct check *check, const char *path)
{
    struct record record;
    struct spool_mark mark;
    for (int r = 0; r < RIG_ROUTES; r++)
        for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
            spool_reader_start(&check->rig.reader, check->rig.routes[r], lane);
            while (spool_reader_next(&check->rig.reader, &record, &mark.previous) == E_OK) {
                mark.sequence = record.sequence;
                spool_route_ack(check->rig.routes[r], lane, &mark, 1, SPOOL_DELIVERED);
                struct item *item = find_sequence(check, record.sequence);
                item->acked[r] = item->recent[r] = true;
            }
        }
    int rc = spool_stop(check->rig.spool, clock_mono_ms() + RIG_WAIT_MS);
    if (rc < 0)
        fail("closed: it does not stop: %s", ERROR_TEXT(rc));
    spool_close(check->rig.spool);
    note_committed(check);
    open_spool(check, path);
    check_all(check);
    for (int r = 0; r < RIG_ROUTES; r++)
        check_gaps(check, r);
    spool_abandon(check->rig.spool);
}

static void check_state(const char *path, const char *reports, size_t bytes)
{
    static struct check check;
    const struct rlimit cpu = {CPU_S, CPU_S};
    (void)setrlimit(RLIMIT_CPU, &cpu); /* a damaged tree may have no end */
    (void)alarm(TIMEOUT_S);
    if (identity_is_told(reports, bytes))
        identity_check(verdict_fd, path, reports, bytes);
    read_reports(&check, reports, bytes);
    open_spool(&check, path);
    check_all(&check);
    write_more(&check);
    check_all(&check);
    drain(&check, path);
    (void)dprintf(verdict_fd, "ok %" PRIu64 "\n", check.compared);
    _exit(0);
}

/* ---- a process for each ---- */

static void check_apart(const char *path, const char *reports, size_t bytes)
{
    char verdict[LINE_BYTES];
    int status = 0;
    int ends[2];
    if (pipe(ends) != 0)
        _exit(1);
    pid_t child = fork();
    if (child == 0) {
        verdict_fd = ends[1];
        check_state(path, reports, bytes);
    }
    (void)close(ends[1]);
    if (child < 0 || waitpid(child, &status, 0) != child)
        _exit(1);
    ssize_t count = read(ends[0], verdict, sizeof verdict); /* a line: the pipe has held it */
    (void)close(ends[0]);
    if (WIFSIGNALED(status))
        (void)printf("FAIL killed: %s\n", strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0 || count <= 0)
        (void)printf("FAIL killed: it ended with %d\n", WEXITSTATUS(status));
    else
        (void)printf("%.*s", (int)count, verdict);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[LINE_BYTES];
    char path[LINE_BYTES];
    char reports[LINE_BYTES];
    size_t bytes;
    if (argc == 4) {
        check_apart(argv[1], argv[2], strtoul(argv[3], NULL, 10));
        return 0;
    }
    log_set_level(LOG_LEVEL_ERROR);
    while (fgets(line, sizeof line, stdin) != NULL)
        if (sscanf(line, "%s %s %zu", path, reports, &bytes) == 3)
            check_apart(path, reports, bytes);
    return 0;
}
