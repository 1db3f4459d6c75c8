/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/spool/scan.h"
#include "agent/spool/spool_state.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/clock.h"

/*
 * What was set aside may be damaged, of another version or of another word size: it is not opened
 * but searched. Whatever block is whole comes back into its lane as it is, for the routes that have
 * not acknowledged it by the cursors that are found; its records keep their identity. How far this
 * came is committed together with the blocks, as the offset in a followed file is.
 */
enum {
    CHUNK_BYTES = 256 * 1024,
    SECTOR_BYTES = 4096, /* what is passed over where the medium cannot be read */
    WAIT_MS = 60 * 1000, /* whatever is waited for wakes up */
    FRAGMENTS_MAX = CONFIG_SPOOL_HEAD_BLOCKS,
    ROUTES_MAX = 4 * SPOOL_ROUTES_MAX, /* that a file may have known in its time */
};

/** A block of the file. */
struct found_block {
    uint64_t spool_id;
    uint64_t first;
    uint64_t offset;
    uint16_t fragment;
    uint16_t bytes;
    uint8_t lane;
};

/** A route of the file, at its latest. */
struct found_route {
    unsigned index;
    uint32_t birth;
    char name[SPOOL_ROUTE_NAME_BYTES];
    uint64_t accepted[LANE_COUNT];
    uint64_t stored[LANE_COUNT];
    struct cursor cursors[LANE_COUNT];
    bool has_cursor[LANE_COUNT];
};

struct salvage {
    struct spool *spool;
    unsigned number;
    char path[FS_PATH_BYTES];
    int fd;
    struct stat file;
    uint64_t id; /* of the spool that the file held; 0: it does not say */

    struct found_block *blocks;
    size_t count;
    size_t room;
    struct found_route *routes; /* ROUTES_MAX of them */
    size_t route_count;
    struct found_route *matched[SPOOL_ROUTES_MAX]; /* by the numbers of the routes here */
    uint8_t *definitions[SENSORS_MAX];
    size_t definition_bytes[SENSORS_MAX];
    struct timeline boots;
    uint32_t lived_boot; /* the last that wrote a state, */
    int64_t lived_ms;    /* and how far its clock came */
    uint32_t sensor_max;
    uint32_t sensor_base;
    int error;    /* out of memory */
    bool newer;   /* another version is to look after the file */
    bool keeps;   /* there is more than this program can take */
    bool known;   /* something of a spool was found */
    bool brought; /* something came back in this run */

    uint8_t *bytes; /* FRAGMENTS_MAX blocks, and what is read at once */
    struct block_header headers[FRAGMENTS_MAX];
    uint64_t owed[SPOOL_ROUTES_MAX];
    uint64_t recovered[SPOOL_ROUTES_MAX][LANE_COUNT];
    uint64_t records;
};

/* ---- what is found ---- */

static void on_block(void *context, const struct block_header *header, uint64_t offset)
{
    struct salvage *salvage = context;
    if (header->not_for == UINT8_MAX)
        return; /* the record of a dead letter */
    if (salvage->count == salvage->room) {
        size_t room = salvage->room == 0 ? 1024 : 2 * salvage->room;
        struct found_block *blocks = realloc(salvage->blocks, room * sizeof *blocks);
        if (blocks == NULL) {
            salvage->error = E_NO_MEMORY;
            return;
        }
        salvage->blocks = blocks;
        salvage->room = room;
    }
    salvage->known = true;
    salvage->blocks[salvage->count++] = (struct found_block){.spool_id = header->spool_id,
                                                             .first = header->first_sequence,
                                                             .offset = offset,
                                                             .fragment = header->fragment,
                                                             .bytes = (uint16_t)block_bytes(header),
                                                             .lane = header->lane};
}

static void on_newer(void *context)
{
    struct salvage *salvage = context;
    salvage->keeps = true;
}

