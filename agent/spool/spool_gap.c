/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/spool/spool_state.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"

/* Offsets of FORMAT.md, "Gap". */
enum {
    AT_BIRTH = 0,
    AT_REASON = 4,
    AT_QUALITY = 5,
    AT_BOOT = 6,
    AT_WALL_MS = 8,
    AT_FIRST = 16,
    AT_LAST = 24,
    AT_COUNT = 32,
    GAP_BYTES = 40,
};

/* ---- noting ---- */

static bool is_used(const struct gap_slot *slot)
{
    return slot->gap.sequence != 0;
}

static bool takes_more(const struct gap_slot *slot, enum spool_gap_reason reason)
{
    return is_used(slot) && !slot->acked && !slot->sealed && slot->gap.reason == reason;
}

static struct gap_slot *newest(struct gap_slot slots[GAPS_PER_LANE])
{
    struct gap_slot *found = &slots[0];
    for (unsigned i = 1; i < GAPS_PER_LANE; i++)
        if (slots[i].gap.sequence > found->gap.sequence)
            found = &slots[i];
    return found;
}

/* A gap that was sent, or may have been, keeps its content: what comes goes into another one. Where
 * there is no place for another one, the newest is told anew, and as one, under a new number. */
static struct gap_slot *find_slot(struct gap_slot slots[GAPS_PER_LANE],
                                  enum spool_gap_reason reason)
{
    for (unsigned i = 0; i < GAPS_PER_LANE; i++)
        if (takes_more(&slots[i], reason))
            return &slots[i];
    for (unsigned i = 0; i < GAPS_PER_LANE; i++)
        if (!is_used(&slots[i]))
            return &slots[i];
    return newest(slots);
}

static void begin(struct spool *spool, struct gap_slot *slot, enum lane lane,
                  enum spool_gap_reason reason)
{
    struct spool_clock_reading now;
    uint64_t sequence = spool->next_sequence++;
    if (is_used(slot) && !slot->acked) {
        slot->gap.sequence = sequence;
        slot->gap.reason = reason;
        slot->sealed = false;
        return;
    }
    spool->options.clock(spool->options.clock_context, &now);
    slot->acked = slot->sealed = false;
    slot->gap = (struct spool_gap){.sequence = sequence,
                                   .lane = lane,
                                   .first = UINT64_MAX,
                                   .reason = reason,
                                   .wall_ms = now.boot_ms + now.offset_ms,
                                   .time_quality = now.quality};
    if (now.quality == TIME_SYNCED)
        return;
    slot->gap.boot = (uint16_t)spool_time_boot_locked(spool);
    if (slot->gap.boot != 0)
        slot->gap.wall_ms = now.boot_ms;
}

void spool_gap_note_locked(struct spool_route *route, enum lane lane, const struct gap_range *range,
                           enum spool_gap_reason reason)
{
    if (range->count == 0)
        return;
    struct gap_slot *slot = find_slot(route->gaps[lane], reason);
    if (!takes_more(slot, reason))
        begin(route->spool, slot, lane, reason);
    if (range->first < slot->gap.first)
        slot->gap.first = range->first;
    if (range->last > slot->gap.last)
        slot->gap.last = range->last;
    slot->gap.count += range->count;
    slot->dirty = true;
}

void spool_gap_take_back_locked(struct spool_route *route, enum lane lane, uint64_t count)
{
    for (unsigned i = 0; i < GAPS_PER_LANE && count > 0; i++) {
        struct gap_slot *slot = &route->gaps[lane][i];
        if (!takes_more(slot, SPOOL_GAP_NOT_HELD))
            continue;
        slot->gap.count -= count < slot->gap.count ? count : slot->gap.count;
        slot->dirty = true;
        slot->acked = slot->gap.count == 0;
        return;
    }
}

/* ---- committing ---- */

static struct store_key key_of(const struct spool_route *route, enum lane lane, uint64_t sequence)
{
    struct store_key key = store_key_pair(STORE_GAPS, (uint8_t)route->index, (uint8_t)lane);
    bytes_put_be64(key.bytes + key.count, sequence);
    key.count += 8;
    return key;
}

