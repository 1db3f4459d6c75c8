/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_BASE_URL_H
#define RUNNEL_PLATFORM_BASE_URL_H

#include <stdbool.h>
#include <stdint.h>

/** An http or https URL, taken apart (RFC 3986), without user and password. Pure. */
enum { URL_HOST_BYTES = 256 };

struct url {
    bool tls;                  /* https */
    char host[URL_HOST_BYTES]; /* a name or an address, IPv6 without brackets */
    uint16_t port;             /* 443 or 80 where none is written */
    const char *rest;          /* into the text: what stands behind, "" or from the slash on */
};

/** Takes the host off AT: a name, an IPv4 address or an IPv6 address in brackets. E_SYNTAX. */
int url_take_host(const char **at, char host[URL_HOST_BYTES]);

/** Takes ":PORT" off AT, if it is there. E_SYNTAX: it is no port. */
int url_take_port(const char **at, uint16_t *port);

/** E_SYNTAX. */
int url_parse(const char *text, struct url *ret_url);

#endif
