/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_PROXY_URL_H
#define RUNNEL_AGENT_CONTROL_PROXY_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Where an HTTP proxy is, and which hosts are reached without it. Pure. */
enum { PROXY_URL_HOST_BYTES = 256, PROXY_URL_SECRET_BYTES = 256 };

struct proxy_url {
    char host[PROXY_URL_HOST_BYTES]; /* IPv6 without brackets */
    uint16_t port;
    bool has_user;
    char user[PROXY_URL_SECRET_BYTES];
    char password[PROXY_URL_SECRET_BYTES];
};

/**
 * Takes "http://user:password@host:port" apart; scheme, "user:password@" (bytes written as %XX in
 * it are decoded) and a slash at the end may be missing, the port is 1080 then, as curl has it.
 * 0; E_UNSUPPORTED: another scheme than http; E_SYNTAX.
 */
int proxy_url_parse(const char *url, struct proxy_url *ret_proxy);

/**
 * Whether LIST (NO_PROXY; commas or blanks between its entries, NULL: none) has HOST (IPv6 without
 * brackets) and PORT: "*" has all; a name has itself and what ends in it behind a dot, whether it
 * begins with one or not; an address itself; ADDRESS/BITS the network; ":port" behind a name, or
 * an IPv6 address in brackets, confines it to that port.
 */
bool proxy_url_is_excepted(const char *list, const char *host, uint16_t port);

#endif
