/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_BATCH_RENDER_JSON_H
#define RUNNEL_AGENT_BATCH_RENDER_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/spool/dictionary.h"
#include "agent/spool/gap.h"
#include "agent/spool/record.h"
#include "platform/base/writer.h"
#include "platform/json/json_write.h"

/**
 * A record as JSON in the nested layout: no name that a user chose stands at top level.
 *
 *   {"device":"gw-17","sensor":"board","ts":"2026-11-23T22:31:26.123Z","seq":4711,
 *    "spool":"9f31c2a47be0d815","tags":{"site":"pump-4"},"values":{"temp":41.50}}
 *
 * in one line. "time_quality" stands behind "spool" unless it is synced; "text" holds the channels
 * that are texts, "data" a document as received; what is absent has no member. In the flat layout
 * tags, values and texts stand at top level, but for those whose name is not fit for it
 * (agent/control/flat_name.h), is a tag's or is another channel's: they stay where the nested
 * layout has them. Pure, and a function of its arguments alone: rendering again gives the same
 * bytes.
 */
enum { RENDER_JSON_TIME_BYTES = 32, RENDER_JSON_FLOAT_BYTES = 32 };

/** What is the same for all records of a sensor, or of a record beside what its block holds. */
struct render_json {
    const struct sensor_definition *sensor;
    /** The next piece of a document behind record->document; E_END behind the last; NULL where
     *  documents are whole. */
    int (*piece)(void *context, const uint8_t **ret_piece, size_t *ret_bytes);
    void *context;
    bool flat;     /* values, texts and tags at top level */
    bool one_line; /* line breaks of a document become spaces, which is the same JSON */
};

/** Writes RECORD into OUT, whose error sticks. 0; E_DAMAGED: the record has more values than its
 *  sensor has channels, or pieces that do not add up to the document; what piece returned. */
int render_json(const struct render_json *render, const struct record *record, struct writer *out);

/** A document's own bytes; a record of values as render_json does. */
int render_json_raw(const struct render_json *render, const struct record *record,
                    struct writer *out);

/**
 * What a route lost, as a record of its own: {"device":"gw-17","ts":"...","seq":4713,"spool":"...",
 * "gap":{"lane":"normal","first":17,"last":92,"count":76,"reason":"drop-oldest"}}.
 */
void render_json_gap(const char *device, uint64_t spool_id, const struct spool_gap *gap,
                     struct writer *out);

/** "2026-11-23T22:31:26.123Z" of WALL_MS since 1970 UTC, held within the years 0 and 9999.
 *  Returns the length. */
size_t render_json_time(int64_t wall_ms, char ret_text[RENDER_JSON_TIME_BYTES]);

/** The shortest decimal that reads back as the binary64 of BITS; 0 for what is not finite.
 *  Returns the length. */
size_t render_json_float(uint64_t bits, char ret_text[RENDER_JSON_FLOAT_BYTES]);

/* ---- parts, for other formats ---- */

void render_json_identity(struct json_write *out, const struct record_identity *identity);
void render_json_time_quality(struct json_write *out, enum time_quality quality);
void render_json_tags(struct json_write *out, const char *name,
                      const struct sensor_definition *sensor);

/** False: there is nothing that JSON can hold. */
bool render_json_has_value(const struct value *value);
void render_json_value(struct json_write *out, const char *name, const struct value *value);

/** A document's bytes, QUOTED as what stands inside a string. 0; E_DAMAGED; what piece returned. */
int render_json_document(const struct render_json *render, const struct record *record, bool quoted,
                         struct writer *out);

#endif
