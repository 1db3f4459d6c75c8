/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/control/human.h"
#include "agent/control/text.h"
#include "platform/base/error.h"
#include "platform/fs.h"
#include "platform/json/json_write.h"

enum { FLOAT_BYTES = 32 };

static double float64_from_bits(uint64_t bits)
{
    double number;
    memcpy(&number, &bits, sizeof(number));
    return number;
}

/* The fewest digits that give the same number back. */
static void format_float64(char text[FLOAT_BYTES], uint64_t bits)
{
    double number = float64_from_bits(bits);
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, FLOAT_BYTES, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            return;
    }
}

void status_warn(struct status *status, const char *text)
{
    if (text != NULL && status->warning_count < STATUS_WARNINGS_MAX)
        status->warnings[status->warning_count++] = text;
}

/* ---- JSON ---- */

static void json_age(struct json_write *json, const char *key, int64_t age_ms)
{
    if (age_ms < 0)
        json_write_null(json, key);
    else
        json_write_decimal(json, key, age_ms, 3);
}

void status_write_value(struct json_write *json, const char *key, const struct value *value)
{
    char number[FLOAT_BYTES];
    switch (value->kind) {
    case VALUE_ABSENT:
        break;
    case VALUE_DECIMAL:
        json_write_decimal(json, key, value->mantissa, value->decimals);
        break;
    case VALUE_FLOAT64:
        format_float64(number, value->float64_bits);
        json_write_key(json, key);
        writer_text(json->writer, number);
        break;
    case VALUE_TEXT:
        json_write_text_bytes(json, key, value->text, value->text_bytes);
        break;
    }
}

static void json_lanes(struct json_write *json, const struct status *status)
{
    json_write_object_begin(json, "lanes");
    for (size_t i = 0; i < STATUS_LANES; i++) {
        const struct status_lane *lane = &status->lanes[i];
        json_write_object_begin(json, lane->name);
        json_write_unsigned(json, "pending", lane->pending);
        json_write_unsigned(json, "refused", lane->refused);
        json_write_unsigned(json, "stored", lane->stored);
        json_write_unsigned(json, "stored_bytes", lane->stored_bytes);
        json_age(json, "oldest_age_s", lane->oldest_age_ms);
        json_write_object_end(json);
    }
    json_write_object_end(json);
}

static void json_counters(struct json_write *json, const char *lane,
                          const struct status_counters *counters)
{
    json_write_object_begin(json, lane);
    json_write_unsigned(json, "accepted", counters->accepted);
    json_write_unsigned(json, "delivered", counters->delivered);
    json_write_unsigned(json, "stored", counters->stored);
    json_write_unsigned(json, "dead", counters->dead);
    json_write_unsigned(json, "evicted", counters->evicted);
    json_write_object_end(json);
}

static void json_route(struct json_write *json, const struct status *status,
                       const struct status_route *route)
{
    json_write_object_begin(json, route->name);
    json_write_text(json, "destination", route->destination);
    json_write_text(json, "state", route->state);
    json_write_text(json, "error", route->error);
    json_write_boolean(json, "hold", route->hold);
    json_write_object_begin(json, "lanes");
    for (size_t i = 0; i < STATUS_LANES; i++) {
        if (route->lanes[i])
            json_counters(json, status->lanes[i].name, &route->counters[i]);
    }
    json_write_object_end(json);
    json_write_unsigned(json, "requests", route->requests);
    json_write_unsigned(json, "retried", route->retried);
    json_write_unsigned(json, "throttled", route->throttled);
    json_write_unsigned(json, "bytes_out", route->bytes_out);
    json_write_unsigned(json, "bytes_in", route->bytes_in);
    json_write_unsigned(json, "handshakes", route->handshakes);
    json_write_unsigned(json, "resumed", route->resumed);
    json_write_unsigned(json, "credentials_failures", route->credentials_failures);
    json_write_unsigned(json, "dns_failures", route->dns_failures);
    json_age(json, "delivered_age_s", route->delivered_age_ms);
    json_write_object_end(json);
}

