/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/net.h"
#include "platform/thread.h"

static const int64_t soon_ms = 30;
static const int64_t late_ms = 60 * 1000;
static struct stop stop;

static int64_t within(int64_t ms)
{
    return clock_mono_ms() + ms;
}

static int open_stop(void **state)
{
    (void)state;
    return stop_open(&stop);
}

static int close_stop(void **state)
{
    (void)state;
    stop_close(&stop);
    return 0;
}

static int bind_to(int type, uint32_t address, uint16_t port)
{
    struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof name), 0);
    return fd;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in name;
    socklen_t bytes = sizeof name;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &bytes), 0);
    return ntohs(name.sin_port);
}

static int listen_here(uint16_t *ret_port)
{
    int fd = bind_to(SOCK_STREAM, INADDR_LOOPBACK, 0);
    assert_int_equal(listen(fd, 8), 0);
    *ret_port = port_of(fd);
    return fd;
}

/* A connected pair: the stream under test and the bare socket of the other side. */
static struct stream *open_pair(int *ret_peer)
{
    uint16_t port;
    int fd;
    struct stream *stream;
    int listener = listen_here(&port);
    assert_int_equal(net_connect("127.0.0.1", port, within(late_ms), &stop, &fd), 0);
    *ret_peer = accept(listener, NULL, NULL);
    assert_true(*ret_peer >= 0);
    close(listener);
    assert_int_equal(net_stream(fd, &stop, &stream), 0);
    return stream;
}

static void test_is_loopback(void **state)
{
    static const char *const yes[] = {"localhost",       "LocalHost", "127.0.0.1",
                                      "127.9.8.7",       "::1",       "0:0:0:0:0:0:0:1",
                                      "::ffff:127.0.0.1"};
    static const char *const no[] = {"",
                                     "localhost.",
                                     "localhost.example",
                                     "128.0.0.1",
                                     "127.0.0.1.example",
                                     "0.0.0.0",
                                     "::",
                                     "::2",
                                     "127.1",
                                     "[::1]",
                                     "::ffff:10.0.0.1",
                                     "10.0.0.127"};
    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        assert_true(net_is_loopback(yes[i]));
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        assert_false(net_is_loopback(no[i]));
}

static void test_connect(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost", "::ffff:127.0.0.1"};
    uint16_t port;
    int listener = listen_here(&port);
    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        int fd;
        int no_delay = 0;
        socklen_t bytes = sizeof no_delay;
        assert_int_equal(net_connect(hosts[i], port, within(late_ms), &stop, &fd), 0);
        assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
        assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &bytes), 0);
        assert_int_equal(no_delay, 1);
        close(fd);
    }
    close(listener);
}

static void test_connect_refused(void **state)
{
    int fd = 4711;
    int taken = bind_to(SOCK_STREAM, INADDR_LOOPBACK, 0); /* bound, but nobody listens */
    (void)state;
    assert_int_equal(net_connect("127.0.0.1", port_of(taken), within(late_ms), &stop, &fd),
                     error_sys(ECONNREFUSED));
    assert_int_equal(net_connect("localhost", port_of(taken), within(late_ms), &stop, &fd),
                     error_sys(ECONNREFUSED));
    assert_int_equal(net_connect("::1%none", port_of(taken), within(soon_ms), &stop, &fd), E_NAME);
    assert_int_equal(fd, 4711);
    close(taken);
}

enum { CROWD = 4 };

/* A listener whose queue is full: the kernel drops what comes, as a dead link would. */
static int listen_deaf(uint16_t *ret_port, int crowd[CROWD])
{
    int listener = bind_to(SOCK_STREAM, INADDR_LOOPBACK, 0);
    assert_int_equal(listen(listener, 0), 0);
    *ret_port = port_of(listener);
    for (size_t i = 0; i < CROWD; i++)
        if (net_connect("127.0.0.1", *ret_port, within(soon_ms), &stop, &crowd[i]) < 0)
            crowd[i] = -1;
    return listener;
}

/* localhost has two addresses. Where the first is deaf, the second is reached before all time is
 * spent on the first. */
