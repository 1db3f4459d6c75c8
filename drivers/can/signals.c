/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/can/signals.h"

#include <linux/can.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "drivers/bus/settings.h"
#include "platform/base/error.h"

static const char list[] = "signals";

static const char *member(const struct driver_context *context, size_t index, const char *name)
{
    return settings_member(context, list, index, name);
}

/* ---- reading ---- */

static bool is_text(const char *text, const char *wanted)
{
    return text != NULL && strcmp(text, wanted) == 0;
}

/* OTHERWISE where it is not written or no number. */
static struct decimal decimal_of(const char *text, int64_t otherwise)
{
    struct decimal value = {.mantissa = otherwise};
    if (text != NULL)
        (void)decimal_parse(text, strlen(text), &value);
    return value;
}

/* The id with its flag; a number that needs 29 bits is one of those. */
static int64_t read_id(const struct driver_context *context, size_t index)
{
    int64_t id = settings_integer(member(context, index, "id"), -1);
    bool is_extended =
        settings_boolean(member(context, index, "extended"), id > (int64_t)CAN_SFF_MASK);
    if (id < 0 || id > (is_extended ? (int64_t)CAN_EFF_MASK : (int64_t)CAN_SFF_MASK))
        return E_RANGE;
    return id | (is_extended ? (int64_t)CAN_EFF_FLAG : 0);
}

static enum dbc_type read_type(const char *text)
{
    if (is_text(text, "signed"))
        return DBC_SIGNED;
    return is_text(text, "float") ? DBC_FLOAT : DBC_UNSIGNED;
}

static struct dbc_signal read_dbc(const struct driver_context *context, size_t index)
{
    struct dbc_signal dbc = {
        .start = (unsigned)settings_integer(member(context, index, "start"), 0),
        .length = (unsigned)settings_integer(member(context, index, "length"), 1),
        .is_big_endian = is_text(member(context, index, "order"), "big"),
        .type = read_type(member(context, index, "type")),
        .factor = decimal_of(member(context, index, "factor"), 1),
        .offset = decimal_of(member(context, index, "offset"), 0)};
    unsigned exact =
        dbc.factor.decimals > dbc.offset.decimals ? dbc.factor.decimals : dbc.offset.decimals;
    dbc.decimals = (unsigned)settings_integer(member(context, index, "decimals"), (int64_t)exact);
    return dbc;
}

void signals_read(const struct driver_context *context, size_t index,
                  struct signals_one *ret_signal)
{
    const char *name = member(context, index, "name");
    const char *unit = member(context, index, "unit");
    struct signals_one signal = {.id = (uint32_t)read_id(context, index),
                                 .dbc = read_dbc(context, index),
                                 .is_multiplexor =
                                     settings_boolean(member(context, index, "multiplexor"), false),
                                 .mux = settings_integer(member(context, index, "mux"), -1)};
    (void)snprintf(signal.channel.name, sizeof signal.channel.name, "%s", name != NULL ? name : "");
    (void)snprintf(signal.channel.unit, sizeof signal.channel.unit, "%s", unit != NULL ? unit : "");
    signal.channel.decimals = signal.dbc.decimals;
    *ret_signal = signal;
}

/* ---- checking ---- */

static const char *say(const struct driver_context *context, size_t index, const char *name,
                       const char *what)
{
    driver_say(context->fault, "%s", what);
    return settings_written(context, list, index, name);
}

static const char *check_name(const struct driver_context *context, size_t index)
{
    const char *name = member(context, index, "name");
    const char *what = settings_name_fault(context, list, index);
    bool with_errors = settings_boolean(driver_setting(context, "errors"), false);
    if (name == NULL)
        what = "is missing";
    else if (with_errors && (is_text(name, "bus_errors") || is_text(name, "bus_state")))
        what = "is a channel that \"errors\" adds; choose another";
    return what == NULL ? NULL : say(context, index, "name", what);
}

static const char *check_bits(const struct driver_context *context, size_t index,
                              const struct dbc_signal *dbc)
{
    if (dbc_bytes(dbc) > DBC_BYTES_MAX)
        return say(context, index, "length",
                   dbc->is_big_endian
                       ? "reaches beyond the 64 bytes of a frame; \"start\" is the highest bit"
                       : "reaches beyond the 64 bytes of a frame; \"start\" is the lowest bit");
    if (dbc->type != DBC_FLOAT)
        return NULL;
    if (dbc->length != 32 && dbc->length != 64)
        return say(context, index, "length", "is not that of a float; those have 32 or 64 bits");
    static const char *const scales[] = {"factor", "offset", "decimals"};
    for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++)
        if (member(context, index, scales[i]) != NULL)
            return say(context, index, scales[i],
                       "is for whole numbers; a float goes out as it is");
    return NULL;
}

static const char *check_mux(const struct driver_context *context, size_t index,
                             const struct signals_one *signal)
{
    unsigned selectors = 0;
    bool fits = true;
    struct signals_one other;
    if (!signal->is_multiplexor && signal->mux < 0)
        return NULL;
    for (size_t i = 0; i < settings_count(context, list); i++) {
        signals_read(context, i, &other);
        if (other.id != signal->id || !other.is_multiplexor)
            continue;
        selectors++;
        fits = other.dbc.length >= 32 || signal->mux >> other.dbc.length <= 0;
    }
    if (signal->is_multiplexor && (selectors > 1 || signal->mux >= 0))
        return say(context, index, "multiplexor",
                   selectors > 1
                       ? "is there twice for this id; one signal tells the others apart"
                       : "has \"mux\" itself; multiplexors of multiplexors are not known");
    if (signal->is_multiplexor && signal->dbc.type == DBC_FLOAT)
        return say(context, index, "multiplexor", "is a float; it has to be a whole number");
    if (signal->mux >= 0 && selectors == 0)
        return say(context, index, "mux",
                   "needs the signal that it is a value of: give that \"multiplexor\": true and "
                   "the same id");
    if (!fits)
        return say(context, index, "mux", "is more than the bits of its multiplexor can say");
    return NULL;
}

static const char *check_signal(const struct driver_context *context, size_t index)
{
    struct signals_one signal;
    if (read_id(context, index) < 0)
        return say(context, index, "id",
                   "is no id: write \"0x123\" (to 0x7ff), or with 29 bits to 0x1fffffff");
    signals_read(context, index, &signal);
    const char *key = check_name(context, index);
    if (key == NULL)
        key = check_bits(context, index, &signal.dbc);
    return key != NULL ? key : check_mux(context, index, &signal);
}

const char *signals_check(const struct driver_context *context)
{
    size_t count = settings_count(context, list);
    const char *interface = driver_setting(context, "interface");
    bool with_errors = settings_boolean(driver_setting(context, "errors"), false);
    size_t most = SAMPLE_CHANNELS_MAX - (with_errors ? 2 : 0);
    const char *key = NULL;
    if (interface == NULL || *interface == '\0' || strlen(interface) >= IFNAMSIZ) {
        driver_say(context->fault, "is no interface; write it like \"can0\"");
        return "interface";
    }
    if ((count == 0 && !with_errors) || count > most) {
        driver_say(context->fault, "has %zu elements; use 1 to %zu", count, most);
        return list;
    }
    for (size_t i = 0; key == NULL && i < count; i++)
        key = check_signal(context, i);
    return key;
}
