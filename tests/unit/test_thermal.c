/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "platform/base/error.h"
#include "tests/unit/driver_rig.h"

static void put(struct rig *rig, const char *folder, unsigned number, const char *attribute,
                const char *text)
{
    char path[64];
    (void)snprintf(path, sizeof path, "sys/class/thermal/%s%u/%s", folder, number, attribute);
    rig_write(rig, path, text);
}

static void put_zone(struct rig *rig, unsigned zone, const char *type, const char *temp)
{
    put(rig, "thermal_zone", zone, "type", type);
    put(rig, "thermal_zone", zone, "temp", temp);
}

static void test_zones_are_called_by_their_type(void **state)
{
    struct rig *rig = *state;
    put_zone(rig, 10, "acpitz\n", "-3000\n");
    put_zone(rig, 2, "acpitz\n", "41500\n");
    put_zone(rig, 0, "CPU thermal\n", "0\n");
    rig_write(rig, "sys/class/thermal/cooling_device0/type", "fan\n");
    assert_int_equal(rig_open(rig, "thermal"), 0);
    assert_int_equal(rig->channel_count, 3);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "cpu_thermal", 0, 3, "Cel");
    rig_expect(rig, "acpitz", 41500, 3, "Cel");
    rig_expect(rig, "acpitz_2", -3000, 3, "Cel");
}

static void test_a_single_zone_is_temp(void **state)
{
    struct rig *rig = *state;
    put_zone(rig, 0, "cpu-thermal\n", "48312\n");
    assert_int_equal(rig_open(rig, "thermal"), 0);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "temp", 48312, 3, "Cel");
}

static void test_one_zone_is_chosen(void **state)
{
    struct rig *rig = *state;
    put_zone(rig, 0, "cpu-thermal\n", "1\n");
    put_zone(rig, 1, "gpu-thermal\n", "2\n");
    rig_set(rig, "zone", "gpu-thermal");
    assert_int_equal(rig_open(rig, "thermal"), 0);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "temp", 2, 3, "Cel");
    rig_set(rig, NULL, NULL);
    rig_set(rig, "zone", "thermal_zone0");
    assert_int_equal(rig_open(rig, "thermal"), 0);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "temp", 1, 3, "Cel");
}

static void test_absence_names_the_path(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(error_errno(rig_open(rig, "thermal")), 2);
    assert_non_null(strstr(rig->fault, "/sys/class/thermal"));
    put_zone(rig, 0, "cpu-thermal\n", "1\n");
    rig_set(rig, "zone", "gpu");
    assert_int_equal(rig_open(rig, "thermal"), E_NOT_FOUND);
    assert_non_null(strstr(rig->fault, "gpu"));
    rig_set(rig, NULL, NULL);
    rig_remove(rig, "sys/class/thermal/thermal_zone0/type");
    assert_int_equal(rig_open(rig, "thermal"), E_NOT_FOUND);
}

static void test_one_zone_that_fails_leaves_the_others(void **state)
{
    struct rig *rig = *state;
    put_zone(rig, 0, "a\n", "1\n");
    put_zone(rig, 1, "b\n", "2\n");
    assert_int_equal(rig_open(rig, "thermal"), 0);
    rig_remove(rig, "sys/class/thermal/thermal_zone0/temp");
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(rig_value(rig, "a")->kind, VALUE_ABSENT);
    rig_expect(rig, "b", 2, 3, "Cel");
    rig_remove(rig, "sys/class/thermal/thermal_zone1/temp");
    assert_int_equal(error_errno(rig_sample(rig)), 2);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "thermal_zone1/temp"));
}

static void test_what_is_no_number_is_refused(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } rows[] = {
        {"", E_SYNTAX},
        {"\n", E_SYNTAX},
        {"-\n", E_SYNTAX},
        {"41.5\n", E_SYNTAX},
        {"+5\n", E_SYNTAX},
        {"1e3\n", E_SYNTAX},
        {"\x80\xff\n", E_SYNTAX},
        {"9223372036854775808\n", E_RANGE},
        {"99999999999999999999999999999999\n", E_TOO_BIG},
    };
    struct rig *rig = *state;
    put_zone(rig, 0, "a\n", "1\n");
    assert_int_equal(rig_open(rig, "thermal"), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig_write(rig, "sys/class/thermal/thermal_zone0/temp", rows[i].text);
        assert_int_equal(rig_sample(rig), rows[i].rc);
        assert_non_null(strstr(rig->driver->fault(rig->instance), "thermal_zone0/temp"));
    }
    rig_write(rig, "sys/class/thermal/thermal_zone0/temp", "-9223372036854775808");
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "temp", INT64_MIN, 3, "Cel");
}

