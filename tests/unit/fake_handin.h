/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_UNIT_FAKE_HANDIN_H
#define RUNNEL_TESTS_UNIT_FAKE_HANDIN_H

#include <pthread.h>

#include "agent/intake/handin.h"

/**
 * What the door calls of handin and of the spool's tickets, linked instead of them: keeps what is
 * handed in, answers as told, and says when it is durable. Any thread.
 */
enum { FAKE_HANDIN_NAME_BYTES = 64, FAKE_HANDIN_BYTES = 8192, FAKE_HANDIN_TICKETS = 256 };

struct handin {
    pthread_mutex_t lock;
    int answer; /* of every put */
    const char *fault;
    size_t bytes_max;
    bool two_lanes; /* a message has records in two of them */
    bool holds;     /* a transform keeps it: there is no record */
    unsigned puts;  /* all, and those that were taken: */
    unsigned taken;
    char sensor[FAKE_HANDIN_NAME_BYTES]; /* of the last one */
    char lane[FAKE_HANDIN_NAME_BYTES];   /* "": none asked for */
    bool may_lane[LANE_COUNT];
    unsigned format;
    size_t count;
    uint8_t bytes[FAKE_HANDIN_BYTES];
};

struct spool {
    pthread_mutex_t lock;
    uint64_t durable; /* up to this sequence number */
    struct spool_ticket *tickets[FAKE_HANDIN_TICKETS];
    size_t ticket_count;
};

void fake_handin_init(struct handin *handin, struct spool *spool);
void fake_handin_free(struct handin *handin, struct spool *spool);

void fake_handin_answer(struct handin *handin, int answer, const char *fault);

/** A copy of what came last. */
struct handin fake_handin_last(struct handin *handin);

/** Makes durable what is numbered up to SEQUENCE, and tells who waits for it. */
void fake_spool_commit(struct spool *spool, uint64_t sequence);

/** Tickets that wait. */
size_t fake_spool_tickets(struct spool *spool);

#endif
