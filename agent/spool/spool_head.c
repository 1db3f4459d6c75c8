/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/spool/spool_state.h"
#include "platform/base/error.h"
#include "platform/clock.h"

int spool_head_open(struct spool *spool, size_t blocks)
{
    spool->blocks = malloc(blocks * sizeof *spool->blocks);
    spool->commit_blocks = calloc(blocks, sizeof *spool->commit_blocks);
    if (spool->blocks == NULL || spool->commit_blocks == NULL)
        return E_NO_MEMORY;
    /* Touched now: what the agent needs at its fullest is taken at the start, not found missing
     * in the middle of an outage. */
    memset(spool->blocks, 0, blocks * sizeof *spool->blocks);
    for (size_t i = 0; i < blocks; i++) {
        spool->blocks[i].next = spool->free_blocks;
        spool->free_blocks = &spool->blocks[i];
    }
    spool->block_count = spool->free_count = blocks;
    return E_OK;
}

void spool_head_close(struct spool *spool)
{
    free(spool->blocks);
    free(spool->commit_blocks);
}

/* ---- the blocks of a lane ---- */

static struct head_block *add_block(struct spool *spool, enum lane lane)
{
    struct head_lane *head = &spool->lanes[lane].head;
    struct head_block *block = spool->free_blocks;
    spool->free_blocks = block->next;
    spool->free_count--;
    block->next = NULL;
    block->open = true;
    block->writing = block->stored = false;
    block->stored_count = block->committed_count = block->accepted_count = block->done_count = 0;
    if (head->last != NULL) {
        head->last->open = false;
        head->last->next = block;
    } else {
        head->first = block;
    }
    head->last = block;
    head->blocks++;
    return block;
}

static void remove_block(struct spool *spool, struct head_block *previous, struct head_block *block)
{
    struct head_lane *head = &spool->lanes[block->header.lane].head;
    if (previous != NULL)
        previous->next = block->next;
    else
        head->first = block->next;
    if (head->last == block)
        head->last = previous;
    head->blocks--;
    block->next = spool->free_blocks;
    spool->free_blocks = block;
    spool->free_count++;
    (void)pthread_cond_broadcast(&spool->room);
}

static void start_block(struct spool *spool, struct head_block *block, const struct record *record,
                        const struct spool_clock_reading *clock)
{
    block->header = (struct block_header){
        .lane = (uint8_t)record->lane,
        .time_quality = (uint8_t)clock->quality,
        .fragment_count = 1,
        .spool_id = spool->id,
        .first_sequence = record->sequence,
        .last_sequence = record->sequence,
        .base_boot_ms = record->boot_ms,
        .offset_ms = clock->offset_ms,
    };
    memcpy(block->header.boot_id, spool->boot_id, sizeof block->header.boot_id);
    block->last_boot_ms = record->boot_ms;
}

/* ---- appending ---- */

static int64_t magnitude(int64_t value)
{
    return value < 0 ? -value : value;
}

/* A block has one offset for all its records: after a step of the clock the next one begins. */
static bool fits_clock(const struct head_block *block, const struct spool_clock_reading *clock)
{
    return block->header.time_quality == clock->quality &&
           magnitude(block->header.offset_ms - clock->offset_ms) <= CLOCK_STEP_MS;
}

static void note_record(struct head_block *block, const struct record *record, size_t bytes)
{
    uint16_t index = block->header.record_count++;
    block->header.room_used = (uint16_t)(block->header.room_used + bytes);
    block->header.last_sequence = record->sequence;
    block->last_boot_ms = record->boot_ms;
    block->done[index] = block->dead[index] = 0;
}

/* Encodes RECORD behind the others of BLOCK; a document only if it fits whole. */
static int add_record(struct spool *spool, struct head_block *block, const struct record *record)
{
    const struct sensor_definition *sensor = spool->sensors[record->sensor - 1].definition;
    bool first = block->header.record_count == 0;
    struct record_frame frame = {
        .previous_sequence = first ? record->sequence - 1 : block->header.last_sequence,
        .previous_boot_ms = block->last_boot_ms,
    };
    uint8_t *to = block->bytes + BLOCK_HEADER_BYTES + block->header.room_used;
    size_t room = BLOCK_ROOM_BYTES - (size_t)block->header.room_used;
    if (block->header.record_count == BLOCK_RECORDS_MAX)
        return E_FULL;
    int count = record_encode(record, &frame, sensor->channels, sensor->channel_count, to, room);
    if (count < 0)
        return count;
    if (record->shape == RECORD_DOCUMENT) {
        if (record->document_bytes > room - (size_t)count)
            return E_FULL;
        memcpy(to + count, record->document, record->document_bytes);
        count += (int)record->document_bytes;
    }
    note_record(block, record, (size_t)count);
    return count;
}

