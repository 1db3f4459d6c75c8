/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/batch/inspect.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/json/json_write.h"

/* What a step looks at, at most, and how long it waits for letters to go: less than whoever asked
 * waits for the next part of the answer. */
enum { LETTERS_MAX = 100, GONE_MS = 20000 };

/* Minutes leave the reason some room in 80 columns. */
enum { LINE_CHARS = 80, MINUTES_CHARS = 16 };
enum { LETTER_ID_BYTES = SPOOL_ROUTE_NAME_BYTES + 21 };

/* ---- the request ---- */

/* "*", "ROUTE" or "ROUTE/PLACE". */
static int parse_which(struct inspect_dead *dead, const char *which, size_t count)
{
    const char *slash = memchr(which, '/', count);
    size_t route_bytes = slash != NULL ? (size_t)(slash - which) : count;
    char *end;
    if (count == 1 && *which == '*')
        return E_OK;
    if (route_bytes == 0 || route_bytes >= sizeof dead->route)
        return E_INVALID;
    memcpy(dead->route, which, route_bytes);
    if (slash == NULL)
        return E_OK;
    errno = 0;
    dead->place = strtoull(slash + 1, &end, 10);
    bool number = slash[1] >= '1' && slash[1] <= '9' && errno == 0 && end == which + count;
    return number ? E_OK : E_INVALID;
}

int inspect_dead_parse(struct inspect *inspect, const char *request)
{
    static const char *const names[] = {"list", "show", "export", "resend", "purge"};
    struct inspect_dead *dead = &inspect->dead;
    size_t count = strcspn(request, " ");
    const char *which = request + count + (request[count] == ' ');
    size_t which_bytes = strcspn(which, " ");
    int action = 0;
    while (action <= DEAD_PURGE &&
           (strlen(names[action]) != count || memcmp(names[action], request, count) != 0))
        action++;
    if (action > DEAD_PURGE)
        return E_INVALID;
    inspect->what = INSPECT_DEAD;
    dead->action = (enum inspect_dead_action)action;
    inspect->json = action == DEAD_LIST && strcmp(which + which_bytes, " json") == 0;
    if (which[which_bytes] != '\0' && !inspect->json)
        return E_INVALID;
    return parse_which(dead, which, which_bytes);
}

/* ---- letters ---- */

static bool is_wanted(const struct inspect *inspect, const struct spool_letter *letter)
{
    const struct inspect_dead *dead = &inspect->dead;
    return letter->place < inspect->end && (dead->place == 0 || dead->place == letter->place) &&
           (dead->route[0] == '\0' || strcmp(dead->route, letter->route_name) == 0);
}

/* The next letter that was asked for; the caller passes it. E_END, or the spool's errors. */
static int next_wanted(struct inspect *inspect, struct spool_letter *ret_letter)
{
    struct spool_letter after = {.route = inspect->dead.passed.route,
                                 .place = inspect->dead.passed.place};
    for (;;) {
        int rc = spool_dead_next(inspect->spool, &after, ret_letter);
        if (rc < 0 || is_wanted(inspect, ret_letter))
            return rc;
        after = *ret_letter;
    }
}

static void pass(struct inspect *inspect, const struct spool_letter *letter)
{
    inspect->dead.passed = (struct inspect_place){.route = letter->route, .place = letter->place};
}

static const char *id_text(const struct spool_letter *letter, char text[LETTER_ID_BYTES])
{
    (void)snprintf(text, LETTER_ID_BYTES, "%s/%" PRIu64, letter->route_name, letter->place);
    return text;
}

/* What a destination said cannot leave its line or reach the terminal. */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

/* A letter and the record in it, as far as it can be read. */
struct opened {
    struct spool_letter letter;
    struct spool_reader reader;
    struct record record;
    const struct sensor_definition *sensor; /* NULL: it cannot */
};

static int open_record(struct inspect *inspect, struct opened *opened)
{
    int rc = spool_dead_open(&opened->reader, inspect->spool, &opened->letter, &opened->record);
    opened->sensor = rc == E_OK ? spool_sensor(inspect->spool, opened->record.sensor) : NULL;
    if (rc == E_OK && opened->sensor == NULL)
        rc = E_DAMAGED;
    return rc;
}

static void spool_text(const struct opened *opened, char text[INSPECT_ID_BYTES])
{
    uint8_t id[SPOOL_ID_BYTES];
    bytes_put_be64(id, opened->record.identity.spool_id);
    bytes_put_hex(text, id, sizeof id);
}

/* ---- list ---- */

