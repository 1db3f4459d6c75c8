/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/aws/credentials.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"
#include "platform/progress.h"
#include "platform/random.h"
#include "platform/stop.h"
#include "platform/thread.h"

enum {
    AHEAD_MAX_MS = 15 * 60 * 1000,
    ASK_MS = 30 * 1000,          /* not more often than that */
    ASK_MAX_MS = 5 * 60 * 1000,  /* and not much less often where it fails */
    CONVERSATION_MS = 60 * 1000, /* the longest one that the thread has */
    THREAD_NAME_BYTES = 16,
};

struct cache {
    struct credentials_provider provider;
    struct credentials_provider *source;
    struct credentials_cache_options options;
    struct thread thread; /* of a slow source */
    struct stop stop;     /* of the thread, with its progress */
    int wake_fd;          /* there is something to ask for */

    pthread_mutex_t mutex; /* of all below; never held while the source is asked */
    pthread_cond_t changed;
    struct credentials kept;
    bool has_kept;
    bool refused; /* somebody was told that they have expired */
    bool used;    /* somebody wanted some since they came */
    bool expired; /* the other side said so, and the source has not been asked since */
    bool asking;  /* somebody is; what is fresh is theirs alone */
    bool stopping;
    int64_t refresh_ms;
    int64_t next_ask_ms;
    int64_t next_expired_ask_ms;
    unsigned failures;  /* in a row, */
    int64_t failing_ms; /* the first of them then */
    void (*on_change)(void *context);
    void *context;
    int error; /* why there are none */
    char fault[CREDENTIALS_FAULT_BYTES];
    struct credentials fresh;
    struct log_limit complaint;
};

static struct cache *cache_of(struct credentials_provider *provider)
{
    return (struct cache *)(void *)provider;
}

static const char *source_name(const struct cache *cache)
{
    return cache->source->operations->name;
}

static void drop_locked(struct cache *cache)
{
    credentials_wipe(&cache->kept);
    cache->has_kept = cache->refused = false;
}

/* ---- when to ask ---- */

/* The jitter keeps a fleet that started together from asking together for ever. */
static int64_t refresh_time(const struct cache *cache, int64_t expires_ms, int64_t now_ms)
{
    if (expires_ms == INT64_MAX)
        return now_ms + ASK_MS;
    int64_t quarter_ms = (expires_ms - now_ms) / 4;
    int64_t ahead_ms = quarter_ms < AHEAD_MAX_MS ? quarter_ms : AHEAD_MAX_MS;
    uint64_t spread_ms = (uint64_t)ahead_ms / 5;
    return expires_ms - ahead_ms * 9 / 10 - (int64_t)cache->options.random_below(spread_ms + 1);
}

/* Likewise behind an outage: from ASK_MS on, up to twice as much with each failure. */
static int64_t pause_after(const struct cache *cache, unsigned failures)
{
    int64_t most_ms = ASK_MS;
    for (unsigned i = 0; i < failures && most_ms < ASK_MAX_MS; i++)
        most_ms *= 2;
    most_ms = most_ms < ASK_MAX_MS ? most_ms : ASK_MAX_MS;
    return ASK_MS + (int64_t)cache->options.random_below((uint64_t)(most_ms - ASK_MS) + 1);
}

static bool is_time_to_ask(const struct cache *cache, int64_t now_ms)
{
    if (cache->asking)
        return false;
    if (cache->expired && now_ms >= cache->next_expired_ask_ms)
        return true;
    bool wanted =
        !cache->has_kept || cache->refused || (cache->used && now_ms >= cache->refresh_ms);
    return now_ms >= cache->next_ask_ms && wanted;
}

/* When the thread looks again by itself. What never expires is asked for when it is used, and so is
 * what nobody used: a machine that sends nothing is not woken for it, nor does it pay for it where
 * its data budget is spent. */
