/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_CONTROL_CLIENT_H
#define RUNNEL_AGENT_CONTROL_CONTROL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/control/status_read.h"

/**
 * The command line's end of the control socket; control.h describes the protocol. A client belongs
 * to its caller's memory and thread.
 */
enum { CONTROL_CLIENT_LINE_BYTES = 512, CONTROL_CLIENT_REASON_BYTES = 200 };
enum { CONTROL_CLIENT_FAULT_BYTES = 320 };

struct control_client {
    int fd;
    size_t used_bytes;  /* in buffer */
    size_t taken_bytes; /* of these, the line that was returned last */
    char buffer[CONTROL_CLIENT_LINE_BYTES];
};

/**
 * Connects to the agent at PATH, trying again until DEADLINE_MS (clock_mono_ms) while nobody
 * answers. E_NOT_FOUND: no agent runs there; E_VERSION: it speaks another protocol; E_REFUSED: it
 * turned us away; E_TIMEOUT; E_TOO_BIG: PATH is too long; error_sys.
 */
int control_client_open(const char *path, int64_t deadline_ms, struct control_client *ret_client);

/** Writes for people why the agent at PATH could not be talked to (CODE), and what helps. Returns
 *  TEXT. */
const char *control_client_fault(int code, const char *path, char text[CONTROL_CLIENT_FAULT_BYTES]);

/** NULL and a client that was never opened (fd -1) are allowed. */
void control_client_close(struct control_client *client);

/**
 * The status of the agent at PATH, as JSON or as text for people, terminated with a NUL that is not
 * counted. The caller frees it. E_NO_MEMORY, E_CLOSED, E_DAMAGED, or as control_client_open.
 */
int control_client_status(const char *path, bool text, int64_t deadline_ms, char **ret_status,
                          size_t *ret_bytes);

/** The same, read; status_read_close is the caller's. Likewise, or as status_read_open. */
int control_client_read_status(const char *path, int64_t deadline_ms,
                               struct status_read **ret_status);

/** An answer of the agent in parts: REQUEST is what stands behind "spool", or another COMMAND, in
 *  control.h. */
struct control_spool {
    const char *command; /* "config"; NULL: "spool" */
    const char *request;
    int64_t answer_ms; /* the next part has to come so soon */
    /** Takes the bytes of the answer as they come. 0, or an error that ends it. */
    int (*write)(void *context, const void *bytes, size_t count);
    void *context;
};

struct control_spooled {
    uint64_t records;                        /* exported, or found sound */
    uint64_t damaged;                        /* passed over */
    char reason[CONTROL_CLIENT_FAULT_BYTES]; /* on failure, where the code alone does not say it */
};

/**
 * Asks and hands on the answer. 0: it is whole; E_REFUSED: the agent gave up, perhaps in the
 * middle, see reason; E_CLOSED: it went away in the middle; E_TIMEOUT; E_TOO_BIG: the request;
 * E_DAMAGED: it does not keep to the protocol; the errors of write; error_sys. ret_spooled is
 * written in any case.
 */
int control_client_spool(struct control_client *client, const struct control_spool *spool,
                         struct control_spooled *ret_spooled);

struct control_send {
    const char *sensor;
    const char *lane;  /* NULL: the sensor's own */
    int input_fd;      /* JSON objects, one per line, to the end */
    int64_t answer_ms; /* the agent has to settle something this often while something is open */
    void (*refused)(void *context, uint64_t line, const char *reason);
    void *context;
};

struct control_sent {
    uint64_t lines;    /* handed over */
    uint64_t settled;  /* the agent has decided about all lines up to this one */
    uint64_t accepted; /* documents (P1) */
    uint64_t refused;
    char reason[CONTROL_CLIENT_REASON_BYTES]; /* the agent's if it gave up, or the input's */
};

/**
 * Hands the input to the agent as it comes and waits until every line is settled. ret_sent is
 * filled on failure, too. 0: all lines are settled (some may be refused); E_REFUSED: the agent gave
 * up, see reason; E_CLOSED: it went away; E_TIMEOUT; E_NO_MEMORY; E_DAMAGED: it does not keep to
 * the protocol; error_sys.
 */
int control_client_send(struct control_client *client, const struct control_send *send,
                        struct control_sent *ret_sent);

#endif
