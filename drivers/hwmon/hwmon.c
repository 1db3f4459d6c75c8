/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/driver.h"
#include "drivers/sysfs.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"

/* Kinds of input and what their whole numbers count (Documentation/hwmon/sysfs-interface), in the
 * order in which they become channels. */
static const struct kind {
    const char *name;
    const char *unit;
    unsigned decimals;
} kinds[] = {
    {"temp", "Cel", 3}, {"humidity", "%RH", 3}, {"fan", "1/min", 0}, {"in", "V", 3},
    {"curr", "A", 3},   {"power", "W", 6},      {"energy", "J", 6},
};
enum { KINDS = sizeof kinds / sizeof kinds[0], PATH_BYTES = SYSFS_PATH_BYTES + 64 };

struct input {
    unsigned chip; /* the N of hwmonN */
    unsigned kind;
    unsigned number;
};

struct hwmon {
    char directory[SYSFS_PATH_BYTES];
    size_t count;
    struct input inputs[SAMPLE_CHANNELS_MAX];
    struct channel channels[SAMPLE_CHANNELS_MAX];
    struct sysfs_raw raw[SAMPLE_CHANNELS_MAX];
    char fault[DRIVER_FAULT_BYTES];
};

/* A chip while it is looked through. NAME alone may occur twice; with its device it is unique. */
struct chip {
    unsigned number;
    bool wanted;
    char name[SAMPLE_NAME_BYTES];
    char device[SAMPLE_NAME_BYTES];
};

struct scan {
    const char *wanted_chip;
    const char *wanted_inputs;
    int chip_count;
    struct chip chips[SYSFS_NUMBERED_MAX];
};

static const struct driver_key keys[] = {
    {"chip", DRIVER_KEY_TEXT, false,
     "one chip by its name, or name@device where several have it (\"tmp102@0-0048\"); default: "
     "all"},
    {"inputs", DRIVER_KEY_TEXT, false,
     "kinds or single inputs, separated by commas (\"temp,fan1\"); default: all, at most 32"},
    {0}};

static void attribute_path(const struct hwmon *hwmon, unsigned chip, const char *attribute,
                           char path[PATH_BYTES])
{
    (void)snprintf(path, PATH_BYTES, "%s/hwmon%u/%s", hwmon->directory, chip, attribute);
}

static void input_path(const struct hwmon *hwmon, const struct input *input, const char *what,
                       char path[PATH_BYTES])
{
    char attribute[48];
    (void)snprintf(attribute, sizeof attribute, "%s%u_%s", kinds[input->kind].name, input->number,
                   what);
    attribute_path(hwmon, input->chip, attribute, path);
}

/* "temp1_input" as kind and number; false for what is no input. */
static bool parse_input(const char *entry, struct input *ret_input)
{
    for (unsigned kind = 0; kind < KINDS; kind++) {
        size_t prefix = strlen(kinds[kind].name);
        const char *end = strchr(entry, '_');
        uint64_t number;
        if (end == NULL || strcmp(end, "_input") != 0 ||
            strncmp(entry, kinds[kind].name, prefix) != 0 || entry + prefix > end ||
            parse_unsigned(entry + prefix, (size_t)(end - entry) - prefix, &number) < 0 ||
            number > 0xffff)
            continue;
        ret_input->kind = kind;
        ret_input->number = (unsigned)number;
        return true;
    }
    return false;
}

/* Whether the COUNT bytes at WORD are "temp", or "temp1" for input 1. */
static bool names_input(const char *word, size_t count, const struct input *input)
{
    char name[24];
    const char *kind = kinds[input->kind].name;
    int length = snprintf(name, sizeof name, "%s%u", kind, input->number);
    return (count == strlen(kind) && memcmp(word, kind, count) == 0) ||
           (count == (size_t)length && memcmp(word, name, count) == 0);
}

