/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_FIT_H
#define RUNNEL_AGENT_UPLINK_FIT_H

#include <stdbool.h>
#include <stdint.h>

/**
 * How large a request may be, where what is allowed does not get through: something on the way
 * refuses large bodies, or the link never lasts long enough. Each failure halves the size; after
 * some successes a larger one is tried again, and after each time that this fails it takes twice as
 * many. Pure.
 */
struct fit {
    uint64_t bytes;     /* the ceiling; 0: there is none */
    unsigned successes; /* since it changed */
    unsigned patience;  /* so many more than the first 16 */
};

/** A struct fit starts as {0}. A request of BYTES did not get through. False: sizes do not become
 * smaller than that, so whoever only asks for less would ask the same again. */
bool fit_failed(struct fit *fit, uint64_t bytes);

/** A request got through; without a ceiling up to LIMIT bytes were allowed. */
void fit_passed(struct fit *fit, uint64_t limit);

/** LIMIT, or the ceiling below it. */
uint64_t fit_bytes_max(const struct fit *fit, uint64_t limit);

#endif
