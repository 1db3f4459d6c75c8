/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/aws/credentials_network.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "tests/unit/fake_http.h"

enum { PATH_BYTES = 256, TOKEN_MAX = 20000 };

#define DATE_MS    INT64_C(1516263486000) /* 2018-01-18T08:18:06Z */
#define EXPIRATION "2018-01-18T09:18:06Z"
#define HOUR_MS    INT64_C(3600000)

static const char iot_keys[] =
    "{\"credentials\":{\"accessKeyId\":\"ASIA1\",\"secretAccessKey\":\"HUSH\","
    "\"sessionToken\":\"HUSHTOKEN\",\"expiration\":\"" EXPIRATION "\"}}";
static const char flat_keys[] =
    "{\"Code\":\"Success\",\"AccessKeyId\":\"ASIA1\",\"SecretAccessKey\":\"HUSH\","
    "\"Token\":\"HUSHTOKEN\",\"Expiration\":\"" EXPIRATION "\"}";
static const char sts_keys[] =
    "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
    "<AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>HUSH</SecretAccessKey>"
    "<SessionToken>HUSHTOKEN</SessionToken><Expiration>" EXPIRATION "</Expiration></Credentials>"
    "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";

static char folder[PATH_BYTES];
static char fault[CREDENTIALS_FAULT_BYTES];
static struct credentials credentials;
static int64_t mono_ms, wall_ms;

int64_t __wrap_clock_mono_ms(void);
int64_t __wrap_clock_wall_ms(void);

int64_t __wrap_clock_mono_ms(void)
{
    return mono_ms;
}

int64_t __wrap_clock_wall_ms(void)
{
    return wall_ms;
}

static const char *in_folder(const char *name)
{
    static char path[PATH_BYTES + 64];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, mode_t mode, const char *text)
{
    FILE *file = fopen(in_folder(name), "wb");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(in_folder(name), mode), 0);
}

static int set_up(void **state)
{
    static const char *const names[] = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                                        "AWS_EC2_METADATA_DISABLED",
                                        "AWS_EC2_METADATA_V1_DISABLED",
                                        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                                        "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
                                        "AWS_WEB_IDENTITY_TOKEN_FILE",
                                        "AWS_ROLE_ARN",
                                        "AWS_ROLE_SESSION_NAME"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)unsetenv(names[i]);
    memset(&fake_http, 0, sizeof fake_http);
    mono_ms = 1000000;
    wall_ms = 0; /* wrong: it must not matter where the reply has a Date */
    (void)strcpy(folder, "/tmp/test_credentials.XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)remove(in_folder("key"));
    (void)remove(in_folder("token"));
    return rmdir(folder);
}

/* Begins the script anew. */
static void script(const struct fake_http_step *steps, size_t count)
{
    size_t piece = fake_http.piece;
    memset(&fake_http, 0, sizeof fake_http);
    fake_http.piece = piece;
    memcpy(fake_http.steps, steps, count * sizeof *steps);
}

static int get(struct credentials_provider *provider)
{
    memset(&credentials, 0x55, sizeof credentials);
    int rc = credentials_get(provider, mono_ms + 60000, fault, &credentials);
    assert_int_equal(rc == 0, fault[0] == '\0');
    assert_null(strstr(fault, "HUSH"));
    assert_int_equal(fake_http.open, 0);
    return rc;
}

static void check_keys(int64_t life_ms)
{
    assert_string_equal(credentials.access_key_id, "ASIA1");
    assert_string_equal(credentials.secret_access_key, "HUSH");
    assert_string_equal(credentials.session_token, "HUSHTOKEN");
    assert_true(credentials.expires_mono_ms == mono_ms + life_ms);
}

static void expect_fault(int rc, int code, const char *word)
{
    if (rc != code || strstr(fault, word) == NULL)
        print_error("%d, \"%s\"; expected %d, \"%s\"\n", rc, fault, code, word);
    assert_int_equal(rc, code);
    assert_non_null(strstr(fault, word));
}

static void expect_head(size_t request, const char *head)
{
    assert_true(request < fake_http.count);
    assert_string_equal(fake_http.requests[request].head, head);
}

/* One request, one answer. */
static int get_once(struct credentials_provider *provider, struct fake_http_step step)
{
    script(&step, 1);
    return get(provider);
}

/* ---- IoT ---- */

static struct credentials_provider *open_iot(const char *thing)
{
    static char key[PATH_BYTES + 64];
    struct credentials_provider *provider;
    write_file("key", 0600, "a key");
    (void)strcpy(key, in_folder("key"));
    const struct credentials_iot_options options = {
        .server = {.host = "x.credentials.iot.test", .port = 443, .tls_options = {.key_file = key}},
        .role_alias = "runnel,a=b@c",
        .thing = thing,
    };
    assert_int_equal(credentials_iot_open(&options, &provider), 0);
    assert_true(provider->operations->slow);
    return provider;
}

static void test_iot(void **state)
{
    struct credentials_provider *provider = open_iot("gw-17");
    (void)state;
    for (fake_http.piece = 0; fake_http.piece < 5; fake_http.piece++) {
        assert_int_equal(
            get_once(provider, (struct fake_http_step){.date_ms = DATE_MS, .body = iot_keys}), 0);
        check_keys(HOUR_MS);
    }
    assert_true(fake_http.requests[0].tls);
    assert_string_equal(fake_http.requests[0].host, "x.credentials.iot.test");
    expect_head(0, "GET /role-aliases/runnel,a=b@c/credentials HTTP/1.1\r\n"
                   "Host: x.credentials.iot.test\r\nAccept: */*\r\n"
                   "x-amzn-iot-thingname: gw-17\r\n\r\n");
    credentials_close(provider);
    provider = open_iot(NULL);
    assert_int_equal(
        get_once(provider, (struct fake_http_step){.date_ms = DATE_MS, .body = iot_keys}), 0);
    assert_null(strstr(fake_http.requests[0].head, "thingname"));
    credentials_close(provider);
}

