/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "agent/control/doctor.h"

enum { OUT_BYTES = 4096 };

struct paper {
    struct writer out;
    struct doctor doctor;
    char text[OUT_BYTES];
};

static void begin(struct paper *paper, bool json)
{
    writer_to_memory(&paper->out, paper->text, sizeof paper->text);
    doctor_start(&paper->doctor, json, &paper->out);
    doctor_section(&paper->doctor, "route live", "kinesis");
}

static const char *end(struct paper *paper)
{
    doctor_end(&paper->doctor);
    assert_int_equal(writer_finish(&paper->out), 0);
    return paper->text;
}

static void add(struct paper *paper, enum doctor_outcome outcome, const char *what,
                const char *remedy)
{
    const struct doctor_finding finding = {
        .rung = "DNS", .outcome = outcome, .what = what, .remedy = remedy};
    doctor_add(&paper->doctor, &finding);
}

static void test_text(void **state)
{
    struct paper paper;
    (void)state;
    begin(&paper, false);
    add(&paper, DOCTOR_OK, "fine", NULL);
    add(&paper, DOCTOR_FAIL, "broken", "mend it");
    add(&paper, DOCTOR_UNTRIED, "not tried", NULL);
    assert_string_equal(end(&paper), "route live: kinesis\n"
                                     "  ok    DNS           fine\n"
                                     "  FAIL  DNS           broken\n"
                                     "                      -> mend it\n"
                                     "  -     DNS           not tried\n"
                                     "\n"
                                     "verdict: 1 fault: route live, DNS\n");
}

/* Between words, and within one that is longer than a line. */
static void test_wrapping(void **state)
{
    struct paper paper;
    char what[300];
    (void)state;
    for (size_t length = 1; length < sizeof what - 1; length++) {
        memset(what, 'x', length);
        what[length] = '\0';
        what[length / 3] = ' ';
        begin(&paper, false);
        add(&paper, DOCTOR_FAIL, what, what);
        const char *text = end(&paper);
        for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
            assert_true(strcspn(line, "\n") <= 80);
        size_t letters = 0;
        for (const char *at = text; (at = strchr(at, 'x')) != NULL; at++)
            letters++;
        assert_int_equal(letters, 2 * (length - 1));
    }
}

/* What a server says reaches no terminal as it is. */
static void test_foreign(void **state)
{
    struct paper paper;
    (void)state;
    begin(&paper, false);
    add(&paper, DOCTOR_WARN, "gr\xc3\xbc\xc3\x9f\x1b[2J\n", "");
    const char *text = end(&paper);
    assert_non_null(strstr(text, "gr???[2J?\n"));
    assert_non_null(strstr(text, "verdict: nothing fails, but see the warnings\n"));
}

static void test_verdicts(void **state)
{
    struct paper paper;
    (void)state;
    begin(&paper, false);
    assert_non_null(strstr(end(&paper), "verdict: nothing fails\n"));
    begin(&paper, false);
    add(&paper, DOCTOR_UNTRIED, "", NULL);
    assert_non_null(strstr(end(&paper), "verdict: nothing fails, but not all could be tried\n"));
    begin(&paper, false);
    add(&paper, DOCTOR_FAIL, "", NULL);
    add(&paper, DOCTOR_FAIL, "", NULL);
    assert_non_null(strstr(end(&paper), "verdict: 2 faults, first: route live, DNS\n"));
    assert_int_equal(paper.doctor.failures, 2);
}

static void test_json(void **state)
{
    struct paper paper;
    (void)state;
    begin(&paper, true);
    add(&paper, DOCTOR_FAIL, "a \"word\"", "mend it");
    doctor_section(&paper.doctor, "agent", "");
    add(&paper, DOCTOR_UNTRIED, "", NULL);
    assert_string_equal(
        end(&paper), "{\"sections\":[{\"name\":\"route live\",\"about\":\"kinesis\",\"findings\":["
                     "{\"rung\":\"DNS\",\"outcome\":\"fail\",\"what\":\"a \\\"word\\\"\","
                     "\"remedy\":\"mend it\"}]},{\"name\":\"agent\",\"about\":\"\",\"findings\":["
                     "{\"rung\":\"DNS\",\"outcome\":\"untried\",\"what\":\"\",\"remedy\":null}]}],"
                     "\"ok\":false,\"failures\":1,\"warnings\":0,\"untried\":1}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),    cmocka_unit_test(test_wrapping),
        cmocka_unit_test(test_foreign), cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