/* Cuts a document over as many blocks as it takes: the first holds the head of the record. */
static int add_fragmented(struct spool *spool, struct record *record,
                          const struct spool_clock_reading *clock)
{
    struct record_frame frame = {.previous_sequence = record->sequence - 1,
                                 .previous_boot_ms = record->boot_ms};
    size_t fragments =
        (record->document_bytes + RECORD_HEAD_BYTES + BLOCK_ROOM_BYTES - 1) / BLOCK_ROOM_BYTES;
    const uint8_t *from = record->document;
    size_t left = record->document_bytes;
    if (fragments > spool->block_count - 1)
        return E_TOO_BIG;
    if (fragments > spool->free_count)
        return E_AGAIN;
    for (size_t i = 0; i < fragments; i++) {
        struct head_block *block = add_block(spool, record->lane);
        start_block(spool, block, record, clock);
        uint8_t *to = block->bytes + BLOCK_HEADER_BYTES;
        int head = i > 0 ? 0 : record_encode(record, &frame, NULL, 0, to, BLOCK_ROOM_BYTES);
        size_t room = BLOCK_ROOM_BYTES - (size_t)head;
        size_t take = left < room ? left : room;
        memcpy(to + head, from, take);
        block->header.room_used = (uint16_t)((size_t)head + take);
        block->header.fragment = (uint16_t)i;
        block->header.fragment_count = (uint16_t)fragments;
        block->header.record_count = i == 0 ? 1 : 0;
        block->done[0] = block->dead[0] = 0;
        block->open = false;
        from += take;
        left -= take;
    }
    return (int)record->document_bytes;
}

/* TOLD_BY, unless NULL: by which the record's wall clock time was told. That stays, though the
 * block's own clock is a little off it. */
static int add_to_open(struct spool *spool, struct head_block *block, struct record *record,
                       const struct spool_clock_reading *told_by)
{
    int64_t boot_ms = record->boot_ms;
    if (told_by != NULL && told_by->quality == TIME_SYNCED)
        record->boot_ms += told_by->offset_ms - block->header.offset_ms;
    int rc = add_record(spool, block, record);
    if (rc < 0)
        record->boot_ms = boot_ms;
    return rc;
}

int spool_head_append_locked(struct spool *spool, struct record *record,
                             const struct spool_clock_reading *clock, bool handed_in)
{
    struct head_block *tail = spool->lanes[record->lane].head.last;
    int rc = E_FULL;
    if (tail != NULL && tail->open && fits_clock(tail, clock))
        rc = add_to_open(spool, tail, record, handed_in ? clock : NULL);
    if (rc != E_FULL)
        return rc;
    if (record->shape == RECORD_DOCUMENT &&
        record->document_bytes > BLOCK_ROOM_BYTES - RECORD_HEAD_BYTES)
        return add_fragmented(spool, record, clock);
    if (spool->free_count == 0)
        return E_AGAIN;
    struct head_block *previous = tail;
    struct head_block *block = add_block(spool, record->lane);
    start_block(spool, block, record, clock);
    rc = add_record(spool, block, record);
    if (rc < 0)
        remove_block(spool, previous, block);
    return rc == E_FULL ? E_TOO_BIG : rc; /* for a block of its own */
}

/* ---- importing ---- */

static void import_block(struct spool *spool, const struct block_header *header,
                         const uint8_t *bytes, uint64_t first, uint8_t not_for)
{
    struct head_block *block = add_block(spool, (enum lane)header->lane);
    block->header = *header;
    block->header.not_for |= not_for;
    block_place(&block->header, first);
    block->open = false;
    memcpy(block->bytes + BLOCK_HEADER_BYTES, bytes + BLOCK_HEADER_BYTES, header->room_used);
    memset(block->done, block->header.not_for, header->record_count);
    memset(block->dead, 0, header->record_count);
}

static int admit_import_locked(struct spool *spool, const struct head_import *import, uint64_t span)
{
    const struct lane_state *state = &spool->lanes[import->headers[0].lane];
    uint8_t holders = state->holders & (uint8_t) ~(import->not_for | import->headers[0].not_for);
    if (state->holders != 0 && holders == 0)
        return E_END;
    if (import->count > spool->block_count / 2)
        return E_TOO_BIG;
    bool numbers = spool->next_sequence + span < spool->reserved;
    spool->reserve_more = numbers ? 0 : span;
    bool room = spool->free_count >= import->count + spool->block_count / 4;
    if (numbers && room && !spool->crowded && spool_room_is_left_locked(spool, import->count))
        return E_OK;
    if (!numbers || !room) { /* what is crowded becomes free by being delivered */
        spool_commit_now_locked(spool);
    }
    return E_AGAIN;
}

