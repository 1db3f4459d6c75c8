/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/i2c/chip_sht3x.h"

#include <string.h>

#include "platform/base/error.h"

/* Sensirion's data sheet SHT3x-DIS, version 7: commands of 16 bits, words with a check each. */
enum {
    COMMAND_BREAK = 0x3093, /* ends measuring over and over, in which others are not heard */
    COMMAND_STATUS = 0xf32d,
    COMMAND_HEATER_OFF = 0x3066,
    STATUS_HEATER = 0x2000,
    BREAK_MS = 1,
    LOOKS = 5, /* after the longest time that the data sheet gives */
    LOOK_MS = 2,
    DECIMALS = 3,
};

/* Single shot without clock stretching: who stretches holds the bus for all. */
static const struct repeatability {
    const char *name;
    unsigned command;
    int64_t ms;
} repeatabilities[] = {{"high", 0x2400, 16}, {"medium", 0x240b, 7}, {"low", 0x2416, 5}};

uint8_t chip_sht3x_crc(const uint8_t bytes[2])
{
    unsigned crc = 0xff;
    for (size_t i = 0; i < 2; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (crc & 0x80) != 0 ? (crc << 1 ^ 0x31) & 0xff : crc << 1;
    }
    return (uint8_t)crc;
}

static bool is_whole(const uint8_t word[3])
{
    return chip_sht3x_crc(word) == word[2];
}

static int say_other(struct port *port)
{
    driver_say(
        port->fault,
        "0x%02x on %s answers, but its status is no word of an SHT3x: is it another chip, or "
        "are the lines disturbed?",
        port->address, port->bus);
    return E_NOT_FOUND;
}

static int sht3x_open(void *state, struct port *port, const struct driver_context *context)
{
    struct chip_sht3x *sht3x = state;
    uint8_t status[3];
    const char *name = driver_setting(context, "repeatability");
    port->register_bytes = 2;
    for (unsigned i = 0; name != NULL && i < sizeof repeatabilities / sizeof repeatabilities[0];
         i++)
        if (strcmp(repeatabilities[i].name, name) == 0)
            sht3x->repeatability = i;
    int rc = port_write(port, COMMAND_BREAK, NULL, 0);
    if (rc == 0)
        rc = port_wait(port, BREAK_MS);
    if (rc == 0)
        rc = port_read(port, COMMAND_STATUS, status, sizeof status);
    if (rc < 0)
        return rc;
    if (!is_whole(status))
        return say_other(port);
    /* What it heats itself is not the temperature of the place. */
    return (chip_word(status) & STATUS_HEATER) != 0 ? port_write(port, COMMAND_HEATER_OFF, NULL, 0)
                                                    : 0;
}

static int sht3x_channels(const void *state, struct channel *ret_channels)
{
    (void)state;
    ret_channels[0] = (struct channel){.name = "temp", .unit = "Cel", .decimals = DECIMALS};
    ret_channels[1] = (struct channel){.name = "humidity", .unit = "%RH", .decimals = DECIMALS};
    return 2;
}

/* While it measures it does not acknowledge. */
static int sht3x_fetch(void *state, struct port *port)
{
    struct chip_sht3x *sht3x = state;
    const struct repeatability *as = &repeatabilities[sht3x->repeatability];
    int rc = port_write(port, as->command, NULL, 0);
    if (rc == 0)
        rc = port_wait(port, as->ms);
    for (unsigned look = 0; rc == 0; look++) {
        rc = port_receive(port, sht3x->raw, sizeof sht3x->raw);
        if (rc == 0 || !port_is_silence(rc) || look == LOOKS)
            return rc;
        rc = port_wait(port, LOOK_MS);
    }
    return rc;
}

/* (SPAN * WORD / 65535 + BASE) in 10^-3, rounded. */
static struct value convert(const uint8_t *word, int64_t span, int64_t base)
{
    int64_t scaled = (span * 1000 * chip_word(word) + 65535 / 2) / 65535;
    return (struct value){
        .kind = VALUE_DECIMAL, .decimals = DECIMALS, .mantissa = scaled + base * 1000};
}

static int sht3x_convert(const void *state, struct sample *ret_sample, char *fault, char *lack)
{
    const struct chip_sht3x *sht3x = state;
    (void)lack;
    for (const uint8_t *word = sht3x->raw; word < sht3x->raw + sizeof sht3x->raw; word += 3)
        if (!is_whole(word)) {
            driver_say(fault,
                       "the check of %s is 0x%02x instead of 0x%02x: the lines are disturbed (too "
                       "long, weak pull-ups)",
                       word == sht3x->raw ? "the temperature" : "the humidity", word[2],
                       chip_sht3x_crc(word));
            return E_DAMAGED;
        }
    *ret_sample = (struct sample){.value_count = 2};
    ret_sample->values[0] = convert(sht3x->raw, 175, -45);
    ret_sample->values[1] = convert(sht3x->raw + 3, 100, 0);
    return 0;
}

const struct chip chip_sht3x = {
    .names = "sht3x",
    .keys = "|repeatability|",
    .open = sht3x_open,
    .channels = sht3x_channels,
    .fetch = sht3x_fetch,
    .convert = sht3x_convert,
};
