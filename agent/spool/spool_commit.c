/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <string.h>

#include "agent/spool/spool_state.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"

enum {
    CROWDED_PERCENT = 80, /* followed files wait in their file from here on */
    SQUEEZE_STEP = 5,
    SQUEEZE_MAX = 40,
    RETRY_MS = 1000,
    DAY_MS = 24 * 60 * 60 * 1000,
    COMMIT_PAGES = 4, /* leaf, root, free list, meta */
    LAST_ATTEMPTS = 4,
    EVENT_WAIT_MS = 60 * 1000,
    EVENT_APART_MS = 10 * 60 * 1000,
    EVENT_SHARE_BYTES = 4096, /* of the file for each event that is kept: a sixteenth in all */
    RECYCLING = 2,            /* pages freed by one commit can be used by the next but one */
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
    return spool->commit_now || spool->free_count < spool->block_count / 4;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* A warning that no commit takes along has one of its own, unless the route's acknowledgements show
 * that all is well enough, and not more often than flash bears for years. */
static int64_t events_due_locked(const struct spool *spool)
{
    int64_t urgent_ms =
        spool->options.events == NULL ? INT64_MAX : events_urgent_ms(spool->options.events);
    if (urgent_ms == INT64_MAX)
        return INT64_MAX;
    int64_t due_ms = urgent_ms + EVENT_WAIT_MS;
    due_ms = later(due_ms, spool->acked_ms != 0 ? spool->acked_ms + EVENT_APART_MS : 0);
    return later(due_ms, spool->events_ms != 0 ? spool->events_ms + EVENT_APART_MS : 0);
}

static int64_t next_due_locked(struct spool *spool, int64_t now_ms)
{
    int64_t due_ms = earlier(spool->ack_due_ms, events_due_locked(spool));
    /* Sequence numbers are reserved alone: what is in RAM need not go along. */
    if (everything_is_due_locked(spool) || spool->next_sequence >= spool->reserved)
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

void spool_commit_now_locked(struct spool *spool)
{
    spool->commit_now = true;
    spool_commit_due_locked(spool, 0);
}

void spool_commit_deferred_locked(struct spool *spool)
{
    if (!spool->deferred)
        return;
    spool->deferred = false;
    spool->retry_ms = 0;
    spool_commit_now_locked(spool);
}

void spool_commit_ack_due_locked(struct spool *spool, uint64_t count)
{
    spool->acked_on_flash += count;
    if (spool->ack_due_ms == INT64_MAX)
        spool->ack_due_ms = clock_boot_ms() + spool->options.ack_window_ms;
    if (spool->acked_on_flash >= spool->options.ack_window_records)
        spool->ack_due_ms = 0;
    spool_commit_due_locked(spool, spool->ack_due_ms);
}

/* ---- what: everything is taken at one moment ---- */

static void take_block_locked(struct spool *spool, struct commit *commit, struct head_block *block)
{
    struct lane_flash *flash = &commit->flash[block->header.lane];
    struct commit_block *entry = &spool->commit_blocks[commit->block_count++];
    bool replaces = block->stored && commit->deleted_tail[block->header.lane] != block;
    entry->block = block;
    entry->header = block->header;
    block->writing = true;
    flash->blocks += !replaces;
    flash->records += block->header.record_count - (replaces ? block->stored_count : 0U);
    flash->bytes += block_bytes(&block->header) - (replaces ? block->stored_bytes : 0U);
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
                if ((state->routes & ~block->header.not_for & 1U << i) == 0)
                    continue;
                projected->accepted++;
                projected->dead += block->dead[r] >> i & 1;
                projected->delivered += (block->done[r] & ~block->dead[r]) >> i & 1;
            }
        }
    }
}

/* The day since 1970, or 0 where the clock is not to be believed. */
static uint16_t today_locked(const struct spool *spool)
{
    struct spool_clock_reading now;
    spool->options.clock(spool->options.clock_context, &now);
    if (now.quality != TIME_SYNCED)
        return 0;
    return (uint16_t)((now.boot_ms + now.offset_ms) / DAY_MS);
}

/* When the clock becomes known, what was written until then stays in the sum: it is less than that
 * of a day. */
