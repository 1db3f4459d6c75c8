/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "platform/base/base64.h"
#include "platform/base/error.h"

/* Encodes TEXT, given in two pieces cut at SPLIT. */
static void encode(const char *text, size_t count, size_t split, char *ret_text, size_t bytes)
{
    struct base64 base64;
    struct writer out;
    writer_to_memory(&out, ret_text, bytes);
    base64_start(&base64);
    base64_add(&base64, (const uint8_t *)text, split, &out);
    base64_add(&base64, (const uint8_t *)text + split, count - split, &out);
    base64_finish(&base64, &out);
    assert_int_equal(writer_finish(&out), E_OK);
}

/* RFC 4648 section 10. */
static void test_rfc_4648_vectors(void **state)
{
    static const struct {
        const char *plain, *text;
    } vectors[] = {{"", ""},
                   {"f", "Zg=="},
                   {"fo", "Zm8="},
                   {"foo", "Zm9v"},
                   {"foob", "Zm9vYg=="},
                   {"fooba", "Zm9vYmE="},
                   {"foobar", "Zm9vYmFy"},
                   {"\xfb\xff\xfe", "+//+"}};
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        size_t count = strlen(vectors[i].plain);
        for (size_t split = 0; split <= count; split++) {
            char text[32];
            encode(vectors[i].plain, count, split, text, sizeof text);
            assert_string_equal(text, vectors[i].text);
        }
    }
}

static int decode_digit(char digit)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *place = strchr(alphabet, digit);
    assert_non_null(place);
    return (int)(place - alphabet);
}

/* Every byte value at every offset, in three pieces cut everywhere, reads back. */
static void test_pieces_read_back(void **state)
{
    uint8_t bytes[257];
    char text[400];
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + 3);
    for (size_t split = 0; split <= sizeof bytes; split++) {
        encode((const char *)bytes, sizeof bytes, split, text, sizeof text);
        assert_int_equal(strlen(text), (sizeof bytes + 2) / 3 * 4);
        for (size_t i = 0; i < sizeof bytes / 3 * 3; i++) {
            const char *group = text + i / 3 * 4;
            unsigned all = (unsigned)(decode_digit(group[0]) << 18 | decode_digit(group[1]) << 12 |
                                      decode_digit(group[2]) << 6 | decode_digit(group[3]));
            assert_int_equal(all >> (16 - 8 * (i % 3)) & 0xff, bytes[i]);
        }
    }
}

static void test_error_of_the_writer_sticks(void **state)
{
    struct base64 base64;
    struct writer out;
    char small[7];
    (void)state;
    writer_to_memory(&out, small, sizeof small);
    base64_start(&base64);
    base64_add(&base64, (const uint8_t *)"foobar", 6, &out);
    assert_int_equal(writer_finish(&out), E_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_4648_vectors),
        cmocka_unit_test(test_pieces_read_back),
        cmocka_unit_test(test_error_of_the_writer_sticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
