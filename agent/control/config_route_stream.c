/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/control/config_endpoint.h"
#include "agent/control/config_route.h"
#include "platform/base/parse.h"

static bool is_stream_name(const struct config_route_service *service, const char *text)
{
    size_t count = parse_name_bytes(text);
    return count > 0 && count <= service->name_bytes_max && text[count] == '\0';
}

/* arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE/NAME. Returns the name or NULL. */
static const char *parse_arn(const struct config_route_service *service, const char *text,
                             struct config_route_arn *ret_arn)
{
    char name[10] = "";
    int used = 0;
    size_t resource_bytes = strlen(service->resource);
    int fields = sscanf(text, "arn:%*[a-z-]:%9[a-z]:%40[a-z0-9-]:%12[0-9]:%n", name,
                        ret_arn->region, ret_arn->account, &used);
    if (fields != 3 || used == 0 || strcmp(name, service->name) != 0 ||
        strlen(ret_arn->account) != CONFIG_ACCOUNT_BYTES - 1 ||
        strncmp(text + used, service->resource, resource_bytes) != 0 ||
        !is_stream_name(service, text + used + resource_bytes))
        return NULL;
    return text + used + resource_bytes;
}

static void resolve_name(const struct config_route *subject,
                         const struct config_route_service *service,
                         struct config_route_arn *ret_arn)
{
    struct cfg_route *route = subject->route;
    if (route->stream == NULL && CONFIG_STREAM[0] != '\0')
        route->stream = CONFIG_STREAM;
    if (route->stream == NULL) {
        if (config_read_member(subject->node, "stream") == NULL)
            config_route_fault(subject, "stream", service->missing);
        return;
    }
    if (strncmp(route->stream, "arn:", 4) == 0) {
        route->stream_arn = route->stream;
        route->stream = parse_arn(service, route->stream_arn, ret_arn);
    }
    if (route->stream == NULL)
        config_route_fault(subject, "stream", service->no_arn);
    else if (!is_stream_name(service, route->stream))
        config_route_fault(subject, "stream", service->no_name);
}

void config_route_stream(const struct config_route *subject,
                         const struct config_route_service *service,
                         struct config_route_arn *ret_arn)
{
    *ret_arn = (struct config_route_arn){.region = ""};
    resolve_name(subject, service, ret_arn);
    config_route_region(subject, ret_arn->region);
}

void config_route_stream_reach(const struct config_route *subject, const char *variable,
                               const char *host)
{
    const struct cfg_route *route = subject->route;
    char url[CONFIG_ENDPOINT_URL_BYTES];
    if (config_route_endpoint(subject, variable))
        return;
    bool fips = config_route_switch(subject, "AWS_USE_FIPS_ENDPOINT");
    bool dual_stack = config_route_switch(subject, "AWS_USE_DUALSTACK_ENDPOINT");
    if (route->region != NULL &&
        config_endpoint_build(host, route->region, fips, dual_stack, url) == 0)
        config_route_take_endpoint(subject, NULL, url);
}
