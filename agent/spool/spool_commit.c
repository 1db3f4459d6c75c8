/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <string.h>

#include "agent/spool/spool_state.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"

enum {
    FULL_PERCENT = 85,    /* deletes need free pages too, and freed ones wait two commits */
    ALARM_PERCENT = 95,   /* what is kept back for alarms */
    CROWDED_PERCENT = 80, /* followed files wait in their file from here on */
    SQUEEZE_STEP = 5,
    SQUEEZE_MAX = 40,
    SLACK_PAGES = 8,
    RETRY_MS = 1000,
    BOOT_BYTES = 40,
    COMMIT_PAGES = 4, /* leaf, root, free list, meta */
};

/** One commit from the moment when the counters are taken to its end. */
struct commit {
    struct store_txn *txn;
    bool all;   /* every lane, not only those that are due */
    bool clean; /* the last one before a stop */
    bool lanes[LANE_COUNT];
    uint64_t last[LANE_COUNT]; /* all records of the lane up to here are accepted by this commit */
    struct lane_flash flash[LANE_COUNT];
    struct head_block *deleted_tail[LANE_COUNT];
    size_t block_count;
    size_t deleted;
    uint64_t reserved;
    uint32_t sensor_count;
    size_t event_count;
    uint32_t first_event;
    struct spool_event events[EVENTS_WAITING_MAX];
    bool routes[SPOOL_ROUTES_MAX];
    bool sources[SOURCES_MAX];
    struct sample_origin origins[SOURCES_MAX];
    uint64_t acked_on_flash;
    uint8_t state[SPOOL_STATE_BYTES];
    size_t state_bytes;
    uint64_t pages;
};

/* ---- when ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When LANE has to be committed: its oldest pending record's window, the age for what is not
 * served before its commit, the wait of whoever waits. */
static int64_t lane_due_locked(struct spool *spool, enum lane lane, int64_t now_ms)
{
    struct lane_state *state = &spool->lanes[lane];
    const struct spool_lane_options *options = &spool->options.lanes[lane];
    int64_t due_ms;
    if (state->pending == 0)
        return INT64_MAX;
    if (state->due_ms <= now_ms) {
        int64_t oldest_ms = spool_head_oldest_pending_locked(spool, lane);
        state->due_ms = oldest_ms == INT64_MAX ? INT64_MAX : oldest_ms + options->window_ms;
    }
    due_ms = state->due_ms;
    if (state->hidden_first != 0)
        due_ms = earlier(due_ms, state->hidden_since_ms + options->age_ms);
    if (state->waited_for_ms != 0)
        due_ms = earlier(due_ms, state->waited_for_ms + spool->options.wait_ms);
    return due_ms;
}

static bool everything_is_due_locked(const struct spool *spool)
{
    return spool->commit_now || spool->free_count < spool->block_count / 4 ||
           spool->next_sequence >= spool->reserved;
}

static int64_t next_due_locked(struct spool *spool, int64_t now_ms)
{
    int64_t due_ms = spool->ack_due_ms;
    if (everything_is_due_locked(spool))
        due_ms = now_ms;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        due_ms = earlier(due_ms, lane_due_locked(spool, lane, now_ms));
    return due_ms > spool->retry_ms ? due_ms : spool->retry_ms;
}

void spool_commit_due_locked(struct spool *spool, int64_t due_ms)
{
    if (due_ms >= spool->sleeping_to_ms)
        return;
    spool->sleeping_to_ms = due_ms;
    stop_event_signal(spool->wake_fd);
}

/* ---- making room ---- */

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
    struct block_header header;
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
    return E_OK;
}

/* Deletes all fragments that begin at FIRST. */
static int delete_block(struct spool *spool, struct commit *commit, enum lane lane,
                        const struct flash_block *block)
{
    struct head_block *tail = spool->lanes[lane].head.first;
    struct lane_flash *flash = &commit->flash[lane];
    unsigned fragments = block->readable ? block->header.fragment_count : 1;
    for (unsigned i = 0; i < fragments; i++) {
        struct store_key key = store_key_block(lane, block->first, (uint16_t)i);
        int rc = store_delete(commit->txn, &key);
        if (rc < 0)
            return rc;
        flash->blocks -= flash->blocks > 0;
        commit->deleted++;
    }
    if (block->readable)
        flash->records -= block->header.record_count < flash->records ? block->header.record_count
                                                                      : flash->records;
    if (tail != NULL && tail->stored && tail->header.first_sequence == block->first)
        commit->deleted_tail[lane] = tail;
    return E_OK;
}

