/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/proxy_url.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/base/url.h"

enum { ADDRESS_BYTES = 16, ENTRY_BYTES = 300, DEFAULT_PORT = 1080 };

/* ---- the URL ---- */

/* COUNT characters of TEXT with their %XX; what would end a header line is no part of a secret. */
static int decode(const char *text, size_t count, char to[PROXY_URL_SECRET_BYTES])
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        int byte = (unsigned char)text[i];
        if (byte == '%') {
            if (count - i < 3)
                return E_SYNTAX;
            int high = bytes_hex_digit(text[i + 1]);
            int low = bytes_hex_digit(text[i + 2]);
            if (high < 0 || low < 0)
                return E_SYNTAX;
            byte = high << 4 | low;
            i += 2;
        }
        if (byte < ' ' || byte == 0x7f || used == PROXY_URL_SECRET_BYTES - 1)
            return E_SYNTAX;
        to[used++] = (char)byte;
    }
    to[used] = '\0';
    return 0;
}

/* "user:password" in front of the "@" at END. */
static int parse_user(const char *from, const char *end, struct proxy_url *proxy)
{
    const char *colon = memchr(from, ':', (size_t)(end - from));
    const char *user_end = colon == NULL ? end : colon;
    proxy->has_user = true;
    int rc = decode(from, (size_t)(user_end - from), proxy->user);
    if (rc < 0 || proxy->user[0] == '\0' || strchr(proxy->user, ':') != NULL)
        return E_SYNTAX; /* Basic authentication knows no name with a colon */
    return colon == NULL ? 0 : decode(colon + 1, (size_t)(end - colon - 1), proxy->password);
}

static const char *skip_scheme(const char *url)
{
    static const char scheme[] = "http://";
    const char *mark = strstr(url, "://");
    if (mark == NULL)
        return url;
    return strncasecmp(url, scheme, sizeof scheme - 1) == 0 ? url + sizeof scheme - 1 : NULL;
}

static int parse_place(const char *at, struct proxy_url *proxy)
{
    int rc = url_take_host(&at, proxy->host);
    if (rc == 0)
        rc = url_take_port(&at, &proxy->port);
    if (rc == 0 && strcmp(at, "") != 0 && strcmp(at, "/") != 0)
        rc = E_SYNTAX;
    return rc;
}

int proxy_url_parse(const char *url, struct proxy_url *ret_proxy)
{
    struct proxy_url proxy = {.port = DEFAULT_PORT};
    const char *at = skip_scheme(url);
    int rc = 0;
    if (at == NULL)
        return E_UNSUPPORTED;
    const char *user_end = strrchr(at, '@');
    if (user_end != NULL) {
        rc = parse_user(at, user_end, &proxy);
        at = user_end + 1;
    }
    if (rc == 0)
        rc = parse_place(at, &proxy);
    if (rc == 0)
        *ret_proxy = proxy;
    explicit_bzero(&proxy, sizeof proxy);
    return rc;
}

/* ---- the exceptions ---- */

/* An address as IPv6 has it, so that one comparison serves both. False: TEXT is none. */
static bool parse_address(const char *text, uint8_t address[ADDRESS_BYTES])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (inet_pton(AF_INET6, text, address) == 1)
        return true;
    memcpy(address, mapped, sizeof mapped);
    return inet_pton(AF_INET, text, address + sizeof mapped) == 1;
}

static bool is_in_network(const uint8_t *address, const uint8_t *network, unsigned bits)
{
    unsigned whole = bits / 8;
    uint8_t mask = (uint8_t)(0xff00u >> bits % 8);
    return memcmp(address, network, whole) == 0 &&
           (bits % 8 == 0 || (address[whole] & mask) == (network[whole] & mask));
}

/* BITS of a network, behind its slash; the address in front of it was IPv4 if FOUR. */
static bool parse_bits(const char *text, bool four, unsigned *ret_bits)
{
    size_t digits = strspn(text, "0123456789");
    unsigned bits = 0;
    if (digits == 0 || digits > 3 || text[digits] != '\0')
        return false;
    for (; *text != '\0'; text++)
        bits = bits * 10 + (unsigned)(*text - '0');
    if (bits > (four ? 32u : 128u))
        return false;
    *ret_bits = four ? bits + 96 : bits;
    return true;
}

static bool has_address(char *entry, const uint8_t *address)
{
    uint8_t network[ADDRESS_BYTES];
    unsigned bits = 128;
    char *slash = strchr(entry, '/');
    if (slash != NULL)
        *slash = '\0';
    if (!parse_address(entry, network))
        return false;
    if (slash != NULL && !parse_bits(slash + 1, strchr(entry, ':') == NULL, &bits))
        return false;
    return is_in_network(address, network, bits);
}

static bool has_name(const char *entry, const char *host)
{
    size_t host_bytes = strlen(host);
    if (*entry == '.')
        entry++;
    size_t bytes = strlen(entry);
    if (bytes > 0 && entry[bytes - 1] == '.')
        bytes--;
    if (bytes == 0 || bytes > host_bytes ||
        strncasecmp(host + host_bytes - bytes, entry, bytes) != 0)
        return false;
    return bytes == host_bytes || host[host_bytes - bytes - 1] == '.';
}

/* Takes a port off the end of ENTRY, and the brackets off its address. False: not this port. */
static bool takes_port(char **entry, uint16_t port)
{
    char *text = *entry;
    char *end = text[0] == '[' ? strchr(text, ']') : NULL;
    char *colon = end != NULL ? end + 1 : strchr(text, ':');
    unsigned long number = 0;
    if (end != NULL) {
        *end = '\0';
        *entry = text + 1;
    } else if (colon == NULL || strchr(colon + 1, ':') != NULL)
        return true; /* an IPv6 address as it is */
    if (*colon == '\0')
        return true;
    size_t digits = strspn(colon + 1, "0123456789");
    if (*colon != ':' || digits == 0 || digits > 5 || colon[1 + digits] != '\0')
        return false;
    for (const char *c = colon + 1; *c != '\0'; c++)
        number = number * 10 + (unsigned long)(*c - '0');
    if (end == NULL)
        *colon = '\0';
    return number == port;
}

bool proxy_url_is_excepted(const char *list, const char *host, uint16_t port)
{
    static const char between[] = ", \t";
    uint8_t address[ADDRESS_BYTES];
    bool is_address = parse_address(host, address);
    const char *at = list == NULL ? "" : list;
    for (at += strspn(at, between); *at != '\0'; at += strspn(at, between)) {
        char text[ENTRY_BYTES];
        char *entry = text;
        size_t bytes = strcspn(at, between);
        if (bytes < sizeof text) {
            memcpy(text, at, bytes);
            text[bytes] = '\0';
            if (strcmp(text, "*") == 0)
                return true;
            if (takes_port(&entry, port) &&
                (is_address ? has_address(entry, address) : has_name(entry, host)))
                return true;
        }
        at += bytes;
    }
    return false;
}
