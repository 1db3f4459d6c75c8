/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_SINK_KEYS_H
#define RUNNEL_TESTS_SINK_KEYS_H

#include <pthread.h>
#include <stdint.h>

#include "tests/sink/buffer.h"

/** The keys that requests may be signed with. They come and expire while the sink runs, as those
 *  of a role do. */
enum { KEYS_MAX = 16, KEYS_ID_BYTES = 132, KEYS_SECRET_BYTES = 256, KEYS_TOKEN_BYTES = 4096 };

struct key {
    char id[KEYS_ID_BYTES];
    char secret[KEYS_SECRET_BYTES];
    char token[KEYS_TOKEN_BYTES]; /* "": a permanent key */
    int expired;
    uint64_t requests; /* that were rightly signed with it */
};

struct keys {
    pthread_mutex_t lock;
    struct key all[KEYS_MAX];
    unsigned count;
};

void keys_init(struct keys *keys);

/** Adds or replaces the key ID. -1: a text is too long, or there are too many keys. */
int keys_set(struct keys *keys, const char *id, const char *secret, const char *token);

/** From now on ID's token has expired. -1: there is no such key. */
int keys_expire(struct keys *keys, const char *id);

/** Copies the key ID. -1: there is none. */
int keys_find(struct keys *keys, const char *id, struct key *ret_key);

/** Counts a request of ID. */
void keys_count(struct keys *keys, const char *id);

/** Appends {"ID":{"expired":false,"requests":0},...}. */
void keys_list(struct keys *keys, struct buffer *text);

#endif
