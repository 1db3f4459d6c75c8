/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_BATCH_INSPECT_H
#define RUNNEL_AGENT_BATCH_INSPECT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/batch/render_json.h"
#include "agent/spool/spool_walk.h"
#include "platform/base/writer.h"

/**
 * What `runnel spool` prints, of the spool of a running agent or of a stopped one, in steps. A step
 * writes into memory that its caller bounds; between two steps nothing is held, so the caller may
 * wait as long as it likes for whoever reads.
 *
 *   show    the file, its lanes, the routes it knows and the last events
 *   export  a JSON line per record, as a route of format json sends it, lane by lane in order
 *   check   the checksum of each block, that each record can be decoded, has its sensor and all
 *           pieces of its document; names what is damaged
 *   log     the stored events and those that wait, a line each, oldest first
 *   dead    what `runnel dead` prints, and what it changes: list, show, export, resend, purge
 */
enum { INSPECT_ID_BYTES = 2 * SPOOL_ID_BYTES + 1, INSPECT_ASKED_MAX = 32 };
enum inspect_what { INSPECT_SHOW, INSPECT_EXPORT, INSPECT_CHECK, INSPECT_DEAD, INSPECT_LOG };
enum inspect_dead_action { DEAD_LIST, DEAD_SHOW, DEAD_EXPORT, DEAD_RESEND, DEAD_PURGE };

/** Where a dead letter is: the route's number in the file, and its place. */
struct inspect_place {
    unsigned route;
    uint64_t place;
};

struct inspect_dead {
    enum inspect_dead_action action;
    char route[SPOOL_ROUTE_NAME_BYTES]; /* "": of all */
    uint64_t place;                     /* 0: all of them */
    bool stopped; /* the spool was opened with open_only: for the caller to say, after the start */
    bool begun;
    bool all_asked;
    struct inspect_place passed;                   /* the last letter that was looked at */
    struct inspect_place asked[INSPECT_ASKED_MAX]; /* of a running agent, and not gone yet */
    size_t asked_count;
    int64_t deadline_ms; /* for these; 0: nothing is waited for */
};

struct inspect {
    struct spool *spool;
    enum inspect_what what;
    bool json;
    char id[INSPECT_ID_BYTES];
    enum lane lane; /* in hand; LANE_COUNT: all are done */
    enum lane last; /* of those wanted */
    uint64_t end;   /* records from here on came after the start */
    struct spool_position position;
    uint32_t next_event; /* 0: everything before them is still to be shown */
    uint32_t boot;       /* of the one before */
    bool comma;          /* something stands in the list that is being written */
    bool ended;
    uint64_t records; /* exported, or found sound; of the log: the number to go on from */
    uint64_t damaged; /* blocks or records that were passed over, letters left as they were */
    struct inspect_dead dead;
};

/** REQUEST: "show [json]", "export [LANE]", "check [json]", "log [json] [last COUNT | from
 * NUMBER]", "dead list WHICH [json]" or "dead show|export|resend|purge WHICH", where WHICH is "*",
 * "ROUTE" or "ROUTE/PLACE". E_INVALID: it is none of these; E_NOT_FOUND: there is no such lane. */
int inspect_start(struct inspect *inspect, struct spool *spool, const char *request);

/**
 * Writes the next lines into OUT, a writer to memory. 0: go on (it may have written nothing this
 * time); E_END: it wrote nothing and is through; E_TOO_BIG: OUT is too small for what comes next,
 * and nothing was written or passed: ask again with more; E_AGAIN: it wrote nothing and waits for
 * a commit, ask again soon; E_TIMEOUT: that did not come; the spool's errors. Resend and purge
 * write a line for each letter that they leave as it was, and count it as damaged.
 */
int inspect_next(struct inspect *inspect, struct writer *out);

/* ---- inspect_show.c ---- */

/** Everything but the events, and what stands behind them. */
void inspect_show_spool(struct inspect *inspect, struct writer *out);
void inspect_show_end(struct inspect *inspect, struct writer *out);

/* ---- inspect_log.c ---- */

/** REQUEST: what stands behind "log ", or nothing. E_INVALID. */
int inspect_log_parse(struct inspect *inspect, const char *request);
int inspect_log_next(struct inspect *inspect, struct writer *out);

/** For show: the last few events, and the next of them; E_END behind the last. */
void inspect_log_show(struct inspect *inspect);
int inspect_log_event(struct inspect *inspect, struct writer *out);

/* ---- inspect_dead.c ---- */

/** REQUEST: what stands behind "dead ". E_INVALID. */
int inspect_dead_parse(struct inspect *inspect, const char *request);
int inspect_dead_next(struct inspect *inspect, struct writer *out);

/** RECORD, in hand in READER, as a route of format json sends it, and a newline. */
int inspect_record(struct inspect *inspect, struct spool_reader *reader,
                   const struct record *record, struct writer *out);

#endif
