/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_DICTIONARY_H
#define RUNNEL_AGENT_SPOOL_DICTIONARY_H

#include <stddef.h>
#include <stdint.h>

#include "drivers/sample.h"

/**
 * What a record leaves out because it is the same for all records of a sensor. Definitions are
 * stored beside the records and never change: a sensor that is configured otherwise gets a new
 * number, and what it sent before stays readable. Pure.
 */
enum { DEFINITION_BYTES_MAX = 3500 };

struct sensor_definition {
    const char *device;
    const char *name;
    size_t channel_count; /* at most SAMPLE_CHANNELS_MAX; 0 for documents alone */
    const struct channel *channels;
    size_t tag_count; /* at most SAMPLE_TAGS_MAX */
    const struct tag *tags;
};

/** Encodes DEFINITION into BYTES[0..SIZE): returns the count, E_TOO_BIG or E_INVALID. */
int dictionary_encode(const struct sensor_definition *definition, uint8_t *bytes, size_t size);

/**
 * Decodes into one allocation that ret_definition and all that it points to live in; the caller
 * frees it. E_DAMAGED, E_NO_MEMORY.
 */
int dictionary_decode(const uint8_t *bytes, size_t count,
                      struct sensor_definition **ret_definition);

#endif