static void json_sensor(struct json_write *json, const struct status_sensor *sensor)
{
    json_write_object_begin(json, sensor->name);
    json_write_text(json, "driver", sensor->driver);
    json_write_unsigned(json, "samples", sensor->samples);
    json_write_unsigned(json, "errors", sensor->errors);
    json_write_unsigned(json, "missed", sensor->missed);
    json_write_unsigned(json, "suppressed", sensor->suppressed);
    json_write_unsigned(json, "unfit", sensor->unfit);
    json_write_text(json, "error", sensor->error);
    json_write_text(json, "lack", sensor->lack);
    json_age(json, "age_s", sensor->age_ms);
    json_write_object_begin(json, "values");
    for (size_t i = 0; i < sensor->channel_count; i++)
        status_write_value(json, sensor->channels[i].name, &sensor->values[i]);
    json_write_object_end(json);
    json_write_object_end(json);
}

static void json_sensors(struct json_write *json, const struct status *status)
{
    json_write_object_begin(json, "sensors");
    for (size_t i = 0; i < status->sensor_count; i++) {
        struct status_sensor sensor = {.age_ms = STATUS_NEVER};
        status->sensor(status->sensor_context, i, &sensor);
        json_sensor(json, &sensor);
    }
    json_write_object_end(json);
}

#ifdef CONFIG_COAP
static void json_coap_sensors(struct json_write *json, const struct status_coap *coap)
{
    struct status_coap_sensor sensor;
    json_write_object_begin(json, "sensors");
    for (size_t i = 0; coap->sensor(coap->sensor_context, i, &sensor); i++) {
        json_write_object_begin(json, sensor.name);
        json_write_unsigned(json, "messages", sensor.messages);
        json_write_unsigned(json, "records", sensor.records);
        json_write_unsigned(json, "refused", sensor.refused);
        json_write_unsigned(json, "faults", sensor.faults);
        json_age(json, "age_s", sensor.age_ms);
        json_write_object_end(json);
    }
    json_write_object_end(json);
}

static void json_coap(struct json_write *json, const struct status_coap *coap)
{
    if (coap->listen_count == 0)
        return;
    json_write_object_begin(json, "coap");
    json_write_array_begin(json, "listen");
    for (size_t i = 0; coap->error == NULL && i < coap->listen_count; i++)
        json_write_text(json, NULL, coap->listen[i]);
    json_write_array_end(json);
    if (coap->error != NULL)
        json_write_text(json, "error", coap->error);
    json_write_unsigned(json, "sessions", coap->sessions);
    json_write_unsigned(json, "waiting", coap->waiting);
    json_write_unsigned(json, "transfers", coap->transfers);
    json_write_unsigned(json, "identities", coap->identities);
    json_write_unsigned(json, "messages", coap->messages);
    json_write_unsigned(json, "accepted", coap->accepted);
    json_write_unsigned(json, "repeated", coap->repeated);
    json_write_unsigned(json, "throttled", coap->throttled);
    json_write_unsigned(json, "handshakes_failed", coap->handshakes_failed);
    json_write_object_begin(json, "answers");
    for (size_t i = 0; i < STATUS_ANSWERS && coap->codes[i] != NULL; i++)
        json_write_unsigned(json, coap->codes[i], coap->answers[i]);
    json_write_object_end(json);
    json_coap_sensors(json, coap);
    json_write_object_end(json);
}
#endif

static void json_warnings(struct json_write *json, const struct status *status)
{
    json_write_array_begin(json, "warnings");
    for (size_t i = 0; i < status->warning_count; i++)
        json_write_text(json, NULL, status->warnings[i]);
    json_write_array_end(json);
}

static void json_config(struct json_write *json, const struct status_config *config)
{
    json_write_object_begin(json, "config");
    json_write_text(json, "state", config->state);
    json_write_text(json, "origin", config->origin);
    json_write_text(json, "file", config->file);
    json_write_text(json, "store", config->store);
    if (strcmp(config->state, "trial") == 0)
        json_write_signed(json, "left_s", config->left_ms / 1000);
    json_write_text(json, "last_trial", config->result);
    if (config->result != NULL)
        json_write_text(json, "last_document", config->document);
    if (config->result != NULL && strcmp(config->result, "reverted") == 0) {
        json_write_object_begin(json, "reverted");
        json_write_text(json, "route", config->route);
        json_write_text(json, "error", config->error);
        json_write_object_end(json);
    }
    json_write_object_end(json);
}

