/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/bus/iio.h"
#include "platform/base/error.h"
#include "tests/unit/driver_rig.h"

static void put(struct rig *rig, unsigned device, const char *attribute, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "sys/bus/iio/devices/iio:device%u/%s", device, attribute);
    rig_write(rig, path, text);
}

static void drop(struct rig *rig, unsigned device, const char *attribute)
{
    char path[128];
    (void)snprintf(path, sizeof path, "sys/bus/iio/devices/iio:device%u/%s", device, attribute);
    rig_remove(rig, path);
}

/* A device behind a link, as the kernel has it: its place is the folder above. */
static void put_at(struct rig *rig, unsigned device, const char *place, const char *name)
{
    char path[160];
    char link[96];
    char target[128];
    (void)snprintf(path, sizeof path, "sys/devices/soc/%s/iio:device%u/name", place, device);
    rig_write(rig, path, name);
    rig_write(rig, "sys/bus/iio/devices/here", "");
    (void)snprintf(link, sizeof link, "sys/bus/iio/devices/iio:device%u", device);
    (void)snprintf(target, sizeof target, "../../../devices/soc/%s/iio:device%u", place, device);
    assert_int_equal(symlink(target, rig_path(rig, link)), 0);
}

/* What the kernel's dummy device says. */
static void put_dummy(struct rig *rig)
{
    put(rig, 0, "name", "dummy\n");
    put(rig, 0, "in_voltage0_raw", "73\n");
    put(rig, 0, "in_voltage0_offset", "7\n");
    put(rig, 0, "in_voltage0_scale", "0.001333\n");
    put(rig, 0, "in_voltage1-voltage2_raw", "33\n");
    put(rig, 0, "in_voltage3-voltage4_raw", "-34\n");
    put(rig, 0, "in_voltage-voltage_scale", "0.000001344\n");
    put(rig, 0, "in_accel_x_raw", "34\n");
    put(rig, 0, "in_accel_x_calibbias", "-7\n");
    put(rig, 0, "in_activity_running_input", "98\n");
    put(rig, 0, "in_steps_input", "47\n");
    put(rig, 0, "out_voltage0_raw", "0\n");
    put(rig, 0, "sampling_frequency", "3.000000033\n");
}

static void test_the_dummy_device_is_read_exactly(void **state)
{
    struct rig *rig = *state;
    put_dummy(rig);
    assert_int_equal(rig_open(rig, "iio"), 0);
    assert_int_equal(rig->channel_count, 6);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "voltage0", 106640, 9, "V");           /* 80 * 0.001333 mV */
    rig_expect(rig, "voltage1-voltage2", 44352, 12, "V");  /* 33 * 0.000001344 mV */
    rig_expect(rig, "voltage3-voltage4", -45696, 12, "V"); /* -34 */
    rig_expect(rig, "accel_x", 34, 0, "");                 /* no scale: a bare number */
    rig_expect(rig, "activity_running", 98, 0, "%");
    rig_expect(rig, "steps", 47, 0, "count");
    assert_null(rig->driver->lack(rig->instance));
}

static void test_every_type_has_its_unit(void **state)
{
    static const struct {
        const char *id;
        const char *scale;
        const char *raw;
        int64_t mantissa;
        unsigned decimals;
        const char *unit;
    } rows[] = {
        {"current0", "0.5", "3", 15, 4, "A"},
        {"power", "1.000000000", "2500", 2500, 3, "W"},
        {"temp", "62.500000000", "401", 250625, 4, "Cel"},
        {"temp_object", "20.000000", "14657", 29314, 2, "Cel"},
        {"humidityrelative", "15.625000000", "2908", 4543750, 5, "%RH"},
        {"pressure", "0.000250000", "4053000", 101325000, 2, "Pa"},
        {"accel_z", "0.009576806", "1024", 9806649, 6, "m/s2"},
        {"anglvel_y", "0.000133158", "-100", -133158, 7, ""},
        {"magn_x", "0.000100000", "4870", 4870, 8, "T"},
        {"illuminance", "0.063000000", "1000", 63000, 3, "lx"},
        {"capacitance0", "0.001", "7", 7, 12, "F"},
        {"concentration_co2", "0.000100000", "412", 412, 4, "%"},
        {"resistance", "1", "100000", 100000, 0, "Ohm"},
        {"incli_x", "0.1", "-900", -900, 1, "deg"},
        {"massconcentration_pm2p5", "0.01", "1234", 1234, 2, "ug/m3"},
        {"nothingknown", "2", "21", 42, 0, ""},
    };
    struct rig *rig = *state;
    char attribute[64];
    put(rig, 0, "name", "all\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(attribute, sizeof attribute, "in_%s_scale", rows[i].id);
        put(rig, 0, attribute, rows[i].scale);
        (void)snprintf(attribute, sizeof attribute, "in_%s_raw", rows[i].id);
        put(rig, 0, attribute, rows[i].raw);
    }
    assert_int_equal(rig_open(rig, "iio"), 0);
    assert_int_equal(rig_sample(rig), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig_expect(rig, rows[i].id, rows[i].mantissa, rows[i].decimals, rows[i].unit);
        if (rows[i].unit[0] != '\0')
            assert_non_null(driver_unit_meaning(rows[i].unit));
    }
}

