/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/bus/iio.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/bus/words.h"
#include "drivers/sysfs_at.h"
#include "platform/base/error.h"
#include "platform/fs.h"

/* Documentation/ABI/testing/sysfs-bus-iio. What has no unit name in SenML (radians per second, a
 * UV index, bare light intensity) keeps the kernel's number without one. */
static const struct iio_kind kinds[] = {
    {"voltage", "V", -3, false},
    {"altvoltage", "V", -3, false},
    {"current", "A", -3, true},
    {"altcurrent", "A", -3, true},
    {"power", "W", -3, false},
    {"energy", "J", 0, false},
    {"resistance", "Ohm", 0, false},
    {"capacitance", "F", -9, false},
    {"temp", "Cel", -3, false},
    {"humidityrelative", "%RH", -3, false},
    {"pressure", "Pa", 3, false},
    {"accel", "m/s2", 0, false},
    {"gravity", "m/s2", 0, false},
    {"anglvel", "", 0, false},
    {"angl", "rad", 0, false},
    {"deltaangl", "rad", 0, false},
    {"deltavelocity", "m/s", 0, false},
    {"incli", "deg", 0, false},
    {"magn", "T", -4, false},
    {"illuminance", "lx", 0, false},
    {"proximity", "m", 0, false},
    {"distance", "m", 0, false},
    {"velocity", "m/s", 0, false},
    {"positionrelative", "%", -3, false},
    {"concentration", "%", 0, false},
    {"massconcentration", "ug/m3", 0, false},
    {"electricalconductivity", "S/m", 0, false},
    {"ph", "pH", 0, true},
    {"phase", "rad", 0, false},
    {"colortemp", "K", 0, false},
    {"count", "count", 0, true},
    {"steps", "count", 0, true},
    {"activity", "%", 0, true},
};

static const struct iio_kind other = {"", "", 0, true};

enum { FINE_DIGITS = 3, INPUT_DECIMALS_MAX = 9 };

/* ---- the device ---- */

struct candidate {
    unsigned number;
    char name[SAMPLE_NAME_BYTES];
    char label[SAMPLE_NAME_BYTES];
    char place[SAMPLE_NAME_BYTES];
};

/* What iio:deviceN hangs on: the last folder but one of what it points to, "1-0048". */
static void read_place(const char *path, char place[SAMPLE_NAME_BYTES])
{
    char target[FS_PATH_BYTES];
    ssize_t count = readlink(path, target, sizeof target - 1);
    target[count > 0 ? count : 0] = '\0';
    char *slash = strrchr(target, '/');
    if (slash == NULL) {
        place[0] = '\0';
        return;
    }
    *slash = '\0';
    slash = strrchr(target, '/');
    (void)snprintf(place, SAMPLE_NAME_BYTES, "%.*s", SAMPLE_NAME_BYTES - 1,
                   slash != NULL ? slash + 1 : target);
}

