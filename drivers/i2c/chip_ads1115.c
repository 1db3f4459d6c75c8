/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/i2c/chip_ads1115.h"

#include <string.h>

#include "drivers/bus/settings.h"
#include "platform/base/error.h"

/* Registers and bits of the data sheets SBAS444 (ADS1115) and SBAS473 (ADS1015). */
enum { CONVERSION = 0, CONFIGURATION = 1 };
enum {
    START = 0x8000, /* written: converts once; read: does not convert */
    INPUT_SHIFT = 12,
    RANGE_SHIFT = 9,
    SINGLE_SHOT = 0x0100,
    RATE_SHIFT = 5,
    NO_COMPARATOR = 0x0003,
    RATES = 8,
    DEFAULT_RATE = 128,
    LOOKS = 10,
    LOOK_MS = 1,
};

static const char *const list = "channels";

/* In the order of the register's bits: where the input is measured against. */
static const char *const inputs[] = {"0-1", "0-3", "1-3", "2-3", "0", "1", "2", "3"};

/* Likewise, with what a step of 1/32768 of the range is. */
static const struct range {
    const char *name;
    int64_t step;
    unsigned decimals;
} ranges[CHIP_ADS1115_RANGES] = {
    {"6.144", 1875, 7}, {"4.096", 125, 6},   {"2.048", 625, 7},
    {"1.024", 3125, 8}, {"0.512", 15625, 9}, {"0.256", 78125, 10},
};
enum { DEFAULT_RANGE = 2 };

static const int64_t rates_ads1115[RATES] = {8, 16, 32, 64, 128, 250, 475, 860};
static const int64_t rates_ads1015[RATES] = {128, 250, 490, 920, 1600, 2400, 3300, 3300};

static const int64_t *rates_of(const struct driver_context *context)
{
    return strcmp(driver_setting(context, "chip"), "ads1015") == 0 ? rates_ads1015 : rates_ads1115;
}

/* Where TEXT stands among COUNT names, or COUNT. */
static unsigned find(const char *text, const char *const *names, unsigned count)
{
    unsigned at = 0;
    while (at < count && (text == NULL || strcmp(names[at], text) != 0))
        at++;
    return at;
}

static unsigned find_range(const char *text)
{
    unsigned at = 0;
    while (text != NULL && at < CHIP_ADS1115_RANGES && strcmp(ranges[at].name, text) != 0)
        at++;
    return text == NULL ? DEFAULT_RANGE : at;
}

static unsigned find_rate(const struct driver_context *context)
{
    int64_t rate = settings_integer(driver_setting(context, "rate"), DEFAULT_RATE);
    unsigned at = 0;
    while (at < RATES && rates_of(context)[at] != rate)
        at++;
    return at;
}

/* The chip's clock may be a tenth slow; it wakes up first. */
static int64_t conversion_ms(const struct driver_context *context)
{
    return 1100 / rates_of(context)[find_rate(context)] + 1;
}

/* ---- check ---- */

static void say_rates(const struct driver_context *context)
{
    const int64_t *rates = rates_of(context);
    driver_say(context->fault,
               "is no rate of this chip; it has %d, %d, %d, %d, %d, %d, %d and %d a second",
               (int)rates[0], (int)rates[1], (int)rates[2], (int)rates[3], (int)rates[4],
               (int)rates[5], (int)rates[6], (int)rates[7]);
}

static const char *check_time(const struct driver_context *context)
{
    int64_t ms = conversion_ms(context) * (int64_t)settings_count(context, list);
    if (ms < context->timeout_ms)
        return NULL;
    driver_say(context->fault, "takes %d ms for all channels, which is longer than \"timeout\"",
               (int)ms);
    return "rate";
}

static const char *ads1115_check(const struct driver_context *context)
{
    const char *key = scale_check(context, CHIP_ADS1115_CHANNELS_MAX);
    if (key != NULL)
        return key;
    if (find_rate(context) == RATES) {
        say_rates(context);
        return "rate";
    }
    for (size_t i = 0; i < settings_count(context, list); i++) {
        if (find(settings_member(context, list, i, "input"), inputs, 8) == 8) {
            driver_say(
                context->fault,
                "names no input; write \"0\" to \"3\", or \"0-1\", \"0-3\", \"1-3\", \"2-3\" "
                "for what lies between two");
            return settings_written(context, list, i, "input");
        }
        if (find_range(settings_member(context, list, i, "range")) == CHIP_ADS1115_RANGES) {
            driver_say(context->fault,
                       "is no range; there are \"6.144\", \"4.096\", \"2.048\", \"1.024\", "
                       "\"0.512\" and \"0.256\" volts");
            return settings_written(context, list, i, "range");
        }
    }
    return check_time(context);
}

/* ---- setting up ---- */

/* The chip has no id, but neither at power-on nor after a conversion is its configuration all ones
 * or zeros. */
