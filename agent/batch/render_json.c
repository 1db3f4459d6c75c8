/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/batch/render_json.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/control/flat_name.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/json/json_write.h"

enum { MS_PER_DAY = 86400000 };

/* Writes VALUE as exactly COUNT digits, and what follows them. Returns the end. */
static char *put_digits(char *to, unsigned value, unsigned count, char behind)
{
    for (unsigned i = count; i-- > 0; value /= 10)
        to[i] = (char)('0' + value % 10);
    to[count] = behind;
    return to + count + 1;
}

static int64_t within_years(int64_t wall_ms)
{
    const int64_t first = parse_days_from_civil(0, 1, 1) * MS_PER_DAY;
    const int64_t end = parse_days_from_civil(10000, 1, 1) * MS_PER_DAY;
    return wall_ms < first ? first : wall_ms >= end ? end - 1 : wall_ms;
}

size_t render_json_time(int64_t wall_ms, char ret_text[RENDER_JSON_TIME_BYTES])
{
    int64_t held = within_years(wall_ms);
    int64_t days = held / MS_PER_DAY - (held % MS_PER_DAY < 0);
    unsigned ms = (unsigned)(held - days * MS_PER_DAY);
    int64_t year;
    unsigned month, day;
    parse_civil_from_days(days, &year, &month, &day);
    char *to = put_digits(ret_text, (unsigned)year, 4, '-');
    to = put_digits(to, month, 2, '-');
    to = put_digits(to, day, 2, 'T');
    to = put_digits(to, ms / 3600000, 2, ':');
    to = put_digits(to, ms / 60000 % 60, 2, ':');
    to = put_digits(to, ms / 1000 % 60, 2, '.');
    to = put_digits(to, ms % 1000, 3, 'Z');
    *to = '\0';
    return (size_t)(to - ret_text);
}

static bool is_finite(uint64_t bits)
{
    return (bits >> 52 & 0x7ff) != 0x7ff;
}

size_t render_json_float(uint64_t bits, char ret_text[RENDER_JSON_FLOAT_BYTES])
{
    double value;
    memcpy(&value, &bits, sizeof value);
    if (!is_finite(bits))
        return 0;
    /* Any decimal of up to 15 digits survives the way through a normal binary64, so that a shorter
     * one shows as 15 digits with the zeros cut; only below DBL_MIN must fewer be tried. */
    int digits = fabs(value) < DBL_MIN ? 1 : DBL_DIG;
    int count = 0;
    for (; digits <= DBL_DECIMAL_DIG; digits++) {
        count = snprintf(ret_text, RENDER_JSON_FLOAT_BYTES, "%.*g", digits, value);
        if (strtod(ret_text, NULL) == value)
            break;
    }
    return (size_t)count;
}

void render_json_tags(struct json_write *out, const char *name,
                      const struct sensor_definition *sensor)
{
    if (sensor->tag_count == 0)
        return;
    json_write_object_begin(out, name);
    for (size_t i = 0; i < sensor->tag_count; i++)
        json_write_text(out, sensor->tags[i].name, sensor->tags[i].value);
    json_write_object_end(out);
}

static bool is_number(const struct value *value)
{
    return value->kind == VALUE_DECIMAL ||
           (value->kind == VALUE_FLOAT64 && is_finite(value->float64_bits));
}

static bool is_text(const struct value *value)
{
    return value->kind == VALUE_TEXT;
}

bool render_json_has_value(const struct value *value)
{
    return is_number(value) || is_text(value);
}

void render_json_value(struct json_write *out, const char *name, const struct value *value)
{
    char text[RENDER_JSON_FLOAT_BYTES];
    if (value->kind == VALUE_TEXT) {
        json_write_text_bytes(out, name, value->text, value->text_bytes);
        return;
    }
    if (value->kind == VALUE_DECIMAL) {
        json_write_decimal(out, name, value->mantissa, value->decimals);
        return;
    }
    size_t count = render_json_float(value->float64_bits, text);
    json_write_key(out, name);
    writer_bytes(out->writer, text, count);
}

/* ---- the flat layout ---- */

static bool is_flat_tag(const struct sensor_definition *sensor, size_t tag)
{
    return flat_name_fits(sensor->tags[tag].name);
}

/* Whether channel I stands at top level: no tag and no channel before it has taken its name. */
static bool is_flat_channel(const struct sensor_definition *sensor, size_t i)
{
    const char *name = sensor->channels[i].name;
    if (!flat_name_fits(name))
        return false;
    for (size_t tag = 0; tag < sensor->tag_count; tag++)
        if (strcmp(sensor->tags[tag].name, name) == 0)
            return false;
    for (size_t before = 0; before < i; before++)
        if (strcmp(sensor->channels[before].name, name) == 0)
            return false;
    return true;
}

static void put_flat_tags(struct json_write *out, const struct sensor_definition *sensor)
{
    bool begun = false;
    for (size_t i = 0; i < sensor->tag_count; i++)
        if (is_flat_tag(sensor, i))
            json_write_text(out, sensor->tags[i].name, sensor->tags[i].value);
    for (size_t i = 0; i < sensor->tag_count; i++) {
        if (is_flat_tag(sensor, i))
            continue;
        if (!begun)
            json_write_object_begin(out, "tags");
        begun = true;
        json_write_text(out, sensor->tags[i].name, sensor->tags[i].value);
    }
    if (begun)
        json_write_object_end(out);
}

static void put_flat_values(struct json_write *out, const struct sensor_definition *sensor,
                            const struct record *record)
{
    for (size_t i = 0; i < record->value_count; i++)
        if (render_json_has_value(&record->values[i]) && is_flat_channel(sensor, i))
            render_json_value(out, sensor->channels[i].name, &record->values[i]);
}

