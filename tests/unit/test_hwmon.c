/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "tests/unit/driver_rig.h"

static void put(struct rig *rig, unsigned chip, const char *attribute, const char *text)
{
    char path[96];
    (void)snprintf(path, sizeof path, "sys/class/hwmon/hwmon%u/%s", chip, attribute);
    rig_write(rig, path, text);
}

static void put_device(struct rig *rig, unsigned chip, const char *target)
{
    char path[96];
    (void)snprintf(path, sizeof path, "sys/class/hwmon/hwmon%u/device", chip);
    assert_int_equal(symlink(target, rig_path(rig, path)), 0);
}

static void test_every_kind_has_its_unit_and_scale(void **state)
{
    struct rig *rig = *state;
    put(rig, 3, "name", "board\n");
    put(rig, 3, "temp1_input", "-12345\n");
    put(rig, 3, "temp1_label", "Tctl\n");
    put(rig, 3, "temp1_max", "100000\n");
    put(rig, 3, "in0_input", "3305\n");
    put(rig, 3, "intrusion0_alarm", "1\n");
    put(rig, 3, "fan2_input", "1200\n");
    put(rig, 3, "curr1_input", "250\n");
    put(rig, 3, "power1_input", "12500000\n");
    put(rig, 3, "energy1_input", "7\n");
    put(rig, 3, "humidity1_input", "45600\n");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig->channel_count, 7);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "board_tctl", -12345, 3, "Cel");
    rig_expect(rig, "board_in0", 3305, 3, "V");
    rig_expect(rig, "board_fan2", 1200, 0, "1/min");
    rig_expect(rig, "board_curr1", 250, 3, "A");
    rig_expect(rig, "board_power1", 12500000, 6, "W");
    rig_expect(rig, "board_energy1", 7, 6, "J");
    rig_expect(rig, "board_humidity1", 45600, 3, "%RH");
    for (int i = 0; i < rig->channel_count; i++)
        assert_non_null(driver_unit_meaning(rig->channels[i].unit));
}

static void test_inputs_come_in_a_fixed_order(void **state)
{
    struct rig *rig = *state;
    put(rig, 0, "name", "a\n");
    put(rig, 0, "in1_input", "1\n");
    put(rig, 0, "temp10_input", "2\n");
    put(rig, 0, "temp2_input", "3\n");
    put(rig, 10, "name", "c\n");
    put(rig, 10, "temp1_input", "4\n");
    put(rig, 2, "name", "b\n");
    put(rig, 2, "temp1_input", "5\n");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    static const char *const names[] = {"a_temp2", "a_temp10", "a_in1", "b_temp1", "c_temp1"};
    assert_int_equal(rig->channel_count, 5);
    for (int i = 0; i < 5; i++)
        assert_string_equal(rig->channels[i].name, names[i]);
}

static void test_chips_of_one_name_are_told_apart_by_device(void **state)
{
    struct rig *rig = *state;
    put(rig, 0, "name", "tmp102\n");
    put(rig, 0, "temp1_input", "1\n");
    put_device(rig, 0, "../../../0-0048");
    put(rig, 1, "name", "tmp102\n");
    put(rig, 1, "temp1_input", "2\n");
    put_device(rig, 1, "../../../0-0049");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "tmp102_0-0048_temp1", 1, 3, "Cel");
    rig_expect(rig, "tmp102_0-0049_temp1", 2, 3, "Cel");
    rig_set(rig, "chip", "tmp102@0-0049");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(rig->channel_count, 1);
    rig_expect(rig, "temp1", 2, 3, "Cel");
}

static void test_inputs_are_chosen_by_kind_and_number(void **state)
{
    struct rig *rig = *state;
    put(rig, 0, "name", "a\n");
    put(rig, 0, "temp1_input", "1\n");
    put(rig, 0, "temp10_input", "2\n");
    put(rig, 0, "fan1_input", "3\n");
    put(rig, 0, "in1_input", "4\n");
    rig_set(rig, "inputs", "fan, temp1");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig->channel_count, 2);
    assert_string_equal(rig->channels[0].name, "a_temp1");
    assert_string_equal(rig->channels[1].name, "a_fan1");
}