static int ads1115_open(void *state, struct port *port, const struct driver_context *context)
{
    struct chip_ads1115 *ads1115 = state;
    uint8_t configuration[2];
    /* The twelve bits of the ADS1015 stand at the top, so that the same steps serve. */
    ads1115->highest = rates_of(context) == rates_ads1015 ? 0x7ff0 : 0x7fff;
    ads1115->rate = find_rate(context);
    ads1115->conversion_ms = conversion_ms(context);
    ads1115->count = settings_count(context, list);
    for (size_t i = 0; i < ads1115->count; i++) {
        struct chip_ads1115_channel *channel = &ads1115->channels[i];
        channel->input = find(settings_member(context, list, i, "input"), inputs, 8);
        channel->range = find_range(settings_member(context, list, i, "range"));
        scale_read(context, i, ranges[channel->range].decimals, &channel->channel, &channel->scale);
        if (settings_member(context, list, i, "unit") == NULL)
            (void)strcpy(channel->channel.unit, "V");
    }
    int rc = port_read(port, CONFIGURATION, configuration, sizeof configuration);
    if (rc < 0)
        return rc;
    if (chip_word(configuration) != 0xffff && chip_word(configuration) != 0)
        return 0;
    driver_say(port->fault,
               "0x%02x on %s is no ADS1115 or ADS1015: its configuration reads 0x%04x; is SDA "
               "connected?",
               port->address, port->bus, chip_word(configuration));
    return E_NOT_FOUND;
}

static int ads1115_channels(const void *state, struct channel *ret_channels)
{
    const struct chip_ads1115 *ads1115 = state;
    for (size_t i = 0; i < ads1115->count; i++)
        ret_channels[i] = ads1115->channels[i].channel;
    return (int)ads1115->count;
}

/* ---- measuring ---- */

/* It says that it is ready, and with what it measured: another master may have had it, or it lost
 * its power. */
static int await(const struct chip_ads1115 *ads1115, struct port *port, uint16_t wanted)
{
    uint8_t configuration[2];
    int rc = port_wait(port, ads1115->conversion_ms);
    for (unsigned look = 0; rc == 0; look++) {
        rc = port_read(port, CONFIGURATION, configuration, sizeof configuration);
        if (rc < 0)
            return rc;
        uint16_t word = chip_word(configuration);
        if ((word | START) != (wanted | START)) {
            driver_say(port->fault,
                       "0x%02x on %s: its configuration is 0x%04x instead of 0x%04x; it lost its "
                       "power, or another program uses it",
                       port->address, port->bus, word, wanted);
            return E_DAMAGED;
        }
        if ((word & START) != 0)
            return 0;
        if (look == LOOKS) {
            driver_say(port->fault, "0x%02x on %s does not end its conversion", port->address,
                       port->bus);
            return E_TIMEOUT;
        }
        rc = port_wait(port, LOOK_MS);
    }
    return rc;
}

static int convert_once(const struct chip_ads1115 *ads1115, struct chip_ads1115_channel *channel,
                        struct port *port)
{
    uint16_t wanted =
        (uint16_t)(START | channel->input << INPUT_SHIFT | channel->range << RANGE_SHIFT |
                   SINGLE_SHOT | ads1115->rate << RATE_SHIFT | NO_COMPARATOR);
    const uint8_t bytes[] = {(uint8_t)(wanted >> 8), (uint8_t)(wanted & 0xff)};
    int rc = port_write(port, CONFIGURATION, bytes, sizeof bytes);
    if (rc == 0)
        rc = await(ads1115, port, wanted);
    return rc == 0 ? port_read(port, CONVERSION, channel->raw, sizeof channel->raw) : rc;
}

static int ads1115_fetch(void *state, struct port *port)
{
    struct chip_ads1115 *ads1115 = state;
    int rc = 0;
    for (size_t i = 0; i < ads1115->count && rc == 0; i++)
        rc = convert_once(ads1115, &ads1115->channels[i], port);
    return rc;
}

static struct value convert_channel(const struct chip_ads1115_channel *channel, int16_t highest,
                                    char *lack)
{
    const struct range *range = &ranges[channel->range];
    int16_t raw = chip_signed_word(channel->raw);
    if (raw < highest && raw > INT16_MIN)
        return scale_value(&channel->scale, channel->channel.name, raw * range->step,
                           range->decimals, lack);
    driver_say(lack, "channel %s (input %s) is beyond its range of %s V; set a larger \"range\"",
               channel->channel.name, inputs[channel->input], range->name);
    return (struct value){.kind = VALUE_ABSENT};
}

static int ads1115_convert(const void *state, struct sample *ret_sample, char *fault, char *lack)
{
    const struct chip_ads1115 *ads1115 = state;
    (void)fault;
    *ret_sample = (struct sample){.value_count = ads1115->count};
    for (size_t i = 0; i < ads1115->count; i++)
        ret_sample->values[i] = convert_channel(&ads1115->channels[i], ads1115->highest, lack);
    return 0;
}

const struct chip chip_ads1115 = {
    .names = "ads1115|ads1015",
    .keys = "|rate|channels[].name|channels[].input|channels[].range|channels[].factor|"
            "channels[].offset|channels[].unit|",
    .check = ads1115_check,
    .open = ads1115_open,
    .channels = ads1115_channels,
    .fetch = ads1115_fetch,
    .convert = ads1115_convert,
};
