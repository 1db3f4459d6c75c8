/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/bus/procfs.h"

#include <stdio.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/fs.h"

int procfs_read(const char *root, const char *path, char *buffer, size_t buffer_bytes,
                struct procfs_text *ret_text)
{
    char full[FS_PATH_BYTES];
    int count = snprintf(full, sizeof full, "%s%s", root, path);
    count = count < 0 || (size_t)count >= sizeof full ? E_TOO_BIG
                                                      : fs_read_file(full, buffer, buffer_bytes);
    *ret_text = (struct procfs_text){.bytes = buffer, .count = count};
    return count;
}

bool procfs_next_line(struct procfs_text *text, struct procfs_text *ret_line)
{
    if (text->count <= 0)
        return false;
    const char *end = memchr(text->bytes, '\n', (size_t)text->count);
    int length = end != NULL ? (int)(end - text->bytes) : text->count;
    int taken = end != NULL ? length + 1 : length;
    *ret_line = (struct procfs_text){.bytes = text->bytes, .count = length};
    text->bytes += taken;
    text->count -= taken;
    return true;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\0';
}

struct procfs_text procfs_next_word(struct procfs_text *text)
{
    while (text->count > 0 && is_blank(text->bytes[0])) {
        text->bytes++;
        text->count--;
    }
    struct procfs_text word = {.bytes = text->bytes};
    while (text->count > 0 && !is_blank(text->bytes[0])) {
        text->bytes++;
        text->count--;
        word.count++;
    }
    return word;
}

struct procfs_text procfs_skip_to_word(struct procfs_text *text, unsigned count)
{
    struct procfs_text word = {.count = 0};
    while (count-- > 0)
        word = procfs_next_word(text);
    return word;
}

bool procfs_is(struct procfs_text word, const char *name)
{
    return (size_t)word.count == strlen(name) && memcmp(word.bytes, name, strlen(name)) == 0;
}

bool procfs_next_unsigned(struct procfs_text *text, uint64_t *ret_value)
{
    struct procfs_text word = procfs_next_word(text);
    return parse_unsigned(word.bytes, (size_t)word.count, ret_value) == 0;
}

bool procfs_find(struct procfs_text text, const char *name, struct procfs_text *ret_rest)
{
    struct procfs_text line;
    while (procfs_next_line(&text, &line))
        if (procfs_is(procfs_next_word(&line), name)) {
            *ret_rest = line;
            return true;
        }
    return false;
}

bool procfs_find_unsigned(struct procfs_text text, const char *name, uint64_t *ret_value)
{
    struct procfs_text rest;
    return procfs_find(text, name, &rest) && procfs_next_unsigned(&rest, ret_value);
}

void procfs_set_decimal(struct value *value, struct procfs_text word)
{
    if (parse_decimal(word.bytes, (size_t)word.count, &value->mantissa, &value->decimals) == 0)
        value->kind = VALUE_DECIMAL;
}

void procfs_set_count(struct value *value, uint64_t count, uint64_t factor)
{
    if (factor == 0 || count <= INT64_MAX / factor)
        *value = (struct value){.kind = VALUE_DECIMAL, .mantissa = (int64_t)(count * factor)};
}