static void test_absence_says_what_is_there(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(error_errno(rig_open(rig, "hwmon")), 2);
    assert_non_null(strstr(rig->fault, "/sys/class/hwmon"));
    put(rig, 0, "name", "a\n");
    put(rig, 0, "temp1_input", "1\n");
    rig_set(rig, "chip", "b");
    assert_int_equal(rig_open(rig, "hwmon"), E_NOT_FOUND);
    assert_non_null(strstr(rig->fault, " b"));
    assert_non_null(strstr(rig->fault, " a@"));
}

static void test_many_chips_fill_the_fault_and_no_more(void **state)
{
    struct rig *rig = *state;
    for (unsigned i = 0; i < 40; i++)
        put(rig, i, "name", "a-chip-with-a-long-name-0123456789\n");
    assert_int_equal(rig_open(rig, "hwmon"), E_NOT_FOUND);
    assert_int_equal(strlen(rig->fault), DRIVER_FAULT_BYTES - 1);
}

static void test_unknown_inputs_are_named_with_the_configuration(void **state)
{
    static const char *const good[] = {"temp", "fan, temp1", " in0,power65535 ,", NULL};
    static const char *const bad[] = {"temps", "fan, tmp1", "1", "temp65536", "temp-1", ",", NULL};
    struct rig *rig = *state;
    const struct driver *driver = driver_find("hwmon");
    assert_null(driver->check(&rig->context));
    for (const char *const *inputs = good; *inputs != NULL; inputs++) {
        rig_set(rig, NULL, NULL);
        rig_set(rig, "inputs", *inputs);
        assert_null(driver->check(&rig->context));
    }
    for (const char *const *inputs = bad; *inputs != NULL; inputs++) {
        rig_set(rig, NULL, NULL);
        rig_set(rig, "inputs", *inputs);
        assert_string_equal(driver->check(&rig->context), "inputs");
    }
    rig_set(rig, NULL, NULL);
    rig_set(rig, "inputs", "fan, tmp1, in0");
    assert_non_null(driver->check(&rig->context));
    assert_string_equal(rig->fault,
                        "names no input with \"tmp1\"; there are temp, humidity, fan, "
                        "in, curr, power, energy, freq, pwm, intrusion, alone or with a "
                        "number");
}

static void test_more_inputs_than_channels_are_cut_off(void **state)
{
    struct rig *rig = *state;
    char attribute[32];
    put(rig, 0, "name", "a\n");
    for (unsigned i = 40; i > 0; i--) {
        (void)snprintf(attribute, sizeof attribute, "temp%u_input", i);
        put(rig, 0, attribute, "1\n");
    }
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig->channel_count, SAMPLE_CHANNELS_MAX);
    assert_string_equal(rig->channels[0].name, "a_temp1");
    assert_string_equal(rig->channels[31].name, "a_temp32");
}

static void test_hostile_attributes(void **state)
{
    struct rig *rig = *state;
    put(rig, 0, "name", "");
    put(rig, 0, "temp1_input", "12x\n");
    put(rig, 0, "temp_input", "1\n");
    put(rig, 0, "temp99999999999999999999_input", "1\n");
    put(rig, 0, "_input", "1\n");
    put(rig, 0, "temp1_label", "\xff\x01 \"quoted\"\n");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig->channel_count, 1);
    assert_string_equal(rig->channels[0].name, "_____quoted_");
    assert_int_equal(rig_sample(rig), E_SYNTAX);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "hwmon0/temp1_input"));
    put(rig, 0, "temp1_input", "99999999999999999999\n");
    assert_int_equal(rig_sample(rig), E_RANGE);
    rig_remove(rig, "sys/class/hwmon/hwmon0/temp1_input");
    assert_int_equal(error_errno(rig_sample(rig)), 2);
}

