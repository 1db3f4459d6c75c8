/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/control/config_endpoint.h"
#include "agent/control/config_route.h"

enum { STREAM_BYTES_MAX = 128 };

static bool is_stream_name(const char *text)
{
    size_t count =
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
    return count > 0 && count <= STREAM_BYTES_MAX && text[count] == '\0';
}

/* arn:PARTITION:kinesis:REGION:ACCOUNT:stream/NAME. Writes the region; returns the name or NULL. */
static const char *parse_arn(const char *arn, char region[CONFIG_REGION_BYTES])
{
    char account[13] = "";
    int used = 0;
    int fields =
        sscanf(arn, "arn:%*[a-z-]:kinesis:%40[a-z0-9-]:%12[0-9]:stream/%n", region, account, &used);
    if (fields != 2 || used == 0 || strlen(account) != 12 || !is_stream_name(arn + used))
        return NULL;
    return arn + used;
}

static void resolve_name(const struct config_route *subject, char arn_region[CONFIG_REGION_BYTES])
{
    struct cfg_route *route = subject->route;
    if (route->stream == NULL && CONFIG_STREAM[0] != '\0')
        route->stream = CONFIG_STREAM;
    if (route->stream == NULL) {
        if (config_read_member(subject->node, "stream") == NULL)
            config_route_fault(subject, "stream",
                               "is missing; write the name or ARN of a Kinesis stream");
        return;
    }
    if (strncmp(route->stream, "arn:", 4) == 0) {
        route->stream_arn = route->stream;
        route->stream = parse_arn(route->stream_arn, arn_region);
    }
    if (route->stream == NULL)
        config_route_fault(
            subject, "stream",
            "is no ARN of a stream; write it like arn:aws:kinesis:REGION:ACCOUNT:stream/NAME");
    else if (!is_stream_name(route->stream))
        config_route_fault(
            subject, "stream",
            "is no name of a stream; use 1 to 128 letters, digits, \"_\", \".\" and \"-\"");
}

void config_route_stream(const struct config_route *subject)
{
    struct cfg_route *route = subject->route;
    char arn_region[CONFIG_REGION_BYTES] = "";
    char url[CONFIG_ENDPOINT_URL_BYTES];
    resolve_name(subject, arn_region);
    config_route_region(subject, arn_region);
    if (config_route_endpoint(subject, "AWS_ENDPOINT_URL_KINESIS"))
        return;
    bool fips = config_route_switch(subject, "AWS_USE_FIPS_ENDPOINT");
    bool dual_stack = config_route_switch(subject, "AWS_USE_DUALSTACK_ENDPOINT");
    if (route->region != NULL &&
        config_endpoint_build("kinesis", route->region, fips, dual_stack, url) == 0)
        config_route_take_endpoint(subject, NULL, url);
}
