/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/json/json_scan.h"

/* What a scan said, as text: "{ key:a@1 num:1@1 }" with depths, so that two scans compare. */
struct trace {
    char text[8192];
    size_t used;
    unsigned refuse_at; /* the token, from 1, that the handler refuses; 0: none */
    unsigned tokens;
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
    trace->used += (size_t)count;
    return 0;
}

struct outcome {
    int rc;
    unsigned line, column;
    uint64_t offset;
};

/* Each piece is its own allocation, so that the sanitizer sees a read beyond it. */
static int feed_copy(struct json_scan *scan, const char *text, size_t count)
{
    char *copy = malloc(count + 1);
    assert_non_null(copy);
    memcpy(copy, text, count);
    copy = realloc(copy, count > 0 ? count : 1);
    int rc = json_scan_feed(scan, copy, count);
    free(copy);
    return rc;
}

static struct outcome scan_split(const char *text, size_t count, size_t split, struct trace *trace)
{
    struct json_scan scan;
    json_scan_start(&scan, trace != NULL ? record : NULL, trace);
    int rc = feed_copy(&scan, text, split);
    if (rc == 0)
        rc = feed_copy(&scan, text + split, count - split);
    if (rc == 0)
        rc = json_scan_end(&scan);
    if (rc == E_SYNTAX)
        assert_non_null(scan.fault);
    return (struct outcome){rc, scan.line, scan.column, scan.offset};
}

static struct outcome scan_bytes(const char *text, size_t count, struct trace *trace)
{
    struct json_scan scan;
    int rc = 0;
    json_scan_start(&scan, record, trace);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = json_scan_feed(&scan, text + i, 1);
    if (rc == 0)
        rc = json_scan_end(&scan);
    return (struct outcome){rc, scan.line, scan.column, scan.offset};
}

static void assert_same(struct outcome a, struct outcome b)
{
    assert_int_equal(a.rc, b.rc);
    assert_int_equal(a.line, b.line);
    assert_int_equal(a.column, b.column);
    assert_true(a.offset == b.offset);
}

/* Scans TEXT whole, cut at every point, byte by byte and without a handler: always the same. */
static struct outcome scan_all_ways(const char *text, size_t count, struct trace *ret_trace)
{
    struct trace whole = {0};
    struct outcome outcome = scan_split(text, count, count, &whole);
    for (size_t split = 0; split <= count; split++) {
        struct trace trace = {0};
        assert_same(scan_split(text, count, split, &trace), outcome);
        assert_string_equal(trace.text, whole.text);
        assert_same(scan_split(text, count, split, NULL), outcome);
    }
    struct trace trace = {0};
    assert_same(scan_bytes(text, count, &trace), outcome);
    assert_string_equal(trace.text, whole.text);
    *ret_trace = whole;
    return outcome;
}

static void expect_tokens(const char *text, const char *expected)
{
    struct trace trace;
    struct outcome outcome = scan_all_ways(text, strlen(text), &trace);
    assert_int_equal(outcome.rc, 0);
    assert_string_equal(trace.text, expected);
}

static void expect_fault_bytes(const char *text, size_t count, int rc, unsigned line,
                               unsigned column)
{
    struct trace trace;
    struct outcome outcome = scan_all_ways(text, count, &trace);
    if (outcome.rc != rc || outcome.line != line || outcome.column != column)
        fail_msg("'%s': rc %d at %u:%u, expected %d at %u:%u", text, outcome.rc, outcome.line,
                 outcome.column, rc, line, column);
}

static void expect_fault(const char *text, unsigned line, unsigned column)
{
    expect_fault_bytes(text, strlen(text), E_SYNTAX, line, column);
}

static void test_values(void **state)
{
    (void)state;
    expect_tokens("null", "N@0 ");
    expect_tokens(" true ", "T@0 ");
    expect_tokens("\t\r\nfalse\n", "F@0 ");
    expect_tokens("\"\"", "str@0 ");
    expect_tokens("{}", "{@0 }@0 ");
    expect_tokens(" [ ] ", "[@0 ]@0 ");
    expect_tokens("[1,2]", "[@0 num:1@1 num:2@1 ]@0 ");
    expect_tokens("{\"a\":{\"b\":[true,null,\"x\"]},\"c\":-0.50}",
                  "{@0 key:a@1 {@1 key:b@2 [@2 T@3 N@3 str:x@3 ]@2 }@1 key:c@1 num:-0.50@1 }@0 ");
    expect_tokens("{ \"abcdefghijklmnop\" : \"0123456789abcdef0\" }",
                  "{@0 key:abcdefghijklmnop@1 str:0123456789abcdef0@1 }@0 ");
}

