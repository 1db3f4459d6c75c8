/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_I2C_CHIP_REGISTERS_H
#define RUNNEL_DRIVERS_I2C_CHIP_REGISTERS_H

#include "drivers/i2c/chip.h"
#include "drivers/i2c/scale.h"

/** Any chip, by a table of its registers in the configuration. Channels: those of the table. */
enum { CHIP_REGISTERS_INIT_MAX = 16 };

/** How the bytes of a register make a number. */
struct chip_registers_layout {
    unsigned bytes; /* 1 to 4 */
    bool little;    /* the low byte is first */
    bool has_sign;
    unsigned shift; /* so many bits are dropped at the low end */
    unsigned bits;  /* and so many are kept, shift and bits within bytes * 8 */
};

struct chip_registers_channel {
    unsigned number; /* of its first register */
    struct chip_registers_layout layout;
    unsigned decimals;
    struct scale scale;
    struct channel channel;
    uint8_t raw[4];
};

/** What is written when the chip is opened. */
struct chip_registers_write {
    unsigned number;
    size_t count;
    uint8_t bytes[4];
};

struct chip_registers {
    size_t count;
    struct chip_registers_channel channels[SAMPLE_CHANNELS_MAX];
};

/** The number that BYTES make. Pure. */
int64_t chip_registers_value(const struct chip_registers_layout *layout, const uint8_t bytes[4]);

extern const struct chip chip_registers;

#endif
