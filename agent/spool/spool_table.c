/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/spool/seal.h"
#include "agent/spool/spool_state.h"
#include "platform/base/bytes.h"
#include "platform/base/crc32c.h"
#include "platform/base/error.h"

/* Offsets of FORMAT.md, "State" and "Routes". */
enum { STATE_CLEAN = 1 };
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
    AT_STATE_CHECKSUM = AT_LANES + LANE_COUNT * LANE_BYTES,
    STATE_BYTES = AT_STATE_CHECKSUM + 4,
    AT_BOOT = STATE_BYTES, /* not in every file of this format, so it has a checksum of its own */
    AT_LIVED = AT_BOOT + 4,
    AT_LIVED_CHECKSUM = AT_LIVED + 8,
    STATE_LIVED_BYTES = AT_LIVED_CHECKSUM + 4,
    AT_MACHINE = STATE_LIVED_BYTES, /* likewise: serial number, addresses */
    AT_MACHINE_CHECKSUM = AT_MACHINE + 8 * (1 + MACHINE_ADDRESSES_MAX),
    STATE_MACHINE_BYTES = AT_MACHINE_CHECKSUM + 4,
};
enum {
    AT_NAME = 0,
    AT_ROUTE_FLAGS =
        SPOOL_ROUTE_NAME_BYTES, /* bit 0 active, 1 hold, 2.. a bit per lane, 5 counted */
    AT_ROUTE_DAY = SPOOL_ROUTE_NAME_BYTES + 2,
    AT_ROUTE_BIRTH = SPOOL_ROUTE_NAME_BYTES + 4,
    AT_ROUTE_LANES = SPOOL_ROUTE_NAME_BYTES + 8, /* per lane: accepted, delivered, dead, evicted */
    ROUTE_LANE_BYTES = 32,
    ROUTE_BYTES = AT_ROUTE_LANES + LANE_COUNT * ROUTE_LANE_BYTES,
    ROUTE_ACTIVE = 1,
    ROUTE_HOLD = 2,
    ROUTE_LANE_SHIFT = 2,
    ROUTE_COUNTED = 1 << (ROUTE_LANE_SHIFT + LANE_COUNT),
};
_Static_assert((int)STATE_MACHINE_BYTES <= (int)SPOOL_STATE_BYTES, "the state fits");
_Static_assert((int)ROUTE_BYTES <= (int)SPOOL_ROUTE_BYTES, "a route fits");

static const uint8_t magic[4] = {'R', 'N', 'L', 'S'};

/* ---- sealed values ---- */

int spool_table_put(struct store_txn *txn, const struct store_key *key, const void *content,
                    size_t bytes)
{
    uint8_t sealed[BLOCK_BYTES];
    if (seal_bytes(key->count, bytes) > sizeof sealed)
        return E_TOO_BIG;
    size_t count = seal_put(key->bytes, key->count, content, bytes, sealed);
    return store_put(txn, key, sealed, count);
}

int spool_table_open(const struct spool *spool, const struct store_key *key, const uint8_t **value,
                     size_t *bytes)
{
    struct seal seal;
    if (spool->format == SPOOL_FORMAT_UNSEALED)
        return E_OK;
    if (seal_open(*value, *bytes, &seal) < 0 || seal.bytes != *bytes ||
        seal.key_bytes != key->count || memcmp(seal.key, key->bytes, key->count) != 0)
        return E_DAMAGED;
    *value = seal.content;
    *bytes = seal.content_bytes;
    return E_OK;
}

/* ---- state and routes ---- */

static void put_machine(const struct machine_mark *machine, uint8_t bytes[SPOOL_STATE_BYTES])
{
    bytes_put_le64(bytes + AT_MACHINE, machine->serial);
    for (int i = 0; i < MACHINE_ADDRESSES_MAX; i++)
        bytes_put_le64(bytes + AT_MACHINE + 8 * (1 + i), machine->addresses[i]);
    bytes_put_le32(bytes + AT_MACHINE_CHECKSUM, crc32c(0, bytes, AT_MACHINE_CHECKSUM));
}

/* All zeros where the state does not say. */
static void get_machine(const uint8_t *bytes, size_t count, struct machine_mark *ret_machine)
{
    *ret_machine = (struct machine_mark){0};
    if (count < STATE_MACHINE_BYTES ||
        bytes_get_le32(bytes + AT_MACHINE_CHECKSUM) != crc32c(0, bytes, AT_MACHINE_CHECKSUM))
        return;
    ret_machine->serial = bytes_get_le64(bytes + AT_MACHINE);
    for (int i = 0; i < MACHINE_ADDRESSES_MAX; i++)
        ret_machine->addresses[i] = bytes_get_le64(bytes + AT_MACHINE + 8 * (1 + i));
}

