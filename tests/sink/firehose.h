/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_SINK_FIREHOSE_H
#define RUNNEL_TESTS_SINK_FIREHOSE_H

#include "tests/sink/buffer.h"
#include "tests/sink/signature.h"

enum {
    FIREHOSE_RECORDS_MAX = 500,
    FIREHOSE_REQUEST_BYTES_MAX = 4 * 1024 * 1024,
    FIREHOSE_RECORD_BYTES_MAX = 1000 * 1024,
};

enum firehose_action { FIREHOSE_PUT_RECORD_BATCH, FIREHOSE_PUT_RECORD };

/** The data of a call that kept all limits; record I ends at ENDS[I], where the next one begins. */
struct firehose_call {
    struct buffer data;
    size_t ends[FIREHOSE_RECORDS_MAX];
    size_t record_count;
};

/**
 * Reads BODY as ACTION (Firehose API 2015-08-04) for the stream STREAM_NAME, and checks it as AWS
 * does: 1 to 500 records, 1,000 KiB per record and 4 MiB per request of decoded data. Returns 0
 * with CALL, which firehose_free gives back, or -1 with REFUSAL filled.
 */
int firehose_parse(struct firehose_call *call, enum firehose_action action,
                   const struct buffer *body, const char *stream_name, struct refusal *refusal);

void firehose_free(struct firehose_call *call);

#endif
