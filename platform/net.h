/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_NET_H
#define RUNNEL_PLATFORM_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/stop.h"
#include "platform/stream.h"

/**
 * Resolves HOST (a name or an address, IPv6 without brackets), tries its addresses in turn, each
 * for an even part of the time left, and connects by TCP with TCP_NODELAY, non-blocking,
 * close-on-exec. The resolver is bounded by DEADLINE_MS as well (its own timeout and attempts are
 * set, see resolv.conf(5); to whole seconds, at least one per server) but does not listen to STOP.
 * "localhost" is the loopback address whatever a name server says (RFC 6761 section 6.3).
 * Returns 0 and the descriptor, which the caller closes; E_NAME, E_TIMEOUT, E_STOP, E_NO_MEMORY,
 * error_sys.
 */
int net_connect(const char *host, uint16_t port, int64_t deadline_ms, const struct stop *stop,
                int *ret_fd);

/** A plain stream over FD, which it owns unless it fails. STOP must outlive it. E_NO_MEMORY. */
int net_stream(int fd, const struct stop *stop, struct stream **ret_stream);

/** Whether HOST is a loopback address or "localhost": the only ones to be reached without TLS. */
bool net_is_loopback(const char *host);

#endif
