/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/http_write.h"

#include <string.h>

#include "platform/base/error.h"

enum { PORT_HTTP = 80, PORT_HTTPS = 443 };

static bool is_visible(char character)
{
    return character > ' ' && character < 0x7f;
}

/* RFC 9110 section 5.6.2. */
static bool is_token(const char *text)
{
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++)
        if (!is_visible(*text) || strchr("\"(),/:;<=>?@[\\]{}", *text) != NULL)
            return false;
    return true;
}

static bool is_target(const char *text, const char *forbidden)
{
    for (; *text != '\0'; text++)
        if (!is_visible(*text) || strchr(forbidden, *text) != NULL)
            return false;
    return true;
}

static bool is_blank(char character)
{
    return character == ' ' || character == '\t';
}

static bool is_value(const char *text)
{
    size_t count = strlen(text);
    if (count > 0 && (is_blank(text[0]) || is_blank(text[count - 1])))
        return false;
    for (; *text != '\0'; text++)
        if (!is_visible(*text) && !is_blank(*text))
            return false;
    return true;
}

void http_write_request_line(struct writer *out, const char *method, const char *path,
                             const char *query)
{
    const char *given = query == NULL ? "" : query;
    if (!is_token(method) || path[0] != '/' || !is_target(path, "?#") || !is_target(given, "#")) {
        writer_fail(out, E_INVALID);
        return;
    }
    writer_text(out, method);
    writer_char(out, ' ');
    writer_text(out, path);
    if (given[0] != '\0') {
        writer_char(out, '?');
        writer_text(out, given);
    }
    writer_text(out, " HTTP/1.1\r\n");
}

void http_write_header(struct writer *out, const char *name, const char *value)
{
    if (!is_token(name) || !is_value(value)) {
        writer_fail(out, E_INVALID);
        return;
    }
    writer_text(out, name);
    writer_text(out, ": ");
    writer_text(out, value);
    writer_text(out, "\r\n");
}

void http_write_header_unsigned(struct writer *out, const char *name, uint64_t value)
{
    char digits[24];
    struct writer number;
    writer_to_memory(&number, digits, sizeof digits);
    writer_unsigned(&number, value);
    (void)writer_finish(&number); /* 20 digits at most */
    http_write_header(out, name, digits);
}

void http_write_end(struct writer *out)
{
    writer_text(out, "\r\n");
}

void http_write_host(struct writer *out, const char *host, uint16_t port, bool tls)
{
    bool is_ipv6 = strchr(host, ':') != NULL;
    if (host[0] == '\0' || !is_target(host, "/?#@[]")) {
        writer_fail(out, E_INVALID);
        return;
    }
    if (is_ipv6)
        writer_char(out, '[');
    writer_text(out, host);
    if (is_ipv6)
        writer_char(out, ']');
    if (port != (tls ? PORT_HTTPS : PORT_HTTP)) {
        writer_char(out, ':');
        writer_unsigned(out, port);
    }
}
