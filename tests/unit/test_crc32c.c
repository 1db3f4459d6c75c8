/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "platform/base/crc32c.h"

/* RFC 3720 appendix B.4, whose values are written there byte by byte in little-endian order. */
static void test_rfc3720(void **state)
{
    uint8_t bytes[32];
    (void)state;
    assert_true(crc32c(0, "123456789", 9) == 0xe3069283);
    assert_true(crc32c(0, NULL, 0) == 0);
    memset(bytes, 0, sizeof bytes);
    assert_true(crc32c(0, bytes, sizeof bytes) == 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_true(crc32c(0, bytes, sizeof bytes) == 0x62a8ab43);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    assert_true(crc32c(0, bytes, sizeof bytes) == 0x46dd794e);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(31 - i);
    assert_true(crc32c(0, bytes, sizeof bytes) == 0x113fdb5c);
}

static void test_in_pieces(void **state)
{
    const char *text = "in pieces it is the same as whole";
    size_t count = strlen(text);
    (void)state;
    for (size_t first = 0; first <= count; first++)
        assert_true(crc32c(crc32c(0, text, first), text + first, count - first) ==
                    crc32c(0, text, count));
}

static uint32_t by_definition(const uint8_t *bytes, size_t count)
{
    uint32_t crc = ~(uint32_t)0;
    for (size_t i = 0; i < 8 * count; i++) {
        crc ^= i % 8 == 0 ? bytes[i / 8] : 0;
        crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
    }
    return ~crc;
}

/* The definition, a bit at a time, for every byte value at each place of a word: each entry of the
 * table by itself, and whatever the CPU has. */
static void test_against_definition(void **state)
{
    (void)state;
    for (unsigned value = 0; value < 256; value++) {
        for (size_t place = 0; place < 8; place++) {
            uint8_t bytes[9] = {0};
            bytes[place] = (uint8_t)value;
            for (size_t count = place + 1; count <= sizeof bytes; count++) {
                assert_true(crc32c(0, bytes, count) == by_definition(bytes, count));
                assert_true(crc32c_by_table(0, bytes, count) == by_definition(bytes, count));
            }
        }
    }
}

/* Words are read wherever they lie. */
static void test_at_any_address(void **state)
{
    uint8_t bytes[64];
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 167 + 13);
    for (size_t first = 0; first < 16; first++) {
        for (size_t count = 0; first + count <= sizeof bytes; count++) {
            uint32_t wanted = by_definition(bytes + first, count);
            assert_true(crc32c(0, bytes + first, count) == wanted);
            assert_true(crc32c_by_table(0, bytes + first, count) == wanted);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc3720),
        cmocka_unit_test(test_in_pieces),
        cmocka_unit_test(test_against_definition),
        cmocka_unit_test(test_at_any_address),
    };
    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
