/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/bus/roster.h"
#include "drivers/bus/settings.h"
#include "drivers/bus/words.h"
#include "drivers/driver.h"
#include "drivers/sysfs.h"
#include "drivers/sysfs_at.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"

/* Kinds of input and what their whole numbers count (Documentation/hwmon/sysfs-interface), in the
 * order in which they become channels. Of a power meter there is the momentary value, or an average
 * alone; a pwm is 0 to 255. */
static const struct kind {
    const char *name;
    const char *attribute; /* of the value; "": the name alone; NULL: it has alarms only */
    const char *unit;
    unsigned decimals;
} kinds[] = {
    {"temp", "input", "Cel", 3},  {"humidity", "input", "%RH", 3}, {"fan", "input", "1/min", 0},
    {"in", "input", "V", 3},      {"curr", "input", "A", 3},       {"power", "input", "W", 6},
    {"power", "average", "W", 6}, {"energy", "input", "J", 6},     {"freq", "input", "Hz", 0},
    {"pwm", "", "", 0},           {"intrusion", NULL, "", 0},
};
enum {
    KINDS = sizeof kinds / sizeof kinds[0],
    PATH_BYTES = SYSFS_PATH_BYTES + 96,
    ATTRIBUTE_BYTES = 32,
    NUMBER_MAX = 0xffff,
};

struct input {
    unsigned chip; /* the N of hwmonN */
    int directory_fd;
    unsigned kind;
    unsigned number;
    bool is_alarm;
    bool has_fault; /* beside it lies one that says whether the value is any good */
    char attribute[ATTRIBUTE_BYTES];
};

struct hwmon {
    char directory[SYSFS_PATH_BYTES];
    const struct stop *stop;
    bool is_chosen; /* a chip or inputs were: what is missing is missed */
    bool takes_all; /* chips that are there */
    struct roster chips;
    bool is_late; /* the deadline left some out */
    size_t count;
    struct input inputs[SAMPLE_CHANNELS_MAX];
    struct channel channels[SAMPLE_CHANNELS_MAX];
    struct sysfs_raw raw[SAMPLE_CHANNELS_MAX];
    char missing[DRIVER_FAULT_BYTES]; /* inputs that were asked for and are not there */
    char lack[DRIVER_FAULT_BYTES];
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
    bool wants_alarms;
    int chip_count;
    struct chip chips[SYSFS_NUMBERED_MAX];
};

static const struct driver_key keys[] = {
    {"chip", DRIVER_KEY_TEXT, false,
     "one chip by its name, its label, or name@device where several have the name "
     "(\"tmp102@0-0048\"); default: all"},
    {"inputs", DRIVER_KEY_TEXT, false,
     "kinds or single inputs, separated by commas (\"temp,fan1\"); default: all, at most 32"},
    {"alarms", DRIVER_KEY_BOOLEAN, false,
     "also the alarms and faults of the inputs, 0 or 1, as <input>_<alarm>; default false"},
    {0}};

static void attribute_path(const struct hwmon *hwmon, unsigned chip, const char *attribute,
                           char path[PATH_BYTES])
{
    (void)snprintf(path, PATH_BYTES, "%s/hwmon%u/%s", hwmon->directory, chip, attribute);
}

/* "temp1_input", "pwm2", "temp1_crit_alarm" */
static const char *attribute_name(const struct input *input, const char *attribute,
                                  char name[2 * ATTRIBUTE_BYTES])
{
    (void)snprintf(name, 2 * ATTRIBUTE_BYTES, "%s%u%s%s", kinds[input->kind].name, input->number,
                   *attribute != '\0' ? "_" : "", attribute);
    return name;
}

static void input_path(const struct hwmon *hwmon, const struct input *input, char path[PATH_BYTES])
{
    char name[2 * ATTRIBUTE_BYTES];
    attribute_path(hwmon, input->chip, attribute_name(input, input->attribute, name), path);
}

/* "temp" and 1 of "temp1_input", and what stands behind the number and its underscore. */
static bool split(const char *entry, const char *kind, unsigned *ret_number, const char **ret_rest)
{
    size_t prefix = strlen(kind);
    uint64_t number;
    if (strncmp(entry, kind, prefix) != 0)
        return false;
    const char *digits = entry + prefix;
    const char *end = strchrnul(digits, '_');
    if (parse_unsigned(digits, (size_t)(end - digits), &number) < 0 || number > NUMBER_MAX)
        return false;
    *ret_number = (unsigned)number;
    *ret_rest = *end == '_' ? end + 1 : end;
    return true;
}

static bool is_alarm(const char *attribute)
{
    size_t count = strlen(attribute);
    return count < ATTRIBUTE_BYTES &&
           (strcmp(attribute, "fault") == 0 || strcmp(attribute, "alarm") == 0 ||
            (count > 6 && strcmp(attribute + count - 6, "_alarm") == 0));
}

