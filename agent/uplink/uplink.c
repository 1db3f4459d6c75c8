/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/uplink.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/http/http_client.h"
#include "agent/uplink/backoff.h"
#include "agent/uplink/request.h"
#include "agent/uplink/verdict.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"
#include "platform/hash.h"
#include "platform/random.h"
#include "platform/stop.h"
#include "platform/thread.h"

enum {
    CONNECT_MS = 30 * 1000,
    SILENCE_MS = 30 * 1000,
    TOTAL_MS = 15 * 60 * 1000,
    CREDENTIALS_MS = 30 * 1000,
    IN_FLIGHT_MS = 1000,  /* what a batch in flight gets when asked to stop */
    WAKE_GAP_MS = 20,     /* records that trickle in wake the thread at most so often */
    BURY_MS = 5000,       /* for the commit that has a dead letter */
    EMPTY_MS = 1000,      /* data is due, but none can be read: look again */
    SKEW_MS = 240 * 1000, /* AWS allows 5 min; SDKs correct from 4 min on */
    DATE_MIDDLE_MS = 500, /* a Date header is cut to the second */
    SHOWN_MS = 1000,      /* shorter waits are the usual pace, not a state */
    PROBE_FAILURES = 3,   /* so many failures in a row, and only */
    PROBE_RECORDS = 10,   /* so many records are sent until one succeeds */
    CHANGES_MAX = 3,      /* batches in a row that changed between the passes */
    THREAD_NAME_BYTES = 16,
};

_Static_assert(sizeof(struct batch) + REQUEST_HEAD_BYTES + sizeof(struct credentials) < 32 * 1024,
               "a route is promised to fit into 64 KB, its HTTP client included");

/* What uplink_get_status reads while the thread writes. */
struct shared {
    struct uplink_status status; /* ages and waits apart */
    int64_t retry_mono_ms;
    int64_t delivered_mono_ms;
    int64_t due_mono_ms;
};

/* The reply to the request in flight. */
struct answer {
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
    int event_fd;
    atomic_bool drain;
    pthread_mutex_t mutex;
    struct shared shared;

    /* The rest is the thread's own. */
    struct backoff backoff;
    int64_t lane_due_mono_ms[LANE_COUNT]; /* 0: not known */
    int64_t woken_mono_ms;
    bool time_known;
    int64_t server_offset_ms; /* the endpoint's clock less CLOCK_BOOTTIME */
    int64_t signed_offset_ms; /* likewise, of the time that was signed last */
    bool clock_fixed;         /* since the last success */
    bool refreshed;           /* likewise */
    unsigned changes;
    enum uplink_state state_logged;
    struct log_limit log_limits[UPLINK_NEEDS_OPERATOR + 1];
    uint8_t boot_id[CLOCK_BOOT_ID_BYTES];
    struct answer answer;
    struct credentials credentials;
    struct sigv4_key key;
    uint8_t *delivered;
    char head[REQUEST_HEAD_BYTES];
    struct batch batch;
};

/* ---- status ---- */

const char *uplink_state_name(enum uplink_state state)
{
    static const char *const names[] = {"idle", "connected", "backing-off", "offline",
                                        "needs-operator"};
    return names[state];
}

void uplink_get_status(struct uplink *uplink, struct uplink_status *ret_status)
{
    int64_t now = clock_mono_ms();
    (void)pthread_mutex_lock(&uplink->mutex);
    const struct shared shared = uplink->shared;
    (void)pthread_mutex_unlock(&uplink->mutex);
    *ret_status = shared.status;
    ret_status->retry_ms = shared.retry_mono_ms > now ? shared.retry_mono_ms - now : 0;
    ret_status->delivered_age_ms = -1;
    if (shared.delivered_mono_ms != 0)
        ret_status->delivered_age_ms = now - shared.delivered_mono_ms;
    ret_status->due_ms = shared.due_mono_ms != 0 ? now - shared.due_mono_ms : 0;
}

struct spool_route *uplink_route(struct uplink *uplink)
{
    return uplink->route;
}

/* A route that goes back and forth says each of its states once a minute at most, and that all is
 * well only where it said before that something was not. */
