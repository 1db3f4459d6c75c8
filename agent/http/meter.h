/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_HTTP_METER_H
#define RUNNEL_AGENT_HTTP_METER_H

#include <stdint.h>

/**
 * Who counts the bytes of a link that several connections share, and paces them. Called from any
 * thread; neither call waits for another connection.
 */
struct http_meter {
    /** So many bytes went out and came in since the last call, as the sockets see them. */
    void (*count)(void *context, uint64_t bytes_out, uint64_t bytes_in);
    /** How long from now the next piece has to wait, in ms; 0: not at all. */
    int64_t (*wait_ms)(void *context);
    void *context;
};

#endif
