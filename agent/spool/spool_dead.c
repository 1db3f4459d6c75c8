/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/spool/seal.h"
#include "agent/spool/spool_state.h"
#include "agent/spool/spool_walk.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/clock.h"

/*
 * A dead letter is the record by itself, as blocks that are for no route, and what became of it.
 * FORMAT.md, "Dead letter". The commit that stores it is waited for before the record is
 * acknowledged: a cut between the two leaves both, and the next start drops the letter.
 */
enum {
    AT_WALL_MS = 0,
    AT_ATTEMPTS = 8,
    AT_FRAGMENTS = 12,
    AT_FLAGS = 14,
    AT_LANE = 15,
    AT_ROUTE_NAME = 16,
    AT_REASON = AT_ROUTE_NAME + SPOOL_ROUTE_NAME_BYTES,
    LETTER_QUEUED = 1,
    LETTER_KEY_BYTES = 12,
};

static struct store_key key_of(unsigned route, uint64_t place, uint16_t fragment)
{
    struct store_key key = {.count = LETTER_KEY_BYTES, .bytes = {STORE_DEAD, (uint8_t)route}};
    bytes_put_be64(key.bytes + 2, place);
    bytes_put_be16(key.bytes + 10, fragment);
    return key;
}

/* ---- the record by itself ---- */

/* Bytes of the three numbers that a record begins with: distance, sensor and form, time. */
static size_t front_bytes(const uint8_t *bytes, size_t count, uint64_t *ret_sensor_form)
{
    uint64_t value;
    size_t distance = bytes_get_varint(bytes, count, &value);
    size_t sensor = bytes_get_varint(bytes + distance, count - distance, ret_sensor_form);
    return distance + sensor +
           bytes_get_varint(bytes + distance + sensor, count - distance - sensor, &value);
}

/* Leaves nothing in the block but the record at POSITION, COUNT bytes long, as its first. */
static void reduce_to(uint8_t bytes[BLOCK_BYTES], struct block_header *header, size_t position,
                      size_t count, const struct record *record)
{
    uint8_t front[3 * VARINT_BYTES_MAX];
    uint64_t sensor_form = 0;
    size_t old_front = front_bytes(bytes + position, count, &sensor_form);
    size_t new_front = bytes_put_varint(front, 0);
    new_front += bytes_put_varint(front + new_front, sensor_form);
    new_front += bytes_put_varint(front + new_front, bytes_zigzag(0));
    memmove(bytes + BLOCK_HEADER_BYTES + new_front, bytes + position + old_front,
            count - old_front);
    memcpy(bytes + BLOCK_HEADER_BYTES, front, new_front);
    header->record_count = 1;
    header->room_used = (uint16_t)(new_front + count - old_front);
    header->first_sequence = header->last_sequence = record->sequence;
    header->base_boot_ms = record->boot_ms;
}

/* Reads the record that stands at PLACE. E_NOT_FOUND, E_DAMAGED; LMDB's. */
static int read_at(struct spool *spool, enum lane lane, uint64_t place, struct spool_reader *reader,
                   struct record *ret_record)
{
    uint64_t previous;
    spool_walk_start(reader, spool, lane, &(struct spool_position){.next = place});
    int rc = spool_reader_next(reader, ret_record, &previous);
    if (rc == E_END || (rc == E_OK && ret_record->sequence != place))
        return E_NOT_FOUND;
    return rc;
}

/* Likewise; where its block holds others, too, nothing of these is left. */
static int take_out(struct spool *spool, const struct burial *burial, struct spool_reader *reader)
{
    struct record record;
    int rc = read_at(spool, burial->lane, burial->place, reader, &record);
    if (rc == E_OK && reader->header.fragment_count == 1)
        reduce_to(reader->block, &reader->header, reader->walk.before,
                  reader->walk.position - reader->walk.before, &record);
    return rc;
}

/* ---- room ---- */