static void log_state(struct uplink *uplink, enum uplink_state state, const char *error)
{
    unsigned long silenced = 0;
    bool good = state == UPLINK_CONNECTED;
    if (good && uplink->state_logged == state)
        return;
    if (!log_limit_passes(&uplink->log_limits[state], clock_mono_ms(), &silenced))
        return;
    uplink->state_logged = state;
    if (good)
        log_info("route-state route=%s state=%s", uplink->options.name, uplink_state_name(state));
    else
        log_warning("route-state route=%s state=%s error=\"%s\" repeated=%lu", uplink->options.name,
                    uplink_state_name(state), error, silenced);
}

/* ERROR is foreign in parts: nothing in it may end the quotes that the log puts around it. */
static void set_state(struct uplink *uplink, enum uplink_state state, const char *error,
                      int64_t wait_ms)
{
    struct shared *shared = &uplink->shared;
    (void)pthread_mutex_lock(&uplink->mutex);
    shared->status.state = state;
    (void)snprintf(shared->status.error, sizeof shared->status.error, "%s", error);
    for (char *c = shared->status.error; *c != '\0'; c++)
        if (*c == '"')
            *c = '\'';
    shared->retry_mono_ms = wait_ms > 0 ? clock_mono_ms() + wait_ms : 0;
    (void)pthread_mutex_unlock(&uplink->mutex);
    log_state(uplink, state, shared->status.error);
}

static void count_exchange(struct uplink *uplink, size_t delivered, size_t again, bool throttled)
{
    struct http_statistics http;
    struct uplink_status *status = &uplink->shared.status;
    http_client_get_statistics(uplink->client, &http);
    (void)pthread_mutex_lock(&uplink->mutex);
    status->requests = http.requests;
    status->bytes_out = http.bytes_out;
    status->bytes_in = http.bytes_in;
    status->handshakes = http.handshakes;
    status->resumed = http.resumed;
    status->retried += again;
    status->throttled += throttled;
    if (delivered > 0) {
        uplink->shared.delivered_mono_ms = clock_mono_ms();
        uplink->shared.due_mono_ms = 0;
    }
    (void)pthread_mutex_unlock(&uplink->mutex);
}

static void note_due(struct uplink *uplink)
{
    (void)pthread_mutex_lock(&uplink->mutex);
    if (uplink->shared.due_mono_ms == 0)
        uplink->shared.due_mono_ms = clock_mono_ms();
    (void)pthread_mutex_unlock(&uplink->mutex);
}

/* ---- waiting ---- */

static void wait_ms(struct uplink *uplink, int64_t ms)
{
    (void)stop_wait(&uplink->soft, -1, 0, clock_mono_ms() + ms);
}

/* What is there and when it is due. */
struct look {
    uint64_t lane_records[LANE_COUNT];
    uint64_t records;
    uint64_t bytes;
    bool gap; /* there is one to tell of */
    int64_t due_mono_ms;
};

static int64_t lane_due_mono_ms(struct uplink *uplink, enum lane lane)
{
    uint8_t boot_id[BLOCK_BOOT_ID_BYTES];
    int64_t now = clock_mono_ms();
    int64_t age_ms = uplink->options.age_ms[lane];
    int64_t taken_boot_ms;
    if (uplink->lane_due_mono_ms[lane] != 0)
        return uplink->lane_due_mono_ms[lane];
    int rc = batch_oldest(&uplink->batch, lane, &taken_boot_ms, boot_id);
    int64_t left_ms = age_ms;
    if (rc == E_OK && memcmp(boot_id, uplink->boot_id, sizeof boot_id) != 0)
        left_ms = 0; /* taken before the last boot: its age is not known, but it has waited */
    else if (rc == E_OK && taken_boot_ms < clock_boot_ms())
        left_ms = age_ms - (clock_boot_ms() - taken_boot_ms);
    uplink->lane_due_mono_ms[lane] = now + (left_ms > 0 ? left_ms : 0);
    return uplink->lane_due_mono_ms[lane];
}

