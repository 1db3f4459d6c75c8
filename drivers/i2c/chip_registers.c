/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/i2c/chip_registers.h"

#include <stdio.h>
#include <string.h>

#include "drivers/bus/settings.h"
#include "platform/base/error.h"

static const char *const list = "channels";
static const char *const init = "init";

static const struct type {
    const char *name;
    unsigned bytes;
    bool has_sign;
} types[] = {
    {"uint8", 1, false},  {"int8", 1, true},  {"uint16", 2, false}, {"int16", 2, true},
    {"uint24", 3, false}, {"int24", 3, true}, {"uint32", 4, false}, {"int32", 4, true},
};

int64_t chip_registers_value(const struct chip_registers_layout *layout, const uint8_t bytes[4])
{
    uint32_t number = 0;
    for (unsigned i = 0; i < layout->bytes; i++)
        number = number << 8 | bytes[layout->little ? layout->bytes - 1 - i : i];
    uint64_t kept = (uint64_t)number >> layout->shift & (((uint64_t)1 << layout->bits) - 1);
    bool negative = layout->has_sign && (kept >> (layout->bits - 1) & 1) != 0;
    return (int64_t)kept - (negative ? (int64_t)1 << layout->bits : 0);
}

/* ---- settings ---- */

static int64_t register_bits(const struct driver_context *context)
{
    return settings_integer(driver_setting(context, "register_bits"), 8);
}

/* A whole number from 0 to HIGH, or -1. */
static int64_t number_of(const char *text, int64_t high)
{
    int64_t number = settings_integer(text, -1);
    return number <= high ? number : -1;
}

static int64_t number_of_register(const struct driver_context *context, const char *text)
{
    return number_of(text, ((int64_t)1 << register_bits(context)) - 1);
}

/* The type is one of a list that the configuration was checked against; default int16. */
static const struct type *find_type(const char *text)
{
    size_t at = 3;
    for (size_t i = 0; text != NULL && i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, text) == 0)
            at = i;
    return &types[at];
}

static bool is_little(const struct driver_context *context, const char *of, size_t index)
{
    const char *order = settings_member(context, of, index, "order");
    return order != NULL && strcmp(order, "little") == 0;
}

/* False if the bits reach beyond the type. */
static bool read_layout(const struct driver_context *context, size_t index,
                        struct chip_registers_layout *ret_layout)
{
    const struct type *type = find_type(settings_member(context, list, index, "type"));
    int64_t shift = settings_integer(settings_member(context, list, index, "shift"), 0);
    int64_t bits =
        settings_integer(settings_member(context, list, index, "bits"), type->bytes * 8 - shift);
    if (shift < 0 || bits < 1 || shift + bits > type->bytes * 8)
        return false;
    *ret_layout = (struct chip_registers_layout){.bytes = type->bytes,
                                                 .little = is_little(context, list, index),
                                                 .has_sign = type->has_sign,
                                                 .shift = (unsigned)shift,
                                                 .bits = (unsigned)bits};
    return true;
}

static bool read_write(const struct driver_context *context, size_t index,
                       struct chip_registers_write *ret_write)
{
    int64_t count = settings_integer(settings_member(context, init, index, "bytes"), 1);
    int64_t number = number_of_register(context, settings_member(context, init, index, "register"));
    if (number < 0 || count < 1 || count > 4)
        return false;
    int64_t value =
        number_of(settings_member(context, init, index, "value"), ((int64_t)1 << (count * 8)) - 1);
    if (value < 0)
        return false;
    *ret_write = (struct chip_registers_write){.number = (unsigned)number, .count = (size_t)count};
    bool little = is_little(context, init, index);
    for (int64_t i = 0; i < count; i++)
        ret_write->bytes[i] = (uint8_t)(value >> (little ? i : count - 1 - i) * 8 & 0xff);
    return true;
}

/* ---- check ---- */

static const char *check_init(const struct driver_context *context)
{
    struct chip_registers_write write;
    size_t count = settings_count(context, init);
    if (count > CHIP_REGISTERS_INIT_MAX) {
        driver_say(context->fault, "may list %d writes", CHIP_REGISTERS_INIT_MAX);
        return init;
    }
    for (size_t i = 0; i < count; i++) {
        if (number_of_register(context, settings_member(context, init, i, "register")) < 0) {
            driver_say(context->fault, "is no register; write it like \"0x10\"");
            return settings_written(context, init, i, "register");
        }
        if (!read_write(context, i, &write)) {
            driver_say(context->fault,
                       "does not fit into \"bytes\" (1 if not given); write it like "
                       "\"0x07\"");
            return settings_written(context, init, i, "value");
        }
    }
    return NULL;
}

static const char *check_id(const struct driver_context *context)
{
    const char *number = driver_setting(context, "id_register");
    const char *id = driver_setting(context, "id");
    if ((number == NULL) != (id == NULL)) {
        driver_say(context->fault, "needs \"%s\" beside it", id == NULL ? "id" : "id_register");
        return id == NULL ? "id_register" : "id";
    }
    if (number != NULL && number_of_register(context, number) < 0) {
        driver_say(context->fault, "is no register; write it like \"0xd0\"");
        return "id_register";
    }
    if (id != NULL && number_of(id, 0xff) < 0) {
        driver_say(context->fault, "is no byte; write it like \"0x60\"");
        return "id";
    }
    return NULL;
}

