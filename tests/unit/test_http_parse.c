/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/http/http_parse.h"
#include "platform/base/error.h"

enum { BODY_BYTES = 4096, WHOLE = 0, ENDS_WITH_CONNECTION = 1 };

/* What came out of a reply, however it was cut into pieces. */
struct seen {
    struct http_reply reply;
    unsigned heads;
    char body[BODY_BYTES];
    size_t body_bytes;
};

static int on_head(void *context, const struct http_reply *reply)
{
    struct seen *seen = context;
    seen->reply = *reply;
    seen->heads++;
    return 0;
}

static int on_body(void *context, const uint8_t *bytes, size_t count)
{
    struct seen *seen = context;
    assert_true(count > 0);
    assert_int_equal(seen->heads, 1);
    assert_true(seen->body_bytes + count <= sizeof seen->body);
    memcpy(seen->body + seen->body_bytes, bytes, count);
    seen->body_bytes += count;
    return 0;
}

static int feed(struct http_parser *parser, struct seen *seen, const char *bytes, size_t count)
{
    const struct http_parse_events events = {on_head, on_body, seen};
    /* A copy of the exact size lets AddressSanitizer see a read behind the end. */
    uint8_t *copy = malloc(count + (count == 0));
    assert_non_null(copy);
    memcpy(copy, bytes, count);
    int rc = http_parse_feed(parser, copy, count, &events);
    free(copy);
    return rc;
}

/* Feeds TEXT whole. Returns 0 if a whole reply came out, else the error. */
static int parse(const char *text, size_t count, struct seen *seen)
{
    struct http_parser parser;
    memset(seen, 0, sizeof *seen);
    http_parse_start(&parser);
    int rc = feed(&parser, seen, text, count);
    if (rc < 0)
        return rc;
    rc = http_parse_end(&parser);
    assert_int_equal(http_parse_done(&parser), rc == 0);
    return rc;
}

struct row {
    const char *text;
    const char *body;
    int status;
    bool keep_alive;
    int end; /* ENDS_WITH_CONNECTION: a prefix behind the head is whole as well */
};

static const struct row rows[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 200, true, WHOLE},
    {"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "hello", 200, true, WHOLE},
    {"HTTP/1.1 200\r\ncontent-length:5\r\n\r\nhello", "hello", 200, true, WHOLE},
    {"HTTP/1.1 400 \r\nContent-Length: 0\r\n\r\n", "", 400, true, WHOLE},
    {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "", 204, true, WHOLE},
    {"HTTP/1.1 304 Not Modified\r\n\r\n", "", 304, true, WHOLE},
    {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nrest", "rest", 200, false, ENDS_WITH_CONNECTION},
    {"HTTP/1.1 200 OK\r\n\r\n", "", 200, false, ENDS_WITH_CONNECTION},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\nab", "ab", 200, false, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close, keep-alive\r\n\r\nab", "ab", 200,
     false, WHOLE},
    {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", "ab", 200, false, WHOLE},
    {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: Keep-Alive\r\n\r\nab", "ab", 200, true,
     0},
    {"HTTP/1.0 200 OK\r\n\r\nrest", "rest", 200, false, ENDS_WITH_CONNECTION},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\nab", "ab", 200, true, 0},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", "ab", 200, true,
     WHOLE},
    {"HTTP/1.1 103 Early Hints\r\nContent-Length: 99\r\nConnection: close\r\n\r\n"
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
     "ab", 200, true, WHOLE},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello", 200,
     true, WHOLE},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, Chunked\r\n\r\n"
     "00A;name=value;other=\"x\"\r\n0123456789\r\n2 \r\nab\r\n0;last\r\nTrailer: x\r\nMore: "
     "y\r\n\r\n",
     "0123456789ab", 200, true, WHOLE},
    {"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n", "abc", 200, true, WHOLE},
    {"HTTP/1.1 500 Oops\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n"
     "0\r\n\r\n",
     "abcd", 500, false, WHOLE},
    {"HTTP/1.1 200 OK\r\nX-Folded: a\r\n  b\r\n\tc\r\nContent-Length:\r\n 2\r\n\r\nab", "ab", 200,
     true, WHOLE},
};

enum { ROWS = sizeof rows / sizeof *rows };

static void check(const struct row *row, const struct seen *seen)
{
    assert_int_equal(seen->heads, 1);
    assert_int_equal(seen->reply.status, row->status);
    assert_int_equal(seen->reply.keep_alive, row->keep_alive);
    assert_int_equal(seen->body_bytes, strlen(row->body));
    assert_memory_equal(seen->body, row->body, strlen(row->body));
}

