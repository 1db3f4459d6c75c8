/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/control.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/control/session.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/fs.h"
#include "platform/thread.h"

enum { SOCKET_MODE = 0660, DIRECTORY_MODE = 0755, LISTEN_PAUSE_MS = 1000 };
enum { SENDERS_MAX = CONFIG_CONTROL_CONNECTIONS * 3 / 4 };
enum { POLL_EVENT, POLL_STOP, POLL_LISTEN, POLL_SESSIONS };

struct control {
    struct control_options options;
    char path[CONTROL_PATH_BYTES];
    dev_t device; /* of the socket file, to remove no other */
    ino_t inode;
    int listen_fd;
    int event_fd;        /* tickets and control_close wake the thread with it */
    int64_t listen_ms;   /* no connection is taken before: the last one failed */
    bool stopping;       /* the stop was requested: no more input */
    atomic_bool closing; /* control_close was called: report once more and end */
    struct progress progress;
    struct thread thread;
    struct session sessions[CONFIG_CONTROL_CONNECTIONS];
};

_Static_assert(sizeof(((struct sockaddr_un *)NULL)->sun_path) == CONTROL_PATH_BYTES,
               "unix(7): sun_path");

int control_path(char path[CONTROL_PATH_BYTES])
{
    const char *own = getenv("RUNNEL_SOCKET");
    const char *runtime = getenv("RUNTIME_DIRECTORY");
    int count;
    if (own != NULL && *own != '\0')
        count = snprintf(path, CONTROL_PATH_BYTES, "%s", own);
    else if (runtime != NULL && *runtime != '\0') /* a list with colons, systemd.exec(5) */
        count = snprintf(path, CONTROL_PATH_BYTES, "%.*s/control.sock", (int)strcspn(runtime, ":"),
                         runtime);
    else
        count = snprintf(path, CONTROL_PATH_BYTES, "/run/runnel/control.sock");
    return count < CONTROL_PATH_BYTES ? 0 : E_TOO_BIG;
}

/* ---- the thread ---- */

static bool may_send(const struct control *control)
{
    unsigned senders = 0;
    for (size_t i = 0; i < CONFIG_CONTROL_CONNECTIONS; i++)
        senders += session_is_sender(&control->sessions[i]);
    return senders < SENDERS_MAX;
}

static struct session *free_session(struct control *control)
{
    for (size_t i = 0; i < CONFIG_CONTROL_CONNECTIONS; i++) {
        if (!session_is_open(&control->sessions[i]))
            return &control->sessions[i];
    }
    return NULL;
}

static void accept_one(struct control *control, int64_t now_ms)
{
    static const char busy[] = "error too many connections, try again later\n";
    int fd = accept4(control->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        /* Out of descriptors: the connection stays and poll would report it for ever. */
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            control->listen_ms = now_ms + LISTEN_PAUSE_MS;
        return;
    }
    struct session *session = free_session(control);
    if (session != NULL) {
        session_open(session, fd, now_ms);
        return;
    }
    (void)send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)close(fd);
}

static void stop_input(struct control *control, int64_t now_ms)
{
    control->stopping = true;
    for (size_t i = 0; i < CONFIG_CONTROL_CONNECTIONS; i++)
        session_stop_input(&control->sessions[i], now_ms);
}

static void prepare_polls(const struct control *control, struct pollfd *polls, int64_t now_ms)
{
    bool listens = !control->stopping && control->listen_ms <= now_ms;
    polls[POLL_EVENT] = (struct pollfd){.fd = control->event_fd, .events = POLLIN};
    polls[POLL_STOP] =
        (struct pollfd){.fd = control->stopping ? -1 : control->options.stop->fd, .events = POLLIN};
    polls[POLL_LISTEN] = (struct pollfd){.fd = listens ? control->listen_fd : -1, .events = POLLIN};
    for (size_t i = 0; i < CONFIG_CONTROL_CONNECTIONS; i++) {
        const struct session *session = &control->sessions[i];
        bool open = session_is_open(session);
        polls[POLL_SESSIONS + i] = (struct pollfd){
            .fd = open ? session->fd : -1, .events = open ? session_events(session) : (short)0};
    }
}