static void test_second_address(void **state)
{
    int crowd[CROWD];
    int fd;
    uint16_t port;
    int listener = listen_here(&port);
    struct sockaddr_in6 name = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int deaf = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)state;
    if (deaf < 0 || bind(deaf, (const struct sockaddr *)&name, sizeof name) < 0)
        skip(); /* no IPv6 here */
    assert_int_equal(listen(deaf, 0), 0);
    for (size_t i = 0; i < CROWD; i++)
        if (net_connect("::1", port, within(soon_ms), &stop, &crowd[i]) < 0)
            crowd[i] = -1;
    int64_t deadline_ms = within(2000);
    assert_int_equal(net_connect("localhost", port, deadline_ms, &stop, &fd), 0);
    assert_true(clock_mono_ms() < deadline_ms);
    close(fd);
    for (size_t i = 0; i < CROWD; i++)
        if (crowd[i] >= 0)
            close(crowd[i]);
    close(deaf);
    close(listener);
}

static void request_stop(void *context)
{
    stop_request(context);
}

static void test_connect_gives_up(void **state)
{
    uint16_t port;
    int crowd[CROWD];
    int fd = 4711;
    struct thread thread;
    (void)state;
    int listener = listen_deaf(&port, crowd);
    int64_t deadline_ms = within(soon_ms);
    assert_int_equal(net_connect("127.0.0.1", port, deadline_ms, &stop, &fd), E_TIMEOUT);
    assert_true(clock_mono_ms() >= deadline_ms);
    assert_int_equal(thread_start(&thread, "stopper", request_stop, &stop), 0);
    assert_int_equal(net_connect("127.0.0.1", port, INT64_MAX, &stop, &fd), E_STOP);
    assert_int_equal(net_connect("never.asked.example", port, INT64_MAX, &stop, &fd), E_STOP);
    assert_int_equal(thread_join(&thread, within(late_ms)), 0);
    assert_int_equal(fd, 4711);
    for (size_t i = 0; i < CROWD; i++)
        if (crowd[i] >= 0)
            close(crowd[i]);
    close(listener);
}

static void test_read(void **state)
{
    char buffer[16];
    int peer;
    struct stream *stream = open_pair(&peer);
    (void)state;
    assert_int_equal(stream_read(stream, buffer, sizeof buffer, within(soon_ms)), E_TIMEOUT);
    assert_int_equal(write(peer, "hello", 5), 5);
    assert_int_equal(stream_read(stream, buffer, 2, within(late_ms)), 2);
    assert_memory_equal(buffer, "he", 2);
    assert_int_equal(stream_read(stream, buffer, sizeof buffer, 0), 3); /* it lay there already */
    assert_memory_equal(buffer, "llo", 3);
    close(peer);
    assert_int_equal(stream_read(stream, buffer, sizeof buffer, within(late_ms)), E_END);
    assert_int_equal(stream_read(stream, buffer, sizeof buffer, within(late_ms)), E_END);
    stream_close(stream);
    stream_close(NULL);
}

/* Closing with SO_LINGER 0 resets the connection. */
static void reset_peer(int peer)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(peer);
}

static void test_reset(void **state)
{
    char buffer[16];
    int peer;
    struct stream *stream = open_pair(&peer);
    (void)state;
    reset_peer(peer);
    assert_int_equal(stream_read(stream, buffer, sizeof buffer, within(late_ms)), E_CLOSED);
    /* A second write meets a closed socket: no SIGPIPE, which would end this program. */
    assert_int_equal(stream_write(stream, "x", 1, within(late_ms)), E_CLOSED);
    assert_int_equal(stream_write(stream, "x", 1, within(late_ms)), E_CLOSED);
    stream_close(stream);
}

enum { MUCH = 8 * 1024 * 1024 };

struct drain {
    int fd;
    size_t count;
    bool in_order;
};

static void drain_all(void *context)
{
    struct drain *drain = context;
    unsigned char bytes[4096];
    drain->in_order = true;
    for (;;) {
        ssize_t got = read(drain->fd, bytes, sizeof bytes);
        if (got <= 0)
            return;
        for (size_t i = 0; i < (size_t)got; i++, drain->count++)
            drain->in_order = drain->in_order && bytes[i] == (drain->count * 7 & 0xff);
    }
}

