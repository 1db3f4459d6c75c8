/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/batch/partition_table.h"

#include <string.h>

static const uint32_t table[PARTITION_TABLE_KEYS] = {
#include "agent/batch/partition_table.def"
};

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
