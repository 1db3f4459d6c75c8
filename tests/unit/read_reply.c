/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/read_reply.h"

#include <string.h>

#include "platform/base/error.h"

struct reading {
    struct read_reply *reply;
    struct dest *dest;
};

static int on_head(void *context, const struct http_reply *head)
{
    const struct reading *reading = context;
    reading->reply->head = *head;
    return 0;
}

static int on_body(void *context, const uint8_t *bytes, size_t count)
{
    const struct reading *reading = context;
    return reading->dest->operations->reply_feed(reading->dest, bytes, count);
}

/* What is read behind the end of the reply belongs to nobody. */
static int feed(struct http_parser *parser, const uint8_t *bytes, size_t count,
                const struct http_parse_events *events)
{
    if (count == 0 || http_parse_done(parser))
        return 0;
    int rc = http_parse_feed(parser, bytes, count, events);
    return rc < 0 ? rc : 0;
}

static int parse(const struct http_parse_events *events, const uint8_t *bytes, size_t count,
                 const size_t *splits, size_t split_count)
{
    struct http_parser parser;
    size_t at = 0;
    int rc = 0;
    http_parse_start(&parser);
    for (size_t i = 0; i <= split_count && rc == 0; i++) {
        size_t end = i < split_count ? splits[i] : count;
        rc = feed(&parser, bytes + at, end - at, events);
        at = end;
    }
    return rc < 0 || http_parse_done(&parser) ? rc : http_parse_end(&parser);
}

struct read_reply read_reply(struct dest *dest, size_t sent, const uint8_t *bytes, size_t count,
                             const size_t *splits, size_t split_count)
{
    struct read_reply reply = {.head = {.retry_after_ms = -1}};
    struct reading reading = {&reply, dest};
    const struct http_parse_events events = {on_head, on_body, &reading};
    dest->operations->reply_start(dest, sent, reply.delivered);
    reply.error = parse(&events, bytes, count, splits, split_count);
    dest->operations->reply_end(dest, &reply.head, &reply.body);
    const struct verdict_question question = {
        .error = reply.error,
        .status = reply.head.status,
        .understood = reply.body.understood,
        .code = reply.body.code[0] != '\0' ? reply.body.code : reply.head.error_type,
        .message = reply.body.message};
    reply.verdict = verdict_of_request(&question);
    return reply;
}

int read_reply_same(const struct read_reply *one, const struct read_reply *other)
{
    if (one->verdict != other->verdict || one->error != other->error)
        return 0;
    if (one->verdict != VERDICT_DELIVERED)
        return 1;
    return one->body.delivered == other->body.delivered && one->body.failed == other->body.failed &&
           one->body.throttled == other->body.throttled &&
           memcmp(one->delivered, other->delivered, sizeof one->delivered) == 0;
}
