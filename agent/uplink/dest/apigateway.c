/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/dest/apigateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/uplink/dest/records.h"
#include "agent/uplink/dest/results.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/json/json_scan.h"

/* 64 KiB are left free below the 10 MB that API Gateway takes, as they are towards Kinesis. */
enum { BODY_BYTES = (10240 - 64) * 1024, REPLY_BYTES = 256 * 1024 };

enum { RECORDS_MAX = 500 }; /* of PutRecords and PutRecordBatch, which are behind most such APIs */

enum member {
    MEMBER_OTHER,
    MEMBER_TYPE,
    MEMBER_MESSAGE,
    MEMBER_FUNCTION_TYPE,
    MEMBER_FUNCTION_MESSAGE,
    MEMBER_FAILED,
    MEMBER_CODE
};

/* What a reply says of the request as a whole. */
struct statement {
    struct json_scan scan;
    uint64_t bytes;
    bool blank;  /* but for white space, empty */
    bool broken; /* no JSON */
    bool error;  /* __type, or a function's error */
    bool failed; /* of the records, some */
    enum member member;
    char record_code[DEST_CODE_BYTES]; /* of the first that says one */
    struct dest_reply reply;
};

struct apigateway {
    struct dest dest;
    struct dest_operations operations;
    struct dest_api api;
    bool gzip;
    size_t sent;
    uint8_t *delivered;
    struct statement statement;
    struct results *results; /* per record: as Kinesis and as Firehose say it; else NULL */
};

enum { RESULTS_KINESIS, RESULTS_FIREHOSE, RESULTS_FORMS };

static const struct results_names names[RESULTS_FORMS] = {
    [RESULTS_KINESIS] = {"Records", "FailedRecordCount", "SequenceNumber", .any_success = true},
    [RESULTS_FIREHOSE] = {"RequestResponses", "FailedPutCount", "RecordId", .any_success = true},
};

/* ---- request ---- */

static void write_nothing(const void *context, struct writer *out)
{
    (void)context;
    (void)out;
}

static void separate(const void *context, struct writer *out, size_t index)
{
    (void)context;
    if (index > 0)
        writer_char(out, ',');
}

static void begin_none(const void *context, struct writer *out, size_t index)
{
    (void)context;
    (void)out;
    (void)index;
}

static void end_none(const void *context, struct writer *out, const char *key, size_t key_bytes)
{
    (void)context;
    (void)out;
    (void)key;
    (void)key_bytes;
}

static void begin_records(const void *context, struct writer *out)
{
    (void)context;
    writer_text(out, "{\"Records\":[");
}

static void begin_array(const void *context, struct writer *out)
{
    (void)context;
    writer_text(out, "{\"records\":[");
}

static const struct {
    const char *content_type;
    size_t records;
    struct batch_frame frame;
} bodies[] = {
    [DEST_BODY_RECORDS] = {"application/json",
                           RECORDS_MAX,
                           {.begin = begin_records,
                            .record_begin = records_record_begin,
                            .record_end = records_record_end,
                            .end = records_end}},
    [DEST_BODY_LINES] = {"application/x-ndjson",
                         RECORDS_MAX,
                         {.begin = write_nothing,
                          .record_begin = begin_none,
                          .record_end = end_none,
                          .end = write_nothing,
                          .plain = true,
                          .keyless = true,
                          .newline = true}},
    [DEST_BODY_ARRAY] = {"application/json",
                         RECORDS_MAX,
                         {.begin = begin_array,
                          .record_begin = separate,
                          .record_end = end_none,
                          .end = records_end,
                          .plain = true,
                          .keyless = true}},
    [DEST_BODY_SINGLE] = {"application/json",
                          1,
                          {.begin = write_nothing,
                           .record_begin = begin_none,
                           .record_end = end_none,
                           .end = write_nothing,
                           .plain = true,
                           .keyless = true}},
};

