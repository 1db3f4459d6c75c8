/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_AGENT_TELL_H
#define RUNNEL_AGENT_AGENT_TELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/agent_quota.h"
#include "agent/spool/record.h"
#include "agent/spool/spool.h"

/** For agent_state.h alone: what was told of what happens, and may be told. Main's alone. */
struct agent;

struct agent_tell_route {
    struct agent_trouble trouble;
    int64_t helpless_ms; /* since when it has needed somebody; 0: it does not */
    struct agent_tally throttled, dead;
};

/** What is told of the clock is what it says against what was told last. */
struct agent_tell_clock {
    bool is_known; /* whether anything was told; the rest means nothing before */
    enum time_quality quality;
    int64_t offset_ms;
    int64_t since_ms; /* when it was seen to be another; 0: it is not */
    struct agent_quota quota;
};

struct agent_tell {
    struct agent_quota quota;        /* of all but numbers, as long as the process lives, as are */
    struct agent_quota tally_quota;  /* that of numbers, */
    struct agent_quota starts_quota; /* and those of starts: */
    uint64_t starts;                 /* that were not told yet */
    bool has_opened;
    const char *ended; /* how the run before this one did */
    bool is_open;      /* the rest is of these stages: */
    int64_t opened_ms;
    struct agent_tell_clock clock;
    struct agent_tell_route routes[SPOOL_ROUTES_MAX];
    struct agent_trouble *sensors;     /* as the configuration has them */
    size_t next_sensor;                /* that is looked at first */
    struct agent_trouble *credentials; /* as agent.credentials has them */
};

#endif
