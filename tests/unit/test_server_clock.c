/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "agent/uplink/server_clock.h"

enum { MINUTE_MS = 60000, BOOT_MS = 5000 };

static const int64_t date_ms = 1789000000000;

static void test_our_clock_is_signed_until_a_reply_tells_the_time(void **state)
{
    struct server_clock clock = {.known = false};
    (void)state;
    assert_int_equal(server_clock_sign(&clock, BOOT_MS, 1000), 1000);
    assert_false(server_clock_is_skewed(&clock));
}

static void test_a_clock_that_agrees_is_finer(void **state)
{
    struct server_clock clock = {.known = false};
    (void)state;
    server_clock_learn(&clock, BOOT_MS, date_ms);
    for (int minutes = -4; minutes <= 4; minutes++) {
        int64_t ours_ms = date_ms + 500 + minutes * MINUTE_MS;
        assert_int_equal(server_clock_sign(&clock, BOOT_MS, ours_ms), ours_ms);
        assert_false(server_clock_is_skewed(&clock));
    }
}

static void test_the_servers_time_is_signed_where_ours_is_far_off(void **state)
{
    struct server_clock clock = {.known = false};
    (void)state;
    int64_t ours_ms = date_ms + 500 - 4 * MINUTE_MS - 1;
    (void)server_clock_sign(&clock, BOOT_MS, ours_ms);
    server_clock_learn(&clock, BOOT_MS, date_ms);
    assert_true(server_clock_is_skewed(&clock));
    assert_int_equal(server_clock_sign(&clock, BOOT_MS + 70, ours_ms + 70), date_ms + 570);
    assert_false(server_clock_is_skewed(&clock));
    assert_int_equal(server_clock_sign(&clock, BOOT_MS, date_ms + 501 + 4 * MINUTE_MS),
                     date_ms + 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_our_clock_is_signed_until_a_reply_tells_the_time),
        cmocka_unit_test(test_a_clock_that_agrees_is_finer),
        cmocka_unit_test(test_the_servers_time_is_signed_where_ours_is_far_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
