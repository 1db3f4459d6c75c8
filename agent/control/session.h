/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_SESSION_H
#define RUNNEL_AGENT_CONTROL_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/control/control.h"

/**
 * One connection to the control socket: the server's side of the protocol in control.h. Belongs to
 * the control thread; no call waits. A session that ended is closed and its slot free
 * (session_is_open is false).
 */
enum { SESSION_COMMAND_BYTES = 128, SESSION_REPLY_BYTES = 1024 };

enum session_state {
    SESSION_CLOSED,
    SESSION_COMMAND,   /* the command line is awaited */
    SESSION_DOCUMENTS, /* a sender's documents come */
    SESSION_PARTS,     /* an answer in parts goes out */
    SESSION_LEAVING,   /* what is in reply or status goes out, then the connection ends */
};

enum session_answer { SESSION_OF_SPOOL, SESSION_OF_CONFIG, SESSION_OF_SENSOR };

struct session_entry {
    uint64_t line;
    uint64_t sequence;
    unsigned lane;
};

struct session {
    const struct control_options *options;
    unsigned slot;
    int event_fd;
    int fd;
    enum session_state state;
    int64_t started_ms;
    int64_t progress_ms; /* when bytes moved last, or had to start to */
    int64_t retry_ms;    /* when the line in hand is offered, or a part asked for, again; 0: not */

    char command[SESSION_COMMAND_BYTES];
    size_t command_bytes;
    char sensor[CONTROL_SENSOR_BYTES];
    char lane[CONTROL_LANE_BYTES];

    uint8_t *input; /* document_bytes_max + 1, from the command on */
    size_t input_bytes;
    bool skipping; /* the rest of a line that was refused for its length */
    bool ended;    /* no more input will come */
    bool stopped;  /* because the agent stops */
    uint64_t line; /* the last line that was taken or refused */
    uint64_t count, refused;
    uint64_t reported_line;

    struct session_entry *entries; /* a ring of CONFIG_CONTROL_IN_FLIGHT, not yet accepted */
    unsigned first, entry_count;

    char *status; /* the answer or a part of it, behind what is in reply */
    size_t status_bytes, status_sent;
    size_t part_bytes;          /* of the buffer, while an answer goes out in parts */
    enum session_answer answer; /* what those parts are of */
    char reply[SESSION_REPLY_BYTES];
    size_t reply_bytes;
};

/** Greets FD, which it then owns. options, slot and event_fd are set before, once. */
void session_open(struct session *session, int fd, int64_t now_ms);

/** Ends the connection at once. Does nothing to a closed session. */
void session_close(struct session *session);

bool session_is_open(const struct session *session);

/** Whether it is a sender or gets an answer in parts: it has a buffer for long. */
bool session_is_sender(const struct session *session);

/** The poll(2) events that it waits for. */
short session_events(const struct session *session);

/** Until when it waits for them (clock_mono_ms); INT64_MAX: for ever. */
int64_t session_deadline_ms(const struct session *session);

/** Goes on after poll(2) returned REVENTS (may be 0). MAY_SEND: another sender may begin. */
void session_continue(struct session *session, short revents, bool may_send, int64_t now_ms);

/** Takes no more input; what was taken is still reported. */
void session_stop_input(struct session *session, int64_t now_ms);

#endif
