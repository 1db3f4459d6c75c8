/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/sim_clock.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "platform/base/error.h"
#include "platform/stop.h"

static atomic_llong now_ms;
static int tick_fd; /* signalled when time has passed */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t asleep = PTHREAD_COND_INITIALIZER;
static int64_t asleep_at_ms; /* the committer saw this time and found nothing to do */
static _Thread_local bool advances;

int64_t __real_clock_boot_ms(void);
int64_t __wrap_clock_boot_ms(void);
int64_t __wrap_clock_mono_ms(void);
int __real_stop_wait(const struct stop *stop, int fd, short events, int64_t deadline_ms);
int __wrap_stop_wait(const struct stop *stop, int fd, short events, int64_t deadline_ms);

int64_t __wrap_clock_boot_ms(void)
{
    return atomic_load(&now_ms);
}

int64_t __wrap_clock_mono_ms(void)
{
    return atomic_load(&now_ms);
}

static void fall_asleep(int64_t seen_ms)
{
    (void)pthread_mutex_lock(&mutex);
    asleep_at_ms = seen_ms;
    (void)pthread_cond_signal(&asleep);
    (void)pthread_mutex_unlock(&mutex);
}

int __wrap_stop_wait(const struct stop *stop, int fd, short events, int64_t deadline_ms)
{
    if (advances) /* it joins a thread: for as long as that takes */
        return __real_stop_wait(stop, fd, events, deadline_ms);
    for (;;) {
        stop_event_drain(tick_fd);
        int64_t seen_ms = atomic_load(&now_ms);
        int rc = __real_stop_wait(stop, fd, events, INT64_MIN); /* only looks */
        if (rc != E_TIMEOUT || seen_ms >= deadline_ms)
            return rc;
        fall_asleep(seen_ms);
        struct pollfd fds[] = {{.fd = stop->fd, .events = POLLIN},
                               {.fd = fd, .events = events},
                               {.fd = tick_fd, .events = POLLIN}};
        (void)poll(fds, sizeof fds / sizeof fds[0], -1);
    }
}

void sim_clock_start(void)
{
    advances = true;
    (void)stop_event_open(&tick_fd);
    atomic_store(&now_ms, __real_clock_boot_ms());
}

void sim_clock_advance(int64_t ms)
{
    int64_t then_ms = atomic_load(&now_ms) + ms;
    atomic_store(&now_ms, then_ms);
    stop_event_signal(tick_fd);
    (void)pthread_mutex_lock(&mutex);
    while (asleep_at_ms < then_ms)
        (void)pthread_cond_wait(&asleep, &mutex);
    (void)pthread_mutex_unlock(&mutex);
}
