/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/aws/credentials.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/hash.h"

int credentials_get(struct credentials_provider *provider, int64_t deadline_ms,
                    char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    fault[0] = '\0';
    return provider->operations->get(provider, deadline_ms, fault, ret_credentials);
}

void credentials_expire(struct credentials_provider *provider)
{
    if (provider->operations->expire != NULL)
        provider->operations->expire(provider);
}

void credentials_close(struct credentials_provider *provider)
{
    if (provider != NULL)
        provider->operations->close(provider);
}

void credentials_wipe(struct credentials *credentials)
{
    hash_wipe(credentials, sizeof *credentials);
}

int credentials_copy(char *to, size_t to_bytes, const char *text, size_t count)
{
    if (count >= to_bytes)
        return E_TOO_BIG;
    for (size_t i = 0; i < count; i++)
        if (text[i] <= ' ' || text[i] >= 0x7f)
            return E_SYNTAX;
    memcpy(to, text, count);
    to[count] = '\0';
    return 0;
}

int credentials_fault(char fault[CREDENTIALS_FAULT_BYTES], int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(fault, CREDENTIALS_FAULT_BYTES, format, arguments);
    va_end(arguments);
    return code;
}