/* ---- the nested layout ---- */

/* The values that IS_ONE accepts as the member NAME; no member if there is none. */
static void put_values(struct json_write *out, const struct render_json *render,
                       const struct record *record, const char *name,
                       bool (*is_one)(const struct value *value))
{
    bool begun = false;
    for (size_t i = 0; i < record->value_count; i++) {
        if (!is_one(&record->values[i]) || (render->flat && is_flat_channel(render->sensor, i)))
            continue;
        if (!begun)
            json_write_object_begin(out, name);
        begun = true;
        render_json_value(out, render->sensor->channels[i].name, &record->values[i]);
    }
    if (begun)
        json_write_object_end(out);
}

static bool has_break(const uint8_t *piece, size_t bytes)
{
    return memchr(piece, '\n', bytes) != NULL || memchr(piece, '\r', bytes) != NULL;
}

/* Inside a string of JSON there is no line break (RFC 8259, 7). What is cut between pieces stays
 * whole, since only single bytes are exchanged. */
static void put_piece(const struct render_json *render, const uint8_t *piece, size_t bytes,
                      bool quoted, struct writer *out)
{
    size_t start = 0;
    bool changes = quoted || (render->one_line && has_break(piece, bytes));
    for (size_t i = 0; changes && i < bytes; i++) {
        bool breaks = piece[i] == '\n' || piece[i] == '\r';
        bool escapes = quoted && (piece[i] < ' ' || piece[i] == '"' || piece[i] == '\\');
        if (!breaks && !escapes)
            continue;
        writer_bytes(out, piece + start, i - start);
        start = i + 1;
        if (piece[i] >= ' ')
            writer_char(out, '\\');
        writer_char(out, piece[i] >= ' ' ? (char)piece[i] : ' ');
    }
    writer_bytes(out, piece + start, bytes - start);
}

int render_json_document(const struct render_json *render, const struct record *record, bool quoted,
                         struct writer *out)
{
    const uint8_t *piece;
    size_t bytes;
    size_t left = record->document_bytes - record->document_piece_bytes;
    put_piece(render, record->document, record->document_piece_bytes, quoted, out);
    while (left > 0) {
        int rc = render->piece == NULL ? E_END : render->piece(render->context, &piece, &bytes);
        if (rc == E_END || (rc == E_OK && bytes > left))
            return E_DAMAGED;
        if (rc < 0)
            return rc;
        put_piece(render, piece, bytes, quoted, out);
        left -= bytes;
    }
    return E_OK;
}

static int put_body(const struct render_json *render, const struct record *record,
                    struct json_write *out)
{
    if (record->shape == RECORD_DOCUMENT) {
        json_write_key(out, "data");
        return render_json_document(render, record, false, out->writer);
    }
    if (record->value_count > render->sensor->channel_count)
        return E_DAMAGED;
    if (render->flat)
        put_flat_values(out, render->sensor, record);
    put_values(out, render, record, "values", is_number);
    put_values(out, render, record, "text", is_text);
    return E_OK;
}

void render_json_time_quality(struct json_write *out, enum time_quality quality)
{
    if (quality == TIME_CORRECTED)
        json_write_text(out, "time_quality", "corrected");
    else if (quality == TIME_ESTIMATED)
        json_write_text(out, "time_quality", "estimated");
}

void render_json_identity(struct json_write *out, const struct record_identity *identity)
{
    uint8_t id[sizeof identity->spool_id];
    char text[2 * sizeof id + 1];
    bytes_put_be64(id, identity->spool_id);
    bytes_put_hex(text, id, sizeof id);
    json_write_unsigned(out, "seq", identity->sequence);
    json_write_text(out, "spool", text);
}

int render_json(const struct render_json *render, const struct record *record, struct writer *out)
{
    char time[RENDER_JSON_TIME_BYTES];
    struct json_write json;
    (void)render_json_time(record->wall_ms, time);
    json_write_start(&json, out);
    json_write_object_begin(&json, NULL);
    json_write_text(&json, "device", render->sensor->device);
    json_write_text(&json, "sensor", render->sensor->name);
    json_write_text(&json, "ts", time);
    render_json_identity(&json, &record->identity);
    render_json_time_quality(&json, record->time_quality);
    if (render->flat)
        put_flat_tags(&json, render->sensor);
    else
        render_json_tags(&json, "tags", render->sensor);
    int rc = put_body(render, record, &json);
    json_write_object_end(&json);
    return rc;
}

void render_json_gap(const char *device, uint64_t spool_id, const struct spool_gap *gap,
                     struct writer *out)
{
    const struct record_identity identity = {.spool_id = spool_id, .sequence = gap->sequence};
    char time[RENDER_JSON_TIME_BYTES];
    struct json_write json;
    (void)render_json_time(gap->wall_ms, time);
    json_write_start(&json, out);
    json_write_object_begin(&json, NULL);
    json_write_text(&json, "device", device);
    json_write_text(&json, "ts", time);
    render_json_identity(&json, &identity);
    render_json_time_quality(&json, gap->time_quality);
    json_write_object_begin(&json, "gap");
    json_write_text(&json, "lane", lane_name(gap->lane));
    json_write_unsigned(&json, "first", gap->first);
    json_write_unsigned(&json, "last", gap->last);
    json_write_unsigned(&json, "count", gap->count);
    json_write_text(&json, "reason", gap_reason_name(gap->reason));
    json_write_object_end(&json);
    json_write_object_end(&json);
}

int render_json_raw(const struct render_json *render, const struct record *record,
                    struct writer *out)
{
    if (record->shape == RECORD_DOCUMENT)
        return render_json_document(render, record, false, out);
    return render_json(render, record, out);
}
