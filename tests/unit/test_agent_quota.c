/* SPDX-License-Identifier: Apache-2.0 */
/* How often something is told, at the ends of what times and numbers can be. */
#include "tests/unit/unit.h"

#include "agent/agent_quota.h"

#define HOUR INT64_C(3600000)

static const struct agent_quota_rule rule = {.burst = 4, .every_ms = HOUR};

/* How many may be taken at NOW_MS. */
static unsigned take_all(struct agent_quota *quota, const struct agent_quota_rule *of,
                         int64_t now_ms)
{
    unsigned count = 0;
    while (count < 1000 && agent_quota_ms(quota, of) <= now_ms) {
        agent_quota_take(quota, of, now_ms);
        count++;
    }
    return count;
}

static void test_a_burst_and_then_one_an_hour(void **state)
{
    struct agent_quota quota = {0};
    int64_t now_ms = 1;
    (void)state;
    assert_int_equal(take_all(&quota, &rule, now_ms), 4);
    assert_int_equal(agent_quota_ms(&quota, &rule), now_ms + HOUR);
    assert_int_equal(take_all(&quota, &rule, now_ms + HOUR - 1), 0);
    assert_int_equal(take_all(&quota, &rule, now_ms + HOUR), 1);
    assert_int_equal(take_all(&quota, &rule, now_ms + 3 * HOUR), 2);
    assert_int_equal(take_all(&quota, &rule, now_ms + 1000 * HOUR), 4);
}

static void test_one_at_a_time(void **state)
{
    const struct agent_quota_rule of = {.burst = 1, .every_ms = HOUR};
    struct agent_quota quota = {0};
    (void)state;
    assert_int_equal(take_all(&quota, &of, 5), 1);
    assert_int_equal(take_all(&quota, &of, 4 + HOUR), 0);
    assert_int_equal(take_all(&quota, &of, 5 + HOUR), 1);
}

/* Whatever the pattern: in any time no more than the burst and what that time gives. */
static void test_never_more(void **state)
{
    (void)state;
    for (int64_t step_ms = 1; step_ms < 10 * HOUR; step_ms = step_ms * 3 + 7) {
        struct agent_quota quota = {0};
        int64_t now_ms = 1;
        unsigned taken = 0;
        for (int i = 0; i < 2000; i++, now_ms += step_ms)
            taken += take_all(&quota, &rule, now_ms);
        assert_true(taken <= 4 + (now_ms - step_ms) / HOUR);
    }
}

/* A machine that has run for 2^32 ms, for the longest that a clock counts, and one that was asleep
 * for years. */
static void test_late_clocks(void **state)
{
    static const int64_t starts_ms[] = {INT64_C(1) << 31, INT64_C(1) << 32, INT64_C(1) << 53,
                                        INT64_MAX - 100 * HOUR};
    (void)state;
    for (size_t i = 0; i < sizeof starts_ms / sizeof *starts_ms; i++) {
        struct agent_quota quota = {0};
        assert_int_equal(take_all(&quota, &rule, starts_ms[i]), 4);
        assert_int_equal(take_all(&quota, &rule, starts_ms[i] + HOUR - 1), 0);
        assert_int_equal(take_all(&quota, &rule, starts_ms[i] + HOUR), 1);
        assert_int_equal(take_all(&quota, &rule, starts_ms[i] + 50 * HOUR), 4);
    }
}

static void test_a_trouble_is_told_as_it_is(void **state)
{
    struct agent_trouble trouble = {0};
    (void)state;
    assert_false(agent_quota_note_trouble(&trouble, false, 0));
    assert_true(agent_quota_note_trouble(&trouble, true, 100));
    assert_true(agent_quota_note_trouble(&trouble, true, 200));
    assert_int_equal(trouble.since_ms, 100);
    assert_int_equal(trouble.changes, 1);
    agent_quota_tell_trouble(&trouble, &rule, 300);
    assert_false(agent_quota_note_trouble(&trouble, true, 100));
    assert_true(agent_quota_note_trouble(&trouble, false, 0));
    assert_int_equal(trouble.since_ms, 100);
    agent_quota_tell_trouble(&trouble, &rule, 400);
    assert_int_equal(trouble.changes, 0);
    assert_false(agent_quota_note_trouble(&trouble, false, 0));
}

/* What came and went untold is no news, but it counts. */
static void test_a_trouble_that_comes_and_goes(void **state)
{
    struct agent_trouble trouble = {0};
    (void)state;
    for (int64_t i = 1; i <= 10; i++) {
        assert_true(agent_quota_note_trouble(&trouble, true, i));
        assert_false(agent_quota_note_trouble(&trouble, false, 0));
    }
    assert_true(agent_quota_note_trouble(&trouble, true, 11));
    assert_int_equal(trouble.changes, 21);
    agent_quota_tell_trouble(&trouble, &rule, 12);
    assert_int_equal(trouble.changes, 0);
}

static void test_a_tally(void **state)
{
    struct agent_tally tally = {0};
    (void)state;
    assert_false(agent_quota_note_tally(&tally, 0, 10));
    assert_true(agent_quota_note_tally(&tally, 3, 20));
    assert_true(agent_quota_note_tally(&tally, UINT64_MAX, 30));
    assert_int_equal(tally.since_ms, 20);
    agent_quota_tell_tally(&tally, &rule, UINT64_MAX, 40);
    assert_false(agent_quota_note_tally(&tally, UINT64_MAX, 50));
    /* The route was opened anew, and counts from 0. */
    assert_false(agent_quota_note_tally(&tally, 0, 60));
    assert_true(agent_quota_note_tally(&tally, 1, 70));
    assert_int_equal(tally.told, 0);
    assert_int_equal(tally.since_ms, 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_burst_and_then_one_an_hour),
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_never_more),
        cmocka_unit_test(test_late_clocks),
        cmocka_unit_test(test_a_trouble_is_told_as_it_is),
        cmocka_unit_test(test_a_trouble_that_comes_and_goes),
        cmocka_unit_test(test_a_tally),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
