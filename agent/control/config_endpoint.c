/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/config_endpoint.h"

#include <stdio.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/net.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS  "0123456789"

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Takes the host off AT: a name, an IPv4 address or an IPv6 address in brackets. */
static int parse_host(const char **at, char host[CONFIG_ENDPOINT_HOST_BYTES])
{
    bool brackets = **at == '[';
    const char *from = brackets ? *at + 1 : *at;
    size_t count = strspn(from, brackets ? "abcdefABCDEF:." DIGITS : LETTERS DIGITS "-_.");
    if (count == 0 || count >= CONFIG_ENDPOINT_HOST_BYTES || (brackets && from[count] != ']'))
        return E_SYNTAX;
    memcpy(host, from, count);
    host[count] = '\0';
    *at = from + count + (brackets ? 1 : 0);
    return 0;
}

static int parse_port(const char **at, uint16_t *port)
{
    uint64_t number = 0;
    if (**at != ':')
        return 0;
    size_t count = strspn(*at + 1, DIGITS);
    int rc = parse_unsigned(*at + 1, count, &number);
    if (rc < 0 || number == 0 || number > UINT16_MAX)
        return E_SYNTAX;
    *port = (uint16_t)number;
    *at += 1 + count;
    return 0;
}

int config_endpoint_parse(const char *url, struct config_endpoint *ret_endpoint)
{
    struct config_endpoint endpoint = {.tls = starts_with(url, "https://")};
    if (!endpoint.tls && !starts_with(url, "http://"))
        return E_SYNTAX;
    endpoint.port = endpoint.tls ? 443 : 80;
    const char *at = strchr(url, ':') + 3;
    int rc = parse_host(&at, endpoint.host);
    if (rc == 0)
        rc = parse_port(&at, &endpoint.port);
    if (rc < 0)
        return rc;
    if (strcmp(at, "") != 0 && strcmp(at, "/") != 0)
        return E_SYNTAX;
    if (!endpoint.tls && !net_is_loopback(endpoint.host))
        return E_REFUSED;
    *ret_endpoint = endpoint;
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

int config_endpoint_kinesis(const char *region, bool fips, bool dual_stack,
                            char ret_url[CONFIG_ENDPOINT_URL_BYTES])
{
    const struct partition *partition = partitions;
    size_t count = strspn(region, "abcdefghijklmnopqrstuvwxyz-" DIGITS);
    if (count == 0 || count > 40 || region[count] != '\0' || region[0] == '-')
        return E_SYNTAX;
    while (!starts_with(region, partition->region_prefix))
        partition++;
    /* In the US government's regions the plain name is the FIPS endpoint. */
    bool plain = !fips || (starts_with(region, "us-gov-") && !dual_stack);
    (void)snprintf(ret_url, CONFIG_ENDPOINT_URL_BYTES, "https://kinesis%s.%s.%s",
                   plain ? "" : "-fips", region,
                   dual_stack ? partition->dual_stack_suffix : partition->suffix);
    return 0;
}
