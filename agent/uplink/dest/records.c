/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/dest/records.h"

#include <string.h>

#include "platform/json/json_write.h"

void records_begin_stream(const void *context, struct writer *out)
{
    const struct records *records = context;
    writer_text(out, "{\"");
    writer_text(out, records->stream_member);
    writer_text(out, "\":");
    json_write_string(out, records->stream, strlen(records->stream));
}

void records_begin(const void *context, struct writer *out)
{
    records_begin_stream(context, out);
    writer_text(out, ",\"Records\":[");
}

void records_record_begin(const void *context, struct writer *out, size_t index)
{
    (void)context;
    writer_text(out, index == 0 ? "{\"Data\":\"" : ",{\"Data\":\"");
}

void records_record_end(const void *context, struct writer *out, const char *key, size_t key_bytes)
{
    (void)context;
    writer_text(out, "\",\"PartitionKey\":");
    json_write_string(out, key, key_bytes);
    writer_char(out, '}');
}

void records_end(const void *context, struct writer *out)
{
    (void)context;
    writer_text(out, "]}");
}

void records_head(const struct dest *dest, const struct batch_summary *batch,
                  struct dest_head *ret_head)
{
    const struct records_api *api = ((const struct records *)dest)->api;
    (void)batch;
    *ret_head = (struct dest_head){.method = "POST",
                                   .path = "/",
                                   .query = "",
                                   .content_type = "application/x-amz-json-1.1",
                                   .service = api->service,
                                   .headers = {{"X-Amz-Target", api->target}},
                                   .header_count = 1};
}

void records_reply_start(struct dest *dest, size_t sent, uint8_t *delivered)
{
    struct records *records = (struct records *)dest;
    results_start(&records->results, &records->api->results, sent, delivered);
}

int records_reply_feed(struct dest *dest, const uint8_t *bytes, size_t count)
{
    return results_feed(&((struct records *)dest)->results, bytes, count);
}

void records_reply_end(struct dest *dest, const struct http_reply *head,
                       struct dest_reply *ret_reply)
{
    results_end(&((struct records *)dest)->results, head, ret_reply);
}
