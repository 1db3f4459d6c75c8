/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_NET_H
#define RUNNEL_PLATFORM_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "platform/stop.h"
#include "platform/stream.h"

/** Of an answer of the resolver so many addresses count, however many it has: those that
 *  getaddrinfo puts first, its first and second family in turn. */
enum { NET_ADDRESSES = 8 };

struct net_address {
    socklen_t bytes;
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    };
};

struct net_memory {
    unsigned count;
    struct net_address addresses[NET_ADDRESSES]; /* the one that worked last is the first */
    uint64_t failures;                           /* of the resolver */
    uint64_t recalled; /* of these, how often there were addresses to use all the same */
};

/**
 * Resolves HOST (a name or an address, IPv6 without brackets), tries its addresses in turn, each
 * for 2 s at most, then the silent ones again and again, each time for half as long again, and
 * connects by TCP with TCP_NODELAY, non-blocking, close-on-exec. The resolver is bounded by
 * DEADLINE_MS as well (its own timeout and attempts are set, see resolv.conf(5); to whole seconds,
 * at least one per server) but does not listen to STOP. "localhost" is the loopback address
 * whatever a name server says (RFC 6761 section 6.3).
 *
 * MEMORY (may be NULL) belongs to this host and port, and is zeroed at first. With it the address
 * that worked last, or else one of its family, is tried first, so that a dead one costs its time
 * once; and where the resolver fails, which then gets half of the time, the addresses of its last
 * answer are used.
 * Returns 0 and the descriptor, which the caller closes; E_NAME (there is no such name),
 * E_RESOLVER (nobody told), E_TIMEOUT, E_STOP, E_NO_MEMORY, error_sys.
 */
int net_connect(const char *host, uint16_t port, struct net_memory *memory, int64_t deadline_ms,
                const struct stop *stop, int *ret_fd);

/** ADDRESS without its port, as people write it. Returns TEXT. */
enum { NET_TEXT_BYTES = 46 };
const char *net_address_text(const struct net_address *address, char text[NET_TEXT_BYTES]);

/**
 * From now on the connection FD breaks off (ETIMEDOUT) if what was sent stays unacknowledged for
 * longer than some round trips, 4 s at least, and the time that BYTES more take on a slow link:
 * the kernel would wait for a quarter of an hour, and the longer the more rarely ask. As made by
 * net_connect it expects none.
 */
void net_expect(int fd, uint64_t bytes);

/** Whether the kernel keeps what is sent on FD until it fills a packet (TCP_CORK, 200 ms at most):
 *  for a message that is sent in pieces. */
void net_hold_partial(int fd, bool hold);

/** A plain stream over FD, which it owns unless it fails. STOP must outlive it. E_NO_MEMORY. */
int net_stream(int fd, const struct stop *stop, struct stream **ret_stream);

/** Frees STREAM, which net_stream made, and gives back its descriptor. */
int net_stream_release(struct stream *stream);

/** Whether HOST is an IPv4 address, or an IPv6 one without brackets, and no name. */
bool net_is_address(const char *host);

/** Whether HOST is a loopback address or "localhost": the only ones to be reached without TLS. */
bool net_is_loopback(const char *host);

/** Whether HOST is the address of what gives credentials to programs on AWS's own machines; links
 *  to them never leave the machine or its hypervisor. */
bool net_is_metadata(const char *host);

#endif
