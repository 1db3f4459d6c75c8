/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/spool/spool_state.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"

static struct timeline *now_of(struct spool *spool)
{
    return &spool->times[spool->times_now];
}

static struct timeline_boot *find_boot(struct timeline *timeline, const uint8_t *id)
{
    for (size_t i = timeline->count; i-- > 0;)
        if (memcmp(timeline->boots[i].id, id, BLOCK_BOOT_ID_BYTES) == 0)
            return &timeline->boots[i];
    return NULL;
}

/* This boot; a spool that was only opened may not have it. */
static struct timeline_boot *boot_of(struct spool *spool)
{
    return find_boot(now_of(spool), spool->boot_id);
}

bool spool_time_entered(struct spool *spool)
{
    return boot_of(spool) != NULL;
}

/* ---- learning ---- */

static bool is_needed_locked(const struct spool *spool, unsigned version)
{
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++)
        if (spool->routes[i] != NULL && spool->routes[i]->frozen &&
            spool->routes[i]->times == version)
            return true;
    return false;
}

/* Makes today's version one that nobody else sees. False: all are needed, by batches in flight. */
static bool renew_locked(struct spool *spool)
{
    const struct timeline *now = now_of(spool);
    if (!is_needed_locked(spool, spool->times_now))
        return true;
    for (unsigned i = 0; i < TIMES_MAX; i++) {
        if (i == spool->times_now || is_needed_locked(spool, i))
            continue;
        spool->times[i].count = now->count;
        memcpy(spool->times[i].boots, now->boots, now->count * sizeof now->boots[0]);
        spool->times_now = i;
        return true;
    }
    return false;
}

/* What finds no place now is told again: the time is learnt from every reply, and every reading. */
static void learn_locked(struct spool *spool, const struct timeline_point *point)
{
    const struct timeline_boot *boot = boot_of(spool);
    if (boot == NULL || !timeline_is_news(boot, point) || !renew_locked(spool))
        return;
    timeline_learn(boot_of(spool), point);
    spool->times_version++;
    atomic_store(&spool->time_known, true);
}

void spool_time_note_locked(struct spool *spool, const struct spool_clock_reading *now)
{
    if (now->quality == TIME_SYNCED)
        learn_locked(spool, &(struct timeline_point){now->boot_ms, now->offset_ms});
}

void spool_time_learn(struct spool *spool, int64_t boot_ms, int64_t offset_ms)
{
    (void)pthread_mutex_lock(&spool->lock);
    learn_locked(spool, &(struct timeline_point){boot_ms, offset_ms});
    (void)pthread_mutex_unlock(&spool->lock);
}

bool spool_time_known(const struct spool *spool)
{
    return atomic_load(&spool->time_known);
}

int spool_time_last(struct spool *spool, int64_t *ret_boot_ms, int64_t *ret_offset_ms)
{
    int rc = E_NOT_FOUND;
    (void)pthread_mutex_lock(&spool->lock);
    const struct timeline_boot *boot = boot_of(spool);
    if (boot != NULL && boot->point_count > 0) {
        *ret_boot_ms = boot->points[boot->point_count - 1].boot_ms;
        *ret_offset_ms = boot->points[boot->point_count - 1].offset_ms;
        rc = E_OK;
    }
    (void)pthread_mutex_unlock(&spool->lock);
    return rc;
}

void spool_time_freeze(struct spool_route *route)
{
    struct spool *spool = route->spool;
    struct spool_clock_reading now;
    spool->options.clock(spool->options.clock_context, &now);
    (void)pthread_mutex_lock(&spool->lock);
    route->frozen = false;
    spool_time_note_locked(spool, &now);
    route->times = spool->times_now;
    route->frozen = true;
    (void)pthread_mutex_unlock(&spool->lock);
}

/* ---- telling ---- */

static const struct timeline *seen_by_locked(const struct spool *spool,
                                             const struct spool_route *route)
{
    return &spool->times[route != NULL && route->frozen ? route->times : spool->times_now];
}

