/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_I2C_CHIP_LM75_H
#define RUNNEL_DRIVERS_I2C_CHIP_LM75_H

#include "drivers/i2c/chip.h"

/** LM75 and its kin: a temperature of 9 to 16 bits from the top of register 0, measured over and
 *  over. Channel: temp. */
struct chip_lm75 {
    unsigned kind;      /* which of the kin */
    unsigned bits;      /* of the temperature */
    unsigned places;    /* of those behind the point */
    bool extended;      /* up to 150 degrees Celsius instead of 128 */
    bool fresh;         /* nothing was read since it was set up */
    bool changed;       /* and it was made to measure otherwise than it did */
    int64_t settled_ms; /* when its first measurement has ended for sure */
    uint8_t raw[2];
};

enum { CHIP_LM75_KINDS = 6 };

extern const struct chip chip_lm75;

#endif
