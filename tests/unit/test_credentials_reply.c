/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/aws/credentials_reply.h"
#include "platform/base/error.h"

enum { TEXT_BYTES = 16384 };

static struct credentials_reply reply;

static int read_split(enum credentials_form form, const char *text, size_t count, size_t split)
{
    credentials_reply_start(&reply, form);
    int rc = credentials_reply_feed(&reply, text, split);
    rc = credentials_reply_feed(&reply, text + split, count - split);
    int end = credentials_reply_end(&reply);
    assert_true(rc == 0 || end == E_SYNTAX);
    assert_int_equal(end == E_SYNTAX || end == E_UNSUPPORTED, reply.why != NULL);
    return end;
}

/* Split at every place. */
static void expect(enum credentials_form form, const char *text, int result)
{
    size_t count = strlen(text);
    for (size_t split = 0; split <= count; split++)
        assert_int_equal(read_split(form, text, count, split), result);
}

static void expect_keys(enum credentials_form form, const char *text, const char *token)
{
    size_t count = strlen(text);
    for (size_t split = 0; split <= count; split++) {
        assert_int_equal(read_split(form, text, count, split), 0);
        assert_string_equal(reply.credentials.access_key_id, "ASIA1");
        assert_string_equal(reply.credentials.secret_access_key, "HU/SH+");
        assert_string_equal(reply.credentials.session_token, token);
        assert_true(reply.expiration_ms == 1516267086000);
    }
}

static void expect_told(enum credentials_form form, const char *text, const char *code,
                        const char *message)
{
    expect(form, text, E_NOT_FOUND);
    assert_string_equal(reply.code, code);
    assert_string_equal(reply.message, message);
}

static const char iot[] =
    "{\"credentials\":{\"accessKeyId\":\"ASIA1\",\"secretAccessKey\":\"HU\\/SH\\u002b\","
    "\"sessionToken\":\"TOK/EN==\",\"expiration\":\"2018-01-18T09:18:06Z\"}}";
static const char flat[] =
    "{\n  \"Code\" : \"Success\",\n  \"LastUpdated\" : \"2018-01-18T03:00:00Z\",\n"
    "  \"Type\" : \"AWS-HMAC\",\n  \"AccessKeyId\" : \"ASIA1\",\n"
    "  \"SecretAccessKey\" : \"HU/SH+\",\n  \"Token\" : \"TOK/EN==\",\n"
    "  \"Expiration\" : \"2018-01-18T09:18:06Z\"\n}";
static const char sts[] =
    "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n"
    "  <AssumeRoleWithWebIdentityResult>\n    <Audience>a</Audience>\n"
    "    <AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId></AssumedRoleUser>\n"
    "    <Credentials>\n      <AccessKeyId>ASIA1</AccessKeyId>\n"
    "      <SecretAccessKey>HU/SH&#43;</SecretAccessKey>\n"
    "      <SessionToken>TOK/EN==</SessionToken>\n"
    "      <Expiration>2018-01-18T09:18:06Z</Expiration>\n    </Credentials>\n"
    "  </AssumeRoleWithWebIdentityResult>\n  <ResponseMetadata><Code>no</Code></ResponseMetadata>\n"
    "</AssumeRoleWithWebIdentityResponse>";

static void test_keys(void **state)
{
    (void)state;
    expect_keys(CREDENTIALS_FORM_IOT, iot, "TOK/EN==");
    expect_keys(CREDENTIALS_FORM_FLAT, flat, "TOK/EN==");
    assert_string_equal(reply.code, "Success");
    expect_keys(CREDENTIALS_FORM_STS, sts, "TOK/EN==");
    assert_string_equal(reply.code, "");
    expect_keys(CREDENTIALS_FORM_FLAT,
                "{\"x\":{\"AccessKeyId\":\"no\"},\"y\":[\"AccessKeyId\"],\"accesskeyid\":\"ASIA1\","
                "\"SecretAccessKey\":\"old\",\"SecretAccessKey\":\"HU/SH+\","
                "\"Expiration\":\"2018-01-18T09:18:06.000Z\"}",
                "");
}

