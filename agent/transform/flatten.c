/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/transform/transform.h"
#include "platform/base/error.h"
#include "platform/base/writer.h"

/* A document's members become channels, or all of them members of one object without depth. What
 * is spelt in the document, keys, texts and numbers, is copied byte for byte. */
enum { NAME_BYTES = 1024, CHANNEL_TEXTS_BYTES = SAMPLE_CHANNELS_MAX * SAMPLE_TEXT_BYTES_MAX };

struct flatten {
    size_t out_bytes;
    uint8_t *out;                /* the document, or */
    char *texts;                 /* those of the channels */
    struct document_path *paths; /* likewise, as many as pairs */
    size_t first;                /* of the channels, behind those that the sensor has */
};

/* ---- opening ---- */

static int open_channels(struct flatten *flatten, const struct chain_step *step)
{
    int rc = 0;
    flatten->texts = malloc(CHANNEL_TEXTS_BYTES);
    flatten->paths = calloc(step->pair_count, sizeof *flatten->paths);
    if (flatten->texts == NULL || flatten->paths == NULL)
        return E_NO_MEMORY;
    for (size_t i = 0; rc == 0 && i < step->pair_count; i++)
        rc = document_path_set(&flatten->paths[i], step->pairs[i].value);
    return rc;
}

static int flatten_open(void *state, const struct chain_step *step,
                        const struct chain_options *options)
{
    struct flatten *flatten = state;
    if (step->pair_count > 0)
        return open_channels(flatten, step);
    flatten->out_bytes = options->document_bytes_max;
    flatten->out = malloc(flatten->out_bytes);
    return flatten->out == NULL ? E_NO_MEMORY : 0;
}

static void flatten_close(void *state)
{
    struct flatten *flatten = state;
    free(flatten->out);
    free(flatten->texts);
    free(flatten->paths);
}

static int flatten_bind(void *state, const struct chain_step *step, struct intake_shape *shape,
                        char fault[INTAKE_FAULT_BYTES])
{
    struct flatten *flatten = state;
    flatten->first = shape->channel_count;
    for (size_t i = 0; i < step->pair_count; i++) {
        const char *name = step->pairs[i].name;
        if (transform_find(shape, name) < SAMPLE_CHANNELS_MAX ||
            shape->channel_count == SAMPLE_CHANNELS_MAX) {
            (void)snprintf(fault, INTAKE_FAULT_BYTES,
                           shape->channel_count == SAMPLE_CHANNELS_MAX
                               ? "\"%s\" would be one channel more than 32"
                               : "there is a channel \"%s\" already; choose another name",
                           name);
            return E_INVALID;
        }
        struct channel *channel = &shape->channels[shape->channel_count++];
        *channel = (struct channel){.decimals = 0};
        (void)snprintf(channel->name, SAMPLE_NAME_BYTES, "%s", name);
    }
    return 0;
}

/* ---- to one document ---- */

struct flat {
    const uint8_t *document;
    size_t bytes;
    char separator;
    struct document_place place;
    size_t name_bytes;              /* of the value that comes next */
    size_t prefix[DOCUMENT_LEVELS]; /* of the members of a level */
    bool empty[DOCUMENT_LEVELS];
    bool comma;
    struct writer out;
    char name[NAME_BYTES]; /* as it is spelt in the document, without quotes */
};

static int name_member(struct flat *flat, unsigned depth, const char *text, size_t bytes)
{
    size_t used = flat->prefix[depth];
    if (bytes + 1 > sizeof flat->name - used)
        return E_TOO_BIG;
    if (depth > 1)
        flat->name[used++] = flat->separator;
    memcpy(flat->name + used, text, bytes);
    flat->name_bytes = used + bytes;
    return 0;
}

static int name_element(struct flat *flat, unsigned depth)
{
    char text[16];
    int count = snprintf(text, sizeof text, "%lu", (unsigned long)flat->place.index[depth]);
    return name_member(flat, depth, text, (size_t)count);
}

static void put(struct flat *flat, const void *value, size_t bytes)
{
    if (flat->comma)
        writer_char(&flat->out, ',');
    flat->comma = true;
    writer_char(&flat->out, '"');
    writer_bytes(&flat->out, flat->name, flat->name_bytes);
    writer_text(&flat->out, "\":");
    writer_bytes(&flat->out, value, bytes);
}

static void enter(struct flat *flat, unsigned depth)
{
    flat->prefix[depth + 1] = depth == 0 ? 0 : flat->name_bytes;
    flat->empty[depth + 1] = true;
}