static int count_part(struct dead_count counts[SPOOL_ROUTES_MAX], const struct store_key *key,
                      size_t bytes, bool more)
{
    unsigned route = key->bytes[1];
    if (key->count != LETTER_KEY_BYTES || route >= SPOOL_ROUTES_MAX)
        return E_DAMAGED;
    bool letter = bytes_get_be16(key->bytes + 10) == 0;
    struct dead_count *count = &counts[route];
    count->letters = more ? count->letters + letter : count->letters - letter;
    count->bytes = more ? count->bytes + bytes : count->bytes - bytes;
    return E_OK;
}

static int put_part(struct commit *commit, const struct store_key *key, const void *value,
                    size_t bytes)
{
    const uint8_t *known;
    size_t known_bytes;
    int rc = store_get(commit->txn, key, &known, &known_bytes);
    if (rc == E_OK)
        rc = count_part(commit->dead, key, known_bytes, false);
    if (rc < 0 && rc != E_NOT_FOUND)
        return rc;
    rc = store_put(commit->txn, key, value, bytes);
    return rc < 0 ? rc : count_part(commit->dead, key, bytes, true);
}

/* Deletes all parts of the letter at PLACE. */
static int delete_letter(struct commit *commit, unsigned route, uint64_t place)
{
    struct store_key key = key_of(route, place, 0);
    const uint8_t *value;
    size_t bytes;
    for (;;) {
        struct store_key found;
        int rc = store_at_or_after(commit->txn, &key, &found, &value, &bytes);
        if (rc == E_NOT_FOUND ||
            (rc == E_OK && memcmp(found.bytes, key.bytes, LETTER_KEY_BYTES - 2) != 0))
            return E_OK;
        if (rc == E_OK)
            rc = count_part(commit->dead, &found, bytes, false);
        if (rc == E_OK)
            rc = store_delete(commit->txn, &found);
        if (rc < 0)
            return rc;
    }
}

/* The route with most of them; the bytes of all in ret_sum. */
static unsigned fullest_route(const struct commit *commit, uint64_t *ret_sum)
{
    unsigned fullest = 0;
    *ret_sum = 0;
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++) {
        *ret_sum += commit->dead[i].bytes;
        if (commit->dead[i].bytes > commit->dead[fullest].bytes)
            fullest = i;
    }
    return fullest;
}

/* The oldest letters of the route with most of them give way to a new one. */
static int make_room(struct spool *spool, struct commit *commit, size_t bytes)
{
    uint64_t limit = spool->size_bytes / 100 * spool->options.dead_percent;
    uint64_t sum;
    if (bytes > limit)
        return E_TOO_BIG;
    for (;;) {
        unsigned route = fullest_route(commit, &sum);
        struct store_key key = key_of(route, 0, 0);
        const uint8_t *value;
        size_t count;
        if (sum + bytes <= limit || commit->dead[route].letters == 0)
            return E_OK;
        int rc = store_at_or_after(commit->txn, &key, &key, &value, &count);
        if (rc == E_OK)
            rc = delete_letter(commit, route, bytes_get_be64(key.bytes + 2));
        if (rc < 0)
            return rc;
        commit->letters_dropped++;
    }
}

/* ---- burying ---- */

static int put_letter(struct spool *spool, struct commit *commit, unsigned route,
                      const struct block_header *header)
{
    const struct burial *burial = &commit->burials[route];
    struct spool_clock_reading now;
    uint8_t content[AT_REASON + SPOOL_REASON_BYTES] = {0};
    uint8_t sealed[sizeof content + LETTER_KEY_BYTES + SEAL_EXTRA_BYTES];
    size_t reason_bytes = strlen(burial->reason);
    struct store_key key = key_of(route, burial->place, 0);
    spool->options.clock(spool->options.clock_context, &now);
    bytes_put_le64(content + AT_WALL_MS, (uint64_t)(now.boot_ms + now.offset_ms));
    bytes_put_le32(content + AT_ATTEMPTS, burial->attempts);
    bytes_put_le16(content + AT_FRAGMENTS, header->fragment_count);
    content[AT_LANE] = header->lane;
    memcpy(content + AT_ROUTE_NAME, spool->routes[route]->name, SPOOL_ROUTE_NAME_BYTES);
    memcpy(content + AT_REASON, burial->reason, reason_bytes);
    size_t count = seal_put(key.bytes, key.count, content, AT_REASON + reason_bytes, sealed);
    return put_part(commit, &key, sealed, count);
}

