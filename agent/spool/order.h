/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_ORDER_H
#define RUNNEL_AGENT_SPOOL_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Whether the keys of a spool fit what lies under them. LMDB's keys have no checksum, and one with
 * a flipped bit puts a block where no reader looks, or beyond the numbers that were given out. Nor
 * have the lengths of values, and one that is too short hides a block that is whole. Entries are
 * seen in their order. Pure.
 */
enum {
    ORDER_VALUE_BYTES = 80,
    ORDER_MOVED_MAX = 4
}; /* as much of a value as has to be seen: a block's header */

struct order {
    bool any;           /* a block was seen: */
    unsigned lane;      /* of the last one */
    uint64_t first;     /* likewise: its place */
    unsigned fragment;  /* likewise */
    uint64_t last;      /* where it ends */
    uint64_t last_ever; /* the highest end of all */
    uint64_t
        moved[ORDER_MOVED_MAX]; /* spools whose blocks lie elsewhere than under their own numbers */
};

/** Takes the next entry, whose VALUE has COUNT bytes; no more than the first ORDER_VALUE_BYTES of
 *  them are read. False if its key, or that count, cannot be right. */
bool order_takes(struct order *order, const uint8_t *key, size_t key_bytes, const uint8_t *value,
                 size_t count);

#endif