static void note_lived(struct salvage *salvage, const uint8_t *bytes, size_t count)
{
    uint32_t boot;
    int64_t lived_ms;
    if (spool_table_read_lived(bytes, count, &boot, &lived_ms) < 0 || boot < salvage->lived_boot ||
        (boot == salvage->lived_boot && lived_ms < salvage->lived_ms))
        return;
    salvage->lived_boot = boot;
    salvage->lived_ms = lived_ms;
}

static void on_state(void *context, const uint8_t *bytes, size_t count)
{
    struct salvage *salvage = context;
    int rc = spool_table_read_id(bytes, count, &salvage->id);
    if (rc == E_OK)
        note_lived(salvage, bytes, count);
    salvage->newer = salvage->newer || rc == E_VERSION;
    salvage->known = salvage->known || rc == E_OK;
}

static struct found_route *find_route(struct salvage *salvage, unsigned index, uint32_t birth)
{
    for (size_t i = 0; i < salvage->route_count; i++)
        if (salvage->routes[i].index == index && salvage->routes[i].birth == birth)
            return &salvage->routes[i];
    if (salvage->route_count == ROUTES_MAX)
        return NULL;
    struct found_route *route = &salvage->routes[salvage->route_count++];
    *route = (struct found_route){.index = index, .birth = birth};
    return route;
}

/* Old versions are found as well: acknowledgements and counters only grow. */
static void on_route(struct salvage *salvage, const struct seal *seal)
{
    struct spool_route stored;
    if (spool_table_get_route(seal->content, seal->content_bytes, &stored) < 0)
        return;
    struct found_route *route = find_route(salvage, seal->key[1], stored.birth);
    if (route == NULL)
        return;
    memcpy(route->name, stored.name, sizeof route->name);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        const struct spool_counters *c = &stored.counters[lane];
        uint64_t gone = c->delivered + c->dead + c->evicted;
        if (c->accepted < route->accepted[lane] ||
            (c->accepted == route->accepted[lane] && c->accepted - gone > route->stored[lane]))
            continue;
        route->accepted[lane] = c->accepted;
        route->stored[lane] = c->accepted - gone;
    }
}

static void merge_cursor(struct cursor *into, const struct cursor *from)
{
    for (size_t i = 0; i < from->count; i++)
        (void)cursor_add(into, from->intervals[i].first - 1, from->intervals[i].last);
    cursor_raise(into, from->low);
}

static void on_cursor(struct salvage *salvage, const struct seal *seal)
{
    static const size_t birth_bytes = CURSOR_BIRTH_BYTES;
    struct cursor *cursor;
    if (seal->content_bytes < birth_bytes || seal->key[2] >= LANE_COUNT)
        return;
    struct found_route *route = find_route(salvage, seal->key[1], bytes_get_le32(seal->content));
    cursor = route != NULL ? malloc(sizeof *cursor) : NULL;
    if (cursor == NULL)
        return;
    if (cursor_decode(seal->content + birth_bytes, seal->content_bytes - birth_bytes, cursor) ==
        E_OK) {
        merge_cursor(&route->cursors[seal->key[2]], cursor);
        route->has_cursor[seal->key[2]] = true;
    }
    free(cursor);
}

static void on_definition(struct salvage *salvage, const struct seal *seal)
{
    uint64_t number = bytes_get_be64(seal->key + 1);
    if (number == 0 || number > SENSORS_MAX || salvage->definitions[number - 1] != NULL)
        return;
    uint8_t *copy = malloc(seal->content_bytes);
    if (copy == NULL) {
        salvage->error = E_NO_MEMORY;
        return;
    }
    memcpy(copy, seal->content, seal->content_bytes);
    salvage->definitions[number - 1] = copy;
    salvage->definition_bytes[number - 1] = seal->content_bytes;
    if (number > salvage->sensor_max)
        salvage->sensor_max = (uint32_t)number;
}

