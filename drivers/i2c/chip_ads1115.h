/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_I2C_CHIP_ADS1115_H
#define RUNNEL_DRIVERS_I2C_CHIP_ADS1115_H

#include "drivers/i2c/chip.h"
#include "drivers/i2c/scale.h"

/** ADS1115 and ADS1015: voltages of four inputs or of their differences, one conversion each per
 *  fetch. Channels: those of the configuration. */
enum { CHIP_ADS1115_CHANNELS_MAX = 8 };

struct chip_ads1115_channel {
    unsigned input;
    unsigned range;
    struct channel channel;
    struct scale scale;
    uint8_t raw[2];
};

struct chip_ads1115 {
    unsigned rate; /* as its register says it */
    int64_t conversion_ms;
    int16_t highest; /* what it says for all that is beyond its range */
    size_t count;
    struct chip_ads1115_channel channels[CHIP_ADS1115_CHANNELS_MAX];
};

enum { CHIP_ADS1115_RANGES = 6 };

extern const struct chip chip_ads1115;

#endif
