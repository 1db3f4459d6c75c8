/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/clock.h"
#include "platform/fs.h"

int sysfs_read(const char *path, char *text, size_t text_bytes)
{
    int count = fs_read_file(path, text, text_bytes);
    while (count > 0 && (text[count - 1] == '\n' || text[count - 1] == ' '))
        text[--count] = '\0';
    return count;
}

bool sysfs_is_passing(int code)
{
    int number = error_errno(code);
    return number == EAGAIN || number == ENODATA || number == ETIMEDOUT;
}

void sysfs_read_raw(const char *path, struct sysfs_raw *ret_raw)
{
    ret_raw->count = sysfs_read(path, ret_raw->text, sizeof ret_raw->text);
}

int sysfs_may_read(size_t done, int64_t deadline_ms, const struct stop *stop)
{
    if (stop_requested(stop))
        return E_STOP;
    return done > 0 && clock_mono_ms() >= deadline_ms ? E_TIMEOUT : 0;
}

static int convert(const struct sysfs_raw *raw, unsigned decimals, struct value *ret_value)
{
    int64_t mantissa;
    int rc = raw->count;
    if (rc >= 0)
        rc = parse_signed(raw->text, (size_t)raw->count, &mantissa);
    if (rc < 0)
        return rc;
    *ret_value = (struct value){.kind = VALUE_DECIMAL, .mantissa = mantissa, .decimals = decimals};
    return 0;
}

int sysfs_convert(const struct sysfs_raw *raw, const struct channel *channels, size_t count,
                  struct sample *ret_sample, size_t *ret_bad)
{
    struct sample sample = {.value_count = count};
    int error = E_NOT_FOUND;
    size_t good = 0;
    size_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        int rc = convert(&raw[i], channels[i].decimals, &sample.values[i]);
        good += rc == 0;
        if (rc < 0) {
            error = rc;
            bad = i;
        }
    }
    if (good > 0)
        *ret_sample = sample;
    else
        *ret_bad = bad;
    return good > 0 ? 0 : error;
}

static bool read_number(const char *name, const char *prefix, unsigned *ret_number)
{
    size_t length = strlen(prefix);
    uint64_t number;
    if (strncmp(name, prefix, length) != 0 ||
        parse_unsigned(name + length, strlen(name + length), &number) < 0 || number > 0xffffffff)
        return false;
    *ret_number = (unsigned)number;
    return true;
}

/* Keeps the lowest: a full list gives up its last for a smaller one. */
static int insert_sorted(unsigned *numbers, int count, unsigned number)
{
    int at = count;
    while (at > 0 && numbers[at - 1] > number)
        at--;
    if (at == SYSFS_NUMBERED_MAX)
        return count;
    int kept = count < SYSFS_NUMBERED_MAX ? count : SYSFS_NUMBERED_MAX - 1;
    memmove(numbers + at + 1, numbers + at, (size_t)(kept - at) * sizeof *numbers);
    numbers[at] = number;
    return kept + 1;
}

int sysfs_list(const char *directory, const char *prefix, unsigned ret_numbers[SYSFS_NUMBERED_MAX])
{
    const struct dirent *entry;
    unsigned number;
    int count = 0;
    DIR *listing = opendir(directory);
    if (listing == NULL)
        return error_sys(errno);
    while ((entry = readdir(listing)) != NULL)
        if (read_number(entry->d_name, prefix, &number))
            count = insert_sorted(ret_numbers, count, number);
    (void)closedir(listing);
    return count;
}

static char name_character(char character)
{
    if (character >= 'A' && character <= 'Z')
        return (char)(character - 'A' + 'a');
    bool allowed = (character >= 'a' && character <= 'z') ||
                   (character >= '0' && character <= '9') || character == '.' || character == '-';
    return allowed ? character : '_';
}

void sysfs_name(char ret_name[SAMPLE_NAME_BYTES], const char *text)
{
    size_t count = 0;
    if (*text == '\0')
        text = "unnamed";
    for (; *text != '\0' && count < SAMPLE_NAME_BYTES - 1; text++)
        ret_name[count++] = name_character(*text);
    ret_name[count] = '\0';
}

static bool is_taken(const struct channel *channels, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(channels[i].name, name) == 0)
            return true;
    return false;
}

void sysfs_make_unique(struct channel *channels, size_t count)
{
    char name[SAMPLE_NAME_BYTES];
    char suffix[12];
    memcpy(name, channels[count].name, sizeof name);
    for (unsigned number = 2; is_taken(channels, count, name); number++) {
        int length = snprintf(suffix, sizeof suffix, "_%u", number);
        (void)snprintf(name, sizeof name, "%.*s%s", SAMPLE_NAME_BYTES - 1 - length,
                       channels[count].name, suffix);
    }
    memcpy(channels[count].name, name, sizeof name);
}