static void on_boot(struct salvage *salvage, const struct seal *seal)
{
    struct timeline_boot boot;
    if (spool_time_decode(seal->key, seal->key_bytes, seal->content, seal->content_bytes, &boot) ==
        E_OK)
        timeline_collect(&salvage->boots, &boot);
}

static void on_seal(void *context, const struct seal *seal)
{
    struct salvage *salvage = context;
    enum store_table table = seal->key_bytes > 0 ? (enum store_table)seal->key[0] : 0;
    if (table == STORE_ROUTES && seal->key_bytes == 3)
        on_route(salvage, seal);
    else if (table == STORE_CURSORS && seal->key_bytes == 3)
        on_cursor(salvage, seal);
    else if (table == STORE_DICTIONARY && seal->key_bytes == 9)
        on_definition(salvage, seal);
    else if (table == STORE_BOOTS)
        on_boot(salvage, seal);
}

/* ---- reading ---- */

/* Reads what there is at OFFSET, zeros where the medium fails. */
static size_t read_at(struct salvage *salvage, uint64_t offset, uint8_t *to, size_t count)
{
    size_t done = 0;
    while (done < count) {
        ssize_t got = pread(salvage->fd, to + done, count - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            break;
        if (got < 0) {
            size_t hole = count - done < SECTOR_BYTES ? count - done : SECTOR_BYTES;
            memset(to + done, 0, hole);
            got = (ssize_t)hole;
        }
        done += (size_t)got;
    }
    return done;
}

static int scan_file(struct salvage *salvage)
{
    const struct scan_visitor visitor = {.block = on_block,
                                         .newer = on_newer,
                                         .seal = on_seal,
                                         .state = on_state,
                                         .context = salvage};
    uint64_t size = (uint64_t)salvage->file.st_size;
    uint64_t offset = 0;
    while (offset < size && salvage->error == E_OK) {
        if (stop_requested(&salvage->spool->salvage_stop))
            return E_STOP;
        size_t count = read_at(salvage, offset, salvage->bytes, CHUNK_BYTES + SCAN_OVERLAP_BYTES);
        size_t end = count < CHUNK_BYTES ? count : CHUNK_BYTES;
        if (count == 0)
            break;
        offset += scan_bytes(salvage->bytes, count, end, offset, &visitor);
    }
    return salvage->error;
}

/* A file whose state is lost is known by its blocks. */
static bool fits_names(struct salvage *salvage, uint64_t id)
{
    for (size_t i = 0; i < salvage->count && salvage->id == 0; i++)
        if (salvage->blocks[i].spool_id == id)
            salvage->id = id;
    return salvage->id == id;
}

/* The names beside the file, for the sensors whose names in it are damaged. */
static void read_names(struct salvage *salvage)
{
    const struct scan_visitor visitor = {.block = on_block,
                                         .newer = on_newer,
                                         .seal = on_seal,
                                         .state = on_state,
                                         .context = salvage};
    uint8_t *bytes;
    size_t count;
    uint64_t id;
    if (spool_names_load(salvage->path, &bytes, &count, &id) < 0)
        return;
    if (fits_names(salvage, id))
        (void)scan_bytes(bytes, count, count, 0, &visitor);
    free(bytes);
}

/* ---- order ---- */

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Of two versions of a block the one with more in it comes first. */
static int compare(const void *a, const void *b)
{
    const struct found_block *x = a;
    const struct found_block *y = b;
    int order = compare_numbers(x->lane, y->lane);
    if (order == 0)
        order = compare_numbers(x->spool_id, y->spool_id);
    if (order == 0)
        order = compare_numbers(x->first, y->first);
    if (order == 0)
        order = compare_numbers(x->fragment, y->fragment);
    if (order == 0)
        order = compare_numbers(y->bytes, x->bytes);
    return order != 0 ? order : compare_numbers(x->offset, y->offset);
}

static bool is_same_block(const struct found_block *a, const struct found_block *b)
{
    return a->lane == b->lane && a->spool_id == b->spool_id && a->first == b->first;
}

static void sort_blocks(struct salvage *salvage)
{
    size_t kept = 0;
    qsort(salvage->blocks, salvage->count, sizeof *salvage->blocks, compare);
    for (size_t i = 0; i < salvage->count; i++) {
        const struct found_block *last = kept > 0 ? &salvage->blocks[kept - 1] : NULL;
        if (last != NULL && is_same_block(last, &salvage->blocks[i]) &&
            last->fragment == salvage->blocks[i].fragment)
            continue;
        salvage->blocks[kept++] = salvage->blocks[i];
    }
    salvage->count = kept;
}

/* ---- for whom ---- */

/* The file's route of that name, the last one to bear it. */
static struct found_route *route_called(struct salvage *salvage, const char *name)
{
    struct found_route *found = NULL;
    for (size_t i = 0; i < salvage->route_count; i++) {
        struct found_route *route = &salvage->routes[i];
        if (strcmp(route->name, name) == 0 && (found == NULL || route->birth > found->birth))
            found = route;
    }
    return found;
}

/* Places in the file are sequences for what its own intake took; what was brought into it has
 * places that nobody knows any more. */
static bool has_places(const struct salvage *salvage, const struct block_header *header)
{
    return header->spool_id == salvage->id && header->not_for == 0;
}

/* Counts per route what it is owed; E_NOT_FOUND: the definition of a sensor is missing. */
static int count_owed(struct salvage *salvage)
{
    const struct block_header *header = &salvage->headers[0];
    struct block_walk walk;
    struct record record;
    int rc;
    memset(salvage->owed, 0, sizeof salvage->owed);
    block_walk_start(&walk, header);
    while ((rc = block_walk_next(&walk, salvage->bytes, &record)) == E_OK) {
        uint64_t sensor = (uint64_t)record.sensor + header->sensor_base;
        if (sensor == 0 || sensor > SENSORS_MAX || salvage->definitions[sensor - 1] == NULL)
            return E_NOT_FOUND;
        for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++)
            salvage->owed[i] +=
                salvage->matched[i] == NULL || !has_places(salvage, header) ||
                !cursor_contains(&salvage->matched[i]->cursors[header->lane], record.sequence);
    }
    return rc == E_END ? E_OK : rc;
}

