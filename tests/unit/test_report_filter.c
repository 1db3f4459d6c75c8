/* SPDX-License-Identifier: Apache-2.0 */
/* What must not leave in a report, however it is cut into pieces. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "agent/cli/report_filter.h"

static void expect(const char *text, const char *expected)
{
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        char *output = NULL;
        size_t bytes = 0;
        struct report_filter filter = {.to = open_memstream(&output, &bytes)};
        for (size_t at = 0; at < strlen(text); at += piece) {
            size_t left = strlen(text) - at;
            report_filter_write(&filter, text + at, piece < left ? piece : left);
        }
        report_filter_end(&filter);
        assert_int_equal(fclose(filter.to), 0);
        assert_string_equal(output, expected);
        free(output);
    }
}

static void test_urls_lose_their_secrets(void **state)
{
    (void)state;
    expect("see https://example.com/records, then", "see https://example.com/records, then");
    expect("\"http://user:pass@proxy:3128\"", "\"http://***@proxy:3128\"");
    expect("http://user:p@ss/w?rd@proxy/a?b=c d", "http://***@proxy/a?*** d");
    expect("at https://host/path?code=abc%20def: refused", "at https://host/path?*** refused");
    expect("a://b c://d@e\nf ://@", "a://b c://***@e\nf ://***@");
    expect("http:/x:://u:p@h", "http:/x:://***@h");
    expect("who? me@home: 1/2 // ok", "who? me@home: 1/2 // ok");
}

static void test_long_urls_are_left_out(void **state)
{
    static char text[REPORT_URL_BYTES + 64];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    memcpy(text, "http://", 7);
    text[sizeof text - 3] = ' ';
    text[sizeof text - 2] = '!';
    expect(text, "http://*** !");
}

static void test_all_is_plain(void **state)
{
    (void)state;
    expect("caf\xc3\xa9 \x1b[2Jtab\tline\n\x7f", "caf?? ?[2Jtab\tline\n?");
    expect("http://caf\xc3\xa9/", "http://caf?\?/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls_lose_their_secrets),
        cmocka_unit_test(test_long_urls_are_left_out),
        cmocka_unit_test(test_all_is_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
