/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_BATCH_BATCH_FRAME_H
#define RUNNEL_AGENT_BATCH_BATCH_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/base/writer.h"
#include "platform/hash.h"

/* What a batch has to know of its destination. Pure. */

/** How a destination wraps records into a body. The functions write the same into OUT in both
 *  passes. */
struct batch_frame {
    void (*begin)(const void *context, struct writer *out);
    void (*record_begin)(const void *context, struct writer *out, size_t index);
    void (*record_end)(const void *context, struct writer *out, const char *key, size_t key_bytes);
    void (*end)(const void *context, struct writer *out);
    bool plain;    /* data goes in as it is; else as base64 */
    bool newline;  /* data ends with one, which counts and is encoded with it; there is none inside:
                      line breaks between the tokens of a document become spaces */
    bool keyless;  /* an entry has no partition key: KEY is "" and nothing counts */
    bool together; /* a reply answers for all entries alike */
    bool counts_body; /* what the limits count is the body, all of it, before it is compressed */
};

/** bytes and record_bytes as AWS counts them: data before base64 and partition keys; with packing,
 *  of what was packed. What the whole body is compressed to does not count. Or the bytes of the
 * body, if the frame counts_body: then none is larger than record_bytes. */
struct batch_limits {
    size_t records;        /* as the destination counts: entries */
    uint64_t bytes;        /* a single entry may be more, up to record_bytes */
    uint64_t record_bytes; /* of an entry */
};

enum { BATCH_HASH_TEXT_BYTES = 2 * HASH_SHA256_BYTES + 1 };

/** What a batch came to: all that the head of its request can depend on. */
struct batch_summary {
    size_t entry_count; /* what the destination counts */
    uint64_t body_bytes;
    char body_hash[BATCH_HASH_TEXT_BYTES]; /* SHA-256 of the body, in hexadecimal */
    uint64_t spool_id;
    uint64_t first, last; /* the lowest and the highest number in it */
    int64_t wall_ms;      /* of the first record or gap that it took */
};

#endif
