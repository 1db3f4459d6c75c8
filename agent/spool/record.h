/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_RECORD_H
#define RUNNEL_AGENT_SPOOL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/spool/lane.h"
#include "drivers/sample.h"

/**
 * A record is a sample once it has a sequence number: the unit of delivery. This is the decoded
 * form; FORMAT.md has the bytes. Pure.
 */
enum record_shape {
    RECORD_VALUES,   /* one value per channel of its sensor */
    RECORD_DOCUMENT, /* a JSON object as received */
};

/** The numbers are part of the format on flash. */
enum time_quality { TIME_SYNCED, TIME_CORRECTED, TIME_ESTIMATED };

/** What a record is known by outside, for ever. */
struct record_identity {
    uint64_t spool_id;
    uint64_t sequence; /* from 1, below 2^53 */
};

struct record {
    uint64_t sequence; /* its place in this spool; of what was taken by it, its number as well */
    struct record_identity identity;
    enum lane lane;
    uint32_t sensor; /* number in the spool's dictionary (spool_sensor) */
    int64_t boot_ms; /* CLOCK_BOOTTIME of the boot that took it */
    int64_t wall_ms; /* the same instant since 1970 UTC, as good as time_quality says */
    enum time_quality time_quality;
    enum record_shape shape;
    bool usual; /* values: all decimal, with the decimals that the dictionary says */
    size_t value_count;
    struct value values[SAMPLE_CHANNELS_MAX]; /* texts point into the block */
    const uint8_t *document;                  /* its first or only piece, inside the block */
    size_t document_piece_bytes;
    size_t document_bytes; /* of all pieces */
};

enum {
    RECORD_BYTES_MIN = 4,   /* the smallest record: distance, sensor, time, number of values */
    RECORD_HEAD_BYTES = 40, /* more than all that can stand before a document's first byte */
    RECORD_SENSOR_MAX = 1 << 29,
};

/** The neighbour before, which a record is encoded against. */
struct record_frame {
    uint64_t previous_sequence; /* of the record before, or the block's first less one */
    int64_t previous_boot_ms;   /* of the record before, or the block's time base */
};

/**
 * Encodes sequence, sensor, boot_ms and the values or the length of the document into
 * BYTES[0..SIZE); a document's own bytes follow, written by the caller. CHANNELS are the sensor's
 * CHANNEL_COUNT channels, whose decimals need not be repeated. Returns the count; E_FULL if SIZE
 * does not hold it; E_INVALID for a value that the format cannot hold (decimals above
 * SAMPLE_DECIMALS_MAX, a text above SAMPLE_TEXT_BYTES_MAX, float64 that is not finite).
 */
int record_encode(const struct record *record, const struct record_frame *frame,
                  const struct channel *channels, size_t channel_count, uint8_t *bytes,
                  size_t size);

/**
 * Decodes what record_encode wrote from BYTES[0..COUNT). A document's first piece is what lies
 * behind its length, at most up to COUNT. Decimals of usual values are left at 0: see
 * record_set_decimals. Returns the bytes taken, the piece among them, or E_DAMAGED.
 */
int record_decode(const uint8_t *bytes, size_t count, const struct record_frame *frame,
                  struct record *ret_record);

/** Gives usual values their decimals. E_DAMAGED if the sensor has fewer channels than values. */
int record_set_decimals(struct record *record, const struct channel *channels,
                        size_t channel_count);

#endif