size_t spool_table_put_state_locked(const struct spool *spool,
                                    const struct lane_flash flash[LANE_COUNT], uint64_t reserved,
                                    bool clean, uint8_t bytes[SPOOL_STATE_BYTES])
{
    memset(bytes, 0, SPOOL_STATE_BYTES);
    memcpy(bytes + AT_MAGIC, magic, sizeof magic);
    bytes_put_le16(bytes + AT_FORMAT, SPOOL_FORMAT);
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
    bytes_put_le32(bytes + AT_STATE_CHECKSUM, crc32c(0, bytes, AT_STATE_CHECKSUM));
    bytes_put_le32(bytes + AT_BOOT, spool->lived_boot);
    bytes_put_le64(bytes + AT_LIVED, (uint64_t)spool->lived_ms);
    bytes_put_le32(bytes + AT_LIVED_CHECKSUM, crc32c(0, bytes, AT_LIVED_CHECKSUM));
    put_machine(&spool->machine, bytes);
    return STATE_MACHINE_BYTES;
}

int spool_table_read_lived(const uint8_t *bytes, size_t count, uint32_t *ret_boot,
                           int64_t *ret_lived_ms)
{
    if (count < STATE_LIVED_BYTES ||
        bytes_get_le32(bytes + AT_LIVED_CHECKSUM) != crc32c(0, bytes, AT_LIVED_CHECKSUM))
        return E_NOT_FOUND;
    *ret_boot = bytes_get_le32(bytes + AT_BOOT);
    *ret_lived_ms = (int64_t)bytes_get_le64(bytes + AT_LIVED);
    return E_OK;
}

