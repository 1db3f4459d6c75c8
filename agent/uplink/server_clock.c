/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/server_clock.h"

enum {
    SKEW_MS = 240 * 1000, /* AWS allows 5 min; SDKs correct from 4 min on */
    DATE_MIDDLE_MS = 500, /* of the second that a Date names */
};

static bool is_far(int64_t left_ms, int64_t right_ms)
{
    return left_ms - right_ms > SKEW_MS || right_ms - left_ms > SKEW_MS;
}

int64_t server_clock_sign(struct server_clock *clock, int64_t boot_ms, int64_t wall_ms)
{
    int64_t server_ms = boot_ms + clock->offset_ms;
    if (clock->known && is_far(server_ms, wall_ms))
        wall_ms = server_ms;
    clock->signed_offset_ms = wall_ms - boot_ms;
    return wall_ms;
}

void server_clock_learn(struct server_clock *clock, int64_t boot_ms, int64_t date_ms)
{
    clock->known = true;
    clock->offset_ms = date_ms + DATE_MIDDLE_MS - boot_ms;
}

bool server_clock_is_skewed(const struct server_clock *clock)
{
    return clock->known && is_far(clock->offset_ms, clock->signed_offset_ms);
}
