/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/uplink/uplink_state.h"
#include "platform/base/error.h"

enum {
    SKEW_MS = 240 * 1000, /* AWS allows 5 min; SDKs correct from 4 min on */
    DATE_MIDDLE_MS = 500, /* a Date header is cut to the second */
    TOTAL_MS = 60 * 1000,
    BYTES_PER_S_MIN = 2048,
};

static int64_t magnitude(int64_t value)
{
    return value < 0 ? -value : value;
}

/* The endpoint's clock decides where ours is far off; where both agree ours is finer. */
static int64_t signing_wall_ms(struct uplink *uplink)
{
    int64_t boot = clock_boot_ms();
    int64_t wall = clock_wall_ms();
    int64_t server = boot + uplink->server_offset_ms;
    if (uplink->time_known && magnitude(server - wall) > SKEW_MS)
        wall = server;
    uplink->signed_offset_ms = wall - boot;
    return wall;
}

void uplink_exchange_learn(struct uplink *uplink, int64_t wall_ms)
{
    const struct uplink_options *options = &uplink->options;
    uplink->time_known = true;
    uplink->server_offset_ms = wall_ms + DATE_MIDDLE_MS - clock_boot_ms();
    uplink->answer.skewed =
        magnitude(uplink->server_offset_ms - uplink->signed_offset_ms) > SKEW_MS;
    if (options->tls && options->on_date != NULL)
        options->on_date(options->context, uplink->server_offset_ms);
}

static int on_head(void *context, const struct http_reply *reply)
{
    struct uplink *uplink = context;
    uplink->answer.head = *reply;
    if (reply->has_date)
        uplink_exchange_learn(uplink, reply->date_ms);
    return E_OK;
}

static int on_body(void *context, const uint8_t *bytes, size_t count)
{
    struct uplink *uplink = context;
    struct dest *dest = uplink->options.dest;
    return dest->operations->reply_feed(dest, bytes, count);
}

static int write_body(void *context, struct writer *out)
{
    struct uplink *uplink = context;
    return batch_write(&uplink->batch, out);
}

static int write_head(struct uplink *uplink)
{
    const struct uplink_options *options = &uplink->options;
    const struct dest_operations *operations = options->dest->operations;
    const struct request request = {.host = options->host,
                                    .port = options->port,
                                    .tls = options->tls,
                                    .path = options->path,
                                    .region = options->region,
                                    .service = operations->service,
                                    .target = operations->target,
                                    .content_type = operations->content_type,
                                    .user_agent = options->user_agent,
                                    .credentials = &uplink->credentials,
                                    .wall_ms = signing_wall_ms(uplink),
                                    .body_hash = uplink->batch.body_hash,
                                    .body_bytes = uplink->batch.body_bytes};
    return request_write_head(&request, &uplink->key, uplink->head);
}

/* What is slower than this is not waited for: a smaller request may get through. */
static int64_t total_ms(uint64_t body_bytes)
{
    return TOTAL_MS + (int64_t)(body_bytes * 1000 / BYTES_PER_S_MIN);
}

int uplink_exchange_send(struct uplink *uplink, struct http_outcome *ret_outcome)
{
    struct dest *dest = uplink->options.dest;
    *ret_outcome = (struct http_outcome){0};
    uplink->answer = (struct uplink_answer){.head = {.retry_after_ms = -1}};
    int head_bytes = write_head(uplink);
    if (head_bytes < 0) {
        (void)snprintf(ret_outcome->fault, sizeof ret_outcome->fault,
                       "the request cannot be written: check region, path and credentials");
        return E_INVALID;
    }
    const struct http_request request = {.head = uplink->head,
                                         .head_bytes = (size_t)head_bytes,
                                         .body_bytes = uplink->batch.body_bytes,
                                         .total_ms = total_ms(uplink->batch.body_bytes),
                                         .write_body = write_body,
                                         .on_head = on_head,
                                         .on_body = on_body,
                                         .context = uplink};
    dest->operations->reply_start(dest, uplink->batch.count, uplink->delivered);
    int rc = http_client_exchange(uplink->client, &request, ret_outcome);
    dest->operations->reply_end(dest, &uplink->answer.body);
    return rc;
}

int uplink_exchange_ask(struct uplink *uplink, struct http_outcome *ret_outcome)
{
    const struct uplink_options *options = &uplink->options;
    const struct request question = {.host = options->host,
                                     .port = options->port,
                                     .tls = options->tls,
                                     .path = options->path,
                                     .user_agent = options->user_agent};
    *ret_outcome = (struct http_outcome){0};
    uplink->answer = (struct uplink_answer){.head = {.retry_after_ms = -1}};
    int head_bytes = request_write_question(&question, uplink->head);
    if (head_bytes < 0)
        return E_INVALID;
    const struct http_request request = {.head = uplink->head,
                                         .head_bytes = (size_t)head_bytes,
                                         .total_ms = total_ms(0),
                                         .on_head = on_head,
                                         .context = uplink};
    return http_client_exchange(uplink->client, &request, ret_outcome);
}