void spool_gap_take_locked(struct spool_route *route)
{
    memcpy(route->gaps_taken, route->gaps, sizeof route->gaps_taken);
    /* Whether a commit that fails is on flash is not known: later ones delete what may be there. */
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        for (unsigned i = 0; i < GAPS_PER_LANE; i++)
            if (route->gaps[lane][i].dirty && route->gaps[lane][i].stored == 0)
                route->gaps[lane][i].stored = route->gaps[lane][i].gap.sequence;
}

static int put_gap(struct store_txn *txn, const struct spool_route *route,
                   const struct spool_gap *gap)
{
    uint8_t bytes[GAP_BYTES] = {0};
    struct store_key key = key_of(route, gap->lane, gap->sequence);
    bytes_put_le32(bytes + AT_BIRTH, route->birth);
    bytes[AT_REASON] = (uint8_t)gap->reason;
    bytes[AT_QUALITY] = (uint8_t)gap->time_quality;
    bytes_put_le16(bytes + AT_BOOT, gap->boot);
    bytes_put_le64(bytes + AT_WALL_MS, (uint64_t)gap->wall_ms);
    bytes_put_le64(bytes + AT_FIRST, gap->first);
    bytes_put_le64(bytes + AT_LAST, gap->last);
    bytes_put_le64(bytes + AT_COUNT, gap->count);
    return spool_table_put(txn, &key, bytes, sizeof bytes);
}

static int put_slot(struct store_txn *txn, const struct spool_route *route, enum lane lane,
                    const struct gap_slot *slot)
{
    int rc = E_OK;
    if (slot->stored != 0 && (slot->acked || slot->stored != slot->gap.sequence)) {
        struct store_key key = key_of(route, lane, slot->stored);
        rc = store_delete(txn, &key);
    }
    if (rc == E_OK && slot->dirty && !slot->acked)
        rc = put_gap(txn, route, &slot->gap);
    return rc;
}

int spool_gap_put(struct store_txn *txn, const struct spool_route *route)
{
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        for (unsigned i = 0; i < GAPS_PER_LANE; i++) {
            int rc = put_slot(txn, route, lane, &route->gaps_taken[lane][i]);
            if (rc < 0)
                return rc;
        }
    return E_OK;
}

int spool_gap_delete(struct store_txn *txn, const struct spool_route *route)
{
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        for (unsigned i = 0; i < GAPS_PER_LANE; i++) {
            const struct gap_slot *slot = &route->gaps_taken[lane][i];
            struct store_key key = key_of(route, lane, slot->stored);
            int rc = slot->stored != 0 ? store_delete(txn, &key) : E_OK;
            if (rc < 0)
                return rc;
        }
    return E_OK;
}

static bool is_same(const struct spool_gap *a, const struct spool_gap *b)
{
    return a->sequence == b->sequence && a->count == b->count && a->last == b->last;
}

/* Returns whether there is a new one to tell. */
static bool settle_slot(struct gap_slot *slot, const struct gap_slot *taken)
{
    if (!is_used(taken))
        return false;
    if (taken->acked) {
        slot->stored = 0;
        if (slot->acked)
            *slot = (struct gap_slot){0};
        return false;
    }
    slot->stored = taken->gap.sequence;
    bool told_now = slot->dirty && is_same(&slot->gap, &taken->gap);
    if (told_now)
        slot->dirty = false;
    return told_now;
}

void spool_gap_settle_locked(struct spool_route *route)
{
    bool any = false;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        for (unsigned i = 0; i < GAPS_PER_LANE; i++)
            any = settle_slot(&route->gaps[lane][i], &route->gaps_taken[lane][i]) || any;
    if (any && route->armed_fd >= 0) {
        stop_event_signal(route->armed_fd);
        route->armed_fd = -1;
    }
}

/* ---- loading ---- */

