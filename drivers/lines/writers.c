/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/lines/writers.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "platform/base/error.h"

enum { WRITERS = CONFIG_DRIVER_LINES_WRITERS, LISTENER = WRITERS, MODE = 0660 };

_Static_assert(WRITERS_PATH_BYTES == sizeof((struct sockaddr_un *)NULL)->sun_path, "unix(7)");

static int open_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? error_sys(errno) : fd;
}

/* Whether PATH is a socket that its owner left behind, and may be removed. */
static int check_stale(const struct sockaddr_un *address)
{
    struct stat status;
    int rc = 0;
    if (lstat(address->sun_path, &status) < 0)
        return error_sys(errno);
    if (!S_ISSOCK(status.st_mode))
        return E_EXISTS;
    int fd = open_socket();
    if (fd < 0)
        return fd;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
        errno != ECONNREFUSED)
        rc = E_BUSY;
    (void)close(fd);
    return rc;
}

/* The mode of the socket before bind, less the umask, becomes that of the path (unix(7)). */
static int bind_path(int fd, const struct sockaddr_un *address)
{
    (void)fchmod(fd, MODE);
    if (bind(fd, (const struct sockaddr *)address, sizeof *address) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return error_sys(errno);
    int rc = check_stale(address);
    if (rc < 0)
        return rc;
    if (unlink(address->sun_path) < 0 ||
        bind(fd, (const struct sockaddr *)address, sizeof *address) < 0)
        return error_sys(errno);
    return 0;
}

/* Returns the listening descriptor. */
static int listen_on(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return E_TOO_BIG;
    (void)strcpy(address.sun_path, path);
    int fd = open_socket();
    if (fd < 0)
        return fd;
    int rc = bind_path(fd, &address);
    if (rc == 0 && listen(fd, WRITERS) < 0)
        rc = error_sys(errno);
    if (rc < 0) {
        (void)close(fd);
        return rc;
    }
    return fd;
}

static int watch(struct writers *writers, int operation, int fd, uint32_t place, bool readable)
{
    struct epoll_event event = {.events = readable ? (uint32_t)EPOLLIN : 0, .data.u32 = place};
    return epoll_ctl(writers->epoll_fd, operation, fd, &event) < 0 ? error_sys(errno) : 0;
}

int writers_open(struct writers *ret_writers, const char *path, uint8_t *buffers,
                 size_t line_bytes_max)
{
    *ret_writers = (struct writers){
        .path = path, .listen_fd = -1, .epoll_fd = -1, .line_bytes_max = line_bytes_max};
    for (size_t i = 0; i < WRITERS; i++) {
        ret_writers->writers[i].fd = -1;
        ret_writers->writers[i].buffer = buffers + i * framer_buffer_bytes(line_bytes_max);
    }
    ret_writers->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (ret_writers->epoll_fd < 0)
        return error_sys(errno);
    ret_writers->listen_fd = listen_on(path);
    if (ret_writers->listen_fd < 0)
        return ret_writers->listen_fd;
    return watch(ret_writers, EPOLL_CTL_ADD, ret_writers->listen_fd, LISTENER, true);
}

/* While all places are taken the listener is not watched, or its queue would keep us awake. */
static int queue(struct writers *writers, bool queueing)
{
    if (writers->queueing == queueing)
        return 0;
    writers->queueing = queueing;
    return watch(writers, EPOLL_CTL_MOD, writers->listen_fd, LISTENER, !queueing);
}

static int hang_up(struct writers *writers, struct writer *writer)
{
    (void)close(writer->fd);
    writer->fd = -1;
    writers->count--;
    return queue(writers, false);
}

static int accept_one(struct writers *writers)
{
    uint32_t place = 0;
    while (place < WRITERS && writers->writers[place].fd >= 0)
        place++;
    if (place == WRITERS)
        return queue(writers, true);
    int fd = accept4(writers->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED ? 0 : error_sys(errno);
    struct writer *writer = &writers->writers[place];
    writer->fd = fd;
    writers->count++;
    writers->had_one = true;
    framer_start(&writer->framer, writer->buffer, writers->line_bytes_max, 0);
    int rc = watch(writers, EPOLL_CTL_ADD, fd, place, true);
    if (rc < 0)
        (void)hang_up(writers, writer);
    return rc;
}

/* 1 if WRITER's framer has news: bytes, or the end. A broken connection is an end like another. */
static int read_one(struct writers *writers, struct writer *writer)
{
    size_t size;
    void *room = framer_room(&writer->framer, &size);
    ssize_t got = read(writer->fd, room, size);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got > 0)
        framer_add(&writer->framer, (size_t)got);
    else
        writers->leaving = writer;
    return 1;
}

int writers_fetch(struct writers *writers, struct framer **ret_framer, bool *ret_at_end)
{
    struct epoll_event event;
    int rc = writers->leaving != NULL ? hang_up(writers, writers->leaving) : 0;
    writers->leaving = NULL;
    while (rc == 0) {
        int ready = epoll_wait(writers->epoll_fd, &event, 1, 0);
        if (ready < 0 && errno != EINTR)
            return error_sys(errno);
        if (ready == 0)
            return writers->had_one && writers->count == 0 ? E_END : E_AGAIN;
        if (ready < 0)
            continue;
        if (event.data.u32 == LISTENER)
            rc = accept_one(writers);
        else
            rc = read_one(writers, &writers->writers[event.data.u32]);
    }
    if (rc < 0)
        return rc;
    *ret_framer = &writers->writers[event.data.u32].framer;
    *ret_at_end = writers->leaving != NULL;
    return 0;
}

size_t writers_place(const struct writers *writers, const struct framer *framer)
{
    size_t place = 0;
    while (place + 1 < WRITERS && &writers->writers[place].framer != framer)
        place++;
    return place;
}

void writers_close(struct writers *writers)
{
    for (size_t i = 0; i < WRITERS; i++)
        if (writers->writers[i].fd >= 0)
            (void)close(writers->writers[i].fd);
    if (writers->listen_fd >= 0) {
        (void)unlink(writers->path);
        (void)close(writers->listen_fd);
    }
    if (writers->epoll_fd >= 0)
        (void)close(writers->epoll_fd);
}
