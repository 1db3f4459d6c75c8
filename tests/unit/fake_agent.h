/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_UNIT_FAKE_AGENT_H
#define RUNNEL_TESTS_UNIT_FAKE_AGENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/control/control.h"

/**
 * An agent behind the control socket that takes documents into a list and accepts what the test
 * says. Sequences are 1, 2, ... in the order of submission.
 */
enum { FAKE_DOCUMENTS_MAX = 20000, FAKE_TEXT_BYTES = 64 };

struct fake_agent {
    pthread_mutex_t mutex;
    uint64_t submitted;
    uint64_t asked;        /* how often submit was called */
    uint64_t accepted_to;  /* all sequences up to this one are accepted */
    uint64_t accepted_too; /* and this one, out of order */
    uint64_t room;         /* submissions before E_AGAIN */
    int refuse_code;       /* what submit returns for documents that contain refuse_text */
    const char *refuse_text;
    unsigned forgotten; /* calls of forget */
    int event_fd;       /* of the last ticket that was asked for */
    uint64_t waiting;   /* its sequence */
    size_t status_bytes;
    unsigned parts;       /* that spool_next gives before it is through */
    size_t part_bytes;    /* each of this size, a letter over and over */
    unsigned parts_given; /* */
    unsigned part_waits;  /* before the next one */
    int part_error;       /* given after parts, instead of E_END */
    char request[32];     /* of spool_start; "lane" is none there is, "bad" is none at all */
    char lane[CONTROL_LANE_BYTES];
    char sensor[CONTROL_SENSOR_BYTES];
    char documents[FAKE_DOCUMENTS_MAX][FAKE_TEXT_BYTES]; /* their beginnings */
};

extern const struct control_operations fake_agent_operations;

/** An agent with room for everything that accepts nothing yet. */
struct fake_agent *fake_agent_new(void);
void fake_agent_free(struct fake_agent *agent);

/** Accepts all sequences up to LAST, and tells who waits. */
void fake_agent_accept(struct fake_agent *agent, uint64_t last);

/** Likewise, but wakes nobody. */
void fake_agent_accept_quietly(struct fake_agent *agent, uint64_t last);

void fake_agent_set_room(struct fake_agent *agent, uint64_t room);
uint64_t fake_agent_submitted(struct fake_agent *agent);
unsigned fake_agent_forgotten(struct fake_agent *agent);

#endif
