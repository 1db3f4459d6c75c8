/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/i2c/chip_bme280.h"
#include "drivers/i2c/chip_registers.h"
#include "drivers/i2c/chip_sht3x.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "tests/unit/driver_rig.h"
#include "tests/unit/fake_i2c.h"

static const char *const bus_path = "dev/i2c-1";

static int setup(void **state)
{
    int rc = rig_setup(state);
    struct rig *rig = *state;
    rig->context.timeout_ms = 1000;
    rig_write(rig, bus_path, "");
    fake_i2c_reset(0x48);
    return rc;
}

static int teardown(void **state)
{
    rig_close(*state);
    assert_int_equal(fake_i2c.open_count, 0);
    return rig_teardown(state);
}

static void configure(struct rig *rig, const char *chip)
{
    static char address[8];
    (void)snprintf(address, sizeof address, "0x%02x", fake_i2c.address);
    rig_set(rig, NULL, NULL);
    rig_set(rig, "bus", "/dev/i2c-1");
    rig_set(rig, "address", address);
    rig_set(rig, "chip", chip);
}

static void open_good(struct rig *rig)
{
    const struct driver *driver = driver_find("i2c");
    const char *key = driver->check(&rig->context);
    if (key != NULL)
        fail_msg("%s: %s", key, rig->fault);
    int rc = rig_open(rig, "i2c");
    if (rc < 0)
        fail_msg("open: %s", rig->fault);
}

static const char *fault_of(const struct rig *rig)
{
    const char *fault = rig->driver->fault(rig->instance);
    return fault == NULL ? "" : fault;
}

static void expect_words(const char *text, const char *words)
{
    if (text == NULL || strstr(text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", text == NULL ? "" : text, words);
}

static void expect_fetch_fails(struct rig *rig, int code, const char *words)
{
    assert_int_equal(rig_sample(rig), code);
    expect_words(fault_of(rig), words);
}

/* ---- LM75 and kin ---- */

/* The data sheets' own examples, and what lies at the ends. */
static void test_temperatures_of_the_lm75_and_kin(void **state)
{
    static const struct {
        const char *chip, *key, *value;
        uint16_t configuration, raw;
        int64_t mantissa;
        unsigned decimals;
    } rows[] = {
        {"lm75", NULL, NULL, 0x0000, 0x7d00, 1250, 1},
        {"lm75", NULL, NULL, 0x0000, 0xff80, -5, 1},
        {"lm75", NULL, NULL, 0x0000, 0xc900, -550, 1},
        {"lm75", NULL, NULL, 0x0000, 0x195f, 250, 1}, /* what is not defined is dropped */
        {"lm75", "resolution", "11", 0x0000, 0x1920, 25125, 3},
        {"tmp75", NULL, NULL, 0x6000, 0x7ff0, 1279375, 4},
        {"tmp105", NULL, NULL, 0x6000, 0x2f80, 475000, 4},
        {"tmp105", NULL, NULL, 0x6000, 0xe700, -250000, 4},
        {"tmp105", NULL, NULL, 0x6000, 0xfff0, -625, 4},
        {"tmp105", "resolution", "9", 0x0000, 0x2f80, 475, 1},
        {"tmp105", "resolution", "10", 0x2000, 0x0140, 125, 2},
        {"tmp102", NULL, NULL, 0x60a0, 0x6400, 1000000, 4},
        {"tmp112", NULL, NULL, 0x60a0, 0xc900, -550000, 4},
        {"tmp102", "extended", "true", 0x60b0, 0x4b01, 1500000, 4},
        {"tmp112", "extended", "true", 0x60b0, 0xe481, -550000, 4},
        {"tmp102", "extended", "true", 0x60b0, 0x0009, 625, 4},
        {"tmp117", NULL, NULL, 0x0220, 0x0c80, 250000000, 7},
        {"tmp117", NULL, NULL, 0x0220, 0xffff, -78125, 7},
        {"tmp117", NULL, NULL, 0x0220, 0x0001, 78125, 7},
    };
    struct rig *rig = *state;
    fake_i2c.of_words = true;
    fake_i2c.words[0x0f] = 0x1117;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        configure(rig, rows[i].chip);
        if (rows[i].key != NULL)
            rig_set(rig, rows[i].key, rows[i].value);
        fake_i2c.words[1] = rows[i].configuration;
        fake_i2c.words[0] = rows[i].raw;
        fake_i2c.sent_count = 0;
        open_good(rig);
        assert_int_equal(rig_sample(rig), 0);
        rig_expect(rig, "temp", rows[i].mantissa, rows[i].decimals, "Cel");
        assert_int_equal(rig->channels[0].decimals, rows[i].decimals);
        assert_int_equal(fake_i2c.sent_count, 0); /* it was set up so already */
    }
}

static void test_a_chip_is_woken_and_set_to_its_best(void **state)
{
    struct rig *rig = *state;
    fake_i2c.of_words = true;
    configure(rig, "tmp105");
    fake_i2c.words[1] = 0x0500; /* shut down, 9 bits, comparator's polarity */
    fake_i2c.words[0] = 0x1900;
    open_good(rig);
    assert_int_equal(fake_i2c.words[1], 0x6400);
    assert_int_equal(rig_sample(rig), 0);
    assert_in_range(fake_i2c.waited_ms, 220, 400); /* for the first measurement */
    assert_int_equal(rig_sample(rig), 0);
    assert_in_range(fake_i2c.waited_ms, 220, 400); /* and for no other */
    fake_i2c_reset(0x48);
    fake_i2c.of_words = true;
    configure(rig, "tmp112");
    rig_set(rig, "extended", "true");
    fake_i2c.words[1] = 0x61a0;
    open_good(rig);
    assert_int_equal(fake_i2c.words[1], 0x60b0);
}

static void measure_word(struct fake_i2c *chip, uint16_t word)
{
    if (chip->waited_ms >= chip->ready_ms)
        chip->words[0] = word;
}

static int measure_24(struct fake_i2c *chip)
{
    measure_word(chip, 0x1800);
    return 0;
}

static void test_the_value_at_power_on_is_waited_out(void **state)
{
    static const char *const chips[] = {"lm75", "tmp75", "tmp102", "tmp117"};
    struct rig *rig = *state;
    for (size_t i = 0; i < 4; i++) {
        fake_i2c_reset(0x48);
        fake_i2c.of_words = true;
        fake_i2c.words[0x0f] = 0x0117;
        fake_i2c.words[1] = i == 2 ? 0x60a0 : i == 1 ? 0x6000 : 0x0000;
        fake_i2c.words[0] = i == 3 ? 0x8000 : 0x0000;
        fake_i2c.ready_ms = 120;
        fake_i2c.asked = measure_24;
        configure(rig, chips[i]);
        open_good(rig);
        assert_int_equal(rig_sample(rig), 0);
        assert_true(fake_i2c.waited_ms >= 120);
        assert_int_equal(rig_value(rig, "temp")->mantissa > 0, 1);
    }
}

static void test_a_short_timeout_is_no_reason_to_wait_forever(void **state)
{
    struct rig *rig = *state;
    fake_i2c.of_words = true;
    fake_i2c.words[0x0f] = 0x0117;
    fake_i2c.words[1] = 0x0620; /* shut down */
    fake_i2c.words[0] = 0x0c80;
    configure(rig, "tmp117");
    open_good(rig);
    int rc = E_TIMEOUT;
    for (int64_t end_ms = clock_mono_ms() + 10000; rc == E_TIMEOUT && clock_mono_ms() < end_ms;)
        rc = rig->driver->fetch(rig->instance, clock_mono_ms() + 10);
    assert_int_equal(rc, 0);
}

static void test_zero_degrees_are_a_temperature(void **state)
{
    struct rig *rig = *state;
    fake_i2c.of_words = true;
    fake_i2c.words[1] = 0x6000;
    configure(rig, "tmp75");
    open_good(rig);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "temp", 0, 4, "Cel");
}

