/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_HTTP_HTTP_WRITE_H
#define RUNNEL_AGENT_HTTP_HTTP_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/writer.h"

/**
 * Writes the head of an HTTP/1.1 request (RFC 9112) into a writer. Pure. What would let a value
 * from a configuration or a server start a line of its own is refused: the writer then fails with
 * E_INVALID, which sticks like every error of a writer.
 */

/** "METHOD PATH?QUERY HTTP/1.1". PATH begins with "/" and is encoded already, as is QUERY, which
 *  is "" or NULL for none. E_INVALID: METHOD is no token, PATH does not begin with "/" or
 *  holds a "?", or one of them holds a blank, a "#", a control or a non-ASCII byte. */
void http_write_request_line(struct writer *out, const char *method, const char *path,
                             const char *query);

/** "NAME: VALUE". E_INVALID: NAME is no token, or VALUE holds other than visible ASCII characters
 *  with blanks and tabs between them. "" is a value. */
void http_write_header(struct writer *out, const char *name, const char *value);
void http_write_header_unsigned(struct writer *out, const char *name, uint64_t value);

/** The empty line behind the last header. */
void http_write_end(struct writer *out);

/** The value of the Host header, which SigV4 signs as well: HOST, an IPv6 address in brackets,
 *  and the port unless it is the usual one (443 with TLS, 80 without). E_INVALID as for a header.
 */
void http_write_host(struct writer *out, const char *host, uint16_t port, bool tls);

#endif
