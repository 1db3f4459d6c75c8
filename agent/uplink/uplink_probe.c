/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/uplink/probe.h"
#include "agent/uplink/uplink_state.h"
#include "platform/base/error.h"

typedef int exchange(struct uplink *uplink, struct http_outcome *ret_outcome);

static const char *code_of(const struct uplink *uplink)
{
    const struct uplink_answer *answer = &uplink->answer;
    return answer->body.code[0] != '\0' ? answer->body.code : answer->head.error_type;
}

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* Where the question goes by GET, and records do not. */
static bool asks_otherwise(const struct uplink *uplink)
{
    struct dest_head head = {0};
    struct dest *dest = uplink->options.dest;
    dest->operations->head(dest, NULL, &head);
    return strcmp(head.method, "GET") == 0;
}

/* Who may not read may write all the same, and where nothing can be read records may be taken. */
static bool is_about_reading(const struct uplink *uplink)
{
    static const char *const codes[] = {"AccessDenied", "Forbidden", "MissingAuthenticationToken"};
    const char *code = code_of(uplink);
    int status = uplink->answer.head.status;
    if (status == 405 || (code[0] == '\0' && (status == 403 || status == 404)))
        return true;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (begins_with(code, codes[i]))
            return true;
    return false;
}

static enum uplink_probe_result judge_question(const struct uplink *uplink, enum verdict verdict)
{
    int status = uplink->answer.head.status;
    /* Without records it is wrong, but it was looked at. */
    if (verdict == VERDICT_DELIVERED || verdict == VERDICT_BISECT)
        return UPLINK_PROBE_TAKEN;
    if (asks_otherwise(uplink)) {
        if (status < 300)
            return UPLINK_PROBE_TAKEN;
        return is_about_reading(uplink) ? UPLINK_PROBE_UNTOLD : UPLINK_PROBE_REFUSED;
    }
    return status == 400 && code_of(uplink)[0] == '\0' ? UPLINK_PROBE_UNTOLD : UPLINK_PROBE_REFUSED;
}

static void fill(const struct uplink *uplink, struct uplink_probe *ret_probe)
{
    ret_probe->status = uplink->answer.head.status;
    ret_probe->has_date = uplink->answer.head.has_date;
    ret_probe->server_offset_ms = uplink->clock.offset_ms;
}

/* As the route itself does it, which learns the time, or the place, from a reply. */
static int exchange_twice(struct uplink *uplink, exchange *once, struct http_outcome *ret_outcome,
                          enum verdict *ret_verdict, char text[UPLINK_ERROR_BYTES])
{
    int rc = once(uplink, ret_outcome);
    *ret_verdict = uplink_judge_describe(uplink, rc, ret_outcome, text);
    if (*ret_verdict != VERDICT_FIX_CLOCK && *ret_verdict != VERDICT_OTHERWISE)
        return rc;
    rc = once(uplink, ret_outcome);
    *ret_verdict = uplink_judge_describe(uplink, rc, ret_outcome, text);
    return rc;
}

void uplink_probe_ask(struct uplink *uplink, struct uplink_probe *ret_probe)
{
    struct http_outcome outcome;
    enum verdict verdict;
    *ret_probe = (struct uplink_probe){.result = UPLINK_PROBE_REFUSED};
    int rc = exchange_twice(uplink, uplink_exchange_inquire, &outcome, &verdict, ret_probe->text);
    fill(uplink, ret_probe);
    if (rc == E_OK)
        ret_probe->result = judge_question(uplink, verdict);
}

/* The records that a reply answers for one by one. */
static void judge_records(struct uplink *uplink, struct uplink_probe *probe)
{
    const struct dest_reply *reply = &uplink->answer.body;
    if (reply->failed == 0)
        probe->result = UPLINK_PROBE_TAKEN;
    else
        (void)snprintf(probe->text, sizeof probe->text, "the record was not taken: %s: %s",
                       reply->code, reply->message);
}

void uplink_probe_send(struct uplink *uplink, struct uplink_probe *ret_probe)
{
    struct http_outcome outcome;
    enum verdict verdict = VERDICT_RETRY_BATCH;
    *ret_probe = (struct uplink_probe){.result = UPLINK_PROBE_REFUSED};
    int rc = batch_build(&uplink->batch, SIZE_MAX, UINT64_MAX);
    if (rc == E_OK && !uplink_stores(&uplink->options) && uplink->options.credentials != NULL)
        rc = credentials_get(uplink->options.credentials, clock_mono_ms(), ret_probe->text,
                             &uplink->credentials);
    if (rc < 0) {
        (void)snprintf(ret_probe->text, sizeof ret_probe->text, "there is nothing to send: %s",
                       ERROR_TEXT(rc));
        return;
    }
    rc = exchange_twice(uplink, uplink_exchange_send, &outcome, &verdict, ret_probe->text);
    fill(uplink, ret_probe);
    if (rc == E_OK && verdict == VERDICT_DELIVERED)
        judge_records(uplink, ret_probe);
    batch_release(&uplink->batch);
}
