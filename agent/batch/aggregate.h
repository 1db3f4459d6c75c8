/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_BATCH_AGGREGATE_H
#define RUNNEL_AGENT_BATCH_AGGREGATE_H

#include <stddef.h>
#include <stdint.h>

#include "platform/hash.h"

/**
 * Many records as one, in the form of the Kinesis Producer Library ("KPL Aggregated Record Format",
 * aggregation-format.md of that library): a magic number, a protobuf message, its MD5. One
 * partition key for all of them, which has to be that of the whole, too, and no explicit hash key:
 * a consumer library drops an aggregate one of whose records hashes into another shard. Written
 * from front to back; the caller writes a record's data behind its head. Pure.
 */
enum { AGGREGATE_HEAD_BYTES = 4 + 1 + 2 + 256, AGGREGATE_RECORD_HEAD_BYTES = 24 };

struct aggregate {
    struct hash_md5 hash;
};

/** Begins one whose records have KEY of up to 256 bytes. Returns how much of RET_HEAD it is. */
size_t aggregate_start(struct aggregate *aggregate, const char *key, size_t key_bytes,
                       uint8_t ret_head[AGGREGATE_HEAD_BYTES]);

/** The head of a record of DATA_BYTES, which follow and go through aggregate_add. */
size_t aggregate_record(struct aggregate *aggregate, uint64_t data_bytes,
                        uint8_t ret_head[AGGREGATE_RECORD_HEAD_BYTES]);

void aggregate_add(struct aggregate *aggregate, const uint8_t *data, size_t count);

/** What ends it. */
void aggregate_finish(struct aggregate *aggregate, uint8_t ret_digest[HASH_MD5_BYTES]);

/** The size of one without records, and what a record adds to it. */
size_t aggregate_empty_bytes(size_t key_bytes);
uint64_t aggregate_record_bytes(uint64_t data_bytes);

#endif
