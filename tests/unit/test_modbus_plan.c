/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "drivers/modbus/modbus_plan.h"

static const struct modbus_plan_rules usual = {.registers_max = PLAN_REGISTERS_MAX, .gap = 8};

static struct modbus_plan plan(const struct modbus_span *spans, const bool *alone, size_t count,
                               const struct modbus_plan_rules *rules)
{
    static const bool nobody[SAMPLE_CHANNELS_MAX];
    struct modbus_plan made;
    modbus_plan_make(spans, alone != NULL ? alone : nobody, count, rules, &made);
    return made;
}

static void expect(const struct modbus_plan *made, size_t request, enum modbus_table table,
                   unsigned at, unsigned count)
{
    assert_true(request < made->count);
    assert_int_equal(made->requests[request].table, table);
    assert_int_equal(made->requests[request].at, at);
    assert_int_equal(made->requests[request].count, count);
}

static void test_neighbours_share_a_request_in_any_order(void **state)
{
    static const struct modbus_span spans[] = {
        {MODBUS_HOLDING, 14, 1}, {MODBUS_HOLDING, 10, 4}, {MODBUS_HOLDING, 15, 2}};
    (void)state;
    struct modbus_plan made = plan(spans, NULL, 3, &usual);
    assert_int_equal(made.count, 1);
    expect(&made, 0, MODBUS_HOLDING, 10, 7);
    assert_true(modbus_plan_is_shared(&made, 3, 0));
}

static void test_a_gap_is_bridged_up_to_the_limit(void **state)
{
    static const struct modbus_span near[] = {{MODBUS_INPUT, 0, 2}, {MODBUS_INPUT, 10, 1}};
    static const struct modbus_span far[] = {{MODBUS_INPUT, 0, 2}, {MODBUS_INPUT, 11, 1}};
    (void)state;
    struct modbus_plan made = plan(near, NULL, 2, &usual);
    assert_int_equal(made.count, 1);
    expect(&made, 0, MODBUS_INPUT, 0, 11);
    made = plan(far, NULL, 2, &usual);
    assert_int_equal(made.count, 2);
    expect(&made, 1, MODBUS_INPUT, 11, 1);
    assert_int_equal(made.request_of[1], 1);
    assert_false(modbus_plan_is_shared(&made, 2, 1));
}

static void test_tables_are_asked_apart(void **state)
{
    static const struct modbus_span spans[] = {{MODBUS_HOLDING, 5, 1},
                                               {MODBUS_INPUT, 6, 1},
                                               {MODBUS_COIL, 7, 1},
                                               {MODBUS_DISCRETE, 8, 1},
                                               {MODBUS_HOLDING, 7, 1}};
    (void)state;
    struct modbus_plan made = plan(spans, NULL, 5, &usual);
    assert_int_equal(made.count, 4);
    expect(&made, 0, MODBUS_COIL, 7, 1);
    expect(&made, 1, MODBUS_DISCRETE, 8, 1);
    expect(&made, 2, MODBUS_HOLDING, 5, 3);
    expect(&made, 3, MODBUS_INPUT, 6, 1);
    assert_int_equal(made.request_of[0], made.request_of[4]);
}

static void test_a_request_has_125_registers_at_most(void **state)
{
    static const struct modbus_plan_rules wide = {.registers_max = 125, .gap = 124};
    static const struct modbus_span fits[] = {{MODBUS_HOLDING, 0, 1}, {MODBUS_HOLDING, 121, 4}};
    static const struct modbus_span over[] = {{MODBUS_HOLDING, 0, 1}, {MODBUS_HOLDING, 122, 4}};
    (void)state;
    struct modbus_plan made = plan(fits, NULL, 2, &wide);
    assert_int_equal(made.count, 1);
    assert_int_equal(made.requests[0].count, 125);
    made = plan(over, NULL, 2, &wide);
    assert_int_equal(made.count, 2);
}

static void test_a_request_has_2000_bits_at_most(void **state)
{
    static const struct modbus_plan_rules wide = {.registers_max = 125, .gap = 124};
    static const struct modbus_span fits[] = {{MODBUS_COIL, 100, 1}, {MODBUS_COIL, 2084, 1}};
    static const struct modbus_span over[] = {
        {MODBUS_COIL, 100, 1}, {MODBUS_COIL, 1000, 1}, {MODBUS_COIL, 2100, 1}};
    (void)state;
    assert_int_equal(plan(fits, NULL, 2, &wide).count, 1);
    struct modbus_plan made = plan(over, NULL, 3, &wide);
    assert_int_equal(made.count, 2);
    expect(&made, 0, MODBUS_COIL, 100, 901);
}

static void test_bits_and_numbers_may_overlap(void **state)
{
    static const struct modbus_span spans[] = {
        {MODBUS_HOLDING, 3, 4}, {MODBUS_HOLDING, 3, 1}, {MODBUS_HOLDING, 4, 1}};
    (void)state;
    struct modbus_plan made = plan(spans, NULL, 3, &usual);
    assert_int_equal(made.count, 1);
    expect(&made, 0, MODBUS_HOLDING, 3, 4);
}

static void test_who_is_alone_stays_alone(void **state)
{
    static const struct modbus_span spans[] = {{MODBUS_HOLDING, 0, 1},
                                               {MODBUS_HOLDING, 1, 1},
                                               {MODBUS_HOLDING, 2, 1},
                                               {MODBUS_HOLDING, 3, 1}};
    static const bool alone[] = {false, true, false, false};
    (void)state;
    struct modbus_plan made = plan(spans, alone, 4, &usual);
    assert_int_equal(made.count, 3);
    expect(&made, 1, MODBUS_HOLDING, 1, 1);
    expect(&made, 2, MODBUS_HOLDING, 2, 2);
}

static void test_the_end_of_the_table(void **state)
{
    static const struct modbus_span spans[] = {{MODBUS_HOLDING, 65535, 1},
                                               {MODBUS_HOLDING, 65531, 4}};
    (void)state;
    struct modbus_plan made = plan(spans, NULL, 2, &usual);
    assert_int_equal(made.count, 1);
    expect(&made, 0, MODBUS_HOLDING, 65531, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_neighbours_share_a_request_in_any_order),
        cmocka_unit_test(test_a_gap_is_bridged_up_to_the_limit),
        cmocka_unit_test(test_tables_are_asked_apart),
        cmocka_unit_test(test_a_request_has_125_registers_at_most),
        cmocka_unit_test(test_a_request_has_2000_bits_at_most),
        cmocka_unit_test(test_bits_and_numbers_may_overlap),
        cmocka_unit_test(test_who_is_alone_stays_alone),
        cmocka_unit_test(test_the_end_of_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