static int put_fragment(struct commit *commit, unsigned route, struct block_header *header,
                        uint8_t bytes[BLOCK_BYTES])
{
    uint64_t place = commit->burials[route].place;
    struct store_key key = key_of(route, place, (uint16_t)(header->fragment + 1));
    header->not_for = UINT8_MAX;
    block_seal(bytes, header);
    return put_part(commit, &key, bytes, block_bytes(header));
}

/* All of them, or the error: E_NOT_FOUND, too, if they go away. */
static int put_fragments(struct commit *commit, unsigned route, struct spool_reader *reader)
{
    struct block_header *header = &reader->header;
    const uint8_t *piece;
    size_t bytes;
    for (;;) {
        int rc = put_fragment(commit, route, header, reader->block);
        if (rc == E_OK)
            rc = spool_reader_piece(reader, &piece, &bytes);
        if (rc == E_END)
            return E_OK;
        if (rc < 0)
            return rc == E_CHANGED ? E_NOT_FOUND : rc;
        /* The fragments of a document differ in nothing else (spool_head.c). */
        header->fragment = reader->piece;
        header->record_count = 0;
        header->room_used = (uint16_t)bytes;
    }
}

/* A letter of which a part is missing is none. */
static int bury(struct spool *spool, struct commit *commit, unsigned route)
{
    const struct burial *burial = &commit->burials[route];
    struct spool_reader reader;
    const struct block_header *header = &reader.header;
    int rc = take_out(spool, burial, &reader);
    if (rc == E_OK)
        rc = make_room(spool, commit, (size_t)header->fragment_count * block_bytes(header));
    if (rc == E_OK)
        rc = put_letter(spool, commit, route, header);
    if (rc < 0)
        return rc;
    rc = put_fragments(commit, route, &reader);
    if (rc == E_OK)
        return rc;
    int gone = delete_letter(commit, route, burial->place);
    return gone < 0 ? gone : rc;
}

/* ---- letters ---- */

static int open_letter(const struct store_key *key, const uint8_t *value, size_t bytes,
                       struct spool_letter *ret_letter)
{
    struct seal seal;
    if (seal_open(value, bytes, &seal) < 0 || seal.content_bytes < AT_REASON ||
        seal.content_bytes - AT_REASON >= SPOOL_REASON_BYTES || seal.key_bytes != key->count ||
        memcmp(seal.key, key->bytes, key->count) != 0)
        return E_DAMAGED;
    const uint8_t *content = seal.content;
    *ret_letter = (struct spool_letter){
        .route = key->bytes[1],
        .place = bytes_get_be64(key->bytes + 2),
        .lane = (enum lane)content[AT_LANE],
        .wall_ms = (int64_t)bytes_get_le64(content + AT_WALL_MS),
        .attempts = bytes_get_le32(content + AT_ATTEMPTS),
        .queued = (content[AT_FLAGS] & LETTER_QUEUED) != 0,
    };
    memcpy(ret_letter->route_name, content + AT_ROUTE_NAME, SPOOL_ROUTE_NAME_BYTES - 1);
    memcpy(ret_letter->reason, content + AT_REASON, seal.content_bytes - AT_REASON);
    return ret_letter->lane < LANE_COUNT ? E_OK : E_DAMAGED;
}