static void count_lanes(struct uplink *uplink, struct look *ret_look)
{
    struct spool_gap gap;
    *ret_look = (struct look){.due_mono_ms = INT64_MAX,
                              .gap = spool_gap_next(uplink->route, 0, &gap) == E_OK};
    for (enum lane lane = LANE_ALARM; lane < LANE_COUNT; lane++) {
        struct spool_backlog backlog;
        if (!uplink->options.lanes[lane])
            continue;
        spool_route_backlog(uplink->route, lane, &backlog);
        ret_look->lane_records[lane] = backlog.records;
        ret_look->records += backlog.records;
        ret_look->bytes += backlog.bytes;
    }
}

/* Whether a batch is due; the oldest records are asked for only where the amount does not tell. */
static bool is_due(struct uplink *uplink, struct look *look)
{
    const struct batch_limits *limits = &uplink->batch.options.limits;
    if (look->gap)
        return true;
    if (look->records == 0)
        return false;
    if (atomic_load(&uplink->drain) || look->records >= limits->records ||
        look->bytes >= limits->bytes || batch_has_backlog(&uplink->batch))
        return true;
    for (enum lane lane = LANE_ALARM; lane < LANE_COUNT; lane++) {
        int64_t due = INT64_MAX;
        if (look->lane_records[lane] > 0)
            due = lane_due_mono_ms(uplink, lane);
        if (due < look->due_mono_ms)
            look->due_mono_ms = due;
    }
    return look->due_mono_ms <= clock_mono_ms();
}

/* A full batch ends the wait, and so does any record that may be due earlier than what waits: one
 * in a lane that is empty and in more of a hurry. */
static uint64_t wake_records(struct uplink *uplink, const struct look *look)
{
    for (enum lane lane = LANE_ALARM; lane < LANE_COUNT; lane++) {
        int64_t due = clock_mono_ms() + uplink->options.age_ms[lane];
        if (uplink->options.lanes[lane] && look->lane_records[lane] == 0 && due < look->due_mono_ms)
            return look->records + 1;
    }
    return uplink->batch.options.limits.records;
}

static int wait_for_change(struct uplink *uplink, const struct look *look)
{
    int64_t now = clock_mono_ms();
    if (now < uplink->woken_mono_ms + WAKE_GAP_MS)
        wait_ms(uplink, WAKE_GAP_MS);
    spool_route_arm(uplink->route, uplink->event_fd, wake_records(uplink, look),
                    uplink->batch.options.limits.bytes);
    int rc = stop_wait(&uplink->soft, uplink->event_fd, POLLIN, look->due_mono_ms);
    uplink->woken_mono_ms = clock_mono_ms();
    return rc == E_TIMEOUT ? E_OK : rc;
}

/* Returns 0 when there is something to send, E_STOP, or error_sys. */
static int wait_until_due(struct uplink *uplink)
{
    struct look look;
    for (;;) {
        if (stop_requested(&uplink->soft))
            return E_STOP;
        stop_event_drain(uplink->event_fd);
        count_lanes(uplink, &look);
        if (is_due(uplink, &look))
            break;
        int rc = wait_for_change(uplink, &look);
        if (rc < 0)
            return rc;
    }
    memset(uplink->lane_due_mono_ms, 0, sizeof uplink->lane_due_mono_ms);
    note_due(uplink);
    return E_OK;
}

/* ---- one exchange ---- */

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

