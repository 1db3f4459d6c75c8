/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/format/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/bus/settings.h"
#include "drivers/format/keyvalue.h"
#include "platform/base/error.h"
#include "platform/json/json_scan.h"
#include "platform/json/json_write.h"

enum { PATIENT_LINES = 10 }; /* in which a channel may be absent before that is said */

static const char list[] = "channels";

/* ---- settings ---- */

static enum text_format find_format(const struct driver_context *context)
{
    static const char *const names[] = {"auto", "json", "number", "csv", "keyvalue", "nmea"};
    const char *format = driver_setting(context, "format");
    size_t i = sizeof names / sizeof names[0];
    while (format != NULL && i-- > 0)
        if (strcmp(format, names[i]) == 0)
            return (enum text_format)i;
    return TEXT_AUTO;
}

static enum text_type find_type(const struct driver_context *context, size_t index)
{
    const char *type = settings_member(context, list, index, "type");
    return type == NULL                ? TEXT_TYPE_NUMBER
           : strcmp(type, "text") == 0 ? TEXT_TYPE_TEXT
           : strcmp(type, "skip") == 0 ? TEXT_TYPE_SKIP
                                       : TEXT_TYPE_NUMBER;
}

static const char *refuse(const struct driver_context *context, const char *key, const char *what)
{
    driver_say(context->fault, "%s", what);
    return key;
}

/* A key that the format of the lines has no use for. */
static const char *check_uses(const struct driver_context *context, enum text_format format)
{
    bool has_fields = format == TEXT_CSV || format == TEXT_KEYVALUE;
    bool has_numbers = format == TEXT_AUTO || format == TEXT_NUMBER;
#ifndef CONFIG_FORMAT_NMEA
    if (format == TEXT_NMEA)
        return refuse(context, "format", "is not in this program; enable CONFIG_FORMAT_NMEA");
#endif
    if (format != TEXT_CSV && driver_setting(context, "separator") != NULL)
        return refuse(context, "separator", "belongs to \"format\": \"csv\"; leave it out");
    if (format != TEXT_CSV && driver_setting(context, "header") != NULL)
        return refuse(context, "header", "belongs to \"format\": \"csv\"; leave it out");
    if (!has_fields && driver_setting(context, "decimal_comma") != NULL)
        return refuse(context, "decimal_comma",
                      "belongs to \"format\": \"csv\" or \"keyvalue\"; leave it out");
    if (!has_fields && settings_count(context, list) > 0)
        return refuse(context, list,
                      "belongs to \"format\": \"csv\" or \"keyvalue\"; leave it out");
    if (!has_numbers && driver_setting(context, "unit") != NULL)
        return refuse(context, "unit",
                      "belongs to lines that are numbers; write it into \"channels\"");
    return NULL;
}

static bool is_separator(const char *text)
{
    return strlen(text) == 1 && (text[0] == '\t' || (text[0] >= ' ' && text[0] < 0x7f)) &&
           strchr("\"+-.0123456789", text[0]) == NULL;
}

static const char *check_csv(const struct driver_context *context)
{
    const char *separator = driver_setting(context, "separator");
    if (separator != NULL && !is_separator(separator))
        return refuse(context, "separator",
                      "is no separator; write one character such as \";\" or \"\\t\"");
    if (settings_boolean(driver_setting(context, "decimal_comma"), false) &&
        (separator == NULL || *separator == ','))
        return refuse(context, "decimal_comma",
                      "cannot be with fields apart by commas; set \"separator\"");
    if (settings_count(context, list) > 0 ||
        settings_boolean(driver_setting(context, "header"), false))
        return NULL;
    return refuse(context, list,
                  "is missing; list the columns in their order, or say \"header\": true");
}

