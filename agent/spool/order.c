/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/order.h"

#include "agent/spool/block.h"
#include "platform/base/bytes.h"

/* FORMAT.md, "Tables" and "State". */
enum { BLOCKS = 0x10, STATE = 0x20, BLOCK_KEY_BYTES = 12 };
enum { AT_SPOOL_ID = 8, AT_RESERVED = 16, STATE_BYTES_MIN = 24 };

static bool follows(const struct order *order, const struct block_header *header)
{
    if (!order->any || order->lane != header->lane)
        return header->fragment == 0;
    if (order->first == header->first_sequence)
        return header->fragment == order->fragment + 1;
    return header->fragment == 0 && header->first_sequence > order->last;
}

static void note_moved(struct order *order, uint64_t spool_id)
{
    for (unsigned i = 0; i < ORDER_MOVED_MAX; i++)
        if (order->moved[i] == 0 || order->moved[i] == spool_id) {
            order->moved[i] = spool_id;
            return;
        }
}

/* Only the checksum of the whole block, which is not seen here, tells whether the header is right;
 * where it contradicts the key, one of the two is not. */
static bool takes_block(struct order *order, const uint8_t *key, const uint8_t *value, size_t count)
{
    struct block_header header;
    if (!block_guess(value, count, bytes_get_be64(key + 2), &header) ||
        block_bytes(&header) != count || header.lane != key[1] ||
        header.fragment != bytes_get_be16(key + 10) || !follows(order, &header))
        return false;
    order->any = true;
    order->lane = header.lane;
    order->first = header.first_sequence;
    order->fragment = header.fragment;
    order->last = header.last_sequence;
    if (order->last > order->last_ever)
        order->last_ever = order->last;
    if (header.shift != 0 && header.not_for == 0)
        note_moved(order, header.spool_id);
    return true;
}

/* What a spool took itself lies under its own numbers, but for what is sent again to one route. */
static bool takes_state(const struct order *order, const uint8_t *value, size_t count)
{
    if (count < STATE_BYTES_MIN)
        return false;
    for (unsigned i = 0; i < ORDER_MOVED_MAX; i++)
        if (order->moved[i] != 0 && order->moved[i] == bytes_get_le64(value + AT_SPOOL_ID))
            return false;
    return bytes_get_le64(value + AT_RESERVED) > order->last_ever;
}

bool order_takes(struct order *order, const uint8_t *key, size_t key_bytes, const uint8_t *value,
                 size_t count)
{
    static const char tables[] = "\x10\x20\x21\x22\x30\x31\x32\x40\x41\x50";
    bool known = false;
    for (const char *table = tables; *table != '\0' && key_bytes > 0; table++)
        known = known || (uint8_t)*table == key[0];
    if (known && key[0] == BLOCKS)
        return key_bytes == BLOCK_KEY_BYTES && takes_block(order, key, value, count);
    if (known && key[0] == STATE)
        return takes_state(order, value, count);
    return known;
}
