/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_GPIO_PULSE_H
#define RUNNEL_DRIVERS_GPIO_PULSE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * Counts the edges of one line and measures how often they come. Pure.
 *
 * The kernel numbers the edges of a line, and when its buffer is full it drops the oldest but goes
 * on numbering: so the total is right even then, and so is the rate, which is the number of edges
 * between two known ones by the time between them.
 */
struct pulse {
    uint32_t number;   /* of the last edge, as the kernel counts */
    uint64_t total;    /* edges since the start */
    uint64_t reported; /* of these in the last delta */
    uint64_t lost;     /* edges that were numbered and never read */
    int64_t last_ns;   /* of the last edge */
    int64_t mark_ns;   /* of the edge at which the running measurement begins; 0: none yet */
    uint64_t mark_total;
    int64_t first_ns; /* of the first edge since the last measurement; 0: none came */
    uint64_t first_total;
    int64_t period_ns; /* from edge to edge in the last measurement; 0: not known */
};

/** Counts the edge with the kernel's NUMBER at TIME_NS; the first one of a request has number 1.
 *  Returns how many before it were lost. */
uint32_t pulse_add(struct pulse *pulse, uint32_t number, int64_t time_ns);

/** The edges since this was last asked. */
uint64_t pulse_delta(struct pulse *pulse);

/**
 * Ends a measurement at NOW_NS and begins the next: ret_count edges came in ret_ns. True with a
 * count of 0: it stands still, because no edge came for twice as long as from one to the next
 * before, or (where that is not known) none since the last measurement. False: not known yet. A
 * standstill that ended is not counted as one long period.
 */
bool pulse_measure(struct pulse *pulse, int64_t now_ns, uint64_t *ret_count, int64_t *ret_ns);

#endif
