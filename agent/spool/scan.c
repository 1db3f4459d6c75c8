/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/scan.h"

#include <string.h>

#include "platform/base/error.h"

static size_t visit_block(const uint8_t *bytes, size_t count, uint64_t offset,
                          const struct scan_visitor *visitor)
{
    struct block_header header;
    int rc = block_open(bytes, count, &header);
    if (rc == E_VERSION)
        visitor->newer(visitor->context);
    if (rc < 0)
        return 1;
    visitor->block(visitor->context, &header, offset);
    return block_bytes(&header);
}

static size_t visit_seal(const uint8_t *bytes, size_t count, const struct scan_visitor *visitor)
{
    struct seal seal;
    if (seal_open(bytes, count, &seal) < 0)
        return 1;
    visitor->seal(visitor->context, &seal);
    return seal.bytes;
}

/* Returns how far to go on. */
static size_t visit(const uint8_t *bytes, size_t count, uint64_t offset,
                    const struct scan_visitor *visitor)
{
    if (count < 4 || memcmp(bytes, "RNL", 3) != 0)
        return 1;
    switch (bytes[3]) {
    case 'B':
        return visit_block(bytes, count, offset, visitor);
    case 'E':
        return visit_seal(bytes, count, visitor);
    case 'S':
        visitor->state(visitor->context, bytes, count);
        return 1;
    default:
        return 1;
    }
}

size_t scan_bytes(const uint8_t *bytes, size_t count, size_t end, uint64_t offset,
                  const struct scan_visitor *visitor)
{
    size_t at = 0;
    while (at < end) {
        const uint8_t *found = memchr(bytes + at, 'R', end - at);
        if (found == NULL)
            return end;
        at = (size_t)(found - bytes);
        at += visit(found, count - at, offset + at, visitor);
    }
    return at;
}