static uint64_t lowest_holder_locked(const struct spool *spool, enum lane lane)
{
    uint64_t lowest = UINT64_MAX;
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++) {
        if ((spool->lanes[lane].holders & 1U << i) == 0)
            continue;
        uint64_t low = spool_route_low_locked(spool->routes[i], lane);
        lowest = low < lowest ? low : lowest;
    }
    return lowest == UINT64_MAX ? 0 : lowest;
}

/* What a block's leaving means to the routes: for those that it was owed to, eviction. */
static void leave_routes_locked(struct spool *spool, enum lane lane,
                                const struct flash_block *block)
{
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX && block->readable; i++)
        if ((spool->lanes[lane].routes & 1U << i) != 0)
            spool_route_evict_locked(spool->routes[i], lane, &block->header, block->value);
}

/* Deletes the blocks at the lane's beginning that every holding route has acknowledged. */
static int delete_acknowledged(struct spool *spool, struct commit *commit, enum lane lane)
{
    struct flash_block block;
    (void)pthread_mutex_lock(&spool->lock);
    uint64_t low = lowest_holder_locked(spool, lane);
    (void)pthread_mutex_unlock(&spool->lock);
    while (low > 0 && commit->flash[lane].blocks > 0 && commit->deleted < DELETES_MAX) {
        int rc = first_block(commit, lane, &block);
        if (rc == E_NOT_FOUND)
            return E_OK;
        if (rc < 0)
            return rc;
        if (block.first > low || (block.readable && block.header.last_sequence > low))
            return E_OK;
        (void)pthread_mutex_lock(&spool->lock);
        leave_routes_locked(spool, lane, &block);
        (void)pthread_mutex_unlock(&spool->lock);
        rc = delete_block(spool, commit, lane, &block);
        if (rc < 0)
            return rc;
    }
    return E_OK;
}

/* Evicts the lane's oldest block: E_BUSY if it is in flight, E_NOT_FOUND if there is none. */
static int evict_oldest(struct spool *spool, struct commit *commit, enum lane lane)
{
    struct flash_block block;
    int rc = first_block(commit, lane, &block);
    if (rc < 0)
        return rc;
    (void)pthread_mutex_lock(&spool->lock);
    const struct head_block *head = spool->lanes[lane].head.first;
    bool busy = (head != NULL && head->header.first_sequence == block.first) ||
                (block.readable && is_pinned_locked(spool, lane, &block.header));
    if (!busy)
        leave_routes_locked(spool, lane, &block);
    (void)pthread_mutex_unlock(&spool->lock);
    return busy ? E_BUSY : delete_block(spool, commit, lane, &block);
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

static int evict_until(struct spool *spool, struct commit *commit, uint64_t need,
                       uint64_t limit_pages)
{
    bool excluded[LANE_COUNT] = {false};
    struct store_use use;
    while (commit->deleted < DELETES_MAX) {
        int rc = store_get_use(commit->txn, &use);
        if (rc < 0 || use.used_pages + need <= limit_pages)
            return rc;
        enum lane lane = choose_lane(spool, commit, excluded, limit_pages);
        if (lane == LANE_COUNT)
            return E_OK;
        rc = E_REFUSED;
        if (spool->options.lanes[lane].full == SPOOL_DROP_OLDEST)
            rc = evict_oldest(spool, commit, lane);
        else
            mark_full(spool, lane);
        if (rc == E_REFUSED || rc == E_BUSY || rc == E_NOT_FOUND)
            excluded[lane] = true;
        else if (rc < 0)
            return rc;
    }
    return E_OK;
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

static int make_room(struct spool *spool, struct commit *commit)
{
    bool alarm_alone = true;
    uint64_t need = SLACK_PAGES;
    (void)pthread_mutex_lock(&spool->lock);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        commit->flash[lane] = spool->lanes[lane].flash;
        spool->lanes[lane].full = false;
        need += spool->lanes[lane].head.blocks;
        alarm_alone = alarm_alone && (lane == LANE_ALARM || spool->lanes[lane].pending == 0);
    }
    unsigned percent = (alarm_alone ? ALARM_PERCENT : FULL_PERCENT) - spool->squeeze_percent;
    uint64_t total = spool->use.total_pages;
    (void)pthread_mutex_unlock(&spool->lock);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        int rc = delete_acknowledged(spool, commit, lane);
        if (rc < 0)
            return rc;
    }
    return evict_until(spool, commit, need, limit_pages(spool, total, percent));
}

