/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/dictionary.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/base/writer.h"

static void put_number(struct writer *out, uint64_t number)
{
    uint8_t bytes[VARINT_BYTES_MAX];
    writer_bytes(out, bytes, bytes_put_varint(bytes, number));
}

/* Texts are stored with their NUL, so that a decoded definition can point at them. */
static void put_text(struct writer *out, const char *text)
{
    writer_bytes(out, text, strlen(text) + 1);
}

int dictionary_encode(const struct sensor_definition *definition, uint8_t *bytes, size_t size)
{
    struct writer out;
    if (definition->channel_count > SAMPLE_CHANNELS_MAX || definition->tag_count > SAMPLE_TAGS_MAX)
        return E_INVALID;
    writer_to_memory(&out, bytes, size < DEFINITION_BYTES_MAX ? size : DEFINITION_BYTES_MAX);
    put_number(&out, definition->channel_count);
    put_number(&out, definition->tag_count);
    put_text(&out, definition->device);
    put_text(&out, definition->name);
    for (size_t i = 0; i < definition->channel_count; i++) {
        put_number(&out, definition->channels[i].decimals);
        put_text(&out, definition->channels[i].name);
        put_text(&out, definition->channels[i].unit);
    }
    for (size_t i = 0; i < definition->tag_count; i++) {
        put_text(&out, definition->tags[i].name);
        put_text(&out, definition->tags[i].value);
    }
    return out.error < 0 ? out.error : (int)out.used_bytes;
}

struct source {
    const char *at;
    size_t left;
    bool damaged;
};

static uint64_t take_number(struct source *source, uint64_t limit)
{
    uint64_t number = 0;
    size_t taken = bytes_get_varint((const uint8_t *)source->at, source->left, &number);
    if (taken == 0 || number > limit) {
        source->damaged = true;
        return 0;
    }
    source->at += taken;
    source->left -= taken;
    return number;
}

static const char *take_text(struct source *source)
{
    const char *text = source->at;
    const char *end = source->left > 0 ? memchr(text, '\0', source->left) : NULL;
    if (end == NULL) {
        source->damaged = true;
        return "";
    }
    source->left -= (size_t)(end - text) + 1;
    source->at = end + 1;
    return text;
}

static void take_short_text(struct source *source, char *to, size_t to_bytes)
{
    const char *text = take_text(source);
    size_t length = strlen(text);
    if (length >= to_bytes) {
        source->damaged = true;
        return;
    }
    memcpy(to, text, length + 1);
}

/* One allocation: the definition, the channels, the tags, and a copy of the bytes for the texts. */
struct decoded {
    struct sensor_definition definition;
    struct channel channels[SAMPLE_CHANNELS_MAX];
    struct tag tags[SAMPLE_TAGS_MAX];
    char bytes[];
};

static void take_definition(struct source *source, struct decoded *decoded)
{
    struct sensor_definition *definition = &decoded->definition;
    definition->channel_count = (size_t)take_number(source, SAMPLE_CHANNELS_MAX);
    definition->tag_count = (size_t)take_number(source, SAMPLE_TAGS_MAX);
    definition->device = take_text(source);
    definition->name = take_text(source);
    for (size_t i = 0; i < definition->channel_count; i++) {
        struct channel *channel = &decoded->channels[i];
        channel->decimals = (unsigned)take_number(source, SAMPLE_DECIMALS_MAX);
        take_short_text(source, channel->name, sizeof channel->name);
        take_short_text(source, channel->unit, sizeof channel->unit);
    }
    for (size_t i = 0; i < definition->tag_count; i++) {
        decoded->tags[i].name = take_text(source);
        decoded->tags[i].value = take_text(source);
    }
}

int dictionary_decode(const uint8_t *bytes, size_t count, struct sensor_definition **ret_definition)
{
    struct decoded *decoded = calloc(1, sizeof *decoded + count);
    if (decoded == NULL)
        return E_NO_MEMORY;
    memcpy(decoded->bytes, bytes, count);
    struct source source = {.at = decoded->bytes, .left = count};
    decoded->definition.channels = decoded->channels;
    decoded->definition.tags = decoded->tags;
    take_definition(&source, decoded);
    if (source.damaged || source.left != 0) {
        free(decoded);
        return E_DAMAGED;
    }
    *ret_definition = &decoded->definition;
    return E_OK;
}
