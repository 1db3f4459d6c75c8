/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/batch/aggregate.h"

#include <string.h>

/* Field numbers and wire types (Protocol Buffers, "Encoding"). */
enum {
    TABLE_OF_KEYS = 1 << 3 | 2, /* AggregatedRecord.partition_key_table */
    RECORDS = 3 << 3 | 2,       /* AggregatedRecord.records */
    KEY_INDEX = 1 << 3 | 0,     /* Record.partition_key_index, required: 0 is written, too */
    DATA = 3 << 3 | 2,          /* Record.data */
};

static const uint8_t magic[] = {0xf3, 0x89, 0x9a, 0xc2};

static size_t varint_bytes(uint64_t value)
{
    size_t count = 1;
    for (; value > 0x7f; value >>= 7)
        count++;
    return count;
}

static uint8_t *put_varint(uint8_t *to, uint64_t value)
{
    for (; value > 0x7f; value >>= 7)
        *to++ = (uint8_t)(value | 0x80);
    *to++ = (uint8_t)value;
    return to;
}

size_t aggregate_start(struct aggregate *aggregate, const char *key, size_t key_bytes,
                       uint8_t ret_head[AGGREGATE_HEAD_BYTES])
{
    uint8_t *message = ret_head + sizeof magic;
    uint8_t *to = message;
    memcpy(ret_head, magic, sizeof magic);
    *to++ = TABLE_OF_KEYS;
    to = put_varint(to, key_bytes);
    memcpy(to, key, key_bytes);
    to += key_bytes;
    hash_md5_start(&aggregate->hash);
    hash_md5_add(&aggregate->hash, message, (size_t)(to - message));
    return (size_t)(to - ret_head);
}

static uint64_t message_bytes(uint64_t data_bytes)
{
    return 2 + 1 + varint_bytes(data_bytes) + data_bytes;
}

size_t aggregate_record(struct aggregate *aggregate, uint64_t data_bytes,
                        uint8_t ret_head[AGGREGATE_RECORD_HEAD_BYTES])
{
    uint8_t *to = ret_head;
    *to++ = RECORDS;
    to = put_varint(to, message_bytes(data_bytes));
    *to++ = KEY_INDEX;
    *to++ = 0;
    *to++ = DATA;
    to = put_varint(to, data_bytes);
    hash_md5_add(&aggregate->hash, ret_head, (size_t)(to - ret_head));
    return (size_t)(to - ret_head);
}

void aggregate_add(struct aggregate *aggregate, const uint8_t *data, size_t count)
{
    hash_md5_add(&aggregate->hash, data, count);
}

void aggregate_finish(struct aggregate *aggregate, uint8_t ret_digest[HASH_MD5_BYTES])
{
    hash_md5_finish(&aggregate->hash, ret_digest);
}

size_t aggregate_empty_bytes(size_t key_bytes)
{
    return sizeof magic + 1 + varint_bytes(key_bytes) + key_bytes + HASH_MD5_BYTES;
}

uint64_t aggregate_record_bytes(uint64_t data_bytes)
{
    uint64_t bytes = message_bytes(data_bytes);
    return 1 + varint_bytes(bytes) + bytes;
}
