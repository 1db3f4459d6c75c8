/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/config_route.h"

/* As agent/uplink/dest/firehose.c has them. */
enum { BATCH_BYTES_MAX = 4032 * 1024 };

static const struct config_route_service firehose = {
    .name = "firehose",
    .resource = "deliverystream/",
    .name_bytes_max = 64,
    .missing = "is missing; write the name or ARN of a Firehose stream",
    .no_arn = "is no ARN of a Firehose stream; write it like "
              "arn:aws:firehose:REGION:ACCOUNT:deliverystream/NAME",
    .no_name = "is no name of a Firehose stream; use 1 to 64 letters, digits, \"_\", \".\" and "
               "\"-\"",
};

/* The default may be more, which is no fault of whoever wrote the route. */
static void check_batch(const struct config_route *subject)
{
    struct cfg_route *route = subject->route;
    const struct json_node *batch = config_read_member(subject->node, "batch");
    const struct json_node *bytes = batch == NULL ? NULL : config_read_member(batch, "bytes");
    if (route->batch_bytes <= BATCH_BYTES_MAX)
        return;
    if (bytes != NULL)
        config_fault(subject->reader->faults, bytes, NULL,
                     "is more than Firehose takes at once; choose 4032KiB at most");
    route->batch_bytes = BATCH_BYTES_MAX;
}

/* Requests name a stream by its name alone, so that of an ARN the region and the name count. */
void config_route_firehose(const struct config_route *subject)
{
    struct config_route_arn arn;
    config_route_stream(subject, &firehose, &arn);
    subject->route->stream_arn = NULL;
    config_route_stream_reach(subject, "AWS_ENDPOINT_URL_FIREHOSE", "firehose");
    check_batch(subject);
    if (subject->route->order == CFG_ORDER_STRICT)
        config_route_fault(subject, "order",
                           "Firehose keeps no order, which \"strict\" wants; write \"fifo\", or "
                           "send to Kinesis");
}
