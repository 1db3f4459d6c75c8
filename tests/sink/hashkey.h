/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_SINK_HASHKEY_H
#define RUNNEL_TESTS_SINK_HASHKEY_H

#include <stddef.h>

/** A point of the 128-bit hash space, big-endian, so that memcmp orders it. */
struct hashkey {
    unsigned char bytes[16];
};

/** MD5 of a partition key: where Kinesis places its records. */
struct hashkey hashkey_of(const void *bytes, size_t count);

/** Reads an ExplicitHashKey: decimal, no leading zeros, at most 2^128 - 1. Returns 0, or -1. */
int hashkey_parse(const char *text, struct hashkey *ret_key);

/** Where shard INDEX of COUNT equal shards begins: INDEX * floor(2^128 / COUNT); COUNT >= 1. */
struct hashkey hashkey_start(unsigned index, unsigned count);

#endif
