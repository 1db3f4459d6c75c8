/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_THROTTLE_H
#define RUNNEL_AGENT_INTAKE_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/intake/coap_door.h"

/**
 * How much peers may send: a bucket of messages and one of bytes for each peer, and both for
 * everybody together. Bounded: whoever was silent for longest is forgotten, and begins with full
 * buckets if it comes again. Peers with an identity and those without are remembered in places of
 * their own, and the upper half of what everybody has together is what those without may take: a
 * flood of strangers neither makes a known peer forgotten nor leaves nothing for it.
 */
struct throttle;

struct throttle_options {
    struct coap_door_rate peer_messages;
    struct coap_door_rate peer_bytes;
    struct coap_door_rate all_messages;
    struct coap_door_rate all_bytes;
    size_t peers_max; /* with an identity, and as many without */
};

/** E_NO_MEMORY. */
int throttle_open(const struct throttle_options *options, struct throttle **ret_throttle);

/** NULL is allowed. */
void throttle_close(struct throttle *throttle);

enum { THROTTLE_PEER_BYTES = 16 };

struct throttle_load {
    uint8_t peer[THROTTLE_PEER_BYTES]; /* evenly spread: a hash */
    bool has_identity;
    uint64_t messages;
    uint64_t bytes;
};

/** 0: LOAD passes, and is taken from the buckets; else nothing is, and it would pass in so many
 *  seconds. More than a bucket holds passes when it is full. NOW_MS is of clock_mono_ms. */
unsigned throttle_take(struct throttle *throttle, const struct throttle_load *load, int64_t now_ms);

/** How many peers are remembered. */
size_t throttle_count(const struct throttle *throttle);

#endif
