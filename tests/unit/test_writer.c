/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "platform/base/error.h"
#include "platform/base/writer.h"

static void expect(struct writer *writer, char *buffer, const char *text)
{
    assert_true(writer_total_bytes(writer) == strlen(text));
    assert_int_equal(writer_finish(writer), 0);
    assert_string_equal(buffer, text);
    writer_to_memory(writer, buffer, writer->buffer_bytes);
}

static void test_forms(void **state)
{
    char buffer[400];
    struct writer writer;
    (void)state;
    writer_to_memory(&writer, buffer, sizeof buffer);
    writer_text(&writer, "a");
    writer_char(&writer, 'b');
    writer_bytes(&writer, "cd", 2);
    writer_bytes(&writer, NULL, 0);
    writer_format(&writer, "%d%s", 5, "x");
    writer_hex(&writer, (const uint8_t *)"\x00\xff\x5a", 3);
    expect(&writer, buffer, "abcd5x00ff5a");
    writer_unsigned(&writer, 0);
    writer_char(&writer, ' ');
    writer_unsigned(&writer, UINT64_MAX);
    expect(&writer, buffer, "0 18446744073709551615");
    writer_signed(&writer, INT64_MIN);
    writer_signed(&writer, INT64_MAX);
    writer_signed(&writer, -1);
    expect(&writer, buffer, "-92233720368547758089223372036854775807-1");
}

static void test_decimal(void **state)
{
    char buffer[400];
    struct writer writer;
    (void)state;
    writer_to_memory(&writer, buffer, sizeof buffer);
    static const struct {
        int64_t mantissa;
        unsigned decimals;
        const char *text;
    } cases[] = {
        {2150, 2, "21.50"},
        {-1250, 2, "-12.50"},
        {5, 0, "5"},
        {0, 0, "0"},
        {0, 3, "0.000"},
        {-1, 3, "-0.001"},
        {99, 2, "0.99"},
        {100, 2, "1.00"},
        {INT64_MIN, 18, "-9.223372036854775808"},
        {INT64_MAX, 19, "0.9223372036854775807"},
        {1, 20, "0.00000000000000000001"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        writer_decimal(&writer, cases[i].mantissa, cases[i].decimals);
        expect(&writer, buffer, cases[i].text);
    }
    writer_decimal(&writer, 1, 275);
    assert_true(writer_total_bytes(&writer) == 277);
    assert_int_equal(writer_finish(&writer), 0);
    writer_decimal(&writer, 1, 276);
    assert_int_equal(writer_finish(&writer), E_RANGE);
}

static void test_memory_is_the_limit(void **state)
{
    char buffer[4] = {0, 0, 0, '#'};
    struct writer writer;
    (void)state;
    writer_to_memory(&writer, buffer, 3);
    writer_text(&writer, "abc"); /* fills it to the last byte; there is no room for a NUL */
    assert_int_equal(writer_finish(&writer), 0);
    assert_memory_equal(buffer, "abc#", 4);
    writer_char(&writer, 'd');
    assert_int_equal(writer_finish(&writer), E_TOO_BIG);
    writer_fail(&writer, E_SYNTAX); /* the first error sticks */
    assert_int_equal(writer_finish(&writer), E_TOO_BIG);
    assert_memory_equal(buffer, "abc#", 4);
    writer_to_memory(&writer, buffer, 0);
    assert_int_equal(writer_finish(&writer), 0);
    writer_char(&writer, 'a');
    assert_int_equal(writer_finish(&writer), E_TOO_BIG);
    assert_memory_equal(buffer, "abc#", 4);
}

static void test_format_limit(void **state)
{
    char buffer[600];
    struct writer writer;
    (void)state;
    writer_to_memory(&writer, buffer, sizeof buffer);
    writer_format(&writer, "%255s", "x");
    assert_true(writer_total_bytes(&writer) == 255);
    assert_int_equal(writer_finish(&writer), 0);
    writer_format(&writer, "%256s", "x");
    assert_int_equal(writer_finish(&writer), E_TOO_BIG);
}

struct sink {
    char text[64];
    size_t used;
    size_t calls;
    size_t fail_at; /* the call that fails, from 1; 0: none */
};

static int take(void *context, const uint8_t *bytes, size_t count)
{
    struct sink *sink = context;
    assert_true(count > 0);
    if (++sink->calls == sink->fail_at)
        return E_CLOSED;
    assert_true(sink->used + count < sizeof sink->text);
    memcpy(sink->text + sink->used, bytes, count);
    sink->used += count;
    return 0;
}

/* The same text comes through a buffer of every size. */
static void test_flush_at_every_size(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 20; size++) {
        struct sink sink = {.fail_at = 0};
        char buffer[20];
        struct writer writer;
        writer_to_function(&writer, buffer, size, take, &sink);
        writer_text(&writer, "{\"a\":");
        writer_decimal(&writer, -2150, 2);
        writer_char(&writer, '}');
        assert_true(writer_total_bytes(&writer) == 12);
        assert_int_equal(writer_finish(&writer), 0);
        assert_string_equal(sink.text, "{\"a\":-21.50}");
        assert_int_equal(sink.calls, (12 + size - 1) / size);
    }
}

static void test_every_flush_may_fail(void **state)
{
    (void)state;
    for (size_t fail_at = 1; fail_at <= 4; fail_at++) {
        struct sink sink = {.fail_at = fail_at};
        char buffer[3];
        struct writer writer;
        writer_to_function(&writer, buffer, sizeof buffer, take, &sink);
        writer_text(&writer, "0123456789ab");
        assert_int_equal(writer_finish(&writer), E_CLOSED);
        assert_int_equal(sink.calls, fail_at); /* and is never called again */
    }
}

/* A buffer of no size could only ask to be emptied for ever. */
static void test_no_buffer(void **state)
{
    struct sink sink = {.fail_at = 0};
    struct writer writer;
    (void)state;
    writer_to_function(&writer, NULL, 0, take, &sink);
    writer_char(&writer, 'a');
    assert_int_equal(writer_finish(&writer), E_TOO_BIG);
    assert_int_equal(sink.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_decimal),
        cmocka_unit_test(test_memory_is_the_limit),
        cmocka_unit_test(test_format_limit),
        cmocka_unit_test(test_flush_at_every_size),
        cmocka_unit_test(test_every_flush_may_fail),
        cmocka_unit_test(test_no_buffer),
    };
    return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
