/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_I2C_CHIP_SHT3X_H
#define RUNNEL_DRIVERS_I2C_CHIP_SHT3X_H

#include "drivers/i2c/chip.h"

/** SHT30, SHT31, SHT35: one measurement per fetch. Channels: temp, humidity. */
struct chip_sht3x {
    unsigned repeatability; /* high, medium, low */
    uint8_t raw[6];         /* temperature, its check, humidity, its check */
};

/** The check of two bytes: CRC-8, polynomial 0x31, begun with 0xff. Pure. */
uint8_t chip_sht3x_crc(const uint8_t bytes[2]);

extern const struct chip chip_sht3x;

#endif