static void json_agent(struct json_write *json, const struct status *status)
{
    char since[HUMAN_DATE_BYTES];
    human_date(status->counters_since_ms, since);
    json_write_text(json, "device", status->device);
    json_write_text(json, "spool", status->spool);
    json_write_text(json, "version", status->version);
    json_write_text(json, "config_id", status->config_id);
    json_config(json, &status->config);
    json_write_signed(json, "uptime_s", status->uptime_ms / 1000);
    json_write_boolean(json, "healthy", status->healthy);
    json_write_text(json, "problem", status->problem);
    json_warnings(json, status);
    json_write_boolean(json, "durable", status->durable);
    json_write_unsigned(json, "set_aside", status->aside);
    json_write_text(json, "counters_since", since);
    json_write_object_begin(json, "clock");
    json_write_text(json, "quality", status->clock_quality);
    json_write_signed(json, "offset_ms", status->clock_offset_ms);
    json_write_object_end(json);
}

static void json_date(struct json_write *json, const char *key, int64_t wall_ms)
{
    char date[HUMAN_DATE_BYTES];
    human_date(wall_ms, date);
    json_write_text(json, key, wall_ms == 0 ? NULL : date);
}

static void json_link(struct json_write *json, const struct status_link *link)
{
    json_write_object_begin(json, "link");
    json_write_unsigned(json, "month_bytes", link->month_bytes);
    if (link->limit_bytes == 0)
        json_write_null(json, "month_limit");
    else
        json_write_unsigned(json, "month_limit", link->limit_bytes);
    json_date(json, "month_ends", link->until_wall_ms);
    json_write_boolean(json, "paused", link->paused);
    json_date(json, "paused_until", link->paused ? link->until_wall_ms : 0);
    json_write_object_end(json);
}

static void json_certificate(struct json_write *json, const struct status_certificate *certificate)
{
    if (certificate->file == NULL) {
        json_write_null(json, "certificate");
        return;
    }
    json_write_object_begin(json, "certificate");
    json_write_text(json, "file", certificate->file);
    json_date(json, "expires", certificate->expires_ms);
    if (certificate->has_days)
        json_write_signed(json, "days", certificate->days);
    else
        json_write_null(json, "days");
    json_write_object_end(json);
}

static void json_confined(struct json_write *json, const struct status_confined *confined)
{
    json_write_object_begin(json, "confined");
    json_write_text(json, "user", confined->user);
    json_write_text(json, "capabilities", confined->capabilities);
    json_write_text(json, "seccomp", confined->seccomp);
    json_write_object_end(json);
}

static void json_resources(struct json_write *json, const struct status *status)
{
    json_write_object_begin(json, "dead");
    json_write_unsigned(json, "letters", status->dead_letters);
    json_write_unsigned(json, "bytes", status->dead_bytes);
    json_write_object_end(json);
    json_link(json, &status->link);
    json_certificate(json, &status->certificate);
    json_confined(json, &status->confined);
    json_write_object_begin(json, "flash");
    json_write_unsigned(json, "commits", status->flash_commits);
    json_write_unsigned(json, "bytes", status->flash_bytes);
    json_write_unsigned(json, "today_bytes", status->flash_today_bytes);
    json_write_unsigned(json, "size_bytes", status->flash_size_bytes);
    json_write_unsigned(json, "used_bytes", status->flash_used_bytes);
    json_write_object_end(json);
    json_write_object_begin(json, "memory");
    json_write_unsigned(json, "rss", status->memory_rss_bytes);
    json_write_unsigned(json, "private", status->memory_private_bytes);
    json_write_object_end(json);
}

void status_write_json(const struct status *status, struct writer *out)
{
    struct json_write json;
    json_write_start(&json, out);
    json_write_object_begin(&json, NULL);
    json_agent(&json, status);
    json_lanes(&json, status);
    json_write_object_begin(&json, "routes");
    for (size_t i = 0; i < status->route_count; i++)
        json_route(&json, status, &status->routes[i]);
    json_write_object_end(&json);
    json_sensors(&json, status);
#ifdef CONFIG_COAP
    json_coap(&json, &status->coap);
#endif
    json_resources(&json, status);
    json_write_object_end(&json);
}

/* ---- text ---- */

