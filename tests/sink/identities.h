/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_SINK_IDENTITIES_H
#define RUNNEL_TESTS_SINK_IDENTITIES_H

#include <stddef.h>
#include <stdint.h>

/**
 * A hash set of texts, each known by its MD5, which grows with them. LOST is for the owner: the
 * lost batch that brought the text last.
 */
struct identity {
    unsigned char digest[16];
    uint32_t seen;
    uint32_t lost;
};

struct identities {
    struct identity *slots;
    size_t slot_count;
    size_t used_count;
};

/**
 * Finds TEXT, or adds it with seen 0. The owner counts seen up before the next call: a slot whose
 * seen is 0 is free. The pointer is good until then.
 */
struct identity *identities_find(struct identities *identities, const void *text, size_t count);

void identities_free(struct identities *identities);

#endif