/* The first letter behind ROUTE and PLACE; what is damaged is passed over. */
static int next_letter(struct store_txn *txn, unsigned route, uint64_t place,
                       struct spool_letter *ret_letter)
{
    struct store_key key = key_of(route, place, UINT16_MAX);
    const uint8_t *value;
    size_t bytes;
    for (;;) {
        int rc = store_at_or_after(txn, &key, &key, &value, &bytes);
        if (rc == E_NOT_FOUND || (rc == E_OK && key.bytes[0] != STORE_DEAD))
            return E_END;
        if (rc == E_OK && bytes_get_be16(key.bytes + 10) == 0)
            rc = open_letter(&key, value, bytes, ret_letter);
        else if (rc == E_OK)
            rc = E_DAMAGED; /* the rest of a letter without its beginning */
        if (rc != E_DAMAGED)
            return rc;
        key.bytes[key.count++] = 0;
    }
}

/* ---- what was asked for ---- */

struct letter_parts {
    struct block_header headers[CONFIG_SPOOL_HEAD_BLOCKS];
    uint8_t blocks[CONFIG_SPOOL_HEAD_BLOCKS][BLOCK_BYTES];
};

static int read_parts(struct commit *commit, const struct dead_request *request,
                      struct letter_parts *parts, uint16_t *ret_count)
{
    uint16_t count = 0;
    uint16_t wanted = 1;
    for (; count < wanted; count++) {
        struct store_key key = key_of(request->route, request->place, (uint16_t)(count + 1));
        const uint8_t *value;
        size_t bytes;
        int rc = store_get(commit->txn, &key, &value, &bytes);
        if (rc == E_OK)
            rc = block_open(value, bytes, &parts->headers[count]);
        if (rc < 0)
            return rc;
        wanted = parts->headers[0].fragment_count;
        if (wanted > CONFIG_SPOOL_HEAD_BLOCKS)
            return E_TOO_BIG;
        memcpy(parts->blocks[count], value, bytes);
        parts->headers[count].not_for = 0;
    }
    *ret_count = count;
    return E_OK;
}

/* Back into its lane, for the one route that it was dead for. */
static int send_again(struct spool *spool, struct commit *commit,
                      const struct dead_request *request)
{
    uint16_t count = 0;
    struct letter_parts *parts = malloc(sizeof *parts); /* rare enough */
    if (parts == NULL)
        return E_AGAIN;
    int rc = read_parts(commit, request, parts, &count);
    const struct head_import import = {.headers = parts->headers,
                                       .blocks = parts->blocks[0],
                                       .count = count,
                                       .not_for = (uint8_t) ~(1U << request->route)};
    (void)pthread_mutex_lock(&spool->lock);
    if (rc == E_OK)
        rc = spool_head_import_locked(spool, &import);
    (void)pthread_mutex_unlock(&spool->lock);
    free(parts);
    commit->all = commit->all || rc == E_OK;
    return rc;
}

/* The commit that has the record in its lane again takes its letter away. */
static int answer(struct spool *spool, struct commit *commit, struct dead_request *request)
{
    int rc = E_OK;
    if (request->again && !request->imported)
        rc = send_again(spool, commit, request);
    request->seen = true;
    if (rc == E_AGAIN)
        return E_OK; /* later */
    request->done = true;
    request->imported = rc == E_OK;
    if (rc == E_OK)
        rc = delete_letter(commit, request->route, request->place);
    bool never =
        rc == E_NOT_FOUND || rc == E_CHECKSUM || rc == E_DAMAGED || rc == E_END || rc == E_TOO_BIG;
    return never ? E_OK : rc;
}

static int answer_all(struct spool *spool, struct commit *commit)
{
    (void)pthread_mutex_lock(&spool->lock);
    size_t count = spool->recycling == 0 ? spool->dead_request_count : 0;
    (void)pthread_mutex_unlock(&spool->lock);
    for (size_t i = 0; i < count; i++) { /* nobody but the committer takes any out */
        int rc = answer(spool, commit, &spool->dead_requests[i]);
        if (rc < 0)
            return rc;
    }
    return E_OK;
}