static void test_what_the_kernel_scaled_is_taken_as_it_is(void **state)
{
    struct rig *rig = *state;
    put(rig, 0, "name", "dps310\n");
    put(rig, 0, "in_pressure_input", "92.947000000\n");
    put(rig, 0, "in_temp_input", "24738\n");
    put(rig, 0, "in_temp_raw", "1\n"); /* the same channel, unscaled */
    put(rig, 0, "in_illuminance_input", "-0.500000\n");
    assert_int_equal(rig_open(rig, "iio"), 0);
    assert_int_equal(rig->channel_count, 3);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "pressure", 92947, 0, "Pa");
    rig_expect(rig, "temp", 24738, 3, "Cel");
    rig_expect(rig, "illuminance", -5, 1, "lx");
}

/* The records of a channel are smaller while its decimals are the usual ones. */
static void test_decimals_are_the_usual_ones(void **state)
{
    struct rig *rig = *state;
    put(rig, 0, "name", "chip\n");
    put(rig, 0, "in_pressure_input", "101.325390625\n");
    put(rig, 0, "in_temp_input", "21500\n");
    put(rig, 0, "in_voltage0_raw", "100\n");
    put(rig, 0, "in_voltage0_scale", "0.805664062\n");
    assert_int_equal(rig_open(rig, "iio"), 0);
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(rig_sample(rig), 0);
        for (int i = 0; i < rig->channel_count; i++)
            assert_int_equal(rig->sample.values[i].decimals, rig->channels[i].decimals);
        put(rig, 0, "in_pressure_input", "101.250000000\n");
        put(rig, 0, "in_temp_input", "0\n");
        put(rig, 0, "in_voltage0_raw", "0\n");
    }
    rig_expect(rig, "pressure", 101250000000, 6, "Pa");
    put(rig, 0, "in_temp_input", "21500.25\n"); /* more than usual is kept */
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "temp", 2150025, 5, "Cel");
}

static void test_scales_are_shared_and_may_change(void **state)
{
    struct rig *rig = *state;
    put(rig, 0, "name", "adc\n");
    put(rig, 0, "in_voltage0_raw", "4095\n");
    put(rig, 0, "in_voltage1_raw", "1000\n");
    put(rig, 0, "in_voltage_scale", "0.805664062\n");
    put(rig, 0, "in_accel_x_raw", "10\n");
    put(rig, 0, "in_scale", "0.5\n");
    put(rig, 0, "in_temp_raw", "100\n");
    put(rig, 0, "in_temp_scale", "10\n");
    put(rig, 0, "in_temp_offset", "-0.5\n");
    assert_int_equal(rig_open(rig, "iio"), 0);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "voltage0", 32991943, 7, "V"); /* 3299.19433389 mV */
    rig_expect(rig, "voltage1", 8056641, 7, "V");
    rig_expect(rig, "accel_x", 50, 1, "m/s2");
    rig_expect(rig, "temp", 995, 3, "Cel");
    put(rig, 0, "in_voltage_scale", "0.402832031\n");
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "voltage1", 4028320, 7, "V");
}

static void test_devices_are_found_by_name_label_and_place(void **state)
{
    static const char *const wanted[] = {"inlet", "ads1015@1-0049", "iio:device1", NULL};
    struct rig *rig = *state;
    put_at(rig, 0, "1-0048", "ads1015\n");
    put(rig, 0, "in_voltage0_raw", "1\n");
    put_at(rig, 1, "1-0049", "ads1015\n");
    put(rig, 1, "label", "inlet\n");
    put(rig, 1, "in_voltage0_raw", "2\n");
    for (size_t i = 0; wanted[i] != NULL; i++) {
        rig_set(rig, NULL, NULL);
        rig_set(rig, "device", wanted[i]);
        assert_int_equal(rig_open(rig, "iio"), 0);
        assert_int_equal(rig_sample(rig), 0);
        rig_expect(rig, "voltage0", 2, 0, "");
    }
    rig_set(rig, NULL, NULL);
    rig_set(rig, "device", "ads1015");
    assert_int_equal(rig_open(rig, "iio"), E_INVALID);
    assert_non_null(strstr(rig->fault, "more than one device called ads1015"));
    assert_non_null(strstr(rig->fault, " ads1015@1-0048 ads1015@1-0049"));
    rig_set(rig, NULL, NULL);
    rig_set(rig, "device", "bme280");
    assert_int_equal(rig_open(rig, "iio"), E_NOT_FOUND);
    assert_non_null(strstr(rig->fault, "no device called bme280"));
}

