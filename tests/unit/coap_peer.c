/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/coap_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/unit.h"

enum { WAIT_MS = 20 * 1000, NIBBLE_ONE = 13, NIBBLE_TWO = 14, TWO_FROM = 269, MARKER = 0xff };

void coap_peer_add(struct coap_message *message, unsigned number, const void *value, size_t count)
{
    assert_true(message->option_count < COAP_PEER_OPTIONS_MAX);
    message->options[message->option_count++] =
        (struct coap_peer_option){.number = number, .value = value, .count = count};
}

void coap_peer_add_text(struct coap_message *message, unsigned number, const char *text)
{
    coap_peer_add(message, number, text, strlen(text));
}

void coap_peer_add_uint(struct coap_message *message, unsigned number, uint32_t value,
                        uint8_t bytes[4])
{
    size_t count = 0;
    for (int shift = 24; shift >= 0; shift -= 8)
        if (value >> shift != 0)
            bytes[count++] = (uint8_t)(value >> shift);
    coap_peer_add(message, number, bytes, count);
}

static void put(struct coap_message *message, const void *bytes, size_t count)
{
    assert_true(message->count + count <= sizeof message->bytes);
    if (count > 0)
        memcpy(message->bytes + message->count, bytes, count);
    message->count += count;
}

static void put_byte(struct coap_message *message, unsigned byte)
{
    put(message, &(uint8_t){(uint8_t)byte}, 1);
}

static unsigned nibble_of(size_t value)
{
    return value < NIBBLE_ONE ? (unsigned)value : value < TWO_FROM ? NIBBLE_ONE : NIBBLE_TWO;
}

static void put_rest(struct coap_message *message, size_t value)
{
    if (value >= TWO_FROM) {
        put_byte(message, (unsigned)(value - TWO_FROM) >> 8);
        put_byte(message, (unsigned)(value - TWO_FROM) & 0xff);
    } else if (value >= NIBBLE_ONE) {
        put_byte(message, (unsigned)(value - NIBBLE_ONE));
    }
}

void coap_peer_encode(struct coap_message *message)
{
    unsigned before = 0;
    message->count = 0;
    put_byte(message, 1U << 6 | message->type << 4 | (unsigned)message->token_bytes);
    put_byte(message, message->code / 100 << 5 | message->code % 100);
    put_byte(message, message->mid >> 8);
    put_byte(message, message->mid & 0xff);
    put(message, message->token, message->token_bytes);
    for (size_t i = 0; i < message->option_count; i++) {
        const struct coap_peer_option *option = &message->options[i];
        put_byte(message, nibble_of(option->number - before) << 4 | nibble_of(option->count));
        put_rest(message, option->number - before);
        put_rest(message, option->count);
        put(message, option->value, option->count);
        before = option->number;
    }
    if (message->payload_bytes > 0) {
        put_byte(message, MARKER);
        put(message, message->payload, message->payload_bytes);
    }
}

static bool get_rest(const struct coap_message *message, size_t *at, size_t *value)
{
    size_t wanted = *value == NIBBLE_ONE ? 1 : *value == NIBBLE_TWO ? 2 : 0;
    if (*value > NIBBLE_TWO || *at + wanted > message->count)
        return false;
    if (wanted == 1)
        *value = (size_t)NIBBLE_ONE + message->bytes[*at];
    if (wanted == 2)
        *value = (size_t)TWO_FROM + message->bytes[*at] * 256U + message->bytes[*at + 1];
    *at += wanted;
    return true;
}

static bool get_options(struct coap_message *message, size_t *at)
{
    unsigned number = 0;
    while (*at < message->count && message->bytes[*at] != MARKER) {
        size_t delta = message->bytes[*at] >> 4;
        size_t count = message->bytes[*at] & 15;
        (*at)++;
        if (!get_rest(message, at, &delta) || !get_rest(message, at, &count) ||
            *at + count > message->count)
            return false;
        number += (unsigned)delta;
        coap_peer_add(message, number, NULL, count);
        message->options[message->option_count - 1].at = *at;
        *at += count;
    }
    return true;
}

bool coap_peer_decode(struct coap_message *message)
{
    const uint8_t *bytes = message->bytes;
    if (message->count < 4 || bytes[0] >> 6 != 1 || (bytes[0] & 15) > 8)
        return false;
    message->type = bytes[0] >> 4 & 3;
    message->token_bytes = bytes[0] & 15;
    message->code = (bytes[1] >> 5) * 100U + (bytes[1] & 31);
    message->mid = bytes[2] * 256U + bytes[3];
    size_t at = 4 + message->token_bytes;
    if (at > message->count)
        return false;
    memcpy(message->token, bytes + 4, message->token_bytes);
    message->option_count = 0;
    if (!get_options(message, &at))
        return false;
    bool has_payload = at < message->count;
    message->payload_at = at + 1;
    message->payload_bytes = has_payload ? message->count - at - 1 : 0;
    return !has_payload || message->payload_bytes > 0;
}

const uint8_t *coap_peer_value(const struct coap_message *message,
                               const struct coap_peer_option *option)
{
    return option->value != NULL ? option->value : message->bytes + option->at;
}

int64_t coap_peer_uint(const struct coap_message *message, unsigned number)
{
    for (size_t i = 0; i < message->option_count; i++) {
        const struct coap_peer_option *option = &message->options[i];
        int64_t value = 0;
        if (option->number != number)
            continue;
        for (size_t k = 0; k < option->count; k++)
            value = value << 8 | coap_peer_value(message, option)[k];
        return value;
    }
    return -1;
}

int coap_peer_connect(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

void coap_peer_send(int fd, const struct coap_message *message)
{
    assert_int_equal(send(fd, message->bytes, message->count, 0), message->count);
}

void coap_peer_receive(int fd, struct coap_message *ret_message)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
    memset(ret_message, 0, sizeof *ret_message);
    ssize_t count = recv(fd, ret_message->bytes, sizeof ret_message->bytes, 0);
    assert_true(count >= 0);
    ret_message->count = (size_t)count;
    assert_true(coap_peer_decode(ret_message));
}

bool coap_peer_has(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) > 0;
}