static void test_more_zones_than_channels_are_cut_off(void **state)
{
    struct rig *rig = *state;
    for (unsigned i = 0; i < 70; i++)
        put_zone(rig, i, "a-type-with-a-name-that-is-longer-than-a-channel\n", "1\n");
    assert_int_equal(rig_open(rig, "thermal"), 0);
    assert_int_equal(rig->channel_count, SAMPLE_CHANNELS_MAX);
    for (int i = 0; i < rig->channel_count; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(rig->channels[i].name, rig->channels[k].name);
    assert_int_equal(rig_sample(rig), 0);
}

static void put_cooler(struct rig *rig, unsigned number, const char *type, const char *step)
{
    put(rig, "cooling_device", number, "type", type);
    put(rig, "cooling_device", number, "cur_state", step);
}

static void test_what_cools_is_there_for_who_asks(void **state)
{
    struct rig *rig = *state;
    put_zone(rig, 0, "cpu-thermal\n", "41000\n");
    put_cooler(rig, 1, "Processor\n", "0\n");
    put_cooler(rig, 0, "pwm-fan\n", "3\n");
    rig_set(rig, "cooling", "true");
    rig_set(rig, "zone", "cpu-thermal");
    assert_int_equal(rig_open(rig, "thermal"), 0);
    assert_int_equal(rig->channel_count, 3);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "temp", 41000, 3, "Cel");
    rig_expect(rig, "cooling_pwm-fan", 3, 0, "");
    rig_expect(rig, "cooling_processor", 0, 0, "");
    assert_null(rig->driver->lack(rig->instance));
    rig_remove(rig, "sys/class/thermal/thermal_zone0/temp");
    assert_int_equal(rig_sample(rig), 0);
    assert_non_null(strstr(rig->driver->lack(rig->instance), "thermal_zone0/temp"));
}

static void test_another_zone_with_its_number_is_not_taken_for_it(void **state)
{
    struct rig *rig = *state;
    put_zone(rig, 0, "modem\n", "41000\n");
    rig_set(rig, "zone", "modem");
    assert_int_equal(rig_open(rig, "thermal"), 0);
    rig_remove(rig, "sys/class/thermal/thermal_zone0/type");
    rig_remove(rig, "sys/class/thermal/thermal_zone0/temp");
    rig_remove(rig, "sys/class/thermal/thermal_zone0");
    put_zone(rig, 0, "wifi\n", "55000\n");
    assert_int_equal(error_errno(rig_sample(rig)), 2);
    assert_int_equal(rig_open(rig, "thermal"), E_NOT_FOUND);
    put_zone(rig, 5, "modem\n", "42000\n");
    assert_int_equal(rig_open(rig, "thermal"), 0);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "temp", 42000, 3, "Cel");
}

static void test_zones_that_come_later_join_where_all_are_taken(void **state)
{
    struct rig *rig = *state;
    put_zone(rig, 0, "cpu\n", "1000\n");
    assert_int_equal(rig_open(rig, "thermal"), 0);
    assert_int_equal(rig_sample(rig), 0);
    put_zone(rig, 1, "wifi\n", "2000\n");
    assert_int_equal(rig_sample(rig), E_CHANGED);
    assert_int_equal(rig_open(rig, "thermal"), 0);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "wifi", 2000, 3, "Cel");
    rig_set(rig, "zone", "cpu"); /* others are no business of its */
    assert_int_equal(rig_open(rig, "thermal"), 0);
    put_zone(rig, 2, "gpu\n", "3000\n");
    assert_int_equal(rig_sample(rig), 0);
}

static void test_the_deadline_and_a_stop_end_a_slow_reading(void **state)
{
    struct rig *rig = *state;
    put_zone(rig, 0, "cpu\n", "1000\n");
    put_zone(rig, 1, "gpu\n", "2000\n");
    assert_int_equal(rig_open(rig, "thermal"), 0);
    assert_int_equal(rig->driver->fetch(rig->instance, 0), 0);
    assert_int_equal(rig->driver->read(rig->instance, &rig->sample), 0);
    rig_expect(rig, "cpu", 1000, 3, "Cel");
    rig_expect_absent(rig, "gpu");
    assert_non_null(strstr(rig->driver->lack(rig->instance), "zone1/temp: the deadline"));
    assert_int_equal(rig_sample(rig), 0);
    assert_null(rig->driver->lack(rig->instance));
    stop_request(&rig->stop);
    assert_int_equal(rig_sample(rig), E_STOP);
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_zones_are_called_by_their_type),
        RIG_TEST(test_a_single_zone_is_temp),
        RIG_TEST(test_one_zone_is_chosen),
        RIG_TEST(test_absence_names_the_path),
        RIG_TEST(test_one_zone_that_fails_leaves_the_others),
        RIG_TEST(test_what_is_no_number_is_refused),
        RIG_TEST(test_more_zones_than_channels_are_cut_off),
        RIG_TEST(test_what_cools_is_there_for_who_asks),
        RIG_TEST(test_zones_that_come_later_join_where_all_are_taken),
        RIG_TEST(test_the_deadline_and_a_stop_end_a_slow_reading),
        RIG_TEST(test_another_zone_with_its_number_is_not_taken_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
