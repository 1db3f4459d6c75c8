/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/aws/credentials.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"
#include "platform/random.h"

enum { AHEAD_MAX_MS = 15 * 60 * 1000, ASK_MS = 30 * 1000 };

struct cache {
    struct credentials_provider provider;
    struct credentials_provider *source;
    int64_t (*mono_ms)(void);
    uint64_t (*random_below)(uint64_t limit);
    struct credentials slots[2]; /* what is used, and where SOURCE writes the next */
    unsigned used;
    bool has_kept;
    bool expired; /* the other side said so, and SOURCE has not been asked since */
    int64_t refresh_ms;
    int64_t next_ask_ms;
    int64_t next_expired_ask_ms;
    int error; /* why there are none */
    char fault[CREDENTIALS_FAULT_BYTES];
    struct log_limit complaint;
};

static struct cache *cache_of(struct credentials_provider *provider)
{
    return (struct cache *)(void *)provider;
}

static void drop(struct cache *cache)
{
    credentials_wipe(&cache->slots[cache->used]);
    cache->has_kept = false;
}

/* The jitter keeps a fleet that started together from asking together for ever. */
static int64_t refresh_time(const struct cache *cache, int64_t expires_ms, int64_t now_ms)
{
    if (expires_ms == INT64_MAX)
        return now_ms + ASK_MS;
    int64_t quarter_ms = (expires_ms - now_ms) / 4;
    int64_t ahead_ms = quarter_ms < AHEAD_MAX_MS ? quarter_ms : AHEAD_MAX_MS;
    uint64_t spread_ms = (uint64_t)ahead_ms / 5;
    return expires_ms - ahead_ms * 9 / 10 - (int64_t)cache->random_below(spread_ms + 1);
}

static int take(struct cache *cache, char fault[CREDENTIALS_FAULT_BYTES])
{
    struct credentials *fresh = &cache->slots[1 - cache->used];
    int64_t now_ms = cache->mono_ms();
    if (fresh->expires_mono_ms <= now_ms) {
        credentials_wipe(fresh);
        return credentials_fault(fault, E_CREDENTIALS,
                                 "%s gave credentials that have expired already: check the clock",
                                 cache->source->operations->name);
    }
    drop(cache);
    cache->used = 1 - cache->used;
    cache->has_kept = true;
    cache->refresh_ms = refresh_time(cache, fresh->expires_mono_ms, now_ms);
    return 0;
}

static void complain(struct cache *cache, const char *fault)
{
    unsigned long silenced;
    if (cache->has_kept &&
        log_limit_passes(&cache->complaint, (long long)cache->mono_ms(), &silenced))
        log_warning("credentials-refresh-failed source=%s silenced=%lu fault=\"%s\"",
                    cache->source->operations->name, silenced, fault);
}

static void ask(struct cache *cache, int64_t deadline_ms)
{
    struct credentials *fresh = &cache->slots[1 - cache->used];
    char fault[CREDENTIALS_FAULT_BYTES];
    int64_t now_ms = cache->mono_ms();
    cache->next_ask_ms = now_ms + ASK_MS;
    if (cache->expired)
        cache->next_expired_ask_ms = now_ms + ASK_MS;
    cache->expired = false;
    int rc = credentials_get(cache->source, deadline_ms, fault, fresh);
    if (rc == 0)
        rc = take(cache, fault);
    if (rc < 0)
        complain(cache, fault);
    cache->error = rc;
    memcpy(cache->fault, fault, sizeof cache->fault);
}

static bool is_time_to_ask(const struct cache *cache, int64_t now_ms)
{
    if (cache->expired && now_ms >= cache->next_expired_ask_ms)
        return true;
    return now_ms >= cache->next_ask_ms && (!cache->has_kept || now_ms >= cache->refresh_ms);
}

static int get_cache(struct credentials_provider *provider, int64_t deadline_ms,
                     char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    struct cache *cache = cache_of(provider);
    if (is_time_to_ask(cache, cache->mono_ms()))
        ask(cache, deadline_ms);
    if (cache->has_kept && cache->slots[cache->used].expires_mono_ms <= cache->mono_ms())
        drop(cache);
    if (cache->has_kept) {
        *ret_credentials = cache->slots[cache->used];
        return 0;
    }
    if (cache->error == 0)
        return credentials_fault(fault, E_CREDENTIALS,
                                 "those of %s have expired; it is asked again within %d s",
                                 cache->source->operations->name, ASK_MS / 1000);
    memcpy(fault, cache->fault, sizeof cache->fault);
    return cache->error;
}

static void expire_cache(struct credentials_provider *provider)
{
    struct cache *cache = cache_of(provider);
    drop(cache);
    cache->expired = true;
    cache->error = 0;
    credentials_expire(cache->source);
}

static void close_cache(struct credentials_provider *provider)
{
    struct cache *cache = cache_of(provider);
    credentials_close(cache->source);
    credentials_wipe(&cache->slots[0]);
    credentials_wipe(&cache->slots[1]);
    free(cache);
}

int credentials_cache_open_with(const struct credentials_cache_options *options,
                                struct credentials_provider *source,
                                struct credentials_provider **ret_provider)
{
    static const struct credentials_operations operations = {
        .name = "cache", .get = get_cache, .expire = expire_cache, .close = close_cache};
    struct cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return E_NO_MEMORY;
    cache->provider.operations = &operations;
    cache->source = source;
    cache->mono_ms = options->mono_ms;
    cache->random_below = options->random_below;
    *ret_provider = &cache->provider;
    return 0;
}

int credentials_cache_open(struct credentials_provider *source,
                           struct credentials_provider **ret_provider)
{
    const struct credentials_cache_options options = {clock_mono_ms, random_below};
    return credentials_cache_open_with(&options, source, ret_provider);
}
