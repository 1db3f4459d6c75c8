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

/* The definition, a bit at a time, for every byte value. */
static void test_against_definition(void **state)
{
    (void)state;
    for (unsigned value = 0; value < 256; value++) {
        uint8_t byte = (uint8_t)value;
        uint32_t crc = ~(uint32_t)0 ^ byte;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
        assert_true(crc32c(0, &byte, 1) == ~crc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc3720),
        cmocka_unit_test(test_in_pieces),
        cmocka_unit_test(test_against_definition),
    };
    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
