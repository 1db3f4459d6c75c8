/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sink/sink.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sink/kinesis.h"

#define JSON_TYPE "Content-Type: application/x-amz-json-1.1\r\n"

/* One request on its way through. */
struct exchange {
    struct sink *sink;
    const struct http_request *request;
    uint64_t number;
    long long now_ms;
    enum verdict verdict;
    char refuse_code[sizeof((struct faults *)0)->refuse_code];
    struct refusal refusal;
    struct buffer body;
};

long long sink_now_ms(struct sink *sink)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    pthread_mutex_lock(&sink->lock);
    double offset_ms = sink->faults.clock_offset_ms;
    pthread_mutex_unlock(&sink->lock);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000 + (long long)offset_ms;
}

static void record_request(const struct exchange *exchange)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%06" PRIu64 ".request", exchange->sink->record_directory,
             exchange->number);
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        perror(path);
        return;
    }
    fwrite(exchange->request->head.bytes, 1, exchange->request->head.used_bytes, file);
    fwrite(exchange->request->body.bytes, 1, exchange->request->body.used_bytes, file);
    if (fclose(file) != 0)
        perror(path);
}

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

static uint32_t begin_batch(struct exchange *exchange)
{
    int is_lost = exchange->verdict == VERDICT_CUT || exchange->verdict == VERDICT_RESET_AFTER;
    return is_lost ? stream_begin_lost(&exchange->sink->stream) : STREAM_NO_BATCH;
}

/* The reply never leaves before the lines of the records are in the dump. */
static void end_batch(struct exchange *exchange, size_t records)
{
    struct sink *sink = exchange->sink;
    sink->counts.served++;
    sink->counts.cuts += exchange->verdict == VERDICT_CUT;
    sink->counts.resets_after += exchange->verdict == VERDICT_RESET_AFTER;
    if (records > sink->counts.batch_records_max)
        sink->counts.batch_records_max = records;
    if (sink->stream.dump != NULL)
        fflush(sink->stream.dump);
}

