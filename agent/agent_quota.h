/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_AGENT_QUOTA_H
#define RUNNEL_AGENT_AGENT_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

/**
 * How often the agent may tell of something, and what is still to be told: a bucket of tellings,
 * and a trouble that begins and ends. Times are of one clock that only moves forward. Pure.
 */

/** So many at once, at least one, and another one each every_ms. */
struct agent_quota_rule {
    unsigned burst;
    int64_t every_ms;
};

/** Zeros: full. */
struct agent_quota {
    int64_t full_ms; /* when it is full again */
};

/** From when on one may be taken. */
int64_t agent_quota_ms(const struct agent_quota *quota, const struct agent_quota_rule *rule);

/** Takes one, whether it may be or not. */
void agent_quota_take(struct agent_quota *quota, const struct agent_quota_rule *rule,
                      int64_t now_ms);

/** Something that may be in trouble. Zeros: it is not, and nothing was told. */
struct agent_trouble {
    bool is_on;
    bool is_told;     /* that it is on; else that it is not */
    int64_t since_ms; /* when it came on last */
    uint64_t changes; /* since it was told last */
    struct agent_quota quota;
};

/** What is so now; SINCE_MS counts where it has just come on. True: that is other than was told. */
bool agent_quota_note_trouble(struct agent_trouble *trouble, bool is_on, int64_t since_ms);

/** It was told as it is now. */
void agent_quota_tell_trouble(struct agent_trouble *trouble, const struct agent_quota_rule *rule,
                              int64_t now_ms);

/** A number that grows. Zeros: it is 0, and nothing was told. */
struct agent_tally {
    uint64_t told;
    int64_t since_ms; /* when it was seen to be larger; 0: it is not */
    struct agent_quota quota;
};

/** What it is NOW; what is smaller than before began anew. True: there is something to tell. */
bool agent_quota_note_tally(struct agent_tally *tally, uint64_t number, int64_t now_ms);

/** It was told. */
void agent_quota_tell_tally(struct agent_tally *tally, const struct agent_quota_rule *rule,
                            uint64_t number, int64_t now_ms);

#endif