static void read_text(const char *directory, const char *attribute, char text[SAMPLE_NAME_BYTES])
{
    char path[FS_PATH_BYTES];
    char whole[FS_PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", directory, attribute);
    if (sysfs_read(path, whole, sizeof whole) < 0)
        whole[0] = '\0';
    (void)snprintf(text, SAMPLE_NAME_BYTES, "%.*s", SAMPLE_NAME_BYTES - 1, whole);
}

static void look(const char *directory, unsigned number, struct candidate *candidate)
{
    char path[SYSFS_PATH_BYTES + 32];
    (void)snprintf(path, sizeof path, "%s/iio:device%u", directory, number);
    candidate->number = number;
    read_text(path, "name", candidate->name);
    read_text(path, "label", candidate->label);
    read_place(path, candidate->place);
}

static bool is_called(const struct candidate *candidate, const char *wanted)
{
    char full[2 * SAMPLE_NAME_BYTES];
    char folder[32];
    (void)snprintf(full, sizeof full, "%s@%s", candidate->name, candidate->place);
    (void)snprintf(folder, sizeof folder, "iio:device%u", candidate->number);
    return wanted == NULL || strcmp(wanted, candidate->name) == 0 ||
           (candidate->label[0] != '\0' && strcmp(wanted, candidate->label) == 0) ||
           strcmp(wanted, full) == 0 || strcmp(wanted, folder) == 0;
}

/* "; there are ads1015@1-0048 (iio:device0), ..." */
static void list_candidates(const char *directory, const unsigned *numbers, int count, char *fault)
{
    struct candidate candidate;
    size_t used = strlen(fault);
    for (int i = 0; i < count && used < DRIVER_FAULT_BYTES; i++) {
        look(directory, numbers[i], &candidate);
        used += (size_t)snprintf(fault + used, DRIVER_FAULT_BYTES - used, " %s@%s", candidate.name,
                                 candidate.place);
    }
    if (count == 0 && used < DRIVER_FAULT_BYTES)
        (void)snprintf(fault + used, DRIVER_FAULT_BYTES - used,
                       " none (is the chip's kernel driver loaded?)");
}

static int choose(const char *directory, const char *wanted, struct candidate *ret_candidate,
                  char *fault)
{
    unsigned numbers[SYSFS_NUMBERED_MAX];
    struct candidate candidate;
    int found = 0;
    int count = sysfs_list(directory, "iio:device", numbers);
    if (count < 0) {
        driver_say(fault, "%s: %s; the kernel needs CONFIG_IIO and a driver for the chip",
                   directory, ERROR_TEXT(count));
        return count;
    }
    for (int i = 0; i < count; i++) {
        look(directory, numbers[i], &candidate);
        if (!is_called(&candidate, wanted))
            continue;
        *ret_candidate = candidate;
        found++;
    }
    if (found == 1)
        return 0;
    driver_say(fault, "%s: %s device%s%.32s; devices there:", directory,
               found == 0 ? "no" : "more than one", wanted != NULL ? " called " : "",
               wanted != NULL ? wanted : "");
    list_candidates(directory, numbers, count, fault);
    return found == 0 ? E_NOT_FOUND : E_INVALID;
}

int iio_device_open(const char *root, const char *wanted, struct iio_device *ret_device,
                    char *fault)
{
    char directory[SYSFS_PATH_BYTES];
    struct candidate chosen;
    struct iio_device device = IIO_DEVICE_CLOSED;
    int length = snprintf(directory, sizeof directory, "%s/sys/bus/iio/devices", root);
    if (length < 0 || (size_t)length >= sizeof directory - 32)
        return E_TOO_BIG;
    int rc = choose(directory, wanted, &chosen, fault);
    if (rc < 0)
        return rc;
    (void)snprintf(device.path, sizeof device.path, "%.*s/iio:device%u", length, directory,
                   chosen.number);
    device.number = chosen.number;
    memcpy(device.name, chosen.name, sizeof device.name);
    rc = sysfs_at_open(device.path);
    if (rc < 0) {
        driver_say(fault, "%s: %s", device.path, ERROR_TEXT(rc));
        return rc;
    }
    device.directory_fd = rc;
    *ret_device = device;
    return 0;
}

void iio_device_close(struct iio_device *device)
{
    sysfs_at_close(device->directory_fd);
    *device = IIO_DEVICE_CLOSED;
}

/* ---- channels ---- */

/* The bytes of ID that name its type: "voltage" of "voltage0" and of "voltage_i". */
static size_t type_bytes(const char *id)
{
    return strcspn(id, "0123456789_-");
}

static const struct iio_kind *find_kind(const char *id)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (words_equal(id, type_bytes(id), kinds[i].type))
            return &kinds[i];
    return &other;
}

static bool names_channel(const char *word, size_t count, const char *id)
{
    return words_equal(word, count, id) ||
           (count == type_bytes(id) && memcmp(word, id, count) == 0);
}

const char *iio_check_channels(const struct driver_context *context)
{
    static const char key[] = "channels";
    const char *wanted = driver_setting(context, key);
    size_t count;
    if (wanted == NULL || words_next(&wanted, &count))
        return NULL;
    driver_say(context->fault, "names no channel; write it like \"temp,voltage0\"");
    return key;
}

bool iio_is_wanted(const char *wanted, const char *id)
{
    size_t count;
    if (wanted == NULL)
        return true;
    for (; words_next(&wanted, &count); wanted += count)
        if (names_channel(wanted, count, id))
            return true;
    return false;
}

