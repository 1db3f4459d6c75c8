/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sink/exchange.h"
#include "tests/sink/kinesis.h"

#define JSON_TYPE "Content-Type: application/x-amz-json-1.1\r\n"

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

uint32_t exchange_begin_batch(struct exchange *exchange, struct stream *stream)
{
    int is_lost = exchange->verdict == VERDICT_CUT || exchange->verdict == VERDICT_RESET_AFTER;
    return is_lost ? stream_begin_lost(stream) : STREAM_NO_BATCH;
}

void exchange_end_batch(struct exchange *exchange, size_t records, FILE *dump)
{
    struct sink_counts *counts = &exchange->sink->counts;
    counts->served++;
    counts->cuts += exchange->verdict == VERDICT_CUT;
    counts->resets_after += exchange->verdict == VERDICT_RESET_AFTER;
    if (records > counts->batch_records_max)
        counts->batch_records_max = records;
    if (dump != NULL)
        fflush(dump);
}

/* What a request may ask for. */
struct operation {
    const char *target;
    const char *service;
    int (*serve)(struct exchange *exchange);
};

static const struct operation operations[] = {
    {"Kinesis_20131202.PutRecords", "kinesis", serve_put_records},
    {"Kinesis_20131202.PutRecord", "kinesis", serve_put_record},
    {"Firehose_20150804.PutRecordBatch", "firehose", serve_firehose_batch},
    {"Firehose_20150804.PutRecord", "firehose", serve_firehose_record},
};

/* NULL with REFUSAL filled: none. */
static const struct operation *find_operation(const struct http_request *request,
                                              struct refusal *refusal)
{
    const char *target = http_header(request, "X-Amz-Target");
    const char *type = http_header(request, "Content-Type");
    if (strcmp(request->method, "POST") != 0 || strcmp(request->target, "/") != 0 ||
        target == NULL || type == NULL) {
        signature_refuse(refusal, 403, "AccessDeniedException",
                         "Unable to determine service/operation name to be authorized");
        return NULL;
    }
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
        if (strcmp(type, "application/x-amz-json-1.1") == 0 &&
            strcmp(target, operations[i].target) == 0)
            return &operations[i];
    signature_refuse(refusal, 400, "UnknownOperationException", "%s is not served.", target);
    return NULL;
}

int exchange_count(struct exchange *exchange, uint64_t *count)
{
    pthread_mutex_lock(&exchange->sink->lock);
    ++*count;
    pthread_mutex_unlock(&exchange->sink->lock);
    return -1;
}

static int refuse_on_command(struct exchange *exchange, const char *service)
{
    struct sink *sink = exchange->sink;
    struct refusal *refusal = &exchange->refusal;
    switch (exchange->verdict) {
    case VERDICT_REFUSE:
        signature_refuse(refusal, 400, exchange->refuse_code, "Refused on command");
        return exchange_count(exchange, &sink->counts.refused);
    case VERDICT_THROTTLE:
        if (strcmp(service, "firehose") == 0)
            signature_refuse(refusal, 503, "ServiceUnavailableException", "Slow down.");
        else
            signature_refuse(refusal, 400, "ProvisionedThroughputExceededException",
                             "Rate exceeded for stream %s under account " KINESIS_ACCOUNT ".",
                             sink->stream_name);
        return exchange_count(exchange, &sink->counts.throttled);
    case VERDICT_ERROR:
        if (exchange->number % 2 == 0)
            signature_refuse(refusal, 500, "InternalFailure", "Internal Service Failure");
        else
            signature_refuse(refusal, 503, "ServiceUnavailable", "Service is unavailable");
        return exchange_count(exchange, &sink->counts.errors);
    default:
        return 0;
    }
}

/* Returns 0 if the request was performed, -1 with the refusal filled. */
static int perform(struct exchange *exchange)
{
    struct sink *sink = exchange->sink;
    const struct operation *operation = find_operation(exchange->request, &exchange->refusal);
    if (operation == NULL)
        return exchange_count(exchange, &sink->counts.rejected);
    struct signature_policy policy = sink->policy;
    policy.service = operation->service;
    if (sink->verify &&
        signature_check(exchange->request, &policy, exchange->now_ms, &exchange->refusal) != 0)
        return exchange_count(exchange, &sink->counts.signature_failures);
    if (refuse_on_command(exchange, operation->service) != 0)
        return -1;
    return operation->serve(exchange);
}

static void write_reply(struct exchange *exchange, int status, const char *type,
                        struct buffer *reply)
{
    char headers[256];
    snprintf(headers, sizeof headers,
             "%sx-amzn-RequestId: 00000000-0000-4000-8000-%012" PRIx64 "\r\n"
             "x-amz-id-2: runnel-sink/%076" PRIu64 "\r\n",
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

/* A record may be several lines, which have an identity each. */
static void add_firehose(struct buffer *text, const struct sink *sink)
{
    buffer_text(text, ",\"firehose\":{");
    add_count(text, "records", sink->counts.firehose_records);
    add_count(text, "unterminated", sink->counts.firehose_unterminated);
    add_count(text, "lines", sink->lake.records);
    add_count(text, "data_bytes", sink->lake.data_bytes);
    add_identities(text, &sink->lake);
    buffer_text(text, "}");
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
    add_firehose(text, sink);
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
