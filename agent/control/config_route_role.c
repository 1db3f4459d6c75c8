/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/control/config_route.h"
#include "platform/net.h"

#define DIGITS  "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" DIGITS

enum { ACCOUNT_DIGITS = CONFIG_ACCOUNT_BYTES - 1, EXTERNAL_ID_MIN = 2 };

/* Moves AT behind WORD if that is what it points to. */
static bool pass(const char **at, const char *word)
{
    size_t count = strlen(word);
    if (strncmp(*at, word, count) != 0)
        return false;
    *at += count;
    return true;
}

/* arn:PARTITION:iam::ACCOUNT:role/PATH/NAME */
static bool is_role(const char *arn)
{
    if (!pass(&arn, "arn:aws"))
        return false;
    arn += strspn(arn, LETTERS "-");
    if (!pass(&arn, ":iam::") || strspn(arn, DIGITS) != ACCOUNT_DIGITS)
        return false;
    arn += ACCOUNT_DIGITS;
    if (!pass(&arn, ":role/"))
        return false;
    size_t count = strspn(arn, LETTERS "/_+=,.@-");
    return count > 0 && arn[count] == '\0' && arn[count - 1] != '/';
}

static void check(const struct config_route *subject)
{
    const struct cfg_route *route = subject->route;
    const char *id = route->external_id;
    if (route->role_arn != NULL && !is_role(route->role_arn))
        config_route_fault(subject, "role_arn",
                           "is no ARN of a role; write it like "
                           "arn:aws:iam::123456789012:role/NAME");
    if (id != NULL && (strlen(id) < EXTERNAL_ID_MIN || id[strspn(id, LETTERS "_+=,.@:/-")] != '\0'))
        config_route_fault(subject, "external_id",
                           "is no external id; use at least 2 letters, digits and _+=,.@:/-");
    if (id != NULL && config_read_member(subject->node, "role_arn") == NULL)
        config_route_fault(subject, "external_id",
                           "goes with \"role_arn\" alone; remove it, or write that");
}

/* ---- where STS is ---- */

/* STS is reached as the route's endpoint is. */
static void resolve_proxy(const struct config_route *subject, struct cfg_credentials *role)
{
    if (subject->route->proxy_url != NULL && role->sts.tls && !net_is_loopback(role->sts.host))
        role->sts.proxy = subject->route->endpoint.proxy;
}

/* The name of an endpoint that somebody chose may tell another region than the route's; the one
 * without any is Virginia's. */
static void resolve_region(const struct config_route *subject, struct cfg_credentials *role)
{
    char region[CONFIG_REGION_BYTES];
    if (strcmp(role->sts.host, "sts.amazonaws.com") == 0)
        role->region = "us-east-1";
    else if (config_endpoint_region("sts", role->sts.host, region))
        role->region = config_route_keep(subject, region);
}

/* ---- one for all that want the same ---- */

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* What reaches STS comes from the routes. */
static bool is_same(const struct cfg_route *a, const struct cfg_route *b,
                    const struct cfg_credentials *role)
{
    return a->credentials->provider == CFG_PROVIDER_ASSUME_ROLE &&
           a->credentials->source == role->source && is_same_text(a->role_arn, b->role_arn) &&
           is_same_text(a->external_id, b->external_id) && is_same_text(a->region, b->region) &&
           is_same_text(a->ca_file, b->ca_file) && is_same_text(a->proxy_url, b->proxy_url);
}

static const struct cfg_credentials *find_same(const struct config_route *subject,
                                               const struct cfg_credentials *role)
{
    const struct cfg_route *other = subject->reader->config->routes;
    for (; other < subject->route; other++)
        if (other->credentials != NULL && is_same(other, subject->route, role))
            return other->credentials;
    return role;
}

/* ---- all together ---- */

void config_route_role(const struct config_route *subject)
{
    struct cfg_route *route = subject->route;
    check(subject);
    if (route->role_arn == NULL || route->credentials == NULL || route->region == NULL)
        return;
    struct cfg_credentials *role = config_pool_take(subject->reader->pool, sizeof *role);
    if (role == NULL)
        return;
    *role = (struct cfg_credentials){.name = route->name,
                                     .provider = CFG_PROVIDER_ASSUME_ROLE,
                                     .source = route->credentials,
                                     .role_arn = route->role_arn,
                                     .external_id = route->external_id,
                                     .region = route->region,
                                     .ca_file = route->ca_file};
    config_credentials_resolve_sts(subject->reader, role, route->region);
    if (role->sts.host == NULL)
        return; /* reported */
    resolve_proxy(subject, role);
    resolve_region(subject, role);
    route->credentials = find_same(subject, role);
}
