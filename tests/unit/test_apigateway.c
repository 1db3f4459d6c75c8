/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/uplink/dest/apigateway.h"
#include "agent/uplink/verdict.h"
#include "platform/base/error.h"
#include "platform/json/json_scan.h"

enum { SENT_MAX = 500, BODY_BYTES = 512, HUGE_BYTES = 1024 * 1024 };

static struct dest *open_api(const struct dest_api *api, bool strict)
{
    struct dest *dest = NULL;
    struct dest_options options = {.api = *api, .strict = strict};
    if (options.api.path == NULL)
        options.api.path = "/prod/records";
    assert_int_equal(dest_open("apigateway", &options, &dest), E_OK);
    return dest;
}

/* ---- request ---- */

static void expect_body(enum dest_body body, size_t count, const char *expected)
{
    const struct dest_api api = {.body = body};
    struct dest *dest = open_api(&api, false);
    const struct batch_frame *frame = &dest->operations->frame;
    char text[BODY_BYTES];
    struct writer out;
    writer_to_memory(&out, text, sizeof text);
    frame->begin(dest, &out);
    for (size_t i = 0; i < count; i++) {
        frame->record_begin(dest, &out, i);
        writer_text(&out, frame->plain ? "{\"v\":1}" : "eyJ2IjoxfQ==");
        if (frame->newline)
            writer_char(&out, '\n');
        frame->record_end(dest, &out, "k\"1", 3);
    }
    frame->end(dest, &out);
    assert_int_equal(writer_finish(&out), E_OK);
    assert_string_equal(text, expected);
    assert_true(frame->counts_body);
    dest_close(dest);
}

static void test_golden_bodies(void **state)
{
    (void)state;
    expect_body(DEST_BODY_RECORDS, 2,
                "{\"Records\":[{\"Data\":\"eyJ2IjoxfQ==\",\"PartitionKey\":\"k\\\"1\"},"
                "{\"Data\":\"eyJ2IjoxfQ==\",\"PartitionKey\":\"k\\\"1\"}]}");
    expect_body(DEST_BODY_LINES, 2, "{\"v\":1}\n{\"v\":1}\n");
    expect_body(DEST_BODY_ARRAY, 2, "{\"records\":[{\"v\":1},{\"v\":1}]}");
    expect_body(DEST_BODY_SINGLE, 1, "{\"v\":1}");
}

