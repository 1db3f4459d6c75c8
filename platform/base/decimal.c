/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/decimal.h"

#include <stdbool.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/base/parse.h"

/* A sign and 128 bits, the lowest first: 32-bit boards have no wider type than 64 bits. */
enum { LIMBS = 4, CHUNK_DIGITS = 9 };

struct wide {
    bool negative;
    uint32_t limbs[LIMBS];
};

uint64_t decimal_power(unsigned exponent)
{
    uint64_t power = 1;
    while (exponent-- > 0)
        power *= 10;
    return power;
}

static uint64_t magnitude(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

static struct wide widen(int64_t value)
{
    uint64_t low = magnitude(value);
    return (struct wide){.negative = value < 0, .limbs = {(uint32_t)low, (uint32_t)(low >> 32)}};
}

static int narrow(const struct wide *wide, int64_t *ret_value)
{
    uint64_t low = (uint64_t)wide->limbs[1] << 32 | wide->limbs[0];
    uint64_t most = (uint64_t)INT64_MAX + (wide->negative ? 1 : 0);
    if (wide->limbs[2] != 0 || wide->limbs[3] != 0 || low > most)
        return E_RANGE;
    *ret_value = wide->negative ? (int64_t)(0 - low) : (int64_t)low;
    return 0;
}

static int multiply(struct wide *wide, uint32_t factor)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < LIMBS; i++) {
        carry += (uint64_t)wide->limbs[i] * factor;
        wide->limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return carry == 0 ? 0 : E_RANGE;
}

/* Returns the remainder. */
static uint32_t divide(struct wide *wide, uint32_t divisor)
{
    uint64_t rest = 0;
    for (size_t i = LIMBS; i-- > 0;) {
        rest = rest << 32 | wide->limbs[i];
        wide->limbs[i] = (uint32_t)(rest / divisor);
        rest %= divisor;
    }
    return (uint32_t)rest;
}

static unsigned chunk(unsigned digits)
{
    return digits < CHUNK_DIGITS ? digits : CHUNK_DIGITS;
}

