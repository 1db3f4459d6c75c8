/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/json/json_scan.h"
#include "tests/fuzz/fuzz.h"

/* What a text comes to: the same, however it was cut into pieces. */
struct result {
    int error;
    uint64_t tokens;
    uint64_t sum;
    unsigned depth;
    uint64_t offset;
    unsigned line;
    unsigned column;
};

static void add(struct result *result, uint64_t value)
{
    result->sum = (result->sum ^ value) * 0x100000001b3;
}

static void check_nesting(struct result *result, const struct json_token *token)
{
    bool ends = token->event == JSON_OBJECT_END || token->event == JSON_ARRAY_END;
    if (ends && result->depth-- == 0)
        abort();
    if (token->depth != result->depth || token->depth > JSON_DEPTH_MAX)
        abort();
    result->depth += token->event == JSON_OBJECT_BEGIN || token->event == JSON_ARRAY_BEGIN;
}

static int on_token(void *context, const struct json_token *token)
{
    struct result *result = context;
    if (token->text_bytes >= JSON_TOKEN_BYTES || token->text[token->text_bytes] != '\0')
        abort();
    check_nesting(result, token);
    result->tokens++;
    add(result, (uint64_t)token->event);
    add(result, token->offset);
    add(result, (uint64_t)token->line << 32 | token->column);
    add(result, token->truncated);
    for (size_t i = 0; i < token->text_bytes; i++)
        add(result, (uint8_t)token->text[i]);
    return 0;
}

static struct result scan(const uint8_t *bytes, size_t count, size_t piece)
{
    struct result result = {0};
    struct json_scan scan;
    json_scan_start(&scan, on_token, &result);
    for (size_t at = 0; at < count && result.error == 0; at += piece)
        result.error = json_scan_feed(&scan, bytes + at, count - at < piece ? count - at : piece);
    if (result.error == 0)
        result.error = json_scan_end(&scan);
    if (result.error == 0 && (result.depth != 0 || result.tokens == 0))
        abort();
    if (result.error == E_SYNTAX && scan.fault == NULL)
        abort();
    result.offset = scan.offset;
    result.line = scan.line;
    result.column = scan.column;
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count == 0)
        return 0;
    struct result whole = scan(bytes, count, count);
    struct result cut = scan(bytes, count, 1 + bytes[count - 1] % 7);
    if (whole.error != cut.error || whole.tokens != cut.tokens || whole.sum != cut.sum ||
        whole.line != cut.line || whole.column != cut.column)
        abort();
    if (whole.error == 0 && bytes[0] == '{' && json_scan_object(bytes, count) != 0)
        abort();
    return 0;
}
