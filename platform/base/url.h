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

/** E_SYNTAX. */
int url_parse(const char *text, struct url *ret_url);

#endif
