/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/intake/handin_state.h"
#include "agent/intake/shape.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/json/json_write.h"

enum { RETRY_MS = 200 };

/* ---- the definition of a record ---- */

static bool same_channels(const struct channel *left, const struct channel *right, size_t count)
{
    for (size_t i = 0; i < count; i++) /* a value may have other decimals */
        if (strcmp(left[i].name, right[i].name) != 0 || strcmp(left[i].unit, right[i].unit) != 0)
            return false;
    return true;
}

static bool same_tags(const struct tag *left, const struct tag *right, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(left[i].name, right[i].name) != 0 || strcmp(left[i].value, right[i].value) != 0)
            return false;
    return true;
}

static bool has_shape(const struct sensor_definition *definition, const struct intake_shape *shape)
{
    return definition->channel_count == shape->channel_count &&
           definition->tag_count == shape->tag_count &&
           same_channels(definition->channels, shape->channels, shape->channel_count) &&
           same_tags(definition->tags, shape->tags, shape->tag_count);
}

/* E_FULL: no more of them. */
static int find_number(struct handin *handin, struct handin_entry *entry,
                       const struct intake_shape *shape, uint32_t *ret_number)
{
    struct spool *spool = handin->options.spool;
    for (unsigned i = entry->shape_count; i-- > 0;)
        if (has_shape(spool_sensor(spool, entry->shapes[i]), shape)) {
            *ret_number = entry->shapes[i];
            return E_OK;
        }
    if (entry->shape_count == HANDIN_SHAPES_MAX || handin->shape_count == HANDIN_SHAPES_ALL_MAX)
        return E_FULL;
    int rc = shape_define(spool, handin->options.device, entry->name, shape, HANDIN_SHAPES_LEAVE,
                          ret_number);
    if (rc < 0)
        return rc;
    entry->shapes[entry->shape_count++] = *ret_number;
    handin->shape_count++;
    return E_OK;
}

/* Of documents, with the tags of the configuration alone. */
static int define_bare(struct handin *handin, struct handin_entry *entry)
{
    const struct handin_sensor *setup = entry->setup;
    struct intake_shape shape = {.channel_count = 0};
    if (entry->bare != 0)
        return E_OK;
    shape_get(NULL, setup->tags, setup->tag_count, &shape);
    return shape_define(handin->options.spool, handin->options.device, entry->name, &shape,
                        HANDIN_DOCUMENTS_LEAVE, &entry->bare);
}

/* ---- values as a document ---- */

static void write_value(struct json_write *json, const struct value *value)
{
    double number;
    switch (value->kind) {
    case VALUE_DECIMAL:
        json_write_decimal(json, "v", value->mantissa, value->decimals);
        break;
    case VALUE_FLOAT64:
        memcpy(&number, &value->float64_bits, sizeof number);
        json_write_key(json, "v");
        writer_format(json->writer, "%.17g", number);
        break;
    case VALUE_TEXT:
        json_write_text_bytes(json, "vs", value->text, value->text_bytes);
        break;
    case VALUE_ABSENT:
        break;
    }
}

static void write_values(struct json_write *json, const struct intake_shape *shape,
                         const struct sample *sample, const char *base_name)
{
    bool first = true;
    for (size_t i = 0; i < shape->channel_count && i < sample->value_count; i++) {
        if (sample->values[i].kind == VALUE_ABSENT)
            continue;
        json_write_object_begin(json, NULL);
        if (first && *base_name != '\0')
            json_write_text(json, "bn", base_name);
        json_write_text(json, "n", shape->channels[i].name);
        if (shape->channels[i].unit[0] != '\0')
            json_write_text(json, "u", shape->channels[i].unit);
        write_value(json, &sample->values[i]);
        json_write_object_end(json);
        first = false;
    }
}

