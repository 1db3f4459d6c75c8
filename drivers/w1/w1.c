/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drivers/bus/settings.h"
#include "drivers/driver.h"
#include "drivers/sysfs.h"
#include "drivers/sysfs_at.h"
#include "drivers/w1/therm.h"
#include "platform/base/error.h"
#include "platform/clock.h"

/*
 * Thermometers on 1-Wire through the kernel's w1_therm. Reading w1_slave measures and blocks for
 * it, 750 ms at 12 bits. Where the kernel has therm_bulk_read all of a bus measure at the same
 * time.
 */
enum { TEXT_BYTES = 128, ID_BYTES = THERM_ID_CHARACTERS + 1, PATH_BYTES = SYSFS_PATH_BYTES + 64 };

struct thermometer {
    char id[ID_BYTES];
    int32_t previous; /* the last that was believed, or THERM_NONE */
    int count;        /* of text, or the error of reading it */
    char text[TEXT_BYTES];
};

struct w1 {
    char directory[SYSFS_PATH_BYTES];
    const struct stop *stop;
    bool takes_all; /* that are on the bus */
    size_t count;
    size_t first; /* to be read: who was left out by the deadline comes first the next time */
    struct thermometer thermometers[SAMPLE_CHANNELS_MAX];
    struct channel channels[SAMPLE_CHANNELS_MAX];
    char lack[DRIVER_FAULT_BYTES];
    char fault[DRIVER_FAULT_BYTES];
};

static const struct driver_key keys[] = {
    {"id", DRIVER_KEY_TEXT, false,
     "one thermometer (\"28-000005e2fdc3\"), as channel temp; default: all on the bus, by id"},
    {"devices[].id", DRIVER_KEY_TEXT, true, "a thermometer, such as \"28-000005e2fdc3\""},
    {"devices[].name", DRIVER_KEY_TEXT, false, "its channel; default the id"},
    {"master", DRIVER_KEY_TEXT, false,
     "the bus (\"w1_bus_master1\"); sensors of one bus wait for each other; default: all buses"},
    {"resolution", DRIVER_KEY_INTEGER, false,
     "bits to measure with, 9 (94 ms) to 12 (750 ms); default: as the chip is set"},
    {0}};

static const struct driver_limit limits[] = {{.key = "resolution", .low = 9, .high = 12}, {0}};

/* ---- settings ---- */

/* "id" of "devices[3].id", and of "id". */
static const char *member_of(const struct driver_setting *setting)
{
    const char *point = strrchr(setting->key, '.');
    return point != NULL ? point + 1 : setting->key;
}

static bool occurred_before(const struct driver_context *context, size_t index)
{
    const struct driver_setting *setting = &context->settings[index];
    for (size_t i = 0; i < index; i++)
        if (strcmp(member_of(&context->settings[i]), member_of(setting)) == 0 &&
            strcmp(context->settings[i].value, setting->value) == 0)
            return true;
    return false;
}

static bool is_fault(const struct driver_context *context, size_t index)
{
    const struct driver_setting *setting = &context->settings[index];
    bool is_id = strcmp(member_of(setting), "id") == 0;
    bool is_listed = strncmp(setting->key, "devices[", 8) == 0;
    if (is_id && !therm_is_id(setting->value, strlen(setting->value)))
        driver_say(context->fault,
                   "is no thermometer's id; write it as in /sys/bus/w1/devices: 28-000005e2fdc3");
    else if (is_id && is_listed && occurred_before(context, index))
        driver_say(context->fault, "is there already; each is once in the list");
    else if (strcmp(setting->key, "id") == 0 && settings_count(context, "devices") > 0)
        driver_say(context->fault, "is one thermometer and \"devices\" are several; remove one");
    else
        return false;
    return true;
}

static const char *w1_check(const struct driver_context *context)
{
    for (size_t i = 0; i < context->setting_count; i++)
        if (is_fault(context, i))
            return context->settings[i].key;
    size_t count = settings_count(context, "devices");
    for (size_t i = 0; i < count; i++) {
        const char *what = settings_name_fault(context, "devices", i);
        if (what == NULL)
            continue;
        driver_say(context->fault, "%s", what);
        return settings_written(context, "devices", i, "name");
    }
    if (count <= SAMPLE_CHANNELS_MAX)
        return NULL;
    driver_say(context->fault, "are %zu thermometers; a sensor has at most %d channels", count,
               SAMPLE_CHANNELS_MAX);
    return "devices";
}

