/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/uplink/uplink_state.h"
#include "agent/uplink/verdict.h"
#include "platform/base/error.h"
#include "platform/random.h"
#include "platform/stop.h"

enum {
    SHOWN_MS = 1000,    /* shorter waits are the usual pace, not a state */
    PROBE_FAILURES = 3, /* so many failures in a row, and only */
    PROBE_RECORDS = 10, /* so many records are sent until one succeeds */
};

void uplink_judge_back_off(struct uplink *uplink, enum backoff_kind kind, enum uplink_state state,
                           const char *error)
{
    uint64_t random;
    random_bytes(&random, sizeof random);
    int64_t ms =
        backoff_next_ms(&uplink->backoff, kind, uplink->answer.head.retry_after_ms, random);
    if (kind != BACKOFF_PARTIAL || ms >= SHOWN_MS)
        uplink_report_state(uplink, state, error, ms);
    batch_release(&uplink->batch); /* nothing is in flight: a full spool may evict what it held */
    (void)stop_wait(&uplink->soft, -1, 0, clock_mono_ms() + ms);
}

/* The destination does not take data now; a batch that went through in part is none of it. */
static bool is_down(const struct uplink *uplink)
{
    return uplink->backoff.kind != BACKOFF_PARTIAL && uplink->backoff.failures >= PROBE_FAILURES;
}

/* A single failure makes no backlog: its records go again first among the fresh ones. */
static void succeed(struct uplink *uplink)
{
    if (is_down(uplink))
        uplink->batch.fresh_from = spool_next_sequence(uplink->options.spool);
    uplink->clock_fixed = uplink->refreshed = false;
    uplink_report_state(uplink, UPLINK_CONNECTED, "", 0);
}

/* The reply answers for each record. What failed is unacknowledged, so the next batch has it. */
static void settle(struct uplink *uplink)
{
    const struct dest_reply *reply = &uplink->answer.body;
    char error[UPLINK_ERROR_BYTES];
    size_t delivered = batch_acknowledge(&uplink->batch, uplink->delivered);
    uplink_report_exchange(uplink, delivered, uplink->batch.count - delivered,
                           reply->throttled > 0);
    if (delivered > 0)
        succeed(uplink);
    if (reply->failed == 0 || (delivered > 0 && reply->throttled == 0)) {
        backoff_reset(&uplink->backoff);
        return;
    }
    (void)snprintf(error, sizeof error, "%zu of %zu records were not taken: %s: %s", reply->failed,
                   uplink->batch.count, reply->code, reply->message);
    enum backoff_kind kind = delivered > 0          ? BACKOFF_PARTIAL
                             : reply->throttled > 0 ? BACKOFF_THROTTLE
                                                    : BACKOFF_TRANSIENT;
    if (delivered >= uplink->batch.count - delivered)
        backoff_ease(&uplink->backoff);
    uplink_judge_back_off(uplink, kind, UPLINK_BACKING_OFF, error);
}

static void describe(struct uplink *uplink, const struct verdict_question *question,
                     const char *fault, char ret_error[UPLINK_ERROR_BYTES])
{
    const char *remedy = verdict_remedy(question);
    const char *message = question->message[0] != '\0' ? question->message : "no message";
    const char *code = question->code[0] != '\0' ? question->code : "without an error code";
    if (question->error != E_OK)
        (void)snprintf(ret_error, UPLINK_ERROR_BYTES, "%s%s%s",
                       fault[0] != '\0' ? fault : ERROR_TEXT(question->error),
                       remedy != NULL ? "; " : "", remedy != NULL ? remedy : "");
    else
        (void)snprintf(ret_error, UPLINK_ERROR_BYTES, "%s answered %d %s (%s)%s%s",
                       uplink->options.host, question->status, code, message,
                       remedy != NULL ? "; " : "", remedy != NULL ? remedy : "");
}

/* Whether a first aid, given once until something is delivered, makes it worth to try at once. */
static bool aid(struct uplink *uplink, enum verdict verdict)
{
    bool *given;
    if (verdict == VERDICT_FIX_CLOCK && uplink->time_known)
        given = &uplink->clock_fixed;
    else if (verdict == VERDICT_REFRESH_CREDENTIALS)
        given = &uplink->refreshed;
    else
        return false;
    if (verdict == VERDICT_REFRESH_CREDENTIALS)
        credentials_expire(uplink->options.credentials);
    bool first = !*given;
    *given = true;
    return first;
}

static void act(struct uplink *uplink, enum verdict verdict, bool answered, const char *error)
{
    if (aid(uplink, verdict)) {
        log_info("route-retry route=%s error=\"%s\"", uplink->options.name, error);
        return;
    }
    if (verdict == VERDICT_THROTTLE)
        uplink_judge_back_off(uplink, BACKOFF_THROTTLE, UPLINK_BACKING_OFF, error);
    else if (verdict == VERDICT_RETRY_BATCH)
        uplink_judge_back_off(uplink, BACKOFF_TRANSIENT,
                              answered ? UPLINK_BACKING_OFF : UPLINK_OFFLINE, error);
    else
        uplink_judge_back_off(uplink, BACKOFF_OPERATOR, UPLINK_NEEDS_OPERATOR, error);
}

/* Nothing is known to be delivered: the whole batch stays. */
void uplink_judge(struct uplink *uplink, int rc, const struct http_outcome *outcome)
{
    const struct uplink_answer *answer = &uplink->answer;
    const char *code = answer->body.code[0] != '\0' ? answer->body.code : answer->head.error_type;
    const struct verdict_question question = {.error = rc,
                                              .files_unfit = outcome->files_unfit,
                                              .status = answer->head.status,
                                              .understood = answer->body.understood,
                                              .code = code,
                                              .message = answer->body.message,
                                              .skewed = answer->skewed};
    enum verdict verdict = verdict_of_request(&question);
    if (verdict == VERDICT_DELIVERED) {
        settle(uplink);
        return;
    }
    char error[UPLINK_ERROR_BYTES];
    describe(uplink, &question, outcome->fault, error);
    uplink_report_exchange(uplink, 0, outcome->sent_mono_ms != 0 ? uplink->batch.count : 0,
                           verdict == VERDICT_THROTTLE);
    act(uplink, verdict, outcome->reply_begun, error);
}

/* After failures in a row a few records tell as much as many, and cost less to lose. */
size_t uplink_judge_records_max(const struct uplink *uplink)
{
    return is_down(uplink) ? PROBE_RECORDS : SIZE_MAX;
}
