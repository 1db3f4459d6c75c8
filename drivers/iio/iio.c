/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/bus/iio.h"
#include "drivers/driver.h"
#include "drivers/sysfs.h"
#include "drivers/sysfs_at.h"
#include "platform/base/error.h"

/* Single readings of a device of Industrial I/O. Each fetch reads the scales as well, because they
 * follow the range that somebody sets and that chips with automatic ranges set themselves. */

struct iio {
    struct iio_device device;
    const struct stop *stop;
    size_t count;
    struct iio_channel items[SAMPLE_CHANNELS_MAX];
    struct channel channels[SAMPLE_CHANNELS_MAX];
    struct sysfs_raw raw[SAMPLE_CHANNELS_MAX];
    struct sysfs_raw scale[SAMPLE_CHANNELS_MAX];
    struct sysfs_raw offset[SAMPLE_CHANNELS_MAX];
    char missing[DRIVER_FAULT_BYTES]; /* channels that were asked for and are not there */
    char absent[DRIVER_FAULT_BYTES];  /* why the last sample is not whole */
    char fault[DRIVER_FAULT_BYTES];
};

static const struct driver_key keys[] = {
    {"device", DRIVER_KEY_TEXT, false,
     "its name, label, iio:deviceN, or name@place where several have the name "
     "(\"ads1015@1-0048\"); default: the only one"},
    {"channels", DRIVER_KEY_TEXT, false,
     "types or single channels, separated by commas (\"temp,voltage0\"); default: all, at most 32"},
    {0}};

/* ---- open ---- */

static bool ends_with(const char *text, size_t count, const char *end)
{
    size_t bytes = strlen(end);
    return count > bytes && memcmp(text + count - bytes, end, bytes) == 0;
}

/* "voltage0" of "in_voltage0_raw"; false for what is no reading. */
static bool parse_entry(const char *entry, char id[IIO_ID_BYTES], bool *ret_is_input)
{
    size_t count = strlen(entry);
    bool is_input = ends_with(entry, count, "_input");
    if (strncmp(entry, "in_", 3) != 0 || (!is_input && !ends_with(entry, count, "_raw")))
        return false;
    count -= 3 + (is_input ? sizeof "_input" : sizeof "_raw") - 1;
    if (count == 0 || count >= IIO_ID_BYTES)
        return false;
    memcpy(id, entry + 3, count);
    id[count] = '\0';
    *ret_is_input = is_input;
    return true;
}

