/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/control/config_endpoint.h"
#include "agent/control/config_reader.h"
#include "platform/base/error.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

enum { NAME_BYTES_MAX = 128 }; /* of a role alias and of a thing */

/* A source of keys and the object that it was read from. */
struct subject {
    struct config_reader *reader;
    const struct json_node *node;
    struct cfg_credentials *credentials;
};

static void fault(const struct subject *subject, const char *key, const char *what)
{
    const struct json_node *node = config_read_member(subject->node, key);
    if (node != NULL)
        config_fault(subject->reader->faults, node, NULL, "%s", what);
    else
        config_fault(subject->reader->faults, subject->node, key, "%s", what);
}

static bool is_written(const struct subject *subject, const char *key)
{
    return config_read_member(subject->node, key) != NULL;
}

/* ---- what goes with which provider ---- */

enum {
    CHAIN = 1 << CFG_PROVIDER_CHAIN,
    SHARED = CHAIN | 1 << CFG_PROVIDER_FILE,
    IOT = CHAIN | 1 << CFG_PROVIDER_IOT,
    WEB = 1 << CFG_PROVIDER_WEB_IDENTITY,
};

static const struct {
    const char *key;
    unsigned providers;
    const char *remedy;
} members[] = {
    {"profile", SHARED, "\"file\" or \"chain\""},
    {"file", SHARED, "\"file\" or \"chain\""},
    {"endpoint", IOT | WEB, "\"iot\", \"web_identity\" or \"chain\""},
    {"role_alias", IOT, "\"iot\" or \"chain\""},
    {"thing", IOT, "\"iot\" or \"chain\""},
    {"cert_file", IOT, "\"iot\" or \"chain\""},
    {"key_file", IOT, "\"iot\" or \"chain\""},
    {"ca_file", IOT | WEB, "\"iot\", \"web_identity\" or \"chain\""},
    {"proxy", IOT | WEB, "\"iot\", \"web_identity\" or \"chain\""},
    {"role_arn", WEB, "\"web_identity\""},
    {"session_name", WEB, "\"web_identity\""},
    {"token_file", WEB, "\"web_identity\""},
    {"region", WEB, "\"web_identity\""},
};

static void check_members(const struct subject *subject)
{
    char what[120];
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (is_written(subject, members[i].key) &&
            (members[i].providers & 1u << subject->credentials->provider) == 0) {
            (void)snprintf(what, sizeof what,
                           "the provider \"%s\" does not use it; choose %s, or remove it",
                           config_provider_name(subject->credentials->provider), members[i].remedy);
            fault(subject, members[i].key, what);
        }
}

/* ---- IoT ---- */

/* In a chain it takes part once anything of it is written. */
static bool wants_iot(const struct subject *subject)
{
    bool written = false;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        written |= (members[i].providers & IOT) == IOT && is_written(subject, members[i].key);
    return subject->credentials->provider == CFG_PROVIDER_IOT ||
           (subject->credentials->provider == CFG_PROVIDER_CHAIN && written);
}

static void check_text(const struct subject *subject, const char *key, const char *text,
                       const char *allowed, const char *what)
{
    if (text != NULL &&
        (text[0] == '\0' || text[strspn(text, allowed)] != '\0' || strlen(text) > NAME_BYTES_MAX))
        fault(subject, key, what);
}

/* The endpoint that devices publish to is much better known. */
static void warn_of_data_endpoint(const struct subject *subject, const char *host)
{
    if (strstr(host, ".iot.") != NULL && strstr(host, ".credentials.iot.") == NULL)
        config_fault_warn(subject->reader->faults, config_read_member(subject->node, "endpoint"),
                          NULL,
                          "is no credentials endpoint; ask aws iot describe-endpoint "
                          "--endpoint-type iot:CredentialProvider");
}

static void take_endpoint(const struct subject *subject, const char *source, const char *url,
                          struct cfg_endpoint *ret_endpoint)
{
    struct config_endpoint endpoint;
    struct config_pool *pool = subject->reader->pool;
    if (config_endpoint_parse(url, &endpoint) == 0) {
        *ret_endpoint = (struct cfg_endpoint){.url = config_pool_text(pool, url),
                                              .tls = endpoint.tls,
                                              .host = config_pool_text(pool, endpoint.host),
                                              .port = endpoint.port};
        config_proxy_resolve(subject->reader, subject->node, subject->credentials->proxy_url,
                             ret_endpoint);
    } else if (source != NULL && subject->credentials->provider != CFG_PROVIDER_CHAIN)
        config_fault(subject->reader->faults, NULL, source,
                     "is no endpoint; write it like https://host or https://host:port");
    else if (source == NULL)
        fault(subject, "endpoint",
              "is no endpoint; write it like https://host or https://host:port");
}