/* More than the socket's buffers hold, so that writing has to wait again and again. */
static void test_write_much(void **state)
{
    int peer;
    struct thread thread;
    struct stream *stream = open_pair(&peer);
    struct drain drain = {.fd = peer};
    unsigned char *bytes = malloc(MUCH);
    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < MUCH; i++)
        bytes[i] = (unsigned char)(i * 7);
    assert_int_equal(thread_start(&thread, "drain", drain_all, &drain), 0);
    assert_int_equal(stream_write(stream, bytes, MUCH, within(late_ms)), 0);
    assert_int_equal(stream_write(stream, bytes, 0, within(late_ms)), 0);
    stream_close(stream);
    assert_int_equal(thread_join(&thread, within(late_ms)), 0);
    assert_int_equal(drain.count, MUCH);
    assert_true(drain.in_order);
    close(peer);
    free(bytes);
}

static void test_write_gives_up(void **state)
{
    int peer;
    struct stream *stream = open_pair(&peer); /* the peer never reads */
    char *bytes = calloc(1, MUCH);
    (void)state;
    assert_non_null(bytes);
    assert_int_equal(stream_write(stream, bytes, MUCH, within(soon_ms)), E_TIMEOUT);
    stop_request(&stop);
    assert_int_equal(stream_write(stream, bytes, MUCH, INT64_MAX), E_STOP);
    assert_int_equal(stream_read(stream, bytes, MUCH, INT64_MAX), E_STOP);
    stream_close(stream);
    close(peer);
    free(bytes);
}

static int bring_loopback_up(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int rc = ioctl(fd, SIOCSIFFLAGS, &request);
    close(fd);
    return rc;
}

static int count_datagrams(int fd)
{
    char datagram[512];
    int count = 0;
    while (recv(fd, datagram, sizeof datagram, MSG_DONTWAIT) > 0)
        count++;
    return count;
}

/* Runs where the only name server hears everything and says nothing. One attempt for each of the
 * two families is what fits into two seconds; the resolver's own habit would be twice that, and
 * twice again under the search domain. */
static int resolve_in_silence(void)
{
    int fd;
    uint16_t port;
    if (bring_loopback_up() < 0 || stop_open(&stop) < 0)
        return 77;
    int server = bind_to(SOCK_DGRAM, INADDR_LOOPBACK, 53);
    int listener = listen_here(&port);
    if (net_connect("localhost", port, within(late_ms), &stop, &fd) < 0)
        return 2;
    close(fd);
    if (count_datagrams(server) != 0)
        return 3; /* nobody is asked for localhost */
    if (net_connect("silent.example", port, within(2000), &stop, &fd) != E_NAME)
        return 4;
    int asked = count_datagrams(server);
    close(listener);
    close(server);
    stop_close(&stop);
    return asked == 2 ? 0 : 100 + asked;
}

static const char silence_script[] =
    "printf 'nameserver 127.0.0.1\\nsearch lan.example\\n' > \"$1\"\n"
    "mount --bind \"$1\" /etc/resolv.conf || exit 77\n"
    "mount --bind /dev/null /etc/hosts || exit 77\n"
    "exec \"$0\" silence\n";

static void test_resolver_is_bounded(void **state)
{
    char program[512];
    char resolv_conf[] = "/tmp/runnel-net-XXXXXX";
    int status = 0;
    (void)state;
    ssize_t count = readlink("/proc/self/exe", program, sizeof program - 1);
    assert_true(count > 0);
    program[count] = '\0';
    int file = mkstemp(resolv_conf);
    assert_true(file >= 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        execlp("unshare", "unshare", "-rmn", "sh", "-c", silence_script, program, resolv_conf,
               (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    close(file);
    unlink(resolv_conf);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 1 || WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 126)
        skip(); /* no right to a name space or to mount, or this runs in an emulator */
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_loopback),
        cmocka_unit_test_setup_teardown(test_connect, open_stop, close_stop),
        cmocka_unit_test_setup_teardown(test_connect_refused, open_stop, close_stop),
        cmocka_unit_test_setup_teardown(test_second_address, open_stop, close_stop),
        cmocka_unit_test_setup_teardown(test_connect_gives_up, open_stop, close_stop),
        cmocka_unit_test_setup_teardown(test_read, open_stop, close_stop),
        cmocka_unit_test_setup_teardown(test_reset, open_stop, close_stop),
        cmocka_unit_test_setup_teardown(test_write_much, open_stop, close_stop),
        cmocka_unit_test_setup_teardown(test_write_gives_up, open_stop, close_stop),
        cmocka_unit_test(test_resolver_is_bounded),
    };
    if (argc == 2 && strcmp(argv[1], "silence") == 0)
        return resolve_in_silence();
    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
