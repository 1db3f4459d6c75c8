/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
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
    BROKEN_BYTES = 16384,
    SETTLE_MS = 3000, /* a new link has its address, and the resolver its servers, soon after */
    HASTE_MS = 10000, /* links that come and go do not cause more requests than that */
};

/* Whoever could not be reached is asked again soon after this machine's network got better. */
static void wait_to_retry(struct uplink *uplink, enum uplink_state state, int64_t until_ms)
{
    int fd = state == UPLINK_OFFLINE ? uplink->net_watch.fd : -1;
    int rc;
    do
        rc = stop_wait(&uplink->soft, fd, POLLIN, until_ms);
    while (rc == E_OK && !net_watch_better(&uplink->net_watch));
    if (rc != E_OK)
        return;
    int64_t now_ms = clock_mono_ms();
    int64_t soon_ms = now_ms + (int64_t)random_below(SETTLE_MS);
    if (uplink->hastened_mono_ms != 0 && soon_ms < uplink->hastened_mono_ms + HASTE_MS)
        soon_ms = uplink->hastened_mono_ms + HASTE_MS;
    if (soon_ms < until_ms)
        until_ms = soon_ms;
    uplink->hastened_mono_ms = until_ms;
    (void)stop_wait(&uplink->soft, -1, 0, until_ms);
}

void uplink_judge_back_off(struct uplink *uplink, enum backoff_kind kind, enum uplink_state state,
                           const char *error)
{
    uint64_t random;
    random_bytes(&random, sizeof random);
    int64_t ms =
        backoff_next_ms(&uplink->backoff, kind, uplink->answer.head.retry_after_ms, random);
    uplink_report_state(uplink, state, error, ms);
    uplink->doubted = false;
    batch_release(&uplink->batch); /* nothing is in flight: a full spool may evict what it held */
    wait_to_retry(uplink, state, clock_mono_ms() + ms);
}

static bool is_down(const struct uplink *uplink)
{
    return uplink->backoff.failures >= PROBE_FAILURES;
}

/* A single failure makes no backlog: its records go again first among the fresh ones. */
static void succeed(struct uplink *uplink, size_t delivered)
{
    if (is_down(uplink))
        uplink->batch.fresh_from = spool_next_sequence(uplink->options.spool);
    uplink->clock_fixed = uplink->refreshed = uplink->otherwise = false;
    uplink->alike_records = 0;
    backoff_reset(&uplink->backoff);
    fit_passed(&uplink->fit, uplink->batch.options.limits.bytes);
    bisect_taken(&uplink->bisect, delivered);
    uplink->took = true;
}

/* Foreign words end no quotes of the log. Some services quote what was signed, and a session token
 * is a secret. */
static void clean(const struct uplink *uplink, char text[UPLINK_ERROR_BYTES])
{
    credentials_hide(uplink->credentials.session_token, text);
    for (; *text != '\0'; text++)
        if (*text == '"')
            *text = '\'';
}

/* The reply answers for each record. What failed is unacknowledged, so the next batch has it. */
static void settle(struct uplink *uplink, size_t sent_before)
{
    const struct dest_reply *reply = &uplink->answer.body;
    char error[UPLINK_ERROR_BYTES] = "";
    size_t delivered = batch_acknowledge(&uplink->batch, uplink->delivered);
    uplink_report_exchange(uplink, delivered, uplink->batch.count - delivered + sent_before,
                           reply->throttled > 0);
    pace_answered(&uplink->pace, clock_mono_ms(), reply->delivered, reply->throttled);
    if (reply->failed > 0)
        (void)snprintf(error, sizeof error, "%zu of %zu records were not taken: %s: %s",
                       reply->failed, uplink->batch.summary.entry_count, reply->code,
                       reply->message);
    clean(uplink, error);
    if (delivered > 0) {
        succeed(uplink, delivered);
        int64_t ms = pace_wait_ms(&uplink->pace, clock_mono_ms());
        bool slow = reply->throttled > 0 && ms >= SHOWN_MS;
        uplink_report_state(uplink, slow ? UPLINK_BACKING_OFF : UPLINK_CONNECTED, slow ? error : "",
                            slow ? ms : 0);
    } else
        uplink_judge_back_off(uplink, reply->throttled > 0 ? BACKOFF_THROTTLE : BACKOFF_TRANSIENT,
                              UPLINK_BACKING_OFF, error);
}