void spool_commit_turn_day_locked(struct spool *spool, const struct spool_clock_reading *now)
{
    bool known = now->quality != TIME_ESTIMATED;
    int64_t day = (now->boot_ms + (known ? now->offset_ms : 0)) / DAY_MS;
    if (known == spool->flash_day_known && day > spool->flash_day)
        spool->flash_today_bytes = 0;
    spool->flash_day = day;
    spool->flash_day_known = known;
}

static void count_flash_locked(struct spool *spool, const struct commit *commit)
{
    struct spool_clock_reading now;
    uint64_t bytes = (commit->pages + commit->block_count) * spool->use.page_bytes;
    spool->options.clock(spool->options.clock_context, &now);
    spool_commit_turn_day_locked(spool, &now);
    spool->flash_bytes += bytes;
    spool->flash_today_bytes += bytes;
}

/* A route that is not configured any more is forgotten after a week. */
static void look_at_day(struct spool_route *route, uint16_t today)
{
    if (today != 0 && (route->open || route->last_day == 0))
        route->last_day = today;
    route->gone = !route->open && today > route->last_day + ROUTE_DAYS;
}

static void take_routes_locked(struct spool *spool, struct commit *commit)
{
    uint16_t today = today_locked(spool);
    struct spool_counters counters[SPOOL_ROUTES_MAX][LANE_COUNT];
    project_locked(spool, commit, counters);
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++) {
        struct spool_route *route = spool->routes[i];
        if (route == NULL)
            continue;
        bool whole = true;
        look_at_day(route, today);
        for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
            bool lane_whole;
            uint64_t low = spool_route_low_locked(route, lane);
            uint8_t *bytes = route->cursor_bytes[lane];
            bytes_put_le32(bytes, route->birth);
            route->cursor_byte_count[lane] =
                CURSOR_BIRTH_BYTES +
                cursor_encode(&route->cursors[lane], low, bytes + CURSOR_BIRTH_BYTES, &lane_whole);
            whole = whole && lane_whole;
        }
        (void)spool_table_put_route_locked(route, counters[i], whole, route->table_bytes);
        spool_gap_take_locked(route);
        commit->routes[i] = route->used && !commit->first;
    }
}

static void take_sources_locked(struct spool *spool, struct commit *commit)
{
    for (size_t i = 0; i < spool->source_count; i++) {
        bool accepted = true;
        for (enum lane lane = 0; lane < LANE_COUNT; lane++)
            accepted = accepted && (!spool->sources[i].lanes[lane] || commit->lanes[lane] ||
                                    spool->lanes[lane].pending == 0);
        commit->sources[i] = spool->sources[i].dirty && accepted;
        commit->origins[i] = spool->sources[i].read;
    }
}

/* They have no room of their own in the commit: what waits stays until they are stored. */
static void take_events_locked(struct spool *spool, struct commit *commit)
{
    if (spool->options.events == NULL)
        return;
    events_range(spool->options.events, &commit->first_event, &commit->end_event);
    spool->next_event = commit->end_event;
    commit->event_boot = spool_time_boot_locked(spool);
    spool->options.clock(spool->options.clock_context, &commit->event_clock);
}

static uint64_t reservation_locked(const struct spool *spool, const struct commit *commit)
{
    if (commit->clean)
        return spool->next_sequence;
    if (spool->next_sequence + spool->reserve_more + RESERVATION / 4 < spool->reserved)
        return spool->reserved;
    return spool->next_sequence + spool->reserve_more + RESERVATION;
}

/* A followed file whose records went to two lanes has one offset: where one lane is stored without
 * the other, lines would be lost or come twice under different numbers. */
static void join_lanes_locked(const struct spool *spool, bool due[LANE_COUNT])
{
    for (size_t i = 0; i < spool->source_count; i++) {
        const struct source *source = &spool->sources[i];
        bool any = false;
        for (enum lane lane = 0; lane < LANE_COUNT; lane++)
            any = any || (source->dirty && source->lanes[lane] && due[lane]);
        for (enum lane lane = 0; lane < LANE_COUNT; lane++)
            due[lane] = due[lane] || (any && source->lanes[lane]);
    }
}

