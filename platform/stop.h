/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_STOP_H
#define RUNNEL_PLATFORM_STOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/progress.h"

/**
 * A request to stop that every wait listens to: an eventfd that becomes readable and stays so.
 * Made and closed by agent.c; the stages hold a pointer. One whose fd is -1 is never requested.
 * A copy is as good as the first: a thread that a watchdog looks after has one of its own, with its
 * progress in it, which each call with that copy keeps up.
 */
struct stop {
    int fd;
    struct progress *progress; /* or NULL */
};

int stop_open(struct stop *ret_stop); /* error_sys; without a progress */
void stop_close(struct stop *stop);
void stop_request(struct stop *stop); /* safe from any thread and from a signal handler */
bool stop_requested(const struct stop *stop);

/**
 * Waits until FD has one of EVENTS (poll(2)), DEADLINE_MS (clock_mono_ms) passes, or STOP.
 * FD -1 waits for the deadline or stop alone. STOP goes before FD, and FD is looked at even when
 * the deadline is over. A hang-up or an error on FD counts as ready: the call that follows tells.
 * Returns 0, E_TIMEOUT, E_STOP, or error_sys.
 */
int stop_wait(const struct stop *stop, int fd, short events, int64_t deadline_ms);

/** An eventfd that wakes a poll: open (error_sys), signal (any thread), drain (the waiter). */
int stop_event_open(int *ret_fd);
void stop_event_signal(int fd);
void stop_event_drain(int fd);

#endif
