/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/spool/spool_state.h"
#include "platform/base/error.h"
#include "platform/clock.h"

/* ---- opening ---- */

static struct spool_route *find_route(struct spool *spool, const char *name)
{
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++)
        if (spool->routes[i] != NULL && spool->routes[i]->used &&
            strcmp(spool->routes[i]->name, name) == 0)
            return spool->routes[i];
    return NULL;
}

static struct spool_route *add_route(struct spool *spool, const char *name)
{
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++) {
        if (spool->routes[i] != NULL)
            continue;
        struct spool_route *route = calloc(1, sizeof *route);
        if (route == NULL)
            return NULL;
        route->spool = spool;
        route->index = i;
        route->armed_fd = -1;
        route->birth = spool->next_boot;
        memcpy(route->name, name, strnlen(name, sizeof route->name - 1));
        spool->routes[i] = route;
        return route;
    }
    return NULL;
}

/* Before the lane's oldest block on flash; where there is none, before what comes next. */
static int find_start(struct spool *spool, enum lane lane, uint64_t *ret_low)
{
    struct store_key key = store_key_block(lane, 0, 0);
    struct store_txn *txn;
    const uint8_t *value;
    size_t bytes;
    uint64_t first;
    uint16_t fragment;
    int rc = E_NOT_FOUND;
    if (atomic_load(&spool->store_ready)) {
        rc = store_begin_read(spool->store, &txn);
        if (rc < 0)
            return rc;
        rc = store_at_or_after(txn, &key, &key, &value, &bytes);
        store_abort(txn);
    }
    if (rc < 0 && rc != E_NOT_FOUND)
        return rc;
    if (rc == E_OK && store_key_is_block(&key, lane, &first, &fragment))
        *ret_low = first - 1;
    else
        *ret_low = spool->next_sequence - 1;
    return E_OK;
}

/* How many records on flash the route still owes its destination. */
static int count_owed(struct spool_route *route, enum lane lane, uint64_t *ret_owed)
{
    struct spool *spool = route->spool;
    struct store_key key = store_key_block(lane, 0, 0);
    struct block_header header;
    struct store_txn *txn;
    const uint8_t *value;
    size_t bytes;
    uint64_t owed = 0;
    uint64_t first;
    uint16_t fragment;
    int rc = store_begin_read(spool->store, &txn);
    if (rc < 0)
        return rc;
    for (;;) {
        rc = store_at_or_after(txn, &key, &key, &value, &bytes);
        if (rc < 0 || !store_key_is_block(&key, lane, &first, &fragment))
            break;
        if (block_open(value, bytes, &header) == E_OK) {
            block_place(&header, first);
            (void)pthread_mutex_lock(&spool->lock);
            owed += spool_route_owed_locked(route, lane, &header, value);
            (void)pthread_mutex_unlock(&spool->lock);
        }
        store_release_page(value);
        key = store_key_block(lane, first, (uint16_t)(fragment + 1));
    }
    store_abort(txn);
    if (rc < 0 && rc != E_NOT_FOUND)
        return rc;
    *ret_owed = owed;
    return E_OK;
}

static uint64_t take(uint64_t *from, uint64_t most)
{
    uint64_t taken = *from < most ? *from : most;
    *from -= taken;
    return taken;
}

/*
 * Counters that may have missed something are made to add up: what is stored and not acknowledged
 * is owed. What was accepted beyond that has left without this route; what a crash, or more holes
 * than the stored cursor has, made to be owed once more is not delivered after all. A route that
 * was not there when records came has them now.
 */
static void recount_locked(struct spool_route *route, enum lane lane, uint64_t owed, bool hold)
{
    struct spool_counters *counters = &route->counters[lane];
    uint64_t known = counters->delivered + counters->dead + counters->evicted + owed;
    bool active = route->active;
    if (counters->accepted > known) {
        const struct gap_range range = {.first = route->cursors[lane].low + 1,
                                        .last = route->spool->next_sequence - 1,
                                        .count = counters->accepted - known};
        counters->evicted += range.count;
        spool_gap_note_locked(route, lane, &range,
                              !hold    ? SPOOL_GAP_NOT_HELD
                              : active ? SPOOL_GAP_LOST
                                       : SPOOL_GAP_AWAY);
        return;
    }
    uint64_t again = known - counters->accepted;
    if (active)
        again -= take(&counters->delivered, again);
    if (active)
        again -= take(&counters->dead, again);
    counters->accepted += again;
}

