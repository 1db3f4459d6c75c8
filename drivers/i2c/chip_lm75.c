/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/i2c/chip_lm75.h"

#include <string.h>

#include "drivers/bus/settings.h"
#include "platform/base/error.h"
#include "platform/clock.h"

/* Registers and bits of the data sheets: LM75 (SNOS808), TMP75 (SBOS288), TMP105 (SBOS648), TMP102
 * (SBOS397), TMP112 (SBOS473), TMP117 (SNOSD82). */
enum { TEMPERATURE = 0, CONFIGURATION = 1, TMP117_ID = 0x0f };
enum {
    SHUTDOWN = 0x01,   /* LM75 to TMP112, in the configuration's first byte */
    RESOLUTION = 0x60, /* likewise: 9 bits plus this; reads all ones on TMP102 and TMP112 */
    RESOLUTION_SHIFT = 5,
    EXTENDED = 0x10,    /* in the second byte of TMP102 and TMP112 */
    TMP117_MODE = 0x0c, /* in the first byte of the TMP117: not zero, not measuring */
    TMP117_ID_VALUE = 0x117,
    BITS_BASE = 9,
};

/* What differs between them. The value at power-on stays until the first measurement ends. */
static const struct kind {
    const char *name;
    unsigned bits_low, bits, bits_high;
    bool selects;   /* the resolution stands in its configuration */
    bool has_spare; /* the lowest bits of the register are known: zero, or one if extended */
    uint16_t power_on;
    int64_t settle_ms; /* the longest to the first measurement */
} kinds[CHIP_LM75_KINDS] = {
    {"lm75", 9, 9, 12, false, false, 0x0000, 300},
    {"tmp75", 9, 12, 12, true, true, 0x0000, 320},
    {"tmp105", 9, 12, 12, true, true, 0x0000, 320},
    {"tmp102", 12, 12, 12, false, true, 0x0000, 300},
    {"tmp112", 12, 12, 12, false, true, 0x0000, 300},
    {"tmp117", 16, 16, 16, false, false, 0x8000, 140},
};
enum { TMP102 = 3, TMP112, TMP117 };

static unsigned find_kind(const struct driver_context *context)
{
    const char *name = driver_setting(context, "chip");
    unsigned kind = 0;
    while (kind < CHIP_LM75_KINDS - 1 && strcmp(kinds[kind].name, name) != 0)
        kind++;
    return kind;
}

static bool may_extend(unsigned kind)
{
    return kind == TMP102 || kind == TMP112;
}

static const char *lm75_check(const struct driver_context *context)
{
    unsigned kind = find_kind(context);
    const struct kind *of = &kinds[kind];
    int64_t bits = settings_integer(driver_setting(context, "resolution"), of->bits);
    if (bits < of->bits_low || bits > of->bits_high) {
        driver_say(context->fault, "is no resolution of a %s: it has %u to %u bits", of->name,
                   of->bits_low, of->bits_high);
        return "resolution";
    }
    if (settings_boolean(driver_setting(context, "extended"), false) && !may_extend(kind)) {
        driver_say(context->fault, "is not for a %s; only tmp102 and tmp112 have it", of->name);
        return "extended";
    }
    return NULL;
}

/* ---- setting up ---- */

static int say_other(struct port *port, const struct chip_lm75 *lm75, const char *what)
{
    driver_say(port->fault, "0x%02x on %s is no %s: %s; is it another chip, or SDA not connected?",
               port->address, port->bus, kinds[lm75->kind].name, what);
    return E_NOT_FOUND;
}

static int set_configuration(struct chip_lm75 *lm75, struct port *port, const uint8_t *before,
                             const uint8_t *wanted, size_t count)
{
    if (memcmp(before, wanted, count) == 0)
        return 0;
    lm75->changed = true;
    return port_write(port, CONFIGURATION, wanted, count);
}

/* LM75, TMP75, TMP105: one byte. */
static int set_up_byte(struct chip_lm75 *lm75, struct port *port)
{
    uint8_t before;
    int rc = port_read(port, CONFIGURATION, &before, 1);
    if (rc < 0)
        return rc;
    if (before == 0xff)
        return say_other(port, lm75, "its configuration reads all ones");
    unsigned wanted_bits = before & ~(unsigned)SHUTDOWN;
    if (kinds[lm75->kind].selects)
        wanted_bits = (wanted_bits & ~(unsigned)RESOLUTION) | (lm75->bits - BITS_BASE)
                                                                  << RESOLUTION_SHIFT;
    uint8_t wanted = (uint8_t)wanted_bits;
    return set_configuration(lm75, port, &before, &wanted, 1);
}

