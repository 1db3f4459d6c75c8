/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
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
    assert_int_equal(net_connect("127.0.0.1", port, NULL, within(late_ms), &stop, &fd), 0);
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
        assert_int_equal(net_connect(hosts[i], port, NULL, within(late_ms), &stop, &fd), 0);
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
    assert_int_equal(net_connect("127.0.0.1", port_of(taken), NULL, within(late_ms), &stop, &fd),
                     error_sys(ECONNREFUSED));
    assert_int_equal(net_connect("localhost", port_of(taken), NULL, within(late_ms), &stop, &fd),
                     error_sys(ECONNREFUSED));
    assert_int_equal(net_connect("::1%none", port_of(taken), NULL, within(soon_ms), &stop, &fd),
                     E_NAME);
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
        if (net_connect("127.0.0.1", *ret_port, NULL, within(soon_ms), &stop, &crowd[i]) < 0)
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
        if (net_connect("::1", port, NULL, within(soon_ms), &stop, &crowd[i]) < 0)
            crowd[i] = -1;
    int64_t deadline_ms = within(2000);
    assert_int_equal(net_connect("localhost", port, NULL, deadline_ms, &stop, &fd), 0);
    assert_true(clock_mono_ms() < deadline_ms);
    close(fd);
    for (size_t i = 0; i < CROWD; i++)
        if (crowd[i] >= 0)
            close(crowd[i]);
    close(deaf);
    close(listener);
}

/* What worked last is tried first: the dead address costs its time once. */
static void test_memory(void **state)
{
    struct net_memory memory = {0};
    int fd;
    uint16_t port;
    int listener = listen_here(&port);
    (void)state;
    assert_int_equal(net_connect("localhost", port, &memory, within(late_ms), &stop, &fd), 0);
    close(fd);
    unsigned count = memory.count; /* one without IPv6 */
    assert_true(count >= 1 && count <= 2);
    assert_int_equal(memory.addresses[0].any.sa_family, AF_INET);
    if (count == 2)
        assert_int_equal(memory.addresses[1].any.sa_family, AF_INET6);
    assert_int_equal(net_connect("localhost", port, &memory, within(late_ms), &stop, &fd), 0);
    close(fd);
    assert_int_equal(memory.addresses[0].any.sa_family, AF_INET);
    assert_int_equal(memory.count, count);
    assert_true(memory.failures == 0 && memory.recalled == 0);
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
    assert_int_equal(net_connect("127.0.0.1", port, NULL, deadline_ms, &stop, &fd), E_TIMEOUT);
    assert_true(clock_mono_ms() >= deadline_ms);
    assert_int_equal(thread_start(&thread, "stopper", request_stop, &stop), 0);
    assert_int_equal(net_connect("127.0.0.1", port, NULL, INT64_MAX, &stop, &fd), E_STOP);
    assert_int_equal(net_connect("never.asked.example", port, NULL, INT64_MAX, &stop, &fd), E_STOP);
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
    if (net_connect("localhost", port, NULL, within(late_ms), &stop, &fd) < 0)
        return 2;
    close(fd);
    if (count_datagrams(server) != 0)
        return 3; /* nobody is asked for localhost */
    if (net_connect("silent.example", port, NULL, within(2000), &stop, &fd) != E_RESOLVER)
        return 4;
    int asked = count_datagrams(server);
    close(listener);
    close(server);
    stop_close(&stop);
    return asked == 2 ? 0 : 100 + asked;
}

/* ---- a name server that says what the first letter of a name asks for ---- */

enum { HUGE_ANSWERS = 3000, DNS_HEAD = 12, DNS_BYTES = 65535 };

struct name_server {
    int udp;
    int tcp;
    atomic_bool is_broken; /* answers SERVFAIL */
    struct stop stop;
    struct thread thread;
};

static size_t put_address(uint8_t *to, unsigned last)
{
    const uint8_t record[] = {0xc0, DNS_HEAD, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 0};
    memcpy(to, record, sizeof record);
    to[sizeof record - 1] = (uint8_t)last;
    return sizeof record;
}