static void test_words_that_no_such_chip_says_are_refused(void **state)
{
    static const struct {
        const char *chip;
        uint16_t configuration, raw;
    } rows[] = {
        {"lm75", 0x0000, 0xffff},   {"tmp75", 0x6000, 0xffff},  {"tmp105", 0x6000, 0x1901},
        {"tmp102", 0x60a0, 0x1901}, {"tmp117", 0x0220, 0x8000},
    };
    struct rig *rig = *state;
    fake_i2c.of_words = true;
    fake_i2c.words[0x0f] = 0x0117;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        configure(rig, rows[i].chip);
        fake_i2c.words[1] = rows[i].configuration;
        fake_i2c.words[0] = rows[i].raw;
        open_good(rig);
        expect_fetch_fails(rig, E_DAMAGED, rows[i].chip);
    }
}

static void test_another_chip_is_not_taken_for_an_lm75(void **state)
{
    static const char *const chips[] = {"lm75", "tmp105", "tmp102", "tmp117"};
    struct rig *rig = *state;
    fake_i2c.of_words = true;
    memset(fake_i2c.words, 0xff, sizeof fake_i2c.words);
    for (size_t i = 0; i < 4; i++) {
        configure(rig, chips[i]);
        assert_int_equal(rig_open(rig, "i2c"), E_NOT_FOUND);
        expect_words(rig->fault, chips[i]);
    }
    memset(fake_i2c.words, 0, sizeof fake_i2c.words);
    for (size_t i = 2; i < 4; i++) {
        configure(rig, chips[i]);
        assert_int_equal(rig_open(rig, "i2c"), E_NOT_FOUND);
    }
}

/* ---- SHT3x ---- */

static void put_word(unsigned at, uint16_t word)
{
    uint8_t bytes[3] = {(uint8_t)(word >> 8), (uint8_t)(word & 0xff)};
    bytes[2] = chip_sht3x_crc(bytes);
    fake_i2c_put(at, bytes, sizeof bytes);
}

static unsigned sht3x_conversion_ms;

static void sht3x_written(struct fake_i2c *chip, unsigned number, size_t count)
{
    (void)count;
    if (number == 0x2400 || number == 0x240b || number == 0x2416)
        chip->ready_ms = chip->waited_ms + sht3x_conversion_ms;
}

static int sht3x_asked(struct fake_i2c *chip)
{
    return chip->waited_ms < chip->ready_ms ? ENXIO : 0;
}

static void plug_sht3x(unsigned command, uint16_t temperature, uint16_t humidity)
{
    fake_i2c_reset(0x44);
    fake_i2c.head_bytes = 2;
    fake_i2c.written = sht3x_written;
    fake_i2c.asked = sht3x_asked;
    sht3x_conversion_ms = 15;
    put_word(0xf32d, 0x8010);
    put_word(command, temperature);
    put_word(command + 3, humidity);
}

static void test_the_check_of_the_sht3x(void **state)
{
    (void)state;
    assert_int_equal(chip_sht3x_crc((const uint8_t[]){0xbe, 0xef}), 0x92); /* the data sheet's */
    assert_int_equal(chip_sht3x_crc((const uint8_t[]){0x00, 0x00}), 0x81);
    assert_int_equal(chip_sht3x_crc((const uint8_t[]){0xff, 0xff}), 0xac);
}

static void test_values_of_the_sht3x(void **state)
{
    static const struct {
        uint16_t temperature, humidity;
        int64_t temp, relative;
    } rows[] = {{0x6666, 0x8000, 25000, 50001},
                {0x0000, 0x0000, -45000, 0},
                {0xffff, 0xffff, 130000, 100000},
                {0x0001, 0x0001, -44997, 2}};
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        plug_sht3x(0x2400, rows[i].temperature, rows[i].humidity);
        configure(rig, "sht3x");
        open_good(rig);
        assert_int_equal(rig_sample(rig), 0);
        rig_expect(rig, "temp", rows[i].temp, 3, "Cel");
        rig_expect(rig, "humidity", rows[i].relative, 3, "%RH");
    }
    plug_sht3x(0x2416, 0x6666, 0x8000);
    configure(rig, "sht3x");
    rig_set(rig, "repeatability", "low");
    open_good(rig);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "temp", 25000, 3, "Cel");
}

static void test_a_slow_sht3x_is_asked_again_and_not_forever(void **state)
{
    struct rig *rig = *state;
    plug_sht3x(0x2400, 0x6666, 0x8000);
    configure(rig, "sht3x");
    open_good(rig);
    sht3x_conversion_ms = 21;
    assert_int_equal(rig_sample(rig), 0);
    sht3x_conversion_ms = 1000;
    unsigned before = fake_i2c.transfers;
    expect_fetch_fails(rig, error_sys(ENXIO), "no chip answers at 0x44 on /dev/i2c-1");
    assert_in_range(fake_i2c.transfers - before, 3, 10);
}

static void test_a_disturbed_sht3x_is_refused(void **state)
{
    struct rig *rig = *state;
    plug_sht3x(0x2400, 0x6666, 0x8000);
    configure(rig, "sht3x");
    open_good(rig);
    for (unsigned byte = 0; byte < 6; byte++)
        for (unsigned bit = 0; bit < 8; bit++) {
            fake_i2c.bytes[0x2400 + byte] ^= (uint8_t)(1 << bit);
            expect_fetch_fails(rig, E_DAMAGED, byte < 3 ? "the temperature" : "the humidity");
            fake_i2c.bytes[0x2400 + byte] ^= (uint8_t)(1 << bit);
        }
    assert_int_equal(rig_sample(rig), 0);
    fake_i2c.bytes[0xf32f] ^= 1;
    assert_int_equal(rig_open(rig, "i2c"), E_NOT_FOUND);
    expect_words(rig->fault, "SHT3x");
}

static void test_the_heater_of_the_sht3x_is_switched_off(void **state)
{
    struct rig *rig = *state;
    static const uint8_t off[] = {0x30, 0x93, 0xf3, 0x2d, 0x30, 0x66};
    plug_sht3x(0x2400, 0x6666, 0x8000);
    put_word(0xf32d, 0x2000);
    configure(rig, "sht3x");
    open_good(rig);
    assert_int_equal(fake_i2c.sent_count, sizeof off);
    assert_memory_equal(fake_i2c.sent, off, sizeof off);
}

