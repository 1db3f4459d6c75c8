/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_CAN_SIGNALS_H
#define RUNNEL_DRIVERS_CAN_SIGNALS_H

#include "drivers/can/dbc.h"
#include "drivers/driver.h"

/** An element of "signals": one channel of the sensor. */
struct signals_one {
    uint32_t id; /* with CAN_EFF_FLAG where it has 29 bits */
    struct dbc_signal dbc;
    struct channel channel;
    bool is_multiplexor; /* its raw value says which others of the frame are there */
    int64_t mux;         /* the multiplexor's value with which it is there; < 0: with any */
};

/** Reads the INDEX-th element as checked. */
void signals_read(const struct driver_context *context, size_t index,
                  struct signals_one *ret_signal);

/** As check of struct driver, for all elements. */
const char *signals_check(const struct driver_context *context);

#endif