/* Every row of what the endpoint refuses with. */
static void test_iot_errors(void **state)
{
    static const struct {
        int status;
        const char *body;
        int code;
        const char *remedy;
    } rows[] = {
        {403, "{\"message\":\"Invalid thing name passed\"}", E_CREDENTIALS, "\"thing\""},
        {403, "{\"message\":\"Access Denied\"}", E_CREDENTIALS, "iot:AssumeRoleWithCertificate"},
        {403, "{\"message\":\"Certificate is invalid on this endpoint\"}", E_CREDENTIALS,
         "check the certificate"},
        {403, "<html>", E_CREDENTIALS, "without saying why"},
        {404, "{\"message\":\"Role alias does not exist\"}", E_CREDENTIALS, "\"role_alias\""},
        {400, "{\"message\":\"Unable to assume the role, or the role to assume does not exist\"}",
         E_CREDENTIALS, "trust credentials.iot.amazonaws.com"},
        {400, "{\"message\":\"CredentialDurationSeconds exceeds MaxSessionDuration\"}",
         E_CREDENTIALS, "maximum session duration"},
        {400, "{\"message\":\"something new\"}", E_CREDENTIALS, "400 (something new)"},
        {429, "{\"message\":\"Too Many Requests\"}", E_TIMEOUT, "429 (Too Many Requests)"},
        {500, "", E_TIMEOUT, "answered 500"},
        {503, "<html>busy</html>", E_TIMEOUT, "answered 503"},
        {302, "", E_CREDENTIALS, "answered 302"},
        {200, "<html>Log in</html>", E_TIMEOUT, "is no JSON object"},
        {200, "", E_TIMEOUT, "is cut off"},
        {200, "{\"message\":\"odd\"}", E_CREDENTIALS, "200 (odd)"},
        {200, "{\"credentials\":{\"accessKeyId\":\"A\"}}", E_TIMEOUT, "half of a key"},
    };
    struct credentials_provider *provider = open_iot("t");
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fake_http_step step = {
            .status = rows[i].status, .date_ms = DATE_MS, .body = rows[i].body};
        expect_fault(get_once(provider, step), rows[i].code, rows[i].remedy);
        assert_int_equal(fake_http.count, 1);
    }
    credentials_close(provider);
}

static void test_iot_unreachable(void **state)
{
    static const struct {
        struct fake_http_step step;
        int code;
    } rows[] = {{{.error = E_NAME, .silent = true}, E_TIMEOUT},
                {{.error = E_TIMEOUT, .silent = true}, E_TIMEOUT},
                {{.error = E_CLOSED}, E_TIMEOUT},
                {{.error = E_CLOSED, .cut = true, .body = iot_keys, .date_ms = DATE_MS}, E_TIMEOUT},
                {{.error = E_CERTIFICATE, .silent = true}, E_CREDENTIALS},
                {{.error = E_SYNTAX, .unfit = true}, E_CREDENTIALS},
                {{.error = E_STOP, .silent = true}, E_STOP}};
    struct credentials_provider *provider = open_iot("t");
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_fault(get_once(provider, rows[i].step), rows[i].code, "x.credentials.iot.test");
    credentials_close(provider);
}

/* The lifetime comes from the reply alone; without a Date our clock is all there is. */
static void test_lifetime(void **state)
{
    struct credentials_provider *provider = open_iot("t");
    struct fake_http_step step = {.date_ms = DATE_MS + HOUR_MS - 1, .body = iot_keys};
    (void)state;
    assert_int_equal(get_once(provider, step), 0);
    check_keys(1);
    step.date_ms = DATE_MS + HOUR_MS;
    expect_fault(get_once(provider, step), E_CREDENTIALS, "expired 0 s before, by its own clock");
    step.date_ms = DATE_MS - 100 * HOUR_MS;
    assert_int_equal(get_once(provider, step), 0);
    check_keys(12 * HOUR_MS);
    step.date_ms = 0;
    wall_ms = DATE_MS + HOUR_MS / 2;
    assert_int_equal(get_once(provider, step), 0);
    check_keys(HOUR_MS / 2);
    wall_ms = DATE_MS + 2 * HOUR_MS;
    expect_fault(get_once(provider, step), E_CREDENTIALS, "by this machine's clock");
    credentials_close(provider);
}

/* Who others may write is not used, and nobody is asked. */
static void test_iot_key(void **state)
{
    struct credentials_provider *provider = open_iot("t");
    const struct fake_http_step step = {.date_ms = DATE_MS, .body = iot_keys};
    (void)state;
    assert_int_equal(chmod(in_folder("key"), 0666), 0);
    expect_fault(get_once(provider, step), E_CREDENTIALS, "chmod go-w");
    assert_int_equal(remove(in_folder("key")), 0);
    expect_fault(get_once(provider, step), E_CREDENTIALS, "key: ");
    assert_int_equal(fake_http.count, 0);
    write_file("key", 0640, "a key");
    assert_int_equal(get_once(provider, step), 0);
    credentials_close(provider);
}

/* ---- container ---- */

static struct credentials_provider *open_container(bool asked_for)
{
    struct credentials_provider *provider;
    assert_int_equal(credentials_container_open(asked_for, NULL, &provider), 0);
    return provider;
}

static const struct fake_http_step flat_step = {.date_ms = DATE_MS, .body = flat_keys};

