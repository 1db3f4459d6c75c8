/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "agent/uplink/pace.h"

/* A destination that takes so many records a second and no burst beyond that. */
struct shard {
    int64_t rate;
    int64_t left; /* thousandths of a record */
    int64_t at_ms;
    uint64_t taken;
    uint64_t throttled;
};

static size_t put(struct shard *shard, int64_t now_ms, size_t records)
{
    shard->left += (now_ms - shard->at_ms) * shard->rate;
    shard->at_ms = now_ms;
    if (shard->left > shard->rate * 1000)
        shard->left = shard->rate * 1000;
    size_t most = (size_t)(shard->left / 1000);
    size_t taken = records < most ? records : most;
    shard->left -= (int64_t)taken * 1000;
    shard->taken += taken;
    shard->throttled += records - taken;
    return taken;
}

/* Sends as much as it may for so many seconds, with requests of at most 500 that take 20 ms. */
static void run(struct pace *pace, struct shard *shard, int64_t *now_ms, int64_t seconds)
{
    int64_t end_ms = *now_ms + seconds * 1000;
    while (*now_ms < end_ms) {
        size_t most = pace_records_max(pace);
        size_t records = most < 500 ? most : 500;
        *now_ms += pace_wait_ms(pace, *now_ms);
        pace_sent(pace, *now_ms, records);
        *now_ms += 20;
        size_t taken = put(shard, *now_ms, records);
        pace_answered(pace, *now_ms, taken, records - taken);
    }
}

static void test_unlimited_until_throttled(void **state)
{
    struct pace pace = {0};
    (void)state;
    for (int64_t now_ms = 1; now_ms < 100; now_ms++) {
        assert_int_equal(pace_wait_ms(&pace, now_ms), 0);
        assert_int_equal(pace_records_max(&pace), SIZE_MAX);
        pace_sent(&pace, now_ms, 500);
        pace_answered(&pace, now_ms, 500, 0);
    }
}

/* Whatever the destination takes: nearly all of it is used, and fewer records are sent in vain. */
static void test_finds_the_rate(void **state)
{
    static const int64_t rates[] = {50, 1000, 20000};
    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct pace pace = {0};
        struct shard shard = {.rate = rates[i]};
        int64_t now_ms = 1;
        run(&pace, &shard, &now_ms, 60);
        shard.taken = shard.throttled = 0;
        run(&pace, &shard, &now_ms, 600);
        assert_true(shard.taken > (uint64_t)rates[i] * 600 * 8 / 10);
        assert_true(shard.throttled < shard.taken);
    }
}

/* Records are throttled however slowly they come, as by a shard that others fill: to send less
 * would not help them, and would starve the rest. */
static void test_throttling_that_is_usual(void **state)
{
    uint32_t chance = 1;
    (void)state;
    for (uint32_t percent = 10; percent <= 70; percent += 10) {
        struct pace pace = {0};
        int64_t now_ms = 1;
        uint64_t taken = 0;
        while (now_ms < 600 * 1000) {
            size_t most = pace_records_max(&pace);
            size_t records = most < 500 ? most : 500;
            size_t passed = 0;
            now_ms += pace_wait_ms(&pace, now_ms);
            pace_sent(&pace, now_ms, records);
            now_ms += 20;
            for (size_t i = 0; i < records; i++) {
                chance = chance * 1664525 + 1013904223;
                passed += (chance >> 8) % 100 >= percent;
            }
            pace_answered(&pace, now_ms, passed, records - passed);
            taken += passed;
        }
        assert_true(taken > UINT64_C(600) * 25000 * (100 - percent) / 100 * 8 / 10);
    }
}

static void test_forgets_when_all_is_taken(void **state)
{
    struct pace pace = {0};
    struct shard shard = {.rate = 100};
    int64_t now_ms = 1;
    (void)state;
    run(&pace, &shard, &now_ms, 30);
    assert_true(pace.rate > 0);
    shard.rate = 1000 * 1000;
    run(&pace, &shard, &now_ms, 60);
    assert_int_equal(pace.rate, 0);
}

/* The worst that a reply can say, and clocks that stand still or jump: waits stay short. */
static void test_bounds(void **state)
{
    struct pace pace = {0};
    (void)state;
    pace_answered(&pace, 0, 0, SIZE_MAX / 4000);
    assert_in_range(pace_wait_ms(&pace, 0), 1, 10000);
    assert_in_range(pace_wait_ms(&pace, -1000000), 1, 10000);
    assert_int_equal(pace_wait_ms(&pace, INT64_MAX / 2), 0);
    for (int i = 0; i < 100; i++) {
        pace_sent(&pace, 7, 10);
        pace_answered(&pace, 7, 1, 9);
        assert_in_range(pace_wait_ms(&pace, 7), 1, 10000);
    }
    for (int i = 0; i < 100; i++) {
        pace_sent(&pace, 7, pace_records_max(&pace));
        assert_in_range(pace_wait_ms(&pace, 7), 1, 1000 * 1000);
        pace_answered(&pace, 7, pace_records_max(&pace), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unlimited_until_throttled),
        cmocka_unit_test(test_finds_the_rate),
        cmocka_unit_test(test_throttling_that_is_usual),
        cmocka_unit_test(test_forgets_when_all_is_taken),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
