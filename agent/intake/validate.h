/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_VALIDATE_H
#define RUNNEL_AGENT_INTAKE_VALIDATE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/intake/payload.h"
#include "platform/base/decimal.h"

/**
 * Whether what came for a sensor is what its configuration wants: members of a document, by their
 * path ("a.b"), or channels, by their name. What is in an array has no path. A number is whole if
 * it has no fraction (3.0, 1e3), however it is spelt; null is of no type. Of a channel, 0 and 1 are
 * true and false as well, and a value that is absent is missing. Pure.
 */
enum { VALIDATE_MEMBERS_MAX = 32 };

enum validate_type {
    VALIDATE_ANY,
    VALIDATE_NUMBER,
    VALIDATE_INTEGER,
    VALIDATE_TEXT,
    VALIDATE_BOOLEAN,
    VALIDATE_OBJECT,
    VALIDATE_ARRAY,
};

/** Compared exactly, but with a number that no decimal can hold: with that as a float64. */
struct validate_bound {
    bool present;
    struct decimal value;
};

struct validate_member {
    const char *name;
    enum validate_type type;
    bool required;
    struct validate_bound min, max; /* inclusive, of numbers */
};

struct validate_rules {
    const struct validate_member *members;
    size_t member_count;  /* at most VALIDATE_MEMBERS_MAX */
    bool refuses_unknown; /* what no member names, nor is inside one that is named */
};

/** FAULT names the member and what it should be. E_INVALID: one is missing, unknown or of another
 *  type; E_RANGE: a number is outside. */
int validate_record(const struct validate_rules *rules, const struct payload_record *record,
                    char fault[PAYLOAD_FAULT_BYTES]);

#endif
