/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_SCHEDULE_H
#define RUNNEL_AGENT_INTAKE_SCHEDULE_H

#include <stdint.h>

/**
 * When a sensor is asked next: at fixed distances from its start, without drift; after a failure
 * when its back-off ends. Times are of one clock that only moves forward. Pure.
 */
enum { SCHEDULE_BACKOFF_MS_MIN = 1000, SCHEDULE_BACKOFF_MS_MAX = CONFIG_COLLECT_BACKOFF_S * 1000 };

struct schedule {
    int64_t interval_ms; /* > 0 */
    int64_t slot_ms;     /* the next place in the grid */
    int64_t retry_ms;    /* when the back-off ends; only while failures > 0 */
    unsigned failures;   /* in a row */
    uint64_t missed;     /* slots that passed unused because something took too long */
};

/** The first slot is FIRST_MS. */
void schedule_start(struct schedule *schedule, int64_t interval_ms, int64_t first_ms);

/** When the sensor is due. */
int64_t schedule_due_ms(const struct schedule *schedule);

/** The sensor was asked and answered at NOW_MS, or had nothing new. */
void schedule_succeeded(struct schedule *schedule, int64_t now_ms);

/** Likewise for a stream, which is not asked in a grid: due again one interval from NOW_MS. */
void schedule_restart(struct schedule *schedule, int64_t now_ms);

/**
 * It failed: the back-off is anything up to 1 s, then 2 s, 4 s ... CONFIG_COLLECT_BACKOFF_S ("full
 * jitter"), as RANDOM, any number, decides.
 */
void schedule_failed(struct schedule *schedule, int64_t now_ms, uint64_t random);

#endif
