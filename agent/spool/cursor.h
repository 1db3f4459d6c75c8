/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_CURSOR_H
#define RUNNEL_AGENT_SPOOL_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * What one route has acknowledged of one lane: everything up to a low mark, and a few intervals
 * above it. The holes between them are the records that are still owed. Pure.
 *
 * A route sends its holes before anything new, so there are never more holes than a batch has
 * records; one that sends fresh records first may have as many again among those, and where most of
 * what it sends fails for long, the acknowledgements that find no room are due again. On flash the
 * lowest CURSOR_STORED_MAX intervals are kept: after a crash, what was acknowledged above them is
 * sent again under its old identity.
 */
enum {
    CURSOR_INTERVALS_MAX = 512, /* the records of the largest batch, and some */
    CURSOR_STORED_MAX = 64,
    CURSOR_BYTES_MAX = 10 + CURSOR_STORED_MAX * 20,
};

struct cursor_interval {
    uint64_t first;
    uint64_t last;
};

struct cursor {
    uint64_t low;
    size_t count;
    struct cursor_interval intervals[CURSOR_INTERVALS_MAX]; /* ascending, apart, above low + 1 */
};

/** Adds (AFTER, LAST]. E_FULL, and nothing is changed, if that needs one interval too many. */
int cursor_add(struct cursor *cursor, uint64_t after, uint64_t last);

/** Everything up to LOW is done with, acknowledged or evicted. */
void cursor_raise(struct cursor *cursor, uint64_t low);

bool cursor_contains(const struct cursor *cursor, uint64_t sequence);

/** Whether some interval reaches into [FIRST, LAST] or LOW does. */
bool cursor_touches(const struct cursor *cursor, uint64_t first, uint64_t last);

/**
 * Writes the low mark, or LOW if that is higher, and the lowest CURSOR_STORED_MAX intervals above
 * it; returns the count of bytes. ret_whole is false if there are more.
 */
size_t cursor_encode(const struct cursor *cursor, uint64_t low, uint8_t bytes[CURSOR_BYTES_MAX],
                     bool *ret_whole);

/** 0, or E_DAMAGED. */
int cursor_decode(const uint8_t *bytes, size_t count, struct cursor *ret_cursor);

#endif