/* ---- what: everything is taken at one moment ---- */

static uint64_t stored_records(const struct commit *commit, const struct head_block *block)
{
    bool gone = commit->deleted_tail[block->header.lane] == block;
    return block->stored && !gone ? block->committed_count : 0;
}

static void take_block_locked(struct spool *spool, struct commit *commit, struct head_block *block)
{
    struct lane_flash *flash = &commit->flash[block->header.lane];
    struct commit_block *entry = &spool->commit_blocks[commit->block_count++];
    entry->block = block;
    entry->header = block->header;
    block->writing = true;
    flash->records += block->header.record_count - stored_records(commit, block);
    flash->blocks += !block->stored || commit->deleted_tail[block->header.lane] == block;
}

static void take_lane_locked(struct spool *spool, struct commit *commit, enum lane lane)
{
    struct lane_state *state = &spool->lanes[lane];
    bool wanted = false; /* the fragments of a document share the fate of the first */
    for (struct head_block *block = state->head.first; block != NULL; block = block->next) {
        if (block->header.fragment == 0)
            wanted = block->accepted_count < block->header.record_count;
        if (wanted)
            take_block_locked(spool, commit, block);
        commit->last[lane] = block->header.last_sequence;
    }
    commit->lanes[lane] = true;
    state->later_first = state->later_records = state->later_bytes = 0;
}

/* The counters as they will be once this commit holds: its records accepted. */
static void project_locked(struct spool *spool, const struct commit *commit,
                           struct spool_counters counters[SPOOL_ROUTES_MAX][LANE_COUNT])
{
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++)
        if (spool->routes[i] != NULL)
            memcpy(counters[i], spool->routes[i]->counters, sizeof counters[i]);
    for (size_t b = 0; b < commit->block_count; b++) {
        const struct head_block *block = spool->commit_blocks[b].block;
        const struct lane_state *state = &spool->lanes[block->header.lane];
        for (uint16_t r = block->committed_count; r < block->header.record_count; r++) {
            bool accepted =
                state->holders != 0 && (block->done[r] & state->holders) == state->holders;
            for (unsigned i = 0; i < SPOOL_ROUTES_MAX && !accepted; i++) {
                struct spool_counters *projected = &counters[i][block->header.lane];
                if ((state->routes & 1U << i) == 0)
                    continue;
                projected->accepted++;
                projected->dead += block->dead[r] >> i & 1;
                projected->delivered += (block->done[r] & ~block->dead[r]) >> i & 1;
            }
        }
    }
}

static void take_routes_locked(struct spool *spool, struct commit *commit)
{
    struct spool_counters counters[SPOOL_ROUTES_MAX][LANE_COUNT];
    project_locked(spool, commit, counters);
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++) {
        struct spool_route *route = spool->routes[i];
        if (route == NULL)
            continue;
        for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
            uint64_t left_out = 0;
            uint64_t low = spool_route_low_locked(route, lane);
            route->cursor_byte_count[lane] =
                cursor_encode(&route->cursors[lane], low, route->cursor_bytes[lane], &left_out);
            /* What the stored cursor cannot say will be sent, and counted, again. */
            counters[i][lane].delivered -=
                left_out < counters[i][lane].delivered ? left_out : counters[i][lane].delivered;
        }
        (void)spool_table_put_route_locked(route, counters[i], route->table_bytes);
        commit->routes[i] = route->used;
        route->dirty = false;
    }
}

