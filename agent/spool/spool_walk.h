/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_SPOOL_WALK_H
#define RUNNEL_AGENT_SPOOL_SPOOL_WALK_H

#include "agent/spool/spool.h"
#include "agent/spool/verify.h"
#include "platform/fs.h"

/**
 * Looking at a spool without being a route: everything that it holds, delivered or not, in a
 * running agent or in a spool that was opened with open_only. Changes nothing and delays nobody: no
 * lock and no transaction is held between calls. Any thread.
 */

/** Where a walk through a lane is; all zeros: at its beginning. Whoever keeps it can go on later
 *  with another reader. */
struct spool_position {
    uint64_t next;    /* the first sequence that was not passed */
    uint64_t damaged; /* the first sequence of the damaged block that was passed over last */
};

/**
 * Starts READER at FROM. spool_reader_next and spool_reader_piece then give every record that is on
 * flash or in the head and not waiting for its commit first; E_DAMAGED of spool_reader_next, and
 * E_VERSION for a block of a newer format, mean that something was passed over: call on.
 */
void spool_walk_start(struct spool_reader *reader, struct spool *spool, enum lane lane,
                      const struct spool_position *from);

/** Behind what spool_reader_next returned last, or passed over. */
struct spool_position spool_walk_position(const struct spool_reader *reader);

/** The first sequence of the block that spool_reader_next said last to be damaged. AT is the
 *  position before that call. */
uint64_t spool_walk_damaged(const struct spool_reader *reader, const struct spool_position *at);

struct spool_summary {
    char path[FS_PATH_BYTES]; /* of the file */
    uint64_t size_bytes;      /* 0 while it is not there yet */
    uint64_t used_bytes;
    unsigned format;
    unsigned aside;
    int64_t counters_since_ms;
};
void spool_walk_summary(struct spool *spool, struct spool_summary *ret_summary);

/** What flash and head hold of a lane, delivered or not. */
struct spool_lane_summary {
    uint64_t records, blocks, bytes;
    int64_t oldest_ms, newest_ms; /* wall time; 0 if there is no record that can be read */
};
void spool_walk_lane(struct spool *spool, enum lane lane, struct spool_lane_summary *ret_summary);

/** A route that the file knows; the counters of one that is not open are those of the last commit
 *  of the agent that had it open. */
struct spool_route_summary {
    char name[SPOOL_ROUTE_NAME_BYTES];
    bool open;
    bool hold;
    bool lanes[LANE_COUNT];
    struct spool_counters counters[LANE_COUNT];
};
/** INDEX below SPOOL_ROUTES_MAX. E_NOT_FOUND: there is none at INDEX. */
int spool_walk_route(struct spool *spool, unsigned index, struct spool_route_summary *ret_route);

enum { SPOOL_EVENT_TEXT_BYTES = 160 };
struct spool_event {
    uint32_t number; /* one more than the one before, unless one was lost */
    enum log_level level;
    uint32_t boot; /* grows by one from boot to boot; 0: not known */
    int64_t wall_ms;
    enum time_quality time_quality;
    char text[SPOOL_EVENT_TEXT_BYTES];
};
/** The first event from number FROM on, stored or waiting for its commit; a damaged one says so.
 *  E_NOT_FOUND; LMDB's. */
int spool_walk_event(struct spool *spool, uint32_t from, struct spool_event *ret_event);

/** The number of the next event that is going to happen. */
uint32_t spool_walk_next_event(struct spool *spool);

/** What spool_open says E_DAMAGED for: FAULT is where and what in the pages of the file in the
 *  state directory PATH, which nobody may have open. 0 if they are sound; as store_verify. */
int spool_walk_verify(const char *path, char fault[VERIFY_FAULT_BYTES]);

#endif
