/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/room.h"
#include "agent/spool/spool_state.h"
#include "platform/base/error.h"

enum {
    FULL_PERCENT = 85,  /* deletes need free pages too, and freed ones wait two commits */
    BUSY_PERCENT = 90,  /* while nothing can be evicted, as it is in flight */
    ALARM_PERCENT = 95, /* what is kept back for alarms */
    SLACK_PAGES = 8,
};

static bool is_pinned_locked(const struct spool *spool, enum lane lane,
                             const struct block_header *header)
{
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++) {
        const struct spool_route *route = spool->routes[i];
        if (route != NULL && route->open && route->pinned_to[lane] >= header->first_sequence &&
            spool_route_low_locked(route, lane) < header->last_sequence)
            return true;
    }
    return false;
}

struct flash_block {
    uint64_t first;
    bool readable;
    struct block_header header; /* a guess if it is not readable */
    const uint8_t *value;
};

/* The lane's first block on flash: E_NOT_FOUND if there is none. */
static int first_block(struct commit *commit, enum lane lane, struct flash_block *ret_block)
{
    struct store_key key = store_key_block(lane, 0, 0);
    uint16_t fragment;
    size_t bytes;
    int rc = store_at_or_after(commit->txn, &key, &key, &ret_block->value, &bytes);
    if (rc < 0)
        return rc;
    if (!store_key_is_block(&key, lane, &ret_block->first, &fragment))
        return E_NOT_FOUND;
    ret_block->readable = block_open(ret_block->value, bytes, &ret_block->header) == E_OK;
    if (ret_block->readable)
        block_place(&ret_block->header, ret_block->first);
    else if (!block_guess(ret_block->value, bytes, ret_block->first, &ret_block->header))
        ret_block->header = (struct block_header){.first_sequence = ret_block->first,
                                                  .last_sequence = ret_block->first,
                                                  .fragment_count = 1};
    return E_OK;
}

static void subtract(uint64_t *from, uint64_t amount)
{
    *from -= amount < *from ? amount : *from;
}

static int delete_entry(struct commit *commit, struct lane_flash *flash,
                        const struct store_key *key)
{
    const uint8_t *value;
    size_t bytes;
    int rc = store_get(commit->txn, key, &value, &bytes);
    if (rc == E_NOT_FOUND)
        return E_OK;
    if (rc == E_OK)
        rc = store_delete(commit->txn, key);
    if (rc < 0)
        return rc;
    subtract(&flash->blocks, 1);
    subtract(&flash->bytes, bytes);
    commit->deleted++;
    return E_OK;
}

/* Deletes all fragments that begin at FIRST. */
static int delete_block(struct spool *spool, struct commit *commit, enum lane lane,
                        const struct flash_block *block)
{
    struct lane_flash *flash = &commit->flash[lane];
    unsigned fragments = block->readable ? block->header.fragment_count : 1;
    for (unsigned i = 0; i < fragments; i++) {
        struct store_key key = store_key_block(lane, block->first, (uint16_t)i);
        int rc = delete_entry(commit, flash, &key);
        if (rc < 0)
            return rc;
    }
    if (block->readable)
        subtract(&flash->records, block->header.record_count);
    (void)pthread_mutex_lock(&spool->lock);
    struct head_block *tail = spool->lanes[lane].head.first;
    if (tail != NULL && tail->stored && tail->header.first_sequence == block->first) {
        commit->deleted_tail[lane] = tail;
        tail->writing = true;
    }
    (void)pthread_mutex_unlock(&spool->lock);
    return E_OK;
}

/* Whether every holding route that the block is for has acknowledged it. */
static bool is_done_locked(const struct spool *spool, enum lane lane,
                           const struct flash_block *block)
{
    unsigned holders = spool->lanes[lane].holders;
    unsigned not_for = block->header.not_for;
    uint64_t last = block->readable ? block->header.last_sequence : block->first;
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++)
        if ((holders & ~not_for & 1U << i) != 0 &&
            spool_route_low_locked(spool->routes[i], lane) < last)
            return false;
    return holders != 0;
}

/* What a block's leaving means to the routes: for those that it was owed to, eviction. */
static void leave_routes_locked(struct spool *spool, enum lane lane,
                                const struct flash_block *block)
{
    spool->lanes[lane].inexact = spool->lanes[lane].inexact || !block->readable;
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++) {
        struct spool_route *route = spool->routes[i];
        if ((spool->lanes[lane].routes & 1U << i) != 0)
            spool_route_evict_locked(route, lane, &block->header,
                                     block->readable ? block->value : NULL);
        else if (route != NULL)
            route->counted = false; /* it finds out when it is opened */
    }
}