static const char *check_channel(const struct driver_context *context, size_t index)
{
    const char *name = settings_member(context, list, index, "name");
    if (name == NULL && find_type(context, index) != TEXT_TYPE_SKIP) {
        driver_say(context->fault, "has no name for number %zu; give one, or \"type\": \"skip\"",
                   index + 1);
        return list;
    }
    if (name != NULL && (*name == '\0' || strlen(name) >= SAMPLE_NAME_BYTES)) {
        driver_say(context->fault, "has a name that is empty or longer than %d bytes",
                   SAMPLE_NAME_BYTES - 1);
        return list;
    }
    for (size_t i = 0; i < index && name != NULL; i++) {
        const char *other = settings_member(context, list, i, "name");
        if (other == NULL || strcmp(other, name) != 0)
            continue;
        driver_say(context->fault, "has \"%s\" twice; names are unique", name);
        return list;
    }
    return NULL;
}

/* What the header or the line calls it. */
static const char *find_key(const struct driver_context *context, size_t index)
{
    const char *key = settings_member(context, list, index, "key");
    return key != NULL ? key : settings_member(context, list, index, "name");
}

/* Columns in their order have no key, all others one of their own. */
static const char *check_key(const struct driver_context *context, size_t index, bool in_order)
{
    const char *key = find_key(context, index);
    if (in_order && settings_member(context, list, index, "key") != NULL)
        return refuse(context, settings_written(context, list, index, "key"),
                      "is for what has a header; say \"header\": true, or leave it out");
    if (!in_order && key == NULL)
        return refuse(context, settings_written(context, list, index, "type"),
                      "needs the \"key\" that is to be passed over");
    for (size_t i = 0; i < index && !in_order; i++) {
        if (strcmp(find_key(context, i), key) == 0)
            return refuse(context, settings_written(context, list, index, "key"),
                          "is the key of a channel before it; each has its own");
    }
    return NULL;
}

static const char *check_channels(const struct driver_context *context, enum text_format format)
{
    bool header = settings_boolean(driver_setting(context, "header"), false);
    size_t count = settings_count(context, list);
    size_t values = 0;
    if (count > TEXT_FIELDS_MAX) {
        driver_say(context->fault, "has more than %d elements", TEXT_FIELDS_MAX);
        return list;
    }
    for (size_t i = 0; i < count; i++) {
        const char *key = check_channel(context, i);
        if (key == NULL)
            key = check_key(context, i, format == TEXT_CSV && !header);
        if (key != NULL)
            return key;
        values += find_type(context, i) != TEXT_TYPE_SKIP ? 1 : 0;
    }
    if (values > SAMPLE_CHANNELS_MAX || (count > 0 && values == 0)) {
        driver_say(context->fault, "has %zu values; a sample has 1 to %d", values,
                   SAMPLE_CHANNELS_MAX);
        return list;
    }
    return NULL;
}

const char *text_check(const struct driver_context *context)
{
    enum text_format format = find_format(context);
    const char *key = check_uses(context, format);
    if (key == NULL && format == TEXT_CSV)
        key = check_csv(context);
    return key != NULL ? key : check_channels(context, format);
}

static void set_unit(struct channel *channel, const char *unit)
{
    (void)snprintf(channel->unit, sizeof channel->unit, "%s", unit != NULL ? unit : "");
}

static void add_field(struct text *text, const struct driver_context *context, size_t index)
{
    const char *name = settings_member(context, list, index, "name");
    struct text_field *field = &text->fields[text->field_count++];
    *field = (struct text_field){.key = find_key(context, index),
                                 .type = find_type(context, index),
                                 .channel = text->channel_count};
    if (field->type == TEXT_TYPE_SKIP)
        return;
    struct channel *channel = &text->channels[text->channel_count++];
    (void)snprintf(channel->name, sizeof channel->name, "%s", name);
    set_unit(channel, settings_member(context, list, index, "unit"));
}

static void set_channels(struct text *text, const struct driver_context *context)
{
    size_t count = settings_count(context, list);
    for (size_t i = 0; i < count; i++)
        add_field(text, context, i);
#ifdef CONFIG_FORMAT_NMEA
    if (text->format == TEXT_NMEA) {
        memcpy(text->channels, nmea_channels, sizeof nmea_channels);
        text->channel_count = NMEA_CHANNELS;
    }
#endif
    if (text->format != TEXT_AUTO && text->format != TEXT_NUMBER)
        return;
    text->channels[0] = (struct channel){.name = "value"};
    set_unit(&text->channels[0], driver_setting(context, "unit"));
    text->channel_count = 1;
}

