/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_UPLINK_STATE_H
#define RUNNEL_AGENT_UPLINK_UPLINK_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "agent/http/http_client.h"
#include "agent/uplink/backoff.h"
#include "agent/uplink/bisect.h"
#include "agent/uplink/fit.h"
#include "agent/uplink/link.h"
#include "agent/uplink/pace.h"
#include "agent/uplink/request.h"
#include "agent/uplink/server_clock.h"
#include "agent/uplink/uplink.h"
#include "agent/uplink/verdict.h"
#include "platform/base/log.h"
#include "platform/clock.h"
#include "platform/net_watch.h"
#include "platform/thread.h"

/** What the files uplink*.c share; nobody else includes it. */

/* What uplink_get_status reads while the thread writes. */
struct uplink_shared {
    struct uplink_status status; /* ages and waits apart */
    int64_t retry_mono_ms;
    int64_t delivered_mono_ms;
    int64_t due_mono_ms;
};

/* Whether the destination stores by itself: no host, no keys, nobody to ask for the time. */
static inline bool uplink_stores(const struct uplink_options *options)
{
    return options->dest->operations->store != NULL;
}

/* Objects come whole: one is what their destination answers for, and what its pace counts. */
static inline bool uplink_makes_objects(const struct uplink_options *options)
{
    return options->dest->operations->objects;
}

/* The reply to the request in flight. */
struct uplink_answer {
    struct http_reply head;
    struct dest_reply body;
    bool skewed;
};

struct uplink {
    struct uplink_options options;
    struct spool_route *route;
    struct http_client *client;
    struct thread thread;
    struct stop soft; /* asks the thread to end */
    struct stop hard; /* ends an exchange in flight as well */
    struct progress progress;
    int event_fd;
    atomic_bool drain;
    pthread_mutex_t mutex;
    struct uplink_shared shared;

    /* The rest is the thread's own. */
    struct backoff backoff;
    struct net_watch net_watch; /* where something is to be reached */
    int64_t hastened_mono_ms;   /* when a wait was cut short last; 0: never */
    enum link_pass pass;
    bool asks_time;         /* who does not know it cannot know when a pause ends */
    int64_t asked_mono_ms;  /* when such a question went out last; 0: never */
    int64_t shown_until_ms; /* of the pause that the state tells of */
    int64_t budget_mono_ms; /* when a spent budget is looked at again */
    struct pace pace;
    struct fit fit;
    struct bisect bisect;
    bool took;                            /* records of the last request were */
    unsigned refusals;                    /* of requests, since a search began */
    int64_t lane_due_mono_ms[LANE_COUNT]; /* 0: not known */
    int64_t woken_mono_ms;
    int64_t opened_mono_ms;
    unsigned baffled;   /* questions that were sent and got no Date */
    bool time_given_up; /* who answers does not say it */
    bool doubts_clock;  /* the next question passes over the dates of certificates */
    bool doubted;       /* it did, since the last wait */
    struct server_clock clock;
    bool clock_fixed;      /* since the last reply that did not blame the clock */
    bool refreshed;        /* since the last success */
    bool otherwise;        /* likewise: the destination said how to ask instead */
    uint64_t record_bytes; /* of a record, as the last batch had them */
    size_t alike_records;  /* so many went out, and nobody said what became of them; 0: none */
    bool keys_refused;     /* those that were had last */
    unsigned changes;
    enum uplink_state state_logged;
    struct log_limit log_limits[UPLINK_NEEDS_OPERATOR + 1];
    uint8_t boot_id[CLOCK_BOOT_ID_BYTES];
    struct uplink_answer answer;
    struct credentials credentials;
    struct sigv4_key key;
    uint8_t *delivered;
    char head[REQUEST_HEAD_BYTES];
    struct batch batch;
};

/* How many things a reply to the batch answers for. */
static inline size_t uplink_asked(const struct uplink *uplink)
{
    return uplink_makes_objects(&uplink->options) ? 1 : uplink->batch.summary.entry_count;
}

/* ---- uplink_report.c: what uplink_get_status tells ---- */

/** ERROR is foreign in parts: nothing in it may end the quotes that the log puts around it. */
void uplink_report_state(struct uplink *uplink, enum uplink_state state, const char *error,
                         int64_t wait_ms);

/** A destination that stores by itself was asked to, and wrote so many BYTES. */
void uplink_report_stored(struct uplink *uplink, uint64_t bytes);

/** There were no keys for a try. */
void uplink_report_keyless(struct uplink *uplink);

/** What an exchange came to: so many records delivered, so many to be sent AGAIN. */
void uplink_report_exchange(struct uplink *uplink, size_t delivered, size_t again, bool throttled);

/** Data is due, if it was not before. */
void uplink_report_due(struct uplink *uplink);

/** What was due is so no more. */
void uplink_report_nothing_due(struct uplink *uplink);

