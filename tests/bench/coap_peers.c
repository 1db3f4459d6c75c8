/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers that hand in by CoAP, each a confirmable message of one number as soon as the one before
 * is answered 2.04.
 *
 * usage: coap_peers PORT PEERS MESSAGES
 *
 * Prints `answered COUNT in MICROSECONDS us`, or what was answered instead.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PEERS_MAX = 1000, DATAGRAM_BYTES = 256, PATIENCE_MS = 10000 };
/* RFC 7252 */
enum { CONFIRMABLE_4 = 0x44, ACKNOWLEDGEMENT = 0x60, TYPE_MASK = 0x70, POST = 2, CHANGED = 0x44 };

struct peers {
    size_t count;
    struct pollfd sockets[PEERS_MAX];
    uint32_t tokens[PEERS_MAX];
    uint32_t next;
};

static void fail(const char *why)
{
    (void)printf("%s\n", why);
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void hand_in(struct peers *peers, size_t at)
{
    static const char options[] = "\xb1t\x05"
                                  "bench\x10\xff";
    uint8_t datagram[DATAGRAM_BYTES] = {CONFIRMABLE_4, POST};
    uint32_t token = peers->tokens[at] = peers->next++;
    datagram[2] = (uint8_t)(token >> 8);
    datagram[3] = (uint8_t)token;
    memcpy(datagram + 4, &token, sizeof token);
    memcpy(datagram + 8, options, sizeof options - 1);
    int digits = sprintf((char *)datagram + 8 + sizeof options - 1, "%u.%02u", token / 100 % 1000,
                         token % 100);
    size_t count = 8 + sizeof options - 1 + (size_t)digits;
    if (send(peers->sockets[at].fd, datagram, count, 0) != (ssize_t)count)
        fail("a message cannot be sent");
}

/* Whether the answer to its last message came. */
static bool take(const struct peers *peers, size_t at)
{
    uint8_t datagram[DATAGRAM_BYTES];
    int fd = peers->sockets[at].fd;
    ssize_t count = recv(fd, datagram, sizeof datagram, 0);
    if (count < 4)
        fail("no message came");
    if ((datagram[0] & TYPE_MASK) == 0x40) {
        const uint8_t acknowledgement[] = {ACKNOWLEDGEMENT, 0, datagram[2], datagram[3]};
        (void)send(fd, acknowledgement, sizeof acknowledgement, 0);
    }
    if (datagram[1] == 0 || count < 8 || memcmp(datagram + 4, &peers->tokens[at], 4) != 0)
        return false;
    if (datagram[1] != CHANGED) {
        (void)printf("answered %u.%02u\n", datagram[1] >> 5, datagram[1] & 31u);
        exit(1);
    }
    return true;
}

static void open_peers(struct peers *peers, uint16_t port)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (size_t i = 0; i < peers->count; i++) {
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0)
            fail("no socket");
        peers->sockets[i] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
}

int main(int argc, char **argv)
{
    static struct peers peers;
    if (argc != 4 || strtoul(argv[2], NULL, 10) - 1 >= PEERS_MAX) {
        (void)fprintf(stderr, "usage: coap_peers PORT PEERS MESSAGES\n");
        return 2;
    }
    peers.count = strtoul(argv[2], NULL, 10);
    peers.next = (uint32_t)now_us(); /* not that of a peer before, which had the same port */
    unsigned long wanted = strtoul(argv[3], NULL, 10);
    unsigned long answered = 0;
    open_peers(&peers, (uint16_t)strtoul(argv[1], NULL, 10));
    int64_t began = now_us();
    for (size_t i = 0; i < peers.count; i++)
        hand_in(&peers, i);
    while (answered < wanted) {
        if (poll(peers.sockets, peers.count, PATIENCE_MS) <= 0)
            fail("no answer");
        for (size_t i = 0; i < peers.count; i++)
            if (peers.sockets[i].revents != 0 && take(&peers, i)) {
                answered++;
                hand_in(&peers, i);
            }
    }
    (void)printf("answered %lu in %lld us\n", answered, (long long)(now_us() - began));
    return 0;
}
