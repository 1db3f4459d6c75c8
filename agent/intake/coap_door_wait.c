/* SPDX-License-Identifier: Apache-2.0 */
/* Messages whose records are on their way to flash, and the peers that wait for it. */
#include <stdlib.h>
#include <string.h>

#include "agent/intake/coap_door_state.h"
#include "platform/base/error.h"
#include "platform/clock.h"

/* RFC 7252 section 4.8: a peer repeats after ACK_TIMEOUT, 2 s at the earliest. */
enum { ACKNOWLEDGE_MS = 1500, GIVE_UP_MS = 90 * 1000 };

int coap_door_wait_open(struct coap_door *door)
{
    door->waits_due_ms = INT64_MAX;
    door->waits = calloc(CONFIG_COAP_WAITING, sizeof *door->waits);
    return door->waits == NULL ? E_NO_MEMORY : 0;
}

static void note_waiting(struct coap_door *door)
{
    (void)pthread_mutex_lock(&door->lock);
    door->status.waiting = door->waiting;
    (void)pthread_mutex_unlock(&door->lock);
}

static void end(struct coap_door *door, struct coap_door_wait *wait)
{
    for (size_t i = 0; i < LANE_COUNT; i++)
        if (wait->tickets[i].sequence != 0)
            spool_ticket_forget(door->options.spool, &wait->tickets[i]);
    if (wait->session != NULL)
        coap_session_release(wait->session);
    memset(wait, 0, sizeof *wait);
    door->waiting--;
    note_waiting(door);
}

void coap_door_wait_close(struct coap_door *door)
{
    for (size_t i = 0; door->waits != NULL && i < CONFIG_COAP_WAITING; i++)
        if (door->waits[i].is_used)
            end(door, &door->waits[i]);
    free(door->waits);
    door->waits = NULL;
}

struct coap_door_wait *coap_door_wait_place(struct coap_door *door, bool has_identity)
{
    bool has_all = has_identity || door->peers == NULL;
    size_t most = has_all ? CONFIG_COAP_WAITING : CONFIG_COAP_WAITING / 2;
    for (size_t i = 0; door->waiting < most && i < CONFIG_COAP_WAITING; i++)
        if (!door->waits[i].is_used)
            return &door->waits[i];
    return NULL;
}

/* When it is to be looked at again though nothing became durable. */
static int64_t due_ms(const struct coap_door_wait *wait)
{
    return wait->since_ms + (wait->is_acknowledged ? GIVE_UP_MS : ACKNOWLEDGE_MS);
}

static void note_due(struct coap_door *door, const struct coap_door_wait *wait)
{
    if (due_ms(wait) < door->waits_due_ms)
        door->waits_due_ms = due_ms(wait);
}

/* RFC 7967 section 2.1: the bit of the answers 2.xx. */
static bool is_quiet(const coap_pdu_t *request)
{
    enum { NO_SUCCESS = 2 };
    coap_opt_iterator_t iterator;
    coap_opt_t *option = coap_check_option(request, COAP_OPTION_NORESPONSE, &iterator);
    return option != NULL &&
           (coap_decode_var_bytes(coap_opt_value(option), coap_opt_length(option)) & NO_SUCCESS) !=
               0;
}

/* What became no record, or none yet, waits for nothing, and no ticket tells so. */
static void wait_for(struct coap_door *door, struct coap_door_wait *wait,
                     const struct handin_receipt *receipt)
{
    bool has_ticket = false;
    for (size_t i = 0; i < LANE_COUNT; i++) {
        wait->tickets[i] = (struct spool_ticket){
            .lane = (enum lane)i, .sequence = receipt->sequences[i], .event_fd = door->event_fd};
        if (receipt->sequences[i] == 0)
            continue;
        spool_ticket_wait(door->options.spool, &wait->tickets[i]);
        has_ticket = true;
    }
    if (!has_ticket)
        stop_event_signal(door->event_fd);
}

void coap_door_wait_begin(struct coap_door_wait *wait, struct coap_door_exchange *exchange,
                          const struct handin_receipt *receipt, const uint32_t *block)
{
    struct coap_door *door = exchange->door;
    coap_bin_const_t token = coap_pdu_get_token(exchange->request);
    *wait = (struct coap_door_wait){.is_used = true,
                                    .is_quiet = is_quiet(exchange->request),
                                    .has_block = block != NULL,
                                    .block = block != NULL ? *block : 0,
                                    .session = coap_session_reference(exchange->session),
                                    .mid = coap_pdu_get_mid(exchange->request),
                                    .token_bytes = token.length,
                                    .since_ms = clock_mono_ms()};
    if (token.length > 0)
        memcpy(wait->token, token.s, token.length);
    memcpy(wait->seen, exchange->seen, sizeof wait->seen);
    seen_add(door->seen, exchange->seen, SEEN_WAITS, wait->since_ms);
    wait_for(door, wait, receipt);
    door->waiting++;
    note_waiting(door);
    note_due(door, wait);
    coap_door_answer_hold(exchange);
}

