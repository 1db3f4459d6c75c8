/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "agent/uplink/backoff.h"

static int64_t next(struct backoff *backoff, enum backoff_kind kind, uint64_t random)
{
    return backoff_next_ms(backoff, kind, -1, random);
}

/* The longest waits double from the base up to the cap, and never end. */
static void test_spans_double_up_to_the_cap(void **state)
{
    static const struct {
        int64_t base_ms, cap_ms;
    } kinds[] = {[BACKOFF_TRANSIENT] = {1000, 300000},
                 [BACKOFF_THROTTLE] = {1000, 300000},
                 [BACKOFF_CREDENTIALS] = {1000, 30000},
                 [BACKOFF_OPERATOR] = {60000, 900000}};
    (void)state;
    for (enum backoff_kind kind = BACKOFF_TRANSIENT; kind <= BACKOFF_OPERATOR; kind++) {
        struct backoff backoff = {0};
        int64_t expected = kinds[kind].base_ms;
        for (int i = 0; i < 1000; i++) {
            assert_int_equal(next(&backoff, kind, UINT64_MAX), expected);
            expected = 2 * expected < kinds[kind].cap_ms ? 2 * expected : kinds[kind].cap_ms;
        }
    }
}

static void test_full_jitter(void **state)
{
    (void)state;
    struct backoff backoff = {0};
    assert_int_equal(next(&backoff, BACKOFF_TRANSIENT, 0), 0);
    assert_int_equal(next(&backoff, BACKOFF_TRANSIENT, UINT64_MAX / 2), 1000);
    assert_int_equal(next(&backoff, BACKOFF_TRANSIENT, UINT64_MAX / 4), 1000);
    /* What somebody must mend is never asked for more often than every 30 s. */
    assert_int_equal(next(&backoff, BACKOFF_OPERATOR, 0), 30000);
}

static void test_reset_and_change_of_class(void **state)
{
    struct backoff backoff = {0};
    (void)state;
    for (int i = 0; i < 20; i++)
        (void)next(&backoff, BACKOFF_TRANSIENT, UINT64_MAX);
    backoff_reset(&backoff);
    assert_int_equal(next(&backoff, BACKOFF_TRANSIENT, UINT64_MAX), 1000);
    assert_int_equal(next(&backoff, BACKOFF_TRANSIENT, UINT64_MAX), 2000);
    assert_int_equal(next(&backoff, BACKOFF_OPERATOR, UINT64_MAX), 60000);
    assert_int_equal(next(&backoff, BACKOFF_TRANSIENT, UINT64_MAX), 1000);
}

/* 503 and 429 by turns: that is one overload, not a new one each time. */
static void test_overload_has_two_names(void **state)
{
    struct backoff backoff = {0};
    (void)state;
    assert_int_equal(next(&backoff, BACKOFF_TRANSIENT, UINT64_MAX), 1000);
    assert_int_equal(next(&backoff, BACKOFF_THROTTLE, UINT64_MAX), 2000);
    assert_int_equal(next(&backoff, BACKOFF_TRANSIENT, UINT64_MAX), 4000);
}

static void test_retry_after(void **state)
{
    struct backoff backoff = {0};
    (void)state;
    assert_int_equal(backoff_next_ms(&backoff, BACKOFF_TRANSIENT, 7000, 0), 7000);
    assert_int_equal(backoff_next_ms(&backoff, BACKOFF_TRANSIENT, 7000, UINT64_MAX), 8000);
    assert_int_equal(backoff_next_ms(&backoff, BACKOFF_TRANSIENT, 0, 0), 0);
    assert_int_equal(backoff_next_ms(&backoff, BACKOFF_TRANSIENT, INT64_MAX, 0), 300000);
}

/* Who asks for no wait at all, and fails each time, is not asked ever so often. */
static void test_retry_after_is_no_hurry(void **state)
{
    struct backoff backoff = {0};
    (void)state;
    for (int i = 0; i < 20; i++)
        (void)backoff_next_ms(&backoff, BACKOFF_TRANSIENT, 0, UINT64_MAX);
    assert_int_equal(backoff_next_ms(&backoff, BACKOFF_TRANSIENT, 0, UINT64_MAX), 300000);
    assert_int_equal(backoff_next_ms(&backoff, BACKOFF_OPERATOR, 0, 0), 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spans_double_up_to_the_cap),
        cmocka_unit_test(test_full_jitter),
        cmocka_unit_test(test_reset_and_change_of_class),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_retry_after_is_no_hurry),
        cmocka_unit_test(test_overload_has_two_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