/* ---- BME280 and BMP280 ---- */

/* The trim of the data sheet's example (BMP280, section 3.12), and usual ones for humidity. */
static const struct chip_bme280_trim example = {.t1 = 27504,
                                                .t2 = 26435,
                                                .t3 = -1000,
                                                .p1 = 36477,
                                                .p2 = -10685,
                                                .p3 = 3024,
                                                .p4 = 2855,
                                                .p5 = 140,
                                                .p6 = -7,
                                                .p7 = 15500,
                                                .p8 = -14600,
                                                .p9 = 6000,
                                                .h1 = 75,
                                                .h2 = 361,
                                                .h3 = 0,
                                                .h4 = 324,
                                                .h5 = 50,
                                                .h6 = 30};

static void test_the_example_of_the_data_sheet(void **state)
{
    (void)state;
    int32_t fine;
    int64_t pressure;
    assert_int_equal(chip_bme280_temperature(&example, 519888, &fine), 2508);
    assert_int_equal(fine, 128422);
    assert_int_equal(chip_bme280_pressure(&example, 415148, fine, &pressure), 0);
    assert_int_equal(pressure, 25767233); /* its figure says ...236, its formula does not */
}

/* The data sheet's other arithmetic (section 8.1), in binary fractions. */
static double reference_fine(const struct chip_bme280_trim *trim, int32_t raw)
{
    double linear = (raw / 16384.0 - trim->t1 / 1024.0) * trim->t2;
    double square = raw / 131072.0 - trim->t1 / 8192.0;
    return linear + square * square * trim->t3;
}

static double reference_pressure(const struct chip_bme280_trim *trim, int32_t raw, double fine)
{
    double first = fine / 2.0 - 64000.0;
    double second = first * first * trim->p6 / 32768.0 + first * trim->p5 * 2.0;
    second = second / 4.0 + trim->p4 * 65536.0;
    first = (trim->p3 * first * first / 524288.0 + trim->p2 * first) / 524288.0;
    first = (1.0 + first / 32768.0) * trim->p1;
    double pressure = (1048576.0 - raw - second / 4096.0) * 6250.0 / first;
    first = trim->p9 * pressure * pressure / 2147483648.0;
    second = pressure * trim->p8 / 32768.0;
    return pressure + (first + second + trim->p7) / 16.0;
}

static double reference_humidity(const struct chip_bme280_trim *trim, int32_t raw, double fine)
{
    double humidity = fine - 76800.0;
    humidity =
        (raw - (trim->h4 * 64.0 + trim->h5 / 16384.0 * humidity)) *
        (trim->h2 / 65536.0 *
         (1.0 + trim->h6 / 67108864.0 * humidity * (1.0 + trim->h3 / 67108864.0 * humidity)));
    humidity *= 1.0 - trim->h1 * humidity / 524288.0;
    return humidity < 0 ? 0 : humidity > 100 ? 100 : humidity;
}

static double apart(double left, double right)
{
    return left > right ? left - right : right - left;
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* About BASE, a tenth less or more. */
static int vary(uint32_t *seed, int base)
{
    int span = (base < 0 ? -base : base) / 10 + 1;
    return base + (int)(next_random(seed) % (2 * (unsigned)span + 1)) - span;
}

static void vary_trim(uint32_t *seed, struct chip_bme280_trim *trim)
{
    *trim = example;
    trim->t1 = (uint16_t)vary(seed, example.t1);
    trim->t2 = (int16_t)vary(seed, example.t2);
    trim->t3 = (int16_t)vary(seed, example.t3);
    trim->p1 = (uint16_t)vary(seed, example.p1);
    trim->p2 = (int16_t)vary(seed, example.p2);
    trim->p3 = (int16_t)vary(seed, example.p3);
    trim->p4 = (int16_t)vary(seed, example.p4);
    trim->p5 = (int16_t)vary(seed, example.p5);
    trim->p7 = (int16_t)vary(seed, example.p7);
    trim->p8 = (int16_t)vary(seed, example.p8);
    trim->p9 = (int16_t)vary(seed, example.p9);
    trim->h2 = (int16_t)vary(seed, example.h2);
    trim->h3 = (uint8_t)(next_random(seed) % 40);
    trim->h4 = (int16_t)vary(seed, example.h4);
    trim->h5 = (int16_t)vary(seed, example.h5);
    trim->h6 = (int8_t)vary(seed, example.h6);
}

static void test_whole_numbers_agree_with_binary_fractions(void **state)
{
    (void)state;
    uint32_t seed = 280;
    double most[3] = {0};
    unsigned compared = 0;
    for (unsigned i = 0; i < 100000; i++) {
        struct chip_bme280_trim trim;
        int32_t fine;
        int64_t pressure;
        vary_trim(&seed, &trim);
        int32_t raw_t = (int32_t)(next_random(&seed) % (1 << 20));
        int32_t raw_p = (int32_t)(next_random(&seed) % (1 << 20));
        int32_t raw_h = (int32_t)(next_random(&seed) % (1 << 16));
        int32_t temperature = chip_bme280_temperature(&trim, raw_t, &fine);
        if (temperature < -4000 || temperature > 8500 ||
            chip_bme280_pressure(&trim, raw_p, fine, &pressure) < 0)
            continue;
        double exact = reference_fine(&trim, raw_t);
        const double off[] = {
            apart(temperature / 100.0, exact / 5120.0),
            apart((double)pressure / 256.0, reference_pressure(&trim, raw_p, exact)),
            apart(chip_bme280_humidity(&trim, raw_h, fine) / 1024.0,
                  reference_humidity(&trim, raw_h, exact))};
        for (size_t k = 0; k < 3; k++)
            most[k] = off[k] > most[k] ? off[k] : most[k];
        compared++;
    }
    print_message("%u compared; apart by at most %.4f Cel, %.3f Pa, %.4f %%RH\n", compared, most[0],
                  most[1], most[2]);
    assert_true(compared > 10000);
    assert_true(most[0] < 0.01 && most[1] < 1.0 && most[2] < 0.05);
}

static void put_low_first(unsigned at, int value)
{
    fake_i2c.bytes[at] = (uint8_t)(value & 0xff);
    fake_i2c.bytes[at + 1] = (uint8_t)(value >> 8 & 0xff);
}

static void put_trim(const struct chip_bme280_trim *trim)
{
    const int words[] = {trim->t1, trim->t2, trim->t3, trim->p1, trim->p2, trim->p3,
                         trim->p4, trim->p5, trim->p6, trim->p7, trim->p8, trim->p9};
    for (unsigned i = 0; i < 12; i++)
        put_low_first(0x88 + 2 * i, words[i]);
    fake_i2c.bytes[0xa1] = trim->h1;
    put_low_first(0xe1, trim->h2);
    fake_i2c.bytes[0xe3] = trim->h3;
    fake_i2c.bytes[0xe4] = (uint8_t)(trim->h4 >> 4 & 0xff);
    fake_i2c.bytes[0xe5] = (uint8_t)((trim->h4 & 0xf) | (trim->h5 & 0xf) << 4);
    fake_i2c.bytes[0xe6] = (uint8_t)(trim->h5 >> 4 & 0xff);
    fake_i2c.bytes[0xe7] = (uint8_t)trim->h6;
}

/* Measures for so long once it is told to. */
static unsigned bme280_conversion_ms;

static void bme280_written(struct fake_i2c *chip, unsigned number, size_t count)
{
    if (number == 0xf4 && count == 1 && (chip->bytes[0xf4] & 3) == 1)
        chip->ready_ms = chip->waited_ms + bme280_conversion_ms;
}

static int bme280_asked(struct fake_i2c *chip)
{
    static const uint8_t measured[] = {0x65, 0x5a, 0xc0, 0x7e, 0xed, 0x00, 0x6a, 0x00};
    bool ready = chip->waited_ms >= chip->ready_ms;
    chip->bytes[0xf3] = ready ? 0 : 0x08;
    if (ready && chip->ready_ms > 0) {
        memcpy(chip->bytes + 0xf7, measured, sizeof measured);
        chip->bytes[0xf4] &= 0xfc; /* asleep again */
    }
    return 0;
}

static void plug_bme280(uint8_t id)
{
    static const uint8_t not_measured[] = {0x80, 0, 0, 0x80, 0, 0, 0x80, 0};
    fake_i2c_reset(0x76);
    fake_i2c.written = bme280_written;
    fake_i2c.asked = bme280_asked;
    bme280_conversion_ms = 8;
    fake_i2c.bytes[0xd0] = id;
    put_trim(&example);
    fake_i2c_put(0xf7, not_measured, sizeof not_measured);
}

static void test_the_bme280_measures_when_asked(void **state)
{
    struct rig *rig = *state;
    plug_bme280(0x60);
    configure(rig, "bme280");
    open_good(rig);
    assert_int_equal(rig->channel_count, 3);
    fake_i2c.sent_count = 0;
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "temp", 2508, 2, "Cel");
    rig_expect(rig, "pressure", 10065325, 2, "Pa");
    int64_t humidity = rig_value(rig, "humidity")->mantissa;
    double reference = reference_humidity(&example, 0x6a00, reference_fine(&example, 519888));
    assert_true(apart((double)humidity / 1000.0, reference) < 0.05);
    assert_in_range(humidity, 20000, 80000);
    assert_int_equal(fake_i2c.bytes[0xf2], 1);
    assert_int_equal(fake_i2c.bytes[0xf4], 0x24);
    assert_in_range(fake_i2c.waited_ms, 9, 15);
}