static void test_channels_are_chosen_named_and_sorted(void **state)
{
    static const char *const names[] = {"supply", "voltage2", "voltage10"};
    struct rig *rig = *state;
    put(rig, 0, "name", "adc\n");
    put(rig, 0, "in_voltage10_raw", "1\n");
    put(rig, 0, "in_voltage2_raw", "1\n");
    put(rig, 0, "in_voltage0_raw", "1\n");
    put(rig, 0, "in_voltage0_label", "Supply\n");
    put(rig, 0, "in_accel_x_raw", "1\n");
    put(rig, 0, "in_accel_x_peak_raw", "9\n");
    rig_set(rig, "channels", "voltage, accel_y");
    assert_int_equal(rig_open(rig, "iio"), 0);
    assert_int_equal(rig->channel_count, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(rig->channels[i].name, names[i]);
    assert_int_equal(rig_sample(rig), 0);
    assert_non_null(strstr(rig->driver->lack(rig->instance), "no channel accel_y"));
    rig_set(rig, NULL, NULL);
    rig_set(rig, "channels", "accel_x_peak");
    assert_int_equal(rig_open(rig, "iio"), 0);
    assert_string_equal(rig->channels[0].name, "accel_x_peak");
    rig_set(rig, NULL, NULL);
    assert_int_equal(rig_open(rig, "iio"), 0);
    assert_int_equal(rig->channel_count, 4); /* the peak was not asked for */
}

static void test_absence_unplugging_and_coming_back(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(error_errno(rig_open(rig, "iio")), ENOENT);
    assert_non_null(strstr(rig->fault, "CONFIG_IIO"));
    put(rig, 0, "name", "adc\n");
    assert_int_equal(rig_open(rig, "iio"), E_NOT_FOUND);
    assert_non_null(strstr(rig->fault, "adc has no channel"));
    put(rig, 0, "in_voltage0_raw", "1\n");
    assert_int_equal(rig_open(rig, "iio"), 0);
    assert_int_equal(rig_sample(rig), 0);
    drop(rig, 0, "in_voltage0_raw");
    drop(rig, 0, "name");
    rig_remove(rig, "sys/bus/iio/devices/iio:device0");
    put(rig, 0, "name", "another\n"); /* which got its number: it is not taken for the first */
    put(rig, 0, "in_voltage0_raw", "1000\n");
    assert_int_equal(error_errno(rig_sample(rig)), ENOENT);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "in_voltage0_raw"));
    assert_non_null(strstr(rig->driver->fault(rig->instance), "unplugged"));
    rig_set(rig, "device", "adc");
    assert_int_equal(rig_open(rig, "iio"), E_NOT_FOUND);
    put(rig, 0, "name", "adc\n");
    assert_int_equal(rig_open(rig, "iio"), 0);
    assert_int_equal(rig_sample(rig), 0);
}

static void test_garbage_leaves_the_others(void **state)
{
    static const struct {
        const char *attribute;
        const char *text;
    } rows[] = {
        {"in_voltage0_raw", ""},
        {"in_voltage0_raw", "12x\n"},
        {"in_voltage0_raw", "1 2 3 4\n"},
        {"in_voltage0_raw", "9223372036854775808\n"},
        {"in_voltage0_raw", "\xff\x01\n"},
        {"in_voltage0_raw", "1.2345678901234567890\n"},
        {"in_voltage0_scale", "much\n"},
        {"in_voltage0_scale", "1.000000 dB\n"},
        {"in_voltage0_scale", "99999999999999999999999999999999\n"},
        {"in_voltage0_offset", "-\n"},
    };
    struct rig *rig = *state;
    put(rig, 0, "name", "adc\n");
    put(rig, 0, "in_temp_input", "20000\n");
    put(rig, 0, "in_voltage0_raw", "1\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put(rig, 0, "in_voltage0_raw", "1\n");
        put(rig, 0, "in_voltage0_scale", "1\n");
        put(rig, 0, "in_voltage0_offset", "1\n");
        assert_int_equal(rig_open(rig, "iio"), 0);
        assert_int_equal(rig_sample(rig), 0);
        assert_int_equal(rig_value(rig, "voltage0")->kind, VALUE_DECIMAL);
        put(rig, 0, rows[i].attribute, rows[i].text);
        assert_int_equal(rig_sample(rig), 0);
        assert_int_equal(rig_value(rig, "voltage0")->kind, VALUE_ABSENT);
        rig_expect(rig, "temp", 20000, 3, "Cel");
        assert_non_null(strstr(rig->driver->lack(rig->instance), "iio:device0/in_voltage0_raw"));
    }
    put(rig, 0, "in_temp_input", "warm\n");
    assert_int_equal(rig_sample(rig), E_SYNTAX);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "malformed"));
}

