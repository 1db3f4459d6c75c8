/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_COAP_DOOR_STATE_H
#define RUNNEL_AGENT_INTAKE_COAP_DOOR_STATE_H

#include <coap3/coap.h>
#include <pthread.h>

#include "agent/intake/coap_door.h"
#include "agent/intake/peers.h"
#include "agent/intake/seen.h"
#include "agent/intake/throttle.h"
#include "agent/intake/transfer.h"
#include "platform/base/log.h"
#include "platform/thread.h"

/**
 * What the parts of coap_door.c share. The door's thread has all of it for its own, but for what
 * stands below the lock.
 */
enum {
    COAP_DOOR_TOKEN_BYTES = 8, /* RFC 7252 section 3 */
    COAP_DOOR_SECRET_BYTES = 32,
    COAP_DOOR_HASH_BYTES = 16,
    COAP_DOOR_ENDING = 8,
    COAP_DOOR_STATUS_BYTES = 901, /* see write_status, and its NUL */
};

/** When a session with DTLS brought its last request. It is the session's application data. */
struct coap_door_heard {
    coap_session_t *session; /* without a reference: it is taken out when libcoap frees it */
    int64_t at_ms;
};

/** A message whose records wait for flash, and whose peer waits for the answer. */
struct coap_door_wait {
    bool is_used;
    bool is_acknowledged;    /* with an empty acknowledgement; the answer comes by itself */
    bool is_quiet;           /* the peer does not want to hear of a success (RFC 7967) */
    bool has_block;          /* the request was the last block of several: */
    uint32_t block;          /* the value of its option */
    coap_session_t *session; /* with a reference; NULL: the peer has gone */
    coap_mid_t mid;
    uint8_t token[COAP_DOOR_TOKEN_BYTES];
    size_t token_bytes;
    uint8_t seen[SEEN_KEY_BYTES];
    int64_t since_ms;
    struct spool_ticket tickets[LANE_COUNT]; /* sequence 0: nothing of it is in that lane */
};

struct coap_door {
    struct coap_door_options options;
    coap_context_t *context;
    int event_fd; /* of the tickets */
    int poll_fd;  /* an epoll of event_fd, libcoap's and the agent's stop */
    struct stop stop;
    struct stop watched; /* a copy of stop, with the progress */
    struct progress progress;
    struct thread thread;

    struct coap_door_wait *waits; /* CONFIG_COAP_WAITING */
    size_t waiting;
    int64_t waits_due_ms; /* when one of them is to be looked at without being told */

    uint8_t secret[COAP_DOOR_SECRET_BYTES]; /* of this run */
    struct throttle *throttle;
    struct seen *seen;
    struct transfers *transfers;
    struct log_limit throttled, handshake_failed;

    struct peers *peers; /* NULL: no listener is secure */
    int64_t peers_due_ms;
    coap_bin_const_t key;                     /* of a handshake; belongs to peers */
    coap_session_t *ending[COAP_DOOR_ENDING]; /* whose identity or key is no longer good */
    struct coap_door_heard *heard;            /* heard_count of them */
    size_t heard_count;

    pthread_mutex_t lock;
    struct coap_door_status status;
};

/* ---- coap_door_listen.c ---- */

/** Opens libcoap and what it listens at. */
int coap_door_listen(struct coap_door *door, char fault[COAP_DOOR_FAULT_BYTES]);

/* ---- coap_door_secure.c ---- */

/** Reads the keys, and has DTLS ask for them. */
int coap_door_secure_open(struct coap_door *door, char fault[COAP_DOOR_FAULT_BYTES]);
void coap_door_secure_close(struct coap_door *door);

/** Reads the keys again if it is time to look, and they changed, and ends the sessions that brought
 *  no request for long; not from within libcoap. */
void coap_door_secure_look(struct coap_door *door);

/** The peer at the other end of SESSION, which has DTLS; NULL: it may not come any more, and the
 *  session ends. */
const struct peer *coap_door_secure_peer(struct coap_door *door, coap_session_t *session);

/** Ends the sessions that are to end; not from within libcoap. */
void coap_door_secure_end(struct coap_door *door);

