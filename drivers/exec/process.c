/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/exec/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/fs.h"

enum {
    READ_BYTES = 4096,
    READS_MAX = 64,  /* at a time, before the deadline is looked at again */
    STEP_MS_MIN = 1, /* how often an end is looked for that no pipe tells of */
    STEP_MS_MAX = 50,
    TERM_MS = 300,  /* from SIGTERM to SIGKILL */
    KILL_MS = 1000, /* from there until it is given up */
};

int process_open(struct process *process, uint8_t *output, size_t output_bytes_max)
{
    *process = (struct process){
        .out_fd = -1, .error_fd = -1, .output = output, .output_bytes_max = output_bytes_max};
    process->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return process->epoll_fd < 0 ? error_sys(errno) : 0;
}

static void close_end(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* ---- starting ---- */

/* Ours does not wait, the program's does. */
static int open_pipe(struct process *process, int *ret_ours, int *ret_theirs)
{
    int fds[2];
    struct epoll_event event = {.events = EPOLLIN};
    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_sys(errno);
    *ret_ours = fds[0];
    *ret_theirs = fds[1];
    if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 ||
        epoll_ctl(process->epoll_fd, EPOLL_CTL_ADD, fds[0], &event) < 0)
        return error_sys(errno);
    return 0;
}

/* All other descriptors are closed by their O_CLOEXEC. The agent blocks all signals and ignores
 * SIGPIPE, and both would be inherited. */
static int spawn(struct process *process, char *const *arguments, char *const *environment,
                 int out_fd, int error_fd)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t signals;
    pid_t pid;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0)
        return error_sys(rc);
    rc = posix_spawnattr_init(&attributes);
    if (rc != 0)
        goto err;
    (void)sigemptyset(&signals);
    (void)posix_spawnattr_setsigmask(&attributes, &signals);
    (void)sigfillset(&signals);
    (void)posix_spawnattr_setsigdefault(&attributes, &signals);
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    rc = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                   POSIX_SPAWN_SETSIGDEF);
    if (rc == 0)
        rc = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, error_fd, STDERR_FILENO);
    if (rc == 0)
        rc = posix_spawn(&pid, arguments[0], &actions, &attributes, arguments, environment);
    if (rc == 0)
        process->pid = pid;
    (void)posix_spawnattr_destroy(&attributes);
err:
    (void)posix_spawn_file_actions_destroy(&actions);
    return rc != 0 ? error_sys(rc) : 0;
}

/* A service manager may keep the kernel that has no memory left from ending the agent; what the
 * agent runs has no such right. */
static void unprotect(pid_t pid)
{
    char path[48];
    char own[16];
    (void)snprintf(path, sizeof path, "/proc/%ld/oom_score_adj", (long)pid);
    if (fs_read_file("/proc/self/oom_score_adj", own, sizeof own) < 1 || own[0] != '-')
        return;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return; /* it has ended */
    (void)!write(fd, "0", 1);
    (void)close(fd);
}

static int start(struct process *process, char *const *arguments, char *const *environment)
{
    int out_fd = -1;
    int error_fd = -1;
    process->output_bytes = 0;
    process->too_big = false;
    process->words[0] = '\0';
    process->words_ended = false;
    int rc = open_pipe(process, &process->out_fd, &out_fd);
    if (rc == 0)
        rc = open_pipe(process, &process->error_fd, &error_fd);
    if (rc == 0)
        rc = spawn(process, arguments, environment, out_fd, error_fd);
    if (rc == 0)
        unprotect(process->pid);
    close_end(&out_fd);
    close_end(&error_fd);
    return rc;
}

/* ---- reading ---- */

static void take_output(struct process *process, const uint8_t *bytes, size_t count)
{
    size_t room = process->output_bytes_max - process->output_bytes;
    process->too_big = process->too_big || count > room;
    memcpy(process->output + process->output_bytes, bytes, count < room ? count : room);
    process->output_bytes += count < room ? count : room;
}

/* A line that is not empty replaces the one before. */
static void take_words(struct process *process, const uint8_t *bytes, size_t count)
{
    size_t used = strlen(process->words);
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == '\n' || bytes[i] == '\r') {
            process->words_ended = true;
            continue;
        }
        if (process->words_ended)
            used = 0;
        process->words_ended = false;
        if (used + 1 < sizeof process->words)
            process->words[used++] = bytes[i] >= ' ' && bytes[i] < 0x7f ? (char)bytes[i] : '?';
        process->words[used] = '\0';
    }
}

