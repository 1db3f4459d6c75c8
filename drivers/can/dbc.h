/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_CAN_DBC_H
#define RUNNEL_DRIVERS_CAN_DBC_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/sample.h"
#include "platform/base/decimal.h"

/**
 * A signal in the data of a frame, described as in a DBC file. Pure.
 *
 * Bit n is bit n % 8 of byte n / 8, where bit 0 of a byte is its lowest. A little endian (Intel)
 * signal starts at its lowest bit and goes up from there. A big endian (Motorola) one starts at its
 * highest bit and goes down within the byte, and from bit 0 of a byte to bit 7 of the next.
 */
enum { DBC_BYTES_MAX = 64, DBC_LENGTH_MAX = 64 };

enum dbc_type { DBC_UNSIGNED, DBC_SIGNED, DBC_FLOAT };

struct dbc_signal {
    unsigned start;
    unsigned length; /* in bits; 32 or 64 of a float */
    bool is_big_endian;
    enum dbc_type type;
    struct decimal factor; /* physical value = raw * factor + offset; not of a float */
    struct decimal offset;
    unsigned decimals;
};

/** How many bytes of data a frame must have for it; above DBC_BYTES_MAX: none has. */
unsigned dbc_bytes(const struct dbc_signal *signal);

/** Its bits, the highest first. E_END: the frame is too short. */
int dbc_raw(const struct dbc_signal *signal, const uint8_t *data, unsigned data_bytes,
            uint64_t *ret_raw);

/** Its value. E_END as above; E_RANGE: it does not fit, or is a float that is no number. */
int dbc_value(const struct dbc_signal *signal, const uint8_t *data, unsigned data_bytes,
              struct value *ret_value);

#endif
