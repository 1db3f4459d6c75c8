/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/config_route.h"

static const struct config_route_service kinesis = {
    .name = "kinesis",
    .resource = "stream/",
    .name_bytes_max = 128,
    .missing = "is missing; write the name or ARN of a Kinesis stream",
    .no_arn = "is no ARN of a stream; write it like arn:aws:kinesis:REGION:ACCOUNT:stream/NAME",
    .no_name = "is no name of a stream; use 1 to 128 letters, digits, \"_\", \".\" and \"-\"",
};

void config_route_kinesis(const struct config_route *subject)
{
    struct config_route_arn arn;
    config_route_stream(subject, &kinesis, &arn);
    config_route_reach(subject, "AWS_ENDPOINT_URL_KINESIS", "kinesis");
}
