/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/spool_walk.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/spool/spool_state.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"

enum { EVENT_TAIL_BYTES = 14, NUMBER_KEY_BYTES = 9 };

/* What a version before this one takes for the text must not be longer than it knows them. */
_Static_assert((int)EVENT_TEXT_BYTES - 1 + (int)EVENT_TAIL_BYTES < (int)SPOOL_EVENT_TEXT_BYTES,
               "an event fits");
_Static_assert(8 + (int)EVENT_TEXT_BYTES - 1 + (int)EVENT_TAIL_BYTES <= (int)EVENT_BYTES,
               "so it does when it is stored");

/* ---- records ---- */

void spool_walk_start(struct spool_reader *reader, struct spool *spool, enum lane lane,
                      const struct spool_position *from)
{
    reader->route = NULL;
    reader->spool = spool;
    reader->lane = lane;
    reader->from = from->next > 0 ? from->next : 1;
    reader->last = reader->from - 1;
    reader->damaged = from->damaged;
    reader->barren = false;
    reader->letter = NULL;
    reader->loaded = false;
}

struct spool_position spool_walk_position(const struct spool_reader *reader)
{
    uint64_t behind = reader->last + 1;
    return (struct spool_position){.next = reader->from > behind ? reader->from : behind,
                                   .damaged = reader->damaged};
}

uint64_t spool_walk_damaged(const struct spool_reader *reader, const struct spool_position *at)
{
    return reader->damaged != at->damaged ? reader->damaged : reader->header.first_sequence;
}

static int find_on_flash(struct spool_reader *reader)
{
    struct store_key key = store_key_block(reader->lane, reader->header.first_sequence, 0);
    struct store_txn *txn;
    const uint8_t *value;
    size_t bytes;
    int rc = store_begin_read(reader->spool->store, &txn);
    if (rc < 0)
        return rc;
    rc = store_get(txn, &key, &value, &bytes);
    store_abort(txn);
    return rc;
}

int spool_walk_explain_missing(struct spool_reader *reader)
{
    if (!atomic_load(&reader->spool->store_ready))
        return E_CHANGED;
    int rc = find_on_flash(reader);
    if (rc == E_NOT_FOUND)
        return E_CHANGED;
    return rc == E_OK ? E_DAMAGED : rc;
}

/* ---- what there is ---- */

void spool_walk_summary(struct spool *spool, struct spool_summary *ret_summary)
{
    struct stat file;
    (void)snprintf(ret_summary->path, sizeof ret_summary->path, "%s", spool->path);
    ret_summary->size_bytes = stat(spool->path, &file) == 0 ? (uint64_t)file.st_size : 0;
    (void)pthread_mutex_lock(&spool->lock);
    ret_summary->used_bytes = spool->use.used_pages * spool->use.page_bytes;
    ret_summary->format = spool->format;
    ret_summary->aside = spool->aside;
    ret_summary->counters_since_ms = spool->counters_since_ms;
    (void)pthread_mutex_unlock(&spool->lock);
}

/* What is in the head and not on flash. Returns the first sequence of its last block, or 0. */
static uint64_t add_head(struct spool *spool, enum lane lane, struct spool_lane_summary *summary)
{
    uint64_t last = 0;
    (void)pthread_mutex_lock(&spool->lock);
    const struct lane_state *state = &spool->lanes[lane];
    *summary = (struct spool_lane_summary){.records = state->flash.records,
                                           .blocks = state->flash.blocks,
                                           .bytes = state->flash.bytes};
    for (const struct head_block *b = state->head.first; b != NULL; b = b->next) {
        summary->blocks += !b->stored;
        summary->records += b->header.record_count - (b->stored ? b->stored_count : 0U);
        summary->bytes += block_bytes(&b->header) - (b->stored ? b->stored_bytes : 0U);
        last = b->header.first_sequence;
    }
    (void)pthread_mutex_unlock(&spool->lock);
    return last;
}

