/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_CAME_H
#define RUNNEL_AGENT_SPOOL_CAME_H

#include <stdint.h>

/**
 * When the records of a lane came. A sample that was measured just now says that itself; one that
 * was handed in may be years old. So from the first of these on it is noted which record came when,
 * as finely as the lane's window and age ask for, and only in RAM: what an earlier run took has
 * waited long enough. Pure.
 */
enum { CAME_MARKS = 64, CAME_PARTS = CAME_MARKS / 2 };

struct came_mark {
    uint64_t sequence; /* this one and those behind it */
    int64_t boot_ms;   /* came then, or later */
};

/** Zeroes: nothing was handed in yet. */
struct came {
    unsigned first, count; /* a ring */
    int64_t apart_ms;
    struct came_mark marks[CAME_MARKS];
};

/** SEQUENCE came at BOOT_MS. Ages up to SPAN_MS can be told, to a part in CAME_PARTS. */
void came_note(struct came *came, uint64_t sequence, int64_t boot_ms, int64_t span_ms);

/** When SEQUENCE came, whose sample says OWN_MS: not later than it did, unless OWN_MS is right. */
int64_t came_ms(const struct came *came, uint64_t sequence, int64_t own_ms);

#endif