static int64_t deadline_ms(const struct control *control, int64_t now_ms)
{
    int64_t first_ms = control->listen_ms > now_ms ? control->listen_ms : INT64_MAX;
    for (size_t i = 0; i < CONFIG_CONTROL_CONNECTIONS; i++) {
        const struct session *session = &control->sessions[i];
        int64_t own_ms = session_is_open(session) ? session_deadline_ms(session) : INT64_MAX;
        first_ms = own_ms < first_ms ? own_ms : first_ms;
    }
    return first_ms;
}

static int timeout_ms(int64_t until_ms, int64_t now_ms)
{
    if (until_ms == INT64_MAX)
        return -1;
    if (until_ms <= now_ms)
        return 0;
    return until_ms - now_ms < INT_MAX ? (int)(until_ms - now_ms) : INT_MAX;
}

static void continue_sessions(struct control *control, const struct pollfd *polls, int64_t now_ms)
{
    for (size_t i = 0; i < CONFIG_CONTROL_CONNECTIONS; i++) {
        struct session *session = &control->sessions[i];
        if (session_is_open(session))
            session_continue(session, polls[POLL_SESSIONS + i].revents, may_send(control), now_ms);
    }
}

static void serve_once(struct control *control)
{
    struct pollfd polls[POLL_SESSIONS + CONFIG_CONTROL_CONNECTIONS];
    int64_t now_ms = clock_mono_ms();
    prepare_polls(control, polls, now_ms);
    int64_t until_ms = progress_sleep(&control->progress, deadline_ms(control, now_ms));
    int ready =
        poll(polls, POLL_SESSIONS + CONFIG_CONTROL_CONNECTIONS, timeout_ms(until_ms, now_ms));
    progress_work(&control->progress);
    if (ready < 0) /* interrupted, or for a moment out of memory: nothing is known to be ready */
        return;
    now_ms = clock_mono_ms();
    stop_event_drain(control->event_fd);
    if (polls[POLL_STOP].revents != 0)
        stop_input(control, now_ms);
    continue_sessions(control, polls, now_ms);
    if (polls[POLL_LISTEN].revents != 0 && !control->stopping)
        accept_one(control, now_ms);
}

static void serve(void *context)
{
    struct control *control = context;
    while (!atomic_load(&control->closing))
        serve_once(control);
    int64_t now_ms = clock_mono_ms();
    stop_input(control, now_ms);
    for (size_t i = 0; i < CONFIG_CONTROL_CONNECTIONS; i++) {
        if (session_is_open(&control->sessions[i]))
            session_continue(&control->sessions[i], 0, false, now_ms);
        session_close(&control->sessions[i]);
    }
    progress_promise(&control->progress, INT64_MAX);
}

/* ---- opening and closing ---- */

/* 0: nobody is there. */
static int probe(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_sys(errno);
    int failed = connect(fd, (const struct sockaddr *)address, sizeof(*address));
    int errnum = failed < 0 ? errno : 0;
    (void)close(fd);
    if (errnum == 0 || errnum == EAGAIN) /* EAGAIN: alive, with a full backlog */
        return E_BUSY;
    return errnum == ECONNREFUSED || errnum == ENOENT ? 0 : error_sys(errnum);
}

/* Removes a socket file that a process which ended without clearing up left behind. */
static int clear_path(const char *path, const struct sockaddr_un *address)
{
    struct stat entry;
    if (lstat(path, &entry) < 0)
        return errno == ENOENT ? 0 : error_sys(errno);
    if (!S_ISSOCK(entry.st_mode))
        return E_EXISTS;
    int result = probe(address);
    if (result < 0)
        return result;
    return unlink(path) < 0 && errno != ENOENT ? error_sys(errno) : 0;
}

