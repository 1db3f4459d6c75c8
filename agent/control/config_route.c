/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/config_route.h"

#include <string.h>
#include <strings.h>

#include "agent/control/config_endpoint.h"
#include "platform/base/error.h"

void config_route_fault(const struct config_route *subject, const char *key, const char *what)
{
    const struct json_node *node = config_read_member(subject->node, key);
    if (node != NULL)
        config_fault(subject->reader->faults, node, NULL, "%s", what);
    else
        config_fault(subject->reader->faults, subject->node, key, "%s", what);
}

const char *config_route_variable(const struct config_route *subject, const char *name)
{
    return config_variable(subject->reader->options, name);
}

const char *config_route_keep(const struct config_route *subject, const char *text)
{
    return config_pool_text(subject->reader->pool, text);
}

/* ---- region ---- */

/* What the route does not say itself; the profile is that of its keys. NULL: nobody says it. */
static const char *find_region(const struct config_route *subject, const char *arn_region)
{
    static const char *const variables[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};
    const struct cfg_credentials *credentials = subject->route->credentials;
    const char *const *address = &subject->route->region;
    if (arn_region[0] != '\0')
        return config_route_keep(subject, arn_region);
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *value = config_route_variable(subject, variables[i]);
        if (value == NULL)
            continue;
        config_place_note(subject->reader, variables[i], address);
        return config_route_keep(subject, value);
    }
    const char *shared =
        config_shared_region(subject->reader, credentials != NULL ? credentials->profile : NULL);
    if (shared != NULL)
        config_place_note(subject->reader, "the shared AWS config file", address);
    if (shared != NULL || CONFIG_REGION[0] == '\0')
        return shared;
    config_place_note(subject->reader, "CONFIG_REGION", address);
    return CONFIG_REGION;
}

void config_route_region(const struct config_route *subject, const char *arn_region)
{
    struct cfg_route *route = subject->route;
    char url[CONFIG_ENDPOINT_URL_BYTES];
    if (route->region == NULL)
        route->region = find_region(subject, arn_region);
    if (route->region == NULL) {
        if (config_read_member(subject->node, "region") == NULL)
            config_route_fault(subject, "region",
                               "is missing; write it like \"eu-west-1\", or set AWS_REGION");
    } else if (config_endpoint_build("kinesis", route->region, false, false, url) < 0) {
        config_route_fault(subject, "region", "is no region; write it like \"eu-west-1\"");
        route->region = NULL;
    } else if (arn_region[0] != '\0' && strcmp(route->region, arn_region) != 0)
        config_route_fault(subject, "region",
                           "differs from the region in the stream's ARN; remove it");
}

/* ---- endpoint ---- */

bool config_route_switch(const struct config_route *subject, const char *name)
{
    const char *value = config_route_variable(subject, name);
    if (value == NULL || strcasecmp(value, "false") == 0)
        return false;
    if (strcasecmp(value, "true") != 0)
        config_fault(subject->reader->faults, NULL, name,
                     "is neither true nor false; write one of them");
    return true;
}

/* The values are not shown: people write keys into URLs. */
void config_route_take_endpoint(const struct config_route *subject, const char *source,
                                const char *url)
{
    struct config_endpoint endpoint;
    int rc = config_endpoint_parse(url, &endpoint);
    const char *what = rc == E_REFUSED
                           ? "plain http leads only to this machine itself; write https://"
                           : "is no endpoint; write it like https://host or https://host:port";
    if (rc == 0)
        subject->route->endpoint =
            (struct cfg_endpoint){.url = config_route_keep(subject, url),
                                  .tls = endpoint.tls,
                                  .host = config_route_keep(subject, endpoint.host),
                                  .port = endpoint.port};
    else if (source == NULL)
        config_route_fault(subject, "endpoint", what);
    else
        config_fault(subject->reader->faults, NULL, source, "%s", what);
}

bool config_route_endpoint(const struct config_route *subject, const char *variable)
{
    const char *const sources[] = {variable, "AWS_ENDPOINT_URL"};
    const char *written = subject->route->endpoint.url;
    if (written != NULL) {
        config_route_take_endpoint(subject, NULL, written);
        return true;
    }
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        const char *url = config_route_variable(subject, sources[i]);
        if (url == NULL)
            continue;
        config_route_take_endpoint(subject, sources[i], url);
        config_place_note(subject->reader, sources[i], &subject->route->endpoint.url);
        return true;
    }
    return false;
}

/* ---- buckets ---- */

bool config_route_is_bucket(const char *text)
{
    static const char ends[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    size_t count = strlen(text);
    return count >= 3 && count <= 63 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-") == count &&
           strchr(ends, text[0]) != NULL && strchr(ends, text[count - 1]) != NULL &&
           strstr(text, "..") == NULL;
}

/* A certificate for *.s3.REGION.amazonaws.com is none for a name with further dots, and an endpoint
 * of one's own may know no names of buckets at all. */
void config_route_bucket_reach(const struct config_route *subject)
{
    struct cfg_route *route = subject->route;
    char url[CONFIG_ENDPOINT_URL_BYTES];
    bool fips = config_route_switch(subject, "AWS_USE_FIPS_ENDPOINT");
    bool dual_stack = config_route_switch(subject, "AWS_USE_DUALSTACK_ENDPOINT");
    route->path_style = true;
    if (config_route_endpoint(subject, "AWS_ENDPOINT_URL_S3"))
        return;
    if (route->bucket == NULL || route->region == NULL)
        return;
    route->path_style = strchr(route->bucket, '.') != NULL;
    route->endpoint_built = true;
    if (config_endpoint_build_s3(route->path_style ? NULL : route->bucket, route->region, fips,
                                 dual_stack, url) == 0)
        config_route_take_endpoint(subject, NULL, url);
}
