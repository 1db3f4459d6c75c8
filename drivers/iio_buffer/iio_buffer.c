/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "drivers/bus/iio.h"
#include "drivers/bus/settings.h"
#include "drivers/driver.h"
#include "drivers/iio_buffer/scan.h"
#include "drivers/sysfs.h"
#include "drivers/sysfs_at.h"
#include "platform/base/error.h"
#include "platform/clock.h"

/*
 * Buffered capture of a device of Industrial I/O (Documentation/iio/iio_devbuf.rst). Who has the
 * character device open owns the buffer, and the kernel lets only one in: a buffer that is enabled
 * although nobody holds it was left behind by an owner that died, and is taken over.
 */
enum {
    ELEMENTS_MAX = 2 * SAMPLE_CHANNELS_MAX,
    DATA_BYTES = 4096,
    LENGTH = 256,
    TAG_UNWANTED = -1,
    TAG_TIMESTAMP = -2,
};

#define FOLDER "scan_elements/"

struct iio_buffer {
    struct iio_device device;
    int fd; /* /dev/iio:deviceN */
    bool enabled;
    bool drain;
    size_t element_count;
    char ids[ELEMENTS_MAX][IIO_ID_BYTES]; /* in no order */
    struct scan_element elements[ELEMENTS_MAX];
    size_t scan_bytes;
    size_t count;
    struct channel channels[SAMPLE_CHANNELS_MAX];
    struct iio_scale scales[SAMPLE_CHANNELS_MAX];
    clockid_t clock;   /* of the timestamps */
    int64_t behind_ms; /* how far it is behind CLOCK_BOOTTIME */
    int64_t every;
    int64_t skipped; /* scans since the last record */
    int64_t silence_ms;
    int64_t heard_ms; /* when a scan came last */
    size_t at;        /* the next scan in data */
    size_t used;
    char trigger[2 * SAMPLE_NAME_BYTES];
    char missing[DRIVER_FAULT_BYTES];
    char fault[DRIVER_FAULT_BYTES];
    uint8_t data[DATA_BYTES];
};

static const struct driver_key keys[] = {
    {"device", DRIVER_KEY_TEXT, false,
     "its name, label, iio:deviceN, or name@place where several have the name "
     "(\"mpu6050@1-0068\"); default: the only one"},
    {"channels", DRIVER_KEY_TEXT, false,
     "types or single channels, separated by commas (\"accel,temp\"); default: all, at most 32"},
    {"trigger", DRIVER_KEY_TEXT, false,
     "the name of the trigger that paces it; default: the one that the device has"},
    {"frequency", DRIVER_KEY_DECIMAL, false,
     "scans a second, set at the trigger or the device; default: as it is"},
    {"every", DRIVER_KEY_INTEGER, false, "one record for so many scans; default 1"},
    {"length", DRIVER_KEY_INTEGER, false, "scans that the kernel keeps for us; default 256"},
    {"watermark", DRIVER_KEY_INTEGER, false,
     "scans to wait for before reading, at most for the interval; default half of length"},
    {0}};

static const struct driver_limit limits[] = {{.key = "every", .low = 1, .high = 1000000},
                                             {.key = "length", .low = 2, .high = 65536},
                                             {.key = "watermark", .low = 1, .high = 65536},
                                             {0}};

static int64_t length_of(const struct driver_context *context)
{
    return settings_integer(driver_setting(context, "length"), LENGTH);
}

static int64_t watermark_of(const struct driver_context *context)
{
    return settings_integer(driver_setting(context, "watermark"), length_of(context) / 2);
}

static const char *iio_buffer_check(const struct driver_context *context)
{
    const char *frequency = driver_setting(context, "frequency");
    if (frequency != NULL &&
        (strpbrk(frequency, "-eE") != NULL || strpbrk(frequency, "123456789") == NULL)) {
        driver_say(context->fault, "is no frequency; write it above 0, without sign and exponent");
        return "frequency";
    }
    if (watermark_of(context) <= length_of(context))
        return iio_check_channels(context);
    driver_say(context->fault, "is more than length, which is %" PRId64, length_of(context));
    return "watermark";
}

/* ---- attributes ---- */

static int complain(const struct iio_buffer *buffer, const char *attribute, int rc, char *fault)
{
    driver_say(fault, "%s/%s: %s%s", buffer->device.path, attribute, ERROR_TEXT(rc), iio_hint(rc));
    return rc;
}

