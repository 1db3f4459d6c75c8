/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compresses hours, preloaded into the program: whenever all of its threads wait, and none of them
 * for a connection, all of its clocks leap to the first deadline. What takes time keeps the time
 * that it takes: a day passes as fast as the machine is, and a slow one is no other day.
 *
 * RUNNEL_LEAP   a file with a number: no leap beyond so many seconds after the start; from there on
 *               time runs as it does. It may be raised while the program runs.
 *
 * Connections are sockets that do not listen and have somebody else than the kernel behind them,
 * those of the control socket among them. Waits with a condition are left to the C library, with
 * their deadline set back, and nothing leaps meanwhile.
 */
#undef _FORTIFY_SOURCE /* the C library's own names: no header may make them inline here */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS ((int64_t)1000000000)
#define MS_NS     ((int64_t)1000000)

enum { SLEEPERS_MAX = 64, FDS_MAX = 64, LIMIT_BYTES = 32 };

struct sleeper {
    bool asleep;
    bool is_connected;
    int wake_fd;
    int64_t deadline_ns;
    nfds_t count;
    struct pollfd fds[FDS_MAX + 1]; /* the last one is wake_fd */
};

typedef int poll_function(struct pollfd *fds, nfds_t count, int timeout_ms);
typedef int timedwait_function(pthread_cond_t *condition, pthread_mutex_t *mutex,
                               const struct timespec *until);

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t bytes);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sleeper sleepers[SLEEPERS_MAX];
static unsigned sleeper_count;
static atomic_llong leapt_ns;
static atomic_llong started_ns;
static _Thread_local struct sleeper *own;

/* ---- the clocks ---- */

static int64_t real_ns(clockid_t clock)
{
    struct timespec time = {0};
    (void)syscall(SYS_clock_gettime, clock, &time);
    return time.tv_sec * SECOND_NS + time.tv_nsec;
}

static int64_t now_ns(void)
{
    return real_ns(CLOCK_MONOTONIC) + atomic_load(&leapt_ns);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, time);
    if (rc < 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID)
        return rc;
    int64_t ns = time->tv_sec * SECOND_NS + time->tv_nsec + atomic_load(&leapt_ns);
    *time = (struct timespec){.tv_sec = ns / SECOND_NS, .tv_nsec = ns % SECOND_NS};
    return 0;
}

/* ---- who sleeps ---- */

static poll_function *next_poll(void)
{
    return (poll_function *)(uintptr_t)dlsym(RTLD_NEXT, "poll");
}

/* A slot for each thread that ever waits; those of ended ones stay unused. */
static struct sleeper *own_slot(void)
{
    if (own != NULL)
        return own;
    (void)pthread_mutex_lock(&lock);
    if (sleeper_count == SLEEPERS_MAX)
        abort();
    own = &sleepers[sleeper_count++];
    own->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)pthread_mutex_unlock(&lock);
    return own;
}

static bool is_connection(int fd)
{
    int listens = 0;
    int family = 0;
    socklen_t bytes = sizeof listens;
    return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &bytes) == 0 && listens == 0 &&
           family != AF_NETLINK;
}

static void fall_asleep(struct sleeper *sleeper, const struct pollfd *fds, nfds_t count,
                        int64_t deadline_ns)
{
    sleeper->is_connected = false;
    for (nfds_t i = 0; i < count; i++) {
        sleeper->fds[i] = fds[i];
        sleeper->is_connected = sleeper->is_connected || is_connection(fds[i].fd);
    }
    sleeper->fds[count] = (struct pollfd){.fd = sleeper->wake_fd, .events = POLLIN};
    sleeper->count = count + 1;
    sleeper->deadline_ns = deadline_ns;
    sleeper->asleep = true;
}

static unsigned thread_count(void)
{
    struct stat entry;
    return stat("/proc/self/task", &entry) == 0 ? (unsigned)entry.st_nlink - 2 : UINT_MAX;
}

/* Whether all threads wait, without anything to wake them but time. */
static bool is_quiet(void)
{
    unsigned asleep = 0;
    for (unsigned i = 0; i < sleeper_count; i++) {
        struct pollfd fds[FDS_MAX + 1];
        const struct sleeper *sleeper = &sleepers[i];
        if (!sleeper->asleep)
            continue;
        memcpy(fds, sleeper->fds, sleeper->count * sizeof *fds);
        if (sleeper->is_connected || next_poll()(fds, sleeper->count, 0) != 0)
            return false;
        asleep++;
    }
    return asleep == thread_count();
}

/* ---- leaping ---- */

