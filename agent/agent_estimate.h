/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_AGENT_ESTIMATE_H
#define RUNNEL_AGENT_AGENT_ESTIMATE_H

#include "agent/agent_state.h"
#include "agent/uplink/rehearse.h"

/** What the files agent_estimate*.c share; nobody else includes it. Times are milliseconds of a
 * boot clock that goes as fast as it is told to. */
enum {
    ESTIMATE_DAYS = 30,
    ESTIMATE_PAGE_BYTES = 4096,
    ESTIMATE_COMMIT_PAGES = 4,
    ESTIMATE_APART_MS = 2,
};

/** Where a sensor's values come from. */
enum estimate_values {
    ESTIMATE_READ,    /* each is read */
    ESTIMATE_DRIFT,   /* one was read, the others are near it */
    ESTIMATE_ASSUMED, /* there is no such thing here, or it speaks when it wants to */
    ESTIMATE_OWN,     /* how the agent is */
};

struct estimate_source {
    const struct cfg_sensor *config;
    enum estimate_values values;
    void *instance; /* NULL: there is none */
    char fault[DRIVER_FAULT_BYTES];
    struct stop stop;
    uint32_t sensor; /* in the spool */
    int64_t every_ms;
    int64_t next_ms;
    uint64_t records;
    uint64_t random;
    struct sample sample;
    char document[384];
};

/** What a lane has in RAM alone, as the committer would look at it. */
struct estimate_lane {
    int64_t first_ms;     /* when the first was taken since the last commit; 0: none was */
    uint64_t bytes;       /* encoded, since then */
    uint64_t tail_bytes;  /* of the block that the next commit writes again */
    int64_t committed_ms; /* until when everything is on flash; 0: nothing is */
};

struct estimate {
    struct agent agent; /* only what opens routes: config, spool, link, user agent */
    const struct config *config;
    struct agent_scratch scratch;
    struct estimate_source *sources; /* a sensor each, and the agent's own for each lane of it */
    size_t source_count;
    struct cfg_sensor own[LANE_COUNT];
    struct uplink_rehearsal *routes[CFG_ROUTES_MAX];
    struct estimate_lane lanes[LANE_COUNT];
    int64_t start_ms, now_ms;
    int64_t offset_ms; /* wall time, less that */
    uint64_t records;
    bool crowded; /* RAM did not hold what waited */
    uint64_t commits, flash_bytes;
    int64_t ack_due_ms; /* INT64_MAX: no acknowledgement of what is on flash waits */
};

/** Opens what SOURCE->config describes, or assumes something. E_FULL, E_TOO_BIG, E_NO_MEMORY. */
int agent_estimate_source_open(struct estimate_source *source, struct estimate *estimate);

/** Likewise for the records that the agent makes of itself; its config says the lane. */
int agent_estimate_source_own(struct estimate_source *source, struct estimate *estimate);

void agent_estimate_source_close(struct estimate_source *source);

/** The next sample; false: there is none this time. */
bool agent_estimate_source_read(struct estimate_source *source);

/** Says what came of it, in a month. */
void agent_estimate_print(const struct estimate *estimate, FILE *to);

#endif
