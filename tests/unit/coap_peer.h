/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_UNIT_COAP_PEER_H
#define RUNNEL_TESTS_UNIT_COAP_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * The other end of a CoAP door, of datagrams made by hand (RFC 7252 section 3): no library that the
 * door has too.
 */
enum { COAP_PEER_DATAGRAM_BYTES = 2048, COAP_PEER_OPTIONS_MAX = 16 };
enum { COAP_CON, COAP_NON, COAP_ACK, COAP_RST };
enum {
    COAP_GET = 1,
    COAP_POST = 2,
    COAP_PUT = 3,
    COAP_DELETE = 4,
    COAP_ETAG = 4,
    COAP_URI_PATH = 11,
    COAP_FORMAT = 12,
    COAP_MAX_AGE = 14,
    COAP_URI_QUERY = 15,
    COAP_ACCEPT = 17,
    COAP_BLOCK2 = 23,
    COAP_BLOCK1 = 27,
    COAP_SIZE1 = 60,
    COAP_ECHO = 252,
    COAP_NO_RESPONSE = 258,
    COAP_REQUEST_TAG = 292,
};

struct coap_peer_option {
    unsigned number;
    const void *value; /* NULL in a message that came: */
    size_t at;         /* there it is in its bytes, so that a copy of it is whole */
    size_t count;
};

struct coap_message {
    unsigned type;
    unsigned code; /* 204: 2.04; 1..31 a method */
    unsigned mid;
    uint8_t token[8];
    size_t token_bytes;
    size_t option_count;
    struct coap_peer_option options[COAP_PEER_OPTIONS_MAX]; /* in the order of their numbers */
    const void *payload;                                    /* as with options */
    size_t payload_at;
    size_t payload_bytes;
    size_t count; /* of the datagram, once it is one: */
    uint8_t bytes[COAP_PEER_DATAGRAM_BYTES];
};

/** Adds an option; one of NUMBER at least that of the one before. VALUE must stay. */
void coap_peer_add(struct coap_message *message, unsigned number, const void *value, size_t count);
void coap_peer_add_text(struct coap_message *message, unsigned number, const char *text);

/** BYTES holds the number's value. */
void coap_peer_add_uint(struct coap_message *message, unsigned number, uint32_t value,
                        uint8_t bytes[4]);

/** Makes the datagram of it. */
void coap_peer_encode(struct coap_message *message);

/** Reads message->bytes; the rest is found there. False: that is no CoAP. */
bool coap_peer_decode(struct coap_message *message);

const uint8_t *coap_peer_value(const struct coap_message *message,
                               const struct coap_peer_option *option);

/** The value of an option as a number; -1: it is not there. */
int64_t coap_peer_uint(const struct coap_message *message, unsigned number);

/** A socket towards a door on the loopback address; of another port each. */
int coap_peer_connect(uint16_t port);
void coap_peer_send(int fd, const struct coap_message *message);

/** The next datagram; fails the test when none comes for 20 s. */
void coap_peer_receive(int fd, struct coap_message *ret_message);

/** Whether a datagram is there without waiting. */
bool coap_peer_has(int fd);

#endif