/* ---- who is there ---- */

static void slave_path(const struct w1 *w1, const char *id, const char *attribute,
                       char path[PATH_BYTES])
{
    (void)snprintf(path, PATH_BYTES, "%s/%s/%s", w1->directory, id, attribute);
}

/* Sorted by id. */
static void add(struct w1 *w1, const char *id, const char *name)
{
    size_t at = w1->count;
    while (w1->takes_all && at > 0 && strcmp(id, w1->thermometers[at - 1].id) < 0)
        at--;
    if (at == SAMPLE_CHANNELS_MAX)
        return;
    if (w1->count < SAMPLE_CHANNELS_MAX)
        w1->count++;
    memmove(&w1->thermometers[at + 1], &w1->thermometers[at],
            (w1->count - at - 1) * sizeof w1->thermometers[0]);
    memmove(&w1->channels[at + 1], &w1->channels[at],
            (w1->count - at - 1) * sizeof w1->channels[0]);
    w1->thermometers[at] = (struct thermometer){.previous = THERM_NONE};
    (void)snprintf(w1->thermometers[at].id, ID_BYTES, "%s", id);
    w1->channels[at] = (struct channel){.unit = "Cel", .decimals = 3};
    (void)snprintf(w1->channels[at].name, SAMPLE_NAME_BYTES, "%s", name);
}

static bool is_known(const struct w1 *w1, const char *id)
{
    for (size_t i = 0; i < w1->count; i++)
        if (strcmp(w1->thermometers[i].id, id) == 0)
            return true;
    return false;
}

/* Adds those on the bus, or only looks: returns how many are there that it did not know. */
static int look(struct w1 *w1, bool adds)
{
    const struct dirent *entry;
    int news = 0;
    DIR *listing = opendir(w1->directory);
    if (listing == NULL)
        return error_sys(errno);
    while ((entry = readdir(listing)) != NULL) {
        if (!therm_is_id(entry->d_name, strlen(entry->d_name)) || is_known(w1, entry->d_name))
            continue;
        news++;
        if (adds)
            add(w1, entry->d_name, entry->d_name);
    }
    (void)closedir(listing);
    return news;
}

static void add_configured(struct w1 *w1, const struct driver_context *context)
{
    const char *id = driver_setting(context, "id");
    size_t count = settings_count(context, "devices");
    if (id != NULL)
        add(w1, id, "temp");
    for (size_t i = 0; i < count; i++) {
        id = settings_member(context, "devices", i, "id");
        const char *name = settings_member(context, "devices", i, "name");
        if (id != NULL)
            add(w1, id, name != NULL ? name : id);
        if (w1->count > 0)
            sysfs_make_unique(w1->channels, w1->count - 1);
    }
}

static bool is_there(const struct w1 *w1, const char *id)
{
    char path[PATH_BYTES];
    slave_path(w1, id, "", path);
    int directory_fd = sysfs_at_open(path);
    bool there = directory_fd >= 0 && sysfs_at_has(directory_fd, "w1_slave");
    sysfs_at_close(directory_fd);
    return there;
}

static int say_absent(const struct w1 *w1, int rc, char *fault)
{
    if (rc < 0)
        driver_say(fault,
                   "%s: %s; the kernel needs CONFIG_W1 and a bus master (w1-gpio in the device "
                   "tree, ds2482, ds2490)",
                   w1->directory, ERROR_TEXT(rc));
    else
        driver_say(fault,
                   "%s/%s/w1_slave: no thermometer there; is w1_therm loaded, is the cable plugged "
                   "in, has it its pull-up?",
                   w1->directory, w1->takes_all ? "*" : w1->thermometers[0].id);
    return rc < 0 ? rc : E_NOT_FOUND;
}