static void text_config(struct writer *out, const struct status_config *config)
{
    if (strcmp(config->state, "trial") == 0)
        text_line(out, "configuration on trial for another %s, then the one before comes back",
                  HUMAN_AGE_TEXT(config->left_ms));
    else if (strcmp(config->state, "applied") == 0)
        text_line(out, "configuration applied (%s), in the main file's place", config->origin);
    if (config->result == NULL || strcmp(config->result, "reverted") != 0)
        return;
    text_line(out, "the last one applied did not pass its trial%s%s:",
              config->route[0] != '\0' ? ", route " : "", config->route);
    text_paragraph(out, config->error);
}

static void text_agent(struct writer *out, const struct status *status)
{
    char since[HUMAN_DATE_BYTES];
    human_date(status->counters_since_ms, since);
    text_line(out, "runnel %s on %s: %s", status->version, status->device,
              status->healthy ? "healthy" : "NOT HEALTHY");
    if (status->problem != NULL)
        text_paragraph(out, status->problem);
    for (size_t i = 0; i < status->warning_count; i++)
        text_headed(out, "warning: ", status->warnings[i]);
    text_line(out, "up %s, clock %s, memory %s, configuration %s",
              HUMAN_AGE_TEXT(status->uptime_ms), status->clock_quality,
              HUMAN_BYTES_TEXT(status->memory_private_bytes), status->config_id);
    text_config(out, &status->config);
    text_line(out, "runs as %s, capabilities %s, filter of system calls %s", status->confined.user,
              status->confined.capabilities, status->confined.seccomp);
    text_line(out, "counters since %.19sZ", since);
}

static void text_lanes(struct writer *out, const struct status *status)
{
    writer_char(out, '\n');
    text_line(out, "%-8s %10s %12s %10s %8s %10s", "lane", "pending", "stored", "bytes", "oldest",
              "refused");
    for (size_t i = 0; i < STATUS_LANES; i++) {
        const struct status_lane *lane = &status->lanes[i];
        bool empty = lane->pending == 0 && lane->stored == 0;
        text_line(out, "%-8s %10" PRIu64 " %12" PRIu64 " %10s %8s %10" PRIu64, lane->name,
                  lane->pending, lane->stored, HUMAN_BYTES_TEXT(lane->stored_bytes),
                  empty ? "-" : HUMAN_AGE_TEXT(lane->oldest_age_ms), lane->refused);
    }
    text_line(out, "spool %s: %s of %s used", status->spool,
              HUMAN_BYTES_TEXT(status->flash_used_bytes),
              HUMAN_BYTES_TEXT(status->flash_size_bytes));
    text_line(out, "  %s written today, %s in %" PRIu64 " commits since the start",
              HUMAN_BYTES_TEXT(status->flash_today_bytes), HUMAN_BYTES_TEXT(status->flash_bytes),
              status->flash_commits);
    if (status->dead_letters > 0)
        text_line(out, "  %" PRIu64 " dead letters (%s): runnel dead list says why",
                  status->dead_letters, HUMAN_BYTES_TEXT(status->dead_bytes));
}

/* Without a limit the routes say enough. */
static void text_link(struct writer *out, const struct status_link *link)
{
    char date[HUMAN_DATE_BYTES];
    char until[64] = "";
    if (link->limit_bytes == 0)
        return;
    human_date(link->until_wall_ms, date);
    if (link->until_wall_ms != 0)
        snprintf(until, sizeof(until), ", %s %.10s 00:00 UTC",
                 link->paused ? "paused until" : "which ends", date);
    text_line(out, "link: %s of %s this month%s", HUMAN_BYTES_TEXT(link->month_bytes),
              HUMAN_BYTES_TEXT(link->limit_bytes), until);
}

static void add_counters(struct status_counters *sum, const struct status_counters *counters)
{
    sum->accepted += counters->accepted;
    sum->delivered += counters->delivered;
    sum->stored += counters->stored;
    sum->dead += counters->dead;
    sum->evicted += counters->evicted;
}

/* On one line if it fits, else with what the parts are on a line of their own: a figure that the
 * edge cut off would be taken for another. */
static void text_sum(struct writer *out, const struct status_counters *sum)
{
    char whole[64];
    char parts[128];
    int whole_count = snprintf(whole, sizeof(whole), "accepted %" PRIu64 " = delivered %" PRIu64,
                               sum->accepted, sum->delivered);
    int parts_count =
        snprintf(parts, sizeof(parts), "+ stored %" PRIu64 " + dead %" PRIu64 " + evicted %" PRIu64,
                 sum->stored, sum->dead, sum->evicted);
    if (whole_count + parts_count + (int)strlen("   ") < TEXT_LINE_BYTES) {
        text_line(out, "  %s %s", whole, parts);
        return;
    }
    text_line(out, "  %s", whole);
    text_line(out, "    %s", parts);
}