static void authorize(const struct dest_api *api, struct dest_head *head)
{
    static const char *const prefixes[] = {
        [DEST_AUTH_OAUTH2] = "Bearer ", [DEST_AUTH_BEARER] = "Bearer ", [DEST_AUTH_NONE] = NULL};
    const char *const headers[] = {[DEST_AUTH_API_KEY] = "x-api-key",
                                   [DEST_AUTH_OAUTH2] = "Authorization",
                                   [DEST_AUTH_BEARER] = "Authorization",
                                   [DEST_AUTH_HEADER] = api->header,
                                   [DEST_AUTH_NONE] = NULL};
    const char *prefix = prefixes[api->auth];
    head->service = api->auth == DEST_AUTH_IAM ? "execute-api" : NULL;
    head->token_header = headers[api->auth];
    head->token_prefix = prefix != NULL ? prefix : "";
}

static void head(const struct dest *dest, const struct batch_summary *batch,
                 struct dest_head *ret_head)
{
    const struct apigateway *apigateway = (const void *)dest;
    const struct dest_api *api = &apigateway->api;
    *ret_head = (struct dest_head){.method = batch != NULL ? "POST" : "GET",
                                   .path = api->path,
                                   .query = api->query != NULL ? api->query : "",
                                   .host_header = api->host_header};
    if (batch != NULL)
        ret_head->content_type = bodies[api->body].content_type;
    if (batch != NULL && apigateway->gzip)
        dest_add_header(ret_head, "Content-Encoding", "gzip");
    dest_add_header(ret_head, "x-apigw-api-id", api->api_id);
    authorize(api, ret_head);
}

/* ---- a reply as a whole ---- */

static enum member member_of(const char *key)
{
    static const struct {
        const char *key;
        enum member member;
    } members[] = {{"__type", MEMBER_TYPE},
                   {"message", MEMBER_MESSAGE},
                   {"Message", MEMBER_MESSAGE},
                   {"errorType", MEMBER_FUNCTION_TYPE},
                   {"errorMessage", MEMBER_FUNCTION_MESSAGE},
                   {"FailedRecordCount", MEMBER_FAILED},
                   {"FailedPutCount", MEMBER_FAILED}};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (strcmp(members[i].key, key) == 0)
            return members[i].member;
    return MEMBER_OTHER;
}

/* What is no count may mean any. */
static void on_failed_count(struct statement *statement, const struct json_token *token)
{
    uint64_t count = 0;
    if (token->event != JSON_NULL &&
        (parse_unsigned(token->text, token->text_bytes, &count) < 0 || count > 0))
        statement->failed = true;
}

static void on_member(struct statement *statement, const struct json_token *token)
{
    struct dest_reply *reply = &statement->reply;
    bool text = token->event == JSON_STRING;
    if (token->event == JSON_KEY)
        statement->member = member_of(token->text);
    else if (statement->member == MEMBER_FAILED)
        on_failed_count(statement, token);
    else if (statement->member == MEMBER_MESSAGE && text)
        results_copy_text(reply->message, sizeof reply->message, token->text);
    else if (statement->member == MEMBER_TYPE || statement->member == MEMBER_FUNCTION_TYPE ||
             statement->member == MEMBER_FUNCTION_MESSAGE) {
        statement->error |= token->event != JSON_NULL && !(text && token->text_bytes == 0);
        if (text && statement->member == MEMBER_FUNCTION_MESSAGE)
            results_copy_text(reply->message, sizeof reply->message, token->text);
        else if (text)
            results_copy_code(reply->code, token->text);
    }
}

/* Of the records that were not stored the first says why. */
static void on_result_member(struct statement *statement, const struct json_token *token)
{
    if (token->event == JSON_KEY)
        statement->member = strcmp(token->text, "ErrorCode") == 0 ? MEMBER_CODE : MEMBER_OTHER;
    else if (token->event == JSON_STRING && statement->member == MEMBER_CODE &&
             statement->record_code[0] == '\0')
        results_copy_code(statement->record_code, token->text);
}