const char *iio_find_missing(const char *wanted, const char *const *ids, size_t count,
                             size_t *ret_bytes)
{
    size_t bytes;
    for (; wanted != NULL && words_next(&wanted, &bytes); wanted += bytes) {
        size_t i = 0;
        while (i < count && !names_channel(wanted, bytes, ids[i]))
            i++;
        if (i < count)
            continue;
        *ret_bytes = bytes;
        return wanted;
    }
    return NULL;
}

/* "voltage-voltage" of "voltage1-voltage2", "voltage_i" of "voltage0_i". */
static void drop_digits(const char *id, char plain[IIO_ID_BYTES])
{
    size_t count = 0;
    bool after_type = false;
    for (; *id != '\0'; id++) {
        bool digit = *id >= '0' && *id <= '9';
        after_type = after_type || *id == '_'; /* the digits of "pm2p5" stay */
        if (!digit || after_type)
            plain[count++] = *id;
    }
    plain[count] = '\0';
}

int iio_find_attribute(const struct iio_device *device, const char *folder, const char *id,
                       const char *attribute, char ret_name[IIO_ATTRIBUTE_BYTES])
{
    char plain[IIO_ID_BYTES];
    char name[IIO_ATTRIBUTE_BYTES];
    drop_digits(id, plain);
    for (int try = 0; try < 5; try++) {
        if (try == 0)
            (void)snprintf(name, sizeof name, "%sin_%s_%s", folder, id, attribute);
        else if (try == 1)
            (void)snprintf(name, sizeof name, "%sin_%s_%s", folder, plain, attribute);
        else if (try == 2)
            (void)snprintf(name, sizeof name, "%sin_%.*s_%s", folder, (int)type_bytes(id), id,
                           attribute);
        else
            (void)snprintf(name, sizeof name, "%s%s%s", folder, try == 3 ? "in_" : "", attribute);
        if (!sysfs_at_has(device->directory_fd, name))
            continue;
        memcpy(ret_name, name, sizeof name);
        return 0;
    }
    return E_NOT_FOUND;
}

void iio_describe(const struct iio_device *device, const char *id, bool is_input,
                  struct iio_channel *ret_channel)
{
    struct iio_channel channel = {.is_input = is_input, .kind = find_kind(id)};
    (void)snprintf(channel.id, sizeof channel.id, "%s", id);
    channel.decimals = channel.kind->shift < 0 ? (unsigned)-channel.kind->shift : 0;
    if (!is_input) {
        (void)iio_find_attribute(device, "", id, "scale", channel.scale);
        (void)iio_find_attribute(device, "", id, "offset", channel.offset);
    }
    *ret_channel = channel;
}

/* Without a scale the kernel tells of no unit: what is left is a bare number. */
static bool has_unit(const struct iio_channel *channel)
{
    return channel->is_input || channel->scale[0] != '\0' || channel->kind->scaled;
}

void iio_name_channel(const struct iio_device *device, const struct iio_channel *channel,
                      struct channel *ret_channel)
{
    char attribute[IIO_ATTRIBUTE_BYTES];
    char label[2 * SAMPLE_NAME_BYTES];
    (void)snprintf(attribute, sizeof attribute, "in_%s_label", channel->id);
    if (sysfs_at_read(device->directory_fd, attribute, label, sizeof label) <= 0)
        (void)snprintf(label, sizeof label, "%s", channel->id);
    *ret_channel = (struct channel){.decimals = channel->decimals};
    sysfs_name(ret_channel->name, label);
    if (has_unit(channel))
        (void)snprintf(ret_channel->unit, sizeof ret_channel->unit, "%s", channel->kind->unit);
}

/* ---- values ---- */

static struct decimal without_zeros(struct decimal value)
{
    while (value.decimals > 0 && value.mantissa % 10 == 0) {
        value.mantissa /= 10;
        value.decimals--;
    }
    return value;
}

