/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/batch/inspect.h"

#include <inttypes.h>
#include <string.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"

/* What a step looks at, at most: it may run in a thread that serves others, too. */
enum { RECORDS_MAX = 1000 };

/* Constant, so that the compiler drops what only this leads to. */
#ifdef CONFIG_COMMAND_DEAD
#define HAS_DEAD true
#else
#define HAS_DEAD false
#endif

#ifdef CONFIG_COMMAND_LOG
#define HAS_LOG true
#else
#define HAS_LOG false
#endif

static int parse(struct inspect *inspect, const char *request)
{
    static const char *const names[] = {"show", "export", "check"};
    size_t count = strcspn(request, " ");
    const char *rest = request + count + (request[count] == ' ');
    int what = 0;
    while (what <= INSPECT_CHECK &&
           (strlen(names[what]) != count || memcmp(names[what], request, count) != 0))
        what++;
    if (what > INSPECT_CHECK)
        return E_INVALID;
    inspect->what = (enum inspect_what)what;
    inspect->last = LANE_COUNT - 1;
    if (*rest == '\0')
        return E_OK;
    if (what != INSPECT_EXPORT) {
        inspect->json = strcmp(rest, "json") == 0;
        return inspect->json ? E_OK : E_INVALID;
    }
    inspect->lane = inspect->last = lane_find(rest);
    return inspect->lane == LANE_COUNT ? E_NOT_FOUND : E_OK;
}

static int parse_any(struct inspect *inspect, const char *request)
{
    if (HAS_DEAD && strncmp(request, "dead ", 5) == 0)
        return inspect_dead_parse(inspect, request + 5);
    if (HAS_LOG && strncmp(request, "log", 3) == 0 && (request[3] == ' ' || request[3] == '\0'))
        return inspect_log_parse(inspect, request + 3 + (request[3] == ' '));
    return parse(inspect, request);
}

int inspect_start(struct inspect *inspect, struct spool *spool, const char *request)
{
    uint8_t id[SPOOL_ID_BYTES];
    struct inspect start = {.spool = spool};
    int rc = parse_any(&start, request);
    if (rc < 0)
        return rc;
    start.end = spool_next_sequence(spool);
    spool_get_id(spool, id);
    bytes_put_hex(start.id, id, sizeof id);
    *inspect = start;
    return E_OK;
}

/* ---- a record ---- */

static int next_piece(void *context, const uint8_t **ret_piece, size_t *ret_bytes)
{
    return spool_reader_piece(context, ret_piece, ret_bytes);
}

int inspect_record(struct inspect *inspect, struct spool_reader *reader,
                   const struct record *record, struct writer *out)
{
    struct render_json render = {.sensor = spool_sensor(inspect->spool, record->sensor),
                                 .piece = next_piece,
                                 .context = reader};
    int rc = render_json(&render, record, out);
    writer_char(out, '\n');
    return rc;
}

/* The values were decoded when the record was read; a document's pieces are read here. */
static int check_record(struct spool_reader *reader, const struct record *record)
{
    const uint8_t *piece;
    size_t bytes;
    size_t total = record->document_piece_bytes;
    int rc = record->shape == RECORD_DOCUMENT ? E_OK : E_END;
    while (rc == E_OK) {
        rc = spool_reader_piece(reader, &piece, &bytes);
        total += rc == E_OK ? bytes : 0;
    }
    if (rc != E_END)
        return rc;
    return record->shape == RECORD_DOCUMENT && total != record->document_bytes ? E_DAMAGED : E_OK;
}

static void note_damage(struct inspect *inspect, uint64_t first, struct writer *out)
{
    const char *lane = lane_name(inspect->lane);
    inspect->damaged++;
    if (inspect->what != INSPECT_CHECK)
        return;
    if (inspect->json)
        writer_format(out, "%s{\"lane\":\"%s\",\"first\":%" PRIu64 "}", inspect->comma ? "," : "",
                      lane, first);
    else
        writer_format(out, "damaged: lane %s, from sequence %" PRIu64 "\n", lane, first);
    inspect->comma = true;
}