int text_open(struct text *ret_text, const struct driver_context *context)
{
    const char *separator = driver_setting(context, "separator");
    const char *unit = driver_setting(context, "unit");
    int rc = settings_judge(context, text_check(context));
    *ret_text = (struct text){.format = find_format(context)};
    if (rc < 0)
        return rc;
    if (unit != NULL && driver_unit_meaning(unit) == NULL) {
        driver_say(context->fault, "unit \"%s\": no SenML unit name; see drivers/units.def", unit);
        return E_INVALID;
    }
    ret_text->separator = separator != NULL ? *separator : ',';
    ret_text->header = settings_boolean(driver_setting(context, "header"), false);
    ret_text->decimal_point =
        settings_boolean(driver_setting(context, "decimal_comma"), false) ? ',' : '.';
    set_channels(ret_text, context);
    /* Other formats are read where they stand. */
    if (ret_text->format != TEXT_CSV && ret_text->format != TEXT_KEYVALUE)
        return 0;
    ret_text->memory_bytes = context->document_bytes_max;
    ret_text->memory = calloc(2, ret_text->memory_bytes);
    return ret_text->memory == NULL ? E_NO_MEMORY : 0;
}

void text_close(struct text *text)
{
    free(text->memory);
    text->memory = NULL;
}

int text_channels(const struct text *text, struct channel *ret_channels)
{
    memcpy(ret_channels, text->channels, text->channel_count * sizeof *ret_channels);
    return (int)text->channel_count;
}

bool text_needs_header(const struct text *text)
{
    return text->format == TEXT_CSV && text->header;
}

bool text_is_blank(const struct text *text, uint8_t byte)
{
    return byte == ' ' || byte == '\r' || (byte == '\t' && text->separator != '\t');
}

/* ---- what every format has ---- */

static int refuse_line(struct text *text, int code, unsigned column, const char *what)
{
    text->column = column;
    (void)snprintf(text->what, sizeof text->what, "%s", what);
    return code;
}

static int refuse_field(struct text *text, int code, struct text_part part, const char *name,
                        const char *what)
{
    text->column = part.column;
    (void)snprintf(text->what, sizeof text->what, "%.40s: %s", name, what);
    return code;
}

static void set_document(struct sample *sample, const uint8_t *bytes, size_t count)
{
    sample->value_count = 0;
    sample->document = bytes;
    sample->document_bytes = count;
}

static void set_no_values(const struct text *text, struct sample *sample)
{
    sample->value_count = text->channel_count;
    sample->document = NULL;
    sample->document_bytes = 0;
    for (size_t i = 0; i < text->channel_count; i++)
        sample->values[i] = (struct value){.kind = VALUE_ABSENT};
}

/* ---- objects and numbers ---- */

/* Scans once more, now for the place and the reason. */
static void say_json(struct text *text, const struct text_line *line)
{
    struct json_scan scan;
    json_scan_start(&scan, NULL, NULL);
    int rc = json_scan_feed(&scan, line->bytes, line->count);
    if (rc == 0)
        rc = json_scan_end(&scan);
    (void)refuse_line(text, rc, scan.column,
                      rc < 0 && scan.fault != NULL ? scan.fault : ERROR_TEXT(rc));
}

static int convert_object(struct text *text, const struct text_line *line,
                          struct sample *ret_sample)
{
    int rc = json_scan_object(line->bytes, line->count);
    if (rc < 0) {
        say_json(text, line);
        return rc;
    }
    set_document(ret_sample, line->bytes, line->count);
    return 0;
}

static int convert_number(struct text *text, const struct text_line *line,
                          struct sample *ret_sample)
{
    struct value value;
    struct text_part all = {.bytes = (const char *)line->bytes, .count = line->count};
    int rc = field_number(all, '.', &value);
    if (rc < 0)
        return refuse_line(text, rc, 1,
                           rc == E_RANGE ? "a number of more digits than 64 bits hold"
                           : text->format == TEXT_NUMBER
                               ? "a number was expected"
                               : "a JSON object or a number was expected");
    set_no_values(text, ret_sample);
    ret_sample->values[0] = value;
    return 0;
}