static int check_state(const uint8_t *bytes, size_t count)
{
    if (count < AT_FLAGS || memcmp(bytes, magic, sizeof magic) != 0)
        return E_DAMAGED;
    unsigned format = bytes_get_le16(bytes + AT_FORMAT);
    if (format == SPOOL_FORMAT_UNSEALED)
        return count < AT_STATE_CHECKSUM ? E_DAMAGED : E_OK;
    if (count < STATE_BYTES ||
        bytes_get_le32(bytes + AT_STATE_CHECKSUM) != crc32c(0, bytes, AT_STATE_CHECKSUM))
        return E_DAMAGED;
    return format > SPOOL_FORMAT ? E_VERSION : E_OK; /* only what is whole is believed */
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

int spool_table_read_id(const uint8_t *bytes, size_t count, uint64_t *ret_id)
{
    int rc = check_state(bytes, count);
    if (rc == E_OK)
        *ret_id = bytes_get_le64(bytes + AT_SPOOL_ID);
    return rc;
}

static int get_state(struct spool *spool, const uint8_t *bytes, size_t count, bool *ret_clean)
{
    struct lane_flash flash[LANE_COUNT];
    int rc = get_flash(bytes, count, flash);
    if (rc < 0)
        return rc;
    spool->format = bytes_get_le16(bytes + AT_FORMAT);
    spool->id = bytes_get_le64(bytes + AT_SPOOL_ID);
    spool->reserved = bytes_get_le64(bytes + AT_RESERVED);
    spool->counters_since_ms = (int64_t)bytes_get_le64(bytes + AT_COUNTERS_SINCE);
    spool->next_event = bytes_get_le32(bytes + AT_NEXT_EVENT);
    spool->next_boot = bytes_get_le32(bytes + AT_NEXT_BOOT);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        spool->lanes[lane].refused = bytes_get_le64(bytes + AT_LANES + (int)lane * LANE_BYTES);
        spool->lanes[lane].flash = flash[lane];
    }
    if (spool_table_read_lived(bytes, count, &spool->lived_boot, &spool->lived_ms) < 0)
        spool->lived_boot = 0;
    get_machine(bytes, count, &spool->machine);
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
    bytes_put_le16(bytes + AT_ROUTE_DAY, route->last_day);
    bytes_put_le32(bytes + AT_ROUTE_BIRTH, route->birth);
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

int spool_table_get_route(const uint8_t *bytes, size_t count, struct spool_route *ret_route)
{
    struct spool_route *route = ret_route;
    if (count < ROUTE_BYTES || bytes[AT_NAME + SPOOL_ROUTE_NAME_BYTES - 1] != '\0')
        return E_DAMAGED;
    unsigned flags = bytes[AT_ROUTE_FLAGS];
    memset(route, 0, sizeof *route);
    memcpy(route->name, bytes + AT_NAME, sizeof route->name);
    route->used = true;
    route->last_day = bytes_get_le16(bytes + AT_ROUTE_DAY);
    route->birth = bytes_get_le32(bytes + AT_ROUTE_BIRTH);
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
    return E_OK;
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
    struct spool_route *route = malloc(sizeof *route);
    if (route == NULL)
        return E_NO_MEMORY;
    int rc = spool_table_get_route(value, bytes, route);
    if (rc < 0) {
        free(route);
        return rc;
    }
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
    struct spool_route *route = spool->routes[index];
    if (route == NULL)
        return E_OK;
    if (spool->format == SPOOL_FORMAT_UNSEALED)
        return cursor_decode(value, bytes, &route->cursors[lane]);
    if (bytes < CURSOR_BIRTH_BYTES)
        return E_DAMAGED;
    if (bytes_get_le32(value) != route->birth)
        return E_OK; /* of a route that was here before */
    return cursor_decode(value + CURSOR_BIRTH_BYTES, bytes - CURSOR_BIRTH_BYTES,
                         &route->cursors[lane]);
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

/* The entry of TABLE at KEY or behind it: E_NOT_FOUND if there is none. */
static int next_entry(struct store_txn *txn, enum store_table table, struct store_key *key,
                      const uint8_t **ret_value, size_t *ret_bytes)
{
    int rc = store_at_or_after(txn, key, key, ret_value, ret_bytes);
    return rc == E_OK && key->bytes[0] != (uint8_t)table ? E_NOT_FOUND : rc;
}

/* The smallest key behind KEY. */
static int pass(struct store_key *key)
{
    if (key->count == STORE_KEY_BYTES)
        return E_DAMAGED;
    key->bytes[key->count++] = 0;
    return E_OK;
}

static int load_table(struct spool *spool, struct store_txn *txn, enum store_table table,
                      load_entry *load)
{
    struct store_key key = {.count = 1, .bytes = {(uint8_t)table}};
    const uint8_t *value;
    size_t bytes;
    for (;;) {
        int rc = next_entry(txn, table, &key, &value, &bytes);
        if (rc == E_NOT_FOUND)
            return E_OK;
        if (rc == E_OK && table != STORE_DEAD) /* its blocks have checksums of their own */
            rc = spool_table_open(spool, &key, &value, &bytes);
        if (rc == E_OK)
            rc = load(spool, &key, value, bytes);
        if (rc == E_OK)
            rc = pass(&key);
        if (rc < 0)
            return rc;
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
        {STORE_ROUTES, load_route},      {STORE_CURSORS, load_cursor},
        {STORE_DICTIONARY, load_sensor}, {STORE_ORIGINS, load_source},
        {STORE_GAPS, spool_gap_load},    {STORE_DEAD, spool_dead_load},
        {STORE_BOOTS, spool_time_load},
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
    if (rc == E_OK) {
        spool_time_loaded(spool);
        rc = store_get_use(txn, &spool->use);
    }
    store_abort(txn);
    return rc == E_NOT_FOUND ? E_DAMAGED : rc;
}

/* ---- format 1 ---- */

static int seal_entry(struct store_txn *txn, const struct store_key *key, const uint8_t *value,
                      size_t bytes)
{
    uint8_t content[CURSOR_BIRTH_BYTES + BLOCK_BYTES] = {0};
    size_t before = key->bytes[0] == STORE_CURSORS ? CURSOR_BIRTH_BYTES : 0;
    if (bytes > BLOCK_BYTES)
        return E_DAMAGED;
    memcpy(content + before, value, bytes);
    return spool_table_put(txn, key, content, before + bytes);
}

static int seal_table(struct store_txn *txn, enum store_table table)
{
    struct store_key key = {.count = 1, .bytes = {(uint8_t)table}};
    const uint8_t *value;
    size_t bytes;
    for (;;) {
        int rc = next_entry(txn, table, &key, &value, &bytes);
        if (rc == E_NOT_FOUND)
            return E_OK;
        if (rc == E_OK)
            rc = seal_entry(txn, &key, value, bytes);
        if (rc == E_OK)
            rc = pass(&key);
        if (rc < 0)
            return rc;
    }
}

int spool_table_migrate(struct spool *spool, struct store_txn *txn)
{
    static const enum store_table tables[] = {STORE_CURSORS, STORE_ROUTES,  STORE_DICTIONARY,
                                              STORE_BOOTS,   STORE_ORIGINS, STORE_EVENTS};
    struct lane_flash flash[LANE_COUNT];
    uint8_t state[SPOOL_STATE_BYTES];
    struct store_key key = store_key_pair(STORE_STATE, 0, 0);
    int rc = spool->format == SPOOL_FORMAT ? E_END : E_OK;
    for (size_t i = 0; rc == E_OK && i < sizeof tables / sizeof tables[0]; i++)
        rc = seal_table(txn, tables[i]);
    if (rc < 0)
        return rc == E_END ? E_OK : rc;
    (void)pthread_mutex_lock(&spool->lock);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        flash[lane] = spool->lanes[lane].flash;
    size_t bytes = spool_table_put_state_locked(spool, flash, spool->reserved, false, state);
    spool->format = SPOOL_FORMAT;
    (void)pthread_mutex_unlock(&spool->lock);
    return store_put(txn, &key, state, bytes);
}