static uint64_t last_on_flash(struct spool *spool, enum lane lane)
{
    struct store_key key = store_key_block(lane, UINT64_MAX, UINT16_MAX);
    struct store_txn *txn;
    const uint8_t *value;
    size_t bytes;
    uint64_t first = 0;
    uint16_t fragment;
    if (!atomic_load(&spool->store_ready) || store_begin_read(spool->store, &txn) < 0)
        return 0;
    int rc = store_before(txn, &key, &key, &value, &bytes);
    if (rc < 0 || !store_key_is_block(&key, lane, &first, &fragment))
        first = 0;
    store_abort(txn);
    return first;
}

/* The time of the first record from FROM on, and of the last one; 0 where there is none. */
static void find_times(struct spool *spool, enum lane lane, uint64_t from, int64_t *ret_first_ms,
                       int64_t *ret_last_ms)
{
    struct spool_reader reader;
    struct record record;
    uint64_t previous;
    int rc;
    *ret_first_ms = *ret_last_ms = 0;
    spool_walk_start(&reader, spool, lane, &(struct spool_position){.next = from});
    do {
        rc = spool_reader_next(&reader, &record, &previous);
        if (rc == E_OK)
            *ret_last_ms = record.wall_ms;
        if (rc == E_OK && *ret_first_ms == 0)
            *ret_first_ms = record.wall_ms;
    } while (rc == E_DAMAGED || rc == E_VERSION || (rc == E_OK && from > 0));
}

void spool_walk_lane(struct spool *spool, enum lane lane, struct spool_lane_summary *ret_summary)
{
    int64_t other_ms;
    uint64_t last = add_head(spool, lane, ret_summary);
    if (last == 0)
        last = last_on_flash(spool, lane);
    find_times(spool, lane, 0, &ret_summary->oldest_ms, &other_ms);
    if (last > 0)
        find_times(spool, lane, last, &other_ms, &ret_summary->newest_ms);
    else
        ret_summary->newest_ms = ret_summary->oldest_ms;
}

int spool_walk_route(struct spool *spool, unsigned index, struct spool_route_summary *ret_route)
{
    int rc = E_NOT_FOUND;
    (void)pthread_mutex_lock(&spool->lock);
    const struct spool_route *route = spool->routes[index];
    if (route != NULL && route->used) {
        memcpy(ret_route->name, route->name, sizeof ret_route->name);
        memcpy(ret_route->lanes, route->lanes, sizeof ret_route->lanes);
        memcpy(ret_route->counters, route->counters, sizeof ret_route->counters);
        ret_route->open = route->open;
        ret_route->hold = route->hold;
        rc = E_OK;
    }
    (void)pthread_mutex_unlock(&spool->lock);
    for (enum lane lane = 0; rc == E_OK && lane < LANE_COUNT; lane++) {
        struct spool_counters *counters = &ret_route->counters[lane];
        counters->stored =
            counters->accepted - counters->delivered - counters->dead - counters->evicted;
    }
    return rc;
}

/* ---- events ---- */

/* Formats before did not tell the level and the boot. */
static int decode(const uint8_t *value, size_t bytes, struct spool_event *event, int64_t *boot_ms)
{
    if (bytes < 8 || bytes - 8 >= sizeof event->text)
        return E_DAMAGED;
    event->wall_ms = (int64_t)bytes_get_le64(value);
    const char *text = (const char *)value + 8;
    size_t length = strnlen(text, bytes - 8);
    memcpy(event->text, text, length);
    event->text[length] = '\0';
    const uint8_t *at = value + 8 + length + 1;
    if (bytes - 8 != length + EVENT_TAIL_BYTES)
        return length == bytes - 8 ? E_OK : E_DAMAGED;
    event->level = (enum log_level)(at[0] & 15);
    event->time_quality = (enum time_quality)(at[0] >> 4);
    event->boot = bytes_get_le32(at + 1);
    *boot_ms = (int64_t)bytes_get_le64(at + 5);
    return event->level <= LOG_LEVEL_INFO && event->time_quality <= TIME_ESTIMATED ? E_OK
                                                                                   : E_DAMAGED;
}

static void place(struct spool *spool, struct spool_event *event, int64_t boot_ms)
{
    (void)pthread_mutex_lock(&spool->lock);
    spool_time_place_locked(spool, event->boot, boot_ms, &event->wall_ms, &event->time_quality);
    (void)pthread_mutex_unlock(&spool->lock);
}