static int start_lane(struct spool_route *route, enum lane lane, bool known, bool hold)
{
    struct spool *spool = route->spool;
    uint64_t owed = 0;
    int rc = known ? E_OK : find_start(spool, lane, &route->cursors[lane].low);
    if (rc == E_OK && atomic_load(&spool->store_ready))
        rc = count_owed(route, lane, &owed);
    if (rc < 0)
        return rc;
    (void)pthread_mutex_lock(&spool->lock);
    recount_locked(route, lane, owed, hold);
    (void)pthread_mutex_unlock(&spool->lock);
    return E_OK;
}

static uint64_t stored(const struct spool_counters *counters)
{
    return counters->accepted - counters->delivered - counters->dead - counters->evicted;
}

static void join_lane_locked(struct spool_route *route, enum lane lane)
{
    struct lane_state *state = &route->spool->lanes[lane];
    uint8_t bit = (uint8_t)(1U << route->index);
    route->waiting[lane].records = stored(&route->counters[lane]);
    route->waiting[lane].bytes =
        state->flash.records == 0
            ? 0
            : route->waiting[lane].records * state->flash.bytes / state->flash.records;
    state->routes |= bit;
    if (route->hold)
        state->holders |= bit;
}

int spool_route_open(struct spool *spool, const struct spool_route_options *options,
                     struct spool_route **ret_route)
{
    struct spool_route *route = find_route(spool, options->name);
    if (route == NULL)
        route = add_route(spool, options->name);
    if (route == NULL)
        return E_FULL;
    if (route->open)
        return E_EXISTS;
    if (!options->hold && route->left == NULL)
        route->left = calloc(LANE_COUNT, sizeof *route->left);
    if (!options->hold && route->left == NULL)
        return E_NO_MEMORY;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        bool known = route->used && route->lanes[lane];
        if (!options->lanes[lane] || (known && route->counted && spool->counted))
            continue;
        int rc = start_lane(route, lane, known, options->hold);
        if (rc < 0)
            return rc;
    }
    (void)pthread_mutex_lock(&spool->lock);
    route->used = route->open = true;
    route->hold = options->hold;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        route->lanes[lane] = options->lanes[lane];
        if (options->lanes[lane])
            join_lane_locked(route, lane);
    }
    (void)pthread_mutex_unlock(&spool->lock);
    *ret_route = route;
    return E_OK;
}

void spool_route_forget_locked(struct spool *spool, unsigned index)
{
    struct spool_route *route = spool->routes[index];
    log_info("route-forgotten route=%s why=\"not configured for %d days\"", route->name,
             (int)ROUTE_DAYS);
    free(route->left);
    free(route);
    spool->routes[index] = NULL;
}

/* ---- what is owed ---- */

uint64_t spool_route_low_locked(const struct spool_route *route, enum lane lane)
{
    uint64_t low = route->cursors[lane].low;
    return low > route->evicted_to[lane] ? low : route->evicted_to[lane];
}

uint64_t spool_route_owed_locked(const struct spool_route *route, enum lane lane,
                                 const struct block_header *header, const uint8_t *block)
{
    const struct cursor *cursor = &route->cursors[lane];
    struct block_walk walk;
    struct record record;
    uint64_t owed = 0;
    uint64_t low = spool_route_low_locked(route, lane);
    if (header->fragment > 0 || header->last_sequence <= low ||
        (header->not_for & 1U << route->index) != 0)
        return 0;
    if (low < header->first_sequence &&
        !cursor_touches(cursor, header->first_sequence, header->last_sequence))
        return header->record_count;
    block_walk_start(&walk, header);
    while (block_walk_next(&walk, block, &record) == E_OK)
        owed += record.sequence > low && !cursor_contains(cursor, record.sequence);
    return owed;
}

