/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floods a CoAP door from many sources: messages that are good, that are nonsense, and handshakes
 * of DTLS that lead nowhere.
 *
 * usage: coap_flood PORT SECURE-PORT PER-SECOND SECONDS
 *
 * Prints `sent COUNT in MILLISECONDS ms`. Does not read what comes back.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SOURCES = 400, DATAGRAM_BYTES = 256, TICK_US = 1000 };

static unsigned random_state = 1;

static unsigned draw(unsigned below)
{
    return (unsigned)rand_r(&random_state) % below;
}

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* A source has an address and a port of its own; all of 127.0.0.0/8 is here. */
static int open_source(uint32_t number, uint16_t port)
{
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 256 + number)};
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) != 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        perror("coap_flood");
        exit(1);
    }
    return fd;
}

static void fill(uint8_t *at, size_t count)
{
    for (size_t i = 0; i < count; i++)
        at[i] = (uint8_t)draw(256);
}

/* POST /t/flood, text/plain, confirmable or not. */
static size_t put_message(uint8_t *datagram)
{
    static const uint8_t options[] = "\xb1t\x05"
                                     "flood\x10\xff"
                                     "17";
    datagram[0] = draw(2) == 0 ? 0x44 : 0x54;
    datagram[1] = 2;
    fill(datagram + 2, 6); /* number and token */
    memcpy(datagram + 8, options, sizeof options - 1);
    return 8 + sizeof options - 1;
}

/* A ClientHello of DTLS 1.2 without a cookie, for PSK with AES-128-CCM-8 (RFC 6347, RFC 6655). */
static size_t put_hello(uint8_t *datagram)
{
    static const uint8_t hello[] = {
        22,   0xfe, 0xfd, 0,  0, 0, 0, 0, 0, 0, 0, 54, /* the record */
        1,    0,    0,    42, 0, 0, 0, 0, 0, 0, 0, 42, /* the message */
        0xfe, 0xfd,                                    /* 32 bytes of random follow */
    };
    static const uint8_t rest[] = {0, 0, 0, 2, 0xc0, 0xa8, 1, 0};
    memcpy(datagram, hello, sizeof hello);
    fill(datagram + sizeof hello, 32);
    memcpy(datagram + sizeof hello + 32, rest, sizeof rest);
    return sizeof hello + 32 + sizeof rest;
}

static size_t put_datagram(uint8_t *datagram, bool secure)
{
    unsigned kind = draw(4);
    if (kind == 0) {
        size_t count = 1 + draw(DATAGRAM_BYTES - 1);
        fill(datagram, count);
        return count;
    }
    if (secure && kind > 1)
        return put_hello(datagram);
    return put_message(datagram);
}

static uint64_t flood(const int *sources, uint64_t per_s, int64_t seconds)
{
    uint8_t datagram[DATAGRAM_BYTES];
    uint64_t sent = 0;
    int64_t began = now_us();
    for (;;) {
        int64_t passed = now_us() - began;
        if (passed >= seconds * 1000000)
            return sent;
        for (uint64_t due = (uint64_t)passed * per_s / 1000000; sent < due; sent++) {
            unsigned source = draw(SOURCES);
            (void)send(sources[source], datagram, put_datagram(datagram, source % 2 == 1), 0);
        }
        (void)usleep(TICK_US);
    }
}

int main(int argc, char **argv)
{
    int sources[SOURCES];
    if (argc != 5) {
        (void)fprintf(stderr, "usage: coap_flood PORT SECURE-PORT PER-SECOND SECONDS\n");
        return 2;
    }
    for (uint32_t i = 0; i < SOURCES; i++)
        sources[i] = open_source(i, (uint16_t)strtoul(argv[1 + i % 2], NULL, 10));
    int64_t began = now_us();
    uint64_t sent = flood(sources, strtoull(argv[3], NULL, 10), strtoll(argv[4], NULL, 10));
    (void)printf("sent %llu in %lld ms\n", (unsigned long long)sent,
                 (long long)((now_us() - began) / 1000));
    return 0;
}
