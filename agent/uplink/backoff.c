/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/backoff.h"

#include <stdbool.h>

/* floor_ms: an operator's error is not worth a request more often than that. */
static const struct {
    int64_t base_ms;
    int64_t cap_ms;
    int64_t floor_ms;
} kinds[] = {
    [BACKOFF_TRANSIENT] = {1000, 300 * 1000, 0},
    [BACKOFF_THROTTLE] = {1000, 300 * 1000, 0},
    [BACKOFF_CREDENTIALS] = {1000, 30 * 1000, 0},
    [BACKOFF_OPERATOR] = {60 * 1000, 900 * 1000, 30 * 1000},
};

enum { DOUBLINGS_MAX = 16 };

void backoff_reset(struct backoff *backoff)
{
    backoff->failures = 0;
}

static int64_t at_most(int64_t value, int64_t most)
{
    return value < most ? value : most;
}

/* RANDOM of 2^64 parts of SPAN_MS, the end included. */
static int64_t part_of(int64_t span_ms, uint64_t random)
{
    return (int64_t)(random >> 32) * (span_ms + 1) >> 32;
}

static bool is_overload(enum backoff_kind kind)
{
    return kind == BACKOFF_TRANSIENT || kind == BACKOFF_THROTTLE;
}

/* Who is asked too much may say 503 and 429 by turns. */
static bool is_same_trouble(enum backoff_kind before, enum backoff_kind now)
{
    return before == now || (is_overload(before) && is_overload(now));
}

int64_t backoff_next_ms(struct backoff *backoff, enum backoff_kind kind, int64_t retry_after_ms,
                        uint64_t random)
{
    int64_t cap_ms = kinds[kind].cap_ms;
    if (!is_same_trouble(backoff->kind, kind))
        backoff->failures = 0;
    backoff->kind = kind;
    unsigned doublings = backoff->failures < DOUBLINGS_MAX ? backoff->failures : DOUBLINGS_MAX;
    backoff->failures += backoff->failures < DOUBLINGS_MAX;
    int64_t floor_ms = kinds[kind].floor_ms;
    int64_t span_ms = at_most(kinds[kind].base_ms << doublings, cap_ms);
    int64_t own_ms = floor_ms + part_of(span_ms - floor_ms, random);
    int64_t asked_ms = at_most(retry_after_ms, cap_ms) + part_of(kinds[kind].base_ms, random);
    return retry_after_ms >= 0 && asked_ms > own_ms ? asked_ms : own_ms;
}
