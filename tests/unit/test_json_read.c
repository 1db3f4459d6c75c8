/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/json/json_read.h"

static struct json_read *parse(const char *text)
{
    struct json_read_fault fault = {0};
    struct json_read *read = NULL;
    /* Its own allocation without a terminator, so that the sanitizer sees a read beyond it. */
    size_t count = strlen(text);
    char *copy = malloc(count > 0 ? count : 1);
    assert_non_null(copy);
    memcpy(copy, text, count);
    int rc = json_read_parse("f.json", copy, count, &fault, &read);
    free(copy);
    if (rc != 0)
        fail_msg("%u:%u: %s", fault.line, fault.column, fault.text);
    return read;
}

static void expect_place(const struct json_node *node, unsigned line, unsigned column)
{
    assert_non_null(node);
    assert_int_equal(node->line, line);
    assert_int_equal(node->column, column);
    assert_string_equal(node->file, "f.json");
}

static void expect_fault(const char *text, int rc, unsigned line, unsigned column, const char *part)
{
    struct json_read_fault fault = {0};
    struct json_read *read = NULL;
    assert_int_equal(json_read_parse("f.json", text, strlen(text), &fault, &read), rc);
    assert_null(read);
    assert_int_equal(fault.line, line);
    assert_int_equal(fault.column, column);
    assert_non_null(strstr(fault.text, part));
}

static void test_tree_with_places(void **state)
{
    (void)state;
    struct json_read *read = parse("{\n  \"a\": [ 1, \"two\", true, null, {} ],\n"
                                   "  \"caf\xc3\xa9\": { \"x\\u0041\": -21.50 }\n}\n");
    struct json_node *root = json_read_root(read);
    expect_place(root, 1, 1);
    assert_int_equal(root->kind, JSON_KIND_OBJECT);
    struct json_node *list = json_read_member(root, "a");
    expect_place(list, 2, 8);
    assert_int_equal(list->key_column, 3);
    struct json_node *node = list->first;
    expect_place(node, 2, 10);
    assert_string_equal(node->text, "1");
    assert_null(node->key);
    assert_int_equal(node->key_line, 2);
    assert_int_equal(node->key_column, 10);
    node = node->next;
    assert_int_equal(node->kind, JSON_KIND_TEXT);
    assert_string_equal(node->text, "two");
    node = node->next;
    assert_int_equal(node->kind, JSON_KIND_BOOLEAN);
    assert_string_equal(node->text, "true");
    node = node->next;
    assert_int_equal(node->kind, JSON_KIND_NULL);
    assert_null(node->text);
    node = node->next;
    assert_int_equal(node->kind, JSON_KIND_OBJECT);
    assert_int_equal(json_read_index(node), 4);
    assert_null(node->next);
    assert_null(node->first);
    node = json_read_member(json_read_member(root, "caf\xc3\xa9"), "xA");
    expect_place(node, 3, 24);
    assert_int_equal(node->key_column, 13);
    assert_string_equal(node->text, "-21.50");
    assert_ptr_equal(node->parent->parent, root);
    assert_null(json_read_member(root, "b"));
    assert_null(json_read_member(list, "b"));
    assert_null(json_read_member(NULL, "b"));
    json_read_free(read);
    json_read_free(NULL);
}

static void test_numbers_keep_their_spelling(void **state)
{
    (void)state;
    struct json_read *read = parse("[0.10,1e999,9007199254740993,-0]");
    const struct json_node *node = json_read_root(read)->first;
    assert_string_equal(node->text, "0.10");
    assert_string_equal(node->next->text, "1e999");
    assert_string_equal(node->next->next->text, "9007199254740993");
    assert_string_equal(node->next->next->next->text, "-0");
    json_read_free(read);
    read = parse("12");
    assert_string_equal(json_read_root(read)->text, "12");
    json_read_free(read);
}

static void test_comments_keep_places(void **state)
{
    (void)state;
    struct json_read *read =
        parse("// \xc3\xa9t\xc3\xa9 \"{\n{ /* \xe2\x82\xac \"x\": // */ \"a\": 1, // tail\n"
              "/* one\n two */ \"b\": \"// no /* comment */ \\\" // \\\\\" /**/ /***/ } // end");
    struct json_node *root = json_read_root(read);
    expect_place(root, 2, 1);
    struct json_node *a = json_read_member(root, "a");
    expect_place(a, 2, 24);
    assert_int_equal(a->key_column, 19);
    struct json_node *b = json_read_member(root, "b");
    expect_place(b, 4, 14);
    assert_string_equal(b->text, "// no /* comment */ \" // \\");
    json_read_free(read);
}

