/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/aws/credentials.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/fs.h"
#include "platform/hash.h"

typedef int credentials_getter(struct credentials_provider *provider, int64_t deadline_ms,
                               char fault[CREDENTIALS_FAULT_BYTES],
                               struct credentials *ret_credentials);

static int get(credentials_getter *from, struct credentials_provider *provider, int64_t deadline_ms,
               char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    fault[0] = '\0';
    int rc = from(provider, deadline_ms, fault, ret_credentials);
    if (rc == 0)
        fault[0] = '\0'; /* of a try that failed before */
    return rc;
}

int credentials_get(struct credentials_provider *provider, int64_t deadline_ms,
                    char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    return get(provider->operations->get, provider, deadline_ms, fault, ret_credentials);
}

int credentials_get_other(struct credentials_provider *provider, int64_t deadline_ms,
                          char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    const struct credentials_operations *operations = provider->operations;
    return get(operations->get_other != NULL ? operations->get_other : operations->get, provider,
               deadline_ms, fault, ret_credentials);
}

void credentials_expire(struct credentials_provider *provider, const struct credentials *used)
{
    if (provider->operations->expire != NULL)
        provider->operations->expire(provider, used);
}

int credentials_start(struct credentials_provider *provider, const char *name,
                      struct progress *progress)
{
    if (provider->operations->start == NULL)
        return 0;
    return provider->operations->start(provider, name, progress);
}

int credentials_stop(struct credentials_provider *provider, int64_t deadline_ms)
{
    if (provider->operations->stop == NULL)
        return 0;
    return provider->operations->stop(provider, deadline_ms);
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

enum { KNOWN_BYTES = 16 }; /* by which a secret is known: the text may be cut behind them */

/* How much of TEXT is SECRET, or another that begins like it, as session tokens of AWS do. */
static size_t secret_bytes(const char *secret, const char *text)
{
    size_t same = 0;
    while (secret[same] != '\0' && text[same] == secret[same])
        same++;
    return same + strspn(text + same, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789-._~+/=%");
}

static void hide(const char *secret, char *text)
{
    static const char stars[] = "***";
    size_t known = strnlen(secret, KNOWN_BYTES);
    char *at = text;
    while (known > 0 && (at = memmem(at, strlen(at), secret, known)) != NULL) {
        size_t bytes = secret_bytes(secret, at);
        size_t left = bytes < sizeof stars - 1 ? bytes : sizeof stars - 1;
        memcpy(at, stars, left);
        memmove(at + left, at + bytes, strlen(at + bytes) + 1);
        at += left;
    }
}

void credentials_hide(const char *secret, char *text)
{
    const char *blank = strrchr(secret, ' ');
    hide(secret, text);
    if (blank != NULL)
        hide(blank + 1, text);
}

const char *credentials_variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

int credentials_check_mode(const char *path, unsigned mode, bool *warned,
                           char fault[CREDENTIALS_FAULT_BYTES])
{
    if ((mode & (S_IWGRP | S_IWOTH)) != 0)
        return credentials_fault(fault, E_REFUSED,
                                 "%s may be written by others than its owner, so anybody's keys "
                                 "may stand there: chmod go-w it",
                                 path);
    if ((mode & S_IROTH) != 0 && !*warned) {
        log_warning("credentials-file-readable path=\"%s\" mode=%04o remedy=\"chmod o-r\"", path,
                    mode & 07777);
        *warned = true;
    }
    return 0;
}

int credentials_check_file(const char *path, bool *warned, char fault[CREDENTIALS_FAULT_BYTES])
{
    struct stat status;
    if (stat(path, &status) < 0)
        return credentials_fault(fault, E_CREDENTIALS, "%s: %s", path,
                                 ERROR_TEXT(error_sys(errno)));
    int rc = credentials_check_mode(path, status.st_mode, warned, fault);
    return rc == E_REFUSED ? E_CREDENTIALS : rc;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

int credentials_read_value(const char *path, bool *warned, char *value, size_t value_bytes,
                           char fault[CREDENTIALS_FAULT_BYTES])
{
    int rc = credentials_check_file(path, warned, fault);
    if (rc < 0)
        return rc;
    int count = fs_read_file(path, value, value_bytes);
    if (count < 0)
        return credentials_fault(fault, E_CREDENTIALS, "%s: %s", path, ERROR_TEXT(count));
    while (count > 0 &&
           (value[count - 1] == '\n' || value[count - 1] == '\r' || is_blank(value[count - 1])))
        value[--count] = '\0';
    for (int i = 0; i < count; i++)
        if ((value[i] < ' ' && value[i] != '\t') || value[i] >= 0x7f)
            return credentials_fault(fault, E_CREDENTIALS, "%s holds a character that no token has",
                                     path);
    return count > 0 ? count : credentials_fault(fault, E_CREDENTIALS, "%s is empty", path);
}

int credentials_read_token(const char *path, bool *warned, char *token, size_t token_bytes,
                           char fault[CREDENTIALS_FAULT_BYTES])
{
    int count = credentials_read_value(path, warned, token, token_bytes, fault);
    for (int i = 0; i < count; i++)
        if (is_blank(token[i]))
            return credentials_fault(fault, E_CREDENTIALS, "%s holds a blank, which no token has",
                                     path);
    return count;
}