void spool_route_backlog(struct spool_route *route, enum lane lane,
                         struct spool_backlog *ret_backlog)
{
    (void)pthread_mutex_lock(&route->spool->lock);
    *ret_backlog = route->waiting[lane];
    (void)pthread_mutex_unlock(&route->spool->lock);
}

void spool_route_wake_locked(struct spool_route *route)
{
    const struct spool_wake *armed = &route->armed;
    struct spool_backlog sum = {0};
    bool urgent = false;
    if (route->armed_fd < 0)
        return;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        sum.records += route->waiting[lane].records;
        sum.bytes += route->waiting[lane].bytes;
        urgent = urgent || (armed->lanes[lane] && route->waiting[lane].records > 0);
    }
    if (!urgent && sum.records < armed->records && sum.bytes < armed->bytes)
        return;
    stop_event_signal(route->armed_fd);
    route->armed_fd = -1;
}

void spool_route_waits_for_locked(struct spool_route *route, enum lane lane, uint64_t records,
                                  uint64_t bytes)
{
    route->waiting[lane].records += records;
    route->waiting[lane].bytes += bytes;
    spool_route_wake_locked(route);
}

void spool_route_waits_locked(struct spool *spool, enum lane lane, uint64_t records, uint64_t bytes)
{
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++)
        if ((spool->lanes[lane].routes & 1U << i) != 0)
            spool_route_waits_for_locked(spool->routes[i], lane, records, bytes);
}

void spool_route_arm(struct spool_route *route, int event_fd, const struct spool_wake *wake)
{
    (void)pthread_mutex_lock(&route->spool->lock);
    route->armed_fd = event_fd;
    route->armed = *wake;
    spool_route_wake_locked(route);
    (void)pthread_mutex_unlock(&route->spool->lock);
}

static void pin_locked(struct spool_route *route, enum lane lane, uint64_t last)
{
    bool begins = last > route->pinned_to[lane];
    route->pinned_to[lane] = last;
    if (route->left != NULL && (begins || last == 0))
        route->left[lane].count = 0;
}

void spool_route_pin(struct spool_route *route, enum lane lane, uint64_t last)
{
    (void)pthread_mutex_lock(&route->spool->lock);
    pin_locked(route, lane, last);
    (void)pthread_mutex_unlock(&route->spool->lock);
}

void spool_route_unpin(struct spool_route *route)
{
    (void)pthread_mutex_lock(&route->spool->lock);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        pin_locked(route, lane, 0);
    route->frozen = false;
    spool_commit_deferred_locked(route->spool);
    (void)pthread_mutex_unlock(&route->spool->lock);
}

/* ---- acknowledging ---- */

/* What an acknowledgement meets in the head. */
struct met {
    uint64_t pending; /* not accepted before: counted as delivered when it is accepted */
    uint64_t in_ram;  /* not on flash */
};

static void acknowledge_record(struct spool_route *route, struct head_block *block, uint16_t index,
                               uint64_t sequence, enum spool_outcome outcome, struct met *met)
{
    struct spool *spool = route->spool;
    enum lane lane = (enum lane)block->header.lane;
    uint8_t holders = spool->lanes[lane].holders;
    uint8_t bit = (uint8_t)(1U << route->index);
    bool on_flash = index < block->committed_count;
    bool done = holders != 0 && (block->done[index] & holders) == holders;

    block->done[index] |= bit;
    if (outcome == SPOOL_DEAD)
        block->dead[index] |= bit;
    if (!on_flash)
        met->in_ram++;
    if (!on_flash && !done)
        met->pending++;
    if (done || holders == 0 || (block->done[index] & holders) != holders)
        return;
    block->done_count++;
    if (on_flash)
        return;
    spool_head_accept_locked(spool, block, index);
    spool_tickets_at_locked(spool, lane, sequence);
}

