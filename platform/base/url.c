/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/url.h"

#include <string.h>

#include "platform/base/error.h"
#include "platform/base/parse.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS  "0123456789"

int url_take_host(const char **at, char host[URL_HOST_BYTES])
{
    bool brackets = **at == '[';
    const char *from = brackets ? *at + 1 : *at;
    size_t count = strspn(from, brackets ? "abcdefABCDEF:." DIGITS : LETTERS DIGITS "-_.");
    if (count == 0 || count >= URL_HOST_BYTES || (brackets && from[count] != ']'))
        return E_SYNTAX;
    memcpy(host, from, count);
    host[count] = '\0';
    *at = from + count + (brackets ? 1 : 0);
    return 0;
}

int url_take_port(const char **at, uint16_t *port)
{
    uint64_t number = 0;
    if (**at != ':')
        return 0;
    size_t count = strspn(*at + 1, DIGITS);
    int rc = parse_unsigned(*at + 1, count, &number);
    if (rc < 0 || number == 0 || number > UINT16_MAX)
        return E_SYNTAX;
    *port = (uint16_t)number;
    *at += 1 + count;
    return 0;
}

int url_parse(const char *text, struct url *ret_url)
{
    static const char *const schemes[] = {"http://", "https://"};
    struct url url = {.tls = strncmp(text, schemes[1], strlen(schemes[1])) == 0};
    const char *scheme = schemes[url.tls];
    if (strncmp(text, scheme, strlen(scheme)) != 0)
        return E_SYNTAX;
    const char *at = text + strlen(scheme);
    url.port = url.tls ? 443 : 80;
    int rc = url_take_host(&at, url.host);
    if (rc == 0)
        rc = url_take_port(&at, &url.port);
    if (rc < 0)
        return rc;
    if (*at != '\0' && *at != '/')
        return E_SYNTAX;
    url.rest = at;
    *ret_url = url;
    return 0;
}
