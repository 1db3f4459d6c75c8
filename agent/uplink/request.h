/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_REQUEST_H
#define RUNNEL_AGENT_UPLINK_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/aws/credentials.h"
#include "agent/aws/sigv4.h"
#include "agent/uplink/dest/dest.h"

/**
 * The head of a request. Where it is signed, so are host, content-type and every header of the
 * destination's own (IAM User Guide, "Create a signed AWS API request"). Pure.
 */
enum { REQUEST_HEAD_BYTES = 7680 }; /* a session token may have 4 KB */

struct request {
    const char *host;
    uint16_t port;
    bool tls;
    const struct dest_head *head;
    const char *region;
    const char *user_agent;
    const struct credentials *credentials; /* NULL: neither signature nor token */
    int64_t wall_ms;                       /* the time that is signed */
    const char *body_hash;
    uint64_t body_bytes;
};

/**
 * Writes the head. KEY is the signing key of the last request, or zeroed. Returns the count;
 * E_TOO_BIG: it does not fit; E_INVALID: a value would not be a valid header.
 */
int request_write_head(const struct request *request, struct sigv4_key *key,
                       char ret_head[REQUEST_HEAD_BYTES]);

#endif