static void test_limits(void **state)
{
    static const struct {
        enum dest_body body;
        bool strict;
        size_t records;
    } rows[] = {{DEST_BODY_RECORDS, false, 500}, {DEST_BODY_LINES, false, 500},
                {DEST_BODY_ARRAY, false, 500},   {DEST_BODY_SINGLE, false, 1},
                {DEST_BODY_RECORDS, true, 1},    {DEST_BODY_LINES, true, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct dest_api api = {.body = rows[i].body};
        struct dest *dest = open_api(&api, rows[i].strict);
        assert_int_equal(dest->operations->limits.records, rows[i].records);
        assert_true(dest->operations->limits.bytes < 10 * 1000 * 1000 + 500 * 1000);
        assert_true(dest->operations->limits.record_bytes == dest->operations->limits.bytes);
        dest_close(dest);
    }
}

static const struct batch_summary some_batch = {.entry_count = 1};

static void test_heads(void **state)
{
    static const struct {
        enum dest_auth auth;
        const char *service, *header, *prefix;
    } rows[] = {{DEST_AUTH_IAM, "execute-api", NULL, ""},
                {DEST_AUTH_API_KEY, NULL, "x-api-key", ""},
                {DEST_AUTH_OAUTH2, NULL, "Authorization", "Bearer "},
                {DEST_AUTH_BEARER, NULL, "Authorization", "Bearer "},
                {DEST_AUTH_HEADER, NULL, "X-Token", ""},
                {DEST_AUTH_NONE, NULL, NULL, ""}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct dest_api api = {
            .auth = rows[i].auth, .header = "X-Token", .query = "a=b", .api_id = "abc"};
        struct dest *dest = open_api(&api, false);
        struct dest_head head;
        dest->operations->head(dest, &some_batch, &head);
        assert_string_equal(head.method, "POST");
        assert_string_equal(head.path, "/prod/records");
        assert_string_equal(head.query, "a=b");
        assert_string_equal(head.content_type, "application/json");
        assert_null(head.host_header);
        assert_int_equal(head.header_count, 1);
        assert_string_equal(head.headers[0].name, "x-apigw-api-id");
        assert_string_equal(head.headers[0].value, "abc");
        assert_true((head.service == NULL) == (rows[i].service == NULL));
        if (head.service != NULL)
            assert_string_equal(head.service, rows[i].service);
        assert_true((head.token_header == NULL) == (rows[i].header == NULL));
        if (head.token_header != NULL)
            assert_string_equal(head.token_header, rows[i].header);
        assert_string_equal(head.token_prefix, rows[i].prefix);
        dest_close(dest);
    }
}

/* A body without records may be stored as a record without content. */
static void test_question_has_no_body(void **state)
{
    const struct dest_api api = {.body = DEST_BODY_LINES, .host_header = "id.execute-api.x"};
    struct dest *dest = open_api(&api, false);
    struct dest_head head;
    (void)state;
    dest->operations->head(dest, NULL, &head);
    assert_string_equal(head.method, "GET");
    assert_null(head.content_type);
    assert_int_equal(head.header_count, 0);
    dest->operations->head(dest, &some_batch, &head);
    assert_string_equal(head.content_type, "application/x-ndjson");
    assert_string_equal(head.host_header, "id.execute-api.x");
    assert_string_equal(head.query, "");
    dest_close(dest);
}

static void test_compressed(void **state)
{
    const struct dest_options options = {.api = {.path = "/prod/records"}, .gzip = true};
    struct dest *dest = NULL;
    struct dest_head head;
    (void)state;
    assert_int_equal(dest_open("apigateway", &options, &dest), E_OK);
    dest->operations->head(dest, &some_batch, &head);
    assert_int_equal(head.header_count, 1);
    assert_string_equal(head.headers[0].name, "Content-Encoding");
    assert_string_equal(head.headers[0].value, "gzip");
    dest->operations->head(dest, NULL, &head);
    assert_int_equal(head.header_count, 0);
    dest_close(dest);
}

static void test_open_faults(void **state)
{
    struct dest *dest = NULL;
    const struct dest_options no_path = {.api = {.auth = DEST_AUTH_NONE}};
    const struct dest_options no_header = {.api = {.path = "/", .auth = DEST_AUTH_HEADER}};
    (void)state;
    assert_int_equal(dest_open("apigateway", &no_path, &dest), E_INVALID);
    assert_int_equal(dest_open("apigateway", &no_header, &dest), E_INVALID);
}

/* ---- reply ---- */

struct result {
    struct dest_reply reply;
    uint8_t delivered[SENT_MAX / 8 + 1];
};

static struct result read_pieces(struct dest *dest, const struct http_reply *head, size_t sent,
                                 const char *text, size_t count, size_t split)
{
    struct result result;
    memset(&result, 0xff, sizeof result);
    dest->operations->reply_start(dest, sent, result.delivered);
    assert_int_equal(dest->operations->reply_feed(dest, (const uint8_t *)text, split), E_OK);
    assert_int_equal(
        dest->operations->reply_feed(dest, (const uint8_t *)text + split, count - split), E_OK);
    dest->operations->reply_end(dest, head, &result.reply);
    return result;
}

/* What TEXT says, which is the same wherever it is cut. */
static struct result read_reply(const struct dest_api *api, const struct http_reply *head,
                                size_t sent, const char *text)
{
    struct dest *dest = open_api(api, false);
    size_t count = strlen(text);
    struct result whole = read_pieces(dest, head, sent, text, count, count);
    for (size_t split = 0; split < count; split++) {
        struct result cut = read_pieces(dest, head, sent, text, count, split);
        assert_int_equal(cut.reply.understood, whole.reply.understood);
        assert_int_equal(cut.reply.delivered, whole.reply.delivered);
        assert_int_equal(cut.reply.failed, whole.reply.failed);
        assert_int_equal(cut.reply.throttled, whole.reply.throttled);
        assert_string_equal(cut.reply.code, whole.reply.code);
        assert_string_equal(cut.reply.message, whole.reply.message);
        assert_ptr_equal(cut.reply.remedy, whole.reply.remedy);
        assert_memory_equal(cut.delivered, whole.delivered, (sent + 7) / 8);
    }
    dest_close(dest);
    return whole;
}

static enum verdict judge(const struct result *result, const struct http_reply *head)
{
    const struct dest_reply *reply = &result->reply;
    const struct verdict_question question = {.status = head->status,
                                              .understood = reply->understood,
                                              .code = reply->code[0] != '\0' ? reply->code
                                                                             : head->error_type,
                                              .message = reply->message};
    return verdict_of_request(&question);
}

struct row {
    int status;
    const char *type; /* Content-Type */
    const char *body;
    enum verdict verdict;
    const char *code;
    const char *word; /* of the remedy; NULL: any */
};

static void expect_rows(const struct dest_api *api, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct http_reply head = {.status = rows[i].status};
        (void)snprintf(head.content_type, sizeof head.content_type, "%s", rows[i].type);
        struct result result = read_reply(api, &head, 3, rows[i].body);
        if (judge(&result, &head) != rows[i].verdict)
            fail_msg("%d %s: verdict %d", rows[i].status, rows[i].body, judge(&result, &head));
        bool delivered = rows[i].verdict == VERDICT_DELIVERED;
        assert_int_equal(result.reply.delivered, delivered ? 3 : 0);
        assert_int_equal(result.delivered[0], delivered ? 7 : 0);
        assert_string_equal(result.reply.code, rows[i].code);
        if (rows[i].word != NULL)
            assert_non_null(strstr(result.reply.remedy, rows[i].word));
    }
}