/* TMP102, TMP112: two bytes. */
static int set_up_word(struct chip_lm75 *lm75, struct port *port)
{
    uint8_t before[2];
    int rc = port_read(port, CONFIGURATION, before, sizeof before);
    if (rc < 0)
        return rc;
    if ((before[0] & RESOLUTION) != RESOLUTION || chip_word(before) == 0xffff)
        return say_other(port, lm75, "bits of its configuration that never change are wrong");
    const uint8_t wanted[] = {
        (uint8_t)(before[0] & ~SHUTDOWN),
        (uint8_t)((before[1] & ~EXTENDED) | (lm75->extended ? EXTENDED : 0)),
    };
    return set_configuration(lm75, port, before, wanted, sizeof wanted);
}

static int set_up_tmp117(struct chip_lm75 *lm75, struct port *port)
{
    uint8_t id[2];
    uint8_t before[2];
    int rc = port_read(port, TMP117_ID, id, sizeof id);
    if (rc < 0)
        return rc;
    if ((chip_word(id) & 0x0fff) != TMP117_ID_VALUE)
        return say_other(port, lm75, "its id (register 0x0f) is not 0x117");
    rc = port_read(port, CONFIGURATION, before, sizeof before);
    if (rc < 0)
        return rc;
    const uint8_t wanted[] = {(uint8_t)(before[0] & ~TMP117_MODE), before[1]};
    return set_configuration(lm75, port, before, wanted, sizeof wanted);
}

static int lm75_open(void *state, struct port *port, const struct driver_context *context)
{
    struct chip_lm75 *lm75 = state;
    lm75->kind = find_kind(context);
    lm75->bits =
        (unsigned)settings_integer(driver_setting(context, "resolution"), kinds[lm75->kind].bits);
    lm75->extended = settings_boolean(driver_setting(context, "extended"), false);
    if (lm75->extended)
        lm75->bits++;
    lm75->places = lm75->bits - 8 - (lm75->extended || lm75->kind == TMP117 ? 1 : 0);
    lm75->fresh = true;
    lm75->settled_ms = clock_mono_ms() + kinds[lm75->kind].settle_ms;
    if (lm75->kind == TMP117)
        return set_up_tmp117(lm75, port);
    return may_extend(lm75->kind) ? set_up_word(lm75, port) : set_up_byte(lm75, port);
}

static int lm75_channels(const void *state, struct channel *ret_channels)
{
    const struct chip_lm75 *lm75 = state;
    ret_channels[0] = (struct channel){.name = "temp", .unit = "Cel", .decimals = lm75->places};
    return 1;
}

/* ---- measuring ---- */

static int lm75_fetch(void *state, struct port *port)
{
    struct chip_lm75 *lm75 = state;
    int64_t left_ms = lm75->settled_ms - clock_mono_ms();
    int rc = port_read(port, TEMPERATURE, lm75->raw, sizeof lm75->raw);
    bool is_old = lm75->changed || chip_word(lm75->raw) == kinds[lm75->kind].power_on;
    if (rc == 0 && lm75->fresh && is_old && left_ms > 0) {
        rc = port_wait(port, left_ms);
        if (rc == 0)
            rc = port_read(port, TEMPERATURE, lm75->raw, sizeof lm75->raw);
    }
    if (rc == 0)
        lm75->fresh = false;
    return rc;
}

static bool is_possible(const struct chip_lm75 *lm75)
{
    uint16_t word = chip_word(lm75->raw);
    if (lm75->kind == TMP117)
        return word != kinds[TMP117].power_on;
    if (kinds[lm75->kind].has_spare)
        return (word & 0x7) == (lm75->extended ? 1 : 0);
    return word != 0xffff;
}

/* Steps of 2^-places degrees are exact in as many decimals. */
static int lm75_convert(const void *state, struct sample *ret_sample, char *fault, char *lack)
{
    const struct chip_lm75 *lm75 = state;
    (void)lack;
    if (!is_possible(lm75)) {
        driver_say(fault,
                   "a %s cannot say 0x%04x: it lost its power or its set-up, or is another "
                   "chip",
                   kinds[lm75->kind].name, chip_word(lm75->raw));
        return E_DAMAGED;
    }
    int64_t mantissa = chip_signed_word(lm75->raw) >> (16 - lm75->bits);
    for (unsigned i = 0; i < lm75->places; i++)
        mantissa *= 5;
    *ret_sample = (struct sample){.value_count = 1};
    ret_sample->values[0] =
        (struct value){.kind = VALUE_DECIMAL, .decimals = lm75->places, .mantissa = mantissa};
    return 0;
}

const struct chip chip_lm75 = {
    .names = "lm75|tmp75|tmp105|tmp102|tmp112|tmp117",
    .keys = "|resolution|extended|",
    .check = lm75_check,
    .open = lm75_open,
    .channels = lm75_channels,
    .fetch = lm75_fetch,
    .convert = lm75_convert,
};
