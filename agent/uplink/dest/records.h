/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_DEST_RECORDS_H
#define RUNNEL_AGENT_UPLINK_DEST_RECORDS_H

#include "agent/uplink/dest/dest.h"
#include "agent/uplink/dest/results.h"

/**
 * What Kinesis and Firehose share: the JSON protocol of AWS with a list of records each way.
 *
 *   {"StreamName":"telemetry","Records":[{"Data":"e30="...},...]}
 *
 * The functions stand in dest_operations as they are; their destination is a struct records. Pure.
 */
struct records_api {
    const char *service; /* "kinesis" */
    const char *target;  /* "Kinesis_20131202.PutRecords" */
    struct results_names results;
};

struct records {
    struct dest dest;
    const struct records_api *api;
    const char *stream_member; /* "StreamName" */
    const char *stream;
    struct results results;
};

/** The stream alone, which a request for a single record begins with, too. */
void records_begin_stream(const void *context, struct writer *out);
void records_begin(const void *context, struct writer *out);
void records_record_begin(const void *context, struct writer *out, size_t index);
/** With its partition key. */
void records_record_end(const void *context, struct writer *out, const char *key, size_t key_bytes);
void records_end(const void *context, struct writer *out);

void records_head(const struct dest *dest, const struct batch_summary *batch,
                  struct dest_head *ret_head);

void records_reply_start(struct dest *dest, size_t sent, uint8_t *delivered);
int records_reply_feed(struct dest *dest, const uint8_t *bytes, size_t count);
void records_reply_end(struct dest *dest, const struct http_reply *head,
                       struct dest_reply *ret_reply);

#endif
