/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/i2c/chip_bme280.h"

#include <string.h>

#include "drivers/bus/settings.h"
#include "platform/base/error.h"

/* Registers of the data sheets BST-BME280-DS002 and BST-BMP280-DS001. */
enum {
    TRIM_FIRST = 0x88,
    ID = 0xd0,
    TRIM_SECOND = 0xe1,
    CONTROL_HUMIDITY = 0xf2,
    STATUS = 0xf3,
    CONTROL = 0xf4,
    CONFIGURATION = 0xf5,
    DATA = 0xf7,
};
enum {
    ID_BMP280 = 0x58,
    ID_BME280 = 0x60,
    STATUS_MEASURING = 0x08,
    STATUS_COPYING = 0x01, /* the trim is on its way from its memory, after power-on */
    MODE_FORCED = 1,       /* measures once and sleeps again */
    LOOKS = 10,
    LOOK_MS = 2,
    BMP280_RAW_BYTES = 6,
    NOT_MEASURED = 0x80000,  /* of 20 bits, as at power-on */
    TEMPERATURE_MIN = -4500, /* a little more than the chip can, in 0.01 degrees Celsius */
    TEMPERATURE_MAX = 9000,
    PRESSURE_MIN = 10000 * 256, /* likewise, in 1/256 Pa */
    PRESSURE_MAX = 130000 * 256,
    DECIMALS = 2,
    HUMIDITY_DECIMALS = 3,
};

/* ---- the data sheet's arithmetic ---- */