static void list_json(const struct opened *opened, struct writer *out)
{
    const struct spool_letter *letter = &opened->letter;
    char id[LETTER_ID_BYTES];
    char spool[INSPECT_ID_BYTES];
    char time[RENDER_JSON_TIME_BYTES];
    struct json_write json;
    (void)render_json_time(letter->wall_ms, time);
    json_write_start(&json, out);
    json_write_object_begin(&json, NULL);
    json_write_text(&json, "id", id_text(letter, id));
    json_write_text(&json, "route", letter->route_name);
    json_write_text(&json, "lane", lane_name(letter->lane));
    if (opened->sensor != NULL) {
        spool_text(opened, spool);
        json_write_text(&json, "spool", spool);
        json_write_unsigned(&json, "seq", opened->record.identity.sequence);
        json_write_text(&json, "sensor", opened->sensor->name);
    } else {
        json_write_null(&json, "spool");
        json_write_null(&json, "seq");
        json_write_null(&json, "sensor");
    }
    json_write_text(&json, "time", time);
    json_write_unsigned(&json, "attempts", letter->attempts);
    json_write_boolean(&json, "queued", letter->queued);
    json_write_text(&json, "reason", letter->reason);
    json_write_object_end(&json);
    writer_char(out, '\n');
}

static void list_text(const struct opened *opened, struct writer *out)
{
    const struct spool_letter *letter = &opened->letter;
    char id[LETTER_ID_BYTES];
    char time[RENDER_JSON_TIME_BYTES];
    char line[LINE_CHARS + SPOOL_ROUTE_NAME_BYTES + SPOOL_REASON_BYTES];
    (void)render_json_time(letter->wall_ms, time);
    (void)snprintf(line, sizeof line, "%-18s %-10.10s %.*sZ %5u  %s%s", id_text(letter, id),
                   opened->sensor != NULL ? opened->sensor->name : "-", (int)MINUTES_CHARS, time,
                   letter->attempts, letter->queued ? "queued: " : "", letter->reason);
    line[LINE_CHARS] = '\0';
    make_printable(line);
    writer_text(out, line);
    writer_char(out, '\n');
}

static void list_head(const struct inspect *inspect, struct writer *out)
{
    if (inspect->dead.action == DEAD_LIST && !inspect->json)
        writer_text(out, "LETTER             SENSOR     WHEN              TRIES  REASON\n");
}

/* ---- show ---- */

static void show_letter(const struct opened *opened, struct writer *out)
{
    const struct spool_letter *letter = &opened->letter;
    char id[LETTER_ID_BYTES];
    char spool[INSPECT_ID_BYTES];
    char time[RENDER_JSON_TIME_BYTES];
    char reason[SPOOL_REASON_BYTES];
    (void)render_json_time(letter->wall_ms, time);
    memcpy(reason, letter->reason, sizeof reason);
    make_printable(reason);
    spool_text(opened, spool);
    writer_format(out, "letter    %s\nlane      %s\n", id_text(letter, id),
                  lane_name(letter->lane));
    writer_format(out, "spool     %s\nseq       %" PRIu64 "\n", spool,
                  opened->record.identity.sequence);
    writer_format(out, "sensor    %s\ngiven up  %s\n", opened->sensor->name, time);
    writer_format(out, "attempts  %u\nqueued    %s\n", letter->attempts,
                  letter->queued ? "yes, for the next start" : "no");
    writer_format(out, "reason    %s\n", reason);
}

/* One letter, or what was written of it taken back. */
static int write_letter(struct inspect *inspect, struct opened *opened, struct writer *out)
{
    const struct writer before = *out;
    enum inspect_dead_action action = inspect->dead.action;
    int rc = open_record(inspect, opened);
    if (action == DEAD_LIST && (rc == E_OK || rc == E_DAMAGED)) {
        (inspect->json ? list_json : list_text)(opened, out);
        rc = E_OK;
    } else if (rc == E_OK) {
        if (action == DEAD_SHOW)
            show_letter(opened, out);
        rc = inspect_record(inspect, &opened->reader, &opened->record, out);
    }
    if (out->error < 0)
        rc = out->error;
    if (rc < 0)
        *out = before;
    return rc;
}

static int write_letters(struct inspect *inspect, struct writer *out)
{
    struct opened opened;
    for (unsigned i = 0; i < LETTERS_MAX; i++) {
        int rc = next_wanted(inspect, &opened.letter);
        if (rc == E_END) {
            inspect->ended = true;
            return E_OK;
        }
        if (rc == E_OK)
            rc = write_letter(inspect, &opened, out);
        if (rc == E_TOO_BIG)
            return i > 0 ? E_OK : rc;
        /* E_NOT_FOUND, E_CHANGED: it went meanwhile. */
        if (rc < 0 && rc != E_DAMAGED && rc != E_VERSION && rc != E_NOT_FOUND && rc != E_CHANGED)
            return rc;
        inspect->records += rc == E_OK;
        inspect->damaged += rc == E_DAMAGED || rc == E_VERSION;
        pass(inspect, &opened.letter);
    }
    return E_OK;
}