static int set(const struct iio_buffer *buffer, const char *attribute, const char *text,
               char *fault)
{
    int rc = sysfs_at_write(buffer->device.directory_fd, attribute, text);
    return rc < 0 ? complain(buffer, attribute, rc, fault) : 0;
}

static int set_number(const struct iio_buffer *buffer, const char *attribute, int64_t number,
                      char *fault)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, number);
    return set(buffer, attribute, text, fault);
}

static bool is_on(const struct iio_buffer *buffer, const char *attribute)
{
    char text[8];
    return sysfs_at_read(buffer->device.directory_fd, attribute, text, sizeof text) > 0 &&
           strcmp(text, "1") == 0;
}

/* ---- scan elements ---- */

/* "accel_x" of "in_accel_x_en". */
static bool parse_entry(const char *entry, char id[IIO_ID_BYTES])
{
    size_t count = strlen(entry);
    if (strncmp(entry, "in_", 3) != 0 || count < 7 || count - 6 >= IIO_ID_BYTES ||
        strcmp(entry + count - 3, "_en") != 0)
        return false;
    memcpy(id, entry + 3, count - 6);
    id[count - 6] = '\0';
    return true;
}

static bool is_timestamp(const char *id)
{
    return strcmp(id, "timestamp") == 0;
}

/* Does WORK for the id of every element until one fails. */
static int each_element(struct iio_buffer *buffer, const struct driver_context *context,
                        int (*work)(struct iio_buffer *buffer, const char *id,
                                    const struct driver_context *context))
{
    char path[SYSFS_PATH_BYTES + sizeof FOLDER + 1];
    char id[IIO_ID_BYTES];
    const struct dirent *entry;
    int rc = 0;
    (void)snprintf(path, sizeof path, "%s/%s", buffer->device.path, FOLDER);
    DIR *listing = opendir(path);
    if (listing == NULL) {
        rc = error_sys(errno);
        driver_say(context->fault, "%s: %s; has %s a buffer? its channels may be for \"iio\" alone",
                   path, ERROR_TEXT(rc), buffer->device.name);
        return rc;
    }
    while (rc == 0 && (entry = readdir(listing)) != NULL)
        if (parse_entry(entry->d_name, id))
            rc = work(buffer, id, context);
    (void)closedir(listing);
    return rc;
}

static int switch_element(struct iio_buffer *buffer, const char *id, bool on,
                          const struct driver_context *context)
{
    char attribute[IIO_ATTRIBUTE_BYTES];
    bool wanted = is_timestamp(id) || iio_is_wanted(driver_setting(context, "channels"), id);
    (void)snprintf(attribute, sizeof attribute, FOLDER "in_%s_en", id);
    if (wanted != on || is_on(buffer, attribute) == on)
        return 0;
    return set(buffer, attribute, on ? "1" : "0", context->fault);
}

static int switch_off(struct iio_buffer *buffer, const char *id,
                      const struct driver_context *context)
{
    return switch_element(buffer, id, false, context);
}

static int switch_on(struct iio_buffer *buffer, const char *id,
                     const struct driver_context *context)
{
    return switch_element(buffer, id, true, context);
}

static int read_index(const struct iio_buffer *buffer, const char *id, unsigned *ret_index)
{
    char attribute[IIO_ATTRIBUTE_BYTES];
    struct sysfs_raw raw;
    (void)snprintf(attribute, sizeof attribute, FOLDER "in_%s_index", id);
    sysfs_at_read_raw(buffer->device.directory_fd, attribute, &raw);
    int64_t index = settings_integer(raw.count > 0 ? raw.text : NULL, -1);
    if (index < 0 || index > UINT16_MAX)
        return raw.count < 0 ? raw.count : E_SYNTAX;
    *ret_index = (unsigned)index;
    return 0;
}

static int read_type(const struct iio_buffer *buffer, const char *id, struct scan_type *ret_type)
{
    char attribute[IIO_ATTRIBUTE_BYTES];
    char text[32];
    int rc = iio_find_attribute(&buffer->device, FOLDER, id, "type", attribute);
    if (rc == 0)
        rc = sysfs_at_read(buffer->device.directory_fd, attribute, text, sizeof text);
    return rc < 0 ? rc : scan_parse_type(text, ret_type);
}

