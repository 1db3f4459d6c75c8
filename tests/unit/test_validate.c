/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/intake/validate.h"
#include "platform/base/error.h"

static char fault[PAYLOAD_FAULT_BYTES];
static struct payload_record record;

static int judge_text(const struct validate_rules *rules, const char *document)
{
    memset(&record, 0, sizeof record);
    record.sample.document = (const uint8_t *)document;
    record.sample.document_bytes = strlen(document);
    strcpy(fault, "untouched");
    return validate_record(rules, &record, fault);
}

#define RULES(members)                                                                             \
    {                                                                                              \
        members, sizeof(members) / sizeof(members)[0], false                                       \
    }
#define STRICT(members)                                                                            \
    {                                                                                              \
        members, sizeof(members) / sizeof(members)[0], true                                        \
    }

static void check(const struct validate_rules *rules, const char *document, int expected,
                  const char *said)
{
    int rc = judge_text(rules, document);
    if (rc != expected || strcmp(fault, said) != 0)
        fail_msg("%s: %d, \"%s\" instead of %d, \"%s\"", document, rc, fault, expected, said);
}

static void passes(const struct validate_rules *rules, const char *document)
{
    check(rules, document, E_OK, "untouched");
}

static void test_types(void **state)
{
    (void)state;
    static const char *const values[] = {"1.5", "-3.0", "1e3", "\"x\"", "true", "{}", "[]", "null"};
    /* which of the values are of which type */
    static const struct {
        enum validate_type type;
        const char *fits;
        const char *said;
    } types[] = {
        {VALIDATE_ANY, "11111111", ""},
        {VALIDATE_NUMBER, "11100000", "member \"v\": should be a number"},
        {VALIDATE_INTEGER, "01100000", "member \"v\": should be a whole number"},
        {VALIDATE_TEXT, "00010000", "member \"v\": should be a text"},
        {VALIDATE_BOOLEAN, "00001000", "member \"v\": should be true or false"},
        {VALIDATE_OBJECT, "00000100", "member \"v\": should be an object"},
        {VALIDATE_ARRAY, "00000010", "member \"v\": should be an array"},
    };
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
        for (size_t v = 0; v < 8; v++) {
            const struct validate_member members[] = {{.name = "v", .type = types[t].type}};
            const struct validate_rules rules = STRICT(members);
            char document[64];
            (void)snprintf(document, sizeof document, "{\"v\":%s}", values[v]);
            if (types[t].fits[v] == '1')
                passes(&rules, document);
            else
                check(&rules, document, E_INVALID, types[t].said);
        }
}

static void test_whole_numbers(void **state)
{
    (void)state;
    static const struct validate_member members[] = {{.name = "v", .type = VALIDATE_INTEGER}};
    static const struct validate_rules rules = RULES(members);
    static const char said[] = "member \"v\": should be a whole number";
    static const char *const whole[] = {"0",         "0.000",
                                        "-0.0e-400", "100e-2",
                                        "1.50e1",    "123456789012345678901234567890",
                                        "1.5e300",   "10e-1",
                                        "0e99",      "9223372036854775807"};
    static const char *const broken[] = {"0.1",      "1e-1",    "10000000000000000000.5",
                                         "1.50e0",   "100e-3",  "1.00000000000000000000000001",
                                         "1.5e-300", "12.34e1", "-0.5"};
    char document[80];
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        (void)snprintf(document, sizeof document, "{\"v\":%s}", whole[i]);
        passes(&rules, document);
    }
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        (void)snprintf(document, sizeof document, "{\"v\":%s}", broken[i]);
        check(&rules, document, E_INVALID, said);
    }
}

static void test_bounds_are_exact_and_inclusive(void **state)
{
    (void)state;
    static const struct validate_member members[] = {{.name = "temp",
                                                      .type = VALIDATE_NUMBER,
                                                      .min = {true, {-405, 1}},
                                                      .max = {true, {125, 0}}}};
    static const struct validate_rules rules = RULES(members);
    passes(&rules, "{\"temp\":125}");
    passes(&rules, "{\"temp\":125.000}");
    passes(&rules, "{\"temp\":-40.5}");
    passes(&rules, "{\"temp\":1e-300}");
    check(&rules, "{\"temp\":140}", E_RANGE, "member \"temp\": 140 is above 125");
    check(&rules, "{\"temp\":125.00000000000001}", E_RANGE,
          "member \"temp\": 125.00000000000001 is above 125");
    check(&rules, "{\"temp\":-40.500000000000001}", E_RANGE,
          "member \"temp\": -40.500000000000001 is below -40.5");
    check(&rules, "{\"temp\":1e999}", E_RANGE, "member \"temp\": 1e999 is above 125");
    check(&rules, "{\"temp\":-123456789012345678901234567890123}", E_RANGE,
          "member \"temp\": -1.2345678901234569e+32 is below -40.5");
}

