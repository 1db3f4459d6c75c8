/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sink/exchange.h"
#include "tests/sink/kinesis.h"

static void put_failure(struct exchange *exchange, const struct hashkey *hash)
{
    struct sink *sink = exchange->sink;
    if (sink->counts.records_failed++ % 8 == 7)
        buffer_text(&exchange->body, "{\"ErrorCode\":\"InternalFailure\","
                                     "\"ErrorMessage\":\"Internal Service Failure\"}");
    else
        buffer_format(&exchange->body,
                      "{\"ErrorCode\":\"ProvisionedThroughputExceededException\",\"ErrorMessage\":"
                      "\"Rate exceeded for shard shardId-%012u in stream %s under account "
                      "" KINESIS_ACCOUNT ".\"}",
                      stream_shard_of(&sink->stream, hash), sink->stream_name);
}

static struct stream_record record_of(const struct kinesis_call *call,
                                      const struct kinesis_record *from)
{
    struct stream_record record = {
        .partition_key = from->partition_key,
        .hash = hashkey_of(from->partition_key, strlen(from->partition_key)),
        .data = call->data.bytes + from->data_offset,
        .data_bytes = from->data_bytes,
    };
    if (from->hash_key != NULL)
        hashkey_parse(from->hash_key, &record.hash);
    return record;
}

static void put_record(struct exchange *exchange, const struct kinesis_call *call,
                       const struct kinesis_record *from, uint32_t lost, uint64_t *failed)
{
    struct sink *sink = exchange->sink;
    const struct stream_record record = record_of(call, from);
    if (faults_chance(&sink->generator, sink->faults.record_failure_rate)) {
        put_failure(exchange, &record.hash);
        (*failed)++;
        return;
    }
    char sequence[STREAM_SEQUENCE_BYTES];
    unsigned shard = stream_put(&sink->stream, &record, lost, sequence);
    buffer_format(&exchange->body, "{\"SequenceNumber\":\"%s\",\"ShardId\":\"shardId-%012u\"}",
                  sequence, shard);
}

static void put_records(struct exchange *exchange, const struct kinesis_call *call)
{
    struct sink *sink = exchange->sink;
    uint64_t failed = 0;
    buffer_text(&exchange->body, "{\"Records\":[");
    pthread_mutex_lock(&sink->lock);
    uint32_t lost = exchange_begin_batch(exchange, &sink->stream);
    for (size_t i = 0; i < call->record_count; i++) {
        if (i > 0)
            buffer_text(&exchange->body, ",");
        put_record(exchange, call, &call->records[i], lost, &failed);
    }
    exchange_end_batch(exchange, call->record_count, sink->stream.dump);
    pthread_mutex_unlock(&sink->lock);
    buffer_format(&exchange->body, "],\"FailedRecordCount\":%" PRIu64 "}", failed);
}

/* A failed record is a refused request here: as often an internal failure as in PutRecords. */
static int fail_single(struct exchange *exchange)
{
    struct sink *sink = exchange->sink;
    if (sink->counts.records_failed++ % 8 == 7)
        return signature_refuse(&exchange->refusal, 500, "InternalFailure",
                                "Internal Service Failure");
    return signature_refuse(&exchange->refusal, 400, "ProvisionedThroughputExceededException",
                            "Rate exceeded for stream %s under account " KINESIS_ACCOUNT ".",
                            sink->stream_name);
}

static int put_single_locked(struct exchange *exchange, const struct kinesis_call *call)
{
    struct sink *sink = exchange->sink;
    const struct stream_record record = record_of(call, &call->records[0]);
    if (call->after != NULL && !stream_gave(&sink->stream, &record.hash, call->after)) {
        sink->counts.rejected++;
        return signature_refuse(&exchange->refusal, 400, "InvalidArgumentException",
                                "SequenceNumberForOrdering %s is invalid", call->after);
    }
    if (faults_chance(&sink->generator, sink->faults.record_failure_rate))
        return fail_single(exchange);
    char sequence[STREAM_SEQUENCE_BYTES];
    unsigned shard =
        stream_put(&sink->stream, &record, exchange_begin_batch(exchange, &sink->stream), sequence);
    sink->counts.ordered += call->after != NULL;
    exchange_end_batch(exchange, 1, sink->stream.dump);
    buffer_format(&exchange->body, "{\"SequenceNumber\":\"%s\",\"ShardId\":\"shardId-%012u\"}",
                  sequence, shard);
    return 0;
}

static int put(struct exchange *exchange, const struct kinesis_call *call)
{
    if (call->action == KINESIS_PUT_RECORDS) {
        put_records(exchange, call);
        return 0;
    }
    pthread_mutex_lock(&exchange->sink->lock);
    int error = put_single_locked(exchange, call);
    pthread_mutex_unlock(&exchange->sink->lock);
    return error;
}

static int serve(struct exchange *exchange, enum kinesis_action action)
{
    struct sink *sink = exchange->sink;
    struct kinesis_call *call = malloc(sizeof *call);
    if (call == NULL)
        return signature_refuse(&exchange->refusal, 500, "InternalFailure", "out of memory");
    int error = kinesis_parse(call, action, &exchange->request->body, sink->stream_name,
                              sink->policy.region, &exchange->refusal);
    if (error == 0) {
        error = put(exchange, call);
        kinesis_free(call);
    } else {
        exchange_count(exchange, &sink->counts.rejected);
    }
    free(call);
    return error;
}

int serve_put_records(struct exchange *exchange)
{
    return serve(exchange, KINESIS_PUT_RECORDS);
}

int serve_put_record(struct exchange *exchange)
{
    return serve(exchange, KINESIS_PUT_RECORD);
}
