/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "agent/spool/spool_state.h"
#include "platform/base/error.h"

void spool_reader_start(struct spool_reader *reader, struct spool_route *route, enum lane lane)
{
    struct spool *spool = route->spool;
    (void)pthread_mutex_lock(&spool->lock);
    cursor_raise(&route->cursors[lane], route->evicted_to[lane]);
    reader->last = route->cursors[lane].low;
    (void)pthread_mutex_unlock(&spool->lock);
    reader->route = route;
    reader->spool = spool;
    reader->lane = lane;
    reader->from = reader->last + 1;
    reader->damaged = 0;
    reader->barren = true;
    reader->letter = NULL;
    reader->loaded = false;
}

void spool_reader_start_at(struct spool_reader *reader, struct spool_route *route, enum lane lane,
                           uint64_t from)
{
    spool_reader_start(reader, route, lane);
    if (from <= reader->from)
        return;
    reader->from = from;
    reader->last = from - 1;
    reader->barren = false;
}

/* ---- getting a block ---- */

static void start_block(struct spool_reader *reader, uint64_t limit)
{
    reader->limit = limit;
    block_walk_start(&reader->walk, &reader->header);
    reader->piece = 0;
    reader->loaded = true;
    reader->bound = false;
}

static int copy_from_head_locked(struct spool_reader *reader, uint64_t from)
{
    const struct lane_state *state = &reader->spool->lanes[reader->lane];
    const struct head_block *block = state->head.first;
    uint64_t limit = state->hidden_first != 0 ? state->hidden_first : UINT64_MAX;
    while (block != NULL && (block->header.fragment > 0 || block->header.last_sequence < from))
        block = block->next;
    if (block == NULL || block->header.first_sequence >= limit)
        return E_END;
    reader->header = block->header;
    memcpy(reader->block + BLOCK_HEADER_BYTES, block->bytes + BLOCK_HEADER_BYTES,
           block->header.room_used);
    start_block(reader, limit);
    return E_OK;
}

/* Where a route finds nothing that it is owed, nothing waits for it, whatever was counted: the
 * number of records in a damaged block is a guess. */
static int end_in_head_locked(struct spool_reader *reader, uint64_t from)
{
    int rc = copy_from_head_locked(reader, from);
    if (rc == E_END && reader->barren && reader->route != NULL)
        reader->route->waiting[reader->lane] = (struct spool_backlog){0};
    return rc;
}

static uint64_t head_lowest_locked(const struct spool_reader *reader)
{
    const struct head_block *first = reader->spool->lanes[reader->lane].head.first;
    return first == NULL ? UINT64_MAX : first->header.first_sequence;
}

/* A file that is not open, or that LMDB finds no way through: that is no block to be passed over,
 * and nobody must call on for it. */
static int of_file(int rc)
{
    return rc == E_DAMAGED ? error_sys(EIO) : rc;
}

/* The commit thread, which may meet nothing of it by itself, has to know. */
static int of_tree(const struct spool_reader *reader, int rc)
{
    struct spool *spool = reader->spool;
    if (rc == E_DAMAGED && reader->route != NULL) {
        (void)pthread_mutex_lock(&spool->lock);
        spool->unreadable = true;
        spool_commit_now_locked(spool);
        (void)pthread_mutex_unlock(&spool->lock);
    }
    return of_file(rc);
}

/* A walk loses nothing, for it is owed nothing (spool_walk.h). */
static void lose(struct spool_reader *reader, uint64_t after, uint64_t last, uint64_t count)
{
    if (reader->route != NULL)
        spool_route_lose(reader->route, reader->lane, after, last, count);
}

static int copy_value(struct spool_reader *reader, uint64_t first, const uint8_t *value,
                      size_t bytes, struct block_header *ret_header)
{
    if (bytes > BLOCK_BYTES)
        return E_DAMAGED;
    memcpy(reader->block, value, bytes);
    store_release_page(value);
    int rc = block_open(reader->block, bytes, ret_header);
    if (rc == E_OK)
        block_place(ret_header, first);
    return rc == E_CHECKSUM ? E_DAMAGED : rc;
}

/* What lies between this block and the next one cannot be read: how much that was, its header may
 * still tell. */
