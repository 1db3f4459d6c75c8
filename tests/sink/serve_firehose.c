/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "tests/sink/exchange.h"
#include "tests/sink/firehose.h"

/* 224 characters, as the service has them. */
#define RECORD_ID "{\"RecordId\":\"%s%s%s%s\""

static int fails(struct sink *sink)
{
    return faults_chance(&sink->generator, sink->faults.record_failure_rate);
}

/* As often too fast as in PutRecords of Kinesis. */
static int is_internal(struct sink *sink)
{
    return sink->counts.records_failed++ % 8 == 7;
}

/* Each line is what a consumer of the delivered objects would take for a record. */
static void put_lines(struct stream *stream, const char *data, size_t count, uint32_t lost,
                      char ret_sequence[STREAM_SEQUENCE_BYTES])
{
    while (count > 0) {
        const char *newline = memchr(data, '\n', count);
        size_t bytes = newline == NULL ? count : (size_t)(newline - data);
        const struct stream_record line = {.partition_key = "", .data = data, .data_bytes = bytes};
        stream_put(stream, &line, lost, ret_sequence);
        bytes += newline != NULL;
        data += bytes;
        count -= bytes;
    }
}

/* With the lock held. What is delivered is joined without anything between. */
static void store(struct sink *sink, const char *data, size_t count, uint32_t lost,
                  char ret_sequence[STREAM_SEQUENCE_BYTES])
{
    snprintf(ret_sequence, STREAM_SEQUENCE_BYTES, "empty");
    sink->counts.firehose_records++;
    sink->counts.firehose_unterminated += count == 0 || data[count - 1] != '\n';
    put_lines(&sink->lake, data, count, lost, ret_sequence);
    if (sink->lake_dump != NULL)
        fwrite(data, 1, count, sink->lake_dump);
}

static void put_result(struct exchange *exchange, const char *data, size_t count, uint32_t lost,
                       uint64_t *failed)
{
    struct sink *sink = exchange->sink;
    char sequence[STREAM_SEQUENCE_BYTES];
    if (!fails(sink)) {
        store(sink, data, count, lost, sequence);
        buffer_format(&exchange->body, RECORD_ID "}", sequence, sequence, sequence, sequence);
        return;
    }
    ++*failed;
    buffer_text(&exchange->body, is_internal(sink)
                                     ? "{\"ErrorCode\":\"InternalFailure\","
                                       "\"ErrorMessage\":\"Internal Service Failure\"}"
                                     : "{\"ErrorCode\":\"ServiceUnavailableException\","
                                       "\"ErrorMessage\":\"Slow down.\"}");
}

static void put_batch(struct exchange *exchange, const struct firehose_call *call)
{
    struct sink *sink = exchange->sink;
    uint64_t failed = 0;
    size_t start = 0;
    buffer_text(&exchange->body, "{\"Encrypted\":false,\"RequestResponses\":[");
    pthread_mutex_lock(&sink->lock);
    uint32_t lost = exchange_begin_batch(exchange, &sink->lake);
    for (size_t i = 0; i < call->record_count; i++) {
        if (i > 0)
            buffer_text(&exchange->body, ",");
        put_result(exchange, call->data.bytes + start, call->ends[i] - start, lost, &failed);
        start = call->ends[i];
    }
    exchange_end_batch(exchange, call->record_count, sink->lake_dump);
    pthread_mutex_unlock(&sink->lock);
    buffer_format(&exchange->body, "],\"FailedPutCount\":%" PRIu64 "}", failed);
}

static int put_single_locked(struct exchange *exchange, const struct firehose_call *call)
{
    struct sink *sink = exchange->sink;
    char sequence[STREAM_SEQUENCE_BYTES];
    if (fails(sink))
        return is_internal(sink) ? signature_refuse(&exchange->refusal, 500, "InternalFailure",
                                                    "Internal Service Failure")
                                 : signature_refuse(&exchange->refusal, 503,
                                                    "ServiceUnavailableException", "Slow down.");
    store(sink, call->data.bytes, call->ends[0], exchange_begin_batch(exchange, &sink->lake),
          sequence);
    exchange_end_batch(exchange, 1, sink->lake_dump);
    buffer_format(&exchange->body, RECORD_ID ",\"Encrypted\":false}", sequence, sequence, sequence,
                  sequence);
    return 0;
}

static int put_single(struct exchange *exchange, const struct firehose_call *call)
{
    pthread_mutex_lock(&exchange->sink->lock);
    int error = put_single_locked(exchange, call);
    pthread_mutex_unlock(&exchange->sink->lock);
    return error;
}

static int serve(struct exchange *exchange, enum firehose_action action)
{
    struct sink *sink = exchange->sink;
    struct firehose_call call;
    int error = 0;
    if (firehose_parse(&call, action, &exchange->request->body, sink->lake_name,
                       &exchange->refusal) != 0)
        return exchange_count(exchange, &sink->counts.rejected);
    if (action == FIREHOSE_PUT_RECORD)
        error = put_single(exchange, &call);
    else
        put_batch(exchange, &call);
    firehose_free(&call);
    return error;
}

int serve_firehose_batch(struct exchange *exchange)
{
    return serve(exchange, FIREHOSE_PUT_RECORD_BATCH);
}

int serve_firehose_record(struct exchange *exchange)
{
    return serve(exchange, FIREHOSE_PUT_RECORD);
}
