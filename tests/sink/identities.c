/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sink/identities.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sink/hashkey.h"

enum { SLOTS_AT_FIRST = 4096 };

static struct identity *slot_of(struct identity *slots, size_t count, const unsigned char *digest)
{
    size_t at;
    memcpy(&at, digest, sizeof at);
    for (at &= count - 1; slots[at].seen != 0; at = (at + 1) & (count - 1)) {
        if (memcmp(slots[at].digest, digest, sizeof slots[at].digest) == 0)
            break;
    }
    return &slots[at];
}

static void grow(struct identities *identities)
{
    size_t count = identities->slot_count == 0 ? SLOTS_AT_FIRST : 2 * identities->slot_count;
    struct identity *slots = calloc(count, sizeof *slots);
    if (slots == NULL) {
        fputs("sink: out of memory for identities\n", stderr);
        exit(1);
    }
    for (size_t i = 0; i < identities->slot_count; i++) {
        if (identities->slots[i].seen != 0)
            *slot_of(slots, count, identities->slots[i].digest) = identities->slots[i];
    }
    free(identities->slots);
    identities->slots = slots;
    identities->slot_count = count;
}

struct identity *identities_find(struct identities *identities, const void *text, size_t count)
{
    if (4 * (identities->used_count + 1) > 3 * identities->slot_count)
        grow(identities);
    struct hashkey digest = hashkey_of(text, count);
    struct identity *slot = slot_of(identities->slots, identities->slot_count, digest.bytes);
    if (slot->seen == 0) {
        memcpy(slot->digest, digest.bytes, sizeof slot->digest);
        slot->lost = 0;
        identities->used_count++;
    }
    return slot;
}

void identities_free(struct identities *identities)
{
    free(identities->slots);
    *identities = (struct identities){0};
}
