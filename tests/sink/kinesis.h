/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_SINK_KINESIS_H
#define RUNNEL_TESTS_SINK_KINESIS_H

#include "tests/sink/buffer.h"
#include "tests/sink/signature.h"

enum {
    KINESIS_RECORDS_MAX = 500,
    KINESIS_REQUEST_BYTES_MAX = 10 * 1024 * 1024,
    KINESIS_RECORD_BYTES_MAX = 1024 * 1024,
    KINESIS_KEY_CHARS_MAX = 256,
};

#define KINESIS_ACCOUNT "123456789012"

/** A record of a call; the texts belong to the call. HASH_KEY is NULL unless it was given. */
struct kinesis_record {
    const char *partition_key;
    const char *hash_key;
    size_t data_offset;
    size_t data_bytes;
};

enum kinesis_action { KINESIS_PUT_RECORDS, KINESIS_PUT_RECORD };

/** A PutRecords call that kept all limits; or a PutRecord, which has one record. */
struct kinesis_call {
    void *json;
    enum kinesis_action action;
    const char *after; /* SequenceNumberForOrdering, digits, or NULL */
    struct buffer data;
    struct kinesis_record records[KINESIS_RECORDS_MAX];
    size_t record_count;
};

/**
 * Reads BODY as ACTION (Kinesis API 2013-12-02) for the stream STREAM_NAME of REGION, and
 * checks it as AWS does: 1 to 500 records, 1 MiB per record and 10 MiB per request of decoded data
 * and keys, keys of 1 to 256 characters, standard padded base64. Returns 0 with CALL, which
 * kinesis_free gives back, or -1 with REFUSAL filled.
 */
int kinesis_parse(struct kinesis_call *call, enum kinesis_action action, const struct buffer *body,
                  const char *stream_name, const char *region, struct refusal *refusal);

void kinesis_free(struct kinesis_call *call);

/** Writes a whole-request error as JSON. */
void kinesis_error(struct buffer *body, const struct refusal *refusal);

#endif