static void test_container(void **state)
{
    struct credentials_provider *provider = open_container(false);
    (void)state;
    assert_int_equal(get_once(provider, flat_step), E_NOT_FOUND);
    (void)setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://[::1]:99/x/?y=%2F&z", 1);
    (void)setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer HUSHAUTH", 1);
    assert_int_equal(get_once(provider, flat_step), 0);
    check_keys(HOUR_MS);
    assert_string_equal(fake_http.requests[0].host, "::1");
    assert_false(fake_http.requests[0].tls);
    expect_head(0, "GET /x/?y=%2F&z HTTP/1.1\r\nHost: [::1]:99\r\nAccept: */*\r\n"
                   "Authorization: Bearer HUSHAUTH\r\n\r\n");
    (void)unsetenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    (void)setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1", 1);
    assert_int_equal(get_once(provider, flat_step), 0);
    expect_head(0, "GET /v2/credentials/1 HTTP/1.1\r\nHost: 169.254.170.2\r\nAccept: */*\r\n\r\n");
    credentials_close(provider);
    (void)unsetenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    (void)unsetenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    provider = open_container(true);
    assert_int_equal(get_once(provider, flat_step), E_CREDENTIALS);
    credentials_close(provider);
}

/* The token's file goes before the variable, and is read each time. */
static void test_container_token(void **state)
{
    struct credentials_provider *provider = open_container(false);
    (void)state;
    (void)setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost", 1);
    (void)setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "no", 1);
    write_file("token", 0600, "HUSH1\n");
    (void)setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", in_folder("token"), 1);
    assert_int_equal(get_once(provider, flat_step), 0);
    assert_non_null(strstr(fake_http.requests[0].head, "GET / HTTP"));
    assert_non_null(strstr(fake_http.requests[0].head, "Authorization: HUSH1\r\n"));
    write_file("token", 0600, "HUSH2");
    assert_int_equal(get_once(provider, flat_step), 0);
    assert_non_null(strstr(fake_http.requests[0].head, "Authorization: HUSH2\r\n"));
    write_file("token", 0600, "HUSH\r\nX: y");
    expect_fault(get_once(provider, flat_step), E_CREDENTIALS, "no token has");
    write_file("token", 0600, "\n");
    expect_fault(get_once(provider, flat_step), E_CREDENTIALS, "is empty");
    write_file("token", 0622, "HUSH");
    expect_fault(get_once(provider, flat_step), E_CREDENTIALS, "chmod go-w");
    assert_int_equal(remove(in_folder("token")), 0);
    expect_fault(get_once(provider, flat_step), E_CREDENTIALS, "token: ");
    assert_int_equal(fake_http.count, 0);
    credentials_close(provider);
}

/* A token never goes to strangers. */
static void test_container_hosts(void **state)
{
    static const struct {
        const char *uri;
        bool allowed;
    } rows[] = {{"http://127.0.0.1:1/", true},    {"http://localhost/a", true},
                {"http://169.254.170.2/a", true}, {"http://169.254.170.23/a", true},
                {"http://[fd00:ec2::23]/", true}, {"https://example.com/a", true},
                {"http://example.com/a", false},  {"http://169.254.170.3/", false},
                {"http://localhost.x.y/", false}, {"http://user@localhost/", false},
                {"ftp://localhost/", false},      {"localhost", false}};
    struct credentials_provider *provider = open_container(false);
    (void)state;
    (void)setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "HUSH", 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        (void)setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", rows[i].uri, 1);
        assert_int_equal(get_once(provider, flat_step), rows[i].allowed ? 0 : E_CREDENTIALS);
        assert_int_equal(fake_http.count, rows[i].allowed);
    }
    (void)setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@example.com/", 1);
    expect_fault(get_once(provider, flat_step), E_CREDENTIALS, "RELATIVE_URI");
    credentials_close(provider);
}

static void test_container_tries(void **state)
{
    struct credentials_provider *provider = open_container(false);
    const struct fake_http_step tries[] = {
        {.error = E_TIMEOUT, .silent = true}, {.status = 500}, flat_step};
    const struct fake_http_step down[] = {
        {.status = 503}, {.error = E_CLOSED}, {.error = E_TIMEOUT, .silent = true}, flat_step};
    (void)state;
    (void)setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost/a", 1);
    script(tries, 3);
    assert_int_equal(get(provider), 0);
    script(down, 4);
    assert_int_equal(get(provider), E_TIMEOUT);
    assert_int_equal(fake_http.count, 3);
    struct fake_http_step refused = {.status = 401, .body = "{\"message\":\"no\"}"};
    expect_fault(get_once(provider, refused), E_CREDENTIALS, "AUTHORIZATION_TOKEN");
    assert_int_equal(fake_http.count, 1);
    credentials_close(provider);
}

/* ---- instance metadata ---- */

static struct credentials_provider *open_imds(bool asked_for)
{
    struct credentials_provider *provider;
    assert_int_equal(credentials_imds_open(asked_for, NULL, &provider), 0);
    return provider;
}

static const struct fake_http_step imds_steps[] = {
    {.body = "HUSHIMDS"}, {.body = "the-role\n"}, {.date_ms = DATE_MS, .body = flat_keys}};

