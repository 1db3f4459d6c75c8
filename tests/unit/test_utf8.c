/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <string.h>

#include "platform/base/utf8.h"

static size_t encode(uint32_t code, uint8_t bytes[4])
{
    if (code < 0x80) {
        bytes[0] = (uint8_t)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length; i-- > 1; code >>= 6)
        bytes[i] = (uint8_t)(0x80 | (code & 0x3f));
    bytes[0] = (uint8_t)(leads[length] | code);
    return length;
}

static void test_every_character_has_its_length(void **state)
{
    uint8_t bytes[4];
    (void)state;
    for (uint32_t code = 0; code < 0x110000; code++) {
        size_t length = encode(code, bytes);
        bool is_surrogate = code >= 0xd800 && code < 0xe000;
        size_t wanted = is_surrogate ? 0 : length;
        if (utf8_character_bytes(bytes, length) != wanted)
            fail_msg("U+%04X", code);
        if (length > 1 && utf8_character_bytes(bytes, length - 1) != 0)
            fail_msg("U+%04X cut off", code);
    }
}

/* Whatever of two bytes is accepted is what a character has: no other spelling is. */
static void test_nothing_else_is_one(void **state)
{
    uint8_t good[4];
    (void)state;
    for (unsigned first = 0x80; first < 0x100; first++)
        for (unsigned second = 0; second < 0x100; second++) {
            const uint8_t bytes[] = {(uint8_t)first, (uint8_t)second, 0x80, 0x80};
            size_t length = utf8_character_bytes(bytes, sizeof bytes);
            if (length == 0)
                continue;
            uint32_t code = length == 2   ? (first & 0x1f) << 6 | (second & 0x3f)
                            : length == 3 ? (first & 0xf) << 12 | (second & 0x3f) << 6
                                          : (first & 7) << 18 | (second & 0x3f) << 12;
            assert_int_equal(encode(code, good), length);
            assert_memory_equal(good, bytes, length);
            assert_true(code < 0x110000);
        }
}

static void test_each_byte_that_follows_is_looked_at(void **state)
{
    static const char *const broken[] = {"\xe4\xbd\x41", "\xe4\xbd\xc0", "\xf0\x9f\x98\x41",
                                         "\xf0\x9f\x41\x80", "\xc3\x28"};
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_int_equal(utf8_character_bytes((const uint8_t *)broken[i], strlen(broken[i])), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_character_has_its_length),
        cmocka_unit_test(test_nothing_else_is_one),
        cmocka_unit_test(test_each_byte_that_follows_is_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
