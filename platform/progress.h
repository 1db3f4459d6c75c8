/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_PROGRESS_H
#define RUNNEL_PLATFORM_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/**
 * What a thread tells a watchdog: by when it will pass again. One thread
 * writes, any may read. Times are of clock_mono_ms, so that a suspended machine makes nobody late.
 *
 * A wait with a stop that has a progress (stop.h) promises by itself; who computes or waits
 * otherwise for longer than PROGRESS_WORK_MS says so before. As {0} it has not begun.
 */
struct progress {
    atomic_llong due_ms; /* 0: not begun; INT64_MAX: it sleeps until there is news, or has ended */
    int64_t every_ms;    /* the longest sleep that a watchdog allows, set before the thread starts;
                            0: there is none, and nobody is woken for it */
};

/* What lies between two waits: the resolver, a commit on slow flash. */
enum { PROGRESS_WORK_MS = 60 * 1000, PROGRESS_SLACK_MS = 5000 };

/** Says that the thread is alive and will be back by DUE_MS. */
void progress_promise(struct progress *progress, int64_t due_ms);

/** The same for PROGRESS_WORK_MS from now on. */
void progress_work(struct progress *progress);

/** Before a wait until DEADLINE_MS: promises its end, and some slack, and returns until when to
 *  sleep at most, which is earlier than DEADLINE_MS where a watchdog wants to hear from it. */
int64_t progress_sleep(struct progress *progress, int64_t deadline_ms);

/** By how much it is late at NOW_MS, in ms; 0: it is not. */
int64_t progress_late_ms(const struct progress *progress, int64_t now_ms);

#endif