static void give_up_block(struct spool_reader *reader, struct store_txn *txn, uint64_t first,
                          size_t bytes, uint64_t below)
{
    struct store_key key = store_key_block(reader->lane, first + 1, 0);
    struct block_header guess = {.record_count = 0, .last_sequence = first};
    const uint8_t *value;
    size_t count;
    uint64_t next = below;
    uint16_t fragment;
    (void)block_guess(reader->block, bytes < BLOCK_BYTES ? bytes : BLOCK_BYTES, first, &guess);
    if (store_at_or_after(txn, &key, &key, &value, &count) != E_OK ||
        !store_key_is_block(&key, reader->lane, &next, &fragment) || next > below)
        next = below;
    uint64_t last = next == UINT64_MAX ? guess.last_sequence : next - 1;
    reader->damaged = first;
    if (reader->from <= last)
        reader->from = last + 1;
    if (reader->last >= last)
        return;
    lose(reader, reader->last, last, guess.record_count);
    reader->last = last;
}

/* Takes the block under KEY if it is one of the lane, below BELOW, and reaches FROM. */
static int take_block(struct spool_reader *reader, struct store_txn *txn,
                      const struct store_key *found, const uint8_t *value, size_t bytes,
                      uint64_t from, uint64_t below)
{
    uint64_t first;
    uint16_t fragment;
    if (!store_key_is_block(found, reader->lane, &first, &fragment) || first >= below ||
        first == reader->damaged || (fragment > 0 && first < from))
        return E_NOT_FOUND;
    if (fragment > 0) {
        struct store_key key = store_key_block(reader->lane, first, 0);
        int rc = of_tree(reader, store_get(txn, &key, &value, &bytes));
        if (rc < 0)
            return rc;
    }
    int rc = copy_value(reader, first, value, bytes, &reader->header);
    if (rc == E_DAMAGED) {
        give_up_block(reader, txn, first, bytes, below);
        return rc;
    }
    if (rc < 0)
        return rc;
    if (reader->header.last_sequence < from)
        return E_NOT_FOUND;
    start_block(reader, UINT64_MAX);
    return E_OK;
}

/* The block that FROM lies in begins at FROM or before it; failing that, the next one serves. */
static int copy_from_flash(struct spool_reader *reader, uint64_t from, uint64_t below)
{
    struct store_key key = store_key_block(reader->lane, from + 1, 0);
    struct store_key found;
    struct store_txn *txn;
    const uint8_t *value;
    size_t bytes;
    int rc = of_file(store_begin_read(reader->spool->store, &txn));
    if (rc < 0)
        return rc;
    rc = of_tree(reader, store_before(txn, &key, &found, &value, &bytes));
    if (rc == E_OK)
        rc = take_block(reader, txn, &found, value, bytes, from, below);
    if (rc == E_NOT_FOUND) {
        rc = of_tree(reader, store_at_or_after(txn, &key, &found, &value, &bytes));
        if (rc == E_OK)
            rc = take_block(reader, txn, &found, value, bytes, from, below);
    }
    store_abort(txn);
    return rc;
}

/*
 * The head is looked at first and its lowest sequence noted; only then the reading transaction
 * begins. A block leaves the head only after the commit that holds it has returned, so what is
 * not in the head any more is in that transaction. If the head changed meanwhile, look again.
 */
static int load(struct spool_reader *reader, uint64_t from)
{
    struct spool *spool = reader->spool;
    for (;;) {
        (void)pthread_mutex_lock(&spool->lock);
        uint64_t lowest = head_lowest_locked(reader);
        bool in_head = from >= lowest || !atomic_load(&spool->store_ready);
        int rc = in_head ? end_in_head_locked(reader, from) : E_OK;
        (void)pthread_mutex_unlock(&spool->lock);
        if (in_head)
            return rc;
        rc = copy_from_flash(reader, from, lowest);
        if (rc != E_NOT_FOUND)
            return rc;
        (void)pthread_mutex_lock(&spool->lock);
        bool changed = head_lowest_locked(reader) != lowest;
        rc = changed ? E_OK : end_in_head_locked(reader, from);
        (void)pthread_mutex_unlock(&spool->lock);
        if (!changed)
            return rc;
    }
}

/* ---- records ---- */