static uint16_t low_first(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static int16_t signed_low_first(const uint8_t *bytes)
{
    return (int16_t)low_first(bytes);
}

/* H4 and H5 are of 12 bits with sign: the upper eight in a byte of their own, the lower in half a
 * byte that they share. */
static int16_t twelve_bits(uint8_t upper, unsigned lower)
{
    return (int16_t)((int8_t)upper * 16 + (int)(lower & 0xf));
}

void chip_bme280_read_trim(const uint8_t first[CHIP_BME280_FIRST_BYTES],
                           const uint8_t second[CHIP_BME280_SECOND_BYTES],
                           struct chip_bme280_trim *ret_trim)
{
    *ret_trim = (struct chip_bme280_trim){
        .t1 = low_first(first),
        .t2 = signed_low_first(first + 2),
        .t3 = signed_low_first(first + 4),
        .p1 = low_first(first + 6),
        .p2 = signed_low_first(first + 8),
        .p3 = signed_low_first(first + 10),
        .p4 = signed_low_first(first + 12),
        .p5 = signed_low_first(first + 14),
        .p6 = signed_low_first(first + 16),
        .p7 = signed_low_first(first + 18),
        .p8 = signed_low_first(first + 20),
        .p9 = signed_low_first(first + 22),
        .h1 = first[25],
        .h2 = signed_low_first(second),
        .h3 = second[2],
        .h4 = twelve_bits(second[3], second[4]),
        .h5 = twelve_bits(second[5], second[4] >> 4U),
        .h6 = (int8_t)second[6],
    };
}

int32_t chip_bme280_temperature(const struct chip_bme280_trim *trim, int32_t raw, int32_t *ret_fine)
{
    int64_t coarse = (raw >> 4) - trim->t1;
    int64_t linear = ((raw >> 3) - 2 * (int64_t)trim->t1) * trim->t2 >> 11;
    int64_t square = (coarse * coarse >> 12) * trim->t3 >> 14;
    int64_t fine = linear + square;
    *ret_fine = (int32_t)fine;
    return (int32_t)((fine * 5 + 128) >> 8);
}

/* Every step fits into 64 bits while FINE is within 2^19, but for the one that is asked for. */
int chip_bme280_pressure(const struct chip_bme280_trim *trim, int32_t raw, int32_t fine,
                         int64_t *ret_pressure)
{
    const int64_t one = 1;
    int64_t from = (int64_t)fine - 128000;
    int64_t offset =
        from * from * trim->p6 + from * trim->p5 * (one << 17) + trim->p4 * (one << 35);
    int64_t slope = (from * from * trim->p3 >> 8) + from * trim->p2 * (one << 12);
    /* always positive, and with P1 up to all 64 bits */
    int64_t divisor = (int64_t)((uint64_t)((one << 47) + slope) * trim->p1 >> 33);
    int64_t dividend = (1048576 - (int64_t)raw) * (one << 31) - offset;
    if (divisor == 0 || dividend > INT64_MAX / 3125 || dividend < 0)
        return E_RANGE;
    int64_t pressure = dividend * 3125 / divisor;
    if (pressure > one << 36)
        return E_RANGE;
    int64_t square = trim->p9 * (pressure >> 13) * (pressure >> 13) >> 25;
    int64_t linear = trim->p8 * pressure >> 19;
    pressure = ((pressure + square + linear) >> 8) + trim->p7 * 16;
    if (pressure < PRESSURE_MIN || pressure > PRESSURE_MAX)
        return E_RANGE;
    *ret_pressure = pressure;
    return 0;
}

int32_t chip_bme280_humidity(const struct chip_bme280_trim *trim, int32_t raw, int32_t fine)
{
    int64_t from = (int64_t)fine - 76800;
    int64_t linear =
        ((int64_t)raw * 16384 - (int64_t)trim->h4 * 1048576 - trim->h5 * from + 16384) >> 15;
    int64_t bend = ((from * trim->h6 >> 10) * ((from * trim->h3 >> 11) + 32768) >> 10) + 2097152;
    int64_t humidity = linear * ((bend * trim->h2 + 8192) >> 14);
    int64_t root = humidity >> 15;
    humidity -= (root * root >> 7) * trim->h1 >> 4;
    humidity = humidity < 0 ? 0 : humidity;
    humidity = humidity > 419430400 ? 419430400 : humidity; /* 100 %RH */
    return (int32_t)(humidity >> 12);
}

/* ---- check ---- */

/* 1 to 16 as 1 to 5. */
static unsigned exponent(const struct driver_context *context)
{
    unsigned code = 1;
    int64_t times = settings_integer(driver_setting(context, "oversampling"), 1);
    for (; times > 1; times /= 2)
        code++;
    return code;
}

static bool has_humidity(const struct driver_context *context)
{
    return strcmp(driver_setting(context, "chip"), "bme280") == 0;
}

/* Data sheet section 9.1: 1.25 ms, 2.3 ms for each sample, 0.575 ms for each but the first kind. */
static int64_t measuring_ms(unsigned oversampling, bool humidity)
{
    int64_t times = (int64_t)1 << (oversampling - 1);
    int64_t kinds = humidity ? 3 : 2;
    return (1250 + kinds * 2300 * times + (kinds - 1) * 575 + 999) / 1000;
}

static const char *bme280_check(const struct driver_context *context)
{
    int64_t ms = measuring_ms(exponent(context), has_humidity(context));
    if (ms < context->timeout_ms)
        return NULL;
    driver_say(context->fault, "takes %d ms, which is longer than \"timeout\"", (int)ms);
    return "oversampling";
}

/* ---- setting up ---- */

static bool is_blank(const uint8_t *bytes, size_t count)
{
    size_t same = 1;
    while (same < count && bytes[same] == bytes[0])
        same++;
    return same == count && (bytes[0] == 0x00 || bytes[0] == 0xff);
}

static int check_id(struct chip_bme280 *bme280, struct port *port)
{
    uint8_t id;
    uint8_t wanted = bme280->has_humidity ? ID_BME280 : ID_BMP280;
    int rc = port_read(port, ID, &id, 1);
    if (rc < 0 || id == wanted)
        return rc;
    driver_say(port->fault,
               "0x%02x on %s is no %s: its id (register 0xd0) is 0x%02x instead of 0x%02x%s",
               port->address, port->bus, bme280->has_humidity ? "bme280" : "bmp280", id, wanted,
               id == ID_BMP280   ? "; \"chip\": \"bmp280\" is right for it"
               : id == ID_BME280 ? "; \"chip\": \"bme280\" is right for it"
                                 : "");
    return E_NOT_FOUND;
}

/* Waits until none of BITS is set in the status. */
static int await_status(struct port *port, uint8_t bits)
{
    uint8_t status;
    for (unsigned look = 0;; look++) {
        int rc = port_read(port, STATUS, &status, 1);
        if (rc < 0 || (status & bits) == 0)
            return rc;
        if (look == LOOKS)
            break;
        rc = port_wait(port, LOOK_MS);
        if (rc < 0)
            return rc;
    }
    driver_say(port->fault, "0x%02x on %s does not end its measurement (status 0x%02x)",
               port->address, port->bus, status);
    return E_TIMEOUT;
}

static int read_trim(struct chip_bme280 *bme280, struct port *port)
{
    uint8_t first[CHIP_BME280_FIRST_BYTES];
    uint8_t second[CHIP_BME280_SECOND_BYTES] = {0};
    int rc = await_status(port, STATUS_COPYING);
    if (rc == 0)
        rc = port_read(port, TRIM_FIRST, first, sizeof first);
    if (rc == 0 && bme280->has_humidity)
        rc = port_read(port, TRIM_SECOND, second, sizeof second);
    if (rc < 0)
        return rc;
    if (is_blank(first, sizeof first) ||
        (bme280->has_humidity && is_blank(second, sizeof second))) {
        driver_say(port->fault, "0x%02x on %s has no calibration: the chip is damaged",
                   port->address, port->bus);
        return E_NOT_FOUND;
    }
    chip_bme280_read_trim(first, second, &bme280->trim);
    return 0;
}

static int bme280_open(void *state, struct port *port, const struct driver_context *context)
{
    static const uint8_t asleep = 0;
    static const uint8_t no_filter = 0;
    struct chip_bme280 *bme280 = state;
    bme280->has_humidity = has_humidity(context);
    bme280->oversampling = exponent(context);
    int rc = check_id(bme280, port);
    if (rc == 0)
        rc = read_trim(bme280, port);
    if (rc == 0)
        rc = port_write(port, CONTROL, &asleep, 1); /* the next is not taken otherwise */
    if (rc == 0)
        rc = port_write(port, CONFIGURATION, &no_filter, 1);
    return rc;
}

static int bme280_channels(const void *state, struct channel *ret_channels)
{
    const struct chip_bme280 *bme280 = state;
    ret_channels[0] = (struct channel){.name = "temp", .unit = "Cel", .decimals = DECIMALS};
    ret_channels[1] = (struct channel){.name = "pressure", .unit = "Pa", .decimals = DECIMALS};
    ret_channels[2] =
        (struct channel){.name = "humidity", .unit = "%RH", .decimals = HUMIDITY_DECIMALS};
    return bme280->has_humidity ? 3 : 2;
}

/* ---- measuring ---- */

/* All is written each time: a chip that lost its power in between forgot it. */
static int bme280_fetch(void *state, struct port *port)
{
    struct chip_bme280 *bme280 = state;
    uint8_t humidity = (uint8_t)bme280->oversampling;
    uint8_t control =
        (uint8_t)(bme280->oversampling << 5 | bme280->oversampling << 2 | MODE_FORCED);
    int rc = 0;
    if (bme280->has_humidity)
        rc = port_write(port, CONTROL_HUMIDITY, &humidity, 1);
    if (rc == 0)
        rc = port_write(port, CONTROL, &control, 1);
    if (rc == 0)
        rc = port_wait(port, measuring_ms(bme280->oversampling, bme280->has_humidity));
    if (rc == 0)
        rc = await_status(port, STATUS_MEASURING);
    if (rc == 0)
        rc = port_read(port, DATA, bme280->raw,
                       bme280->has_humidity ? sizeof bme280->raw : BMP280_RAW_BYTES);
    return rc;
}

static int32_t twenty_bits(const uint8_t *bytes)
{
    return (int32_t)((uint32_t)bytes[0] << 12 | (uint32_t)bytes[1] << 4 | (uint32_t)bytes[2] >> 4);
}

static int refuse(char *fault, int code, const char *what)
{
    driver_say(fault, "%s; did the chip lose its power, or is it damaged?", what);
    return code;
}

static int bme280_convert(const void *state, struct sample *ret_sample, char *fault, char *lack)
{
    const struct chip_bme280 *bme280 = state;
    const struct chip_bme280_trim *trim = &bme280->trim;
    int32_t pressure_raw = twenty_bits(bme280->raw);
    int32_t temperature_raw = twenty_bits(bme280->raw + 3);
    int32_t humidity_raw = chip_word(bme280->raw + 6);
    int32_t fine;
    int64_t pressure;
    (void)lack;
    /* One of them alone may have been measured: it is about 26 degrees, or 850 hPa. */
    if (temperature_raw == NOT_MEASURED && pressure_raw == NOT_MEASURED)
        return refuse(fault, E_DAMAGED, "it did not measure");
    int32_t temperature = chip_bme280_temperature(trim, temperature_raw, &fine);
    if (temperature < TEMPERATURE_MIN || temperature > TEMPERATURE_MAX)
        return refuse(fault, E_RANGE, "its temperature is none that it can measure");
    if (chip_bme280_pressure(trim, pressure_raw, fine, &pressure) < 0)
        return refuse(fault, E_RANGE, "its pressure is none that it can measure");
    *ret_sample = (struct sample){.value_count = bme280->has_humidity ? 3 : 2};
    ret_sample->values[0] =
        (struct value){.kind = VALUE_DECIMAL, .decimals = DECIMALS, .mantissa = temperature};
    ret_sample->values[1] = (struct value){
        .kind = VALUE_DECIMAL, .decimals = DECIMALS, .mantissa = (pressure * 100 + 128) >> 8};
    if (bme280->has_humidity) {
        int64_t humidity = chip_bme280_humidity(trim, humidity_raw, fine);
        ret_sample->values[2] = (struct value){.kind = VALUE_DECIMAL,
                                               .decimals = HUMIDITY_DECIMALS,
                                               .mantissa = (humidity * 1000 + 512) >> 10};
    }
    return 0;
}

const struct chip chip_bme280 = {
    .names = "bme280|bmp280",
    .keys = "|oversampling|",
    .check = bme280_check,
    .open = bme280_open,
    .channels = bme280_channels,
    .fetch = bme280_fetch,
    .convert = bme280_convert,
};