static void test_missing(void **state)
{
    (void)state;
    static const struct validate_member members[] = {{.name = "rpm", .required = true},
                                                     {.name = "motor.temp", .required = true},
                                                     {.name = "note"}};
    static const struct validate_rules rules = RULES(members);
    passes(&rules, "{\"rpm\":1,\"motor\":{\"temp\":2}}");
    passes(&rules, "{\"motor\":{\"x\":[{\"temp\":1}],\"temp\":null},\"rpm\":null,\"other\":{}}");
    check(&rules, "{}", E_INVALID, "member \"rpm\": is missing");
    check(&rules, "{\"rpm\":1,\"temp\":2}", E_INVALID, "member \"motor.temp\": is missing");
    check(&rules, "{\"rpm\":1,\"motor\":[{\"temp\":2}]}", E_INVALID,
          "member \"motor.temp\": is missing");
    check(&rules, "{\"rpm\":1,\"motor\":{\"motor\":{\"temp\":2}}}", E_INVALID,
          "member \"motor.temp\": is missing");
    check(&rules, "{\"rpm\":1,\"x\":{\"motor\":{\"temp\":2}}}", E_INVALID,
          "member \"motor.temp\": is missing");
}

static void test_unknown(void **state)
{
    (void)state;
    static const struct validate_member members[] = {
        {.name = "rpm"}, {.name = "motor.temp"}, {.name = "motor.case.temp"}, {.name = "free"}};
    static const struct validate_rules rules = STRICT(members);
    passes(&rules, "{\"rpm\":1,\"motor\":{\"case\":{\"temp\":1},\"temp\":2}}");
    passes(&rules, "{\"free\":{\"a\":[{\"b\":1}],\"c\":{\"d\":{}}},\"rpm\":[{\"x\":1}]}");
    passes(&rules, "{}");
    check(&rules, "{\"colour\":1}", E_INVALID, "member \"colour\": is unknown here");
    check(&rules, "{\"rp\":1}", E_INVALID, "member \"rp\": is unknown here");
    check(&rules, "{\"rpms\":1}", E_INVALID, "member \"rpms\": is unknown here");
    check(&rules, "{\"\":1}", E_INVALID, "member \"\": is unknown here");
    check(&rules, "{\"motor\":{\"case\":{\"x\":1}}}", E_INVALID,
          "member \"motor.case.x\": is unknown here");
    check(&rules, "{\"motor\":5}", E_INVALID, "member \"motor\": should be an object");
    check(&rules, "{\"temp\":5}", E_INVALID, "member \"temp\": is unknown here");
}

/* A rule for an object, and others for what is in it. */
static void test_rules_inside_of_rules(void **state)
{
    (void)state;
    static const struct validate_member members[] = {
        {.name = "a", .type = VALIDATE_OBJECT},
        {.name = "a.b", .type = VALIDATE_NUMBER, .max = {true, {5, 0}}}};
    static const struct validate_rules rules = STRICT(members);
    passes(&rules, "{\"a\":{\"other\":1,\"b\":5}}");
    check(&rules, "{\"a\":{\"b\":6}}", E_RANGE, "member \"a.b\": 6 is above 5");
    check(&rules, "{\"a\":6}", E_INVALID, "member \"a\": should be an object");
}

/* The last of them is what most readers take: none may be bad. */
static void test_duplicate_members(void **state)
{
    (void)state;
    static const struct validate_member members[] = {{.name = "v", .type = VALIDATE_NUMBER}};
    static const struct validate_rules rules = RULES(members);
    check(&rules, "{\"v\":1,\"v\":\"x\"}", E_INVALID, "member \"v\": should be a number");
    check(&rules, "{\"v\":\"x\",\"v\":1}", E_INVALID, "member \"v\": should be a number");
}

static void test_faults_are_ascii_and_short(void **state)
{
    (void)state;
    static const struct validate_member members[] = {{.name = "v"}};
    static const struct validate_rules rules = STRICT(members);
    char document[1200] = "{\"";
    check(&rules, "{\"\\u00e9\\n\\\"\":1}", E_INVALID,
          "member \"\\xc3\\xa9\\x0a\\x22\": is unknown here");
    for (int i = 0; i < 900; i++)
        strcat(document, i % 2 == 0 ? "x" : "\x7f");
    strcat(document, "\":1}");
    assert_int_equal(judge_text(&rules, document), E_INVALID);
    assert_non_null(strstr(fault, "...\": is unknown here"));
    assert_true(strlen(fault) < 110);
}

static void test_depth(void **state)
{
    (void)state;
    static const struct validate_member members[] = {
        {.name = "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a", .type = VALIDATE_NUMBER, .required = true}};
    static const struct validate_rules rules = STRICT(members);
    char document[256] = "";
    for (int i = 0; i < 16; i++)
        strcat(document, "{\"a\":");
    strcat(document, "1}}}}}}}}}}}}}}}}");
    passes(&rules, document);
}

static void test_32_rules(void **state)
{
    (void)state;
    struct validate_member members[VALIDATE_MEMBERS_MAX];
    char names[VALIDATE_MEMBERS_MAX][4];
    char document[512] = "{\"m00\":1";
    for (int i = 0; i < VALIDATE_MEMBERS_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "m%02d", i);
        members[i] = (struct validate_member){.name = names[i], .required = true};
        if (i > 0 && i < 31)
            (void)snprintf(document + strlen(document), 16, ",\"m%02d\":1", i);
    }
    const struct validate_rules rules = {members, VALIDATE_MEMBERS_MAX, true};
    strcat(document, "}");
    check(&rules, document, E_INVALID, "member \"m31\": is missing");
    strcpy(document + strlen(document) - 1, ",\"m31\":1}");
    passes(&rules, document);
}

