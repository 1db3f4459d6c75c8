/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/dest/kinesis.h"

#include <stdlib.h>
#include <string.h>

#include "agent/uplink/dest/records.h"
#include "platform/base/error.h"
#include "platform/json/json_write.h"

enum { ORDERED_KEYS = 32, REFUSED_MAX = 3 };

/* The last sequence number of a partition key, which is told by its hash. */
struct ordered_key {
    uint64_t hash;
    char sequence[RESULTS_ID_BYTES]; /* "": not known */
};

struct ordering {
    uint64_t hash;    /* of the key of the record in flight */
    bool numbered;    /* and whether it names the one before */
    unsigned refused; /* such requests, since one was taken */
    struct ordered_key keys[ORDERED_KEYS];
};

struct kinesis {
    struct records records;
    struct ordering *ordering; /* strict; else NULL */
};

/* ---- request of a single record ---- */

/* FNV-1a. */
static uint64_t hash_of(const char *key, size_t bytes)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (uint8_t)key[i]) * 0x100000001b3;
    return hash;
}

static struct ordered_key *place_of(struct ordering *ordering, uint64_t hash)
{
    return &ordering->keys[hash % ORDERED_KEYS];
}

/* A question has no record. */
static void begin_single(const void *context, struct writer *out)
{
    const struct kinesis *kinesis = context;
    kinesis->ordering->numbered = false;
    records_begin_stream(context, out);
}

static void record_begin_single(const void *context, struct writer *out, size_t index)
{
    (void)context;
    (void)index;
    writer_text(out, ",\"Data\":\"");
}

static void record_end_single(const void *context, struct writer *out, const char *key,
                              size_t key_bytes)
{
    const struct kinesis *kinesis = context;
    struct ordering *ordering = kinesis->ordering;
    ordering->hash = hash_of(key, key_bytes);
    const struct ordered_key *last = place_of(ordering, ordering->hash);
    ordering->numbered = ordering->refused < REFUSED_MAX && last->hash == ordering->hash &&
                         last->sequence[0] != '\0';
    writer_text(out, "\",\"PartitionKey\":");
    json_write_string(out, key, key_bytes);
    if (!ordering->numbered)
        return;
    writer_text(out, ",\"SequenceNumberForOrdering\":");
    json_write_string(out, last->sequence, strlen(last->sequence));
}

static void end_single(const void *context, struct writer *out)
{
    (void)context;
    writer_char(out, '}');
}

/* ---- reply for a single record ---- */

static void remember(struct ordering *ordering, const char *sequence)
{
    if (ordering->numbered)
        ordering->refused = 0;
    struct ordered_key *last = place_of(ordering, ordering->hash);
    last->hash = ordering->hash;
    memcpy(last->sequence, sequence, sizeof last->sequence);
}

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* The same code may mean the record or its number: one of a stream that was made anew is not known,
 * and one that spreads records by itself takes none. Whether the record is asked for without. */
static bool forget_refused(struct ordering *ordering, const char *code)
{
    if (!ordering->numbered ||
        !(begins_with(code, "InvalidArgument") || begins_with(code, "Validation")))
        return false;
    place_of(ordering, ordering->hash)->sequence[0] = '\0';
    ordering->refused++;
    return true;
}

/* What is no number says nothing. */
static void reply_end_single(struct dest *dest, const struct http_reply *head,
                             struct dest_reply *ret_reply)
{
    struct kinesis *kinesis = (struct kinesis *)dest;
    const char *sequence = results_single_id(&kinesis->records.results);
    bool stored = sequence[0] != '\0' && sequence[strspn(sequence, "0123456789")] == '\0';
    results_end_single(&kinesis->records.results, head, stored, ret_reply);
    if (ret_reply->understood)
        remember(kinesis->ordering, sequence);
    else if (forget_refused(kinesis->ordering, ret_reply->code)) {
        ret_reply->otherwise = true;
        ret_reply->remedy = "it is sent without the number of the one before";
    }
}

/* ---- open and close ---- */

static void close_kinesis(struct dest *dest)
{
    free(((struct kinesis *)dest)->ordering);
    free(dest);
}

static const struct records_api api = {
    .service = "kinesis",
    .target = "Kinesis_20131202.PutRecords",
    .results = {.list = "Records", .failed = "FailedRecordCount", .id = "SequenceNumber"}};

static const struct records_api api_single = {
    .service = "kinesis",
    .target = "Kinesis_20131202.PutRecord",
    .results = {.list = "Records", .failed = "FailedRecordCount", .id = "SequenceNumber"}};

/* 64 KiB are left free below 10 MiB: senders were refused within a few bytes of the limit. */
static const struct dest_operations operations = {
    .name = "kinesis",
    .limits = {.records = 500, .bytes = (10240 - 64) * 1024, .record_bytes = 1024 * 1024},
    .frame = {.begin = records_begin,
              .record_begin = records_record_begin,
              .record_end = records_record_end,
              .end = records_end},
    .head = records_head,
    .reply_start = records_reply_start,
    .reply_feed = records_reply_feed,
    .reply_end = records_reply_end,
    .close = close_kinesis,
};

static const struct dest_operations operations_single = {
    .name = "kinesis",
    .limits = {.records = 1, .bytes = 1024 * 1024, .record_bytes = 1024 * 1024},
    .frame = {.begin = begin_single,
              .record_begin = record_begin_single,
              .record_end = record_end_single,
              .end = end_single},
    .head = records_head,
    .reply_start = records_reply_start,
    .reply_feed = records_reply_feed,
    .reply_end = reply_end_single,
    .close = close_kinesis,
};

int kinesis_open(const struct dest_options *options, struct dest **ret_dest)
{
    const char *stream = options->stream_arn != NULL ? options->stream_arn : options->stream;
    if (stream == NULL || stream[0] == '\0')
        return E_INVALID;
    struct kinesis *kinesis = calloc(1, sizeof *kinesis);
    if (kinesis == NULL)
        return E_NO_MEMORY;
    struct records *records = &kinesis->records;
    records->dest.operations = options->strict ? &operations_single : &operations;
    records->api = options->strict ? &api_single : &api;
    records->stream = stream;
    records->stream_member = options->stream_arn != NULL ? "StreamARN" : "StreamName";
    if (options->strict)
        kinesis->ordering = calloc(1, sizeof *kinesis->ordering);
    if (options->strict && kinesis->ordering == NULL) {
        free(kinesis);
        return E_NO_MEMORY;
    }
    *ret_dest = &records->dest;
    return E_OK;
}
