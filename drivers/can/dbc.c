/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/can/dbc.h"

#include <math.h>
#include <string.h>

#include "platform/base/error.h"

enum { BYTE_BITS = 8 };

/* How many bits of the first byte a big endian signal has before it. */
static unsigned bits_above(const struct dbc_signal *signal)
{
    return BYTE_BITS - 1 - signal->start % BYTE_BITS;
}

unsigned dbc_bytes(const struct dbc_signal *signal)
{
    unsigned before = signal->is_big_endian ? bits_above(signal) : signal->start % BYTE_BITS;
    return signal->start / BYTE_BITS + (before + signal->length + BYTE_BITS - 1) / BYTE_BITS;
}

static uint64_t bit_of(const uint8_t *data, unsigned byte, unsigned bit)
{
    return (uint64_t)data[byte] >> bit & 1;
}

static uint64_t big_endian_bits(const struct dbc_signal *signal, const uint8_t *data)
{
    uint64_t raw = 0;
    unsigned at = signal->start / BYTE_BITS * BYTE_BITS + bits_above(signal);
    for (unsigned i = 0; i < signal->length; i++, at++)
        raw = raw << 1 | bit_of(data, at / BYTE_BITS, BYTE_BITS - 1 - at % BYTE_BITS);
    return raw;
}

static uint64_t little_endian_bits(const struct dbc_signal *signal, const uint8_t *data)
{
    uint64_t raw = 0;
    for (unsigned i = signal->length; i-- > 0;) {
        unsigned at = signal->start + i;
        raw = raw << 1 | bit_of(data, at / BYTE_BITS, at % BYTE_BITS);
    }
    return raw;
}

int dbc_raw(const struct dbc_signal *signal, const uint8_t *data, unsigned data_bytes,
            uint64_t *ret_raw)
{
    if (dbc_bytes(signal) > data_bytes)
        return E_END;
    *ret_raw =
        signal->is_big_endian ? big_endian_bits(signal, data) : little_endian_bits(signal, data);
    return 0;
}

static int float_value(uint64_t raw, unsigned length, struct value *ret_value)
{
    struct value value = {.kind = VALUE_FLOAT64, .float64_bits = raw};
    double number;
    if (length == 32) {
        uint32_t bits = (uint32_t)raw;
        float narrow;
        memcpy(&narrow, &bits, sizeof narrow);
        number = (double)narrow;
        memcpy(&value.float64_bits, &number, sizeof number);
    }
    memcpy(&number, &value.float64_bits, sizeof number);
    if (!isfinite(number))
        return E_RANGE;
    *ret_value = value;
    return 0;
}

static int64_t with_sign(uint64_t raw, unsigned length)
{
    uint64_t sign = (uint64_t)1 << (length - 1);
    return (int64_t)((raw ^ sign) - sign);
}

int dbc_value(const struct dbc_signal *signal, const uint8_t *data, unsigned data_bytes,
              struct value *ret_value)
{
    uint64_t raw;
    struct decimal result;
    int rc = dbc_raw(signal, data, data_bytes, &raw);
    if (rc < 0)
        return rc;
    if (signal->type == DBC_FLOAT)
        return float_value(raw, signal->length, ret_value);
    if (signal->type == DBC_UNSIGNED && raw > INT64_MAX)
        return E_RANGE;
    const struct decimal number = {
        .mantissa = signal->type == DBC_SIGNED ? with_sign(raw, signal->length) : (int64_t)raw};
    rc = decimal_scale(number, signal->factor, signal->offset, signal->decimals, &result);
    if (rc < 0)
        return rc;
    *ret_value = (struct value){
        .kind = VALUE_DECIMAL, .mantissa = result.mantissa, .decimals = result.decimals};
    return 0;
}
