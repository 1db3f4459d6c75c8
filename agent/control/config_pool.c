/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/config_pool.h"

#include <stdlib.h>
#include <string.h>

struct piece {
    struct piece *next;
    max_align_t bytes[];
};

struct config_pool {
    struct piece *pieces;
    bool failed;
};

struct config_pool *config_pool_open(void)
{
    return calloc(1, sizeof(struct config_pool));
}

void *config_pool_take(struct config_pool *pool, size_t bytes)
{
    struct piece *piece = calloc(1, sizeof *piece + bytes);
    if (piece == NULL) {
        pool->failed = true;
        return NULL;
    }
    piece->next = pool->pieces;
    pool->pieces = piece;
    return piece->bytes;
}

const char *config_pool_text(struct config_pool *pool, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = config_pool_take(pool, bytes);
    return copy == NULL ? "" : memcpy(copy, text, bytes);
}

bool config_pool_failed(const struct config_pool *pool)
{
    return pool->failed;
}

void config_pool_close(struct config_pool *pool)
{
    if (pool == NULL)
        return;
    for (struct piece *piece = pool->pieces; piece != NULL;) {
        struct piece *next = piece->next;
        free(piece);
        piece = next;
    }
    free(pool);
}
