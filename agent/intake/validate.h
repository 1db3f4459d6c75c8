/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_VALIDATE_H
#define RUNNEL_AGENT_INTAKE_VALIDATE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/intake/payload.h"
#include "platform/base/decimal.h"

/**
 * Whether what came for a sensor is what its configuration wants: members of a document, by their
 * path ("a.b"), or channels, by their name. Pure.
 */
enum validate_type {
    VALIDATE_ANY,
    VALIDATE_NUMBER,
    VALIDATE_INTEGER,
    VALIDATE_TEXT,
    VALIDATE_BOOLEAN,
    VALIDATE_OBJECT,
    VALIDATE_ARRAY,
};

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
    size_t member_count;
    bool refuses_unknown; /* what no member names, nor is inside one that is named */
};

/** FAULT names the member and what it should be. E_INVALID: one is missing, unknown or of another
 *  type; E_RANGE: a number is outside. */
int validate_record(const struct validate_rules *rules, const struct payload_record *record,
                    char fault[PAYLOAD_FAULT_BYTES]);

#endif
