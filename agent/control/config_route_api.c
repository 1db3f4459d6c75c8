/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/control/config_route.h"
#include "platform/base/url.h"
#include "platform/net.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* A line lands in one record of Kinesis or Firehose, which take 1 MiB and 1,000 KiB. */
enum { LINES_BYTES = 1000 * 1024, API_URL_BYTES = 401 };

static const char no_url[] =
    "is no URL; write it like https://ID.execute-api.REGION.amazonaws.com/STAGE/RESOURCE";

static bool is_written(const struct config_route *subject, const char *key)
{
    return config_read_member(subject->node, key) != NULL;
}

/* ---- URLs ---- */

/* Where a URL leads, in parts that live as long as the configuration. */
struct place {
    struct cfg_endpoint endpoint;
    const char *path;
    const char *query; /* NULL: none */
};

static bool is_visible(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text >= 0x7f)
            return false;
    return true;
}

/* Why TEXT cannot be used; NULL: it can. */
static const char *fault_of_url(const char *text, const char *otherwise, struct url *ret_url)
{
    const char *host = strstr(text, "://");
    host = host != NULL ? host + strlen("://") : text;
    if (memchr(host, '@', strcspn(host, "/?#")) != NULL)
        return "holds a user name, which is not sent; remove it, and see \"auth\"";
    if (strchr(text, '#') != NULL)
        return "holds a fragment, which is never sent; remove it from the \"#\" on";
    if (url_parse(text, ret_url) < 0 || !is_visible(ret_url->rest) ||
        strcspn(text, "?") >= API_URL_BYTES)
        return otherwise;
    if (!ret_url->tls && !net_is_loopback(ret_url->host))
        return "plain http leads only to this machine itself; write https://";
    return NULL;
}

/* The values are not shown: people write keys into URLs. False: reported. */
static bool take_url(const struct config_route *subject, const char *key, const char *text,
                     const char *otherwise, struct place *ret_place)
{
    struct url url;
    char plain[API_URL_BYTES];
    size_t plain_bytes = strcspn(text, "?");
    const char *fault = fault_of_url(text, otherwise, &url);
    if (fault != NULL) {
        config_route_fault(subject, key, fault);
        return false;
    }
    memcpy(plain, text, plain_bytes);
    plain[plain_bytes] = '\0';
    const char *path = plain + (url.rest - text);
    *ret_place = (struct place){.endpoint = {.url = config_route_keep(subject, plain),
                                             .tls = url.tls,
                                             .host = config_route_keep(subject, url.host),
                                             .port = url.port},
                                .path = *path == '\0' ? "/" : config_route_keep(subject, path)};
    if (text[plain_bytes] == '?')
        ret_place->query = config_route_keep(subject, text + plain_bytes + 1);
    return true;
}

static void resolve_url(const struct config_route *subject)
{
    struct cfg_route *route = subject->route;
    struct place place;
    if (route->api.url == NULL || !take_url(subject, "url", route->api.url, no_url, &place))
        return;
    route->endpoint = place.endpoint;
    route->api.path = place.path;
    route->api.query = place.query;
}

static void check_host(const struct config_route *subject)
{
    const char *host = subject->route->api.host;
    if (host != NULL && (host[0] == '\0' || host[strspn(host, LETTERS ".-:")] != '\0'))
        config_route_fault(subject, "host",
                           "is no name of a host; write it like "
                           "ID.execute-api.REGION.amazonaws.com");
    if (host != NULL && is_written(subject, "api_id"))
        config_route_fault(subject, "api_id", "says what \"host\" says; remove one of them");
}

/* ---- what goes with which authorization ---- */

static const struct {
    const char *key;
    enum cfg_auth auth;
    bool required;
} members[] = {
    {"region", CFG_AUTH_IAM, false},          {"credentials", CFG_AUTH_IAM, false},
    {"role_arn", CFG_AUTH_IAM, false},        {"external_id", CFG_AUTH_IAM, false},
    {"api_key_file", CFG_AUTH_API_KEY, true}, {"token_url", CFG_AUTH_OAUTH2, true},
    {"client_id", CFG_AUTH_OAUTH2, true},     {"client_secret_file", CFG_AUTH_OAUTH2, true},
    {"scope", CFG_AUTH_OAUTH2, false},        {"token_file", CFG_AUTH_BEARER, true},
    {"header", CFG_AUTH_HEADER, true},        {"header_value_file", CFG_AUTH_HEADER, true},
};

/* What could not be read was reported, and says nothing about the rest. */
static bool is_auth_known(const struct config_route *subject)
{
    const struct json_node *node = config_read_member(subject->node, "auth");
    const struct schema_key *key =
        schema_find(schema_find(&schema_root, "routes")->members, "auth");
    return node == NULL || config_read_is_choice(subject->reader, node, key);
}

static void check_members(const struct config_route *subject)
{
    enum cfg_auth auth = subject->route->api.auth;
    char what[120];
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        bool written = is_written(subject, members[i].key);
        bool fits = members[i].auth == auth;
        if (written == fits || (fits && !members[i].required))
            continue;
        (void)snprintf(what, sizeof what,
                       written ? "goes with \"auth\": \"%s\" alone; remove it, or choose that"
                               : "is missing; \"auth\": \"%s\" needs it",
                       config_auth_name(members[i].auth));
        config_route_fault(subject, members[i].key, what);
    }
}

