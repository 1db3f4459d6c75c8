/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fault/powercut_identity.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/stop.h"
#include "tests/fault/powercut_rig.h"

enum { ITEMS_MAX = 2048, OWN_ROUNDS = 3 };

/* The keys of the check's own records: above those of all loads. */
#define OWN_KEYS (UINT64_C(1) << 40)

struct item {
    uint64_t id; /* of the spool that took it */
    uint64_t key;
    uint64_t sequence; /* 0: not known, the cut came while it was being appended */
    uint32_t bytes;
    enum lane lane;
    bool stored; /* it lay in a stored file: the key is its digest */
    bool owed[RIG_ROUTES];
    bool acked[RIG_ROUTES];     /* this route may have it for good */
    bool recent[RIG_ROUTES];    /* acknowledged since the last start */
    bool committed[RIG_ROUTES]; /* and that is on flash */
    bool buried[RIG_ROUTES];    /* it may be a letter of this route */
    bool purged[RIG_ROUTES];    /* that may be gone */
    bool seen[RIG_ROUTES];      /* in its lane */
    bool letter[RIG_ROUTES];
};

struct check {
    struct rig rig;
    struct item items[ITEMS_MAX];
    size_t count;
    uint64_t id;
    uint64_t size_bytes;
    uint64_t compared;
    int verdict_fd;
};

__attribute__((format(printf, 2, 3), noreturn)) static void fail(const struct check *check,
                                                                 const char *format, ...)
{
    va_list arguments;
    char text[512];
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)dprintf(check->verdict_fd, "FAIL %s\n", text);
    _exit(0);
}

/* ---- what had been promised ---- */

static struct item *add(struct check *check, const struct report *report)
{
    if (check->count == ITEMS_MAX)
        fail(check, "the list is too short");
    struct item *item = &check->items[check->count++];
    *item = (struct item){.id = check->id,
                          .key = report->key,
                          .lane = (enum lane)report->lane,
                          .bytes = report->bytes};
    return item;
}

static struct item *find(struct check *check, uint64_t id, uint64_t sequence)
{
    for (size_t i = check->count; i-- > 0;)
        if (check->items[i].id == id && check->items[i].sequence == sequence)
            return &check->items[i];
    return NULL;
}

static struct item *find_key(struct check *check, uint64_t key)
{
    for (size_t i = check->count; i-- > 0;)
        if (check->items[i].key == key && !check->items[i].stored)
            return &check->items[i];
    fail(check, "the reports name a key that was never appended: %" PRIu64, key);
}

/* The one that a report means; after a first cut that may be the one whose appending it cut. */
static struct item *find_reported(struct check *check, const struct report *report)
{
    struct item *item = find(check, report->key, report->sequence);
    for (size_t i = check->count; item == NULL && i-- > 0;)
        if (check->items[i].sequence == 0 && check->items[i].lane == report->lane &&
            check->items[i].id == report->key)
            item = &check->items[i];
    if (item == NULL)
        fail(check, "invented: route %u was given %" PRIx64 "/%" PRIu64, report->route, report->key,
             report->sequence);
    item->sequence = report->sequence;
    return item;
}

/* What no commit had written of the acknowledgements is forgotten by a start, and where another
 * spool begins, blocks of which a part was acknowledged come back as a whole. */
static void note_start(struct check *check, uint64_t id)
{
    for (size_t i = 0; i < check->count; i++) {
        memset(check->items[i].recent, 0, sizeof check->items[i].recent);
        if (check->id != id)
            memset(check->items[i].committed, 0, sizeof check->items[i].committed);
    }
    check->id = id;
}

static void note_committed(struct check *check)
{
    for (size_t i = 0; i < check->count; i++)
        for (int r = 0; r < RIG_ROUTES; r++)
            check->items[i].committed[r] |= check->items[i].recent[r];
}