static void test_the_bmp280_has_no_humidity(void **state)
{
    struct rig *rig = *state;
    plug_bme280(0x58);
    memset(fake_i2c.bytes + 0xe1, 0xff, 7);
    configure(rig, "bmp280");
    rig_set(rig, "oversampling", "16");
    bme280_conversion_ms = 75;
    open_good(rig);
    assert_int_equal(rig->channel_count, 2);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "pressure", 10065325, 2, "Pa");
    assert_int_equal(fake_i2c.bytes[0xf4], 0xb4);
    assert_int_equal(fake_i2c.bytes[0xf2], 0);
    assert_in_range(fake_i2c.waited_ms, 75, 85);
}

static void test_trim_of_twelve_bits_has_a_sign(void **state)
{
    (void)state;
    uint8_t first[CHIP_BME280_FIRST_BYTES] = {0};
    uint8_t second[CHIP_BME280_SECOND_BYTES] = {0, 0, 0, 0xff, 0xe1, 0x80, 0xff};
    struct chip_bme280_trim trim;
    chip_bme280_read_trim(first, second, &trim);
    assert_int_equal(trim.h4, -15);
    assert_int_equal(trim.h5, -2034);
    assert_int_equal(trim.h6, -1);
}

static void test_another_chip_is_not_taken_for_a_bme280(void **state)
{
    struct rig *rig = *state;
    plug_bme280(0x58);
    configure(rig, "bme280");
    assert_int_equal(rig_open(rig, "i2c"), E_NOT_FOUND);
    expect_words(rig->fault, "0x58 instead of 0x60; \"chip\": \"bmp280\"");
    plug_bme280(0xff);
    assert_int_equal(rig_open(rig, "i2c"), E_NOT_FOUND);
    plug_bme280(0x60);
    memset(fake_i2c.bytes + 0x88, 0xff, 26);
    assert_int_equal(rig_open(rig, "i2c"), E_NOT_FOUND);
    expect_words(rig->fault, "no calibration");
    plug_bme280(0x60);
    memset(fake_i2c.bytes + 0xe1, 0, 7);
    assert_int_equal(rig_open(rig, "i2c"), E_NOT_FOUND);
}

static void test_a_bme280_that_did_not_measure_is_refused(void **state)
{
    struct rig *rig = *state;
    plug_bme280(0x60);
    configure(rig, "bme280");
    open_good(rig);
    fake_i2c.written = NULL; /* deaf: it stays at what it has at power-on */
    expect_fetch_fails(rig, E_DAMAGED, "did not measure");
    plug_bme280(0x60);
    fake_i2c.written = NULL;
    fake_i2c.asked = NULL;
    fake_i2c_put(0xf7, (const uint8_t[]){0x65, 0x5a, 0xc0, 0x80, 0x00, 0x00, 0x80, 0x00}, 8);
    assert_int_equal(rig_sample(rig), 0); /* that may be */
    rig_expect(rig, "temp", 2646, 2, "Cel");
    fake_i2c_put(0xf7, (const uint8_t[]){0x80, 0x00, 0x00, 0x7e, 0xed, 0x00, 0x80, 0x00}, 8);
    assert_int_equal(rig_sample(rig), 0);
    memset(fake_i2c.bytes + 0xf7, 0x00, 8);
    expect_fetch_fails(rig, E_RANGE, "temperature is none");
    fake_i2c_put(0xf7, (const uint8_t[]){0xff, 0xff, 0xf0, 0x7e, 0xed, 0x00, 0x6a, 0x00}, 8);
    expect_fetch_fails(rig, E_RANGE, "pressure is none");
}

static int never_ready(struct fake_i2c *chip)
{
    chip->bytes[0xf3] = 0x08;
    return 0;
}

static void test_a_bme280_that_never_ends_is_left(void **state)
{
    struct rig *rig = *state;
    plug_bme280(0x60);
    configure(rig, "bme280");
    open_good(rig);
    fake_i2c.asked = never_ready;
    expect_fetch_fails(rig, E_TIMEOUT, "does not end its measurement");
    assert_in_range(fake_i2c.waited_ms, 10, 100);
    fake_i2c.asked = bme280_asked;
    assert_int_equal(rig_sample(rig), 0);
}

/* ---- ADS1115 ---- */

/* What each input says, in the order of the register's bits. */
static uint16_t ads1115_inputs[8];
static unsigned ads1115_conversion_ms;

