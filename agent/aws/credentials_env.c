/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/aws/credentials.h"
#include "platform/base/error.h"

static const char id_name[] = "AWS_ACCESS_KEY_ID";
static const char secret_name[] = "AWS_SECRET_ACCESS_KEY";
static const char token_name[] = "AWS_SESSION_TOKEN";

/* A variable that is set to nothing counts as not set, as in all AWS tools. */
static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0';
}

static int copy_variable(const char *name, char *to, size_t to_bytes,
                         char fault[CREDENTIALS_FAULT_BYTES])
{
    const char *value = is_set(name) ? getenv(name) : "";
    int rc = credentials_copy(to, to_bytes, value, strlen(value));
    if (rc == E_TOO_BIG)
        return credentials_fault(fault, E_CREDENTIALS, "%s is longer than %zu bytes", name,
                                 to_bytes - 1);
    if (rc < 0)
        return credentials_fault(fault, E_CREDENTIALS,
                                 "%s holds a blank or another character that no key has", name);
    return 0;
}

static int copy_variables(char fault[CREDENTIALS_FAULT_BYTES], struct credentials *to)
{
    int rc = copy_variable(id_name, to->access_key_id, sizeof to->access_key_id, fault);
    if (rc == 0)
        rc = copy_variable(secret_name, to->secret_access_key, sizeof to->secret_access_key, fault);
    if (rc == 0)
        rc = copy_variable(token_name, to->session_token, sizeof to->session_token, fault);
    return rc;
}

static int get_env(struct credentials_provider *provider, int64_t deadline_ms,
                   char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    struct credentials credentials = {.expires_mono_ms = INT64_MAX};
    (void)provider;
    (void)deadline_ms;
    bool has_id = is_set(id_name);
    if (!has_id && !is_set(secret_name))
        return credentials_fault(fault, E_NOT_FOUND, "%s is not set", id_name);
    if (!has_id || !is_set(secret_name))
        return credentials_fault(fault, E_CREDENTIALS, "%s is set, but %s is not: set both",
                                 has_id ? id_name : secret_name, has_id ? secret_name : id_name);
    int rc = copy_variables(fault, &credentials);
    if (rc == 0)
        *ret_credentials = credentials;
    credentials_wipe(&credentials);
    return rc;
}

static void close_env(struct credentials_provider *provider)
{
    free(provider);
}

int credentials_env_open(struct credentials_provider **ret_provider)
{
    static const struct credentials_operations operations = {
        .name = "env", .get = get_env, .close = close_env};
    struct credentials_provider *provider = malloc(sizeof *provider);
    if (provider == NULL)
        return E_NO_MEMORY;
    provider->operations = &operations;
    *ret_provider = provider;
    return 0;
}
