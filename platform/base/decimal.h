/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_BASE_DECIMAL_H
#define RUNNEL_PLATFORM_BASE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

/**
 * Exact arithmetic on what sensors say: mantissa / 10^decimals. Every result is the exact one,
 * rounded once, half away from zero, to the decimals that the caller asks for; what does not fit
 * is E_RANGE and never saturated. Pure.
 */
enum { DECIMAL_PLACES_MAX = 18 };

struct decimal {
    int64_t mantissa;
    unsigned decimals; /* at most DECIMAL_PLACES_MAX */
};

/** Reads a JSON number, as parse_decimal: E_SYNTAX, E_RANGE. */
int decimal_parse(const char *text, size_t count, struct decimal *ret_value);

/** VALUE with DECIMALS decimals. E_RANGE. */
int decimal_round(struct decimal value, unsigned decimals, struct decimal *ret_value);

/** VALUE * FACTOR + OFFSET. E_RANGE. */
int decimal_scale(struct decimal value, struct decimal factor, struct decimal offset,
                  unsigned decimals, struct decimal *ret_value);

/** DIVIDEND / DIVISOR. E_RANGE, also for a divisor of 0. */
int decimal_divide(struct decimal dividend, struct decimal divisor, unsigned decimals,
                   struct decimal *ret_value);

/** Less than 0, 0, or greater, as LEFT is less than, equal to, or greater than RIGHT. */
int decimal_compare(struct decimal left, struct decimal right);

/** 10^EXPONENT; EXPONENT is at most 19. */
uint64_t decimal_power(unsigned exponent);

#endif