static bool is_wanted(const char *wanted, const struct input *input)
{
    if (wanted == NULL)
        return true;
    for (;;) {
        wanted += strspn(wanted, ", ");
        size_t count = strcspn(wanted, ", ");
        if (count == 0)
            return false;
        if (names_input(wanted, count, input))
            return true;
        wanted += count;
    }
}

/* Whether the COUNT bytes at WORD are "temp", or "temp" and a number. */
static bool is_input_name(const char *word, size_t count)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        size_t prefix = strlen(kinds[kind].name);
        uint64_t number;
        if (count >= prefix && memcmp(word, kinds[kind].name, prefix) == 0 &&
            (count == prefix ||
             (parse_unsigned(word + prefix, count - prefix, &number) == 0 && number <= 0xffff)))
            return true;
    }
    return false;
}

static const char *hwmon_check(const struct driver_context *context)
{
    static const char key[] = "inputs";
    const char *word = driver_setting(context, key);
    size_t count = 0;
    if (word == NULL)
        return NULL;
    for (word += strspn(word, ", "); *word != '\0'; word += strspn(word, ", ")) {
        count = strcspn(word, ", ");
        if (!is_input_name(word, count))
            break;
        word += count;
    }
    if (count > 0 && *word == '\0')
        return NULL;
    int used =
        snprintf(context->fault, DRIVER_FAULT_BYTES, "names no input with \"%.*s\"; there are",
                 count < 32 ? (int)count : 32, word);
    for (size_t kind = 0; kind < KINDS && used < DRIVER_FAULT_BYTES; kind++)
        used += snprintf(context->fault + used, (size_t)(DRIVER_FAULT_BYTES - used), " %s,",
                         kinds[kind].name);
    if (used < DRIVER_FAULT_BYTES)
        (void)snprintf(context->fault + used, (size_t)(DRIVER_FAULT_BYTES - used),
                       " alone or with a number");
    return key;
}

static bool is_before(const struct input *left, const struct input *right)
{
    if (left->chip != right->chip)
        return left->chip < right->chip;
    return left->kind != right->kind ? left->kind < right->kind : left->number < right->number;
}

/* Sorted, because readdir's order is anybody's; what is last falls out of a full list. */
static void insert_input(struct hwmon *hwmon, const struct input *input)
{
    size_t at = hwmon->count;
    while (at > 0 && is_before(input, &hwmon->inputs[at - 1]))
        at--;
    if (at == SAMPLE_CHANNELS_MAX)
        return;
    if (hwmon->count < SAMPLE_CHANNELS_MAX)
        hwmon->count++;
    memmove(&hwmon->inputs[at + 1], &hwmon->inputs[at],
            (hwmon->count - at - 1) * sizeof hwmon->inputs[0]);
    hwmon->inputs[at] = *input;
}

static void add_inputs(struct hwmon *hwmon, const struct scan *scan, unsigned chip)
{
    char path[PATH_BYTES];
    const struct dirent *entry;
    struct input input = {.chip = chip};
    attribute_path(hwmon, chip, "", path);
    DIR *listing = opendir(path);
    if (listing == NULL)
        return; /* unplugged between two looks */
    while ((entry = readdir(listing)) != NULL)
        if (parse_input(entry->d_name, &input) && is_wanted(scan->wanted_inputs, &input))
            insert_input(hwmon, &input);
    (void)closedir(listing);
}

/* The last part of what hwmonN/device points to, such as 0-0048 for a chip on I2C. */
static void read_device(const char *path, char device[SAMPLE_NAME_BYTES])
{
    char target[SYSFS_PATH_BYTES];
    ssize_t count = readlink(path, target, sizeof target - 1);
    target[count > 0 ? count : 0] = '\0';
    const char *slash = strrchr(target, '/');
    (void)snprintf(device, SAMPLE_NAME_BYTES, "%.*s", SAMPLE_NAME_BYTES - 1,
                   slash != NULL ? slash + 1 : target);
}