/* One record, or something damaged; what was written of the latter is taken back. */
static int take_record(struct inspect *inspect, struct spool_reader *reader, struct writer *out)
{
    const struct spool_position at = inspect->position;
    const struct writer before = *out;
    struct record record;
    uint64_t previous;
    int rc = spool_reader_next(reader, &record, &previous);
    if (rc == E_OK && record.sequence >= inspect->end)
        return E_END;
    if (rc == E_OK && inspect->what == INSPECT_EXPORT)
        rc = inspect_record(inspect, reader, &record, out);
    else if (rc == E_OK)
        rc = check_record(reader, &record);
    inspect->records += rc == E_OK;
    if (rc == E_DAMAGED || rc == E_VERSION || rc == E_CHANGED)
        *out = before;
    if (rc == E_DAMAGED || rc == E_VERSION)
        note_damage(inspect, spool_walk_damaged(reader, &at), out);
    /* E_CHANGED: the record was delivered and deleted while its pieces were read. */
    if (rc == E_DAMAGED || rc == E_VERSION || rc == E_CHANGED)
        rc = E_OK;
    if (out->error < 0)
        rc = out->error;
    inspect->position = spool_walk_position(reader);
    return rc;
}

static void next_lane(struct inspect *inspect)
{
    inspect->lane = inspect->lane == inspect->last ? LANE_COUNT : inspect->lane + 1;
    inspect->position = (struct spool_position){0};
}

static int take_records(struct inspect *inspect, struct writer *out)
{
    struct spool_reader reader;
    spool_walk_start(&reader, inspect->spool, inspect->lane, &inspect->position);
    for (unsigned i = 0; i < RECORDS_MAX; i++) {
        const struct inspect here = *inspect;
        const struct writer before = *out;
        int rc = take_record(inspect, &reader, out);
        if (rc == E_END) {
            next_lane(inspect);
            return E_OK;
        }
        if (rc < 0) {
            *inspect = here;
            *out = before;
            return rc == E_TOO_BIG && i > 0 ? E_OK : rc;
        }
    }
    return E_OK;
}

/* ---- the steps ---- */

static void begin_check(struct inspect *inspect, struct writer *out)
{
    if (inspect->json && inspect->records + inspect->damaged == 0 && inspect->lane == LANE_ALARM &&
        inspect->position.next == 0)
        writer_text(out, "{\"damaged\":[");
}

static void end_check(struct inspect *inspect, struct writer *out)
{
    bool sound = inspect->damaged == 0;
    if (inspect->json)
        writer_format(out, "],\"records\":%" PRIu64 ",\"sound\":%s}\n", inspect->records,
                      sound ? "true" : "false");
    else
        writer_format(out, "%s: %" PRIu64 " records can be read, %" PRIu64 " blocks cannot\n",
                      sound ? "sound" : "damaged", inspect->records, inspect->damaged);
}

static int step_records(struct inspect *inspect, struct writer *out)
{
    if (inspect->what == INSPECT_CHECK)
        begin_check(inspect, out);
    if (inspect->lane < LANE_COUNT)
        return take_records(inspect, out);
    inspect->ended = true;
    if (inspect->what == INSPECT_CHECK)
        end_check(inspect, out);
    return E_OK;
}

static int step_show(struct inspect *inspect, struct writer *out)
{
    if (inspect->next_event == 0) {
        inspect_show_spool(inspect, out);
        return E_OK;
    }
    int rc = inspect_log_event(inspect, out);
    if (rc != E_END)
        return rc;
    inspect_show_end(inspect, out);
    inspect->ended = true;
    return E_OK;
}

static int step(struct inspect *inspect, struct writer *out)
{
    if (HAS_DEAD && inspect->what == INSPECT_DEAD)
        return inspect_dead_next(inspect, out);
    if (HAS_LOG && inspect->what == INSPECT_LOG)
        return inspect_log_next(inspect, out);
    return inspect->what == INSPECT_SHOW ? step_show(inspect, out) : step_records(inspect, out);
}

int inspect_next(struct inspect *inspect, struct writer *out)
{
    const struct inspect start = *inspect;
    const struct writer before = *out;
    if (inspect->ended)
        return E_END;
    int rc = step(inspect, out);
    if (rc == E_OK)
        rc = out->error;
    if (rc < 0 && rc != E_AGAIN) {
        *inspect = start;
        *out = before;
    }
    return rc;
}
