/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_TRANSFORM_CHAIN_H
#define RUNNEL_AGENT_TRANSFORM_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/intake/transform.h"
#include "platform/base/decimal.h"

/**
 * The transforms of one sensor, one behind the other (README.md says what each does). Whatever it
 * needs it takes when it is opened; it knows neither who gives it samples nor where they go.
 */
struct chain;

enum chain_kind {
    CHAIN_SCALE,
    CHAIN_RENAME,
    CHAIN_UNIT,
    CHAIN_DEADBAND,
    CHAIN_SUMMARIZE,
    CHAIN_RATE,
    CHAIN_FLATTEN,
    CHAIN_REDACT,
    CHAIN_TAG,
    CHAIN_FILTER,
    CHAIN_ALARM,
    CHAIN_KINDS
};

enum chain_function { CHAIN_MIN, CHAIN_MEAN, CHAIN_MAX, CHAIN_LAST, CHAIN_COUNT, CHAIN_COVER };
enum { CHAIN_FUNCTIONS = CHAIN_COVER + 1 };
enum chain_operator { CHAIN_LT, CHAIN_LE, CHAIN_EQ, CHAIN_NE, CHAIN_GE, CHAIN_GT };
enum chain_action { CHAIN_DROP, CHAIN_MASK, CHAIN_HMAC };

struct chain_decimal {
    bool present;
    struct decimal value;
};

/** One transform; which members count depends on its kind. Texts are the caller's. */
struct chain_step {
    enum chain_kind kind;
    const char *channel; /* its name, or a member's path ("a.b") in documents; NULL: all */
    /* scale */
    struct chain_decimal factor, offset;
    bool has_decimals;
    unsigned decimals;
    /* rename: from name to value; flatten: channel name from the member value, none: a document */
    const struct tag *pairs;
    size_t pair_count;
    const char *unit;
    /* deadband: delta or percent */
    struct chain_decimal delta, percent;
    int64_t interval_ms; /* of summarize and rate; deadband: its heartbeat, 0: none */
    bool functions[CHAIN_FUNCTIONS];
    bool keeps_first; /* rate */
    char separator;   /* flatten, between names */
    enum chain_action action;
    const uint8_t *key; /* of CHAIN_HMAC; NULL: there is none, and so no sample passes */
    size_t key_bytes;
    struct tag tag; /* value NULL: what channel says */
    enum chain_operator comparison;
    struct chain_decimal value;
    const char *text; /* what a text is compared with; NULL: value is the operand */
    bool drops;       /* filter: what it is true of, instead of the rest */
    /* alarm */
    struct chain_decimal above, below, hysteresis;
};

/** All that this points to stays the caller's and must stay valid until chain_close. */
struct chain_options {
    const struct chain_step *steps;
    size_t step_count;
    const struct tag *tags; /* of the sensor */
    size_t tag_count;
    size_t document_bytes_max;

    /** The wall clock is so much ahead of CLOCK_BOOTTIME; intervals begin where it is a multiple of
     *  them. NULL: those of CLOCK_BOOTTIME. */
    int64_t (*wall_offset_ms)(void *context);
    void *context;
};

/** E_NO_MEMORY; E_UNSUPPORTED: a kind that is not in this program; E_INVALID: a path of more than
 *  16 parts. */
int chain_open(const struct chain_options *options, struct chain **ret_chain);

/** NULL is allowed. */
void chain_close(struct chain *chain);

/** The face by which intake uses it. */
struct intake_transform chain_face(struct chain *chain);

#endif