int spool_head_import_locked(struct spool *spool, const struct head_import *import)
{
    const struct block_header *header = &import->headers[0];
    enum lane lane = (enum lane)header->lane;
    uint8_t not_for = import->not_for | header->not_for;
    uint64_t span = header->last_sequence - header->first_sequence + 1;
    int rc = admit_import_locked(spool, import, span);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < import->count; i++)
        import_block(spool, &import->headers[i], import->blocks + i * BLOCK_BYTES,
                     spool->next_sequence, import->not_for);
    spool->next_sequence += span;
    spool->lanes[lane].pending += header->record_count;
    spool->lanes[lane].due_ms = 0; /* look again */
    if (spool->lanes[lane].hidden_first != 0)
        spool_hide_locked(&spool->lanes[lane], header->record_count, header->room_used);
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX && spool->lanes[lane].hidden_first == 0; i++)
        if ((spool->lanes[lane].routes & ~not_for & 1U << i) != 0)
            spool_route_waits_for_locked(spool->routes[i], lane, header->record_count,
                                         header->room_used);
    spool_commit_due_locked(spool, clock_boot_ms() + spool->options.wait_ms);
    return E_OK;
}

bool spool_head_has_imports_locked(const struct spool *spool)
{
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        for (const struct head_block *b = spool->lanes[lane].head.first; b != NULL; b = b->next)
            if ((b->header.shift != 0 || b->header.spool_id != spool->id) &&
                b->accepted_count < b->header.record_count)
                return true;
    return false;
}

/* ---- acceptance ---- */

void spool_head_accept_locked(struct spool *spool, struct head_block *block, uint16_t index)
{
    enum lane lane = (enum lane)block->header.lane;
    struct lane_state *state = &spool->lanes[lane];
    block->accepted_count++;
    state->pending--;
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++) {
        unsigned bit = 1U << i;
        if ((state->routes & ~block->header.not_for & bit) == 0)
            continue;
        struct spool_counters *counters = &spool->routes[i]->counters[lane];
        counters->accepted++;
        if ((block->dead[index] & bit) != 0)
            counters->dead++;
        else if ((block->done[index] & bit) != 0)
            counters->delivered++;
    }
}

static uint16_t on_flash(const struct head_block *block)
{
    return block->stored_count > block->committed_count ? block->stored_count
                                                        : block->committed_count;
}

static uint8_t other_routes(const struct spool *spool, const struct head_block *block)
{
    const struct lane_state *state = &spool->lanes[block->header.lane];
    return state->routes & (uint8_t)~state->holders;
}

static bool can_leave(const struct spool *spool, const struct head_block *block)
{
    uint8_t others = other_routes(spool, block);
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++)
        if ((others & 1U << i) != 0 &&
            !spool_route_can_leave_locked(spool->routes[i], &block->header))
            return false;
    return true;
}

/* A route that does not hold may not have had what leaves the head without having been on flash:
 * for it, that is evicted. */
static void leave_routes(struct spool *spool, const struct head_block *block)
{
    uint8_t others = other_routes(spool, block);
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++) {
        if ((others & 1U << i) == 0)
            continue;
        uint64_t missed = 0;
        for (uint16_t record = on_flash(block); record < block->header.record_count; record++)
            missed += (block->done[record] & 1U << i) == 0;
        if (missed > 0)
            spool_route_leave_locked(spool->routes[i], &block->header, missed);
    }
}

static bool settle_block(struct spool *spool, struct head_block *previous, struct head_block *block)
{
    const struct block_header *header = &block->header;
    bool accepted = block->accepted_count == header->record_count;
    bool done = block->done_count == header->record_count;
    if (block->writing || !accepted || (block->open && !done) || !can_leave(spool, block))
        return false;
    leave_routes(spool, block);
    remove_block(spool, previous, block);
    return true;
}

void spool_head_settle_lane_locked(struct spool *spool, enum lane lane)
{
    struct head_block *previous = NULL;
    struct head_block *block = spool->lanes[lane].head.first;
    bool removed = false; /* the fragments of a document share the fate of the first */
    while (block != NULL) {
        struct head_block *next = block->next;
        if (block->header.fragment == 0)
            removed = settle_block(spool, previous, block);
        else if (removed)
            remove_block(spool, previous, block);
        if (!removed)
            previous = block;
        block = next;
    }
}

int64_t spool_head_oldest_pending_locked(const struct spool *spool, enum lane lane)
{
    const struct lane_state *state = &spool->lanes[lane];
    const struct head_block *block = state->head.first;
    struct block_walk walk;
    struct record record;
    while (block != NULL && block->accepted_count == block->header.record_count)
        block = block->next;
    if (block == NULL)
        return INT64_MAX;
    if (memcmp(block->header.boot_id, spool->boot_id, BLOCK_BOOT_ID_BYTES) != 0)
        return 0; /* of a boot that is over: it has waited long enough */
    block_walk_start(&walk, &block->header);
    while (block_walk_next(&walk, block->bytes, &record) == E_OK) {
        uint16_t index = (uint16_t)(walk.index - 1);
        bool delivered =
            state->holders != 0 && (block->done[index] & state->holders) == state->holders;
        if (index >= block->committed_count && !delivered)
            return came_ms(&state->came, record.sequence, record.boot_ms);
    }
    return INT64_MAX;
}
