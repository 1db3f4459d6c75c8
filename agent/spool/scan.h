/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_SCAN_H
#define RUNNEL_AGENT_SPOOL_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "agent/spool/block.h"
#include "agent/spool/seal.h"

/**
 * Finds what is whole in the bytes of a spool's file, whatever became of the tree that LMDB keeps
 * it in, and whichever word size and page size that has: blocks and sealed values begin with a
 * magic and end in a checksum. Old versions of them are found, too. Pure.
 */
enum { SCAN_OVERLAP_BYTES = BLOCK_BYTES }; /* nothing that is looked for is longer */

struct scan_visitor {
    void (*block)(void *context, const struct block_header *header, uint64_t offset);
    void (*newer)(void *context); /* a block that a newer program wrote */
    void (*seal)(void *context, const struct seal *seal);
    void (*state)(void *context, const uint8_t *bytes, size_t count); /* begins like a state */
    void *context;
};

/**
 * Visits what begins in BYTES[0..END) and lies whole in BYTES[0..COUNT), which lie at OFFSET in the
 * file. Returns where the next scan begins: END, or behind the last thing found.
 */
size_t scan_bytes(const uint8_t *bytes, size_t count, size_t end, uint64_t offset,
                  const struct scan_visitor *visitor);

#endif
