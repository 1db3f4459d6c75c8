/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/driver.h"
#include "drivers/i2c/i2c_linux.h"
#include "platform/base/decimal.h"
#include "platform/base/error.h"
#include "tests/fuzz/fuzz.h"

/*
 * The input is what a broken or malicious chip answers, and what a configuration says. First byte:
 * which chip; second: which kind of adapter; then the settings of a table; the rest is read from
 * the bus, until it is used up and the bus is silent.
 */
enum { SETTINGS_MAX = 32, TEXT_BYTES = 24, FAULTY_EVERY = 64 };

static const uint8_t *input;
static size_t input_count;
static bool smbus_only;

static uint8_t take(void)
{
    if (input_count == 0)
        return 0;
    input_count--;
    return *input++;
}

/* ---- the bus ---- */

const struct i2c_calls *__wrap_i2c_linux_calls(void);
int __wrap_stop_wait(const struct stop *stop, int fd, short events, int64_t deadline_ms);

int __wrap_stop_wait(const struct stop *stop, int fd, short events, int64_t deadline_ms)
{
    (void)stop;
    (void)fd;
    (void)events;
    (void)deadline_ms;
    return E_TIMEOUT;
}

static int answer(uint8_t *bytes, size_t count)
{
    static const int errors[] = {ENXIO, EREMOTEIO, EIO, ETIMEDOUT, EAGAIN, ENODEV};
    if (input_count == 0)
        return error_sys(ENXIO);
    uint8_t mood = take();
    if (mood % FAULTY_EVERY == FAULTY_EVERY - 1)
        return error_sys(errors[mood / FAULTY_EVERY]);
    for (size_t i = 0; i < count; i++)
        bytes[i] = take();
    return 0;
}

static int bus_open(const char *path, int *ret_fd)
{
    (void)path;
    *ret_fd = 1;
    return 0;
}

static int bus_functions(int fd, unsigned long *ret_functions)
{
    (void)fd;
    *ret_functions = smbus_only ? I2C_FUNC_SMBUS_EMUL : I2C_FUNC_I2C;
    return 0;
}

static int bus_choose(int fd, unsigned address)
{
    (void)fd;
    if (address < 0x03 || address > 0x77)
        abort();
    return 0;
}

static int bus_bound(int fd, unsigned timeout_ms, unsigned retries)
{
    (void)fd;
    (void)timeout_ms;
    (void)retries;
    return 0;
}

static int bus_transfer(int fd, struct i2c_msg *messages, unsigned count)
{
    (void)fd;
    for (unsigned i = 0; i < count; i++)
        if ((messages[i].flags & I2C_M_RD) != 0) {
            int rc = answer(messages[i].buf, messages[i].len);
            if (rc < 0)
                return rc;
        }
    return (int)count;
}

static int bus_smbus(int fd, uint8_t read_write, uint8_t command, uint32_t size,
                     union i2c_smbus_data *data)
{
    (void)fd;
    (void)command;
    if (read_write == I2C_SMBUS_WRITE)
        return 0;
    if (size != I2C_SMBUS_I2C_BLOCK_DATA)
        return answer(data->block, 2);
    return answer(data->block, sizeof data->block); /* its length, too, is the chip's */
}

static void bus_close(int fd)
{
    (void)fd;
}

const struct i2c_calls *__wrap_i2c_linux_calls(void)
{
    static const struct i2c_calls calls = {.open = bus_open,
                                           .functions = bus_functions,
                                           .choose = bus_choose,
                                           .bound = bus_bound,
                                           .transfer = bus_transfer,
                                           .smbus = bus_smbus,
                                           .close = bus_close};
    return &calls;
}

/* ---- the settings ---- */

struct table {
    struct driver_setting settings[SETTINGS_MAX];
    char texts[SETTINGS_MAX][TEXT_BYTES];
    size_t count;
};

static void put(struct table *table, const char *key, const char *value)
{
    table->settings[table->count++] = (struct driver_setting){key, value};
}

/* A text of the input, up to a newline. */
static void put_text(struct table *table, const char *key)
{
    char *text = table->texts[table->count];
    size_t used = 0;
    for (uint8_t byte = take(); byte != '\n' && byte != '\0' && used < TEXT_BYTES - 1;
         byte = take())
        text[used++] = (char)byte;
    put(table, key, text);
}

static void put_integer(struct table *table, const char *key, int low, int high)
{
    char *text = table->texts[table->count];
    (void)snprintf(text, TEXT_BYTES, "%d", low + take() % (high - low + 1));
    put(table, key, text);
}

static void put_decimal(struct table *table, const char *key)
{
    char *text = table->texts[table->count];
    int whole = take() << 8;
    whole |= take();
    int fraction = take();
    int exponent = take() % 24;
    (void)snprintf(text, TEXT_BYTES, "%d.%de-%d", whole - 0x8000, fraction, exponent);
    put(table, key, text);
}

static void put_choice(struct table *table, const char *key, const char *const *choices)
{
    size_t count = 0;
    while (choices[count] != NULL)
        count++;
    put(table, key, choices[take() % count]);
}

static void put_ads1115(struct table *table)
{
    put(table, "channels[0].name", "a");
    put_text(table, "channels[0].input");
    put_decimal(table, "channels[0].factor");
    put_decimal(table, "channels[0].offset");
    put(table, "channels[1].name", "b");
    put(table, "channels[1].input", "2-3");
    put_text(table, "channels[1].range");
    put_integer(table, "rate", 8, 3300);
}