#define PAGE "<html><body>Please log in</body></html>"
#define THROTTLED                                                                                  \
    "{\"__type\":\"com.amazonaws.kinesis#ProvisionedThroughputExceededException\","                \
    "\"message\":\"Rate exceeded for shard\"}"

/* Whatever is not known for sure to have been stored is sent again. */
static void test_success_by_status(void **state)
{
    static const struct row rows[] = {
        {200, "application/json", "{\"ok\":true}", VERDICT_DELIVERED, "", NULL},
        {200, "application/json", "{}", VERDICT_DELIVERED, "", NULL},
        {200, "application/json", "[]", VERDICT_DELIVERED, "", NULL},
        {200, "", "null", VERDICT_DELIVERED, "", NULL},
        {200, "", "\"stored\"", VERDICT_DELIVERED, "", NULL},
        {201, "application/json", "{\"SequenceNumber\":\"495\",\"ShardId\":\"s\"}",
         VERDICT_DELIVERED, "", NULL},
        {202, "", "", VERDICT_DELIVERED, "", NULL},
        {204, "", "", VERDICT_DELIVERED, "", NULL},
        {200, "text/html", "", VERDICT_DELIVERED, "", NULL},
        {202, "text/plain", " \r\n", VERDICT_DELIVERED, "", NULL},
        {200, "application/json", "{\"errorMessage\":\"\",\"ok\":true}", VERDICT_DELIVERED, "",
         NULL},
        {200, "application/json",
         "{\"FailedRecordCount\":0,\"Records\":[{\"SequenceNumber\":\"1\"}]}", VERDICT_DELIVERED,
         "", NULL},
        {200, "application/json",
         "{\"FailedPutCount\":0,\"RequestResponses\":[{\"RecordId\":\"1\",\"ErrorCode\":\"x\"}]}",
         VERDICT_DELIVERED, "", NULL},
        {200, "application/json", "{\"FailedPutCount\":null}", VERDICT_DELIVERED, "", NULL},
        {200, "application/json", "{\"a\":{\"__type\":\"x\",\"FailedPutCount\":3}}",
         VERDICT_DELIVERED, "", NULL},

        {200, "text/html; charset=utf-8", PAGE, VERDICT_RETRY_BATCH, "", "in the API's place"},
        {200, "Text/HTML", "{}", VERDICT_RETRY_BATCH, "", "in the API's place"},
        {200, "text/plain", "OK", VERDICT_RETRY_BATCH, "", "answer with JSON or nothing"},
        {200, "application/json", "{\"ok\":tr", VERDICT_RETRY_BATCH, "", NULL},
        {200, "application/json", "\n}", VERDICT_RETRY_BATCH, "", NULL},
        {200, "application/json", "{} {}", VERDICT_RETRY_BATCH, "", NULL},
        {302, "text/html", PAGE, VERDICT_OPERATOR, "", "redirects are not followed"},
        {302, "", "", VERDICT_OPERATOR, "", "redirects are not followed"},
        {307, "application/json", "{}", VERDICT_OPERATOR, "", "redirects are not followed"},
        {511, "text/html", PAGE, VERDICT_RETRY_BATCH, "", NULL},

        /* AWS's sample maps every status of the service to 200. */
        {200, "application/json", THROTTLED, VERDICT_THROTTLE,
         "ProvisionedThroughputExceededException", NULL},
        {200, "application/json", "{\"__type\":\"AccessDeniedException\",\"Message\":\"no\"}",
         VERDICT_OPERATOR, "AccessDeniedException", NULL},
        {200, "application/json", "{\"__type\":{}}", VERDICT_RETRY_BATCH, "", NULL},
        {200, "application/json",
         "{\"errorMessage\":\"Task timed out\",\"errorType\":\"Sandbox.Timedout\"}",
         VERDICT_RETRY_BATCH, "Sandbox.Timedout", NULL},
        {200, "application/json", "{\"errorMessage\":\"'a'\"}", VERDICT_RETRY_BATCH, "", NULL},
        {200, "application/json",
         "{\"FailedRecordCount\":1,\"Records\":[{\"SequenceNumber\":\"1\"},"
         "{\"ErrorCode\":\"ProvisionedThroughputExceededException\",\"ErrorMessage\":\"r\"}]}",
         VERDICT_THROTTLE, "ProvisionedThroughputExceededException", "per-record"},
        {200, "application/json", "{\"FailedPutCount\":2}", VERDICT_RETRY_BATCH, "", "per-record"},
        {200, "application/json", "{\"FailedPutCount\":\"many\"}", VERDICT_RETRY_BATCH, "",
         "per-record"},
        {200, "application/json", "{\"FailedRecordCount\":[0]}", VERDICT_RETRY_BATCH, "",
         "per-record"},
        {504, "application/json", "{\"message\":\"Endpoint request timed out\"}",
         VERDICT_RETRY_BATCH, "", NULL},
        {503, "application/json", "{\"ok\":true}", VERDICT_RETRY_BATCH, "", NULL},
        {429, "application/json", "{\"message\":\"Too Many Requests\"}", VERDICT_THROTTLE, "",
         NULL},
        {413, "application/json", "{\"message\":\"Request Too Long\"}", VERDICT_TOO_LARGE, "",
         NULL},
    };
    static const enum dest_body bodies[] = {DEST_BODY_RECORDS, DEST_BODY_LINES, DEST_BODY_ARRAY};
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        const struct dest_api api = {.body = bodies[i], .auth = DEST_AUTH_NONE};
        expect_rows(&api, rows, sizeof rows / sizeof rows[0]);
    }
}

