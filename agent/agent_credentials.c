/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent_state.h"

#include <string.h>

#include "agent/aws/credentials_network.h"
#include "platform/base/error.h"

enum { LINKS_MAX = CFG_PROVIDER_WEB_IDENTITY };

/* The providers of one chain, while it is put together. */
struct links {
    struct agent *agent;
    const struct cfg_credentials *config;
    const struct stop *stop;
    struct credentials_provider *keys; /* to assume a role with */
    struct credentials_provider *all[LINKS_MAX];
    size_t count;
};

/* What the configuration asks for by name, or as one of the chain. */
static bool is_wanted(const struct links *links, enum cfg_provider provider)
{
    bool signs = provider <= CFG_PROVIDER_WEB_IDENTITY;
    return links->config->provider == provider ||
           (links->config->provider == CFG_PROVIDER_CHAIN && signs);
}

#ifdef CONFIG_CREDENTIALS_ENV
static int open_env(struct links *links)
{
    return credentials_env_open(&links->all[links->count]);
}
#endif

#ifdef CONFIG_CREDENTIALS_FILE
static int open_file(struct links *links)
{
    return credentials_file_open(links->config->file, links->config->profile,
                                 &links->all[links->count]);
}
#endif

struct http_proxy agent_credentials_proxy(const struct cfg_proxy *proxy)
{
    return (struct http_proxy){
        .host = proxy->host, .port = proxy->port, .user = proxy->user, .password = proxy->password};
}

#if defined CONFIG_CREDENTIALS_IOT || defined CONFIG_CREDENTIALS_STS ||                            \
    defined CONFIG_CREDENTIALS_OAUTH2
/* With the device's certificate, if IDENTIFIED. */
static struct credentials_server server_of(const struct links *links,
                                           const struct cfg_endpoint *endpoint, bool identified)
{
    const struct cfg_credentials *config = links->config;
    return (struct credentials_server){
        .tls = endpoint->tls,
        .host = endpoint->host,
        .port = endpoint->port,
        .tls_options = {.ca_file = config->ca_file,
                        .cert_file = identified ? config->cert_file : NULL,
                        .key_file = identified ? config->key_file : NULL,
                        .wall_ms = agent_time_wall,
                        .wall_context = links->agent},
        .proxy = agent_credentials_proxy(&endpoint->proxy),
        .meter = links->agent->link == NULL ? NULL : link_meter(links->agent->link),
        .stop = links->stop};
}
#endif

#ifdef CONFIG_CREDENTIALS_WEB_IDENTITY
static int open_web_identity(struct links *links)
{
    const struct cfg_credentials *config = links->config;
    const struct credentials_web_identity_options options = {
        .asked_for = links->config->provider == CFG_PROVIDER_WEB_IDENTITY,
        .token_file = config->token_file,
        .role_arn = config->role_arn,
        .session_name = config->session_name,
        .device = links->agent->config->device,
        .server = server_of(links, &config->sts, false)};
    return credentials_web_identity_open(&options, &links->all[links->count]);
}
#endif

#ifdef CONFIG_CREDENTIALS_ASSUME_ROLE
static int open_assume_role(struct links *links)
{
    const struct cfg_credentials *config = links->config;
    const struct credentials_assume_role_options options = {
        .source = links->keys,
        .role_arn = config->role_arn,
        .external_id = config->external_id,
        .device = links->agent->config->device,
        .region = config->region,
        .server = server_of(links, &config->sts, false)};
    return credentials_assume_role_open(&options, &links->all[links->count]);
}
#endif

#ifdef CONFIG_CREDENTIALS_IOT
static int open_iot(struct links *links)
{
    const struct cfg_credentials *config = links->config;
    const struct credentials_iot_options options = {.server = server_of(links, &config->iot, true),
                                                    .role_alias = config->role_alias,
                                                    .thing = config->thing};
    return config->iot.host == NULL ? E_NOT_FOUND
                                    : credentials_iot_open(&options, &links->all[links->count]);
}
#endif

#ifdef CONFIG_CREDENTIALS_CONTAINER
static int open_container(struct links *links)
{
    return credentials_container_open(links->config->provider == CFG_PROVIDER_CONTAINER,
                                      links->stop, &links->all[links->count]);
}
#endif

#ifdef CONFIG_CREDENTIALS_IMDS
static int open_imds(struct links *links)
{
    return credentials_imds_open(links->config->provider == CFG_PROVIDER_IMDS, links->stop,
                                 &links->all[links->count]);
}
#endif

#ifdef CONFIG_CREDENTIALS_OAUTH2
static int open_oauth2(struct links *links)
{
    const struct cfg_credentials *config = links->config;
    const struct credentials_oauth2_options options = {
        .server = server_of(links, &config->oauth2, false),
        .path = config->oauth2_path,
        .query = config->oauth2_query,
        .client_id = config->client_id,
        .client_secret_file = config->client_secret_file,
        .scope = config->scope};
    return credentials_oauth2_open(&options, &links->all[links->count]);
}
#endif

#ifdef CONFIG_CREDENTIALS_TOKEN_FILE
static int open_token_file(struct links *links)
{
    return credentials_token_file_open(links->config->token_file, links->config->with_blanks,
                                       &links->all[links->count]);
}
#endif