/* ---- coap_door_exchange.c ---- */

/** A request, and what belongs to it until its handler returns. */
struct coap_door_exchange {
    struct coap_door *door;
    coap_session_t *session;
    const coap_pdu_t *request;
    coap_pdu_t *response;
    bool is_confirmable;
    const struct peer *peer;            /* NULL: it has no identity */
    uint8_t who[COAP_DOOR_HASH_BYTES];  /* the identity, or the address */
    uint8_t from[COAP_DOOR_HASH_BYTES]; /* the identity, or the address and the port */
    uint8_t seen[SEEN_KEY_BYTES];       /* from where, and the message */
    size_t answer_bytes_max;            /* of the whole datagram */
};

/** False: there is an identity, and it may not come any more. */
bool coap_door_exchange_begin(struct coap_door_exchange *exchange);

/** The request's OPTION, a number (RFC 7252 section 3.2). False: it has none. */
bool coap_door_exchange_uint(const struct coap_door_exchange *exchange, coap_option_num_t option,
                             unsigned *ret_value);

/** Has the peer prove that it is where it says (RFC 9175 section 2.4). */
void coap_door_exchange_challenge(struct coap_door_exchange *exchange);

/* ---- coap_door_request.c ---- */

/** Has libcoap call the door for every request. E_NO_MEMORY. */
int coap_door_request_serve(struct coap_door *door);

/* ---- coap_door_answer.c ---- */

/** An answer. What is 0 or NULL is not in it. */
struct coap_door_answer {
    coap_pdu_code_t code;
    bool has_format;
    unsigned format;
    unsigned max_age_s;
    bool has_part; /* the body is a part of one that is known by its etag: */
    uint32_t etag;
    uint32_t part; /* the value of Block2 */
    bool has_block;
    uint32_t block; /* the value of Block1 */
    size_t size;    /* Size1 */
    const uint8_t *echo;
    size_t echo_bytes;
    const void *body;
    size_t body_bytes;
};

/** Whether BODY_BYTES are not too many for this peer. */
bool coap_door_answer_fits(const struct coap_door_exchange *exchange, size_t body_bytes);

/** Puts ANSWER into the exchange's response and counts it. */
void coap_door_answer(struct coap_door_exchange *exchange, const struct coap_door_answer *answer);

/** An error with a diagnostic TEXT, which is cut to what may be sent. */
void coap_door_answer_refuse(struct coap_door_exchange *exchange, coap_pdu_code_t code,
                             unsigned max_age_s, const char *text);

/** No answer at all, at least not now. */
void coap_door_answer_hold(struct coap_door_exchange *exchange);

void coap_door_answer_count(struct coap_door *door, coap_pdu_code_t code);

/** Adds OPTION with VALUE in as few bytes as it takes. */
void coap_door_answer_add_uint(coap_pdu_t *pdu, coap_option_num_t option, uint32_t value);

/* ---- coap_door_page.c ---- */

/** GET of what there is to be read. False: there is no such page. */
bool coap_door_page(struct coap_door_exchange *exchange, const char *path);

/* ---- coap_door_wait.c ---- */

int coap_door_wait_open(struct coap_door *door);
void coap_door_wait_close(struct coap_door *door);

/** A place for one that waits, or NULL: there are too many. Where some peers have an identity, half
 * of the places are theirs: strangers cannot take all. */
struct coap_door_wait *coap_door_wait_place(struct coap_door *door, bool has_identity);

/** Holds the answer to the exchange's request until all of RECEIPT is accepted. BLOCK is the value
 *  of Block1 in the answer; NULL: there is none. */
void coap_door_wait_begin(struct coap_door_wait *wait, struct coap_door_exchange *exchange,
                          const struct handin_receipt *receipt, const uint32_t *block);

/** The request came again. */
void coap_door_wait_repeat(struct coap_door_exchange *exchange);

/** Nobody is to be answered through SESSION any more. */
void coap_door_wait_leave(struct coap_door *door, const coap_session_t *session);

/** Answers whom it is time to answer. */
void coap_door_wait_look(struct coap_door *door);

#endif
