/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/status_read.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/json/json_scan.h"

enum { PATH_BYTES = 512, ENTRIES_MIN = 256, ENTRIES_MAX = 1 << 20, TEXT_BYTES_MAX = 64 << 20 };

struct entry {
    size_t path; /* offsets into text */
    size_t name; /* of the path's last part */
    size_t value;
    size_t parent; /* the entry of the object that it is a member of */
    bool null;
    bool array; /* its elements have no names */
};

struct status_read {
    struct entry *entries;
    size_t entry_count, entry_capacity;
    char *text;
    size_t text_bytes, text_capacity;
    size_t open[JSON_DEPTH_MAX + 1]; /* the entries of the objects around the next token */
    char name[JSON_TOKEN_BYTES];     /* the key that was read last */
};

static int grow(void **memory, size_t *capacity, size_t needed, size_t unit, size_t limit)
{
    size_t wanted = *capacity == 0 ? ENTRIES_MIN : *capacity;
    while (wanted < needed)
        wanted *= 2;
    if (wanted == *capacity)
        return 0;
    if (wanted > limit)
        return E_TOO_BIG;
    void *grown = realloc(*memory, wanted * unit);
    if (grown == NULL)
        return E_NO_MEMORY;
    *memory = grown;
    *capacity = wanted;
    return 0;
}

static int add_text(struct status_read *status, const char *text, size_t *ret_offset)
{
    size_t count = strlen(text) + 1;
    void *memory = status->text;
    int result =
        grow(&memory, &status->text_capacity, status->text_bytes + count, 1, TEXT_BYTES_MAX);
    status->text = memory;
    if (result < 0)
        return result;
    memcpy(status->text + status->text_bytes, text, count);
    *ret_offset = status->text_bytes;
    status->text_bytes += count;
    return 0;
}

static const char *path_of(const struct status_read *status, size_t entry)
{
    return status->text + status->entries[entry].path;
}

static int add_path(struct status_read *status, const struct json_token *token, struct entry *entry)
{
    char path[PATH_BYTES];
    int count = 0;
    path[0] = '\0';
    if (token->depth > 0) {
        entry->parent = status->open[token->depth - 1];
        if (status->entries[entry->parent].array)
            status->name[0] = '\0';
        const char *parent = path_of(status, entry->parent);
        count = snprintf(path, sizeof(path), "%s%s%s", parent, *parent != '\0' ? "/" : "",
                         status->name);
    }
    if (count < 0 || (size_t)count >= sizeof(path))
        return E_TOO_BIG;
    int result = add_text(status, path, &entry->path);
    entry->name =
        token->depth == 0 ? entry->path : entry->path + (size_t)count - strlen(status->name);
    return result;
}

static int add_entry(struct status_read *status, const struct json_token *token, const char *value)
{
    struct entry entry = {.null = token->event == JSON_NULL,
                          .array = token->event == JSON_ARRAY_BEGIN};
    void *memory = status->entries;
    int result =
        grow(&memory, &status->entry_capacity, status->entry_count + 1, sizeof(entry), ENTRIES_MAX);
    status->entries = memory;
    if (result == 0)
        result = add_path(status, token, &entry);
    if (result == 0)
        result = add_text(status, value, &entry.value);
    if (result < 0)
        return result;
    if (token->event == JSON_OBJECT_BEGIN || token->event == JSON_ARRAY_BEGIN)
        status->open[token->depth] = status->entry_count;
    status->entries[status->entry_count++] = entry;
    return 0;
}

static int take_token(void *context, const struct json_token *token)
{
    struct status_read *status = context;
    switch (token->event) {
    case JSON_KEY:
        (void)snprintf(status->name, sizeof(status->name), "%s", token->text);
        return 0;
    case JSON_OBJECT_END:
    case JSON_ARRAY_END:
        return 0;
    case JSON_TRUE:
        return add_entry(status, token, "true");
    case JSON_FALSE:
        return add_entry(status, token, "false");
    default:
        return add_entry(status, token, token->text);
    }
}