static int on_token(void *context, const struct json_token *token)
{
    struct statement *statement = context;
    if (token->depth == 1)
        on_member(statement, token);
    else if (token->depth == 3)
        on_result_member(statement, token);
    return E_OK;
}

static void statement_start(struct statement *statement)
{
    *statement = (struct statement){.blank = true};
    json_scan_start(&statement->scan, on_token, statement);
}

/* Frameworks end a text with a line break, also one that is empty. */
static bool is_blank(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memchr(" \t\r\n", bytes[i], 4) == NULL)
            return false;
    return true;
}

static int statement_feed(struct statement *statement, const uint8_t *bytes, size_t count)
{
    statement->bytes += count;
    if (statement->bytes > REPLY_BYTES)
        return E_TOO_BIG;
    statement->blank = statement->blank && is_blank(bytes, count);
    if (!statement->broken && json_scan_feed(&statement->scan, bytes, count) < 0)
        statement->broken = true;
    return E_OK;
}

static bool is_success(int status)
{
    return status >= 200 && status < 300;
}

static bool is_page(const struct http_reply *head)
{
    return strncasecmp(head->content_type, "text/html", strlen("text/html")) == 0;
}

/* What is no answer of an API says nothing either. */
static void tell_stranger(struct dest_reply *reply, const char *content_type)
{
    reply->code[0] = '\0';
    (void)snprintf(reply->message, sizeof reply->message,
                   "neither empty nor whole JSON; its type is \"%.100s\"", content_type);
    reply->remedy = "let the API answer with JSON or nothing, unless \"url\" leads elsewhere or "
                    "somebody answers in the API's place";
}

static void statement_end(struct statement *statement, const struct http_reply *head)
{
    struct dest_reply *reply = &statement->reply;
    bool success = is_success(head->status);
    bool json = !statement->broken && json_scan_end(&statement->scan) == E_OK;
    bool strange = !statement->blank && (!json || is_page(head));
    reply->understood = success && !strange && !statement->error && !statement->failed;
    if (strange && success)
        tell_stranger(reply, head->content_type);
    else if (strange)
        reply->code[0] = reply->message[0] = '\0';
    else if (statement->failed && !statement->error)
        memcpy(reply->code, statement->record_code, sizeof reply->code);
}

/* ---- replies ---- */

static struct apigateway *apigateway_of(struct dest *dest)
{
    return (struct apigateway *)(void *)dest;
}

static void reply_start(struct dest *dest, size_t sent, uint8_t *delivered)
{
    struct apigateway *apigateway = apigateway_of(dest);
    apigateway->sent = sent;
    apigateway->delivered = delivered;
    memset(delivered, 0, (sent + 7) / 8);
    statement_start(&apigateway->statement);
    for (size_t i = 0; apigateway->results != NULL && i < RESULTS_FORMS; i++)
        results_start(&apigateway->results[i], &names[i], sent, delivered);
}

static int reply_feed(struct dest *dest, const uint8_t *bytes, size_t count)
{
    struct apigateway *apigateway = apigateway_of(dest);
    int rc = E_OK;
    if (apigateway->results == NULL)
        return statement_feed(&apigateway->statement, bytes, count);
    (void)statement_feed(&apigateway->statement, bytes, count);
    for (size_t i = 0; rc == E_OK && i < RESULTS_FORMS; i++)
        rc = results_feed(&apigateway->results[i], bytes, count);
    return rc;
}

/* All of them, or none. */
static void take_statement(struct apigateway *apigateway, struct dest_reply *ret_reply)
{
    const struct statement *statement = &apigateway->statement;
    *ret_reply = statement->reply;
    if (statement->failed && !statement->error && ret_reply->remedy == NULL)
        ret_reply->remedy = "with \"success\": \"per-record\" only what failed is sent again";
    if (!ret_reply->understood)
        return;
    for (size_t i = 0; i < apigateway->sent; i++)
        apigateway->delivered[i / 8] |= (uint8_t)(1 << i % 8);
    ret_reply->delivered = apigateway->sent;
}