/* ---- members of a document ---- */

struct document {
    struct writer writer;
    struct json_write json;
    size_t count;
    struct text_part keys[TEXT_FIELDS_MAX];
};

static void document_begin(struct text *text, struct document *document)
{
    document->count = 0;
    writer_to_memory(&document->writer, text->memory + text->memory_bytes, text->memory_bytes);
    json_write_start(&document->json, &document->writer);
    json_write_object_begin(&document->json, NULL);
}

/* A number stays as exact as it was written; what JSON would write otherwise, as 007, is a text. */
static void write_value(struct text *text, struct document *document, struct text_part part)
{
    struct value number;
    bool plain = part.count > 0 && part.bytes[part.count - 1] != text->decimal_point &&
                 part.bytes[0] != '+' && part.bytes[0] != text->decimal_point;
    size_t sign = part.count > 0 && part.bytes[0] == '-' ? 1 : 0;
    bool zeros = part.count > sign + 1 && part.bytes[sign] == '0' && part.bytes[sign + 1] >= '0' &&
                 part.bytes[sign + 1] <= '9';
    if (!part.quoted && plain && !zeros && field_number(part, text->decimal_point, &number) == 0)
        writer_decimal(&document->writer, number.mantissa, number.decimals);
    else
        json_write_string(&document->writer, part.bytes, part.count);
}

static int document_add(struct text *text, struct document *document, struct text_part key,
                        struct text_part part)
{
    char name[JSON_TOKEN_BYTES];
    if (field_is_absent(part))
        return 0;
    if (!field_is_clean(key) || !field_is_clean(part) || key.count >= sizeof name)
        return refuse_line(text, E_SYNTAX, part.column, "no clean UTF-8 text");
    for (size_t i = 0; i < document->count; i++)
        if (document->keys[i].count == key.count &&
            memcmp(document->keys[i].bytes, key.bytes, key.count) == 0)
            return refuse_line(text, E_SYNTAX, part.column, "a key that is there twice");
    if (document->count == TEXT_FIELDS_MAX)
        return refuse_line(text, E_TOO_BIG, part.column, "more than 64 values");
    document->keys[document->count++] = key;
    memcpy(name, key.bytes, key.count);
    name[key.count] = '\0';
    json_write_key(&document->json, name);
    write_value(text, document, part);
    return 0;
}

static int document_end(struct text *text, struct document *document, struct sample *ret_sample)
{
    if (document->count == 0)
        return refuse_line(text, E_SYNTAX, 1, "there is no value in it");
    json_write_object_end(&document->json);
    if (writer_finish(&document->writer) < 0)
        return refuse_line(text, E_TOO_BIG, 1, "more than a document may be (CONFIG_DOCUMENT_KIB)");
    set_document(ret_sample, document->writer.buffer, document->writer.used_bytes);
    return 0;
}

/* ---- values of channels ---- */

static int take_field(struct text *text, const struct text_field *field, struct text_part part,
                      struct sample *sample)
{
    const char *what;
    if (field->type == TEXT_TYPE_SKIP || field_is_absent(part))
        return 0;
    int rc =
        field_value(part, field->type, text->decimal_point, &sample->values[field->channel], &what);
    return rc < 0 ? refuse_field(text, rc, part, text->channels[field->channel].name, what) : 0;
}

/* ---- what is missing ---- */

/* A key that no line has, or one that no channel has: either is most likely misspelt. */
static void note_lack(struct text *text)
{
    text->lack[0] = '\0';
    if (text->unknown[0] != '\0')
        (void)snprintf(text->lack, sizeof text->lack,
                       "key %s is no channel; list it, or give it \"type\": \"skip\"",
                       text->unknown);
    for (size_t i = 0; i < text->channel_count && text->lines == PATIENT_LINES; i++)
        if ((text->seen >> i & 1) == 0)
            (void)snprintf(text->lack, sizeof text->lack,
                           "channel %s: nothing has its key so far; is it spelt like this?",
                           text->channels[i].name);
}