/* VALUE * 10^SHIFT with the decimals that it has then, exactly but for what lies below 18. */
static int shift_point(struct decimal value, int shift, struct decimal *ret_value)
{
    const struct decimal power = {.mantissa =
                                      shift > 0 ? (int64_t)decimal_power((unsigned)shift) : 1,
                                  .decimals = shift < 0 ? (unsigned)-shift : 0};
    int decimals = (int)value.decimals - shift;
    decimals = decimals < 0 ? 0 : decimals;
    decimals = decimals > DECIMAL_PLACES_MAX ? DECIMAL_PLACES_MAX : decimals;
    return decimal_scale(value, power, (struct decimal){0}, (unsigned)decimals, ret_value);
}

static int parse_text(const struct sysfs_raw *text, struct decimal *ret_value)
{
    struct decimal value;
    if (text->count < 0)
        return text->count;
    int rc = decimal_parse(text->text, (size_t)text->count, &value);
    if (rc == 0)
        *ret_value = without_zeros(value);
    return rc;
}

/* Of the first digit of VALUE that is not zero: 4 for 0.0008; 0 for 1 and more. */
static unsigned first_place(struct decimal value)
{
    unsigned digits = 0;
    for (int64_t rest = value.mantissa; rest != 0; rest /= 10)
        digits++;
    return value.decimals >= digits ? value.decimals - digits + 1 : 0;
}

static unsigned least(unsigned left, unsigned right)
{
    return left < right ? left : right;
}

int iio_read_scale(const struct iio_channel *channel, const struct sysfs_raw *factor,
                   const struct sysfs_raw *offset, struct iio_scale *ret_scale)
{
    struct iio_scale scale = {.factor = {.mantissa = 1}};
    int rc = factor != NULL ? parse_text(factor, &scale.factor) : 0;
    if (rc == 0 && offset != NULL)
        rc = parse_text(offset, &scale.offset);
    if (rc == 0 && has_unit(channel))
        rc = shift_point(scale.factor, channel->kind->shift, &scale.factor);
    if (rc < 0)
        return rc;
    scale.factor = without_zeros(scale.factor);
    scale.decimals = least(least(first_place(scale.factor) + FINE_DIGITS,
                                 scale.factor.decimals + scale.offset.decimals),
                           SAMPLE_DECIMALS_MAX);
    *ret_scale = scale;
    return 0;
}

static const struct decimal one = {.mantissa = 1};

int iio_scale_raw(const struct iio_scale *scale, struct decimal raw, struct value *ret_value)
{
    struct decimal sum;
    struct decimal result;
    unsigned decimals =
        raw.decimals > scale->offset.decimals ? raw.decimals : scale->offset.decimals;
    int rc = decimal_scale(raw, one, scale->offset, decimals, &sum);
    if (rc == 0)
        rc = decimal_scale(sum, scale->factor, (struct decimal){0}, scale->decimals, &result);
    if (rc < 0)
        return rc;
    *ret_value = (struct value){
        .kind = VALUE_DECIMAL, .mantissa = result.mantissa, .decimals = result.decimals};
    return 0;
}

int iio_read_input(const struct iio_channel *channel, const struct sysfs_raw *text,
                   struct value *ret_value)
{
    struct decimal value;
    int rc = parse_text(text, &value);
    if (rc == 0)
        rc = shift_point(value, channel->kind->shift, &value);
    if (rc < 0)
        return rc;
    unsigned decimals = value.decimals > channel->decimals ? value.decimals : channel->decimals;
    rc = decimal_round(value, least(decimals, INPUT_DECIMALS_MAX), &value);
    if (rc < 0)
        return rc;
    *ret_value = (struct value){
        .kind = VALUE_DECIMAL, .mantissa = value.mantissa, .decimals = value.decimals};
    return 0;
}

const char *iio_hint(int code)
{
    switch (error_errno(code)) {
    case EACCES:
    case EPERM:
        return "; give the agent's group the right to it with a udev rule";
    case EROFS:
        return "; the service may not write there: ProtectKernelTunables=no in a drop-in";
    case EBUSY:
        return "; a buffered capture holds the device (iio_buffer, iiod?): end it, or read that";
    case ENODEV:
    case ENXIO:
    case ENOENT:
        return "; was it unplugged, or its kernel driver unbound?";
    case EIO:
    case EREMOTEIO:
        return "; the chip does not answer: look at its wiring, power and address";
    default:
        return "";
    }
}
