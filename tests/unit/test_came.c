/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "agent/spool/came.h"

enum { SPAN_MS = 32000, APART_MS = SPAN_MS / CAME_PARTS };

static void test_nothing_noted(void **state)
{
    (void)state;
    const struct came came = {0};
    assert_int_equal(came_ms(&came, 7, -5), -5);
}

static void test_as_finely_as_asked_for(void **state)
{
    (void)state;
    struct came came = {0};
    came_note(&came, 10, 5000, SPAN_MS);
    came_note(&came, 11, 5000 + APART_MS - 1, SPAN_MS);
    came_note(&came, 12, 5000 + APART_MS, SPAN_MS);
    assert_int_equal(came_ms(&came, 10, -1), 5000);
    assert_int_equal(came_ms(&came, 11, -1), 5000);
    assert_int_equal(came_ms(&came, 12, -1), 5000 + APART_MS);
    assert_int_equal(came_ms(&came, 99, INT64_MAX), 5000 + APART_MS);
}

/* Those that were measured just now know it better. */
static void test_plausible_times_stay(void **state)
{
    (void)state;
    struct came came = {0};
    came_note(&came, 10, 5000, SPAN_MS);
    assert_int_equal(came_ms(&came, 11, 5000 + APART_MS), 5000 + APART_MS);
    assert_int_equal(came_ms(&came, 11, 5001 + APART_MS), 5000);
    assert_int_equal(came_ms(&came, 11, 4999), 5000);
}

static void test_what_came_before(void **state)
{
    (void)state;
    struct came came = {0};
    came_note(&came, 10, 5000, SPAN_MS);
    assert_int_equal(came_ms(&came, 9, 4000), 4000);
    assert_int_equal(came_ms(&came, 9, 6000), 5000);
}

/* All that is younger than the span is known, however many came. */
static void test_forgets_only_what_is_older_than_the_span(void **state)
{
    (void)state;
    struct came came = {0};
    uint64_t last = 100000;
    for (uint64_t i = 0; i <= last; i++)
        came_note(&came, i + 1, (int64_t)i * 100, SPAN_MS);
    for (uint64_t i = last - SPAN_MS / 100; i <= last; i++) {
        int64_t told_ms = came_ms(&came, i + 1, -1);
        assert_true(told_ms <= (int64_t)i * 100);
        assert_true(told_ms > (int64_t)i * 100 - APART_MS);
    }
    assert_int_equal(came_ms(&came, 1, -1), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_noted),
        cmocka_unit_test(test_as_finely_as_asked_for),
        cmocka_unit_test(test_plausible_times_stay),
        cmocka_unit_test(test_what_came_before),
        cmocka_unit_test(test_forgets_only_what_is_older_than_the_span),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
