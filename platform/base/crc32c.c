/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/crc32c.h"

/* Remainders of the 16 half-bytes (polynomial 0x82f63b78, bit-reversed): 64 bytes of table instead
 * of the usual 1 KB or 8 KB. A block of 4 KB is the unit. */
static const uint32_t remainders[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

static uint32_t add_bytes(uint32_t crc, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ remainders[crc & 15];
        crc = crc >> 4 ^ remainders[crc & 15];
    }
    return crc;
}

uint32_t crc32c(uint32_t crc, const void *bytes, size_t count)
{
    return ~add_bytes(~crc, bytes, count);
}
