/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/intake/transfer.h"

#include <stdlib.h>
#include <string.h>

#include "platform/base/error.h"

struct transfer {
    uint8_t key[TRANSFER_KEY_BYTES];
    uint8_t peer[TRANSFER_KEY_BYTES];
    bool has_identity;
    int64_t until_ms; /* 0: nobody's */
    size_t received;
    size_t last_count; /* of the last block */
    uint8_t *bytes;
};

struct transfers {
    size_t places, bytes_max;
    uint8_t *memory; /* what nobody wrote to yet costs no RAM */
    struct transfer transfers[];
};

int transfer_open(size_t places, size_t bytes_max, struct transfers **ret_transfers)
{
    struct transfers *transfers =
        calloc(1, sizeof *transfers + places * sizeof transfers->transfers[0]);
    if (transfers == NULL)
        return E_NO_MEMORY;
    transfers->places = places;
    transfers->bytes_max = bytes_max;
    transfers->memory = calloc(places, bytes_max);
    if (transfers->memory == NULL) {
        free(transfers);
        return E_NO_MEMORY;
    }
    for (size_t i = 0; i < places; i++)
        transfers->transfers[i].bytes = transfers->memory + i * bytes_max;
    *ret_transfers = transfers;
    return 0;
}

void transfer_close(struct transfers *transfers)
{
    if (transfers == NULL)
        return;
    free(transfers->memory);
    free(transfers);
}

static bool is_under_way(const struct transfer *transfer, int64_t now_ms)
{
    return transfer->until_ms > now_ms;
}

static struct transfer *find(struct transfers *transfers, const struct transfer_block *block,
                             int64_t now_ms)
{
    for (size_t i = 0; i < transfers->places; i++) {
        struct transfer *transfer = &transfers->transfers[i];
        if (is_under_way(transfer, now_ms) &&
            memcmp(transfer->key, block->key, TRANSFER_KEY_BYTES) == 0)
            return transfer;
    }
    return NULL;
}

/* How much of its peer's it is to begin one more. */
static size_t count_of_peer(const struct transfers *transfers, const struct transfer_block *block,
                            int64_t now_ms)
{
    size_t count = 0;
    for (size_t i = 0; i < transfers->places; i++)
        count += is_under_way(&transfers->transfers[i], now_ms) &&
                 memcmp(transfers->transfers[i].peer, block->peer, TRANSFER_KEY_BYTES) == 0;
    return count;
}

/* A free place, or for a peer with an identity that of the stranger who is silent for longest. */
static struct transfer *find_place(struct transfers *transfers, const struct transfer_block *block,
                                   int64_t now_ms)
{
    struct transfer *place = NULL;
    if (count_of_peer(transfers, block, now_ms) >= TRANSFERS_OF_A_PEER)
        return NULL;
    for (size_t i = 0; i < transfers->places; i++) {
        struct transfer *transfer = &transfers->transfers[i];
        bool may_go = block->has_identity && !transfer->has_identity;
        if (!is_under_way(transfer, now_ms))
            return transfer;
        if (may_go && (place == NULL || transfer->until_ms < place->until_ms))
            place = transfer;
    }
    return place;
}

static void end(struct transfer *transfer)
{
    if (transfer != NULL)
        transfer->until_ms = 0;
}

static struct transfer *begin(struct transfers *transfers, const struct transfer_block *block,
                              int64_t now_ms)
{
    struct transfer *transfer = find_place(transfers, block, now_ms);
    if (transfer == NULL)
        return NULL;
    memcpy(transfer->key, block->key, TRANSFER_KEY_BYTES);
    memcpy(transfer->peer, block->peer, TRANSFER_KEY_BYTES);
    transfer->has_identity = block->has_identity;
    return transfer;
}

/* With other bytes it is of another document. */
static bool is_repeat(const struct transfer *transfer, const struct transfer_block *block)
{
    return !block->is_last && block->count > 0 && block->count == transfer->last_count &&
           block->offset + block->count == transfer->received &&
           memcmp(transfer->bytes + block->offset, block->bytes, block->count) == 0;
}

static int append(struct transfers *transfers, struct transfer *transfer,
                  const struct transfer_block *block, int64_t now_ms)
{
    if (block->offset != transfer->received) {
        end(transfer);
        return E_RANGE;
    }
    if (block->count > transfers->bytes_max - transfer->received) {
        end(transfer);
        return E_TOO_BIG;
    }
    if (block->count > 0)
        memcpy(transfer->bytes + transfer->received, block->bytes, block->count);
    transfer->received += block->count;
    transfer->last_count = block->count;
    transfer->until_ms = now_ms + TRANSFER_IDLE_MS;
    return 0;
}

bool transfer_continues(const struct transfers *transfers, const struct transfer_block *block,
                        int64_t now_ms)
{
    const struct transfer *transfer = find((struct transfers *)transfers, block, now_ms);
    return transfer != NULL && block->offset > 0 && block->offset == transfer->received;
}

int transfer_put(struct transfers *transfers, const struct transfer_block *block, int64_t now_ms,
                 const uint8_t **ret_bytes, size_t *ret_count)
{
    struct transfer *transfer = find(transfers, block, now_ms);
    if (block->offset > transfers->bytes_max) {
        end(transfer);
        return E_TOO_BIG;
    }
    if (transfer != NULL && is_repeat(transfer, block)) {
        transfer->until_ms = now_ms + TRANSFER_IDLE_MS;
        return 0;
    }
    if (transfer == NULL && block->offset > 0)
        return E_RANGE;
    if (transfer == NULL)
        transfer = begin(transfers, block, now_ms);
    if (transfer == NULL)
        return E_BUSY;
    if (block->offset == 0)
        transfer->received = 0; /* it begins again */
    int rc = append(transfers, transfer, block, now_ms);
    if (rc < 0 || !block->is_last)
        return rc;
    *ret_bytes = transfer->bytes;
    *ret_count = transfer->received;
    end(transfer);
    return 1;
}

size_t transfer_count(const struct transfers *transfers, int64_t now_ms)
{
    size_t count = 0;
    for (size_t i = 0; i < transfers->places; i++)
        count += is_under_way(&transfers->transfers[i], now_ms);
    return count;
}

int64_t transfer_due_ms(const struct transfers *transfers, int64_t now_ms)
{
    int64_t due_ms = INT64_MAX;
    for (size_t i = 0; i < transfers->places; i++) {
        const struct transfer *transfer = &transfers->transfers[i];
        if (is_under_way(transfer, now_ms) && transfer->until_ms < due_ms)
            due_ms = transfer->until_ms;
    }
    return due_ms;
}
