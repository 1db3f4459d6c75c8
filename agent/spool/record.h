/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_RECORD_H
#define RUNNEL_AGENT_SPOOL_RECORD_H

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

/** Numbers are part of the format on flash. */
enum time_quality { TIME_SYNCED, TIME_CORRECTED, TIME_ESTIMATED };

struct record {
    uint64_t sequence; /* from 1, below 2^53 */
    enum lane lane;
    uint32_t sensor; /* number in the spool's dictionary (spool_sensor) */
    int64_t boot_ms; /* CLOCK_BOOTTIME of the boot that took it */
    int64_t wall_ms; /* the same instant since 1970 UTC, as good as time_quality says */
    enum time_quality time_quality;
    enum record_shape shape;
    size_t value_count;
    struct value values[SAMPLE_CHANNELS_MAX]; /* texts point into the block */
    const uint8_t *document;                  /* its first or only piece, inside the block */
    size_t document_piece_bytes;
    size_t document_bytes; /* of all pieces */
};

/** Encoded sizes: a record without values; the most that one may take with every channel a text. */
enum { RECORD_BYTES_MIN = 3 };

/**
 * How a record is encoded depends on its neighbours in the block and on what its sensor usually
 * sends.
 */
struct record_frame {
    uint64_t previous_sequence;              /* of the record before, or the block's first - 1 */
    int64_t previous_boot_ms;                /* of the record before, or the block's time base */
    size_t channel_count;                    /* of the sensor; the usual decimals per channel */
    uint8_t decimals[SAMPLE_CHANNELS_MAX];
};

/**
 * Encodes RECORD (sequence, sensor, boot_ms and its values or whole document) into
 * BYTES[0..SIZE). Returns the count; E_FULL if SIZE does not hold it; E_INVALID if a value cannot
 * be represented (decimals > 18, a text over 255 bytes).
 */
int record_encode(const struct record *record, const struct record_frame *frame, uint8_t *bytes,
                  size_t size);

/** Encodes all of a document record but the document, as the start of a fragmented one. */
int record_encode_head(const struct record *record, const struct record_frame *frame,
                       uint8_t *bytes, size_t size);

/**
 * Reads a record's sequence, sensor and boot_ms, which need no dictionary. DOCUMENT_PIECE_BYTES
 * limits nothing: a document may reach beyond COUNT when the block is fragmented. Returns the
 * bytes taken up to the body, or E_DAMAGED.
 */
int record_decode_head(const uint8_t *bytes, size_t count, uint64_t previous_sequence,
                       int64_t previous_boot_ms, struct record *ret_record);

/**
 * Reads the body that follows the head. DECIMALS are the sensor's usual ones, CHANNEL_COUNT of
 * them. Returns the bytes taken, or E_DAMAGED.
 */
int record_decode_body(const uint8_t *bytes, size_t count, const uint8_t *decimals,
                       size_t channel_count, struct record *record);

#endif
