/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time that runs faster, for programs that know nothing of it: hours of waiting in seconds. To be
 * preloaded (LD_PRELOAD). FAST_CLOCK names a file of struct control, which is looked at with every
 * call, so that the pace may change while programs run (matrix_world.py). The wall, boot and
 * monotonic clocks are ahead by what was gained, and waits are shorter. Programs that are given the
 * same file agree on what time it is.
 *
 * Clocks are those of the next library, so clock_shim.c may stand behind it. The network's own
 * timers, the resolver's, and those of the disk stay as they are.
 */
#undef _FORTIFY_SOURCE /* the C library's own names: no header may make them inline here */
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

/* Waits until a time that is later than this are waits on the wall clock. */
enum { WALL_FROM_S = 500000000 };

/* From BASE_NS of CLOCK_MONOTONIC on clocks run FACTOR times faster, and are ahead by GAINED_NS. */
struct pace {
    int64_t factor;
    int64_t base_ns;
    int64_t gained_ns;
};

/* Who changes the pace writes the one that is not current, and then which of them is. */
struct control {
    int64_t current;
    struct pace paces[2];
};

static const struct control usual = {.paces = {{.factor = 1}}};
static const volatile struct control *control = &usual;
static int (*next_gettime)(clockid_t clock, struct timespec *time);
static int (*next_poll)(struct pollfd *fds, nfds_t count, int timeout_ms);
static int (*next_epoll_wait)(int fd, struct epoll_event *events, int count, int timeout_ms);
static int (*next_timedwait)(pthread_cond_t *condition, pthread_mutex_t *mutex,
                             const struct timespec *until);

/* POSIX wants what dlsym returns to be copied into a pointer to a function. */
static void find(const char *name, void *ret_function)
{
    *(void **)ret_function = dlsym(RTLD_NEXT, name);
    if (*(void **)ret_function == NULL)
        abort();
}

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("FAST_CLOCK");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    find("clock_gettime", &next_gettime);
    find("poll", &next_poll);
    find("epoll_wait", &next_epoll_wait);
    find("pthread_cond_timedwait", &next_timedwait);
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof *control, PROT_READ, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (mapped != MAP_FAILED)
        control = mapped;
}

static const volatile struct pace *pace(void)
{
    return &control->paces[control->current & 1];
}

static int64_t nanoseconds(const struct timespec *time)
{
    return (int64_t)time->tv_sec * SECOND_NS + time->tv_nsec;
}

/* What the clocks are ahead by now. */
static int64_t gained_ns(void)
{
    struct timespec now = {0};
    (void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    const volatile struct pace *at = pace();
    return at->gained_ns + (nanoseconds(&now) - at->base_ns) * (at->factor - 1);
}

static void set(struct timespec *time, int64_t ns)
{
    *time = (struct timespec){.tv_sec = ns / SECOND_NS, .tv_nsec = ns % SECOND_NS};
}

/* Others' constructors may ask before ours has run. */
int clock_gettime(clockid_t clock, struct timespec *time)
{
    if (next_gettime == NULL)
        return (int)syscall(SYS_clock_gettime, clock, time);
    int rc = next_gettime(clock, time);
    if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE ||
                    clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME))
        set(time, nanoseconds(time) + gained_ns());
    return rc;
}

/* Not below what was asked for, so that nobody wakes too early and asks again at once. */
static int shorter_ms(int timeout_ms)
{
    int64_t factor = pace()->factor;
    return timeout_ms <= 0 ? timeout_ms : (int)((timeout_ms + factor - 1) / factor);
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    return next_poll(fds, count, shorter_ms(timeout_ms));
}

int epoll_wait(int fd, struct epoll_event *events, int count, int timeout_ms)
{
    return next_epoll_wait(fd, events, count, shorter_ms(timeout_ms));
}

/* UNTIL is a time of the clock that the condition was made with, which nobody can ask it for. */
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    clockid_t clock = until->tv_sec >= WALL_FROM_S ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    struct timespec fast = {0}, slow = {0};
    (void)clock_gettime(clock, &fast);
    (void)next_gettime(clock, &slow);
    int64_t left_ns = nanoseconds(until) - nanoseconds(&fast);
    set(&slow, nanoseconds(&slow) + (left_ns > 0 ? left_ns / pace()->factor : 0));
    return next_timedwait(condition, mutex, &slow);
}
