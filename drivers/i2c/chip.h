/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_I2C_CHIP_H
#define RUNNEL_DRIVERS_I2C_CHIP_H

#include "drivers/driver.h"
#include "drivers/i2c/port.h"

/**
 * A family of chips: how it is found and set up, asked, and what its bytes mean. STATE is the
 * family's own struct, zeroed before open.
 */
struct chip {
    const char *names; /* "a|b": what "chip" may say for it */
    const char *keys;  /* "|a|b[].c|": the keys it takes besides bus, address, chip; all others are
                          refused */

    /** As the driver's check. May be NULL. */
    const char *(*check)(const struct driver_context *context);

    /** Looks whether it is this chip, and makes it measure. Errors as port's, or E_NOT_FOUND with
     *  port->fault. */
    int (*open)(void *state, struct port *port, const struct driver_context *context);

    /** As the driver's channels. */
    int (*channels)(const void *state, struct channel *ret_channels);

    /** Gets the bytes of one measurement into STATE. */
    int (*fetch)(void *state, struct port *port);

    /** Makes values of those. 0, or E_DAMAGED or E_RANGE with FAULT; what is absent from a good
     *  sample is said in LACK, which is empty before. Both are of DRIVER_FAULT_BYTES. Pure. */
    int (*convert)(const void *state, struct sample *ret_sample, char *fault, char *lack);
};

/** The big-endian 16 bits at BYTES, without and with sign. */
static inline uint16_t chip_word(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline int16_t chip_signed_word(const uint8_t *bytes)
{
    return (int16_t)chip_word(bytes);
}

#endif