static void take_sources_locked(struct spool *spool, struct commit *commit)
{
    for (size_t i = 0; i < spool->source_count; i++) {
        commit->sources[i] = spool->sources[i].dirty && commit->lanes[spool->sources[i].lane];
        commit->origins[i] = spool->sources[i].read;
    }
}

static void take_events_locked(struct spool *spool, struct commit *commit)
{
    commit->first_event = spool->next_event;
    commit->event_count = spool->event_count;
    memcpy(commit->events, spool->events, sizeof commit->events);
    spool->next_event += (uint32_t)spool->event_count;
    spool->event_count = 0;
}

static uint64_t reservation_locked(const struct spool *spool, const struct commit *commit)
{
    if (commit->clean)
        return spool->next_sequence;
    if (spool->next_sequence + RESERVATION / 4 < spool->reserved)
        return spool->reserved;
    return spool->next_sequence + RESERVATION;
}

static void take_locked(struct spool *spool, struct commit *commit)
{
    int64_t now_ms = clock_boot_ms();
    bool all = commit->all || everything_is_due_locked(spool);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        if (spool->lanes[lane].pending > 0 &&
            (all || lane_due_locked(spool, lane, now_ms) <= now_ms))
            take_lane_locked(spool, commit, lane);
    take_routes_locked(spool, commit);
    take_sources_locked(spool, commit);
    take_events_locked(spool, commit);
    commit->sensor_count = spool->sensor_count;
    commit->reserved = reservation_locked(spool, commit);
    commit->acked_on_flash = spool->acked_on_flash;
    commit->state_bytes = spool_table_put_state_locked(spool, commit->flash, commit->reserved,
                                                       commit->clean, commit->state);
    spool->acked_on_flash = 0;
    spool->ack_due_ms = INT64_MAX;
    spool->commit_now = false;
}

/* ---- writing ---- */

static int put_blocks(struct spool *spool, struct commit *commit)
{
    uint8_t bytes[BLOCK_BYTES];
    for (size_t i = 0; i < commit->block_count; i++) {
        const struct commit_block *entry = &spool->commit_blocks[i];
        const struct block_header *header = &entry->header;
        struct store_key key =
            store_key_block((enum lane)header->lane, header->first_sequence, header->fragment);
        /* Records may come behind room_used meanwhile; what lies before it stays as it is. */
        memcpy(bytes + BLOCK_HEADER_BYTES, entry->block->bytes + BLOCK_HEADER_BYTES,
               header->room_used);
        block_seal(bytes, header);
        int rc = store_put(commit->txn, &key, bytes, block_bytes(header));
        if (rc < 0)
            return rc;
    }
    return E_OK;
}

static int put_sensors(struct spool *spool, struct commit *commit)
{
    for (uint32_t i = 0; i < commit->sensor_count; i++) {
        const struct sensor_entry *entry = &spool->sensors[i];
        struct store_key key = store_key_number(STORE_DICTIONARY, i + 1);
        if (entry->stored || entry->bytes == NULL)
            continue;
        int rc = store_put(commit->txn, &key, entry->bytes, entry->byte_count);
        if (rc < 0)
            return rc;
    }
    return E_OK;
}

static int put_routes(struct spool *spool, struct commit *commit)
{
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++) {
        const struct spool_route *route = spool->routes[i];
        if (!commit->routes[i])
            continue;
        struct store_key key = store_key_pair(STORE_ROUTES, (uint8_t)i, 0);
        int rc = store_put(commit->txn, &key, route->table_bytes, sizeof route->table_bytes);
        for (enum lane lane = 0; rc == E_OK && lane < LANE_COUNT; lane++) {
            key = store_key_pair(STORE_CURSORS, (uint8_t)i, (uint8_t)lane);
            if (route->lanes[lane])
                rc = store_put(commit->txn, &key, route->cursor_bytes[lane],
                               route->cursor_byte_count[lane]);
        }
        if (rc < 0)
            return rc;
    }
    return E_OK;
}