static void ads1115_written(struct fake_i2c *chip, unsigned number, size_t count)
{
    if (number != 1 || count != 2 || (chip->words[1] & 0x8000) == 0)
        return;
    chip->words[0] = ads1115_inputs[chip->words[1] >> 12 & 7];
    chip->words[1] &= 0x7fff;
    chip->ready_ms = chip->waited_ms + ads1115_conversion_ms;
}

static int ads1115_asked(struct fake_i2c *chip)
{
    if (chip->waited_ms >= chip->ready_ms)
        chip->words[1] |= 0x8000;
    return 0;
}

static void plug_ads1115(void)
{
    fake_i2c_reset(0x48);
    fake_i2c.of_words = true;
    fake_i2c.words[1] = 0x8583;
    fake_i2c.written = ads1115_written;
    fake_i2c.asked = ads1115_asked;
    ads1115_conversion_ms = 8;
    for (unsigned i = 0; i < 8; i++)
        ads1115_inputs[i] = (uint16_t)(0x1000 * i);
}

static void configure_ads1115(struct rig *rig, const char *chip, const char *input,
                              const char *range)
{
    configure(rig, chip);
    rig_set(rig, "channels[0].name", "tank");
    rig_set(rig, "channels[0].input", input);
    if (range != NULL)
        rig_set(rig, "channels[0].range", range);
}

static void test_voltages_of_the_ads1115(void **state)
{
    static const struct {
        const char *input, *range;
        unsigned place;
        uint16_t raw;
        int64_t mantissa;
        unsigned decimals;
    } rows[] = {
        {"0", NULL, 4, 0x4000, 10240000, 7},        {"1", "4.096", 5, 0x7ffe, 4095750, 6},
        {"2", "6.144", 6, 0x0001, 1875, 7},         {"3", "1.024", 7, 0x4000, 51200000, 8},
        {"0-1", "0.512", 0, 0xc000, -256000000, 9}, {"0-3", "0.256", 1, 0xffff, -78125, 10},
        {"1-3", NULL, 2, 0x8001, -20479375, 7},     {"2-3", NULL, 3, 0x0000, 0, 7},
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        plug_ads1115();
        ads1115_inputs[rows[i].place] = rows[i].raw;
        configure_ads1115(rig, "ads1115", rows[i].input, rows[i].range);
        open_good(rig);
        assert_int_equal(rig_sample(rig), 0);
        rig_expect(rig, "tank", rows[i].mantissa, rows[i].decimals, "V");
        assert_null(rig->driver->lack(rig->instance));
    }
}

static void test_beyond_the_range_is_said(void **state)
{
    static const struct {
        const char *chip;
        uint16_t raw;
        bool beyond;
    } rows[] = {{"ads1115", 0x7fff, true}, {"ads1115", 0x8000, true}, {"ads1115", 0x7ff0, false},
                {"ads1015", 0x7ff0, true}, {"ads1015", 0x8000, true}, {"ads1015", 0x7fe0, false}};
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        plug_ads1115();
        ads1115_inputs[4] = rows[i].raw;
        ads1115_inputs[5] = 0x1000;
        configure_ads1115(rig, rows[i].chip, "0", NULL);
        rig_set(rig, "channels[1].name", "other");
        rig_set(rig, "channels[1].input", "1");
        open_good(rig);
        assert_int_equal(rig_sample(rig), 0);
        assert_int_equal(rig_value(rig, "tank")->kind == VALUE_ABSENT, rows[i].beyond);
        rig_expect(rig, "other", 2560000, 7, "V");
        if (rows[i].beyond)
            expect_words(rig->driver->lack(rig->instance), "channel tank (input 0) is beyond");
        else
            assert_null(rig->driver->lack(rig->instance));
        ads1115_inputs[4] = 0; /* and is not said any more */
        assert_int_equal(rig_sample(rig), 0);
        assert_null(rig->driver->lack(rig->instance));
    }
}

static void test_a_divider_is_multiplied_away(void **state)
{
    struct rig *rig = *state;
    plug_ads1115();
    ads1115_inputs[4] = 0x2710; /* 10000 steps of 0.000125 V */
    configure_ads1115(rig, "ads1115", "0", "4.096");
    rig_set(rig, "channels[0].factor", "11.02");
    rig_set(rig, "channels[0].offset", "-0.5");
    rig_set(rig, "channels[0].unit", "V");
    rig_set(rig, "rate", "860");
    ads1115_conversion_ms = 2;
    open_good(rig);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "tank", 1327500000, 8, "V");
}

static void test_an_ads1115_that_is_not_as_set_is_noticed(void **state)
{
    struct rig *rig = *state;
    plug_ads1115();
    configure_ads1115(rig, "ads1115", "0", NULL);
    open_good(rig);
    ads1115_conversion_ms = 100;
    expect_fetch_fails(rig, E_TIMEOUT, "does not end its conversion");
    fake_i2c.written = NULL;
    fake_i2c.head_bytes = 3; /* it takes no word any more */
    fake_i2c.words[1] = 0x8583;
    assert_true(rig_sample(rig) < 0);
    expect_words(fault_of(rig), "instead of");
    fake_i2c.head_bytes = 1;
    for (unsigned blank = 0; blank < 2; blank++) {
        fake_i2c.words[1] = blank == 0 ? 0 : 0xffff;
        fake_i2c.asked = NULL;
        assert_int_equal(rig_open(rig, "i2c"), E_NOT_FOUND);
        expect_words(rig->fault, "no ADS1115");
    }
}

/* ---- registers ---- */

