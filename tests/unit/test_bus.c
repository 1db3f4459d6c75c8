/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "drivers/bus/settings.h"
#include "drivers/bus/ticker.h"
#include "platform/base/error.h"

static const struct driver_setting items[] = {
    {"bus", "0x48"},
    {"channels[0].name", "power"},
    {"channels[0].register", "12"},
    {"channels[2].name", "energy"},
    {"channels_more[7].name", "not ours"},
    {"command[0]", "/bin/true"},
    {"command[1]", "-x"},
    {"masks[x].name", "no number"},
};
static const struct driver_context context = {.settings = items,
                                              .setting_count = sizeof items / sizeof items[0]};

static void test_lists_are_counted_and_read(void **state)
{
    (void)state;
    assert_int_equal(settings_count(&context, "channels"), 3);
    assert_int_equal(settings_count(&context, "command"), 2);
    assert_int_equal(settings_count(&context, "masks"), 0);
    assert_int_equal(settings_count(&context, "bus"), 0);
    assert_string_equal(settings_member(&context, "channels", 0, "register"), "12");
    assert_string_equal(settings_member(&context, "channels", 2, "name"), "energy");
    assert_null(settings_member(&context, "channels", 1, "name"));
    assert_null(settings_member(&context, "channels", 0, "nam"));
    assert_string_equal(settings_member(&context, "command", 1, ""), "-x");
    assert_null(settings_member(&context, "command", 2, ""));
}

static void test_numbers_are_read_in_both_bases(void **state)
{
    (void)state;
    assert_int_equal(settings_integer("0x48", 1), 0x48);
    assert_int_equal(settings_integer("0xffffffff", 1), 0xffffffff);
    assert_int_equal(settings_integer("-12", 1), -12);
    assert_int_equal(settings_integer(NULL, 1), 1);
    assert_int_equal(settings_integer("0x", 1), 1);
    assert_int_equal(settings_integer("0xzz", 1), 1);
    assert_int_equal(settings_integer("0x123456789", 1), 1);
    assert_int_equal(settings_integer("0x-48", 1), 1);
    assert_int_equal(settings_integer("0x 48", 1), 1);
    assert_int_equal(settings_integer("0x0x48", 1), 1);
    assert_int_equal(settings_integer("12 ", 1), 1);
    assert_true(settings_boolean("true", false));
    assert_false(settings_boolean("false", true));
    assert_true(settings_boolean(NULL, true));
}

static void test_keys_are_written_as_they_are_read(void **state)
{
    char key[SETTINGS_KEY_BYTES];
    (void)state;
    assert_string_equal(settings_key(key, "channels", 2, "name"), "channels[2].name");
    assert_string_equal(settings_key(key, "command", 1, ""), "command[1]");
}

static void test_a_fault_is_where_it_was_written(void **state)
{
    static const struct driver_setting settings[] = {
        {"lines[1].name", "a"}, {"lines[1].mode", "b"}, {"lines[10].name", "c"}};
    const struct driver_context three = {.settings = settings, .setting_count = 3};
    (void)state;
    assert_ptr_equal(settings_written(&three, "lines", 1, "mode"), settings[1].key);
    assert_ptr_equal(settings_written(&three, "lines", 1, "unit"), settings[0].key);
    assert_ptr_equal(settings_written(&three, "lines", 10, "name"), settings[2].key);
    assert_string_equal(settings_written(&three, "lines", 0, "name"), "lines");
}

static bool is_readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return poll(&wait, 1, 0) == 1;
}

static void wait_readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 60000), 1);
}

static void test_a_ticker_tells_of_slots_and_of_the_device(void **state)
{
    struct ticker ticker;
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(ticker_open(&ticker, ends[0], 50), 0);
    wait_readable(ticker.epoll_fd);
    assert_true(ticker_is_due(&ticker));
    assert_int_equal(write(ends[1], "x", 1), 1);
    wait_readable(ticker.epoll_fd);
    wait_readable(ticker.timer_fd); /* more slots than one may have passed */
    assert_true(ticker_is_due(&ticker));
    ticker_close(&ticker);
    ticker_close(&ticker);
    assert_int_equal(ticker.epoll_fd, -1);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void test_a_ticker_without_interval_is_never_due(void **state)
{
    struct ticker ticker;
    (void)state;
    assert_int_equal(ticker_open(&ticker, -1, 0), 0);
    assert_false(is_readable(ticker.epoll_fd));
    assert_false(ticker_is_due(&ticker));
    ticker_close(&ticker);
}

static void test_a_device_that_cannot_be_waited_for_is_an_error(void **state)
{
    struct ticker ticker;
    (void)state;
    assert_true(ticker_open(&ticker, 987654, 10) < 0);
    assert_int_equal(ticker.epoll_fd, -1);
    ticker_close(&ticker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists_are_counted_and_read),
        cmocka_unit_test(test_numbers_are_read_in_both_bases),
        cmocka_unit_test(test_keys_are_written_as_they_are_read),
        cmocka_unit_test(test_a_fault_is_where_it_was_written),
        cmocka_unit_test(test_a_ticker_tells_of_slots_and_of_the_device),
        cmocka_unit_test(test_a_ticker_without_interval_is_never_due),
        cmocka_unit_test(test_a_device_that_cannot_be_waited_for_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