static void test_imds(void **state)
{
    struct credentials_provider *provider = open_imds(false);
    (void)state;
    script(imds_steps, 3);
    assert_int_equal(get(provider), 0);
    check_keys(HOUR_MS);
    expect_head(0, "PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\nAccept: */*\r\n"
                   "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\nContent-Length: 0\r\n\r\n");
    expect_head(1, "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\n"
                   "Host: 169.254.169.254\r\nAccept: */*\r\n"
                   "x-aws-ec2-metadata-token: HUSHIMDS\r\n\r\n");
    expect_head(2, "GET /latest/meta-data/iam/security-credentials/the-role HTTP/1.1\r\n"
                   "Host: 169.254.169.254\r\nAccept: */*\r\n"
                   "x-aws-ec2-metadata-token: HUSHIMDS\r\n\r\n");
    (void)setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6", 1);
    script(imds_steps, 3);
    assert_int_equal(get(provider), 0);
    assert_string_equal(fake_http.requests[0].host, "fd00:ec2::254");
    (void)setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:8080/", 1);
    script(imds_steps, 3);
    assert_int_equal(get(provider), 0);
    assert_string_equal(fake_http.requests[0].host, "127.0.0.1");
    assert_int_equal(fake_http.requests[0].port, 8080);
    (void)setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:8080/x", 1);
    script(imds_steps, 3);
    expect_fault(get(provider), E_CREDENTIALS, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    credentials_close(provider);
}

/* Version 1 only for those that refuse version 2. */
static void test_imds_version_1(void **state)
{
    static const int old[] = {403, 404, 405};
    struct credentials_provider *provider = open_imds(true);
    struct fake_http_step steps[] = {{.status = 0}, imds_steps[1], imds_steps[2]};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        steps[0].status = old[i];
        steps[0].body = "<html>not here</html>";
        script(steps, 3);
        assert_int_equal(get(provider), 0);
        assert_null(strstr(fake_http.requests[1].head, "x-aws-ec2-metadata-token"));
    }
    (void)setenv("AWS_EC2_METADATA_V1_DISABLED", "true", 1);
    script(steps, 3);
    expect_fault(get(provider), E_CREDENTIALS, "answered 405");
    (void)unsetenv("AWS_EC2_METADATA_V1_DISABLED");
    steps[0] = (struct fake_http_step){.status = 400};
    script(steps, 3);
    expect_fault(get(provider), E_CREDENTIALS, "answered 400");
    assert_int_equal(fake_http.count, 1);
    steps[0] = (struct fake_http_step){.status = 500};
    script(steps, 3);
    expect_fault(get(provider), E_TIMEOUT, "answered 500");
    credentials_close(provider);
}

static void test_imds_errors(void **state)
{
    static const struct {
        struct fake_http_step role;
        struct fake_http_step keys;
        int code;
        const char *fault;
    } rows[] = {
        {{.status = 404}, {0}, E_CREDENTIALS, "no role"},
        {{.body = ""}, {0}, E_CREDENTIALS, "no role"},
        {{.status = 503}, {0}, E_TIMEOUT, "answered 503"},
        {{.body = "a role"}, {0}, E_TIMEOUT, "none of EC2"},
        {{.body = "r"},
         {.body = "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"EC2 cannot\"}"},
         E_CREDENTIALS,
         "AssumeRoleUnauthorizedAccess: EC2 cannot"},
        {{.body = "r"},
         {.body = "{\"Code\":\"Failed\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"HUSH\","
                  "\"Expiration\":\"" EXPIRATION "\"}",
          .date_ms = DATE_MS},
         E_CREDENTIALS,
         "Failed"},
        {{.body = "r"}, {.status = 401}, E_TIMEOUT, "answered 401"},
        {{.body = "r"}, {.status = 404}, E_TIMEOUT, "answered 404"},
        {{.body = "r"}, {.error = E_TIMEOUT, .silent = true}, E_TIMEOUT, "deadline"},
    };
    struct credentials_provider *provider = open_imds(true);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct fake_http_step steps[] = {imds_steps[0], rows[i].role, rows[i].keys};
        script(steps, 3);
        expect_fault(get(provider), rows[i].code, rows[i].fault);
    }
    credentials_close(provider);
}

/* In a chain on other machines: asked once, then not for a quarter of an hour. */
static void test_imds_absent(void **state)
{
    struct credentials_provider *provider = open_imds(false);
    const struct fake_http_step silent = {.error = E_TIMEOUT, .silent = true};
    (void)state;
    expect_fault(get_once(provider, silent), E_NOT_FOUND, "no EC2 instance");
    mono_ms += 15 * 60 * 1000 - 1;
    assert_int_equal(get(provider), E_NOT_FOUND);
    assert_int_equal(fake_http.count, 1);
    mono_ms++;
    script(imds_steps, 3);
    assert_int_equal(get(provider), 0);
    /* Somebody else's service that refuses is no fault of the machine either. */
    credentials_close(provider);
    provider = open_imds(false);
    const struct fake_http_step refusing[] = {{.status = 403}, {.status = 403}, {0}};
    script(refusing, 3);
    expect_fault(get(provider), E_NOT_FOUND, "answered 403");
    assert_int_equal(get(provider), E_NOT_FOUND);
    assert_int_equal(fake_http.count, 2);
    credentials_close(provider);
    provider = open_imds(false);
    script(imds_steps, 3);
    assert_int_equal(get(provider), 0);
    /* Now that it is known to be there, silence is an outage. */
    assert_int_equal(get_once(provider, silent), E_TIMEOUT);
    assert_int_equal(get_once(provider, silent), E_TIMEOUT);
    assert_int_equal(fake_http.count, 1);
    (void)setenv("AWS_EC2_METADATA_DISABLED", "TRUE", 1);
    assert_int_equal(get_once(provider, silent), E_NOT_FOUND);
    assert_int_equal(fake_http.count, 0);
    credentials_close(provider);
    provider = open_imds(true);
    assert_int_equal(get_once(provider, silent), E_CREDENTIALS);
    (void)unsetenv("AWS_EC2_METADATA_DISABLED");
    assert_int_equal(get_once(provider, silent), E_TIMEOUT);
    assert_int_equal(get_once(provider, silent), E_TIMEOUT);
    assert_int_equal(fake_http.count, 1);
    credentials_close(provider);
}

