/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/aws/credentials_fetch.h"
#include "agent/aws/credentials_network.h"
#include "platform/base/error.h"
#include "platform/base/writer.h"

enum { TIME_MS = 20 * 1000, PATH_BYTES = 192 }; /* an alias has at most 128 characters */

struct iot {
    struct credentials_provider provider;
    struct credentials_iot_options options;
    bool warned; /* that others may read the key */
};

/* The words are the endpoint's. */
static const struct credentials_remedy remedies[] = {
    {403, "thing name", false,
     "check \"thing\": it must exist and be attached to the certificate "
     "(aws iot attach-thing-principal)"},
    {403, "ertificate", false,
     "check the certificate: it must be active and of the account and region of \"endpoint\""},
    {403, NULL, false,
     "the certificate must be active and its policy allow iot:AssumeRoleWithCertificate on the "
     "role alias"},
    {404, NULL, false, "check \"role_alias\", and that \"endpoint\" is of its account and region"},
    {400, "Duration", false,
     "the role alias asks for a longer time than the role's maximum session duration"},
    {400, "assume", false, "the role must exist and trust credentials.iot.amazonaws.com"},
    {0},
};

static int write_path(const char *alias, char path[PATH_BYTES])
{
    struct writer out;
    writer_to_memory(&out, path, PATH_BYTES);
    writer_text(&out, "/role-aliases/");
    writer_text(&out, alias);
    writer_text(&out, "/credentials");
    return writer_finish(&out);
}

static int get_iot(struct credentials_provider *provider, int64_t deadline_ms,
                   char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    struct iot *iot = (struct iot *)(void *)provider;
    const struct credentials_iot_options *options = &iot->options;
    char path[PATH_BYTES];
    if (write_path(options->role_alias, path) < 0)
        return credentials_fault(fault, E_CREDENTIALS, "\"role_alias\" is too long");
    const char *key_file = options->server.tls_options.key_file;
    int rc = key_file == NULL ? 0 : credentials_check_file(key_file, &iot->warned, fault);
    if (rc < 0)
        return rc;
    const struct credentials_request request = {
        .server = options->server,
        .method = "GET",
        .path = path,
        .headers = {{"x-amzn-iot-thingname", options->thing}},
        .time_ms = TIME_MS};
    rc = credentials_fetch_keys(&request, CREDENTIALS_FORM_IOT, remedies, deadline_ms, fault,
                                ret_credentials);
    return rc == E_NOT_FOUND ? E_TIMEOUT : rc;
}

static void close_iot(struct credentials_provider *provider)
{
    free(provider);
}

int credentials_iot_open(const struct credentials_iot_options *options,
                         struct credentials_provider **ret_provider)
{
    static const struct credentials_operations operations = {
        .name = "iot", .slow = true, .get = get_iot, .close = close_iot};
    struct iot *iot = calloc(1, sizeof *iot);
    if (iot == NULL)
        return E_NO_MEMORY;
    iot->provider.operations = &operations;
    iot->options = *options;
    iot->options.server.tls = true;
    *ret_provider = &iot->provider;
    return 0;
}