/** Why a request, or a record, was refused: status.refusal. */
void uplink_report_refusal(struct uplink *uplink, const char *reason);

/** A record was given up. */
void uplink_report_refused(struct uplink *uplink);

/* ---- uplink_budget.c: what the data budget lets go ---- */

/** Asks the budget, and tells of a pause that begins or ends. */
void uplink_budget_heed(struct uplink *uplink);

/** Whether records of LANE may go now. */
bool uplink_budget_is_open(const struct uplink *uplink, enum lane lane);

/** A question for the time went out despite the budget; if ANSWERED, no outage is left to show. */
void uplink_budget_asked(struct uplink *uplink, bool answered);

/* ---- uplink_due.c ---- */

/** Waits until there is something to send, or to ask (asks_time): 0, E_STOP, or error_sys. */
int uplink_due_wait(struct uplink *uplink);

/** Whether there is so much that a batch is full. */
bool uplink_due_is_full(struct uplink *uplink);

/* ---- uplink_exchange.c ---- */

/** Signs the batch, which is built, and writes the head into uplink->head. Its bytes, or < 0. */
int uplink_exchange_head(struct uplink *uplink);

/** Signs and sends the batch; uplink->answer has the reply. As http_client_exchange; E_INVALID: the
 *  request cannot be written. */
int uplink_exchange_send(struct uplink *uplink, struct http_outcome *ret_outcome);

/** Asks for nothing but the time. As uplink_exchange_send. */
int uplink_exchange_ask(struct uplink *uplink, struct http_outcome *ret_outcome);

/** Likewise, and hears what the reply says: uplink->answer has it. */
int uplink_exchange_inquire(struct uplink *uplink, struct http_outcome *ret_outcome);

/** What the other side's clock says: WALL_MS, just now. */
void uplink_exchange_learn(struct uplink *uplink, int64_t wall_ms);

/* ---- uplink_greet.c: before the first records ---- */

/** Waits so that not all gateways that got power at once send at once. 0, E_STOP or error_sys. */
int uplink_greet_delay(struct uplink *uplink);

/** A certificate is not trusted: should that be because of a time that nobody vouches for, a
 *  question is sent all the same. False: the clock is not to blame, or was not. */
bool uplink_greet_doubt(struct uplink *uplink);

/** For tls_options.wall_ms; CONTEXT is the uplink. */
int64_t uplink_greet_wall_ms(void *context, bool *ret_known);

/** Learns the time if nobody knows it, and records or the budget wait for it. False: nothing is to
 *  be sent now; if that is because nobody answered, it was waited. */
bool uplink_greet(struct uplink *uplink);

/* ---- uplink_refuse.c: records that are refused for good ---- */

/** The record of uplink->batch.refusal becomes a dead letter. */
void uplink_refuse_unfit(struct uplink *uplink);

/** The destination refused the batch for what is in it, as ERROR says. True: the next batch will
 *  tell more; false: enough was tried. */
bool uplink_refuse_request(struct uplink *uplink, const char *error);

/** Nothing is left to send but what is aside or passed over. True: less is passed over now. */
bool uplink_refuse_nearer(struct uplink *uplink);

/** Nothing is taken: no record is at fault by itself, all are sent again. */
void uplink_refuse_none(struct uplink *uplink);

/** Something was taken: the records that are aside are tried again, or, in order, refused for good.
 */
void uplink_refuse_settle(struct uplink *uplink);

/** For batch_options.is_aside; CONTEXT is the uplink. */
bool uplink_refuse_is_aside(const void *context, uint64_t sequence);

/* ---- uplink_judge.c ---- */

/** What follows from an exchange that ended with RC: acknowledges, waits, tells. */
void uplink_judge(struct uplink *uplink, int rc, const struct http_outcome *outcome);

/** The verdict on an exchange that ended with RC, and in ERROR what it came to: what happened, and
 *  what helps behind the last semicolon where something does. Changes nothing. */
enum verdict uplink_judge_describe(struct uplink *uplink, int rc,
                                   const struct http_outcome *outcome,
                                   char ret_error[UPLINK_ERROR_BYTES]);

/** Waits as the pace demands: 0 or E_STOP. */
int uplink_judge_pace(struct uplink *uplink);

/** Waits before the next try, as long as KIND and its failures say. */
void uplink_judge_back_off(struct uplink *uplink, enum backoff_kind kind, enum uplink_state state,
                           const char *error);

/** What follows from a failure of an exchange that had no records. */
void uplink_judge_question(struct uplink *uplink, int rc, const struct http_outcome *outcome);

/** Every record that is there is refused. */
void uplink_judge_all_refused(struct uplink *uplink);

/** How many records and bytes the next batch may have. */
size_t uplink_judge_records_max(const struct uplink *uplink);
uint64_t uplink_judge_bytes_max(const struct uplink *uplink);

#endif