static void resolve_iot(const struct subject *subject)
{
    struct cfg_credentials *credentials = subject->credentials;
    static const char *const required[] = {"endpoint", "role_alias", "cert_file", "key_file"};
    for (size_t i = 0; i < sizeof required / sizeof *required; i++)
        if (!is_written(subject, required[i]))
            fault(subject, required[i],
                  "is missing; IoT's credentials provider needs endpoint, role_alias, cert_file "
                  "and key_file");
    check_text(subject, "role_alias", credentials->role_alias, LETTERS "_=,@-",
               "is no name of a role alias; use 1 to 128 letters, digits, \"_\", \"=\", \",\", "
               "\"@\" and \"-\"");
    check_text(subject, "thing", credentials->thing, LETTERS ":_-",
               "is no name of a thing; use 1 to 128 letters, digits, \":\", \"_\" and \"-\"");
    if (credentials->endpoint == NULL)
        return;
    take_endpoint(subject, NULL, credentials->endpoint, &credentials->iot);
    if (credentials->iot.host != NULL && !credentials->iot.tls)
        fault(subject, "endpoint",
              "needs TLS, where the device shows its certificate; write "
              "https://");
    else if (credentials->iot.host != NULL)
        warn_of_data_endpoint(subject, credentials->iot.host);
}

/* ---- web identity ---- */

static bool is_on(const struct config_reader *reader, const char *name)
{
    const char *value = config_variable(reader->options, name);
    return value != NULL && strcasecmp(value, "true") == 0;
}

static const char *find_sts_region(const struct subject *subject, const char *route_region)
{
    const struct config_options *options = subject->reader->options;
    const char *const choices[] = {subject->credentials->region,
                                   config_variable(options, "AWS_REGION"),
                                   config_variable(options, "AWS_DEFAULT_REGION"), route_region};
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
        if (choices[i] != NULL)
            return choices[i];
    return NULL;
}

void config_credentials_resolve_sts(struct config_reader *reader,
                                    struct cfg_credentials *credentials, const char *region)
{
    static const char *const sources[] = {"AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"};
    const struct subject subject = {reader, NULL, credentials};
    char url[CONFIG_ENDPOINT_URL_BYTES];
    bool asked_for = credentials->provider == CFG_PROVIDER_WEB_IDENTITY ||
                     credentials->provider == CFG_PROVIDER_ASSUME_ROLE;
    bool chain = credentials->provider == CFG_PROVIDER_CHAIN &&
                 config_variable(reader->options, "AWS_WEB_IDENTITY_TOKEN_FILE") != NULL;
    if (credentials->sts.host != NULL || (!asked_for && !chain))
        return;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (config_variable(reader->options, sources[i]) != NULL) {
            take_endpoint(&subject, sources[i], config_variable(reader->options, sources[i]),
                          &credentials->sts);
            return;
        }
    region = find_sts_region(&subject, region);
    if (region != NULL &&
        config_endpoint_build("sts", region, is_on(reader, "AWS_USE_FIPS_ENDPOINT"),
                              is_on(reader, "AWS_USE_DUALSTACK_ENDPOINT"), url) == 0)
        take_endpoint(&subject, "AWS_REGION", url, &credentials->sts);
}

static void resolve_web_identity(const struct subject *subject)
{
    struct cfg_credentials *credentials = subject->credentials;
    char url[CONFIG_ENDPOINT_URL_BYTES];
    if (credentials->role_arn != NULL && strncmp(credentials->role_arn, "arn:", 4) != 0)
        fault(subject, "role_arn",
              "is no ARN of a role; write it like arn:aws:iam::ACCOUNT:role/NAME");
    if (credentials->region != NULL &&
        config_endpoint_build("sts", credentials->region, false, false, url) < 0)
        fault(subject, "region", "is no region; write it like \"eu-west-1\"");
    if (credentials->endpoint != NULL)
        take_endpoint(subject, NULL, credentials->endpoint, &credentials->sts);
}

/* ---- all together ---- */

static void resolve(const struct subject *subject)
{
    struct cfg_credentials *credentials = subject->credentials;
    const char *bundle = config_variable(subject->reader->options, "AWS_CA_BUNDLE");
    check_members(subject);
    if (wants_iot(subject))
        resolve_iot(subject);
    if (credentials->provider == CFG_PROVIDER_WEB_IDENTITY)
        resolve_web_identity(subject);
    if (credentials->ca_file == NULL && bundle != NULL)
        credentials->ca_file = config_pool_text(subject->reader->pool, bundle);
}

/* read_elements left room for one more. */
static void add_default(struct config_reader *reader)
{
    struct config *config = reader->config;
    for (size_t i = 0; i < config->credentials_count; i++)
        if (config->credentials[i].name != NULL &&
            strcmp(config->credentials[i].name, "default") == 0)
            return;
    if (config->credentials == NULL)
        config->credentials = config_pool_take(reader->pool, sizeof *config->credentials);
    if (config->credentials == NULL)
        return;
    struct cfg_credentials *added = &config->credentials[config->credentials_count++];
    *added = (struct cfg_credentials){.name = "default", .provider = CFG_PROVIDER_CHAIN};
    resolve(&(const struct subject){reader, NULL, added});
}

/* What could not be read was reported, and says nothing about the rest. */
static bool was_read(struct config_reader *reader, const struct json_node *node)
{
    const struct schema_key *map = schema_find(&schema_root, "credentials");
    const struct schema_key *key = schema_find(map->members, "provider");
    return config_read_is_choice(reader, config_read_member(node, "provider"), key);
}

void config_credentials_resolve(struct config_reader *reader)
{
    const struct json_node *map = config_read_member(reader->root, "credentials");
    const struct json_node *node = map == NULL ? NULL : map->first;
    for (size_t i = 0; i < reader->config->credentials_count && node != NULL; i++) {
        const struct subject subject = {reader, node, &reader->config->credentials[i]};
        if (was_read(reader, node))
            resolve(&subject);
        node = node->next;
    }
    add_default(reader);
}
