/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/uplink/dest/object.h"
#include "agent/uplink/dest/s3.h"
#include "agent/uplink/request.h"
#include "platform/base/error.h"

#define TOKEN "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQDexample+token/With=Chars"
#define HASH  "bffaac563f091c61dc28d2f37cd74d0b19be0c45e3b1e32ced6a93eed7725862"
#define NAME  "9f31c2a47be0d815-0000000000000017-0000000000004711-bffaac563f091c61.ndjson.gz"

enum { ENTRIES = 11 };

/* {"n":1} and {"n":2}, a line each. */
static const struct batch_summary two_lines = {.entry_count = ENTRIES,
                                               .body_bytes = 16,
                                               .body_hash = HASH,
                                               .spool_id = 0x9f31c2a47be0d815,
                                               .first = 17,
                                               .last = 4711,
                                               .wall_ms = 1768480496000}; /* 2026-01-15T12:34:56Z */

static struct dest *open_s3(const struct dest_s3 *s3)
{
    const struct dest_options options = {.device = "gw-17", .gzip = true, .s3 = *s3};
    struct dest *dest = NULL;
    assert_int_equal(dest_open("s3", &options, &dest), E_OK);
    return dest;
}

static struct dest *open_usual(void)
{
    const struct dest_s3 s3 = {.bucket = "my-bucket",
                               .prefix = "raw/",
                               .region = "eu-west-1",
                               .host = "my-bucket.s3.eu-west-1.amazonaws.com"};
    return open_s3(&s3);
}

/* The value of the header NAME, or NULL. */
static const char *header(const struct dest_head *head, const char *name)
{
    for (size_t i = 0; i < head->header_count; i++)
        if (strcasecmp(head->headers[i].name, name) == 0)
            return head->headers[i].value;
    return NULL;
}

/* ---- names ---- */

static void assert_device(const char *device, const char *expected)
{
    char name[OBJECT_DEVICE_BYTES];
    object_device(device, name);
    assert_string_equal(name, expected);
}

static void test_devices(void **state)
{
    char longest[129];
    char name[OBJECT_DEVICE_BYTES];
    (void)state;
    assert_device("gw-17.plant_4", "gw-17.plant_4");
    assert_device("pump 4/a", "pump=204=2Fa");
    assert_device("a=b", "a=3Db"); /* so that no two are the same */
    assert_device("d\xc3\xa9", "d=C3=A9");
    assert_device("..", "=2E."); /* nothing that a directory means by itself, nothing hidden */
    memset(longest, '/', sizeof longest);
    longest[128] = '\0';
    object_device(longest, name);
    assert_int_equal(strlen(name), 198);
}

static void test_names(void **state)
{
    char name[OBJECT_NAME_BYTES];
    (void)state;
    object_name(&two_lines, true, name);
    assert_string_equal(name, NAME);
    assert_true(object_is_name(name));
    object_name(&two_lines, false, name);
    assert_true(object_is_name(name));
    assert_string_equal(name + strlen(name) - 7, ".ndjson");
}

static void test_names_of_others(void **state)
{
    static const char *const others[] = {
        "",
        "photo.jpg",
        "9f31c2a47be0d815",
        (NAME ".bak"),
        ("x" NAME),
        "9f31c2a47be0d815-0000000000000017-0000000000004711-bffaac563f091c61.ndjson.xz",
        "9F31C2A47BE0D815-0000000000000017-0000000000004711-bffaac563f091c61.ndjson.gz",
        "9f31c2a47be0d815-000000000000017-0000000000004711-bffaac563f091c61.ndjson.gz",
        "9f31c2a47be0d815-0000000000000017-0000000000004711-bffaac563f091c6.ndjson.gz",
    };
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(object_is_name(others[i]));
}

/* ---- request ---- */

