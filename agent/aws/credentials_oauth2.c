/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/aws/credentials_fetch.h"
#include "agent/aws/credentials_network.h"
#include "platform/base/base64.h"
#include "platform/base/error.h"
#include "platform/base/writer.h"
#include "platform/hash.h"

enum {
    TIME_MS = 20 * 1000,
    PLAIN_BYTES = 3 * (CREDENTIALS_ID_BYTES + CREDENTIALS_SECRET_BYTES), /* each byte as %XX */
    BASIC_BYTES = PLAIN_BYTES / 3 * 4 + 16,
};

struct oauth2 {
    struct credentials_provider provider;
    struct credentials_oauth2_options options;
    bool warned; /* that others may read the secret */
};

/* RFC 6749, 5.2. Cognito says invalid_client with 400, others with 401. */
static const struct credentials_remedy remedies[] = {
    {0, "invalid_client", false, "check \"client_id\" and the secret in \"client_secret_file\""},
    {0, "invalid_scope", false, "check \"scope\", and that this client may have it"},
    {0, "unauthorized_client", false, "let this client use the client_credentials grant"},
    {0, "invalid_grant", false, "let this client use the client_credentials grant"},
    {0, "unsupported_grant_type", false, "the server has no client_credentials grant"},
    {0, "temporarily_unavailable", true, "the server is busy"},
    {0, "server_error", true, "the server has a fault of its own"},
    {0, "TooManyRequests", true, "the server is asked too often"},
    {401, NULL, false, "check \"client_id\" and the secret in \"client_secret_file\""},
    {0, NULL, false, "check \"token_url\""},
    {0},
};

/* ---- the request ---- */

static int write_form(void *context, struct writer *out)
{
    const struct oauth2 *oauth2 = context;
    writer_text(out, "grant_type=client_credentials");
    if (oauth2->options.scope != NULL)
        credentials_fetch_write_member(out, "&scope=", oauth2->options.scope);
    return 0;
}

/* "Basic ID:SECRET", each written as in a form before both are encoded. */
static int write_basic(const char *id, const char *secret, char ret_value[BASIC_BYTES])
{
    char plain[PLAIN_BYTES];
    struct base64 base64;
    struct writer out;
    writer_to_memory(&out, plain, sizeof plain);
    credentials_fetch_write_member(&out, "", id);
    credentials_fetch_write_member(&out, ":", secret);
    int rc = writer_finish(&out);
    size_t plain_bytes = out.used_bytes;
    if (rc == E_OK) {
        writer_to_memory(&out, ret_value, BASIC_BYTES);
        writer_text(&out, "Basic ");
        base64_start(&base64);
        base64_add(&base64, (const uint8_t *)plain, plain_bytes, &out);
        base64_finish(&base64, &out);
        rc = writer_finish(&out);
        hash_wipe(&base64, sizeof base64);
    }
    hash_wipe(plain, sizeof plain);
    return rc;
}

static int ask(struct oauth2 *oauth2, const char *basic, int64_t deadline_ms,
               char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    const struct credentials_oauth2_options *options = &oauth2->options;
    const struct credentials_request request = {
        .server = options->server,
        .method = "POST",
        .path = options->path,
        .query = options->query,
        .headers = {{"Authorization", basic},
                    {"Content-Type", "application/x-www-form-urlencoded"}},
        .write_body = write_form,
        .context = oauth2,
        .time_ms = TIME_MS};
    int rc = credentials_fetch_keys(&request, CREDENTIALS_FORM_OAUTH2, remedies, deadline_ms, fault,
                                    ret_credentials);
    return rc == E_NOT_FOUND ? E_TIMEOUT : rc;
}

/* ---- the provider ---- */

static int get_oauth2(struct credentials_provider *provider, int64_t deadline_ms,
                      char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    struct oauth2 *oauth2 = (struct oauth2 *)(void *)provider;
    const struct credentials_oauth2_options *options = &oauth2->options;
    char secret[CREDENTIALS_SECRET_BYTES];
    char basic[BASIC_BYTES] = "";
    int rc = credentials_read_token(options->client_secret_file, &oauth2->warned, secret,
                                    sizeof secret, fault);
    if (rc >= 0)
        rc = write_basic(options->client_id, secret, basic);
    if (rc == E_TOO_BIG)
        rc = credentials_fault(fault, E_CREDENTIALS, "\"client_id\" is too long");
    if (rc == E_OK) {
        rc = ask(oauth2, basic, deadline_ms, fault, ret_credentials);
        credentials_hide(secret, fault);
    }
    hash_wipe(secret, sizeof secret);
    hash_wipe(basic, sizeof basic);
    return rc;
}

static void close_oauth2(struct credentials_provider *provider)
{
    free(provider);
}

int credentials_oauth2_open(const struct credentials_oauth2_options *options,
                            struct credentials_provider **ret_provider)
{
    static const struct credentials_operations operations = {
        .name = "oauth2", .slow = true, .get = get_oauth2, .close = close_oauth2};
    struct oauth2 *oauth2 = calloc(1, sizeof *oauth2);
    if (oauth2 == NULL)
        return E_NO_MEMORY;
    oauth2->provider.operations = &operations;
    oauth2->options = *options;
    *ret_provider = &oauth2->provider;
    return E_OK;
}