static void test_whole(void **state)
{
    struct seen seen;
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(parse(rows[i].text, strlen(rows[i].text), &seen), 0);
        check(&rows[i], &seen);
    }
}

static void parse_split(const struct row *row, size_t first, size_t second)
{
    struct http_parser parser;
    struct seen seen = {0};
    size_t count = strlen(row->text);
    http_parse_start(&parser);
    assert_int_equal(feed(&parser, &seen, row->text, first), first);
    assert_int_equal(feed(&parser, &seen, row->text + first, second - first), second - first);
    assert_int_equal(feed(&parser, &seen, row->text + second, count - second), count - second);
    assert_int_equal(http_parse_end(&parser), 0);
    check(row, &seen);
}

/* Split in two places, all of them. */
static void test_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        size_t count = strlen(rows[i].text);
        for (size_t first = 0; first <= count; first++)
            for (size_t second = first; second <= count; second += 7)
                parse_split(&rows[i], first, second);
    }
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        struct http_parser parser;
        struct seen seen = {0};
        http_parse_start(&parser);
        for (const char *at = rows[i].text; *at != '\0'; at++)
            assert_int_equal(feed(&parser, &seen, at, 1), 1);
        assert_int_equal(http_parse_end(&parser), 0);
        check(&rows[i], &seen);
    }
}

/* A reply that was cut off is never taken for whole. */
static void test_every_prefix(void **state)
{
    struct seen seen;
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        size_t count = strlen(rows[i].text);
        for (size_t prefix = 0; prefix < count; prefix++) {
            int rc = parse(rows[i].text, prefix, &seen);
            bool open = rows[i].end == ENDS_WITH_CONNECTION && seen.heads > 0;
            assert_int_equal(rc, open ? 0 : E_CLOSED);
        }
    }
}

/* What follows a reply is left to the caller. */
static void test_bytes_behind_the_reply(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        struct http_parser parser;
        struct seen seen = {0};
        char text[1024];
        size_t count = strlen(rows[i].text);
        if (rows[i].end == ENDS_WITH_CONNECTION)
            continue;
        (void)snprintf(text, sizeof text, "%sHTTP/1.1", rows[i].text);
        http_parse_start(&parser);
        assert_int_equal(feed(&parser, &seen, text, count + 8), count);
        assert_true(http_parse_done(&parser));
        assert_int_equal(feed(&parser, &seen, text, 8), 0);
        check(&rows[i], &seen);
    }
}

static void test_syntax(void **state)
{
    static const char *const texts[] = {
        "GET / HTTP/1.1\r\n",
        "<html>login</html>\r\n",
        "HTTP/2.0 200 OK\r\n",
        "HTTP/1.1  200 OK\r\n",
        "HTTP/1.1 20 OK\r\n",
        "HTTP/1.1 2000 OK\r\n",
        "HTTP/1.1 099 OK\r\n",
        "HTTP/1.1 600 OK\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n",
        "HTTP/1.x 200 OK\r\n",
        "\r\nHTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\n X: folded behind the status line\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5 x\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
        "HTTP/1.1 200 OK\r\nX: carriage\rreturn\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\r\n\r\n",
    };
    struct seen seen;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (parse(texts[i], strlen(texts[i]), &seen) != E_SYNTAX)
            fail_msg("taken for HTTP: %s", texts[i]);
    static const char nul[] = "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n";
    assert_int_equal(parse(nul, sizeof nul - 1, &seen), E_SYNTAX);
}

static void parse_header(const char *header, struct seen *seen)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "HTTP/1.1 503 Busy\r\n%s\r\nContent-Length: 0\r\n\r\n",
                   header);
    assert_int_equal(parse(text, strlen(text), seen), 0);
}

static void test_dates(void **state)
{
    struct seen seen;
    (void)state;
    parse_header("Date: Wed, 07 Oct 2015 12:00:00 GMT", &seen);
    assert_true(seen.reply.has_date);
    assert_int_equal(seen.reply.date_ms, INT64_C(1444219200000));
    parse_header("DATE: Wed, 07 Oct 2015 12:00:00 GMT\r\nAge: 17", &seen);
    assert_false(seen.reply.has_date);
    parse_header("Age: 17\r\nDate: Wed, 07 Oct 2015 12:00:00 GMT", &seen);
    assert_false(seen.reply.has_date);
    parse_header("Date: yesterday", &seen);
    assert_false(seen.reply.has_date);
}