static bool is_owed_locked(const struct spool *spool, const struct spool_letter *letter)
{
    const struct spool_route *route = spool->routes[letter->route];
    return route != NULL && route->open && strcmp(route->name, letter->route_name) == 0 &&
           spool_route_low_locked(route, letter->lane) < letter->place &&
           !cursor_contains(&route->cursors[letter->lane], letter->place);
}

/* A cut between a burial and its acknowledgement leaves a letter whose record is owed all the same:
 * it is in its lane, and will be delivered, or buried anew. */
static int drop_stale(struct spool *spool, struct commit *commit)
{
    struct spool_letter letter = {.route = 0};
    struct spool_reader reader;
    struct record record;
    int rc;
    while ((rc = next_letter(commit->txn, letter.route, letter.place, &letter)) == E_OK) {
        (void)pthread_mutex_lock(&spool->lock);
        bool owed = is_owed_locked(spool, &letter);
        (void)pthread_mutex_unlock(&spool->lock);
        if (owed && read_at(spool, letter.lane, letter.place, &reader, &record) == E_OK)
            rc = delete_letter(commit, letter.route, letter.place);
        if (rc < 0)
            return rc;
    }
    return rc == E_END ? E_OK : rc;
}

/* What the command line marked while no agent ran. */
static int find_queued(struct spool *spool, struct commit *commit)
{
    struct spool_letter letter = {.route = 0};
    int rc;
    while ((rc = next_letter(commit->txn, letter.route, letter.place, &letter)) == E_OK) {
        if (!letter.queued)
            continue;
        if (spool_dead_ask(spool, &letter, true) == E_AGAIN)
            return E_OK; /* the rest follows */
    }
    spool->dead_queued = rc != E_END;
    return rc == E_END ? E_OK : rc;
}

static void take_burials(struct spool *spool, struct commit *commit)
{
    (void)pthread_mutex_lock(&spool->lock);
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++)
        if (spool->routes[i] != NULL)
            commit->burials[i] = spool->routes[i]->burial;
    memcpy(commit->dead, spool->dead, sizeof commit->dead);
    (void)pthread_mutex_unlock(&spool->lock);
}

int spool_dead_put(struct spool *spool, struct commit *commit)
{
    int rc = E_OK;
    take_burials(spool, commit);
    if (!commit->first && spool->dead_unsure)
        rc = drop_stale(spool, commit);
    if (rc == E_OK && !commit->first && spool->dead_queued && spool->dead_request_count == 0)
        rc = find_queued(spool, commit);
    if (!commit->first && rc == E_OK)
        rc = answer_all(spool, commit);
    for (unsigned i = 0; rc == E_OK && i < SPOOL_ROUTES_MAX; i++) {
        if (!commit->burials[i].wanted)
            continue;
        rc = bury(spool, commit, i);
        commit->burials[i].result = rc;
        if (rc == E_NOT_FOUND || rc == E_DAMAGED || rc == E_TOO_BIG)
            rc = E_OK; /* the route is told */
    }
    return rc;
}

/* Whether something was asked for while the commit was being made, which has forgotten it. */
static bool came_late(const struct spool *spool, const struct commit *commit)
{
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++)
        if (spool->routes[i] != NULL && spool->routes[i]->burial.wanted &&
            (!commit->burials[i].wanted ||
             commit->burials[i].place != spool->routes[i]->burial.place))
            return true;
    for (size_t i = 0; i < spool->dead_request_count; i++)
        if (!spool->dead_requests[i].seen)
            return true;
    return spool->dead_queued && spool->dead_request_count == 0 && !commit->first;
}