/* What was taken while the time was known keeps it; all else is told as well as can be now. */
static void set_time(struct spool_reader *reader, struct record *record)
{
    const struct block_header *header = &reader->header;
    struct spool *spool = reader->spool;
    if (!reader->bound && header->time_quality == TIME_SYNCED)
        reader->clock.kind = TIMELINE_UNKNOWN;
    if (!reader->bound && header->time_quality != TIME_SYNCED) {
        (void)pthread_mutex_lock(&spool->lock);
        spool_time_bind_locked(spool, reader->route, header, &reader->clock);
        (void)pthread_mutex_unlock(&spool->lock);
    }
    reader->bound = true;
    record->wall_ms = timeline_wall_ms(&reader->clock, record->boot_ms, header->offset_ms);
    record->time_quality =
        timeline_quality(&reader->clock, (enum time_quality)header->time_quality);
}

static int complete(struct spool_reader *reader, struct record *record)
{
    record->sensor += reader->header.sensor_base;
    const struct sensor_definition *sensor = spool_sensor(reader->spool, record->sensor);
    if (sensor == NULL)
        return E_DAMAGED;
    record->lane = reader->lane;
    record->identity.spool_id = reader->header.spool_id;
    record->identity.sequence = record->sequence - reader->header.shift;
    set_time(reader, record);
    return record_set_decimals(record, sensor->channels, sensor->channel_count);
}

int64_t spool_reader_came_ms(const struct spool_reader *reader, const struct record *record)
{
    struct spool *spool = reader->spool;
    (void)pthread_mutex_lock(&spool->lock);
    int64_t came = came_ms(&spool->lanes[reader->lane].came, record->sequence, record->boot_ms);
    (void)pthread_mutex_unlock(&spool->lock);
    return came;
}

static void leave_block(struct spool_reader *reader)
{
    reader->from = reader->header.last_sequence + 1;
    reader->loaded = false;
}

/* The rest of the block in hand makes no sense, whatever its checksum says. */
static void give_up_rest(struct spool_reader *reader)
{
    uint64_t last = reader->header.last_sequence;
    if (reader->last >= last)
        return;
    lose(reader, reader->last, last, (uint64_t)reader->walk.count - reader->walk.index);
    reader->last = last;
}

/* A walk is nobody's: it sees everything (spool_walk.h). */
static bool is_acknowledged(const struct spool_reader *reader, uint64_t sequence)
{
    return reader->route != NULL &&
           cursor_contains(&reader->route->cursors[reader->lane], sequence);
}

/* Two acknowledged records that follow each other in the lane: the numbers between them are other
 * lanes', or nobody's, and must not hold up the low mark. A route that does not acknowledge in
 * order (spool_reader_start_at) leaves such gaps. */
static void close_gap(struct spool_reader *reader, uint64_t previous, uint64_t sequence)
{
    struct spool *spool = reader->route->spool;
    struct cursor *cursor = &reader->route->cursors[reader->lane];
    if (!cursor_contains(cursor, previous) || cursor_contains(cursor, previous + 1))
        return;
    (void)pthread_mutex_lock(&spool->lock);
    (void)cursor_add(cursor, previous, sequence); /* it joins two: there is room */
    (void)pthread_mutex_unlock(&spool->lock);
}

/* Finds the next record that is owed; its place in the block stays valid. */
static int next_owed(struct spool_reader *reader, struct record *record, uint64_t *ret_previous)
{
    for (;;) {
        int rc = reader->loaded ? E_OK : load(reader, reader->from);
        if (rc < 0)
            return rc;
        if (reader->route != NULL && (reader->header.not_for & 1U << reader->route->index) != 0) {
            leave_block(reader);
            continue;
        }
        rc = block_walk_next(&reader->walk, reader->block, record);
        if (rc < 0) {
            leave_block(reader);
            if (rc == E_END)
                continue;
            give_up_rest(reader);
            return rc;
        }
        if (record->sequence >= reader->limit) {
            reader->from = record->sequence;
            reader->loaded = false;
            return E_END;
        }
        uint64_t previous = reader->last;
        bool wanted = record->sequence >= reader->from && record->sequence > previous;
        if (record->sequence > previous)
            reader->last = record->sequence;
        if (wanted && !is_acknowledged(reader, record->sequence)) {
            *ret_previous = previous;
            reader->barren = false;
            return E_OK;
        }
        if (wanted)
            close_gap(reader, previous, record->sequence);
    }
}

