/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/json/cbor_scan.h"
#include "platform/json/json_write.h"
#include "tests/fuzz/fuzz.h"

enum { ROOM = 64, JSON_BYTES = 65536 };

/* The tokens, written as JSON. */
struct echo {
    unsigned depth;
    bool comma;
    struct writer out;
    uint8_t buffer[JSON_BYTES];
};

static void check_nesting(struct echo *echo, const struct json_token *token)
{
    bool ends = token->event == JSON_OBJECT_END || token->event == JSON_ARRAY_END;
    if (ends && echo->depth-- == 0)
        abort();
    if (token->depth != echo->depth || token->depth > JSON_DEPTH_MAX)
        abort();
    echo->depth += token->event == JSON_OBJECT_BEGIN || token->event == JSON_ARRAY_BEGIN;
}

static int on_token(void *context, const struct json_token *token)
{
    static const char *const signs[] = {"{", "}", "[", "]", "", "", "", "true", "false", "null"};
    struct echo *echo = context;
    bool ends = token->event == JSON_OBJECT_END || token->event == JSON_ARRAY_END;
    if (token->text_bytes >= ROOM || token->text[token->text_bytes] != '\0')
        abort();
    check_nesting(echo, token);
    if (echo->comma && !ends)
        writer_text(&echo->out, ",");
    if (token->event == JSON_KEY || token->event == JSON_STRING)
        json_write_string(&echo->out, token->text, token->text_bytes);
    else
        writer_text(&echo->out, token->event == JSON_NUMBER ? token->text : signs[token->event]);
    if (token->event == JSON_KEY)
        writer_text(&echo->out, ":");
    echo->comma = token->event != JSON_KEY && token->event != JSON_OBJECT_BEGIN &&
                  token->event != JSON_ARRAY_BEGIN;
    return 0;
}

/* What is said of it is JSON, whatever it was. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static struct echo echo;
    char token[ROOM];
    struct cbor_fault fault = {.offset = count + 1};
    struct json_scan scan;
    echo.depth = 0;
    echo.comma = false;
    writer_to_memory(&echo.out, echo.buffer, sizeof echo.buffer);
    int rc = cbor_scan(bytes, count, token, sizeof token, on_token, &echo, &fault);
    if (rc < 0) {
        if ((rc != E_SYNTAX && rc != E_TOO_BIG) || fault.text == NULL || fault.offset > count)
            abort();
        return 0;
    }
    if (echo.depth != 0)
        abort();
    if (echo.out.error < 0)
        return 0;
    json_scan_start(&scan, NULL, NULL);
    if (json_scan_feed(&scan, echo.buffer, echo.out.used_bytes) != 0 || json_scan_end(&scan) != 0)
        abort();
    return 0;
}
