/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "agent/aws/xml_scan.h"
#include "platform/base/error.h"

enum { TRACE_BYTES = 512 };

/* What was handed on: "<a", "text", ">a"; pieces of a text stand together. */
struct trace {
    char text[TRACE_BYTES];
    size_t used;
    int fail_at; /* the event that fails, from 1 */
};

static void add(struct trace *trace, const char *text, size_t count)
{
    assert_true(trace->used + count < TRACE_BYTES);
    memcpy(trace->text + trace->used, text, count);
    trace->used += count;
    trace->text[trace->used] = '\0';
}

static int on_token(void *context, const struct xml_token *token)
{
    struct trace *trace = context;
    static const char *const marks[] = {[XML_BEGIN] = "<", [XML_END] = ">"};
    if (trace->fail_at > 0 && --trace->fail_at == 0)
        return E_CHECKSUM;
    if (token->event == XML_TEXT) {
        add(trace, token->text, token->text_bytes);
        return 0;
    }
    add(trace, marks[token->event], 1);
    add(trace, token->name, strlen(token->name));
    add(trace, " ", 1);
    return 0;
}

static int scan_in_pieces(const char *text, size_t first, size_t piece, struct trace *trace)
{
    struct xml_scan scan;
    size_t count = strlen(text);
    int rc = 0;
    xml_scan_start(&scan, on_token, trace);
    for (size_t at = 0; at < count && rc == 0;) {
        size_t now = at == 0 && first > 0 ? first : piece;
        now = now < count - at ? now : count - at;
        rc = xml_scan_feed(&scan, text + at, now);
        at += now;
    }
    int end = xml_scan_end(&scan);
    assert_true(rc == 0 || end == rc);
    return end;
}

/* Whole, split at every place, and byte by byte: always the same. */
static void expect(const char *text, int result, const char *told)
{
    for (size_t split = 0; split <= strlen(text); split++) {
        struct trace trace = {0};
        assert_int_equal(scan_in_pieces(text, split, SIZE_MAX, &trace), result);
        if (told != NULL)
            assert_string_equal(trace.text, told);
    }
    struct trace trace = {0};
    assert_int_equal(scan_in_pieces(text, 0, 1, &trace), result);
    if (told != NULL)
        assert_string_equal(trace.text, told);
}

static void test_elements(void **state)
{
    (void)state;
    expect("<a/>", 0, "<a >a ");
    expect("<?xml version=\"1.0\" encoding='x?y'?>\n<!-- - -- <x> ->-->\n<a  >text</a >\r\n<!---->",
           0, "<a text>a ");
    expect("<A xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><B>x</B><C></C><B y='>'/>z</A>",
           0, "<A <B x>B <C >C <B >B z>A ");
    expect("<a:b-1._>\xc3\xa9</a:b-1._>", 0, "<a:b-1._ \xc3\xa9>a:b-1._ ");
    expect("<a>1<?pi?>2<!-- c -->3</a>", 0, "<a 123>a ");
}

static void test_entities(void **state)
{
    (void)state;
    expect("<a>&amp;&lt;&gt;&quot;&apos;&#65;&#x2B;&#xe9;</a>", 0, "<a &<>\"'A+?>a ");
    static const char *const bad[] = {"<a>&</a>",    "<a>&nbsp;</a>", "<a>&#;</a>",
                                      "<a>&#x;</a>", "<a>&#0;</a>",   "<a>&#1a;</a>",
                                      "<a>&;</a>",   "<a>&#xg;</a>",  "<a>&#123456789012;</a>",
                                      "&amp;<a/>"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect(bad[i], E_SYNTAX, NULL);
}

static void test_faulty(void **state)
{
    static const char *const bad[] = {"",
                                      " ",
                                      "x<a/>",
                                      "<a>",
                                      "<a></b>",
                                      "<a></a></a>",
                                      "<a/><b/>",
                                      "<a/>x",
                                      "</a>",
                                      "<>",
                                      "< a/>",
                                      "<a></ a>",
                                      "<a></a b>",
                                      "<a/ >",
                                      "<1/>",
                                      "<a b=\"<\"/>",
                                      "<a b=\"x/>",
                                      "<a",
                                      "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>",
                                      "<a><![CDATA[x]]></a>",
                                      "<!-x--><a/>",
                                      "<a><!-- ",
                                      "<?xml ",
                                      "<a></",
                                      "<a;/>",
                                      "\xef\xbb\xbf<a/>"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect(bad[i], E_SYNTAX, NULL);
}

static void test_limits(void **state)
{
    char text[600] = "";
    (void)state;
    for (int i = 0; i < XML_DEPTH_MAX; i++)
        (void)strcat(text, "<a>");
    for (int i = 0; i < XML_DEPTH_MAX; i++)
        (void)strcat(text, "</a>");
    expect(text, 0, NULL);
    text[0] = '\0';
    for (int i = 0; i <= XML_DEPTH_MAX; i++)
        (void)strcat(text, "<a>");
    expect(text, E_TOO_BIG, NULL);
    char name[XML_NAME_BYTES + 1];
    memset(name, 'n', XML_NAME_BYTES);
    name[XML_NAME_BYTES] = '\0';
    (void)snprintf(text, sizeof text, "<%s/>", name + 1);
    expect(text, 0, NULL);
    (void)snprintf(text, sizeof text, "<%s/>", name);
    expect(text, E_TOO_BIG, NULL);
}

static void test_handler_ends_it(void **state)
{
    (void)state;
    for (int at = 1; at <= 3; at++) {
        struct trace trace = {.fail_at = at};
        assert_int_equal(scan_in_pieces("<a>x</a>", 0, 1, &trace), E_CHECKSUM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements),        cmocka_unit_test(test_entities),
        cmocka_unit_test(test_faulty),          cmocka_unit_test(test_limits),
        cmocka_unit_test(test_handler_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