/* It may come through another session of the same identity. What is left as it is, libcoap makes an
 * empty acknowledgement of. */
void coap_door_wait_repeat(struct coap_door_exchange *exchange)
{
    struct coap_door *door = exchange->door;
    for (size_t i = 0; i < CONFIG_COAP_WAITING; i++) {
        struct coap_door_wait *wait = &door->waits[i];
        if (!wait->is_used || memcmp(wait->seen, exchange->seen, sizeof wait->seen) != 0)
            continue;
        if (wait->session != exchange->session) {
            if (wait->session != NULL)
                coap_session_release(wait->session);
            wait->session = coap_session_reference(exchange->session);
        }
        if (wait->is_acknowledged)
            return;
    }
    coap_door_answer_hold(exchange);
}

void coap_door_wait_leave(struct coap_door *door, const coap_session_t *session)
{
    for (size_t i = 0; door->waiting > 0 && i < CONFIG_COAP_WAITING; i++) {
        if (door->waits[i].session != session)
            continue;
        coap_session_release(door->waits[i].session);
        door->waits[i].session = NULL;
    }
}

static bool is_accepted(struct coap_door *door, struct coap_door_wait *wait)
{
    for (size_t i = 0; i < LANE_COUNT; i++)
        if (wait->tickets[i].sequence != 0 &&
            !spool_ticket_accepted(door->options.spool, &wait->tickets[i]))
            return false;
    return true;
}

static bool can_hear(const struct coap_door_wait *wait)
{
    return wait->session != NULL &&
           coap_session_get_state(wait->session) == COAP_SESSION_STATE_ESTABLISHED;
}

/* An empty one has no token (RFC 7252 section 4.1). */
static void acknowledge(struct coap_door_wait *wait)
{
    wait->is_acknowledged = true;
    if (!can_hear(wait))
        return;
    coap_pdu_t *pdu = coap_pdu_init(COAP_MESSAGE_ACK, COAP_EMPTY_CODE, wait->mid, 0);
    if (pdu != NULL)
        (void)coap_send(wait->session, pdu);
}

/* With the acknowledgement if that has not gone yet. */
static coap_pdu_t *make_answer(const struct coap_door_wait *wait, coap_pdu_code_t code)
{
    coap_pdu_type_t type = wait->is_acknowledged ? COAP_MESSAGE_CON : COAP_MESSAGE_ACK;
    coap_mid_t mid = wait->is_acknowledged ? coap_new_message_id(wait->session) : wait->mid;
    return coap_pdu_init(type, code, mid, coap_session_max_pdu_size(wait->session));
}

static void answer(struct coap_door *door, struct coap_door_wait *wait, coap_pdu_code_t code)
{
    coap_pdu_t *pdu = can_hear(wait) ? make_answer(wait, code) : NULL;
    if (pdu == NULL)
        return;
    (void)coap_add_token(pdu, wait->token_bytes, wait->token);
    if (wait->has_block)
        coap_door_answer_add_uint(pdu, COAP_OPTION_BLOCK1, wait->block);
    (void)coap_send(wait->session, pdu);
    coap_door_answer_count(door, code);
}

static void succeed(struct coap_door *door, struct coap_door_wait *wait)
{
    seen_change(door->seen, wait->seen, SEEN_ANSWERED);
    if (!wait->is_quiet)
        answer(door, wait, COAP_RESPONSE_CODE(204));
    else if (!wait->is_acknowledged)
        acknowledge(wait);
    end(door, wait);
}

/* What was taken may become durable after all; a peer that comes again is taken again. */
static void give_up(struct coap_door *door, struct coap_door_wait *wait)
{
    seen_change(door->seen, wait->seen, SEEN_NOT);
    answer(door, wait, COAP_RESPONSE_CODE(503));
    end(door, wait);
}

static void look_at(struct coap_door *door, struct coap_door_wait *wait, int64_t now_ms)
{
    if (is_accepted(door, wait)) {
        succeed(door, wait);
        return;
    }
    if (now_ms >= wait->since_ms + GIVE_UP_MS) {
        give_up(door, wait);
        return;
    }
    if (now_ms >= due_ms(wait))
        acknowledge(wait);
    note_due(door, wait);
}

void coap_door_wait_look(struct coap_door *door)
{
    int64_t now_ms = clock_mono_ms();
    size_t left = door->waiting;
    door->waits_due_ms = INT64_MAX;
    for (size_t i = 0; left > 0; i++) {
        if (!door->waits[i].is_used)
            continue;
        left--;
        look_at(door, &door->waits[i], now_ms);
    }
}