/* ---- errors ---- */

struct error_row {
    int status;
    const char *body;
    int result;
    const char *words;
};

/* Each answer is one question's, and is told with what helps. */
static void check_errors(struct credentials_provider *provider, const struct error_row *rows,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct fake_http_step step = {
            .status = rows[i].status, .date_ms = DATE_MS, .body = rows[i].body};
        expect_fault(get_once(provider, step), rows[i].result, rows[i].words);
        assert_int_equal(fake_http.count, 1);
    }
}

#define STS_ERROR(code)                                                                            \
    "<ErrorResponse><Error><Type>Sender</Type><Code>" code "</Code>"                               \
    "<Message>why</Message></Error></ErrorResponse>"

/* ---- web identity ---- */

static const struct fake_http_step sts_step = {.date_ms = DATE_MS, .body = sts_keys};

static struct credentials_provider *open_web_identity(bool asked_for, const char *host)
{
    struct credentials_provider *provider;
    const struct credentials_web_identity_options options = {
        .asked_for = asked_for,
        .server = {.tls = true, .host = host, .port = 443},
        .device = "gw 17/\xc3\xa9~"};
    assert_int_equal(credentials_web_identity_open(&options, &provider), 0);
    return provider;
}

static void use_token(const char *token)
{
    write_file("token", 0600, token);
    (void)setenv("AWS_WEB_IDENTITY_TOKEN_FILE", in_folder("token"), 1);
    (void)setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/a+b", 1);
}

static void test_web_identity(void **state)
{
    (void)state;
    use_token("HUSH.a-b_c/d=\n");
    struct credentials_provider *provider = open_web_identity(false, "sts.eu-west-1.amazonaws.com");
    for (fake_http.piece = 0; fake_http.piece < 5; fake_http.piece++) {
        assert_int_equal(get_once(provider, sts_step), 0);
        check_keys(HOUR_MS);
    }
    expect_head(0, "POST / HTTP/1.1\r\nHost: sts.eu-west-1.amazonaws.com\r\nAccept: */*\r\n"
                   "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n"
                   "Content-Length: 169\r\n\r\n");
    assert_string_equal(fake_http.requests[0].body,
                        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
                        "&RoleArn=arn%3aaws%3aiam%3a%3a123456789012%3arole%2fa%2bb"
                        "&RoleSessionName=gw-17----&WebIdentityToken=HUSH.a-b_c%2fd%3d");
    credentials_close(provider);
    (void)setenv("AWS_ROLE_SESSION_NAME", "me@home", 1);
    provider = open_web_identity(false, "sts");
    assert_int_equal(get_once(provider, sts_step), 0);
    assert_non_null(strstr(fake_http.requests[0].body, "&RoleSessionName=me%40home&"));
    credentials_close(provider);
}

static void test_web_identity_settings(void **state)
{
    static char token[TOKEN_MAX + 2];
    (void)state;
    struct credentials_provider *provider = open_web_identity(false, "sts");
    expect_fault(get(provider), E_NOT_FOUND, "AWS_WEB_IDENTITY_TOKEN_FILE");
    credentials_close(provider);
    provider = open_web_identity(true, "sts");
    expect_fault(get(provider), E_CREDENTIALS, "AWS_WEB_IDENTITY_TOKEN_FILE");
    credentials_close(provider);
    use_token("HUSH");
    (void)unsetenv("AWS_ROLE_ARN");
    provider = open_web_identity(false, "sts");
    expect_fault(get(provider), E_CREDENTIALS, "AWS_ROLE_ARN");
    credentials_close(provider);
    use_token("HUSH");
    provider = open_web_identity(false, NULL);
    expect_fault(get(provider), E_CREDENTIALS, "AWS_REGION");
    credentials_close(provider);
    provider = open_web_identity(false, "sts");
    memset(token, 'H', TOKEN_MAX + 1);
    use_token(token);
    expect_fault(get(provider), E_CREDENTIALS, "larger than the limit");
    assert_int_equal(remove(in_folder("token")), 0);
    expect_fault(get(provider), E_CREDENTIALS, "token: ");
    assert_int_equal(fake_http.count, 0);
    credentials_close(provider);
}

static void test_web_identity_errors(void **state)
{
    static const struct error_row rows[] = {
        {400, STS_ERROR("ExpiredTokenException"), E_CREDENTIALS, "has expired"},
        {400, STS_ERROR("InvalidIdentityToken"), E_CREDENTIALS, "identity provider"},
        {400, STS_ERROR("IDPCommunicationError"), E_TIMEOUT, "issuer"},
        {403, STS_ERROR("IDPRejectedClaim"), E_CREDENTIALS, "withdrawn"},
        {403, STS_ERROR("AccessDenied"), E_CREDENTIALS, "sts:AssumeRoleWithWebIdentity"},
        {400, STS_ERROR("ValidationError"), E_CREDENTIALS, "role_arn"},
        {403, STS_ERROR("RegionDisabledException"), E_CREDENTIALS, "region"},
        {400, STS_ERROR("SomethingNew"), E_CREDENTIALS, "400 (SomethingNew: why)"},
        {500, STS_ERROR("InternalFailure"), E_TIMEOUT, "answered 500"},
        {200, STS_ERROR(""), E_CREDENTIALS, "answered 200"},
        {0, "<html>", E_TIMEOUT, "is cut off"},
        {0, "{}", E_TIMEOUT, "no XML"},
    };
    use_token("HUSH");
    struct credentials_provider *provider = open_web_identity(false, "sts");
    (void)state;
    check_errors(provider, rows, sizeof rows / sizeof *rows);
    credentials_close(provider);
}