/* "temp1_input" as kind and number, and so with the alarms; false for what is no channel. */
static bool parse_input(const char *entry, struct input *ret_input)
{
    const char *rest;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        const char *value = kinds[kind].attribute;
        if (!split(entry, kinds[kind].name, &ret_input->number, &rest))
            continue;
        ret_input->is_alarm = is_alarm(rest);
        if (!ret_input->is_alarm && (value == NULL || strcmp(value, rest) != 0))
            continue;
        ret_input->kind = kind;
        (void)snprintf(ret_input->attribute, ATTRIBUTE_BYTES, "%.*s", ATTRIBUTE_BYTES - 1, rest);
        return true;
    }
    return false;
}

/* Whether the COUNT bytes at WORD are "temp", or "temp1" for input 1. */
static bool names_input(const char *word, size_t count, const struct input *input)
{
    char name[2 * ATTRIBUTE_BYTES];
    return words_equal(word, count, kinds[input->kind].name) ||
           words_equal(word, count, attribute_name(input, "", name));
}

static bool is_wanted(const struct scan *scan, const struct input *input)
{
    const char *word = scan->wanted_inputs;
    size_t count;
    if (input->is_alarm && !scan->wants_alarms)
        return false;
    if (word == NULL)
        return true;
    for (; words_next(&word, &count); word += count)
        if (names_input(word, count, input))
            return true;
    return false;
}

/* Whether the COUNT bytes at WORD are "temp", or "temp" and a number. */
static bool is_input_name(const char *word, size_t count)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        size_t prefix = strlen(kinds[kind].name);
        uint64_t number;
        if (count >= prefix && memcmp(word, kinds[kind].name, prefix) == 0 &&
            (count == prefix ||
             (parse_unsigned(word + prefix, count - prefix, &number) == 0 && number <= NUMBER_MAX)))
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
        if (kind == 0 || strcmp(kinds[kind].name, kinds[kind - 1].name) != 0)
            used += snprintf(context->fault + used, (size_t)(DRIVER_FAULT_BYTES - used), " %s,",
                             kinds[kind].name);
    if (used < DRIVER_FAULT_BYTES)
        (void)snprintf(context->fault + used, (size_t)(DRIVER_FAULT_BYTES - used),
                       " alone or with a number");
    return key;
}

