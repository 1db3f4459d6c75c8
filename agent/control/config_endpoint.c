/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/config_endpoint.h"

#include <stdio.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/base/url.h"
#include "platform/net.h"

_Static_assert((int)CONFIG_ENDPOINT_HOST_BYTES == (int)URL_HOST_BYTES, "hosts");

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

int config_endpoint_parse(const char *url, struct config_endpoint *ret_endpoint)
{
    struct url parts;
    int rc = url_parse(url, &parts);
    if (rc < 0)
        return rc;
    if (strcmp(parts.rest, "") != 0 && strcmp(parts.rest, "/") != 0)
        return E_SYNTAX;
    if (!parts.tls && !net_is_loopback(parts.host))
        return E_REFUSED;
    ret_endpoint->tls = parts.tls;
    ret_endpoint->port = parts.port;
    memcpy(ret_endpoint->host, parts.host, sizeof parts.host);
    return 0;
}

struct partition {
    const char *region_prefix;
    const char *suffix;
    const char *dual_stack_suffix;
};

/* The last one takes every region. */
static const struct partition partitions[] = {
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
    {"", "amazonaws.com", "api.aws"},
};

/* In the US government's regions the plain name of these is the FIPS endpoint. */
static bool is_fips_there(const char *service)
{
    return strcmp(service, "kinesis") == 0 || strcmp(service, "sts") == 0;
}

/* NULL: it is no region. */
static const struct partition *partition_of(const char *region)
{
    const struct partition *partition = partitions;
    size_t count = strspn(region, "abcdefghijklmnopqrstuvwxyz-0123456789");
    if (count == 0 || count > 40 || region[count] != '\0' || region[0] == '-')
        return NULL;
    while (!starts_with(region, partition->region_prefix))
        partition++;
    return partition;
}

int config_endpoint_build(const char *service, const char *region, bool fips, bool dual_stack,
                          char ret_url[CONFIG_ENDPOINT_URL_BYTES])
{
    const struct partition *partition = partition_of(region);
    if (partition == NULL)
        return E_SYNTAX;
    bool plain = !fips || (starts_with(region, "us-gov-") && !dual_stack && is_fips_there(service));
    (void)snprintf(ret_url, CONFIG_ENDPOINT_URL_BYTES, "https://%s%s.%s.%s", service,
                   plain ? "" : "-fips", region,
                   dual_stack ? partition->dual_stack_suffix : partition->suffix);
    return 0;
}

int config_endpoint_build_s3(const char *bucket, const char *region, bool fips, bool dual_stack,
                             char ret_url[CONFIG_ENDPOINT_URL_BYTES])
{
    const struct partition *partition = partition_of(region);
    if (partition == NULL)
        return E_SYNTAX;
    (void)snprintf(ret_url, CONFIG_ENDPOINT_URL_BYTES, "https://%.63s%ss3%s%s.%s.%s",
                   bucket != NULL ? bucket : "", bucket != NULL ? "." : "", fips ? "-fips" : "",
                   dual_stack ? ".dualstack" : "", region, partition->suffix);
    return 0;
}

/* What stands behind SERVICE as the first label, or as another one; NULL: it is none. */
static const char *behind(const char *service, const char *host)
{
    size_t count = strlen(service);
    while (!starts_with(host, service) ||
           (host[count] != '.' && !starts_with(host + count, "-fips."))) {
        host = strchr(host, '.');
        if (host == NULL)
            return NULL;
        host++;
    }
    return strchr(host, '.') + 1;
}

bool config_endpoint_region(const char *service, const char *host,
                            char ret_region[CONFIG_REGION_BYTES])
{
    const char *region = behind(service, host);
    size_t count = region == NULL ? 0 : strcspn(region, ".");
    if (count == 0 || count >= CONFIG_REGION_BYTES || region[count] != '.')
        return false;
    (void)snprintf(ret_region, CONFIG_REGION_BYTES, "%.*s", (int)count, region);
    return true;
}
