/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_REHEARSE_H
#define RUNNEL_AGENT_UPLINK_REHEARSE_H

#include "agent/uplink/uplink.h"

/**
 * A route without its link: the batches are built, and the heads signed, as they would be sent, at
 * times that the caller says; nothing is sent, and each is taken at once. What it would have cost
 * is counted, the rest of a conversation (TLS, replies) as it is known from the services.
 */
struct uplink_rehearsal;

/** Of all that was sent so far. */
struct uplink_cost {
    uint64_t requests, records, entries;
    uint64_t bytes_out, bytes_in; /* as uplink_status has them */
    uint64_t handshakes;
    uint64_t body_bytes; /* sent, or written to an archive */
    /* What is billed, see aws.amazon.com/kinesis/data-streams/pricing, .../data-firehose/pricing
     * and
     * .../api-gateway/pricing: of entries of Kinesis and Firehose, and of bodies. */
    uint64_t chunks_25k;       /* of 25 KB, begun ones */
    uint64_t rounded_1k_bytes; /* each entry rounded up to so much */
    uint64_t rounded_5k_bytes;
    uint64_t bodies_512k; /* of 512 KB, begun ones */
    int64_t last_ms;      /* when the last one was sent; 0: none was */
};

/** Takes UPLINK, which is open and was not started, and which the caller closes afterwards. A
 *  session token of TOKEN_BYTES goes with each request; -1: it has no keys. E_NO_MEMORY. */
int uplink_rehearse_open(struct uplink *uplink, int token_bytes,
                         struct uplink_rehearsal **ret_rehearsal);

/** NULL is allowed. */
void uplink_rehearse_close(struct uplink_rehearsal *rehearsal);

/** When a batch is due (as sample.boot_ms): INT64_MIN: one is full; INT64_MAX: there is nothing. */
int64_t uplink_rehearse_due_ms(struct uplink_rehearsal *rehearsal);

/** When the oldest record of LANE was taken that is not sent yet; INT64_MAX: there is none. */
int64_t uplink_rehearse_oldest_ms(struct uplink_rehearsal *rehearsal, enum lane lane);

/** Sends a batch at NOW_MS. 0; E_END: there is nothing; what batch_build returns, and E_INVALID:
 * the head cannot be written. */
int uplink_rehearse_send(struct uplink_rehearsal *rehearsal, int64_t now_ms);

/** Valid until it is closed. */
const struct uplink_cost *uplink_rehearse_cost(const struct uplink_rehearsal *rehearsal);

#endif