/* Values before alarms, so that those fall out of a full list. */
static bool is_before(const struct input *left, const struct input *right)
{
    if (left->is_alarm != right->is_alarm)
        return right->is_alarm;
    if (left->chip != right->chip)
        return left->chip < right->chip;
    if (left->kind != right->kind)
        return left->kind < right->kind;
    return left->number != right->number ? left->number < right->number
                                         : strcmp(left->attribute, right->attribute) < 0;
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

/* Beside a momentary value its average is nothing new. */
static bool is_spare(const struct hwmon *hwmon, const struct input *input)
{
    char path[PATH_BYTES];
    char name[2 * ATTRIBUTE_BYTES];
    if (strcmp(input->attribute, "average") != 0)
        return false;
    attribute_path(hwmon, input->chip, attribute_name(input, "input", name), path);
    return access(path, F_OK) == 0;
}

static void add_inputs(struct hwmon *hwmon, const struct scan *scan, unsigned chip)
{
    char path[PATH_BYTES];
    const struct dirent *entry;
    struct input input = {.chip = chip, .directory_fd = -1};
    attribute_path(hwmon, chip, "", path);
    DIR *listing = opendir(path);
    if (listing == NULL)
        return; /* unplugged between two looks */
    while ((entry = readdir(listing)) != NULL)
        if (parse_input(entry->d_name, &input) && is_wanted(scan, &input) &&
            !is_spare(hwmon, &input))
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

static bool is_wanted_chip(const char *wanted, const struct chip *chip, const char *label)
{
    char full[2 * SAMPLE_NAME_BYTES];
    (void)snprintf(full, sizeof full, "%s@%s", chip->name, chip->device);
    return wanted == NULL || strcmp(wanted, chip->name) == 0 || strcmp(wanted, full) == 0 ||
           strcmp(wanted, label) == 0;
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
    attribute_path(hwmon, number, "label", path);
    if (sysfs_read(path, name, sizeof name) < 0)
        name[0] = '\0';
    chip->wanted = is_wanted_chip(scan->wanted_chip, chip, name);
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
    char name[2 * ATTRIBUTE_BYTES];
    char label[2 * SAMPLE_NAME_BYTES];
    char text[6 * SAMPLE_NAME_BYTES];
    const struct input *input = &hwmon->inputs[index];
    const struct chip *chip = find_chip(scan, input->chip);
    bool only = is_only_chip(scan, chip);
    attribute_path(hwmon, input->chip, attribute_name(input, "label", name), path);
    if (sysfs_read(path, label, sizeof label) <= 0)
        (void)snprintf(label, sizeof label, "%s", attribute_name(input, "", name));
    const char *alarm = input->is_alarm ? input->attribute : "";
    const char *before_alarm = input->is_alarm ? "_" : "";
    if (scan->wanted_chip != NULL)
        (void)snprintf(text, sizeof text, "%s%s%s", label, before_alarm, alarm);
    else
        (void)snprintf(text, sizeof text, "%s%s%s_%s%s%s", chip->name, only ? "" : "_",
                       only ? "" : chip->device, label, before_alarm, alarm);
    if (!input->is_alarm) {
        hwmon->channels[index].decimals = kinds[input->kind].decimals;
        (void)strcpy(hwmon->channels[index].unit, kinds[input->kind].unit);
    }
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

/* One descriptor per chip, which its inputs share. */
static int open_directories(struct hwmon *hwmon, char *fault)
{
    char path[PATH_BYTES];
    char name[2 * ATTRIBUTE_BYTES];
    for (size_t i = 0; i < hwmon->count; i++) {
        struct input *input = &hwmon->inputs[i];
        for (size_t k = 0; k < i && input->directory_fd < 0; k++)
            if (hwmon->inputs[k].chip == input->chip)
                input->directory_fd = hwmon->inputs[k].directory_fd;
        attribute_path(hwmon, input->chip, "", path);
        if (input->directory_fd < 0) {
            input->directory_fd = sysfs_at_open(path);
            if (input->directory_fd < 0) {
                driver_say(fault, "%s: %s", path, ERROR_TEXT(input->directory_fd));
                return input->directory_fd;
            }
        }
        input->has_fault = !input->is_alarm &&
                           sysfs_at_has(input->directory_fd, attribute_name(input, "fault", name));
    }
    return 0;
}

/* The first word of the inputs that none of the channels is for. */
static void note_missing(struct hwmon *hwmon, const char *word)
{
    size_t count;
    for (; word != NULL && words_next(&word, &count); word += count) {
        size_t i = 0;
        while (i < hwmon->count && !names_input(word, count, &hwmon->inputs[i]))
            i++;
        if (i < hwmon->count)
            continue;
        driver_say(hwmon->missing, "%s: no input %.*s", hwmon->directory,
                   count < 32 ? (int)count : 32, word);
        return;
    }
}

static int open_chips(struct hwmon *hwmon, struct scan *scan, char *fault)
{
    int count = roster_take(&hwmon->chips, hwmon->directory, "hwmon");
    if (count < 0) {
        driver_say(fault, "%s: %s; the kernel needs CONFIG_HWMON and a driver for the chip",
                   hwmon->directory, ERROR_TEXT(count));
        return count;
    }
    for (int i = 0; i < count; i++)
        add_chip(hwmon, scan, hwmon->chips.numbers[i]);
    for (int i = 0; i < scan->chip_count; i++)
        if (scan->chips[i].wanted)
            add_inputs(hwmon, scan, scan->chips[i].number);
    for (size_t i = 0; i < hwmon->count; i++)
        name_channel(hwmon, scan, i);
    if (hwmon->count == 0)
        return say_absent(hwmon, scan, fault);
    note_missing(hwmon, scan->wanted_inputs);
    return open_directories(hwmon, fault);
}

static int hwmon_open(void *instance, const struct driver_context *context)
{
    struct hwmon *hwmon = instance;
    struct scan scan = {.wanted_chip = driver_setting(context, "chip"),
                        .wanted_inputs = driver_setting(context, "inputs"),
                        .wants_alarms = settings_boolean(driver_setting(context, "alarms"), false)};
    int length =
        snprintf(hwmon->directory, sizeof hwmon->directory, "%s/sys/class/hwmon", context->root);
    if (length < 0 || (size_t)length >= sizeof hwmon->directory)
        return E_TOO_BIG;
    hwmon->stop = context->stop;
    hwmon->takes_all = scan.wanted_chip == NULL;
    hwmon->is_chosen = scan.wanted_chip != NULL || scan.wanted_inputs != NULL;
    return open_chips(hwmon, &scan, context->fault);
}

static int hwmon_channels(const void *instance, struct channel *ret_channels)
{
    const struct hwmon *hwmon = instance;
    memcpy(ret_channels, hwmon->channels, hwmon->count * sizeof *ret_channels);
    return (int)hwmon->count;
}

/* What a diode that is open or shorted seems to measure is no value. */
static void fetch_input(const struct input *input, struct sysfs_raw *raw)
{
    char name[2 * ATTRIBUTE_BYTES];
    char fault[8];
    sysfs_at_read_raw(input->directory_fd, attribute_name(input, input->attribute, name), raw);
    if (raw->count < 0 || !input->has_fault)
        return;
    (void)attribute_name(input, "fault", name);
    if (sysfs_at_read(input->directory_fd, name, fault, sizeof fault) > 0 &&
        strcmp(fault, "1") == 0)
        raw->count = E_DAMAGED;
}

static const char *hint(int code)
{
    int number = error_errno(code);
    if (code == E_DAMAGED)
        return " (the chip says that this sensor is broken: look at its _fault)";
    return number == ENOENT || number == ENODEV ? "; was the chip unplugged?" : "";
}

/* From INDEX on; what failed before that says why it took so long. */
static void leave_rest(struct hwmon *hwmon, size_t index)
{
    char path[PATH_BYTES];
    hwmon->is_late = true;
    input_path(hwmon, &hwmon->inputs[index], path);
    if (hwmon->lack[0] == '\0')
        driver_say(hwmon->lack, "%s: %s", path, ERROR_TEXT(E_TIMEOUT));
    for (; index < hwmon->count; index++)
        hwmon->raw[index].count = E_TIMEOUT;
}

/* Inputs of a chip that sleeps answer with an error: one that answers is enough. */
static int hwmon_fetch(void *instance, int64_t deadline_ms)
{
    struct hwmon *hwmon = instance;
    char path[PATH_BYTES];
    size_t got = 0;
    int rc = 0;
    int may = 0;
    hwmon->lack[0] = '\0';
    hwmon->is_late = false;
    if (hwmon->takes_all && roster_has_changed(&hwmon->chips, hwmon->directory, "hwmon")) {
        driver_say(hwmon->fault, "%s: chips came or went", hwmon->directory);
        return E_CHANGED;
    }
    for (size_t i = 0; i < hwmon->count; i++) {
        may = sysfs_may_read(i, deadline_ms, hwmon->stop);
        if (may < 0) {
            leave_rest(hwmon, i);
            break;
        }
        fetch_input(&hwmon->inputs[i], &hwmon->raw[i]);
        if (hwmon->raw[i].count >= 0) {
            got++;
            continue;
        }
        rc = hwmon->raw[i].count;
        input_path(hwmon, &hwmon->inputs[i], path);
        driver_say(hwmon->lack, "%s: %s%s", path, ERROR_TEXT(rc), hint(rc));
    }
    if (may == E_STOP)
        return may;
    if (got > 0)
        return 0;
    driver_say(hwmon->fault, "%s", hwmon->lack);
    return sysfs_is_passing(rc) || rc == E_DAMAGED ? E_TIMEOUT : rc;
}

static int hwmon_read(void *instance, struct sample *ret_sample)
{
    struct hwmon *hwmon = instance;
    char path[PATH_BYTES];
    size_t bad;
    int rc = sysfs_convert(hwmon->raw, hwmon->channels, hwmon->count, ret_sample, &bad);
    if (rc < 0) {
        input_path(hwmon, &hwmon->inputs[bad], path);
        driver_say(hwmon->fault, "%s: %s (a whole number was expected)", path, ERROR_TEXT(rc));
    }
    return rc;
}

static const char *hwmon_fault(const void *instance)
{
    const struct hwmon *hwmon = instance;
    return hwmon->fault[0] != '\0' ? hwmon->fault : NULL;
}

static const char *hwmon_lack(const void *instance)
{
    const struct hwmon *hwmon = instance;
    if (hwmon->missing[0] != '\0')
        return hwmon->missing;
    bool is_missed = hwmon->is_chosen || hwmon->is_late;
    return is_missed && hwmon->lack[0] != '\0' ? hwmon->lack : NULL;
}

static void hwmon_close(void *instance)
{
    struct hwmon *hwmon = instance;
    for (size_t i = 0; i < hwmon->count; i++) {
        int directory_fd = hwmon->inputs[i].directory_fd;
        for (size_t k = i; k < hwmon->count; k++)
            if (hwmon->inputs[k].directory_fd == directory_fd)
                hwmon->inputs[k].directory_fd = -1;
        sysfs_at_close(directory_fd);
    }
    hwmon->count = 0;
}

const struct driver driver_hwmon = {
    .name = "hwmon",
    .summary = "temperatures, fans, voltages, currents and power of chips (/sys/class/hwmon)",
    .keys = keys,
    .bus_key = "chip",
    .instance_bytes = sizeof(struct hwmon),
    .check = hwmon_check,
    .open = hwmon_open,
    .channels = hwmon_channels,
    .fetch = hwmon_fetch,
    .read = hwmon_read,
    .fault = hwmon_fault,
    .lack = hwmon_lack,
    .close = hwmon_close,
};
