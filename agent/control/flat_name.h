/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_FLAT_NAME_H
#define RUNNEL_AGENT_CONTROL_FLAT_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Which names of tags and channels may stand at top level of a record in the flat layout: whoever
 * checks a configuration and whoever renders ask the same. Pure. */

/** Whether NAME is one of the members that a record has of its own. */
static inline bool flat_name_is_reserved(const char *name)
{
    static const char *const names[] = {"device", "sensor", "ts",   "seq",  "spool", "time_quality",
                                        "tags",   "values", "text", "data", "gap"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/** Hive and Glue do not tell capitals from small letters. */
static inline bool flat_name_has_capitals(const char *name)
{
    return name[strcspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] != '\0';
}

static inline bool flat_name_fits(const char *name)
{
    return name[0] != '\0' && !flat_name_is_reserved(name) && !flat_name_has_capitals(name);
}

#endif
