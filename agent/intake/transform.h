/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_TRANSFORM_H
#define RUNNEL_AGENT_INTAKE_TRANSFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/sample.h"

/**
 * What may stand between a sensor and the spool: intake asks for it by these functions and does not
 * know what is behind them (agent/transform/chain.h is). One instance belongs to one sensor and is
 * used by one thread at a time.
 */
enum { INTAKE_FAULT_BYTES = 200 };

/** What is the same in a sensor's records. */
struct intake_shape {
    size_t channel_count;
    struct channel channels[SAMPLE_CHANNELS_MAX];
    size_t tag_count;
    struct tag tags[SAMPLE_TAGS_MAX]; /* valid until the next push or bind */
};

/** A sample on its way. */
struct intake_item {
    struct sample *sample; /* changed in place; texts and documents that were changed belong to the
                              transform and stay valid until its next call */
    bool alarm;            /* its record goes to the lane alarm */
    bool reshaped;         /* ask for the shape again before this one is handed on */
};

struct intake_transform {
    void *context;

    /** The sensor was opened and has these channels. Forgets what it holds: flush first. E_INVALID,
     *  E_TOO_BIG: that cannot be, FAULT says why; E_CREDENTIALS: it has not the key it needs. */
    int (*bind)(void *context, const struct channel *channels, size_t count,
                char fault[INTAKE_FAULT_BYTES]);

    /** What the records look like now. */
    void (*get_shape)(const void *context, struct intake_shape *ret_shape);

    /**
     * Takes a sample; whoever pushes has flushed up to its boot_ms, or, where that is before
     * since_ms, all that there is. 1: hand it on; 0: it became no
     * record of its own; E_TOO_BIG, E_SYNTAX, E_RANGE: it cannot be made what it has to be, and
     * must not be handed on.
     */
    int (*push)(void *context, struct intake_item *item);

    /** What was handed on last was not taken, and nobody will see it. */
    void (*lost)(void *context);

    /** Gives, one a call, what is due at BOOT_MS; INT64_MAX: all that it holds. ITEM's sample is
     * the caller's memory. 1: hand it on; 0: there is none; E_TOO_BIG, E_SYNTAX, E_RANGE: as push,
     * and there may be more. A record has the origin of the last sample that went into it. */
    int (*flush)(void *context, int64_t boot_ms, struct intake_item *item);

    /** When flush has something to give; INT64_MAX: it holds nothing. */
    int64_t (*due_ms)(const void *context);

    /** When the interval began of what it holds, the latest of them; INT64_MIN: it holds nothing.
     */
    int64_t (*since_ms)(const void *context);

    /** What was configured and could not be done with the last sample, or NULL. */
    const char *(*lack)(const void *context);

    /** How many values became absent because they left the range of numbers. */
    uint64_t (*unfit)(const void *context);
};

#endif