/* Those that a request has anyway, or that say where it ends or what becomes of its connection. */
static bool is_taken(const char *name)
{
    static const char *const taken[] = {
        "Host",    "Content-Type", "Content-Encoding", "Content-Length",   "Transfer-Encoding",
        "TE",      "Trailer",      "Connection",       "Proxy-Connection", "Keep-Alive",
        "Upgrade", "Expect",       "User-Agent",       "X-Apigw-Api-Id",   "Proxy-Authorization"};
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcasecmp(taken[i], name) == 0)
            return true;
    return false;
}

/* RFC 9110, 5.6.2. */
static void check_header(const struct config_route *subject)
{
    const char *name = subject->route->api.header;
    if (name == NULL)
        return;
    if (name[0] == '\0' || name[strspn(name, LETTERS "!#$%&'*+-.^_`|~")] != '\0')
        config_route_fault(subject, "header",
                           "is no name of a header; write it like \"X-Device-Token\"");
    else if (is_taken(name))
        config_route_fault(subject, "header",
                           "is one that the request itself needs; choose another, like "
                           "\"X-Device-Token\"");
}

static void resolve_region(const struct config_route *subject)
{
    struct cfg_route *route = subject->route;
    char region[CONFIG_REGION_BYTES] = "";
    if (route->endpoint.host != NULL)
        config_endpoint_region("execute-api", route->endpoint.host, region);
    if (region[0] != '\0' && route->region != NULL && strcmp(route->region, region) != 0)
        config_route_fault(subject, "region", "differs from the region in \"url\"; remove it");
    else
        config_route_region(subject, region);
}

/* ---- tokens ---- */

static void resolve_oauth2(const struct config_route *subject, struct cfg_credentials *token)
{
    const struct cfg_route *route = subject->route;
    const char *bundle = config_route_variable(subject, "AWS_CA_BUNDLE");
    struct place place;
    token->provider = CFG_PROVIDER_OAUTH2;
    token->client_id = route->api.client_id;
    token->client_secret_file = route->api.client_secret_file;
    token->scope = route->api.scope;
    token->ca_file = route->ca_file != NULL || bundle == NULL ? route->ca_file
                                                              : config_route_keep(subject, bundle);
    if (token->client_id != NULL && (token->client_id[0] == '\0' || !is_visible(token->client_id)))
        config_route_fault(subject, "client_id", "is no client's; it has no blanks");
    if (route->api.token_url == NULL ||
        !take_url(subject, "token_url", route->api.token_url,
                  "is no URL; write it like "
                  "https://DOMAIN.auth.REGION.amazoncognito.com/oauth2/token",
                  &place))
        return;
    token->oauth2 = place.endpoint;
    token->oauth2_path = place.path;
    token->oauth2_query = place.query;
    config_proxy_resolve(subject->reader, subject->node, route->proxy_url, &token->oauth2);
}

/* A source of its own, called after the route. */
static void resolve_token(const struct config_route *subject)
{
    struct cfg_route *route = subject->route;
    const char *const files[] = {[CFG_AUTH_API_KEY] = route->api.api_key_file,
                                 [CFG_AUTH_BEARER] = route->api.token_file,
                                 [CFG_AUTH_HEADER] = route->api.header_value_file,
                                 [CFG_AUTH_NONE] = NULL};
    route->credentials = NULL;
    if (route->api.auth == CFG_AUTH_NONE)
        return;
    struct cfg_credentials *token = config_pool_take(subject->reader->pool, sizeof *token);
    if (token == NULL)
        return;
    *token = (struct cfg_credentials){.name = route->name,
                                      .provider = CFG_PROVIDER_TOKEN_FILE,
                                      .token_file = files[route->api.auth],
                                      .with_blanks = route->api.auth == CFG_AUTH_HEADER};
    if (route->api.auth == CFG_AUTH_OAUTH2)
        resolve_oauth2(subject, token);
    route->credentials = token;
}

/* ---- all together ---- */

static void resolve_defaults(const struct config_route *subject)
{
    struct cfg_route *route = subject->route;
    const struct json_node *batch = config_read_member(subject->node, "batch");
    bool records = route->api.body == CFG_BODY_RECORDS;
    if (!is_written(subject, "success"))
        route->api.success = records ? CFG_SUCCESS_PER_RECORD : CFG_SUCCESS_STATUS;
    if (!records && route->pack != CFG_PACK_NONE)
        config_route_fault(subject, "pack", "goes with \"body\": \"records\" alone; remove it");
    if (!records && is_written(subject, "partition"))
        config_route_fault(subject, "partition",
                           "goes with \"body\": \"records\" alone, others have no keys; remove it");
    if (route->api.body == CFG_BODY_LINES && config_read_member(batch, "bytes") == NULL &&
        route->batch_bytes > LINES_BYTES)
        route->batch_bytes = LINES_BYTES;
}

void config_route_api(const struct config_route *subject)
{
    resolve_url(subject);
    check_host(subject);
    check_header(subject);
    resolve_defaults(subject);
    if (!is_auth_known(subject))
        return;
    check_members(subject);
    if (subject->route->api.auth == CFG_AUTH_IAM)
        resolve_region(subject);
    else
        resolve_token(subject);
}