static int64_t limit_ns(void)
{
    char text[LIMIT_BYTES] = "";
    const char *path = getenv("RUNNEL_LEAP");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, text, sizeof text - 1);
    (void)close(fd);
    return got <= 0 ? 0 : atomic_load(&started_ns) + strtoll(text, NULL, 10) * SECOND_NS;
}

static int64_t first_deadline_ns(void)
{
    int64_t first_ns = limit_ns();
    for (unsigned i = 0; i < sleeper_count; i++)
        if (sleepers[i].asleep && sleepers[i].deadline_ns < first_ns)
            first_ns = sleepers[i].deadline_ns;
    return first_ns;
}

static void wake_all_due(int64_t at_ns)
{
    const uint64_t one = 1;
    for (unsigned i = 0; i < sleeper_count; i++)
        if (sleepers[i].asleep && sleepers[i].deadline_ns <= at_ns)
            if (write(sleepers[i].wake_fd, &one, sizeof one) < 0)
                abort();
}

/* The last one to fall asleep finds all others so. */
static void leap_locked(void)
{
    if (!is_quiet())
        return;
    int64_t to_ns = first_deadline_ns();
    int64_t ahead_ns = to_ns - now_ns();
    if (ahead_ns > 0)
        (void)atomic_fetch_add(&leapt_ns, ahead_ns);
    wake_all_due(to_ns);
}

/* ---- the calls ---- */

static int real_timeout_ms(int64_t deadline_ns)
{
    int64_t left_ns = deadline_ns - now_ns();
    if (deadline_ns == INT64_MAX)
        return -1;
    if (left_ns <= 0)
        return 0;
    return left_ns / MS_NS >= INT_MAX ? INT_MAX : (int)((left_ns + MS_NS - 1) / MS_NS);
}

/* Of what woke the sleeper, what the caller asked for; -1: it is to sleep on. */
static int take_result(const struct sleeper *sleeper, struct pollfd *fds, nfds_t count)
{
    int ready = 0;
    uint64_t ignored;
    if (sleeper->fds[count].revents != 0 && read(sleeper->wake_fd, &ignored, sizeof ignored) < 0 &&
        errno != EAGAIN)
        abort();
    for (nfds_t i = 0; i < count; i++) {
        fds[i].revents = sleeper->fds[i].revents;
        ready += fds[i].revents != 0;
    }
    return ready > 0 || now_ns() >= sleeper->deadline_ns ? ready : -1;
}

static int sleep_once(struct sleeper *sleeper, struct pollfd *fds, nfds_t count)
{
    struct pollfd woken[FDS_MAX + 1];
    (void)pthread_mutex_lock(&lock);
    leap_locked();
    memcpy(woken, sleeper->fds, sleeper->count * sizeof *woken);
    (void)pthread_mutex_unlock(&lock);
    int rc = next_poll()(woken, sleeper->count, real_timeout_ms(sleeper->deadline_ns));
    if (rc < 0)
        return rc == -1 && errno == EINTR ? -1 : 0;
    (void)pthread_mutex_lock(&lock);
    memcpy(sleeper->fds, woken, sleeper->count * sizeof *woken);
    (void)pthread_mutex_unlock(&lock);
    return take_result(sleeper, fds, count);
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    int rc = next_poll()(fds, count, 0);
    if (rc != 0 || timeout_ms == 0 || count > FDS_MAX)
        return rc;
    struct sleeper *sleeper = own_slot();
    int64_t deadline_ns = timeout_ms < 0 ? INT64_MAX : now_ns() + timeout_ms * MS_NS;
    (void)pthread_mutex_lock(&lock);
    fall_asleep(sleeper, fds, count, deadline_ns);
    (void)pthread_mutex_unlock(&lock);
    do
        rc = sleep_once(sleeper, fds, count);
    while (rc < 0);
    (void)pthread_mutex_lock(&lock);
    sleeper->asleep = false;
    (void)pthread_mutex_unlock(&lock);
    return rc;
}

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t bytes)
{
    (void)bytes;
    return poll(fds, count, timeout_ms);
}

/* The newest of its versions, which dlsym does not give on every machine. */
static timedwait_function *next_timedwait(void)
{
    void *found = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (found == NULL)
        found = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    return (timedwait_function *)(uintptr_t)found;
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                           const struct timespec *until)
{
    int64_t ns = until->tv_sec * SECOND_NS + until->tv_nsec - atomic_load(&leapt_ns);
    const struct timespec before = {.tv_sec = ns > 0 ? ns / SECOND_NS : 0,
                                    .tv_nsec = ns > 0 ? ns % SECOND_NS : 0};
    return next_timedwait()(condition, mutex, &before);
}

__attribute__((constructor)) static void start(void)
{
    atomic_store(&started_ns, real_ns(CLOCK_MONOTONIC));
}