static void put_registers(struct table *table)
{
    static const char *const types[] = {"int8",   "uint8", "int16",  "uint16", "int24",
                                        "uint24", "int32", "uint32", NULL};
    static const char *const orders[] = {"big", "little", NULL};
    static const char *const sizes[] = {"8", "16", NULL};
    put_choice(table, "register_bits", sizes);
    put(table, "channels[0].name", "a");
    put_text(table, "channels[0].register");
    put_choice(table, "channels[0].type", types);
    put_choice(table, "channels[0].order", orders);
    put_integer(table, "channels[0].shift", 0, 31);
    put_integer(table, "channels[0].bits", 1, 32);
    put(table, "channels[1].name", "b");
    put(table, "channels[1].register", "1");
    put_choice(table, "channels[1].type", types);
    put_integer(table, "channels[1].decimals", 0, 18);
    put_decimal(table, "channels[1].factor");
    put_decimal(table, "channels[1].offset");
    put(table, "init[0].register", "0");
    put_text(table, "init[0].value");
    put_integer(table, "init[0].bytes", 1, 4);
}

/* ---- what must hold ---- */

static int64_t thousandths(const struct value *value)
{
    struct decimal result;
    if (decimal_round((struct decimal){value->mantissa, value->decimals}, 3, &result) < 0)
        abort();
    return result.mantissa;
}

static void expect_within(const struct sample *sample, size_t index, int64_t low, int64_t high)
{
    const struct value *value = &sample->values[index];
    if (index >= sample->value_count)
        return;
    if (value->kind != VALUE_DECIMAL || thousandths(value) < low || thousandths(value) > high)
        abort();
}

static void expect_sample(const struct sample *sample, int channels, const char *chip)
{
    if (sample->value_count != (size_t)channels || sample->document != NULL)
        abort();
    for (size_t i = 0; i < sample->value_count; i++)
        if (sample->values[i].kind != VALUE_ABSENT &&
            (sample->values[i].kind != VALUE_DECIMAL ||
             sample->values[i].decimals > SAMPLE_DECIMALS_MAX))
            abort();
    if (strcmp(chip, "sht3x") == 0) {
        expect_within(sample, 0, -45000, 130000);
        expect_within(sample, 1, 0, 100000);
    } else if (strcmp(chip + 1, "me280") == 0 || strcmp(chip + 1, "mp280") == 0) {
        expect_within(sample, 0, -45000, 90000);
        expect_within(sample, 1, 10000000, 130000000);
        expect_within(sample, 2, 0, 100000);
    } else if (strcmp(chip, "registers") == 0) {
        expect_within(sample, 0, -2147483648LL * 1000, 4294967295LL * 1000);
    } else if (strncmp(chip, "ads", 3) != 0) {
        expect_within(sample, 0, -256000, 256000);
    }
}

/* Opens, and takes two samples. */
static void run(const struct driver *driver, const struct driver_context *context, void *instance,
                const char *chip)
{
    struct channel channels[SAMPLE_CHANNELS_MAX];
    int rc = driver->open(instance, context);
    if (rc < 0 && context->fault[0] == '\0')
        abort();
    for (unsigned i = 0; i < 2 && rc == 0; i++) {
        struct sample sample;
        int count = driver->channels(instance, channels);
        rc = driver->fetch(instance, INT64_MAX);
        if (rc == 0)
            rc = driver->read(instance, &sample);
        if (rc == 0)
            expect_sample(&sample, count, chip);
        else if (driver->fault(instance) == NULL)
            abort();
    }
    driver->close(instance);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const char *const chips[] = {"lm75",    "tmp75",     "tmp105",    "tmp102", "tmp112",
                                        "tmp117",  "sht3x",     "bme280",    "bmp280", "ads1115",
                                        "ads1015", "registers", "registers", NULL};
    const struct driver *driver = driver_find("i2c");
    const struct stop stop = {.fd = -1};
    char fault[DRIVER_FAULT_BYTES] = "";
    struct table table = {.count = 0};
    input = bytes;
    input_count = count;
    put_choice(&table, "chip", chips);
    const char *chip = table.settings[0].value;
    uint8_t kind = take();
    smbus_only = (kind & 1) != 0;
    put(&table, "bus", "/dev/i2c-1");
    if ((kind & 2) != 0)
        put_text(&table, "address");
    else
        put(&table, "address", "0x48");
    if (strncmp(chip, "ads", 3) == 0)
        put_ads1115(&table);
    else if (strcmp(chip, "registers") == 0)
        put_registers(&table);
    else if (strncmp(chip, "tmp1", 4) == 0 || strcmp(chip, "tmp75") == 0)
        put_integer(&table, "resolution", 9, 16);
    const struct driver_context context = {.sensor = "fuzz",
                                           .root = "",
                                           .settings = table.settings,
                                           .setting_count = table.count,
                                           .timeout_ms = INT32_MAX,
                                           .stop = &stop,
                                           .fault = fault};
    void *instance = calloc(1, driver->instance_bytes);
    if (instance == NULL)
        abort();
    if (driver->check(&context) == NULL)
        run(driver, &context, instance, chip);
    else if (fault[0] == '\0')
        abort();
    free(instance);
    return 0;
}
