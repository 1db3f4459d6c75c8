/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_DEST_DEST_H
#define RUNNEL_AGENT_UPLINK_DEST_DEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/batch/batch_frame.h"

/**
 * A destination turns records into a request and a reply into an outcome per record. It owns no
 * socket, no retry and no credential. Pure; one table of functions each, behind its Kconfig symbol.
 */
enum { DEST_CODE_BYTES = 64, DEST_MESSAGE_BYTES = 200 };

/** What a reply said. */
struct dest_reply {
    bool understood; /* it answers for exactly the records that were sent */
    size_t delivered;
    size_t failed;
    size_t throttled;                 /* of the failed ones, those that came too fast */
    char code[DEST_CODE_BYTES];       /* of the request, or of the first failed record; or "" */
    char message[DEST_MESSAGE_BYTES]; /* likewise */
};

struct dest {
    const struct dest_operations *operations;
};

struct dest_operations {
    const char *name;
    const char *service; /* in the scope of the signature */
    const char *target;  /* X-Amz-Target */
    const char *content_type;
    struct batch_limits limits; /* what one request can carry */
    struct batch_frame frame;   /* its context is the struct dest */

    /** A reply to SENT records begins. DELIVERED has a bit for each (bit I % 8 of byte I / 8). */
    void (*reply_start)(struct dest *dest, size_t sent, uint8_t *delivered);

    /** Its body, in pieces of any size. 0; E_TOO_BIG: no such reply is this long. */
    int (*reply_feed)(struct dest *dest, const uint8_t *bytes, size_t count);

    /** Its end. Bits are set for delivered records; none is unless the reply was understood. */
    void (*reply_end)(struct dest *dest, struct dest_reply *ret_reply);

    void (*close)(struct dest *dest);
};

struct dest_options {
    const char *stream;     /* its name, or NULL; must outlive the destination, as the next one */
    const char *stream_arn; /* or its ARN */
    bool strict;            /* records are stored in the order in which they are sent */
};

/** Opens the destination called NAME. E_UNSUPPORTED: there is none in this program (CONFIG_DEST_*);
 *  E_INVALID: an option is missing; E_NO_MEMORY. */
int dest_open(const char *name, const struct dest_options *options, struct dest **ret_dest);

/** NULL is allowed. */
void dest_close(struct dest *dest);

#endif
