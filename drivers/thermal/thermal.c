/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drivers/bus/roster.h"
#include "drivers/bus/settings.h"
#include "drivers/driver.h"
#include "drivers/sysfs.h"
#include "drivers/sysfs_at.h"
#include "platform/base/error.h"

/*
 * Thermal zones and what cools them (Documentation/ABI/testing/sysfs-class-thermal): temp is in
 * thousandths of a degree Celsius, which three decimals keep exactly; cur_state is a step of those
 * that the device has, 0 for off.
 */
enum { DECIMALS = 3, PATH_BYTES = SYSFS_PATH_BYTES + 64 };

static const char zone_folder[] = "thermal_zone";
static const char cooler_folder[] = "cooling_device";

struct item {
    const char *folder;
    unsigned number;
    int directory_fd;
};

struct thermal {
    char directory[SYSFS_PATH_BYTES];
    const struct stop *stop;
    bool is_chosen; /* one zone was: what is missing is missed */
    struct roster zones;
    bool is_late; /* the deadline left some out */
    size_t count;
    struct item items[SAMPLE_CHANNELS_MAX];
    struct channel channels[SAMPLE_CHANNELS_MAX];
    struct sysfs_raw raw[SAMPLE_CHANNELS_MAX];
    char lack[DRIVER_FAULT_BYTES];
    char fault[DRIVER_FAULT_BYTES];
};

static const struct driver_key keys[] = {
    {"zone", DRIVER_KEY_TEXT, false,
     "one zone by its type or directory, such as \"cpu-thermal\" or \"thermal_zone0\"; default: "
     "all"},
    {"cooling", DRIVER_KEY_BOOLEAN, false,
     "also the state of what cools, as cooling_<type>: a step, 0 for off; default false"},
    {0}};

static const char *attribute_of(const struct item *item)
{
    return item->folder == zone_folder ? "temp" : "cur_state";
}

static void item_path(const struct thermal *thermal, const struct item *item, const char *attribute,
                      char path[PATH_BYTES])
{
    (void)snprintf(path, PATH_BYTES, "%s/%s%u/%s", thermal->directory, item->folder, item->number,
                   attribute);
}

static bool is_wanted(const char *wanted, const struct item *item, const char *type)
{
    char directory[32];
    (void)snprintf(directory, sizeof directory, "%s%u", item->folder, item->number);
    return wanted == NULL || strcmp(wanted, type) == 0 || strcmp(wanted, directory) == 0;
}

/* One whose type cannot be read is going away; the next open sees it or not. */
static void add_item(struct thermal *thermal, const char *wanted, const char *folder,
                     unsigned number)
{
    char path[PATH_BYTES];
    char type[64];
    char name[sizeof type + 16];
    bool is_zone = folder == zone_folder;
    struct item item = {.folder = folder, .number = number};
    struct channel *channel = &thermal->channels[thermal->count];
    item_path(thermal, &item, "type", path);
    if (thermal->count == SAMPLE_CHANNELS_MAX || sysfs_read(path, type, sizeof type) < 0 ||
        !is_wanted(wanted, &item, type))
        return;
    item_path(thermal, &item, "", path);
    item.directory_fd = sysfs_at_open(path);
    if (item.directory_fd < 0)
        return;
    *channel = (struct channel){0};
    if (is_zone)
        *channel = (struct channel){.unit = "Cel", .decimals = DECIMALS};
    (void)snprintf(name, sizeof name, "%s%s", is_zone ? "" : "cooling_", type);
    sysfs_name(channel->name, name);
    sysfs_make_unique(thermal->channels, thermal->count);
    thermal->items[thermal->count++] = item;
}

static void add_coolers(struct thermal *thermal)
{
    unsigned numbers[SYSFS_NUMBERED_MAX];
    int count = sysfs_list(thermal->directory, cooler_folder, numbers);
    for (int i = 0; i < count; i++)
        add_item(thermal, NULL, cooler_folder, numbers[i]);
}

static int open_zones(struct thermal *thermal, const struct driver_context *context)
{
    const char *wanted = driver_setting(context, "zone");
    int count = roster_take(&thermal->zones, thermal->directory, zone_folder);
    if (count < 0) {
        driver_say(context->fault,
                   "%s: %s; the kernel needs CONFIG_THERMAL and a driver for this board",
                   thermal->directory, ERROR_TEXT(count));
        return count;
    }
    for (int i = 0; i < count; i++)
        add_item(thermal, wanted, zone_folder, thermal->zones.numbers[i]);
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
    thermal->stop = context->stop;
    thermal->is_chosen = driver_setting(context, "zone") != NULL;
    int rc = open_zones(thermal, context);
    if (rc == 0 && thermal->count == 1)
        (void)strcpy(thermal->channels[0].name, "temp");
    if (rc == 0 && settings_boolean(driver_setting(context, "cooling"), false))
        add_coolers(thermal);
    return rc;
}