int status_read_open(const char *json, size_t count, struct status_read **ret_status)
{
    struct json_scan scan;
    struct status_read *status = calloc(1, sizeof(*status));
    if (status == NULL)
        return E_NO_MEMORY;
    json_scan_start(&scan, take_token, status);
    int result = json_scan_feed(&scan, json, count);
    if (result == 0)
        result = json_scan_end(&scan);
    if (result < 0) {
        status_read_close(status);
        return result;
    }
    *ret_status = status;
    return 0;
}

void status_read_close(struct status_read *status)
{
    if (status == NULL)
        return;
    free(status->entries);
    free(status->text);
    free(status);
}

static const struct entry *find(const struct status_read *status, const char *format,
                                va_list arguments) __attribute__((format(printf, 2, 0)));
static const struct entry *find(const struct status_read *status, const char *format,
                                va_list arguments)
{
    char path[PATH_BYTES];
    (void)vsnprintf(path, sizeof(path), format, arguments);
    for (size_t i = 0; i < status->entry_count; i++) {
        if (strcmp(path_of(status, i), path) == 0)
            return &status->entries[i];
    }
    return NULL;
}

static const char *find_value(const struct status_read *status, const char *format,
                              va_list arguments) __attribute__((format(printf, 2, 0)));
static const char *find_value(const struct status_read *status, const char *format,
                              va_list arguments)
{
    const struct entry *entry = find(status, format, arguments);
    return entry == NULL || entry->null ? NULL : status->text + entry->value;
}

const char *status_read_text(const struct status_read *status, const char *fallback,
                             const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *value = find_value(status, format, arguments);
    va_end(arguments);
    return value != NULL ? value : fallback;
}

uint64_t status_read_number(const struct status_read *status, const char *format, ...)
{
    uint64_t number = 0;
    va_list arguments;
    va_start(arguments, format);
    const char *value = find_value(status, format, arguments);
    va_end(arguments);
    return value != NULL && parse_unsigned(value, strlen(value), &number) == 0 ? number : 0;
}

int64_t status_read_milli(const struct status_read *status, int64_t fallback, const char *format,
                          ...)
{
    int64_t mantissa;
    unsigned decimals;
    va_list arguments;
    va_start(arguments, format);
    const char *value = find_value(status, format, arguments);
    va_end(arguments);
    if (value == NULL || parse_decimal(value, strlen(value), &mantissa, &decimals) < 0)
        return fallback;
    for (; decimals > 3; decimals--)
        mantissa /= 10;
    for (; decimals < 3; decimals++) {
        if (mantissa > INT64_MAX / 10 || mantissa < INT64_MIN / 10)
            return fallback;
        mantissa *= 10;
    }
    return mantissa;
}

bool status_read_is_true(const struct status_read *status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *value = find_value(status, format, arguments);
    va_end(arguments);
    return value != NULL && strcmp(value, "true") == 0;
}

/* The INDEX-th entry below the one at the path. */
static const struct entry *find_child(const struct status_read *status, size_t index,
                                      const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));
static const struct entry *find_child(const struct status_read *status, size_t index,
                                      const char *format, va_list arguments)
{
    const struct entry *entry = find(status, format, arguments);
    if (entry == NULL)
        return NULL;
    size_t parent = (size_t)(entry - status->entries);
    for (size_t i = parent + 1; i < status->entry_count; i++) {
        if (status->entries[i].parent == parent && index-- == 0)
            return &status->entries[i];
    }
    return NULL;
}

const char *status_read_element(const struct status_read *status, size_t index, const char *format,
                                ...)
{
    va_list arguments;
    va_start(arguments, format);
    const struct entry *entry = find_child(status, index, format, arguments);
    va_end(arguments);
    return entry != NULL ? status->text + entry->value : NULL;
}

const char *status_read_member(const struct status_read *status, size_t index, const char *format,
                               ...)
{
    va_list arguments;
    va_start(arguments, format);
    const struct entry *entry = find_child(status, index, format, arguments);
    va_end(arguments);
    return entry != NULL ? status->text + entry->name : NULL;
}