static void test_layouts_of_numbers(void **state)
{
    static const struct {
        struct chip_registers_layout layout;
        uint8_t bytes[4];
        int64_t value;
    } rows[] = {
        {{1, false, false, 0, 8}, {0xff}, 255},
        {{1, false, true, 0, 8}, {0xff}, -1},
        {{2, false, false, 0, 16}, {0x12, 0x34}, 0x1234},
        {{2, true, false, 0, 16}, {0x12, 0x34}, 0x3412},
        {{2, false, true, 4, 12}, {0xff, 0xf0}, -1},
        {{2, false, true, 4, 12}, {0x7f, 0xff}, 2047},
        {{2, false, false, 3, 1}, {0x00, 0x08}, 1},
        {{1, false, true, 2, 1}, {0x04}, -1},
        {{3, false, true, 0, 24}, {0xfe, 0x2f, 0xee}, -118802},
        {{3, true, false, 0, 24}, {0x01, 0x02, 0x03}, 0x030201},
        {{3, false, false, 4, 20}, {0x80, 0x00, 0x0f}, 0x80000},
        {{4, false, false, 0, 32}, {0xff, 0xff, 0xff, 0xff}, 4294967295},
        {{4, false, true, 0, 32}, {0x80, 0, 0, 0}, -2147483648LL},
        {{4, true, true, 0, 32}, {0x01, 0, 0, 0x80}, -2147483647},
        {{4, false, false, 31, 1}, {0x80, 0, 0, 0}, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(chip_registers_value(&rows[i].layout, rows[i].bytes), rows[i].value);
}

/* The DPS310 as its data sheet has it: id, start of measuring, raw numbers of 24 bits. */
static void configure_dps310(struct rig *rig)
{
    static const uint8_t raw[] = {0xfe, 0x2f, 0xee, 0x02, 0x69, 0xa6};
    fake_i2c_reset(0x77);
    fake_i2c_put(0x00, raw, sizeof raw);
    fake_i2c.bytes[0x0d] = 0x10;
    configure(rig, "registers");
    rig_set(rig, "id_register", "0x0d");
    rig_set(rig, "id", "0x10");
    rig_set(rig, "init[0].register", "0x08");
    rig_set(rig, "init[0].value", "0x07");
    rig_set(rig, "channels[0].name", "pressure_raw");
    rig_set(rig, "channels[0].register", "0x00");
    rig_set(rig, "channels[0].type", "int24");
    rig_set(rig, "channels[1].name", "temperature_raw");
    rig_set(rig, "channels[1].register", "3");
    rig_set(rig, "channels[1].type", "int24");
}

static void test_a_table_reads_a_dps310(void **state)
{
    struct rig *rig = *state;
    configure_dps310(rig);
    open_good(rig);
    assert_int_equal(fake_i2c.bytes[0x08], 0x07);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "pressure_raw", -118802, 0, "");
    rig_expect(rig, "temperature_raw", 158118, 0, "");
    fake_i2c.bytes[0x0d] = 0x11;
    assert_int_equal(rig_open(rig, "i2c"), E_NOT_FOUND);
    expect_words(rig->fault, "id (register 0x0d) is 0x11 instead of 0x10");
}

static void test_values_of_a_table_are_exact(void **state)
{
    struct rig *rig = *state;
    fake_i2c.bytes[0x10] = 0x20;
    fake_i2c.bytes[0x11] = 0x85;
    configure(rig, "registers");
    rig_set(rig, "channels[0].name", "level");
    rig_set(rig, "channels[0].register", "0x10");
    rig_set(rig, "channels[0].type", "uint16");
    rig_set(rig, "channels[0].shift", "4");
    rig_set(rig, "channels[0].decimals", "1");
    rig_set(rig, "channels[0].factor", "0.0625");
    rig_set(rig, "channels[0].offset", "-3");
    rig_set(rig, "channels[0].unit", "m");
    rig_set(rig, "channels[1].name", "alarm");
    rig_set(rig, "channels[1].register", "0x10");
    rig_set(rig, "channels[1].type", "uint16");
    rig_set(rig, "channels[1].bits", "3");
    rig_set(rig, "channels[2].name", "turned");
    rig_set(rig, "channels[2].register", "0x10");
    rig_set(rig, "channels[2].order", "little");
    open_good(rig);
    unsigned before = fake_i2c.transfers;
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(fake_i2c.transfers - before, 1); /* one register, one reading */
    rig_expect(rig, "level", 520 * 625 - 300000, 5, "m");
    rig_expect(rig, "alarm", 5, 0, "");
    rig_expect(rig, "turned", (int16_t)0x8520, 0, "");
}

static void test_what_has_too_many_digits_is_absent(void **state)
{
    struct rig *rig = *state;
    fake_i2c.bytes[0x10] = 0x7f;
    fake_i2c.bytes[0x11] = 0xff;
    configure(rig, "registers");
    rig_set(rig, "channels[0].name", "big");
    rig_set(rig, "channels[0].register", "0x10");
    rig_set(rig, "channels[0].factor", "123456789.123456789");
    rig_set(rig, "channels[0].decimals", "0");
    rig_set(rig, "channels[1].name", "good");
    rig_set(rig, "channels[1].register", "0x10");
    open_good(rig);
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(rig_value(rig, "big")->kind, VALUE_ABSENT);
    rig_expect(rig, "good", 0x7fff, 0, "");
    expect_words(rig->driver->lack(rig->instance), "channel big");
}

static void test_registers_of_sixteen_bits(void **state)
{
    struct rig *rig = *state;
    fake_i2c.head_bytes = 2;
    fake_i2c.bytes[0x1234] = 0x56;
    configure(rig, "registers");
    rig_set(rig, "register_bits", "16");
    rig_set(rig, "init[0].register", "0x2000");
    rig_set(rig, "init[0].value", "0x010203");
    rig_set(rig, "init[0].bytes", "3");
    rig_set(rig, "init[1].register", "0x2010");
    rig_set(rig, "init[1].value", "0x0102");
    rig_set(rig, "init[1].bytes", "2");
    rig_set(rig, "init[1].order", "little");
    rig_set(rig, "channels[0].name", "value");
    rig_set(rig, "channels[0].register", "0x1234");
    rig_set(rig, "channels[0].type", "uint8");
    open_good(rig);
    assert_memory_equal(fake_i2c.bytes + 0x2000, "\x01\x02\x03", 3);
    assert_memory_equal(fake_i2c.bytes + 0x2010, "\x02\x01", 2);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "value", 0x56, 0, "");
}

/* ---- adapters that only know SMBus ---- */

static const unsigned long smbus_only = I2C_FUNC_SMBUS_BYTE | I2C_FUNC_SMBUS_BYTE_DATA |
                                        I2C_FUNC_SMBUS_WORD_DATA | I2C_FUNC_SMBUS_I2C_BLOCK;

static void test_smbus_serves_as_well(void **state)
{
    struct rig *rig = *state;
    fake_i2c.of_words = true;
    fake_i2c.words[0] = 0x2f80;
    fake_i2c.functions = smbus_only;
    configure(rig, "tmp105");
    open_good(rig);
    assert_int_equal(fake_i2c.words[1], 0x6000);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "temp", 475000, 4, "Cel");

    plug_bme280(0x60);
    fake_i2c.functions = smbus_only;
    configure(rig, "bme280");
    open_good(rig);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "pressure", 10065325, 2, "Pa");

    plug_ads1115();
    fake_i2c.functions = smbus_only;
    configure_ads1115(rig, "ads1115", "1", "4.096");
    open_good(rig);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "tank", 0x5000 * 125, 6, "V");

    configure_dps310(rig);
    rig_set(rig, "init[0].bytes", "3");
    fake_i2c.functions = smbus_only;
    open_good(rig);
    assert_memory_equal(fake_i2c.bytes + 0x08, "\x00\x00\x07", 3);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "pressure_raw", -118802, 0, "");
}

static void test_what_smbus_cannot_do_is_said(void **state)
{
    struct rig *rig = *state;
    plug_sht3x(0x2400, 0x6666, 0x8000);
    fake_i2c.functions = smbus_only;
    configure(rig, "sht3x");
    assert_int_equal(rig_open(rig, "i2c"), E_UNSUPPORTED);
    expect_words(rig->fault, "SMBus only");
    plug_bme280(0x60);
    fake_i2c.functions = I2C_FUNC_SMBUS_BYTE_DATA | I2C_FUNC_SMBUS_WORD_DATA;
    configure(rig, "bme280");
    assert_int_equal(rig_open(rig, "i2c"), E_UNSUPPORTED);
    expect_words(rig->fault, "read blocks");
    configure_dps310(rig);
    fake_i2c.functions = I2C_FUNC_SMBUS_READ_BYTE_DATA;
    assert_int_equal(rig_open(rig, "i2c"), E_UNSUPPORTED);
    expect_words(rig->fault, "write registers");
}