static void test_numbers_keep_their_spelling(void **state)
{
    (void)state;
    expect_tokens("0", "num:0@0 ");
    expect_tokens("21.50", "num:21.50@0 ");
    expect_tokens("-0", "num:-0@0 ");
    expect_tokens("1e999", "num:1e999@0 ");
    expect_tokens("[-1.250E+07,9007199254740993,0.1e-5]",
                  "[@0 num:-1.250E+07@1 num:9007199254740993@1 num:0.1e-5@1 ]@0 ");
}

static void test_bad_numbers(void **state)
{
    (void)state;
    expect_fault("01", 1, 2);
    expect_fault("-", 1, 2);
    expect_fault("-a", 1, 2);
    expect_fault("+1", 1, 1);
    expect_fault(".5", 1, 1);
    expect_fault("1.", 1, 3);
    expect_fault("1.e5", 1, 3);
    expect_fault("1e", 1, 3);
    expect_fault("1e+", 1, 4);
    expect_fault("[1 2]", 1, 4);
    expect_fault("0x10", 1, 2);
    expect_fault("1.5.2", 1, 4);
    expect_fault("NaN", 1, 1);
    expect_fault("Infinity", 1, 1);
}

static void test_bad_grammar(void **state)
{
    (void)state;
    expect_fault("", 1, 1);
    expect_fault("  ", 1, 3);
    expect_fault("[1,]", 1, 4);
    expect_fault("[,1]", 1, 2);
    expect_fault("{\"a\":1,}", 1, 8);
    expect_fault("{\"a\" 1}", 1, 6);
    expect_fault("{\"a\":}", 1, 6);
    expect_fault("{a:1}", 1, 2);
    expect_fault("{1:1}", 1, 2);
    expect_fault("{'a':1}", 1, 2);
    expect_fault("[1}", 1, 3);
    expect_fault("{\"a\":1]", 1, 7);
    expect_fault("]", 1, 1);
    expect_fault("{} {}", 1, 4);
    expect_fault("1 1", 1, 3);
    expect_fault("tru", 1, 4);
    expect_fault("trux", 1, 4);
    expect_fault("nulll", 1, 5);
    expect_fault("True", 1, 1);
    expect_fault("{\n  \"a\": 1\n  \"b\": 2\n}", 3, 3);
    expect_fault("// no\n1", 1, 1);
    expect_fault("\xef\xbb\xbf{}", 1, 1);
}

static void test_escapes(void **state)
{
    (void)state;
    expect_tokens("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "str:\"\\/\b\f\n\r\t@0 ");
    expect_tokens("\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00z\"",
                  "str:A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z@0 ");
    expect_fault("\"\\x\"", 1, 3);
    expect_fault("\"\\", 1, 3);
    expect_fault("\"\\u", 1, 4);
    expect_fault("\"\\u00\"", 1, 6);
    expect_fault("\"\\u00g0\"", 1, 6);
    expect_fault_bytes("\"\\\0\"", 4, E_SYNTAX, 1, 3);
}

static void test_lone_surrogates(void **state)
{
    (void)state;
    expect_fault("\"\\ud800\"", 1, 8);
    expect_fault("\"\\ud800x\"", 1, 8);
    expect_fault("\"\\ud800\\n\"", 1, 9);
    expect_fault("\"\\ud800\\u0041\"", 1, 13);
    expect_fault("\"\\ud800\\ud800\"", 1, 13);
    expect_fault("\"\\udc00\"", 1, 7);
    expect_fault("\"\xed\xa0\x80\"", 1, 3);
}

static void test_nul_in_text(void **state)
{
    (void)state;
    struct trace trace;
    struct outcome outcome = scan_all_ways("\"a\\u0000b\"", 10, &trace);
    assert_int_equal(outcome.rc, 0);
    expect_fault_bytes("\"a\0b\"", 5, E_SYNTAX, 1, 3);
    expect_fault_bytes("[1,\0]", 5, E_SYNTAX, 1, 4);
    expect_fault_bytes("{}\0", 3, E_SYNTAX, 1, 3);
}

static void test_utf8(void **state)
{
    (void)state;
    expect_tokens("\"\xc3\xa9\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"",
                  "str:\xc3\xa9\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf@0 ");
    expect_fault("\"\x80\"", 1, 2);
    expect_fault("\"\xc0\xaf\"", 1, 2);
    expect_fault("\"\xc1\xbf\"", 1, 2);
    expect_fault("\"\xe0\x9f\xbf\"", 1, 3);
    expect_fault("\"\xf0\x8f\xbf\xbf\"", 1, 3);
    expect_fault("\"\xf4\x90\x80\x80\"", 1, 3);
    expect_fault("\"\xf5\x80\x80\x80\"", 1, 2);
    expect_fault("\"\xff\"", 1, 2);
    expect_fault("\"\xe2\x82\"", 1, 3);
    expect_fault("\"\xe2\x82", 1, 3);
    expect_fault("\"ab\ncd\"", 1, 4);
    expect_fault("\"ab\tcd\"", 1, 4);
}

