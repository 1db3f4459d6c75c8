/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "drivers/driver.h"

static void test_each_driver_is_found_by_its_name(void **state)
{
    size_t count = 0;
    (void)state;
    for (const struct driver *driver; (driver = driver_at(count)) != NULL; count++)
        assert_ptr_equal(driver_find(driver->name), driver);
#define DRIVER(name)                                                                               \
    assert_non_null(driver_find(#name));                                                           \
    assert_false(driver_left_out(#name));
#define DRIVER_LEFT_OUT(name)                                                                      \
    assert_null(driver_find(#name));                                                               \
    assert_true(driver_left_out(#name));
#include "drivers/drivers.def"
#undef DRIVER
    assert_null(driver_at(count));
    assert_null(driver_at(count + 1));
    assert_null(driver_at(SIZE_MAX));
}

static void test_an_unknown_driver_is_not_found(void **state)
{
    (void)state;
    assert_null(driver_find("telepathy"));
    assert_null(driver_find(""));
    assert_null(driver_find("proc "));
    assert_false(driver_left_out("telepathy"));
}

static void test_what_was_left_out_has_a_symbol(void **state)
{
    char symbol[DRIVER_SYMBOL_BYTES];
    char longest[2 * DRIVER_SYMBOL_BYTES];
    const char *name;
    size_t count = 0;
    (void)state;
    for (; (name = driver_left_out_at(count)) != NULL; count++)
        assert_true(driver_left_out(name));
    assert_null(driver_left_out_at(count + 1));
    assert_null(driver_left_out_at(SIZE_MAX));
    driver_symbol("iio_buffer2", symbol);
    assert_string_equal(symbol, "CONFIG_DRIVER_IIO_BUFFER2");
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    driver_symbol(longest, symbol);
    assert_int_equal(strlen(symbol), DRIVER_SYMBOL_BYTES - 1);
}

static bool has_key(const struct driver *driver, const char *name)
{
    for (const struct driver_key *key = driver->keys; key->name != NULL; key++)
        if (strcmp(key->name, name) == 0)
            return true;
    return false;
}

static void test_each_driver_keeps_the_contract(void **state)
{
    (void)state;
    for (size_t i = 0; driver_at(i) != NULL; i++) {
        const struct driver *driver = driver_at(i);
        assert_non_null(driver->summary);
        assert_true(driver->instance_bytes > 0);
        assert_non_null(driver->open);
        assert_non_null(driver->channels);
        assert_non_null(driver->fetch);
        assert_non_null(driver->read);
        assert_non_null(driver->fault);
        assert_non_null(driver->close);
        for (const struct driver_key *key = driver->keys; key->name != NULL; key++)
            assert_true(strlen(key->help) > 10);
        for (const struct driver_limit *limit = driver->limits; limit != NULL && limit->key != NULL;
             limit++)
            assert_true(has_key(driver, limit->key) &&
                        driver_limit_of(driver, limit->key) == limit);
        assert_null(driver_limit_of(driver, "telepathy"));
        assert_true(driver->alone || driver->bus_key == NULL || has_key(driver, driver->bus_key));
    }
}

static void test_settings_are_found_by_key(void **state)
{
    const struct driver_setting settings[] = {{"path", "/a"}, {"baud", "9600"}};
    const struct driver_context context = {.settings = settings, .setting_count = 2};
    const struct driver_context none = {.setting_count = 0};
    (void)state;
    assert_string_equal(driver_setting(&context, "path"), "/a");
    assert_string_equal(driver_setting(&context, "baud"), "9600");
    assert_null(driver_setting(&context, "bau"));
    assert_null(driver_setting(&none, "path"));
}

static void test_units_are_those_of_senml(void **state)
{
    (void)state;
    assert_string_equal(driver_unit_meaning("Cel"), "degrees Celsius");
    assert_non_null(driver_unit_meaning("B"));
    assert_non_null(driver_unit_meaning("1/min"));
    assert_null(driver_unit_meaning("C°"));
    assert_null(driver_unit_meaning("cel"));
    assert_null(driver_unit_meaning(""));
#define UNIT(name, meaning) assert_true(sizeof(name) <= SAMPLE_UNIT_BYTES);
#include "drivers/units.def"
#undef UNIT
}

static void test_a_fault_is_cut_to_its_room(void **state)
{
    char fault[DRIVER_FAULT_BYTES + 1];
    (void)state;
    memset(fault, 'x', sizeof fault);
    driver_say(fault, "%*d", DRIVER_FAULT_BYTES * 2, 7);
    assert_int_equal(strlen(fault), DRIVER_FAULT_BYTES - 1);
    assert_int_equal(fault[DRIVER_FAULT_BYTES], 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_driver_is_found_by_its_name),
        cmocka_unit_test(test_what_was_left_out_has_a_symbol),
        cmocka_unit_test(test_an_unknown_driver_is_not_found),
        cmocka_unit_test(test_each_driver_keeps_the_contract),
        cmocka_unit_test(test_settings_are_found_by_key),
        cmocka_unit_test(test_units_are_those_of_senml),
        cmocka_unit_test(test_a_fault_is_cut_to_its_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