static int put_sources(struct spool *spool, struct commit *commit)
{
    for (size_t i = 0; i < SOURCES_MAX; i++) {
        uint8_t bytes[24];
        if (!commit->sources[i])
            continue;
        struct store_key key = store_key_name(STORE_ORIGINS, spool->sources[i].name);
        bytes_put_le64(bytes, commit->origins[i].device);
        bytes_put_le64(bytes + 8, commit->origins[i].inode);
        bytes_put_le64(bytes + 16, commit->origins[i].offset);
        int rc = store_put(commit->txn, &key, bytes, sizeof bytes);
        if (rc < 0)
            return rc;
    }
    return E_OK;
}

static int put_events(struct commit *commit)
{
    for (uint32_t i = 0; i < commit->event_count; i++) {
        const struct spool_event *event = &commit->events[i];
        uint32_t number = commit->first_event + i;
        uint8_t bytes[8 + EVENT_BYTES];
        size_t length = strlen(event->text);
        struct store_key key = store_key_number(STORE_EVENTS, number);
        bytes_put_le64(bytes, (uint64_t)event->wall_ms);
        memcpy(bytes + 8, event->text, length);
        int rc = store_put(commit->txn, &key, bytes, 8 + length);
        key = store_key_number(STORE_EVENTS, number - EVENTS_STORED_MAX);
        if (rc == E_OK && number >= EVENTS_STORED_MAX)
            rc = store_delete(commit->txn, &key);
        if (rc < 0)
            return rc;
    }
    return E_OK;
}

static int put_state(struct commit *commit)
{
    struct store_key key = store_key_pair(STORE_STATE, 0, 0);
    return store_put(commit->txn, &key, commit->state, commit->state_bytes);
}

static int write_all(struct spool *spool, struct commit *commit)
{
    int rc = put_blocks(spool, commit);
    if (rc == E_OK)
        rc = put_sensors(spool, commit);
    if (rc == E_OK)
        rc = put_routes(spool, commit);
    if (rc == E_OK)
        rc = put_sources(spool, commit);
    if (rc == E_OK)
        rc = put_events(commit);
    return rc == E_OK ? put_state(commit) : rc;
}

/* ---- afterwards ---- */

static void accept_block_locked(struct spool *spool, const struct commit_block *entry)
{
    struct head_block *block = entry->block;
    uint8_t holders = spool->lanes[block->header.lane].holders;
    block->writing = false;
    block->stored = true;
    for (uint16_t i = block->committed_count; i < entry->header.record_count; i++)
        if (holders == 0 || (block->done[i] & holders) != holders)
            spool_head_accept_locked(spool, block, i);
    block->committed_count = entry->header.record_count;
}

/* What was hidden until its commit is served from now on. */
static void unhide_locked(struct spool *spool, enum lane lane)
{
    struct lane_state *state = &spool->lanes[lane];
    if (state->hidden_first == 0)
        return;
    spool_route_waits_locked(spool, lane, state->hidden_records - state->later_records,
                             state->hidden_bytes - state->later_bytes);
    state->hidden_first = state->later_first;
    state->hidden_records = state->later_records;
    state->hidden_bytes = state->later_bytes;
    state->hidden_since_ms = clock_boot_ms();
}

static void finish_lane_locked(struct spool *spool, const struct commit *commit, enum lane lane)
{
    struct lane_state *state = &spool->lanes[lane];
    if (commit->deleted_tail[lane] != NULL && !commit->lanes[lane])
        commit->deleted_tail[lane]->stored = false;
    state->flash = commit->flash[lane];
    if (!commit->lanes[lane])
        return;
    state->due_ms = 0; /* look again */
    unhide_locked(spool, lane);
    spool_tickets_up_to_locked(spool, lane, commit->last[lane]);
    spool_head_settle_lane_locked(spool, lane);
}