static void note_numbered(struct check *check, const struct report *report)
{
    if (find(check, check->id, report->sequence) != NULL)
        fail(check, "repeated: sequence %" PRIu64 " was given out before", report->sequence);
    find_key(check, report->key)->sequence = report->sequence;
}

static void note_accepted(struct item *item)
{
    for (int r = 0; r < RIG_ROUTES; r++)
        item->owed[r] = true;
}

static void note_held(struct check *check, const struct report *report)
{
    struct item *item = find(check, check->id, report->sequence);
    if (item == NULL)
        item = add(check, report);
    item->stored = true;
    item->sequence = report->sequence;
    item->owed[report->route] = true;
}

/* Where what was reported concerns one route of a record. */
static void note_fate(struct check *check, const struct report *report)
{
    struct item *item = find_reported(check, report);
    int r = report->route;
    if (report->kind == REPORT_ACKNOWLEDGED)
        item->acked[r] = item->recent[r] = true;
    else if (report->kind == REPORT_PURGED)
        item->purged[r] = true;
    else
        item->buried[r] = true;
    item->owed[r] |= report->kind == REPORT_BURIED;
}

static void note(struct check *check, const struct report *report)
{
    switch ((enum report_kind)report->kind) {
    case REPORT_IDENTITIES:
        break;
    case REPORT_OPENED:
        note_start(check, report->sequence);
        check->size_bytes = report->key;
        break;
    case REPORT_APPENDING:
        (void)add(check, report);
        break;
    case REPORT_NUMBERED:
        note_numbered(check, report);
        break;
    case REPORT_ACCEPTED:
        note_accepted(find_key(check, report->key));
        break;
    case REPORT_HELD:
        note_held(check, report);
        break;
    case REPORT_COMMITTED:
        note_committed(check);
        break;
    default:
        note_fate(check, report);
    }
}

bool identity_is_told(const char *reports, size_t bytes)
{
    struct report report;
    bool found = false;
    FILE *file = fopen(reports, "re");
    for (size_t i = 0; file != NULL && !found && i < bytes / sizeof report; i++)
        found = fread(&report, sizeof report, 1, file) == 1 && report.kind == REPORT_IDENTITIES;
    if (file != NULL)
        (void)fclose(file);
    return found;
}

static void read_reports(struct check *check, const char *path, size_t bytes)
{
    struct report report;
    FILE *file = fopen(path, "re");
    for (size_t i = 0; i < bytes / sizeof report; i++) {
        if (file == NULL || fread(&report, sizeof report, 1, file) != 1)
            fail(check, "%s is too short", path);
        note(check, &report);
    }
    if (file != NULL)
        (void)fclose(file);
}

/* ---- what is there ---- */

static void open_spool(struct check *check, const char *path)
{
    char fault[SPOOL_FAULT_BYTES] = "";
    struct spool_status status;
    uint64_t size_bytes = check->size_bytes == 0 ? 1024 * 1024 : check->size_bytes;
    int rc = rig_open(&check->rig, path, size_bytes, false, fault);
    if (rc < 0)
        fail(check, "closed: it does not open: %s (%s)", ERROR_TEXT(rc), fault);
    if (!rig_wait_salvaged(&check->rig))
        fail(check, "closed: the salvage does not end");
    if (!rig_commit(&check->rig)) /* letters whose records are owed go with the first */
        fail(check, "closed: nothing is committed");
    spool_get_status(check->rig.spool, &status);
    if (status.aside > 0)
        fail(check, "closed: %u files stay aside", status.aside);
    note_start(check, rig_id(&check->rig));
}

static bool is_content(struct check *check, const struct record *record, const struct item *item)
{
    if (item->lane != record->lane)
        return false;
    return item->stored ? rig_digest(&check->rig, record) == item->key
                        : rig_is_content(&check->rig, record, item->key, item->bytes);
}