static void test_numbers_that_do_not_fit_are_refused_and_not_cut(void **state)
{
    struct rig *rig = *state;
    put(rig, 0, "name", "adc\n");
    put(rig, 0, "in_resistance_raw", "9223372036854775807\n");
    put(rig, 0, "in_resistance_scale", "1\n");
    assert_int_equal(rig_open(rig, "iio"), 0);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "resistance", INT64_MAX, 0, "Ohm");
    put(rig, 0, "in_resistance_scale", "2\n");
    assert_int_equal(rig_sample(rig), E_RANGE);
    put(rig, 0, "in_resistance_scale", "1\n");
    put(rig, 0, "in_resistance_offset", "1\n");
    assert_int_equal(rig_open(rig, "iio"), 0);
    assert_int_equal(rig_sample(rig), E_RANGE);
}

static void test_more_channels_than_fit_are_cut_off(void **state)
{
    struct rig *rig = *state;
    char attribute[32];
    put(rig, 0, "name", "adc\n");
    for (unsigned i = 40; i > 0; i--) {
        (void)snprintf(attribute, sizeof attribute, "in_voltage%u_raw", i);
        put(rig, 0, attribute, "1\n");
    }
    put(rig, 0, "in_a-name-longer-than-any-channel-of-the-kernel-can-have_raw", "1\n");
    assert_int_equal(rig_open(rig, "iio"), 0);
    assert_int_equal(rig->channel_count, SAMPLE_CHANNELS_MAX);
    assert_string_equal(rig->channels[0].name, "voltage1");
    assert_string_equal(rig->channels[31].name, "voltage32");
}

static void test_a_deadline_that_passed_leaves_the_rest_for_later(void **state)
{
    struct rig *rig = *state;
    put(rig, 0, "name", "adc\n");
    put(rig, 0, "in_voltage0_raw", "1\n");
    put(rig, 0, "in_voltage1_raw", "2\n");
    assert_int_equal(rig_open(rig, "iio"), 0);
    assert_int_equal(rig->driver->fetch(rig->instance, 0), 0);
    assert_int_equal(rig->driver->read(rig->instance, &rig->sample), 0);
    rig_expect(rig, "voltage0", 1, 0, "");
    assert_int_equal(rig_value(rig, "voltage1")->kind, VALUE_ABSENT);
    assert_non_null(strstr(rig->driver->lack(rig->instance), "in_voltage1_raw: the deadline"));
    stop_request(&rig->stop);
    assert_int_equal(rig_sample(rig), E_STOP);
}

static void test_a_list_of_no_channels_is_named(void **state)
{
    struct rig *rig = *state;
    const struct driver *driver = driver_find("iio");
    assert_null(driver->check(&rig->context));
    rig_set(rig, "channels", " temp");
    assert_null(driver->check(&rig->context));
    rig_set(rig, NULL, NULL);
    rig_set(rig, "channels", " , ");
    assert_string_equal(driver->check(&rig->context), "channels");
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_the_dummy_device_is_read_exactly),
        RIG_TEST(test_every_type_has_its_unit),
        RIG_TEST(test_what_the_kernel_scaled_is_taken_as_it_is),
        RIG_TEST(test_decimals_are_the_usual_ones),
        RIG_TEST(test_scales_are_shared_and_may_change),
        RIG_TEST(test_devices_are_found_by_name_label_and_place),
        RIG_TEST(test_channels_are_chosen_named_and_sorted),
        RIG_TEST(test_absence_unplugging_and_coming_back),
        RIG_TEST(test_garbage_leaves_the_others),
        RIG_TEST(test_numbers_that_do_not_fit_are_refused_and_not_cut),
        RIG_TEST(test_more_channels_than_fit_are_cut_off),
        RIG_TEST(test_a_list_of_no_channels_is_named),
        RIG_TEST(test_a_deadline_that_passed_leaves_the_rest_for_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