static int64_t next_look(const struct cache *cache)
{
    int64_t look_ms = cache->next_ask_ms;
    bool content = cache->has_kept && !cache->refused;
    if (content && (cache->kept.expires_mono_ms == INT64_MAX || !cache->used))
        look_ms = INT64_MAX;
    else if (content && cache->refresh_ms > look_ms)
        look_ms = cache->refresh_ms;
    if (cache->expired && cache->next_expired_ask_ms < look_ms)
        look_ms = cache->next_expired_ask_ms;
    return look_ms;
}

/* ---- asking ---- */

static int judge_fresh(const struct cache *cache, char fault[CREDENTIALS_FAULT_BYTES])
{
    if (cache->fresh.expires_mono_ms > cache->options.mono_ms())
        return 0;
    return credentials_fault(fault, E_CREDENTIALS,
                             "%s gave credentials that have expired already: check the clock",
                             source_name(cache));
}

static void take_locked(struct cache *cache)
{
    int64_t now_ms = cache->options.mono_ms();
    drop_locked(cache);
    cache->kept = cache->fresh;
    cache->has_kept = true;
    cache->used = false;
    cache->failures = 0;
    cache->refresh_ms = refresh_time(cache, cache->kept.expires_mono_ms, now_ms);
    if (cache->kept.expires_mono_ms != INT64_MAX)
        log_info("credentials-obtained source=%s life_s=%lld", source_name(cache),
                 (long long)(cache->kept.expires_mono_ms - now_ms) / 1000);
}

/* As long as there are old ones, nobody else tells of it. */
static void complain_locked(struct cache *cache, const char *fault)
{
    unsigned long silenced;
    char value[LOG_VALUE_BYTES];
    if (cache->has_kept &&
        log_limit_passes(&cache->complaint, (long long)cache->options.mono_ms(), &silenced))
        log_warning("credentials-refresh-failed source=%s silenced=%lu fault=\"%s\"",
                    source_name(cache), silenced, log_value(value, fault));
}

static void fail_locked(struct cache *cache, const char *fault)
{
    int64_t now_ms = cache->options.mono_ms();
    complain_locked(cache, fault);
    cache->next_ask_ms = now_ms + pause_after(cache, cache->failures);
    if (cache->failures == 0)
        cache->failing_ms = now_ms;
    cache->failures++;
}

static void settle_locked(struct cache *cache, int rc, const char *fault)
{
    bool failed = cache->failures > 0;
    if (rc == 0)
        take_locked(cache);
    credentials_wipe(&cache->fresh);
    if (rc < 0 && rc != E_STOP)
        fail_locked(cache, fault);
    cache->error = rc;
    memcpy(cache->fault, fault, sizeof cache->fault);
    if (cache->on_change != NULL && failed != (cache->failures > 0))
        cache->on_change(cache->context);
}

/* Gives the mutex back while the source is asked. */
static void ask_locked(struct cache *cache, int64_t deadline_ms)
{
    char fault[CREDENTIALS_FAULT_BYTES];
    bool expired = cache->expired;
    int64_t next_ms = cache->options.mono_ms() + ASK_MS;
    cache->next_ask_ms = next_ms;
    if (expired)
        cache->next_expired_ask_ms = next_ms;
    cache->expired = false;
    cache->asking = true;
    (void)pthread_mutex_unlock(&cache->mutex);
    if (expired)
        credentials_expire(cache->source, NULL);
    int rc = credentials_get(cache->source, deadline_ms, fault, &cache->fresh);
    if (rc == 0)
        rc = judge_fresh(cache, fault);
    (void)pthread_mutex_lock(&cache->mutex);
    cache->asking = false;
    settle_locked(cache, rc, fault);
    (void)pthread_cond_broadcast(&cache->changed);
}

static void run(void *context)
{
    struct cache *cache = context;
    (void)pthread_mutex_lock(&cache->mutex);
    while (!cache->stopping) {
        if (is_time_to_ask(cache, cache->options.mono_ms())) {
            ask_locked(cache, cache->options.mono_ms() + CONVERSATION_MS);
            continue;
        }
        int64_t look_ms = next_look(cache);
        (void)pthread_mutex_unlock(&cache->mutex);
        (void)cache->options.wait(&cache->stop, cache->wake_fd, POLLIN, look_ms);
        stop_event_drain(cache->wake_fd);
        (void)pthread_mutex_lock(&cache->mutex);
    }
    (void)pthread_mutex_unlock(&cache->mutex);
    progress_promise(cache->stop.progress, INT64_MAX);
}

