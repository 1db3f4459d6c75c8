/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_MODBUS_MODBUS_PLAN_H
#define RUNNEL_DRIVERS_MODBUS_MODBUS_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/sample.h"

/**
 * Puts what channels want into as few requests as may be. Pure. Limits: MODBUS Application Protocol
 * Specification V1.1b3, 6.1 to 6.4.
 */
enum { PLAN_REGISTERS_MAX = 125, PLAN_BITS_MAX = 2000, PLAN_BITS_PER_REGISTER = 16 };

/** The four tables of a unit, by the function code that reads them. */
enum modbus_table {
    MODBUS_COIL = 1,
    MODBUS_DISCRETE = 2,
    MODBUS_HOLDING = 3,
    MODBUS_INPUT = 4,
};

/** A run of registers (or bits) of one table: what a channel wants, or a request asks for. */
struct modbus_span {
    enum modbus_table table;
    unsigned at;    /* its first, 0 .. 65535 */
    unsigned count; /* at + count is at most 65536 */
};

struct modbus_plan_rules {
    unsigned registers_max; /* in one request, 1 .. PLAN_REGISTERS_MAX; of bits 16 times as many */
    unsigned gap;           /* so many that nobody wants are read along to save a request */
};

struct modbus_plan {
    size_t count;
    struct modbus_span requests[SAMPLE_CHANNELS_MAX];
    uint8_t request_of[SAMPLE_CHANNELS_MAX]; /* of each span */
};

bool modbus_plan_is_bits(enum modbus_table table);

/**
 * Plans for COUNT spans, at most SAMPLE_CHANNELS_MAX. One that is ALONE shares its request with no
 * other. A span that is larger than the rules allow has a request of its own all the same.
 */
void modbus_plan_make(const struct modbus_span *spans, const bool *alone, size_t count,
                      const struct modbus_plan_rules *rules, struct modbus_plan *ret_plan);

/** Whether more than one of COUNT spans is in the REQUEST-th. */
bool modbus_plan_is_shared(const struct modbus_plan *plan, size_t count, size_t request);

#endif