/* Statistics that chips keep beside a channel are there for who asks for them by name. */
static bool is_side_value(const char *id)
{
    static const char *const ends[] = {"_peak", "_trough", "_mean", "_quadrature_correction"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (ends_with(id, strlen(id), ends[i]))
            return true;
    return false;
}

/* By type, then number ("voltage2" before "voltage10"), then the rest: readdir's order is
 * anybody's. */
static bool is_before(const char *left, const char *right)
{
    return strverscmp(left, right) < 0;
}

/* What is last falls out of a full list. A channel that is there both ways is read as input. */
static void insert(struct iio *iio, const char *id, bool is_input)
{
    size_t at = iio->count;
    for (size_t i = 0; i < iio->count; i++)
        if (strcmp(iio->items[i].id, id) == 0) {
            if (is_input)
                iio_describe(&iio->device, id, true, &iio->items[i]);
            return;
        }
    while (at > 0 && is_before(id, iio->items[at - 1].id))
        at--;
    if (at == SAMPLE_CHANNELS_MAX)
        return;
    if (iio->count < SAMPLE_CHANNELS_MAX)
        iio->count++;
    memmove(&iio->items[at + 1], &iio->items[at], (iio->count - at - 1) * sizeof iio->items[0]);
    iio_describe(&iio->device, id, is_input, &iio->items[at]);
}

static void find_channels(struct iio *iio, const char *wanted)
{
    char id[IIO_ID_BYTES];
    bool is_input;
    const struct dirent *entry;
    DIR *listing = opendir(iio->device.path);
    if (listing == NULL)
        return; /* unplugged between two looks */
    while ((entry = readdir(listing)) != NULL)
        if (parse_entry(entry->d_name, id, &is_input) && iio_is_wanted(wanted, id) &&
            (wanted != NULL || !is_side_value(id)))
            insert(iio, id, is_input);
    (void)closedir(listing);
}

static void reading_name(const struct iio_channel *item, char name[IIO_ATTRIBUTE_BYTES])
{
    (void)snprintf(name, IIO_ATTRIBUTE_BYTES, "in_%s_%s", item->id,
                   item->is_input ? "input" : "raw");
}

/* As the first reading has them, which says what the chip resolves; of a raw number its scale. */
static unsigned find_decimals(const struct iio *iio, const struct iio_channel *item)
{
    char name[IIO_ATTRIBUTE_BYTES];
    struct sysfs_raw text;
    struct sysfs_raw offset;
    struct iio_scale scale;
    struct value value;
    reading_name(item, name);
    sysfs_at_read_raw(iio->device.directory_fd, item->is_input ? name : item->scale, &text);
    if (item->is_input)
        return iio_read_input(item, &text, &value) == 0 ? value.decimals : item->decimals;
    if (item->offset[0] != '\0')
        sysfs_at_read_raw(iio->device.directory_fd, item->offset, &offset);
    int rc = iio_read_scale(item, item->scale[0] != '\0' ? &text : NULL,
                            item->offset[0] != '\0' ? &offset : NULL, &scale);
    return rc == 0 ? scale.decimals : item->decimals;
}

static void note_missing(struct iio *iio, const char *wanted)
{
    const char *ids[SAMPLE_CHANNELS_MAX];
    size_t bytes = 0;
    for (size_t i = 0; i < iio->count; i++)
        ids[i] = iio->items[i].id;
    const char *missing = iio_find_missing(wanted, ids, iio->count, &bytes);
    if (missing != NULL)
        driver_say(iio->missing, "%s: no channel %.*s; compare with: ls %s", iio->device.path,
                   bytes < 32 ? (int)bytes : 32, missing, iio->device.path);
}

static int iio_open(void *instance, const struct driver_context *context)
{
    struct iio *iio = instance;
    const char *wanted = driver_setting(context, "channels");
    iio->device = IIO_DEVICE_CLOSED;
    iio->stop = context->stop;
    int rc = iio_device_open(context->root, driver_setting(context, "device"), &iio->device,
                             context->fault);
    if (rc < 0)
        return rc;
    find_channels(iio, wanted);
    for (size_t i = 0; i < iio->count; i++) {
        iio->items[i].decimals = find_decimals(iio, &iio->items[i]);
        iio_name_channel(&iio->device, &iio->items[i], &iio->channels[i]);
        sysfs_make_unique(iio->channels, i);
    }
    note_missing(iio, wanted);
    if (iio->count > 0)
        return 0;
    driver_say(context->fault, "%s: %s has no channel%s%.32s that can be read one by one",
               iio->device.path, iio->device.name, wanted != NULL ? " of " : "",
               wanted != NULL ? wanted : "");
    return E_NOT_FOUND;
}

static int iio_channels(const void *instance, struct channel *ret_channels)
{
    const struct iio *iio = instance;
    memcpy(ret_channels, iio->channels, iio->count * sizeof *ret_channels);
    return (int)iio->count;
}

/* ---- fetch ---- */

/* One that the channel before has read as well is not read again. */
static void read_shared(const struct iio *iio, size_t index, const char *name, const char *before,
                        struct sysfs_raw *raw)
{
    if (name[0] == '\0')
        return;
    if (index > 0 && strcmp(name, before) == 0)
        raw[index] = raw[index - 1];
    else
        sysfs_at_read_raw(iio->device.directory_fd, name, &raw[index]);
}

static int fetch_channel(struct iio *iio, size_t index)
{
    char name[IIO_ATTRIBUTE_BYTES];
    const struct iio_channel *item = &iio->items[index];
    const struct iio_channel *before = &iio->items[index > 0 ? index - 1 : 0];
    reading_name(item, name);
    sysfs_at_read_raw(iio->device.directory_fd, name, &iio->raw[index]);
    read_shared(iio, index, item->scale, before->scale, iio->scale);
    read_shared(iio, index, item->offset, before->offset, iio->offset);
    return iio->raw[index].count;
}

/* Channels that are switched off, or not ready, answer with an error: one that answers is enough.
 * A chip that takes long leaves the channels behind it without a value. */
static int iio_fetch(void *instance, int64_t deadline_ms)
{
    struct iio *iio = instance;
    char name[IIO_ATTRIBUTE_BYTES];
    size_t got = 0;
    int rc = 0;
    for (size_t i = 0; i < iio->count; i++) {
        int may = sysfs_may_read(i, deadline_ms, iio->stop);
        if (may == E_STOP)
            return may;
        iio->raw[i].count = may;
        if (may == 0)
            (void)fetch_channel(iio, i);
        if (iio->raw[i].count >= 0) {
            got++;
            continue;
        }
        rc = iio->raw[i].count;
        reading_name(&iio->items[i], name);
        driver_say(iio->fault, "%s/%s: %s%s", iio->device.path, name, ERROR_TEXT(rc), iio_hint(rc));
    }
    if (got > 0)
        return 0;
    return sysfs_is_passing(rc) ? E_TIMEOUT : rc;
}

/* ---- read ---- */

static int convert(const struct iio *iio, size_t index, struct value *ret_value)
{
    const struct iio_channel *item = &iio->items[index];
    struct iio_scale scale;
    struct decimal raw;
    if (iio->raw[index].count < 0)
        return iio->raw[index].count;
    if (item->is_input)
        return iio_read_input(item, &iio->raw[index], ret_value);
    int rc = iio_read_scale(item, item->scale[0] != '\0' ? &iio->scale[index] : NULL,
                            item->offset[0] != '\0' ? &iio->offset[index] : NULL, &scale);
    if (rc == 0)
        rc = decimal_parse(iio->raw[index].text, (size_t)iio->raw[index].count, &raw);
    return rc < 0 ? rc : iio_scale_raw(&scale, raw, ret_value);
}

static int iio_read(void *instance, struct sample *ret_sample)
{
    struct iio *iio = instance;
    struct sample sample = {.value_count = iio->count};
    char name[IIO_ATTRIBUTE_BYTES];
    size_t good = 0;
    int error = 0;
    iio->absent[0] = '\0';
    for (size_t i = 0; i < iio->count; i++) {
        int rc = convert(iio, i, &sample.values[i]);
        good += rc == 0;
        if (rc == 0)
            continue;
        error = rc;
        reading_name(&iio->items[i], name);
        driver_say(iio->absent, "%s/%s: %s%s", iio->device.path, name, ERROR_TEXT(rc),
                   iio_hint(rc));
    }
    if (good > 0) {
        *ret_sample = sample;
        return 0;
    }
    driver_say(iio->fault, "%s", iio->absent);
    return error;
}

static const char *iio_fault(const void *instance)
{
    const struct iio *iio = instance;
    return iio->fault[0] != '\0' ? iio->fault : NULL;
}

static const char *iio_lack(const void *instance)
{
    const struct iio *iio = instance;
    if (iio->missing[0] != '\0')
        return iio->missing;
    return iio->absent[0] != '\0' ? iio->absent : NULL;
}

static void iio_close(void *instance)
{
    struct iio *iio = instance;
    iio_device_close(&iio->device);
}

const struct driver driver_iio = {
    .name = "iio",
    .summary = "single readings of converters and sensors of Industrial I/O (/sys/bus/iio)",
    .keys = keys,
    .bus_key = "device",
    .instance_bytes = sizeof(struct iio),
    .check = iio_check_channels,
    .open = iio_open,
    .channels = iio_channels,
    .fetch = iio_fetch,
    .read = iio_read,
    .fault = iio_fault,
    .lack = iio_lack,
    .close = iio_close,
};
