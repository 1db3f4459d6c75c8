/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fake_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/http/http_client.h"
#include "platform/base/error.h"
#include "platform/clock.h"

struct fake_http fake_http;

struct http_client {
    struct fake_http_request place;
};

int http_client_open(const struct http_client_options *options, struct http_client **ret_client)
{
    struct http_client *client = calloc(1, sizeof *client);
    if (client == NULL || options->connect_ms <= 0)
        abort();
    (void)snprintf(client->place.host, sizeof client->place.host, "%s", options->host);
    client->place.port = options->port;
    client->place.tls = options->tls;
    fake_http.open++;
    *ret_client = client;
    return 0;
}

void http_client_close(struct http_client *client)
{
    fake_http.open -= client != NULL;
    free(client);
}

static int take_body(void *context, const uint8_t *bytes, size_t count)
{
    struct fake_http_request *request = context;
    size_t used = strlen(request->body);
    if (used + count >= sizeof request->body)
        return E_TOO_BIG;
    memcpy(request->body + used, bytes, count);
    return 0;
}

static void record(const struct http_client *client, const struct http_request *asked)
{
    struct fake_http_request *request = &fake_http.requests[fake_http.count];
    uint8_t piece[64];
    struct writer out;
    if (fake_http.count == FAKE_HTTP_STEPS_MAX || asked->head_bytes >= sizeof request->head)
        abort();
    *request = client->place;
    memcpy(request->head, asked->head, asked->head_bytes);
    writer_to_function(&out, piece, sizeof piece, take_body, request);
    if (asked->write_body != NULL && asked->write_body(asked->context, &out) < 0)
        abort();
    if (writer_finish(&out) < 0 || strlen(request->body) != asked->body_bytes)
        abort();
}

static int answer(const struct fake_http_step *step, const struct http_request *asked)
{
    const struct http_reply reply = {.status = step->status == 0 ? 200 : step->status,
                                     .has_date = step->date_ms != 0,
                                     .date_ms = step->date_ms,
                                     .retry_after_ms = -1};
    const char *body = step->body == NULL ? "" : step->body;
    size_t count = strlen(body) / (step->cut ? 2 : 1);
    size_t piece = fake_http.piece == 0 ? count + 1 : fake_http.piece;
    int rc = asked->on_head(asked->context, &reply);
    for (size_t at = 0; rc == 0 && at < count; at += piece) {
        size_t now = piece < count - at ? piece : count - at;
        rc = asked->on_body(asked->context, (const uint8_t *)body + at, now);
    }
    return rc < 0 ? rc : step->error;
}

int http_client_exchange(struct http_client *client, const struct http_request *asked,
                         struct http_outcome *ret_outcome)
{
    int64_t now_ms = clock_mono_ms();
    record(client, asked);
    const struct fake_http_step *step = &fake_http.steps[fake_http.count++];
    struct http_outcome outcome = {.files_unfit = step->unfit};
    int rc = step->error;
    if (!step->silent && !step->unfit) {
        outcome.sent = true;
        outcome.sent_mono_ms = now_ms;
        outcome.reply_begun = step->error == 0 || step->cut;
        rc = outcome.reply_begun ? answer(step, asked) : rc;
    }
    outcome.done_mono_ms = now_ms;
    if (rc < 0)
        (void)snprintf(outcome.fault, sizeof outcome.fault, "asking %s: %s", client->place.host,
                       ERROR_TEXT(rc));
    *ret_outcome = outcome;
    return rc;
}
