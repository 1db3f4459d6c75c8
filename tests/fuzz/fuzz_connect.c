/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "agent/http/http_connect.h"
#include "platform/base/error.h"
#include "tests/fuzz/fuzz.h"

/* The first final status that the HTTP reader finds, and then ends. */
static int on_head(void *context, const struct http_reply *reply)
{
    int *status = context;
    *status = reply->status;
    return E_STOP;
}

static int status_of(const uint8_t *bytes, size_t count)
{
    struct http_parser parser;
    int status = 0;
    const struct http_parse_events events = {.on_head = on_head, .context = &status};
    http_parse_start(&parser);
    int rc = http_parse_feed(&parser, bytes, count, &events);
    return status != 0 ? status : rc < 0 ? rc : 0;
}

/* A tunnel stands only where the reader, too, sees a whole head that says so, and not one byte
 * earlier or later. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct http_parser parser;
    int rc = 0;
    size_t used = 0;
    http_parse_start(&parser);
    while (used < count && rc == 0)
        rc = http_connect_feed(&parser, bytes[used++]);
    if (rc > 0 && (rc < 200 || rc > 599))
        abort();
    if (rc < 0 && rc != E_SYNTAX && rc != E_TOO_BIG)
        abort();
    if (rc > 0 && (status_of(bytes, used) != rc || status_of(bytes, used - 1) > 0))
        abort();
    if (rc == 0 && count > 0 && status_of(bytes, count) > 0)
        abort();
    return 0;
}
