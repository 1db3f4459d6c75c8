/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "platform/base/error.h"
#include "platform/clock.h"
#include "tests/unit/driver_rig.h"

static int64_t next(struct rig *rig)
{
    assert_int_equal(rig_sample(rig), 0);
    return rig->sample.values[0].mantissa;
}

static void expect_wave(struct rig *rig, const char *wave, const int64_t *levels, size_t count)
{
    rig_set(rig, NULL, NULL);
    rig_set(rig, "wave", wave);
    rig_set(rig, "period", "8");
    rig_set(rig, "amplitude", "10");
    assert_int_equal(rig_open(rig, "sim"), 0);
    for (size_t i = 0; i < 2 * count; i++)
        assert_int_equal(next(rig), levels[i % count]);
}

static void test_waves_have_their_shape(void **state)
{
    static const int64_t sine[] = {0, 707, 1000, 707, 0, -707, -1000, -707};
    static const int64_t square[] = {1000, 1000, 1000, 1000, -1000, -1000, -1000, -1000};
    static const int64_t saw[] = {-1000, -750, -500, -250, 0, 250, 500, 750};
    struct rig *rig = *state;
    expect_wave(rig, "sine", sine, 8);
    expect_wave(rig, "square", square, 8);
    expect_wave(rig, "saw", saw, 8);
}

/* Against sin(3) in thousandths, at places that are no steps of the table. */
static void test_the_sine_is_exact_between_steps(void **state)
{
    static const int64_t levels[] = {0, 58145, 116093, 173648, 230616, 286803};
    struct rig *rig = *state;
    rig_set(rig, "period", "108");
    rig_set(rig, "amplitude", "1");
    rig_set(rig, "decimals", "6");
    assert_int_equal(rig_open(rig, "sim"), 0);
    for (size_t i = 0; i < 6; i++) {
        int64_t off = next(rig) - levels[i];
        assert_in_range(off + 100, 0, 200);
    }
}

static void test_the_same_seed_gives_the_same_values(void **state)
{
    static const char *const waves[] = {"walk", "noise"};
    struct rig *rig = *state;
    int64_t first[50];
    for (size_t wave = 0; wave < 2; wave++) {
        rig_set(rig, NULL, NULL);
        rig_set(rig, "wave", waves[wave]);
        rig_set(rig, "seed", "7");
        assert_int_equal(rig_open(rig, "sim"), 0);
        for (size_t i = 0; i < 50; i++)
            first[i] = next(rig);
        assert_int_equal(rig_open(rig, "sim"), 0);
        for (size_t i = 0; i < 50; i++)
            assert_int_equal(next(rig), first[i]);
        rig_set(rig, NULL, NULL);
        rig_set(rig, "wave", waves[wave]);
        rig_set(rig, "seed", "8");
        assert_int_equal(rig_open(rig, "sim"), 0);
        bool differs = false;
        for (size_t i = 0; i < 50; i++)
            differs |= next(rig) != first[i];
        assert_true(differs);
    }
}

static void test_values_stay_within_the_amplitude(void **state)
{
    static const char *const waves[] = {"sine", "square", "saw", "walk", "noise"};
    struct rig *rig = *state;
    for (size_t wave = 0; wave < 5; wave++) {
        rig_set(rig, NULL, NULL);
        rig_set(rig, "wave", waves[wave]);
        rig_set(rig, "offset", "-20.5");
        rig_set(rig, "amplitude", "0.75");
        rig_set(rig, "period", "7");
        rig_set(rig, "channels", "32");
        assert_int_equal(rig_open(rig, "sim"), 0);
        for (size_t i = 0; i < 500; i++) {
            assert_int_equal(rig_sample(rig), 0);
            for (size_t k = 0; k < 32; k++)
                assert_in_range(rig->sample.values[k].mantissa + 2125, 0, 150);
        }
    }
}

static void test_channels_units_and_decimals(void **state)
{
    struct rig *rig = *state;
    rig_set(rig, "channels", "2");
    rig_set(rig, "wave", "square");
    rig_set(rig, "period", "2");
    rig_set(rig, "amplitude", "3");
    rig_set(rig, "decimals", "0");
    rig_set(rig, "unit", "Cel");
    assert_int_equal(rig_open(rig, "sim"), 0);
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(rig->channel_count, 2);
    rig_expect(rig, "value1", 3, 0, "Cel");
    rig_expect(rig, "value2", -3, 0, "Cel");
}

