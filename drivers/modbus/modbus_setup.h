/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_MODBUS_MODBUS_SETUP_H
#define RUNNEL_DRIVERS_MODBUS_MODBUS_SETUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/driver.h"
#include "drivers/modbus/modbus_decode.h"
#include "platform/base/url.h"
#include "platform/fs.h"

/** What a sensor's settings say, for check and for open. */

struct modbus_line {
    bool is_tcp;
    char host[URL_HOST_BYTES];
    uint16_t port;
    char device[FS_PATH_BYTES]; /* of a serial line, without the root */
    int baud;
    char parity; /* 'E', 'O' or 'N' */
    int stop_bits;
    bool rs485;
    bool echo;
};

struct modbus_setup {
    struct modbus_line line;
    uint8_t unit;
    int64_t response_ms;
    struct modbus_plan_rules rules;
    size_t count;
    struct channel channels[SAMPLE_CHANNELS_MAX];
    struct modbus_field fields[SAMPLE_CHANNELS_MAX];
};

extern const struct driver_key modbus_setup_keys[];
extern const struct driver_limit modbus_setup_limits[];

/** Reads the settings. NULL; or the key at fault, and context->fault says what is wrong with it, to
 *  be read behind its value. */
const char *modbus_setup_read(const struct driver_context *context, struct modbus_setup *ret_setup);

/** The key in which two sensors of one line differ, though the line has it once; NULL: in none. */
const char *modbus_setup_differ(const struct modbus_line *left, const struct modbus_line *right);

/** "holding register", "coil" ... */
const char *modbus_setup_table(enum modbus_table table);

#endif
