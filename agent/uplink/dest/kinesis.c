/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/dest/kinesis.h"

#include <stdlib.h>
#include <string.h>

#include "agent/uplink/dest/xml_error.h"
#include "agent/uplink/verdict.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/json/json_scan.h"
#include "platform/json/json_write.h"

/* A reply has at most some 170 bytes per record; more than this is none. */
enum { REPLY_BYTES_MIN = 65536, REPLY_BYTES_PER_RECORD = 1024 };

enum { ORDERED_KEYS = 32, SEQUENCE_BYTES = 136 }; /* AWS: a number has at most 129 digits */

enum member {
    MEMBER_OTHER,
    MEMBER_FAILED,
    MEMBER_RECORDS,
    MEMBER_SEQUENCE,
    MEMBER_TYPE,
    MEMBER_MESSAGE
};
enum entry_member { ENTRY_OTHER, ENTRY_CODE, ENTRY_MESSAGE, ENTRY_SEQUENCE };

/* The last sequence number of a partition key, which is told by its hash. */
struct ordered_key {
    uint64_t hash;
    char sequence[SEQUENCE_BYTES]; /* "": not known */
};

struct ordering {
    uint64_t hash;                 /* of the key of the record in flight */
    char sequence[SEQUENCE_BYTES]; /* what the reply says */
    struct ordered_key keys[ORDERED_KEYS];
};

struct kinesis {
    struct dest dest;
    struct ordering *ordering; /* strict; else NULL */
    const char *stream;
    bool is_arn;

    size_t sent;
    uint8_t *delivered;
    size_t index; /* of the entry in hand */
    uint64_t bytes;
    bool broken; /* no JSON, or not of the form that answers for what was sent */
    bool records_seen;
    bool in_records;
    bool type_seen;     /* __type: an error of the whole request */
    bool claims_failed; /* FailedRecordCount, which may be absent: */
    uint64_t claimed_failed;
    enum member member;
    enum entry_member entry_member;
    bool entry_stored;
    bool entry_failed;
    char entry_code[DEST_CODE_BYTES];
    char entry_message[DEST_MESSAGE_BYTES];
    struct dest_reply reply;
    struct json_scan scan;
    struct xml_error xml;
};

/* ---- request ---- */

static void begin(const void *context, struct writer *out)
{
    const struct kinesis *kinesis = context;
    writer_text(out, kinesis->is_arn ? "{\"StreamARN\":" : "{\"StreamName\":");
    json_write_string(out, kinesis->stream, strlen(kinesis->stream));
    writer_text(out, ",\"Records\":[");
}

static void record_begin(const void *context, struct writer *out, size_t index)
{
    (void)context;
    writer_text(out, index == 0 ? "{\"Data\":\"" : ",{\"Data\":\"");
}

static void record_end(const void *context, struct writer *out, const char *key, size_t key_bytes)
{
    (void)context;
    writer_text(out, "\",\"PartitionKey\":");
    json_write_string(out, key, key_bytes);
    writer_char(out, '}');
}

static void end(const void *context, struct writer *out)
{
    (void)context;
    writer_text(out, "]}");
}

static void write_head(const char *target, struct dest_head *ret_head)
{
    *ret_head = (struct dest_head){.method = "POST",
                                   .path = "/",
                                   .query = "",
                                   .content_type = "application/x-amz-json-1.1",
                                   .service = "kinesis",
                                   .headers = {{"X-Amz-Target", target}},
                                   .header_count = 1};
}

static void head(const struct dest *dest, const struct batch_summary *batch,
                 struct dest_head *ret_head)
{
    (void)dest;
    (void)batch;
    write_head("Kinesis_20131202.PutRecords", ret_head);
}

/* ---- request of a single record ---- */

static void head_single(const struct dest *dest, const struct batch_summary *batch,
                        struct dest_head *ret_head)
{
    (void)dest;
    (void)batch;
    write_head("Kinesis_20131202.PutRecord", ret_head);
}

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

