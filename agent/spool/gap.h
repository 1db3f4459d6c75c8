/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_GAP_H
#define RUNNEL_AGENT_SPOOL_GAP_H

#include <stdint.h>

#include "agent/spool/lane.h"
#include "agent/spool/record.h"

enum spool_gap_reason {
    SPOOL_GAP_DROP_OLDEST, /* the spool was full */
    SPOOL_GAP_DROP_NEWEST, /* likewise */
    SPOOL_GAP_NOT_HELD,    /* nothing is kept for this route, and it came too late */
    SPOOL_GAP_DAMAGED,     /* flash did not give them back */
    SPOOL_GAP_AWAY,        /* they left while the route was not in the configuration */
    SPOOL_GAP_LOST,        /* counted as accepted, but not there after an unclean stop */
};

/** "drop-oldest", "drop-newest", "not-held", "damaged", "away", "lost". */
const char *gap_reason_name(enum spool_gap_reason reason);

/** What a route lost of a lane, which its destination is told of in a record of its own. */
struct spool_gap {
    uint64_t sequence; /* of that record */
    enum lane lane;
    uint64_t first, last; /* the lost ones lie between, perhaps not all that do are lost */
    uint64_t count;
    enum spool_gap_reason reason;
    int64_t wall_ms; /* when it began */
    enum time_quality time_quality;
    uint16_t boot; /* the spool's own; not 0: wall_ms is by the clock of that boot */
};

#endif