static int decode(const struct store_key *key, const uint8_t *content, size_t bytes,
                  struct spool_gap *ret_gap)
{
    if (key->count != 11 || key->bytes[2] >= LANE_COUNT || bytes != GAP_BYTES ||
        content[AT_REASON] > SPOOL_GAP_LOST || content[AT_QUALITY] > TIME_ESTIMATED)
        return E_DAMAGED;
    *ret_gap = (struct spool_gap){.sequence = bytes_get_be64(key->bytes + 3),
                                  .lane = (enum lane)key->bytes[2],
                                  .reason = (enum spool_gap_reason)content[AT_REASON],
                                  .time_quality = (enum time_quality)content[AT_QUALITY],
                                  .boot = bytes_get_le16(content + AT_BOOT),
                                  .wall_ms = (int64_t)bytes_get_le64(content + AT_WALL_MS),
                                  .first = bytes_get_le64(content + AT_FIRST),
                                  .last = bytes_get_le64(content + AT_LAST),
                                  .count = bytes_get_le64(content + AT_COUNT)};
    return E_OK;
}

int spool_gap_load(struct spool *spool, const struct store_key *key, const uint8_t *content,
                   size_t bytes)
{
    struct spool_gap gap;
    int rc = decode(key, content, bytes, &gap);
    if (rc < 0)
        return rc;
    struct spool_route *route =
        key->bytes[1] < SPOOL_ROUTES_MAX ? spool->routes[key->bytes[1]] : NULL;
    if (route == NULL || bytes_get_le32(content + AT_BIRTH) != route->birth)
        return E_OK;
    for (unsigned i = 0; i < GAPS_PER_LANE; i++) {
        struct gap_slot *slot = &route->gaps[gap.lane][i];
        if (is_used(slot))
            continue;
        /* It may have been sent before. */
        *slot = (struct gap_slot){.gap = gap, .stored = gap.sequence, .sealed = true};
        return E_OK;
    }
    return E_DAMAGED; /* there never are more */
}

/* ---- telling ---- */

static bool is_tellable(const struct gap_slot *slot)
{
    return is_used(slot) && !slot->dirty && !slot->acked;
}

/* The slot with the lowest number above AFTER; NULL if there is none. */
static struct gap_slot *next_slot(struct spool_route *route, uint64_t after)
{
    struct gap_slot *found = NULL;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        for (unsigned i = 0; i < GAPS_PER_LANE; i++) {
            struct gap_slot *slot = &route->gaps[lane][i];
            if (is_tellable(slot) && slot->gap.sequence > after &&
                (found == NULL || slot->gap.sequence < found->gap.sequence))
                found = slot;
        }
    return found;
}

int spool_gap_next(struct spool_route *route, uint64_t after, struct spool_gap *ret_gap)
{
    (void)pthread_mutex_lock(&route->spool->lock);
    const struct gap_slot *slot = next_slot(route, after);
    if (slot != NULL) {
        *ret_gap = slot->gap;
        spool_time_tell_locked(route, ret_gap);
    }
    (void)pthread_mutex_unlock(&route->spool->lock);
    return slot != NULL ? E_OK : E_END;
}

int spool_gap_seal(struct spool_route *route, const struct spool_gap *gap)
{
    (void)pthread_mutex_lock(&route->spool->lock);
    struct gap_slot *slot = next_slot(route, gap->sequence - 1);
    bool same = slot != NULL && is_same(&slot->gap, gap);
    if (same)
        slot->sealed = true;
    (void)pthread_mutex_unlock(&route->spool->lock);
    return same ? E_OK : E_CHANGED;
}

void spool_gap_acknowledge(struct spool_route *route, uint64_t sequence)
{
    struct spool *spool = route->spool;
    (void)pthread_mutex_lock(&spool->lock);
    struct gap_slot *slot = next_slot(route, sequence - 1);
    if (slot != NULL && slot->gap.sequence == sequence) {
        slot->acked = true;
        spool_commit_ack_due_locked(spool, 1);
    }
    (void)pthread_mutex_unlock(&spool->lock);
}
