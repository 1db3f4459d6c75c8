/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/lines/framer.h"
#include "platform/base/error.h"

enum { LINE_MAX_BYTES = 8 };

struct bench {
    struct framer framer;
    char log[512]; /* what came out: "text|", "!|" for a refused line */
    size_t used;
    uint64_t offset; /* of the last line */
};

static void take_all(struct bench *bench, bool at_end)
{
    struct framer_line line;
    int rc;
    while ((rc = framer_next(&bench->framer, at_end, &line)) != E_AGAIN) {
        int count = rc == 0 ? (int)line.count : 1;
        const char *text = rc == 0 ? (const char *)line.bytes : "!";
        if (rc != 0)
            assert_int_equal(rc, E_TOO_BIG);
        else
            bench->offset = line.offset;
        bench->used += (size_t)snprintf(bench->log + bench->used, sizeof bench->log - bench->used,
                                        "%.*s|", count, text);
        assert_true(bench->used < sizeof bench->log);
    }
}

static void feed(struct bench *bench, const char *text, size_t count)
{
    size_t room;
    void *to = framer_room(&bench->framer, &room);
    assert_true(count <= room);
    memcpy(to, text, count);
    framer_add(&bench->framer, count);
    take_all(bench, false);
}

static void start(struct bench *bench, uint8_t *buffer, uint64_t offset)
{
    *bench = (struct bench){.used = 0};
    framer_start(&bench->framer, buffer, LINE_MAX_BYTES, offset);
}

/* Each text is cut in two at every place, and fed byte by byte. */
static void expect(const char *text, size_t count, bool at_end, const char *log)
{
    struct bench bench;
    uint8_t *buffer = malloc(framer_buffer_bytes(LINE_MAX_BYTES));
    assert_non_null(buffer);
    for (size_t cut = 0; cut <= count + 1; cut++) {
        start(&bench, buffer, 0);
        if (cut <= count) {
            feed(&bench, text, cut);
            feed(&bench, text + cut, count - cut);
        }
        for (size_t i = 0; cut == count + 1 && i < count; i++)
            feed(&bench, text + i, 1);
        if (at_end)
            take_all(&bench, true);
        assert_string_equal(bench.log, log);
        assert_int_equal(framer_offset(&bench.framer), count);
        if (at_end)
            assert_false(framer_has_rest(&bench.framer));
    }
    free(buffer);
}

#define EXPECT(text, at_end, log) expect(text, sizeof text - 1, at_end, log)

static void test_lines_at_every_split(void **state)
{
    (void)state;
    EXPECT("", true, "");
    EXPECT("a\n", false, "a|");
    EXPECT("a\nbc\n", false, "a|bc|");
    EXPECT("a\r\nb\r\n", false, "a|b|");
    EXPECT("\n\r\n\n", false, "|||");
    EXPECT("a\r\rb\n", false, "a\r\rb|");
    EXPECT("\r\r\n", false, "\r|");
}

static void test_a_rest_is_a_line_only_at_the_end(void **state)
{
    (void)state;
    EXPECT("a\nb", false, "a|");
    EXPECT("a\nb", true, "a|b|");
    EXPECT("b\r", true, "b|");
    EXPECT("a\n", true, "a|");
}

static void test_a_byte_order_mark_is_skipped_at_the_start_alone(void **state)
{
    (void)state;
    EXPECT("\xef\xbb\xbf"
           "a\nb\n",
           false, "a|b|");
    EXPECT("a\n\xef\xbb\xbf"
           "b\n",
           false,
           "a|\xef\xbb\xbf"
           "b|");
    EXPECT("\xef\xbb\n", false, "\xef\xbb|");
    EXPECT("\xef\xbb\xbf", true, "|");
    EXPECT("\xef\xbb\xbf"
           "12345678\r\n",
           false, "12345678|");
}

static void test_a_line_too_long_is_refused_as_one(void **state)
{
    (void)state;
    EXPECT("12345678\n", false, "12345678|");
    EXPECT("12345678\r\n", false, "12345678|");
    EXPECT("123456789\nab\n", false, "!|ab|");
    EXPECT("12345678901234567890123456789012345678901234567890\nab\n", false, "!|ab|");
    EXPECT("ab\n12345678901234567890\n12345678901234567890\nc\n", false, "ab|!|!|c|");
    EXPECT("12345678901234567890", true, "!|");
    EXPECT("123456789", true, "!|");
    EXPECT("12345678901234567890\nab", true, "!|ab|");
}

static void test_lines_know_their_number_and_offset(void **state)
{
    struct bench bench;
    uint8_t *buffer = malloc(framer_buffer_bytes(LINE_MAX_BYTES));
    (void)state;
    assert_non_null(buffer);
    start(&bench, buffer, 1000);
    feed(&bench, "ab\r\n", 4);
    assert_int_equal(bench.offset, 1004);
    assert_int_equal(bench.framer.line, 1);
    feed(&bench, "12345678901234567890", 20);
    assert_int_equal(bench.framer.line, 2);
    assert_true(framer_has_rest(&bench.framer));
    feed(&bench, "1\ncd", 4);
    assert_int_equal(bench.framer.line, 2);
    take_all(&bench, true);
    assert_int_equal(bench.framer.line, 3);
    assert_int_equal(bench.offset, 1028);
    assert_string_equal(bench.log, "ab|!|cd|");
    free(buffer);
}

/* Many reads of the largest size, with a line across each border. */
static void test_the_buffer_is_used_over_and_over(void **state)
{
    struct bench bench;
    uint8_t *buffer = malloc(framer_buffer_bytes(LINE_MAX_BYTES));
    uint64_t count = 0;
    (void)state;
    assert_non_null(buffer);
    start(&bench, buffer, 0);
    for (int i = 0; i < 100; i++) {
        struct framer_line line;
        size_t room;
        uint8_t *to = framer_room(&bench.framer, &room);
        for (size_t k = 0; k < room; k++)
            to[k] = (framer_offset(&bench.framer) + k) % 7 == 6 ? '\n' : 'x';
        framer_add(&bench.framer, room);
        while (framer_next(&bench.framer, false, &line) == 0) {
            assert_int_equal(line.count, 6);
            assert_int_equal(line.offset, ++count * 7);
        }
    }
    assert_int_equal(count, (uint64_t)100 * FRAMER_READ_BYTES / 7);
    free(buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_at_every_split),
        cmocka_unit_test(test_a_rest_is_a_line_only_at_the_end),
        cmocka_unit_test(test_a_byte_order_mark_is_skipped_at_the_start_alone),
        cmocka_unit_test(test_a_line_too_long_is_refused_as_one),
        cmocka_unit_test(test_lines_know_their_number_and_offset),
        cmocka_unit_test(test_the_buffer_is_used_over_and_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