const char *text_lack(const struct text *text)
{
    return text->lack[0] != '\0' ? text->lack : NULL;
}

/* ---- csv ---- */

static struct csv csv_of(struct text *text, const struct text_line *line)
{
    return (struct csv){.line = line->bytes,
                        .count = line->count,
                        .separator = text->separator,
                        .memory = (char *)text->memory};
}

static int refuse_csv(struct text *text, const struct csv *csv, int code)
{
    return refuse_line(text, code, (unsigned)csv->at + 1, csv->what);
}

/* The configured field that the column called NAME is for, or NULL. */
static const struct text_field *find_field(const struct text *text, struct text_part name)
{
    for (size_t i = 0; i < text->field_count; i++)
        if (text->fields[i].key != NULL && field_is(name, text->fields[i].key))
            return &text->fields[i];
    return NULL;
}

/* What the header does not name is missing from every line. */
static int check_header(struct text *text, struct csv_header *header)
{
    bool found = text->field_count == 0;
    text->seen = 0;
    text->lines = text->field_count > 0 ? PATIENT_LINES : 0;
    for (size_t i = 0; i < header->count; i++) {
        const struct text_field *field = find_field(text, header->parts[i]);
        found = found || field != NULL;
        if (field != NULL && field->type != TEXT_TYPE_SKIP)
            text->seen |= 1U << field->channel;
    }
    if (found) {
        note_lack(text);
        return 0;
    }
    header->count = 0;
    return refuse_line(text, E_SYNTAX, 1, "a header was expected, and this names no channel");
}

static int read_header(struct text *text, struct text_stream *stream, const struct text_line *line)
{
    struct csv csv = csv_of(text, line);
    stream->begun = true;
    int rc = csv_read_header(&csv, &stream->header);
    if (rc < 0)
        return refuse_csv(text, &csv, rc);
    rc = check_header(text, &stream->header);
    return rc < 0 ? rc : E_AGAIN;
}

/* The field for column INDEX; NULL: it is passed over. */
static const struct text_field *field_of(const struct text *text, const struct text_stream *stream,
                                         size_t index)
{
    return text->header ? find_field(text, stream->header.parts[index]) : &text->fields[index];
}

static int convert_row(struct text *text, const struct text_stream *stream, struct csv *csv,
                       size_t columns, struct sample *ret_sample)
{
    struct document document;
    struct text_part part;
    size_t index = 0;
    int rc;
    document_begin(text, &document);
    while ((rc = csv_next(csv, &part)) == 0) {
        if (index >= columns && (part.count > 0 || !csv->ended))
            return refuse_line(text, E_SYNTAX, part.column, "more fields than columns");
        if (index++ >= columns)
            continue;
        const struct text_field *field =
            text->field_count > 0 ? field_of(text, stream, index - 1) : NULL;
        if (field != NULL)
            rc = take_field(text, field, part, ret_sample);
        else if (text->field_count == 0 && stream->header.parts[index - 1].count > 0)
            rc = document_add(text, &document, stream->header.parts[index - 1], part);
        if (rc < 0)
            return rc;
    }
    if (rc != E_END)
        return refuse_csv(text, csv, rc);
    if (index < columns)
        return refuse_line(text, E_SYNTAX, (unsigned)csv->count + 1,
                           "fewer fields than columns; is the line cut off?");
    return text->field_count == 0 ? document_end(text, &document, ret_sample) : 0;
}

static int convert_csv(struct text *text, struct text_stream *stream, const struct text_line *line,
                       struct sample *ret_sample)
{
    struct csv csv = csv_of(text, line);
    if (text->header && !stream->begun)
        return read_header(text, stream, line);
    size_t columns = text->header ? stream->header.count : text->field_count;
    if (columns == 0)
        return refuse_line(text, E_SYNTAX, 1, "the line that should be the header was none");
    set_no_values(text, ret_sample);
    return convert_row(text, stream, &csv, columns, ret_sample);
}

/* ---- key=value ---- */