/* How a channel's raw numbers become values; while the buffer runs this does not change. */
static int read_scale(const struct iio_buffer *buffer, const struct iio_channel *item,
                      struct iio_scale *ret_scale)
{
    struct sysfs_raw factor;
    struct sysfs_raw offset;
    bool has_factor = item->scale[0] != '\0';
    bool has_offset = item->offset[0] != '\0';
    if (has_factor)
        sysfs_at_read_raw(buffer->device.directory_fd, item->scale, &factor);
    if (has_offset)
        sysfs_at_read_raw(buffer->device.directory_fd, item->offset, &offset);
    return iio_read_scale(item, has_factor ? &factor : NULL, has_offset ? &offset : NULL,
                          ret_scale);
}

/* One channel for each value of the element; what does not fit is cut off. */
static int add_channels(struct iio_buffer *buffer, const char *id, struct scan_element *element)
{
    struct iio_channel item;
    struct iio_scale scale;
    size_t first = buffer->count;
    if (first + element->type.repeat > SAMPLE_CHANNELS_MAX)
        return 0;
    iio_describe(&buffer->device, id, false, &item);
    int rc = read_scale(buffer, &item, &scale);
    if (rc < 0)
        return rc;
    for (; buffer->count < first + element->type.repeat; buffer->count++) {
        struct channel *channel = &buffer->channels[buffer->count];
        iio_name_channel(&buffer->device, &item, channel);
        channel->decimals = scale.decimals;
        sysfs_make_unique(buffer->channels, buffer->count);
        buffer->scales[buffer->count] = scale;
    }
    element->tag = (int)first;
    return 0;
}

/* What the kernel says that it has enabled counts, not what was asked for: the layout follows. */
static int add_element(struct iio_buffer *buffer, const char *id,
                       const struct driver_context *context)
{
    char attribute[IIO_ATTRIBUTE_BYTES];
    struct scan_element *element = &buffer->elements[buffer->element_count];
    (void)snprintf(attribute, sizeof attribute, FOLDER "in_%s_en", id);
    if (!is_on(buffer, attribute))
        return 0;
    if (buffer->element_count == ELEMENTS_MAX)
        return complain(buffer, attribute, E_TOO_BIG, context->fault);
    int rc = read_index(buffer, id, &element->index);
    if (rc == 0)
        rc = read_type(buffer, id, &element->type);
    if (rc < 0) {
        (void)snprintf(attribute, sizeof attribute, FOLDER "in_%s_type", id);
        return complain(buffer, attribute, rc, context->fault);
    }
    element->tag = (int)buffer->element_count;
    (void)snprintf(buffer->ids[buffer->element_count++], IIO_ID_BYTES, "%s", id);
    return 0;
}

/* What each element is for, in the order in which they lie. */
static int add_all_channels(struct iio_buffer *buffer, const struct driver_context *context)
{
    int rc = 0;
    for (size_t i = 0; i < buffer->element_count && rc == 0; i++) {
        struct scan_element *element = &buffer->elements[i];
        const char *id = buffer->ids[element->tag];
        element->tag = is_timestamp(id) ? TAG_TIMESTAMP : TAG_UNWANTED;
        if (!is_timestamp(id) && iio_is_wanted(driver_setting(context, "channels"), id))
            rc = add_channels(buffer, id, element);
        if (rc < 0)
            driver_say(context->fault, "%s: the scale of %s: %s", buffer->device.path, id,
                       ERROR_TEXT(rc));
    }
    return rc;
}

static void note_missing(struct iio_buffer *buffer, const char *wanted)
{
    const char *ids[ELEMENTS_MAX];
    size_t bytes = 0;
    for (size_t i = 0; i < buffer->element_count; i++)
        ids[i] = buffer->ids[i];
    const char *word = iio_find_missing(wanted, ids, buffer->element_count, &bytes);
    if (word != NULL)
        driver_say(buffer->missing, "%s/" FOLDER ": no channel %.*s", buffer->device.path,
                   bytes < 32 ? (int)bytes : 32, word);
}

static int choose_elements(struct iio_buffer *buffer, const struct driver_context *context)
{
    int rc = each_element(buffer, context, switch_off);
    if (rc == 0)
        rc = each_element(buffer, context, switch_on);
    if (rc == 0)
        rc = each_element(buffer, context, add_element);
    if (rc < 0)
        return rc;
    rc = scan_lay_out(buffer->elements, buffer->element_count, DATA_BYTES);
    if (rc < 0)
        return complain(buffer, FOLDER, rc, context->fault);
    buffer->scan_bytes = (size_t)rc;
    rc = add_all_channels(buffer, context);
    if (rc < 0)
        return rc;
    note_missing(buffer, driver_setting(context, "channels"));
    if (buffer->count > 0)
        return 0;
    driver_say(context->fault, "%s/" FOLDER ": none of the channels that were asked for",
               buffer->device.path);
    return E_NOT_FOUND;
}

