/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/http/http_parse.h"
#include "tests/fuzz/fuzz.h"

/* What a reply comes to: the same, however it was cut into pieces. */
struct result {
    int error;
    int status;
    bool keep_alive;
    uint64_t body_bytes;
    uint64_t body_sum;
};

static int on_head(void *context, const struct http_reply *reply)
{
    struct result *result = context;
    result->status = reply->status;
    result->keep_alive = reply->keep_alive;
    return 0;
}

static int on_body(void *context, const uint8_t *bytes, size_t count)
{
    struct result *result = context;
    for (size_t i = 0; i < count; i++)
        result->body_sum = result->body_sum * 31 + bytes[i];
    result->body_bytes += count;
    return 0;
}

static struct result parse(const uint8_t *bytes, size_t count, size_t piece)
{
    struct result result = {0};
    const struct http_parse_events events = {on_head, on_body, &result};
    struct http_parser parser;
    http_parse_start(&parser);
    for (size_t at = 0; at < count && result.error == 0; at += piece) {
        size_t take = count - at < piece ? count - at : piece;
        int rc = http_parse_feed(&parser, bytes + at, take, &events);
        result.error = rc < 0 ? rc : 0;
    }
    if (result.error == 0)
        result.error = http_parse_end(&parser);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count == 0)
        return 0;
    struct result whole = parse(bytes, count, count);
    struct result cut = parse(bytes, count, 1 + bytes[count - 1] % 7);
    if (whole.error != cut.error || whole.status != cut.status ||
        whole.keep_alive != cut.keep_alive || whole.body_bytes != cut.body_bytes ||
        whole.body_sum != cut.body_sum)
        abort();
    return 0;
}
