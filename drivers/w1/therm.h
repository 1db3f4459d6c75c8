/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_W1_THERM_H
#define RUNNEL_DRIVERS_W1_THERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What a thermometer on 1-Wire says through the kernel's w1_therm. Pure. */
enum {
    THERM_ID_CHARACTERS = 15, /* "28-000005e2fdc3" */
    THERM_SCRATCHPAD_BYTES = 9,
    THERM_NONE = INT32_MIN, /* there is no previous reading */
};

/** Whether the COUNT bytes at ID are the id of a thermometer that w1_therm reads. */
bool therm_is_id(const char *id, size_t count);

struct therm_reading {
    uint8_t scratchpad[THERM_SCRATCHPAD_BYTES];
    bool crc_good; /* as the kernel says */
    int32_t milli_celsius;
};

/** Reads the two lines of w1_slave (Documentation/w1/slaves/w1_therm.rst). E_SYNTAX, E_RANGE. */
int therm_parse(const char *text, size_t count, struct therm_reading *ret_reading);

/**
 * Whether READING of the thermometer ID can be true, when PREVIOUS was the last one that could
 * (in thousandths of a degree, or THERM_NONE). 0; E_DAMAGED, E_RANGE with the reason in ret_reason.
 *
 * 85 degrees is what a chip says that has lost its power since it was asked to measure; it is
 * believed after a reading near it, or if the scratchpad shows that it was measured.
 */
int therm_judge(const char *id, const struct therm_reading *reading, int32_t previous,
                const char **ret_reason);

#endif
