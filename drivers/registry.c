/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "drivers/driver.h"

#define DRIVER(name) extern const struct driver driver_##name;
#include "drivers/drivers.def"
#undef DRIVER

static const struct driver *const drivers[] = {
#define DRIVER(name) &driver_##name,
#include "drivers/drivers.def"
#undef DRIVER
    NULL};

static const char *const left_out[] = {
#define DRIVER(name)
#define DRIVER_LEFT_OUT(name) #name,
#include "drivers/drivers.def"
#undef DRIVER
    NULL};

static const struct unit {
    const char *name;
    const char *meaning;
} units[] = {
#define UNIT(name, meaning) {name, meaning},
#include "drivers/units.def"
#undef UNIT
};

const struct driver *driver_find(const char *name)
{
    for (size_t i = 0; drivers[i] != NULL; i++)
        if (strcmp(drivers[i]->name, name) == 0)
            return drivers[i];
    return NULL;
}

const struct driver *driver_at(size_t index)
{
    return index < sizeof drivers / sizeof drivers[0] ? drivers[index] : NULL;
}

bool driver_left_out(const char *name)
{
    for (size_t i = 0; left_out[i] != NULL; i++)
        if (strcmp(left_out[i], name) == 0)
            return true;
    return false;
}

const char *driver_left_out_at(size_t index)
{
    return index < sizeof left_out / sizeof left_out[0] ? left_out[index] : NULL;
}

const char *driver_setting(const struct driver_context *context, const char *key)
{
    for (size_t i = 0; i < context->setting_count; i++)
        if (strcmp(context->settings[i].key, key) == 0)
            return context->settings[i].value;
    return NULL;
}

void driver_say(char fault[DRIVER_FAULT_BYTES], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(fault, DRIVER_FAULT_BYTES, format, arguments);
    va_end(arguments);
}

const char *driver_unit_meaning(const char *unit)
{
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(units[i].name, unit) == 0)
            return units[i].meaning;
    return NULL;
}