/* Columns count characters, and a plain run's last byte is watched at each alignment. */
static void test_every_byte_at_every_place_of_a_run(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++)
        for (size_t place = 0; place < 20; place++) {
            char text[] = "\"aaaaaaaaaaaaaaaaaaaa\"";
            text[1 + place] = (char)byte;
            struct json_scan scan;
            json_scan_start(&scan, NULL, NULL);
            int rc = json_scan_feed(&scan, text, sizeof text - 1);
            bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
            assert_int_equal(rc, plain || (byte == '\\' && place == 19) ? 0 : E_SYNTAX);
        }
}

static void test_every_prefix_is_incomplete(void **state)
{
    (void)state;
    static const char text[] =
        " {\"k\\u00e9y\":[1.5e3,\"\\ud83d\\ude00\xc3\xa9\",true,{},[]],\"n\":null}";
    for (size_t count = 0; count < sizeof text - 1; count++) {
        struct trace trace = {0};
        assert_int_equal(scan_split(text, count, count / 2, &trace).rc, E_SYNTAX);
        assert_int_equal(json_scan_object(text, count), E_SYNTAX);
    }
    assert_int_equal(json_scan_object(text, sizeof text - 1), 0);
}

static void test_depth(void **state)
{
    (void)state;
    enum { DEEP = 10000 };
    char text[DEEP];
    memset(text, '[', sizeof text);
    expect_fault_bytes(text, JSON_DEPTH_MAX + 1, E_TOO_BIG, 1, JSON_DEPTH_MAX + 1);
    struct json_scan scan;
    json_scan_start(&scan, NULL, NULL);
    assert_int_equal(json_scan_feed(&scan, text, sizeof text), E_TOO_BIG);
    assert_int_equal(json_scan_feed(&scan, "]", 1), E_TOO_BIG);
    assert_int_equal(json_scan_end(&scan), E_TOO_BIG);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    struct trace trace;
    assert_int_equal(scan_all_ways(text, 2 * JSON_DEPTH_MAX, &trace).rc, 0);
    for (size_t i = 0; i + 5 <= sizeof text; i += 5)
        memcpy(text + i, "{\"a\":", 5);
    assert_int_equal(json_scan_object(text, sizeof text), E_TOO_BIG);
}

static int keep_length(void *context, const struct json_token *token)
{
    if (token->event == JSON_STRING || token->event == JSON_NUMBER) {
        struct json_token *kept = context;
        *kept = *token;
    }
    return 0;
}

static void expect_length(const char *text, size_t count, size_t split, size_t bytes,
                          bool truncated)
{
    struct json_scan scan;
    struct json_token kept = {0};
    json_scan_start(&scan, keep_length, &kept);
    assert_int_equal(json_scan_feed(&scan, text, split), 0);
    assert_int_equal(json_scan_feed(&scan, text + split, count - split), 0);
    assert_int_equal(json_scan_end(&scan), 0);
    assert_int_equal(kept.text_bytes, bytes);
    assert_int_equal(kept.truncated, truncated);
    assert_int_equal(scan.offset, count);
}

static void test_long_tokens_are_truncated(void **state)
{
    (void)state;
    enum { LONG = 100000, KEPT = JSON_TOKEN_BYTES - 1 };
    static char text[LONG];
    memset(text, 'x', sizeof text);
    text[0] = '"';
    text[LONG - 1] = '"';
    expect_length(text, LONG, 7, KEPT, true);
    text[KEPT + 1] = '"';
    expect_length(text, KEPT + 2, 300, KEPT, false);
    text[KEPT + 1] = 'x';
    text[KEPT + 2] = '"';
    expect_length(text, KEPT + 3, 300, KEPT, true);
    memset(text, '7', sizeof text);
    expect_length(text, LONG, 511, KEPT, true);
    expect_length(text, KEPT, 5, KEPT, false);
}

