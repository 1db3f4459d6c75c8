/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/bus/ticker.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "platform/base/error.h"

static int watch(const struct ticker *ticker, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(ticker->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? error_sys(errno) : 0;
}

static int start(struct ticker *ticker, int64_t interval_ms)
{
    const struct timespec interval = {.tv_sec = (time_t)(interval_ms / 1000),
                                      .tv_nsec = (long)(interval_ms % 1000) * 1000000};
    const struct itimerspec slots = {.it_interval = interval, .it_value = interval};
    ticker->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (ticker->timer_fd < 0 || timerfd_settime(ticker->timer_fd, 0, &slots, NULL) < 0)
        return error_sys(errno);
    return watch(ticker, ticker->timer_fd);
}

int ticker_open(struct ticker *ticker, int device_fd, int64_t interval_ms)
{
    int rc = 0;
    *ticker = TICKER_CLOSED;
    ticker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (ticker->epoll_fd < 0)
        return error_sys(errno);
    if (device_fd >= 0)
        rc = watch(ticker, device_fd);
    if (rc == 0 && interval_ms > 0)
        rc = start(ticker, interval_ms);
    if (rc < 0)
        ticker_close(ticker);
    return rc;
}

bool ticker_is_due(struct ticker *ticker)
{
    uint64_t slots = 0;
    return ticker->timer_fd >= 0 && read(ticker->timer_fd, &slots, sizeof slots) == sizeof slots;
}

void ticker_close(struct ticker *ticker)
{
    if (ticker->timer_fd >= 0)
        (void)close(ticker->timer_fd);
    if (ticker->epoll_fd >= 0)
        (void)close(ticker->epoll_fd);
    *ticker = TICKER_CLOSED;
}