static void take_locked(struct spool *spool, struct commit *commit)
{
    int64_t now_ms = clock_boot_ms();
    bool all = commit->all || everything_is_due_locked(spool);
    bool due[LANE_COUNT];
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        due[lane] = all || (spool->lanes[lane].pending > 0 &&
                            lane_due_locked(spool, lane, now_ms) <= now_ms);
    join_lanes_locked(spool, due);
    for (enum lane lane = 0; lane < LANE_COUNT && spool->recycling == 0; lane++)
        if (due[lane] && spool->lanes[lane].pending > 0 && !commit->deferred[lane])
            take_lane_locked(spool, commit, lane);
    take_routes_locked(spool, commit);
    take_sources_locked(spool, commit);
    take_events_locked(spool, commit);
    spool_time_take_locked(spool, commit);
    commit->sensor_count = spool->sensor_count;
    commit->reserved = reservation_locked(spool, commit);
    commit->acked_on_flash = spool->acked_on_flash;
    commit->state_bytes = spool_table_put_state_locked(spool, commit->flash, commit->reserved,
                                                       commit->clean, commit->state);
    spool->acked_on_flash = 0;
    spool->ack_due_ms = INT64_MAX;
    spool->commit_now = spool->recycling > 0;
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
        int rc = spool_table_put(commit->txn, &key, entry->bytes, entry->byte_count);
        if (rc < 0)
            return rc;
    }
    return E_OK;
}

static int delete_route(struct store_txn *txn, const struct spool_route *route)
{
    struct store_key key = store_key_pair(STORE_ROUTES, (uint8_t)route->index, 0);
    int rc = store_delete(txn, &key);
    for (enum lane lane = 0; rc == E_OK && lane < LANE_COUNT; lane++) {
        key = store_key_pair(STORE_CURSORS, (uint8_t)route->index, (uint8_t)lane);
        rc = store_delete(txn, &key);
    }
    return rc == E_OK ? spool_gap_delete(txn, route) : rc;
}

static int put_routes(struct spool *spool, struct commit *commit)
{
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++) {
        const struct spool_route *route = spool->routes[i];
        if (!commit->routes[i])
            continue;
        if (route->gone) {
            int rc = delete_route(commit->txn, route);
            if (rc < 0)
                return rc;
            continue;
        }
        struct store_key key = store_key_pair(STORE_ROUTES, (uint8_t)i, 0);
        int rc = spool_table_put(commit->txn, &key, route->table_bytes, sizeof route->table_bytes);
        for (enum lane lane = 0; rc == E_OK && lane < LANE_COUNT; lane++) {
            key = store_key_pair(STORE_CURSORS, (uint8_t)i, (uint8_t)lane);
            if (route->lanes[lane])
                rc = spool_table_put(commit->txn, &key, route->cursor_bytes[lane],
                                     route->cursor_byte_count[lane]);
        }
        if (rc == E_OK)
            rc = spool_gap_put(commit->txn, route);
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
        int rc = spool_table_put(commit->txn, &key, bytes, sizeof bytes);
        if (rc < 0)
            return rc;
    }
    return E_OK;
}

static size_t encode_event(const struct commit *commit, const struct events_entry *event,
                           uint8_t bytes[EVENT_BYTES])
{
    size_t length = strlen(event->text) + 1;
    uint8_t *at = bytes + 8;
    bytes_put_le64(bytes, (uint64_t)(event->boot_ms + commit->event_clock.offset_ms));
    memcpy(at, event->text, length);
    at += length;
    *at++ = (uint8_t)((unsigned)event->level | (unsigned)commit->event_clock.quality << 4);
    bytes_put_le32(at, commit->event_boot);
    bytes_put_le64(at + 4, (uint64_t)event->boot_ms);
    return (size_t)(at + 12 - bytes);
}

/* As many as the file has room for beside records: a small one keeps fewer. */
static uint32_t events_most(const struct spool *spool)
{
    uint64_t most = spool->size_bytes / EVENT_SHARE_BYTES;
    return most < EVENTS_STORED_MAX ? (uint32_t)most : EVENTS_STORED_MAX;
}

