/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/gpio/chips.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/gpio/gpio_linux.h"
#include "drivers/sysfs.h"
#include "platform/base/error.h"

/* What the search has come to so far. */
struct search {
    const struct chips_query *query;
    struct chips_line found; /* chip_fd < 0: nothing yet */
    unsigned hits;
    unsigned chips;                 /* that matched */
    unsigned lines;                 /* of the last of these */
    char names[DRIVER_FAULT_BYTES]; /* of all chips that were opened */
    char *fault;
};

/* ---- one chip ---- */

static int say_not_opened(const struct search *search, const char *path, int rc)
{
    int number = error_errno(rc);
    if (number == EACCES || number == EPERM)
        driver_say(search->fault,
                   "%s: %s; give the agent's user the group that owns it (ls -l; often gpio)", path,
                   ERROR_TEXT(rc));
    else
        driver_say(search->fault, "%s: %s; is the chip there, and its kernel driver loaded?", path,
                   ERROR_TEXT(rc));
    return rc;
}

/* A chip on which the old interface alone works refuses what this asks for. */
static int say_no_chip(const struct search *search, const char *path, int rc)
{
    int number = error_errno(rc);
    driver_say(search->fault, "%s: %s%s", path, ERROR_TEXT(rc),
               number == ENOTTY || number == EINVAL
                   ? "; no GPIO chip, or a kernel older than 5.10 or without CONFIG_GPIO_CDEV"
                   : "");
    return rc;
}

static bool is_wanted(const struct search *search, const char *path,
                      const struct gpiochip_info *info)
{
    const char *chip = search->query->chip;
    const char *name = strrchr(path, '/') + 1;
    if (chip == NULL || *chip == '/' || strcmp(chip, name) == 0 || strcmp(chip, info->name) == 0)
        return true;
    return strcmp(chip, info->label) == 0 ||
           strcmp(chip, name + sizeof "gpiochip" - 1) == 0; /* a number alone */
}

static int take_line(struct search *search, int chip_fd, const char *path, unsigned offset)
{
    struct gpio_v2_line_info info;
    const char *name = search->query->line;
    int rc = gpio_linux_line_info(chip_fd, offset, &info);
    if (rc < 0)
        return say_no_chip(search, path, rc);
    info.name[sizeof info.name - 1] = '\0';
    info.consumer[sizeof info.consumer - 1] = '\0';
    if (name != NULL && strcmp(name, info.name) != 0)
        return 0;
    search->hits++;
    if (search->found.chip_fd >= 0)
        return 0;
    search->found.info = info;
    (void)snprintf(search->found.path, sizeof search->found.path, "%s", path);
    search->found.chip_fd = chip_fd;
    return 0;
}

static int look_at_lines(struct search *search, int chip_fd, const char *path)
{
    const struct chips_query *query = search->query;
    int rc = 0;
    if (query->line == NULL)
        return query->offset < search->lines ? take_line(search, chip_fd, path, query->offset) : 0;
    for (unsigned offset = 0; rc == 0 && offset < search->lines; offset++)
        rc = take_line(search, chip_fd, path, offset);
    return rc;
}

static void note_name(struct search *search, const char *path, const struct gpiochip_info *info)
{
    size_t used = strlen(search->names);
    (void)snprintf(search->names + used, sizeof search->names - used, " %s (%.31s)",
                   strrchr(path, '/') + 1, info->label);
}

static int look_at_chip(struct search *search, const char *path)
{
    struct gpiochip_info info = {0};
    int fd = gpio_linux_open_chip(path);
    if (fd < 0)
        return say_not_opened(search, path, fd);
    int rc = gpio_linux_chip_info(fd, &info);
    info.name[sizeof info.name - 1] = '\0';
    info.label[sizeof info.label - 1] = '\0';
    if (rc < 0) {
        rc = say_no_chip(search, path, rc);
    } else {
        note_name(search, path, &info);
        if (is_wanted(search, path, &info)) {
            search->chips++;
            search->lines = info.lines;
            rc = look_at_lines(search, fd, path);
        }
    }
    if (search->found.chip_fd != fd)
        (void)close(fd);
    return rc;
}

/* ---- all chips ---- */

/* A chip that may not be opened is no reason to stop while another may have the line. */
static int look_at_all(struct search *search)
{
    char path[FS_PATH_BYTES];
    unsigned numbers[SYSFS_NUMBERED_MAX];
    int result = 0;
    (void)snprintf(path, sizeof path, "%.150s/dev", search->query->root);
    int count = sysfs_list(path, "gpiochip", numbers);
    if (count < 0)
        return say_not_opened(search, path, count);
    for (int i = 0; i < count; i++) {
        (void)snprintf(path, sizeof path, "%.150s/dev/gpiochip%u", search->query->root, numbers[i]);
        int rc = look_at_chip(search, path);
        if (rc < 0)
            result = rc;
    }
    if (search->found.chip_fd >= 0 || result == 0)
        return 0;
    return result;
}

static int say_missing(const struct search *search)
{
    const struct chips_query *query = search->query;
    const char *chip = query->chip != NULL ? query->chip : "any chip";
    if (search->names[0] == '\0')
        driver_say(
            search->fault,
            "%s/dev/gpiochip*: there is none; the kernel needs CONFIG_GPIO_CDEV and a driver "
            "for the chip, and one on USB has to be plugged in",
            query->root);
    else if (search->chips == 0)
        driver_say(search->fault, "no GPIO chip is called %s; there are:%s", chip, search->names);
    else if (query->line != NULL)
        driver_say(search->fault, "no line of %s is called %s; chips there:%s", chip, query->line,
                   search->names);
    else
        driver_say(search->fault, "%s has no line %u; it has lines 0 to %u", chip, query->offset,
                   search->lines - 1);
    return E_NOT_FOUND;
}

static int say_ambiguous(const struct search *search)
{
    const struct chips_query *query = search->query;
    if (query->line != NULL)
        driver_say(search->fault, "%u lines are called %s; say which by chip and offset (gpioinfo)",
                   search->hits, query->line);
    else
        driver_say(search->fault, "%u chips are called %s; say which by its path:%s", search->chips,
                   query->chip, search->names);
    return E_INVALID;
}

int chips_find(const struct chips_query *query, struct chips_line *ret_line,
               char fault[DRIVER_FAULT_BYTES])
{
    char path[FS_PATH_BYTES];
    struct search search = {.query = query, .found = {.chip_fd = -1}, .fault = fault};
    int rc;
    if (query->chip != NULL && *query->chip == '/') {
        (void)snprintf(path, sizeof path, "%.100s%.150s", query->root, query->chip);
        rc = look_at_chip(&search, path);
    } else {
        rc = look_at_all(&search);
    }
    if (rc == 0 && search.hits == 0)
        rc = say_missing(&search);
    if (rc == 0 && search.hits > 1)
        rc = say_ambiguous(&search);
    if (rc == 0)
        *ret_line = search.found;
    else if (search.found.chip_fd >= 0)
        (void)close(search.found.chip_fd);
    return rc;
}
