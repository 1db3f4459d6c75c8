/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/aws/credentials_fetch.h"
#include "agent/aws/credentials_network.h"
#include "platform/base/error.h"
#include "platform/base/url.h"
#include "platform/hash.h"
#include "platform/net.h"

enum { TIME_MS = 2000, TRIES = 3, PATH_BYTES = 512, TOKEN_BYTES = CREDENTIALS_TOKEN_BYTES };

struct container {
    struct credentials_provider provider;
    bool asked_for;
    const struct stop *stop;
    bool warned; /* that others may read the token */
    char token[TOKEN_BYTES];
};

static const char relative_name[] = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
static const char full_name[] = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

static const struct credentials_remedy remedies[] = {
    {401, NULL, false, "check AWS_CONTAINER_AUTHORIZATION_TOKEN or _TOKEN_FILE"},
    {403, NULL, false, "check AWS_CONTAINER_AUTHORIZATION_TOKEN or _TOKEN_FILE, and the role"},
    {0},
};

/* A token goes to this machine and AWS's own addresses alone, unless TLS says who is there. */
static bool is_allowed(const struct url *url)
{
    static const char *const hosts[] = {"169.254.170.2", "169.254.170.23", "fd00:ec2::23"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (strcmp(url->host, hosts[i]) == 0)
            return true;
    return url->tls || net_is_loopback(url->host);
}

/* The relative one goes first, as in all AWS tools. */
static int find_place(struct url *ret_url, char fault[CREDENTIALS_FAULT_BYTES])
{
    const char *relative = credentials_variable(relative_name);
    const char *full = credentials_variable(full_name);
    struct url url = {.host = "169.254.170.2", .port = 80, .rest = relative};
    if (relative == NULL && full == NULL)
        return credentials_fault(fault, E_NOT_FOUND, "no AWS_CONTAINER_CREDENTIALS_*_URI is set");
    if (relative != NULL && relative[0] != '/')
        return credentials_fault(fault, E_CREDENTIALS, "%s does not begin with \"/\"",
                                 relative_name);
    if (relative == NULL && url_parse(full, &url) < 0)
        return credentials_fault(fault, E_CREDENTIALS, "%s is no URL", full_name);
    if (!is_allowed(&url))
        return credentials_fault(fault, E_CREDENTIALS,
                                 "%s leads to %s: without TLS only this machine and AWS's own "
                                 "addresses are asked",
                                 full_name, url.host);
    *ret_url = url;
    return 0;
}

/* Path and query, which QUERY is made to point to. */
static int split(const char *rest, char path[PATH_BYTES], const char **query,
                 char fault[CREDENTIALS_FAULT_BYTES])
{
    size_t count = strlen(rest);
    if (count >= PATH_BYTES)
        return credentials_fault(fault, E_CREDENTIALS, "%s or %s is longer than %d bytes",
                                 relative_name, full_name, PATH_BYTES - 1);
    memcpy(path, count == 0 ? "/" : rest, count == 0 ? 2 : count + 1);
    char *mark = strchr(path, '?');
    *query = mark == NULL ? NULL : mark + 1;
    if (mark != NULL)
        *mark = '\0';
    return 0;
}

/* TOKEN is made to point to what is sent, or to NULL. */
static int read_token(struct container *container, const char **token,
                      char fault[CREDENTIALS_FAULT_BYTES])
{
    const char *file = credentials_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    *token = credentials_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (file == NULL)
        return 0;
    *token = container->token;
    int rc = credentials_read_token(file, &container->warned, container->token,
                                    sizeof container->token, fault);
    return rc < 0 ? rc : 0;
}

static int fetch(struct container *container, const struct url *url, int64_t deadline_ms,
                 char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    char path[PATH_BYTES];
    const char *query = NULL;
    const char *token = NULL;
    int rc = split(url->rest, path, &query, fault);
    if (rc == 0)
        rc = read_token(container, &token, fault);
    if (rc < 0)
        return rc;
    const struct credentials_request request = {
        .server = {.tls = url->tls, .host = url->host, .port = url->port, .stop = container->stop},
        .method = "GET",
        .path = path,
        .query = query,
        .headers = {{"Authorization", token}},
        .time_ms = TIME_MS};
    rc = E_TIMEOUT;
    for (int i = 0; i < TRIES && (rc == E_TIMEOUT || rc == E_NOT_FOUND); i++)
        rc = credentials_fetch_keys(&request, CREDENTIALS_FORM_FLAT, remedies, deadline_ms, fault,
                                    ret_credentials);
    return rc == E_NOT_FOUND ? E_TIMEOUT : rc;
}

static int get_container(struct credentials_provider *provider, int64_t deadline_ms,
                         char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    struct container *container = (struct container *)(void *)provider;
    struct url url;
    int rc = find_place(&url, fault);
    if (rc == E_NOT_FOUND && container->asked_for)
        rc = E_CREDENTIALS;
    if (rc < 0)
        return rc;
    rc = fetch(container, &url, deadline_ms, fault, ret_credentials);
    hash_wipe(container->token, sizeof container->token);
    return rc;
}

static void close_container(struct credentials_provider *provider)
{
    free(provider);
}

int credentials_container_open(bool asked_for, const struct stop *stop,
                               struct credentials_provider **ret_provider)
{
    static const struct credentials_operations operations = {
        .name = "container", .slow = true, .get = get_container, .close = close_container};
    struct container *container = calloc(1, sizeof *container);
    if (container == NULL)
        return E_NO_MEMORY;
    container->provider.operations = &operations;
    container->asked_for = asked_for;
    container->stop = stop;
    *ret_provider = &container->provider;
    return 0;
}