int spool_reader_first(struct spool_reader *reader, struct record *ret_record)
{
    start_block(reader, UINT64_MAX);
    int rc = block_walk_next(&reader->walk, reader->block, ret_record);
    if (rc == E_OK)
        rc = complete(reader, ret_record);
    return rc == E_END ? E_DAMAGED : rc;
}

int spool_reader_next(struct spool_reader *reader, struct record *ret_record,
                      uint64_t *ret_previous)
{
    uint64_t previous;
    int rc = next_owed(reader, ret_record, &previous);
    if (rc < 0)
        return rc;
    rc = complete(reader, ret_record);
    if (rc < 0) {
        lose(reader, previous, ret_record->sequence, 1);
        return rc;
    }
    *ret_previous = previous;
    return E_OK;
}

/* ---- documents that continue ---- */

static int piece_from_head_locked(struct spool_reader *reader, uint16_t fragment, size_t *ret_bytes)
{
    const struct head_block *block = reader->spool->lanes[reader->lane].head.first;
    while (block != NULL && (block->header.first_sequence != reader->header.first_sequence ||
                             block->header.fragment != fragment))
        block = block->next;
    if (block == NULL)
        return E_NOT_FOUND;
    *ret_bytes = block->header.room_used;
    memcpy(reader->block + BLOCK_HEADER_BYTES, block->bytes + BLOCK_HEADER_BYTES, *ret_bytes);
    return E_OK;
}

static int piece_from_flash(struct spool_reader *reader, uint16_t fragment, size_t *ret_bytes)
{
    struct store_key key = store_key_block(reader->lane, reader->header.first_sequence, fragment);
    struct block_header header;
    struct store_txn *txn;
    const uint8_t *value;
    size_t bytes;
    int rc = of_file(store_begin_read(reader->spool->store, &txn));
    if (rc < 0)
        return rc;
    rc = of_tree(reader, store_get(txn, &key, &value, &bytes));
    if (rc == E_OK)
        rc = copy_value(reader, reader->header.first_sequence, value, bytes, &header);
    store_abort(txn);
    if (rc == E_OK &&
        (header.fragment != fragment || header.first_sequence != reader->header.first_sequence))
        rc = E_DAMAGED;
    if (rc == E_OK)
        *ret_bytes = header.room_used;
    return rc;
}

/* A piece that is not there was deleted with its record, or lost. */
static int explain_missing(struct spool_reader *reader)
{
    struct spool *spool = reader->spool;
    if (reader->route == NULL)
        return spool_walk_explain_missing(reader);
    (void)pthread_mutex_lock(&spool->lock);
    bool gone = spool_route_low_locked(reader->route, reader->lane) >= reader->header.last_sequence;
    (void)pthread_mutex_unlock(&spool->lock);
    return gone ? E_CHANGED : E_DAMAGED;
}

static int piece_of_letter(struct spool_reader *reader, uint16_t fragment,
                           const uint8_t **ret_piece, size_t *ret_bytes)
{
    struct block_header header;
    int rc = spool_dead_part(reader->spool, reader->letter, fragment, reader->block, &header);
    if (rc < 0)
        return rc == E_NOT_FOUND ? E_CHANGED : rc;
    reader->piece = fragment;
    *ret_piece = reader->block + BLOCK_HEADER_BYTES;
    *ret_bytes = header.room_used;
    return E_OK;
}

int spool_reader_piece(struct spool_reader *reader, const uint8_t **ret_piece, size_t *ret_bytes)
{
    struct spool *spool = reader->spool;
    uint16_t fragment = (uint16_t)(reader->piece + 1);
    if (fragment >= reader->header.fragment_count)
        return E_END;
    if (reader->letter != NULL)
        return piece_of_letter(reader, fragment, ret_piece, ret_bytes);
    (void)pthread_mutex_lock(&spool->lock);
    int rc = piece_from_head_locked(reader, fragment, ret_bytes);
    (void)pthread_mutex_unlock(&spool->lock);
    if (rc == E_NOT_FOUND && atomic_load(&spool->store_ready))
        rc = piece_from_flash(reader, fragment, ret_bytes);
    if (rc == E_NOT_FOUND)
        rc = explain_missing(reader);
    if (rc < 0)
        return rc;
    reader->piece = fragment;
    *ret_piece = reader->block + BLOCK_HEADER_BYTES;
    return E_OK;
}