/* The routes that have all of the block, or were never to get it. */
static uint8_t routes_without(const struct salvage *salvage)
{
    const struct block_header *header = &salvage->headers[0];
    unsigned not_for = 0;
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++) {
        bool excluded =
            salvage->matched[i] != NULL && (header->not_for >> salvage->matched[i]->index & 1) != 0;
        if (salvage->owed[i] == 0 || excluded)
            not_for |= 1U << i;
    }
    return (uint8_t)not_for;
}

/* ---- bringing back ---- */

/* Reads the blocks that make up the one at INDEX and returns their number; E_DAMAGED if one of them
 * is missing. */
static int read_group(struct salvage *salvage, size_t index)
{
    size_t count = 0;
    while (index + count < salvage->count && count < FRAGMENTS_MAX &&
           is_same_block(&salvage->blocks[index], &salvage->blocks[index + count])) {
        const struct found_block *found = &salvage->blocks[index + count];
        uint8_t *to = salvage->bytes + count * BLOCK_BYTES;
        struct block_header *header = &salvage->headers[count];
        if (read_at(salvage, found->offset, to, found->bytes) != found->bytes ||
            block_open(to, found->bytes, header) != E_OK || header->fragment != count)
            return E_DAMAGED;
        count++;
    }
    return count == salvage->headers[0].fragment_count ? (int)count : E_DAMAGED;
}

static size_t group_size(const struct salvage *salvage, size_t index)
{
    size_t count = 1;
    while (index + count < salvage->count &&
           is_same_block(&salvage->blocks[index], &salvage->blocks[index + count]))
        count++;
    return count;
}

