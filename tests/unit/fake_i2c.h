/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_UNIT_FAKE_I2C_H
#define RUNNEL_TESTS_UNIT_FAKE_I2C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/i2c/i2c_linux.h"

/**
 * An I2C bus with one chip on it, in the place of the kernel's: link with
 * -Wl,--wrap=i2c_linux_calls -Wl,--wrap=stop_wait. Waiting takes no time, but is counted, and is
 * the clock of the chip. What goes over the wire is the same whether it comes as messages or as
 * one of SMBus' kinds.
 */
enum { FAKE_I2C_SENT_MAX = 64 };

struct fake_i2c {
    /* the chip */
    bool plugged;
    unsigned address;
    unsigned head_bytes; /* of a register's number */
    bool of_words;       /* a register has two bytes, and the next is not behind it */
    uint8_t bytes[0x10000];
    uint16_t words[0x100];
    unsigned number; /* of the register that is read next */
    void (*written)(struct fake_i2c *chip, unsigned number, size_t count); /* or NULL */
    int (*asked)(struct fake_i2c *chip);                                   /* errno, or NULL */
    int64_t ready_ms; /* when, counted as waited_ms, a measurement ends */

    /* the bus */
    unsigned long functions;
    int transfer_errno; /* of every transfer */
    int choose_errno;
    int functions_errno;
    bool cuts_short;

    /* what was seen */
    int64_t waited_ms;
    unsigned transfers;
    int open_count;
    unsigned timeout_ms, retries;
    uint8_t sent[FAKE_I2C_SENT_MAX]; /* all writes with data, one behind the other */
    size_t sent_count;
};

extern struct fake_i2c fake_i2c;

/** A bus with a chip of zeros at ADDRESS. */
void fake_i2c_reset(unsigned address);

/** Puts COUNT bytes at register NUMBER. */
void fake_i2c_put(unsigned number, const void *bytes, size_t count);

#endif
