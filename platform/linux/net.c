/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/clock.h"

/* The defaults of resolv.conf(5): five seconds, two attempts, at most three servers. */
enum { RESOLVER_TIMEOUT_S = 5, RESOLVER_ATTEMPTS = 2, RESOLVER_SERVERS = 3 };

/* What an address gets before the next is tried, or it is tried anew: two SYNs. */
enum { FIRST_TRY_MS = 2000 };

/* How long what was sent may stay unacknowledged. */
enum {
    PATIENCE_MS = 4000,
    PATIENCE_MAX_MS = 60 * 1000,
    ROUND_TRIPS = 6, /* at least so many */
    BYTES_PER_MS_MIN = 2,
    BYTES_MAX = 1 << 20,
};

static bool is_localhost(const char *host)
{
    return strcasecmp(host, "localhost") == 0;
}

bool net_is_address(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

bool net_is_loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;
    if (is_localhost(host))
        return true;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
    if (inet_pton(AF_INET6, host, &six) != 1)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&six) ||
           (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == IN_LOOPBACKNET);
}

bool net_is_metadata(const char *host)
{
    static const char *const fours[] = {"169.254.169.254", "169.254.170.2", "169.254.170.23"};
    static const char *const sixes[] = {"fd00:ec2::254", "fd00:ec2::23"};
    struct in6_addr six;
    struct in6_addr known;
    for (size_t i = 0; i < sizeof fours / sizeof *fours; i++)
        if (strcmp(host, fours[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof sixes / sizeof *sixes; i++)
        if (inet_pton(AF_INET6, host, &six) == 1 && inet_pton(AF_INET6, sixes[i], &known) == 1 &&
            IN6_ARE_ADDR_EQUAL(&six, &known))
            return true;
    return false;
}

/* The resolver waits by itself, so its patience is cut to what is left: glibc asks each server in
 * turn, together for at most SERVERS * timeout, and that as often as it has attempts. Its state
 * belongs to the thread; setting it anew each time also reads a changed resolv.conf, which glibc
 * no longer does by itself once somebody has altered the state. musl ignores all this and gives
 * up after five seconds on its own. A name with a dot is whole: to try it under the search domains
 * as well would take the time again, and tell it to servers that it does not concern. */
static void bound_resolver(const char *host, int64_t deadline_ms)
{
    int64_t left_s = (deadline_ms - clock_mono_ms()) / 1000;
    int64_t once_s = left_s / RESOLVER_SERVERS;
    if (res_init() < 0)
        return;
    _res.retry = once_s >= RESOLVER_ATTEMPTS ? RESOLVER_ATTEMPTS : 1;
    once_s /= _res.retry;
    _res.retrans = once_s < 1 ? 1 : once_s < RESOLVER_TIMEOUT_S ? (int)once_s : RESOLVER_TIMEOUT_S;
    if (strchr(host, '.') != NULL)
        _res.options &= ~(unsigned long)RES_DNSRCH;
}

static int resolver_error(int rc)
{
    switch (rc) {
    case EAI_SYSTEM:
        return error_sys(errno);
    case EAI_MEMORY:
        return E_NO_MEMORY;
    case EAI_AGAIN:
    case EAI_FAIL:
        return E_RESOLVER;
    default:
        return E_NAME;
    }
}

static int ask_resolver(const char *host, uint16_t port, int64_t deadline_ms,
                        struct addrinfo **ret_list)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    char service[8];
    (void)snprintf(service, sizeof service, "%u", port);
    /* Plain text is allowed towards localhost, so nobody's name server has a say in what it is:
     * no host means the loopback addresses (RFC 6761 section 6.3). */
    if (is_localhost(host))
        host = NULL;
    else if (net_is_address(host))
        hints.ai_flags |= AI_NUMERICHOST;
    else {
        hints.ai_flags |= AI_ADDRCONFIG; /* spares a request for a family that we do not have */
        bound_resolver(host, deadline_ms);
    }
    int rc = getaddrinfo(host, service, &hints, ret_list);
    return rc == 0 ? 0 : resolver_error(rc);
}

/* The next of LIST whose family is FAMILY (or is not, if OTHER). */
static const struct addrinfo *next_of_family(const struct addrinfo *list, int family, bool other)
{
    while (list != NULL && (list->ai_family == family) == other)
        list = list->ai_next;
    return list;
}

static void add_address(struct net_memory *found, const struct addrinfo *address)
{
    struct net_address *to = &found->addresses[found->count];
    if (address->ai_addrlen > sizeof to->six)
        return;
    to->bytes = address->ai_addrlen;
    memcpy(&to->six, address->ai_addr, address->ai_addrlen);
    found->count++;
}

/* The families take turns: where one of them is dead, the second address is of the other. */
static void take_addresses(const struct addrinfo *list, struct net_memory *found)
{
    int family = list->ai_family;
    const struct addrinfo *turns[2] = {list, next_of_family(list, family, true)};
    for (unsigned i = 0; turns[0] != NULL || turns[1] != NULL; i = !i) {
        if (turns[i] == NULL)
            continue;
        if (found->count == NET_ADDRESSES)
            return;
        add_address(found, turns[i]);
        turns[i] = next_of_family(turns[i]->ai_next, family, i == 1);
    }
}

static bool is_same(const struct net_address *a, const struct net_address *b)
{
    return a->bytes == b->bytes && memcmp(&a->six, &b->six, a->bytes) == 0;
}

static void put_first(struct net_memory *memory, unsigned index)
{
    const struct net_address first = memory->addresses[index];
    memmove(&memory->addresses[1], &memory->addresses[0], index * sizeof first);
    memory->addresses[0] = first;
}

/* The place of the address that worked last in FOUND, else of one of its family, else 0. */
static unsigned find_likely(const struct net_memory *memory, const struct net_memory *found)
{
    const struct net_address *last = &memory->addresses[0];
    for (unsigned i = 0; i < found->count; i++)
        if (is_same(&found->addresses[i], last))
            return i;
    for (unsigned i = 0; i < found->count; i++)
        if (found->addresses[i].any.sa_family == last->any.sa_family)
            return i;
    return 0;
}

/* Names with many addresses give a few of them each time: of a new set the family counts. */
static void replace_addresses(struct net_memory *memory, struct net_memory *found)
{
    if (memory->count > 0 && found->count > 0)
        put_first(found, find_likely(memory, found));
    memory->count = found->count;
    memcpy(memory->addresses, found->addresses, sizeof memory->addresses);
}

static int resolve(const char *host, uint16_t port, int64_t deadline_ms, struct net_memory *memory)
{
    struct net_memory found = {0};
    struct addrinfo *list;
    int64_t now_ms = clock_mono_ms();
    if (memory->count > 0 && deadline_ms > now_ms)
        deadline_ms = now_ms + (deadline_ms - now_ms) / 2; /* they are wanted in time, too */
    int rc = ask_resolver(host, port, deadline_ms, &list);
    if (rc < 0) {
        memory->failures++;
        memory->recalled += memory->count > 0;
        return memory->count > 0 ? 0 : rc;
    }
    take_addresses(list, &found);
    freeaddrinfo(list);
    replace_addresses(memory, &found);
    return memory->count > 0 ? 0 : E_NAME;
}

static int finish_connect(int fd, int64_t deadline_ms, const struct stop *stop)
{
    int errnum = 0;
    socklen_t bytes = sizeof errnum;
    int rc = stop_wait(stop, fd, POLLOUT, deadline_ms);
    if (rc < 0)
        return rc;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &bytes) < 0)
        return error_sys(errno);
    return errnum == 0 ? 0 : error_sys(errnum);
}