static void test_one_input_that_fails_leaves_the_others(void **state)
{
    struct rig *rig = *state;
    put(rig, 0, "name", "a\n");
    put(rig, 0, "temp1_input", "1\n");
    put(rig, 0, "temp2_input", "what\n");
    put(rig, 0, "temp3_input", "3\n");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    rig_remove(rig, "sys/class/hwmon/hwmon0/temp1_input");
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(rig_value(rig, "a_temp1")->kind, VALUE_ABSENT);
    assert_int_equal(rig_value(rig, "a_temp2")->kind, VALUE_ABSENT);
    rig_expect(rig, "a_temp3", 3, 3, "Cel");
}

static void test_averages_frequencies_and_fans_that_are_driven(void **state)
{
    struct rig *rig = *state;
    put(rig, 0, "name", "a\n");
    put(rig, 0, "power1_average", "1500000\n");
    put(rig, 0, "power2_average", "2\n");
    put(rig, 0, "power2_input", "3\n");
    put(rig, 0, "freq1_input", "600000000\n");
    put(rig, 0, "pwm1", "128\n");
    put(rig, 0, "pwm1_enable", "2\n");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig->channel_count, 4);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "a_power1", 1500000, 6, "W");
    rig_expect(rig, "a_power2", 3, 6, "W");
    rig_expect(rig, "a_freq1", 600000000, 0, "Hz");
    rig_expect(rig, "a_pwm1", 128, 0, "");
}

static void test_alarms_are_channels_for_who_asks(void **state)
{
    struct rig *rig = *state;
    put(rig, 0, "name", "a\n");
    put(rig, 0, "temp1_input", "41000\n");
    put(rig, 0, "temp1_label", "CPU\n");
    put(rig, 0, "temp1_crit_alarm", "1\n");
    put(rig, 0, "temp1_fault", "0\n");
    put(rig, 0, "temp1_max", "99000\n");
    put(rig, 0, "in0_alarm", "0\n");
    put(rig, 0, "intrusion0_alarm", "1\n");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig->channel_count, 1);
    rig_set(rig, "alarms", "true");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig->channel_count, 5);
    assert_string_equal(rig->channels[0].name, "a_cpu");
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "a_cpu_crit_alarm", 1, 0, "");
    rig_expect(rig, "a_cpu_fault", 0, 0, "");
    rig_expect(rig, "a_in0_alarm", 0, 0, "");
    rig_expect(rig, "a_intrusion0_alarm", 1, 0, "");
    rig_set(rig, "inputs", "temp1");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig->channel_count, 3);
}

static void test_a_broken_diode_gives_no_value(void **state)
{
    struct rig *rig = *state;
    put(rig, 0, "name", "a\n");
    put(rig, 0, "temp1_input", "-128000\n");
    put(rig, 0, "temp1_fault", "1\n");
    put(rig, 0, "temp2_input", "20000\n");
    put(rig, 0, "temp2_fault", "0\n");
    rig_set(rig, "inputs", "temp, fan7");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(rig_value(rig, "a_temp1")->kind, VALUE_ABSENT);
    rig_expect(rig, "a_temp2", 20000, 3, "Cel");
    assert_non_null(strstr(rig->driver->lack(rig->instance), "no input fan7"));
    rig_set(rig, NULL, NULL);
    rig_set(rig, "inputs", "temp");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig_sample(rig), 0);
    assert_non_null(strstr(rig->driver->lack(rig->instance), "temp1_input"));
    assert_non_null(strstr(rig->driver->lack(rig->instance), "_fault"));
    put(rig, 0, "temp1_fault", "0\n");
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "a_temp1", -128000, 3, "Cel");
    assert_null(rig->driver->lack(rig->instance));
    rig_set(rig, NULL, NULL);
    rig_set(rig, "inputs", "temp1");
    put(rig, 0, "temp1_fault", "1\n");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig_sample(rig), E_TIMEOUT); /* nothing that opening again would mend */
}

static void test_a_chip_is_found_by_its_label(void **state)
{
    struct rig *rig = *state;
    put(rig, 0, "name", "ina226\n");
    put(rig, 0, "label", "battery\n");
    put(rig, 0, "in1_input", "12000\n");
    put(rig, 1, "name", "ina226\n");
    put(rig, 1, "label", "panel\n");
    put(rig, 1, "in1_input", "18000\n");
    rig_set(rig, "chip", "panel");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig->channel_count, 1);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "in1", 18000, 3, "V");
}

