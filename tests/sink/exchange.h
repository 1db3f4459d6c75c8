/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_SINK_EXCHANGE_H
#define RUNNEL_TESTS_SINK_EXCHANGE_H

#include "tests/sink/sink.h"

/** One request on its way through, for the files serve_*.c: one for each service. */
struct exchange {
    struct sink *sink;
    const struct http_request *request;
    uint64_t number;
    long long now_ms;
    enum verdict verdict;
    char refuse_code[sizeof((struct faults *)0)->refuse_code];
    struct refusal refusal;
    struct buffer body; /* of the reply */
};

/** Adds one to COUNT under the lock. Returns -1, for what is counted is refused. */
int exchange_count(struct exchange *exchange, uint64_t *count);

/** With the lock held: the number of a batch for STREAM whose reply will be lost, or
 *  STREAM_NO_BATCH. */
uint32_t exchange_begin_batch(struct exchange *exchange, struct stream *stream);

/** With the lock held: RECORDS records were looked at. The reply never leaves before what was
 *  written to DUMP (or NULL) is there. */
void exchange_end_batch(struct exchange *exchange, size_t records, FILE *dump);

/* Each performs the request, whose signature is good: 0, or -1 with the refusal filled. */
int serve_put_records(struct exchange *exchange);
int serve_put_record(struct exchange *exchange);
int serve_firehose_batch(struct exchange *exchange);
int serve_firehose_record(struct exchange *exchange);

#endif