/* Deletes the blocks at the lane's beginning that every holding route has acknowledged. */
static int delete_acknowledged(struct spool *spool, struct commit *commit, enum lane lane)
{
    struct flash_block block;
    while (commit->flash[lane].blocks > 0 && commit->deleted < DELETES_MAX) {
        int rc = first_block(commit, lane, &block);
        if (rc == E_NOT_FOUND)
            return E_OK;
        if (rc < 0)
            return rc;
        (void)pthread_mutex_lock(&spool->lock);
        bool done = is_done_locked(spool, lane, &block);
        if (done)
            leave_routes_locked(spool, lane, &block);
        (void)pthread_mutex_unlock(&spool->lock);
        if (!done)
            return E_OK;
        rc = delete_block(spool, commit, lane, &block);
        if (rc < 0)
            return rc;
    }
    return E_OK;
}

/* Evicts the lane's oldest block: E_BUSY if it is in flight, E_REFUSED if it grows in the head,
 * E_NOT_FOUND if there is none. Before a stop nothing is in flight any more. */
static int evict_oldest(struct spool *spool, struct commit *commit, enum lane lane)
{
    struct flash_block block;
    int rc = first_block(commit, lane, &block);
    if (rc < 0)
        return rc;
    (void)pthread_mutex_lock(&spool->lock);
    const struct head_block *head = spool->lanes[lane].head.first;
    if (head != NULL && head->header.first_sequence == block.first)
        rc = E_REFUSED;
    else if (!commit->clean && block.readable && is_pinned_locked(spool, lane, &block.header))
        rc = E_BUSY;
    else
        leave_routes_locked(spool, lane, &block);
    (void)pthread_mutex_unlock(&spool->lock);
    return rc < 0 ? rc : delete_block(spool, commit, lane, &block);
}

/* How many pages the lane has more than its share; the lanes without one divide the rest. */
static int64_t over_share(const struct spool *spool, const struct commit *commit, enum lane lane,
                          uint64_t limit_pages)
{
    unsigned given = 0;
    unsigned without = 0;
    for (enum lane other = 0; other < LANE_COUNT; other++) {
        given += spool->options.lanes[other].share_percent;
        without += spool->options.lanes[other].share_percent == 0;
    }
    unsigned share = spool->options.lanes[lane].share_percent;
    if (share == 0)
        share = given < 100 ? (100 - given) / without : 0;
    return (int64_t)commit->flash[lane].blocks - (int64_t)(limit_pages * share / 100);
}

/* The lane furthest over its share gives, by its own policy; ties go to the lowest. */
static enum lane choose_lane(struct spool *spool, const struct commit *commit,
                             const bool excluded[LANE_COUNT], uint64_t limit_pages)
{
    enum lane chosen = LANE_COUNT;
    int64_t most = INT64_MIN;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        int64_t over = over_share(spool, commit, lane, limit_pages);
        if (excluded[lane] || commit->flash[lane].blocks == 0 || over < most)
            continue;
        most = over;
        chosen = lane;
    }
    return chosen;
}

static void mark_full(struct spool *spool, enum lane lane)
{
    (void)pthread_mutex_lock(&spool->lock);
    spool->lanes[lane].full = true;
    (void)pthread_mutex_unlock(&spool->lock);
}

/* Pages freed by one commit can be used by the next but one: twice what the fullest commit needs
 * stays free, which matters in small files. */
static uint64_t limit_pages(const struct spool *spool, uint64_t total, unsigned percent)
{
    uint64_t limit = total * percent / 100;
    uint64_t kept_free = 2 * (spool->block_count + SLACK_PAGES);
    uint64_t most = total > kept_free ? total - kept_free : 0;
    return limit < most ? limit : most;
}

/* Pages that a commit may write, and how many may be used afterwards. */
struct demand {
    uint64_t all;
    uint64_t alarm; /* of that lane alone */
    uint64_t limit;
};

/* Eviction did not make room. Without free pages not even what is delivered could be deleted, so
 * what does not fit waits in RAM until nothing is in flight. */
static void defer(const struct spool *spool, struct commit *commit, const struct store_use *use,
                  const struct demand *demand)
{
    uint64_t total = spool->room_bytes / use->page_bytes;
    bool fits = use->used_pages + demand->all <= limit_pages(spool, total, BUSY_PERCENT);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        commit->deferred[lane] = !fits;
    commit->deferred[LANE_ALARM] =
        use->used_pages + demand->alarm > limit_pages(spool, total, ALARM_PERCENT);
}

