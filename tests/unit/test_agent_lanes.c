/* SPDX-License-Identifier: Apache-2.0 */
/* Which lanes a record is put into that every route is to get, once if that can be. */
#include "tests/unit/unit.h"

#include "agent/agent_state.h"

enum { A = 1 << LANE_ALARM, N = 1 << LANE_NORMAL, B = 1 << LANE_BULK };

static struct cfg_route route(unsigned lanes, bool hold)
{
    struct cfg_route made = {.hold = hold};
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        made.lanes[lane] = (lanes >> lane & 1) != 0;
    return made;
}

/* Of routes that hold, up to three, 0 where there is none. */
static unsigned choose(unsigned first, unsigned second, unsigned third)
{
    struct cfg_route routes[] = {route(first, true), route(second, true), route(third, true)};
    const struct config config = {.routes = routes,
                                  .route_count = 1 + (size_t)(second != 0) + (size_t)(third != 0)};
    return agent_lanes_for_all(&config);
}

static void test_one_route(void **state)
{
    (void)state;
    assert_int_equal(choose(A | N | B, 0, 0), N);
    assert_int_equal(choose(A | B, 0, 0), B);
    assert_int_equal(choose(A, 0, 0), A);
}

static void test_each_once(void **state)
{
    (void)state;
    assert_int_equal(choose(A | N | B, N, 0), N);
    assert_int_equal(choose(A | N | B, B, 0), B);
    assert_int_equal(choose(A | N | B, A, 0), A);
    assert_int_equal(choose(N, B, 0), N | B);
    assert_int_equal(choose(A | N, N | B, 0), N);
    assert_int_equal(choose(A | N, A | B, 0), N | B);
    assert_int_equal(choose(A, N, B), A | N | B);
    assert_int_equal(choose(A | B, N, 0), N | B);
}

/* Where it cannot be once for all, it is as seldom twice as can be. */
static void test_twice_at_most(void **state)
{
    (void)state;
    assert_int_equal(choose(A | N | B, N, B), N | B);
    assert_int_equal(choose(A | N, N | B, A | B), N | B);
}

static void test_only_those_that_hold(void **state)
{
    struct cfg_route routes[] = {route(B, false), route(A | N | B, true)};
    struct config config = {.routes = routes, .route_count = 2};
    (void)state;
    assert_int_equal(agent_lanes_for_all(&config), N);
    routes[1].hold = false;
    assert_int_equal(agent_lanes_for_all(&config), B);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_route),
        cmocka_unit_test(test_each_once),
        cmocka_unit_test(test_twice_at_most),
        cmocka_unit_test(test_only_those_that_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