static void begin_single(const void *context, struct writer *out)
{
    const struct kinesis *kinesis = context;
    writer_text(out, kinesis->is_arn ? "{\"StreamARN\":" : "{\"StreamName\":");
    json_write_string(out, kinesis->stream, strlen(kinesis->stream));
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
    writer_text(out, "\",\"PartitionKey\":");
    json_write_string(out, key, key_bytes);
    if (last->hash != ordering->hash || last->sequence[0] == '\0')
        return;
    writer_text(out, ",\"SequenceNumberForOrdering\":");
    json_write_string(out, last->sequence, strlen(last->sequence));
}

static void end_single(const void *context, struct writer *out)
{
    (void)context;
    writer_char(out, '}');
}

/* ---- reply ---- */

static void copy_text(char *to, size_t to_bytes, const char *from)
{
    size_t count = strlen(from);
    if (count >= to_bytes) {
        count = to_bytes - 1;
        while (count > 0 && ((uint8_t)from[count] & 0xc0) == 0x80)
            count--;
    }
    memcpy(to, from, count);
    to[count] = '\0';
}

/* "namespace#Code:url" is told by its Code; the url may have a '#', too. */
static void copy_code(char to[DEST_CODE_BYTES], const char *from)
{
    const char *hash = memrchr(from, '#', strcspn(from, ":"));
    copy_text(to, DEST_CODE_BYTES, hash == NULL ? from : hash + 1);
    to[strcspn(to, ":")] = '\0';
}

static enum member member_of(const char *key)
{
    if (strcmp(key, "FailedRecordCount") == 0)
        return MEMBER_FAILED;
    if (strcmp(key, "Records") == 0)
        return MEMBER_RECORDS;
    if (strcmp(key, "SequenceNumber") == 0)
        return MEMBER_SEQUENCE;
    if (strcmp(key, "__type") == 0)
        return MEMBER_TYPE;
    if (strcmp(key, "message") == 0 || strcmp(key, "Message") == 0)
        return MEMBER_MESSAGE;
    return MEMBER_OTHER;
}

static enum entry_member entry_member_of(const char *key)
{
    if (strcmp(key, "ErrorCode") == 0)
        return ENTRY_CODE;
    if (strcmp(key, "ErrorMessage") == 0)
        return ENTRY_MESSAGE;
    if (strcmp(key, "SequenceNumber") == 0)
        return ENTRY_SEQUENCE;
    return ENTRY_OTHER;
}

/* Of PutRecord's reply; what is no number says nothing. */
static void on_sequence(struct kinesis *kinesis, const struct json_token *token)
{
    bool digits = token->text[strspn(token->text, "0123456789")] == '\0';
    if (kinesis->ordering != NULL && digits && token->text_bytes < SEQUENCE_BYTES)
        copy_text(kinesis->ordering->sequence, SEQUENCE_BYTES, token->text);
}

/* What is no count contradicts every number of failed records. */
static void on_failed_count(struct kinesis *kinesis, const struct json_token *token)
{
    kinesis->claims_failed = true;
    if (parse_unsigned(token->text, token->text_bytes, &kinesis->claimed_failed) < 0)
        kinesis->broken = true;
}

static void on_member(struct kinesis *kinesis, const struct json_token *token)
{
    if (token->event == JSON_KEY)
        kinesis->member = member_of(token->text);
    else if (token->event == JSON_ARRAY_BEGIN && kinesis->member == MEMBER_RECORDS) {
        kinesis->broken |= kinesis->records_seen;
        kinesis->records_seen = kinesis->in_records = true;
    } else if (token->event == JSON_ARRAY_END)
        kinesis->in_records = false;
    else if (kinesis->member == MEMBER_FAILED && token->event != JSON_NULL)
        on_failed_count(kinesis, token);
    else if (token->event == JSON_STRING && kinesis->member == MEMBER_SEQUENCE)
        on_sequence(kinesis, token);
    else if (token->event == JSON_STRING && kinesis->member == MEMBER_TYPE) {
        kinesis->type_seen = true;
        copy_code(kinesis->reply.code, token->text);
    } else if (token->event == JSON_STRING && kinesis->member == MEMBER_MESSAGE)
        copy_text(kinesis->reply.message, sizeof kinesis->reply.message, token->text);
}