/* ---- using ---- */

/* Until something has changed; false if DEADLINE_MS passes before. */
static bool wait_locked(struct cache *cache, int64_t deadline_ms)
{
    struct timespec end;
    int64_t left_ms = deadline_ms - cache->options.mono_ms();
    if (left_ms <= 0)
        return false;
    if (deadline_ms == INT64_MAX)
        return pthread_cond_wait(&cache->changed, &cache->mutex) == 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)(left_ms / 1000);
    end.tv_nsec += (long)(left_ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_nsec -= 1000000000;
        end.tv_sec++;
    }
    return pthread_cond_timedwait(&cache->changed, &cache->mutex, &end) != ETIMEDOUT;
}

/* Why there are none. */
static int refuse_locked(const struct cache *cache, char fault[CREDENTIALS_FAULT_BYTES], int code)
{
    if (cache->error < 0) {
        memcpy(fault, cache->fault, sizeof cache->fault);
        return cache->error;
    }
    if (code == E_TIMEOUT)
        return credentials_fault(fault, code, "%s has not answered yet", source_name(cache));
    return credentials_fault(fault, code, "those of %s have expired; it is asked again within %d s",
                             source_name(cache), ASK_MS / 1000);
}

/* 0 once there are some, and if OTHER some that nobody was refused. */
static int await_locked(struct cache *cache, bool other, int64_t deadline_ms,
                        char fault[CREDENTIALS_FAULT_BYTES])
{
    bool slow = cache->source->operations->slow;
    for (bool in_time = true; !cache->stopping;) {
        int64_t now_ms = cache->options.mono_ms();
        bool due = is_time_to_ask(cache, now_ms);
        if (due && !slow) {
            ask_locked(cache, deadline_ms);
            continue;
        }
        if (due)
            stop_event_signal(cache->wake_fd);
        if (cache->has_kept && cache->kept.expires_mono_ms <= now_ms)
            drop_locked(cache);
        if (cache->has_kept && !(other && cache->refused))
            return 0;
        if (!due && !cache->asking)
            return refuse_locked(cache, fault, E_CREDENTIALS);
        if (!in_time)
            return refuse_locked(cache, fault, E_TIMEOUT);
        in_time = wait_locked(cache, deadline_ms);
    }
    return credentials_fault(fault, E_STOP, "asked to stop");
}

static int take_copy(struct cache *cache, bool other, int64_t deadline_ms,
                     char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    (void)pthread_mutex_lock(&cache->mutex);
    if (!cache->used)
        stop_event_signal(cache->wake_fd); /* it looks at another time now */
    cache->used = true;
    int rc = await_locked(cache, other, deadline_ms, fault);
    if (rc == 0)
        *ret_credentials = cache->kept;
    (void)pthread_mutex_unlock(&cache->mutex);
    return rc;
}

static int get_cache(struct credentials_provider *provider, int64_t deadline_ms,
                     char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    return take_copy(cache_of(provider), false, deadline_ms, fault, ret_credentials);
}

static int get_other_cache(struct credentials_provider *provider, int64_t deadline_ms,
                           char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    return take_copy(cache_of(provider), true, deadline_ms, fault, ret_credentials);
}

/* Another route may have signed with older ones than are kept by now: those are not to blame. */
static bool is_kept(const struct cache *cache, const struct credentials *used)
{
    return used == NULL ||
           (cache->has_kept && strcmp(used->access_key_id, cache->kept.access_key_id) == 0 &&
            strcmp(used->session_token, cache->kept.session_token) == 0);
}