static int drop_events(struct spool *spool, struct commit *commit)
{
    for (;;) {
        struct store_key key = store_key_number(STORE_EVENTS, 0);
        const uint8_t *value;
        size_t bytes;
        int rc = store_at_or_after(commit->txn, &key, &key, &value, &bytes);
        if (rc < 0 || key.bytes[0] != STORE_EVENTS)
            return rc == E_NOT_FOUND ? E_OK : rc;
        uint32_t number = (uint32_t)bytes_get_be64(key.bytes + 1);
        if (key.count == 9 && number + events_most(spool) >= commit->end_event)
            return E_OK;
        rc = store_delete(commit->txn, &key);
        if (rc < 0)
            return rc;
    }
}

static int put_events(struct spool *spool, struct commit *commit)
{
    struct events_entry event;
    for (uint32_t number = commit->first_event; number != commit->end_event; number++) {
        uint8_t bytes[EVENT_BYTES];
        struct store_key key = store_key_number(STORE_EVENTS, number);
        if (!events_get(spool->options.events, number, &event))
            continue; /* so many came meanwhile that it is gone */
        int rc = spool_table_put(commit->txn, &key, bytes, encode_event(commit, &event, bytes));
        if (rc < 0)
            return rc;
    }
    return commit->first_event != commit->end_event ? drop_events(spool, commit) : E_OK;
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
        rc = put_events(spool, commit);
    if (rc == E_OK)
        rc = spool_time_put(spool, commit);
    return rc == E_OK ? put_state(commit) : rc;
}

/* ---- afterwards ---- */

static void forget_stored(struct head_block *block)
{
    block->writing = block->stored = false;
    block->stored_count = 0;
}

static void accept_block_locked(struct spool *spool, const struct commit_block *entry)
{
    struct head_block *block = entry->block;
    uint8_t holders = spool->lanes[block->header.lane].holders;
    block->writing = false;
    block->stored = true;
    for (uint16_t i = block->committed_count; i < entry->header.record_count; i++)
        if (holders == 0 || (block->done[i] & holders) != holders)
            spool_head_accept_locked(spool, block, i);
    block->committed_count = block->stored_count = entry->header.record_count;
    block->stored_bytes = (uint16_t)block_bytes(&entry->header);
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
    state->flash = commit->flash[lane];
    if (state->inexact && state->flash.blocks == 0)
        spool_route_settle_lane_locked(spool, lane);
    if (!commit->lanes[lane])
        return;
    state->due_ms = 0; /* look again */
    unhide_locked(spool, lane);
    spool_tickets_up_to_locked(spool, lane, commit->last[lane]);
    spool_head_settle_lane_locked(spool, lane);
}

static void settle_events_locked(struct spool *spool, const struct commit *commit)
{
    if (commit->first_event == commit->end_event)
        return;
    events_stored(spool->options.events, commit->end_event);
    spool->events_ms = clock_boot_ms();
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
        if (!source->dirty)
            memset(source->lanes, 0, sizeof source->lanes);
    }
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        if (commit->deleted_tail[lane] != NULL)
            forget_stored(commit->deleted_tail[lane]);
    for (size_t i = 0; i < commit->block_count; i++)
        accept_block_locked(spool, &spool->commit_blocks[i]);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        finish_lane_locked(spool, commit, lane);
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++)
        if (commit->routes[i] && spool->routes[i]->gone)
            spool_route_forget_locked(spool, i);
        else if (commit->routes[i])
            spool_gap_settle_locked(spool->routes[i]);
    spool_time_settle_locked(spool, commit);
    settle_events_locked(spool, commit);
    spool->reserved = commit->reserved;
    spool->commits++;
    count_flash_locked(spool, commit);
    spool->crowded = spool->use.used_pages * 100 > spool->use.total_pages * CROWDED_PERCENT;
    spool->commit_error = E_OK;
    spool->deferred = commit->deferred[LANE_NORMAL] || commit->deferred[LANE_ALARM];
    spool->retry_ms = spool->deferred ? clock_boot_ms() + RETRY_MS : 0;
    spool->squeeze_percent -= spool->squeeze_percent > 0 && spool->recycling == 0;
    spool->recycling -= spool->recycling > 0;
    (void)pthread_cond_broadcast(&spool->room);
}

static void let_go_locked(struct spool *spool, const struct commit *commit)
{
    for (size_t i = 0; i < commit->block_count; i++)
        spool->commit_blocks[i].block->writing = false;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        if (commit->deleted_tail[lane] != NULL)
            commit->deleted_tail[lane]->writing = false;
}

