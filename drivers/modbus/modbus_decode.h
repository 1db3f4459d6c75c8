/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_MODBUS_MODBUS_DECODE_H
#define RUNNEL_DRIVERS_MODBUS_MODBUS_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/modbus/modbus_plan.h"
#include "drivers/sample.h"
#include "platform/base/decimal.h"

/** Judges what a unit answers and makes values of registers. Pure. */

enum modbus_type {
    MODBUS_BOOL,
    MODBUS_INT16,
    MODBUS_UINT16,
    MODBUS_INT32,
    MODBUS_UINT32,
    MODBUS_INT64,
    MODBUS_UINT64,
    MODBUS_FLOAT32,
    MODBUS_FLOAT64,
    MODBUS_BCD16, /* four decimal digits, one in four bits */
    MODBUS_BCD32,
    MODBUS_STRING,
};

/**
 * In which order a unit sends the bytes of a number, of which A is the highest. Of four registers,
 * too, CDAB means the lowest register first, BADC the low byte of each first, DCBA both.
 */
enum modbus_order { MODBUS_ABCD, MODBUS_CDAB, MODBUS_BADC, MODBUS_DCBA };

enum { DECODE_REGISTERS_MAX = 64, DECODE_RAW_BYTES = 2 * DECODE_REGISTERS_MAX };

struct modbus_field {
    struct modbus_span span;
    enum modbus_type type;
    enum modbus_order order;
    unsigned bit;          /* of the register, 0 is the lowest; of a bool in a table of registers */
    bool has_decimals;     /* floats are rounded */
    unsigned decimals;     /* whole numbers count 10^-decimals */
    struct decimal factor; /* 1 if there is none; decimals and factor.decimals are 18 at most */
};

/** The registers that a number of TYPE takes; 0 of a string. */
unsigned modbus_decode_registers(enum modbus_type type);

/** How long a good answer to REQUEST is, unit and function code included. */
size_t modbus_decode_bytes(const struct modbus_span *request);

/**
 * Judges what came as answer to REQUEST to UNIT: unit, function code and what follows, ANSWER[0..
 * COUNT). 0, with the registers (or bits) in RET_DATA; E_REFUSED with the code of an exception in
 * RET_EXCEPTION (0 .. 255); E_DAMAGED: it is no answer to this.
 */
int modbus_decode_answer(const struct modbus_span *request, uint8_t unit, const uint8_t *answer,
                         size_t count, const uint8_t **ret_data, unsigned *ret_exception);

/** Takes the part of FIELD out of the DATA of REQUEST, which covers it: RET_RAW has its bytes, the
 *  highest first; of a bool 0 or 1. */
void modbus_decode_take(const struct modbus_field *field, const struct modbus_span *request,
                        const uint8_t *data, uint8_t ret_raw[DECODE_RAW_BYTES]);

/**
 * Makes the value of RAW, into which texts point. 0; E_RANGE: it does not fit into 64 bits with a
 * sign; E_SYNTAX: no number (NaN, infinity, a digit of BCD above 9) or no UTF-8.
 */
int modbus_decode_value(const struct modbus_field *field, const uint8_t raw[DECODE_RAW_BYTES],
                        struct value *ret_value);

/** What a unit means by exception CODE ("there is no such register"). */
const char *modbus_decode_exception(unsigned code);

#endif
