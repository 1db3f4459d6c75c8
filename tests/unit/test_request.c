/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "agent/uplink/request.h"
#include "platform/base/error.h"

#define TOKEN "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQDexample+token/With=Chars"
#define SCOPE "AKIDEXAMPLE/20260115/us-east-1/kinesis/aws4_request"

static struct credentials credentials(const char *token)
{
    struct credentials credentials = {0};
    strcpy(credentials.access_key_id, "AKIDEXAMPLE");
    strcpy(credentials.secret_access_key, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    strcpy(credentials.session_token, token);
    return credentials;
}

static const struct dest_head put_records = {
    .method = "POST",
    .path = "/",
    .query = "",
    .content_type = "application/x-amz-json-1.1",
    .service = "kinesis",
    .headers = {{"X-Amz-Target", "Kinesis_20131202.PutRecords"}},
    .header_count = 1};

static struct request usual_request(const struct credentials *keys)
{
    return (struct request){.host = "kinesis.us-east-1.amazonaws.com",
                            .port = 443,
                            .tls = true,
                            .head = &put_records,
                            .region = "us-east-1",
                            .user_agent = "runnel/1.0",
                            .credentials = keys,
                            .wall_ms = 1768480496000, /* 2026-01-15T12:34:56Z */
                            .body_hash =
                                "71498df4963c41848bf3de0e4618cf959707e46959cc042bae4f8eeeafd604c0",
                            .body_bytes = 160};
}

static void assert_head(const struct request *request, const char *expected)
{
    struct sigv4_key key = {0};
    char head[REQUEST_HEAD_BYTES];
    int count = request_write_head(request, &key, head);
    assert_int_equal(count, strlen(expected));
    assert_string_equal(head, expected);
}

/* The same requests were signed by botocore, with and without a session token. */
static void test_as_botocore_signs(void **state)
{
    const struct credentials plain = credentials("");
    const struct credentials temporary = credentials(TOKEN);
    struct request request = usual_request(&plain);
    (void)state;
    assert_head(&request, "POST / HTTP/1.1\r\n"
                          "Host: kinesis.us-east-1.amazonaws.com\r\n"
                          "Content-Type: application/x-amz-json-1.1\r\n"
                          "X-Amz-Target: Kinesis_20131202.PutRecords\r\n"
                          "X-Amz-Date: 20260115T123456Z\r\n"
                          "Authorization: AWS4-HMAC-SHA256 Credential=" SCOPE ", "
                          "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature="
                          "285a8c641d2adde13552dd8c2a0c9549a64dca2b9c4066814818508ea425ba42\r\n"
                          "User-Agent: runnel/1.0\r\n"
                          "Content-Length: 160\r\n\r\n");
    request.credentials = &temporary;
    assert_head(&request,
                "POST / HTTP/1.1\r\n"
                "Host: kinesis.us-east-1.amazonaws.com\r\n"
                "Content-Type: application/x-amz-json-1.1\r\n"
                "X-Amz-Target: Kinesis_20131202.PutRecords\r\n"
                "X-Amz-Date: 20260115T123456Z\r\n"
                "X-Amz-Security-Token: " TOKEN "\r\n"
                "Authorization: AWS4-HMAC-SHA256 Credential=" SCOPE ", "
                "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, "
                "Signature=2baa31df7263f1fd3eb2547377ee277a50400f99c62c563a4d4ddcd893ff3a9a\r\n"
                "User-Agent: runnel/1.0\r\n"
                "Content-Length: 160\r\n\r\n");
}

static void test_host_with_a_port(void **state)
{
    const struct credentials plain = credentials("");
    struct request request = usual_request(&plain);
    struct sigv4_key key = {0};
    char head[REQUEST_HEAD_BYTES];
    (void)state;
    request.host = "localhost";
    request.port = 4567;
    assert_true(request_write_head(&request, &key, head) > 0);
    assert_non_null(strstr(head, "\r\nHost: localhost:4567\r\n"));
}

/* A private API is told by a Host that is not where the request goes; that is what is signed. */
static void test_host_of_a_private_api(void **state)
{
    const struct credentials plain = credentials("");
    struct request request = usual_request(&plain);
    struct dest_head by_endpoint = put_records;
    struct sigv4_key key = {0};
    char head[REQUEST_HEAD_BYTES], expected[REQUEST_HEAD_BYTES];
    (void)state;
    assert_true(request_write_head(&request, &key, expected) > 0);
    by_endpoint.host_header = request.host;
    request.head = &by_endpoint;
    request.host = "vpce-0123.execute-api.us-east-1.vpce.amazonaws.com";
    assert_true(request_write_head(&request, &key, head) > 0);
    assert_string_equal(head, expected);
}

/* Without keys it goes unsigned, which is answered, too. */
static void test_unsigned(void **state)
{
    const struct credentials plain = credentials("");
    struct request request = usual_request(&plain);
    struct sigv4_key key = {0};
    char head[REQUEST_HEAD_BYTES];
    (void)state;
    request.credentials = NULL;
    int count = request_write_head(&request, &key, head);
    assert_true(count > 0);
    assert_null(strstr(head, "Authorization"));
    assert_non_null(strstr(head, "\r\nX-Amz-Target: Kinesis_20131202.PutRecords\r\n"));
}

/* A token in a header of its own, behind a prefix; nothing is signed then. */
static void test_token_alone(void **state)
{
    const struct dest_head bearer = {.method = "POST",
                                     .path = "/prod/records",
                                     .query = "a=b",
                                     .content_type = "application/json",
                                     .token_header = "Authorization",
                                     .token_prefix = "Bearer "};
    const struct credentials keys = credentials("eyJ.x-y_z");
    struct request request = usual_request(&keys);
    (void)state;
    request.head = &bearer;
    assert_head(&request, "POST /prod/records?a=b HTTP/1.1\r\n"
                          "Host: kinesis.us-east-1.amazonaws.com\r\n"
                          "Content-Type: application/json\r\n"
                          "Authorization: Bearer eyJ.x-y_z\r\n"
                          "User-Agent: runnel/1.0\r\n"
                          "Content-Length: 160\r\n\r\n");
    request.credentials = NULL;
    assert_head(&request, "POST /prod/records?a=b HTTP/1.1\r\n"
                          "Host: kinesis.us-east-1.amazonaws.com\r\n"
                          "Content-Type: application/json\r\n"
                          "User-Agent: runnel/1.0\r\n"
                          "Content-Length: 160\r\n\r\n");
}

/* The longest token that credentials can hold fits; a line break in one is refused. */
static void test_tokens(void **state)
{
    struct credentials keys = credentials("");
    struct request request = usual_request(&keys);
    struct sigv4_key key = {0};
    char head[REQUEST_HEAD_BYTES];
    (void)state;
    memset(keys.session_token, 'x', sizeof keys.session_token - 1);
    int rc = request_write_head(&request, &key, head);
    assert_true(rc > (int)sizeof keys.session_token && rc < REQUEST_HEAD_BYTES);
    keys.session_token[7] = '\n';
    assert_int_equal(request_write_head(&request, &key, head), E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_botocore_signs),     cmocka_unit_test(test_host_with_a_port),
        cmocka_unit_test(test_host_of_a_private_api), cmocka_unit_test(test_unsigned),
        cmocka_unit_test(test_token_alone),           cmocka_unit_test(test_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
