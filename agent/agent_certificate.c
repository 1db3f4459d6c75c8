/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent_state.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/certificate.h"
#include "platform/clock.h"

enum {
    EVERY_MS = 3600 * 1000,
    CLOCK_MS = 60 * 1000, /* while nobody knows the time */
    WEEK_DAYS = 7,
    MONTH_DAYS = 30,
    FIRST_DAYS = 60,
    EXPIRED = -1,
    UNTOLD = INT_MAX,
};

/* ---- which ---- */

static void watch(struct agent_certificates *certificates, const char *file)
{
    if (file == NULL || certificates->count == AGENT_CERTIFICATES_MAX)
        return;
    for (size_t i = 0; i < certificates->count; i++)
        if (strcmp(certificates->files[i].path, file) == 0)
            return;
    certificates->files[certificates->count++] =
        (struct agent_certificate){.path = file, .told_days = UNTOLD};
}

void agent_certificate_open(struct agent *agent)
{
    const struct config *config = agent->config;
    agent->certificates = (struct agent_certificates){.lock = PTHREAD_MUTEX_INITIALIZER};
    for (size_t i = 0; i < config->credentials_count; i++)
        watch(&agent->certificates, config->credentials[i].cert_file);
    for (size_t i = 0; i < config->route_count; i++)
        watch(&agent->certificates, config->routes[i].cert_file);
}

/* ---- until when ---- */

/* It is parsed when it changes, and only its end is kept. */
static void read_end_locked(struct agent_certificate *watched)
{
    const struct fs_mark mark = fs_look(watched->path);
    struct certificate certificate;
    if (fs_is_same_mark(&mark, &watched->mark))
        return;
    watched->mark = mark;
    watched->told_days = UNTOLD;
    watched->readable = mark.there && certificate_read_file(watched->path, &certificate) == 0;
    watched->not_after_ms = watched->readable ? certificate.not_after_ms : 0;
}

/* Only a time that somebody vouched for: a clock that nobody set says anything. */
static bool trusted_now(struct agent *agent, int64_t *ret_ms)
{
    struct spool_clock_reading clock;
    agent_clock_read(&agent->clock, &clock);
    *ret_ms = clock.boot_ms + clock.offset_ms;
    return clock.quality != TIME_ESTIMATED;
}

/* ---- what is told of it ---- */

/* What it is told as: each of the last days, and before that the step that it has reached. */
static int step_of(int64_t days)
{
    if (days > FIRST_DAYS)
        return UNTOLD;
    if (days > MONTH_DAYS)
        return FIRST_DAYS;
    if (days > WEEK_DAYS)
        return MONTH_DAYS;
    return days < 0 ? EXPIRED : (int)days;
}

static void tell_locked(struct agent_certificate *watched, int64_t now_ms)
{
    static const char remedy[] = "have a new one signed (runnel identity csr) and install it";
    int64_t days = certificate_days(watched->not_after_ms, now_ms);
    int step = step_of(days);
    if (!watched->readable || step >= watched->told_days)
        return;
    watched->told_days = step;
    if (step == EXPIRED)
        log_error("certificate-expired file=%s remedy=\"%s\"", watched->path, remedy);
    else
        log_warning("certificate-expires days=%lld file=%s remedy=\"%s\"", (long long)days,
                    watched->path, remedy);
}

static void refresh_locked(struct agent_certificates *certificates, bool known, int64_t now_ms)
{
    for (size_t i = 0; i < certificates->count; i++) {
        read_end_locked(&certificates->files[i]);
        if (known)
            tell_locked(&certificates->files[i], now_ms);
    }
}

int64_t agent_certificate_look(struct agent *agent)
{
    struct agent_certificates *certificates = &agent->certificates;
    int64_t wall_ms;
    int64_t mono_ms = clock_mono_ms();
    if (certificates->count == 0)
        return INT64_MAX;
    if (mono_ms < certificates->next_ms)
        return certificates->next_ms;
    bool known = trusted_now(agent, &wall_ms);
    (void)pthread_mutex_lock(&certificates->lock);
    refresh_locked(certificates, known, wall_ms);
    (void)pthread_mutex_unlock(&certificates->lock);
    certificates->next_ms = mono_ms + (known ? EVERY_MS : CLOCK_MS);
    return certificates->next_ms;
}

/* ---- for status ---- */

static const struct agent_certificate *nearest_locked(const struct agent_certificates *certificates)
{
    const struct agent_certificate *nearest = NULL;
    for (size_t i = 0; i < certificates->count; i++) {
        const struct agent_certificate *watched = &certificates->files[i];
        if (watched->readable && (nearest == NULL || watched->not_after_ms < nearest->not_after_ms))
            nearest = watched;
    }
    return nearest;
}

void agent_certificate_fill_status(struct agent *agent, struct status_certificate *ret_certificate)
{
    struct agent_certificates *certificates = &agent->certificates;
    int64_t now_ms;
    bool known = trusted_now(agent, &now_ms);
    *ret_certificate = (struct status_certificate){.file = NULL};
    (void)pthread_mutex_lock(&certificates->lock);
    refresh_locked(certificates, known, now_ms);
    const struct agent_certificate *nearest = nearest_locked(certificates);
    if (nearest != NULL)
        *ret_certificate =
            (struct status_certificate){.file = nearest->path,
                                        .expires_ms = nearest->not_after_ms,
                                        .has_days = known,
                                        .days = certificate_days(nearest->not_after_ms, now_ms)};
    (void)pthread_mutex_unlock(&certificates->lock);
}

const char *agent_certificate_warning(const struct status_certificate *certificate,
                                      char text[AGENT_CERTIFICATE_WARNING_BYTES])
{
    char until[24];
    if (certificate->file == NULL || !certificate->has_days || certificate->days > FIRST_DAYS)
        return NULL;
    if (certificate->days < 0)
        (void)snprintf(until, sizeof until, "has expired");
    else
        (void)snprintf(until, sizeof until, "expires in %d day%s", (int)certificate->days,
                       certificate->days == 1 ? "" : "s");
    (void)snprintf(text, AGENT_CERTIFICATE_WARNING_BYTES,
                   "the certificate %s %s; have a new one signed (runnel identity csr) and install "
                   "it",
                   certificate->file, until);
    return text;
}
