/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_GPIO_DEBOUNCE_H
#define RUNNEL_DRIVERS_GPIO_DEBOUNCE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * Debouncing from the times of all edges of a line, for chips that refuse to do it: a level counts
 * once it has lasted for the period, and as from its edge. Pure.
 */
struct debounce {
    int64_t period_ns; /* 0: not in use */
    bool is_high;      /* the level that counts */
    bool seems_high;   /* the level since edge_ns */
    int64_t edge_ns;
};

/** Begins with the level that the line has. */
void debounce_start(struct debounce *debounce, int64_t period_ns, bool is_high);

/** Whether what the line seems to have counts as a change by NOW_NS: then it is the level, since
 *  ret_edge_ns. To be asked before each debounce_edge, and when debounce_due_ns has come. */
bool debounce_settle(struct debounce *debounce, int64_t now_ns, int64_t *ret_edge_ns);

/** An edge to the level IS_HIGH at TIME_NS. */
void debounce_edge(struct debounce *debounce, bool is_high, int64_t time_ns);

/** When a change may count that no further edge reports; INT64_MAX: none is under way. */
int64_t debounce_due_ns(const struct debounce *debounce);

#endif