/* ---- resend, purge ---- */

static void complain(struct inspect *inspect, const struct spool_letter *letter, const char *why,
                     struct writer *out)
{
    char id[LETTER_ID_BYTES];
    inspect->damaged++;
    writer_format(out, "%s: %s\n", id_text(letter, id), why);
}

static int change_stopped(struct inspect *inspect, struct writer *out)
{
    struct spool_letter letter;
    for (unsigned i = 0; i < LETTERS_MAX; i++) {
        int rc = next_wanted(inspect, &letter);
        if (rc == E_END) {
            inspect->ended = true;
            return E_OK;
        }
        if (rc == E_OK)
            rc = spool_dead_change(inspect->spool, &letter, inspect->dead.action == DEAD_RESEND);
        if (rc == E_DAMAGED)
            complain(inspect, &letter, "it is damaged", out);
        else if (rc < 0)
            return rc;
        inspect->records += rc == E_OK;
        pass(inspect, &letter);
    }
    return E_OK;
}

/* Asks for as many as are waited for together. E_AGAIN: nothing could be asked for yet. */
static int ask(struct inspect *inspect, struct writer *out)
{
    struct inspect_dead *dead = &inspect->dead;
    struct spool_letter letter;
    for (unsigned i = 0; i < LETTERS_MAX && dead->asked_count < INSPECT_ASKED_MAX; i++) {
        int rc = next_wanted(inspect, &letter);
        if (rc == E_END) {
            dead->all_asked = true;
            return E_OK;
        }
        if (rc == E_OK)
            rc = spool_dead_ask(inspect->spool, &letter, dead->action == DEAD_RESEND);
        if (rc == E_AGAIN)
            return dead->asked_count > 0 ? E_OK : rc;
        if (rc == E_NOT_FOUND)
            complain(inspect, &letter, "its route does not run; only purge it, or start it", out);
        else if (rc == E_UNSUPPORTED)
            complain(inspect, &letter, "nothing is held for its route; only purge it", out);
        else if (rc < 0)
            return rc;
        pass(inspect, &letter);
        if (rc == E_OK)
            dead->asked[dead->asked_count++] = dead->passed;
        if (out->error < 0)
            return out->error;
    }
    return E_OK;
}

/* Whether PLACE still has its letter. */
static int find_letter(struct inspect *inspect, const struct inspect_place *place,
                       struct spool_letter *ret_letter)
{
    const struct spool_letter before = {.route = place->route, .place = place->place - 1};
    int rc = spool_dead_next(inspect->spool, &before, ret_letter);
    bool other =
        rc == E_OK && (ret_letter->route != place->route || ret_letter->place != place->place);
    return other || rc == E_END ? E_NOT_FOUND : rc;
}

/* Counts those that are gone; what stays too long is told. E_AGAIN: some are not gone yet. */
static int await(struct inspect *inspect, struct writer *out)
{
    struct inspect_dead *dead = &inspect->dead;
    bool late = clock_mono_ms() >= dead->deadline_ms;
    struct spool_letter letter;
    while (dead->asked_count > 0) {
        int rc = find_letter(inspect, &dead->asked[dead->asked_count - 1], &letter);
        if (rc == E_OK && !late)
            return E_AGAIN;
        if (rc == E_OK)
            complain(inspect, &letter,
                     "it is still there after 20 s; runnel status says whether the spool can be "
                     "written and has room",
                     out);
        else if (rc != E_NOT_FOUND)
            return rc;
        inspect->records += rc == E_NOT_FOUND;
        dead->asked_count--;
    }
    dead->deadline_ms = 0;
    inspect->ended = dead->all_asked;
    return out->error;
}

static int change_running(struct inspect *inspect, struct writer *out)
{
    struct inspect_dead *dead = &inspect->dead;
    int rc = E_OK;
    if (dead->deadline_ms == 0)
        dead->deadline_ms = clock_mono_ms() + GONE_MS;
    if (dead->asked_count == 0)
        rc = ask(inspect, out);
    if (rc == E_AGAIN && clock_mono_ms() >= dead->deadline_ms)
        return E_TIMEOUT;
    return rc < 0 || writer_total_bytes(out) > 0 ? rc : await(inspect, out);
}

/* ---- the step ---- */

int inspect_dead_next(struct inspect *inspect, struct writer *out)
{
    struct inspect_dead *dead = &inspect->dead;
    if (!dead->begun) {
        dead->begun = true;
        list_head(inspect, out);
        return out->error;
    }
    if (dead->action < DEAD_RESEND)
        return write_letters(inspect, out);
    return dead->stopped ? change_stopped(inspect, out) : change_running(inspect, out);
}
