/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/stop.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/clock.h"

int stop_event_open(int *ret_fd)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return error_sys(errno);
    *ret_fd = fd;
    return 0;
}

void stop_event_signal(int fd)
{
    const uint64_t one = 1;
    int saved = errno; /* a signal handler may call this */
    ssize_t rc = write(fd, &one, sizeof one);
    (void)rc; /* fails only when the counter is full, and then it is readable already */
    errno = saved;
}

void stop_event_drain(int fd)
{
    uint64_t count;
    ssize_t rc = read(fd, &count, sizeof count);
    (void)rc; /* fails only when nothing was signalled */
}

int stop_open(struct stop *ret_stop)
{
    struct stop stop = {.progress = NULL};
    int rc = stop_event_open(&stop.fd);
    if (rc == 0)
        *ret_stop = stop;
    return rc;
}

void stop_close(struct stop *stop)
{
    if (stop->fd >= 0)
        (void)close(stop->fd);
    stop->fd = -1;
}

void stop_request(struct stop *stop)
{
    stop_event_signal(stop->fd);
}

bool stop_requested(const struct stop *stop)
{
    struct pollfd poll_stop = {.fd = stop->fd, .events = POLLIN};
    if (stop->progress != NULL)
        progress_work(stop->progress);
    return poll(&poll_stop, 1, 0) > 0;
}

/* poll(2) takes an int: longer waits are taken in pieces. */
static int timeout_ms(int64_t deadline_ms)
{
    int64_t now_ms = clock_mono_ms();
    if (deadline_ms <= now_ms)
        return 0;
    return deadline_ms - now_ms > INT_MAX ? INT_MAX : (int)(deadline_ms - now_ms);
}

static int wait_until(const struct stop *stop, int fd, short events, int64_t deadline_ms)
{
    struct pollfd polls[2] = {{.fd = stop->fd, .events = POLLIN}, {.fd = fd, .events = events}};
    for (;;) {
        int wait_ms = timeout_ms(deadline_ms);
        int rc = poll(polls, 2, wait_ms);
        if (rc < 0 && errno != EINTR)
            return error_sys(errno);
        if (rc > 0 && polls[0].revents != 0)
            return E_STOP;
        if (rc > 0)
            return (polls[1].revents & POLLNVAL) != 0 ? error_sys(EBADF) : 0;
        if (rc == 0 && wait_ms == 0)
            return E_TIMEOUT;
    }
}

int stop_wait(const struct stop *stop, int fd, short events, int64_t deadline_ms)
{
    int64_t until_ms;
    int rc;
    if (stop->progress == NULL)
        return wait_until(stop, fd, events, deadline_ms);
    do {
        until_ms = progress_sleep(stop->progress, deadline_ms);
        rc = wait_until(stop, fd, events, until_ms);
    } while (rc == E_TIMEOUT && until_ms < deadline_ms);
    progress_work(stop->progress);
    return rc;
}