void spool_time_bind_locked(const struct spool *spool, const struct spool_route *route,
                            const struct block_header *header, struct timeline_binding *ret_clock)
{
    /* A block of another spool may be younger than all that this one knows. */
    timeline_bind(seen_by_locked(spool, route), header->boot_id, header->spool_id == spool->id,
                  ret_clock);
}

uint32_t spool_time_boot_locked(struct spool *spool)
{
    const struct timeline_boot *boot = boot_of(spool);
    return boot == NULL ? 0 : boot->number;
}

void spool_time_place_locked(const struct spool *spool, uint32_t number, int64_t boot_ms,
                             int64_t *wall_ms, enum time_quality *quality)
{
    const struct timeline *times = seen_by_locked(spool, NULL);
    struct timeline_binding clock;
    size_t i = 0;
    if (*quality == TIME_SYNCED)
        return;
    while (i < times->count && times->boots[i].number != number)
        i++;
    if (i == times->count)
        return;
    timeline_bind(times, times->boots[i].id, false, &clock);
    *wall_ms = timeline_wall_ms(&clock, boot_ms, *wall_ms - boot_ms);
    *quality = timeline_quality(&clock, *quality);
}

void spool_time_tell_locked(const struct spool_route *route, struct spool_gap *gap)
{
    static const uint8_t nobodys[BLOCK_BOOT_ID_BYTES];
    const struct timeline *times = seen_by_locked(route->spool, route);
    struct timeline_binding clock;
    size_t i = 0;
    if (gap->boot == 0)
        return;
    while (i < times->count && (uint16_t)times->boots[i].number != gap->boot)
        i++;
    bool known = i < times->count;
    timeline_bind(times, known ? times->boots[i].id : nobodys, !known, &clock);
    gap->wall_ms =
        timeline_wall_ms(&clock, gap->wall_ms, known ? times->boots[i].guess.offset_ms : 0);
    gap->time_quality = timeline_quality(&clock, gap->time_quality);
    gap->boot = 0;
}

/* ---- on flash ---- */

int spool_time_decode(const uint8_t *key, size_t key_bytes, const uint8_t *value, size_t bytes,
                      struct timeline_boot *ret_boot)
{
    uint64_t number = key_bytes == 9 ? bytes_get_be64(key + 1) : 0;
    if (number == 0 || number > UINT32_MAX)
        return E_DAMAGED;
    int rc = timeline_decode(value, bytes, ret_boot);
    if (rc == E_OK)
        ret_boot->number = (uint32_t)number;
    return rc;
}

int spool_time_load(struct spool *spool, const struct store_key *key, const uint8_t *value,
                    size_t bytes)
{
    struct timeline_boot boot;
    int rc = spool_time_decode(key->bytes, key->count, value, bytes, &boot);
    if (rc == E_OK)
        timeline_add(now_of(spool), &boot);
    return rc;
}

void spool_time_loaded(struct spool *spool)
{
    struct timeline *now = now_of(spool);
    for (size_t i = 0; i < now->count; i++)
        if (now->boots[i].number == spool->lived_boot)
            timeline_lives(&now->boots[i], spool->lived_ms);
}

void spool_time_enter(struct spool *spool)
{
    struct timeline *now = now_of(spool);
    struct spool_clock_reading reading;
    uint32_t number = spool->next_boot;
    spool->options.clock(spool->options.clock_context, &reading);
    if (now->count > 0 && now->boots[now->count - 1].number >= number)
        number = now->boots[now->count - 1].number + 1; /* of a start that came no further */
    spool->next_boot = number + 1;
    struct timeline_boot *boot = timeline_enter(now, number, spool->boot_id);
    if (reading.quality != TIME_SYNCED && !boot->has_guess) {
        boot->has_guess = true;
        boot->guess = (struct timeline_point){reading.boot_ms, reading.offset_ms};
    }
    spool->times_version++;
    spool->lived_boot = 0;
    atomic_store(&spool->time_known, boot->point_count > 0);
    (void)pthread_mutex_lock(&spool->lock);
    spool_time_note_locked(spool, &reading);
    (void)pthread_mutex_unlock(&spool->lock);
}

