/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "drivers/driver.h"
#include "drivers/i2c/chip.h"
#include "drivers/i2c/chip_ads1115.h"
#include "drivers/i2c/chip_bme280.h"
#include "drivers/i2c/chip_lm75.h"
#include "drivers/i2c/chip_registers.h"
#include "drivers/i2c/chip_sht3x.h"
#include "drivers/i2c/i2c_linux.h"
#include "drivers/i2c/port.h"
#include "platform/base/error.h"

static const struct chip *const chips[] = {&chip_lm75, &chip_sht3x, &chip_bme280, &chip_ads1115,
                                           &chip_registers};

struct i2c {
    struct port port;
    const struct chip *chip;
    union {
        struct chip_lm75 lm75;
        struct chip_sht3x sht3x;
        struct chip_bme280 bme280;
        struct chip_ads1115 ads1115;
        struct chip_registers registers;
    } state;
    char lack[DRIVER_FAULT_BYTES];
};

static const struct driver_key keys[] = {
    {"bus", DRIVER_KEY_TEXT, true, "the bus: \"/dev/i2c-1\", or \"1\""},
    {"address", DRIVER_KEY_TEXT, true, "of the chip, without the bit for reading: \"0x48\""},
    {"chip", DRIVER_KEY_TEXT, true,
     "which chip it is; registers for any that is not listed, by \"channels\""},
    {"resolution", DRIVER_KEY_INTEGER, false,
     "lm75 and tmp: bits of the temperature; default: all that the chip has, lm75: 9"},
    {"extended", DRIVER_KEY_BOOLEAN, false,
     "tmp102, tmp112: measures up to 150 instead of 128 degrees Celsius; default false"},
    {"repeatability", DRIVER_KEY_TEXT, false,
     "sht3x: high (16 ms), medium (7 ms) or low (5 ms); default high"},
    {"oversampling", DRIVER_KEY_INTEGER, false,
     "bme280, bmp280: samples per value (1: 10 ms in all, 16: 113 ms); default 1"},
    {"rate", DRIVER_KEY_INTEGER, false,
     "ads1115: 8, 16, 32, 64, 128, 250, 475, 860; ads1015: 128, 250, 490, 920, 1600, 2400, 3300 a "
     "second; default 128"},
    {"register_bits", DRIVER_KEY_INTEGER, false,
     "registers: 8 or 16 bits of a register's number (high byte first); default 8"},
    {"id_register", DRIVER_KEY_TEXT, false,
     "registers: where one byte tells that it is the right chip; default: not looked at"},
    {"id", DRIVER_KEY_TEXT, false, "registers: what stands there: \"0x10\""},
    {"init[].register", DRIVER_KEY_TEXT, true, "registers: what is written at the start: where"},
    {"init[].value", DRIVER_KEY_TEXT, true, "registers: likewise: what, such as \"0x07\""},
    {"init[].bytes", DRIVER_KEY_INTEGER, false, "registers: likewise: 1 to 4 bytes; default 1"},
    {"init[].order", DRIVER_KEY_TEXT, false, "registers: likewise: big or little; default big"},
    {"channels[].name", DRIVER_KEY_TEXT, true, "ads, registers: the name of a channel"},
    {"channels[].input", DRIVER_KEY_TEXT, false,
     "ads: \"0\", \"1\", \"2\", \"3\", or \"0-1\", \"0-3\", \"1-3\", \"2-3\" for a difference"},
    {"channels[].range", DRIVER_KEY_TEXT, false,
     "ads: \"6.144\", \"4.096\", \"2.048\", \"1.024\", \"0.512\", \"0.256\" volts; default "
     "\"2.048\""},
    {"channels[].register", DRIVER_KEY_TEXT, false, "registers: its first register: \"0x10\""},
    {"channels[].type", DRIVER_KEY_TEXT, false,
     "registers: how many bits, with sign or without (uint); default int16"},
    {"channels[].order", DRIVER_KEY_TEXT, false,
     "registers: big (the high byte is first) or little; default big"},
    {"channels[].shift", DRIVER_KEY_INTEGER, false,
     "registers: how many low bits are dropped; default 0"},
    {"channels[].bits", DRIVER_KEY_INTEGER, false,
     "registers: how many bits are kept then, the highest of them the sign of an int; default: "
     "all"},
    {"channels[].decimals", DRIVER_KEY_INTEGER, false,
     "registers: the number counts 10^-decimals: 1 for tenths; default 0"},
    {"channels[].factor", DRIVER_KEY_DECIMAL, false,
     "ads, registers: the value is multiplied by it; default 1"},
    {"channels[].offset", DRIVER_KEY_DECIMAL, false, "ads, registers: added to it then; default 0"},
    {"channels[].unit", DRIVER_KEY_UNIT, false,
     "ads, registers: a SenML unit name; default V for ads, else none"},
    {0}};