static void write_head(const struct dest *dest, const struct batch_summary *batch, const char *host,
                       const char *token, char text[REQUEST_HEAD_BYTES])
{
    struct credentials keys = {0};
    struct sigv4_key key = {0};
    struct dest_head head;
    dest->operations->head(dest, batch, &head);
    strcpy(keys.access_key_id, "AKIDEXAMPLE");
    strcpy(keys.secret_access_key, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    strcpy(keys.session_token, token);
    const struct request request = {.host = host,
                                    .port = 443,
                                    .tls = true,
                                    .head = &head,
                                    .region = "eu-west-1",
                                    .user_agent = "runnel/1.0",
                                    .credentials = &keys,
                                    .wall_ms = 1768480496000,
                                    .body_hash = header(&head, "x-amz-content-sha256"),
                                    .body_bytes = batch != NULL ? batch->body_bytes : 0};
    assert_true(request_write_head(&request, &key, text) > 0);
}

/* botocore signed the same: PutObject with payload signing. */
static void test_as_botocore_signs(void **state)
{
    const struct dest_s3 s3 = {.bucket = "my-bucket",
                               .prefix = "raw/",
                               .region = "eu-west-1",
                               .sse = "aws:kms",
                               .kms_key_id = "arn:aws:kms:us-east-1:123456789012:key/k",
                               .expected_bucket_owner = "123456789012",
                               .storage_class = "STANDARD_IA"};
    char text[REQUEST_HEAD_BYTES];
    (void)state;
    struct dest *dest = open_s3(&s3);
    write_head(dest, &two_lines, "my-bucket.s3.eu-west-1.amazonaws.com", TOKEN, text);
    assert_non_null(strstr(text, "PUT /raw/dt%3D2026-01-15/hour%3D12/gw-17/" NAME " HTTP/1.1\r\n"));
    assert_non_null(
        strstr(text, "x-amz-checksum-sha256: v/qsVj8JHGHcKNLzfNdNCxm+DEXjseMs7WqT7tdyWGI=\r\n"));
    assert_non_null(strstr(
        text, "Signature=c3ffd98602bedd6c4c547b1b81bf95c786c575cd44cd822f00e7202141d1157b\r\n"));
    dest_close(dest);
}

static void test_path_style_as_botocore_signs(void **state)
{
    const struct dest_s3 s3 = {
        .bucket = "my.dotted.bucket", .prefix = "raw/", .region = "eu-west-1", .path_style = true};
    char text[REQUEST_HEAD_BYTES];
    (void)state;
    struct dest *dest = open_s3(&s3);
    write_head(dest, &two_lines, "s3.eu-west-1.amazonaws.com", "", text);
    assert_non_null(
        strstr(text, "PUT /my.dotted.bucket/raw/dt%3D2026-01-15/hour%3D12/gw-17/" NAME " HTTP"));
    assert_non_null(strstr(
        text, "Signature=fed182440a5276f3f1892df1a84e0635f3c355794c78108d0b319a6d84e0f33e\r\n"));
    dest_close(dest);
}

static void test_headers(void **state)
{
    const struct dest_s3 s3 = {
        .bucket = "b-1", .region = "eu-west-1", .sse = "aws:kms", .bucket_key = true};
    const struct dest_options plain = {.device = "d", .s3 = s3};
    struct dest_head head;
    struct dest *dest = open_s3(&s3);
    (void)state;
    dest->operations->head(dest, &two_lines, &head);
    assert_string_equal(header(&head, "If-None-Match"), "*");
    assert_string_equal(header(&head, "Content-Encoding"), "gzip");
    assert_string_equal(header(&head, "x-amz-server-side-encryption-bucket-key-enabled"), "true");
    assert_null(header(&head, "x-amz-storage-class"));
    assert_null(header(&head, "x-amz-expected-bucket-owner"));
    assert_string_equal(head.path, "/dt%3D2026-01-15/hour%3D12/gw-17/" NAME);
    assert_true(head.raw_path);
    dest_close(dest);
    assert_int_equal(dest_open("s3", &plain, &dest), E_OK);
    dest->operations->head(dest, &two_lines, &head);
    assert_null(header(&head, "Content-Encoding"));
    dest_close(dest);
}

/* Whoever is not known, or may not list the bucket, is told the time as well. */
static void test_question(void **state)
{
    struct dest *dest = open_usual();
    struct dest_head head;
    char text[REQUEST_HEAD_BYTES];
    (void)state;
    dest->operations->head(dest, NULL, &head);
    assert_string_equal(head.method, "GET");
    assert_string_equal(head.path, "/");
    assert_string_equal(head.query, "list-type=2&max-keys=0");
    assert_null(head.content_type);
    assert_null(header(&head, "If-None-Match"));
    write_head(dest, NULL, "my-bucket.s3.eu-west-1.amazonaws.com", "", text);
    dest_close(dest);
}

/* As long as all of it may be. */
static void test_longest_head(void **state)
{
    char prefix[201], device[129], token[CREDENTIALS_TOKEN_BYTES], key[201], bucket[64];
    char text[REQUEST_HEAD_BYTES];
    struct dest *dest = NULL;
    const struct dest_options options = {.device = device,
                                         .gzip = true,
                                         .s3 = {.bucket = bucket,
                                                .prefix = prefix,
                                                .region = "ap-northeast-1",
                                                .path_style = true,
                                                .sse = "aws:kms:dsse",
                                                .kms_key_id = key,
                                                .bucket_key = true,
                                                .expected_bucket_owner = "123456789012",
                                                .storage_class = "INTELLIGENT_TIERING"}};
    (void)state;
    memset(prefix, '=', sizeof prefix);
    memset(device, '=', sizeof device);
    memset(token, 't', sizeof token);
    memset(key, 'k', sizeof key);
    memset(bucket, 'b', sizeof bucket);
    prefix[200] = device[128] = token[sizeof token - 1] = key[200] = bucket[63] = '\0';
    assert_int_equal(dest_open("s3", &options, &dest), E_OK);
    write_head(dest, &two_lines, "s3.ap-northeast-1.amazonaws.com", token, text);
    assert_non_null(strstr(text, NAME " HTTP/1.1\r\n"));
    dest_close(dest);
}

static void test_open_faults(void **state)
{
    struct dest *dest = NULL;
    struct dest_options options = {.device = "d"};
    char longest[256];
    (void)state;
    assert_int_equal(dest_open("s3", &options, &dest), E_INVALID);
    options.s3 = (struct dest_s3){.bucket = "b", .region = "Mars"};
    assert_int_equal(dest_open("s3", &options, &dest), E_INVALID);
    memset(longest, 'a', sizeof longest);
    longest[255] = '\0';
    options.s3 = (struct dest_s3){.bucket = "b", .region = "eu-west-1", .prefix = longest};
    assert_int_equal(dest_open("s3", &options, &dest), E_TOO_BIG);
}

/* ---- reply ---- */

struct result {
    struct dest_reply reply;
    bool delivered;
};

static struct result read_reply(struct dest *dest, const struct http_reply *head, const char *body)
{
    struct result result;
    uint8_t delivered[ENTRIES / 8 + 1] = {0xff, 0xff};
    dest->operations->reply_start(dest, ENTRIES, delivered);
    for (size_t i = 0; i < strlen(body); i++)
        assert_int_equal(dest->operations->reply_feed(dest, (const uint8_t *)body + i, 1), E_OK);
    dest->operations->reply_end(dest, head, &result.reply);
    assert_int_equal(delivered[0] == 0xff, delivered[1] != 0);
    result.delivered = delivered[0] == 0xff;
    assert_int_equal(result.delivered, result.reply.understood);
    assert_int_equal(result.reply.delivered, result.delivered ? ENTRIES : 0);
    return result;
}

#define ERROR_BODY(code)                                                                           \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" code                               \
    "</Code><Message>m</Message><RequestId>r</RequestId></Error>"

static const struct reply_case {
    int status;
    const char *body;
    bool unnamed; /* without x-amz-request-id */
    bool delivered;
    const char *code;
} cases[] = {
    {200, "", false, true, ""},
    {412, ERROR_BODY("PreconditionFailed"), false, true, "PreconditionFailed"},
    /* what is not S3's */
    {200, "", true, false, ""},
    {200, "<html>Sign in to the Wi-Fi</html>", false, false, ""},
    {200, ERROR_BODY("InternalError"), false, false, "InternalError"},
    {204, "", false, false, ""},
    {412, "", false, false, ""},
    {412, ERROR_BODY("AccessDenied"), false, false, "AccessDenied"},
    {409, ERROR_BODY("ConditionalRequestConflict"), false, false, "ConditionalRequestConflict"},
    {503, ERROR_BODY("SlowDown"), false, false, "SlowDown"},
    {403, ERROR_BODY("AccessDenied"), false, false, "AccessDenied"},
    {0, "", false, false, ""},
};

static void test_replies(void **state)
{
    struct dest *dest = open_usual();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_reply head = {.status = cases[i].status, .request_id = "r"};
        if (cases[i].unnamed)
            head.request_id[0] = '\0';
        const struct result result = read_reply(dest, &head, cases[i].body);
        assert_int_equal(result.delivered, cases[i].delivered);
        assert_string_equal(result.reply.code, cases[i].code);
        assert_false(result.reply.otherwise);
    }
    dest_close(dest);
}