static void read_event(struct spool *spool, const struct store_key *key, const uint8_t *value,
                       size_t bytes, struct spool_event *ret_event)
{
    const uint32_t number = (uint32_t)bytes_get_be64(key->bytes + 1);
    struct spool_event event = {
        .number = number, .level = LOG_LEVEL_INFO, .time_quality = TIME_ESTIMATED};
    int64_t boot_ms = 0;
    int rc = spool_table_open(spool, key, &value, &bytes);
    if (rc == E_OK)
        rc = decode(value, bytes, &event, &boot_ms);
    if (rc < 0)
        event = (struct spool_event){.number = number,
                                     .level = LOG_LEVEL_ERROR,
                                     .time_quality = TIME_ESTIMATED,
                                     .text = "event-damaged"};
    else if (event.boot != 0)
        place(spool, &event, boot_ms);
    *ret_event = event;
}

static int find_stored(struct spool *spool, uint32_t from, struct spool_event *ret_event)
{
    struct store_key key = store_key_number(STORE_EVENTS, from);
    struct store_txn *txn;
    const uint8_t *value;
    size_t bytes;
    if (!atomic_load(&spool->store_ready))
        return E_NOT_FOUND;
    int rc = store_begin_read(spool->store, &txn);
    if (rc < 0)
        return rc;
    rc = store_at_or_after(txn, &key, &key, &value, &bytes);
    if (rc == E_OK && (key.bytes[0] != STORE_EVENTS || key.count != NUMBER_KEY_BYTES))
        rc = E_NOT_FOUND;
    if (rc == E_OK)
        read_event(spool, &key, value, bytes, ret_event);
    store_abort(txn);
    return rc;
}

static int find_waiting(struct spool *spool, uint32_t from, struct spool_event *ret_event)
{
    struct events *events = spool->options.events;
    struct spool_clock_reading now;
    struct events_entry event;
    uint32_t first;
    uint32_t end;
    if (events == NULL)
        return E_NOT_FOUND;
    events_range(events, &first, &end);
    for (uint32_t number = from > first ? from : first; number < end; number++) {
        if (!events_get(events, number, &event))
            continue;
        spool->options.clock(spool->options.clock_context, &now);
        *ret_event = (struct spool_event){.number = number,
                                          .level = event.level,
                                          .wall_ms = event.boot_ms + now.offset_ms,
                                          .time_quality = now.quality};
        (void)snprintf(ret_event->text, sizeof ret_event->text, "%s", event.text);
        (void)pthread_mutex_lock(&spool->lock);
        ret_event->boot = spool_time_boot_locked(spool);
        spool_time_place_locked(spool, ret_event->boot, event.boot_ms, &ret_event->wall_ms,
                                &ret_event->time_quality);
        (void)pthread_mutex_unlock(&spool->lock);
        return E_OK;
    }
    return E_NOT_FOUND;
}

/* Those that wait are looked at first: one that is stored between the two looks is seen twice
 * rather than never. */
int spool_walk_event(struct spool *spool, uint32_t from, struct spool_event *ret_event)
{
    struct spool_event waiting;
    struct spool_event stored;
    int waits = find_waiting(spool, from, &waiting);
    int rc = find_stored(spool, from, &stored);
    if (rc < 0 && rc != E_NOT_FOUND)
        return rc;
    if (rc < 0 && waits < 0)
        return E_NOT_FOUND;
    *ret_event = rc < 0 || (waits == E_OK && waiting.number < stored.number) ? waiting : stored;
    return E_OK;
}

uint32_t spool_walk_next_event(struct spool *spool)
{
    uint32_t first;
    uint32_t end;
    if (spool->options.events != NULL) {
        events_range(spool->options.events, &first, &end);
        return end;
    }
    (void)pthread_mutex_lock(&spool->lock);
    end = spool->next_event;
    (void)pthread_mutex_unlock(&spool->lock);
    return end;
}

/* ---- the file ---- */

int spool_walk_verify(const char *path, char fault[VERIFY_FAULT_BYTES])
{
    char file[FS_PATH_BYTES];
    int rc = fs_join(path, "spool.mdb", file, sizeof file);
    return rc < 0 ? rc : store_verify(file, fault);
}
