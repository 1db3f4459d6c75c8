/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_PACE_H
#define RUNNEL_AGENT_UPLINK_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * A token bucket of records as the destination counts them that knows its rate only from the
 * destination: there is none until a reply says that records came too fast, more of them than of
 * late. Then the rate is what was taken, though at most three tenths less than before, and the
 * bucket is empty. With each other reply the rate grows: by a half in a second until it is near
 * what was too much, by a tenth from there on; at four times that there is none again. Sending is
 * allowed while nothing is owed to the bucket, so that a batch goes as a whole; it has what may go
 * out in a second. Pure; times are clock_mono_ms.
 */
struct pace {
    int64_t rate;        /* records in 1,000 s; 0: as fast as they come */
    int64_t too_fast;    /* likewise: what was too much last */
    int64_t usual_share; /* thousandths of what is sent that are throttled, however slowly */
    int64_t slowed_at;   /* the share for which the last reply took from the rate; 0: it did not */
    int64_t owed;        /* thousandths of a record that were sent on credit, as of owed_ms */
    int64_t owed_ms;
    int64_t sent_ms;   /* of the last request; 0: none yet */
    int64_t before_ms; /* of the one before it */
};

/** A struct pace starts as {0}. RECORDS go out. */
void pace_sent(struct pace *pace, int64_t now_ms, size_t records);

/** The reply: so many were TAKEN, so many THROTTLED. */
void pace_answered(struct pace *pace, int64_t now_ms, size_t taken, size_t throttled);

/** How long to wait before the next request; 0: not at all; at most a few seconds. */
int64_t pace_wait_ms(const struct pace *pace, int64_t now_ms);

/** How many records a request may have, so that no wait becomes long: at least 1. */
size_t pace_records_max(const struct pace *pace);

#endif