/* The caller's room, larger or smaller than the scan's own. */
static void test_room_of_the_caller(void **state)
{
    enum { BYTES = JSON_TOKEN_BYTES + 100 };
    static const size_t rooms[] = {8, BYTES};
    char room[BYTES + 1];
    char text[BYTES];
    (void)state;
    memset(text, 'x', sizeof text);
    text[0] = text[BYTES - 1] = '"';
    for (size_t i = 0; i < 2; i++) {
        struct json_scan scan;
        struct json_token kept = {0};
        bool cut = rooms[i] < BYTES;
        json_scan_start(&scan, keep_length, &kept);
        json_scan_use(&scan, room, rooms[i]);
        room[rooms[i]] = '!';
        assert_int_equal(json_scan_feed(&scan, text, sizeof text), 0);
        assert_ptr_equal(kept.text, room);
        assert_int_equal(kept.text_bytes, cut ? rooms[i] - 1 : BYTES - 2);
        assert_int_equal(kept.truncated, cut);
        assert_int_equal(room[kept.text_bytes], '\0');
        assert_int_equal(room[rooms[i]], '!');
    }
}

static void test_truncation_keeps_characters_whole(void **state)
{
    (void)state;
    enum { KEPT = JSON_TOKEN_BYTES - 1, BYTES = JSON_TOKEN_BYTES + 12 };
    static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t kind = 0; kind < 3; kind++)
        for (size_t before = KEPT - 5; before <= KEPT + 1; before++) {
            char text[BYTES];
            size_t length = strlen(characters[kind]);
            memset(text, 'x', sizeof text);
            text[0] = '"';
            memcpy(text + 1 + before, characters[kind], length);
            text[BYTES - 1] = '"';
            size_t kept = before < KEPT && before + length > KEPT ? before : KEPT;
            expect_length(text, BYTES, before, kept, true);
        }
}

static void test_positions(void **state)
{
    (void)state;
    struct json_scan scan;
    struct json_token kept = {0};
    static const char text[] = "{\r\n\t\"\xc3\xa9\xe2\x82\xac\": [ 1,\n   \"deep\"]}";
    json_scan_start(&scan, keep_length, &kept);
    assert_int_equal(json_scan_feed(&scan, text, sizeof text - 1), 0);
    assert_int_equal(json_scan_end(&scan), 0);
    assert_int_equal(kept.line, 3);
    assert_int_equal(kept.column, 4);
    assert_int_equal(kept.offset, 21);
    json_scan_start(&scan, keep_length, &kept);
    assert_int_equal(json_scan_feed(&scan, text, 17), 0);
    assert_int_equal(scan.line, 2);
    assert_int_equal(scan.column, 12);
}

static void test_handler_ends_the_scan(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,true,\"x\"],\"b\":{}}";
    for (unsigned refuse = 1; refuse <= 11; refuse++) {
        struct trace trace = {.refuse_at = refuse};
        struct json_scan scan;
        json_scan_start(&scan, record, &trace);
        int rc = json_scan_feed(&scan, text, sizeof text - 1);
        assert_int_equal(rc, E_REFUSED);
        assert_int_equal(json_scan_feed(&scan, " ", 1), E_REFUSED);
        assert_int_equal(trace.tokens, refuse);
    }
    struct trace trace = {.refuse_at = 1};
    struct json_scan scan;
    json_scan_start(&scan, record, &trace);
    assert_int_equal(json_scan_feed(&scan, "12", 2), 0);
    assert_int_equal(json_scan_end(&scan), E_REFUSED);
}

static void test_object(void **state)
{
    (void)state;
    assert_int_equal(json_scan_object("{}", 2), 0);
    assert_int_equal(json_scan_object(" \n{\"a\":1}\r\n", 12), E_SYNTAX); /* the NUL counts */
    assert_int_equal(json_scan_object(" \n{\"a\":1}\r\n", 11), 0);
    assert_int_equal(json_scan_object("[]", 2), E_SYNTAX);
    assert_int_equal(json_scan_object("1", 1), E_SYNTAX);
    assert_int_equal(json_scan_object("{}{}", 4), E_SYNTAX);
    assert_int_equal(json_scan_object("", 0), E_SYNTAX);
    assert_int_equal(json_scan_object(NULL, 0), E_SYNTAX);
    assert_int_equal(json_scan_object("{\"a\":\"\xff\"}", 9), E_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_numbers_keep_their_spelling),
        cmocka_unit_test(test_bad_numbers),
        cmocka_unit_test(test_bad_grammar),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_lone_surrogates),
        cmocka_unit_test(test_nul_in_text),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_every_byte_at_every_place_of_a_run),
        cmocka_unit_test(test_every_prefix_is_incomplete),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_long_tokens_are_truncated),
        cmocka_unit_test(test_room_of_the_caller),
        cmocka_unit_test(test_truncation_keeps_characters_whole),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_handler_ends_the_scan),
        cmocka_unit_test(test_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
