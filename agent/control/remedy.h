/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_REMEDY_H
#define RUNNEL_AGENT_CONTROL_REMEDY_H

#include <stddef.h>

/** What the error of a sensor is called where one looks it up, and what a technician checks next,
 *  whatever driver it came from; the driver's own words are for what only that knows. Pure. */
enum { REMEDY_CHECKS_MAX = 3 };

struct remedy {
    int number;                                /* of errno, or the code if that is negative */
    const char *name;                          /* "EACCES", "E_TIMEOUT" */
    const char *checks[REMEDY_CHECKS_MAX + 1]; /* NULL behind the last */
};

/** Of CODE, or NULL: of no use to anybody in front of a sensor. */
const struct remedy *remedy_find(int code);

#endif
