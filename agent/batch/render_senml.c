/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/batch/render_senml.h"

#include <ctype.h>
#include <string.h>

#include "platform/base/error.h"

enum { TIME_DECIMALS = 3 };

/* RFC 8428, 4.5.1: letters, digits and -:./_ alone, the first one a letter or a digit. */
static void put_name_part(struct writer *out, const char *name, bool first)
{
    for (; *name != '\0'; name++, first = false) {
        bool plain = (uint8_t)*name < 0x80 && isalnum((uint8_t)*name) != 0;
        bool may = plain || (!first && strchr("-:./_", *name) != NULL);
        writer_char(out, may ? *name : first ? 'x' : '_');
    }
}

static void put_name(struct json_write *out, const char *name)
{
    json_write_key(out, "n");
    writer_char(out->writer, '"');
    put_name_part(out->writer, name, false); /* behind the base name */
    writer_char(out->writer, '"');
}

static void begin(struct json_write *json, struct writer *out)
{
    json_write_start(json, out);
    json_write_array_begin(json, NULL);
    json_write_object_begin(json, NULL);
}

static void put_base(struct json_write *out, const char *device, const char *sensor,
                     int64_t wall_ms)
{
    json_write_key(out, "bn");
    writer_char(out->writer, '"');
    put_name_part(out->writer, device, true);
    writer_char(out->writer, '/');
    put_name_part(out->writer, sensor, false);
    writer_text(out->writer, "/\"");
    json_write_decimal(out, "bt", wall_ms, TIME_DECIMALS);
}

/* What follows the first one has a record of its own. */
static void next(struct json_write *out, bool *begun)
{
    if (*begun) {
        json_write_object_end(out);
        json_write_object_begin(out, NULL);
    }
    *begun = true;
}

static void end(struct json_write *out)
{
    json_write_object_end(out);
    json_write_array_end(out);
}

static void put_values(const struct render_json *render, const struct record *record,
                       struct json_write *out, bool *begun)
{
    for (size_t i = 0; i < record->value_count; i++) {
        const struct channel *channel = &render->sensor->channels[i];
        const struct value *value = &record->values[i];
        if (!render_json_has_value(value))
            continue;
        next(out, begun);
        put_name(out, channel->name);
        if (channel->unit[0] != '\0')
            json_write_text(out, "u", channel->unit);
        render_json_value(out, value->kind == VALUE_TEXT ? "vs" : "v", value);
    }
}

static int put_document(const struct render_json *render, const struct record *record,
                        struct json_write *out)
{
    put_name(out, "data");
    json_write_key(out, "vs");
    writer_char(out->writer, '"');
    int rc = render_json_document(render, record, true, out->writer);
    writer_char(out->writer, '"');
    return rc;
}

int render_senml(const struct render_json *render, const struct record *record, struct writer *out)
{
    struct json_write json;
    bool begun = false;
    int rc = E_OK;
    if (record->shape == RECORD_VALUES && record->value_count > render->sensor->channel_count)
        return E_DAMAGED;
    begin(&json, out);
    put_base(&json, render->sensor->device, render->sensor->name, record->wall_ms);
    render_json_identity(&json, &record->identity);
    render_json_time_quality(&json, record->time_quality);
    render_json_tags(&json, "tags", render->sensor);
    if (record->shape == RECORD_DOCUMENT) {
        begun = true;
        rc = put_document(render, record, &json);
    } else
        put_values(render, record, &json, &begun);
    if (!begun) {
        put_name(&json, "empty");
        json_write_boolean(&json, "vb", true);
    }
    end(&json);
    return rc;
}

static void put_number(struct json_write *out, const char *name, uint64_t number)
{
    bool begun = true;
    next(out, &begun);
    put_name(out, name);
    json_write_unsigned(out, "v", number);
}

static void put_text(struct json_write *out, const char *name, const char *text)
{
    put_name(out, name);
    json_write_text(out, "vs", text);
}

void render_senml_gap(const char *device, uint64_t spool_id, const struct spool_gap *gap,
                      struct writer *out)
{
    const struct record_identity identity = {.spool_id = spool_id, .sequence = gap->sequence};
    struct json_write json;
    bool begun = true;
    begin(&json, out);
    put_base(&json, device, "gap", gap->wall_ms);
    render_json_identity(&json, &identity);
    render_json_time_quality(&json, gap->time_quality);
    put_text(&json, "lane", lane_name(gap->lane));
    put_number(&json, "first", gap->first);
    put_number(&json, "last", gap->last);
    put_number(&json, "count", gap->count);
    next(&json, &begun);
    put_text(&json, "reason", gap_reason_name(gap->reason));
    end(&json);
}
