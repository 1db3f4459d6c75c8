/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_I2C_CHIP_BME280_H
#define RUNNEL_DRIVERS_I2C_CHIP_BME280_H

#include "drivers/i2c/chip.h"

/** BME280 and BMP280 (which has no humidity): one measurement per fetch. Channels: temp, pressure,
 *  humidity. */
enum { CHIP_BME280_FIRST_BYTES = 26, CHIP_BME280_SECOND_BYTES = 7, CHIP_BME280_RAW_BYTES = 8 };

/** The numbers that each chip is born with, named as in the data sheet. */
struct chip_bme280_trim {
    uint16_t t1;
    int16_t t2, t3;
    uint16_t p1;
    int16_t p2, p3, p4, p5, p6, p7, p8, p9;
    uint8_t h1;
    int16_t h2;
    uint8_t h3;
    int16_t h4, h5;
    int8_t h6;
};

struct chip_bme280 {
    bool has_humidity;
    unsigned oversampling; /* as its registers say it: 1 for one, 2 for two, 3 for four ... */
    struct chip_bme280_trim trim;
    uint8_t raw[CHIP_BME280_RAW_BYTES]; /* pressure, temperature, humidity, from register 0xf7 */
};

/** Takes the trim from the bytes of registers 0x88 to 0xa1 and 0xe1 to 0xe7. Pure. */
void chip_bme280_read_trim(const uint8_t first[CHIP_BME280_FIRST_BYTES],
                           const uint8_t second[CHIP_BME280_SECOND_BYTES],
                           struct chip_bme280_trim *ret_trim);

/** Data sheet section 4.2.3, in whole numbers. Temperature in 0.01 degrees Celsius and, in
 *  RET_FINE, in the unit that the others need. Pure, as the next two. */
int32_t chip_bme280_temperature(const struct chip_bme280_trim *trim, int32_t raw,
                                int32_t *ret_fine);

/** Pressure in 1/256 Pa. E_RANGE: no such chip, no such air. FINE within 2^19. */
int chip_bme280_pressure(const struct chip_bme280_trim *trim, int32_t raw, int32_t fine,
                         int64_t *ret_pressure);

/** Humidity in 1/1024 %RH. */
int32_t chip_bme280_humidity(const struct chip_bme280_trim *trim, int32_t raw, int32_t fine);

extern const struct chip chip_bme280;

#endif