static int set_bits(const char *path, const char *bits)
{
    char now[8];
    int directory_fd = sysfs_at_open(path);
    if (directory_fd < 0)
        return 0; /* not there at the moment: the others are read */
    int rc = sysfs_at_read(directory_fd, "resolution", now, sizeof now);
    if (rc >= 0)
        rc = strcmp(now, bits) == 0 ? 0 : sysfs_at_write(directory_fd, "resolution", bits);
    sysfs_at_close(directory_fd);
    return rc;
}

/* A DS18S20 has nothing to set. */
static int set_resolution(const struct w1 *w1, const char *bits, const char *id, char *fault)
{
    char path[PATH_BYTES];
    slave_path(w1, id, "", path);
    int rc = strncmp(id, "10", 2) == 0 ? 0 : set_bits(path, bits);
    if (rc < 0)
        driver_say(fault,
                   "%sresolution: %s; it takes Linux 5.8, root, and ProtectKernelTunables=no in "
                   "the service of systemd",
                   path, ERROR_TEXT(rc));
    return rc;
}

static int w1_open(void *instance, const struct driver_context *context)
{
    struct w1 *w1 = instance;
    const char *master = driver_setting(context, "master");
    const char *bits = driver_setting(context, "resolution");
    int length = snprintf(w1->directory, sizeof w1->directory, "%s/sys/bus/w1/devices%s%s",
                          context->root, master != NULL ? "/" : "", master != NULL ? master : "");
    if (length < 0 || (size_t)length >= sizeof w1->directory)
        return E_TOO_BIG;
    w1->stop = context->stop;
    add_configured(w1, context);
    w1->takes_all = w1->count == 0;
    int rc = look(w1, w1->takes_all);
    size_t present = 0;
    for (size_t i = 0; i < w1->count; i++)
        present += is_there(w1, w1->thermometers[i].id);
    if (rc < 0 || present == 0)
        return say_absent(w1, rc, context->fault);
    rc = 0;
    for (size_t i = 0; i < w1->count && bits != NULL && rc == 0; i++)
        rc = set_resolution(w1, bits, w1->thermometers[i].id, context->fault);
    return rc;
}

static int w1_channels(const void *instance, struct channel *ret_channels)
{
    const struct w1 *w1 = instance;
    memcpy(ret_channels, w1->channels, w1->count * sizeof *ret_channels);
    return (int)w1->count;
}

/* ---- fetch ---- */

/* Lets all on the bus DIRECTORY measure; returns when they have. Where the kernel cannot, or does
 * not let us, each one measures when it is read. */
static void measure_together(const char *directory)
{
    int directory_fd = sysfs_at_open(directory);
    if (directory_fd < 0)
        return;
    (void)sysfs_at_write(directory_fd, "therm_bulk_read", "trigger\n");
    sysfs_at_close(directory_fd);
}

static void measure_all_buses(const struct w1 *w1, int64_t deadline_ms)
{
    unsigned numbers[SYSFS_NUMBERED_MAX];
    char path[PATH_BYTES];
    int count = sysfs_list(w1->directory, "w1_bus_master", numbers);
    if (count <= 0)
        measure_together(w1->directory); /* that of one master */
    for (int i = 0; i < count && clock_mono_ms() < deadline_ms; i++) {
        (void)snprintf(path, sizeof path, "%s/w1_bus_master%u", w1->directory, numbers[i]);
        measure_together(path);
    }
}

/* Newer kernels answer with nothing at all where the chip does not. */
static void measure(const struct w1 *w1, struct thermometer *thermometer)
{
    char path[PATH_BYTES];
    slave_path(w1, thermometer->id, "w1_slave", path);
    thermometer->count = sysfs_read(path, thermometer->text, sizeof thermometer->text);
    if (thermometer->count == 0)
        thermometer->count = error_sys(ENXIO);
}

static const char *hint(int code)
{
    return code == E_TIMEOUT ? "; the sensor's timeout is too short for so many"
                             : "; look at the cable, its pull-up and the chip's power";
}

static void say(const struct w1 *w1, size_t index, int code, char *text)
{
    driver_say(text, "%s/%s/w1_slave: %s%s", w1->directory, w1->thermometers[index].id,
               ERROR_TEXT(code), hint(code));
}

