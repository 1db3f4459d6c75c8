/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks, and how much it may hear. */
#include <arpa/inet.h>
#include <string.h>

#include "agent/intake/coap_door_state.h"
#include "platform/base/bytes.h"
#include "platform/clock.h"
#include "platform/hash.h"

/* RFC 7252 section 11.3, RFC 9175 section 2.4. An Echo is good for one to two periods. */
enum { AMPLIFICATION = 3, HEADER_BYTES = 4, ECHO_BYTES = 8, ECHO_PERIOD_MS = 60 * 1000 };

struct place {
    const void *address;
    size_t address_bytes;
    uint16_t port;
    bool is_loopback;
};

static struct place find_place(const coap_address_t *address)
{
    struct place place = {.address = &address->addr, .address_bytes = address->size};
    if (address->addr.sa.sa_family == AF_INET) {
        const struct in_addr *four = &address->addr.sin.sin_addr;
        place = (struct place){.address = four,
                               .address_bytes = sizeof *four,
                               .port = address->addr.sin.sin_port,
                               .is_loopback = ntohl(four->s_addr) >> 24 == IN_LOOPBACKNET};
    } else if (address->addr.sa.sa_family == AF_INET6) {
        const struct in6_addr *six = &address->addr.sin6.sin6_addr;
        place = (struct place){
            .address = six,
            .address_bytes = sizeof *six,
            .port = address->addr.sin6.sin6_port,
            .is_loopback = IN6_IS_ADDR_LOOPBACK(six) ||
                           (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == IN_LOOPBACKNET)};
    }
    return place;
}

/* With the secret of this run, so that nobody can choose hashes that fall together. */
static void start_hash(const struct coap_door *door, struct hash_sha256 *hash)
{
    hash_sha256_start(hash);
    hash_sha256_add(hash, door->secret, sizeof door->secret);
}

static void finish_hash(struct hash_sha256 *hash, uint8_t ret_hash[COAP_DOOR_HASH_BYTES])
{
    uint8_t digest[HASH_SHA256_BYTES];
    hash_sha256_finish(hash, digest);
    memcpy(ret_hash, digest, COAP_DOOR_HASH_BYTES);
}

static void hash_peer(struct coap_door_exchange *exchange, const struct place *place)
{
    struct hash_sha256 who;
    start_hash(exchange->door, &who);
    if (exchange->peer != NULL)
        hash_sha256_add(&who, exchange->peer->identity, strlen(exchange->peer->identity));
    else
        hash_sha256_add(&who, place->address, place->address_bytes);
    struct hash_sha256 from = who;
    if (exchange->peer == NULL)
        hash_sha256_add(&from, &place->port, sizeof place->port);
    finish_hash(&who, exchange->who);
    finish_hash(&from, exchange->from);
}

/* What follows the token of the request, options and payload. */
static size_t count_rest(const coap_pdu_t *request, const uint8_t *token_end)
{
    coap_opt_iterator_t iterator;
    const coap_opt_t *option;
    const uint8_t *end = token_end;
    const uint8_t *data;
    size_t count;
    if (coap_get_data(request, &count, &data) != 0 && count > 0)
        return (size_t)(data + count - token_end);
    (void)coap_option_iterator_init(request, &iterator, COAP_OPT_ALL);
    while ((option = coap_option_next(&iterator)) != NULL)
        end = coap_opt_value(option) + coap_opt_length(option);
    return (size_t)(end - token_end);
}

static void hash_message(struct coap_door_exchange *exchange, coap_bin_const_t token, size_t count)
{
    const coap_pdu_t *request = exchange->request;
    struct hash_sha256 hash;
    uint8_t head[HEADER_BYTES] = {(uint8_t)coap_pdu_get_type(request),
                                  (uint8_t)coap_pdu_get_code(request)};
    bytes_put_be16(head + 2, (uint16_t)coap_pdu_get_mid(request));
    start_hash(exchange->door, &hash);
    hash_sha256_add(&hash, exchange->from, sizeof exchange->from);
    hash_sha256_add(&hash, head, sizeof head);
    hash_sha256_add(&hash, token.s, count);
    finish_hash(&hash, exchange->seen);
}

bool coap_door_exchange_uint(const struct coap_door_exchange *exchange, coap_option_num_t option,
                             unsigned *ret_value)
{
    coap_opt_iterator_t iterator;
    const coap_opt_t *found = coap_check_option(exchange->request, option, &iterator);
    if (found != NULL)
        *ret_value = coap_decode_var_bytes(coap_opt_value(found), coap_opt_length(found));
    return found != NULL;
}

/* ---- Echo ---- */

static void make_echo(const struct coap_door_exchange *exchange, int64_t period,
                      uint8_t echo[ECHO_BYTES])
{
    uint8_t digest[COAP_DOOR_HASH_BYTES];
    uint8_t number[8];
    struct hash_sha256 hash;
    bytes_put_be64(number, (uint64_t)period);
    start_hash(exchange->door, &hash);
    hash_sha256_add(&hash, "echo", 4);
    hash_sha256_add(&hash, exchange->from, sizeof exchange->from);
    hash_sha256_add(&hash, number, sizeof number);
    finish_hash(&hash, digest);
    memcpy(echo, digest, ECHO_BYTES);
}

static bool has_echo(const struct coap_door_exchange *exchange)
{
    coap_opt_iterator_t iterator;
    coap_opt_t *option = coap_check_option(exchange->request, COAP_OPTION_ECHO, &iterator);
    int64_t period = clock_mono_ms() / ECHO_PERIOD_MS;
    uint8_t echo[ECHO_BYTES];
    if (option == NULL || coap_opt_length(option) != ECHO_BYTES)
        return false;
    for (int64_t i = period - 1; i <= period; i++) {
        make_echo(exchange, i, echo);
        if (memcmp(echo, coap_opt_value(option), ECHO_BYTES) == 0)
            return true;
    }
    return false;
}

void coap_door_exchange_challenge(struct coap_door_exchange *exchange)
{
    uint8_t echo[ECHO_BYTES];
    const struct coap_door_answer answer = {
        .code = COAP_RESPONSE_CODE(401), .echo = echo, .echo_bytes = sizeof echo};
    make_echo(exchange, clock_mono_ms() / ECHO_PERIOD_MS, echo);
    coap_door_answer(exchange, &answer);
}

bool coap_door_exchange_begin(struct coap_door_exchange *exchange)
{
    coap_session_t *session = exchange->session;
    const struct place place = find_place(coap_session_get_addr_remote(session));
    coap_bin_const_t token = coap_pdu_get_token(exchange->request);
    bool is_secure = coap_session_get_proto(session) == COAP_PROTO_DTLS;
    exchange->answer_bytes_max = coap_session_max_pdu_size(session);
    if (is_secure && (exchange->peer = coap_door_secure_peer(exchange->door, session)) == NULL)
        return false;
    size_t count = token.length + count_rest(exchange->request, token.s + token.length);
    hash_peer(exchange, &place);
    hash_message(exchange, token, count);
    size_t allowed = AMPLIFICATION * (HEADER_BYTES + count);
    if (!is_secure && !place.is_loopback && !has_echo(exchange) &&
        allowed < exchange->answer_bytes_max)
        exchange->answer_bytes_max = allowed;
    return true;
}
