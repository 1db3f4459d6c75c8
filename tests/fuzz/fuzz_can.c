/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "drivers/can/dbc.h"
#include "tests/fuzz/fuzz.h"

enum { HEAD_BYTES = 23 };

/* The place of the signal's bit NUMBER (0 is the lowest) in a frame. */
static unsigned place_of(const struct dbc_signal *signal, unsigned number)
{
    unsigned at = signal->start;
    if (!signal->is_big_endian)
        return at + number;
    for (unsigned steps = signal->length - 1 - number; steps > 0; steps--)
        at = at % 8 == 0 ? at + 15 : at - 1;
    return at;
}

/* Puts RAW back bit by bit: the frame must not change by it. */
static void check_bits(const struct dbc_signal *signal, const uint8_t *data, unsigned data_bytes,
                       uint64_t raw)
{
    uint8_t again[DBC_BYTES_MAX];
    memcpy(again, data, data_bytes);
    for (unsigned i = 0; i < signal->length; i++) {
        unsigned at = place_of(signal, i);
        if (at / 8 >= data_bytes)
            abort();
        again[at / 8] = (uint8_t)(again[at / 8] & ~(1U << at % 8));
        again[at / 8] = (uint8_t)(again[at / 8] | (raw >> i & 1U) << at % 8);
    }
    if (memcmp(again, data, data_bytes) != 0 || (signal->length < 64 && raw >> signal->length != 0))
        abort();
}

static struct dbc_signal read_signal(const uint8_t *head)
{
    struct dbc_signal signal = {.start = (head[0] | (head[1] & 1U) << 8),
                                .length = 1 + head[2] % DBC_LENGTH_MAX,
                                .is_big_endian = (head[3] & 1) != 0,
                                .type = (enum dbc_type)(head[3] / 2 % 3),
                                .decimals = head[4] % (DECIMAL_PLACES_MAX + 1)};
    memcpy(&signal.factor.mantissa, head + 5, 8);
    memcpy(&signal.offset.mantissa, head + 13, 8);
    signal.factor.decimals = head[21] % (DECIMAL_PLACES_MAX + 1);
    signal.offset.decimals = head[22] % (DECIMAL_PLACES_MAX + 1);
    if (signal.type == DBC_FLOAT)
        signal.length = signal.length > 32 ? 64 : 32;
    return signal;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    uint8_t data[DBC_BYTES_MAX];
    struct value value = {.kind = VALUE_TEXT};
    uint64_t raw;
    if (count < HEAD_BYTES)
        return 0;
    struct dbc_signal signal = read_signal(bytes);
    unsigned data_bytes =
        count - HEAD_BYTES > sizeof data ? (unsigned)sizeof data : (unsigned)(count - HEAD_BYTES);
    memcpy(data, bytes + HEAD_BYTES, data_bytes);
    bool fits = dbc_bytes(&signal) <= data_bytes;
    if (fits != (dbc_raw(&signal, data, data_bytes, &raw) == 0))
        abort();
    if (fits)
        check_bits(&signal, data, data_bytes, raw);
    int rc = dbc_value(&signal, data, data_bytes, &value);
    if ((rc < 0) != (value.kind == VALUE_TEXT) || (rc == 0 && !fits))
        abort();
    if (value.kind == VALUE_DECIMAL && value.decimals != signal.decimals)
        abort();
    return 0;
}
