/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/dest/firehose.h"

#include <stdlib.h>

#include "agent/uplink/dest/records.h"
#include "platform/base/error.h"

static void record_end(const void *context, struct writer *out, const char *key, size_t key_bytes)
{
    (void)context;
    (void)key;
    (void)key_bytes;
    writer_text(out, "\"}");
}

static void close_firehose(struct dest *dest)
{
    free(dest);
}

static const struct records_api api = {
    .service = "firehose",
    .target = "Firehose_20150804.PutRecordBatch",
    .results = {.list = "RequestResponses", .failed = "FailedPutCount", .id = "RecordId"}};

/* 64 KiB are left free below 4 MiB, as towards Kinesis, whose senders needed them. */
static const struct dest_operations operations = {
    .name = "firehose",
    .limits = {.records = 500, .bytes = (4096 - 64) * 1024, .record_bytes = 1000 * 1024},
    .frame = {.begin = records_begin,
              .record_begin = records_record_begin,
              .record_end = record_end,
              .end = records_end,
              .newline = true,
              .keyless = true},
    .head = records_head,
    .reply_start = records_reply_start,
    .reply_feed = records_reply_feed,
    .reply_end = records_reply_end,
    .close = close_firehose,
};

int firehose_open(const struct dest_options *options, struct dest **ret_dest)
{
    if (options->stream == NULL || options->stream[0] == '\0' || options->strict)
        return E_INVALID;
    struct records *firehose = calloc(1, sizeof *firehose);
    if (firehose == NULL)
        return E_NO_MEMORY;
    firehose->dest.operations = &operations;
    firehose->api = &api;
    firehose->stream_member = "DeliveryStreamName";
    firehose->stream = options->stream;
    *ret_dest = &firehose->dest;
    return E_OK;
}
