/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/notify.h"
#include "platform/random.h"
#include "platform/stop.h"
#include "platform/thread.h"

/* stop, and with it thread, clock, random and notify: what every other test stands on. */

static const int64_t soon_ms = 20;
static const int64_t late_ms = 60 * 1000;

static int64_t within(int64_t ms)
{
    return clock_mono_ms() + ms;
}

static void test_deadline(void **state)
{
    struct stop stop;
    (void)state;
    assert_int_equal(stop_open(&stop), 0);
    assert_false(stop_requested(&stop));
    int64_t deadline_ms = within(soon_ms);
    assert_int_equal(stop_wait(&stop, -1, 0, deadline_ms), E_TIMEOUT);
    assert_true(clock_mono_ms() >= deadline_ms); /* never early */
    assert_int_equal(stop_wait(&stop, -1, 0, 0), E_TIMEOUT);
    assert_int_equal(stop_wait(&stop, -1, 0, INT64_MIN), E_TIMEOUT);
    stop_close(&stop);
}

static void test_request_stays(void **state)
{
    struct stop stop;
    int pipes[2];
    (void)state;
    assert_int_equal(stop_open(&stop), 0);
    assert_int_equal(pipe(pipes), 0);
    errno = 4711;
    stop_request(&stop);
    stop_request(&stop);
    assert_int_equal(errno, 4711);
    assert_true(stop_requested(&stop));
    assert_true(stop_requested(&stop));
    assert_int_equal(stop_wait(&stop, -1, 0, INT64_MAX), E_STOP);
    assert_int_equal(stop_wait(&stop, pipes[1], POLLOUT, INT64_MAX), E_STOP); /* goes first */
    stop_close(&stop);
    assert_false(stop_requested(&stop)); /* a closed one is never requested */
    close(pipes[0]);
    close(pipes[1]);
}

static void test_descriptor(void **state)
{
    struct stop stop;
    int pipes[2];
    (void)state;
    assert_int_equal(stop_open(&stop), 0);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(stop_wait(&stop, pipes[0], POLLIN, within(soon_ms)), E_TIMEOUT);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    assert_int_equal(stop_wait(&stop, pipes[0], POLLIN, INT64_MAX), 0);
    assert_int_equal(stop_wait(&stop, pipes[0], POLLIN, 0), 0); /* looked at though it is late */
    char byte;
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    close(pipes[1]);
    assert_int_equal(stop_wait(&stop, pipes[0], POLLIN, INT64_MAX), 0); /* hung up */
    close(pipes[0]);
    assert_int_equal(stop_wait(&stop, pipes[0], POLLIN, INT64_MAX), error_sys(EBADF));
    stop_close(&stop);
}

static int64_t due_of(const struct progress *progress)
{
    return atomic_load(&progress->due_ms);
}

/* Who waits promises its end, in pieces where a watchdog wants to hear from it, and is at work
 * behind it. */
static void test_progress(void **state)
{
    struct progress progress = {.every_ms = 0};
    struct stop stop;
    int fd;
    (void)state;
    assert_int_equal(stop_open(&stop), 0);
    assert_int_equal(stop_event_open(&fd), 0);
    stop.progress = &progress;
    assert_int_equal(progress_late_ms(&progress, INT64_MAX), 0); /* it has not begun */

    assert_true(progress_sleep(&progress, INT64_MAX) == INT64_MAX);
    assert_true(due_of(&progress) == INT64_MAX);
    int64_t deadline_ms = within(late_ms);
    assert_true(progress_sleep(&progress, deadline_ms) == deadline_ms);
    assert_true(due_of(&progress) == deadline_ms + PROGRESS_SLACK_MS);
    assert_int_equal(progress_late_ms(&progress, deadline_ms + PROGRESS_SLACK_MS), 0);
    assert_int_equal(progress_late_ms(&progress, deadline_ms + PROGRESS_SLACK_MS + 7), 7);
    int64_t now_ms = clock_mono_ms();
    assert_true(progress_sleep(&progress, INT64_MIN) == INT64_MIN);
    assert_in_range(due_of(&progress), now_ms + PROGRESS_SLACK_MS,
                    clock_mono_ms() + PROGRESS_SLACK_MS);

    progress.every_ms = 10;
    now_ms = clock_mono_ms();
    int64_t until_ms = progress_sleep(&progress, INT64_MAX);
    assert_in_range(until_ms, now_ms + 10, clock_mono_ms() + 10);
    assert_int_equal(due_of(&progress), until_ms + 10);

    now_ms = clock_mono_ms();
    deadline_ms = within(100);
    assert_int_equal(stop_wait(&stop, fd, POLLIN, deadline_ms), E_TIMEOUT); /* in ten pieces */
    assert_true(clock_mono_ms() >= deadline_ms);
    assert_in_range(due_of(&progress), deadline_ms + PROGRESS_WORK_MS,
                    clock_mono_ms() + PROGRESS_WORK_MS);
    stop_event_signal(fd);
    assert_int_equal(stop_wait(&stop, fd, POLLIN, INT64_MAX), 0);
    progress_promise(&progress, 1);
    assert_false(stop_requested(&stop));
    assert_true(due_of(&progress) >= now_ms + PROGRESS_WORK_MS);
    stop_request(&stop);
    assert_int_equal(stop_wait(&stop, -1, 0, INT64_MAX), E_STOP);
    stop_close(&stop);
    close(fd);
}

