/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_SEEN_H
#define RUNNEL_AGENT_INTAKE_SEEN_H

#include <stddef.h>
#include <stdint.h>

/**
 * Which messages were taken, so that one that its peer repeats is not taken again: for
 * EXCHANGE_LIFETIME (RFC 7252 section 4.8.2), or until as many others came as there are places.
 */
struct seen;

enum { SEEN_KEY_BYTES = 16, SEEN_LIFETIME_MS = 247 * 1000 };

/** What was made of it. */
enum seen_state {
    SEEN_NOT,
    SEEN_WAITS,    /* its records are not durable yet */
    SEEN_ANSWERED, /* with success */
};

/** E_NO_MEMORY. */
int seen_open(size_t places, struct seen **ret_seen);

/** NULL is allowed. */
void seen_close(struct seen *seen);

/** KEY is a hash of the peer and the message. NOW_MS is of clock_mono_ms. */
enum seen_state seen_find(const struct seen *seen, const uint8_t key[SEEN_KEY_BYTES],
                          int64_t now_ms);

/** A message that is not there yet. */
void seen_add(struct seen *seen, const uint8_t key[SEEN_KEY_BYTES], enum seen_state state,
              int64_t now_ms);

/** It is in STATE now; SEEN_NOT: never mind it. Nothing if it is not there any more. */
void seen_change(struct seen *seen, const uint8_t key[SEEN_KEY_BYTES], enum seen_state state);

#endif
