/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/uplink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/uplink/uplink_state.h"
#include "platform/base/error.h"
#include "platform/hash.h"
#include "platform/random.h"
#include "platform/stop.h"

enum {
    CONNECT_MS = 30 * 1000,
    SILENCE_MS = 30 * 1000,
    TOTAL_MS = 60 * 1000,
    CREDENTIALS_MS = 30 * 1000,
    IN_FLIGHT_MS = 1000, /* what a batch in flight gets when asked to stop */
    HARD_STOP_MS = 200,  /* and what is left then for the thread to end */
    EMPTY_MS = 1000,     /* data is due, but none can be read: look again */
    CHANGES_MAX = 3,     /* batches in a row that changed between the passes */
    THREAD_NAME_BYTES = 16,
};

_Static_assert(sizeof(struct uplink) < 32 * 1024,
               "a route is promised to fit into 64 KB, runs and HTTP client included");

/* ---- status ---- */

const char *uplink_state_name(enum uplink_state state)
{
    static const char *const names[] = {"idle",    "connected", "backing-off",
                                        "offline", "paused",    "needs-operator"};
    return names[state];
}

void uplink_get_status(struct uplink *uplink, struct uplink_status *ret_status)
{
    int64_t now = clock_mono_ms();
    (void)pthread_mutex_lock(&uplink->mutex);
    const struct uplink_shared shared = uplink->shared;
    (void)pthread_mutex_unlock(&uplink->mutex);
    *ret_status = shared.status;
    ret_status->retry_ms = shared.retry_mono_ms > now ? shared.retry_mono_ms - now : 0;
    ret_status->delivered_age_ms = -1;
    if (shared.delivered_mono_ms != 0)
        ret_status->delivered_age_ms = now - shared.delivered_mono_ms;
    ret_status->due_ms = shared.due_mono_ms != 0 ? now - shared.due_mono_ms : 0;
}

const struct progress *uplink_progress(const struct uplink *uplink)
{
    return &uplink->progress;
}

struct spool_route *uplink_route(struct uplink *uplink)
{
    return uplink->route;
}

/* ---- one batch ---- */

/* E_OK where none are needed. */
static int get_credentials(struct uplink *uplink)
{
    char fault[CREDENTIALS_FAULT_BYTES] = "";
    if (uplink->options.credentials == NULL)
        return E_OK;
    int64_t deadline_ms = clock_mono_ms() + CREDENTIALS_MS;
    int rc = (uplink->keys_refused ? credentials_get_other : credentials_get)(
        uplink->options.credentials, deadline_ms, fault, &uplink->credentials);
    uplink->keys_refused = uplink->keys_refused && rc != E_OK;
    if (rc == E_OK || rc == E_STOP)
        return rc;
    if (fault[0] == '\0')
        (void)snprintf(fault, sizeof fault,
                       "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write "
                       "~/.aws/credentials");
    uplink_report_keyless(uplink);
    uplink->answer.head.retry_after_ms = -1;
    uplink_judge_back_off(uplink, BACKOFF_CREDENTIALS,
                          rc == E_TIMEOUT ? UPLINK_OFFLINE : UPLINK_NEEDS_OPERATOR, fault);
    return rc;
}

static int build(struct uplink *uplink)
{
    if (!uplink_makes_objects(&uplink->options))
        uplink->batch.entries_max = pace_records_max(&uplink->pace);
    int rc = batch_build(&uplink->batch, uplink_judge_records_max(uplink),
                         uplink_judge_bytes_max(uplink));
    if (rc == E_REFUSED)
        uplink_refuse_unfit(uplink);
    else if (rc == E_END && uplink->bisect.aside_count > 0) {
        if (!uplink_refuse_nearer(uplink))
            uplink_judge_all_refused(uplink);
    } else if (rc == E_END)
        (void)stop_wait(&uplink->soft, -1, 0, clock_mono_ms() + EMPTY_MS);
    else if (rc < 0 && rc != E_CHANGED) {
        char error[UPLINK_ERROR_BYTES];
        (void)snprintf(error, sizeof error, "the spool cannot be read: %s", ERROR_TEXT(rc));
        uplink->answer.head.retry_after_ms = -1;
        uplink_judge_back_off(uplink, BACKOFF_TRANSIENT, UPLINK_BACKING_OFF, error);
    }
    return rc;
}

static void send_batch(struct uplink *uplink)
{
    struct http_outcome outcome;
    if (uplink_judge_pace(uplink) < 0 || get_credentials(uplink) < 0 || build(uplink) < 0)
        return;
    uplink->took = false;
    uplink->record_bytes = uplink->batch.data_bytes / uplink->batch.count;
    pace_sent(&uplink->pace, clock_mono_ms(), uplink_asked(uplink));
    int rc = uplink_exchange_send(uplink, &outcome);
    /* A batch that changed between the passes was never sent whole; the next one reads anew. */
    uplink->changes = rc == E_CHANGED ? uplink->changes + 1 : 0;
    bool again_at_once = rc == E_CHANGED && uplink->changes <= CHANGES_MAX;
    if (rc != E_STOP && !again_at_once)
        uplink_judge(uplink, rc, &outcome);
    batch_release(&uplink->batch);
    if (uplink->took && uplink->bisect.aside_count > 0)
        uplink_refuse_settle(uplink);
}

