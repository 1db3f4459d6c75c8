/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/batch/inspect.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/json/json_write.h"

enum { SHOWN_EVENTS = 20, SECONDS_CHARS = 19, CONSOLE_CHARS = 80 - SECONDS_CHARS - 11 };

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {"error", "warning", "info"};
    return names[level];
}

/* ---- which ---- */

static void go_back(struct inspect *inspect, uint64_t count)
{
    uint32_t next = spool_walk_next_event(inspect->spool);
    inspect->next_event = count < next ? next - (uint32_t)count : 1;
}

void inspect_log_show(struct inspect *inspect)
{
    go_back(inspect, SHOWN_EVENTS);
}

/* A file that was made anew counts anew: who went on behind the end of the old one begins again. */
static void go_on(struct inspect *inspect, uint64_t from)
{
    uint32_t next = spool_walk_next_event(inspect->spool);
    inspect->next_event = from > 0 && from <= next ? (uint32_t)from : 1;
}

int inspect_log_parse(struct inspect *inspect, const char *request)
{
    uint64_t number = 0;
    inspect->what = INSPECT_LOG;
    inspect->json = strncmp(request, "json", 4) == 0;
    if (inspect->json)
        request += request[4] == ' ' ? 5 : 4;
    inspect->next_event = 1;
    inspect->records = 1;
    if (*request == '\0')
        return E_OK;
    const char *blank = strchr(request, ' ');
    bool last = strncmp(request, "last ", 5) == 0;
    if ((!last && strncmp(request, "from ", 5) != 0) ||
        parse_unsigned(blank + 1, strlen(blank + 1), &number) < 0)
        return E_INVALID;
    if (last)
        go_back(inspect, number);
    else
        go_on(inspect, number);
    inspect->records = inspect->next_event;
    return E_OK;
}

/* ---- one of them ---- */

static void write_json(const struct spool_event *event, bool comma, struct writer *out)
{
    char time[RENDER_JSON_TIME_BYTES];
    struct json_write json;
    json_write_start(&json, out);
    json.comma = comma;
    json_write_object_begin(&json, NULL);
    json_write_unsigned(&json, "number", event->number);
    (void)render_json_time(event->wall_ms, time);
    json_write_text(&json, "ts", time);
    if (event->time_quality != TIME_SYNCED)
        json_write_text(&json, "time_quality",
                        event->time_quality == TIME_CORRECTED ? "corrected" : "estimated");
    json_write_text(&json, "level", level_name(event->level));
    if (event->boot != 0)
        json_write_unsigned(&json, "boot", event->boot);
    json_write_text(&json, "text", event->text);
    json_write_object_end(&json);
}

/* A time that nobody vouches for has a "~". Between other tables a line is one of a console. */
static void write_text(const struct spool_event *event, bool cut, struct writer *out)
{
    char time[RENDER_JSON_TIME_BYTES];
    (void)render_json_time(event->wall_ms, time);
    writer_format(out, "%.*sZ%c %-7s %.*s\n", (int)SECONDS_CHARS, time,
                  event->time_quality == TIME_ESTIMATED ? '~' : ' ', level_name(event->level),
                  cut ? (int)CONSOLE_CHARS : (int)sizeof event->text, event->text);
}

int inspect_log_event(struct inspect *inspect, struct writer *out)
{
    struct spool_event event;
    bool list = inspect->what != INSPECT_LOG;
    int rc = spool_walk_event(inspect->spool, inspect->next_event, &event);
    if (rc < 0)
        return rc == E_NOT_FOUND ? E_END : rc;
    if (!inspect->json && event.boot != 0 && inspect->boot != 0 && event.boot != inspect->boot)
        writer_text(out, "-- the device was started anew --\n");
    if (inspect->json)
        write_json(&event, list && inspect->comma, out);
    else
        write_text(&event, list, out);
    if (inspect->json && !list)
        writer_char(out, '\n');
    inspect->comma = true;
    if (event.boot != 0) /* an earlier version's tells none */
        inspect->boot = event.boot;
    inspect->next_event = event.number + 1;
    return E_OK;
}

int inspect_log_next(struct inspect *inspect, struct writer *out)
{
    int rc = inspect_log_event(inspect, out);
    inspect->records = inspect->next_event;
    return rc;
}