static void on_entry_member(struct kinesis *kinesis, const struct json_token *token)
{
    bool text = token->event == JSON_STRING && token->text_bytes > 0;
    if (token->event == JSON_KEY)
        kinesis->entry_member = entry_member_of(token->text);
    else if (kinesis->entry_member == ENTRY_SEQUENCE)
        kinesis->entry_stored |= text;
    else if (kinesis->entry_member == ENTRY_MESSAGE && text)
        copy_text(kinesis->entry_message, sizeof kinesis->entry_message, token->text);
    else if (kinesis->entry_member == ENTRY_CODE && token->event != JSON_NULL) {
        kinesis->entry_failed |= text || token->event != JSON_STRING;
        if (text)
            copy_code(kinesis->entry_code, token->text);
    }
}

static void entry_begin(struct kinesis *kinesis)
{
    kinesis->entry_member = ENTRY_OTHER;
    kinesis->entry_stored = kinesis->entry_failed = false;
    kinesis->entry_code[0] = kinesis->entry_message[0] = '\0';
}

static void entry_end(struct kinesis *kinesis)
{
    struct dest_reply *reply = &kinesis->reply;
    size_t index = kinesis->index++;
    if (index >= kinesis->sent) {
        kinesis->broken = true;
        return;
    }
    if (kinesis->entry_stored && !kinesis->entry_failed) {
        kinesis->delivered[index / 8] |= (uint8_t)(1 << index % 8);
        reply->delivered++;
        return;
    }
    if (reply->failed++ == 0 && !kinesis->type_seen) {
        memcpy(reply->code, kinesis->entry_code, sizeof reply->code);
        memcpy(reply->message, kinesis->entry_message, sizeof reply->message);
    }
    reply->throttled += verdict_of_record(kinesis->entry_code) == VERDICT_THROTTLE;
}

/* An element of Records: an object, or anything else, which is nothing that was stored. */
static void on_entry(struct kinesis *kinesis, const struct json_token *token)
{
    if (token->event == JSON_ARRAY_END)
        return;
    if (token->event != JSON_OBJECT_END)
        entry_begin(kinesis);
    if (token->event != JSON_OBJECT_BEGIN)
        entry_end(kinesis);
}

static int on_token(void *context, const struct json_token *token)
{
    struct kinesis *kinesis = context;
    if (token->depth == 1)
        on_member(kinesis, token);
    else if (token->depth == 2 && kinesis->in_records)
        on_entry(kinesis, token);
    else if (token->depth == 3 && kinesis->in_records)
        on_entry_member(kinesis, token);
    return E_OK;
}

static void reply_start(struct dest *dest, size_t sent, uint8_t *delivered)
{
    struct kinesis *kinesis = (struct kinesis *)dest;
    kinesis->sent = sent;
    kinesis->delivered = delivered;
    memset(delivered, 0, (sent + 7) / 8);
    kinesis->index = 0;
    kinesis->bytes = 0;
    kinesis->broken = kinesis->records_seen = kinesis->in_records = kinesis->type_seen = false;
    kinesis->claims_failed = false;
    kinesis->member = MEMBER_OTHER;
    kinesis->reply = (struct dest_reply){0};
    json_scan_start(&kinesis->scan, on_token, kinesis);
    xml_error_start(&kinesis->xml);
}

static int reply_feed(struct dest *dest, const uint8_t *bytes, size_t count)
{
    struct kinesis *kinesis = (struct kinesis *)dest;
    kinesis->bytes += count;
    if (kinesis->bytes > REPLY_BYTES_MIN + REPLY_BYTES_PER_RECORD * (uint64_t)kinesis->sent)
        return E_TOO_BIG;
    if (!kinesis->broken && json_scan_feed(&kinesis->scan, bytes, count) < 0)
        kinesis->broken = true;
    xml_error_feed(&kinesis->xml, bytes, count);
    return E_OK;
}

/* Of a reply that is not understood only the request's own error is worth anything. */
static void forget_entries(struct kinesis *kinesis)
{
    struct dest_reply *reply = &kinesis->reply;
    memset(kinesis->delivered, 0, (kinesis->sent + 7) / 8);
    reply->delivered = reply->failed = reply->throttled = 0;
    if (!kinesis->type_seen && !xml_error_end(&kinesis->xml, reply))
        reply->code[0] = '\0';
}