static void text_requests(struct writer *out, const struct status_route *route)
{
    char requests[128];
    char bytes[64];
    int requests_count =
        snprintf(requests, sizeof(requests),
                 "requests %" PRIu64 ", throttled %" PRIu64 ", records sent again %" PRIu64,
                 route->requests, route->throttled, route->retried);
    int bytes_count =
        snprintf(bytes, sizeof(bytes), "%s out, %s in", HUMAN_BYTES_TEXT(route->bytes_out),
                 HUMAN_BYTES_TEXT(route->bytes_in));
    if (requests_count + bytes_count + (int)strlen("  ; ") < TEXT_LINE_BYTES) {
        text_line(out, "  %s; %s", requests, bytes);
        return;
    }
    text_line(out, "  %s", requests);
    text_line(out, "  %s", bytes);
}

static void text_route(struct writer *out, const struct status_route *route)
{
    struct status_counters sum = {0};
    for (size_t i = 0; i < STATUS_LANES; i++) {
        if (route->lanes[i])
            add_counters(&sum, &route->counters[i]);
    }
    writer_char(out, '\n');
    text_line(out, "route %s (%s): %s, last delivery %s%s", route->name, route->destination,
              route->state, HUMAN_AGE_TEXT(route->delivered_age_ms),
              route->delivered_age_ms < 0 ? "" : " ago");
    if (route->error != NULL)
        text_paragraph(out, route->error);
    text_sum(out, &sum);
    text_requests(out, route);
    if (route->handshakes > 0)
        text_line(out,
                  "  connections %" PRIu64 ", of these by the session of the one before %" PRIu64,
                  route->handshakes, route->resumed);
    if (route->credentials_failures > 0)
        text_line(out, "  tries without keys: %" PRIu64, route->credentials_failures);
    if (route->dns_failures > 0)
        text_line(out, "  without an answer of a name server: %" PRIu64 " times",
                  route->dns_failures);
}

/* A sensor's values behind its numbers, and where they do not fit in lines below: none is cut. */
struct value_lines {
    struct writer *out;
    char line[TEXT_LINE_BYTES];
    size_t used, head; /* bytes of the line, and of these what stands before values */
};

static void add_piece(struct value_lines *lines, const char *piece)
{
    static const char indent[] = "    ";
    size_t left = sizeof(lines->line) - sizeof(",") - lines->used;
    if (lines->used > lines->head && strlen(", ") + strlen(piece) > left) {
        text_line(lines->out, "%s,", lines->line);
        lines->used = lines->head = strlen(indent);
        memcpy(lines->line, indent, sizeof(indent));
    }
    snprintf(lines->line + lines->used, sizeof(lines->line) - lines->used, "%s%s",
             lines->used > lines->head ? ", " : "", piece);
    lines->used = strlen(lines->line);
}

static void add_value(struct value_lines *lines, const struct channel *channel,
                      const struct value *value)
{
    char text[FLOAT_BYTES * 2];
    char float64[FLOAT_BYTES];
    char piece[TEXT_LINE_BYTES];
    struct writer number;
    writer_to_memory(&number, text, sizeof(text) - 1);
    if (value->kind == VALUE_DECIMAL)
        writer_decimal(&number, value->mantissa, value->decimals);
    else if (value->kind == VALUE_TEXT) {
        writer_bytes(&number, value->text,
                     value->text_bytes < FLOAT_BYTES ? value->text_bytes : FLOAT_BYTES);
        writer_text(&number, value->text_bytes > FLOAT_BYTES ? ".." : "");
    } else if (value->kind == VALUE_FLOAT64) {
        format_float64(float64, value->float64_bits);
        writer_text(&number, float64);
    }
    if (value->kind == VALUE_ABSENT || writer_finish(&number) < 0)
        return;
    snprintf(piece, sizeof(piece), "%s %s%s%s", channel->name, text,
             channel->unit[0] != '\0' ? " " : "", channel->unit);
    add_piece(lines, piece);
}

