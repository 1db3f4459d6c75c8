/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_BLOCK_H
#define RUNNEL_AGENT_SPOOL_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/spool/record.h"

/**
 * A block packs records for storage: a header, then records one after the other. 4,080 bytes fill
 * one overflow page of LMDB (4,096 with its 16-byte page header). A record that does not fit into
 * one block is cut into fragments: blocks of their own under one sequence number. FORMAT.md has
 * the bytes. Pure.
 */
enum {
    BLOCK_BYTES = 4080,
    BLOCK_HEADER_BYTES = 80,
    BLOCK_ROOM_BYTES = BLOCK_BYTES - BLOCK_HEADER_BYTES,
    BLOCK_FORMAT = 1,
    BLOCK_RECORDS_MAX = 1000,
    BLOCK_BOOT_ID_BYTES = 16,
};

struct block_header {
    uint8_t lane;
    uint8_t time_quality;
    uint16_t record_count;
    uint16_t room_used;      /* bytes behind the header */
    uint16_t fragment;       /* 0.. fragment_count - 1 */
    uint16_t fragment_count; /* 1: not fragmented */
    uint64_t spool_id;
    uint64_t first_sequence; /* as stored, or its place in this spool: see block_place */
    uint64_t last_sequence;
    uint64_t shift;       /* not stored: place less the number under which a record is known */
    uint32_t sensor_base; /* sensor numbers in the records are less by so much */
    uint8_t not_for;      /* a bit for each route that does not get it */
    uint8_t boot_id[BLOCK_BOOT_ID_BYTES];
    int64_t base_boot_ms;
    int64_t offset_ms; /* wall clock less boot clock */
};

/** Writes HEADER and the checksum over it and the room_used bytes that lie behind it. */
void block_seal(uint8_t block[BLOCK_BYTES], const struct block_header *header);

/**
 * A block of another spool, or one that comes back, keeps its bytes and its records their numbers,
 * but stands elsewhere in its lane: from FIRST on, in HEADER and in all that is decoded against it.
 */
static inline void block_place(struct block_header *header, uint64_t first)
{
    uint64_t by = first - header->first_sequence;
    header->first_sequence += by;
    header->last_sequence += by;
    header->shift += by;
}

/** Reads the header and checks magic, format, sizes and checksum of the COUNT bytes at BLOCK.
 *  0; E_DAMAGED; E_VERSION for a newer format; E_CHECKSUM for flipped bits. */
int block_open(const uint8_t *block, size_t count, struct block_header *ret_header);

/** What the header of a damaged block says, where that is plausible for one that begins at FIRST.
 *  False if it is not. */
bool block_guess(const uint8_t *block, size_t count, uint64_t first,
                 struct block_header *ret_header);

/** Bytes of the block as stored: the header and room_used. */
static inline size_t block_bytes(const struct block_header *header)
{
    return BLOCK_HEADER_BYTES + (size_t)header->room_used;
}

/** The way through the records of a block, one after the other. */
struct block_walk {
    struct record_frame frame;
    uint16_t count;  /* records in the block */
    uint16_t index;  /* of the next one */
    size_t position; /* likewise, in the block */
    size_t before;   /* position of the one that was returned last */
    size_t end;
};

/** Starts before the first record of a block with HEADER, in whose numbers the records are told. */
void block_walk_start(struct block_walk *walk, const struct block_header *header);

/** Decodes the next record of BLOCK, which begins with its header. 0; E_END behind the last;
 *  E_DAMAGED. */
int block_walk_next(struct block_walk *walk, const uint8_t *block, struct record *ret_record);

#endif