#ifdef CONFIG_CREDENTIALS_IOT
int agent_credentials_open_iot(struct agent *agent, const struct cfg_credentials *config,
                               const struct stop *stop, struct credentials_provider **ret_provider)
{
    struct links links = {.agent = agent, .config = config, .stop = stop};
    int rc = open_iot(&links);
    if (rc == E_OK)
        *ret_provider = links.all[0];
    return rc;
}
#endif

/* In the order of the chain. */
static const struct {
    enum cfg_provider provider;
    int (*open)(struct links *links); /* E_NOT_FOUND: not configured */
} providers[] = {
#ifdef CONFIG_CREDENTIALS_ENV
    {CFG_PROVIDER_ENV, open_env},
#endif
#ifdef CONFIG_CREDENTIALS_WEB_IDENTITY
    {CFG_PROVIDER_WEB_IDENTITY, open_web_identity},
#endif
#ifdef CONFIG_CREDENTIALS_FILE
    {CFG_PROVIDER_FILE, open_file},
#endif
#ifdef CONFIG_CREDENTIALS_IOT
    {CFG_PROVIDER_IOT, open_iot},
#endif
#ifdef CONFIG_CREDENTIALS_CONTAINER
    {CFG_PROVIDER_CONTAINER, open_container},
#endif
#ifdef CONFIG_CREDENTIALS_IMDS
    {CFG_PROVIDER_IMDS, open_imds},
#endif
#ifdef CONFIG_CREDENTIALS_OAUTH2
    {CFG_PROVIDER_OAUTH2, open_oauth2},
#endif
#ifdef CONFIG_CREDENTIALS_TOKEN_FILE
    {CFG_PROVIDER_TOKEN_FILE, open_token_file},
#endif
#ifdef CONFIG_CREDENTIALS_ASSUME_ROLE
    {CFG_PROVIDER_ASSUME_ROLE, open_assume_role},
#endif
    {CFG_PROVIDER_CHAIN, NULL},
};

/* What the environment gives decides for the whole run, so nobody else needs to be ready. */
static bool is_last(enum cfg_provider provider)
{
    return provider == CFG_PROVIDER_ENV && (credentials_variable("AWS_ACCESS_KEY_ID") != NULL ||
                                            credentials_variable("AWS_SECRET_ACCESS_KEY") != NULL);
}

static int open_links(struct links *links)
{
    for (size_t i = 0; providers[i].open != NULL; i++) {
        if (!is_wanted(links, providers[i].provider))
            continue;
        int rc = providers[i].open(links);
        if (rc < 0 && rc != E_NOT_FOUND)
            return rc;
        links->count += rc == E_OK;
        if (is_last(providers[i].provider))
            break;
    }
    return E_OK;
}

static int open_source(struct agent *agent, const struct agent_credentials *credentials,
                       struct credentials_provider *keys, struct credentials_provider **ret_source)
{
    struct links links = {
        .agent = agent, .config = credentials->config, .stop = &credentials->stop, .keys = keys};
    int rc = open_links(&links);
    if (rc == E_OK && links.count == 1) {
        *ret_source = links.all[0]; /* whose name then stands in the log */
        return E_OK;
    }
    if (rc == E_OK)
        rc = credentials_chain_open(links.all, links.count, ret_source);
    if (rc < 0)
        for (size_t i = 0; i < links.count; i++)
            credentials_close(links.all[i]);
    return rc;
}

static int open_cache(struct agent *agent, const struct cfg_credentials *config,
                      struct credentials_provider *keys,
                      struct credentials_provider **ret_credentials)
{
    struct credentials_provider *source;
    struct agent_credentials *credentials = &agent->credentials[agent->credentials_count];
    for (size_t i = 0; i < agent->credentials_count; i++)
        if (agent->credentials[i].config == config) {
            *ret_credentials = agent->credentials[i].cache;
            return E_OK;
        }
    *credentials = (struct agent_credentials){
        .config = config,
        .progress = {.every_ms = agent->watchdog.every_ms},
        .stop = {.fd = agent->credentials_stop.fd, .progress = &credentials->progress}};
    int rc = open_source(agent, credentials, keys, &source);
    if (rc < 0)
        return rc;
    rc = credentials_cache_open(source, &credentials->cache);
    if (rc < 0) {
        credentials_close(source);
        return rc;
    }
    agent->credentials_count++;
    *ret_credentials = credentials->cache;
    return E_OK;
}

int agent_credentials_open(struct agent *agent, const struct cfg_credentials *config,
                           struct credentials_provider **ret_credentials)
{
    struct credentials_provider *keys = NULL;
    int rc = config->source == NULL ? E_OK : open_cache(agent, config->source, NULL, &keys);
    return rc < 0 ? rc : open_cache(agent, config, keys, ret_credentials);
}

int agent_credentials_start(struct agent *agent)
{
    int rc = E_OK;
    for (size_t i = 0; rc == E_OK && i < agent->credentials_count; i++) {
        struct agent_credentials *credentials = &agent->credentials[i];
        rc = credentials_start(credentials->cache, credentials->config->name,
                               &credentials->progress);
    }
    return rc;
}

bool agent_credentials_stop(struct agent *agent, int64_t deadline_ms)
{
    bool ended = true;
    stop_request(&agent->credentials_stop);
    for (size_t i = 0; i < agent->credentials_count; i++)
        ended = credentials_stop(agent->credentials[i].cache, deadline_ms) == E_OK && ended;
    return ended;
}

void agent_credentials_close(struct agent *agent)
{
    while (agent->credentials_count > 0) /* what a role is assumed with stands before it */
        credentials_close(agent->credentials[--agent->credentials_count].cache);
}
