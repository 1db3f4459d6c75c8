/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "agent/control/remedy.h"
#include "agent/control/sensor_view.h"
#include "platform/base/error.h"

enum { CHECK_COLUMNS = 90 };

static const struct driver_setting settings[] = {{"path", "/dev/ttyS1"}, {"line", "ttyS1"}};
static const struct driver bus_driver = {.name = "meter", .bus_key = "line"};
static const struct cfg_sensor sensor = {.name = "boiler",
                                         .driver_name = "meter",
                                         .driver = &bus_driver,
                                         .interval_ms = 1500,
                                         .timeout_ms = 200,
                                         .lane = CFG_LANE_ALARM,
                                         .settings = settings,
                                         .setting_count = 2};

static void expect(const struct sensor_view *view, const char *expected)
{
    char text[2048];
    struct writer out;
    struct json_write json;
    writer_to_memory(&out, text, sizeof text);
    json_write_start(&json, &out);
    json_write_object_begin(&json, NULL);
    sensor_view_write(view, &json);
    json_write_object_end(&json);
    assert_int_equal(writer_finish(&out), 0);
    assert_string_equal(text, expected);
}

#define SETUP                                                                                      \
    "{\"boiler\":{\"driver\":\"meter\",\"place\":\"ttyS1\",\"stream\":false,\"at_interval\":true," \
    "\"lane\":\"alarm\","                                                                          \
    "\"interval_s\":1.500,\"timeout_s\":0.200"

static void test_a_configured_sensor(void **state)
{
    const struct sensor_view view = {.config = &sensor, .age_ms = -1};
    (void)state;
    expect(&view, SETUP "}}");
    assert_string_equal(sensor_view_place(&sensor), "ttyS1");
    struct cfg_sensor plain = sensor;
    plain.setting_count = 1;
    assert_string_equal(sensor_view_place(&plain), "/dev/ttyS1");
    plain.setting_count = 0;
    assert_null(sensor_view_place(&plain));
}

static void test_values_keep_their_digits(void **state)
{
    const struct channel channels[] = {{"temp", "Cel", 2}, {"mode", "", 0}, {"gone", "V", 0}};
    const struct value values[] = {{.kind = VALUE_DECIMAL, .mantissa = 2150, .decimals = 2},
                                   {.kind = VALUE_TEXT, .text = "a\"b", .text_bytes = 3},
                                   {.kind = VALUE_ABSENT}};
    const struct sensor_view view = {.config = &sensor,
                                     .known = true,
                                     .state = "running",
                                     .lack = "gone: no answer",
                                     .samples = 3,
                                     .age_ms = 250,
                                     .channel_count = 3,
                                     .channels = channels,
                                     .values = values};
    (void)state;
    expect(
        &view, SETUP
        ",\"state\":\"running\",\"samples\":3,\"errors\":0,\"missed\":0,\"age_s\":0.250,"
        "\"values\":{\"temp\":{\"value\":21.50,\"unit\":\"Cel\",\"meaning\":\"degrees Celsius\"},"
        "\"mode\":{\"value\":\"a\\\"b\"},\"gone\":{\"unit\":\"V\",\"meaning\":\"volts\"}},"
        "\"missing\":\"gone: no answer\",\"fault\":null}}");
}

static void test_a_fault_is_named_and_numbered(void **state)
{
    struct sensor_view view = {.config = &sensor,
                               .known = true,
                               .state = "failing",
                               .error = "/dev/ttyS1: absent",
                               .code = error_sys(ENOENT),
                               .age_ms = -1};
    (void)state;
    expect(&view, SETUP
           ",\"state\":\"failing\",\"samples\":0,\"errors\":0,\"missed\":0,\"age_s\":null,"
           "\"values\":{},\"missing\":null,\"fault\":{\"text\":\"/dev/ttyS1: absent\","
           "\"meaning\":\"No such file or directory\",\"name\":\"ENOENT\",\"errno\":2,\"check\":["
           "\"is it there: a device plugged in and powered (see dmesg), a program installed?\","
           "\"is the path in the configuration spelt as it is on this machine?\","
           "\"is the kernel's driver there? lsmod; zcat /proc/config.gz\"]}}}");
    view.code = E_STOP; /* nobody knows a remedy */
    expect(&view,
           SETUP ",\"state\":\"failing\",\"samples\":0,\"errors\":0,\"missed\":0,\"age_s\":null,"
                 "\"values\":{},\"missing\":null,\"fault\":{\"text\":\"/dev/ttyS1: absent\","
                 "\"meaning\":\"asked to stop\",\"name\":null,\"check\":[]}}}");
}

/* What a sensor may fail with is on the list, and says something in a line or two. */
static void test_each_error_has_something_to_check(void **state)
{
    static const int codes[] = {E_TIMEOUT, E_NOT_FOUND, E_CLOSED,  E_BUSY,    E_SYNTAX,
                                E_RANGE,   E_DAMAGED,   E_TOO_BIG, E_INVALID, E_CHECKSUM};
    static const int numbers[] = {ENOENT, ENODEV, ENXIO,  EIO,          EACCES,      EPERM,
                                  EBUSY,  EINVAL, ENOTTY, ECONNREFUSED, EHOSTUNREACH};
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        assert_int_equal(remedy_find(codes[i])->number, codes[i]);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        assert_int_equal(remedy_find(error_sys(numbers[i]))->number, numbers[i]);
    for (int code = -2000; code < 0; code++) {
        const struct remedy *remedy = remedy_find(code);
        if (remedy == NULL)
            continue;
        assert_non_null(remedy->checks[0]);
        for (size_t i = 0; remedy->checks[i] != NULL; i++)
            assert_in_range(strlen(remedy->checks[i]), 10, CHECK_COLUMNS);
    }
    assert_null(remedy_find(E_STOP));
    assert_null(remedy_find(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_configured_sensor),
        cmocka_unit_test(test_values_keep_their_digits),
        cmocka_unit_test(test_a_fault_is_named_and_numbered),
        cmocka_unit_test(test_each_error_has_something_to_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