static int measure_each(struct w1 *w1, int64_t deadline_ms)
{
    size_t got = 0;
    int rc = 0;
    size_t start = w1->first;
    w1->first = 0;
    for (size_t i = 0; i < w1->count; i++)
        w1->thermometers[i].count = E_TIMEOUT;
    for (size_t i = 0; i < w1->count; i++) {
        size_t index = (start + i) % w1->count;
        int may = sysfs_may_read(i, deadline_ms, w1->stop);
        if (may == E_STOP)
            return may;
        if (may < 0) {
            w1->first = index;
            break;
        }
        measure(w1, &w1->thermometers[index]);
        got += w1->thermometers[index].count >= 0;
        if (w1->thermometers[index].count < 0) {
            rc = w1->thermometers[index].count;
            say(w1, index, rc, w1->fault);
        }
    }
    if (got > 0)
        return 0;
    return sysfs_is_passing(rc) ? E_TIMEOUT : rc;
}

static int w1_fetch(void *instance, int64_t deadline_ms)
{
    struct w1 *w1 = instance;
    if (w1->takes_all && w1->count < SAMPLE_CHANNELS_MAX && look(w1, false) > 0) {
        driver_say(w1->fault, "%s: there is a new thermometer on the bus", w1->directory);
        return E_CHANGED;
    }
    if (w1->count > 1)
        measure_all_buses(w1, deadline_ms);
    return measure_each(w1, deadline_ms);
}

/* ---- read ---- */

static int convert(struct w1 *w1, size_t index, struct value *ret_value)
{
    struct thermometer *thermometer = &w1->thermometers[index];
    struct therm_reading reading;
    const char *reason = "";
    int rc = thermometer->count;
    if (rc < 0) {
        say(w1, index, rc, w1->lack);
        return rc;
    }
    rc = therm_parse(thermometer->text, (size_t)thermometer->count, &reading);
    if (rc < 0) {
        driver_say(w1->lack, "%s/%s/w1_slave: %s", w1->directory, thermometer->id, ERROR_TEXT(rc));
        return rc;
    }
    rc = therm_judge(thermometer->id, &reading, thermometer->previous, &reason);
    if (rc < 0) {
        driver_say(w1->lack, "%s/%s: %s", w1->directory, thermometer->id, reason);
        return rc;
    }
    thermometer->previous = reading.milli_celsius;
    *ret_value =
        (struct value){.kind = VALUE_DECIMAL, .mantissa = reading.milli_celsius, .decimals = 3};
    return 0;
}

static int w1_read(void *instance, struct sample *ret_sample)
{
    struct w1 *w1 = instance;
    struct sample sample = {.value_count = w1->count};
    size_t good = 0;
    int error = E_DAMAGED;
    w1->lack[0] = '\0';
    for (size_t i = 0; i < w1->count; i++) {
        int rc = convert(w1, i, &sample.values[i]);
        good += rc == 0;
        if (rc < 0 && w1->thermometers[i].count >= 0)
            error = rc;
    }
    if (good > 0) {
        *ret_sample = sample;
        return 0;
    }
    driver_say(w1->fault, "%s", w1->lack);
    return error;
}

static const char *w1_fault(const void *instance)
{
    const struct w1 *w1 = instance;
    return w1->fault[0] != '\0' ? w1->fault : NULL;
}

static const char *w1_lack(const void *instance)
{
    const struct w1 *w1 = instance;
    return w1->lack[0] != '\0' ? w1->lack : NULL;
}

static void w1_close(void *instance)
{
    (void)instance; /* nothing stays open between two readings */
}

const struct driver driver_w1 = {
    .name = "w1",
    .summary = "thermometers on a 1-Wire bus, DS18B20 and kin (/sys/bus/w1)",
    .keys = keys,
    .limits = limits,
    .bus_key = "master",
    .instance_bytes = sizeof(struct w1),
    .check = w1_check,
    .open = w1_open,
    .channels = w1_channels,
    .fetch = w1_fetch,
    .read = w1_read,
    .fault = w1_fault,
    .lack = w1_lack,
    .close = w1_close,
};