void spool_dead_settle_locked(struct spool *spool, const struct commit *commit, int rc)
{
    size_t left = 0;
    if (rc == E_OK)
        memcpy(spool->dead, commit->dead, sizeof spool->dead);
    spool->dead_unsure = spool->dead_unsure && (rc < 0 || commit->first);
    for (size_t i = 0; i < spool->dead_request_count; i++) {
        struct dead_request request = spool->dead_requests[i];
        if (request.done && rc == E_OK)
            continue;
        request.done = false;
        spool->dead_requests[left++] = request;
    }
    spool->dead_request_count = left;
    if (rc == E_OK && commit->letters_dropped > 0)
        log_info("dead-letters-dropped count=%u why=\"their space is full\"",
                 commit->letters_dropped);
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++) {
        const struct burial *taken = &commit->burials[i];
        struct burial *burial = taken->wanted ? &spool->routes[i]->burial : NULL;
        if (burial == NULL || !burial->wanted || burial->place != taken->place)
            continue;
        burial->wanted = false;
        burial->result = rc < 0 ? rc : taken->result;
    }
    if (came_late(spool, commit)) {
        spool_commit_now_locked(spool);
    }
    (void)pthread_cond_broadcast(&spool->room);
}

/* ---- the route's side ---- */

int spool_dead_bury(struct spool_route *route, const struct spool_death *death, int64_t deadline_ms)
{
    struct spool *spool = route->spool;
    struct burial *burial = &route->burial;
    (void)pthread_mutex_lock(&spool->lock);
    *burial = (struct burial){.wanted = true,
                              .lane = death->lane,
                              .place = death->mark.sequence,
                              .attempts = death->attempts};
    size_t bytes = strnlen(death->reason, SPOOL_REASON_BYTES - 1);
    memcpy(burial->reason, death->reason, bytes);
    spool_commit_now_locked(spool);
    while (burial->wanted && clock_mono_ms() < deadline_ms && !stop_requested(&spool->stop))
        spool_wait_for_room_locked(spool, deadline_ms);
    int rc = burial->wanted ? E_TIMEOUT : burial->result;
    burial->wanted = false;
    (void)pthread_mutex_unlock(&spool->lock);
    if (rc == E_OK)
        spool_route_ack(route, death->lane, &death->mark, 1, SPOOL_DEAD);
    return rc;
}

void spool_dead_lose(struct spool_route *route, enum lane lane, const struct spool_mark *mark)
{
    spool_route_lose(route, lane, mark->previous, mark->sequence, 1);
}

/* ---- listing ---- */

int spool_dead_next(struct spool *spool, const struct spool_letter *after,
                    struct spool_letter *ret_letter)
{
    struct store_txn *txn;
    if (!atomic_load(&spool->store_ready))
        return E_END;
    int rc = store_begin_read(spool->store, &txn);
    if (rc < 0)
        return rc;
    rc = next_letter(txn, after == NULL ? 0 : after->route, after == NULL ? 0 : after->place,
                     ret_letter);
    store_abort(txn);
    return rc;
}

int spool_dead_part(struct spool *spool, const struct spool_letter *letter, uint16_t fragment,
                    uint8_t bytes[BLOCK_BYTES], struct block_header *ret_header)
{
    struct store_key key = key_of(letter->route, letter->place, (uint16_t)(fragment + 1));
    struct store_txn *txn;
    const uint8_t *value;
    size_t count;
    int rc = store_begin_read(spool->store, &txn);
    if (rc < 0)
        return rc;
    rc = store_get(txn, &key, &value, &count);
    if (rc == E_OK)
        rc = block_open(value, count, ret_header);
    if (rc == E_OK)
        memcpy(bytes, value, count);
    store_abort(txn);
    return rc == E_CHECKSUM ? E_DAMAGED : rc;
}

