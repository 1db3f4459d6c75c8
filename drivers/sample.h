/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_SAMPLE_H
#define RUNNEL_DRIVERS_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * A sample is what a driver measured at one instant: one value per channel, or a document.
 * Numbers are whole mantissas with decimals (2143 with 2 is 21.43): what a sensor said is never
 * rounded through binary fractions on its way.
 */
enum {
    SAMPLE_CHANNELS_MAX = 32,
    SAMPLE_NAME_BYTES = 32, /* with the terminating NUL */
    SAMPLE_UNIT_BYTES = 16,
    SAMPLE_DECIMALS_MAX = 18,
    SAMPLE_TEXT_BYTES_MAX = 255,
    SAMPLE_TAGS_MAX = 16, /* of a sensor */
};

enum value_kind {
    VALUE_ABSENT,  /* the channel has no value this time */
    VALUE_DECIMAL, /* mantissa / 10^decimals */
    VALUE_FLOAT64, /* float64_bits, the bits of an IEEE 754 binary64; finite */
    VALUE_TEXT,    /* text[0..text_bytes), UTF-8 without NUL */
};

struct value {
    enum value_kind kind;
    unsigned decimals;
    int64_t mantissa;
    uint64_t float64_bits;
    const char *text;
    size_t text_bytes;
};

/** What stays the same from sample to sample. unit: a SenML unit name (RFC 8428, 8798) or "". */
struct channel {
    char name[SAMPLE_NAME_BYTES];
    char unit[SAMPLE_UNIT_BYTES];
    unsigned decimals; /* the usual number of decimals; a value may have another */
};

/** What a sensor's records are marked with, beside what was measured. */
struct tag {
    const char *name;
    const char *value;
};

/**
 * Where in a followed file a sample ends: committed together with its record, so that reading goes
 * on there after a restart. present false: the sample does not come from a followed file.
 */
struct sample_origin {
    bool present;
    uint64_t device;
    uint64_t inode;
    uint64_t offset;
};

/** Texts and documents belong to the driver and stay valid until its next fetch or read. */
struct sample {
    int64_t boot_ms; /* CLOCK_BOOTTIME at the instant of measuring */
    size_t value_count;
    struct value values[SAMPLE_CHANNELS_MAX];
    const uint8_t *document; /* a JSON object as received, or NULL; then value_count is 0 */
    size_t document_bytes;
    struct sample_origin origin;
};

#endif
