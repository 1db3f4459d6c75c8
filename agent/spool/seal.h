/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_SEAL_H
#define RUNNEL_AGENT_SPOOL_SEAL_H

#include <stddef.h>
#include <stdint.h>

/**
 * An envelope around the small values of the spool: with a checksum, so that a flipped bit does not
 * pass for a cursor or a sensor's name; with its own key and a magic, so that it can be found again
 * in a file whose tree is broken. FORMAT.md has the bytes. Pure.
 */
enum { SEAL_KEY_BYTES_MAX = 64, SEAL_EXTRA_BYTES = 7 + 4, SEAL_HEAD_BYTES = 7 };

/** Bytes that seal_put writes for a key and a content so long. */
static inline size_t seal_bytes(size_t key_bytes, size_t content_bytes)
{
    return SEAL_EXTRA_BYTES + key_bytes + content_bytes;
}

/** Writes the envelope to TO, which has room for seal_bytes, at most 65,535. Returns the count. */
size_t seal_put(const void *key, size_t key_bytes, const void *content, size_t content_bytes,
                uint8_t *to);

/** What lies in an envelope; points into it. */
struct seal {
    const uint8_t *key;
    size_t key_bytes;
    const uint8_t *content;
    size_t content_bytes;
    size_t bytes; /* of the envelope */
};

/** Opens the envelope that begins at BYTES; more may follow it. E_DAMAGED, also if it does not lie
 *  whole in the COUNT bytes. */
int seal_open(const uint8_t *bytes, size_t count, struct seal *ret_seal);

#endif
