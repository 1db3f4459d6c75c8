/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/spool/spool_state.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"

/* Offsets of FORMAT.md, "State" and "Routes". */
enum { STATE_FORMAT = 1, STATE_CLEAN = 1 };
enum {
    AT_MAGIC = 0,
    AT_FORMAT = 4,
    AT_FLAGS = 6,
    AT_SPOOL_ID = 8,
    AT_RESERVED = 16,
    AT_COUNTERS_SINCE = 24,
    AT_NEXT_EVENT = 32,
    AT_NEXT_BOOT = 36,
    AT_LANES = 40, /* per lane: refused; records, blocks and bytes on flash */
    LANE_BYTES = 32,
    STATE_BYTES = AT_LANES + LANE_COUNT * LANE_BYTES,
};
enum {
    AT_NAME = 0,
    AT_ROUTE_FLAGS =
        SPOOL_ROUTE_NAME_BYTES, /* bit 0 active, 1 hold, 2.. a bit per lane, 5 counted */
    AT_ROUTE_LANES = SPOOL_ROUTE_NAME_BYTES + 8, /* per lane: accepted, delivered, dead, evicted */
    ROUTE_LANE_BYTES = 32,
    ROUTE_BYTES = AT_ROUTE_LANES + LANE_COUNT * ROUTE_LANE_BYTES,
    ROUTE_ACTIVE = 1,
    ROUTE_HOLD = 2,
    ROUTE_LANE_SHIFT = 2,
    ROUTE_COUNTED = 1 << (ROUTE_LANE_SHIFT + LANE_COUNT),
};
_Static_assert((int)STATE_BYTES <= (int)SPOOL_STATE_BYTES, "the state fits");
_Static_assert((int)ROUTE_BYTES <= (int)SPOOL_ROUTE_BYTES, "a route fits");

static const uint8_t magic[4] = {'R', 'N', 'L', 'S'};

size_t spool_table_put_state_locked(const struct spool *spool,
                                    const struct lane_flash flash[LANE_COUNT], uint64_t reserved,
                                    bool clean, uint8_t bytes[SPOOL_STATE_BYTES])
{
    memset(bytes, 0, SPOOL_STATE_BYTES);
    memcpy(bytes + AT_MAGIC, magic, sizeof magic);
    bytes_put_le16(bytes + AT_FORMAT, STATE_FORMAT);
    bytes[AT_FLAGS] = clean ? STATE_CLEAN : 0;
    bytes_put_le64(bytes + AT_SPOOL_ID, spool->id);
    bytes_put_le64(bytes + AT_RESERVED, reserved);
    bytes_put_le64(bytes + AT_COUNTERS_SINCE, (uint64_t)spool->counters_since_ms);
    bytes_put_le32(bytes + AT_NEXT_EVENT, spool->next_event);
    bytes_put_le32(bytes + AT_NEXT_BOOT, spool->next_boot);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        uint8_t *at = bytes + AT_LANES + (int)lane * LANE_BYTES;
        bytes_put_le64(at, spool->lanes[lane].refused);
        bytes_put_le64(at + 8, flash[lane].records);
        bytes_put_le64(at + 16, flash[lane].blocks);
        bytes_put_le64(at + 24, flash[lane].bytes);
    }
    return STATE_BYTES;
}

static int check_state(const uint8_t *bytes, size_t count)
{
    if (count < AT_FLAGS || memcmp(bytes, magic, sizeof magic) != 0)
        return E_DAMAGED;
    if (bytes_get_le16(bytes + AT_FORMAT) > STATE_FORMAT)
        return E_VERSION;
    return count < STATE_BYTES ? E_DAMAGED : E_OK;
}

static int get_flash(const uint8_t *bytes, size_t count, struct lane_flash flash[LANE_COUNT])
{
    int rc = check_state(bytes, count);
    for (enum lane lane = 0; rc == E_OK && lane < LANE_COUNT; lane++) {
        const uint8_t *at = bytes + AT_LANES + (int)lane * LANE_BYTES;
        flash[lane] = (struct lane_flash){.records = bytes_get_le64(at + 8),
                                          .blocks = bytes_get_le64(at + 16),
                                          .bytes = bytes_get_le64(at + 24)};
    }
    return rc;
}

