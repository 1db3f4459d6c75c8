/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/control/config_route.h"

enum { HOST_BYTES = 32 };

static const struct config_route_service kinesis = {
    .name = "kinesis",
    .resource = "stream/",
    .name_bytes_max = 128,
    .missing = "is missing; write the name or ARN of a Kinesis stream",
    .no_arn = "is no ARN of a stream; write it like arn:aws:kinesis:REGION:ACCOUNT:stream/NAME",
    .no_name = "is no name of a stream; use 1 to 128 letters, digits, \"_\", \".\" and \"-\"",
};

static void check_account_endpoint(const struct config_route *subject)
{
    const struct cfg_route *route = subject->route;
    if (!route->account_endpoint)
        return;
    if (route->stream != NULL && route->stream_arn == NULL)
        config_route_fault(subject, "account_endpoint",
                           "needs the account; write the stream's ARN in place of its name");
    if (config_read_member(subject->node, "endpoint") != NULL)
        config_route_fault(subject, "account_endpoint",
                           "does not go with \"endpoint\"; remove one of them");
}

/* With an ARN the SDKs take the account's own host by themselves. Here it has to be asked for: a
 * host that follows from the way a stream is written would surprise whoever lets the plain one
 * through a firewall. */
void config_route_kinesis(const struct config_route *subject)
{
    struct config_route_arn arn;
    char host[HOST_BYTES] = "kinesis";
    config_route_stream(subject, &kinesis, &arn);
    check_account_endpoint(subject);
    if (subject->route->account_endpoint && arn.account[0] != '\0')
        (void)snprintf(host, sizeof host, "%s.data-kinesis", arn.account);
    config_route_stream_reach(subject, "AWS_ENDPOINT_URL_KINESIS", host);
}