static void note_unknown(struct text *text, struct text_part key)
{
    if (text->unknown[0] == '\0' && field_is_clean(key))
        (void)snprintf(
            text->unknown, sizeof text->unknown, "%.*s",
            (int)(key.count < sizeof text->unknown ? key.count : sizeof text->unknown - 1),
            key.bytes);
}

static int take_pair(struct text *text, struct text_part key, struct text_part part,
                     uint32_t *found, struct sample *sample)
{
    const struct text_field *field = find_field(text, key);
    if (field == NULL) {
        note_unknown(text, key);
        return 0;
    }
    if (field->type == TEXT_TYPE_SKIP)
        return 0;
    if ((*found >> field->channel & 1) != 0)
        return refuse_line(text, E_SYNTAX, part.column, "a key that is there twice");
    *found |= 1U << field->channel;
    return take_field(text, field, part, sample);
}

static int convert_pairs(struct text *text, const struct text_line *line, struct sample *ret_sample)
{
    struct keyvalue in = {.text = (const char *)line->bytes,
                          .count = line->count,
                          .decimal_comma = text->decimal_point == ','};
    struct document document;
    struct text_part key;
    struct text_part part;
    uint32_t found = 0;
    int rc;
    document_begin(text, &document);
    set_no_values(text, ret_sample);
    while ((rc = keyvalue_next(&in, &key, &part)) == 0) {
        rc = text->field_count == 0 ? document_add(text, &document, key, part)
                                    : take_pair(text, key, part, &found, ret_sample);
        if (rc < 0)
            return rc;
    }
    if (rc != E_END)
        return refuse_line(text, rc, (unsigned)in.at + 1, in.what);
    if (text->field_count == 0)
        return document_end(text, &document, ret_sample);
    if (found == 0)
        return refuse_line(text, E_SYNTAX, 1, "none of the channels is in it");
    text->seen |= found;
    text->lines += text->lines < PATIENT_LINES ? 1 : 0;
    note_lack(text);
    return 0;
}

/* ---- nmea ---- */

#ifdef CONFIG_FORMAT_NMEA
static int convert_nmea(struct text *text, struct text_stream *stream, const struct text_line *line,
                        struct sample *ret_sample)
{
    struct nmea_fix fix;
    int rc = nmea_add(&stream->nmea, (const char *)line->bytes, line->count, line->boot_ms,
                      line->offset, &fix);
    if (rc < 0 && rc != E_AGAIN)
        return refuse_line(text, rc, stream->nmea.column, stream->nmea.what);
    if (rc == 0)
        nmea_convert(&fix, stream->time, ret_sample);
    return rc;
}

static int end_nmea(struct text_stream *stream, struct sample *ret_sample)
{
    struct nmea_fix fix;
    int rc = nmea_end(&stream->nmea, &fix);
    if (rc == 0)
        nmea_convert(&fix, stream->time, ret_sample);
    return rc;
}
#endif

/* ---- all of them ---- */

int text_convert(struct text *text, struct text_stream *stream, const struct text_line *line,
                 struct sample *ret_sample)
{
    bool is_object =
        text->format == TEXT_JSON || (text->format == TEXT_AUTO && line->bytes[0] == '{');
    ret_sample->boot_ms = 0;
    ret_sample->origin = (struct sample_origin){.offset = line->offset};
    switch (text->format) {
    case TEXT_CSV:
        return convert_csv(text, stream, line, ret_sample);
    case TEXT_KEYVALUE:
        return convert_pairs(text, line, ret_sample);
#ifdef CONFIG_FORMAT_NMEA
    case TEXT_NMEA:
        return convert_nmea(text, stream, line, ret_sample);
#endif
    default:
        return is_object ? convert_object(text, line, ret_sample)
                         : convert_number(text, line, ret_sample);
    }
}

int text_end(struct text *text, struct text_stream *stream, struct sample *ret_sample)
{
#ifdef CONFIG_FORMAT_NMEA
    if (text->format == TEXT_NMEA)
        return end_nmea(stream, ret_sample);
#endif
    (void)text;
    (void)stream;
    (void)ret_sample;
    return E_AGAIN;
}