static int get_state(struct spool *spool, const uint8_t *bytes, size_t count, bool *ret_clean)
{
    struct lane_flash flash[LANE_COUNT];
    int rc = get_flash(bytes, count, flash);
    if (rc < 0)
        return rc;
    spool->id = bytes_get_le64(bytes + AT_SPOOL_ID);
    spool->reserved = bytes_get_le64(bytes + AT_RESERVED);
    spool->counters_since_ms = (int64_t)bytes_get_le64(bytes + AT_COUNTERS_SINCE);
    spool->next_event = bytes_get_le32(bytes + AT_NEXT_EVENT);
    spool->next_boot = bytes_get_le32(bytes + AT_NEXT_BOOT);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        spool->lanes[lane].refused = bytes_get_le64(bytes + AT_LANES + (int)lane * LANE_BYTES);
        spool->lanes[lane].flash = flash[lane];
    }
    *ret_clean = (bytes[AT_FLAGS] & STATE_CLEAN) != 0;
    return E_OK;
}

size_t spool_table_put_route_locked(const struct spool_route *route,
                                    const struct spool_counters counters[LANE_COUNT], bool whole,
                                    uint8_t bytes[SPOOL_ROUTE_BYTES])
{
    /* A route that does not hold may have missed what never came to flash. */
    bool counted = route->open && whole && route->hold;
    unsigned flags = (route->open ? ROUTE_ACTIVE : 0) | (route->hold ? ROUTE_HOLD : 0) |
                     (counted ? ROUTE_COUNTED : 0);
    memset(bytes, 0, SPOOL_ROUTE_BYTES);
    memcpy(bytes + AT_NAME, route->name, sizeof route->name);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        uint8_t *at = bytes + AT_ROUTE_LANES + (int)lane * ROUTE_LANE_BYTES;
        flags |= route->lanes[lane] ? 1U << (ROUTE_LANE_SHIFT + lane) : 0;
        bytes_put_le64(at, counters[lane].accepted);
        bytes_put_le64(at + 8, counters[lane].delivered);
        bytes_put_le64(at + 16, counters[lane].dead);
        bytes_put_le64(at + 24, counters[lane].evicted);
    }
    bytes[AT_ROUTE_FLAGS] = (uint8_t)flags;
    return ROUTE_BYTES;
}

static struct spool_route *get_route(const uint8_t *bytes, size_t count)
{
    if (count < ROUTE_BYTES || bytes[AT_NAME + SPOOL_ROUTE_NAME_BYTES - 1] != '\0')
        return NULL;
    struct spool_route *route = calloc(1, sizeof *route);
    if (route == NULL)
        return NULL;
    unsigned flags = bytes[AT_ROUTE_FLAGS];
    memcpy(route->name, bytes + AT_NAME, sizeof route->name);
    route->used = true;
    route->active = (flags & ROUTE_ACTIVE) != 0;
    route->counted = (flags & ROUTE_COUNTED) != 0;
    route->hold = (flags & ROUTE_HOLD) != 0;
    route->armed_fd = -1;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        const uint8_t *at = bytes + AT_ROUTE_LANES + (int)lane * ROUTE_LANE_BYTES;
        route->lanes[lane] = (flags & 1U << (ROUTE_LANE_SHIFT + lane)) != 0;
        route->counters[lane] = (struct spool_counters){.accepted = bytes_get_le64(at),
                                                        .delivered = bytes_get_le64(at + 8),
                                                        .dead = bytes_get_le64(at + 16),
                                                        .evicted = bytes_get_le64(at + 24)};
    }
    return route;
}

/* ---- loading ---- */

typedef int load_entry(struct spool *spool, const struct store_key *key, const uint8_t *value,
                       size_t bytes);

static int load_route(struct spool *spool, const struct store_key *key, const uint8_t *value,
                      size_t bytes)
{
    unsigned index = key->bytes[1];
    if (key->count != 3 || index >= SPOOL_ROUTES_MAX)
        return E_DAMAGED;
    struct spool_route *route = get_route(value, bytes);
    if (route == NULL)
        return E_DAMAGED;
    route->spool = spool;
    route->index = index;
    spool->routes[index] = route;
    return E_OK;
}