/* A name that is wider than its column has a line of its own. */
static void text_numbers(struct writer *out, const struct status_sensor *sensor)
{
    enum { NAME_COLUMNS = 16 };
    struct value_lines lines = {.out = out};
    bool is_long = strlen(sensor->name) > NAME_COLUMNS;
    if (is_long)
        text_line(out, "%s", sensor->name);
    snprintf(lines.line, sizeof(lines.line), "%-16s %9" PRIu64 " %7" PRIu64 " %7s  ",
             is_long ? "" : sensor->name, sensor->samples, sensor->errors,
             HUMAN_AGE_TEXT(sensor->age_ms));
    lines.used = lines.head = strlen(lines.line);
    for (size_t i = 0; i < sensor->channel_count; i++)
        add_value(&lines, &sensor->channels[i], &sensor->values[i]);
    text_line(out, "%s", lines.line);
}

static void text_sensor(struct writer *out, const struct status_sensor *sensor)
{
    text_numbers(out, sensor);
    if (sensor->suppressed > 0)
        text_line(out, "  %" PRIu64 " more samples were suppressed by its transforms",
                  sensor->suppressed);
    if (sensor->unfit > 0)
        text_line(out, "  %" PRIu64 " values became absent: out of the range of numbers",
                  sensor->unfit);
    if (sensor->lack != NULL)
        text_paragraph(out, sensor->lack);
    if (sensor->error != NULL)
        text_paragraph(out, sensor->error);
}

static void text_sensors(struct writer *out, const struct status *status)
{
    if (status->sensor_count == 0)
        return;
    writer_char(out, '\n');
    text_line(out, "%-16s %9s %7s %7s  %s", "sensor", "samples", "errors", "age", "values");
    for (size_t i = 0; i < status->sensor_count; i++) {
        struct status_sensor sensor = {.age_ms = STATUS_NEVER};
        status->sensor(status->sensor_context, i, &sensor);
        text_sensor(out, &sensor);
    }
}

#ifdef CONFIG_COAP
static void text_coap(struct writer *out, const struct status_coap *coap)
{
    struct status_coap_sensor sensor;
    if (coap->listen_count == 0)
        return;
    writer_char(out, '\n');
    text_line(out, "coap: %" PRIu64 " messages, accepted %" PRIu64 ", throttled %" PRIu64,
              coap->messages, coap->accepted, coap->throttled);
    if (coap->error != NULL)
        text_headed(out, "is closed: ", coap->error);
    text_line(out, "  peers %zu, waiting %zu, transfers %zu; handshakes that failed %" PRIu64,
              coap->sessions, coap->waiting, coap->transfers, coap->handshakes_failed);
    for (size_t i = 0; coap->sensor(coap->sensor_context, i, &sensor); i++) {
        if (i == 0)
            text_line(out, "  %-16s %9s %9s %7s %7s %7s", "sensor", "messages", "records",
                      "refused", "faults", "age");
        text_line(out, "  %-16.16s %9" PRIu64 " %9" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7s",
                  sensor.name, sensor.messages, sensor.records, sensor.refused, sensor.faults,
                  HUMAN_AGE_TEXT(sensor.age_ms));
    }
}
#endif

void status_write_text(const struct status *status, struct writer *out)
{
    text_agent(out, status);
    text_lanes(out, status);
    text_link(out, &status->link);
    for (size_t i = 0; i < status->route_count; i++)
        text_route(out, &status->routes[i]);
    text_sensors(out, status);
#ifdef CONFIG_COAP
    text_coap(out, &status->coap);
#endif
}

/* ---- memory ---- */

/* Adds the number of kB behind KEY at the start of a line. */
static bool add_kilobytes(const char *text, const char *key, uint64_t *bytes)
{
    size_t key_count = strlen(key);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, key_count) != 0)
            continue;
        *bytes += (uint64_t)strtoull(line + key_count, NULL, 10) * 1024;
        return true;
    }
    return false;
}

int status_measure_memory(const char *path, uint64_t *ret_rss_bytes, uint64_t *ret_private_bytes)
{
    char text[2048];
    uint64_t rss = 0;
    uint64_t private_bytes = 0;
    int result = fs_read_file(path, text, sizeof(text));
    if (result < 0)
        return result;
    if (!add_kilobytes(text, "Rss:", &rss) ||
        !add_kilobytes(text, "Private_Dirty:", &private_bytes))
        return E_DAMAGED;
    *ret_rss_bytes = rss;
    *ret_private_bytes = private_bytes;
    return 0;
}
