/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/uplink/uplink_state.h"

/* A route that goes back and forth says each of its states once a minute at most, and that all is
 * well only where it said before that something was not. */
static void log_state(struct uplink *uplink, enum uplink_state state, const char *error)
{
    unsigned long silenced = 0;
    bool good = state == UPLINK_CONNECTED;
    if (state == UPLINK_IDLE || (good && uplink->state_logged == state))
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

static void tell_change(const struct uplink *uplink, bool is_news)
{
    if (is_news && uplink->options.on_change != NULL)
        uplink->options.on_change(uplink->options.context);
}

void uplink_report_state(struct uplink *uplink, enum uplink_state state, const char *error,
                         int64_t wait_ms)
{
    struct uplink_shared *shared = &uplink->shared;
    (void)pthread_mutex_lock(&uplink->mutex);
    bool is_news = shared->status.state != state;
    shared->status.state = state;
    (void)snprintf(shared->status.error, sizeof shared->status.error, "%s", error);
    for (char *c = shared->status.error; *c != '\0'; c++)
        if (*c == '"')
            *c = '\'';
    shared->retry_mono_ms = wait_ms > 0 ? clock_mono_ms() + wait_ms : 0;
    (void)pthread_mutex_unlock(&uplink->mutex);
    log_state(uplink, state, shared->status.error);
    tell_change(uplink, is_news);
}

void uplink_report_stored(struct uplink *uplink, uint64_t bytes)
{
    (void)pthread_mutex_lock(&uplink->mutex);
    uplink->shared.status.requests++;
    uplink->shared.status.bytes_out += bytes;
    (void)pthread_mutex_unlock(&uplink->mutex);
}

static void report_http_locked(struct uplink *uplink)
{
    struct http_statistics http;
    struct uplink_status *status = &uplink->shared.status;
    http_client_get_statistics(uplink->client, &http);
    status->requests = http.requests;
    status->bytes_out = http.bytes_out;
    status->bytes_in = http.bytes_in;
    status->handshakes = http.handshakes;
    status->resumed = http.resumed;
    status->dns_failures = http.dns_failures;
}

void uplink_report_keyless(struct uplink *uplink)
{
    (void)pthread_mutex_lock(&uplink->mutex);
    uplink->shared.status.credentials_failures++;
    (void)pthread_mutex_unlock(&uplink->mutex);
}

void uplink_report_exchange(struct uplink *uplink, size_t delivered, size_t again, bool throttled)
{
    struct uplink_status *status = &uplink->shared.status;
    (void)pthread_mutex_lock(&uplink->mutex);
    if (uplink->client != NULL)
        report_http_locked(uplink);
    status->retried += again;
    status->throttled += throttled;
    if (delivered > 0) {
        uplink->shared.delivered_mono_ms = clock_mono_ms();
        uplink->shared.due_mono_ms = 0;
    }
    (void)pthread_mutex_unlock(&uplink->mutex);
    tell_change(uplink, throttled);
}

void uplink_report_due(struct uplink *uplink)
{
    (void)pthread_mutex_lock(&uplink->mutex);
    if (uplink->shared.due_mono_ms == 0)
        uplink->shared.due_mono_ms = clock_mono_ms();
    (void)pthread_mutex_unlock(&uplink->mutex);
}

void uplink_report_nothing_due(struct uplink *uplink)
{
    (void)pthread_mutex_lock(&uplink->mutex);
    uplink->shared.due_mono_ms = 0;
    (void)pthread_mutex_unlock(&uplink->mutex);
}

void uplink_report_refusal(struct uplink *uplink, const char *reason)
{
    char *refusal = uplink->shared.status.refusal;
    (void)pthread_mutex_lock(&uplink->mutex);
    (void)snprintf(refusal, UPLINK_ERROR_BYTES, "%s", reason);
    (void)pthread_mutex_unlock(&uplink->mutex);
}

void uplink_report_refused(struct uplink *uplink)
{
    (void)pthread_mutex_lock(&uplink->mutex);
    uplink->shared.status.refused++;
    (void)pthread_mutex_unlock(&uplink->mutex);
    tell_change(uplink, true);
}
