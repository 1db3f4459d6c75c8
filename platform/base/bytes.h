/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_BASE_BYTES_H
#define RUNNEL_PLATFORM_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

/**
 * Fixed-width integers in a byte order of our choice, and variable-length ones.
 * varint: 7 bits a byte, least significant group first, high bit set on all but the last byte
 * (as in Protocol Buffers). zigzag maps small magnitudes of either sign to small numbers.
 */
enum { VARINT_BYTES_MAX = 10 };

static inline void bytes_put_be64(uint8_t *to, uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        to[i] = (uint8_t)value;
}

static inline uint64_t bytes_get_be64(const uint8_t *from)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | from[i];
    return value;
}

static inline void bytes_put_be16(uint8_t *to, uint16_t value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static inline uint16_t bytes_get_be16(const uint8_t *from)
{
    return (uint16_t)(from[0] << 8 | from[1]);
}

static inline void bytes_put_le16(uint8_t *to, uint16_t value)
{
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
}

static inline uint16_t bytes_get_le16(const uint8_t *from)
{
    return (uint16_t)(from[1] << 8 | from[0]);
}

static inline void bytes_put_le32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++, value >>= 8)
        to[i] = (uint8_t)value;
}

static inline uint32_t bytes_get_le32(const uint8_t *from)
{
    uint32_t value = 0;
    for (int i = 3; i >= 0; i--)
        value = value << 8 | from[i];
    return value;
}

static inline void bytes_put_le64(uint8_t *to, uint64_t value)
{
    for (int i = 0; i < 8; i++, value >>= 8)
        to[i] = (uint8_t)value;
}

static inline uint64_t bytes_get_le64(const uint8_t *from)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | from[i];
    return value;
}

static inline uint64_t bytes_zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t bytes_unzigzag(uint64_t value)
{
    uint64_t magnitude = value >> 1;
    return (value & 1) != 0 ? -(int64_t)magnitude - 1 : (int64_t)magnitude;
}

/** Writes VALUE to TO, which has room for VARINT_BYTES_MAX, and returns how many bytes it took. */
static inline size_t bytes_put_varint(uint8_t *to, uint64_t value)
{
    size_t count = 0;
    for (; value >= 0x80; value >>= 7)
        to[count++] = (uint8_t)(value | 0x80);
    to[count++] = (uint8_t)value;
    return count;
}

static inline size_t bytes_varint_size(uint64_t value)
{
    size_t count = 1;
    for (; value >= 0x80; value >>= 7)
        count++;
    return count;
}

/** Reads a varint that lies whole in FROM[0..COUNT); returns the bytes it took, else 0. */
static inline size_t bytes_get_varint(const uint8_t *from, size_t count, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count && i < VARINT_BYTES_MAX; i++) {
        if (i == VARINT_BYTES_MAX - 1 && from[i] > 1)
            return 0;
        value |= (uint64_t)(from[i] & 0x7f) << (7 * i);
        if ((from[i] & 0x80) == 0) {
            *ret_value = value;
            return i + 1;
        }
    }
    return 0;
}

/** An upper-case or lower-case hexadecimal digit's value, or -1. */
static inline int bytes_hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/** Writes COUNT bytes as 2 * COUNT lower-case hexadecimal digits and a terminating NUL. */
static inline void bytes_put_hex(char *to, const uint8_t *from, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        to[2 * i] = digits[from[i] >> 4];
        to[2 * i + 1] = digits[from[i] & 15];
    }
    to[2 * count] = '\0';
}

#endif
