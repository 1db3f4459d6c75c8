/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "agent/intake/schedule.h"

static void test_slots_do_not_drift(void **state)
{
    struct schedule schedule;
    (void)state;
    schedule_start(&schedule, 1000, 5000);
    for (int64_t i = 0; i < 1000; i++) {
        assert_int_equal(schedule_due_ms(&schedule), 5000 + i * 1000);
        schedule_succeeded(&schedule, 5000 + i * 1000 + i % 999); /* late every time */
    }
    assert_int_equal(schedule.missed, 0);
}

static void test_slots_that_passed_are_skipped_and_counted(void **state)
{
    struct schedule schedule;
    (void)state;
    schedule_start(&schedule, 100, 0);
    schedule_succeeded(&schedule, 99);
    assert_int_equal(schedule_due_ms(&schedule), 100);
    schedule_succeeded(&schedule, 200);
    assert_int_equal(schedule_due_ms(&schedule), 300);
    assert_int_equal(schedule.missed, 1);
    schedule_succeeded(&schedule, 799);
    assert_int_equal(schedule_due_ms(&schedule), 800);
    assert_int_equal(schedule.missed, 5);
    schedule_succeeded(&schedule, INT64_C(1) << 60);
    assert_true(schedule_due_ms(&schedule) > INT64_C(1) << 60);
}

static void test_the_back_off_doubles_up_to_its_limit(void **state)
{
    struct schedule schedule;
    int64_t ceiling_ms = SCHEDULE_BACKOFF_MS_MIN;
    (void)state;
    schedule_start(&schedule, 10, 0);
    for (int i = 0; i < 40; i++) {
        struct schedule lowest = schedule;
        schedule_failed(&lowest, 7000, (uint64_t)ceiling_ms * 12345);
        assert_int_equal(schedule_due_ms(&lowest), 7001);
        schedule_failed(&schedule, 7000, (uint64_t)ceiling_ms * 12345 - 1);
        assert_int_equal(schedule_due_ms(&schedule), 7000 + ceiling_ms);
        ceiling_ms =
            ceiling_ms * 2 < SCHEDULE_BACKOFF_MS_MAX ? ceiling_ms * 2 : SCHEDULE_BACKOFF_MS_MAX;
    }
    assert_int_equal(schedule.failures, 40);
}

static void test_after_a_failure_the_grid_is_kept(void **state)
{
    struct schedule schedule;
    (void)state;
    schedule_start(&schedule, 1000, 0);
    schedule_failed(&schedule, 10, 249);
    assert_int_equal(schedule_due_ms(&schedule), 260); /* sooner than the next slot */
    schedule_succeeded(&schedule, 265);
    assert_int_equal(schedule.failures, 0);
    assert_int_equal(schedule_due_ms(&schedule), 1000);
    schedule_failed(&schedule, 1001, 0);
    schedule_succeeded(&schedule, 3500);
    assert_int_equal(schedule_due_ms(&schedule), 4000);
    assert_int_equal(schedule.missed, 1);
}

static void test_a_stream_is_due_an_interval_after_its_last_news(void **state)
{
    struct schedule schedule;
    (void)state;
    schedule_start(&schedule, 1000, 0);
    schedule_failed(&schedule, 5, 0);
    schedule_restart(&schedule, 123456);
    assert_int_equal(schedule_due_ms(&schedule), 124456);
    assert_int_equal(schedule.failures, 0);
    assert_int_equal(schedule.missed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_do_not_drift),
        cmocka_unit_test(test_slots_that_passed_are_skipped_and_counted),
        cmocka_unit_test(test_the_back_off_doubles_up_to_its_limit),
        cmocka_unit_test(test_after_a_failure_the_grid_is_kept),
        cmocka_unit_test(test_a_stream_is_due_an_interval_after_its_last_news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
