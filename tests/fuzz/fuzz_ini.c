/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "platform/base/ini.h"
#include "tests/fuzz/fuzz.h"

enum { LINE_BYTES = 64 };

/* What a file comes to: the same, however it was cut into pieces. */
struct result {
    uint64_t sum;
    unsigned keys;
    bool profile_seen;
};

static uint64_t add(uint64_t sum, const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum = (sum ^ (uint8_t)text[i]) * 0x100000001b3;
    return (sum ^ count) * 0x100000001b3;
}

static int on_key(void *context, const struct ini_key *key)
{
    struct result *result = context;
    if (key->name_count + key->value_count > LINE_BYTES || key->line == 0 ||
        memchr(key->name, '\n', key->name_count) != NULL ||
        memchr(key->value, '\n', key->value_count) != NULL)
        abort();
    result->sum = add(result->sum, key->name, key->name_count);
    result->sum = add(result->sum, key->value, key->value_count);
    result->sum += key->line + (key->cut ? 1U : 0U);
    result->keys++;
    return 0;
}

static struct result read_file(const char *bytes, size_t count, size_t piece, bool is_config)
{
    struct result result = {0};
    char line[LINE_BYTES];
    struct ini ini = {.profile = "p",
                      .is_config = is_config,
                      .on_key = on_key,
                      .context = &result,
                      .line = line,
                      .line_bytes = sizeof line};
    for (size_t at = 0; at < count; at += piece)
        if (ini_feed(&ini, bytes + at, count - at < piece ? count - at : piece) != 0)
            abort();
    if (ini_end(&ini) != 0)
        abort();
    result.profile_seen = ini.profile_seen;
    if (result.keys > 0 && !result.profile_seen)
        abort();
    return result;
}

/* The last byte says where the file is cut, and which of the two files it is. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count == 0)
        return 0;
    const char *text = (const char *)bytes;
    bool is_config = (bytes[count - 1] & 8) != 0;
    struct result whole = read_file(text, count, count, is_config);
    struct result cut = read_file(text, count, 1 + bytes[count - 1] % 7, is_config);
    if (whole.sum != cut.sum || whole.keys != cut.keys || whole.profile_seen != cut.profile_seen)
        abort();
    return 0;
}