/* A random part more, so that the routes of a fleet do not fall into step. */
int uplink_judge_pace(struct uplink *uplink)
{
    int64_t ms = pace_wait_ms(&uplink->pace, clock_mono_ms());
    if (ms == 0)
        return E_OK;
    ms += (int64_t)random_below((uint64_t)ms / 4 + 1);
    int rc = stop_wait(&uplink->soft, -1, 0, clock_mono_ms() + ms);
    return rc == E_TIMEOUT ? E_OK : rc;
}

/* The destination knows better than a table for all, but not what time it is. */
static const char *remedy_of(const struct uplink *uplink, const struct verdict_question *question)
{
    const char *own = uplink->answer.body.remedy;
    bool knows =
        question->error == E_OK && own != NULL && verdict_of_request(question) != VERDICT_FIX_CLOCK;
    return knows ? own : verdict_remedy(question);
}

static void describe(struct uplink *uplink, const struct verdict_question *question,
                     const char *fault, char ret_error[UPLINK_ERROR_BYTES])
{
    /* A destination that stores has no client, and no answer either. */
    const char *host = question->error == E_OK ? http_client_host(uplink->client) : "";
    verdict_explain(question, host, fault, remedy_of(uplink, question), ret_error,
                    UPLINK_ERROR_BYTES);
    clean(uplink, ret_error);
}

/* Whether a first aid, given once until something is delivered, makes it worth to try at once. */
static bool aid(struct uplink *uplink, enum verdict verdict)
{
    bool *given;
    if (verdict == VERDICT_FIX_CLOCK && uplink->clock.known)
        given = &uplink->clock_fixed;
    else if (verdict == VERDICT_REFRESH_CREDENTIALS && uplink->options.credentials != NULL)
        given = &uplink->refreshed;
    else if (verdict == VERDICT_OTHERWISE)
        given = &uplink->otherwise;
    else
        return false;
    if (verdict == VERDICT_REFRESH_CREDENTIALS) {
        credentials_expire(uplink->options.credentials, &uplink->credentials);
        uplink->keys_refused = true;
    }
    bool first = !*given;
    *given = true;
    return first;
}

void uplink_judge_all_refused(struct uplink *uplink)
{
    char error[UPLINK_ERROR_BYTES];
    (void)snprintf(error, sizeof error, "every record is refused, so none is given up: %.270s",
                   uplink->shared.status.refusal);
    uplink_refuse_none(uplink);
    uplink->answer.head.retry_after_ms = -1;
    uplink_judge_back_off(uplink, BACKOFF_OPERATOR, UPLINK_NEEDS_OPERATOR, error);
}

/* Less at once, or another part of it, needs no wait. What refuses as too large even the smallest
 * size that there is has its records counted down like any that refuses them. */
static void divide(struct uplink *uplink, enum verdict verdict, const char *error)
{
    bool smaller = verdict == VERDICT_TOO_LARGE && uplink->batch.count > 1 &&
                   fit_failed(&uplink->fit, uplink->batch.data_bytes);
    if (!smaller && !uplink_refuse_request(uplink, error))
        uplink_judge_all_refused(uplink);
}

static void act(struct uplink *uplink, enum verdict verdict, bool answered, const char *error)
{
    if (aid(uplink, verdict)) {
        log_info("route-retry route=%s error=\"%s\"", uplink->options.name, error);
        return;
    }
    if (verdict == VERDICT_BISECT || verdict == VERDICT_TOO_LARGE)
        divide(uplink, verdict, error);
    else if (verdict == VERDICT_THROTTLE)
        uplink_judge_back_off(uplink, BACKOFF_THROTTLE, UPLINK_BACKING_OFF, error);
    else if (verdict == VERDICT_RETRY_BATCH)
        uplink_judge_back_off(uplink, BACKOFF_TRANSIENT,
                              answered ? UPLINK_BACKING_OFF : UPLINK_OFFLINE, error);
    else
        uplink_judge_back_off(uplink, BACKOFF_OPERATOR, UPLINK_NEEDS_OPERATOR, error);
}

static struct verdict_question question_of(const struct uplink *uplink, int rc,
                                           const struct http_outcome *outcome)
{
    const struct uplink_answer *answer = &uplink->answer;
    const char *code = answer->body.code[0] != '\0' ? answer->body.code : answer->head.error_type;
    return (struct verdict_question){.error = rc,
                                     .files_unfit = outcome->files_unfit,
                                     .status = rc == E_REFUSED ? outcome->proxy_status
                                                               : answer->head.status,
                                     .understood = answer->body.understood,
                                     .code = code,
                                     .message = answer->body.message,
                                     .whole = uplink_makes_objects(&uplink->options),
                                     .otherwise = answer->body.otherwise,
                                     .skewed = answer->skewed};
}

