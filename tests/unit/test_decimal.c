/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <string.h>

#include "platform/base/decimal.h"
#include "platform/base/error.h"

#define DECIMAL(m, d) ((struct decimal){.mantissa = (m), .decimals = (d)})

static void expect(int rc, struct decimal got, int64_t mantissa, unsigned decimals)
{
    assert_int_equal(rc, 0);
    assert_int_equal(got.mantissa, mantissa);
    assert_int_equal(got.decimals, decimals);
}

static void test_rounds_half_away_from_zero(void **state)
{
    static const struct {
        int64_t mantissa;
        unsigned decimals, to;
        int64_t result;
    } cases[] = {
        {2150, 2, 1, 215},     {2155, 2, 1, 216},      {-2155, 2, 1, -216},
        {2154, 2, 1, 215},     {4, 1, 0, 0},           {5, 1, 0, 1},
        {-5, 1, 0, -1},        {449, 3, 0, 0},         {7, 0, 18, 7000000000000000000},
        {INT64_MAX, 18, 0, 9}, {INT64_MIN, 18, 0, -9}, {INT64_MIN, 3, 3, INT64_MIN},
    };
    struct decimal got = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int rc = decimal_round(DECIMAL(cases[i].mantissa, cases[i].decimals), cases[i].to, &got);
        expect(rc, got, cases[i].result, cases[i].to);
    }
}

static void test_what_does_not_fit_is_refused_and_leaves_the_result_alone(void **state)
{
    struct decimal got = DECIMAL(42, 7);
    (void)state;
    assert_int_equal(decimal_round(DECIMAL(10, 0), 18, &got), E_RANGE);
    assert_int_equal(decimal_round(DECIMAL(INT64_MIN, 0), 1, &got), E_RANGE);
    assert_int_equal(decimal_scale(DECIMAL(INT64_MAX, 0), DECIMAL(2, 0), DECIMAL(0, 0), 0, &got),
                     E_RANGE);
    assert_int_equal(decimal_scale(DECIMAL(INT64_MAX, 0), DECIMAL(1, 0), DECIMAL(1, 0), 0, &got),
                     E_RANGE);
    assert_int_equal(decimal_divide(DECIMAL(1, 0), DECIMAL(0, 3), 2, &got), E_RANGE);
    assert_int_equal(decimal_divide(DECIMAL(INT64_MAX, 0), DECIMAL(1, 1), 0, &got), E_RANGE);
    assert_int_equal(got.mantissa, 42);
    assert_int_equal(got.decimals, 7);
}

static void test_scales(void **state)
{
    struct decimal got = {0};
    int rc;
    (void)state;
    rc = decimal_scale(DECIMAL(1234, 0), DECIMAL(244140625, 12), DECIMAL(0, 0), 6, &got);
    expect(rc, got, 301270, 6);
    rc = decimal_scale(DECIMAL(215, 1), DECIMAL(18, 1), DECIMAL(32, 0), 1, &got);
    expect(rc, got, 707, 1);
    rc = decimal_scale(DECIMAL(-40, 0), DECIMAL(18, 1), DECIMAL(32, 0), 2, &got);
    expect(rc, got, -4000, 2);
    rc = decimal_scale(DECIMAL(5, 0), DECIMAL(3, 0), DECIMAL(-150001, 4), 4, &got);
    expect(rc, got, -1, 4);
    rc = decimal_scale(DECIMAL(INT64_MAX, 18), DECIMAL(INT64_MAX, 18), DECIMAL(0, 0), 16, &got);
    expect(rc, got, 850705917302346158, 16);
    rc = decimal_scale(DECIMAL(INT64_MIN, 18), DECIMAL(INT64_MIN, 18), DECIMAL(0, 18), 0, &got);
    expect(rc, got, 85, 0);
}

static void test_divides(void **state)
{
    struct decimal got = {0};
    int rc;
    (void)state;
    rc = decimal_divide(DECIMAL(1, 0), DECIMAL(3, 0), 6, &got);
    expect(rc, got, 333333, 6);
    rc = decimal_divide(DECIMAL(2, 0), DECIMAL(-3, 0), 3, &got);
    expect(rc, got, -667, 3);
    rc = decimal_divide(DECIMAL(-25, 1), DECIMAL(-5, 0), 0, &got);
    expect(rc, got, 1, 0);
    rc = decimal_divide(DECIMAL(123456789, 9), DECIMAL(1, 0), 3, &got);
    expect(rc, got, 123, 3);
    rc = decimal_divide(DECIMAL(INT64_MIN, 0), DECIMAL(INT64_MIN, 0), 18, &got);
    expect(rc, got, 1000000000000000000, 18);
}