static int judge_channel(const struct validate_rules *rules, const char *name,
                         const struct value *value)
{
    memset(&record, 0, sizeof record);
    record.channel_count = record.sample.value_count = 1;
    (void)snprintf(record.channels[0].name, sizeof record.channels[0].name, "%s", name);
    record.sample.values[0] = *value;
    strcpy(fault, "untouched");
    return validate_record(rules, &record, fault);
}

static struct value float64(double number)
{
    struct value value = {.kind = VALUE_FLOAT64};
    memcpy(&value.float64_bits, &number, sizeof number);
    return value;
}

static void test_channels(void **state)
{
    (void)state;
    static const struct validate_member members[] = {
        {.name = "n", .type = VALIDATE_NUMBER, .min = {true, {0, 0}}},
        {.name = "i", .type = VALIDATE_INTEGER},
        {.name = "b", .type = VALIDATE_BOOLEAN},
        {.name = "t", .type = VALIDATE_TEXT},
        {.name = "o", .type = VALIDATE_OBJECT}};
    static const struct validate_rules rules = STRICT(members);
    const struct value one = {.kind = VALUE_DECIMAL, .mantissa = 100, .decimals = 2};
    const struct value half = {.kind = VALUE_DECIMAL, .mantissa = 5, .decimals = 1};
    const struct value minus = {.kind = VALUE_DECIMAL, .mantissa = -5, .decimals = 1};
    const struct value text = {.kind = VALUE_TEXT, .text = "x", .text_bytes = 1};
    const struct value whole = float64(1e300);
    const struct value broken = float64(0.5);
    assert_int_equal(judge_channel(&rules, "n", &one), E_OK);
    assert_int_equal(judge_channel(&rules, "n", &broken), E_OK);
    assert_int_equal(judge_channel(&rules, "n", &text), E_INVALID);
    assert_int_equal(judge_channel(&rules, "n", &minus), E_RANGE);
    assert_string_equal(fault, "member \"n\": -0.5 is below 0");
    assert_int_equal(judge_channel(&rules, "i", &one), E_OK);
    assert_int_equal(judge_channel(&rules, "i", &half), E_INVALID);
    assert_int_equal(judge_channel(&rules, "i", &whole), E_OK);
    assert_int_equal(judge_channel(&rules, "i", &broken), E_INVALID);
    assert_int_equal(judge_channel(&rules, "b", &one), E_OK);
    assert_int_equal(judge_channel(&rules, "b", &half), E_INVALID);
    assert_int_equal(judge_channel(&rules, "t", &text), E_OK);
    assert_int_equal(judge_channel(&rules, "t", &one), E_INVALID);
    assert_int_equal(judge_channel(&rules, "o", &text), E_INVALID);
    assert_int_equal(judge_channel(&rules, "x", &one), E_INVALID);
    assert_string_equal(fault, "member \"x\": is unknown here");
}

static void test_an_absent_channel_is_missing(void **state)
{
    (void)state;
    static const struct validate_member members[] = {{.name = "n", .required = true}};
    static const struct validate_rules rules = RULES(members);
    const struct value absent = {.kind = VALUE_ABSENT};
    assert_int_equal(judge_channel(&rules, "n", &absent), E_INVALID);
    assert_string_equal(fault, "member \"n\": is missing");
}

static void test_no_rules(void **state)
{
    (void)state;
    static const struct validate_rules rules = {.member_count = 0};
    static const struct validate_rules closed = {.refuses_unknown = true};
    passes(&rules, "{\"anything\":1}");
    passes(&closed, "{}");
    check(&closed, "{\"x\":1}", E_INVALID, "member \"x\": is unknown here");
}

/* The name is an allocation of its own, so that the sanitizer sees what goes beyond it. */
static void test_a_key_with_a_nul(void **state)
{
    (void)state;
    char *name = strdup("a");
    assert_non_null(name);
    const struct validate_member members[] = {{.name = name, .type = VALIDATE_TEXT}};
    const struct validate_rules rules = STRICT(members);
    check(&rules, "{\"a\\u0000\":\"x\"}", E_INVALID, "member \"a\\x00\": is unknown here");
    check(&rules, "{\"a\\u0000bcdefghijklmnopqrstuvw\":1}", E_INVALID,
          "member \"a\\x00bcdefghijklmnopqrstuvw\": is unknown here");
    passes(&rules, "{\"a\":\"x\"}");
    free(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_bounds_are_exact_and_inclusive),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_rules_inside_of_rules),
        cmocka_unit_test(test_duplicate_members),
        cmocka_unit_test(test_faults_are_ascii_and_short),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_32_rules),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_an_absent_channel_is_missing),
        cmocka_unit_test(test_no_rules),
        cmocka_unit_test(test_a_key_with_a_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
