/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/json/cbor_scan.h"

/* What a scan said, as text: "{ key:a@1 num:1@1 }" with depths. */
struct trace {
    char text[4096];
    size_t used;
    unsigned refuse_at; /* the token, from 1, that the handler refuses; 0: none */
    unsigned tokens;
    uint64_t offset; /* of the last token */
};

static const char *const event_names[] = {"{", "}", "[", "]", "key", "str", "num", "T", "F", "N"};

static int record(void *context, const struct json_token *token)
{
    struct trace *trace = context;
    if (++trace->tokens == trace->refuse_at)
        return E_REFUSED;
    int count =
        snprintf(trace->text + trace->used, sizeof trace->text - trace->used, "%s%s%s%s@%u ",
                 event_names[token->event], token->text_bytes > 0 ? ":" : "", token->text,
                 token->truncated ? "~" : "", token->depth);
    assert_true(count > 0 && trace->used + (size_t)count < sizeof trace->text);
    assert_int_equal(token->text[token->text_bytes], '\0');
    assert_int_equal(token->line, 1);
    assert_int_equal(token->column, token->offset + 1);
    trace->used += (size_t)count;
    trace->offset = token->offset;
    return 0;
}

static size_t from_hex(const char *hex, uint8_t *bytes)
{
    size_t count = strlen(hex) / 2;
    for (size_t i = 0; i < count; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return count;
}

/* The bytes and the room for tokens are allocations of their own, so that the sanitizer sees what
 * goes beyond them. */
static int scan(const uint8_t *bytes, size_t count, size_t room, struct trace *trace,
                struct cbor_fault *fault)
{
    uint8_t *copy = malloc(count > 0 ? count : 1);
    char *token = malloc(room);
    assert_non_null(copy);
    assert_non_null(token);
    memcpy(copy, bytes, count);
    int rc = cbor_scan(copy, count, token, room, trace != NULL ? record : NULL, trace, fault);
    free(token);
    free(copy);
    return rc;
}

static void expect(const char *hex, const char *tokens)
{
    uint8_t bytes[512];
    struct trace trace = {.used = 0};
    struct cbor_fault fault = {0};
    size_t count = from_hex(hex, bytes);
    int rc = scan(bytes, count, 64, &trace, &fault);
    if (rc != 0 || strcmp(trace.text, tokens) != 0)
        print_message("%s: %d \"%s\", not \"%s\"\n", hex, rc, trace.text, tokens);
    assert_int_equal(rc, 0);
    assert_string_equal(trace.text, tokens);
    for (size_t cut = 0; cut < count; cut++) {
        assert_int_equal(scan(bytes, cut, 64, NULL, &fault), E_SYNTAX);
        assert_string_equal(fault.text, "the value is cut off");
        assert_true(fault.offset <= cut);
    }
    bytes[count] = 0;
    assert_int_equal(scan(bytes, count + 1, 64, NULL, &fault), E_SYNTAX);
    assert_int_equal(fault.offset, count);
}

static void refuse(const char *hex, size_t offset, const char *text)
{
    uint8_t bytes[512];
    struct cbor_fault fault = {0};
    int rc = scan(bytes, from_hex(hex, bytes), 64, NULL, &fault);
    if (rc != E_SYNTAX || fault.offset != offset || strcmp(fault.text, text) != 0)
        print_message("%s: %d at %zu \"%s\"\n", hex, rc, fault.offset,
                      fault.text == NULL ? "" : fault.text);
    assert_int_equal(rc, E_SYNTAX);
    assert_int_equal(fault.offset, offset);
    assert_string_equal(fault.text, text);
}

/* RFC 8949, appendix A. */
static void test_whole_numbers(void **state)
{
    (void)state;
    expect("00", "num:0@0 ");
    expect("17", "num:23@0 ");
    expect("1818", "num:24@0 ");
    expect("1903e8", "num:1000@0 ");
    expect("1a000f4240", "num:1000000@0 ");
    expect("1b000000e8d4a51000", "num:1000000000000@0 ");
    expect("1bffffffffffffffff", "num:18446744073709551615@0 ");
    expect("20", "num:-1@0 ");
    expect("3903e7", "num:-1000@0 ");
    expect("3bffffffffffffffff", "num:-18446744073709551616@0 ");
}

static void test_floats(void **state)
{
    (void)state;
    expect("f90000", "num:0@0 ");
    expect("f98000", "num:-0@0 ");
    expect("f93c00", "num:1@0 ");
    expect("fb3ff199999999999a", "num:1.1@0 ");
    expect("f93e00", "num:1.5@0 ");
    expect("f97bff", "num:65504@0 ");
    expect("fa47c35000", "num:100000@0 ");
    expect("fa7f7fffff", "num:3.4028235e+38@0 ");
    expect("fb7e37e43c8800759c", "num:1e+300@0 ");
    expect("f90001", "num:6e-08@0 ");
    expect("f90400", "num:6.104e-05@0 ");
    expect("f9c400", "num:-4@0 ");
    expect("fbc010666666666666", "num:-4.1@0 ");
    expect("f92e66", "num:0.1@0 ");
    expect("fa3dcccccd", "num:0.1@0 ");
    expect("fb0000000000000001", "num:5e-324@0 ");
    expect("fb3fd3333333333334", "num:0.30000000000000004@0 ");
    expect("fb0010000000000000", "num:2.2250738585072014e-308@0 ");
}

static void test_what_is_no_number_in_json(void **state)
{
    static const char *const numbers[] = {"f97c00",
                                          "f97e00",
                                          "f9fc00",
                                          "fa7f800000",
                                          "fa7fc00000",
                                          "faff800000",
                                          "fb7ff0000000000000",
                                          "fb7ff8000000000000",
                                          "fbfff0000000000000"};
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        refuse(numbers[i], 0, "not a number, or an infinite one");
    refuse("c249010000000000000000", 0, "a number of more than 64 bits");
    refuse("c349010000000000000000", 0, "a number of more than 64 bits");
    refuse("81c240", 1, "a number of more than 64 bits");
}

static void test_decimal_fractions(void **state)
{
    (void)state;
    expect("c48221196ab3", "num:273.15@0 ");
    expect("c48203386f", "num:-112e3@0 ");
    expect("c482313b7fffffffffffffff", "num:-9.223372036854775808@0 ");
    expect("c4823201", "num:1e-19@0 ");
    expect("c482201b8000000000000000", "num:9223372036854775808e-1@0 ");
    expect("a10282c4822019010000", "{@0 key:2@1 [@1 num:25.6@2 num:0@2 ]@1 }@0 ");
    refuse("c401", 1, "a decimal fraction is an array of two whole numbers");
    refuse("c48101", 1, "a decimal fraction is an array of two whole numbers");
    refuse("c4822140", 1, "a decimal fraction is an array of two whole numbers");
    refuse("c482f93c0001", 1, "a decimal fraction is an array of two whole numbers");
    refuse("c49f2101ff", 1, "a decimal fraction is an array of two whole numbers");
}

static void test_simple_values_and_tags(void **state)
{
    (void)state;
    expect("f4", "F@0 ");
    expect("f5", "T@0 ");
    expect("f6", "N@0 ");
    expect("f7", "N@0 ");
    expect("c074323031332d30332d32315432303a30343a30305a", "str:2013-03-21T20:04:00Z@0 ");
    expect("c11a514b67b0", "num:1363896240@0 ");
    expect("d9d9f7d81801", "num:1@0 ");
    refuse("f0", 0, "a simple value that nobody knows");
    refuse("f8ff", 0, "a simple value that nobody knows");
    refuse("fc", 0, "a length that CBOR does not have");
}

static void test_strings(void **state)
{
    (void)state;
    expect("60", "str@0 ");
    expect("6449455446", "str:IETF@0 ");
    expect("62c3bc", "str:\xc3\xbc@0 ");
    expect("64f0908591", "str:\xf0\x90\x85\x91@0 ");
    expect("40", "str@0 ");
    expect("4401020304", "str:AQIDBA@0 ");
    expect("42fbff", "str:-_8@0 ");
    expect("5f42010243030405ff", "str:AQIDBAU@0 ");
    expect("7f657374726561646d696e67ff", "str:streaming@0 ");
    expect("7fff", "str@0 ");
    refuse("62c328", 1, "a text that is not UTF-8");
    refuse("63eda080", 1, "a text that is not UTF-8");
    refuse("7f61c361bcff", 2, "a text that is not UTF-8");
    refuse("7f4101ff", 1, "a piece of a string that is none");
    refuse("7f7fffff", 1, "a piece of a string that is none");
    refuse("5bffffffffffffffff00", 10, "the value is cut off");
}

static void test_arrays_and_maps(void **state)
{
    (void)state;
    expect("80", "[@0 ]@0 ");
    expect("8301820203820405", "[@0 num:1@1 [@1 num:2@2 num:3@2 ]@1 [@1 num:4@2 num:5@2 ]@1 ]@0 ");
    expect("a0", "{@0 }@0 ");
    expect("a201020304", "{@0 key:1@1 num:2@1 key:3@1 num:4@1 }@0 ");
    expect("a1203863", "{@0 key:-1@1 num:-100@1 }@0 ");
    expect("a26161016162820203", "{@0 key:a@1 num:1@1 key:b@1 [@1 num:2@2 num:3@2 ]@1 }@0 ");
    expect("9fff", "[@0 ]@0 ");
    expect("9f018202039f0405ffff",
           "[@0 num:1@1 [@1 num:2@2 num:3@2 ]@1 [@1 num:4@2 num:5@2 ]@1 ]@0 ");
    expect("bf61610161629f0203ffff", "{@0 key:a@1 num:1@1 key:b@1 [@1 num:2@2 num:3@2 ]@1 }@0 ");
    expect("bf6346756ef563416d7421ff", "{@0 key:Fun@1 T@1 key:Amt@1 num:-2@1 }@0 ");
    expect("a17f61616162ff01", "{@0 key:ab@1 num:1@1 }@0 ");
    refuse("a1410100", 1, "a key that is neither a text nor a whole number");
    refuse("a1f500", 1, "a key that is neither a text nor a whole number");
    refuse("a18000", 1, "a key that is neither a text nor a whole number");
    refuse("bf01ff", 2, "an end of what did not begin");
    refuse("81ff", 1, "an end of what did not begin");
    refuse("ff", 0, "an end of what did not begin");
    refuse("1f", 0, "a length that CBOR does not have");
    refuse("df", 0, "a length that CBOR does not have");
    refuse("5c", 0, "a length that CBOR does not have");
    refuse("0000", 1, "something behind the value");
    refuse("", 0, "the value is cut off");
}

static void test_depth(void **state)
{
    uint8_t bytes[10000];
    struct cbor_fault fault = {0};
    (void)state;
    memset(bytes, 0x81, sizeof bytes);
    bytes[JSON_DEPTH_MAX] = 0;
    assert_int_equal(scan(bytes, JSON_DEPTH_MAX + 1, 64, NULL, &fault), 0);
    bytes[JSON_DEPTH_MAX] = 0x81;
    assert_int_equal(scan(bytes, sizeof bytes, 64, NULL, &fault), E_TOO_BIG);
    assert_int_equal(fault.offset, JSON_DEPTH_MAX);
    memset(bytes, 0xbf, sizeof bytes);
    assert_int_equal(scan(bytes, sizeof bytes, 64, NULL, &fault), E_SYNTAX);
    memset(bytes, 0xc6, sizeof bytes); /* tags may be as many as they like */
    bytes[sizeof bytes - 1] = 0;
    assert_int_equal(scan(bytes, sizeof bytes, 64, NULL, &fault), 0);
}

/* A text of N bytes, all of them U+00FC. */
static size_t long_text(uint8_t *bytes, size_t count)
{
    bytes[0] = 0x78;
    bytes[1] = (uint8_t)count;
    for (size_t i = 0; i < count; i++)
        bytes[2 + i] = i % 2 == 0 ? 0xc3 : 0xbc;
    return count + 2;
}

static void test_long_texts_are_truncated(void **state)
{
    uint8_t bytes[300];
    struct cbor_fault fault = {0};
    struct trace cut = {.used = 0};
    struct trace whole = {.used = 0};
    (void)state;
    size_t count = long_text(bytes, 66);
    assert_int_equal(scan(bytes, count, 64, &cut, &fault), 0);
    assert_int_equal(strlen(cut.text), strlen("str:") + 62 + strlen("~@0 "));
    assert_non_null(strstr(cut.text, "~@0 "));
    assert_int_equal(scan(bytes, count, 67, &whole, &fault), 0);
    assert_int_equal(strlen(whole.text), strlen("str:") + 66 + strlen("@0 "));
}

static void test_handler_ends_the_scan(void **state)
{
    uint8_t bytes[16];
    struct cbor_fault fault = {.text = "untouched"};
    struct trace trace = {.refuse_at = 3};
    (void)state;
    size_t count = from_hex("83010203", bytes);
    assert_int_equal(scan(bytes, count, 64, &trace, &fault), E_REFUSED);
    assert_int_equal(trace.tokens, 3);
    assert_int_equal(trace.offset, 1);
    assert_int_equal(fault.offset, 2);
    assert_null(fault.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_what_is_no_number_in_json),
        cmocka_unit_test(test_decimal_fractions),
        cmocka_unit_test(test_simple_values_and_tags),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_arrays_and_maps),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_long_texts_are_truncated),
        cmocka_unit_test(test_handler_ends_the_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