static void reply_end(struct dest *dest, const struct http_reply *head,
                      struct dest_reply *ret_reply)
{
    struct kinesis *kinesis = (struct kinesis *)dest;
    bool whole = head->status == 200 && !kinesis->broken && json_scan_end(&kinesis->scan) == E_OK;
    bool answers = kinesis->records_seen && kinesis->index == kinesis->sent && !kinesis->broken;
    bool contradicts = kinesis->claims_failed && kinesis->claimed_failed != kinesis->reply.failed;
    kinesis->reply.understood = whole && answers && !contradicts && !kinesis->type_seen;
    if (!kinesis->reply.understood)
        forget_entries(kinesis);
    *ret_reply = kinesis->reply;
}

/* ---- reply for a single record ---- */

static void reply_start_single(struct dest *dest, size_t sent, uint8_t *delivered)
{
    struct kinesis *kinesis = (struct kinesis *)dest;
    reply_start(dest, sent, delivered);
    kinesis->ordering->sequence[0] = '\0';
}

static void remember(struct ordering *ordering)
{
    struct ordered_key *last = place_of(ordering, ordering->hash);
    last->hash = ordering->hash;
    memcpy(last->sequence, ordering->sequence, sizeof last->sequence);
}

/* A number that the stream does not know must not be sent for ever. */
static void forget_refused(struct kinesis *kinesis)
{
    if (strncmp(kinesis->reply.code, "InvalidArgument", strlen("InvalidArgument")) == 0)
        place_of(kinesis->ordering, kinesis->ordering->hash)->sequence[0] = '\0';
}

static void reply_end_single(struct dest *dest, const struct http_reply *head,
                             struct dest_reply *ret_reply)
{
    struct kinesis *kinesis = (struct kinesis *)dest;
    struct dest_reply *reply = &kinesis->reply;
    bool whole = head->status == 200 && !kinesis->broken && json_scan_end(&kinesis->scan) == E_OK;
    bool stored = kinesis->ordering->sequence[0] != '\0';
    reply->understood = whole && stored && !kinesis->records_seen && !kinesis->type_seen;
    if (reply->understood) {
        kinesis->delivered[0] = 1;
        reply->delivered = 1;
        remember(kinesis->ordering);
    } else {
        forget_entries(kinesis);
        forget_refused(kinesis);
    }
    *ret_reply = *reply;
}

/* ---- open and close ---- */

static void close_kinesis(struct dest *dest)
{
    free(((struct kinesis *)dest)->ordering);
    free(dest);
}

/* 64 KiB are left free below 10 MiB: senders were refused within a few bytes of the limit. */
static const struct dest_operations operations = {
    .name = "kinesis",
    .limits = {.records = 500, .bytes = (10240 - 64) * 1024, .record_bytes = 1024 * 1024},
    .frame = {.begin = begin, .record_begin = record_begin, .record_end = record_end, .end = end},
    .head = head,
    .reply_start = reply_start,
    .reply_feed = reply_feed,
    .reply_end = reply_end,
    .close = close_kinesis,
};

static const struct dest_operations operations_single = {
    .name = "kinesis",
    .limits = {.records = 1, .bytes = 1024 * 1024, .record_bytes = 1024 * 1024},
    .frame = {.begin = begin_single,
              .record_begin = record_begin_single,
              .record_end = record_end_single,
              .end = end_single},
    .head = head_single,
    .reply_start = reply_start_single,
    .reply_feed = reply_feed,
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
    kinesis->dest.operations = options->strict ? &operations_single : &operations;
    kinesis->stream = stream;
    kinesis->is_arn = options->stream_arn != NULL;
    if (options->strict)
        kinesis->ordering = calloc(1, sizeof *kinesis->ordering);
    if (options->strict && kinesis->ordering == NULL) {
        free(kinesis);
        return E_NO_MEMORY;
    }
    *ret_dest = &kinesis->dest;
    return E_OK;
}
