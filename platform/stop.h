/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_STOP_H
#define RUNNEL_PLATFORM_STOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * A request to stop that every wait listens to: an eventfd that becomes readable and stays so.
 * Made and closed by agent.c; the stages hold a pointer.
 */
struct stop {
    int fd;
};

int stop_open(struct stop *ret_stop);
void stop_close(struct stop *stop);
void stop_request(struct stop *stop); /* safe from any thread and from a signal handler */
bool stop_requested(const struct stop *stop);

/**
 * Waits until FD has one of EVENTS (poll(2)), DEADLINE_MS (clock_mono_ms) passes, or STOP.
 * FD -1 waits for the deadline or stop alone. Returns 0, E_TIMEOUT, E_STOP, or error_sys.
 */
int stop_wait(const struct stop *stop, int fd, short events, int64_t deadline_ms);

/** An eventfd that wakes a poll: open, signal (any thread), drain (the waiter). */
int stop_event_open(int *ret_fd);
void stop_event_signal(int fd);
void stop_event_drain(int fd);

#endif