static void test_event(void **state)
{
    const struct stop never = {.fd = -1};
    int fd;
    (void)state;
    assert_int_equal(stop_event_open(&fd), 0);
    stop_event_drain(fd); /* does not wait */
    stop_event_signal(fd);
    stop_event_signal(fd);
    assert_int_equal(stop_wait(&never, fd, POLLIN, 0), 0);
    stop_event_drain(fd);
    assert_int_equal(stop_wait(&never, fd, POLLIN, 0), E_TIMEOUT);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    close(fd);
}

/* Opening fails as it should when there is no descriptor left, and leaves its results alone. */
static void test_no_descriptors(void **state)
{
    struct rlimit limit;
    struct stop stop = {.fd = 4711};
    struct thread thread = {.handle = 4711};
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int rc = stop_open(&stop);
    int thread_rc = thread_start(&thread, "none", NULL, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(rc, error_sys(EMFILE));
    assert_int_equal(stop.fd, 4711);
    assert_int_equal(thread_rc, error_sys(EMFILE));
    assert_int_equal(thread.handle, 4711);
}

struct seen {
    struct stop stop;
    char name[16];
    sigset_t blocked;
    size_t stack_bytes;
    int wait_rc;
};

static void look_around(void *context)
{
    struct seen *seen = context;
    pthread_attr_t attributes;
    (void)pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        (void)pthread_attr_getstacksize(&attributes, &seen->stack_bytes);
        (void)pthread_attr_destroy(&attributes);
    }
    seen->wait_rc = stop_wait(&seen->stop, -1, 0, within(late_ms));
}

static void test_thread(void **state)
{
    struct seen seen = {.wait_rc = 0};
    struct thread thread = {.running = false};
    sigset_t mine;
    (void)state;
    assert_int_equal(stop_open(&seen.stop), 0);
    assert_int_equal(thread_join(&thread, 0), 0); /* one that was never started */
    assert_int_equal(thread_start(&thread, "route-with-a-long-name", look_around, &seen), 0);
    assert_int_equal(thread_join(&thread, within(soon_ms)), E_TIMEOUT);
    assert_true(thread.running);
    stop_request(&seen.stop);
    assert_int_equal(thread_join(&thread, within(late_ms)), 0);
    assert_int_equal(thread_join(&thread, 0), 0); /* once more changes nothing */
    assert_int_equal(seen.wait_rc, E_STOP);
    assert_string_equal(seen.name, "route-with-a-lo");
    assert_true(seen.stack_bytes >= CONFIG_STACK_BYTES);
    assert_int_equal(sigismember(&seen.blocked, SIGTERM), 1);
    assert_int_equal(sigismember(&seen.blocked, SIGCHLD), 1);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mine), 0);
    assert_int_equal(sigismember(&mine, SIGTERM), 0);
    stop_close(&seen.stop);
}

/* What compile.cmake wants below a stack, so that frames of half of it cannot step over it. */
enum { GUARD_BYTES = 64 * 1024 };

struct below {
    int pipe_fd;
    size_t guard_bytes;
    int rc_lowest;      /* of the stack's lowest byte, read by the kernel */
    int rc_guard_first; /* of the guard's byte next to it, */
    int rc_guard_last;  /* and of the one furthest away */
};

static int try_byte(int fd, const char *byte)
{
    return write(fd, byte, 1) == 1 ? 0 : error_sys(errno);
}

static void look_below(void *context)
{
    struct below *below = context;
    pthread_attr_t attributes;
    void *lowest;
    size_t bytes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;
    (void)pthread_attr_getguardsize(&attributes, &below->guard_bytes);
    if (pthread_attr_getstack(&attributes, &lowest, &bytes) == 0) {
        below->rc_lowest = try_byte(below->pipe_fd, lowest);
        below->rc_guard_first = try_byte(below->pipe_fd, (char *)lowest - 1);
        below->rc_guard_last = try_byte(below->pipe_fd, (char *)lowest - GUARD_BYTES);
    }
    (void)pthread_attr_destroy(&attributes);
}

