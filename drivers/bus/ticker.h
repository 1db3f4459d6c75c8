/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_BUS_TICKER_H
#define RUNNEL_DRIVERS_BUS_TICKER_H

#include <stdbool.h>
#include <stdint.h>

/**
 * For a stream driver that reports what comes and also looks at fixed intervals: one descriptor
 * for wait_fd that is readable while the device's is, and when a slot of the interval is due.
 */
struct ticker {
    int epoll_fd;
    int timer_fd;
};

/** One that ticker_close may be called for. */
#define TICKER_CLOSED ((struct ticker){.epoll_fd = -1, .timer_fd = -1})

/** DEVICE_FD (-1: none) stays the caller's, and open until ticker_close. The first slot is one
 *  interval from now; INTERVAL_MS 0: none ever is. error_sys; then it is TICKER_CLOSED. */
int ticker_open(struct ticker *ticker, int device_fd, int64_t interval_ms);

/** Whether a slot has become due since it was last asked; several at once count as one. The clock
 *  (CLOCK_BOOTTIME) goes on while the system sleeps. */
bool ticker_is_due(struct ticker *ticker);

void ticker_close(struct ticker *ticker);

#endif
