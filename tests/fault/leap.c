/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compresses hours, preloaded into the program: whenever all of its threads wait, and none of them
 * for a connection, all of its clocks leap to the first deadline. What takes time keeps the time
 * that it takes: a day passes as fast as the machine is, and a slow one is no other day.
 *
 * RUNNEL_LEAP    a file of struct control, which is mapped (leap.py)
 * RUNNEL_FOLLOW  set: this program only has the clocks that another one lets leap
 *
 * What leapt stays in the file: a program that is started again finds its clocks where they were.
 * Clocks are those of the next library, so clock_shim.c may stand behind it. Connections are
 * sockets of streams that do not listen and have somebody else than the kernel behind them, those
 * of the control socket among them, and connected ones of datagrams; a socket that anybody may send
 * datagrams to is looked at like a pipe.
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
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS ((int64_t)1000000000)
#define MS_NS     ((int64_t)1000000)

/* Waits until a time that is later than this are waits on the wall clock. */
enum { WALL_FROM_S = 500000000 };

enum { SLEEPERS_MAX = 64, FDS_MAX = 64, LOOK_MS = 5 };

struct control {
    _Atomic int64_t leapt_ns; /* what the clocks are ahead by */
    _Atomic int64_t until_ns; /* no leap beyond this time of the monotonic clock, leaps included */
    _Atomic int64_t is_mute;  /* nobody answers: waiting for a connection is waiting for time */
};

