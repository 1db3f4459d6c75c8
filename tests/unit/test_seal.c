/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/spool/seal.h"
#include "platform/base/error.h"
#include "tests/unit/unit.h"

static const uint8_t key[] = {0x30, 0, 7};
static const char content[] = "board";

static size_t put(uint8_t *to)
{
    return seal_put(key, sizeof key, content, sizeof content, to);
}

static void test_opens_what_was_put(void **state)
{
    uint8_t bytes[64];
    struct seal seal;
    (void)state;
    memset(bytes, 0xee, sizeof bytes);
    assert_int_equal(put(bytes), seal_bytes(sizeof key, sizeof content));
    assert_int_equal(seal_open(bytes, sizeof bytes, &seal), E_OK);
    assert_int_equal(seal.bytes, seal_bytes(sizeof key, sizeof content));
    assert_int_equal(seal.key_bytes, sizeof key);
    assert_memory_equal(seal.key, key, sizeof key);
    assert_int_equal(seal.content_bytes, sizeof content);
    assert_memory_equal(seal.content, content, sizeof content);
}

static void test_empty_content(void **state)
{
    uint8_t bytes[64];
    struct seal seal;
    (void)state;
    size_t count = seal_put(key, sizeof key, NULL, 0, bytes);
    assert_int_equal(seal_open(bytes, count, &seal), E_OK);
    assert_int_equal(seal.content_bytes, 0);
}

static void test_every_flipped_bit_and_every_cut_is_noticed(void **state)
{
    uint8_t bytes[64];
    struct seal seal;
    (void)state;
    size_t count = put(bytes);
    for (size_t bit = 0; bit < 8 * count; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(seal_open(bytes, count, &seal), E_DAMAGED);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t cut = 0; cut < count; cut++)
        assert_int_equal(seal_open(bytes, cut, &seal), E_DAMAGED);
    assert_int_equal(seal_open(bytes, count, &seal), E_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_what_was_put),
        cmocka_unit_test(test_empty_content),
        cmocka_unit_test(test_every_flipped_bit_and_every_cut_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