static void check_retry(const char *header, int64_t expected_ms)
{
    struct seen seen;
    parse_header(header, &seen);
    assert_int_equal(seen.reply.retry_after_ms, expected_ms);
}

static void test_retry_after(void **state)
{
    (void)state;
    check_retry("X: y", -1);
    check_retry("Retry-After: 120", 120000);
    check_retry("Retry-After: 0", 0);
    check_retry("Retry-After: 99999999999999", INT64_C(604800000));
    check_retry("Retry-After: soon", -1);
    check_retry("Retry-After: -5", -1);
    check_retry("Retry-After: Wed, 07 Oct 2015 12:00:30 GMT\r\n"
                "Date: Wed, 07 Oct 2015 12:00:00 GMT",
                30000);
    check_retry("Date: Wed, 07 Oct 2015 12:00:00 GMT\r\nAge: 1\r\n"
                "Retry-After: Wed, 07 Oct 2015 11:00:00 GMT",
                0);
    check_retry("Retry-After: Wed, 07 Oct 2015 12:00:30 GMT", -1); /* relative to nothing */
    check_retry("x-amz-retry-after: 1500", 1500);
    check_retry("x-amz-retry-after: 1500\r\nRetry-After: 9", 1500);
    check_retry("Retry-After: 9\r\nx-amz-retry-after: 1500", 1500);
    check_retry("x-amz-retry-after: 18446744073709551615", INT64_C(604800000));
}

static void check_error_type(const char *value, const char *expected)
{
    struct seen seen;
    char header[512];
    (void)snprintf(header, sizeof header, "x-amzn-errortype: %s", value);
    parse_header(header, &seen);
    assert_string_equal(seen.reply.error_type, expected);
}

static void test_error_types(void **state)
{
    (void)state;
    check_error_type("", "");
    check_error_type("ThrottlingException", "ThrottlingException");
    check_error_type("InvalidSignatureException:http://internal.amazon.com/x#y/",
                     "InvalidSignatureException");
    check_error_type("com.amazon.coral.service#AccessDeniedException : x", "AccessDeniedException");
    check_error_type("a#b#C", "C");
    check_error_type("#", "");
    check_error_type("a\tb\x80", "a?b?");
}

static void test_texts(void **state)
{
    struct seen seen;
    char header[600];
    char value[400];
    (void)state;
    parse_header("Content-Type:  application/x-amz-json-1.1 \t\r\nX-Amzn-RequestId: r-1", &seen);
    assert_string_equal(seen.reply.content_type, "application/x-amz-json-1.1");
    assert_string_equal(seen.reply.request_id, "r-1");
    parse_header("x-amz-request-id: r-2", &seen);
    assert_string_equal(seen.reply.request_id, "r-2");
    parse_header("X-Amz-Bucket-Region: eu-west-1", &seen);
    assert_string_equal(seen.reply.bucket_region, "eu-west-1");
    parse_header("ETag: \"9b2cf535f27731c974343645a3985328-7\"", &seen);
    assert_string_equal(seen.reply.etag, "\"9b2cf535f27731c974343645a3985328-7\"");
    memset(value, 'v', sizeof value);
    value[sizeof value - 1] = '\0';
    (void)snprintf(header, sizeof header, "content-type: %s", value);
    parse_header(header, &seen);
    assert_int_equal(strlen(seen.reply.content_type), HTTP_VALUE_BYTES - 1);
    (void)snprintf(header, sizeof header, "etag: %s", value);
    parse_header(header, &seen);
    assert_string_equal(seen.reply.etag, ""); /* a part of one is none */
}

/* "HTTP/1.1 200 OK", then NAME with COUNT bytes of value, then an empty body. */
static int parse_long(const char *name, size_t count, struct seen *seen)
{
    size_t room = count + 256;
    char *text = malloc(room);
    assert_non_null(text);
    int used = snprintf(text, room, "HTTP/1.1 200 OK\r\n%s: ", name);
    memset(text + used, '7', count);
    strcpy(text + (size_t)used + count, "\r\nContent-Length: 0\r\n\r\n");
    int rc = parse(text, strlen(text), seen);
    free(text);
    return rc;
}

static void test_limits(void **state)
{
    struct seen seen;
    (void)state;
    assert_int_equal(parse_long("X-Other", HTTP_LINE_BYTES, &seen), 0);
    assert_int_equal(parse_long("X-Other", 30000, &seen), 0);
    assert_int_equal(parse_long("X-Other", HTTP_HEAD_BYTES_MAX, &seen), E_TOO_BIG);
    assert_int_equal(parse_long("Content-Type", HTTP_LINE_BYTES - 20, &seen), 0);
    assert_int_equal(parse_long("Content-Type", HTTP_LINE_BYTES, &seen), E_TOO_BIG);
    assert_int_equal(parse_long("Content-Length", HTTP_LINE_BYTES, &seen), E_TOO_BIG);
}