#define STORED(number) "{\"SequenceNumber\":\"" number "\",\"ShardId\":\"s\"}"

static void test_success_per_record(void **state)
{
    static const struct row rows[] = {
        {200, "application/json",
         "{\"FailedRecordCount\":0,\"Records\":[" STORED("1") "," STORED("2") "," STORED("3") "]}",
         VERDICT_DELIVERED, "", NULL},
        {200, "application/json",
         "{\"FailedPutCount\":0,\"Encrypted\":false,\"RequestResponses\":[{\"RecordId\":\"a\"},"
         "{\"RecordId\":\"b\"},{\"RecordId\":\"c\"}]}",
         VERDICT_DELIVERED, "", NULL},

        {202, "application/json", "{\"Records\":[" STORED("1") "," STORED("2") "," STORED("3") "]}",
         VERDICT_DELIVERED, "", NULL},
        {302, "application/json", "{\"Records\":[" STORED("1") "," STORED("2") "," STORED("3") "]}",
         VERDICT_OPERATOR, "", "redirects are not followed"},

        {200, "application/json", "{\"ok\":true}", VERDICT_RETRY_BATCH, "", "asks for none"},
        {202, "", "", VERDICT_RETRY_BATCH, "", "asks for none"},
        {204, "", "", VERDICT_RETRY_BATCH, "", "asks for none"},
        {200, "application/json", "{\"Records\":[" STORED("1") "," STORED("2") "]}",
         VERDICT_RETRY_BATCH, "", "asks for none"},
        {200, "application/json",
         "{\"Records\":[" STORED("1") "," STORED("2") "," STORED("3") "," STORED("4") "]}",
         VERDICT_RETRY_BATCH, "", "asks for none"},
        {200, "application/json",
         "{\"Records\":[" STORED("1") "," STORED("2") "," STORED(
             "3") "],\"RequestResponses\":["
                  "{\"RecordId\":\"a\"},{\"RecordId\":\"b\"},{\"RecordId\":\"c\"}]}",
         VERDICT_RETRY_BATCH, "", NULL},
        {200, "application/json",
         "{\"FailedRecordCount\":3,\"Records\":[" STORED("1") "," STORED("2") "," STORED("3") "]}",
         VERDICT_RETRY_BATCH, "", "pass on the reply"},
        {200, "application/json",
         "{\"errorMessage\":\"x\",\"Records\":[" STORED("1") "," STORED("2") "," STORED("3") "]}",
         VERDICT_RETRY_BATCH, "", NULL},
        {200, "application/json", THROTTLED, VERDICT_THROTTLE,
         "ProvisionedThroughputExceededException", NULL},
        {200, "text/html", PAGE, VERDICT_RETRY_BATCH, "", "in the API's place"},
        {302, "", "", VERDICT_OPERATOR, "", "redirects are not followed"},
        {504, "application/json", "{\"message\":\"Endpoint request timed out\"}",
         VERDICT_RETRY_BATCH, "", NULL},
    };
    const struct dest_api api = {.per_record = true, .auth = DEST_AUTH_NONE};
    (void)state;
    expect_rows(&api, rows, sizeof rows / sizeof rows[0]);
}

