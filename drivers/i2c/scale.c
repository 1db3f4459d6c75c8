/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/i2c/scale.h"

#include <stdio.h>
#include <string.h>

#include "drivers/bus/settings.h"
#include "platform/base/error.h"

static const char *const list = "channels";

/* ---- check ---- */

static int read_decimal(const char *text, struct decimal otherwise, struct decimal *ret_value)
{
    *ret_value = otherwise;
    return text == NULL ? 0 : decimal_parse(text, strlen(text), ret_value);
}

static const char *refuse(const struct driver_context *context, size_t index, const char *member,
                          const char *why)
{
    driver_say(context->fault, "%s", why);
    return settings_written(context, list, index, member);
}

const char *scale_check(const struct driver_context *context, size_t count_max)
{
    struct decimal ignored;
    size_t count = settings_count(context, list);
    if (count == 0 || count > count_max) {
        driver_say(context->fault, "must list 1 to %zu channels for this chip", count_max);
        return list;
    }
    for (size_t i = 0; i < count; i++) {
        const char *why = settings_member(context, list, i, "name") == NULL
                              ? "is missing"
                              : settings_name_fault(context, list, i);
        if (why != NULL)
            return refuse(context, i, "name", why);
        for (size_t k = 0; k < 2; k++) {
            const char *member = k == 0 ? "factor" : "offset";
            if (read_decimal(settings_member(context, list, i, member), (struct decimal){0},
                             &ignored) < 0)
                return refuse(context, i, member, "has too many digits; it may have 18");
        }
    }
    return NULL;
}

/* ---- values ---- */

void scale_read(const struct driver_context *context, size_t index, unsigned decimals,
                struct channel *ret_channel, struct scale *ret_scale)
{
    const char *unit = settings_member(context, list, index, "unit");
    (void)read_decimal(settings_member(context, list, index, "factor"),
                       (struct decimal){.mantissa = 1}, &ret_scale->factor);
    (void)read_decimal(settings_member(context, list, index, "offset"), (struct decimal){0},
                       &ret_scale->offset);
    decimals += ret_scale->factor.decimals;
    decimals = decimals > ret_scale->offset.decimals ? decimals : ret_scale->offset.decimals;
    ret_scale->decimals = decimals < DECIMAL_PLACES_MAX ? decimals : DECIMAL_PLACES_MAX;
    *ret_channel = (struct channel){.decimals = ret_scale->decimals};
    (void)snprintf(ret_channel->name, sizeof ret_channel->name, "%s",
                   settings_member(context, list, index, "name"));
    (void)snprintf(ret_channel->unit, sizeof ret_channel->unit, "%s", unit == NULL ? "" : unit);
}

struct value scale_value(const struct scale *scale, const char *name, int64_t raw,
                         unsigned decimals, char *lack)
{
    struct decimal result;
    int rc = decimal_scale((struct decimal){.mantissa = raw, .decimals = decimals}, scale->factor,
                           scale->offset, scale->decimals, &result);
    if (rc == 0)
        return (struct value){
            .kind = VALUE_DECIMAL, .decimals = result.decimals, .mantissa = result.mantissa};
    driver_say(lack, "channel %s: its value has more digits than can be kept; shorten \"factor\"",
               name);
    return (struct value){.kind = VALUE_ABSENT};
}