static void succeed_locked(struct spool *spool, const struct commit *commit)
{
    for (uint32_t i = 0; i < commit->sensor_count; i++)
        spool->sensors[i].stored = true;
    for (size_t i = 0; i < SOURCES_MAX; i++) {
        struct source *source = &spool->sources[i];
        if (!commit->sources[i])
            continue;
        source->committed = commit->origins[i];
        source->dirty = source->read.offset != commit->origins[i].offset ||
                        source->read.inode != commit->origins[i].inode;
    }
    for (size_t i = 0; i < commit->block_count; i++)
        accept_block_locked(spool, &spool->commit_blocks[i]);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        finish_lane_locked(spool, commit, lane);
    spool->reserved = commit->reserved;
    spool->commits++;
    spool->flash_bytes += (commit->pages + commit->block_count) * spool->use.page_bytes;
    spool->crowded = spool->use.used_pages * 100 > spool->use.total_pages * CROWDED_PERCENT;
    spool->commit_error = E_OK;
    spool->retry_ms = 0;
    spool->squeeze_percent -= spool->squeeze_percent > 0;
    (void)pthread_cond_broadcast(&spool->room);
}

static void fail_locked(struct spool *spool, const struct commit *commit, int rc)
{
    for (size_t i = 0; i < commit->block_count; i++)
        spool->commit_blocks[i].block->writing = false;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        if (commit->lanes[lane])
            spool_head_settle_lane_locked(spool, lane);
    spool->acked_on_flash += commit->acked_on_flash;
    spool->commit_error = rc;
    spool->retry_ms = clock_boot_ms() + RETRY_MS;
    spool->commit_now = true;
    if (rc == E_FULL && spool->squeeze_percent < SQUEEZE_MAX)
        spool->squeeze_percent += SQUEEZE_STEP;
}

static void log_failure(struct spool *spool, int rc)
{
    unsigned long silenced;
    if (log_limit_passes(&spool->commit_log, clock_mono_ms(), &silenced))
        log_error("spool-commit-failed path=%s error=\"%s\" records=kept-in-ram repeated=%lu",
                  spool->path, ERROR_TEXT(rc), silenced);
}

static uint64_t count_pages(const struct commit *commit)
{
    unsigned lanes = 0;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        lanes += commit->lanes[lane];
    return COMMIT_PAGES + (lanes > 1 ? 2 * (lanes - 1) : 0) + (commit->deleted > 0 ? 2 : 0);
}

static int commit_in(struct spool *spool, struct commit *commit)
{
    struct store_use use;
    int rc = make_room(spool, commit);
    (void)pthread_mutex_lock(&spool->lock);
    if (rc == E_OK)
        take_locked(spool, commit);
    (void)pthread_mutex_unlock(&spool->lock);
    if (rc == E_OK)
        rc = write_all(spool, commit);
    if (rc == E_OK)
        rc = store_get_use(commit->txn, &use);
    if (rc < 0) {
        store_abort(commit->txn);
        return rc;
    }
    rc = store_commit(commit->txn);
    if (rc == E_OK) {
        (void)pthread_mutex_lock(&spool->lock);
        spool->use = use;
        (void)pthread_mutex_unlock(&spool->lock);
    }
    return rc;
}

static int commit_once(struct spool *spool, bool all, bool clean)
{
    struct commit commit = {.all = all, .clean = clean};
    int rc = store_begin_write(spool->store, &commit.txn);
    if (rc == E_OK)
        rc = commit_in(spool, &commit);
    commit.pages = count_pages(&commit);
    (void)pthread_mutex_lock(&spool->lock);
    if (rc == E_OK)
        succeed_locked(spool, &commit);
    else
        fail_locked(spool, &commit, rc);
    (void)pthread_mutex_unlock(&spool->lock);
    if (rc == E_OK)
        return E_OK;
    log_failure(spool, rc);
    /* A failed fsync or meta write is never repeated as if it could have worked: the pages in
     * memory are given up and read again from what is really on flash. */
    if (rc != E_FULL)
        (void)store_reopen(spool->store);
    return rc;
}

/* ---- the thread ---- */

