/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/aws/sigv4.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"

#define SUITE RUNNEL_SOURCE_DIR "/tests/unit/data/sigv4-suite/v4/"

/* A case of AWS's suite: context.json; the rest is read from the files beside it. */
struct suite_case {
    const char *directory;
    const char *access_key_id;
    const char *secret;
    const char *token; /* NULL: not sent, or sent but not signed */
    const char *region;
    const char *service;
    const char *date;
    bool normalize;
    bool sign_body;
};

/* A vector made with botocore. */
struct vector {
    const char *name;
    const char *access_key_id;
    const char *secret;
    const char *region;
    const char *service;
    const char *date;
    const char *method;
    const char *path;
    const char *query;
    const char *payload_hash;
    const char *canonical_request;
    const char *string_to_sign;
    const char *signing_key;
    const char *authorization;
    struct sigv4_header headers[8];
    size_t header_count;
};

#include "sigv4_vectors.h"

enum {
    SUITE_CASES = 38,
    VECTORS = 9,
    FILE_BYTES = 8192,
    TEXT_BYTES = 8192,
};

static const char empty_hash[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static void read_file(const char *directory, const char *name, char text[FILE_BYTES])
{
    char path[512];
    (void)snprintf(path, sizeof path, SUITE "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("cannot open %s", path);
    size_t count = fread(text, 1, FILE_BYTES - 1, file);
    (void)fclose(file);
    text[count] = '\0';
}

/* Cuts the line at *AT off and moves on to the next one; a folded header stays one line. */
static char *take_line(char **at)
{
    char *line = *at;
    char *end = strchr(line, '\n');
    while (end != NULL && end != line && (end[1] == ' ' || end[1] == '\t'))
        end = strchr(end + 1, '\n');
    *at = end == NULL ? line + strlen(line) : end + 1;
    if (end != NULL)
        *end = '\0';
    return line;
}

static void add_header(struct sigv4_header *headers, size_t *count, const char *name,
                       const char *value)
{
    assert_true(*count < SIGV4_HEADERS_MAX);
    headers[(*count)++] = (struct sigv4_header){name, value};
}

/* Reads "GET /path?query HTTP/1.1", headers, empty line, body; returns the body. The target may
 * hold raw blanks, so that it ends at the last one. */
static char *read_request(char *text, struct sigv4_request *request, struct sigv4_header *headers)
{
    char *line = take_line(&text);
    char *target = strchr(line, ' ');
    char *version = strrchr(line, ' ');
    assert_true(target != NULL && version > target);
    *target++ = '\0';
    *version = '\0';
    char *query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    request->method = line;
    request->path = target;
    request->query = query == NULL ? "" : query;
    for (line = take_line(&text); *line != '\0'; line = take_line(&text)) {
        char *colon = strchr(line, ':');
        assert_non_null(colon);
        *colon = '\0';
        add_header(headers, &request->header_count, line, colon + 1);
    }
    return text;
}

static void hash_hex(const char *text, char hex[2 * HASH_SHA256_BYTES + 1])
{
    uint8_t digest[HASH_SHA256_BYTES];
    hash_sha256(text, strlen(text), digest);
    bytes_put_hex(hex, digest, sizeof digest);
}

/* S3 signs the path as it is on the wire, which the suite, unlike a client, gives raw. */
static void encode_blanks(const char *path, char *wire)
{
    for (; *path != '\0'; path++)
        wire += sprintf(wire, *path == ' ' ? "%%20" : "%c", *path);
}

static void check_canonical_request(const struct sigv4_request *request, const char *expected)
{
    char text[TEXT_BYTES];
    struct writer out;
    writer_to_memory(&out, text, sizeof text);
    assert_int_equal(sigv4_canonical_request(request, &out), 0);
    assert_int_equal(writer_finish(&out), 0);
    assert_string_equal(text, expected);
}

static void check_string_to_sign(const struct sigv4_request *request, const char *expected)
{
    char text[TEXT_BYTES];
    struct writer out;
    writer_to_memory(&out, text, sizeof text);
    assert_int_equal(sigv4_string_to_sign(request, &out), 0);
    assert_int_equal(writer_finish(&out), 0);
    assert_string_equal(text, expected);
}

static void sign(const struct sigv4_request *request, const char *access_key_id, const char *secret,
                 struct sigv4_key *key, char text[TEXT_BYTES])
{
    struct sigv4_credentials credentials = {access_key_id, secret};
    struct writer out;
    writer_to_memory(&out, text, TEXT_BYTES);
    assert_int_equal(sigv4_authorization(request, &credentials, key, &out), 0);
    assert_int_equal(writer_finish(&out), 0);
}

static void run_suite_case(const struct suite_case *test, struct sigv4_key *key)
{
    char text[FILE_BYTES];
    char expected[FILE_BYTES];
    char authorization[TEXT_BYTES];
    char wire_path[256] = "";
    char hash[2 * HASH_SHA256_BYTES + 1];
    struct sigv4_header headers[SIGV4_HEADERS_MAX];
    struct sigv4_request request = {.headers = headers,
                                    .date = test->date,
                                    .region = test->region,
                                    .service = test->service,
                                    .s3_path = !test->normalize};

    read_file(test->directory, "request.txt", text);
    hash_hex(read_request(text, &request, headers), hash);
    add_header(headers, &request.header_count, "X-Amz-Date", test->date);
    if (test->token != NULL)
        add_header(headers, &request.header_count, "X-Amz-Security-Token", test->token);
    if (test->sign_body)
        add_header(headers, &request.header_count, "x-amz-content-sha256", hash);
    request.payload_hash = hash;
    if (request.s3_path) {
        encode_blanks(request.path, wire_path);
        request.path = wire_path;
    }

    read_file(test->directory, "header-canonical-request.txt", expected);
    check_canonical_request(&request, expected);
    read_file(test->directory, "header-string-to-sign.txt", expected);
    check_string_to_sign(&request, expected);
    read_file(test->directory, "header-signature.txt", expected);
    sign(&request, test->access_key_id, test->secret, key, authorization);
    const char *signature = strstr(authorization, "Signature=");
    assert_non_null(signature);
    assert_string_equal(signature + strlen("Signature="), expected);
    read_file(test->directory, "header-signed-request.txt", expected);
    assert_non_null(strstr(expected, authorization));
}

static void test_aws_suite(void **state)
{
    struct sigv4_key key = {0};
    size_t count = 0;
    (void)state;
    for (; count < sizeof suite_cases / sizeof *suite_cases; count++) {
        print_message("%s\n", suite_cases[count].directory);
        run_suite_case(&suite_cases[count], &key);
    }
    assert_true(count >= SUITE_CASES);
}

static struct sigv4_request vector_request(const struct vector *vector)
{
    return (struct sigv4_request){.method = vector->method,
                                  .path = vector->path,
                                  .query = vector->query,
                                  .s3_path = strcmp(vector->service, "s3") == 0,
                                  .headers = vector->headers,
                                  .header_count = vector->header_count,
                                  .payload_hash = vector->payload_hash,
                                  .date = vector->date,
                                  .region = vector->region,
                                  .service = vector->service};
}

static void run_vector(const struct vector *vector, struct sigv4_key *key)
{
    struct sigv4_request request = vector_request(vector);
    char authorization[TEXT_BYTES];
    char hex[2 * HASH_SHA256_BYTES + 1];

    check_canonical_request(&request, vector->canonical_request);
    check_string_to_sign(&request, vector->string_to_sign);
    sign(&request, vector->access_key_id, vector->secret, key, authorization);
    assert_string_equal(authorization, vector->authorization);
    bytes_put_hex(hex, key->key, sizeof key->key);
    assert_string_equal(hex, vector->signing_key);
}

/* One key for all: it must notice each change of region and service. */
static void test_botocore_vectors(void **state)
{
    struct sigv4_key key = {0};
    size_t count = 0;
    (void)state;
    for (; count < sizeof vectors / sizeof *vectors; count++) {
        print_message("%s\n", vectors[count].name);
        run_vector(&vectors[count], &key);
    }
    assert_true(count >= VECTORS);
}

static struct sigv4_request plain_request(void)
{
    static const struct sigv4_header host = {"Host", "example.com"};
    return (struct sigv4_request){.method = "GET",
                                  .path = "/",
                                  .query = "",
                                  .headers = &host,
                                  .header_count = 1,
                                  .payload_hash = empty_hash,
                                  .date = "20260115T123456Z",
                                  .region = "eu-west-1",
                                  .service = "kinesis"};
}

static void test_key_is_renewed(void **state)
{
    struct sigv4_request request = plain_request();
    struct sigv4_key key = {0};
    char first[TEXT_BYTES];
    char other[TEXT_BYTES];
    (void)state;

    sign(&request, "AKIDEXAMPLE", "secret", &key, first);
    struct sigv4_key kept = key;
    request.date = "20260115T235959Z"; /* the same day: the same key */
    sign(&request, "AKIDEXAMPLE", "secret", &key, other);
    assert_memory_equal(&key, &kept, sizeof key);
    assert_string_not_equal(first, other);

    request.date = "20260116T000000Z";
    sign(&request, "AKIDEXAMPLE", "secret", &key, other);
    assert_memory_not_equal(key.key, kept.key, sizeof key.key);

    request = plain_request();
    sign(&request, "AKIDEXAMPLE", "another secret", &key, other);
    assert_memory_not_equal(key.key, kept.key, sizeof key.key);
    sign(&request, "AKIDEXAMPLE", "secret", &key, other);
    assert_string_equal(first, other);
}

static void check_path(const char *path, bool s3_path, const char *expected)
{
    struct sigv4_request request = plain_request();
    char text[TEXT_BYTES];
    request.path = path;
    request.s3_path = s3_path;
    (void)snprintf(text, sizeof text, "GET\n%s\n\nhost:example.com\n\nhost\n%s", expected,
                   empty_hash);
    check_canonical_request(&request, text);
}

static void test_paths(void **state)
{
    (void)state;
    check_path("", false, "/");
    check_path("/", false, "/");
    check_path("/..", false, "/");
    check_path("/../../a", false, "/a");
    check_path("/a/b/../c/./d//", false, "/a/c/d/");
    check_path("/a/b/../../c", false, "/c");
    check_path("/a/../b/..", false, "/");
    check_path("/a/..b/...", false, "/a/..b/...");
    check_path("/a/.", false, "/a");
    check_path("/d%C3%A9v/a+b=c", false, "/d%25C3%25A9v/a%2Bb%3Dc");
    check_path("/a//b/../%2B.gz", true, "/a//b/../%2B.gz");
}

static void check_query(const char *query, const char *expected)
{
    struct sigv4_request request = plain_request();
    char text[TEXT_BYTES];
    request.query = query;
    (void)snprintf(text, sizeof text, "GET\n/\n%s\nhost:example.com\n\nhost\n%s", expected,
                   empty_hash);
    check_canonical_request(&request, text);
}

static void test_queries(void **state)
{
    (void)state;
    check_query("b=2&a=1", "a=1&b=2");
    check_query("a=2&a=1", "a=1&a=2");
    check_query("a-b=1&a=2", "a=2&a-b=1"); /* by key first, although '-' sorts before '=' */
    check_query("flag&x=", "flag=&x=");
    check_query("&&a=1&", "a=1");
    check_query("b=1&B=2", "B=2&b=1");
    check_query("p=a/b c=d", "p=a%2Fb%20c%3Dd");
    check_query("p=%7e%41%2f", "p=~A%2F");
    check_query("p=100%&q=%4", "p=100%25&q=%254");
    check_query("p=a+b", "p=a%2Bb");
    check_query("%C3%A9=1&z=2", "%C3%A9=1&z=2");
}

static void test_limits(void **state)
{
    struct sigv4_header headers[SIGV4_HEADERS_MAX + 1];
    struct sigv4_credentials credentials = {"AKIDEXAMPLE", "secret"};
    struct sigv4_request request = plain_request();
    struct sigv4_key key = {0};
    char query[2 * (SIGV4_HEADERS_MAX + 1) + 1] = "";
    char secret[300];
    char text[TEXT_BYTES];
    struct writer out;
    (void)state;

    for (size_t i = 0; i < SIGV4_HEADERS_MAX + 1; i++) {
        headers[i] = (struct sigv4_header){"x-amz-a", "b"};
        memcpy(query + 2 * i, "a&", 2);
    }
    writer_to_memory(&out, text, sizeof text);
    request.headers = headers;
    request.header_count = SIGV4_HEADERS_MAX;
    request.query = query + 2;
    assert_int_equal(sigv4_authorization(&request, &credentials, &key, &out), 0);
    request.query = query;
    assert_int_equal(sigv4_authorization(&request, &credentials, &key, &out), E_TOO_BIG);
    assert_int_equal(sigv4_canonical_request(&request, &out), E_TOO_BIG);
    request.query = "";
    request.header_count = SIGV4_HEADERS_MAX + 1;
    assert_int_equal(sigv4_authorization(&request, &credentials, &key, &out), E_TOO_BIG);

    request = plain_request();
    memset(secret, 'a', sizeof secret);
    secret[sizeof secret - 1] = '\0';
    credentials.secret_access_key = secret;
    assert_int_equal(sigv4_authorization(&request, &credentials, &key, &out), E_TOO_BIG);
    credentials.secret_access_key = "secret";
    request.region = "a-region-whose-name-is-longer-than-any";
    assert_int_equal(sigv4_authorization(&request, &credentials, &key, &out), E_TOO_BIG);
    request = plain_request();
    request.date = "20260115";
    assert_int_equal(sigv4_authorization(&request, &credentials, &key, &out), E_INVALID);
    assert_int_equal(sigv4_string_to_sign(&request, &out), E_INVALID);
}

/* What does not fit is told by the writer, and never written in part as if it did. */
static void test_writer_too_small(void **state)
{
    struct sigv4_credentials credentials = {"AKIDEXAMPLE", "secret"};
    struct sigv4_request request = plain_request();
    struct sigv4_key key = {0};
    char whole[TEXT_BYTES];
    char text[TEXT_BYTES];
    (void)state;
    sign(&request, "AKIDEXAMPLE", "secret", &key, whole);
    for (size_t room = 0; room < strlen(whole); room++) {
        struct writer out;
        writer_to_memory(&out, text, room);
        assert_int_equal(sigv4_authorization(&request, &credentials, &key, &out), 0);
        assert_int_equal(writer_finish(&out), E_TOO_BIG);
    }
}

static void test_dates(void **state)
{
    static const struct {
        int64_t wall_ms;
        const char *date;
    } rows[] = {
        {0, "19700101T000000Z"},
        {-1, "19700101T000000Z"},
        {INT64_C(1440938160000), "20150830T123600Z"},
        {INT64_C(951782399999), "20000228T235959Z"},
        {INT64_C(951782400000), "20000229T000000Z"},
        {INT64_C(2147483648000), "20380119T031408Z"},
        {INT64_C(253402300799999), "99991231T235959Z"},
        {INT64_MAX, "99991231T235959Z"},
        {INT64_MIN, "19700101T000000Z"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char date[SIGV4_DATE_BYTES];
        sigv4_date(rows[i].wall_ms, date);
        assert_string_equal(date, rows[i].date);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aws_suite),        cmocka_unit_test(test_botocore_vectors),
        cmocka_unit_test(test_key_is_renewed),   cmocka_unit_test(test_paths),
        cmocka_unit_test(test_queries),          cmocka_unit_test(test_limits),
        cmocka_unit_test(test_writer_too_small), cmocka_unit_test(test_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