enum verdict uplink_judge_describe(struct uplink *uplink, int rc,
                                   const struct http_outcome *outcome,
                                   char ret_error[UPLINK_ERROR_BYTES])
{
    const struct verdict_question question = question_of(uplink, rc, outcome);
    describe(uplink, &question, outcome->fault, ret_error);
    return verdict_of_request(&question);
}

/* Where a reply has no Date, its message may tell the time all the same. */
static void learn_from_message(struct uplink *uplink)
{
    int64_t wall_ms;
    if (!uplink->answer.head.has_date && verdict_server_time(uplink->answer.body.message, &wall_ms))
        uplink_exchange_learn(uplink, wall_ms);
}

/* The connection did not last as long as the body. */
static bool is_broken_off(const struct uplink *uplink, int rc, const struct http_outcome *outcome)
{
    return rc != E_OK && outcome->sent_mono_ms != 0 && !outcome->sent &&
           uplink->batch.data_bytes > BROKEN_BYTES;
}

/* An object may be there by now. The same records make the same, of which that will be said. */
static void note_unknown(struct uplink *uplink, enum verdict verdict,
                         const struct http_outcome *outcome)
{
    if (!uplink->options.dest->operations->objects)
        return;
    if (verdict == VERDICT_RETRY_BATCH && outcome->sent)
        uplink->alike_records = uplink->batch.count;
    else if (verdict == VERDICT_BISECT || verdict == VERDICT_TOO_LARGE)
        uplink->alike_records = 0;
}

/* Nothing is known to be delivered: the whole batch stays. */
static void keep(struct uplink *uplink, enum verdict verdict,
                 const struct verdict_question *question, const struct http_outcome *outcome)
{
    char error[UPLINK_ERROR_BYTES];
    size_t sent = outcome->sent_mono_ms != 0 ? uplink->batch.count : 0;
    size_t sent_before = outcome->sent_twice ? uplink->batch.count : 0;
    describe(uplink, question, outcome->fault, error);
    note_unknown(uplink, verdict, outcome);
    uplink_report_exchange(uplink, 0, sent + sent_before, verdict == VERDICT_THROTTLE);
    /* One request may have met a moment that others made busy, which its own wait is for. */
    if (verdict == VERDICT_THROTTLE && uplink->backoff.failures > 0)
        pace_answered(&uplink->pace, clock_mono_ms(), 0, uplink_asked(uplink));
    if (verdict == VERDICT_FIX_CLOCK)
        learn_from_message(uplink);
    else if (question->error == E_OK)
        uplink->clock_fixed = false; /* who refuses for another reason has nothing against it */
    if (is_broken_off(uplink, question->error, outcome))
        (void)fit_failed(&uplink->fit, uplink->batch.data_bytes);
    if (question->error == E_CERTIFICATE && uplink_greet_doubt(uplink))
        return;
    act(uplink, verdict, outcome->reply_begun, error);
}

void uplink_judge_question(struct uplink *uplink, int rc, const struct http_outcome *outcome)
{
    const struct verdict_question question = question_of(uplink, rc, outcome);
    uplink->batch.count = 0;
    uplink->batch.data_bytes = 0;
    keep(uplink, verdict_of_request(&question), &question, outcome);
}

void uplink_judge(struct uplink *uplink, int rc, const struct http_outcome *outcome)
{
    const struct verdict_question question = question_of(uplink, rc, outcome);
    enum verdict verdict = verdict_of_request(&question);
    if (verdict == VERDICT_DELIVERED)
        settle(uplink, outcome->sent_twice ? uplink->batch.count : 0);
    else
        keep(uplink, verdict, &question, outcome);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* After failures in a row a few records tell as much as many, and cost less to lose. */
size_t uplink_judge_records_max(const struct uplink *uplink)
{
    size_t most = is_down(uplink) ? PROBE_RECORDS : SIZE_MAX;
    if (uplink->alike_records > 0)
        return least(uplink->alike_records, bisect_records_max(&uplink->bisect));
    return least(most, bisect_records_max(&uplink->bisect));
}

uint64_t uplink_judge_bytes_max(const struct uplink *uplink)
{
    return fit_bytes_max(&uplink->fit, uplink->batch.options.limits.bytes);
}
