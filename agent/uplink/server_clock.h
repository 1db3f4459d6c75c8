/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_SERVER_CLOCK_H
#define RUNNEL_AGENT_UPLINK_SERVER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/**
 * The clock of an endpoint, as its replies tell it. AWS refuses signatures that are more than 5 min
 * off, so its clock decides where ours is; where both agree ours is finer. Zeroed, it knows
 * nothing. Times are CLOCK_BOOTTIME and the wall clock, in ms. Pure.
 */
struct server_clock {
    bool known;
    int64_t offset_ms;        /* the endpoint's clock less CLOCK_BOOTTIME */
    int64_t signed_offset_ms; /* likewise, of the time that was signed last */
};

/** The time to sign at BOOT_MS, when our own clock says WALL_MS. */
int64_t server_clock_sign(struct server_clock *clock, int64_t boot_ms, int64_t wall_ms);

/** At BOOT_MS a reply came whose Date, cut to the second, is DATE_MS. */
void server_clock_learn(struct server_clock *clock, int64_t boot_ms, int64_t date_ms);

/** Whether the time that was signed last is so far from the endpoint's that it is why a signature
 *  was refused. */
bool server_clock_is_skewed(const struct server_clock *clock);

#endif
