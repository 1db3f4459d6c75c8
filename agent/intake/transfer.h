/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_TRANSFER_H
#define RUNNEL_AGENT_INTAKE_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Documents that come in blocks (RFC 7959), put together in order. Bounded in number, also for one
 * peer, in size and in time; all memory is there from the beginning.
 */
struct transfers;

enum { TRANSFER_KEY_BYTES = 16, TRANSFER_IDLE_MS = 30 * 1000, TRANSFERS_OF_A_PEER = 2 };

/** E_NO_MEMORY. */
int transfer_open(size_t places, size_t bytes_max, struct transfers **ret_transfers);

/** NULL is allowed. */
void transfer_close(struct transfers *transfers);

struct transfer_block {
    uint8_t key[TRANSFER_KEY_BYTES];  /* a hash of where it comes from, and what it is of */
    uint8_t peer[TRANSFER_KEY_BYTES]; /* a hash of whom it is counted with */
    bool has_identity;                /* others give way to it */
    bool is_last;
    size_t offset;
    const uint8_t *bytes;
    size_t count;
};

/** Whether BLOCK goes on with what is under way. NOW_MS is of clock_mono_ms. */
bool transfer_continues(const struct transfers *transfers, const struct transfer_block *block,
                        int64_t now_ms);

/**
 * 0: more are to come, or BLOCK was a repeat of the one before; 1: that was the last, and the whole
 * is in ret_bytes until the next call; its transfer has ended. E_RANGE: something is missing before
 * it, or a block of another document stands there; E_TOO_BIG; both end the transfer. E_BUSY: there
 * are too many.
 */
int transfer_put(struct transfers *transfers, const struct transfer_block *block, int64_t now_ms,
                 const uint8_t **ret_bytes, size_t *ret_count);

/** How many are under way. */
size_t transfer_count(const struct transfers *transfers, int64_t now_ms);

/** When the next of those that are under way at NOW_MS is forgotten; INT64_MAX: there is none. */
int64_t transfer_due_ms(const struct transfers *transfers, int64_t now_ms);

#endif