static void learn_time(struct uplink *uplink, const struct http_reply *reply)
{
    const struct uplink_options *options = &uplink->options;
    uplink->time_known = true;
    uplink->server_offset_ms = reply->date_ms + DATE_MIDDLE_MS - clock_boot_ms();
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
        learn_time(uplink, reply);
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

static int exchange(struct uplink *uplink, struct http_outcome *ret_outcome)
{
    struct dest *dest = uplink->options.dest;
    *ret_outcome = (struct http_outcome){0};
    uplink->answer = (struct answer){.head = {.retry_after_ms = -1}};
    int head_bytes = write_head(uplink);
    if (head_bytes < 0) {
        (void)snprintf(ret_outcome->fault, sizeof ret_outcome->fault,
                       "the request cannot be written: check region, path and credentials");
        return E_INVALID;
    }
    const struct http_request request = {.head = uplink->head,
                                         .head_bytes = (size_t)head_bytes,
                                         .body_bytes = uplink->batch.body_bytes,
                                         .write_body = write_body,
                                         .on_head = on_head,
                                         .on_body = on_body,
                                         .context = uplink};
    dest->operations->reply_start(dest, uplink->batch.count, uplink->delivered);
    int rc = http_client_exchange(uplink->client, &request, ret_outcome);
    dest->operations->reply_end(dest, &uplink->answer.body);
    return rc;
}

/* ---- what follows from it ---- */

static void back_off(struct uplink *uplink, enum backoff_kind kind, enum uplink_state state,
                     const char *error)
{
    uint64_t random;
    random_bytes(&random, sizeof random);
    int64_t ms =
        backoff_next_ms(&uplink->backoff, kind, uplink->answer.head.retry_after_ms, random);
    if (kind != BACKOFF_PARTIAL || ms >= SHOWN_MS)
        set_state(uplink, state, error, ms);
    batch_release(&uplink->batch); /* nothing is in flight: a full spool may evict what it held */
    wait_ms(uplink, ms);
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
    set_state(uplink, UPLINK_CONNECTED, "", 0);
}

/* The reply answers for each record. What failed is unacknowledged, so the next batch has it. */
static void settle(struct uplink *uplink)
{
    const struct dest_reply *reply = &uplink->answer.body;
    char error[UPLINK_ERROR_BYTES];
    size_t delivered = batch_acknowledge(&uplink->batch, uplink->delivered);
    count_exchange(uplink, delivered, uplink->batch.count - delivered, reply->throttled > 0);
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
    back_off(uplink, kind, UPLINK_BACKING_OFF, error);
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
        back_off(uplink, BACKOFF_THROTTLE, UPLINK_BACKING_OFF, error);
    else if (verdict == VERDICT_RETRY_BATCH)
        back_off(uplink, BACKOFF_TRANSIENT, answered ? UPLINK_BACKING_OFF : UPLINK_OFFLINE, error);
    else
        back_off(uplink, BACKOFF_OPERATOR, UPLINK_NEEDS_OPERATOR, error);
}

/* Nothing is known to be delivered: the whole batch stays. */
static void judge(struct uplink *uplink, int rc, const struct http_outcome *outcome)
{
    const struct answer *answer = &uplink->answer;
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
    count_exchange(uplink, 0, outcome->sent_mono_ms != 0 ? uplink->batch.count : 0,
                   verdict == VERDICT_THROTTLE);
    act(uplink, verdict, outcome->reply_begun, error);
}

/* ---- one batch ---- */

static int get_credentials(struct uplink *uplink)
{
    char fault[CREDENTIALS_FAULT_BYTES] = "";
    int rc = credentials_get(uplink->options.credentials, clock_mono_ms() + CREDENTIALS_MS, fault,
                             &uplink->credentials);
    if (rc == E_OK || rc == E_STOP)
        return rc;
    if (fault[0] == '\0')
        (void)snprintf(fault, sizeof fault,
                       "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write "
                       "~/.aws/credentials");
    uplink->answer.head.retry_after_ms = -1;
    if (rc == E_TIMEOUT)
        back_off(uplink, BACKOFF_TRANSIENT, UPLINK_OFFLINE, fault);
    else
        back_off(uplink, BACKOFF_OPERATOR, UPLINK_NEEDS_OPERATOR, fault);
    return rc;
}

/* A letter too large for the space that letters have is given up without one; where the spool
 * cannot be written, so is the one in RAM: on flash, if it is there, it stays owed. */
static void give_up_unkept(struct uplink *uplink, int rc)
{
    const struct batch_refusal *refusal = &uplink->batch.refusal;
    if (rc == E_TIMEOUT && stop_requested(&uplink->soft))
        return; /* the next start meets it again */
    spool_route_ack(uplink->route, refusal->lane, &refusal->mark, 1, SPOOL_DEAD);
}

static void give_up_record(struct uplink *uplink)
{
    const struct batch_refusal *refusal = &uplink->batch.refusal;
    char reason[SPOOL_REASON_BYTES];
    (void)snprintf(reason, sizeof reason, "%s: %llu bytes, %s takes %llu",
                   ERROR_TEXT(refusal->reason), (unsigned long long)refusal->bytes,
                   uplink->options.dest->operations->name,
                   (unsigned long long)uplink->batch.options.limits.record_bytes);
    int rc = batch_refuse(&uplink->batch, reason, clock_mono_ms() + BURY_MS);
    log_error("record-dead route=%s seq=%llu reason=\"%s\" kept=%s", uplink->options.name,
              (unsigned long long)refusal->mark.sequence, reason, rc == E_OK ? "yes" : "no");
    if (rc < 0)
        give_up_unkept(uplink, rc);
    (void)pthread_mutex_lock(&uplink->mutex);
    uplink->shared.status.refused++;
    (void)pthread_mutex_unlock(&uplink->mutex);
}

/* After failures in a row a few records tell as much as many, and cost less to lose. */
static size_t records_now(const struct uplink *uplink)
{
    return is_down(uplink) ? PROBE_RECORDS : SIZE_MAX;
}

static int build(struct uplink *uplink)
{
    int rc = batch_build(&uplink->batch, records_now(uplink));
    if (rc == E_REFUSED)
        give_up_record(uplink);
    else if (rc == E_END)
        wait_ms(uplink, EMPTY_MS);
    else if (rc < 0 && rc != E_CHANGED) {
        char error[UPLINK_ERROR_BYTES];
        (void)snprintf(error, sizeof error, "the spool cannot be read: %s", ERROR_TEXT(rc));
        uplink->answer.head.retry_after_ms = -1;
        back_off(uplink, BACKOFF_TRANSIENT, UPLINK_BACKING_OFF, error);
    }
    return rc;
}

static void send_batch(struct uplink *uplink)
{
    struct http_outcome outcome;
    if (get_credentials(uplink) < 0 || build(uplink) < 0)
        return;
    int rc = exchange(uplink, &outcome);
    /* A batch that changed between the passes was never sent whole; the next one reads anew. */
    uplink->changes = rc == E_CHANGED ? uplink->changes + 1 : 0;
    bool again_at_once = rc == E_CHANGED && uplink->changes <= CHANGES_MAX;
    if (rc != E_STOP && !again_at_once)
        judge(uplink, rc, &outcome);
    batch_release(&uplink->batch);
}

static void run(void *context)
{
    struct uplink *uplink = context;
    int rc = wait_until_due(uplink);
    while (rc == E_OK) {
        send_batch(uplink);
        rc = wait_until_due(uplink);
    }
    if (rc != E_STOP)
        log_error("route-ended route=%s error=\"%s\"", uplink->options.name, ERROR_TEXT(rc));
}

/* ---- open and close ---- */

static void set_limits(struct uplink *uplink, struct batch_limits *ret_limits)
{
    const struct uplink_options *options = &uplink->options;
    const struct batch_limits *most = &options->dest->operations->limits;
    uint64_t bytes = options->batch_bytes;
    size_t records = options->batch_records;
    if (records == 0)
        records = CONFIG_BATCH_RECORDS;
    if (bytes == 0)
        bytes = (uint64_t)CONFIG_BATCH_KIB * 1024;
    *ret_limits = *most;
    if (records < most->records)
        ret_limits->records = records;
    if (bytes < most->bytes)
        ret_limits->bytes = bytes;
}

static int open_batch(struct uplink *uplink)
{
    const struct uplink_options *options = &uplink->options;
    struct batch_options batch = {.spool = options->spool,
                                  .route = uplink->route,
                                  .format = options->format,
                                  .device = options->device,
                                  .partition = {.kind = options->partition,
                                                .start = partition_start(options->device),
                                                .fixed = options->partition_key},
                                  .in_order = options->in_order,
                                  .backlog_percent = options->backlog_percent,
                                  .frame = &options->dest->operations->frame,
                                  .frame_context = options->dest};
    random_bytes(&batch.partition.seed, sizeof batch.partition.seed);
    memcpy(batch.lanes, options->lanes, sizeof batch.lanes);
    set_limits(uplink, &batch.limits);
    int rc = batch_open(&batch, &uplink->batch);
    if (rc == E_OK)
        uplink->batch.fresh_from = spool_next_sequence(options->spool);
    return rc;
}

static int open_client(struct uplink *uplink)
{
    const struct uplink_options *options = &uplink->options;
    const struct http_client_options http = {
        .tls = options->tls,
        .host = options->host,
        .port = options->port,
        .tls_options = options->tls_options,
        .connect_ms = options->connect_ms > 0 ? options->connect_ms : CONNECT_MS,
        .idle_ms = options->silence_ms > 0 ? options->silence_ms : SILENCE_MS,
        .total_ms = options->total_ms > 0 ? options->total_ms : TOTAL_MS,
        .stop = &uplink->hard};
    return http_client_open(&http, &uplink->client);
}

static int open_route(struct uplink *uplink)
{
    struct spool_route_options route = {.name = uplink->options.name, .hold = uplink->options.hold};
    memcpy(route.lanes, uplink->options.lanes, sizeof route.lanes);
    return spool_route_open(uplink->options.spool, &route, &uplink->route);
}

static int open_parts(struct uplink *uplink)
{
    int rc = stop_open(&uplink->soft);
    if (rc == E_OK)
        rc = stop_open(&uplink->hard);
    if (rc == E_OK)
        rc = stop_event_open(&uplink->event_fd);
    if (rc == E_OK)
        rc = open_route(uplink);
    if (rc == E_OK)
        rc = open_batch(uplink);
    if (rc == E_OK)
        rc = open_client(uplink);
    if (rc < 0)
        return rc;
    uplink->delivered = calloc(uplink->batch.options.limits.records / 8 + 1, 1);
    return uplink->delivered == NULL ? E_NO_MEMORY : E_OK;
}

int uplink_open(const struct uplink_options *options, struct uplink **ret_uplink)
{
    if (options->dest == NULL || options->host == NULL || options->path == NULL ||
        options->credentials == NULL)
        return E_INVALID;
    struct uplink *uplink = calloc(1, sizeof *uplink);
    if (uplink == NULL)
        return E_NO_MEMORY;
    uplink->options = *options;
    uplink->event_fd = uplink->soft.fd = uplink->hard.fd = -1;
    atomic_init(&uplink->drain, false);
    clock_boot_id(uplink->boot_id);
    (void)pthread_mutex_init(&uplink->mutex, NULL);
    int rc = open_parts(uplink);
    if (rc < 0) {
        uplink->options.dest = NULL; /* still the caller's */
        uplink_close(uplink);
        return rc;
    }
    *ret_uplink = uplink;
    return E_OK;
}

int uplink_start(struct uplink *uplink)
{
    char name[THREAD_NAME_BYTES];
    (void)snprintf(name, sizeof name, "route-%.9s", uplink->options.name);
    return thread_start(&uplink->thread, name, run, uplink);
}

void uplink_drain(struct uplink *uplink)
{
    atomic_store(&uplink->drain, true);
    stop_event_signal(uplink->event_fd);
}

int uplink_stop(struct uplink *uplink, int64_t deadline_ms)
{
    int64_t in_flight_ms = clock_mono_ms() + IN_FLIGHT_MS;
    if (!uplink->thread.running)
        return E_OK;
    stop_request(&uplink->soft);
    int rc = thread_join(&uplink->thread, in_flight_ms < deadline_ms ? in_flight_ms : deadline_ms);
    if (rc != E_TIMEOUT)
        return rc;
    stop_request(&uplink->hard);
    return thread_join(&uplink->thread, deadline_ms);
}

void uplink_close(struct uplink *uplink)
{
    if (uplink == NULL || uplink->thread.running)
        return;
    if (uplink->route != NULL)
        spool_route_arm(uplink->route, -1, UINT64_MAX, UINT64_MAX);
    http_client_close(uplink->client);
    batch_close(&uplink->batch);
    dest_close(uplink->options.dest);
    free(uplink->delivered);
    if (uplink->event_fd >= 0)
        (void)close(uplink->event_fd);
    if (uplink->soft.fd >= 0)
        stop_close(&uplink->soft);
    if (uplink->hard.fd >= 0)
        stop_close(&uplink->hard);
    (void)pthread_mutex_destroy(&uplink->mutex);
    credentials_wipe(&uplink->credentials);
    hash_wipe(&uplink->key, sizeof uplink->key);
    free(uplink);
}