/* NULL: what is said everywhere. */
static void assert_remedy(const char *owner, const char *body, const char *words)
{
    const struct dest_s3 s3 = {
        .bucket = "my-bucket", .region = "eu-west-1", .expected_bucket_owner = owner};
    const struct http_reply head = {.status = 400, .request_id = "r"};
    struct dest *dest = open_s3(&s3);
    const struct result result = read_reply(dest, &head, body);
    if (words == NULL)
        assert_null(result.reply.remedy);
    else
        assert_non_null(strstr(result.reply.remedy, words));
    dest_close(dest);
}

static void test_remedies(void **state)
{
    (void)state;
    assert_remedy(NULL, ERROR_BODY("AccessDenied"), "s3:PutObject");
    assert_remedy(NULL, ERROR_BODY("AccessDenied"), "kms:GenerateDataKey");
    assert_remedy("123456789012", ERROR_BODY("AccessDenied"), "check \"expected_bucket_owner\"");
    assert_remedy(NULL, ERROR_BODY("KMS.DisabledException"), "\"kms_key_id\"");
    assert_remedy(NULL, ERROR_BODY("InvalidArgument"), "a setting of the route");
    assert_remedy(NULL, ERROR_BODY("SlowDown"), NULL);
}

static void test_endless_reply(void **state)
{
    static const uint8_t piece[4096];
    struct dest *dest = open_usual();
    uint8_t delivered[ENTRIES / 8 + 1];
    int rc = E_OK;
    (void)state;
    dest->operations->reply_start(dest, ENTRIES, delivered);
    for (int i = 0; i < 17 && rc == E_OK; i++)
        rc = dest->operations->reply_feed(dest, piece, sizeof piece);
    assert_int_equal(rc, E_TOO_BIG);
    dest_close(dest);
}

