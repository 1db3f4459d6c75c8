/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/batch/partition.h"

#include <string.h>

#include "platform/base/bytes.h"
#include "platform/base/crc32c.h"

/* 4096 divided by the golden section squared would be 2531.5; among its odd neighbours, which step
 * through all of the table, 2529 was measured to be the most even over strides of 1 to 12. */
enum { STEP = 2529, RANDOM_BYTES = 8 };

static const uint32_t table[PARTITION_TABLE_KEYS] = {
#include "agent/batch/partition_table.def"
};

uint32_t partition_start(const char *device)
{
    return crc32c(0, device, strlen(device)) % PARTITION_TABLE_KEYS;
}

size_t partition_table_key(uint32_t place, char ret_key[PARTITION_TABLE_KEY_BYTES])
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    char text[PARTITION_TABLE_KEY_BYTES];
    size_t start = sizeof text;
    text[--start] = '\0';
    for (uint32_t rest = table[place % PARTITION_TABLE_KEYS]; rest > 0; rest /= 36)
        text[--start] = digits[rest % 36];
    memcpy(ret_key, text + start, sizeof text - start);
    return sizeof text - start - 1;
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

static size_t named_key(const char *name, char *ret_key)
{
    size_t count = strlen(name);
    if (count == 0)
        name = "-", count = 1;
    if (count > PARTITION_KEY_BYTES) {
        count = PARTITION_KEY_BYTES;
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

size_t partition_key(const struct partition *partition, uint64_t turn, const struct record *record,
                     const struct sensor_definition *sensor, char ret_key[PARTITION_KEY_BYTES])
{
    uint32_t place = (uint32_t)(turn % PARTITION_TABLE_KEYS) * STEP + partition->start;
    (void)record;
    switch (partition->kind) {
    case PARTITION_DEVICE:
        return named_key(sensor->device, ret_key);
    case PARTITION_SENSOR:
        return named_key(sensor->name, ret_key);
    case PARTITION_RANDOM:
        return random_key(partition->seed, turn, ret_key);
    case PARTITION_FIXED:
        return named_key(partition->fixed, ret_key);
    default:
        return partition_table_key(place, ret_key);
    }
}