static void fail_locked(struct spool *spool, const struct commit *commit, int rc)
{
    if (rc == E_FULL) /* else look_again has let go of everything */
        let_go_locked(spool, commit);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        spool_head_settle_lane_locked(spool, lane);
    spool->acked_on_flash += commit->acked_on_flash;
    spool->commit_error = rc;
    spool->retry_ms = clock_boot_ms() + RETRY_MS;
    spool->deferred = false;
    spool->commit_now = true;
    if (rc != E_FULL)
        return;
    /* LMDB found no page: what earlier commits freed is made usable first, then more is evicted. */
    spool->recycling = RECYCLING;
    if (spool->squeeze_percent < SQUEEZE_MAX)
        spool->squeeze_percent += SQUEEZE_STEP;
}

/* ---- after a commit of which nobody knows whether it is on flash ---- */

/* All blocks of the head, held in place while their entries on flash are looked up. */
static size_t take_head_locked(struct spool *spool)
{
    size_t count = 0;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        for (struct head_block *b = spool->lanes[lane].head.first; b != NULL; b = b->next) {
            spool->commit_blocks[count++] = (struct commit_block){.block = b, .header = b->header};
            b->writing = true;
        }
    return count;
}

/* What flash has of a block; a fragment_count of 0: nothing. */
static int look_up_block(struct store_txn *txn, struct block_header *header)
{
    struct store_key key =
        store_key_block((enum lane)header->lane, header->first_sequence, header->fragment);
    const uint8_t *value;
    size_t bytes;
    uint64_t first = header->first_sequence;
    int rc = store_get(txn, &key, &value, &bytes);
    if (rc == E_OK)
        rc = block_open(value, bytes, header);
    if (rc == E_OK)
        block_place(header, first);
    if (rc != E_NOT_FOUND)
        return rc == E_CHECKSUM ? E_DAMAGED : rc;
    header->fragment_count = header->record_count = 0;
    return E_OK;
}

void spool_commit_take_all_locked(struct spool *spool, struct commit *commit)
{
    commit->block_count = take_head_locked(spool);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        commit->flash[lane] = spool->lanes[lane].flash;
    take_routes_locked(spool, commit);
    commit->state_bytes =
        spool_table_put_state_locked(spool, commit->flash, spool->reserved, false, commit->state);
}

static int look_up_all(struct spool *spool, size_t count, struct lane_flash flash[LANE_COUNT])
{
    struct store_txn *txn;
    int rc = store_begin_read(spool->store, &txn);
    if (rc < 0)
        return rc;
    rc = spool_table_read_flash(txn, flash);
    for (size_t i = 0; rc == E_OK && i < count; i++)
        rc = look_up_block(txn, &spool->commit_blocks[i].header);
    store_abort(txn);
    return rc;
}

/*
 * A failed fsync or meta write is never repeated as if it could have worked: the pages in memory
 * are given up and read again from what is really on flash. That may have the failed commit or not.
 * What is found there is not yet called durable: that is for the next commit to say.
 */
static int look_again(struct spool *spool)
{
    struct lane_flash flash[LANE_COUNT];
    int rc = store_reopen(spool->store);
    (void)pthread_mutex_lock(&spool->lock);
    size_t count = take_head_locked(spool);
    (void)pthread_mutex_unlock(&spool->lock);
    if (rc == E_OK)
        rc = look_up_all(spool, count, flash);
    (void)pthread_mutex_lock(&spool->lock);
    for (size_t i = 0; i < count; i++) {
        const struct commit_block *entry = &spool->commit_blocks[i];
        entry->block->writing = false;
        if (rc < 0)
            continue;
        entry->block->stored = entry->header.fragment_count > 0;
        entry->block->stored_count = entry->header.record_count;
        entry->block->stored_bytes = (uint16_t)block_bytes(&entry->header);
    }
    for (enum lane lane = 0; rc == E_OK && lane < LANE_COUNT; lane++)
        spool->lanes[lane].flash = flash[lane];
    spool->unsure = rc < 0;
    (void)pthread_mutex_unlock(&spool->lock);
    return rc;
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
    return COMMIT_PAGES + (lanes > 1 ? 2 * (lanes - 1) : 0) + (commit->deleted > 0 ? 2 : 0) +
           (commit->first_event != commit->end_event ? 2 : 0);
}