/* ---- trigger, clock, buffer ---- */

static bool is_trigger(const char *directory, unsigned number, const char *name)
{
    char path[SYSFS_PATH_BYTES + 48];
    char text[2 * SAMPLE_NAME_BYTES];
    (void)snprintf(path, sizeof path, "%s/trigger%u/name", directory, number);
    return sysfs_read(path, text, sizeof text) > 0 && strcmp(text, name) == 0;
}

/* The folder of the trigger called NAME, into PATH. */
static int find_trigger(const char *root, const char *name, char path[SYSFS_PATH_BYTES])
{
    unsigned numbers[SYSFS_NUMBERED_MAX];
    char directory[SYSFS_PATH_BYTES];
    (void)snprintf(directory, sizeof directory, "%s/sys/bus/iio/devices", root);
    int count = sysfs_list(directory, "trigger", numbers);
    for (int i = 0; i < count; i++) {
        if (!is_trigger(directory, numbers[i], name))
            continue;
        int length = snprintf(path, SYSFS_PATH_BYTES, "%s/trigger%u", directory, numbers[i]);
        return length < SYSFS_PATH_BYTES ? 0 : E_TOO_BIG;
    }
    return E_NOT_FOUND;
}

static int set_trigger(struct iio_buffer *buffer, const struct driver_context *context)
{
    static const char attribute[] = "trigger/current_trigger";
    char path[SYSFS_PATH_BYTES];
    const char *wanted = driver_setting(context, "trigger");
    int rc = wanted != NULL ? find_trigger(context->root, wanted, path) : 0;
    if (rc < 0) {
        driver_say(context->fault,
                   "%s/sys/bus/iio/devices/trigger*/name: %s: no trigger is called %.32s",
                   context->root, ERROR_TEXT(rc), wanted);
        return rc;
    }
    if (wanted != NULL)
        rc = set(buffer, attribute, wanted, context->fault);
    if (rc == 0 && sysfs_at_read(buffer->device.directory_fd, attribute, buffer->trigger,
                                 sizeof buffer->trigger) <= 0)
        buffer->trigger[0] = '\0';
    return rc;
}

/* Of the trigger. E_NOT_FOUND: it has none of its own, as the interrupt of a chip. */
static int set_trigger_frequency(const struct iio_buffer *buffer,
                                 const struct driver_context *context, const char *frequency)
{
    char path[SYSFS_PATH_BYTES];
    int rc = find_trigger(context->root, buffer->trigger, path);
    int fd = rc < 0 ? rc : sysfs_at_open(path);
    if (fd < 0)
        return E_NOT_FOUND;
    rc = sysfs_at_write(fd, "sampling_frequency", frequency);
    sysfs_at_close(fd);
    if (error_errno(rc) == ENOENT)
        return E_NOT_FOUND;
    if (rc < 0)
        driver_say(context->fault, "%s/sampling_frequency: %s%s", path, ERROR_TEXT(rc),
                   iio_hint(rc));
    return rc;
}

static int set_frequency(const struct iio_buffer *buffer, const struct driver_context *context)
{
    static const char own[] = "sampling_frequency";
    static const char of_buffer[] = "buffer/sampling_frequency";
    const char *frequency = driver_setting(context, "frequency");
    if (frequency == NULL)
        return 0;
    int rc = set_trigger_frequency(buffer, context, frequency);
    if (rc != E_NOT_FOUND)
        return rc;
    if (sysfs_at_has(buffer->device.directory_fd, own))
        return set(buffer, own, frequency, context->fault);
    if (sysfs_at_has(buffer->device.directory_fd, of_buffer))
        return set(buffer, of_buffer, frequency, context->fault);
    driver_say(context->fault,
               "%s: neither the trigger \"%s\" nor the device has a sampling_frequency to set",
               buffer->device.path, buffer->trigger);
    return E_NOT_FOUND;
}

/* Kernels before 4.5 know realtime alone, and who may not write here has what is set. */
static void set_clock(struct iio_buffer *buffer)
{
    static const char attribute[] = "current_timestamp_clock";
    char name[32];
    (void)sysfs_at_write(buffer->device.directory_fd, attribute, "boottime");
    if (sysfs_at_read(buffer->device.directory_fd, attribute, name, sizeof name) <= 0)
        name[0] = '\0';
    buffer->clock = scan_find_clock(name);
}