void spool_time_adopt(struct spool *spool, const struct timeline *boots)
{
    (void)pthread_mutex_lock(&spool->lock);
    if (renew_locked(spool) && timeline_adopt(now_of(spool), boots)) {
        spool->times_version++;
        atomic_store(&spool->time_known, boot_of(spool)->point_count > 0);
    }
    (void)pthread_mutex_unlock(&spool->lock);
}

static int put_boot(struct spool *spool, struct store_txn *txn, const struct timeline_boot *boot)
{
    uint8_t bytes[TIMELINE_BOOT_BYTES];
    struct store_key key = store_key_number(STORE_BOOTS, boot->number);
    size_t count = timeline_encode(boot, bytes);
    const uint8_t *stored;
    size_t stored_bytes;
    int rc = store_get(txn, &key, &stored, &stored_bytes);
    if (rc == E_OK)
        rc = spool_table_open(spool, &key, &stored, &stored_bytes);
    if (rc < 0 && rc != E_NOT_FOUND)
        return rc;
    if (rc == E_OK && stored_bytes == count && memcmp(stored, bytes, count) == 0)
        return E_OK;
    return spool_table_put(txn, &key, bytes, count);
}

static bool has_number(const struct timeline *times, uint64_t number)
{
    for (size_t i = 0; i < times->count; i++)
        if (times->boots[i].number == number)
            return true;
    return false;
}

/* Entries of boots that are too old, or that stand there more than once. */
static int delete_others(struct store_txn *txn, const struct timeline *times)
{
    struct store_key key = {.count = 1, .bytes = {STORE_BOOTS}};
    const uint8_t *value;
    size_t bytes;
    for (;;) {
        int rc = store_at_or_after(txn, &key, &key, &value, &bytes);
        if (rc == E_NOT_FOUND || (rc == E_OK && key.bytes[0] != STORE_BOOTS))
            return E_OK;
        if (rc == E_OK && key.count != 9)
            rc = E_DAMAGED;
        if (rc == E_OK && !has_number(times, bytes_get_be64(key.bytes + 1)))
            rc = store_delete(txn, &key);
        if (rc < 0)
            return rc;
        key.bytes[key.count++] = 0; /* the smallest behind it */
    }
}

static int put_all(struct spool *spool, struct store_txn *txn, const struct timeline *times)
{
    int rc = delete_others(txn, times);
    for (size_t i = 0; rc == E_OK && i < times->count; i++)
        rc = put_boot(spool, txn, &times->boots[i]);
    return rc;
}

int spool_time_put_all(struct spool *spool, struct store_txn *txn)
{
    return put_all(spool, txn, now_of(spool));
}

void spool_time_take_locked(struct spool *spool, struct commit *commit)
{
    struct spool_clock_reading reading;
    spool->options.clock(spool->options.clock_context, &reading);
    spool_time_note_locked(spool, &reading);
    const struct timeline *now = now_of(spool);
    const struct timeline_boot *boot = boot_of(spool);
    if (boot == NULL)
        return;
    spool->lived_boot = boot->number;
    spool->lived_ms = reading.boot_ms;
    commit->times = spool->times_version != spool->times_stored;
    commit->times_version = spool->times_version;
    if (!commit->times)
        return;
    spool->times_taken.count = now->count;
    memcpy(spool->times_taken.boots, now->boots, now->count * sizeof now->boots[0]);
}

int spool_time_put(struct spool *spool, struct commit *commit)
{
    return commit->times ? put_all(spool, commit->txn, &spool->times_taken) : E_OK;
}

void spool_time_settle_locked(struct spool *spool, const struct commit *commit)
{
    if (commit->times)
        spool->times_stored = commit->times_version;
}
