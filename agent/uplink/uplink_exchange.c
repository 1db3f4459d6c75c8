/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/uplink/uplink_state.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/hash.h"

_Static_assert((int)DEST_FAULT_BYTES == (int)HTTP_FAULT_BYTES, "one becomes the other");

enum {
    TOTAL_MS = 60 * 1000,
    BYTES_PER_S_MIN = 2048,
    EMPTY_BYTES = 2560, /* an ARN of 400 characters, each escaped */
};

/* A request without records. */
struct question {
    struct uplink *uplink;
    bool hears; /* what the reply says, not only its head */
    size_t body_bytes;
    char body[EMPTY_BYTES];
};

void uplink_exchange_learn(struct uplink *uplink, int64_t wall_ms)
{
    const struct uplink_options *options = &uplink->options;
    server_clock_learn(&uplink->clock, clock_boot_ms(), wall_ms);
    uplink->answer.skewed = server_clock_is_skewed(&uplink->clock);
    if (options->tls && options->on_date != NULL)
        options->on_date(options->context, uplink->clock.offset_ms);
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

static int write_head(struct uplink *uplink, const struct batch_summary *batch, bool has_keys,
                      const char *body_hash, uint64_t body_bytes)
{
    const struct uplink_options *options = &uplink->options;
    struct dest_head head = {0};
    options->dest->operations->head(options->dest, batch, &head);
    const char *host = head.host != NULL ? head.host : options->host;
    int rc = http_client_point(uplink->client, host);
    if (rc < 0)
        return rc;
    const struct request request = {
        .host = host,
        .port = options->port,
        .tls = options->tls,
        .head = &head,
        .region = head.region != NULL ? head.region : options->region,
        .user_agent = options->user_agent,
        .credentials = has_keys ? &uplink->credentials : NULL,
        .wall_ms = server_clock_sign(&uplink->clock, clock_boot_ms(), clock_wall_ms()),
        .body_hash = body_hash,
        .body_bytes = body_bytes};
    return request_write_head(&request, &uplink->key, uplink->head);
}

/* What is slower than this is not waited for: a smaller request may get through. */
static int64_t total_ms(uint64_t body_bytes)
{
    return TOTAL_MS + (int64_t)(body_bytes * 1000 / BYTES_PER_S_MIN);
}

/* As an exchange: the place answers if it is there. It takes all or nothing. */
static int store(struct uplink *uplink, struct http_outcome *ret_outcome)
{
    struct dest *dest = uplink->options.dest;
    size_t entries = uplink_asked(uplink);
    struct dest_stored stored;
    ret_outcome->sent_mono_ms = clock_mono_ms();
    int rc = dest->operations->store(dest, &uplink->batch.summary, write_body, uplink, &stored);
    ret_outcome->done_mono_ms = clock_mono_ms();
    ret_outcome->sent = ret_outcome->reply_begun = stored.present;
    memcpy(ret_outcome->fault, stored.fault, sizeof stored.fault);
    uplink_report_stored(uplink, stored.bytes);
    if (rc < 0)
        return rc;
    memset(uplink->delivered, 0xff, (entries + 7) / 8);
    uplink->answer.body = (struct dest_reply){.understood = true, .delivered = entries};
    return E_OK;
}

int uplink_exchange_head(struct uplink *uplink)
{
    const struct batch_summary *batch = &uplink->batch.summary;
    return write_head(uplink, batch, true, batch->body_hash, batch->body_bytes);
}

int uplink_exchange_send(struct uplink *uplink, struct http_outcome *ret_outcome)
{
    struct dest *dest = uplink->options.dest;
    *ret_outcome = (struct http_outcome){0};
    uplink->answer = (struct uplink_answer){.head = {.retry_after_ms = -1}};
    if (uplink_stores(&uplink->options))
        return store(uplink, ret_outcome);
    int head_bytes = uplink_exchange_head(uplink);
    if (head_bytes < 0) {
        (void)snprintf(ret_outcome->fault, sizeof ret_outcome->fault,
                       "the request cannot be written: check region, path and credentials");
        return E_INVALID;
    }
    const struct http_request request = {.head = uplink->head,
                                         .head_bytes = (size_t)head_bytes,
                                         .body_bytes = uplink->batch.summary.body_bytes,
                                         .total_ms = total_ms(uplink->batch.summary.body_bytes),
                                         .write_body = write_body,
                                         .on_head = on_head,
                                         .on_body = on_body,
                                         .context = uplink};
    dest->operations->reply_start(dest, uplink_asked(uplink), uplink->delivered);
    int rc = http_client_exchange(uplink->client, &request, ret_outcome);
    dest->operations->reply_end(dest, &uplink->answer.head, &uplink->answer.body);
    return rc;
}

/* The body that a request has around its records, and none of them; a GET has none. */
static int write_empty(const struct dest *dest, char body[EMPTY_BYTES])
{
    struct dest_head head = {0};
    struct writer out;
    dest->operations->head(dest, NULL, &head);
    if (strcmp(head.method, "GET") == 0)
        return 0;
    writer_to_memory(&out, body, EMPTY_BYTES);
    dest->operations->frame.begin(dest, &out);
    dest->operations->frame.end(dest, &out);
    int rc = writer_finish(&out);
    return rc < 0 ? rc : (int)out.used_bytes;
}

static int write_question(void *context, struct writer *out)
{
    const struct question *question = context;
    writer_bytes(out, question->body, question->body_bytes);
    return out->error;
}

static int on_question_head(void *context, const struct http_reply *reply)
{
    const struct question *question = context;
    return on_head(question->uplink, reply);
}

/* What is longer than any reply tells no more. */
static int on_question_body(void *context, const uint8_t *bytes, size_t count)
{
    struct question *question = context;
    if (question->hears && on_body(question->uplink, bytes, count) < 0)
        question->hears = false;
    return E_OK;
}

/* Who has no keys yet asks without: a refusal has a Date, too. */
static int sign_question(struct uplink *uplink, const struct question *question)
{
    char fault[CREDENTIALS_FAULT_BYTES];
    uint8_t digest[HASH_SHA256_BYTES];
    char hash[BATCH_HASH_TEXT_BYTES];
    struct credentials_provider *from = uplink->options.credentials;
    bool has_keys =
        from != NULL && credentials_get(from, clock_mono_ms(), fault, &uplink->credentials) == E_OK;
    hash_sha256(question->body, question->body_bytes, digest);
    bytes_put_hex(hash, digest, sizeof digest);
    return write_head(uplink, NULL, has_keys, hash, question->body_bytes);
}

static int ask(struct uplink *uplink, bool hears, struct http_outcome *ret_outcome)
{
    struct question question = {.uplink = uplink, .hears = hears};
    struct dest *dest = uplink->options.dest;
    *ret_outcome = (struct http_outcome){0};
    uplink->answer = (struct uplink_answer){.head = {.retry_after_ms = -1}};
    int body_bytes = write_empty(dest, question.body);
    if (body_bytes < 0)
        return body_bytes;
    question.body_bytes = (size_t)body_bytes;
    int head_bytes = sign_question(uplink, &question);
    if (head_bytes < 0)
        return head_bytes;
    const struct http_request request = {.head = uplink->head,
                                         .head_bytes = (size_t)head_bytes,
                                         .body_bytes = question.body_bytes,
                                         .total_ms = total_ms(0),
                                         .write_body = write_question,
                                         .on_head = on_question_head,
                                         .on_body = on_question_body,
                                         .context = &question};
    if (hears)
        dest->operations->reply_start(dest, 0, uplink->delivered);
    int rc = http_client_exchange(uplink->client, &request, ret_outcome);
    if (hears)
        dest->operations->reply_end(dest, &uplink->answer.head, &uplink->answer.body);
    return rc;
}

int uplink_exchange_ask(struct uplink *uplink, struct http_outcome *ret_outcome)
{
    return ask(uplink, false, ret_outcome);
}

int uplink_exchange_inquire(struct uplink *uplink, struct http_outcome *ret_outcome)
{
    return ask(uplink, true, ret_outcome);
}