/* What was empty is kept as it is. */
static void leave(struct flat *flat, const struct json_token *token)
{
    unsigned depth = token->depth;
    if (depth == 0 || !flat->empty[depth + 1])
        return;
    flat->name_bytes = flat->prefix[depth + 1];
    put(flat, token->event == JSON_OBJECT_END ? "{}" : "[]", 2);
}

static int flat_token(void *context, const struct json_token *token)
{
    struct flat *flat = context;
    unsigned depth = token->depth;
    size_t from = (size_t)token->offset;
    size_t count = document_end(flat->document, flat->bytes, token) - from;
    const char *text = (const char *)flat->document + from;
    document_step(&flat->place, token);
    if (token->event == JSON_OBJECT_END || token->event == JSON_ARRAY_END) {
        leave(flat, token);
        return flat->out.error;
    }
    if (token->event == JSON_KEY)
        return name_member(flat, depth, text + 1, count - 2);
    if (depth > 0 && flat->place.is_array[depth]) {
        int rc = name_element(flat, depth);
        if (rc < 0)
            return rc;
    }
    if (token->event == JSON_OBJECT_BEGIN || token->event == JSON_ARRAY_BEGIN)
        enter(flat, depth);
    else
        put(flat, text, count);
    flat->empty[depth] = false;
    return flat->out.error;
}

/* A document that cannot be made flat stays as it is, because it is data all the same. */
static void flatten_document(struct flatten *flatten, const struct chain_step *step,
                             struct sample *sample, struct transform_notes *notes)
{
    struct json_scan scan;
    struct flat flat = {.document = sample->document,
                        .bytes = sample->document_bytes,
                        .separator = step->separator};
    writer_to_memory(&flat.out, flatten->out, flatten->out_bytes);
    writer_char(&flat.out, '{');
    json_scan_start(&scan, flat_token, &flat);
    int rc = json_scan_feed(&scan, sample->document, sample->document_bytes);
    if (rc == 0)
        rc = json_scan_end(&scan);
    writer_char(&flat.out, '}');
    if (rc < 0 || flat.out.error < 0) {
        notes->lack = "the document would be too large, or has names of over 1,000 bytes";
        return;
    }
    sample->document = flatten->out;
    sample->document_bytes = flat.out.used_bytes;
}

/* ---- to channels ---- */

struct pick {
    struct flatten *flatten;
    size_t count;
    struct document_place place;
    struct sample *sample;
    struct transform_notes *notes;
    size_t texts_used;
};

static void pick_value(struct pick *pick, size_t index, const struct json_token *token)
{
    struct value *value = &pick->sample->values[pick->flatten->first + index];
    bool unfit = false;
    if (value->kind != VALUE_ABSENT)
        return; /* the first counts */
    size_t room = CHANNEL_TEXTS_BYTES - pick->texts_used;
    *value = document_value(token, pick->flatten->texts + pick->texts_used,
                            room < SAMPLE_TEXT_BYTES_MAX ? room : SAMPLE_TEXT_BYTES_MAX, &unfit);
    if (value->kind == VALUE_TEXT)
        pick->texts_used += value->text_bytes;
    else if (token->event == JSON_STRING)
        pick->notes->lack = "a text of more than 255 bytes is no value of a channel";
    pick->notes->unfit += unfit;
}

static int pick_token(void *context, const struct json_token *token)
{
    struct pick *pick = context;
    document_step(&pick->place, token);
    for (size_t i = 0; i < pick->count; i++)
        if (document_is(&pick->flatten->paths[i], &pick->place, token))
            pick_value(pick, i, token);
    return 0;
}

static void pick_channels(struct flatten *flatten, const struct chain_step *step,
                          struct sample *sample, struct transform_notes *notes)
{
    struct json_scan scan;
    struct pick pick = {
        .flatten = flatten, .count = step->pair_count, .sample = sample, .notes = notes};
    memset(sample->values, 0, sizeof sample->values); /* absent */
    json_scan_start(&scan, pick_token, &pick);
    (void)json_scan_feed(&scan, sample->document, sample->document_bytes);
    sample->value_count = flatten->first + step->pair_count;
    sample->document = NULL;
    sample->document_bytes = 0;
}

static int flatten_push(void *state, const struct chain_step *step, struct intake_item *item,
                        struct transform_notes *notes)
{
    struct flatten *flatten = state;
    struct sample *sample = item->sample;
    if (sample->document == NULL)
        return 1;
    if (step->pair_count > 0)
        pick_channels(flatten, step, sample, notes);
    else
        flatten_document(flatten, step, sample, notes);
    return 1;
}

const struct transform flatten_transform = {.state_bytes = sizeof(struct flatten),
                                            .open = flatten_open,
                                            .bind = flatten_bind,
                                            .push = flatten_push,
                                            .close = flatten_close};