void net_expect(int fd, uint64_t bytes)
{
    struct tcp_info info = {.tcpi_rtt = 0};
    socklen_t size = sizeof info;
    uint64_t ms = PATIENCE_MS;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
        info.tcpi_rtt / 1000 * ROUND_TRIPS > PATIENCE_MS)
        ms = info.tcpi_rtt / 1000 * ROUND_TRIPS;
    ms += (bytes < BYTES_MAX ? bytes : BYTES_MAX) / BYTES_PER_MS_MIN;
    unsigned timeout_ms = ms < PATIENCE_MAX_MS ? (unsigned)ms : PATIENCE_MAX_MS;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

void net_hold_partial(int fd, bool hold)
{
    const int value = hold ? 1 : 0;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_CORK, &value, sizeof value);
}

static int connect_to(const struct net_address *address, int64_t deadline_ms,
                      const struct stop *stop, int *ret_fd)
{
    const int one = 1;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_sys(errno);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int rc = 0;
    if (connect(fd, &address->any, address->bytes) < 0)
        rc = errno == EINPROGRESS || errno == EINTR ? finish_connect(fd, deadline_ms, stop)
                                                    : error_sys(errno);
    if (rc < 0) {
        (void)close(fd);
        return rc;
    }
    net_expect(fd, 0);
    *ret_fd = fd;
    return 0;
}

/* One pass over the addresses that have not refused; each gets an even part of the time that is
 * left, but at most AT_MOST_MS. The first failure; E_END: all had refused before. */
static int try_each(struct net_memory *memory, bool refused[NET_ADDRESSES], int64_t at_most_ms,
                    int64_t deadline_ms, const struct stop *stop, int *ret_fd)
{
    int first_error = E_END;
    for (unsigned i = 0; i < memory->count; i++) {
        int64_t now_ms = clock_mono_ms();
        int64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
        int64_t part_ms = left_ms / (memory->count - i);
        if (refused[i])
            continue;
        int rc = connect_to(&memory->addresses[i],
                            now_ms + (part_ms < at_most_ms ? part_ms : at_most_ms), stop, ret_fd);
        if (rc == 0)
            put_first(memory, i);
        if (rc == 0 || rc == E_STOP)
            return rc;
        refused[i] = rc != E_TIMEOUT;
        if (first_error == E_END)
            first_error = rc;
    }
    return first_error;
}