static int set_buffer(const struct iio_buffer *buffer, const struct driver_context *context)
{
    int rc = set_number(buffer, "buffer/length", length_of(context), context->fault);
    if (rc == 0 && sysfs_at_has(buffer->device.directory_fd, "buffer/watermark"))
        rc = set_number(buffer, "buffer/watermark", watermark_of(context), context->fault);
    return rc;
}

static int enable(struct iio_buffer *buffer, const struct driver_context *context)
{
    int rc = set(buffer, "buffer/enable", "1", context->fault);
    if (error_errno(rc) == EINVAL && buffer->trigger[0] == '\0')
        driver_say(context->fault,
                   "%s/buffer/enable: %s; no trigger is set: name one with \"trigger\"",
                   buffer->device.path, ERROR_TEXT(rc));
    else if (error_errno(rc) == EINVAL)
        driver_say(context->fault,
                   "%s/buffer/enable: %s; the chip cannot capture these channels together, or not "
                   "with the trigger %s",
                   buffer->device.path, ERROR_TEXT(rc), buffer->trigger);
    buffer->enabled = rc == 0;
    return rc;
}

/* ---- open ---- */

static int take_device(struct iio_buffer *buffer, const struct driver_context *context)
{
    char path[SYSFS_PATH_BYTES];
    int length =
        snprintf(path, sizeof path, "%s/dev/iio:device%u", context->root, buffer->device.number);
    if (length < 0 || (size_t)length >= sizeof path)
        return E_TOO_BIG;
    buffer->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (buffer->fd < 0) {
        int rc = error_sys(errno);
        driver_say(context->fault, "%s: %s%s", path, ERROR_TEXT(rc),
                   error_errno(rc) == EBUSY ? "; another program captures from it (iiod?): end it"
                                            : iio_hint(rc));
        return rc;
    }
    if (is_on(buffer, "buffer/enable"))
        return set(buffer, "buffer/enable", "0", context->fault);
    return 0;
}

static int iio_buffer_open(void *instance, const struct driver_context *context)
{
    struct iio_buffer *buffer = instance;
    buffer->device = IIO_DEVICE_CLOSED;
    buffer->fd = -1;
    buffer->drain = context->drain;
    buffer->every = settings_integer(driver_setting(context, "every"), 1);
    buffer->silence_ms =
        context->interval_ms > 0 ? context->interval_ms + context->timeout_ms : INT64_MAX;
    buffer->heard_ms = clock_mono_ms();
    int rc = iio_device_open(context->root, driver_setting(context, "device"), &buffer->device,
                             context->fault);
    if (rc == 0)
        rc = take_device(buffer, context);
    if (rc == 0)
        rc = choose_elements(buffer, context);
    if (rc == 0)
        rc = set_trigger(buffer, context);
    if (rc == 0)
        rc = set_frequency(buffer, context);
    if (rc == 0)
        rc = set_buffer(buffer, context);
    if (rc < 0)
        return rc;
    set_clock(buffer);
    return enable(buffer, context);
}

static int iio_buffer_channels(const void *instance, struct channel *ret_channels)
{
    const struct iio_buffer *buffer = instance;
    memcpy(ret_channels, buffer->channels, buffer->count * sizeof *ret_channels);
    return (int)buffer->count;
}

static int iio_buffer_wait_fd(const void *instance)
{
    const struct iio_buffer *buffer = instance;
    return buffer->fd;
}

/* ---- fetch ---- */

