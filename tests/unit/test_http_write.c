/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "agent/http/http_write.h"
#include "platform/base/error.h"

enum { TEXT_BYTES = 512 };

static void test_whole_head(void **state)
{
    char text[TEXT_BYTES];
    struct writer out;
    (void)state;
    writer_to_memory(&out, text, sizeof text);
    http_write_request_line(&out, "POST", "/prod/d%C3%A9v", "a=1&b=?");
    http_write_header(&out, "Host", "example.com");
    http_write_header(&out, "X-Empty", "");
    http_write_header(&out, "X-Text", "two words\tand a tab");
    http_write_header_unsigned(&out, "Content-Length", UINT64_MAX);
    http_write_end(&out);
    assert_int_equal(writer_finish(&out), 0);
    assert_string_equal(text, "POST /prod/d%C3%A9v?a=1&b=? HTTP/1.1\r\n"
                              "Host: example.com\r\n"
                              "X-Empty: \r\n"
                              "X-Text: two words\tand a tab\r\n"
                              "Content-Length: 18446744073709551615\r\n"
                              "\r\n");
}

static int request_line(const char *method, const char *path, const char *query)
{
    char text[TEXT_BYTES];
    struct writer out;
    writer_to_memory(&out, text, sizeof text);
    http_write_request_line(&out, method, path, query);
    return writer_finish(&out);
}

static int header(const char *name, const char *value)
{
    char text[TEXT_BYTES];
    struct writer out;
    writer_to_memory(&out, text, sizeof text);
    http_write_header(&out, name, value);
    return writer_finish(&out);
}

static void test_request_lines(void **state)
{
    (void)state;
    assert_int_equal(request_line("GET", "/", NULL), 0);
    assert_int_equal(request_line("GET", "/", ""), 0);
    assert_int_equal(request_line("", "/", ""), E_INVALID);
    assert_int_equal(request_line("GET ", "/", ""), E_INVALID);
    assert_int_equal(request_line("GET", "", ""), E_INVALID);
    assert_int_equal(request_line("GET", "no-slash", ""), E_INVALID);
    assert_int_equal(request_line("GET", "/a?b", ""), E_INVALID);
    assert_int_equal(request_line("GET", "/a#b", ""), E_INVALID);
    assert_int_equal(request_line("GET", "/", "a#b"), E_INVALID);
    assert_int_equal(request_line("GET", "/ HTTP/1.1\r\nEvil: 1", ""), E_INVALID);
}

/* Every byte that could end a line or a header, in every position. */
static void test_control_bytes(void **state)
{
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        bool visible = byte > ' ' && byte < 0x7f;
        char value[] = {'a', (char)byte, 'b', '\0'};
        char last[] = {'a', (char)byte, '\0'};
        char path[] = {'/', (char)byte, '\0'};
        bool inside = visible || byte == ' ' || byte == '\t';
        assert_int_equal(header("X-A", value), inside ? 0 : E_INVALID);
        assert_int_equal(header("X-A", last), visible ? 0 : E_INVALID);
        assert_int_equal(header("X-A", last + 1), visible ? 0 : E_INVALID);
        if (byte != '?' && byte != '#')
            assert_int_equal(request_line("GET", path, ""), visible ? 0 : E_INVALID);
    }
}

static void test_header_names(void **state)
{
    (void)state;
    assert_int_equal(header("x-amz-date", "1"), 0);
    assert_int_equal(header("", "1"), E_INVALID);
    assert_int_equal(header("X A", "1"), E_INVALID);
    assert_int_equal(header("X-A:", "1"), E_INVALID);
    assert_int_equal(header("X-A\r\nY", "1"), E_INVALID);
}

static void check_host(const char *host, uint16_t port, bool tls, const char *expected)
{
    char text[TEXT_BYTES];
    struct writer out;
    writer_to_memory(&out, text, sizeof text);
    http_write_host(&out, host, port, tls);
    assert_int_equal(writer_finish(&out), expected == NULL ? E_INVALID : 0);
    if (expected != NULL)
        assert_string_equal(text, expected);
}

static void test_hosts(void **state)
{
    (void)state;
    check_host("example.com", 443, true, "example.com");
    check_host("example.com", 443, false, "example.com:443");
    check_host("example.com", 80, false, "example.com");
    check_host("127.0.0.1", 4567, true, "127.0.0.1:4567");
    check_host("::1", 8443, true, "[::1]:8443");
    check_host("fd00:ec2::254", 80, false, "[fd00:ec2::254]");
    check_host("", 443, true, NULL);
    check_host("user@example.com", 443, true, NULL);
    check_host("example.com\r\nX: y", 443, true, NULL);
}

static void test_first_error_sticks(void **state)
{
    char text[TEXT_BYTES];
    struct writer out;
    (void)state;
    writer_to_memory(&out, text, 20);
    http_write_header(&out, "Host", "a-name-that-does-not-fit.example.com");
    http_write_header(&out, "Bad\n", "");
    assert_int_equal(writer_finish(&out), E_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_head),    cmocka_unit_test(test_request_lines),
        cmocka_unit_test(test_control_bytes), cmocka_unit_test(test_header_names),
        cmocka_unit_test(test_hosts),         cmocka_unit_test(test_first_error_sticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