static bool is_wanted_chip(const char *wanted, const struct chip *chip)
{
    char full[2 * SAMPLE_NAME_BYTES];
    (void)snprintf(full, sizeof full, "%s@%s", chip->name, chip->device);
    return wanted == NULL || strcmp(wanted, chip->name) == 0 || strcmp(wanted, full) == 0;
}

static void add_chip(const struct hwmon *hwmon, struct scan *scan, unsigned number)
{
    char path[PATH_BYTES];
    char name[64];
    struct chip *chip = &scan->chips[scan->chip_count];
    attribute_path(hwmon, number, "name", path);
    if (sysfs_read(path, name, sizeof name) < 0)
        return;
    *chip = (struct chip){.number = number};
    (void)snprintf(chip->name, sizeof chip->name, "%.*s", SAMPLE_NAME_BYTES - 1, name);
    attribute_path(hwmon, number, "device", path);
    read_device(path, chip->device);
    chip->wanted = is_wanted_chip(scan->wanted_chip, chip);
    scan->chip_count++;
}

static const struct chip *find_chip(const struct scan *scan, unsigned number)
{
    int i = 0;
    while (scan->chips[i].number != number)
        i++;
    return &scan->chips[i];
}

static bool is_only_chip(const struct scan *scan, const struct chip *chip)
{
    for (int i = 0; i < scan->chip_count; i++)
        if (&scan->chips[i] != chip && strcmp(scan->chips[i].name, chip->name) == 0)
            return false;
    return true;
}

/* "coretemp_core_0"; with the device behind the chip where several chips have the name, because
 * the N of hwmonN changes from boot to boot; without the chip where one was asked for. */
static void name_channel(struct hwmon *hwmon, const struct scan *scan, size_t index)
{
    char path[PATH_BYTES];
    char label[2 * SAMPLE_NAME_BYTES];
    char text[4 * SAMPLE_NAME_BYTES];
    const struct input *input = &hwmon->inputs[index];
    const struct chip *chip = find_chip(scan, input->chip);
    bool only = is_only_chip(scan, chip);
    input_path(hwmon, input, "label", path);
    if (sysfs_read(path, label, sizeof label) <= 0)
        (void)snprintf(label, sizeof label, "%s%u", kinds[input->kind].name, input->number);
    if (scan->wanted_chip != NULL)
        (void)snprintf(text, sizeof text, "%s", label);
    else
        (void)snprintf(text, sizeof text, "%s%s%s_%s", chip->name, only ? "" : "_",
                       only ? "" : chip->device, label);
    hwmon->channels[index].decimals = kinds[input->kind].decimals;
    (void)strcpy(hwmon->channels[index].unit, kinds[input->kind].unit);
    sysfs_name(hwmon->channels[index].name, text);
    sysfs_make_unique(hwmon->channels, index);
}

static int say_absent(const struct hwmon *hwmon, const struct scan *scan, char *fault)
{
    int used =
        snprintf(fault, DRIVER_FAULT_BYTES, "%s: no inputs%s%s%s%s; chips there:", hwmon->directory,
                 scan->wanted_chip != NULL ? " of chip " : "",
                 scan->wanted_chip != NULL ? scan->wanted_chip : "",
                 scan->wanted_inputs != NULL ? " like " : "",
                 scan->wanted_inputs != NULL ? scan->wanted_inputs : "");
    for (int i = 0; i < scan->chip_count && used < DRIVER_FAULT_BYTES; i++)
        used += snprintf(fault + used, (size_t)(DRIVER_FAULT_BYTES - used), " %s@%s",
                         scan->chips[i].name, scan->chips[i].device);
    if (scan->chip_count == 0 && used < DRIVER_FAULT_BYTES)
        (void)snprintf(fault + used, (size_t)(DRIVER_FAULT_BYTES - used),
                       " none (is the chip's kernel driver loaded?)");
    return E_NOT_FOUND;
}

