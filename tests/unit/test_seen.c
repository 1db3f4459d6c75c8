/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "agent/intake/seen.h"
#include "platform/base/bytes.h"

enum { PLACES = 8 };

/* Of few slots, so that they share them. */
static const uint8_t *key(uint8_t bytes[SEEN_KEY_BYTES], uint64_t number)
{
    memset(bytes, 0, SEEN_KEY_BYTES);
    bytes[0] = (uint8_t)(number % 3);
    bytes_put_be64(bytes + 8, number);
    return bytes;
}

static void test_lifetime(void **state)
{
    struct seen *seen;
    uint8_t bytes[SEEN_KEY_BYTES];
    (void)state;
    assert_int_equal(seen_open(PLACES, &seen), 0);
    assert_int_equal(seen_find(seen, key(bytes, 1), 0), SEEN_NOT);
    seen_add(seen, key(bytes, 1), SEEN_WAITS, 1000);
    assert_int_equal(seen_find(seen, key(bytes, 1), 1000), SEEN_WAITS);
    assert_int_equal(seen_find(seen, key(bytes, 4), 1000), SEEN_NOT); /* of the same slot */
    seen_change(seen, key(bytes, 1), SEEN_ANSWERED);
    assert_int_equal(seen_find(seen, key(bytes, 1), 1000 + SEEN_LIFETIME_MS - 1), SEEN_ANSWERED);
    assert_int_equal(seen_find(seen, key(bytes, 1), 1000 + SEEN_LIFETIME_MS), SEEN_NOT);
    seen_add(seen, key(bytes, 1), SEEN_WAITS, 1000 + SEEN_LIFETIME_MS); /* again */
    assert_int_equal(seen_find(seen, key(bytes, 1), 1000 + SEEN_LIFETIME_MS), SEEN_WAITS);
    seen_change(seen, key(bytes, 1), SEEN_NOT);
    assert_int_equal(seen_find(seen, key(bytes, 1), 1000 + SEEN_LIFETIME_MS), SEEN_NOT);
    seen_change(seen, key(bytes, 7), SEEN_WAITS); /* which never came */
    assert_int_equal(seen_find(seen, key(bytes, 7), 0), SEEN_NOT);
    seen_close(seen);
    seen_close(NULL);
}

/* The last PLACES of them are known at every moment, and no others. */
static void test_places(void **state)
{
    enum { MESSAGES = 1000 };
    struct seen *seen;
    uint8_t bytes[SEEN_KEY_BYTES];
    (void)state;
    assert_int_equal(seen_open(PLACES, &seen), 0);
    for (uint64_t i = 0; i < MESSAGES; i++) {
        seen_add(seen, key(bytes, i), SEEN_ANSWERED, 0);
        for (uint64_t k = i < 2 * PLACES ? 0 : i - 2 * PLACES; k <= i + 1; k++)
            assert_int_equal(seen_find(seen, key(bytes, k), 0),
                             k <= i && k + PLACES > i ? SEEN_ANSWERED : SEEN_NOT);
    }
    seen_close(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lifetime),
        cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