static void test_another_chip_with_its_number_is_not_taken_for_it(void **state)
{
    struct rig *rig = *state;
    put(rig, 0, "name", "tmp102\n");
    put(rig, 0, "temp1_input", "20000\n");
    rig_set(rig, "chip", "tmp102");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig_sample(rig), 0);
    rig_remove(rig, "sys/class/hwmon/hwmon0/name");
    rig_remove(rig, "sys/class/hwmon/hwmon0/temp1_input");
    rig_remove(rig, "sys/class/hwmon/hwmon0");
    put(rig, 0, "name", "nvme\n");
    put(rig, 0, "temp1_input", "70000\n");
    assert_int_equal(error_errno(rig_sample(rig)), ENOENT);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "unplugged"));
    assert_int_equal(rig_open(rig, "hwmon"), E_NOT_FOUND);
    put(rig, 3, "name", "tmp102\n");
    put(rig, 3, "temp1_input", "21000\n");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "temp1", 21000, 3, "Cel");
}

static void test_chips_that_come_later_join_where_all_are_taken(void **state)
{
    struct rig *rig = *state;
    put(rig, 0, "name", "a\n");
    put(rig, 0, "temp1_input", "1000\n");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig_sample(rig), 0);
    put(rig, 1, "name", "b\n");
    put(rig, 1, "temp1_input", "2000\n");
    assert_int_equal(rig_sample(rig), E_CHANGED);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "came or went"));
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "b_temp1", 2000, 3, "Cel");
    assert_int_equal(
        rename(rig_path(rig, "sys/class/hwmon/hwmon1"), rig_path(rig, "sys/class/hwmon/hwmon2")),
        0); /* plugged in again */
    assert_int_equal(rig_sample(rig), E_CHANGED);
    rig_set(rig, "chip", "a"); /* others are no business of its */
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    put(rig, 3, "name", "c\n");
    assert_int_equal(rig_sample(rig), 0);
}

static void test_the_deadline_and_a_stop_end_a_slow_reading(void **state)
{
    struct rig *rig = *state;
    put(rig, 0, "name", "a\n");
    put(rig, 0, "temp1_input", "1000\n");
    put(rig, 0, "temp2_input", "2000\n");
    assert_int_equal(rig_open(rig, "hwmon"), 0);
    assert_int_equal(rig->driver->fetch(rig->instance, 0), 0);
    assert_int_equal(rig->driver->read(rig->instance, &rig->sample), 0);
    rig_expect(rig, "a_temp1", 1000, 3, "Cel");
    rig_expect_absent(rig, "a_temp2");
    assert_non_null(strstr(rig->driver->lack(rig->instance), "temp2_input: the deadline"));
    assert_int_equal(rig_sample(rig), 0);
    assert_null(rig->driver->lack(rig->instance));
    stop_request(&rig->stop);
    assert_int_equal(rig_sample(rig), E_STOP);
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_every_kind_has_its_unit_and_scale),
        RIG_TEST(test_inputs_come_in_a_fixed_order),
        RIG_TEST(test_chips_of_one_name_are_told_apart_by_device),
        RIG_TEST(test_inputs_are_chosen_by_kind_and_number),
        RIG_TEST(test_absence_says_what_is_there),
        RIG_TEST(test_many_chips_fill_the_fault_and_no_more),
        RIG_TEST(test_unknown_inputs_are_named_with_the_configuration),
        RIG_TEST(test_more_inputs_than_channels_are_cut_off),
        RIG_TEST(test_hostile_attributes),
        RIG_TEST(test_one_input_that_fails_leaves_the_others),
        RIG_TEST(test_averages_frequencies_and_fans_that_are_driven),
        RIG_TEST(test_alarms_are_channels_for_who_asks),
        RIG_TEST(test_a_broken_diode_gives_no_value),
        RIG_TEST(test_a_chip_is_found_by_its_label),
        RIG_TEST(test_chips_that_come_later_join_where_all_are_taken),
        RIG_TEST(test_the_deadline_and_a_stop_end_a_slow_reading),
        RIG_TEST(test_another_chip_with_its_number_is_not_taken_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
