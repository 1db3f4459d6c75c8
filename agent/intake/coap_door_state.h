/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_COAP_DOOR_STATE_H
#define RUNNEL_AGENT_INTAKE_COAP_DOOR_STATE_H

#include <coap3/coap.h>
#include <pthread.h>

#include "agent/intake/coap_door.h"
#include "platform/base/log.h"
#include "platform/thread.h"

/**
 * What the parts of coap_door.c share. The door's thread has all of it for its own, but for what
 * stands below the lock.
 */
enum {
    COAP_DOOR_TOKEN_BYTES = 8, /* RFC 7252 section 3 */
    COAP_DOOR_DIAGNOSTIC_BYTES = 256,
    COAP_DOOR_STATUS_BYTES = 901, /* see write_status, and its NUL */
};

/** A message whose records wait for flash, and whose peer waits for the answer. */
struct coap_door_wait {
    bool is_used;
    bool is_confirmable;
    bool is_acknowledged;    /* with an empty acknowledgement; the answer comes by itself */
    bool is_quiet;           /* the peer does not want to hear of a success (RFC 7967) */
    bool has_block;          /* the request was the last block of several: */
    uint32_t block;          /* the value of its option */
    coap_session_t *session; /* with a reference; NULL: the peer has gone */
    coap_mid_t mid;
    uint8_t token[COAP_DOOR_TOKEN_BYTES];
    size_t token_bytes;
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

    pthread_mutex_t lock;
    struct coap_door_status status;
};

/* ---- coap_door_listen.c ---- */

/** Opens libcoap and what it listens at. */
int coap_door_listen(struct coap_door *door, char fault[COAP_DOOR_FAULT_BYTES]);

/* ---- coap_door_request.c ---- */

/** Has libcoap call the door for every request. E_NO_MEMORY. */
int coap_door_request_serve(struct coap_door *door);

/* ---- coap_door_answer.c ---- */

/** A request, and what belongs to it until its handler returns. */
struct coap_door_exchange {
    struct coap_door *door;
    coap_session_t *session;
    const coap_pdu_t *request;
    coap_pdu_t *response;
    bool is_confirmable;
    size_t answer_bytes_max; /* of the whole datagram */
};

/** An answer. What is 0 or NULL is not in it. */
struct coap_door_answer {
    coap_pdu_code_t code;
    bool has_format;
    unsigned format;
    unsigned max_age_s;
    bool has_block;
    uint32_t block; /* the value of Block1 */
    size_t size;    /* Size1 */
    const void *body;
    size_t body_bytes;
};

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

/** A place for one that waits, or NULL: there are too many. */
struct coap_door_wait *coap_door_wait_place(struct coap_door *door);

/** Holds the answer to the exchange's request until all of RECEIPT is accepted. */
void coap_door_wait_begin(struct coap_door_wait *wait, struct coap_door_exchange *exchange,
                          const struct handin_receipt *receipt);

/** Answers whom it is time to answer. */
void coap_door_wait_look(struct coap_door *door);

#endif
