/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_I2C_PORT_H
#define RUNNEL_DRIVERS_I2C_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/driver.h"
#include "drivers/i2c/i2c_linux.h"

/**
 * The way to one chip: its bus, its address, and transfers of registers. Each call returns 0 or
 * the error that fetch hands on, and has then said in fault what a technician should look at. An
 * adapter that only knows SMBus gets the same transfers by its own kinds as far as it has them;
 * E_UNSUPPORTED where it has not.
 */
enum { PORT_BUS_BYTES = 64, PORT_TRANSFER_BYTES_MAX = 32 };

struct port {
    const struct i2c_calls *calls;
    int fd; /* -1: closed */
    char bus[PORT_BUS_BYTES];
    int bus_number; /* N of /dev/i2c-N; -1 if it cannot be told */
    unsigned address;
    unsigned register_bytes; /* of a register's number on the wire: 1, or 2 (high byte first) */
    bool smbus_only;
    unsigned long functions;
    const struct stop *stop;
    int64_t deadline_ms; /* of the fetch (or open) that goes on */
    char fault[DRIVER_FAULT_BYTES];
};

/** What is wrong with the setting "bus" or "address", to be read behind its value; NULL: nothing.
 *  Pure. */
const char *port_check_bus(const char *text);
const char *port_check_address(const char *text);

/** Opens the bus for the context's settings "bus" and "address". Refuses (E_BUSY) a chip that a
 *  driver of the kernel has: two that talk to one chip disturb each other. port_close follows, also
 *  a failure. Nothing is sent to the chip yet. */
int port_open(struct port *port, const struct driver_context *context,
              const struct i2c_calls *calls);
void port_close(struct port *port);

/** Reads COUNT bytes (1 to PORT_TRANSFER_BYTES_MAX) from register NUMBER on, with a repeated start
 *  in between. */
int port_read(struct port *port, unsigned number, uint8_t *bytes, size_t count);

/** Writes COUNT bytes (0 to PORT_TRANSFER_BYTES_MAX) to register NUMBER. */
int port_write(struct port *port, unsigned number, const uint8_t *bytes, size_t count);

/** Reads COUNT bytes without saying from where. */
int port_receive(struct port *port, uint8_t *bytes, size_t count);

/** Whether CODE is what a transfer returns when nobody acknowledged the address. */
bool port_is_silence(int code);

/** Waits MS milliseconds for a conversion. E_TIMEOUT if the deadline comes first; E_STOP. */
int port_wait(struct port *port, int64_t ms);

#endif
