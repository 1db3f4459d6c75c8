/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/transform/document.h"

#include <stdio.h>
#include <string.h>

#include "platform/base/decimal.h"
#include "platform/base/error.h"

int document_path_set(struct document_path *path, const char *text)
{
    path->part_count = 0;
    for (;;) {
        size_t count = strcspn(text, ".");
        if (path->part_count == DOCUMENT_PARTS_MAX)
            return E_INVALID;
        path->part[path->part_count] = text;
        path->part_bytes[path->part_count++] = count;
        if (text[count] == '\0')
            return 0;
        text += count + 1;
    }
}

static bool is_begin(const struct json_token *token)
{
    return token->event == JSON_OBJECT_BEGIN || token->event == JSON_ARRAY_BEGIN;
}

static bool is_end(const struct json_token *token)
{
    return token->event == JSON_OBJECT_END || token->event == JSON_ARRAY_END;
}

void document_step(struct document_place *place, const struct json_token *token)
{
    if (is_end(token) || token->event == JSON_KEY)
        return;
    place->index[token->depth]++;
    if (!is_begin(token))
        return;
    place->is_array[token->depth + 1] = token->event == JSON_ARRAY_BEGIN;
    place->index[token->depth + 1] = UINT32_MAX; /* the first makes it 0 */
}

/* How many parts TEXT is: members of a flat document have the dots in their names. */
static int count_parts(const struct document_path *path, int first, const char *text, size_t bytes)
{
    for (int last = first; last < path->part_count; last++) {
        const char *end = path->part[last] + path->part_bytes[last];
        size_t joined = (size_t)(end - path->part[first]);
        if (joined == bytes && memcmp(path->part[first], text, bytes) == 0)
            return last - first + 1;
    }
    return 0;
}

static bool is_part(const struct document_path *path, int part, const char *text, size_t bytes)
{
    return part < path->part_count && path->part_bytes[part] == bytes &&
           memcmp(path->part[part], text, bytes) == 0;
}

/* A value in an array: its number may be a part of the path, and need not. */
static int match_element(const struct document_path *path, int matched, uint32_t index)
{
    char text[16];
    int count = snprintf(text, sizeof text, "%lu", (unsigned long)index);
    if (matched < 0)
        return -1;
    return is_part(path, matched, text, (size_t)count) ? matched + 1 : matched;
}

static int match_key(const struct document_path *path, int matched, const struct json_token *token)
{
    int count = matched < 0 ? 0 : count_parts(path, matched, token->text, token->text_bytes);
    return count == 0 ? -1 : matched + count;
}

bool document_is(struct document_path *path, const struct document_place *place,
                 const struct json_token *token)
{
    unsigned depth = token->depth;
    if (is_end(token))
        return false;
    if (token->event == JSON_KEY) {
        path->current = match_key(path, path->matched[depth], token);
        return false;
    }
    if (depth == 0)
        path->current = 0;
    else if (place->is_array[depth])
        path->current = match_element(path, path->matched[depth], place->index[depth]);
    if (is_begin(token))
        path->matched[depth + 1] = path->current;
    return depth > 0 && path->current == path->part_count;
}

/* The quote that ends the string at AT; the document was checked. */
static size_t string_end(const uint8_t *document, size_t bytes, size_t at)
{
    for (at++; at < bytes && document[at] != '"'; at++)
        at += document[at] == '\\';
    return at < bytes ? at + 1 : bytes;
}

static size_t number_end(const uint8_t *document, size_t bytes, size_t at)
{
    while (at < bytes && document[at] != '\0' && strchr("+-.0123456789eE", document[at]) != NULL)
        at++;
    return at;
}

size_t document_end(const uint8_t *document, size_t bytes, const struct json_token *token)
{
    size_t at = (size_t)token->offset;
    switch (token->event) {
    case JSON_KEY:
    case JSON_STRING:
        return string_end(document, bytes, at);
    case JSON_NUMBER:
        return number_end(document, bytes, at);
    case JSON_FALSE:
        return at + sizeof "false" - 1;
    case JSON_TRUE:
    case JSON_NULL:
        return at + sizeof "true" - 1;
    default:
        return at + 1;
    }
}

static struct value number_value(const struct json_token *token, bool *ret_unfit)
{
    struct decimal number;
    if (token->truncated || decimal_parse(token->text, token->text_bytes, &number) < 0) {
        *ret_unfit = true;
        return (struct value){.kind = VALUE_ABSENT};
    }
    return (struct value){
        .kind = VALUE_DECIMAL, .mantissa = number.mantissa, .decimals = number.decimals};
}

struct value document_value(const struct json_token *token, char *text, size_t text_bytes,
                            bool *ret_unfit)
{
    struct value value = {.kind = VALUE_ABSENT};
    if (token->event == JSON_NUMBER)
        return number_value(token, ret_unfit);
    if (token->event == JSON_TRUE || token->event == JSON_FALSE)
        return (struct value){.kind = VALUE_DECIMAL, .mantissa = token->event == JSON_TRUE};
    if (token->event != JSON_STRING || token->truncated || token->text_bytes > text_bytes ||
        memchr(token->text, '\0', token->text_bytes) != NULL)
        return value;
    memcpy(text, token->text, token->text_bytes);
    return (struct value){.kind = VALUE_TEXT, .text = text, .text_bytes = token->text_bytes};
}

struct search {
    struct document_path *path;
    struct document_place place;
    char *text;
    bool *ret_unfit;
    struct value value;
};

static int search_token(void *context, const struct json_token *token)
{
    struct search *search = context;
    document_step(&search->place, token);
    if (!document_is(search->path, &search->place, token))
        return 0;
    search->value = document_value(token, search->text, SAMPLE_TEXT_BYTES_MAX, search->ret_unfit);
    return search->value.kind == VALUE_ABSENT ? 0 : E_END;
}

struct value document_find(const uint8_t *document, size_t bytes, struct document_path *path,
                           char text[SAMPLE_TEXT_BYTES_MAX], bool *ret_unfit)
{
    struct json_scan scan;
    struct search search = {.path = path, .text = text, .ret_unfit = ret_unfit};
    json_scan_start(&scan, search_token, &search);
    (void)json_scan_feed(&scan, document, bytes);
    return search.value;
}