static void name_progress(const struct salvage *salvage, char name[SAMPLE_NAME_BYTES])
{
    (void)snprintf(name, SAMPLE_NAME_BYTES, "/aside-%u", salvage->number);
}

static struct sample_origin origin_at(const struct salvage *salvage, size_t index)
{
    int64_t changed_ns =
        (int64_t)salvage->file.st_mtim.tv_sec * 1000000000 + salvage->file.st_mtim.tv_nsec;
    return (struct sample_origin){.present = true,
                                  .device = (uint64_t)changed_ns,
                                  .inode = (uint64_t)salvage->file.st_ino,
                                  .offset = index};
}

static void note_recovered(struct salvage *salvage, uint8_t not_for)
{
    const struct block_header *header = &salvage->headers[0];
    salvage->records += header->record_count;
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++)
        if ((not_for >> i & 1) == 0)
            salvage->recovered[i][header->lane] += salvage->owed[i];
}

/* Waits for room as long as it takes. E_STOP. */
static int import(struct salvage *salvage, const struct head_import *group, size_t next)
{
    struct spool *spool = salvage->spool;
    struct sample_origin origin = origin_at(salvage, next);
    char name[SAMPLE_NAME_BYTES];
    name_progress(salvage, name);
    (void)pthread_mutex_lock(&spool->lock);
    int rc = spool_head_import_locked(spool, group);
    while (rc == E_AGAIN && !stop_requested(&spool->salvage_stop)) {
        spool_wait_for_room_locked(spool, clock_mono_ms() + WAIT_MS);
        rc = spool_head_import_locked(spool, group);
    }
    if (rc == E_OK)
        spool_note_source_locked(spool, name, (enum lane)group->headers[0].lane, &origin);
    (void)pthread_mutex_unlock(&spool->lock);
    return rc == E_AGAIN ? E_STOP : rc;
}

/* With IMPORTED, an earlier run has brought it back: it only counts. */
static int bring_back(struct salvage *salvage, size_t index, size_t next, bool imported)
{
    int count = read_group(salvage, index);
    int rc = count < 0 ? count : count_owed(salvage);
    if (rc < 0) {
        salvage->keeps = salvage->keeps || rc == E_NOT_FOUND;
        return E_OK; /* what is not whole, or has no meaning, is passed over */
    }
    uint8_t not_for = routes_without(salvage);
    for (int i = 0; i < count; i++) {
        salvage->headers[i].sensor_base += salvage->sensor_base;
        salvage->headers[i].not_for = 0;
    }
    const struct head_import group = {.headers = salvage->headers,
                                      .blocks = salvage->bytes,
                                      .count = (size_t)count,
                                      .not_for = not_for};
    if (!imported)
        rc = import(salvage, &group, next);
    salvage->brought = salvage->brought || (!imported && rc == E_OK);
    if (rc == E_OK)
        note_recovered(salvage, not_for);
    salvage->keeps = salvage->keeps || rc == E_TOO_BIG;
    return rc == E_STOP ? rc : E_OK;
}

/* A lane is on flash before the next one begins: how far this came is one number. */
static int wait_until_committed(struct spool *spool)
{
    (void)pthread_mutex_lock(&spool->lock);
    bool pending = spool_head_has_imports_locked(spool);
    while (pending && !stop_requested(&spool->salvage_stop)) {
        spool_commit_now_locked(spool);
        spool_wait_for_room_locked(spool, clock_mono_ms() + WAIT_MS);
        pending = spool_head_has_imports_locked(spool);
    }
    (void)pthread_mutex_unlock(&spool->lock);
    return pending ? E_STOP : E_OK;
}