/* ---- the bus ---- */

static void plug_lm75(void)
{
    fake_i2c_reset(0x48);
    fake_i2c.of_words = true;
    fake_i2c.words[0] = 0x1900;
}

static void test_errors_of_the_bus_say_what_to_look_at(void **state)
{
    static const struct {
        int number;
        const char *words;
    } rows[] = {
        {ENXIO, "no chip answers at 0x48 on /dev/i2c-1"},
        {EREMOTEIO, "i2cdetect -y 1"},
        {EIO, "wiring"},
        {ETIMEDOUT, "holds SDA or SCL low"},
        {EAGAIN, "another master"},
        {EBUSY, "another master"},
        {ENODEV, "adapter unplugged"},
        {EOPNOTSUPP, "0x48 on /dev/i2c-1"},
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        plug_lm75();
        configure(rig, "lm75");
        open_good(rig);
        fake_i2c.transfer_errno = rows[i].number;
        expect_fetch_fails(rig, error_sys(rows[i].number), rows[i].words);
        assert_int_equal(rig_open(rig, "i2c"), error_sys(rows[i].number));
        expect_words(rig->fault, rows[i].words);
    }
    plug_lm75();
    open_good(rig);
    fake_i2c.cuts_short = true;
    expect_fetch_fails(rig, error_sys(EIO), "cut short");
    plug_bme280(0x60);
    fake_i2c.functions = smbus_only;
    fake_i2c.cuts_short = true;
    configure(rig, "bme280");
    assert_int_equal(rig_open(rig, "i2c"), error_sys(EIO));
    expect_words(rig->fault, "cut short");
}

static void test_a_hung_bus_has_its_time_bounded(void **state)
{
    struct rig *rig = *state;
    plug_lm75();
    configure(rig, "lm75");
    open_good(rig);
    assert_in_range(fake_i2c.timeout_ms * (fake_i2c.retries + 1), 50, 500);
}

static void test_a_bus_that_is_not_there(void **state)
{
    struct rig *rig = *state;
    plug_lm75();
    configure(rig, "lm75");
    rig_remove(rig, bus_path);
    assert_int_equal(rig_open(rig, "i2c"), error_sys(ENOENT));
    expect_words(rig->fault, "modprobe i2c-dev");
    rig_write(rig, bus_path, "");
    fake_i2c.functions_errno = ENOTTY;
    assert_int_equal(rig_open(rig, "i2c"), error_sys(ENOTTY));
    expect_words(rig->fault, "is it an I2C bus?");
    rig_set(rig, NULL, NULL);
    rig_set(rig, "bus", "1");
    rig_set(rig, "address", "72");
    rig_set(rig, "chip", "lm75");
    fake_i2c.functions_errno = 0;
    open_good(rig);
    assert_int_equal(rig_sample(rig), 0);
}

static void test_a_chip_of_the_kernel_is_left_to_it(void **state)
{
    struct rig *rig = *state;
    plug_lm75();
    configure(rig, "lm75");
    rig_write(rig, "sys/bus/i2c/devices/1-0048/name", "lm75\n");
    open_good(rig); /* known, but nobody's */
    assert_int_equal(symlink("../../../../bus/i2c/drivers/lm75",
                             rig_path(rig, "sys/bus/i2c/devices/1-0048/driver")),
                     0);
    unsigned before = fake_i2c.transfers;
    assert_int_equal(rig_open(rig, "i2c"), E_BUSY);
    expect_words(rig->fault, "kernel's driver lm75");
    expect_words(rig->fault, "echo 1-0048 > /sys/bus/i2c/drivers/lm75/unbind");
    assert_int_equal(fake_i2c.transfers, before);
    rig_remove(rig, "sys/bus/i2c/devices/1-0048/driver");
    fake_i2c.choose_errno = EBUSY;
    assert_int_equal(rig_open(rig, "i2c"), E_BUSY);
    /* A link that udev made to the bus leads to the same. */
    fake_i2c.choose_errno = 0;
    assert_int_equal(symlink("i2c-1", rig_path(rig, "dev/sensors")), 0);
    assert_int_equal(symlink("../drivers/lm75", rig_path(rig, "sys/bus/i2c/devices/1-0048/driver")),
                     0);
    rig_set(rig, NULL, NULL);
    rig_set(rig, "bus", "/dev/sensors");
    rig_set(rig, "address", "0x48");
    rig_set(rig, "chip", "lm75");
    assert_int_equal(rig_open(rig, "i2c"), E_BUSY);
}

static void test_unplugged_and_plugged_in_again(void **state)
{
    struct rig *rig = *state;
    plug_lm75();
    configure(rig, "lm75");
    open_good(rig);
    assert_int_equal(rig_sample(rig), 0);
    fake_i2c.plugged = false;
    expect_fetch_fails(rig, error_sys(ENXIO), "no chip answers");
    assert_int_equal(rig_open(rig, "i2c"), error_sys(ENXIO));
    fake_i2c.plugged = true;
    open_good(rig);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "temp", 250, 1, "Cel");
    assert_int_equal(fake_i2c.open_count, 1);
}

static void test_waits_end_at_the_deadline_and_when_stopped(void **state)
{
    struct rig *rig = *state;
    plug_bme280(0x60);
    configure(rig, "bme280");
    rig_set(rig, "oversampling", "16");
    open_good(rig);
    assert_int_equal(rig->driver->fetch(rig->instance, clock_mono_ms() + 50), E_TIMEOUT);
    expect_words(fault_of(rig), "raise \"timeout\"");
    assert_true(fake_i2c.waited_ms <= 50);
    stop_request(&rig->stop);
    assert_int_equal(rig_sample(rig), E_STOP);
}

/* ---- check ---- */

struct setting {
    const char *key, *value;
};

static void expect_refusal(struct rig *rig, const char *chip, const struct setting *settings,
                           const char *key, const char *words)
{
    const struct driver *driver = driver_find("i2c");
    configure(rig, chip);
    for (; settings->key != NULL; settings++)
        rig_set(rig, settings->key, settings->value);
    rig->fault[0] = '\0';
    const char *found = driver->check(&rig->context);
    if (found == NULL || strcmp(found, key) != 0)
        fail_msg("%s: %s instead of %s (%s)", chip, found, key, words);
    expect_words(rig->fault, words);
}

#define SETTINGS(...)                                                                              \
    (const struct setting[])                                                                       \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define CHANNEL(...) SETTINGS({"channels[0].name", "a"}, __VA_ARGS__)