static int commit_in(struct spool *spool, struct commit *commit)
{
    struct store_use use;
    int rc = spool_room_make(spool, commit);
    if (rc == E_OK)
        rc = spool_dead_put(spool, commit);
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

static int attempt(struct spool *spool, struct commit *commit)
{
    int rc = store_begin_write(spool->store, &commit->txn);
    if (rc == E_OK)
        rc = commit_in(spool, commit);
    if (rc < 0 && rc != E_FULL)
        (void)look_again(spool);
    return rc;
}

/* No commit will succeed any more. */
static void tell_of_damage(struct spool *spool)
{
    if (spool->damage_told || spool->options.on_damaged == NULL)
        return;
    spool->damage_told = true;
    spool->options.on_damaged(spool->options.event_context);
}

static int commit_once(struct spool *spool, struct commit commit)
{
    bool deletes_alone = spool->recycling > 0;
    int rc = spool->unsure ? look_again(spool) : E_OK;
    (void)pthread_mutex_lock(&spool->lock);
    if (spool->unreadable)
        rc = E_DAMAGED;
    (void)pthread_mutex_unlock(&spool->lock);
    if (rc == E_OK)
        rc = attempt(spool, &commit);
    commit.pages = count_pages(&commit);
    (void)pthread_mutex_lock(&spool->lock);
    if (rc == E_OK)
        succeed_locked(spool, &commit);
    else
        fail_locked(spool, &commit, rc);
    spool_dead_settle_locked(spool, &commit, rc);
    (void)pthread_mutex_unlock(&spool->lock);
    if (rc == E_OK)
        spool_names_keep(spool, commit.sensor_count);
    else
        log_failure(spool, rc);
    if (rc == E_DAMAGED)
        tell_of_damage(spool);
    if (rc == E_FULL && deletes_alone)
        (void)spool_size_stretch(spool);
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
    (void)stop_wait(&spool->commit_stop, spool->wake_fd, POLLIN, deadline_ms);
    stop_event_drain(spool->wake_fd);
}

static void create_or_wait(struct spool *spool)
{
    int rc = create(spool, &spool->commit_stop);
    if (rc == E_OK || rc == E_STOP)
        return;
    (void)pthread_mutex_lock(&spool->lock);
    spool->commit_error = rc;
    (void)pthread_mutex_unlock(&spool->lock);
    log_failure(spool, rc);
    (void)stop_wait(&spool->commit_stop, -1, 0, clock_mono_ms() + RETRY_MS);
}

void spool_commit_run(void *context)
{
    struct spool *spool = context;
    while (!stop_requested(&spool->commit_stop)) {
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
        else if (commit_once(spool, (struct commit){0}) == E_OK)
            spool_size_shrink(spool);
    }
    progress_promise(spool->commit_stop.progress, INT64_MAX); /* it owes nothing any more */
}

/* ---- the first and the last ---- */

static int commit_first(struct spool *spool)
{
    struct store_txn *txn;
    int rc = store_begin_write(spool->store, &txn);
    if (rc < 0)
        return rc;
    rc = spool_table_migrate(spool, txn);
    if (rc == E_OK)
        rc = spool_time_put_all(spool, txn);
    if (rc < 0) {
        store_abort(txn);
        return rc;
    }
    rc = store_commit(txn);
    spool->times_stored = spool->times_version;
    return rc < 0 ? rc : commit_once(spool, (struct commit){.all = true, .first = true});
}

int spool_commit_first(struct spool *spool)
{
    int rc = commit_first(spool);
    return rc == E_FULL && spool_size_stretch(spool) == E_OK ? commit_first(spool) : rc;
}

int spool_commit_last(struct spool *spool)
{
    int rc = atomic_load(&spool->store_ready) ? E_OK : create(spool, NULL);
    if (rc < 0)
        return rc;
    for (int attempt = 0; attempt < LAST_ATTEMPTS; attempt++) {
        while (rc == E_OK && spool->recycling > 0)
            rc = commit_once(spool, (struct commit){0});
        if (rc == E_OK)
            rc = commit_once(spool, (struct commit){.all = true, .clean = true});
        if (rc != E_FULL)
            return rc;
        rc = E_OK;
    }
    return E_FULL;
}