static size_t find_progress(struct salvage *salvage)
{
    struct sample_origin known;
    struct sample_origin now = origin_at(salvage, 0);
    char name[SAMPLE_NAME_BYTES];
    name_progress(salvage, name);
    spool_find_origin(salvage->spool, name, &known);
    bool same = known.present && known.device == now.device && known.inode == now.inode;
    return same && known.offset <= salvage->count ? (size_t)known.offset : 0;
}

static int bring_all_back(struct salvage *salvage)
{
    size_t done = find_progress(salvage);
    size_t index = 0;
    int rc = E_OK;
    while (rc == E_OK && index < salvage->count) {
        size_t next = index + group_size(salvage, index);
        rc = bring_back(salvage, index, next, index < done);
        if (rc == E_OK &&
            (next == salvage->count || salvage->blocks[next].lane != salvage->blocks[index].lane))
            rc = wait_until_committed(salvage->spool);
        index = next;
    }
    return rc;
}

/* ---- one file ---- */

/* What the file's counters promised and its blocks did not give back is lost, and told. */
static void account(struct salvage *salvage, uint64_t *ret_lost)
{
    struct spool *spool = salvage->spool;
    *ret_lost = 0;
    (void)pthread_mutex_lock(&spool->lock);
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++)
        for (enum lane lane = 0; lane < LANE_COUNT && salvage->matched[i] != NULL; lane++) {
            uint64_t stored = salvage->matched[i]->stored[lane];
            uint64_t back = salvage->recovered[i][lane];
            if (back >= stored || (spool->lanes[lane].routes & 1U << i) == 0)
                continue;
            const struct gap_range range = {.first = salvage->matched[i]->cursors[lane].low + 1,
                                            .last = salvage->matched[i]->cursors[lane].low + stored,
                                            .count = stored - back};
            spool->routes[i]->counters[lane].accepted += range.count;
            spool->routes[i]->counters[lane].evicted += range.count;
            spool_gap_note_locked(spool->routes[i], lane, &range, SPOOL_GAP_DAMAGED);
            *ret_lost += range.count;
        }
    (void)pthread_mutex_unlock(&spool->lock);
}

static int remove_file(const struct salvage *salvage)
{
    char names[FS_PATH_BYTES];
    if (spool_names_path(salvage->path, names) == E_OK)
        (void)unlink(names);
    if (unlink(salvage->path) != 0)
        return error_sys(errno);
    return fs_sync_directory(salvage->spool->options.path);
}

/* A file that stays is searched at every start: it is told of only when there is something new. */
static void tell(struct salvage *salvage, const char *name, uint64_t lost)
{
    const struct spool *spool = salvage->spool;
    const struct spool_salvaged salvaged = {
        .file = name, .records = salvage->records, .lost = lost, .kept = salvage->keeps};
    bool news = !salvage->keeps || salvage->brought ||
                (spool->aside_now && strcmp(spool->set_aside.file, name) == 0);
    if (news && spool->options.on_salvaged != NULL)
        spool->options.on_salvaged(spool->options.event_context, &salvaged);
}

static void finish(struct salvage *salvage)
{
    struct spool *spool = salvage->spool;
    const char *name = strrchr(salvage->path, '/') + 1;
    uint64_t lost = 0;
    if (!salvage->keeps)
        account(salvage, &lost);
    int rc = salvage->keeps ? E_OK : remove_file(salvage);
    if (rc < 0)
        log_warning("spool-aside-stays file=%s error=\"%s\"", name, ERROR_TEXT(rc));
    (lost > 0 ? log_warning : log_info)(
        "spool-salvaged file=%s records=%" PRIu64 " lost=%" PRIu64 "%s", name, salvage->records,
        lost, salvage->keeps ? " kept=\"a newer version may read more\"" : "");
    (void)pthread_mutex_lock(&spool->lock);
    spool->aside = spool_aside_count(spool);
    spool_commit_ack_due_locked(spool, 1);
    (void)pthread_mutex_unlock(&spool->lock);
    tell(salvage, name, lost);
}