static void test_settings_of_a_wrong_kind_are_refused(void **state)
{
    struct rig *rig = *state;
    expect_refusal(rig, "sht3x", SETTINGS({"oversampling", "2"}), "oversampling", "not for the");
    expect_refusal(rig, "lm75", CHANNEL({"channels[0].unit", "m"}), "channels[0].name",
                   "not for the");
    expect_refusal(rig, "registers",
                   CHANNEL({"channels[0].register", "1"}, {"channels[0].input", "0"}),
                   "channels[0].input", "not for the");
    expect_refusal(rig, "lm75", SETTINGS({"resolution", "16"}), "resolution", "9 to 12");
    expect_refusal(rig, "tmp117", SETTINGS({"resolution", "12"}), "resolution", "16 to 16");
    expect_refusal(rig, "tmp105", SETTINGS({"extended", "true"}), "extended", "tmp102");
    expect_refusal(rig, "ads1115", SETTINGS({"rate", "128"}), "channels", "1 to 8");
    expect_refusal(rig, "ads1115", CHANNEL({"rate", "920"}, {"channels[0].input", "0"}), "rate",
                   "860");
    expect_refusal(rig, "ads1115", CHANNEL({"channels[0].input", "1-2"}), "channels[0].input",
                   "names no input");
    expect_refusal(rig, "ads1115", CHANNEL({"channels[0].range", "2.048"}), "channels[0].name",
                   "names no input");
    expect_refusal(rig, "ads1015", CHANNEL({"channels[0].input", "0"}, {"channels[0].range", "5"}),
                   "channels[0].range", "6.144");
    expect_refusal(rig, "registers", CHANNEL({"channels[0].register", "0x100"}),
                   "channels[0].register", "no register");
    expect_refusal(rig, "registers", CHANNEL({"channels[0].type", "int8"}), "channels[0].name",
                   "no register");
    expect_refusal(rig, "registers",
                   CHANNEL({"channels[0].register", "1"}, {"channels[0].type", "int8"},
                           {"channels[0].shift", "4"}, {"channels[0].bits", "5"}),
                   "channels[0].bits", "beyond");
    expect_refusal(rig, "registers",
                   CHANNEL({"channels[0].register", "1"}, {"channels[0].factor", "1e99"}),
                   "channels[0].factor", "digits");
    expect_refusal(rig, "registers",
                   CHANNEL({"channels[0].register", "1"}, {"channels[1].name", "a"},
                           {"channels[1].register", "2"}),
                   "channels[1].name", "another channel");
    expect_refusal(rig, "registers", CHANNEL({"channels[0].register", "1"}, {"id", "0x10"}), "id",
                   "id_register");
    expect_refusal(rig, "registers",
                   CHANNEL({"channels[0].register", "1"}, {"id_register", "0x10"}, {"id", "0x100"}),
                   "id", "no byte");
    expect_refusal(rig, "registers",
                   CHANNEL({"channels[0].register", "1"}, {"init[0].register", "1"},
                           {"init[0].value", "0x1ff"}),
                   "init[0].value", "bytes");
}

static void test_what_takes_longer_than_the_timeout_is_refused(void **state)
{
    struct rig *rig = *state;
    rig->context.timeout_ms = 100;
    expect_refusal(rig, "bme280", SETTINGS({"oversampling", "16"}), "oversampling", "113 ms");
    expect_refusal(rig, "ads1115", CHANNEL({"channels[0].input", "0"}, {"rate", "8"}), "rate",
                   "138 ms");
    rig->context.timeout_ms = 200;
    configure(rig, "bme280");
    rig_set(rig, "oversampling", "16");
    assert_null(driver_find("i2c")->check(&rig->context));
}

static void test_bus_and_address_are_checked(void **state)
{
    static const struct {
        const char *bus, *address, *key;
    } rows[] = {
        {"i2c-1", "0x48", "bus"},    {"", "0x48", "bus"},
        {"-1", "0x48", "bus"},       {"1", "0x90", "address"},
        {"1", "0x02", "address"},    {"1", "48h", "address"},
        {"1", "", "address"},        {"1", "0x", "address"},
        {"1", "-5", "address"},      {"/dev/i2c-1", "120", "address"},
        {"/dev/i2c-1", "119", NULL}, {"0", "0x03", NULL},
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig_set(rig, NULL, NULL);
        rig_set(rig, "bus", rows[i].bus);
        rig_set(rig, "address", rows[i].address);
        rig_set(rig, "chip", "lm75");
        const char *key = driver_find("i2c")->check(&rig->context);
        assert_int_equal(key == NULL, rows[i].key == NULL);
        if (key != NULL)
            assert_string_equal(key, rows[i].key);
    }
}

#define I2C_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        I2C_TEST(test_temperatures_of_the_lm75_and_kin),
        I2C_TEST(test_a_chip_is_woken_and_set_to_its_best),
        I2C_TEST(test_the_value_at_power_on_is_waited_out),
        I2C_TEST(test_a_short_timeout_is_no_reason_to_wait_forever),
        I2C_TEST(test_zero_degrees_are_a_temperature),
        I2C_TEST(test_words_that_no_such_chip_says_are_refused),
        I2C_TEST(test_another_chip_is_not_taken_for_an_lm75),
        I2C_TEST(test_the_check_of_the_sht3x),
        I2C_TEST(test_values_of_the_sht3x),
        I2C_TEST(test_a_slow_sht3x_is_asked_again_and_not_forever),
        I2C_TEST(test_a_disturbed_sht3x_is_refused),
        I2C_TEST(test_the_heater_of_the_sht3x_is_switched_off),
        I2C_TEST(test_the_example_of_the_data_sheet),
        I2C_TEST(test_whole_numbers_agree_with_binary_fractions),
        I2C_TEST(test_the_bme280_measures_when_asked),
        I2C_TEST(test_the_bmp280_has_no_humidity),
        I2C_TEST(test_trim_of_twelve_bits_has_a_sign),
        I2C_TEST(test_another_chip_is_not_taken_for_a_bme280),
        I2C_TEST(test_a_bme280_that_did_not_measure_is_refused),
        I2C_TEST(test_a_bme280_that_never_ends_is_left),
        I2C_TEST(test_voltages_of_the_ads1115),
        I2C_TEST(test_beyond_the_range_is_said),
        I2C_TEST(test_a_divider_is_multiplied_away),
        I2C_TEST(test_an_ads1115_that_is_not_as_set_is_noticed),
        I2C_TEST(test_layouts_of_numbers),
        I2C_TEST(test_a_table_reads_a_dps310),
        I2C_TEST(test_values_of_a_table_are_exact),
        I2C_TEST(test_what_has_too_many_digits_is_absent),
        I2C_TEST(test_registers_of_sixteen_bits),
        I2C_TEST(test_smbus_serves_as_well),
        I2C_TEST(test_what_smbus_cannot_do_is_said),
        I2C_TEST(test_errors_of_the_bus_say_what_to_look_at),
        I2C_TEST(test_a_hung_bus_has_its_time_bounded),
        I2C_TEST(test_a_bus_that_is_not_there),
        I2C_TEST(test_a_chip_of_the_kernel_is_left_to_it),
        I2C_TEST(test_unplugged_and_plugged_in_again),
        I2C_TEST(test_waits_end_at_the_deadline_and_when_stopped),
        I2C_TEST(test_settings_of_a_wrong_kind_are_refused),
        I2C_TEST(test_what_takes_longer_than_the_timeout_is_refused),
        I2C_TEST(test_bus_and_address_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