/* The one whose appending the cut interrupted has no number yet. */
static struct item *find_unnumbered(struct check *check, const struct record *record)
{
    for (size_t i = 0; i < check->count; i++) {
        struct item *item = &check->items[i];
        if (item->sequence == 0 && item->id == record->identity.spool_id &&
            is_content(check, record, item)) {
            item->sequence = record->identity.sequence;
            return item;
        }
    }
    return NULL;
}

static struct item *recognize(struct check *check, int r, const struct record *record)
{
    const struct record_identity *identity = &record->identity;
    struct item *item = find(check, identity->spool_id, identity->sequence);
    check->compared++;
    if (item != NULL && !is_content(check, record, item))
        fail(check, "altered: route %d, %" PRIx64 "/%" PRIu64 " of lane %s", r, identity->spool_id,
             identity->sequence, lane_name(record->lane));
    if (item == NULL)
        item = find_unnumbered(check, record);
    if (item == NULL)
        fail(check, "invented: route %d, %" PRIx64 "/%" PRIu64 " of lane %s", r, identity->spool_id,
             identity->sequence, lane_name(record->lane));
    return item;
}

static void read_lane(struct check *check, int r, enum lane lane)
{
    struct spool_counters c;
    struct record record;
    uint64_t previous;
    uint64_t found = 0;
    int rc;
    spool_reader_start(&check->rig.reader, check->rig.routes[r], lane);
    while ((rc = spool_reader_next(&check->rig.reader, &record, &previous)) == E_OK) {
        struct item *item = recognize(check, r, &record);
        found++;
        if (item->seen[r])
            fail(check, "twice: route %d is given %" PRIx64 "/%" PRIu64, r, item->id,
                 item->sequence);
        if (item->committed[r])
            fail(check,
                 "again: route %d is given %" PRIx64 "/%" PRIu64
                 ", which it had acknowledged before a commit",
                 r, item->id, item->sequence);
        item->seen[r] = true;
    }
    if (rc != E_END)
        fail(check, "damaged: route %d cannot read lane %s: %s", r, lane_name(lane),
             ERROR_TEXT(rc));
    spool_route_counters(check->rig.routes[r], lane, &c);
    if (c.stored != found || c.accepted != c.delivered + c.stored + c.dead + c.evicted ||
        c.evicted > 0)
        fail(check,
             "accounts: route %d lane %s: accepted %" PRIu64 " delivered %" PRIu64
             " stored %" PRIu64 " dead %" PRIu64 " evicted %" PRIu64 "; found %" PRIu64,
             r, lane_name(lane), c.accepted, c.delivered, c.stored, c.dead, c.evicted, found);
}

static void read_letters(struct check *check)
{
    struct spool_letter letter;
    struct record record;
    int rc = spool_dead_next(check->rig.spool, NULL, &letter);
    for (; rc == E_OK; rc = spool_dead_next(check->rig.spool, &letter, &letter)) {
        int r = rig_find_route(letter.route_name);
        rc = spool_dead_open(&check->rig.reader, check->rig.spool, &letter, &record);
        if (rc < 0 || r == RIG_ROUTES)
            fail(check, "damaged: the letter %" PRIu64 " of %s cannot be read: %s", letter.place,
                 letter.route_name, ERROR_TEXT(rc));
        struct item *item = recognize(check, r, &record);
        if (!item->buried[r])
            fail(check, "invented: %" PRIu64 " is a letter of route %d", item->sequence, r);
        if (item->seen[r])
            fail(check, "twice: route %d is owed a letter, %" PRIx64 "/%" PRIu64, r, item->id,
                 item->sequence);
        item->letter[r] = true;
    }
    if (rc != E_END)
        fail(check, "damaged: no letters can be read: %s", ERROR_TEXT(rc));
}

static void check_owed(const struct check *check, int r)
{
    for (size_t i = 0; i < check->count; i++) {
        const struct item *item = &check->items[i];
        if (item->owed[r] && !item->acked[r] && !item->purged[r] && !item->seen[r] &&
            !item->letter[r])
            fail(check, "lost: %" PRIx64 "/%" PRIu64 " of lane %s for route %d%s", item->id,
                 item->sequence, lane_name(item->lane), r, item->buried[r] ? ", as a letter" : "");
    }
}

