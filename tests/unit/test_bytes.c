/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "platform/base/bytes.h"

static void test_byte_orders(void **state)
{
    uint8_t bytes[8];
    (void)state;
    bytes_put_be64(bytes, 0x0123456789abcdef);
    assert_memory_equal(bytes, "\x01\x23\x45\x67\x89\xab\xcd\xef", 8);
    assert_true(bytes_get_be64(bytes) == 0x0123456789abcdef);
    bytes_put_le64(bytes, 0xfedcba9876543210);
    assert_memory_equal(bytes, "\x10\x32\x54\x76\x98\xba\xdc\xfe", 8);
    assert_true(bytes_get_le64(bytes) == 0xfedcba9876543210);
    bytes_put_le32(bytes, 0x89abcdef);
    assert_memory_equal(bytes, "\xef\xcd\xab\x89", 4);
    assert_true(bytes_get_le32(bytes) == 0x89abcdef);
    bytes_put_be16(bytes, 0x89ab);
    assert_memory_equal(bytes, "\x89\xab", 2);
    assert_true(bytes_get_be16(bytes) == 0x89ab);
    bytes_put_le16(bytes, 0x89ab);
    assert_memory_equal(bytes, "\xab\x89", 2);
    assert_true(bytes_get_le16(bytes) == 0x89ab);
}

static void test_zigzag(void **state)
{
    static const struct {
        int64_t value;
        uint64_t code;
    } cases[] = {
        {0, 0}, {-1, 1}, {1, 2}, {-2, 3}, {INT64_MAX, UINT64_MAX - 1}, {INT64_MIN, UINT64_MAX}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(bytes_zigzag(cases[i].value) == cases[i].code);
        assert_true(bytes_unzigzag(cases[i].code) == cases[i].value);
    }
}

/* Each number around each power of two, whole and at every prefix. */
static void test_varint(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++)
        for (uint64_t delta = 0; delta < 3; delta++) {
            uint64_t value = ((uint64_t)1 << bit) + delta - 1;
            uint64_t found = 0;
            uint8_t bytes[VARINT_BYTES_MAX];
            size_t count = bytes_put_varint(bytes, value);
            assert_int_equal(count, bytes_varint_size(value));
            for (size_t prefix = 0; prefix < count; prefix++)
                assert_int_equal(bytes_get_varint(bytes, prefix, &found), 0);
            assert_int_equal(bytes_get_varint(bytes, count, &found), count);
            assert_true(found == value);
        }
}

static void test_varint_limits(void **state)
{
    uint8_t bytes[VARINT_BYTES_MAX + 1];
    uint64_t value = 4711;
    (void)state;
    assert_int_equal(bytes_put_varint(bytes, UINT64_MAX), VARINT_BYTES_MAX);
    assert_int_equal(bytes_put_varint(bytes, 300), 2);
    assert_memory_equal(bytes, "\xac\x02", 2);
    memset(bytes, 0xff, sizeof bytes);
    bytes[VARINT_BYTES_MAX - 1] = 2; /* 65 bits */
    assert_int_equal(bytes_get_varint(bytes, sizeof bytes, &value), 0);
    memset(bytes, 0x80, sizeof bytes); /* never ends */
    assert_int_equal(bytes_get_varint(bytes, sizeof bytes, &value), 0);
    assert_true(value == 4711);
}

static void test_hex(void **state)
{
    char text[7];
    (void)state;
    bytes_put_hex(text, (const uint8_t *)"\x00\x9a\xff", 3);
    assert_string_equal(text, "009aff");
    for (int c = 0; c < 256; c++) {
        const char *at = c == 0 ? NULL : strchr("0123456789abcdefABCDEF", c);
        long index = at == NULL ? -1 : at - strchr("0123456789abcdefABCDEF", '0');
        assert_int_equal(bytes_hex_digit((char)c), index > 15 ? index - 6 : index);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_byte_orders), cmocka_unit_test(test_zigzag),
        cmocka_unit_test(test_varint),      cmocka_unit_test(test_varint_limits),
        cmocka_unit_test(test_hex),
    };
    return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