struct sleeper {
    bool is_taken; /* by a thread that lives */
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
static pthread_key_t own_key;
static struct control no_control;
static struct control *control = &no_control;
static bool leaps;
static int (*next_gettime)(clockid_t clock, struct timespec *time);
static _Thread_local struct sleeper *own;

/* ---- the clocks ---- */

static int64_t now_ns(void)
{
    struct timespec time = {0};
    (void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND_NS + time.tv_nsec + atomic_load(&control->leapt_ns);
}

/* Others' constructors may ask before ours has run. */
int clock_gettime(clockid_t clock, struct timespec *time)
{
    if (next_gettime == NULL)
        return (int)syscall(SYS_clock_gettime, clock, time);
    int rc = next_gettime(clock, time);
    if (rc < 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID)
        return rc;
    int64_t ns = time->tv_sec * SECOND_NS + time->tv_nsec + atomic_load(&control->leapt_ns);
    *time = (struct timespec){.tv_sec = ns / SECOND_NS, .tv_nsec = ns % SECOND_NS};
    return 0;
}

/* ---- who sleeps ---- */

static poll_function *next_poll(void)
{
    static _Atomic(poll_function *) found;
    poll_function *next = atomic_load(&found);
    if (next == NULL) {
        next = (poll_function *)(uintptr_t)dlsym(RTLD_NEXT, "poll");
        atomic_store(&found, next);
    }
    return next;
}

static struct sleeper *take_slot_locked(void)
{
    for (unsigned i = 0; i < sleeper_count; i++)
        if (!sleepers[i].is_taken)
            return &sleepers[i];
    if (sleeper_count == SLEEPERS_MAX)
        abort();
    sleepers[sleeper_count].wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return &sleepers[sleeper_count++];
}

/* A slot for each thread that ever waits, until it ends. */
static struct sleeper *own_slot(void)
{
    if (own != NULL)
        return own;
    (void)pthread_mutex_lock(&lock);
    own = take_slot_locked();
    own->is_taken = true;
    (void)pthread_mutex_unlock(&lock);
    (void)pthread_setspecific(own_key, own);
    return own;
}

static void release_slot(void *slot)
{
    (void)pthread_mutex_lock(&lock);
    ((struct sleeper *)slot)->is_taken = false;
    (void)pthread_mutex_unlock(&lock);
}

static int option(int fd, int name)
{
    int value = 0;
    socklen_t bytes = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &bytes) == 0 ? value : -1;
}

static bool is_connection(int fd)
{
    struct sockaddr_storage peer;
    socklen_t bytes = sizeof peer;
    if (fd < 0 || option(fd, SO_ACCEPTCONN) != 0 || option(fd, SO_DOMAIN) == AF_NETLINK)
        return false;
    return option(fd, SO_TYPE) != SOCK_DGRAM ||
           getpeername(fd, (struct sockaddr *)&peer, &bytes) == 0;
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

/* What keeps time from leaping, if anything does. */
enum quiet { QUIET, SOON_QUIET, BUSY };

static enum quiet look_around(void)
{
    unsigned asleep = 0;
    bool is_connected = false;
    for (unsigned i = 0; i < sleeper_count; i++) {
        struct pollfd fds[FDS_MAX + 1];
        const struct sleeper *sleeper = &sleepers[i];
        if (!sleeper->is_taken)
            continue;
        if (!sleeper->asleep)
            return BUSY;
        is_connected = is_connected || sleeper->is_connected;
        memcpy(fds, sleeper->fds, sleeper->count * sizeof *fds);
        if (next_poll()(fds, sleeper->count, 0) != 0)
            return BUSY;
        asleep++;
    }
    if (is_connected && !atomic_load(&control->is_mute))
        return SOON_QUIET;
    return asleep == thread_count() ? QUIET : SOON_QUIET;
}

/* ---- leaping ---- */

static int64_t first_deadline_ns(void)
{
    int64_t first_ns = atomic_load(&control->until_ns);
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

/* The last one to fall asleep finds all others so. True if it has to look again soon: the limit
 * may be raised, connections may become mute, and a thread that ends is counted for a moment
 * longer. */
static bool leap_locked(void)
{
    enum quiet quiet = look_around();
    if (quiet != QUIET)
        return quiet == SOON_QUIET;
    int64_t to_ns = first_deadline_ns();
    int64_t ahead_ns = to_ns - now_ns();
    if (ahead_ns > 0)
        (void)atomic_fetch_add(&control->leapt_ns, ahead_ns);
    wake_all_due(to_ns);
    return true;
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
    bool looks_again = leap_locked();
    memcpy(woken, sleeper->fds, sleeper->count * sizeof *woken);
    (void)pthread_mutex_unlock(&lock);
    int wait_ms = real_timeout_ms(sleeper->deadline_ns);
    if (looks_again && (wait_ms < 0 || wait_ms > LOOK_MS))
        wait_ms = LOOK_MS;
    int rc = next_poll()(woken, sleeper->count, wait_ms);
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
    if (!leaps)
        return next_poll()(fds, count, timeout_ms);
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

static int64_t nanoseconds(const struct timespec *time)
{
    return (int64_t)time->tv_sec * SECOND_NS + time->tv_nsec;
}

static struct timespec timespec_of(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / SECOND_NS, .tv_nsec = ns % SECOND_NS};
}

/* UNTIL is a time of the clock that the condition was made with, which nobody can ask it for. */
static int64_t left_ns(const struct timespec *until, struct timespec *ret_real_now)
{
    clockid_t clock = until->tv_sec >= WALL_FROM_S ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    (void)next_gettime(clock, ret_real_now);
    return nanoseconds(until) - nanoseconds(ret_real_now) - atomic_load(&control->leapt_ns);
}

static void begin_wait(struct sleeper *sleeper, int64_t left)
{
    (void)pthread_mutex_lock(&lock);
    fall_asleep(sleeper, NULL, 0, now_ns() + left);
    (void)leap_locked();
    (void)pthread_mutex_unlock(&lock);
}

static void end_wait(struct sleeper *sleeper)
{
    uint64_t ignored;
    (void)pthread_mutex_lock(&lock);
    sleeper->asleep = false;
    if (read(sleeper->wake_fd, &ignored, sizeof ignored) < 0 && errno != EAGAIN)
        abort();
    (void)pthread_mutex_unlock(&lock);
}

/* Nobody can wake it for a leap, so it looks itself, and wakes without a reason, as it may. */
int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                           const struct timespec *until)
{
    struct timespec now;
    int64_t left = left_ns(until, &now);
    struct timespec slice = timespec_of(nanoseconds(&now) + (left > 0 ? left : 0));
    if (!leaps || left <= 0)
        return next_timedwait()(condition, mutex, &slice);
    struct sleeper *sleeper = own_slot();
    begin_wait(sleeper, left);
    if (left > LOOK_MS * MS_NS)
        slice = timespec_of(nanoseconds(&now) + LOOK_MS * MS_NS);
    int rc = next_timedwait()(condition, mutex, &slice);
    end_wait(sleeper);
    return rc == ETIMEDOUT && left_ns(until, &now) > 0 ? 0 : rc;
}

static void map_control(void)
{
    const char *path = getenv("RUNNEL_LEAP");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (mapped == MAP_FAILED)
        return;
    control = mapped;
    leaps = getenv("RUNNEL_FOLLOW") == NULL;
}

__attribute__((constructor)) static void start(void)
{
    *(void **)&next_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    if (next_gettime == NULL || pthread_key_create(&own_key, release_slot) != 0)
        abort();
    map_control();
}