/* Turns the question in MESSAGE into its answer: "one" 127.0.0.1, "huge" (by TCP alone) thousands
 * of addresses where nobody listens, others do not exist; nothing has an IPv6 address. */
static size_t answer(const struct name_server *server, uint8_t *message, size_t count, bool by_tcp)
{
    const uint8_t *name = message + DNS_HEAD;
    size_t question = DNS_HEAD + strnlen((const char *)name, count - DNS_HEAD) + 5;
    bool four = message[question - 3] == 1;
    bool huge = name[1] == 'h';
    unsigned answers = !four ? 0 : huge ? HUGE_ANSWERS : name[1] == 'o' ? 1 : 0;
    unsigned code = atomic_load(&server->is_broken) ? 2 : huge || name[1] == 'o' ? 0 : 3;
    if (code != 0 || (huge && !by_tcp))
        answers = 0;
    size_t used = question;
    for (unsigned i = 0; i < answers; i++)
        used += put_address(message + used, huge ? 2 + i % 250 : 1);
    message[2] = (uint8_t)(0x80 | (huge && !by_tcp ? 2 : 0)); /* an answer; cut off */
    message[3] = (uint8_t)(0x80 | code);
    memset(message + 4, 0, 8);
    message[5] = 1;
    message[6] = (uint8_t)(answers >> 8);
    message[7] = (uint8_t)answers;
    return used;
}

static void answer_datagram(const struct name_server *server, uint8_t *message)
{
    struct sockaddr_storage from;
    socklen_t bytes = sizeof from;
    ssize_t got = recvfrom(server->udp, message, DNS_BYTES, 0, (struct sockaddr *)&from, &bytes);
    if (got > DNS_HEAD)
        (void)sendto(server->udp, message, answer(server, message, (size_t)got, false), 0,
                     (struct sockaddr *)&from, bytes);
}

/* Each question of a connection has its length before it. */
static void answer_connection(const struct name_server *server, uint8_t *message)
{
    uint8_t length[2];
    int fd = accept(server->tcp, NULL, NULL);
    while (recv(fd, length, 2, MSG_WAITALL) == 2) {
        size_t count = (size_t)length[0] << 8 | length[1];
        if (recv(fd, message, count, MSG_WAITALL) != (ssize_t)count)
            break;
        count = answer(server, message, count, true);
        length[0] = (uint8_t)(count >> 8);
        length[1] = (uint8_t)count;
        (void)send(fd, length, 2, MSG_NOSIGNAL);
        (void)send(fd, message, count, MSG_NOSIGNAL);
    }
    close(fd);
}

static void serve_names(void *context)
{
    struct name_server *server = context;
    static uint8_t message[DNS_BYTES + 1];
    struct pollfd fds[3] = {{.fd = server->udp, .events = POLLIN},
                            {.fd = server->tcp, .events = POLLIN},
                            {.fd = server->stop.fd, .events = POLLIN}};
    while (poll(fds, 3, -1) > 0 && fds[2].revents == 0) {
        if (fds[0].revents != 0)
            answer_datagram(server, message);
        if (fds[1].revents != 0)
            answer_connection(server, message);
    }
}

static int open_name_server(struct name_server *server)
{
    server->udp = bind_to(SOCK_DGRAM, INADDR_LOOPBACK, 53);
    server->tcp = bind_to(SOCK_STREAM, INADDR_LOOPBACK, 53);
    atomic_init(&server->is_broken, false);
    if (listen(server->tcp, 4) < 0 || stop_open(&server->stop) < 0)
        return -1;
    return thread_start(&server->thread, "names", serve_names, server);
}

static void close_name_server(struct name_server *server)
{
    stop_request(&server->stop);
    (void)thread_join(&server->thread, INT64_MAX);
    close(server->udp);
    close(server->tcp);
    stop_close(&server->stop);
}