/* Into the memory for it: all that a definition would say beside the configuration. */
static int write_document(struct handin *handin, const struct intake_shape *shape,
                          const struct sample *sample, const char *base_name, size_t *ret_bytes)
{
    struct writer out;
    struct json_write json;
    writer_to_memory(&out, handin->document, handin->options.document_bytes_max);
    json_write_start(&json, &out);
    json_write_object_begin(&json, NULL);
    json_write_array_begin(&json, "senml");
    write_values(&json, shape, sample, base_name);
    json_write_array_end(&json);
    if (shape->tag_count > 0)
        json_write_object_begin(&json, "tags");
    for (size_t i = 0; i < shape->tag_count; i++)
        json_write_text(&json, shape->tags[i].name, shape->tags[i].value);
    if (shape->tag_count > 0)
        json_write_object_end(&json);
    json_write_object_end(&json);
    if (out.error < 0)
        return out.error;
    *ret_bytes = out.used_bytes;
    return E_OK;
}

/* ---- into the spool ---- */

static void count_refused(const struct handin_message *message, enum lane lane, int code)
{
    if (code != E_REFUSED) /* those spool_append has counted */
        spool_count_refused(message->handin->options.spool, lane);
}

static int append(const struct handin_message *message, enum lane lane, uint32_t number,
                  const struct sample *sample)
{
    struct handin *handin = message->handin;
    uint64_t sequence;
    const struct spool_append append = {
        .lane = lane, .sensor = number, .sample = sample, .handed_in = message->came};
    int rc = spool_append(handin->options.spool, &append, &sequence);
    if (rc < 0)
        return rc;
    message->receipt->sequences[lane] = sequence;
    message->receipt->records++;
    return E_OK;
}

/* What has no definition of its own. */
static int hand_bare(const struct handin_message *message, enum lane lane,
                     const struct sample *sample, const char *base_name)
{
    struct handin *handin = message->handin;
    struct sample document = {.boot_ms = sample->boot_ms, .document = handin->document};
    int rc = define_bare(handin, message->entry);
    if (rc == E_FULL || rc == E_TOO_BIG) {
        handin_say(message->fault, "the dictionary of the spool has no place for this sensor");
        return E_BUSY;
    }
    if (rc == E_OK && sample->document == NULL)
        rc = write_document(handin, &handin->shape, sample, base_name, &document.document_bytes);
    if (rc < 0)
        return rc;
    return append(message, lane, message->entry->bare,
                  sample->document != NULL ? sample : &document);
}

/* False: SHAPE has no place for it. */
static bool put_base(struct intake_shape *shape, const char *base_name)
{
    bool has_place = shape->tag_count < SAMPLE_TAGS_MAX;
    if (*base_name == '\0')
        return true;
    for (size_t i = 0; i < shape->tag_count; i++)
        has_place = has_place && strcmp(shape->tags[i].name, "bn") != 0;
    if (has_place)
        shape->tags[shape->tag_count++] = (struct tag){.name = "bn", .value = base_name};
    return has_place;
}

static int hand_over(const struct handin_message *message, enum lane lane,
                     const struct sample *sample, const char *base_name)
{
    struct handin *handin = message->handin;
    struct handin_entry *entry = message->entry;
    const struct handin_sensor *setup = entry->setup;
    struct intake_shape *shape = &handin->shape;
    uint32_t number;
    shape_get(setup->transform, setup->tags, setup->tag_count, shape);
    size_t tag_count = shape->tag_count;
    if (sample->document != NULL)
        shape->channel_count = 0;
    int rc = put_base(shape, base_name) ? find_number(handin, entry, shape, &number) : E_FULL;
    shape->tag_count = tag_count;
    bool has_place = rc != E_FULL && rc != E_TOO_BIG;
    if (rc == E_OK)
        rc = append(message, lane, number, sample);
    if (has_place && rc == E_TOO_BIG) /* a document is cut where values cannot be */
        has_place = sample->document != NULL;
    return has_place ? rc : hand_bare(message, lane, sample, base_name);
}

/* ---- through the transform ---- */

static void lose(const struct handin_message *message, enum lane lane, int code)
{
    unsigned long silenced;
    struct handin *handin = message->handin;
    count_refused(message, lane, code);
    if (log_limit_passes(&handin->limit, clock_mono_ms(), &silenced))
        log_warning("sample-not-taken sensor=%s error=\"%s\" silenced=%lu", message->entry->name,
                    ERROR_TEXT(code), silenced);
}