/* ---- roles ---- */

/* Who gives what a role is assumed with: others once they were called expired, if there are any. */
static struct {
    struct credentials_provider provider;
    const char *token;
    const char *next_token;
    int expired; /* how often */
    int other_rc;
} source;

static int get_source(struct credentials_provider *provider, int64_t deadline_ms,
                      char why[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    (void)provider;
    assert_true(deadline_ms > mono_ms && deadline_ms <= mono_ms + 30000);
    if (source.token == NULL)
        return credentials_fault(why, E_NOT_FOUND, "nobody has keys");
    *ret_credentials = (struct credentials){.access_key_id = "AKIA1",
                                            .secret_access_key = "HUSH/secret+key",
                                            .expires_mono_ms = INT64_MAX};
    (void)strcpy(ret_credentials->session_token, source.token);
    return 0;
}

static int get_other_source(struct credentials_provider *provider, int64_t deadline_ms,
                            char why[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    assert_true(source.expired > 0);
    if (source.other_rc < 0)
        return credentials_fault(why, source.other_rc, "no others yet");
    if (source.next_token != NULL)
        source.token = source.next_token;
    return get_source(provider, deadline_ms, why, ret_credentials);
}

static void expire_source(struct credentials_provider *provider, const struct credentials *used)
{
    assert_ptr_equal(provider, &source.provider);
    assert_string_equal(used->access_key_id, "AKIA1");
    assert_string_equal(used->session_token, source.token);
    source.expired++;
}

static struct credentials_provider *open_role(const char *token, const char *external_id)
{
    static const struct credentials_operations operations = {.name = "source",
                                                             .get = get_source,
                                                             .get_other = get_other_source,
                                                             .expire = expire_source};
    struct credentials_provider *provider;
    const struct credentials_assume_role_options options = {
        .source = &source.provider,
        .role_arn = "arn:aws:iam::123456789012:role/a+b",
        .external_id = external_id,
        .device = "gw 17/\xc3\xa9~",
        .region = "eu-west-1",
        .server = {.tls = true, .host = "sts.eu-west-1.amazonaws.com", .port = 443}};
    memset(&source, 0, sizeof source);
    source.provider.operations = &operations;
    source.token = token;
    wall_ms = DATE_MS;
    assert_int_equal(credentials_assume_role_open(&options, &provider), 0);
    assert_true(provider->operations->slow);
    return provider;
}

#define ROLE_FORM                                                                                  \
    "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3aaws%3aiam%3a%3a123456789012%3arole%2fa%2b" \
    "b&RoleSessionName=gw-17----&DurationSeconds=3600"
#define ROLE_HEAD                                                                                  \
    "POST / HTTP/1.1\r\nHost: sts.eu-west-1.amazonaws.com\r\nAccept: */*\r\n"                      \
    "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n"                           \
    "X-Amz-Date: 20180118T081806Z\r\n"
#define ROLE_SCOPE                                                                                 \
    "Authorization: AWS4-HMAC-SHA256 "                                                             \
    "Credential=AKIA1/20180118/eu-west-1/sts/aws4_request, SignedHeaders="

/* The signatures are botocore's (SigV4Auth, frozen at that date). */
static void test_role(void **state)
{
    (void)state;
    struct credentials_provider *provider = open_role("", NULL);
    for (fake_http.piece = 0; fake_http.piece < 5; fake_http.piece++) {
        assert_int_equal(get_once(provider, sts_step), 0);
        check_keys(HOUR_MS);
    }
    expect_head(0, ROLE_HEAD ROLE_SCOPE
                "content-type;host;x-amz-date, Signature="
                "daf6e91036ea918eb79adcc22e38ea474dd27cbed3a45504925aae094f9c4398\r\n"
                "Content-Length: 140\r\n\r\n");
    assert_string_equal(fake_http.requests[0].body, ROLE_FORM);
    assert_true(fake_http.requests[0].tls);
    credentials_close(provider);
    provider = open_role("HUSHSOURCE", "x:1");
    assert_int_equal(get_once(provider, sts_step), 0);
    expect_head(0, ROLE_HEAD "X-Amz-Security-Token: HUSHSOURCE\r\n" ROLE_SCOPE
                             "content-type;host;x-amz-date;x-amz-security-token, Signature="
                             "82394e19d909d2f1795dae0e36a48189f78ca0130f2a879b5995883166e9f1e3\r\n"
                             "Content-Length: 157\r\n\r\n");
    assert_string_equal(fake_http.requests[0].body, ROLE_FORM "&ExternalId=x%3a1");
    assert_int_equal(source.expired, 0);
    credentials_close(provider);
    provider = open_role(NULL, NULL);
    expect_fault(get_once(provider, sts_step), E_NOT_FOUND, "nobody has keys");
    assert_int_equal(fake_http.count, 0);
    credentials_close(provider);
}

static void test_role_errors(void **state)
{
    static const struct error_row rows[] = {
        {403, STS_ERROR("AccessDenied"), E_CREDENTIALS, "trust policy"},
        {403, STS_ERROR("ExpiredToken"), E_CREDENTIALS, "have expired"},
        {403, STS_ERROR("InvalidClientTokenId"), E_CREDENTIALS, "access key"},
        {403, STS_ERROR("SignatureDoesNotMatch"), E_CREDENTIALS, "secret key"},
        {400, STS_ERROR("ValidationError"), E_CREDENTIALS, "role_arn"},
        {403, STS_ERROR("RegionDisabledException"), E_CREDENTIALS, "AWS_ENDPOINT_URL_STS"},
        {400, STS_ERROR("MalformedPolicyDocument"), E_CREDENTIALS,
         "400 (MalformedPolicyDocument: why)"},
        {400, STS_ERROR("Throttling"), E_TIMEOUT, "too often"},
        {400, STS_ERROR("RequestLimitExceeded"), E_TIMEOUT, "too often"},
        {429, "", E_TIMEOUT, "answered 429"},
        {500, STS_ERROR("InternalFailure"), E_TIMEOUT, "answered 500"},
        {200, "<html>", E_TIMEOUT, "is cut off"},
        {200, "{}", E_TIMEOUT, "no XML"},
        {200, "<R/>", E_CREDENTIALS, "without saying why"},
    };
    struct credentials_provider *provider = open_role("HUSHSOURCE", NULL);
    (void)state;
    check_errors(provider, rows, sizeof rows / sizeof *rows);
    assert_int_equal(source.expired, 2);
    expect_fault(get_once(provider, (struct fake_http_step){.error = E_TIMEOUT, .silent = true}),
                 E_TIMEOUT, "sts.eu-west-1");
    expect_fault(
        get_once(provider, (struct fake_http_step){.error = E_CERTIFICATE, .silent = true}),
        E_CREDENTIALS, "sts.eu-west-1");
    credentials_close(provider);
}

/* The source is asked for others once; without any, its own reason is told. */
static void test_role_with_expired_keys(void **state)
{
    static const struct fake_http_step steps[] = {
        {.status = 403, .date_ms = DATE_MS, .body = STS_ERROR("ExpiredToken")},
        {.date_ms = DATE_MS, .body = sts_keys}};
    struct credentials_provider *provider = open_role("HUSHOLD", NULL);
    (void)state;
    source.next_token = "HUSHNEW";
    script(steps, 2);
    assert_int_equal(get(provider), 0);
    check_keys(HOUR_MS);
    assert_int_equal(fake_http.count, 2);
    assert_non_null(strstr(fake_http.requests[0].head, "Token: HUSHOLD\r\n"));
    assert_non_null(strstr(fake_http.requests[1].head, "Token: HUSHNEW\r\n"));
    source.other_rc = E_TIMEOUT;
    expect_fault(get_once(provider, steps[0]), E_TIMEOUT, "no others yet");
    assert_int_equal(fake_http.count, 1);
    assert_int_equal(source.expired, 2);
    credentials_close(provider);
}

/* In 1970, or an hour off, the refusal's Date is signed with; a right clock is not corrected. */
static void test_role_with_a_wrong_clock(void **state)
{
    static const int64_t clocks_ms[] = {0, DATE_MS - HOUR_MS, DATE_MS + HOUR_MS};
    static const struct fake_http_step steps[] = {
        {.status = 403, .date_ms = DATE_MS, .body = STS_ERROR("SignatureDoesNotMatch")},
        {.date_ms = DATE_MS, .body = sts_keys}};
    struct credentials_provider *provider = open_role("", NULL);
    (void)state;
    for (size_t i = 0; i < sizeof clocks_ms / sizeof *clocks_ms; i++) {
        wall_ms = clocks_ms[i];
        script(steps, 2);
        assert_int_equal(get(provider), 0);
        check_keys(HOUR_MS);
        assert_int_equal(fake_http.count, 2);
        assert_null(strstr(fake_http.requests[0].head, "Date: 20180118T081806Z\r\n"));
        assert_non_null(strstr(fake_http.requests[1].head, "Date: 20180118T081806Z\r\n"));
    }
    wall_ms = DATE_MS + 60000;
    script(steps, 2);
    expect_fault(get(provider), E_CREDENTIALS, "secret key");
    assert_int_equal(fake_http.count, 1);
    wall_ms = 0;
    struct fake_http_step undated = steps[0];
    undated.date_ms = 0;
    expect_fault(get_once(provider, undated), E_CREDENTIALS, "the clock");
    assert_int_equal(fake_http.count, 1);
    credentials_close(provider);
}

/* ---- OAuth2 ---- */

static struct credentials_provider *open_oauth2(const char *scope)
{
    static char secret[PATH_BYTES + 64];
    struct credentials_provider *provider;
    write_file("key", 0600, "HUSH/x:y\n");
    (void)strcpy(secret, in_folder("key"));
    const struct credentials_oauth2_options options = {
        .server = {.tls = true, .host = "d.auth.test", .port = 443},
        .path = "/oauth2/token",
        .query = "a=b",
        .client_id = "id+1",
        .client_secret_file = secret,
        .scope = scope};
    assert_int_equal(credentials_oauth2_open(&options, &provider), 0);
    assert_true(provider->operations->slow);
    return provider;
}

static const char token_reply[] =
    "{\"access_token\":\"HUSHTOKEN\",\"expires_in\":3600,\"token_type\":\"Bearer\"}";

static void test_oauth2(void **state)
{
    struct credentials_provider *provider = open_oauth2("api/write api/read");
    (void)state;
    for (fake_http.piece = 0; fake_http.piece < 5; fake_http.piece++) {
        assert_int_equal(get_once(provider, (struct fake_http_step){.body = token_reply}), 0);
        assert_string_equal(credentials.access_key_id, "");
        assert_string_equal(credentials.secret_access_key, "");
        assert_string_equal(credentials.session_token, "HUSHTOKEN");
        assert_true(credentials.expires_mono_ms == mono_ms + HOUR_MS);
    }
    /* printf 'id%2b1:HUSH%2fx%3ay' | base64 */
    expect_head(0, "POST /oauth2/token?a=b HTTP/1.1\r\nHost: d.auth.test\r\nAccept: */*\r\n"
                   "Authorization: Basic aWQlMmIxOkhVU0glMmZ4JTNheQ==\r\n"
                   "Content-Type: application/x-www-form-urlencoded\r\n"
                   "Content-Length: 60\r\n\r\n");
    assert_string_equal(fake_http.requests[0].body,
                        "grant_type=client_credentials&scope=api%2fwrite%20api%2fread");
    assert_true(fake_http.requests[0].tls);
    credentials_close(provider);
    provider = open_oauth2(NULL);
    assert_int_equal(get_once(provider, (struct fake_http_step){.body = token_reply}), 0);
    assert_string_equal(fake_http.requests[0].body, "grant_type=client_credentials");
    credentials_close(provider);
}

static void test_oauth2_errors(void **state)
{
    static const struct error_row rows[] = {
        {400, "{\"error\":\"invalid_client\"}", E_CREDENTIALS, "\"client_secret_file\""},
        {401, "{\"error\":\"invalid_client\",\"error_description\":\"d\"}", E_CREDENTIALS,
         "401 (invalid_client: d): check \"client_id\""},
        {401, "", E_CREDENTIALS, "\"client_id\""},
        {400, "{\"error\":\"invalid_scope\"}", E_CREDENTIALS, "\"scope\""},
        {400, "{\"error\":\"invalid_grant\"}", E_CREDENTIALS, "client_credentials grant"},
        {400, "{\"error\":\"unauthorized_client\"}", E_CREDENTIALS, "client_credentials grant"},
        {400, "{\"error\":\"unsupported_grant_type\"}", E_CREDENTIALS, "client_credentials grant"},
        {400, "{\"error\":\"temporarily_unavailable\"}", E_TIMEOUT, "busy"},
        {400, "{\"error\":\"new_one\"}", E_CREDENTIALS, "\"token_url\""},
        {404, "<html>", E_CREDENTIALS, "\"token_url\""},
        {302, "", E_CREDENTIALS, "\"token_url\""},
        {429, "{\"message\":\"Too Many Requests\"}", E_TIMEOUT, "answered 429"},
        {503, "<html>", E_TIMEOUT, "answered 503"},
        {200, "<html>Log in</html>", E_TIMEOUT, "is no JSON object"},
        {200, "", E_TIMEOUT, "is cut off"},
        {200, "{}", E_CREDENTIALS, "\"token_url\""},
        {200, "{\"access_token\":\"a\",\"token_type\":\"mac\"}", E_CREDENTIALS, "than Bearer"},
        {200, "{\"access_token\":\"a\",\"expires_in\":0}", E_CREDENTIALS,
         "d.auth.test answered has a token that has expired already"},
        {401, "{\"error\":\"invalid_client\",\"error_description\":\"not HUSH/x:y, no\"}",
         E_CREDENTIALS, "401 (invalid_client: not ***, no): check \"client_id\""},
        {500, "{\"access_token\":\"a\",\"expires_in\":60}", E_TIMEOUT, "answered 500"},
    };
    struct credentials_provider *provider = open_oauth2(NULL);
    (void)state;
    check_errors(provider, rows, sizeof rows / sizeof *rows);
    expect_fault(get_once(provider, (struct fake_http_step){.error = E_TIMEOUT, .silent = true}),
                 E_TIMEOUT, "d.auth.test");
    expect_fault(
        get_once(provider, (struct fake_http_step){.error = E_CERTIFICATE, .silent = true}),
        E_CREDENTIALS, "d.auth.test");
    credentials_close(provider);
}

/* Its file is judged and read each time. */
static void test_oauth2_secret(void **state)
{
    struct credentials_provider *provider = open_oauth2(NULL);
    (void)state;
    write_file("key", 0620, "HUSH");
    expect_fault(get(provider), E_CREDENTIALS, "chmod go-w");
    write_file("key", 0600, "HUSH HUSH");
    expect_fault(get(provider), E_CREDENTIALS, "holds a blank");
    write_file("key", 0600, "");
    expect_fault(get(provider), E_CREDENTIALS, "is empty");
    assert_int_equal(fake_http.count, 0);
    write_file("key", 0600, "HUSH2");
    assert_int_equal(get_once(provider, (struct fake_http_step){.body = token_reply}), 0);
    /* printf 'id%2b1:HUSH2' | base64 */
    assert_non_null(strstr(fake_http.requests[0].head, ": Basic aWQlMmIxOkhVU0gy\r\n"));
    credentials_close(provider);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_iot),
        IN_FOLDER(test_iot_errors),
        IN_FOLDER(test_iot_unreachable),
        IN_FOLDER(test_lifetime),
        IN_FOLDER(test_iot_key),
        IN_FOLDER(test_container),
        IN_FOLDER(test_container_token),
        IN_FOLDER(test_container_hosts),
        IN_FOLDER(test_container_tries),
        IN_FOLDER(test_imds),
        IN_FOLDER(test_imds_version_1),
        IN_FOLDER(test_imds_errors),
        IN_FOLDER(test_imds_absent),
        IN_FOLDER(test_web_identity),
        IN_FOLDER(test_web_identity_settings),
        IN_FOLDER(test_web_identity_errors),
        IN_FOLDER(test_role),
        IN_FOLDER(test_role_errors),
        IN_FOLDER(test_role_with_expired_keys),
        IN_FOLDER(test_role_with_a_wrong_clock),
        IN_FOLDER(test_oauth2),
        IN_FOLDER(test_oauth2_errors),
        IN_FOLDER(test_oauth2_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