/* The number of the first thing that is not as it should be, else 0. */
static int look_up(struct name_server *server, uint16_t port)
{
    struct net_memory memory = {0};
    struct net_memory of_none = {0};
    struct net_memory of_many = {0};
    int fd;
    if (net_connect("none.example", port, &of_none, within(late_ms), &stop, &fd) != E_NAME)
        return 10;
    if (of_none.failures != 1 || of_none.recalled != 0 || of_none.count != 0)
        return 11;
    if (net_connect("one.example", port, &memory, within(late_ms), &stop, &fd) != 0)
        return 12;
    close(fd);
    atomic_store(&server->is_broken, true);
    if (memory.failures != 0 || memory.count != 1)
        return 13;
    if (net_connect("one.example", port, &of_none, within(late_ms), &stop, &fd) != E_RESOLVER)
        return 14;
    if (net_connect("one.example", port, &memory, within(late_ms), &stop, &fd) != 0)
        return 15; /* the address is known from before */
    close(fd);
    if (memory.failures != 1 || memory.recalled != 1)
        return 16;
    atomic_store(&server->is_broken, false);
    if (error_errno(net_connect("huge.example", port, &of_many, within(late_ms), &stop, &fd)) !=
        ECONNREFUSED)
        return 17;
    return of_many.count == NET_ADDRESSES && of_many.failures == 0 ? 0 : 18;
}

static int resolve_names(void)
{
    struct name_server server;
    uint16_t port;
    if (bring_loopback_up() < 0 || stop_open(&stop) < 0)
        return 77;
    int listener = listen_here(&port);
    if (open_name_server(&server) < 0)
        return 2;
    int rc = look_up(&server, port);
    close_name_server(&server);
    close(listener);
    stop_close(&stop);
    return rc;
}

static const char private_script[] =
    "printf 'nameserver 127.0.0.1\\nsearch lan.example\\n' > \"$1\"\n"
    "mount --bind \"$1\" /etc/resolv.conf || exit 77\n"
    "mount --bind /dev/null /etc/hosts || exit 77\n"
    "exec \"$0\" \"$2\"\n";

/* This program again, with PART as its argument, in a name space with a name server of its own. */
static void run_in_private(const char *part)
{
    char program[512];
    char resolv_conf[] = "/tmp/runnel-net-XXXXXX";
    int status = 0;
    ssize_t count = readlink("/proc/self/exe", program, sizeof program - 1);
    assert_true(count > 0);
    program[count] = '\0';
    int file = mkstemp(resolv_conf);
    assert_true(file >= 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        execlp("unshare", "unshare", "-rmn", "sh", "-c", private_script, program, resolv_conf, part,
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

static void test_resolver_is_bounded(void **state)
{
    (void)state;
    run_in_private("silence");
}

static void test_name_servers(void **state)
{
    (void)state;
    run_in_private("names");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_loopback),
        cmocka_unit_test_setup_teardown(test_connect, open_stop, close_stop),
        cmocka_unit_test_setup_teardown(test_connect_refused, open_stop, close_stop),
        cmocka_unit_test_setup_teardown(test_second_address, open_stop, close_stop),
        cmocka_unit_test_setup_teardown(test_memory, open_stop, close_stop),
        cmocka_unit_test_setup_teardown(test_connect_gives_up, open_stop, close_stop),
        cmocka_unit_test_setup_teardown(test_read, open_stop, close_stop),
        cmocka_unit_test_setup_teardown(test_reset, open_stop, close_stop),
        cmocka_unit_test_setup_teardown(test_write_much, open_stop, close_stop),
        cmocka_unit_test_setup_teardown(test_write_gives_up, open_stop, close_stop),
        cmocka_unit_test(test_resolver_is_bounded),
        cmocka_unit_test(test_name_servers),
    };
    if (argc == 2 && strcmp(argv[1], "silence") == 0)
        return resolve_in_silence();
    if (argc == 2 && strcmp(argv[1], "names") == 0)
        return resolve_names();
    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