static int open_chips(struct hwmon *hwmon, struct scan *scan, char *fault)
{
    unsigned numbers[SYSFS_NUMBERED_MAX];
    int count = sysfs_list(hwmon->directory, "hwmon", numbers);
    if (count < 0) {
        driver_say(fault, "%s: %s; the kernel needs CONFIG_HWMON and a driver for the chip",
                   hwmon->directory, ERROR_TEXT(count));
        return count;
    }
    for (int i = 0; i < count; i++)
        add_chip(hwmon, scan, numbers[i]);
    for (int i = 0; i < scan->chip_count; i++)
        if (scan->chips[i].wanted)
            add_inputs(hwmon, scan, scan->chips[i].number);
    for (size_t i = 0; i < hwmon->count; i++)
        name_channel(hwmon, scan, i);
    return hwmon->count > 0 ? 0 : say_absent(hwmon, scan, fault);
}

static int hwmon_open(void *instance, const struct driver_context *context)
{
    struct hwmon *hwmon = instance;
    struct scan scan = {.wanted_chip = driver_setting(context, "chip"),
                        .wanted_inputs = driver_setting(context, "inputs")};
    int length =
        snprintf(hwmon->directory, sizeof hwmon->directory, "%s/sys/class/hwmon", context->root);
    if (length < 0 || (size_t)length >= sizeof hwmon->directory)
        return E_TOO_BIG;
    return open_chips(hwmon, &scan, context->fault);
}

static int hwmon_channels(const void *instance, struct channel *ret_channels)
{
    const struct hwmon *hwmon = instance;
    memcpy(ret_channels, hwmon->channels, hwmon->count * sizeof *ret_channels);
    return (int)hwmon->count;
}

/* Inputs of a chip that sleeps answer with an error: one that answers is enough. */
static int hwmon_fetch(void *instance, int64_t deadline_ms)
{
    struct hwmon *hwmon = instance;
    char path[PATH_BYTES];
    size_t got = 0;
    int rc = 0;
    (void)deadline_ms; /* the kernel answers or blocks as it likes; our thread waits alone */
    for (size_t i = 0; i < hwmon->count; i++) {
        input_path(hwmon, &hwmon->inputs[i], "input", path);
        sysfs_read_raw(path, &hwmon->raw[i]);
        if (hwmon->raw[i].count >= 0) {
            got++;
            continue;
        }
        rc = hwmon->raw[i].count;
        driver_say(hwmon->fault, "%s: %s", path, ERROR_TEXT(rc));
    }
    return got > 0 ? 0 : rc;
}

static int hwmon_read(void *instance, struct sample *ret_sample)
{
    struct hwmon *hwmon = instance;
    char path[PATH_BYTES];
    size_t bad;
    int rc = sysfs_convert(hwmon->raw, hwmon->channels, hwmon->count, ret_sample, &bad);
    if (rc < 0) {
        input_path(hwmon, &hwmon->inputs[bad], "input", path);
        driver_say(hwmon->fault, "%s: %s (a whole number was expected)", path, ERROR_TEXT(rc));
    }
    return rc;
}

static const char *hwmon_fault(const void *instance)
{
    const struct hwmon *hwmon = instance;
    return hwmon->fault[0] != '\0' ? hwmon->fault : NULL;
}

static void hwmon_close(void *instance)
{
    (void)instance; /* nothing stays open between two readings */
}

const struct driver driver_hwmon = {
    .name = "hwmon",
    .summary = "temperatures, fans, voltages, currents and power of chips (/sys/class/hwmon)",
    .keys = keys,
    .instance_bytes = sizeof(struct hwmon),
    .check = hwmon_check,
    .open = hwmon_open,
    .channels = hwmon_channels,
    .fetch = hwmon_fetch,
    .read = hwmon_read,
    .fault = hwmon_fault,
    .close = hwmon_close,
};