static int evict_until(struct spool *spool, struct commit *commit, const struct demand *demand)
{
    bool excluded[LANE_COUNT] = {false};
    bool in_flight = false;
    struct store_use use;
    while (commit->deleted < DELETES_MAX) {
        int rc = store_get_use(commit->txn, &use);
        if (rc < 0 || use.used_pages + demand->all <= demand->limit)
            return rc;
        enum lane lane = choose_lane(spool, commit, excluded, demand->limit);
        if (lane == LANE_COUNT && in_flight)
            defer(spool, commit, &use, demand);
        if (lane == LANE_COUNT)
            return E_OK;
        rc = E_REFUSED;
        if (spool->options.lanes[lane].full == SPOOL_DROP_OLDEST)
            rc = evict_oldest(spool, commit, lane);
        else
            mark_full(spool, lane);
        in_flight = in_flight || rc == E_BUSY;
        if (rc == E_REFUSED || rc == E_BUSY || rc == E_NOT_FOUND)
            excluded[lane] = true;
        else if (rc < 0)
            return rc;
    }
    return E_OK;
}

bool spool_room_fits(const struct spool *spool, uint64_t total_pages)
{
    uint64_t limit = limit_pages(spool, total_pages, FULL_PERCENT);
    return spool->use.used_pages + spool->block_count + SLACK_PAGES <= limit;
}

bool spool_room_is_left_locked(const struct spool *spool, size_t blocks)
{
    uint64_t total = spool->room_bytes / spool->use.page_bytes;
    uint64_t head = spool->block_count - spool->free_count;
    uint64_t stored = 0;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        stored += spool->lanes[lane].flash.blocks;
    return stored == 0 || spool->use.used_pages + head + blocks + 2 * SLACK_PAGES <=
                              limit_pages(spool, total, FULL_PERCENT - spool->squeeze_percent);
}

bool spool_room_is_short_locked(const struct spool *spool, enum lane lane)
{
    uint64_t total = spool->room_bytes / spool->use.page_bytes;
    uint64_t kept = 0; /* what no eviction makes room for */
    uint64_t blocks = 0;
    for (enum lane other = 0; other < LANE_COUNT; other++) {
        const struct lane_state *state = &spool->lanes[other];
        blocks += state->flash.blocks;
        if (spool->options.lanes[other].full != SPOOL_DROP_OLDEST)
            kept += state->flash.blocks + state->head.blocks;
    }
    if (spool->use.used_pages > blocks)
        kept += spool->use.used_pages - blocks;
    unsigned percent = lane == LANE_ALARM ? ALARM_PERCENT : FULL_PERCENT;
    return kept + SLACK_PAGES >= limit_pages(spool, total, percent);
}

/* The pages that can be used at all. On most file systems those of the file, taken once for ever.
 */
static uint64_t measure(struct spool *spool, const struct store_use *use)
{
    uint64_t free_bytes;
    uint64_t total = use->total_pages;
    if (spool->elsewhere && fs_measure_free(spool->options.path, &free_bytes) == E_OK)
        total = room_pages(total, use->touched_pages, use->page_bytes, free_bytes);
    return total;
}

int spool_room_make(struct spool *spool, struct commit *commit)
{
    bool alarm_alone = true;
    struct demand demand = {.all = SLACK_PAGES, .alarm = SLACK_PAGES};
    struct store_use use;
    int rc = store_get_use(commit->txn, &use);
    if (rc < 0)
        return rc;
    uint64_t total = measure(spool, &use);
    (void)pthread_mutex_lock(&spool->lock);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        commit->flash[lane] = spool->lanes[lane].flash;
        spool->lanes[lane].full = false;
        demand.all += spool->lanes[lane].head.blocks;
        alarm_alone = alarm_alone && (lane == LANE_ALARM || spool->lanes[lane].pending == 0);
    }
    demand.alarm += spool->lanes[LANE_ALARM].head.blocks;
    unsigned percent = (alarm_alone ? ALARM_PERCENT : FULL_PERCENT) - spool->squeeze_percent;
    spool->room_bytes = total * use.page_bytes;
    (void)pthread_mutex_unlock(&spool->lock);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        rc = delete_acknowledged(spool, commit, lane);
        if (rc < 0)
            return rc;
    }
    demand.limit = limit_pages(spool, total, percent);
    return commit->first ? E_OK : evict_until(spool, commit, &demand);
}
