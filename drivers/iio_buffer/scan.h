/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_IIO_BUFFER_SCAN_H
#define RUNNEL_DRIVERS_IIO_BUFFER_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/**
 * What a scan looks like in the buffer of a device of Industrial I/O: one element behind the other
 * in the order of their index, each aligned to its own size, the whole padded to the largest
 * (Documentation/iio/iio_devbuf.rst and the kernel's iio_compute_scan_bytes). Pure.
 */
struct scan_type {
    bool is_big_endian;
    bool is_signed;
    unsigned bits;    /* that count, 1 to 64 */
    unsigned storage; /* bytes that they are kept in: 1, 2, 4 or 8 */
    unsigned shift;   /* bits to the right of them */
    unsigned repeat;  /* values of this type in one element, at least 1 */
};

/** Reads the attribute of a scan element: "le:s12/16>>4", "be:u24/32X4>>8". E_SYNTAX; E_RANGE;
 *  E_UNSUPPORTED: floats, and sizes that are no power of two. */
int scan_parse_type(const char *text, struct scan_type *ret_type);

struct scan_element {
    unsigned index;
    struct scan_type type;
    size_t offset; /* set by scan_lay_out */
    int tag;       /* the caller's */
};

/** Sorts the COUNT ELEMENTS by index and gives each its offset. Returns the bytes of a scan;
 *  E_INVALID: two have the same index; E_TOO_BIG: it has more than BYTES_MAX. */
int scan_lay_out(struct scan_element *elements, size_t count, size_t bytes_max);

/** The number that lies at BYTES, which are as many as TYPE stores. E_RANGE: beyond int64_t. */
int scan_decode(const struct scan_type *type, const uint8_t *bytes, int64_t *ret_number);

/** The clock that current_timestamp_clock calls NAME, of which the coarse ones are the same but for
 *  a tick; CLOCK_REALTIME for one that is not known, and where there is no such attribute. */
clockid_t scan_find_clock(const char *name);

#endif