static int create(struct spool *spool, const struct stop *stop)
{
    struct lane_flash flash[LANE_COUNT] = {{0}};
    uint8_t state[SPOOL_STATE_BYTES];
    struct store *store;
    struct store_txn *txn;
    (void)pthread_mutex_lock(&spool->lock);
    size_t bytes = spool_table_put_state_locked(spool, flash, spool->reserved, false, state);
    (void)pthread_mutex_unlock(&spool->lock);
    int rc = store_create(spool->path, spool->size_bytes, state, bytes, stop);
    if (rc == E_OK)
        rc = store_open(spool->path, spool->size_bytes, &store);
    if (rc < 0)
        return rc;
    rc = store_begin_read(store, &txn);
    if (rc < 0) {
        store_close(store);
        return rc;
    }
    (void)pthread_mutex_lock(&spool->lock);
    rc = store_get_use(txn, &spool->use);
    spool->store = store;
    spool->commit_error = E_OK;
    atomic_store(&spool->store_ready, true);
    (void)pthread_mutex_unlock(&spool->lock);
    store_abort(txn);
    log_info("spool-created path=%s bytes=%llu", spool->path,
             (unsigned long long)spool->size_bytes);
    return rc;
}

static void wait_until(struct spool *spool, int64_t due_ms, int64_t now_ms)
{
    int64_t deadline_ms = due_ms == INT64_MAX ? INT64_MAX : clock_mono_ms() + (due_ms - now_ms);
    (void)stop_wait(&spool->stop, spool->wake_fd, POLLIN, deadline_ms);
    stop_event_drain(spool->wake_fd);
}

static void create_or_wait(struct spool *spool)
{
    int rc = create(spool, &spool->stop);
    if (rc == E_OK || rc == E_STOP)
        return;
    (void)pthread_mutex_lock(&spool->lock);
    spool->commit_error = rc;
    (void)pthread_mutex_unlock(&spool->lock);
    log_failure(spool, rc);
    (void)stop_wait(&spool->stop, -1, 0, clock_mono_ms() + RETRY_MS);
}

void spool_commit_run(void *context)
{
    struct spool *spool = context;
    while (!stop_requested(&spool->stop)) {
        if (!atomic_load(&spool->store_ready)) {
            create_or_wait(spool);
            continue;
        }
        int64_t now_ms = clock_boot_ms();
        (void)pthread_mutex_lock(&spool->lock);
        int64_t due_ms = next_due_locked(spool, now_ms);
        spool->sleeping_to_ms = due_ms > now_ms ? due_ms : INT64_MIN;
        (void)pthread_mutex_unlock(&spool->lock);
        if (due_ms > now_ms)
            wait_until(spool, due_ms, now_ms);
        else
            (void)commit_once(spool, false, false);
    }
}

/* ---- the first and the last ---- */

static int put_boot(struct spool *spool, struct store_txn *txn)
{
    struct spool_clock_reading now;
    uint8_t bytes[BOOT_BYTES] = {0};
    struct store_key key = store_key_number(STORE_BOOTS, spool->next_boot);
    spool->options.clock(spool->options.clock_context, &now);
    memcpy(bytes, spool->boot_id, BLOCK_BOOT_ID_BYTES);
    bytes[16] = (uint8_t)now.quality;
    bytes_put_le64(bytes + 24, (uint64_t)now.boot_ms);
    bytes_put_le64(bytes + 32, (uint64_t)now.offset_ms);
    int rc = store_put(txn, &key, bytes, sizeof bytes);
    if (rc < 0 || spool->next_boot < BOOTS_STORED_MAX)
        return rc;
    key = store_key_number(STORE_BOOTS, spool->next_boot - BOOTS_STORED_MAX);
    return store_delete(txn, &key);
}

int spool_commit_first(struct spool *spool)
{
    struct store_txn *txn;
    int rc = store_begin_write(spool->store, &txn);
    if (rc < 0)
        return rc;
    rc = put_boot(spool, txn);
    if (rc < 0) {
        store_abort(txn);
        return rc;
    }
    spool->next_boot++;
    rc = store_commit(txn);
    return rc < 0 ? rc : commit_once(spool, true, false);
}

int spool_commit_last(struct spool *spool)
{
    int rc = atomic_load(&spool->store_ready) ? E_OK : create(spool, NULL);
    return rc < 0 ? rc : commit_once(spool, true, true);
}