/* What a token lives is told in seconds, as a number or a text; unsaid it is short. */
static void test_tokens_of_oauth2(void **state)
{
    static const struct {
        const char *text;
        int64_t life_ms;
    } rows[] = {
        {"{\"access_token\":\"eyJ.x_y-z\",\"expires_in\":3600,\"token_type\":\"Bearer\"}", 3600000},
        {"{\"token_type\":\"bearer\",\"expires_in\":\"60\",\"access_token\":\"eyJ.x_y-z\"}", 60000},
        {"{\"access_token\":\"eyJ.x_y-z\",\"token_type\":\"BEARER\"}", 300000},
        {"{\"access_token\":\"eyJ.x_y-z\",\"expires_in\":null,\"x\":{\"error\":\"1\"}}", 300000},
        {"{\"access_token\":\"eyJ.x_y-z\",\"expires_in\":4294967296}", 86400000},
        {"{\"access_token\":\"old\",\"access_token\":\"eyJ.x_y-z\",\"expires_in\":1}", 1000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t count = strlen(rows[i].text);
        for (size_t split = 0; split <= count; split++) {
            assert_int_equal(read_split(CREDENTIALS_FORM_OAUTH2, rows[i].text, count, split), 0);
            assert_string_equal(reply.credentials.session_token, "eyJ.x_y-z");
            assert_string_equal(reply.credentials.access_key_id, "");
            assert_string_equal(reply.code, "");
            assert_true(reply.life_ms == rows[i].life_ms);
        }
    }
}

static void test_tokens_of_no_use(void **state)
{
    static char text[TEXT_BYTES];
    enum credentials_form form = CREDENTIALS_FORM_OAUTH2;
    (void)state;
    expect(form, "{\"access_token\":\"a\",\"token_type\":\"mac\"}", E_UNSUPPORTED);
    expect(form, "{\"access_token\":\"a\",\"token_type\":\"Bearer-and-much-more\"}", E_UNSUPPORTED);
    expect(form, "{\"access_token\":\"a b\"}", E_SYNTAX);
    expect(form, "{\"access_token\":\"a\",\"expires_in\":-1}", E_SYNTAX);
    expect(form, "{\"access_token\":\"a\",\"expires_in\":0}", E_UNSUPPORTED);
    expect(form, "{\"access_token\":\"a\",\"expires_in\":\"soon\"}", E_SYNTAX);
    expect(form, "{\"access_token\":\"a\"", E_SYNTAX);
    expect(form, "<html>", E_SYNTAX);
    expect(form, "{\"AccessKeyId\":\"a\",\"Token\":\"b\"}", E_NOT_FOUND);
    (void)snprintf(text, sizeof text, "{\"access_token\":\"%0*d\"}", CREDENTIALS_TOKEN_BYTES - 1,
                   7);
    assert_int_equal(read_split(form, text, strlen(text), 9), 0);
    (void)snprintf(text, sizeof text, "{\"access_token\":\"%0*d\"}", CREDENTIALS_TOKEN_BYTES, 7);
    assert_int_equal(read_split(form, text, strlen(text), 9), E_UNSUPPORTED);
    expect_told(form, "{\"error\":\"invalid_client\",\"error_description\":\"who?\"}",
                "invalid_client", "who?");
    expect_told(form, "{\"access_token\":\"\",\"error\":\"x\"}", "x", "");
}

/* Never half of a key: every prefix is told from the whole. */
static void test_every_prefix(void **state)
{
    static const struct {
        enum credentials_form form;
        const char *text;
    } rows[] = {
        {CREDENTIALS_FORM_IOT, iot}, {CREDENTIALS_FORM_FLAT, flat}, {CREDENTIALS_FORM_STS, sts}};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (size_t count = 0; count < strlen(rows[i].text); count++)
            assert_int_equal(read_split(rows[i].form, rows[i].text, count, count / 2), E_SYNTAX);
}

static void test_errors(void **state)
{
    (void)state;
    expect_told(CREDENTIALS_FORM_IOT, "{\"message\":\"Invalid thing name passed\"}", "",
                "Invalid thing name passed");
    expect_told(CREDENTIALS_FORM_IOT, "{\"credentials\":null,\"message\":\"a\\nb\\u00e9\"}", "",
                "a?b??");
    expect_told(CREDENTIALS_FORM_FLAT,
                "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"no\"}",
                "AssumeRoleUnauthorizedAccess", "no");
    expect_told(CREDENTIALS_FORM_FLAT, "{\"code\":\"E\",\"message\":null}", "E", "");
    expect_told(CREDENTIALS_FORM_FLAT, "{}", "", "");
    expect_told(CREDENTIALS_FORM_STS,
                "<ErrorResponse><Error><Type>Sender</Type><Code>IDPCommunicationError</Code>"
                "<Message>a &lt; b</Message></Error><RequestId>1</RequestId></ErrorResponse>",
                "IDPCommunicationError", "a < b");
    expect_told(CREDENTIALS_FORM_STS, "<a/>", "", "");
}

static void test_faulty(void **state)
{
    static const struct {
        enum credentials_form form;
        const char *text;
    } rows[] = {
        {CREDENTIALS_FORM_IOT, "<html><body>Log in</body></html>"},
        {CREDENTIALS_FORM_FLAT, "[]"},
        {CREDENTIALS_FORM_FLAT, "\"x\""},
        {CREDENTIALS_FORM_FLAT, "{}{}"},
        {CREDENTIALS_FORM_FLAT, "{\"AccessKeyId\":\"A\",\"Expiration\":\"2018-01-18T09:18:06Z\"}"},
        {CREDENTIALS_FORM_FLAT, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\"}"},
        {CREDENTIALS_FORM_FLAT,
         "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Expiration\":\"tomorrow\"}"},
        {CREDENTIALS_FORM_FLAT, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":[\"S\"],\"Expiration\":"
                                "\"2018-01-18T09:18:06Z\"}"},
        {CREDENTIALS_FORM_FLAT,
         "{\"AccessKeyId\":\"A "
         "B\",\"SecretAccessKey\":\"S\",\"Expiration\":\"2018-01-18T09:18:06Z\"}"},
        {CREDENTIALS_FORM_FLAT,
         "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"\\r\\n\","
         "\"Expiration\":\"2018-01-18T09:18:06Z\"}"},
        {CREDENTIALS_FORM_STS, "<html><p>Log in</html>"},
        {CREDENTIALS_FORM_STS, "{\"Error\":{}}"},
        {CREDENTIALS_FORM_STS, "<R><Credentials><AccessKeyId>A</AccessKeyId></Credentials></R>"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect(rows[i].form, rows[i].text, E_SYNTAX);
}

static void write_with_token(enum credentials_form form, char text[TEXT_BYTES], const char *token)
{
    if (form == CREDENTIALS_FORM_STS)
        (void)snprintf(text, TEXT_BYTES,
                       "<R><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>S"
                       "</SecretAccessKey><SessionToken>%s</SessionToken>"
                       "<Expiration>2018-01-18T09:18:06Z</Expiration></Credentials></R>",
                       token);
    else
        (void)snprintf(text, TEXT_BYTES,
                       "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"%s\","
                       "\"Expiration\":\"2018-01-18T09:18:06Z\"}",
                       token);
}

/* A token of 4,095 bytes is taken, one more is not cut, but told. */
static void test_long_token(void **state)
{
    static const enum credentials_form forms[] = {CREDENTIALS_FORM_FLAT, CREDENTIALS_FORM_STS};
    static char token[CREDENTIALS_TOKEN_BYTES + 1];
    static char text[TEXT_BYTES];
    (void)state;
    for (size_t form = 0; form < 2; form++)
        for (size_t count = CREDENTIALS_TOKEN_BYTES - 2; count <= CREDENTIALS_TOKEN_BYTES;
             count++) {
            bool fits = count < CREDENTIALS_TOKEN_BYTES;
            memset(token, 't', count);
            token[count] = '\0';
            write_with_token(forms[form], text, token);
            assert_int_equal(read_split(forms[form], text, strlen(text), 100), fits ? 0 : E_SYNTAX);
            if (fits)
                assert_string_equal(reply.credentials.session_token, token);
        }
}

static void test_wipe(void **state)
{
    static const uint8_t none[sizeof reply];
    (void)state;
    assert_int_equal(read_split(CREDENTIALS_FORM_IOT, iot, strlen(iot), 9), 0);
    credentials_reply_wipe(&reply);
    assert_memory_equal(&reply, none, sizeof reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens_of_oauth2),
        cmocka_unit_test(test_tokens_of_no_use),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_faulty),
        cmocka_unit_test(test_long_token),
        cmocka_unit_test(test_wipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