/* Feeds FIRST, then PIECE over and over; returns the error that ends it. */
static int parse_endless(const char *first, const char *piece, struct seen *seen)
{
    struct http_parser parser;
    size_t fed = 0;
    memset(seen, 0, sizeof *seen);
    http_parse_start(&parser);
    int rc = feed(&parser, seen, first, strlen(first));
    for (; rc >= 0 && fed < 2 * HTTP_HEAD_BYTES_MAX; fed += strlen(piece))
        rc = feed(&parser, seen, piece, strlen(piece));
    assert_int_equal(http_parse_end(&parser), rc < 0 ? rc : E_CLOSED);
    return rc;
}

static void test_endless(void **state)
{
    static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    char trailers[128];
    char extension[128];
    struct seen seen;
    (void)state;
    (void)snprintf(trailers, sizeof trailers, "%s0\r\n", chunked);
    (void)snprintf(extension, sizeof extension, "%s1;", chunked);
    assert_int_equal(parse_endless("", "HTTP/1.1 100 Continue\r\n\r\n", &seen), E_TOO_BIG);
    assert_int_equal(parse_endless("HTTP/1.1 200 ", "OK", &seen), E_TOO_BIG);
    assert_int_equal(parse_endless("HTTP/1.1 200 OK\r\n", "name", &seen), E_TOO_BIG);
    assert_int_equal(parse_endless("HTTP/1.1 200 OK\r\nX: y\r\n", " folded\r\n", &seen), E_TOO_BIG);
    assert_int_equal(parse_endless("HTTP/1.1 200 OK\r\n", "A: b\r\n", &seen), E_TOO_BIG);
    assert_int_equal(parse_endless(trailers, "A: b\r\n", &seen), E_TOO_BIG);
    assert_int_equal(parse_endless(extension, "extension", &seen), E_TOO_BIG);
}

/* A body may be larger than any limit of the head. */
static int count_body(void *context, const uint8_t *bytes, size_t count)
{
    (void)bytes;
    *(size_t *)context += count;
    return 0;
}

static void test_large_body(void **state)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    static const char chunk[] = "10\r\n0123456789abcdef\r\n";
    size_t counted = 0;
    const struct http_parse_events events = {NULL, count_body, &counted};
    struct http_parser parser;
    (void)state;
    http_parse_start(&parser);
    assert_true(http_parse_feed(&parser, (const uint8_t *)head, sizeof head - 1, &events) > 0);
    for (int i = 0; i < 10000; i++)
        assert_true(http_parse_feed(&parser, (const uint8_t *)chunk, sizeof chunk - 1, &events) >
                    0);
    assert_true(http_parse_feed(&parser, (const uint8_t *)"0\r\n\r\n", 5, &events) > 0);
    assert_true(http_parse_done(&parser));
    assert_int_equal(counted, 160000);
}

static int refuse_head(void *context, const struct http_reply *reply)
{
    (void)context;
    (void)reply;
    return E_REFUSED;
}

static int refuse_body(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    (void)bytes;
    (void)count;
    return E_RANGE;
}

static void test_events_end_it(void **state)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
    const struct http_parse_events at_head = {refuse_head, NULL, NULL};
    const struct http_parse_events at_body = {NULL, refuse_body, NULL};
    const struct http_parse_events neither = {NULL, NULL, NULL};
    const uint8_t *bytes = (const uint8_t *)text;
    struct http_parser parser;
    (void)state;

    http_parse_start(&parser);
    assert_int_equal(http_parse_feed(&parser, bytes, sizeof text - 1, &at_head), E_REFUSED);
    assert_int_equal(http_parse_feed(&parser, bytes, 1, &at_head), E_REFUSED);
    assert_int_equal(http_parse_end(&parser), E_REFUSED);
    http_parse_start(&parser);
    assert_int_equal(http_parse_feed(&parser, bytes, sizeof text - 1, &at_body), E_RANGE);
    assert_false(http_parse_done(&parser));
    http_parse_start(&parser);
    assert_int_equal(http_parse_feed(&parser, bytes, sizeof text - 1, &neither), sizeof text - 1);
    assert_true(http_parse_done(&parser));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_bytes_behind_the_reply),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_error_types),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_endless),
        cmocka_unit_test(test_large_body),
        cmocka_unit_test(test_events_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