/* ---- another region ---- */

static void assert_moved(int status, const char *region, const char *body)
{
    struct http_reply head = {.status = status};
    struct dest *dest = open_usual();
    struct dest_head next;
    (void)snprintf(head.bucket_region, sizeof head.bucket_region, "%s", region);
    const struct result result = read_reply(dest, &head, body);
    assert_true(result.reply.otherwise);
    dest->operations->head(dest, &two_lines, &next);
    assert_string_equal(next.region, "us-west-2");
    assert_string_equal(next.host, "my-bucket.s3.us-west-2.amazonaws.com");
    assert_false(read_reply(dest, &head, body).reply.otherwise); /* we are there */
    dest_close(dest);
}

static void test_other_region(void **state)
{
    (void)state;
    assert_moved(301, "us-west-2", ERROR_BODY("PermanentRedirect"));
    assert_moved(307, "us-west-2", "");
    assert_moved(400, "us-west-2", ERROR_BODY("AuthorizationHeaderMalformed"));
    assert_moved(400, "",
                 "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'eu-west-1' "
                 "is wrong</Message><Region>us-west-2</Region></Error>");
}

/* A bucket may move back: what was learnt is not for ever. */
static void test_back_again(void **state)
{
    const struct http_reply west = {.status = 301, .bucket_region = "us-west-2"};
    const struct http_reply home = {.status = 301, .bucket_region = "eu-west-1"};
    struct dest *dest = open_usual();
    struct dest_head head;
    (void)state;
    assert_true(read_reply(dest, &west, "").reply.otherwise);
    assert_true(read_reply(dest, &home, "").reply.otherwise);
    dest->operations->head(dest, &two_lines, &head);
    assert_string_equal(head.host, "my-bucket.s3.eu-west-1.amazonaws.com");
    dest_close(dest);
}

static void test_no_other_region(void **state)
{
    static const struct http_reply heads[] = {
        {.status = 301, .bucket_region = "eu-west-1"}, /* here */
        {.status = 301},
        {.status = 403, .bucket_region = "us-west-2"},
        {.status = 301, .bucket_region = "evil.example/"},
        {.status = 301, .bucket_region = "a-region-with-a-name-of-more-than-31-bytes"},
    };
    struct dest *dest = open_usual();
    struct dest_head head;
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        assert_false(read_reply(dest, &heads[i], "").reply.otherwise);
    dest->operations->head(dest, &two_lines, &head);
    assert_null(head.host);
    assert_null(head.region);
    dest_close(dest);
}

/* An endpoint of one's own stays; only the signature moves. */
static void test_endpoint_stays(void **state)
{
    const struct dest_s3 s3 = {.bucket = "b-1", .region = "eu-west-1", .path_style = true};
    const struct http_reply west = {.status = 400, .bucket_region = "us-west-2"};
    struct dest *dest = open_s3(&s3);
    struct dest_head head;
    (void)state;
    assert_true(
        read_reply(dest, &west, ERROR_BODY("AuthorizationHeaderMalformed")).reply.otherwise);
    dest->operations->head(dest, &two_lines, &head);
    assert_null(head.host);
    assert_string_equal(head.region, "us-west-2");
    dest_close(dest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_names_of_others),
        cmocka_unit_test(test_as_botocore_signs),
        cmocka_unit_test(test_path_style_as_botocore_signs),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_question),
        cmocka_unit_test(test_longest_head),
        cmocka_unit_test(test_open_faults),
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_remedies),
        cmocka_unit_test(test_endless_reply),
        cmocka_unit_test(test_other_region),
        cmocka_unit_test(test_back_again),
        cmocka_unit_test(test_no_other_region),
        cmocka_unit_test(test_endpoint_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