int spool_dead_open(struct spool_reader *reader, struct spool *spool,
                    const struct spool_letter *letter, struct record *ret_record)
{
    memset(reader, 0, offsetof(struct spool_reader, block));
    reader->spool = spool;
    reader->lane = letter->lane;
    reader->letter = letter;
    int rc = spool_dead_part(spool, letter, 0, reader->block, &reader->header);
    return rc < 0 ? rc : spool_reader_first(reader, ret_record);
}

int spool_dead_load(struct spool *spool, const struct store_key *key, const uint8_t *value,
                    size_t bytes)
{
    struct spool_letter letter;
    int rc = count_part(spool->dead, key, bytes, true);
    spool->dead_unsure = true; /* unless the last stop was clean */
    if (rc == E_OK && bytes_get_be16(key->bytes + 10) == 0 &&
        open_letter(key, value, bytes, &letter) == E_OK && letter.queued)
        spool->dead_queued = true;
    return rc;
}

/* ---- asking ---- */

static int add_request_locked(struct spool *spool, const struct spool_letter *letter, bool again)
{
    const struct spool_route *route = spool->routes[letter->route];
    if (spool->dead_request_count == DEAD_REQUESTS_MAX)
        return E_AGAIN;
    if (again && (route == NULL || !route->open || strcmp(route->name, letter->route_name) != 0))
        return E_NOT_FOUND;
    if (again && !route->hold)
        return E_UNSUPPORTED;
    spool->dead_requests[spool->dead_request_count++] =
        (struct dead_request){.route = letter->route, .place = letter->place, .again = again};
    spool_commit_now_locked(spool);
    return E_OK;
}

int spool_dead_ask(struct spool *spool, const struct spool_letter *letter, bool again)
{
    (void)pthread_mutex_lock(&spool->lock);
    int rc = add_request_locked(spool, letter, again);
    (void)pthread_mutex_unlock(&spool->lock);
    return rc;
}

static int mark_queued(struct store_txn *txn, const struct spool_letter *letter)
{
    struct store_key key = key_of(letter->route, letter->place, 0);
    uint8_t content[AT_REASON + SPOOL_REASON_BYTES];
    uint8_t sealed[sizeof content + LETTER_KEY_BYTES + SEAL_EXTRA_BYTES];
    struct seal seal;
    const uint8_t *value;
    size_t bytes;
    int rc = store_get(txn, &key, &value, &bytes);
    if (rc < 0)
        return rc;
    if (seal_open(value, bytes, &seal) < 0 || seal.content_bytes > sizeof content)
        return E_DAMAGED;
    memcpy(content, seal.content, seal.content_bytes);
    content[AT_FLAGS] |= LETTER_QUEUED;
    size_t count = seal_put(key.bytes, key.count, content, seal.content_bytes, sealed);
    return store_put(txn, &key, sealed, count);
}

int spool_dead_change(struct spool *spool, const struct spool_letter *letter, bool again)
{
    struct commit commit = {.txn = NULL};
    if (spool->store == NULL)
        return E_NOT_FOUND;
    int rc = store_begin_write(spool->store, &commit.txn);
    if (rc < 0)
        return rc;
    memcpy(commit.dead, spool->dead, sizeof commit.dead);
    rc = again ? mark_queued(commit.txn, letter)
               : delete_letter(&commit, letter->route, letter->place);
    if (rc < 0) {
        store_abort(commit.txn);
        return rc;
    }
    rc = store_commit(commit.txn);
    if (rc == E_OK)
        memcpy(spool->dead, commit.dead, sizeof spool->dead);
    return rc;
}

void spool_dead_count(struct spool *spool, uint64_t *ret_letters, uint64_t *ret_bytes)
{
    *ret_letters = *ret_bytes = 0;
    (void)pthread_mutex_lock(&spool->lock);
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++) {
        *ret_letters += spool->dead[i].letters;
        *ret_bytes += spool->dead[i].bytes;
    }
    (void)pthread_mutex_unlock(&spool->lock);
}