static void drain(struct process *process, int *fd,
                  void (*take)(struct process *process, const uint8_t *bytes, size_t count))
{
    uint8_t bytes[READ_BYTES];
    for (int i = 0; i < READS_MAX && *fd >= 0 && !process->too_big; i++) {
        ssize_t got = read(*fd, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got > 0)
            take(process, bytes, (size_t)got);
        else
            close_end(fd); /* which ends its watch, too */
    }
}

static void drain_both(struct process *process)
{
    drain(process, &process->out_fd, take_output);
    drain(process, &process->error_fd, take_words);
}

/* ---- ending ---- */

/* Without reaping it: as long as the leader is not, its number belongs to the group alone. */
static bool has_ended(const struct process *process)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
           info.si_pid == process->pid;
}

static void reap(struct process *process)
{
    (void)kill(-process->pid, SIGKILL);
    if (waitpid(process->pid, &process->status, 0) < 0)
        process->status = 0; /* somebody else has */
    process->pid = 0;
}

/* Whether it has ended by UNTIL_MS, whatever else is asked for. */
static bool await_end(const struct process *process, int64_t until_ms)
{
    static const struct stop never = {.fd = -1};
    int64_t step_ms = STEP_MS_MIN;
    for (;;) {
        int64_t now_ms = clock_mono_ms();
        if (has_ended(process))
            return true;
        if (now_ms >= until_ms)
            return false;
        (void)stop_wait(&never, -1, 0, now_ms + step_ms);
        step_ms = step_ms < STEP_MS_MAX ? 2 * step_ms : STEP_MS_MAX;
    }
}

/* The leader itself, too, which may have gone to another group. */
static void signal_all(const struct process *process, int number)
{
    (void)kill(-process->pid, number);
    (void)kill(process->pid, number);
}

/* One that waits in the kernel for a dead device may outlive SIGKILL for now. */
static void end(struct process *process)
{
    signal_all(process, SIGTERM);
    bool ended = await_end(process, clock_mono_ms() + TERM_MS);
    if (!ended) {
        signal_all(process, SIGKILL);
        ended = await_end(process, clock_mono_ms() + KILL_MS);
    }
    if (ended)
        reap(process);
}

/* Until the program ends: 0. Its pipes may be open in others still. */
static int watch(struct process *process, const struct stop *stop, int64_t deadline_ms)
{
    int64_t step_ms = STEP_MS_MIN;
    for (;;) {
        drain_both(process);
        if (process->too_big || has_ended(process))
            return 0;
        int64_t now_ms = clock_mono_ms();
        bool silent = process->out_fd < 0 && process->error_fd < 0;
        int64_t until_ms = now_ms + step_ms < deadline_ms ? now_ms + step_ms : deadline_ms;
        int rc = stop_wait(stop, silent ? -1 : process->epoll_fd, POLLIN, until_ms);
        if (rc == 0 || rc == E_TIMEOUT) /* who never stops writing has a deadline, too */
            rc = now_ms < deadline_ms ? 0 : E_TIMEOUT;
        if (rc < 0)
            return rc;
        step_ms = step_ms < STEP_MS_MAX ? 2 * step_ms : STEP_MS_MAX;
    }
}

int process_run(struct process *process, char *const *arguments, char *const *environment,
                const struct stop *stop, int64_t deadline_ms)
{
    if (process->pid != 0 && has_ended(process))
        reap(process);
    if (process->pid != 0)
        return E_BUSY;
    int rc = start(process, arguments, environment);
    if (rc == 0) {
        rc = watch(process, stop, deadline_ms);
        if (rc == 0 && !process->too_big)
            reap(process);
        else
            end(process);
        drain_both(process);
    }
    close_end(&process->out_fd);
    close_end(&process->error_fd);
    return rc;
}

void process_close(struct process *process)
{
    if (process->pid != 0)
        end(process);
    if (process->epoll_fd > 0)
        (void)close(process->epoll_fd);
    process->epoll_fd = 0;
}
