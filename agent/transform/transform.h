/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_TRANSFORM_TRANSFORM_H
#define RUNNEL_AGENT_TRANSFORM_TRANSFORM_H

#include "agent/transform/chain.h"
#include "agent/transform/document.h"

/**
 * The contract between chain.c and one transform. Its state is state_bytes zeroed bytes; nothing is
 * allocated after open. All are pure.
 */

/** What a transform tells beside its result. */
struct transform_notes {
    uint64_t unfit;   /* values that became absent because they left the range of numbers */
    const char *lack; /* why it left the sample as it was */
    bool dropped;     /* a sample that those before it let through: nobody will see it */
    struct intake_shape *shape; /* what comes out of the chain, whose tags it may change: */
    bool reshaped;              /* it did, and no record has gone out since */
};

struct transform {
    size_t state_bytes;

    /** E_NO_MEMORY, E_INVALID; close follows also then. May be NULL. */
    int (*open)(void *state, const struct chain_step *step, const struct chain_options *options);

    /** Finds its channels in SHAPE and makes of it what comes out; what it remembered of samples is
     *  forgotten. E_INVALID, E_TOO_BIG with FAULT. */
    int (*bind)(void *state, const struct chain_step *step, struct intake_shape *shape,
                char fault[INTAKE_FAULT_BYTES]);

    /** As intake_transform's. */
    int (*push)(void *state, const struct chain_step *step, struct intake_item *item,
                struct transform_notes *notes);

    /** Both NULL: it holds nothing back. flush is asked for what due_ms says is due at BOOT_MS. */
    void (*flush)(void *state, const struct chain_step *step, int64_t boot_ms,
                  struct intake_item *item, struct transform_notes *notes);
    int64_t (*due_ms)(const void *state);

    /** What it let through last did not get out of the chain. May be NULL. */
    void (*lost)(void *state);

    void (*close)(void *state); /* may be NULL */
};

extern const struct transform scale_transform, rename_transform, unit_transform, deadband_transform,
    summarize_transform, rate_transform, flatten_transform, redact_transform, tag_transform,
    filter_transform, alarm_transform;

/** Said by those that know channels alone. */
#define TRANSFORM_LACK_DOCUMENT                                                                    \
    "the sample is a document, which has no channels; put \"flatten\" before it"
#define TRANSFORM_LACK_CHANNEL "the sensor has no such channel"

/** The channels that STEP is about, a bit each; NAME NULL: all. */
uint32_t transform_select(const struct intake_shape *shape, const char *name);

/** The first of them, or SAMPLE_CHANNELS_MAX. */
unsigned transform_find(const struct intake_shape *shape, const char *name);

/* ---- one value: of a channel, or of a document's member ---- */

struct transform_source {
    unsigned place; /* of the channel; SAMPLE_CHANNELS_MAX: there is none */
    struct document_path path;
    char text[SAMPLE_TEXT_BYTES_MAX];
};

/** For open and for bind. E_INVALID. */
int transform_source_open(struct transform_source *source, const char *name);
void transform_source_bind(struct transform_source *source, const char *name,
                           const struct intake_shape *shape);

/** What SAMPLE says there; texts are valid until the next call. */
struct value transform_source_get(struct transform_source *source, const struct sample *sample,
                                  struct transform_notes *notes);

/* ---- numbers: exact where the sensor's are ---- */

bool transform_is_number(const struct value *value);
struct decimal transform_decimal(const struct value *value);
double transform_double(const struct value *value);
double transform_decimal_double(struct decimal value);
struct value transform_from_decimal(struct decimal value);
struct value transform_from_double(double value);

/** Whether a number is less than LIMIT (< 0), equal or greater. */
int transform_compare(const struct value *value, struct decimal limit);

/** A value as text, for what is not a number any more; RET_TEXT may be VALUE's own. */
enum { TRANSFORM_SPELT_BYTES = 32 };
const char *transform_spell(const struct value *value, char text[TRANSFORM_SPELT_BYTES],
                            size_t *ret_bytes);

#endif
