/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_COAP_DOOR_H
#define RUNNEL_AGENT_INTAKE_COAP_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/intake/handin.h"
#include "platform/base/writer.h"
#include "platform/progress.h"
#include "platform/stop.h"

/**
 * The door for peers that speak CoAP (RFC 7252; blocks: RFC 7959; 4.29: RFC 8516), with or without
 * DTLS. One thread, which alone calls libcoap and handin. A message that is confirmable is answered
 * 2.04 once its records are durable or delivered (P1): with its acknowledgement if that is soon,
 * else in an answer of its own. What is asked of it, and what it answers, is in COAP.md.
 */
struct coap_door;

enum { COAP_DOOR_FAULT_BYTES = 256, COAP_DOOR_LISTENS_MAX = 8, COAP_DOOR_CODES = 16 };

struct coap_door_listen {
    const char *host; /* a numeric address, IPv6 without brackets */
    uint16_t port;
    bool secure; /* coaps:// */
};

/** A bucket of tokens; per_mil_s 0: unlimited. */
struct coap_door_rate {
    uint64_t per_mil_s; /* tokens in 1000 s */
    uint64_t burst;
};

/** Everything that this points to stays the caller's and must stay valid until coap_door_close. */
struct coap_door_options {
    struct coap_door_listen listens[COAP_DOOR_LISTENS_MAX];
    size_t listen_count;
    const char *psk_file;                /* NULL: no listener is secure */
    struct coap_door_rate peer_messages; /* of one identity, or address where there is none */
    struct coap_door_rate peer_bytes;    /* of payload */
    struct coap_door_rate all_messages;  /* of everybody together */
    struct coap_door_rate all_bytes;
    size_t document_bytes_max;
    unsigned session_s;    /* whoever asks nothing for so long is forgotten; 0: an hour */
    struct handin *handin; /* the door's alone while it runs, but for handin_get_status */
    struct spool *spool;   /* for tickets */
    bool (*knows_time)(void *context);
    void (*clock)(void *context, struct spool_clock_reading *ret_reading);
    void (*write_status)(void *context, struct writer *out); /* GET /status: a JSON object for
                                                                peers, of at most 900 bytes */
    void *context;
    const struct stop *stop; /* the agent's, which ends the door as well; or NULL */
    int64_t heartbeat_ms; /* how long the thread may sleep in one go, for a watchdog; 0: for ever */
};

/**
 * Opens the sockets. FAULT says what is wrong and what helps. E_UNSUPPORTED: a secure listener, and
 * libcoap was built without DTLS; E_INVALID: psk_file has faults, or others may read it;
 * E_NO_MEMORY; error_sys: an address cannot be listened at, or psk_file not be read.
 */
int coap_door_open(const struct coap_door_options *options, char fault[COAP_DOOR_FAULT_BYTES],
                   struct coap_door **ret_door);

/** E_NO_MEMORY, error_sys. */
int coap_door_start(struct coap_door *door);

/** Reads nothing more, answers whom a commit within 500 ms lets it answer, and ends the thread.
 * E_TIMEOUT: it still runs at DEADLINE_MS (clock_mono_ms); may be asked again. */
int coap_door_stop(struct coap_door *door, int64_t deadline_ms);

/** Nothing while the thread still runs. NULL is allowed. */
void coap_door_close(struct coap_door *door);

/** For a watchdog. */
const struct progress *coap_door_progress(const struct coap_door *door);

/** The answers that are counted one by one: "2.04", "2.05", "4.00" ...; NULL behind the last. */
const char *coap_door_code_name(size_t index);

struct coap_door_status {
    uint64_t messages;                     /* to /t/... that reached it, repeats not among them */
    uint64_t accepted;                     /* whose records are, or will be, durable */
    uint64_t repeated;                     /* that were answered from memory */
    uint64_t throttled;                    /* answered 4.29 */
    uint64_t handshakes_failed;            /* of DTLS: unknown identity, wrong key */
    uint64_t answers[COAP_DOOR_CODES];     /* as coap_door_code_name numbers them */
    size_t sessions;                       /* peers that are known now */
    size_t waiting;                        /* messages that wait for flash now */
    size_t transfers;                      /* block-wise, under way now */
    size_t identities;                     /* in psk_file, as it was read last */
    char psk_fault[COAP_DOOR_FAULT_BYTES]; /* why a changed psk_file is not in use; "" */
};

/** Any thread. */
void coap_door_get_status(struct coap_door *door, struct coap_door_status *ret_status);

#endif