static void test_faults_name_the_place(void **state)
{
    (void)state;
    expect_fault("", E_SYNTAX, 1, 1, "nothing in this file");
    expect_fault("{\n  \"a\": 1\n  \"b\": 2\n}", E_SYNTAX, 2, 9, "comma");
    expect_fault("{ \"a\": 1, }", E_SYNTAX, 1, 9, "remove it");
    expect_fault("{}\n  /* open\n", E_SYNTAX, 2, 3, "not closed");
    expect_fault("/*/", E_SYNTAX, 1, 1, "not closed");
    expect_fault("{} /", E_SYNTAX, 1, 4, "ends in front of this");
    expect_fault("{ \"a\": \"x\\u0000y\" }", E_SYNTAX, 1, 8, "u0000");
    expect_fault("{ \"a\\u0000\": 1 }", E_SYNTAX, 1, 3, "u0000");
    expect_fault("[[[[[[[[[[[[[[[[[", E_TOO_BIG, 1, 17, "deep");
    expect_fault("{ \"a\": \"\xff\" }", E_SYNTAX, 1, 9, "UTF-8");
}

/* FIXED is what TEXT must have been meant to be, with every value in the same place. */
static void expect_same(const struct json_node *node, const struct json_node *fixed)
{
    for (; node != NULL && fixed != NULL; node = node->next, fixed = fixed->next) {
        assert_int_equal(node->kind, fixed->kind);
        assert_int_equal(node->line, fixed->line);
        assert_int_equal(node->column, fixed->column);
        assert_int_equal(node->key_column, fixed->key_column);
        assert_true((node->text == NULL) == (fixed->text == NULL));
        if (node->text != NULL)
            assert_string_equal(node->text, fixed->text);
        expect_same(node->first, fixed->first);
    }
    assert_null(node);
    assert_null(fixed);
}

static void expect_mended(const char *text, size_t faults, const char *last, const char *fixed)
{
    struct json_read_faults found;
    struct json_read *read = NULL;
    struct json_read *wanted = parse(fixed);
    assert_int_equal(json_read_mend("f.json", text, strlen(text), &found, &read), 0);
    assert_int_equal(found.count, faults);
    assert_non_null(strstr(found.list[faults - 1].text, last));
    expect_same(json_read_root(read), json_read_root(wanted));
    json_read_free(read);
    json_read_free(wanted);
}

static void test_what_is_clear_is_mended(void **state)
{
    (void)state;
    expect_mended("{ \"a\": 1, }", 1, "a comma in front of }", "{ \"a\": 1  }");
    expect_mended("[ 1, 2, ]", 1, "a comma in front of ]", "[ 1, 2  ]");
    expect_mended("[ 1,, 2 ]", 1, "a comma too many", "[ 1,  2 ]");
    expect_mended("{ \"a\": [ 1 2 ] \"b\": 3 }", 2, "a comma is missing",
                  "{ \"a\": [ 1,2 ],\"b\": 3 }");
    expect_mended("{ \"a\" 1 }", 1, "a colon is missing", "{ \"a\":1 }");
    expect_mended("{ \"a\" = 1; \"b\": 2 }", 2, "in place of ;", "{ \"a\" : 1, \"b\": 2 }");
    expect_mended("{ 'a': 'b' }", 2, "no quote of JSON", "{ \"a\": \"b\" }");
    expect_mended("{ \"a\": 1 # one\n}\n}", 2, "a } too many", "{ \"a\": 1\n}");
    expect_mended("\xef\xbb\xbf{ \"a\": 1, }", 2, "a comma in front", "{ \"a\": 1  }");
}

static void expect_beyond_mending(const char *text, size_t faults, const char *last)
{
    struct json_read_faults found;
    struct json_read *read = NULL;
    assert_int_equal(json_read_mend("f.json", text, strlen(text), &found, &read), E_SYNTAX);
    assert_null(read);
    assert_int_equal(found.count, faults);
    assert_non_null(strstr(found.list[faults - 1].text, last));
}

static void test_what_is_not_clear_is_said(void **state)
{
    (void)state;
    expect_beyond_mending("{ \"a\": 1, \"b\": [ 2,, 3 }", 2, "} cannot close the [ of line 1");
    expect_beyond_mending("{ \"a\": 1", 1, "{ of line 1, column 1 is open; close it with }");
    expect_beyond_mending("{ a: 1 }", 1, "write \"a\"");
    expect_beyond_mending("{ \"a\": hunter2 }", 1, "a text without double quotes");
    expect_beyond_mending("{ \"a\": 10s }", 1, "no number of JSON");
    expect_beyond_mending("{ \"a\": -.50 }", 1, "write -0.50");
    expect_beyond_mending("{ \"a\": 0x1F }", 1, "write 31");
    expect_beyond_mending("{ \"a\": 0xffffffffffffffff }", 1, "write 18446744073709551615");
    expect_beyond_mending("{ \"a\": 0xffffffffffffffffffff }", 1, "write it like -0.5");
    expect_beyond_mending("{ \"a\": TRUE }", 1, "write true");
    expect_beyond_mending("{ 'a\": 1 }", 1, "no quote of JSON");
    expect_beyond_mending("{ \"a\": \"b\n }", 1, "no end on its line");
    expect_beyond_mending("[ 1,\"2\"\"3\" ]", 1, "a comma is missing");
    expect_beyond_mending("\xff\xfe{", 1, "UTF-16");
}

