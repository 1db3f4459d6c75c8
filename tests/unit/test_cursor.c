/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "agent/spool/cursor.h"
#include "platform/base/error.h"

enum { LIMIT = 400 };

/* The model: one flag per sequence number. */
static void assert_same(const struct cursor *cursor, const bool *acknowledged)
{
    for (uint64_t sequence = 1; sequence < LIMIT; sequence++)
        assert_int_equal(cursor_contains(cursor, sequence), acknowledged[sequence]);
    for (size_t i = 0; i < cursor->count; i++) {
        uint64_t below = i == 0 ? cursor->low : cursor->intervals[i - 1].last;
        assert_true(cursor->intervals[i].first > below + 1);
        assert_true(cursor->intervals[i].last >= cursor->intervals[i].first);
    }
}

static void test_against_model(void **state)
{
    (void)state;
    unsigned seed = 7;
    for (int round = 0; round < 200; round++) {
        static struct cursor cursor;
        bool acknowledged[LIMIT] = {false};
        memset(&cursor, 0, sizeof cursor);
        for (int step = 0; step < 120; step++) {
            uint64_t after = (uint64_t)rand_r(&seed) % (LIMIT - 10);
            uint64_t last = after + 1 + (uint64_t)rand_r(&seed) % 9;
            bool fresh = true;
            for (uint64_t s = after + 1; s <= last; s++)
                fresh = fresh && !acknowledged[s];
            if (!fresh)
                continue;
            assert_int_equal(cursor_add(&cursor, after, last), 0);
            for (uint64_t s = after + 1; s <= last; s++)
                acknowledged[s] = true;
            assert_same(&cursor, acknowledged);
        }
        uint64_t low = (uint64_t)rand_r(&seed) % LIMIT;
        cursor_raise(&cursor, low);
        for (uint64_t s = 1; s <= low && s < LIMIT; s++)
            acknowledged[s] = true;
        assert_same(&cursor, acknowledged);
    }
}

static void test_stored_form(void **state)
{
    (void)state;
    static struct cursor cursor;
    static struct cursor decoded;
    uint8_t bytes[CURSOR_BYTES_MAX];
    bool whole;
    memset(&cursor, 0, sizeof cursor);
    cursor.low = UINT64_C(1) << 52;
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(cursor_add(&cursor, cursor.low + 10 * i + 5, cursor.low + 10 * i + 8), 0);
    size_t count = cursor_encode(&cursor, 0, bytes, &whole);
    assert_false(whole);
    assert_int_equal(cursor_decode(bytes, count, &decoded), 0);
    assert_int_equal(decoded.low, cursor.low);
    assert_int_equal(decoded.count, CURSOR_STORED_MAX);
    assert_memory_equal(decoded.intervals, cursor.intervals,
                        CURSOR_STORED_MAX * sizeof cursor.intervals[0]);
    for (size_t prefix = 0; prefix < count; prefix++)
        (void)cursor_decode(bytes, prefix, &decoded); /* the sanitizers watch */
    /* A higher low mark swallows what it passes. */
    count = cursor_encode(&cursor, cursor.low + 27, bytes, &whole);
    assert_int_equal(cursor_decode(bytes, count, &decoded), 0);
    assert_int_equal(decoded.low, cursor.low + 28);
    assert_false(whole);
    count = cursor_encode(&cursor, cursor.low + 10 * 36, bytes, &whole);
    assert_int_equal(cursor_decode(bytes, count, &decoded), 0);
    assert_int_equal(decoded.count, CURSOR_STORED_MAX);
    assert_true(whole);
}

static void test_full(void **state)
{
    (void)state;
    static struct cursor cursor;
    memset(&cursor, 0, sizeof cursor);
    for (uint64_t i = 0; i < CURSOR_INTERVALS_MAX; i++)
        assert_int_equal(cursor_add(&cursor, 2 * i + 1, 2 * i + 2), 0);
    assert_int_equal(cursor_add(&cursor, 5000, 5001), E_FULL);
    assert_false(cursor_contains(&cursor, 5001));
    assert_int_equal(cursor_add(&cursor, 0, 1), 0); /* what closes a hole always fits */
    assert_int_equal(cursor.low, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_stored_form),
        cmocka_unit_test(test_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