/* Nobody can connect before listen(2): the mode is right from the first connection on. */
static int bind_and_listen(struct control *control, const struct sockaddr_un *address)
{
    struct stat entry;
    if (bind(control->listen_fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ||
        chmod(control->path, SOCKET_MODE) < 0 || lstat(control->path, &entry) < 0 ||
        listen(control->listen_fd, CONFIG_CONTROL_CONNECTIONS) < 0)
        return error_sys(errno);
    control->device = entry.st_dev;
    control->inode = entry.st_ino;
    return 0;
}

static void find_parent(const char *path, char parent[CONTROL_PATH_BYTES])
{
    (void)snprintf(parent, CONTROL_PATH_BYTES, "%s", path);
    fs_to_parent(parent);
}

static int make_parent(const char *path)
{
    char parent[CONTROL_PATH_BYTES];
    find_parent(path, parent);
    return fs_make_directories(parent, DIRECTORY_MODE);
}

int control_make_directory(const struct rights *owner)
{
    char path[CONTROL_PATH_BYTES];
    char parent[CONTROL_PATH_BYTES];
    int rc = control_path(path);
    if (rc < 0)
        return rc;
    find_parent(path, parent);
    return rights_make_directories(owner, parent, DIRECTORY_MODE);
}

static int open_socket(struct control *control)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, control->path, strlen(control->path));
    int result = make_parent(control->path);
    if (result == 0)
        result = clear_path(control->path, &address);
    if (result < 0)
        return result;
    control->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return control->listen_fd < 0 ? error_sys(errno) : bind_and_listen(control, &address);
}

static void remove_socket(const struct control *control)
{
    struct stat entry;
    if (lstat(control->path, &entry) == 0 && entry.st_dev == control->device &&
        entry.st_ino == control->inode)
        (void)unlink(control->path);
}

static void release(struct control *control)
{
    if (control->inode != 0)
        remove_socket(control);
    if (control->listen_fd >= 0)
        (void)close(control->listen_fd);
    if (control->event_fd >= 0)
        (void)close(control->event_fd);
    free(control);
}

static void explain(char fault[CONTROL_FAULT_BYTES], const char *path, int result)
{
    const char *remedy = "check that its directory is writable, or set RUNNEL_SOCKET";
    if (result == E_BUSY)
        remedy = "an agent answers there: stop it, or set RUNNEL_SOCKET for one of them";
    else if (result == E_EXISTS)
        remedy = "it is no socket: remove it, or set RUNNEL_SOCKET";
    else if (result == E_TOO_BIG)
        remedy = "a socket's path has at most 107 bytes: set RUNNEL_SOCKET to a shorter one";
    (void)snprintf(fault, CONTROL_FAULT_BYTES, "%.120s: %s; %s", path, ERROR_TEXT(result), remedy);
}

static int start(struct control *control)
{
    int result = stop_event_open(&control->event_fd);
    if (result == 0)
        result = open_socket(control);
    if (result < 0)
        return result;
    for (unsigned i = 0; i < CONFIG_CONTROL_CONNECTIONS; i++) {
        control->sessions[i].options = &control->options;
        control->sessions[i].slot = i;
        control->sessions[i].event_fd = control->event_fd;
    }
    control->progress.every_ms = control->options.heartbeat_ms;
    progress_work(&control->progress);
    return thread_start(&control->thread, "control", serve, control);
}

int control_open(const struct control_options *options, char fault[CONTROL_FAULT_BYTES],
                 struct control **ret_control)
{
    int result = strlen(options->path) < CONTROL_PATH_BYTES ? 0 : E_TOO_BIG;
    struct control *control = result == 0 ? calloc(1, sizeof(*control)) : NULL;
    if (result == 0 && control == NULL)
        result = E_NO_MEMORY;
    if (result < 0) {
        explain(fault, options->path, result);
        return result;
    }
    control->options = *options;
    control->listen_fd = -1;
    control->event_fd = -1;
    (void)snprintf(control->path, sizeof(control->path), "%s", options->path);
    result = start(control);
    if (result < 0) {
        explain(fault, control->path, result);
        release(control);
        return result;
    }
    *ret_control = control;
    return 0;
}

const struct progress *control_progress(const struct control *control)
{
    return &control->progress;
}

int control_close(struct control *control, int64_t deadline_ms)
{
    if (control == NULL)
        return 0;
    atomic_store(&control->closing, true);
    stop_event_signal(control->event_fd);
    int result = thread_join(&control->thread, deadline_ms);
    if (result < 0)
        return result;
    release(control);
    return 0;
}
