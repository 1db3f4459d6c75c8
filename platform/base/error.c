/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/error.h"

#include <stdio.h>
#include <string.h>

enum { SYS_BASE = 1000, SYS_LAST = 9999, TLS_BASE = 100000, TLS_LAST = 0x7fff };

int error_sys(int errnum)
{
    return -(SYS_BASE + errnum);
}

int error_errno(int code)
{
    return code <= -SYS_BASE && code >= -SYS_LAST ? -code - SYS_BASE : 0;
}

int error_tls(int code)
{
    return -(TLS_BASE - code);
}

int error_tls_code(int code)
{
    return code < -TLS_BASE && code >= -(TLS_BASE + TLS_LAST) ? code + TLS_BASE : 0;
}

static const char *own_text(int code)
{
    switch (code) {
    case E_OK:
        return "no error";
#define ERROR(name, number, text)                                                                  \
    case name:                                                                                     \
        return text;
#include "platform/base/errors.def"
#undef ERROR
    default:
        return NULL;
    }
}

/* strerror_r comes in two shapes (glibc's returns the text, POSIX's a number); strerror_l in one,
 * but musl has no table-free variant. This takes either shape of strerror_r. */
static inline const char *pick_gnu(const char *result, const char *buffer)
{
    (void)buffer;
    return result;
}

static inline const char *pick_posix(int result, const char *buffer)
{
    return result == 0 ? buffer : "unknown error";
}

#define STRERROR(errnum, buffer, bytes)                                                            \
    _Generic(strerror_r((errnum), (buffer), (bytes)), char * : pick_gnu, int : pick_posix)(        \
        strerror_r((errnum), (buffer), (bytes)), (buffer))

const char *error_text(int code, char *text, size_t text_bytes)
{
    const char *own = own_text(code);
    if (own != NULL)
        (void)snprintf(text, text_bytes, "%s", own);
    else if (error_errno(code) != 0) {
        char buffer[ERROR_TEXT_BYTES] = "";
        (void)snprintf(text, text_bytes, "%s", STRERROR(error_errno(code), buffer, sizeof buffer));
    } else if (error_tls_code(code) != 0)
        (void)snprintf(text, text_bytes, "TLS error -0x%04x", (unsigned)-error_tls_code(code));
    else
        (void)snprintf(text, text_bytes, "error %d", code);
    return text;
}