static void test_compares_across_decimals(void **state)
{
    (void)state;
    assert_int_equal(decimal_compare(DECIMAL(2150, 2), DECIMAL(215, 1)), 0);
    assert_true(decimal_compare(DECIMAL(2150, 2), DECIMAL(2151, 2)) < 0);
    assert_true(decimal_compare(DECIMAL(-1, 0), DECIMAL(1, 18)) < 0);
    assert_true(decimal_compare(DECIMAL(INT64_MAX, 0), DECIMAL(INT64_MAX, 18)) > 0);
    assert_true(decimal_compare(DECIMAL(INT64_MIN, 0), DECIMAL(INT64_MIN, 18)) < 0);
    assert_true(decimal_compare(DECIMAL(-3, 1), DECIMAL(-31, 2)) > 0);
    assert_int_equal(decimal_compare(DECIMAL(0, 0), DECIMAL(0, 18)), 0);
}

#ifdef __SIZEOF_INT128__
__extension__ typedef __int128 reference;

static reference power(unsigned exponent)
{
    reference value = 1;
    while (exponent-- > 0)
        value *= 10;
    return value;
}

static reference divide(reference value, reference by)
{
    reference rest = value % by;
    reference result = value / by;
    if (rest < 0)
        rest = -rest;
    if (rest * 2 >= by)
        result += value < 0 ? -1 : 1;
    return result;
}

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Of any length in bits, so that small numbers and results that do not fit both come. */
static int64_t any_mantissa(uint64_t *seed, unsigned bits)
{
    int64_t value = (int64_t)(next(seed) >> (64 - 1 - next(seed) % bits));
    return next(seed) % 2 == 0 ? value : -value;
}

static void expect_like(int rc, struct decimal got, reference wanted)
{
    bool fits = wanted >= INT64_MIN && wanted <= INT64_MAX;
    assert_int_equal(rc, fits ? 0 : E_RANGE);
    if (fits)
        assert_int_equal(got.mantissa, (int64_t)wanted);
}

static void test_agrees_with_wide_integers(void **state)
{
    uint64_t seed = 0x9e3779b97f4a7c15;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct decimal got = {0};
        struct decimal value = DECIMAL(any_mantissa(&seed, 62), (unsigned)(next(&seed) % 10));
        struct decimal factor = DECIMAL(any_mantissa(&seed, 40), (unsigned)(next(&seed) % 9));
        struct decimal offset = DECIMAL(any_mantissa(&seed, 40), (unsigned)(next(&seed) % 10));
        unsigned to = (unsigned)(next(&seed) % 6);
        reference exact = (reference)value.mantissa * factor.mantissa * power(0);
        unsigned places = value.decimals + factor.decimals;
        if (places < offset.decimals)
            exact *= power(offset.decimals - places);
        else
            exact += (reference)offset.mantissa * power(places - offset.decimals);
        if (places < offset.decimals)
            exact += offset.mantissa;
        unsigned from = places < offset.decimals ? offset.decimals : places;
        int rc = decimal_scale(value, factor, offset, to, &got);
        expect_like(rc, got,
                    from > to ? divide(exact, power(from - to)) : exact * power(to - from));
        if (factor.mantissa == 0)
            continue;
        reference by = factor.mantissa < 0 ? -(reference)factor.mantissa : factor.mantissa;
        exact = factor.mantissa < 0 ? -(reference)value.mantissa : value.mantissa;
        exact *= power(factor.decimals);
        rc = decimal_divide(value, factor, to, &got);
        expect_like(rc, got,
                    value.decimals > to ? divide(exact, by * power(value.decimals - to))
                                        : divide(exact * power(to - value.decimals), by));
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds_half_away_from_zero),
        cmocka_unit_test(test_what_does_not_fit_is_refused_and_leaves_the_result_alone),
        cmocka_unit_test(test_scales),
        cmocka_unit_test(test_divides),
        cmocka_unit_test(test_compares_across_decimals),
#ifdef __SIZEOF_INT128__
        cmocka_unit_test(test_agrees_with_wide_integers),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