static void expire_cache(struct credentials_provider *provider, const struct credentials *used)
{
    struct cache *cache = cache_of(provider);
    (void)pthread_mutex_lock(&cache->mutex);
    if (is_kept(cache, used)) {
        cache->refused = cache->expired = true;
        cache->error = 0;
        stop_event_signal(cache->wake_fd);
    }
    (void)pthread_mutex_unlock(&cache->mutex);
}

/* ---- whether it fails ---- */

void credentials_cache_watch(struct credentials_provider *provider,
                             void (*on_change)(void *context), void *context)
{
    struct cache *cache = cache_of(provider);
    cache->on_change = on_change;
    cache->context = context;
}

int64_t credentials_cache_failing_ms(struct credentials_provider *provider,
                                     char ret_fault[CREDENTIALS_FAULT_BYTES])
{
    struct cache *cache = cache_of(provider);
    (void)pthread_mutex_lock(&cache->mutex);
    int64_t since_ms = cache->failures > 0 ? cache->failing_ms : 0;
    memcpy(ret_fault, cache->fault, sizeof cache->fault);
    (void)pthread_mutex_unlock(&cache->mutex);
    return since_ms;
}

/* ---- life ---- */

static int start_cache(struct credentials_provider *provider, const char *name,
                       struct progress *progress)
{
    struct cache *cache = cache_of(provider);
    char thread_name[THREAD_NAME_BYTES] = "keys-";
    if (!cache->source->operations->slow)
        return 0;
    for (size_t i = strlen(thread_name); i < sizeof thread_name - 1 && *name != '\0'; i++)
        thread_name[i] = *name++;
    cache->stop.progress = progress;
    progress_work(progress);
    return thread_start(&cache->thread, thread_name, run, cache);
}

static int stop_cache(struct credentials_provider *provider, int64_t deadline_ms)
{
    struct cache *cache = cache_of(provider);
    (void)pthread_mutex_lock(&cache->mutex);
    cache->stopping = true;
    (void)pthread_cond_broadcast(&cache->changed);
    (void)pthread_mutex_unlock(&cache->mutex);
    stop_request(&cache->stop);
    return thread_join(&cache->thread, deadline_ms);
}

/* A source that is still asked would be pulled away under its thread. */
static void close_cache(struct credentials_provider *provider)
{
    struct cache *cache = cache_of(provider);
    if (cache->thread.running)
        return;
    credentials_close(cache->source);
    credentials_wipe(&cache->kept);
    credentials_wipe(&cache->fresh);
    stop_close(&cache->stop);
    if (cache->wake_fd >= 0)
        (void)close(cache->wake_fd);
    (void)pthread_cond_destroy(&cache->changed);
    (void)pthread_mutex_destroy(&cache->mutex);
    free(cache);
}

static void init_locks(struct cache *cache)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&cache->mutex, NULL);
    (void)pthread_cond_init(&cache->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

int credentials_cache_open_with(const struct credentials_cache_options *options,
                                struct credentials_provider *source,
                                struct credentials_provider **ret_provider)
{
    static const struct credentials_operations operations = {.name = "cache",
                                                             .get = get_cache,
                                                             .get_other = get_other_cache,
                                                             .expire = expire_cache,
                                                             .start = start_cache,
                                                             .stop = stop_cache,
                                                             .close = close_cache};
    struct cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return E_NO_MEMORY;
    cache->provider.operations = &operations;
    cache->options = *options;
    cache->stop.fd = cache->wake_fd = -1;
    init_locks(cache);
    int rc = stop_open(&cache->stop);
    if (rc == 0)
        rc = stop_event_open(&cache->wake_fd);
    if (rc < 0) {
        close_cache(&cache->provider); /* which lets the source, still the caller's, be */
        return rc;
    }
    cache->source = source;
    *ret_provider = &cache->provider;
    return 0;
}

int credentials_cache_open(struct credentials_provider *source,
                           struct credentials_provider **ret_provider)
{
    const struct credentials_cache_options options = {clock_mono_ms, random_below, stop_wait};
    return credentials_cache_open_with(&options, source, ret_provider);
}