static void acknowledge_head(struct spool_route *route, enum lane lane, uint64_t after,
                             uint64_t last, enum spool_outcome outcome, struct met *met)
{
    struct head_block *block = route->spool->lanes[lane].head.first;
    struct block_walk walk;
    struct record record;
    for (; block != NULL && block->header.first_sequence <= last; block = block->next) {
        bool foreign = (block->header.not_for >> route->index & 1) != 0; /* it was passed over */
        if (foreign || block->header.fragment > 0 || block->header.last_sequence <= after)
            continue;
        block_walk_start(&walk, &block->header);
        while (block_walk_next(&walk, block->bytes, &record) == E_OK && record.sequence <= last)
            if (record.sequence > after)
                acknowledge_record(route, block, (uint16_t)(walk.index - 1), record.sequence,
                                   outcome, met);
    }
}

static void reduce_waiting(struct spool_backlog *waiting, uint64_t records)
{
    if (records >= waiting->records) {
        *waiting = (struct spool_backlog){0};
        return;
    }
    waiting->bytes -= waiting->bytes / waiting->records * records;
    waiting->records -= records;
}

void spool_route_miss_locked(struct spool_route *route, enum lane lane,
                             const struct gap_range *range, enum spool_gap_reason reason)
{
    route->counters[lane].evicted += range->count;
    reduce_waiting(&route->waiting[lane], range->count);
    spool_gap_note_locked(route, lane, range, reason);
}

void spool_route_lose(struct spool_route *route, enum lane lane, uint64_t after, uint64_t last,
                      uint64_t count)
{
    struct spool *spool = route->spool;
    const struct gap_range range = {.first = after + 1, .last = last, .count = count};
    (void)pthread_mutex_lock(&spool->lock);
    if (!cursor_contains(&route->cursors[lane], last) &&
        cursor_add(&route->cursors[lane], after, last) == E_OK) {
        spool_route_miss_locked(route, lane, &range, SPOOL_GAP_DAMAGED);
        spool->lanes[lane].inexact = true;
        spool_commit_ack_due_locked(spool, 1);
    }
    (void)pthread_mutex_unlock(&spool->lock);
}

static bool is_in_flight(const struct spool_route *route, const struct block_header *header)
{
    return route->left != NULL && route->pinned_to[header->lane] >= header->first_sequence;
}

bool spool_route_can_leave_locked(const struct spool_route *route,
                                  const struct block_header *header)
{
    return !is_in_flight(route, header) ||
           route->left[header->lane].count < CONFIG_SPOOL_HEAD_BLOCKS;
}

void spool_route_leave_locked(struct spool_route *route, const struct block_header *header,
                              uint64_t records)
{
    enum lane lane = (enum lane)header->lane;
    const struct gap_range range = {
        .first = header->first_sequence, .last = header->last_sequence, .count = records};
    spool_route_miss_locked(route, lane, &range, SPOOL_GAP_NOT_HELD);
    if (!is_in_flight(route, header))
        return;
    struct left_blocks *left = &route->left[lane];
    left->ranges[left->count].first = header->first_sequence;
    left->ranges[left->count].last = header->last_sequence;
    left->count++;
}

static uint64_t guess_owed_locked(const struct spool_route *route, enum lane lane,
                                  const struct block_header *header)
{
    bool given_up = spool_route_low_locked(route, lane) >= header->first_sequence ||
                    cursor_contains(&route->cursors[lane], header->first_sequence);
    return given_up || (header->not_for & 1U << route->index) != 0 ? 0 : header->record_count;
}

void spool_route_evict_locked(struct spool_route *route, enum lane lane,
                              const struct block_header *header, const uint8_t *block)
{
    const struct gap_range range = {
        .first = header->first_sequence,
        .last = header->last_sequence,
        .count = block != NULL ? spool_route_owed_locked(route, lane, header, block)
                               : guess_owed_locked(route, lane, header),
    };
    spool_route_miss_locked(route, lane, &range,
                            block == NULL ? SPOOL_GAP_DAMAGED
                            : route->hold ? SPOOL_GAP_DROP_OLDEST
                                          : SPOOL_GAP_NOT_HELD);
    if (route->evicted_to[lane] < header->last_sequence)
        route->evicted_to[lane] = header->last_sequence;
}

static bool has_left(const struct spool_route *route, enum lane lane, uint64_t sequence)
{
    const struct left_blocks *left = route->left != NULL ? &route->left[lane] : NULL;
    for (size_t i = 0; left != NULL && i < left->count; i++)
        if (left->ranges[i].first <= sequence && sequence <= left->ranges[i].last)
            return true;
    return false;
}