static void test_part_of_the_records(void **state)
{
    static const char *const bodies[] = {
        "{\"FailedRecordCount\":1,\"Records\":[" STORED(
            "1") ",{\"ErrorCode\":"
                 "\"ProvisionedThroughputExceededException\",\"ErrorMessage\":\"r\"}," STORED(
                     "3") "]}",
        "{\"FailedPutCount\":1,\"RequestResponses\":[{\"RecordId\":\"a\"},{\"ErrorCode\":"
        "\"ServiceUnavailableException\",\"ErrorMessage\":\"Slow down.\"},{\"RecordId\":\"c\"}]}"};
    const struct dest_api api = {.per_record = true};
    const struct http_reply ok = {.status = 200};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct result result = read_reply(&api, &ok, 3, bodies[i]);
        assert_true(result.reply.understood);
        assert_int_equal(result.reply.delivered, 2);
        assert_int_equal(result.reply.failed, 1);
        assert_int_equal(result.reply.throttled, 1);
        assert_int_equal(result.delivered[0], 5);
        assert_null(result.reply.remedy);
    }
}

/* No reply is that long, whatever it says. */
static void test_huge_reply(void **state)
{
    char *text = malloc(HUGE_BYTES);
    const struct dest_api api = {.auth = DEST_AUTH_NONE};
    uint8_t delivered[1];
    (void)state;
    assert_non_null(text);
    memset(text, ' ', HUGE_BYTES);
    struct dest *dest = open_api(&api, false);
    dest->operations->reply_start(dest, 3, delivered);
    assert_int_equal(dest->operations->reply_feed(dest, (uint8_t *)text, HUGE_BYTES), E_TOO_BIG);
    dest_close(dest);
    free(text);
}

/* ---- remedies ---- */

