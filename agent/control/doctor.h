/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_DOCTOR_H
#define RUNNEL_AGENT_CONTROL_DOCTOR_H

#include <stdbool.h>

#include "platform/base/writer.h"
#include "platform/json/json_write.h"

/**
 * What `runnel doctor` found, written down as it is found: as text for people, plain ASCII of at
 * most 80 columns, or as one JSON object for programs. Pure.
 */
enum doctor_outcome {
    DOCTOR_OK,
    DOCTOR_WARN, /* it works, but somebody should know */
    DOCTOR_FAIL,
    DOCTOR_UNTRIED,
};

struct doctor_finding {
    const char *rung; /* what was looked at: "DNS" */
    enum doctor_outcome outcome;
    const char *what;
    const char *remedy; /* what helps; NULL where nothing has to be done */
};

enum { DOCTOR_PLACE_BYTES = 80 };

struct doctor {
    struct writer *out;
    bool json;
    struct json_write write;
    bool in_section;
    char section[DOCTOR_PLACE_BYTES];
    unsigned failures, warnings, untried;
    char first[DOCTOR_PLACE_BYTES]; /* where the first failure is */
};

/** OUT must outlive DOCTOR; its errors stick. */
void doctor_start(struct doctor *doctor, bool json, struct writer *out);

/** What follows belongs to NAME ("route live"); ABOUT says more of it, or is "". */
void doctor_section(struct doctor *doctor, const char *name, const char *about);

void doctor_add(struct doctor *doctor, const struct doctor_finding *finding);

/** The verdict, on one line. */
void doctor_end(struct doctor *doctor);

#endif
