/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/base/parse.h"

/* Hands TEXT over without its NUL, on the heap, so that a sanitizer sees every byte too many. */
static char *exact(const char *text, size_t count)
{
    char *copy = malloc(count > 0 ? count : 1);
    assert_non_null(copy);
    memcpy(copy, text, count);
    return copy;
}

#define CALL(function, text, ...)                                                                  \
    __extension__({                                                                                \
        char *call_text = exact((text), strlen(text));                                             \
        int call_rc = function(call_text, strlen(text), __VA_ARGS__);                              \
        free(call_text);                                                                           \
        call_rc;                                                                                   \
    })

static void test_unsigned(void **state)
{
    uint64_t value = 77;
    (void)state;
    assert_int_equal(CALL(parse_unsigned, "0", &value), 0);
    assert_true(value == 0);
    assert_int_equal(CALL(parse_unsigned, "007", &value), 0);
    assert_true(value == 7);
    assert_int_equal(CALL(parse_unsigned, "18446744073709551615", &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(CALL(parse_unsigned, "18446744073709551616", &value), E_RANGE);
    assert_int_equal(CALL(parse_unsigned, "99999999999999999999999x", &value), E_SYNTAX);
    static const char *const malformed[] = {"", "-1", "+1", " 1", "1 ", "1x", "x", "0x10", "1.0"};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
        assert_int_equal(CALL(parse_unsigned, malformed[i], &value), E_SYNTAX);
    assert_true(value == UINT64_MAX); /* untouched by the failures */
}

static void test_signed(void **state)
{
    int64_t value = 77;
    (void)state;
    assert_int_equal(CALL(parse_signed, "-9223372036854775808", &value), 0);
    assert_true(value == INT64_MIN);
    assert_int_equal(CALL(parse_signed, "9223372036854775807", &value), 0);
    assert_true(value == INT64_MAX);
    assert_int_equal(CALL(parse_signed, "-0", &value), 0);
    assert_true(value == 0);
    assert_int_equal(CALL(parse_signed, "-9223372036854775809", &value), E_RANGE);
    assert_int_equal(CALL(parse_signed, "9223372036854775808", &value), E_RANGE);
    assert_int_equal(CALL(parse_signed, "", &value), E_SYNTAX);
    assert_int_equal(CALL(parse_signed, "-", &value), E_SYNTAX);
    assert_int_equal(CALL(parse_signed, "--1", &value), E_SYNTAX);
    assert_int_equal(CALL(parse_signed, "+1", &value), E_SYNTAX);
    assert_true(value == 0);
}

struct number {
    const char *text;
    int rc;
    int64_t value;
};

static void test_duration(void **state)
{
    static const struct number cases[] = {
        {"0", 0, 0},
        {"0s", 0, 0},
        {"250ms", 0, 250},
        {"5s", 0, 5000},
        {"75s", 0, 75000},
        {"10m", 0, 600000},
        {"2h", 0, 7200000},
        {"7d", 0, 604800000},
        {"9223372036854775807ms", 0, INT64_MAX},
        {"9223372036854775808ms", E_RANGE, 0},
        {"9223372036854775s", 0, 9223372036854775000},
        {"9223372036854776s", E_RANGE, 0},
        {"", E_SYNTAX, 0},
        {"5", E_SYNTAX, 0},
        {"00", E_SYNTAX, 0},
        {"s", E_SYNTAX, 0},
        {"-5s", E_SYNTAX, 0},
        {"1.5s", E_SYNTAX, 0},
        {"5 s", E_SYNTAX, 0},
        {"5S", E_SYNTAX, 0},
        {"5min", E_SYNTAX, 0},
        {"5msx", E_SYNTAX, 0},
        {"1h30m", E_SYNTAX, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t value = -1;
        assert_int_equal(CALL(parse_duration_ms, cases[i].text, &value), cases[i].rc);
        assert_true(value == (cases[i].rc == 0 ? cases[i].value : -1));
    }
}

static void test_size(void **state)
{
    static const struct number cases[] = {
        {"0", 0, 0},
        {"512", 0, 512},
        {"256B", 0, 256},
        {"64KiB", 0, 65536},
        {"32MiB", 0, 33554432},
        {"8GiB", 0, 8589934592},
        {"1KB", 0, 1000},
        {"2MB", 0, 2000000},
        {"3GB", 0, 3000000000},
        {"17179869183GiB", 0, -1073741824}, /* 2^64 - 2^30 */
        {"17179869184GiB", E_RANGE, 0},
        {"", E_SYNTAX, 0},
        {"KiB", E_SYNTAX, 0},
        {"1K", E_SYNTAX, 0},
        {"1kb", E_SYNTAX, 0},
        {"1 MiB", E_SYNTAX, 0},
        {"1.5MiB", E_SYNTAX, 0},
        {"-1", E_SYNTAX, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t value = 4711;
        assert_int_equal(CALL(parse_size_bytes, cases[i].text, &value), cases[i].rc);
        assert_true(value == (cases[i].rc == 0 ? (uint64_t)cases[i].value : 4711));
    }
}

struct decimal {
    const char *text;
    int rc;
    int64_t mantissa;
    unsigned decimals;
};

static void test_decimal(void **state)
{
    static const struct decimal cases[] = {
        {"0", 0, 0, 0},
        {"-0", 0, 0, 0},
        {"21.50", 0, 2150, 2},
        {"-12.50", 0, -1250, 2},
        {"1e3", 0, 1000, 0},
        {"1E+3", 0, 1000, 0},
        {"1e-3", 0, 1, 3},
        {"1.50e1", 0, 150, 1},
        {"1.5e1", 0, 15, 0},
        {"1.5e2", 0, 150, 0},
        {"12e00", 0, 12, 0},
        {"0e999999999999999999999999", 0, 0, 0},
        {"0.000e2", 0, 0, 1},
        {"0.0e5", 0, 0, 0},
        {"0.000000000000000000000001e24", 0, 1, 0},
        {"0.000000000000000001", 0, 1, 18},
        {"9223372036854775807", 0, INT64_MAX, 0},
        {"-9223372036854775808", 0, INT64_MIN, 0},
        {"-9.223372036854775808", 0, INT64_MIN, 18},
        {"-9223372036854775809", E_RANGE, 0, 0},
        {"9223372036854775808", E_RANGE, 0, 0},
        {"922337203685477580.8e1", E_RANGE, 0, 0},
        {"1e19", E_RANGE, 0, 0},
        {"1e999999999999999999999999", E_RANGE, 0, 0},
        {"1e-19", E_RANGE, 0, 0},
        {"1e-999999999999999999999999", E_RANGE, 0, 0},
        {"0.0000000000000000001", E_RANGE, 0, 0},
        {"", E_SYNTAX, 0, 0},
        {"-", E_SYNTAX, 0, 0},
        {"+1", E_SYNTAX, 0, 0},
        {"01", E_SYNTAX, 0, 0},
        {"-01", E_SYNTAX, 0, 0},
        {".5", E_SYNTAX, 0, 0},
        {"5.", E_SYNTAX, 0, 0},
        {"5.e1", E_SYNTAX, 0, 0},
        {"1e", E_SYNTAX, 0, 0},
        {"1e+", E_SYNTAX, 0, 0},
        {"1e1.0", E_SYNTAX, 0, 0},
        {"1e99999999999999999999999x", E_SYNTAX, 0, 0},
        {"1.2.3", E_SYNTAX, 0, 0},
        {"1 ", E_SYNTAX, 0, 0},
        {" 1", E_SYNTAX, 0, 0},
        {"NaN", E_SYNTAX, 0, 0},
        {"Infinity", E_SYNTAX, 0, 0},
        {"0x10", E_SYNTAX, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t mantissa = 4711;
        unsigned decimals = 47;
        int rc = CALL(parse_decimal, cases[i].text, &mantissa, &decimals);
        if (rc != cases[i].rc)
            fail_msg("\"%s\" gave %d", cases[i].text, rc);
        if (rc == 0 && (mantissa != cases[i].mantissa || decimals != cases[i].decimals))
            fail_msg("\"%s\" gave %" PRId64 " with %u decimals", cases[i].text, mantissa, decimals);
        if (rc < 0)
            assert_true(mantissa == 4711 && decimals == 47);
    }
}

static void test_http_date(void **state)
{
    static const struct number cases[] = {
        {"Wed, 07 Oct 2015 12:00:00 GMT", 0, 1444219200000},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0, 0},
        {"Tue, 29 Feb 2000 23:59:59 GMT", 0, 951868799000},
        {"Tue, 19 Jan 2038 03:14:08 GMT", 0, 2147483648000},
        {"Sat, 31 Dec 2016 23:59:60 GMT", 0, 1483228800000}, /* a leap second */
        {"Wed, 31 Dec 1969 23:59:59 GMT", 0, -1000},
        {"Mon, 29 Feb 2100 00:00:00 GMT", E_RANGE, 0},
        {"Mon, 31 Apr 2001 00:00:00 GMT", E_RANGE, 0},
        {"Mon, 00 Apr 2001 00:00:00 GMT", E_RANGE, 0},
        {"Mon, 30 Apr 2001 24:00:00 GMT", E_RANGE, 0},
        {"Mon, 30 Apr 2001 00:60:00 GMT", E_RANGE, 0},
        {"Mon, 30 Apr 2001 00:00:61 GMT", E_RANGE, 0},
        {"Mon, 30 Apr 2001 00:00:00 UTC", E_SYNTAX, 0},
        {"Mon, 30 apr 2001 00:00:00 GMT", E_SYNTAX, 0},
        {"Mxn, 30 Apr 2001 00:00:00 GMT", E_SYNTAX, 0},
        {"Mon, 30 Axr 2001 00:00:00 GMT", E_SYNTAX, 0},
        {"Mon; 30 Apr 2001 00:00:00 GMT", E_SYNTAX, 0},
        {"Mon, 30 Apr 2001 00-00-00 GMT", E_SYNTAX, 0},
        {"Mon, 30 Apr 2001 0x:00:00 GMT", E_SYNTAX, 0},
        {"Mon, 30 Apr 2001 00:00:00 GMT ", E_SYNTAX, 0},
        {"Monday, 30-Apr-01 00:00:00 GMT", E_SYNTAX, 0},
        {"", E_SYNTAX, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t value = 4711;
        int rc = CALL(parse_http_date_ms, cases[i].text, &value);
        if (rc != cases[i].rc || value != (rc == 0 ? cases[i].value : 4711))
            fail_msg("\"%s\" gave %d, %" PRId64, cases[i].text, rc, value);
    }
}

static void test_iso_date(void **state)
{
    static const struct number cases[] = {
        {"2018-01-18T09:18:06Z", 0, 1516267086000},
        {"2018-01-18T09:18:06.1Z", 0, 1516267086100},
        {"2018-01-18T09:18:06.123Z", 0, 1516267086123},
        {"2018-01-18T09:18:06.123999999Z", 0, 1516267086123},
        {"2018-01-18T09:18:06.0009Z", 0, 1516267086000},
        {"1969-12-31T23:59:59.999Z", 0, -1},
        {"2018-02-29T00:00:00Z", E_RANGE, 0},
        {"2018-13-01T00:00:00Z", E_RANGE, 0},
        {"2018-00-01T00:00:00Z", E_RANGE, 0},
        {"2018-01-18T09:18:06", E_SYNTAX, 0},
        {"2018-01-18T09:18:06.Z", E_SYNTAX, 0},
        {"2018-01-18T09:18:06,5Z", E_SYNTAX, 0},
        {"2018-01-18T09:18:06.5+Z", E_SYNTAX, 0},
        {"2018-01-18T09:18:06+00:00", E_SYNTAX, 0},
        {"2018-01-18 09:18:06Z", E_SYNTAX, 0},
        {"2018-1-18T09:18:06Z", E_SYNTAX, 0},
        {"20180118T091806Z", E_SYNTAX, 0},
        {"Z", E_SYNTAX, 0},
        {"", E_SYNTAX, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t value = 4711;
        int rc = CALL(parse_iso_date_ms, cases[i].text, &value);
        if (rc != cases[i].rc || value != (rc == 0 ? cases[i].value : 4711))
            fail_msg("\"%s\" gave %d, %" PRId64, cases[i].text, rc, value);
    }
}

/* Every beginning of a good text is bad, and none of them is read beyond its end. */
static void test_every_prefix(void **state)
{
    static const char http[] = "Wed, 07 Oct 2015 12:00:00 GMT";
    static const char iso[] = "2018-01-18T09:18:06.123Z";
    (void)state;
    for (size_t count = 0; count < sizeof http - 1; count++) {
        int64_t value;
        char *copy = exact(http, count);
        assert_int_equal(parse_http_date_ms(copy, count, &value), E_SYNTAX);
        free(copy);
    }
    for (size_t count = 0; count < sizeof iso - 1; count++) {
        int64_t value;
        char *copy = exact(iso, count);
        assert_int_equal(parse_iso_date_ms(copy, count, &value), E_SYNTAX);
        free(copy);
    }
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Counts through 1,200 years a day at a time, which needs no formula. */
static void test_calendar(void **state)
{
    static const unsigned lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t days = parse_days_from_civil(1600, 1, 1);
    (void)state;
    assert_true(parse_days_from_civil(1970, 1, 1) == 0);
    assert_true(days == -135140);
    for (int64_t year = 1600; year < 2800; year++)
        for (unsigned month = 1; month <= 12; month++) {
            unsigned length = lengths[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
            for (unsigned day = 1; day <= length; day++, days++) {
                int64_t found_year = 0;
                unsigned found_month = 0;
                unsigned found_day = 0;
                parse_civil_from_days(days, &found_year, &found_month, &found_day);
                assert_true(found_year == year && found_month == month && found_day == day);
                assert_true(parse_days_from_civil(year, month, day) == days);
            }
        }
}

static void test_calendar_before_christ(void **state)
{
    (void)state;
    for (int64_t days = -1000000; days < -700000; days += 13) {
        int64_t year;
        unsigned month;
        unsigned day;
        parse_civil_from_days(days, &year, &month, &day);
        assert_in_range(month, 1, 12);
        assert_in_range(day, 1, 31);
        assert_true(parse_days_from_civil(year, month, day) == days);
    }
}

static void test_name_bytes(void **state)
{
    (void)state;
    assert_int_equal(parse_name_bytes("Pump_4.temp-out"), 15);
    assert_int_equal(parse_name_bytes("pump 4"), 4);
    assert_int_equal(parse_name_bytes("caf\xc3\xa9"), 3);
    assert_int_equal(parse_name_bytes(""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_bytes),
        cmocka_unit_test(test_unsigned),
        cmocka_unit_test(test_signed),
        cmocka_unit_test(test_duration),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_decimal),
        cmocka_unit_test(test_http_date),
        cmocka_unit_test(test_iso_date),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_calendar),
        cmocka_unit_test(test_calendar_before_christ),
    };
    return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