static const struct driver_limit limits[] = {
    {.key = "chip",
     .choices = "lm75|tmp75|tmp105|tmp102|tmp112|tmp117|sht3x|bme280|bmp280|ads1115|ads1015|"
                "registers"},
    {.key = "resolution", .low = 9, .high = 16},
    {.key = "repeatability", .choices = "high|medium|low"},
    {.key = "oversampling", .choices = "1|2|4|8|16"},
    {.key = "rate", .low = 8, .high = 3300},
    {.key = "register_bits", .choices = "8|16"},
    {.key = "init[].bytes", .low = 1, .high = 4},
    {.key = "init[].order", .choices = "big|little"},
    {.key = "channels[].type", .choices = "int8|uint8|int16|uint16|int24|uint24|int32|uint32"},
    {.key = "channels[].order", .choices = "big|little"},
    {.key = "channels[].shift", .low = 0, .high = 31},
    {.key = "channels[].bits", .low = 1, .high = 32},
    {.key = "channels[].decimals", .low = 0, .high = SAMPLE_DECIMALS_MAX},
    {.key = NULL}};

/* ---- settings ---- */

/* Whether WORD is one of LIST, words with | between them. */
static bool has_word(const char *words, const char *word, size_t count)
{
    for (const char *at = words; *at != '\0'; at += *at == '|') {
        size_t length = strcspn(at, "|");
        if (length == count && memcmp(at, word, count) == 0)
            return true;
        at += length;
    }
    return false;
}

static const struct chip *find_chip(const struct driver_context *context)
{
    const char *name = driver_setting(context, "chip");
    for (size_t i = 0; name != NULL && i < sizeof chips / sizeof chips[0]; i++)
        if (has_word(chips[i]->names, name, strlen(name)))
            return chips[i];
    return NULL;
}

/* "list[3].member" as the key that it is of: "list[].member". */
static size_t without_index(const char *key, char *plain, size_t plain_bytes)
{
    size_t used = 0;
    bool inside = false;
    for (; *key != '\0' && used < plain_bytes; key++) {
        inside = inside && *key != ']';
        if (!inside)
            plain[used++] = *key;
        inside = inside || *key == '[';
    }
    return used;
}

/* A key that the chip does not take would be read and then ignored. */
static const char *find_foreign(const struct driver_context *context, const struct chip *chip)
{
    char plain[64];
    for (size_t i = 0; i < context->setting_count; i++) {
        const char *key = context->settings[i].key;
        size_t count = without_index(key, plain, sizeof plain);
        if (!has_word("bus|address|chip", plain, count) && !has_word(chip->keys, plain, count))
            return key;
    }
    return NULL;
}

static const char *i2c_check(const struct driver_context *context)
{
    const struct chip *chip = find_chip(context);
    const char *key = "bus";
    const char *why = port_check_bus(driver_setting(context, key));
    if (why == NULL) {
        key = "address";
        why = port_check_address(driver_setting(context, key));
    }
    if (why != NULL) {
        driver_say(context->fault, "%s", why);
        return key;
    }
    key = find_foreign(context, chip);
    if (key != NULL) {
        driver_say(context->fault, "is not for the chip \"%s\"; remove it",
                   driver_setting(context, "chip"));
        return key;
    }
    return chip->check == NULL ? NULL : chip->check(context);
}

/* ---- the driver ---- */

static int i2c_open(void *instance, const struct driver_context *context)
{
    struct i2c *i2c = instance;
    i2c->chip = find_chip(context);
    int rc = port_open(&i2c->port, context, i2c_linux_calls());
    if (rc == 0)
        rc = i2c->chip->open(&i2c->state, &i2c->port, context);
    if (rc < 0)
        driver_say(context->fault, "%s", i2c->port.fault);
    return rc;
}

static int i2c_channels(const void *instance, struct channel *ret_channels)
{
    const struct i2c *i2c = instance;
    return i2c->chip->channels(&i2c->state, ret_channels);
}

static int i2c_fetch(void *instance, int64_t deadline_ms)
{
    struct i2c *i2c = instance;
    i2c->port.deadline_ms = deadline_ms;
    return i2c->chip->fetch(&i2c->state, &i2c->port);
}

static int i2c_read(void *instance, struct sample *ret_sample)
{
    struct i2c *i2c = instance;
    i2c->lack[0] = '\0';
    return i2c->chip->convert(&i2c->state, ret_sample, i2c->port.fault, i2c->lack);
}

static const char *i2c_fault(const void *instance)
{
    const struct i2c *i2c = instance;
    return i2c->port.fault[0] != '\0' ? i2c->port.fault : NULL;
}

static const char *i2c_lack(const void *instance)
{
    const struct i2c *i2c = instance;
    return i2c->lack[0] != '\0' ? i2c->lack : NULL;
}

static void i2c_close(void *instance)
{
    struct i2c *i2c = instance;
    port_close(&i2c->port);
}

const struct driver driver_i2c = {
    .name = "i2c",
    .summary = "chips on an I2C bus that no kernel driver reads (/dev/i2c-N)",
    .keys = keys,
    .limits = limits,
    .instance_bytes = sizeof(struct i2c),
    .bus_key = "bus",
    .check = i2c_check,
    .open = i2c_open,
    .channels = i2c_channels,
    .fetch = i2c_fetch,
    .read = i2c_read,
    .fault = i2c_fault,
    .lack = i2c_lack,
    .close = i2c_close,
};
