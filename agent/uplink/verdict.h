/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_VERDICT_H
#define RUNNEL_AGENT_UPLINK_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * What to do about an answer, or about none. One row per error that AWS names (Common Errors, the
 * error pages of Kinesis, Firehose, API Gateway, IoT, STS and S3); what is unknown is kept and
 * tried again. No answer drops data. Pure.
 */
enum verdict {
    VERDICT_DELIVERED,           /* look at each record */
    VERDICT_RETRY_RECORD,        /* this record again */
    VERDICT_RETRY_BATCH,         /* all of it again: it is not known what was stored */
    VERDICT_THROTTLE,            /* again, more slowly */
    VERDICT_REFRESH_CREDENTIALS, /* get new ones, then again at once, once */
    VERDICT_FIX_CLOCK,           /* learn the time from the reply, then again at once, once */
    VERDICT_OTHERWISE,           /* the reply said how to ask instead: so at once, once */
    VERDICT_TOO_LARGE,           /* the request as a whole: send less at once */
    VERDICT_BISECT,              /* something in the batch is refused: find it by halving */
    VERDICT_OPERATOR,            /* somebody must act; again, slowly */
};

struct verdict_question {
    int error;           /* of the exchange; E_OK: a whole reply arrived */
    bool files_unfit;    /* because a PEM file of the route is of no use */
    int status;          /* its HTTP status; for E_REFUSED that with which a proxy refused */
    bool understood;     /* it answers for exactly the records that were sent */
    const char *code;    /* of the request: __type or x-amzn-ErrorType; "" if there is none */
    const char *message; /* likewise */
    bool whole;          /* no record of it can be to blame: it is one object */
    bool otherwise;      /* the destination learnt from it how to ask instead */
    bool skewed;         /* its Date differs by more than 4 min from the time that was signed */
};

/** The verdict on a request. */
enum verdict verdict_of_request(const struct verdict_question *question);

/** The verdict on a record that a reply calls failed: VERDICT_THROTTLE or VERDICT_RETRY_RECORD. */
enum verdict verdict_of_record(const char *code);

/** The server's clock, as a refused signature is told: "... (20260115T123456Z - 5 min.)". False:
 * the message does not say it. */
bool verdict_server_time(const char *message, int64_t *ret_wall_ms);

/** What helps, for people, or NULL: most errors pass by themselves. */
const char *verdict_remedy(const struct verdict_question *question);

/** For people: what HOST answered, or FAULT (else the error's name) where it did not, and what
 *  helps, REMEDY (or NULL). Cut to TEXT_BYTES. */
void verdict_explain(const struct verdict_question *question, const char *host, const char *fault,
                     const char *remedy, char *ret_text, size_t text_bytes);

#endif
