/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_I2C_SCALE_H
#define RUNNEL_DRIVERS_I2C_SCALE_H

#include "drivers/driver.h"
#include "platform/base/decimal.h"

/** The channels that the configuration lists under "channels", and what becomes of what a chip says
 *  for each: multiplied by "factor", "offset" added, exactly. */
struct scale {
    struct decimal factor;
    struct decimal offset;
    unsigned decimals; /* of the results */
};

/** Checks name, factor and offset of 1 to COUNT_MAX channels. As the driver's check. */
const char *scale_check(const struct driver_context *context, size_t count_max);

/** Reads the INDEX-th of "channels" (checked), of which the chip gives numbers with DECIMALS. */
void scale_read(const struct driver_context *context, size_t index, unsigned decimals,
                struct channel *ret_channel, struct scale *ret_scale);

/** What RAW, with DECIMALS, comes to; absent if that is too large, then said in LACK. Pure. */
struct value scale_value(const struct scale *scale, const char *name, int64_t raw,
                         unsigned decimals, char *lack);

#endif
