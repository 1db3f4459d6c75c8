/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "platform/base/error.h"
#include "platform/json/json_scan.h"
#include "platform/json/json_write.h"

static void test_nesting_and_commas(void **state)
{
    (void)state;
    char text[512];
    struct writer writer;
    struct json_write out;
    writer_to_memory(&writer, text, sizeof text);
    json_write_start(&out, &writer);
    json_write_object_begin(&out, NULL);
    json_write_text(&out, "device", "gw-17");
    json_write_unsigned(&out, "seq", UINT64_MAX);
    json_write_signed(&out, "low", INT64_MIN);
    json_write_object_begin(&out, "empty");
    json_write_object_end(&out);
    json_write_object_begin(&out, "values");
    json_write_decimal(&out, "temp", 4150, 2);
    json_write_decimal(&out, "mid", -5, 3);
    json_write_object_end(&out);
    json_write_array_begin(&out, "list");
    json_write_boolean(&out, NULL, true);
    json_write_boolean(&out, NULL, false);
    json_write_null(&out, NULL);
    json_write_text(&out, NULL, NULL);
    json_write_array_begin(&out, NULL);
    json_write_array_end(&out);
    json_write_text_bytes(&out, NULL, "abc", 2);
    json_write_array_end(&out);
    json_write_key(&out, "data");
    writer_text(&writer, "{\"rpm\":1480}");
    json_write_text(&out, "a\"b", "");
    json_write_object_end(&out);
    assert_int_equal(writer_finish(&writer), 0);
    assert_string_equal(text, "{\"device\":\"gw-17\",\"seq\":18446744073709551615,"
                              "\"low\":-9223372036854775808,\"empty\":{},"
                              "\"values\":{\"temp\":41.50,\"mid\":-0.005},"
                              "\"list\":[true,false,null,null,[],\"ab\"],"
                              "\"data\":{\"rpm\":1480},\"a\\\"b\":\"\"}");
    assert_int_equal(json_scan_object(text, strlen(text)), 0);
}

static void expect_json(const char *from, size_t count, const char *expected)
{
    char text[256];
    struct writer writer;
    writer_to_memory(&writer, text, sizeof text);
    json_write_string(&writer, from, count);
    assert_int_equal(writer_finish(&writer), 0);
    assert_string_equal(text, expected);
    struct json_scan scan;
    json_scan_start(&scan, NULL, NULL);
    assert_int_equal(json_scan_feed(&scan, text, strlen(text)), 0);
    assert_int_equal(json_scan_end(&scan), 0);
}

static void test_escapes(void **state)
{
    (void)state;
    expect_json("", 0, "\"\"");
    expect_json("plain text", 10, "\"plain text\"");
    expect_json("\"\\/\b\f\n\r\t", 8, "\"\\\"\\\\/\\b\\f\\n\\r\\t\"");
    expect_json("a\0b\x01\x1f\x7f", 6, "\"a\\u0000b\\u0001\\u001f\x7f\"");
}

static void test_utf8(void **state)
{
    (void)state;
    expect_json("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9,
                "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    expect_json("\xf4\x8f\xbf\xbf", 4, "\"\xf4\x8f\xbf\xbf\"");
}

#define BAD "\xef\xbf\xbd"

static void test_what_is_not_utf8(void **state)
{
    (void)state;
    expect_json("a\xff"
                "b",
                3, "\"a" BAD "b\"");
    expect_json("\x80", 1, "\"" BAD "\"");
    expect_json("\xc0\xaf", 2, "\"" BAD BAD "\"");
    expect_json("\xe0\x9f\xbf", 3, "\"" BAD BAD BAD "\"");
    expect_json("\xed\xa0\x80", 3, "\"" BAD BAD BAD "\"");
    expect_json("\xf4\x90\x80\x80", 4, "\"" BAD BAD BAD BAD "\"");
    expect_json("\xf5", 1, "\"" BAD "\"");
    expect_json("\xe2\x82", 2, "\"" BAD BAD "\"");
    expect_json("\xe2\x82\"", 3, "\"" BAD BAD "\\\"\"");
    expect_json("\xe2\x82\xac", 2, "\"" BAD BAD "\"");
    expect_json("\xf0\x9f\x98 ", 4, "\"" BAD BAD BAD " \"");
}

/* Whatever the bytes are, the result is JSON and unescapes to UTF-8. */
static void test_every_pair_of_bytes(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            char from[3] = {'x', (char)first, (char)second};
            char text[64];
            struct writer writer;
            writer_to_memory(&writer, text, sizeof text);
            json_write_string(&writer, from, sizeof from);
            assert_int_equal(writer_finish(&writer), 0);
            struct json_scan scan;
            json_scan_start(&scan, NULL, NULL);
            assert_int_equal(json_scan_feed(&scan, text, strlen(text)), 0);
            assert_int_equal(json_scan_end(&scan), 0);
        }
}

static void test_errors_stick(void **state)
{
    (void)state;
    char text[8];
    struct writer writer;
    struct json_write out;
    writer_to_memory(&writer, text, sizeof text);
    json_write_start(&out, &writer);
    json_write_object_begin(&out, NULL);
    json_write_text(&out, "long", "longer than that");
    json_write_object_end(&out);
    assert_int_equal(writer_finish(&writer), E_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nesting_and_commas),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_what_is_not_utf8),
        cmocka_unit_test(test_every_pair_of_bytes),
        cmocka_unit_test(test_errors_stick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
