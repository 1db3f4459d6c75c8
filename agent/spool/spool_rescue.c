/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/spool/seal.h"
#include "agent/spool/spool_state.h"
#include "platform/base/error.h"

/*
 * A file in which LMDB cannot go on still is a place where blocks are found: behind its end they
 * lie as safely as in it. They go there together with all that tells what is owed of them, as the
 * commit would have written it that could not be.
 */

static int put_cursors(const struct spool_route *route, enum lane lane, int fd)
{
    struct store_key key = store_key_pair(STORE_CURSORS, (uint8_t)route->index, (uint8_t)lane);
    const struct cursor *cursor = &route->cursors[lane];
    uint8_t bytes[CURSOR_BIRTH_BYTES + CURSOR_BYTES_MAX];
    struct cursor part = {.low = spool_route_low_locked(route, lane)};
    bool whole;
    int rc =
        spool_aside_write_seal(fd, &key, route->cursor_bytes[lane], route->cursor_byte_count[lane]);
    memcpy(bytes, route->cursor_bytes[lane], CURSOR_BIRTH_BYTES);
    /* One entry holds the lowest intervals. Whoever finds several takes them all together. */
    for (size_t i = CURSOR_STORED_MAX; rc == E_OK && i < cursor->count; i += part.count) {
        size_t left = cursor->count - i;
        part.count = left < CURSOR_STORED_MAX ? left : CURSOR_STORED_MAX;
        memcpy(part.intervals, cursor->intervals + i, part.count * sizeof part.intervals[0]);
        size_t count = cursor_encode(&part, part.low, bytes + CURSOR_BIRTH_BYTES, &whole);
        rc = spool_aside_write_seal(fd, &key, bytes, CURSOR_BIRTH_BYTES + count);
    }
    return rc;
}

static int put_routes(const struct spool *spool, const struct commit *commit, int fd)
{
    int rc = E_OK;
    for (unsigned i = 0; rc == E_OK && i < SPOOL_ROUTES_MAX; i++) {
        const struct spool_route *route = spool->routes[i];
        struct store_key key = store_key_pair(STORE_ROUTES, (uint8_t)i, 0);
        if (!commit->routes[i])
            continue;
        rc = spool_aside_write_seal(fd, &key, route->table_bytes, sizeof route->table_bytes);
        for (enum lane lane = 0; rc == E_OK && lane < LANE_COUNT; lane++)
            if (route->lanes[lane])
                rc = put_cursors(route, lane, fd);
    }
    return rc;
}

/* The routes that have every record of the block. */
static uint8_t routes_with(const struct head_block *block)
{
    unsigned all = UINT8_MAX;
    for (uint16_t i = 0; i < block->header.record_count; i++)
        all &= block->done[i];
    return (uint8_t)all;
}

/* Cursors are told in places, and those of a block from elsewhere are forgotten: it says itself who
 * has it. */
static int put_block(struct head_block *block, uint8_t have, int fd)
{
    struct block_header header = block->header;
    if (header.shift != 0)
        header.not_for |= have;
    block_seal(block->bytes, &header);
    return spool_aside_write(fd, block->bytes, block_bytes(&header));
}

static int put_blocks(struct spool *spool, const struct commit *commit, int fd,
                      uint64_t *ret_records)
{
    bool owed = false; /* the fragments of a document share the fate of the first */
    uint8_t have = 0;
    uint64_t records = 0;
    int rc = E_OK;
    for (size_t i = 0; rc == E_OK && i < commit->block_count; i++) {
        struct head_block *block = spool->commit_blocks[i].block;
        if (block->header.fragment == 0) {
            have = routes_with(block);
            owed = block->done_count < block->header.record_count && have != UINT8_MAX;
        }
        if (!owed)
            continue;
        rc = put_block(block, have, fd);
        records += block->header.record_count;
    }
    *ret_records = records;
    return rc;
}

static int put_boots(const struct spool *spool, int fd)
{
    const struct timeline *now = &spool->times[spool->times_now];
    int rc = E_OK;
    for (size_t i = 0; rc == E_OK && i < now->count; i++) {
        uint8_t bytes[TIMELINE_BOOT_BYTES];
        struct store_key key = store_key_number(STORE_BOOTS, now->boots[i].number);
        rc = spool_aside_write_seal(fd, &key, bytes, timeline_encode(&now->boots[i], bytes));
    }
    return rc;
}

static int put_all(struct spool *spool, const struct commit *commit, int fd, uint64_t *ret_records)
{
    int rc = spool_aside_write(fd, commit->state, commit->state_bytes);
    if (rc == E_OK)
        rc = spool_names_put(spool, spool->sensor_count, fd);
    if (rc == E_OK)
        rc = put_boots(spool, fd);
    if (rc == E_OK)
        rc = put_routes(spool, commit, fd);
    if (rc == E_OK)
        rc = put_blocks(spool, commit, fd, ret_records);
    if (rc == E_OK && fsync(fd) != 0)
        rc = error_sys(errno);
    return rc;
}

/* Lines whose records did not come to flash are read again. */
static void put_sources_locked(const struct spool *spool, struct spool_rescued *rescued)
{
    for (size_t i = 0; i < spool->source_count; i++) {
        const struct source *source = &spool->sources[i];
        const struct sample_origin *origin =
            rescued->error < 0 ? &source->committed : &source->read;
        if (!origin->present)
            continue;
        size_t at = rescued->source_count++;
        memcpy(rescued->sources[at].name, source->name, sizeof source->name);
        rescued->sources[at].lane = source->lane;
        rescued->sources[at].origin = *origin;
    }
}

int spool_rescue(struct spool *spool, struct spool_rescued *ret_rescued)
{
    struct commit commit = {0};
    char path[FS_PATH_BYTES];
    int rc = spool_aside_put(spool, path);
    if (rc < 0)
        return rc;
    *ret_rescued = (struct spool_rescued){.error = E_OK};
    (void)snprintf(ret_rescued->aside.file, sizeof ret_rescued->aside.file, "%s",
                   strrchr(path, '/') + 1);
    (void)snprintf(ret_rescued->aside.reason, sizeof ret_rescued->aside.reason,
                   "%s: found while the agent ran", ERROR_TEXT(spool->commit_error));
    (void)pthread_mutex_lock(&spool->lock);
    spool_commit_take_all_locked(spool, &commit);
    (void)pthread_mutex_unlock(&spool->lock);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    ret_rescued->error =
        fd < 0 ? error_sys(errno) : put_all(spool, &commit, fd, &ret_rescued->records);
    if (fd >= 0)
        (void)close(fd);
    (void)pthread_mutex_lock(&spool->lock);
    put_sources_locked(spool, ret_rescued);
    (void)pthread_mutex_unlock(&spool->lock);
    return E_OK;
}
