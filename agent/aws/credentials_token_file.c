/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "agent/aws/credentials.h"
#include "platform/base/error.h"

struct token_file {
    struct credentials_provider provider;
    const char *path;
    bool with_blanks;
    bool warned; /* that others may read it */
};

static int get_token_file(struct credentials_provider *provider, int64_t deadline_ms,
                          char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    struct token_file *file = (struct token_file *)(void *)provider;
    struct credentials read = {.expires_mono_ms = INT64_MAX};
    (void)deadline_ms;
    int rc = (file->with_blanks ? credentials_read_value : credentials_read_token)(
        file->path, &file->warned, read.session_token, sizeof read.session_token, fault);
    if (rc >= 0)
        *ret_credentials = read;
    credentials_wipe(&read);
    return rc < 0 ? rc : E_OK;
}

static void close_token_file(struct credentials_provider *provider)
{
    free(provider);
}

int credentials_token_file_open(const char *path, bool with_blanks,
                                struct credentials_provider **ret_provider)
{
    static const struct credentials_operations operations = {
        .name = "token_file", .get = get_token_file, .close = close_token_file};
    struct token_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return E_NO_MEMORY;
    file->provider.operations = &operations;
    file->path = path;
    file->with_blanks = with_blanks;
    *ret_provider = &file->provider;
    return E_OK;
}