/* The routes of the file that bear the names of those that are open here. */
static void match_routes(struct salvage *salvage)
{
    struct spool *spool = salvage->spool;
    (void)pthread_mutex_lock(&spool->lock);
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++)
        if (spool->routes[i] != NULL && spool->routes[i]->open)
            salvage->matched[i] = route_called(salvage, spool->routes[i]->name);
    (void)pthread_mutex_unlock(&spool->lock);
}

/* By which blocks tell the time of their records. */
static void adopt_boots(struct salvage *salvage)
{
    for (size_t i = 0; i < salvage->boots.count; i++)
        if (salvage->boots.boots[i].number == salvage->lived_boot)
            timeline_lives(&salvage->boots.boots[i], salvage->lived_ms);
    spool_time_adopt(salvage->spool, &salvage->boots);
}

static int salvage_open_file(struct salvage *salvage)
{
    struct spool *spool = salvage->spool;
    int rc = scan_file(salvage);
    if (rc < 0 || salvage->newer || !salvage->known)
        return rc; /* it is for others to make something of it */
    read_names(salvage);
    if (salvage->error < 0)
        return salvage->error;
    sort_blocks(salvage);
    rc = spool_adopt_sensors(spool, salvage->definitions, salvage->definition_bytes,
                             salvage->sensor_max, &salvage->sensor_base);
    if (rc < 0)
        return rc;
    match_routes(salvage);
    adopt_boots(salvage);
    rc = bring_all_back(salvage);
    if (rc == E_OK)
        finish(salvage);
    return rc;
}

static int salvage_file(struct salvage *salvage)
{
    int rc = spool_aside_name(salvage->spool, salvage->number, salvage->path);
    if (rc < 0)
        return rc;
    salvage->fd = open(salvage->path, O_RDONLY | O_CLOEXEC);
    if (salvage->fd < 0)
        return errno == ENOENT ? E_NOT_FOUND : error_sys(errno);
    rc = fstat(salvage->fd, &salvage->file) == 0 ? E_OK : error_sys(errno);
    if (rc == E_OK)
        rc = salvage_open_file(salvage);
    (void)close(salvage->fd);
    return rc;
}

static void salvage_number(struct spool *spool, unsigned number)
{
    size_t buffer = (size_t)FRAGMENTS_MAX * BLOCK_BYTES;
    if (buffer < CHUNK_BYTES + SCAN_OVERLAP_BYTES)
        buffer = CHUNK_BYTES + SCAN_OVERLAP_BYTES;
    struct salvage *salvage = calloc(1, sizeof *salvage);
    int rc = E_NO_MEMORY;
    if (salvage != NULL) {
        salvage->spool = spool;
        salvage->number = number;
        salvage->bytes = malloc(buffer);
        salvage->routes = calloc(ROUTES_MAX, sizeof *salvage->routes);
        if (salvage->bytes != NULL && salvage->routes != NULL)
            rc = salvage_file(salvage);
        for (size_t i = 0; i < SENSORS_MAX; i++)
            free(salvage->definitions[i]);
        free(salvage->blocks);
        free(salvage->bytes);
        free(salvage->routes);
        free(salvage);
    }
    if (rc < 0 && rc != E_NOT_FOUND && rc != E_STOP)
        log_error("spool-not-salvaged path=%s.aside-%u error=\"%s\"", spool->path, number,
                  ERROR_TEXT(rc));
}

void spool_salvage_run(void *context)
{
    struct spool *spool = context;
    for (unsigned number = 1; number <= ASIDE_MAX && !stop_requested(&spool->salvage_stop);
         number++)
        salvage_number(spool, number);
    (void)pthread_mutex_lock(&spool->lock);
    spool->salvaging = false;
    (void)pthread_mutex_unlock(&spool->lock);
    progress_promise(spool->salvage_stop.progress, INT64_MAX);
}