static int thermal_channels(const void *instance, struct channel *ret_channels)
{
    const struct thermal *thermal = instance;
    memcpy(ret_channels, thermal->channels, thermal->count * sizeof *ret_channels);
    return (int)thermal->count;
}

/* From INDEX on; what failed before that says why it took so long. */
static void leave_rest(struct thermal *thermal, size_t index)
{
    char path[PATH_BYTES];
    const struct item *item = &thermal->items[index];
    thermal->is_late = true;
    item_path(thermal, item, attribute_of(item), path);
    if (thermal->lack[0] == '\0')
        driver_say(thermal->lack, "%s: %s", path, ERROR_TEXT(E_TIMEOUT));
    for (; index < thermal->count; index++)
        thermal->raw[index].count = E_TIMEOUT;
}

/* Zones that are switched off answer with an error: one that answers is enough. */
static int thermal_fetch(void *instance, int64_t deadline_ms)
{
    struct thermal *thermal = instance;
    char path[PATH_BYTES];
    int rc = 0;
    size_t got = 0;
    int may = 0;
    thermal->lack[0] = '\0';
    thermal->is_late = false;
    if (!thermal->is_chosen &&
        roster_has_changed(&thermal->zones, thermal->directory, zone_folder)) {
        driver_say(thermal->fault, "%s: thermal zones came or went", thermal->directory);
        return E_CHANGED;
    }
    for (size_t i = 0; i < thermal->count; i++) {
        const struct item *item = &thermal->items[i];
        may = sysfs_may_read(i, deadline_ms, thermal->stop);
        if (may < 0) {
            leave_rest(thermal, i);
            break;
        }
        sysfs_at_read_raw(item->directory_fd, attribute_of(item), &thermal->raw[i]);
        if (thermal->raw[i].count >= 0) {
            got++;
            continue;
        }
        rc = thermal->raw[i].count;
        item_path(thermal, item, attribute_of(item), path);
        driver_say(thermal->lack, "%s: %s%s", path, ERROR_TEXT(rc),
                   error_errno(rc) == EINVAL ? "; is the zone's mode disabled?" : "");
    }
    if (may == E_STOP)
        return may;
    if (got > 0)
        return 0;
    driver_say(thermal->fault, "%s", thermal->lack);
    return sysfs_is_passing(rc) ? E_TIMEOUT : rc;
}

static int thermal_read(void *instance, struct sample *ret_sample)
{
    struct thermal *thermal = instance;
    char path[PATH_BYTES];
    size_t bad;
    int rc = sysfs_convert(thermal->raw, thermal->channels, thermal->count, ret_sample, &bad);
    if (rc < 0) {
        item_path(thermal, &thermal->items[bad], attribute_of(&thermal->items[bad]), path);
        driver_say(thermal->fault, "%s: %s (a whole number was expected)", path, ERROR_TEXT(rc));
    }
    return rc;
}

static const char *thermal_fault(const void *instance)
{
    const struct thermal *thermal = instance;
    return thermal->fault[0] != '\0' ? thermal->fault : NULL;
}

static const char *thermal_lack(const void *instance)
{
    const struct thermal *thermal = instance;
    bool is_missed = thermal->is_chosen || thermal->is_late;
    return is_missed && thermal->lack[0] != '\0' ? thermal->lack : NULL;
}

static void thermal_close(void *instance)
{
    struct thermal *thermal = instance;
    for (size_t i = 0; i < thermal->count; i++)
        sysfs_at_close(thermal->items[i].directory_fd);
    thermal->count = 0;
}

const struct driver driver_thermal = {
    .name = "thermal",
    .summary = "temperatures of the thermal zones that the kernel knows (/sys/class/thermal)",
    .keys = keys,
    .bus_key = "zone",
    .instance_bytes = sizeof(struct thermal),
    .open = thermal_open,
    .channels = thermal_channels,
    .fetch = thermal_fetch,
    .read = thermal_read,
    .fault = thermal_fault,
    .lack = thermal_lack,
    .close = thermal_close,
};
