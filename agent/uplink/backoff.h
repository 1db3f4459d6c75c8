/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_BACKOFF_H
#define RUNNEL_AGENT_UPLINK_BACKOFF_H

#include <stdint.h>

/**
 * How long to wait before the next try: exponential with full jitter, a random part of
 * base * 2^failures, at most a cap ("Exponential Backoff And Jitter", AWS Architecture Blog).
 * Pure: the random number is an argument.
 */
enum backoff_kind {
    BACKOFF_TRANSIENT,   /* no answer, or one that passes:     base 1 s, cap 5 min */
    BACKOFF_THROTTLE,    /* all of a batch was throttled:      base 1 s, cap 5 min */
    BACKOFF_CREDENTIALS, /* there are none at the moment: base 1 s, cap 30 s */
    BACKOFF_OPERATOR,    /* somebody must act; at least 30 s:  base 60 s, cap 15 min */
};

struct backoff {
    enum backoff_kind kind;
    unsigned failures; /* in a row, of this kind; the first two are one overload by two names */
};

/** Success: the next failure begins at the base. A struct backoff starts as {0}. */
void backoff_reset(struct backoff *backoff);

/**
 * Notes a failure and returns the wait in ms. RETRY_AFTER_MS is what the server asked for, held
 * below the cap of the kind, or < 0: the jitter is then added to it, so that a fleet does not come
 * back at once. It makes the wait longer, never shorter. RANDOM is evenly spread over all of its
 * values.
 */
int64_t backoff_next_ms(struct backoff *backoff, enum backoff_kind kind, int64_t retry_after_ms,
                        uint64_t random);

#endif
