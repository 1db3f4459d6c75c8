/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_GPIO_ENTRY_H
#define RUNNEL_DRIVERS_GPIO_ENTRY_H

#include <stdbool.h>

#include "drivers/driver.h"
#include "platform/base/decimal.h"

/** An element of "lines": one channel of the sensor, and how its line is to be taken. */
enum entry_mode { ENTRY_VALUE, ENTRY_EDGE, ENTRY_COUNT, ENTRY_DELTA, ENTRY_FREQUENCY };

struct entry {
    enum entry_mode mode;
    const char *line; /* its name, or NULL: */
    unsigned offset;  /* on the chip */
    uint64_t flags;   /* GPIO_V2_LINE_FLAG_* of edge, bias and active_low */
    int64_t debounce_ms;
    struct decimal per_pulse;
    unsigned decimals;
    const char *name; /* of the channel, or NULL */
    const char *unit; /* or NULL */
};

extern const char entry_modes[]; /* "value|edge|..." in the order of enum entry_mode */

/** The INDEX-th element as checked. Its texts are those of the settings. */
void entry_read(const struct driver_context *context, size_t index, struct entry *ret_entry);

/** Whether two elements for the same line ask for the same line. */
bool entry_agrees(const struct entry *left, const struct entry *right);

/** As check of struct driver, for all elements. */
const char *entry_check(const struct driver_context *context);

#endif