static void test_remedies(void **state)
{
    static const struct {
        enum dest_auth auth;
        int status;
        const char *code, *message, *word; /* NULL: what helps everywhere is enough */
    } rows[] = {
        {DEST_AUTH_IAM, 403, "MissingAuthenticationTokenException", "Missing Authentication Token",
         "check \"url\""},
        {DEST_AUTH_API_KEY, 403, "MissingAuthenticationTokenException",
         "Missing Authentication Token", "\"auth\": \"iam\""},
        {DEST_AUTH_NONE, 403, "", "Missing Authentication Token", "check \"url\""},
        {DEST_AUTH_IAM, 403, "InvalidSignatureException",
         "Credential should be scoped to a valid region.", "correct \"region\""},
        {DEST_AUTH_IAM, 403, "InvalidSignatureException", "The request signature we calculated",
         "secret access key"},
        {DEST_AUTH_IAM, 403, "AccessDeniedException",
         "User: x is not authorized to perform: execute-api:Invoke", "execute-api:Invoke"},
        {DEST_AUTH_HEADER, 403, "AccessDeniedException", "User is not authorized", "authorizer"},
        {DEST_AUTH_IAM, 403, "", "User: x is not authorized to perform: execute-api:Invoke",
         "execute-api:Invoke"},
        {DEST_AUTH_NONE, 403, "", "User: anonymous is not authorized to perform: x",
         "resource policy"},
        {DEST_AUTH_BEARER, 403, "IncompleteSignatureException", "not a valid key=value pair",
         "\"auth\": \"iam\""},
        {DEST_AUTH_API_KEY, 403, "ForbiddenException", "Forbidden", "\"api_key_file\""},
        {DEST_AUTH_API_KEY, 403, "", "Forbidden", "usage plan"},
        {DEST_AUTH_NONE, 403, "ForbiddenException", "Forbidden", "\"auth\": \"api-key\""},
        {DEST_AUTH_IAM, 403, "ForbiddenException", "Forbidden", "batch.bytes"},
        {DEST_AUTH_OAUTH2, 403, "", "Forbidden", "\"scope\""},
        {DEST_AUTH_OAUTH2, 401, "UnauthorizedException", "Unauthorized", "\"scope\""},
        {DEST_AUTH_BEARER, 401, "UnauthorizedException", "The incoming token has expired",
         "\"token_file\""},
        {DEST_AUTH_HEADER, 401, "", "Unauthorized", "\"header_value_file\""},
        {DEST_AUTH_NONE, 401, "", "Unauthorized", "set \"auth\""},
        {DEST_AUTH_IAM, 401, "", "Unauthorized", "check \"auth\""},
        {DEST_AUTH_API_KEY, 401, "", "Unauthorized", "check \"auth\""},
        {DEST_AUTH_NONE, 404, "", "Not Found", "check \"url\""},
        {DEST_AUTH_NONE, 410, "", "Gone", "check \"url\""},
        {DEST_AUTH_NONE, 405, "", "", "POST"},
        {DEST_AUTH_NONE, 415, "BadRequestException", "Unsupported Media Type", "\"body\""},
        {DEST_AUTH_API_KEY, 400, "BadRequestException", "Invalid request body", "\"url\" takes"},
        {DEST_AUTH_IAM, 400, "BadRequestException", "A record is refused", NULL},
        {DEST_AUTH_IAM, 429, "TooManyRequestsException", "Too Many Requests", "the throttling"},
        {DEST_AUTH_NONE, 429, "", "Too Many Requests", "the throttling"},
        {DEST_AUTH_NONE, 301, "", "", "redirects"},
        {DEST_AUTH_IAM, 403, "ExpiredTokenException", "The security token is expired", NULL},
        {DEST_AUTH_IAM, 429, "LimitExceededException", "Limit Exceeded", NULL},
        {DEST_AUTH_IAM, 504, "InternalServerErrorException", "Endpoint request timed out", NULL},
        {DEST_AUTH_IAM, 413, "RequestTooLargeException", "Request Too Long", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *remedy =
            apigateway_remedy(rows[i].auth, rows[i].status, rows[i].code, rows[i].message);
        if (rows[i].word == NULL ? remedy != NULL
                                 : remedy == NULL || strstr(remedy, rows[i].word) == NULL)
            fail_msg("row %zu: %s", i, remedy == NULL ? "none" : remedy);
    }
}

/* The header tells the code where the body does not. */
static void test_code_in_a_header(void **state)
{
    const struct dest_api api = {.auth = DEST_AUTH_IAM};
    struct http_reply head = {.status = 403, .error_type = "AccessDeniedException"};
    (void)state;
    struct result result = read_reply(&api, &head, 1, "{\"Message\":\"User: x\"}");
    assert_string_equal(result.reply.message, "User: x");
    assert_non_null(strstr(result.reply.remedy, "execute-api:Invoke"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_bodies),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_question_has_no_body),
        cmocka_unit_test(test_compressed),
        cmocka_unit_test(test_open_faults),
        cmocka_unit_test(test_success_by_status),
        cmocka_unit_test(test_success_per_record),
        cmocka_unit_test(test_part_of_the_records),
        cmocka_unit_test(test_huge_reply),
        cmocka_unit_test(test_remedies),
        cmocka_unit_test(test_code_in_a_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
