/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CLI_TOP_HISTORY_H
#define RUNNEL_AGENT_CLI_TOP_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "agent/control/status_read.h"

/**
 * What the latest statuses said, for rates and curves. Routes and sensors are known by their place
 * in the status, and begin anew when another has it, or when the agent started again.
 */
enum { TOP_CURVE = 64 };

struct top_history;

/** What a route's lanes say together. */
struct top_counters {
    uint64_t accepted, delivered, stored, dead, evicted;
};

/** E_NO_MEMORY. */
int top_history_open(struct top_history **ret_history);

/** NULL is allowed. */
void top_history_close(struct top_history *history);

/** Notes the numbers of STATUS at NOW_MS (any clock that only moves forward). */
void top_history_note(struct top_history *history, const struct status_read *status,
                      int64_t now_ms);

/** Per second, of the INDEX-th route; 0 while that is not known. */
double top_history_records_rate(const struct top_history *history, size_t index);
double top_history_bytes_rate(const struct top_history *history, size_t index);

/** The latest values of the INDEX-th sensor's first channel that is a number, the oldest first;
 *  returns how many, at most MAX. */
unsigned top_history_curve(const struct top_history *history, size_t index, unsigned max,
                           const double **ret_values);

/** The sums over the lanes of the route called NAME. */
struct top_counters top_history_counters(const struct status_read *status, const char *name);

#endif
