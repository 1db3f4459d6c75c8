/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_SINK_STREAM_H
#define RUNNEL_TESTS_SINK_STREAM_H

#include <stdint.h>
#include <stdio.h>

#include "tests/sink/hashkey.h"
#include "tests/sink/identities.h"

enum { STREAM_SHARDS_MAX = 1000, STREAM_SEQUENCE_BYTES = 64, STREAM_NO_BATCH = 0 };

/** A batch that was stored and whose reply was lost; it must come again whole. */
struct lost_batch {
    uint32_t records;
    uint32_t duplicated;
};

/**
 * What the endpoint has stored: places and counts, and who was seen how often. Not locked.
 *
 * A record's identity is (device, spool, seq) of its JSON. A duplicate is explained if the identity
 * came last with a batch whose reply was lost.
 */
struct stream {
    unsigned shard_count;
    struct hashkey starts[STREAM_SHARDS_MAX];
    uint64_t shard_records[STREAM_SHARDS_MAX];
    uint64_t records;
    uint64_t data_bytes;
    uint64_t anonymous;
    uint64_t duplicates;
    uint64_t duplicates_unexplained;
    struct identities identities;
    struct lost_batch *lost;
    uint32_t lost_count;
    /* Of a member of the document (in "data", else at top level), if it is asked for. */
    const char *id_member;
    struct identities ids;
    uint64_t id_duplicates;
    uint64_t id_absent;
    FILE *dump;
};

struct stream_record {
    const char *partition_key;
    struct hashkey hash;
    const char *data;
    size_t data_bytes;
};

/** SHARD_COUNT from 1 to STREAM_SHARDS_MAX; ID_MEMBER and DUMP may be NULL and stay the caller's.
 */
void stream_init(struct stream *stream, unsigned shard_count, const char *id_member, FILE *dump);
void stream_free(struct stream *stream);

/** Announces a batch whose reply will be lost; returns its number, for stream_put. */
uint32_t stream_begin_lost(struct stream *stream);

unsigned stream_shard_of(const struct stream *stream, const struct hashkey *hash);

/**
 * Stores RECORD, which came with the lost batch LOST or with STREAM_NO_BATCH, and writes its
 * sequence number. Returns its shard.
 */
unsigned stream_put(struct stream *stream, const struct stream_record *record, uint32_t lost,
                    char ret_sequence[STREAM_SEQUENCE_BYTES]);

/** Whether SEQUENCE is the number of a record in the shard of HASH. */
int stream_gave(const struct stream *stream, const struct hashkey *hash, const char *sequence);

/** Lost batches all of whose records came again exactly once. */
uint32_t stream_lost_whole(const struct stream *stream);

#endif
