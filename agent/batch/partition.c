/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/batch/partition.h"

#include <string.h>

#include "agent/batch/partition_table.h"
#include "agent/batch/render_json.h"
#include "platform/base/bytes.h"
#include "platform/base/crc32c.h"
#include "platform/base/error.h"
#include "platform/json/json_scan.h"

/* 4096 divided by the golden section squared would be 2531.5; among its odd neighbours, which step
 * through all of the table, 2529 was measured to be the most even over strides of 1 to 12. */
enum { STEP = 2529, RANDOM_BYTES = 8 };

uint32_t partition_start(const char *device)
{
    return crc32c(0, device, strlen(device)) % PARTITION_TABLE_KEYS;
}

/* splitmix64 (Steele, Lea and Flood 2014): every bit of the sum decides every bit of the result. */
static uint64_t scatter(uint64_t seed, uint64_t sequence)
{
    uint64_t mixed = seed + sequence * 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

static size_t random_key(uint64_t seed, uint64_t turn, char *ret_key)
{
    uint8_t bytes[RANDOM_BYTES];
    bytes_put_be64(bytes, scatter(seed, turn));
    bytes_put_hex(ret_key, bytes, sizeof bytes);
    return 2 * sizeof bytes;
}

#ifdef CONFIG_PARTITION_EVEN
static size_t even_key(const struct partition *partition, uint64_t turn, char *ret_key)
{
    uint32_t place = (uint32_t)(turn % PARTITION_TABLE_KEYS) * STEP + partition->start;
    return partition_table_key(place, ret_key);
}
#else
static size_t even_key(const struct partition *partition, uint64_t turn, char *ret_key)
{
    return random_key(partition->seed, turn, ret_key);
}
#endif

static size_t text_key(const char *name, size_t count, char *ret_key)
{
    if (count == 0)
        name = "-", count = 1;
    if (count > PARTITION_KEY_BYTES) {
        count = PARTITION_KEY_BYTES; /* another byte follows */
        while (count > 1 && ((uint8_t)name[count] & 0xc0) == 0x80)
            count--;
    }
    memcpy(ret_key, name, count);
    return count;
}

bool partition_is_free(const struct partition *partition)
{
    return partition->kind == PARTITION_EVEN || partition->kind == PARTITION_RANDOM ||
           partition->kind == PARTITION_FIXED;
}

static size_t named_key(const char *name, char *ret_key)
{
    return text_key(name, strlen(name), ret_key);
}

/* ---- a field ---- */

static size_t value_key(const struct value *value, char *ret_key)
{
    char number[RENDER_JSON_FLOAT_BYTES];
    struct writer out;
    if (value->kind == VALUE_TEXT)
        return text_key(value->text, value->text_bytes, ret_key);
    if (value->kind == VALUE_FLOAT64)
        return text_key(number, render_json_float(value->float64_bits, number), ret_key);
    writer_to_memory(&out, ret_key, PARTITION_KEY_BYTES);
    writer_decimal(&out, value->mantissa, value->decimals);
    return out.used_bytes;
}

/* Looks for a member of a document. */
struct search {
    const char *name;
    bool is_next;
    char *key;
    size_t key_bytes; /* 0: not found */
};

static int look(void *context, const struct json_token *token)
{
    struct search *search = context;
    if (token->depth == 1 && token->event == JSON_KEY) {
        search->is_next = strcmp(token->text, search->name) == 0;
        return E_OK;
    }
    if (!search->is_next)
        return E_OK;
    search->is_next = false;
    if (token->event == JSON_STRING || token->event == JSON_NUMBER)
        search->key_bytes = named_key(token->text, search->key);
    else if (token->event == JSON_TRUE || token->event == JSON_FALSE)
        search->key_bytes = named_key(token->event == JSON_TRUE ? "true" : "false", search->key);
    return E_END;
}

static size_t member_key(const struct record *record, const char *name, char *ret_key)
{
    struct search search = {.name = name, .key = ret_key};
    struct json_scan scan;
    json_scan_start(&scan, look, &search);
    (void)json_scan_feed(&scan, record->document, record->document_piece_bytes);
    return search.key_bytes;
}

static size_t field_key(const char *name, const struct record *record,
                        const struct sensor_definition *sensor, char *ret_key)
{
    size_t count = 0;
    for (size_t i = 0; i < sensor->tag_count; i++)
        if (strcmp(sensor->tags[i].name, name) == 0)
            return named_key(sensor->tags[i].value, ret_key);
    for (size_t i = 0; i < record->value_count && i < sensor->channel_count; i++)
        if (strcmp(sensor->channels[i].name, name) == 0 &&
            render_json_has_value(&record->values[i]))
            return value_key(&record->values[i], ret_key);
    if (record->shape == RECORD_DOCUMENT && record->document != NULL)
        count = member_key(record, name, ret_key);
    return count > 0 ? count : named_key(sensor->name, ret_key);
}

/* ---- all of them ---- */

size_t partition_key(const struct partition *partition, uint64_t turn, const struct record *record,
                     const struct sensor_definition *sensor, char ret_key[PARTITION_KEY_BYTES])
{
    switch (partition->kind) {
    case PARTITION_DEVICE:
        return named_key(sensor->device, ret_key);
    case PARTITION_SENSOR:
        return named_key(sensor->name, ret_key);
    case PARTITION_RANDOM:
        return random_key(partition->seed, turn, ret_key);
    case PARTITION_FIXED:
        return named_key(partition->fixed, ret_key);
    case PARTITION_FIELD:
        return field_key(partition->field, record, sensor, ret_key);
    default:
        return even_key(partition, turn, ret_key);
    }
}