static int64_t read_clock_ms(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int note_silence(struct iio_buffer *buffer)
{
    int64_t silent_ms = clock_mono_ms() - buffer->heard_ms;
    if (silent_ms < buffer->silence_ms)
        return E_AGAIN;
    driver_say(buffer->fault, "%s: no scan for %" PRId64 " s; does the trigger \"%s\" run?",
               buffer->device.path, silent_ms / 1000, buffer->trigger);
    return E_TIMEOUT;
}

/* The kernel gives whole scans; what a short read leaves of one is completed by the next. */
static int iio_buffer_fetch(void *instance, int64_t deadline_ms)
{
    struct iio_buffer *buffer = instance;
    (void)deadline_ms; /* it does not wait */
    size_t room = DATA_BYTES / buffer->scan_bytes * buffer->scan_bytes - buffer->used;
    ssize_t count = read(buffer->fd, buffer->data + buffer->used, room);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return buffer->drain ? E_END : note_silence(buffer); /* what has come is taken */
    if (count <= 0) {
        int rc = count < 0 ? error_sys(errno) : E_CLOSED;
        driver_say(buffer->fault, "/dev/iio:device%u (%s): %s%s", buffer->device.number,
                   buffer->device.name, ERROR_TEXT(rc), iio_hint(rc));
        return rc;
    }
    buffer->used += (size_t)count;
    buffer->heard_ms = clock_mono_ms();
    if (buffer->clock != CLOCK_BOOTTIME)
        buffer->behind_ms = read_clock_ms(CLOCK_BOOTTIME) - read_clock_ms(buffer->clock);
    return 0;
}

/* ---- read ---- */

/* The time of a scan; 0, for now, where there is none or one that cannot be. */
static int64_t read_time(const struct iio_buffer *buffer, const struct scan_element *element,
                         const uint8_t *scan)
{
    int64_t time_ns;
    if (scan_decode(&element->type, scan + element->offset, &time_ns) < 0)
        return 0;
    int64_t boot_ms = time_ns / 1000000 + buffer->behind_ms;
    return boot_ms > 0 && boot_ms <= clock_boot_ms() ? boot_ms : 0;
}

static size_t convert(const struct iio_buffer *buffer, const struct scan_element *element,
                      const uint8_t *scan, struct sample *sample)
{
    size_t good = 0;
    for (unsigned i = 0; i < element->type.repeat; i++) {
        size_t channel = (size_t)element->tag + i;
        struct decimal raw = {0};
        int rc =
            scan_decode(&element->type, scan + element->offset + (size_t)i * element->type.storage,
                        &raw.mantissa);
        if (rc == 0)
            rc = iio_scale_raw(&buffer->scales[channel], raw, &sample->values[channel]);
        good += rc == 0;
    }
    return good;
}

static int read_scan(struct iio_buffer *buffer, const uint8_t *scan, struct sample *ret_sample)
{
    struct sample sample = {.value_count = buffer->count};
    size_t good = 0;
    for (size_t i = 0; i < buffer->element_count; i++) {
        const struct scan_element *element = &buffer->elements[i];
        if (element->tag == TAG_TIMESTAMP)
            sample.boot_ms = read_time(buffer, element, scan);
        else if (element->tag != TAG_UNWANTED)
            good += convert(buffer, element, scan, &sample);
    }
    if (good == 0) {
        driver_say(buffer->fault, "%s: no value of a scan fits", buffer->device.path);
        return E_RANGE;
    }
    *ret_sample = sample;
    return 0;
}

static int iio_buffer_read(void *instance, struct sample *ret_sample)
{
    struct iio_buffer *buffer = instance;
    while (buffer->used - buffer->at >= buffer->scan_bytes) {
        const uint8_t *scan = buffer->data + buffer->at;
        buffer->at += buffer->scan_bytes;
        if (++buffer->skipped < buffer->every)
            continue;
        buffer->skipped = 0;
        return read_scan(buffer, scan, ret_sample);
    }
    buffer->used -= buffer->at;
    memmove(buffer->data, buffer->data + buffer->at, buffer->used);
    buffer->at = 0;
    return E_AGAIN;
}

static const char *iio_buffer_fault(const void *instance)
{
    const struct iio_buffer *buffer = instance;
    return buffer->fault[0] != '\0' ? buffer->fault : NULL;
}

static const char *iio_buffer_lack(const void *instance)
{
    const struct iio_buffer *buffer = instance;
    return buffer->missing[0] != '\0' ? buffer->missing : NULL;
}

/* Only what is ours: while another program has the device open, its buffer is left alone. */
static void iio_buffer_close(void *instance)
{
    struct iio_buffer *buffer = instance;
    if (buffer->enabled)
        (void)sysfs_at_write(buffer->device.directory_fd, "buffer/enable", "0");
    buffer->enabled = false;
    if (buffer->fd >= 0)
        (void)close(buffer->fd);
    buffer->fd = -1;
    iio_device_close(&buffer->device);
}

const struct driver driver_iio_buffer = {
    .name = "iio_buffer",
    .summary = "scans of a converter or accelerometer at the pace of a trigger (/dev/iio:deviceN)",
    .keys = keys,
    .limits = limits,
    .instance_bytes = sizeof(struct iio_buffer),
    .check = iio_buffer_check,
    .open = iio_buffer_open,
    .channels = iio_buffer_channels,
    .fetch = iio_buffer_fetch,
    .read = iio_buffer_read,
    .wait_fd = iio_buffer_wait_fd,
    .fault = iio_buffer_fault,
    .lack = iio_buffer_lack,
    .close = iio_buffer_close,
};