/* Whatever one wrong byte makes of it: a tree, or a fault whose place is in the text. */
static void test_every_wrong_byte_is_said(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1, {\"b\": true}, 'c'],\n \"d\": -0.5, \"e\" : null }";
    static const char bytes[] = "{}[]:,\"'#;=\\ \nx0.-\xc3\x01";
    char copy[sizeof text];
    for (size_t i = 0; i < (sizeof text - 1) * (sizeof bytes - 1); i++) {
        struct json_read_faults found;
        struct json_read *read = NULL;
        memcpy(copy, text, sizeof text);
        copy[i / (sizeof bytes - 1)] = bytes[i % (sizeof bytes - 1)];
        int rc = json_read_mend("f", copy, sizeof text - 1, &found, &read);
        assert_true(rc == 0 || (rc == E_SYNTAX && found.count > 0));
        assert_true((rc == 0) == (read != NULL));
        for (size_t j = 0; j < found.count; j++)
            assert_true(found.list[j].line >= 1 && found.list[j].line <= 3 &&
                        found.list[j].column >= 1 && found.list[j].text[0] != '\0');
        json_read_free(read);
    }
}

static void test_every_prefix_and_every_cut(void **state)
{
    (void)state;
    static const char text[] = "/*c*/{\"a\":[1,\"\\\"//\",true]//e\n,\"b\":{\"c\":null}}";
    for (size_t count = 0; count < sizeof text - 1; count++) {
        struct json_read_fault fault = {0};
        struct json_read *read = NULL;
        char *copy = malloc(count > 0 ? count : 1);
        assert_non_null(copy);
        memcpy(copy, text, count);
        assert_int_equal(json_read_parse("f", copy, count, &fault, &read), E_SYNTAX);
        assert_true(fault.line > 0);
        free(copy);
    }
    struct json_read *read = parse(text);
    json_read_free(read);
}

static void test_duplicates_are_marked(void **state)
{
    (void)state;
    struct json_read *read = parse("{\"a\":1,\"b\":{\"a\":2},\"\\u0061\":3,\"A\":4,\"a\":5}");
    const struct json_node *node = json_read_root(read)->first;
    assert_false(node->duplicate);
    node = node->next;
    assert_false(node->duplicate);
    assert_false(node->first->duplicate);
    node = node->next;
    assert_true(node->duplicate);
    assert_int_equal(node->key_column, 20);
    node = node->next;
    assert_false(node->duplicate);
    assert_true(node->next->duplicate);
    json_read_free(read);
}

static void test_limits(void **state)
{
    (void)state;
    static char text[JSON_READ_BYTES_MAX + 1];
    struct json_read_fault fault = {0};
    struct json_read *read = NULL;
    memset(text, ' ', sizeof text);
    text[0] = '1';
    assert_int_equal(json_read_parse("f", text, sizeof text, &fault, &read), E_TOO_BIG);
    assert_int_equal(fault.line, 1);
    assert_int_equal(json_read_parse("f", text, sizeof text - 1, &fault, &read), 0);
    json_read_free(read);
    read = NULL;
    memset(text, 'x', JSON_READ_TEXT_MAX + 3);
    text[0] = '"';
    text[JSON_READ_TEXT_MAX + 1] = '"';
    assert_int_equal(json_read_parse("f", text, JSON_READ_TEXT_MAX + 2, &fault, &read), 0);
    assert_int_equal(strlen(json_read_root(read)->text), JSON_READ_TEXT_MAX);
    json_read_free(read);
    read = NULL;
    text[JSON_READ_TEXT_MAX + 1] = 'x';
    text[JSON_READ_TEXT_MAX + 2] = '"';
    assert_int_equal(json_read_parse("f", text, JSON_READ_TEXT_MAX + 3, &fault, &read), E_SYNTAX);
    memset(text, '1', JSON_READ_NUMBER_MAX + 1);
    assert_int_equal(json_read_parse("f", text, JSON_READ_NUMBER_MAX + 1, &fault, &read), E_SYNTAX);
    assert_int_equal(json_read_parse("f", text, JSON_READ_NUMBER_MAX, &fault, &read), 0);
    json_read_free(read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree_with_places),
        cmocka_unit_test(test_numbers_keep_their_spelling),
        cmocka_unit_test(test_comments_keep_places),
        cmocka_unit_test(test_faults_name_the_place),
        cmocka_unit_test(test_what_is_clear_is_mended),
        cmocka_unit_test(test_what_is_not_clear_is_said),
        cmocka_unit_test(test_every_wrong_byte_is_said),
        cmocka_unit_test(test_every_prefix_and_every_cut),
        cmocka_unit_test(test_duplicates_are_marked),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
