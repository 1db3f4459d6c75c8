/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_I2C_I2C_LINUX_H
#define RUNNEL_DRIVERS_I2C_I2C_LINUX_H

#include <linux/i2c.h>

#include <stdint.h>

/**
 * What the kernel offers to reach an I2C bus (Documentation/i2c/dev-interface), one call each.
 * They return 0 (or what is said) or error_sys; tests put a bus of their own in the place of
 * i2c_linux_calls.
 */
struct i2c_calls {
    int (*open)(const char *path, int *ret_fd);

    /** The I2C_FUNC_* of the adapter. */
    int (*functions)(int fd, unsigned long *ret_functions);

    /** Whom smbus talks to. The kernel says EBUSY where one of its drivers has the chip. */
    int (*choose)(int fd, unsigned address);

    /** How long the adapter, for all of its users, waits for a transfer, and how often it begins
     *  one again that lost the arbitration. */
    int (*bound)(int fd, unsigned timeout_ms, unsigned retries);

    /** One transfer of COUNT messages with repeated starts; returns how many were done. */
    int (*transfer)(int fd, struct i2c_msg *messages, unsigned count);

    /** One transfer of the kinds of SMBus: READ_WRITE and SIZE as in linux/i2c.h. */
    int (*smbus)(int fd, uint8_t read_write, uint8_t command, uint32_t size,
                 union i2c_smbus_data *data);

    void (*close)(int fd);
};

const struct i2c_calls *i2c_linux_calls(void);

#endif