/* What flush gave. E_AGAIN, E_FULL: it stays held. */
static int hand_held(const struct handin_message *message)
{
    struct handin_bound *bound = message->entry->bound;
    const struct handin_sensor *setup = message->entry->setup;
    enum lane lane = bound->is_held_alarm ? LANE_ALARM : setup->lane;
    int rc = bound->is_held ? hand_over(message, lane, &bound->held, bound->base_name) : E_OK;
    if (rc == E_AGAIN || rc == E_FULL) {
        bound->retry_boot_ms = message->came->boot_ms + RETRY_MS;
        return rc;
    }
    bound->is_held = false;
    if (rc < 0) {
        lose(message, lane, rc);
        setup->transform->lost(setup->transform->context);
    }
    return E_OK;
}

int handin_store_flush(const struct handin_message *message, int64_t boot_ms)
{
    const struct intake_transform *transform = message->entry->setup->transform;
    struct handin_bound *bound = message->entry->bound;
    if (bound == NULL || !bound->is_bound)
        return E_OK;
    for (;;) {
        struct intake_item item = {.sample = &bound->held};
        int rc = hand_held(message);
        if (rc < 0)
            return rc;
        int flushed = transform->flush(transform->context, boot_ms, &item);
        if (flushed == 0)
            return E_OK;
        if (flushed < 0)
            lose(message, message->entry->setup->lane, flushed);
        bound->is_held = flushed == 1;
        bound->is_held_alarm = item.alarm;
    }
}

static bool is_bound_to(const struct handin_bound *bound, const struct payload_record *record)
{
    return bound->is_bound && bound->channel_count == record->channel_count &&
           same_channels(bound->channels, record->channels, record->channel_count) &&
           strcmp(bound->base_name, record->base_name) == 0;
}

/* What it holds belongs to the channels that were. */
static int bind(const struct handin_message *message, const struct payload_record *record)
{
    const struct intake_transform *transform = message->entry->setup->transform;
    struct handin_bound *bound = message->entry->bound;
    char fault[INTAKE_FAULT_BYTES] = "";
    if (is_bound_to(bound, record))
        return E_OK;
    int rc = handin_store_flush(message, INT64_MAX);
    if (rc < 0)
        return rc;
    bound->is_bound = false;
    rc = transform->bind(transform->context, record->channels, record->channel_count, fault);
    if (rc < 0) {
        handin_say(message->fault, "its transforms cannot be applied: %s", fault);
        return rc;
    }
    bound->is_bound = true;
    bound->channel_count = record->channel_count;
    memcpy(bound->channels, record->channels, record->channel_count * sizeof *record->channels);
    (void)memccpy(bound->base_name, record->base_name, '\0', sizeof bound->base_name);
    return E_OK;
}

/* 1: ITEM is to be handed over; 0: it became no record, or not yet. */
static int run_transform(const struct handin_message *message, const struct payload_record *record,
                         struct intake_item *item)
{
    const struct intake_transform *transform = message->entry->setup->transform;
    if (transform == NULL)
        return 1;
    int rc = bind(message, record);
    bool is_late = item->sample->boot_ms < transform->since_ms(transform->context);
    if (rc == E_OK)
        rc = handin_store_flush(message, is_late ? INT64_MAX : item->sample->boot_ms);
    if (rc < 0)
        return rc;
    rc = transform->push(transform->context, item);
    if (rc < 0)
        handin_say(message->fault, "its transforms cannot be applied: %s", ERROR_TEXT(rc));
    return rc;
}

int handin_store_record(const struct handin_message *message, const struct payload_record *record)
{
    struct handin *handin = message->handin;
    const struct intake_transform *transform = message->entry->setup->transform;
    struct intake_item item = {.sample = &handin->sample};
    handin->sample = record->sample;
    if (transform == NULL) {
        handin->shape.channel_count = record->channel_count;
        memcpy(handin->shape.channels, record->channels,
               record->channel_count * sizeof *record->channels);
    }
    int rc = run_transform(message, record, &item);
    if (rc != 1)
        return rc;
    enum lane lane = item.alarm ? LANE_ALARM : message->lane;
    rc = hand_over(message, lane, item.sample, record->base_name);
    if (rc < 0) {
        count_refused(message, lane, rc);
        if (transform != NULL)
            transform->lost(transform->context);
    }
    return rc;
}