static int shift_up(struct wide *wide, unsigned digits)
{
    for (; digits > 0; digits -= chunk(digits)) {
        int rc = multiply(wide, (uint32_t)decimal_power(chunk(digits)));
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int compare_magnitudes(const struct wide *left, const struct wide *right)
{
    for (size_t i = LIMBS; i-- > 0;)
        if (left->limbs[i] != right->limbs[i])
            return left->limbs[i] < right->limbs[i] ? -1 : 1;
    return 0;
}

static int add_magnitude(struct wide *wide, const struct wide *other)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < LIMBS; i++) {
        carry += (uint64_t)wide->limbs[i] + other->limbs[i];
        wide->limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return carry == 0 ? 0 : E_RANGE;
}

/* OTHER is not the greater one. */
static void subtract_magnitude(struct wide *wide, const struct wide *other)
{
    uint32_t borrow = 0;
    for (size_t i = 0; i < LIMBS; i++) {
        uint64_t take = (uint64_t)other->limbs[i] + borrow;
        borrow = wide->limbs[i] < take ? 1 : 0;
        wide->limbs[i] = (uint32_t)(wide->limbs[i] - take);
    }
}

static int add(struct wide *wide, const struct wide *other)
{
    if (wide->negative == other->negative)
        return add_magnitude(wide, other);
    struct wide less = *other;
    if (compare_magnitudes(wide, other) < 0) {
        less = *wide;
        *wide = *other;
    }
    subtract_magnitude(wide, &less);
    return 0;
}

/* Half away from zero looks at the first digit that goes, whatever stands behind it. */
static int shift_down(struct wide *wide, unsigned digits)
{
    static const struct wide one = {.limbs = {1}};
    if (digits == 0)
        return 0;
    for (digits--; digits > 0; digits -= chunk(digits))
        (void)divide(wide, (uint32_t)decimal_power(chunk(digits)));
    return divide(wide, 10) >= 5 ? add_magnitude(wide, &one) : 0;
}

/* WIDE counts units of 10^-FROM. */
static int finish(struct wide *wide, unsigned from, unsigned decimals, struct decimal *ret_value)
{
    int64_t mantissa;
    int rc = from < decimals ? shift_up(wide, decimals - from) : shift_down(wide, from - decimals);
    if (rc == 0)
        rc = narrow(wide, &mantissa);
    if (rc == 0)
        *ret_value = (struct decimal){.mantissa = mantissa, .decimals = decimals};
    return rc;
}

int decimal_parse(const char *text, size_t count, struct decimal *ret_value)
{
    return parse_decimal(text, count, &ret_value->mantissa, &ret_value->decimals);
}

int decimal_round(struct decimal value, unsigned decimals, struct decimal *ret_value)
{
    struct wide wide = widen(value.mantissa);
    return finish(&wide, value.decimals, decimals, ret_value);
}

static struct wide product(int64_t left, int64_t right)
{
    struct wide wide = widen(left);
    struct wide high = widen(left);
    uint64_t factor = magnitude(right);
    (void)multiply(&wide, (uint32_t)factor);
    (void)multiply(&high, (uint32_t)(factor >> 32));
    memmove(&high.limbs[1], &high.limbs[0], (LIMBS - 1) * sizeof high.limbs[0]);
    high.limbs[0] = 0;
    (void)add_magnitude(&wide, &high); /* 64 and 64 bits fit into 128 */
    wide.negative = (left < 0) != (right < 0);
    return wide;
}

int decimal_scale(struct decimal value, struct decimal factor, struct decimal offset,
                  unsigned decimals, struct decimal *ret_value)
{
    struct wide wide = product(value.mantissa, factor.mantissa);
    struct wide other = widen(offset.mantissa);
    unsigned places = value.decimals + factor.decimals;
    int rc = 0;
    if (places < offset.decimals)
        rc = shift_up(&wide, offset.decimals - places);
    else
        rc = offset.mantissa == 0 ? 0 : shift_up(&other, places - offset.decimals);
    if (rc == 0)
        rc = add(&wide, &other);
    if (rc < 0)
        return rc;
    return finish(&wide, places < offset.decimals ? offset.decimals : places, decimals, ret_value);
}

static void shift_bit(struct wide *wide, unsigned bit)
{
    for (size_t i = 0; i < LIMBS; i++) {
        uint32_t top = wide->limbs[i] >> 31;
        wide->limbs[i] = wide->limbs[i] << 1 | bit;
        bit = top;
    }
}

/* Bit by bit; DIVIDEND becomes the quotient, half away from zero. */
static void divide_wide(struct wide *dividend, const struct wide *divisor)
{
    struct wide rest = {.negative = false};
    for (unsigned bit = 0; bit < 32 * LIMBS; bit++) {
        shift_bit(&rest, dividend->limbs[LIMBS - 1] >> 31);
        bool fits = compare_magnitudes(&rest, divisor) >= 0;
        if (fits)
            subtract_magnitude(&rest, divisor);
        shift_bit(dividend, fits ? 1 : 0);
    }
    shift_bit(&rest, 0);
    if (compare_magnitudes(&rest, divisor) >= 0)
        (void)add_magnitude(dividend, &(struct wide){.limbs = {1}});
}

int decimal_divide(struct decimal dividend, struct decimal divisor, unsigned decimals,
                   struct decimal *ret_value)
{
    struct wide wide = widen(dividend.mantissa);
    struct wide by = widen(divisor.mantissa);
    unsigned up = divisor.decimals + decimals;
    int rc = 0;
    if (divisor.mantissa == 0)
        return E_RANGE;
    if (up >= dividend.decimals)
        rc = shift_up(&wide, up - dividend.decimals);
    else
        rc = shift_up(&by, dividend.decimals - up);
    if (rc < 0)
        return rc;
    divide_wide(&wide, &by);
    wide.negative = wide.negative != by.negative;
    return finish(&wide, decimals, decimals, ret_value);
}

int decimal_compare(struct decimal left, struct decimal right)
{
    struct wide a = widen(left.mantissa);
    struct wide b = widen(right.mantissa);
    if (a.negative != b.negative)
        return a.negative ? -1 : 1;
    /* 64 bits and 18 digits fit into 128 bits. */
    if (left.decimals < right.decimals)
        (void)shift_up(&a, right.decimals - left.decimals);
    else
        (void)shift_up(&b, left.decimals - right.decimals);
    int order = compare_magnitudes(&a, &b);
    return a.negative ? -order : order;
}