static const char *registers_check(const struct driver_context *context)
{
    struct chip_registers_layout layout;
    const char *key = scale_check(context, SAMPLE_CHANNELS_MAX);
    if (key == NULL)
        key = check_init(context);
    if (key == NULL)
        key = check_id(context);
    for (size_t i = 0; key == NULL && i < settings_count(context, list); i++) {
        if (number_of_register(context, settings_member(context, list, i, "register")) < 0) {
            driver_say(context->fault, "names no register (\"register\"); write it like \"0x10\"");
            key = settings_written(context, list, i, "register");
        } else if (!read_layout(context, i, &layout)) {
            driver_say(context->fault, "reaches with \"shift\" beyond the bits of its \"type\"");
            key = settings_written(context, list, i, "bits");
        }
    }
    return key;
}

/* ---- setting up ---- */

static int expect_id(struct port *port, const struct driver_context *context)
{
    uint8_t id;
    const char *text = driver_setting(context, "id_register");
    unsigned wanted = (unsigned)settings_integer(driver_setting(context, "id"), 0);
    unsigned number = (unsigned)settings_integer(text, 0);
    if (text == NULL)
        return 0;
    int rc = port_read(port, number, &id, 1);
    if (rc < 0 || id == wanted)
        return rc;
    driver_say(
        port->fault,
        "0x%02x on %s is not the chip that is configured: its id (register 0x%02x) is 0x%02x "
        "instead of 0x%02x",
        port->address, port->bus, number, id, wanted);
    return E_NOT_FOUND;
}

static int write_init(struct port *port, const struct driver_context *context)
{
    struct chip_registers_write write;
    int rc = 0;
    for (size_t i = 0; i < settings_count(context, init) && rc == 0; i++)
        rc = read_write(context, i, &write)
                 ? port_write(port, write.number, write.bytes, write.count)
                 : E_INVALID;
    return rc;
}

static bool read_channel(const struct driver_context *context, size_t index,
                         struct chip_registers_channel *ret_channel)
{
    ret_channel->number =
        (unsigned)settings_integer(settings_member(context, list, index, "register"), 0);
    ret_channel->decimals =
        (unsigned)settings_integer(settings_member(context, list, index, "decimals"), 0);
    scale_read(context, index, ret_channel->decimals, &ret_channel->channel, &ret_channel->scale);
    return read_layout(context, index, &ret_channel->layout);
}

static int registers_open(void *state, struct port *port, const struct driver_context *context)
{
    struct chip_registers *registers = state;
    port->register_bytes = (unsigned)register_bits(context) / 8;
    registers->count = settings_count(context, list);
    for (size_t i = 0; i < registers->count; i++)
        if (!read_channel(context, i, &registers->channels[i]))
            return E_INVALID;
    int rc = expect_id(port, context);
    return rc == 0 ? write_init(port, context) : rc;
}

static int registers_channels(const void *state, struct channel *ret_channels)
{
    const struct chip_registers *registers = state;
    for (size_t i = 0; i < registers->count; i++)
        ret_channels[i] = registers->channels[i].channel;
    return (int)registers->count;
}

/* ---- measuring ---- */

/* One channel after the other: which neighbours may be read at once differs from chip to chip.
 * Channels that are bits of the same register are of one reading. */
static int registers_fetch(void *state, struct port *port)
{
    struct chip_registers *registers = state;
    int rc = 0;
    for (size_t i = 0; i < registers->count && rc == 0; i++) {
        struct chip_registers_channel *channel = &registers->channels[i];
        const struct chip_registers_channel *before = i > 0 ? channel - 1 : channel;
        if (before != channel && before->number == channel->number &&
            before->layout.bytes == channel->layout.bytes)
            memcpy(channel->raw, before->raw, sizeof channel->raw);
        else
            rc = port_read(port, channel->number, channel->raw, channel->layout.bytes);
    }
    return rc;
}

static int registers_convert(const void *state, struct sample *ret_sample, char *fault, char *lack)
{
    const struct chip_registers *registers = state;
    (void)fault;
    *ret_sample = (struct sample){.value_count = registers->count};
    for (size_t i = 0; i < registers->count; i++) {
        const struct chip_registers_channel *channel = &registers->channels[i];
        ret_sample->values[i] = scale_value(&channel->scale, channel->channel.name,
                                            chip_registers_value(&channel->layout, channel->raw),
                                            channel->decimals, lack);
    }
    return 0;
}

const struct chip chip_registers = {
    .names = "registers",
    .keys = "|register_bits|id_register|id|init[].register|init[].value|init[].bytes|init[].order|"
            "channels[].name|channels[].register|channels[].type|channels[].order|channels[].shift|"
            "channels[].bits|channels[].decimals|channels[].factor|channels[].offset|"
            "channels[].unit|",
    .check = registers_check,
    .open = registers_open,
    .channels = registers_channels,
    .fetch = registers_fetch,
    .convert = registers_convert,
};