static bool was_evicted(const struct spool_route *route, enum lane lane, uint64_t sequence)
{
    return sequence <= route->evicted_to[lane] || has_left(route, lane, sequence);
}

static void count_outcome(struct spool_counters *counters, uint64_t count, uint64_t evicted,
                          enum spool_outcome outcome)
{
    counters->evicted -= evicted;
    if (outcome == SPOOL_DEAD)
        counters->dead += count;
    else
        counters->delivered += count;
}

/* Records that follow each other, of which so many were evicted since they were read. */
struct acknowledged {
    uint64_t after;
    uint64_t last;
    uint64_t count;
    uint64_t evicted;
};

static void acknowledge_locked(struct spool_route *route, enum lane lane,
                               const struct acknowledged *records, enum spool_outcome outcome)
{
    struct spool *spool = route->spool;
    struct met met = {0};
    if (cursor_add(&route->cursors[lane], records->after, records->last) != E_OK)
        return;
    spool_gap_take_back_locked(route, lane, records->evicted);
    acknowledge_head(route, lane, records->after, records->last, outcome, &met);
    count_outcome(&route->counters[lane], records->count - met.pending, records->evicted, outcome);
    reduce_waiting(&route->waiting[lane], records->count - records->evicted);
    spool->acked_ms = spool->options.events != NULL ? clock_boot_ms() : 0;
    if (records->count > met.in_ram)
        spool_commit_ack_due_locked(spool, records->count - met.in_ram);
    spool_head_settle_lane_locked(spool, lane);
}

void spool_route_ack(struct spool_route *route, enum lane lane, const struct spool_mark *marks,
                     size_t count, enum spool_outcome outcome)
{
    struct acknowledged records = {
        .after = marks[0].previous, .last = marks[count - 1].sequence, .count = count};
    (void)pthread_mutex_lock(&route->spool->lock);
    for (size_t i = 0; i < count; i++)
        records.evicted += was_evicted(route, lane, marks[i].sequence);
    acknowledge_locked(route, lane, &records, outcome);
    (void)pthread_mutex_unlock(&route->spool->lock);
}

void spool_route_ack_runs(struct spool_route *route, enum lane lane, const struct spool_run *runs,
                          size_t count, enum spool_outcome outcome)
{
    struct acknowledged records = {.after = runs[0].previous, .last = runs[count - 1].last};
    (void)pthread_mutex_lock(&route->spool->lock);
    for (size_t i = 0; i < count; i++) {
        records.count += runs[i].count;
        records.evicted += was_evicted(route, lane, runs[i].last) ? runs[i].count : 0;
    }
    acknowledge_locked(route, lane, &records, outcome);
    (void)pthread_mutex_unlock(&route->spool->lock);
}

/* What the head holds of what was accepted and is still owed. */
static uint64_t owed_in_head_locked(const struct spool_route *route, enum lane lane)
{
    const struct head_block *block = route->spool->lanes[lane].head.first;
    uint64_t owed = 0;
    for (; block != NULL; block = block->next)
        for (uint16_t i = 0; i < block->header.record_count && i < block->committed_count; i++)
            owed += (block->done[i] >> route->index & 1) == 0;
    return owed;
}

void spool_route_settle_lane_locked(struct spool *spool, enum lane lane)
{
    struct lane_state *state = &spool->lanes[lane];
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++) {
        struct spool_route *route = spool->routes[i];
        if ((state->routes & 1U << i) == 0)
            continue;
        uint64_t known = stored(&route->counters[lane]);
        uint64_t owed = owed_in_head_locked(route, lane);
        if (known > owed)
            route->counters[lane].evicted += known - owed;
    }
    state->flash = (struct lane_flash){0};
    state->inexact = false;
}

void spool_route_counters(struct spool_route *route, enum lane lane,
                          struct spool_counters *ret_counters)
{
    (void)pthread_mutex_lock(&route->spool->lock);
    *ret_counters = route->counters[lane];
    (void)pthread_mutex_unlock(&route->spool->lock);
    ret_counters->stored = stored(ret_counters);
}
