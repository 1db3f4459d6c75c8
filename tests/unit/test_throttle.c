/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "agent/intake/throttle.h"
#include "platform/base/bytes.h"

static struct throttle *open_throttle(const struct throttle_options *options)
{
    struct throttle *throttle;
    assert_int_equal(throttle_open(options, &throttle), 0);
    return throttle;
}

static struct throttle_load load_of(uint64_t peer, uint64_t bytes)
{
    struct throttle_load load = {.messages = 1, .bytes = bytes};
    load.peer[0] = (uint8_t)(peer % 3); /* of few slots */
    bytes_put_be64(load.peer + 8, peer);
    return load;
}

static unsigned take(struct throttle *throttle, uint64_t peer, uint64_t bytes, int64_t now_ms)
{
    const struct throttle_load load = load_of(peer, bytes);
    return throttle_take(throttle, &load, now_ms);
}

static void test_messages_of_a_peer(void **state)
{
    const struct throttle_options options = {.peer_messages = {.per_mil_s = 500, .burst = 3},
                                             .peers_max = 4};
    (void)state;
    struct throttle *throttle = open_throttle(&options);
    for (int i = 0; i < 3; i++)
        assert_int_equal(take(throttle, 1, 0, 1000), 0);
    assert_int_equal(take(throttle, 1, 0, 1000), 2); /* one every two seconds */
    assert_int_equal(take(throttle, 1, 0, 2001), 1);
    assert_int_equal(take(throttle, 2, 0, 2001), 0); /* another peer */
    assert_int_equal(take(throttle, 1, 0, 2999), 1);
    assert_int_equal(take(throttle, 1, 0, 3000), 0);
    assert_int_equal(take(throttle, 1, 0, 3000), 2);
    for (int i = 0; i < 3; i++) /* never more than it holds */
        assert_int_equal(take(throttle, 1, 0, INT64_MAX / 2), 0);
    assert_int_equal(take(throttle, 1, 0, INT64_MAX / 2), 2);
    assert_int_equal(throttle_count(throttle), 2);
    throttle_close(throttle);
    throttle_close(NULL);
}

/* More than the bucket holds passes when it is full, and empties it. */
static void test_bytes(void **state)
{
    const struct throttle_options options = {.peer_messages = {.per_mil_s = 1000, .burst = 100},
                                             .peer_bytes = {.per_mil_s = 100 * 1000, .burst = 1000},
                                             .peers_max = 4};
    (void)state;
    struct throttle *throttle = open_throttle(&options);
    assert_int_equal(take(throttle, 1, 5000, 0), 0);
    assert_int_equal(take(throttle, 1, 1, 0), 1);
    assert_int_equal(take(throttle, 1, 5000, 0), 10);
    assert_int_equal(take(throttle, 1, 5000, 9999), 1);
    assert_int_equal(take(throttle, 1, UINT64_MAX, 10000), 0);
    assert_int_equal(take(throttle, 1, 100, 10999), 1);
    assert_int_equal(take(throttle, 1, 100, 11000), 0);
    throttle_close(throttle);
}

static void test_unlimited(void **state)
{
    const struct throttle_options options = {.peers_max = 1};
    (void)state;
    struct throttle *throttle = open_throttle(&options);
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(take(throttle, i, UINT64_MAX, 0), 0);
    throttle_close(throttle);
}

/* Strangers find a limit where half is left for those with an identity. */
static void test_everybody(void **state)
{
    const struct throttle_options options = {.all_messages = {.per_mil_s = 1000, .burst = 10},
                                             .peers_max = 100};
    (void)state;
    struct throttle *throttle = open_throttle(&options);
    for (uint64_t i = 0; i < 5; i++)
        assert_int_equal(take(throttle, i, 0, 0), 0);
    assert_int_equal(take(throttle, 6, 0, 0), 1);
    struct throttle_load known = load_of(1, 0);
    known.has_identity = true;
    for (int i = 0; i < 5; i++)
        assert_int_equal(throttle_take(throttle, &known, 0), 0);
    assert_int_equal(throttle_take(throttle, &known, 0), 1);
    assert_int_equal(take(throttle, 7, 0, 0), 6); /* the half, and one */
    assert_int_equal(take(throttle, 7, 0, 6000), 0);
    throttle_close(throttle);
}

/* A bucket of one token is for strangers too. */
static void test_smallest_burst(void **state)
{
    const struct throttle_options options = {.all_messages = {.per_mil_s = 1000, .burst = 1},
                                             .peers_max = 100};
    (void)state;
    struct throttle *throttle = open_throttle(&options);
    assert_int_equal(take(throttle, 1, 0, 0), 0);
    assert_int_equal(take(throttle, 1, 0, 0), 1);
    assert_int_equal(take(throttle, 1, 0, 1000), 0);
    throttle_close(throttle);
}

/* What is refused takes nothing. */
static void test_nothing_taken(void **state)
{
    const struct throttle_options options = {.peer_messages = {.per_mil_s = 1000, .burst = 5},
                                             .all_bytes = {.per_mil_s = 1000, .burst = 100},
                                             .peers_max = 4};
    (void)state;
    struct throttle *throttle = open_throttle(&options);
    assert_int_equal(take(throttle, 1, 50, 0), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(take(throttle, 1, 10, 0), 10);
    for (int i = 0; i < 4; i++)
        assert_int_equal(take(throttle, 1, 0, 0), 0);
    assert_int_equal(take(throttle, 1, 0, 0), 1);
    throttle_close(throttle);
}

/* A flood of strangers does not make a known peer forgotten, and the last of them are known. */
static void test_places(void **state)
{
    enum { PLACES = 16, STRANGERS = 1000 };
    const struct throttle_options options = {.peer_messages = {.per_mil_s = 1, .burst = 1},
                                             .peers_max = PLACES};
    (void)state;
    struct throttle *throttle = open_throttle(&options);
    struct throttle_load known = load_of(1, 0);
    known.has_identity = true;
    assert_int_equal(throttle_take(throttle, &known, 0), 0);
    for (uint64_t i = 0; i < STRANGERS; i++) {
        assert_int_equal(take(throttle, i, 0, 0), 0);
        for (uint64_t k = i < PLACES ? 0 : i - PLACES + 1; k <= i; k++)
            assert_true(take(throttle, k, 0, 0) > 0);
    }
    assert_true(throttle_take(throttle, &known, 0) > 0);
    assert_int_equal(throttle_count(throttle), PLACES + 1);
    assert_int_equal(take(throttle, 0, 0, 0), 0); /* forgotten */
    throttle_close(throttle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_of_a_peer),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_unlimited),
        cmocka_unit_test(test_everybody),
        cmocka_unit_test(test_smallest_burst),
        cmocka_unit_test(test_nothing_taken),
        cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