static int load_cursor(struct spool *spool, const struct store_key *key, const uint8_t *value,
                       size_t bytes)
{
    unsigned index = key->bytes[1];
    unsigned lane = key->bytes[2];
    if (key->count != 3 || index >= SPOOL_ROUTES_MAX || lane >= LANE_COUNT)
        return E_DAMAGED;
    if (spool->routes[index] == NULL)
        return E_OK;
    return cursor_decode(value, bytes, &spool->routes[index]->cursors[lane]);
}

static int load_sensor(struct spool *spool, const struct store_key *key, const uint8_t *value,
                       size_t bytes)
{
    uint64_t number = key->count == 9 ? bytes_get_be64(key->bytes + 1) : 0;
    if (number == 0 || number > SENSORS_MAX)
        return E_DAMAGED;
    struct sensor_entry *entry = &spool->sensors[number - 1];
    int rc = dictionary_decode(value, bytes, &entry->definition);
    if (rc < 0)
        return rc;
    entry->bytes = malloc(bytes);
    if (entry->bytes == NULL)
        return E_NO_MEMORY;
    memcpy(entry->bytes, value, bytes);
    entry->byte_count = bytes;
    entry->stored = true;
    if (number > spool->sensor_count)
        spool->sensor_count = (uint32_t)number;
    return E_OK;
}

static int load_source(struct spool *spool, const struct store_key *key, const uint8_t *value,
                       size_t bytes)
{
    if (bytes != 24 || key->count - 1 >= SAMPLE_NAME_BYTES || spool->source_count == SOURCES_MAX)
        return E_DAMAGED;
    struct source *source = &spool->sources[spool->source_count++];
    memcpy(source->name, key->bytes + 1, key->count - 1);
    source->committed = (struct sample_origin){.present = true,
                                               .device = bytes_get_le64(value),
                                               .inode = bytes_get_le64(value + 8),
                                               .offset = bytes_get_le64(value + 16)};
    source->read = source->committed;
    return E_OK;
}

static int load_table(struct spool *spool, struct store_txn *txn, enum store_table table,
                      load_entry *load)
{
    struct store_key key = {.count = 1, .bytes = {(uint8_t)table}};
    const uint8_t *value;
    size_t bytes;
    for (;;) {
        int rc = store_at_or_after(txn, &key, &key, &value, &bytes);
        if (rc == E_NOT_FOUND || (rc == E_OK && key.bytes[0] != (uint8_t)table))
            return E_OK;
        if (rc == E_OK)
            rc = load(spool, &key, value, bytes);
        if (rc < 0)
            return rc;
        if (key.count == STORE_KEY_BYTES)
            return E_DAMAGED;
        key.bytes[key.count++] = 0; /* the smallest key behind this one */
    }
}

static int find_state(struct store_txn *txn, const uint8_t **ret_value, size_t *ret_bytes)
{
    struct store_key key = store_key_pair(STORE_STATE, 0, 0);
    return store_get(txn, &key, ret_value, ret_bytes);
}

int spool_table_read_flash(struct store_txn *txn, struct lane_flash flash[LANE_COUNT])
{
    const uint8_t *value;
    size_t bytes;
    int rc = find_state(txn, &value, &bytes);
    return rc < 0 ? rc : get_flash(value, bytes, flash);
}

int spool_table_load(struct spool *spool, bool *ret_clean)
{
    static const struct {
        enum store_table table;
        load_entry *load;
    } tables[] = {
        {STORE_ROUTES, load_route},
        {STORE_CURSORS, load_cursor},
        {STORE_DICTIONARY, load_sensor},
        {STORE_ORIGINS, load_source},
    };
    struct store_txn *txn;
    const uint8_t *value;
    size_t bytes;
    int rc = store_begin_read(spool->store, &txn);
    if (rc < 0)
        return rc;
    rc = find_state(txn, &value, &bytes);
    if (rc == E_OK)
        rc = get_state(spool, value, bytes, ret_clean);
    /* Routes lie behind cursors in the file but are needed first. */
    for (size_t i = 0; rc == E_OK && i < sizeof tables / sizeof tables[0]; i++)
        rc = load_table(spool, txn, tables[i].table, tables[i].load);
    if (rc == E_OK)
        rc = store_get_use(txn, &spool->use);
    store_abort(txn);
    return rc == E_NOT_FOUND ? E_DAMAGED : rc;
}