static void put_records(struct exchange *exchange, const struct kinesis_call *call)
{
    struct sink *sink = exchange->sink;
    uint64_t failed = 0;
    buffer_text(&exchange->body, "{\"Records\":[");
    pthread_mutex_lock(&sink->lock);
    uint32_t lost = begin_batch(exchange);
    for (size_t i = 0; i < call->record_count; i++) {
        if (i > 0)
            buffer_text(&exchange->body, ",");
        put_record(exchange, call, &call->records[i], lost, &failed);
    }
    end_batch(exchange, call->record_count);
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
    unsigned shard = stream_put(&sink->stream, &record, begin_batch(exchange), sequence);
    sink->counts.ordered += call->after != NULL;
    end_batch(exchange, 1);
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

static int check_target(const struct http_request *request, enum kinesis_action *ret_action,
                        struct refusal *refusal)
{
    static const char *const targets[] = {[KINESIS_PUT_RECORDS] = "Kinesis_20131202.PutRecords",
                                          [KINESIS_PUT_RECORD] = "Kinesis_20131202.PutRecord"};
    const char *target = http_header(request, "X-Amz-Target");
    const char *type = http_header(request, "Content-Type");
    if (strcmp(request->method, "POST") != 0 || strcmp(request->target, "/") != 0 ||
        target == NULL || type == NULL)
        return signature_refuse(refusal, 403, "AccessDeniedException",
                                "Unable to determine service/operation name to be authorized");
    *ret_action =
        strcmp(target, targets[KINESIS_PUT_RECORD]) == 0 ? KINESIS_PUT_RECORD : KINESIS_PUT_RECORDS;
    if (strcmp(type, "application/x-amz-json-1.1") != 0 ||
        strcmp(target, targets[*ret_action]) != 0)
        return signature_refuse(refusal, 400, "UnknownOperationException", "%s is not served.",
                                target);
    return 0;
}

static int count_up(struct exchange *exchange, uint64_t *count)
{
    pthread_mutex_lock(&exchange->sink->lock);
    ++*count;
    pthread_mutex_unlock(&exchange->sink->lock);
    return -1;
}

static int refuse_on_command(struct exchange *exchange)
{
    struct sink *sink = exchange->sink;
    struct refusal *refusal = &exchange->refusal;
    switch (exchange->verdict) {
    case VERDICT_REFUSE:
        signature_refuse(refusal, 400, exchange->refuse_code, "Refused on command");
        return count_up(exchange, &sink->counts.refused);
    case VERDICT_THROTTLE:
        signature_refuse(refusal, 400, "ProvisionedThroughputExceededException",
                         "Rate exceeded for stream %s under account " KINESIS_ACCOUNT ".",
                         sink->stream_name);
        return count_up(exchange, &sink->counts.throttled);
    case VERDICT_ERROR:
        if (exchange->number % 2 == 0)
            signature_refuse(refusal, 500, "InternalFailure", "Internal Service Failure");
        else
            signature_refuse(refusal, 503, "ServiceUnavailable", "Service is unavailable");
        return count_up(exchange, &sink->counts.errors);
    default:
        return 0;
    }
}

/* Returns 0 if the request was performed, -1 with the refusal filled. */
static int perform(struct exchange *exchange)
{
    struct sink *sink = exchange->sink;
    enum kinesis_action action = KINESIS_PUT_RECORDS;
    if (check_target(exchange->request, &action, &exchange->refusal) != 0)
        return count_up(exchange, &sink->counts.rejected);
    if (sink->verify && signature_check(exchange->request, &sink->policy, exchange->now_ms,
                                        &exchange->refusal) != 0)
        return count_up(exchange, &sink->counts.signature_failures);
    if (refuse_on_command(exchange) != 0)
        return -1;

    struct kinesis_call *call = malloc(sizeof *call);
    if (call == NULL)
        return signature_refuse(&exchange->refusal, 500, "InternalFailure", "out of memory");
    int error = kinesis_parse(call, action, &exchange->request->body, sink->stream_name,
                              sink->policy.region, &exchange->refusal);
    if (error == 0) {
        error = put(exchange, call);
        kinesis_free(call);
    } else {
        count_up(exchange, &sink->counts.rejected);
    }
    free(call);
    return error;
}

static void write_reply(struct exchange *exchange, int status, const char *type,
                        struct buffer *reply)
{
    char headers[256];
    snprintf(headers, sizeof headers,
             "%sx-amzn-RequestId: 00000000-0000-4000-8000-%012" PRIx64 "\r\n"
             "x-amz-id-2: runnel-sink/%" PRIu64 "\r\n",
             type, exchange->number, exchange->number);
    http_reply(reply, status, headers, exchange->now_ms, exchange->request->keep_alive,
               &exchange->body);
}

static void write_refusal(struct exchange *exchange, struct buffer *reply)
{
    if (strcmp(exchange->refusal.code, "AccessDeniedException") == 0) {
        buffer_format(&exchange->body,
                      "<AccessDeniedException>\n  <Message>%s</Message>\n</AccessDeniedException>"
                      "\n",
                      exchange->refusal.message.bytes);
        write_reply(exchange, exchange->refusal.status, "", reply);
        return;
    }
    kinesis_error(&exchange->body, &exchange->refusal);
    write_reply(exchange, exchange->refusal.status, JSON_TYPE, reply);
}

static void begin(struct exchange *exchange)
{
    struct sink *sink = exchange->sink;
    const struct http_request *request = exchange->request;
    exchange->now_ms = sink_now_ms(sink);
    pthread_mutex_lock(&sink->lock);
    exchange->number = ++sink->counts.requests;
    sink->counts.bytes_in += request->head.used_bytes + request->body.used_bytes;
    exchange->verdict = faults_draw(&sink->faults, &sink->generator);
    memcpy(exchange->refuse_code, sink->faults.refuse_code, sizeof exchange->refuse_code);
    sink->counts.resets_before += exchange->verdict == VERDICT_RESET_BEFORE;
    pthread_mutex_unlock(&sink->lock);
}

enum sink_end sink_serve(struct sink *sink, const struct http_request *request,
                         struct buffer *reply)
{
    struct exchange exchange = {.sink = sink, .request = request};
    enum sink_end end = request->keep_alive ? SINK_KEEP : SINK_CLOSE;
    begin(&exchange);
    if (sink->record_directory != NULL)
        record_request(&exchange);
    if (exchange.verdict == VERDICT_RESET_BEFORE)
        return SINK_RESET;

    if (perform(&exchange) != 0) {
        write_refusal(&exchange, reply);
    } else {
        write_reply(&exchange, 200, JSON_TYPE, reply);
        if (exchange.verdict == VERDICT_RESET_AFTER)
            buffer_clear(reply);
        else if (exchange.verdict == VERDICT_CUT)
            reply->used_bytes -= exchange.body.used_bytes / 2;
        if (exchange.verdict != VERDICT_SERVE)
            end = exchange.verdict == VERDICT_CUT ? SINK_CLOSE : SINK_RESET;
    }
    buffer_free(&exchange.refusal.message);
    buffer_free(&exchange.body);
    return end;
}

void sink_serve_unreadable(struct sink *sink, const struct http_request *request,
                           struct buffer *reply)
{
    struct buffer body = {0};
    buffer_text(&body, "{\"__type\":\"SerializationException\"}");
    http_reply(reply, request->status, JSON_TYPE, sink_now_ms(sink), 0, &body);
    buffer_free(&body);
    pthread_mutex_lock(&sink->lock);
    sink->counts.requests++;
    sink->counts.rejected++;
    pthread_mutex_unlock(&sink->lock);
}

static void add_count(struct buffer *text, const char *name, uint64_t count)
{
    const char *comma = text->bytes[text->used_bytes - 1] == '{' ? "" : ",";
    buffer_format(text, "%s\"%s\":%" PRIu64, comma, name, count);
}

static void add_identities(struct buffer *text, const struct stream *stream)
{
    buffer_text(text, ",\"identities\":{");
    add_count(text, "unique", stream->identities.used_count);
    add_count(text, "duplicates", stream->duplicates);
    add_count(text, "unexplained", stream->duplicates_unexplained);
    add_count(text, "anonymous", stream->anonymous);
    buffer_text(text, "},\"lost\":{");
    add_count(text, "batches", stream->lost_count);
    add_count(text, "whole", stream_lost_whole(stream));
    buffer_text(text, ",\"per_batch\":[");
    for (uint32_t i = 0; i < stream->lost_count; i++)
        buffer_format(text, "%s{\"records\":%" PRIu32 ",\"duplicated\":%" PRIu32 "}",
                      i == 0 ? "" : ",", stream->lost[i].records, stream->lost[i].duplicated);
    buffer_text(text, "]}");
    if (stream->id_member == NULL)
        return;
    buffer_text(text, ",\"ids\":{");
    add_count(text, "unique", stream->ids.used_count);
    add_count(text, "duplicates", stream->id_duplicates);
    add_count(text, "absent", stream->id_absent);
    buffer_text(text, "}");
}

static void add_stored(struct buffer *text, const struct stream *stream)
{
    add_count(text, "records", stream->records);
    add_count(text, "data_bytes", stream->data_bytes);
    buffer_text(text, ",\"shards\":[");
    for (unsigned i = 0; i < stream->shard_count; i++)
        buffer_format(text, "%s%" PRIu64, i == 0 ? "" : ",", stream->shard_records[i]);
    buffer_text(text, "]");
    add_identities(text, stream);
}

static void add_injected(struct buffer *text, const struct sink_counts *counts)
{
    buffer_text(text, ",\"injected\":{");
    add_count(text, "records_failed", counts->records_failed);
    add_count(text, "throttled", counts->throttled);
    add_count(text, "errors", counts->errors);
    add_count(text, "refused", counts->refused);
    add_count(text, "resets_before", counts->resets_before);
    add_count(text, "resets_after", counts->resets_after);
    add_count(text, "cuts", counts->cuts);
    add_count(text, "outages", counts->outages);
    buffer_text(text, "}");
}

void sink_summary(struct sink *sink, struct buffer *text)
{
    struct channel_counts *wire = channel_server_counts(sink->channels);
    const struct sink_counts *counts = &sink->counts;
    buffer_text(text, "{");
    pthread_mutex_lock(&sink->lock);
    add_count(text, "connections", counts->connections);
    add_count(text, "handshakes", wire->handshakes);
    add_count(text, "resumed", wire->resumed);
    add_count(text, "handshake_failures", wire->handshake_failures);
    add_count(text, "wire_bytes_in", wire->wire_bytes_in);
    add_count(text, "wire_bytes_out", wire->wire_bytes_out);
    add_count(text, "requests", counts->requests);
    add_count(text, "served", counts->served);
    add_count(text, "bytes_in", counts->bytes_in);
    add_count(text, "rejected", counts->rejected);
    add_count(text, "signature_failures", counts->signature_failures);
    add_count(text, "batch_records_max", counts->batch_records_max);
    add_count(text, "ordered", counts->ordered);
    add_stored(text, &sink->stream);
    add_injected(text, counts);
    pthread_mutex_unlock(&sink->lock);
    buffer_text(text, "}");
}

static void add_fault(void *context, const char *name, double value)
{
    buffer_format(context, "\"%s\":%.15g,", name, value);
}

void sink_faults(struct sink *sink, struct buffer *text)
{
    pthread_mutex_lock(&sink->lock);
    buffer_text(text, "{");
    faults_list(&sink->faults, add_fault, text);
    buffer_text(text, "\"refuse_code\":");
    buffer_json_text(text, sink->faults.refuse_code);
    buffer_text(text, "}");
    pthread_mutex_unlock(&sink->lock);
}
