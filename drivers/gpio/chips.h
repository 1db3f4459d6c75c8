/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_GPIO_CHIPS_H
#define RUNNEL_DRIVERS_GPIO_CHIPS_H

#include <linux/gpio.h>

#include "drivers/driver.h"
#include "platform/fs.h"

/** Finding a line among the GPIO chips of the system. */
struct chips_query {
    const char *root;
    const char *chip; /* a path, "gpiochip0", "0" or a label; NULL: any that has the line */
    const char *line; /* its name, or NULL: */
    unsigned offset;  /* its number on the chip */
};

struct chips_line {
    int chip_fd; /* the caller's to close */
    char path[FS_PATH_BYTES];
    struct gpio_v2_line_info info;
};

/**
 * Finds the line. E_NOT_FOUND: no such chip or line; E_INVALID: several have that name; error_sys.
 * FAULT says what there is instead, or what to look at.
 */
int chips_find(const struct chips_query *query, struct chips_line *ret_line,
               char fault[DRIVER_FAULT_BYTES]);

#endif