/* It says that some failed, but not which, or nothing of them. */
static void tell_unanswered(const struct apigateway *apigateway, struct dest_reply *reply)
{
    if (apigateway->statement.failed) {
        (void)snprintf(reply->message, sizeof reply->message,
                       "its count of failed records is not that of its results");
        reply->remedy = "let the API pass on the reply of Kinesis or Firehose as it is";
        return;
    }
    (void)snprintf(reply->message, sizeof reply->message,
                   "it has no result for each of the %zu records", apigateway->sent);
    reply->remedy = "\"success\": \"status\" asks for none";
}

/* A list in both forms answers for nothing. */
static void take_results(struct apigateway *apigateway, const struct http_reply *head,
                         struct dest_reply *ret_reply)
{
    struct results *kinesis = &apigateway->results[RESULTS_KINESIS];
    struct results *firehose = &apigateway->results[RESULTS_FIREHOSE];
    const struct statement *statement = &apigateway->statement;
    *ret_reply = (struct dest_reply){.understood = false};
    if (!is_page(head) && !statement->error && !(kinesis->list_seen && firehose->list_seen))
        results_end(firehose->list_seen ? firehose : kinesis, head, ret_reply);
    if (ret_reply->understood)
        return;
    memset(apigateway->delivered, 0, (apigateway->sent + 7) / 8);
    *ret_reply = statement->reply;
    ret_reply->understood = false;
    if (is_success(head->status) && !statement->error && ret_reply->remedy == NULL)
        tell_unanswered(apigateway, ret_reply);
}

static void reply_end(struct dest *dest, const struct http_reply *head,
                      struct dest_reply *ret_reply)
{
    struct apigateway *apigateway = apigateway_of(dest);
    statement_end(&apigateway->statement, head);
    if (apigateway->results != NULL)
        take_results(apigateway, head, ret_reply);
    else
        take_statement(apigateway, ret_reply);
    const char *code = ret_reply->code[0] != '\0' ? ret_reply->code : head->error_type;
    if (!ret_reply->understood && ret_reply->remedy == NULL)
        ret_reply->remedy =
            apigateway_remedy(apigateway->api.auth, head->status, code, ret_reply->message);
}

/* ---- open and close ---- */

static void close_apigateway(struct dest *dest)
{
    free(apigateway_of(dest)->results);
    free(dest);
}

static void set_operations(struct apigateway *apigateway, bool strict)
{
    enum dest_body body = apigateway->api.body;
    struct dest_operations *operations = &apigateway->operations;
    *operations = (struct dest_operations){
        .name = "apigateway",
        .limits = {.records = strict ? 1 : bodies[body].records,
                   .bytes = BODY_BYTES,
                   .record_bytes = BODY_BYTES},
        .frame = bodies[body].frame,
        .head = head,
        .reply_start = reply_start,
        .reply_feed = reply_feed,
        .reply_end = reply_end,
        .close = close_apigateway,
    };
    operations->frame.counts_body = true;
    operations->frame.together = !apigateway->api.per_record;
    apigateway->dest.operations = operations;
}

int apigateway_open(const struct dest_options *options, struct dest **ret_dest)
{
    const struct dest_api *api = &options->api;
    if (api->path == NULL || (api->auth == DEST_AUTH_HEADER && api->header == NULL))
        return E_INVALID;
    struct apigateway *apigateway = calloc(1, sizeof *apigateway);
    if (apigateway == NULL)
        return E_NO_MEMORY;
    apigateway->api = *api;
    apigateway->gzip = options->gzip;
    set_operations(apigateway, options->strict);
    if (api->per_record)
        apigateway->results = calloc(RESULTS_FORMS, sizeof *apigateway->results);
    if (api->per_record && apigateway->results == NULL) {
        free(apigateway);
        return E_NO_MEMORY;
    }
    *ret_dest = &apigateway->dest;
    return E_OK;
}
