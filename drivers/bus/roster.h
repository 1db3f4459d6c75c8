/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_BUS_ROSTER_H
#define RUNNEL_DRIVERS_BUS_ROSTER_H

#include <stdbool.h>

#include "drivers/sysfs.h"

/**
 * Which numbered entries (hwmon0, hwmon3) a folder had when a sensor was opened, so that one that
 * takes all of them notices what is plugged in later, and what came back under another number.
 */
struct roster {
    int count;
    unsigned numbers[SYSFS_NUMBERED_MAX];
};

/** Takes down the entries of DIRECTORY called PREFIX and a number. Returns how many; error_sys. */
int roster_take(struct roster *roster, const char *directory, const char *prefix);

/** Whether the entries are others now; also where the folder cannot be read any more. */
bool roster_has_changed(const struct roster *roster, const char *directory, const char *prefix);

#endif
