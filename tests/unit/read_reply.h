/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_UNIT_READ_REPLY_H
#define RUNNEL_TESTS_UNIT_READ_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "agent/http/http_parse.h"
#include "agent/uplink/dest/dest.h"
#include "agent/uplink/verdict.h"

enum { READ_REPLY_SENT_MAX = 64 };

/** What the bytes of a connection come to, as the uplink sees it. */
struct read_reply {
    int error; /* of the HTTP reader, E_CLOSED where the connection ended too early; else 0 */
    struct http_reply head;
    struct dest_reply body;
    uint8_t delivered[READ_REPLY_SENT_MAX / 8];
    enum verdict verdict;
};

/** Reads the reply to SENT records from BYTES, in pieces that end at SPLITS (ascending, below
 *  COUNT), with DEST, which may be used again. The connection ends behind them. */
struct read_reply read_reply(struct dest *dest, size_t sent, const uint8_t *bytes, size_t count,
                             const size_t *splits, size_t split_count);

/** True if both come to the same for every record, and for the request. */
int read_reply_same(const struct read_reply *one, const struct read_reply *other);

#endif
