/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_HTTP_HTTP_CONNECT_H
#define RUNNEL_AGENT_HTTP_HTTP_CONNECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/http/http_parse.h"

/**
 * How an HTTP proxy is asked for a way through to a host (RFC 9110 section 9.3.6). Pure.
 */
struct http_proxy {
    const char *host; /* a name or an address, IPv6 without brackets; NULL: there is no proxy */
    uint16_t port;
    const char *user; /* NULL: without authentication; else "Basic" (RFC 7617) */
    const char *password;
};

enum { HTTP_CONNECT_BYTES = 2048 };

/** Writes the request for HOST (IPv6 without brackets) into HEAD and returns its length. It holds
 *  the password: wipe it. E_INVALID: HOST is none; E_TOO_BIG: it, user or password is too long. */
int http_connect_write(const struct http_proxy *proxy, const char *host, uint16_t port,
                       char head[HTTP_CONNECT_BYTES]);

/**
 * Takes the next byte of the reply, for which http_parse_start was called: the tunnel begins right
 * behind it, so nobody may read further. Returns the status (>= 200) when it is complete; 0 as
 * long as more is needed; E_SYNTAX, E_TOO_BIG. 2xx means that the tunnel stands, whatever the
 * headers say of a body.
 */
int http_connect_feed(struct http_parser *parser, uint8_t byte);

/** What helps against an exchange with a proxy that ended with CODE, or for E_REFUSED with STATUS:
 *  a text that begins with "; ", or "". */
const char *http_connect_remedy(int code, int status);

#endif
