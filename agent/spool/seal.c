/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/seal.h"

#include <string.h>

#include "platform/base/bytes.h"
#include "platform/base/crc32c.h"
#include "platform/base/error.h"

/* Offsets of FORMAT.md, "Seal". */
enum { AT_MAGIC = 0, AT_BYTES = 4, AT_KEY_BYTES = 6, AT_KEY = SEAL_HEAD_BYTES, CHECKSUM_BYTES = 4 };

static const uint8_t magic[4] = {'R', 'N', 'L', 'E'};

size_t seal_put(const void *key, size_t key_bytes, const void *content, size_t content_bytes,
                uint8_t *to)
{
    size_t bytes = seal_bytes(key_bytes, content_bytes);
    memcpy(to + AT_MAGIC, magic, sizeof magic);
    bytes_put_le16(to + AT_BYTES, (uint16_t)bytes);
    to[AT_KEY_BYTES] = (uint8_t)key_bytes;
    memcpy(to + AT_KEY, key, key_bytes);
    if (content_bytes > 0)
        memcpy(to + AT_KEY + key_bytes, content, content_bytes);
    bytes_put_le32(to + bytes - CHECKSUM_BYTES, crc32c(0, to, bytes - CHECKSUM_BYTES));
    return bytes;
}

int seal_open(const uint8_t *bytes, size_t count, struct seal *ret_seal)
{
    if (count < SEAL_EXTRA_BYTES || memcmp(bytes, magic, sizeof magic) != 0)
        return E_DAMAGED;
    size_t sealed = bytes_get_le16(bytes + AT_BYTES);
    size_t key_bytes = bytes[AT_KEY_BYTES];
    if (sealed > count || key_bytes > SEAL_KEY_BYTES_MAX || sealed < seal_bytes(key_bytes, 0))
        return E_DAMAGED;
    size_t covered = sealed - CHECKSUM_BYTES;
    if (bytes_get_le32(bytes + covered) != crc32c(0, bytes, covered))
        return E_DAMAGED;
    *ret_seal = (struct seal){.key = bytes + AT_KEY,
                              .key_bytes = key_bytes,
                              .content = bytes + AT_KEY + key_bytes,
                              .content_bytes = sealed - seal_bytes(key_bytes, 0),
                              .bytes = sealed};
    return E_OK;
}