/* The kernel asks again after 1, 3, 7 and 15 s: on a link that is there for seconds only it would
 * ask at the wrong moments. So we begin anew, each time with more patience, for the sake of links
 * that are slow. Of several failures the first is told: getaddrinfo puts the addresses first that
 * have the best chance (RFC 6724). */
static int connect_to_any(struct net_memory *memory, int64_t deadline_ms, const struct stop *stop,
                          int *ret_fd)
{
    bool refused[NET_ADDRESSES] = {false};
    int first_error = E_END;
    for (int64_t each_ms = FIRST_TRY_MS;; each_ms += each_ms / 2) {
        int rc = try_each(memory, refused, each_ms, deadline_ms, stop, ret_fd);
        if (rc == 0 || rc == E_STOP)
            return rc;
        if (first_error == E_END)
            first_error = rc;
        if (rc == E_END || clock_mono_ms() >= deadline_ms)
            return first_error;
    }
}

int net_connect(const char *host, uint16_t port, struct net_memory *memory, int64_t deadline_ms,
                const struct stop *stop, int *ret_fd)
{
    struct net_memory none = {0};
    if (memory == NULL)
        memory = &none;
    if (stop_requested(stop))
        return E_STOP;
    int rc = resolve(host, port, deadline_ms, memory);
    return rc < 0 ? rc : connect_to_any(memory, deadline_ms, stop, ret_fd);
}

const char *net_address_text(const struct net_address *address, char text[NET_TEXT_BYTES])
{
    const void *bytes = address->any.sa_family == AF_INET6 ? (const void *)&address->six.sin6_addr
                                                           : &address->four.sin_addr;
    text[0] = '\0';
    (void)inet_ntop(address->any.sa_family, bytes, text, NET_TEXT_BYTES);
    return text;
}

struct plain_stream {
    struct stream stream;
    int fd;
    const struct stop *stop;
};

static struct plain_stream *plain_of(struct stream *stream)
{
    return (struct plain_stream *)(void *)stream;
}

/* 0 if the call that failed with ERRNUM may be made again, after the wait for EVENTS. */
static int wait_after(const struct plain_stream *plain, int errnum, short events,
                      int64_t deadline_ms)
{
    if (errnum == EAGAIN || errnum == EWOULDBLOCK)
        return stop_wait(plain->stop, plain->fd, events, deadline_ms);
    if (errnum == EINTR)
        return 0;
    return errnum == ECONNRESET || errnum == EPIPE ? E_CLOSED : error_sys(errnum);
}

static int plain_read(struct stream *stream, void *buffer, size_t size, int64_t deadline_ms)
{
    struct plain_stream *plain = plain_of(stream);
    size_t at_most = size < INT_MAX ? size : INT_MAX;
    for (;;) {
        ssize_t got = recv(plain->fd, buffer, at_most, MSG_DONTWAIT);
        if (got > 0)
            return (int)got;
        if (got == 0)
            return E_END;
        int rc = wait_after(plain, errno, POLLIN, deadline_ms);
        if (rc < 0)
            return rc;
    }
}

static int plain_write(struct stream *stream, const void *bytes, size_t count, int64_t deadline_ms)
{
    struct plain_stream *plain = plain_of(stream);
    const uint8_t *from = bytes;
    while (count > 0) {
        ssize_t put = send(plain->fd, from, count, MSG_DONTWAIT | MSG_NOSIGNAL);
        int rc = put < 0 ? wait_after(plain, errno, POLLOUT, deadline_ms) : 0;
        if (rc < 0)
            return rc;
        if (put > 0) {
            from += put;
            count -= (size_t)put;
        }
    }
    return 0;
}

static void plain_close(struct stream *stream)
{
    struct plain_stream *plain = plain_of(stream);
    (void)close(plain->fd);
    free(plain);
}

int net_stream(int fd, const struct stop *stop, struct stream **ret_stream)
{
    static const struct stream_operations operations = {
        .read = plain_read, .write = plain_write, .close = plain_close};
    struct plain_stream *plain = malloc(sizeof *plain);
    if (plain == NULL)
        return E_NO_MEMORY;
    *plain = (struct plain_stream){.stream = {&operations}, .fd = fd, .stop = stop};
    *ret_stream = &plain->stream;
    return 0;
}

int net_stream_release(struct stream *stream)
{
    struct plain_stream *plain = plain_of(stream);
    int fd = plain->fd;
    free(plain);
    return fd;
}
