/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/block.h"

#include <string.h>

#include "platform/base/bytes.h"
#include "platform/base/crc32c.h"
#include "platform/base/error.h"

/* Offsets of FORMAT.md, "Block". */
enum {
    AT_MAGIC = 0,
    AT_FORMAT = 4,
    AT_LANE = 5,
    AT_QUALITY = 6,
    AT_NOT_FOR = 7,
    AT_RECORD_COUNT = 8,
    AT_ROOM_USED = 10,
    AT_FRAGMENT = 12,
    AT_FRAGMENT_COUNT = 14,
    AT_SPOOL_ID = 16,
    AT_FIRST_SEQUENCE = 24,
    AT_LAST_SEQUENCE = 32,
    AT_BOOT_ID = 40,
    AT_BASE_BOOT_MS = 56,
    AT_OFFSET_MS = 64,
    AT_SENSOR_BASE = 72,
    AT_CHECKSUM = 76,
};
_Static_assert(AT_CHECKSUM + 4 == BLOCK_HEADER_BYTES, "the checksum ends the header");
_Static_assert(AT_BASE_BOOT_MS - AT_BOOT_ID == BLOCK_BOOT_ID_BYTES, "the boot id fits");
_Static_assert((int)BLOCK_RECORDS_MAX == (int)BLOCK_ROOM_BYTES / (int)RECORD_BYTES_MIN,
               "a block cannot hold more records than that");

static const uint8_t magic[4] = {'R', 'N', 'L', 'B'};

static uint32_t checksum(const uint8_t *block, size_t room_used)
{
    uint32_t crc = crc32c(0, block, AT_CHECKSUM);
    return crc32c(crc, block + BLOCK_HEADER_BYTES, room_used);
}

void block_seal(uint8_t block[BLOCK_BYTES], const struct block_header *header)
{
    memset(block, 0, BLOCK_HEADER_BYTES);
    memcpy(block + AT_MAGIC, magic, sizeof magic);
    block[AT_FORMAT] = BLOCK_FORMAT;
    block[AT_LANE] = header->lane;
    block[AT_QUALITY] = header->time_quality;
    block[AT_NOT_FOR] = header->not_for;
    bytes_put_le16(block + AT_RECORD_COUNT, header->record_count);
    bytes_put_le16(block + AT_ROOM_USED, header->room_used);
    bytes_put_le16(block + AT_FRAGMENT, header->fragment);
    bytes_put_le16(block + AT_FRAGMENT_COUNT, header->fragment_count);
    bytes_put_le64(block + AT_SPOOL_ID, header->spool_id);
    bytes_put_le64(block + AT_FIRST_SEQUENCE, header->first_sequence - header->shift);
    bytes_put_le64(block + AT_LAST_SEQUENCE, header->last_sequence - header->shift);
    bytes_put_le32(block + AT_SENSOR_BASE, header->sensor_base);
    memcpy(block + AT_BOOT_ID, header->boot_id, BLOCK_BOOT_ID_BYTES);
    bytes_put_le64(block + AT_BASE_BOOT_MS, (uint64_t)header->base_boot_ms);
    bytes_put_le64(block + AT_OFFSET_MS, (uint64_t)header->offset_ms);
    bytes_put_le32(block + AT_CHECKSUM, checksum(block, header->room_used));
}

static bool is_plausible(const struct block_header *header)
{
    return header->lane < LANE_COUNT && header->time_quality <= TIME_ESTIMATED &&
           header->record_count <= BLOCK_RECORDS_MAX && header->fragment_count > 0 &&
           header->fragment < header->fragment_count && header->first_sequence > 0 &&
           header->first_sequence <= header->last_sequence;
}

static struct block_header get_header(const uint8_t *block)
{
    struct block_header header;
    header.lane = block[AT_LANE];
    header.time_quality = block[AT_QUALITY];
    header.not_for = block[AT_NOT_FOR];
    header.record_count = bytes_get_le16(block + AT_RECORD_COUNT);
    header.room_used = bytes_get_le16(block + AT_ROOM_USED);
    header.fragment = bytes_get_le16(block + AT_FRAGMENT);
    header.fragment_count = bytes_get_le16(block + AT_FRAGMENT_COUNT);
    header.spool_id = bytes_get_le64(block + AT_SPOOL_ID);
    header.first_sequence = bytes_get_le64(block + AT_FIRST_SEQUENCE);
    header.last_sequence = bytes_get_le64(block + AT_LAST_SEQUENCE);
    header.shift = 0;
    header.sensor_base = bytes_get_le32(block + AT_SENSOR_BASE);
    memcpy(header.boot_id, block + AT_BOOT_ID, BLOCK_BOOT_ID_BYTES);
    header.base_boot_ms = (int64_t)bytes_get_le64(block + AT_BASE_BOOT_MS);
    header.offset_ms = (int64_t)bytes_get_le64(block + AT_OFFSET_MS);
    return header;
}

bool block_guess(const uint8_t *block, size_t count, uint64_t first,
                 struct block_header *ret_header)
{
    if (count < BLOCK_HEADER_BYTES)
        return false;
    struct block_header header = get_header(block);
    bool plausible = is_plausible(&header);
    block_place(&header, first);
    if (!plausible || header.last_sequence < first ||
        header.last_sequence - first + 1 < header.record_count)
        return false;
    *ret_header = header;
    return true;
}

int block_open(const uint8_t *block, size_t count, struct block_header *ret_header)
{
    if (count < BLOCK_HEADER_BYTES || memcmp(block, magic, sizeof magic) != 0)
        return E_DAMAGED;
    struct block_header header = get_header(block);
    if (header.room_used > BLOCK_ROOM_BYTES || block_bytes(&header) > count)
        return E_DAMAGED;
    if (bytes_get_le32(block + AT_CHECKSUM) != checksum(block, header.room_used))
        return E_CHECKSUM;
    if (block[AT_FORMAT] > BLOCK_FORMAT) /* only what is whole can be believed to be newer */
        return E_VERSION;
    if (!is_plausible(&header))
        return E_DAMAGED;
    *ret_header = header;
    return E_OK;
}

void block_walk_start(struct block_walk *walk, const struct block_header *header)
{
    *walk = (struct block_walk){
        .frame = {.previous_sequence = header->first_sequence - 1,
                  .previous_boot_ms = header->base_boot_ms},
        .count = header->record_count,
        .position = BLOCK_HEADER_BYTES,
        .end = block_bytes(header),
    };
}

int block_walk_next(struct block_walk *walk, const uint8_t *block, struct record *ret_record)
{
    if (walk->index == walk->count)
        return E_END;
    int count =
        record_decode(block + walk->position, walk->end - walk->position, &walk->frame, ret_record);
    if (count < 0)
        return count;
    walk->before = walk->position;
    walk->position += (size_t)count;
    walk->index++;
    walk->frame.previous_sequence = ret_record->sequence;
    walk->frame.previous_boot_ms = ret_record->boot_ms;
    return E_OK;
}