static void check_all(struct check *check)
{
    for (size_t i = 0; i < check->count; i++) {
        memset(check->items[i].seen, 0, sizeof check->items[i].seen);
        memset(check->items[i].letter, 0, sizeof check->items[i].letter);
    }
    for (int r = 0; r < RIG_ROUTES; r++)
        for (enum lane lane = 0; lane < LANE_COUNT; lane++)
            read_lane(check, r, lane);
    read_letters(check);
    for (int r = 0; r < RIG_ROUTES; r++)
        check_owed(check, r);
}

/* ---- it goes on ---- */

static struct item *append(struct check *check, enum lane lane, size_t bytes)
{
    struct report report = {.lane = (uint8_t)lane, .bytes = (uint32_t)bytes};
    report.key = OWN_KEYS + check->count;
    (void)add(check, &report);
    int rc = rig_append(&check->rig, lane, report.key, bytes, &report.sequence);
    if (rc < 0)
        fail(check, "closed: it takes no record: %s", ERROR_TEXT(rc));
    note_numbered(check, &report);
    return &check->items[check->count - 1];
}

static void wait_for_acceptance(struct check *check, struct item *item, int event_fd)
{
    const struct stop never = {.fd = -1};
    struct spool_ticket ticket = {
        .lane = item->lane, .sequence = item->sequence, .event_fd = event_fd};
    spool_ticket_wait(check->rig.spool, &ticket);
    if (stop_wait(&never, event_fd, POLLIN, clock_mono_ms() + RIG_WAIT_MS) < 0)
        fail(check, "closed: nothing is accepted");
    stop_event_drain(event_fd);
    note_accepted(item);
}

/* Several commits, so that pages which the file calls free are used again. */
static void write_more(struct check *check)
{
    int event_fd;
    if (stop_event_open(&event_fd) != 0)
        fail(check, "no eventfd");
    for (int i = 0; i < OWN_ROUNDS; i++)
        for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
            note_accepted(append(check, lane, 0));
            wait_for_acceptance(check, append(check, lane, i == 1 ? 9000 : 300), event_fd);
        }
    (void)close(event_fd);
}

/* Everything is acknowledged, and the next start knows it; letters stay. */
static void drain(struct check *check, const char *path)
{
    struct record record;
    struct spool_mark mark;
    for (int r = 0; r < RIG_ROUTES; r++)
        for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
            spool_reader_start(&check->rig.reader, check->rig.routes[r], lane);
            while (spool_reader_next(&check->rig.reader, &record, &mark.previous) == E_OK) {
                struct item *item = find(check, record.identity.spool_id, record.identity.sequence);
                mark.sequence = record.sequence;
                spool_route_ack(check->rig.routes[r], lane, &mark, 1, SPOOL_DELIVERED);
                item->acked[r] = item->recent[r] = !item->letter[r];
            }
        }
    int rc = spool_stop(check->rig.spool, clock_mono_ms() + RIG_WAIT_MS);
    if (rc < 0)
        fail(check, "closed: it does not stop: %s", ERROR_TEXT(rc));
    spool_close(check->rig.spool);
    note_committed(check);
    open_spool(check, path);
    check_all(check);
    spool_abandon(check->rig.spool);
}

_Noreturn void identity_check(int verdict_fd, const char *path, const char *reports, size_t bytes)
{
    static struct check check;
    check.verdict_fd = verdict_fd;
    read_reports(&check, reports, bytes);
    open_spool(&check, path);
    check_all(&check);
    write_more(&check);
    check_all(&check);
    drain(&check, path);
    (void)dprintf(verdict_fd, "ok %" PRIu64 "\n", check.compared);
    _exit(0);
}