static void test_guard(void **state)
{
    struct thread thread;
    int fds[2];
    (void)state;
    assert_int_equal(pipe(fds), 0);
    struct below below = {.pipe_fd = fds[1], .rc_lowest = E_STOP};
    assert_int_equal(thread_start(&thread, "below", look_below, &below), 0);
    assert_int_equal(thread_join(&thread, within(late_ms)), 0);
    assert_true(below.guard_bytes >= GUARD_BYTES);
    assert_int_equal(below.rc_lowest, 0);
    assert_int_equal(below.rc_guard_first, error_sys(EFAULT));
    assert_int_equal(below.rc_guard_last, error_sys(EFAULT));
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void test_clocks(void **state)
{
    uint8_t id[CLOCK_BOOT_ID_BYTES] = {0};
    uint8_t again[CLOCK_BOOT_ID_BYTES];
    const uint8_t zeros[CLOCK_BOOT_ID_BYTES] = {0};
    (void)state;
    int64_t mono_ms = clock_mono_ms();
    int64_t cpu_us = clock_cpu_us();
    assert_true(mono_ms > 0);
    assert_true(clock_boot_ms() >= mono_ms); /* it also counts the time asleep */
    assert_true(clock_wall_ms() > 1700000000000);
    while (clock_cpu_us() == cpu_us)
        ;
    assert_true(clock_mono_ms() >= mono_ms);
    (void)clock_kernel_synced(); /* either answer is right here */
    clock_boot_id(id);
    assert_memory_not_equal(id, zeros, sizeof id);
    if (access("/proc/sys/kernel/random/boot_id", R_OK) == 0) {
        clock_boot_id(again);
        assert_memory_equal(id, again, sizeof id);
    }
}

static void test_random(void **state)
{
    uint8_t bytes[64] = {0};
    unsigned counts[5] = {0};
    (void)state;
    random_bytes(bytes, 0);
    assert_int_equal(bytes[0], 0);
    random_bytes(bytes, sizeof bytes);
    size_t zeros = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        zeros += bytes[i] == 0;
    assert_true(zeros < 16); /* by chance about once in 10^24 runs */
    for (int i = 0; i < 5000; i++) {
        uint64_t number = random_below(5);
        assert_true(number < 5);
        counts[number]++;
    }
    for (size_t i = 0; i < 5; i++)
        assert_in_range(counts[i], 700, 1300); /* ten standard deviations about 1000 */
    assert_true(random_below(1) == 0);
    for (int i = 0; i < 100; i++)
        assert_true(random_below(UINT64_MAX) < UINT64_MAX);
}

static void expect_notified(int fd, const char *text)
{
    char buffer[64];
    ssize_t count = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    assert_int_equal(count, strlen(text));
    assert_memory_equal(buffer, text, strlen(text));
}

static int listen_at(const char *path, size_t count)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, count);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + count);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, bytes), 0);
    return fd;
}

static void test_notify(void **state)
{
    char directory[] = "/tmp/runnel-stop-XXXXXX";
    char path[64];
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    notify_send("READY=1");
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/notify", directory);
    int fd = listen_at(path, strlen(path) + 1);
    setenv("NOTIFY_SOCKET", path, 1);
    notify_send("READY=1");
    expect_notified(fd, "READY=1");
    close(fd);
    unlink(path);
    notify_send("WATCHDOG=1"); /* nobody is there */
    rmdir(directory);

    (void)snprintf(path, sizeof path, "@runnel-test-%ld", (long)getpid());
    char abstract[64];
    memcpy(abstract, path, sizeof path);
    abstract[0] = '\0';
    fd = listen_at(abstract, strlen(path));
    setenv("NOTIFY_SOCKET", path, 1);
    notify_send("STOPPING=1");
    expect_notified(fd, "STOPPING=1");
    close(fd);
    setenv("NOTIFY_SOCKET", "relative", 1);
    notify_send("READY=1");
    unsetenv("NOTIFY_SOCKET");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadline),   cmocka_unit_test(test_request_stays),
        cmocka_unit_test(test_descriptor), cmocka_unit_test(test_progress),
        cmocka_unit_test(test_event),      cmocka_unit_test(test_no_descriptors),
        cmocka_unit_test(test_thread),     cmocka_unit_test(test_guard),
        cmocka_unit_test(test_clocks),     cmocka_unit_test(test_random),
        cmocka_unit_test(test_notify),
    };
    return cmocka_run_group_tests_name("stop", tests, NULL, NULL);
}
