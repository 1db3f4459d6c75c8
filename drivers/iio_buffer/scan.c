/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/iio_buffer/scan.h"

#include <string.h>

#include "platform/base/error.h"
#include "platform/base/parse.h"

/* ---- types ---- */

/* The digits at *AT, at most three of them. */
static int read_number(const char **at, unsigned *ret_number)
{
    uint64_t number;
    size_t count = strspn(*at, "0123456789");
    if (count > 3)
        return E_RANGE;
    int rc = parse_unsigned(*at, count, &number);
    if (rc < 0)
        return rc;
    *at += count;
    *ret_number = (unsigned)number;
    return 0;
}

static int expect(const char **at, const char *mark, unsigned *ret_number)
{
    size_t count = strlen(mark);
    if (strncmp(*at, mark, count) != 0)
        return E_SYNTAX;
    *at += count;
    return read_number(at, ret_number);
}

static int read_order(const char **at, struct scan_type *type)
{
    type->is_big_endian = strncmp(*at, "be:", 3) == 0;
    if (!type->is_big_endian && strncmp(*at, "le:", 3) != 0)
        return E_SYNTAX;
    char sign = (*at)[3];
    type->is_signed = sign == 's';
    if (sign == 'f')
        return E_UNSUPPORTED;
    if (sign != 's' && sign != 'u')
        return E_SYNTAX;
    *at += 4;
    return 0;
}

static int check_sizes(struct scan_type *type, unsigned storage_bits)
{
    if (type->bits == 0 || type->repeat == 0 || type->bits + type->shift > storage_bits)
        return E_RANGE;
    bool is_whole =
        storage_bits == 8 || storage_bits == 16 || storage_bits == 32 || storage_bits == 64;
    if (!is_whole || (type->repeat & (type->repeat - 1)) != 0)
        return E_UNSUPPORTED;
    type->storage = storage_bits / 8;
    return 0;
}

int scan_parse_type(const char *text, struct scan_type *ret_type)
{
    struct scan_type type = {.repeat = 1};
    unsigned storage_bits = 0;
    int rc = read_order(&text, &type);
    if (rc == 0)
        rc = read_number(&text, &type.bits);
    if (rc == 0)
        rc = expect(&text, "/", &storage_bits);
    if (rc == 0 && *text == 'X')
        rc = expect(&text, "X", &type.repeat);
    if (rc == 0 && *text == '>')
        rc = expect(&text, ">>", &type.shift);
    if (rc == 0 && *text != '\0')
        rc = E_SYNTAX;
    if (rc == 0)
        rc = check_sizes(&type, storage_bits);
    if (rc == 0)
        *ret_type = type;
    return rc;
}

/* ---- layout ---- */

static void sort(struct scan_element *elements, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct scan_element element = elements[i];
        size_t at = i;
        for (; at > 0 && elements[at - 1].index > element.index; at--)
            elements[at] = elements[at - 1];
        elements[at] = element;
    }
}

/* BYTES is a power of two. */
static size_t align(size_t offset, size_t bytes)
{
    return (offset + bytes - 1) & ~(bytes - 1);
}

int scan_lay_out(struct scan_element *elements, size_t count, size_t bytes_max)
{
    size_t offset = 0;
    size_t largest = 1;
    sort(elements, count);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = (size_t)elements[i].type.storage * elements[i].type.repeat;
        if (i > 0 && elements[i].index == elements[i - 1].index)
            return E_INVALID;
        elements[i].offset = align(offset, bytes);
        offset = elements[i].offset + bytes;
        if (bytes > largest)
            largest = bytes;
    }
    offset = align(offset, largest);
    return offset > bytes_max ? E_TOO_BIG : (int)offset;
}

/* ---- values ---- */

int scan_decode(const struct scan_type *type, const uint8_t *bytes, int64_t *ret_number)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < type->storage; i++)
        number = number << 8 | bytes[type->is_big_endian ? i : type->storage - 1 - i];
    number >>= type->shift;
    const uint64_t top = (uint64_t)1 << (type->bits - 1);
    number &= top | (top - 1);
    if (!type->is_signed && number > INT64_MAX)
        return E_RANGE;
    if (type->is_signed && (number & top) != 0)
        *ret_number = -(int64_t)((top - 1) - (number & (top - 1))) - 1;
    else
        *ret_number = (int64_t)number;
    return 0;
}

/* ---- clocks ---- */

/* A raw clock runs apart from its like by what the others are corrected, TAI by leap seconds. */
clockid_t scan_find_clock(const char *name)
{
    static const struct {
        const char *name;
        clockid_t clock;
    } clocks[] = {
        {"boottime", CLOCK_BOOTTIME},
        {"monotonic", CLOCK_MONOTONIC},
        {"monotonic_raw", CLOCK_MONOTONIC_RAW},
        {"monotonic_coarse", CLOCK_MONOTONIC},
        {"tai", CLOCK_TAI},
    };
    for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++)
        if (strcmp(name, clocks[i].name) == 0)
            return clocks[i].clock;
    return CLOCK_REALTIME;
}
