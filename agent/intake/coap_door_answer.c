/* SPDX-License-Identifier: Apache-2.0 */
/* What goes back to a peer. */
#include <stdio.h>
#include <string.h>

#include "agent/intake/coap_door_state.h"

/* As it is written: "4.04" (RFC 7252 section 5.9). */
static coap_pdu_code_t code_of(const char *name)
{
    return (coap_pdu_code_t)((name[0] - '0') << 5 | ((name[2] - '0') * 10 + name[3] - '0'));
}

void coap_door_answer_count(struct coap_door *door, coap_pdu_code_t code)
{
    const char *name;
    (void)pthread_mutex_lock(&door->lock);
    for (size_t i = 0; (name = coap_door_code_name(i)) != NULL; i++)
        door->status.answers[i] += code_of(name) == code;
    (void)pthread_mutex_unlock(&door->lock);
}

void coap_door_answer_add_uint(coap_pdu_t *pdu, coap_option_num_t option, uint32_t value)
{
    uint8_t bytes[4];
    unsigned count = coap_encode_var_safe(bytes, sizeof bytes, value);
    (void)coap_add_option(pdu, option, count, bytes);
}

/* Options come in the order of their numbers (RFC 7252 section 3.1). */
static void add_options(coap_pdu_t *pdu, const struct coap_door_answer *answer)
{
    if (answer->has_part)
        (void)coap_add_option(pdu, COAP_OPTION_ETAG, sizeof answer->etag,
                              (const uint8_t *)&answer->etag);
    if (answer->has_format)
        coap_door_answer_add_uint(pdu, COAP_OPTION_CONTENT_FORMAT, answer->format);
    if (answer->max_age_s != 0)
        coap_door_answer_add_uint(pdu, COAP_OPTION_MAXAGE, answer->max_age_s);
    if (answer->has_part)
        coap_door_answer_add_uint(pdu, COAP_OPTION_BLOCK2, answer->part);
    if (answer->has_block)
        coap_door_answer_add_uint(pdu, COAP_OPTION_BLOCK1, answer->block);
    if (answer->size != 0)
        coap_door_answer_add_uint(pdu, COAP_OPTION_SIZE1, (uint32_t)answer->size);
    if (answer->echo != NULL)
        (void)coap_add_option(pdu, COAP_OPTION_ECHO, answer->echo_bytes, answer->echo);
}

void coap_door_answer(struct coap_door_exchange *exchange, const struct coap_door_answer *answer)
{
    coap_pdu_set_code(exchange->response, answer->code);
    add_options(exchange->response, answer);
    if (answer->body_bytes > 0)
        (void)coap_add_data(exchange->response, answer->body_bytes, answer->body);
    coap_door_answer_count(exchange->door, answer->code);
}

/* What is left for a diagnostic behind the header, the token, the longest options that go with one
 * and the marker of the payload. */
static size_t room(const struct coap_door_exchange *exchange)
{
    enum { HEADER_BYTES = 4, OPTIONS_BYTES = 18 };
    coap_bin_const_t token = coap_pdu_get_token(exchange->request);
    size_t taken = HEADER_BYTES + token.length + OPTIONS_BYTES + 1;
    return exchange->answer_bytes_max > taken ? exchange->answer_bytes_max - taken : 0;
}

bool coap_door_answer_fits(const struct coap_door_exchange *exchange, size_t body_bytes)
{
    return body_bytes <= room(exchange);
}

void coap_door_answer_refuse(struct coap_door_exchange *exchange, coap_pdu_code_t code,
                             unsigned max_age_s, const char *text)
{
    size_t count = strlen(text);
    struct coap_door_answer answer = {.code = code, .max_age_s = max_age_s, .body = text};
    answer.body_bytes = count < room(exchange) ? count : room(exchange);
    coap_door_answer(exchange, &answer);
}

/* libcoap sends nothing for what is not confirmable and has no code. */
void coap_door_answer_hold(struct coap_door_exchange *exchange)
{
    coap_pdu_set_type(exchange->response, COAP_MESSAGE_NON);
    coap_pdu_set_code(exchange->response, COAP_EMPTY_CODE);
}
