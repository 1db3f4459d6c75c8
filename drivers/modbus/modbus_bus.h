/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_MODBUS_MODBUS_BUS_H
#define RUNNEL_DRIVERS_MODBUS_MODBUS_BUS_H

#include <stdint.h>

#include "drivers/driver.h"
#include "drivers/modbus/modbus_plan.h"
#include "drivers/modbus/modbus_setup.h"

/**
 * The connection to the units of one bus, which all its sensors share: gateways take few of them,
 * and a serial line is there once. libmodbus frames what is sent and takes frames apart; it is
 * asked for an answer only once one has begun, because in waiting it would hear of no stop.
 */
struct modbus_bus;

/** A question to a unit. */
struct modbus_ask {
    uint8_t unit;
    struct modbus_span span;
    int64_t response_ms; /* the answer begins until then, or does not come */
    int64_t deadline_ms; /* clock_mono_ms */
};

/**
 * Joins the bus of the context (bus_state), or makes it; nothing is connected yet. E_INVALID: a
 * sensor of the same bus says another speed or such; E_NO_MEMORY, error_sys; why is in
 * context->fault. The caller leaves it.
 */
int modbus_bus_join(const struct modbus_line *line, const struct driver_context *context,
                    struct modbus_bus **ret_bus);

/** The last one to leave closes it. NULL is allowed. */
void modbus_bus_leave(struct modbus_bus *bus);

/** Connects if it is not connected. What net_connect returns, error_sys, E_BUSY; why is in FAULT.
 */
int modbus_bus_connect(struct modbus_bus *bus, int64_t deadline_ms, char *fault);

/**
 * Connects, asks and waits. 0, with the registers or bits in RET_DATA until the next call;
 * E_REFUSED with the exception's code in RET_EXCEPTION; E_TIMEOUT: no answer; E_DAMAGED: what came
 * was none, also at a second try; E_STOP; as modbus_bus_connect. FAULT says why, but of E_REFUSED.
 */
int modbus_bus_ask(struct modbus_bus *bus, const struct modbus_ask *ask, const uint8_t **ret_data,
                   unsigned *ret_exception, char *fault);

#endif
