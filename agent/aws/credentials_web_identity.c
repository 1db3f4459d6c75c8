/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/aws/credentials_fetch.h"
#include "agent/aws/credentials_network.h"
#include "platform/base/error.h"
#include "platform/base/writer.h"
#include "platform/hash.h"

enum {
    TIME_MS = 20 * 1000,
    TOKEN_BYTES = 20001, /* STS takes 20,000 */
};

struct web_identity {
    struct credentials_provider provider;
    struct credentials_web_identity_options options;
    char session[CREDENTIALS_SESSION_BYTES];
    bool warned; /* that others may read the token */
};

/* The form of one request. */
struct form {
    const struct web_identity *identity;
    const char *token;
};

static const struct credentials_remedy remedies[] = {
    {0, "IDPCommunicationError", true, "STS could not reach the issuer of the token"},
    {0, "ExpiredToken", false, "the token in the file has expired: who writes it has stopped"},
    {0, "InvalidIdentityToken", false,
     "the token is none of an identity provider that the account knows: check it in IAM"},
    {0, "IDPRejectedClaim", false, "the issuer has withdrawn the token, or its claims do not fit"},
    {0, "AccessDenied", false,
     "the role must exist and its trust policy allow sts:AssumeRoleWithWebIdentity to this token"},
    {0, "ValidationError", false, "check \"role_arn\" and \"session_name\""},
    {0, "RegionDisabled", false, "STS is not active in this region: choose another in \"region\""},
    {0},
};

static int write_form(void *context, struct writer *out)
{
    const struct form *form = context;
    writer_text(out, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15");
    credentials_fetch_write_member(out, "&RoleArn=", form->identity->options.role_arn);
    credentials_fetch_write_member(out, "&RoleSessionName=", form->identity->session);
    credentials_fetch_write_member(out, "&WebIdentityToken=", form->token);
    return 0;
}

static int send_form(const struct web_identity *identity, const char *token, int64_t deadline_ms,
                     char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    const struct credentials_web_identity_options *options = &identity->options;
    struct form form = {identity, token};
    const struct credentials_request request = {
        .server = options->server,
        .method = "POST",
        .path = "/",
        .headers = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}},
        .write_body = write_form,
        .context = &form,
        .time_ms = TIME_MS};
    int rc = credentials_fetch_keys(&request, CREDENTIALS_FORM_STS, remedies, deadline_ms, fault,
                                    ret_credentials);
    return rc == E_NOT_FOUND ? E_TIMEOUT : rc;
}

static int check_settings(const struct web_identity *identity, char fault[CREDENTIALS_FAULT_BYTES])
{
    const struct credentials_web_identity_options *options = &identity->options;
    if (options->token_file == NULL)
        return credentials_fault(fault, options->asked_for ? E_CREDENTIALS : E_NOT_FOUND,
                                 "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
    if (options->role_arn == NULL)
        return credentials_fault(fault, E_CREDENTIALS,
                                 "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
    if (options->server.host == NULL)
        return credentials_fault(fault, E_CREDENTIALS,
                                 "no region is known to ask STS in: set AWS_REGION");
    return 0;
}

static int get_web_identity(struct credentials_provider *provider, int64_t deadline_ms,
                            char fault[CREDENTIALS_FAULT_BYTES],
                            struct credentials *ret_credentials)
{
    struct web_identity *identity = (struct web_identity *)(void *)provider;
    int rc = check_settings(identity, fault);
    if (rc < 0)
        return rc;
    char *token = malloc(TOKEN_BYTES);
    if (token == NULL)
        return credentials_fault(fault, E_NO_MEMORY, "out of memory");
    rc = credentials_read_token(identity->options.token_file, &identity->warned, token, TOKEN_BYTES,
                                fault);
    if (rc > 0)
        rc = send_form(identity, token, deadline_ms, fault, ret_credentials);
    hash_wipe(token, TOKEN_BYTES);
    free(token);
    return rc;
}

static void close_web_identity(struct credentials_provider *provider)
{
    free(provider);
}

static const char *or_variable(const char *text, const char *name)
{
    return text != NULL ? text : credentials_variable(name);
}

int credentials_web_identity_open(const struct credentials_web_identity_options *options,
                                  struct credentials_provider **ret_provider)
{
    static const struct credentials_operations operations = {
        .name = "web_identity", .slow = true, .get = get_web_identity, .close = close_web_identity};
    struct web_identity *identity = calloc(1, sizeof *identity);
    if (identity == NULL)
        return E_NO_MEMORY;
    identity->provider.operations = &operations;
    identity->options = *options;
    identity->options.token_file = or_variable(options->token_file, "AWS_WEB_IDENTITY_TOKEN_FILE");
    identity->options.role_arn = or_variable(options->role_arn, "AWS_ROLE_ARN");
    const char *session = or_variable(options->session_name, "AWS_ROLE_SESSION_NAME");
    session = session != NULL ? session : options->device;
    credentials_fetch_name_session(session != NULL ? session : "", identity->session);
    *ret_provider = &identity->provider;
    return 0;
}
