/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sink/keys.h"

#include <inttypes.h>
#include <string.h>

void keys_init(struct keys *keys)
{
    pthread_mutex_init(&keys->lock, NULL);
    keys->count = 0;
}

static struct key *find_locked(struct keys *keys, const char *id)
{
    for (unsigned i = 0; i < keys->count; i++)
        if (strcmp(keys->all[i].id, id) == 0)
            return &keys->all[i];
    return NULL;
}

static struct key *place_locked(struct keys *keys, const char *id)
{
    struct key *key = find_locked(keys, id);
    if (key == NULL && keys->count < KEYS_MAX)
        key = &keys->all[keys->count++];
    return key;
}

int keys_set(struct keys *keys, const char *id, const char *secret, const char *token)
{
    if (strlen(id) >= KEYS_ID_BYTES || strlen(secret) >= KEYS_SECRET_BYTES ||
        strlen(token) >= KEYS_TOKEN_BYTES)
        return -1;
    pthread_mutex_lock(&keys->lock);
    struct key *key = place_locked(keys, id);
    if (key != NULL) {
        memset(key, 0, sizeof *key);
        strcpy(key->id, id);
        strcpy(key->secret, secret);
        strcpy(key->token, token);
    }
    pthread_mutex_unlock(&keys->lock);
    return key == NULL ? -1 : 0;
}

int keys_expire(struct keys *keys, const char *id)
{
    pthread_mutex_lock(&keys->lock);
    struct key *key = find_locked(keys, id);
    if (key != NULL)
        key->expired = 1;
    pthread_mutex_unlock(&keys->lock);
    return key == NULL ? -1 : 0;
}

int keys_find(struct keys *keys, const char *id, struct key *ret_key)
{
    pthread_mutex_lock(&keys->lock);
    const struct key *key = find_locked(keys, id);
    if (key != NULL)
        *ret_key = *key;
    pthread_mutex_unlock(&keys->lock);
    return key == NULL ? -1 : 0;
}

void keys_count(struct keys *keys, const char *id)
{
    pthread_mutex_lock(&keys->lock);
    struct key *key = find_locked(keys, id);
    if (key != NULL)
        key->requests++;
    pthread_mutex_unlock(&keys->lock);
}

void keys_list(struct keys *keys, struct buffer *text)
{
    pthread_mutex_lock(&keys->lock);
    buffer_text(text, "{");
    for (unsigned i = 0; i < keys->count; i++) {
        const struct key *key = &keys->all[i];
        buffer_text(text, i > 0 ? "," : "");
        buffer_json_text(text, key->id);
        buffer_format(text, ":{\"expired\":%s,\"requests\":%" PRIu64 "}",
                      key->expired ? "true" : "false", key->requests);
    }
    buffer_text(text, "}");
    pthread_mutex_unlock(&keys->lock);
}
