/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "drivers/driver.h"
#include "drivers/sysfs.h"
#include "platform/base/error.h"

/*
 * Thermal zones (Documentation/ABI/testing/sysfs-class-thermal): temp is in thousandths of a degree
 * Celsius, which three decimals keep exactly.
 */
enum { DECIMALS = 3, PATH_BYTES = SYSFS_PATH_BYTES + 64 };

struct thermal {
    char directory[SYSFS_PATH_BYTES];
    size_t count;
    unsigned zones[SAMPLE_CHANNELS_MAX];
    struct channel channels[SAMPLE_CHANNELS_MAX];
    struct sysfs_raw raw[SAMPLE_CHANNELS_MAX];
    char fault[DRIVER_FAULT_BYTES];
};

static const struct driver_key keys[] = {{"zone", DRIVER_KEY_TEXT, false,
                                          "one zone by its type or directory, such as "
                                          "\"cpu-thermal\" or \"thermal_zone0\"; default: all"},
                                         {0}};

static void zone_path(const struct thermal *thermal, unsigned zone, const char *attribute,
                      char path[PATH_BYTES])
{
    (void)snprintf(path, PATH_BYTES, "%s/thermal_zone%u/%s", thermal->directory, zone, attribute);
}

static bool is_wanted(const char *wanted, unsigned zone, const char *type)
{
    char directory[32];
    (void)snprintf(directory, sizeof directory, "thermal_zone%u", zone);
    return wanted == NULL || strcmp(wanted, type) == 0 || strcmp(wanted, directory) == 0;
}

/* A zone whose type cannot be read is going away; the next open sees it or not. */
static void add_zone(struct thermal *thermal, const char *wanted, unsigned zone)
{
    char path[PATH_BYTES];
    char type[64];
    struct channel *channel = &thermal->channels[thermal->count];
    zone_path(thermal, zone, "type", path);
    if (thermal->count == SAMPLE_CHANNELS_MAX || sysfs_read(path, type, sizeof type) < 0 ||
        !is_wanted(wanted, zone, type))
        return;
    *channel = (struct channel){.unit = "Cel", .decimals = DECIMALS};
    sysfs_name(channel->name, type);
    sysfs_make_unique(thermal->channels, thermal->count);
    thermal->zones[thermal->count++] = zone;
}

static int open_zones(struct thermal *thermal, const struct driver_context *context)
{
    unsigned zones[SYSFS_NUMBERED_MAX];
    const char *wanted = driver_setting(context, "zone");
    int count = sysfs_list(thermal->directory, "thermal_zone", zones);
    if (count < 0) {
        driver_say(context->fault,
                   "%s: %s; the kernel needs CONFIG_THERMAL and a driver for this board",
                   thermal->directory, ERROR_TEXT(count));
        return count;
    }
    for (int i = 0; i < count; i++)
        add_zone(thermal, wanted, zones[i]);
    if (thermal->count > 0)
        return 0;
    driver_say(context->fault, "%s: no thermal zone%s%s; compare with: cat %s/*/type",
               thermal->directory, wanted != NULL ? " called " : "", wanted != NULL ? wanted : "",
               thermal->directory);
    return E_NOT_FOUND;
}

static int thermal_open(void *instance, const struct driver_context *context)
{
    struct thermal *thermal = instance;
    int length = snprintf(thermal->directory, sizeof thermal->directory, "%s/sys/class/thermal",
                          context->root);
    if (length < 0 || (size_t)length >= sizeof thermal->directory)
        return E_TOO_BIG;
    int rc = open_zones(thermal, context);
    if (rc == 0 && thermal->count == 1)
        (void)strcpy(thermal->channels[0].name, "temp");
    return rc;
}

static int thermal_channels(const void *instance, struct channel *ret_channels)
{
    const struct thermal *thermal = instance;
    memcpy(ret_channels, thermal->channels, thermal->count * sizeof *ret_channels);
    return (int)thermal->count;
}

/* Zones that are switched off answer with an error: one that answers is enough. */
static int thermal_fetch(void *instance, int64_t deadline_ms)
{
    struct thermal *thermal = instance;
    char path[PATH_BYTES];
    int rc = 0;
    size_t got = 0;
    (void)deadline_ms; /* the kernel answers or blocks as it likes; our thread waits alone */
    for (size_t i = 0; i < thermal->count; i++) {
        zone_path(thermal, thermal->zones[i], "temp", path);
        sysfs_read_raw(path, &thermal->raw[i]);
        if (thermal->raw[i].count >= 0) {
            got++;
            continue;
        }
        rc = thermal->raw[i].count;
        driver_say(thermal->fault, "%s: %s", path, ERROR_TEXT(rc));
    }
    return got > 0 ? 0 : rc;
}

static int thermal_read(void *instance, struct sample *ret_sample)
{
    struct thermal *thermal = instance;
    char path[PATH_BYTES];
    size_t bad;
    int rc = sysfs_convert(thermal->raw, thermal->channels, thermal->count, ret_sample, &bad);
    if (rc < 0) {
        zone_path(thermal, thermal->zones[bad], "temp", path);
        driver_say(thermal->fault, "%s: %s (a whole number was expected)", path, ERROR_TEXT(rc));
    }
    return rc;
}

static const char *thermal_fault(const void *instance)
{
    const struct thermal *thermal = instance;
    return thermal->fault[0] != '\0' ? thermal->fault : NULL;
}

static void thermal_close(void *instance)
{
    (void)instance; /* nothing stays open between two readings */
}

const struct driver driver_thermal = {
    .name = "thermal",
    .summary = "temperatures of the thermal zones that the kernel knows (/sys/class/thermal)",
    .keys = keys,
    .instance_bytes = sizeof(struct thermal),
    .open = thermal_open,
    .channels = thermal_channels,
    .fetch = thermal_fetch,
    .read = thermal_read,
    .fault = thermal_fault,
    .close = thermal_close,
};