static void test_every_nth_fetch_fails(void **state)
{
    struct rig *rig = *state;
    rig_set(rig, "fail_every", "3");
    assert_int_equal(rig_open(rig, "sim"), 0);
    for (int i = 1; i <= 9; i++)
        assert_int_equal(rig_sample(rig), i % 3 == 0 ? E_DAMAGED : 0);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "simulated"));
}

static void test_silence_and_garbage(void **state)
{
    struct rig *rig = *state;
    rig_set(rig, "silent", "true");
    assert_int_equal(rig_open(rig, "sim"), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(rig_sample(rig), E_AGAIN);
    rig_set(rig, NULL, NULL);
    rig_set(rig, "garbage", "true");
    assert_int_equal(rig_open(rig, "sim"), 0);
    assert_int_equal(rig->driver->fetch(rig->instance, 0), 0);
    assert_int_equal(rig->driver->read(rig->instance, &rig->sample), E_DAMAGED);
}

static void test_hanging_ends_at_the_deadline_or_at_a_stop(void **state)
{
    struct rig *rig = *state;
    rig_set(rig, "hang", "1ms");
    assert_int_equal(rig_open(rig, "sim"), 0);
    assert_int_equal(rig->driver->fetch(rig->instance, clock_mono_ms() + 60000), 0);
    rig_set(rig, NULL, NULL);
    rig_set(rig, "hang", "7d");
    assert_int_equal(rig_open(rig, "sim"), 0);
    assert_int_equal(rig->driver->fetch(rig->instance, clock_mono_ms() + 1), E_TIMEOUT);
    stop_request(&rig->stop);
    assert_int_equal(rig->driver->fetch(rig->instance, clock_mono_ms() + 60000), E_STOP);
}

/* What depends on "decimals" is found before anything is opened. */
static void test_levels_are_checked_with_the_configuration(void **state)
{
    static const struct {
        const char *key, *value, *decimals, *mentions;
    } rows[] = {
        {"amplitude", "-1", "2", "negative"},
        {"amplitude", "1.001", "2", "more digits"},
        {"offset", "0.1", "0", "more digits"},
        {"offset", "1001", "6", "too large"},
        {NULL, NULL, "6", NULL},
        {"amplitude", "1.001", "3", NULL},
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig_set(rig, NULL, NULL);
        rig_set(rig, "decimals", rows[i].decimals);
        if (rows[i].key != NULL)
            rig_set(rig, rows[i].key, rows[i].value);
        const char *key = driver_find("sim")->check(&rig->context);
        if (rows[i].mentions == NULL) {
            assert_null(key);
            continue;
        }
        assert_string_equal(key, rows[i].key);
        assert_non_null(strstr(rig->fault, rows[i].mentions));
    }
}

static void test_bad_settings_are_named(void **state)
{
    static const struct driver_setting rows[] = {
        {"wave", "triangle"},  {"channels", "0"},     {"channels", "33"},   {"channels", "x"},
        {"period", "0"},       {"period", "-1"},      {"amplitude", "-1"},  {"amplitude", "1.001"},
        {"amplitude", "1e30"}, {"amplitude", "lots"}, {"offset", "1e18"},   {"decimals", "7"},
        {"unit", "celsius"},   {"seed", "0x1"},       {"fail_every", "-1"}, {"hang", "5"},
        {"silent", "yes"},     {"garbage", "1"},
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig_set(rig, NULL, NULL);
        rig_set(rig, rows[i].key, rows[i].value);
        assert_int_equal(rig_open(rig, "sim"), E_INVALID);
        assert_non_null(strstr(rig->fault, rows[i].key));
        assert_non_null(strstr(rig->fault, rows[i].value));
    }
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_waves_have_their_shape),
        RIG_TEST(test_the_sine_is_exact_between_steps),
        RIG_TEST(test_the_same_seed_gives_the_same_values),
        RIG_TEST(test_values_stay_within_the_amplitude),
        RIG_TEST(test_channels_units_and_decimals),
        RIG_TEST(test_every_nth_fetch_fails),
        RIG_TEST(test_silence_and_garbage),
        RIG_TEST(test_hanging_ends_at_the_deadline_or_at_a_stop),
        RIG_TEST(test_levels_are_checked_with_the_configuration),
        RIG_TEST(test_bad_settings_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
