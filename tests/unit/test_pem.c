/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/base/pem.h"

#define BEGIN "-----BEGIN CERTIFICATE-----\n"
#define END   "-----END CERTIFICATE-----\n"
#define LINE  "MIHNMHICAQAwEDEOMAwGA1UEAwwFZ3ctMTcwWTATBgcqhkjOPQIBBggqhkjOPQMB\n"
#define REST  "BwNCAASONTGBw6nb+5wsR0Jd4w==\n"
#define WHOLE BEGIN LINE REST END

static char cleaned[2048];
static char why[PEM_WHY_BYTES];

static int clean(const char *text, size_t count)
{
    struct writer out;
    writer_to_memory(&out, cleaned, sizeof cleaned - 1);
    int rc = pem_clean_certificates(text, count, &out, why);
    assert_int_equal(writer_finish(&out), 0);
    return rc;
}

static void expect(const char *text, int count, const char *result)
{
    assert_int_equal(clean(text, strlen(text)), count);
    assert_string_equal(cleaned, result);
}

static void expect_fault(const char *text, int code, const char *words)
{
    assert_int_equal(clean(text, strlen(text)), code);
    if (strstr(why, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", why, words);
}

static void test_as_it_is(void **state)
{
    (void)state;
    expect(WHOLE, 1, WHOLE);
    expect(WHOLE WHOLE, 2, WHOLE WHOLE);
    expect("Certificate:\n    Data: x\n" WHOLE "bag attributes\n" WHOLE "$ ", 2, WHOLE WHOLE);
}

/* What consoles, shells and mail make of it. */
static void test_pasted(void **state)
{
    (void)state;
    expect("-----BEGIN CERTIFICATE-----\r\nAAAA\r\nBBBB\r\n-----END CERTIFICATE-----\r\n", 1,
           BEGIN "AAAABBBB\n" END);
    expect("-----BEGIN CERTIFICATE-----\rAAAA\r-----END CERTIFICATE-----", 1, BEGIN "AAAA\n" END);
    expect("# runnel identity install -\n\n  -----BEGIN CERTIFICATE-----  \n\n\tAAAA \n  \n"
           " -----END CERTIFICATE----- \n# ",
           1, BEGIN "AAAA\n" END);
    expect("$ cat > x <<E\n> -----BEGIN CERTIFICATE-----\n> AAAA\n>\n> BB==\n"
           "> -----END CERTIFICATE-----\n> E\n",
           1, BEGIN "AAAABB==\n" END);
    expect("\033[200~-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\033[201~\n", 1,
           BEGIN "AAAA\n" END);
    expect("-----BEGIN CERTIFICATE-----\nAAAA-----END CERTIFICATE-----", 1, BEGIN "AAAA\n" END);
}

/* Lines that are too long or too short come out as they ought to be. */
static void test_columns(void **state)
{
    char text[512] = BEGIN;
    (void)state;
    for (int i = 0; i < 33; i++)
        (void)strcat(text, i % 3 == 0 ? "MIHN\n" : "MIHN");
    (void)strcat(text, "\n" END);
    assert_int_equal(clean(text, strlen(text)), 1);
    const char *end = strchr(cleaned + strlen(BEGIN), '\n');
    assert_int_equal(end - cleaned - (long)strlen(BEGIN), 64);
    end = strchr(end + 1, '\n') + 1;
    assert_int_equal(strchr(end, '\n') - end, 4);
    expect(BEGIN LINE LINE END, 1, BEGIN LINE LINE END);
}

static void test_strict_inside(void **state)
{
    static const struct {
        const char *text;
        int code;
        const char *words;
    } rows[] = {
        {"", E_NOT_FOUND, "there is no -----BEGIN"},
        {"hello\n" LINE END, E_NOT_FOUND, "there is no -----BEGIN"},
        {BEGIN LINE "$ oops\n" END, E_SYNTAX, "line 3: "},
        {BEGIN "AA A\n" END, E_SYNTAX, "line 2: "},
        {BEGIN "AA*A\n" END, E_SYNTAX, "line 2: "},
        {BEGIN "AA=A\n" END, E_SYNTAX, "line 2: "},
        {BEGIN "A===\n" END, E_SYNTAX, "line 2: "},
        {BEGIN "AAA\n" END, E_SYNTAX, "something is missing"},
        {BEGIN END, E_SYNTAX, "something is missing"},
        {BEGIN WHOLE, E_SYNTAX, "line 2: "},
        {BEGIN LINE, E_SYNTAX, "ends before"},
        {BEGIN LINE "-----END CERTIFICATE REQUEST-----\n", E_SYNTAX, "not the end"},
        {"-----BEGIN CERTIFICATE-----AAAA\n" END, E_SYNTAX, "behind the beginning"},
        {"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n", E_REFUSED,
         "\"CERTIFICATE REQUEST\" is no certificate"},
        {"-----BEGIN \033[1mX-----\nAAAA\n", E_REFUSED, "\"\" is no certificate"},
        {WHOLE "-----BEGIN EC PRIVATE KEY-----\nAAAA\n", E_REFUSED, "line 5: a private key"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_fault(rows[i].text, rows[i].code, rows[i].words);
}

/* Nothing that is cut off passes for whole, but for the line's end. */
static void test_cut_off(void **state)
{
    (void)state;
    for (size_t count = 0; count + 1 < strlen(WHOLE); count++)
        assert_true(clean(WHOLE, count) < 0);
    assert_int_equal(clean(WHOLE, strlen(WHOLE) - 1), 1);
    assert_int_equal(clean(BEGIN "AA\0A\n" END, sizeof(BEGIN "AA\0A\n" END) - 1), E_SYNTAX);
}

static void test_no_room(void **state)
{
    char small[40];
    struct writer out;
    (void)state;
    writer_to_memory(&out, small, sizeof small);
    assert_int_equal(pem_clean_certificates(WHOLE, strlen(WHOLE), &out, why), 1);
    assert_int_equal(writer_finish(&out), E_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_it_is), cmocka_unit_test(test_pasted),
        cmocka_unit_test(test_columns),  cmocka_unit_test(test_strict_inside),
        cmocka_unit_test(test_cut_off),  cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
