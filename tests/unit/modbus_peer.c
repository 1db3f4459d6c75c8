/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "tests/unit/modbus_peer.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FRAME_BYTES = 600 };

struct peer {
    const struct peer_step *steps;
    size_t count;
    size_t done;
    int listener; /* -1: a serial line */
    int fd;
    int line; /* the device of a serial line, held so that its end is not reported before its use */
    int stop; /* an eventfd */
    struct stop *stop_then; /* asked for once the last step is done; or NULL */
    unsigned connections;
    pthread_t thread;
    char fault[2 * FRAME_BYTES]; /* what came instead of what was wanted; "" */
};

static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static size_t from_hex(const char *text, uint8_t bytes[FRAME_BYTES])
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        if (*text == ' ')
            continue;
        bytes[count++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
        text++;
    }
    return count;
}

/* Waits until FD can be read; false: the test is over. */
static bool wait_for(const struct peer *peer, int fd)
{
    struct pollfd both[] = {{.fd = peer->stop, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    return poll(both, 2, -1) > 0 && both[0].revents == 0;
}

static void compare(struct peer *peer, const uint8_t *got, const uint8_t *want, size_t count)
{
    int used = 0;
    if (peer->fault[0] != '\0' || memcmp(got, want, count) == 0)
        return;
    for (size_t i = 0; i < count; i++)
        used += snprintf(peer->fault + used, sizeof peer->fault - (size_t)used, "%02x", got[i]);
}

/* 1: a request came; 0: the connection is gone; -1: the test is over. */
static int read_request(struct peer *peer, const uint8_t *want, size_t count)
{
    uint8_t got[FRAME_BYTES];
    for (size_t have = 0; have < count;) {
        if (!wait_for(peer, peer->fd))
            return -1;
        ssize_t more = read(peer->fd, got + have, count - have);
        if (more <= 0)
            return 0;
        have += (size_t)more;
    }
    compare(peer, got, want, count);
    return 1;
}

static void hang_up(struct peer *peer)
{
    if (peer->fd >= 0)
        (void)close(peer->fd);
    peer->fd = -1;
}

static void answer(struct peer *peer, const struct peer_step *step)
{
    uint8_t bytes[FRAME_BYTES];
    size_t count = step->say != NULL ? from_hex(step->say, bytes) : 0;
    peer->done++;
    if (count > 0 && write(peer->fd, bytes, count) != (ssize_t)count)
        (void)strcpy(peer->fault, "an answer could not be written");
    if (step->close)
        hang_up(peer);
}

static void *serve(void *context)
{
    struct peer *peer = context;
    uint8_t want[FRAME_BYTES];
    while (peer->done < peer->count) {
        if (peer->fd < 0) {
            if (peer->listener < 0 || !wait_for(peer, peer->listener))
                break;
            peer->fd = accept(peer->listener, NULL, NULL);
            peer->connections++;
        }
        const struct peer_step *step = &peer->steps[peer->done];
        int came = read_request(peer, want, from_hex(step->want, want));
        if (came < 0)
            break;
        if (came == 0)
            hang_up(peer);
        else
            answer(peer, step);
    }
    if (peer->stop_then != NULL && peer->done == peer->count)
        stop_request(peer->stop_then);
    return NULL;
}

static struct peer *start(const struct peer_step *steps, size_t count, int listener, int fd,
                          struct stop *stop_then)
{
    struct peer *peer = calloc(1, sizeof *peer);
    assert_non_null(peer);
    peer->steps = steps;
    peer->count = count;
    peer->listener = listener;
    peer->fd = fd;
    peer->line = -1;
    peer->stop_then = stop_then;
    peer->stop = eventfd(0, EFD_CLOEXEC);
    assert_true(peer->stop >= 0);
    assert_int_equal(pthread_create(&peer->thread, NULL, serve, peer), 0);
    return peer;
}

struct peer *peer_tcp(const struct peer_step *steps, size_t count, bool six, uint16_t *ret_port,
                      struct stop *stop_then)
{
    struct sockaddr_in6 address6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in address4 = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *address =
        six ? (struct sockaddr *)(void *)&address6 : (struct sockaddr *)(void *)&address4;
    socklen_t bytes = six ? sizeof address6 : sizeof address4;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, address, bytes) < 0) {
        (void)close(fd);
        return NULL;
    }
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, address, &bytes), 0);
    *ret_port = ntohs(six ? address6.sin6_port : address4.sin_port);
    return start(steps, count, fd, -1, stop_then);
}

struct peer *peer_serial(const struct peer_step *steps, size_t count,
                         char ret_path[PEER_PATH_BYTES])
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(grantpt(fd), 0);
    assert_int_equal(unlockpt(fd), 0);
    assert_int_equal(ptsname_r(fd, ret_path, PEER_PATH_BYTES), 0);
    int line = open(ret_path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(line >= 0);
    struct peer *peer = start(steps, count, -1, fd, NULL);
    peer->line = line;
    return peer;
}

void peer_blurt(struct peer *peer, const char *bytes)
{
    uint8_t noise[FRAME_BYTES];
    size_t count = from_hex(bytes, noise);
    assert_int_equal(write(peer->fd, noise, count), (ssize_t)count);
}

void peer_expect_exclusive(const struct peer *peer, bool wanted)
{
    int exclusive;
    if (ioctl(peer->line, TIOCGEXCL, &exclusive) == 0)
        assert_int_equal(exclusive != 0, wanted);
}

void peer_get_line(const struct peer *peer, struct termios *ret_line)
{
    assert_int_equal(tcgetattr(peer->line, ret_line), 0);
}

void peer_finish(struct peer *peer, unsigned connections)
{
    uint64_t one = 1;
    if (peer == NULL)
        return;
    assert_int_equal(write(peer->stop, &one, sizeof one), sizeof one);
    assert_int_equal(pthread_join(peer->thread, NULL), 0);
    hang_up(peer);
    if (peer->listener >= 0)
        (void)close(peer->listener);
    if (peer->line >= 0)
        (void)close(peer->line);
    (void)close(peer->stop);
    assert_string_equal(peer->fault, "");
    assert_int_equal(peer->done, peer->count);
    assert_int_equal(peer->connections, connections);
    free(peer);
}