static void run(void *context)
{
    struct uplink *uplink = context;
    int rc = uplink_greet_delay(uplink);
    if (rc == E_OK)
        rc = uplink_due_wait(uplink);
    while (rc == E_OK) {
        if (uplink_greet(uplink))
            send_batch(uplink);
        rc = uplink_due_wait(uplink);
    }
    if (rc != E_STOP)
        log_error("route-ended route=%s error=\"%s\"", uplink->options.name, ERROR_TEXT(rc));
    progress_promise(&uplink->progress, rc == E_STOP ? INT64_MAX : clock_mono_ms());
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
    if (options->link != NULL && bytes > link_request_bytes(options->link))
        bytes = link_request_bytes(options->link);
    *ret_limits = *most;
    if (records < most->records)
        ret_limits->records = records;
    if (bytes < most->bytes)
        ret_limits->bytes = bytes;
    /* Where the body counts, who sets its limit knows of somebody who refuses more. */
    bool hard = options->dest->operations->frame.counts_body && options->batch_bytes != 0;
    if (hard && options->batch_bytes < most->record_bytes)
        ret_limits->record_bytes = options->batch_bytes;
}

static int open_batch(struct uplink *uplink)
{
    const struct uplink_options *options = &uplink->options;
    struct batch_options batch = {.spool = options->spool,
                                  .route = uplink->route,
                                  .format = options->format,
                                  .flat = options->flat,
                                  .pack = options->pack,
                                  .gzip_entry = options->gzip_entry,
                                  .gzip_body = options->gzip_body,
                                  .period_ms = options->period_ms,
                                  .device = options->device,
                                  .partition = {.kind = options->partition,
                                                .start = partition_start(options->device),
                                                .fixed = options->partition_key,
                                                .field = options->partition_key},
                                  .in_order = options->in_order,
                                  .backlog_percent = options->backlog_percent,
                                  .is_aside = uplink_refuse_is_aside,
                                  .aside_context = uplink,
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
    struct http_client_options http = {
        .tls = options->tls,
        .host = options->host,
        .port = options->port,
        .proxy = options->proxy,
        .tls_options = options->tls_options,
        .connect_ms = options->connect_ms > 0 ? options->connect_ms : CONNECT_MS,
        .total_ms = TOTAL_MS, /* each request says its own */
        .idle_ms = options->silence_ms > 0 ? options->silence_ms : SILENCE_MS,
        .stop = &uplink->hard,
        .meter = options->link != NULL ? link_meter(options->link) : NULL};
    if (http.tls_options.wall_ms != NULL) {
        http.tls_options.wall_ms = uplink_greet_wall_ms;
        http.tls_options.wall_context = uplink;
    }
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
    uplink->soft.progress = uplink->hard.progress = &uplink->progress;
    if (rc == E_OK)
        rc = stop_event_open(&uplink->event_fd);
    if (rc == E_OK)
        rc = open_route(uplink);
    if (rc == E_OK)
        rc = open_batch(uplink);
    if (rc == E_OK && !uplink_stores(&uplink->options))
        rc = open_client(uplink);
    if (rc < 0)
        return rc;
    if (uplink->client != NULL)
        (void)net_watch_open(&uplink->net_watch); /* without it time alone decides */
    size_t answers =
        uplink_makes_objects(&uplink->options) ? 1 : uplink->batch.options.limits.records;
    uplink->delivered = calloc(answers / 8 + 1, 1);
    return uplink->delivered == NULL ? E_NO_MEMORY : E_OK;
}

int uplink_open(const struct uplink_options *options, struct uplink **ret_uplink)
{
    if (options->dest == NULL || (!uplink_stores(options) && options->host == NULL))
        return E_INVALID;
    struct uplink *uplink = calloc(1, sizeof *uplink);
    if (uplink == NULL)
        return E_NO_MEMORY;
    uplink->options = *options;
    uplink->event_fd = uplink->soft.fd = uplink->hard.fd = uplink->net_watch.fd = -1;
    atomic_init(&uplink->drain, false);
    uplink->opened_mono_ms = clock_mono_ms();
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
    uplink->progress.every_ms = uplink->options.heartbeat_ms;
    progress_work(&uplink->progress);
    return thread_start(&uplink->thread, name, run, uplink);
}

void uplink_hurry(struct uplink *uplink, bool hurries)
{
    atomic_store(&uplink->drain, hurries);
    stop_event_signal(uplink->event_fd);
}

void uplink_drain(struct uplink *uplink)
{
    uplink_hurry(uplink, true);
}

void uplink_ask_stop(struct uplink *uplink)
{
    stop_request(&uplink->soft);
}

int uplink_stop(struct uplink *uplink, int64_t deadline_ms)
{
    int64_t in_flight_ms = clock_mono_ms() + IN_FLIGHT_MS;
    int64_t hard_ms = deadline_ms - HARD_STOP_MS;
    if (!uplink->thread.running)
        return E_OK;
    stop_request(&uplink->soft);
    int rc = thread_join(&uplink->thread, in_flight_ms < hard_ms ? in_flight_ms : hard_ms);
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
        spool_route_arm(uplink->route, -1, &(struct spool_wake){0});
    http_client_close(uplink->client);
    batch_close(&uplink->batch);
    dest_close(uplink->options.dest);
    net_watch_close(&uplink->net_watch);
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
