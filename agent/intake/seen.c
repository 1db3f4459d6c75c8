/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/intake/seen.h"

#include <stdlib.h>
#include <string.h>

#include "platform/base/error.h"

static const uint32_t NONE = UINT32_MAX;

struct message {
    uint8_t key[SEEN_KEY_BYTES];
    int64_t until_ms;
    uint32_t next; /* of those whose hash falls into the same slot */
    uint8_t state; /* of enum seen_state; SEEN_NOT: a free place, or one to pass over */
};

/* A ring: all live equally long, so that the one that came first goes first. */
struct seen {
    struct message *messages;
    uint32_t *slots;
    uint32_t places;
    uint32_t next;
    uint32_t used;
};

int seen_open(size_t places, struct seen **ret_seen)
{
    struct seen *seen = calloc(1, sizeof *seen);
    if (seen == NULL)
        return E_NO_MEMORY;
    seen->places = (uint32_t)places;
    seen->messages = calloc(places, sizeof *seen->messages);
    seen->slots = calloc(places, sizeof *seen->slots);
    if (seen->messages == NULL || seen->slots == NULL) {
        seen_close(seen);
        return E_NO_MEMORY;
    }
    memset(seen->slots, 0xff, places * sizeof *seen->slots); /* NONE */
    *ret_seen = seen;
    return 0;
}

void seen_close(struct seen *seen)
{
    if (seen == NULL)
        return;
    free(seen->messages);
    free(seen->slots);
    free(seen);
}

static uint32_t *slot_of(const struct seen *seen, const uint8_t key[SEEN_KEY_BYTES])
{
    uint32_t hash;
    memcpy(&hash, key, sizeof hash);
    return &seen->slots[hash % seen->places];
}

static struct message *find(const struct seen *seen, const uint8_t key[SEEN_KEY_BYTES])
{
    uint32_t index = *slot_of(seen, key);
    while (index != NONE && memcmp(seen->messages[index].key, key, SEEN_KEY_BYTES) != 0)
        index = seen->messages[index].next;
    return index == NONE ? NULL : &seen->messages[index];
}

enum seen_state seen_find(const struct seen *seen, const uint8_t key[SEEN_KEY_BYTES],
                          int64_t now_ms)
{
    const struct message *message = find(seen, key);
    return message == NULL || now_ms >= message->until_ms ? SEEN_NOT
                                                          : (enum seen_state)message->state;
}

static void unlink_oldest(struct seen *seen)
{
    uint32_t *link = slot_of(seen, seen->messages[seen->next].key);
    while (*link != seen->next)
        link = &seen->messages[*link].next;
    *link = seen->messages[seen->next].next;
}

/* The newest stands first in its slot, before one of the same key whose time is over. */
void seen_add(struct seen *seen, const uint8_t key[SEEN_KEY_BYTES], enum seen_state state,
              int64_t now_ms)
{
    struct message *message = &seen->messages[seen->next];
    if (seen->used == seen->places)
        unlink_oldest(seen);
    else
        seen->used++;
    memcpy(message->key, key, SEEN_KEY_BYTES);
    message->until_ms = now_ms + SEEN_LIFETIME_MS;
    message->state = (uint8_t)state;
    message->next = *slot_of(seen, key);
    *slot_of(seen, key) = seen->next;
    seen->next = (seen->next + 1) % seen->places;
}

void seen_change(struct seen *seen, const uint8_t key[SEEN_KEY_BYTES], enum seen_state state)
{
    struct message *message = find(seen, key);
    if (message != NULL)
        message->state = (uint8_t)state;
}
