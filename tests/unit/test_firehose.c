/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "agent/uplink/dest/firehose.h"
#include "platform/base/error.h"
#include "tests/unit/read_reply.h"

static struct dest *open_firehose(void)
{
    struct dest *dest = NULL;
    const struct dest_options options = {.stream = "lake"};
    assert_int_equal(dest_open("firehose", &options, &dest), E_OK);
    return dest;
}

/* ---- request ---- */

static void test_golden_body(void **state)
{
    struct dest *dest = open_firehose();
    const struct batch_frame *frame = &dest->operations->frame;
    char body[256];
    struct writer out;
    (void)state;
    writer_to_memory(&out, body, sizeof body);
    frame->begin(dest, &out);
    for (size_t i = 0; i < 2; i++) {
        frame->record_begin(dest, &out, i);
        writer_text(&out, i == 0 ? "e30K" : "W10K");
        frame->record_end(dest, &out, "", 0);
    }
    frame->end(dest, &out);
    assert_int_equal(writer_finish(&out), E_OK);
    assert_string_equal(
        body,
        "{\"DeliveryStreamName\":\"lake\",\"Records\":[{\"Data\":\"e30K\"},{\"Data\":\"W10K\"}]}");
    dest_close(dest);
}

static void test_what_it_is(void **state)
{
    struct dest *dest = open_firehose();
    const struct dest_operations *operations = dest->operations;
    struct dest_head head;
    (void)state;
    operations->head(dest, NULL, &head);
    assert_string_equal(head.method, "POST");
    assert_string_equal(head.path, "/");
    assert_string_equal(head.service, "firehose");
    assert_string_equal(head.content_type, "application/x-amz-json-1.1");
    assert_int_equal(head.header_count, 1);
    assert_string_equal(head.headers[0].name, "X-Amz-Target");
    assert_string_equal(head.headers[0].value, "Firehose_20150804.PutRecordBatch");
    assert_int_equal(operations->limits.records, 500);
    assert_true(operations->limits.bytes < 4 * 1024 * 1024);
    assert_int_equal(operations->limits.record_bytes, 1024000);
    assert_true(operations->frame.newline);
    assert_true(operations->frame.keyless);
    dest_close(dest);
}

static void test_open_faults(void **state)
{
    struct dest *dest = NULL;
    const struct dest_options nothing = {0}, unnamed = {.stream = ""};
    const struct dest_options strict = {.stream = "lake", .strict = true};
    (void)state;
    assert_int_equal(dest_open("firehose", &nothing, &dest), E_INVALID);
    assert_int_equal(dest_open("firehose", &unnamed, &dest), E_INVALID);
    assert_int_equal(dest_open("firehose", &strict, &dest), E_INVALID);
}

/* ---- reply ---- */

#define OK     "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n"
#define STORED "{\"RecordId\":\"SEvGNNzfl5K/tA==\"}"
#define SLOW   "{\"ErrorCode\":\"ServiceUnavailableException\",\"ErrorMessage\":\"Slow down.\"}"
#define FAILED "{\"ErrorCode\":\"InternalFailure\",\"ErrorMessage\":\"Internal service failure.\"}"
#define KINESIS                                                                                    \
    "{\"FailedRecordCount\":0,\"Records\":[{\"SequenceNumber\":\"1\"},{\"SequenceNumber\":\"2\"}]" \
    "}"

enum { SENT = 2, TEXT_BYTES = 1024 };

struct row {
    const char *head, *body;
    enum verdict verdict;
    unsigned delivered, throttled; /* bits of the two records that were sent; how many */
};

static const struct row rows[] = {
    {OK, "{\"FailedPutCount\":0,\"Encrypted\":false,\"RequestResponses\":[" STORED "," STORED "]}",
     VERDICT_DELIVERED, 3, 0},
    {OK, "{\"RequestResponses\":[" STORED "," STORED "]}", VERDICT_DELIVERED, 3, 0},
    {OK, "{\"RequestResponses\":[" SLOW "," STORED "],\"FailedPutCount\":1}", VERDICT_DELIVERED, 2,
     1},
    {OK, "{\"FailedPutCount\":2,\"RequestResponses\":[" FAILED "," SLOW "]}", VERDICT_DELIVERED, 0,
     1},
    {OK, "{\"FailedPutCount\":1,\"RequestResponses\":[{\"RecordId\":\"\"}," STORED "]}",
     VERDICT_DELIVERED, 2, 0},
    {OK, "{\"RequestResponses\":[{\"SequenceNumber\":\"1\"}," STORED "]}", VERDICT_DELIVERED, 2, 0},
    {OK,
     "{\"RequestResponses\":[{\"RecordId\":\"a\",\"ErrorCode\":\"InternalFailure\"}," STORED "]}",
     VERDICT_DELIVERED, 2, 0},
    /* the count and the results contradict each other */
    {OK, "{\"FailedPutCount\":0,\"RequestResponses\":[" STORED "," FAILED "]}", VERDICT_RETRY_BATCH,
     0, 0},
    {OK, "{\"FailedPutCount\":1,\"RequestResponses\":[" STORED "," STORED "]}", VERDICT_RETRY_BATCH,
     0, 0},
    {OK, "{\"FailedPutCount\":-1,\"RequestResponses\":[" STORED "," STORED "]}",
     VERDICT_RETRY_BATCH, 0, 0},
    /* results were lost, or are of something else */
    {OK, "{\"FailedPutCount\":0,\"RequestResponses\":[" STORED "]}", VERDICT_RETRY_BATCH, 0, 0},
    {OK, "{\"FailedPutCount\":0,\"RequestResponses\":[" STORED "," STORED "," STORED "]}",
     VERDICT_RETRY_BATCH, 0, 0},
    {OK, "{\"FailedPutCount\":0,\"Encrypted\":false}", VERDICT_RETRY_BATCH, 0, 0},
    {OK, "{\"RecordId\":\"a\",\"Encrypted\":false}", VERDICT_RETRY_BATCH, 0, 0},
    {OK, KINESIS, VERDICT_RETRY_BATCH, 0, 0},
    {OK, "{\"ok\":true}", VERDICT_RETRY_BATCH, 0, 0},
    {"HTTP/1.1 202 Accepted\r\n", "{\"RequestResponses\":[" STORED "," STORED "]}",
     VERDICT_RETRY_BATCH, 0, 0},
    {"HTTP/1.1 503 Service Unavailable\r\n",
     "{\"__type\":\"ServiceUnavailableException\",\"message\":\"Slow down.\"}", VERDICT_THROTTLE, 0,
     0},
    {"HTTP/1.1 400 Bad Request\r\n",
     "{\"__type\":\"com.amazonaws.firehose.v20150804#InvalidArgumentException\",\"message\":"
     "\"Records size exceeds 4 MB limit\"}",
     VERDICT_TOO_LARGE, 0, 0},
    {"HTTP/1.1 400 Bad Request\r\n", "{\"__type\":\"InvalidArgumentException\",\"message\":\"m\"}",
     VERDICT_BISECT, 0, 0},
    {"HTTP/1.1 400 Bad Request\r\n",
     "{\"__type\":\"ResourceNotFoundException\",\"message\":\"Firehose lake under account 1 not "
     "found.\"}",
     VERDICT_OPERATOR, 0, 0},
    {"HTTP/1.1 400 Bad Request\r\n",
     "{\"__type\":\"InvalidSourceException\",\"message\":\"This operation is not supported\"}",
     VERDICT_OPERATOR, 0, 0},
    {"HTTP/1.1 400 Bad Request\r\n", "{\"__type\":\"InvalidKMSResourceException\"}",
     VERDICT_OPERATOR, 0, 0},
};

static size_t spell(const struct row *row, char text[TEXT_BYTES])
{
    int count = snprintf(text, TEXT_BYTES, "%sContent-Length: %zu\r\n\r\n%s", row->head,
                         strlen(row->body), row->body);
    assert_in_range(count, 1, TEXT_BYTES - 1);
    return (size_t)count;
}

static struct read_reply read_split(struct dest *dest, const char *text, size_t count, size_t split)
{
    return read_reply(dest, SENT, (const uint8_t *)text, count, &split, split == 0 ? 0 : 1);
}

/* Each reply, and the same however it is cut in two. */
static void test_replies(void **state)
{
    struct dest *dest = open_firehose();
    char text[TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t count = spell(&rows[i], text);
        for (size_t split = 0; split < count; split++) {
            struct read_reply reply = read_split(dest, text, count, split);
            if (reply.verdict != rows[i].verdict || reply.delivered[0] != rows[i].delivered ||
                reply.body.throttled != rows[i].throttled)
                fail_msg("row %zu, split at %zu: verdict %d, delivered %#x, throttled %zu", i,
                         split, (int)reply.verdict, reply.delivered[0], reply.body.throttled);
        }
    }
    dest_close(dest);
}

/* Nothing is delivered by a reply of which a part is missing. */
static void test_every_prefix(void **state)
{
    struct dest *dest = open_firehose();
    char text[TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t count = spell(&rows[i], text);
        for (size_t prefix = 0; prefix < count; prefix++) {
            struct read_reply reply = read_split(dest, text, prefix, 0);
            assert_int_equal(reply.verdict, VERDICT_RETRY_BATCH);
            assert_int_equal(reply.delivered[0], 0);
        }
    }
    dest_close(dest);
}

static void test_first_failure_is_told(void **state)
{
    struct dest *dest = open_firehose();
    char text[TEXT_BYTES];
    (void)state;
    struct read_reply reply = read_split(dest, text, spell(&rows[3], text), 0);
    assert_string_equal(reply.body.code, "InternalFailure");
    assert_string_equal(reply.body.message, "Internal service failure.");
    dest_close(dest);
}

/* A full batch, whose record ids are as long as they come. */
static void test_largest_reply(void **state)
{
    static uint8_t delivered[500 / 8 + 1];
    static const struct http_reply ok = {.status = 200};
    struct dest *dest = open_firehose();
    struct dest_reply reply;
    char entry[300];
    (void)state;
    dest->operations->reply_start(dest, 500, delivered);
    (void)dest->operations->reply_feed(dest, (const uint8_t *)"{\"RequestResponses\":[", 21);
    for (int i = 0; i < 500; i++) {
        int count =
            snprintf(entry, sizeof entry, "%s{\"RecordId\":\"%0224d\"}", i == 0 ? "" : ",", i);
        assert_int_equal(dest->operations->reply_feed(dest, (const uint8_t *)entry, (size_t)count),
                         E_OK);
    }
    (void)dest->operations->reply_feed(dest, (const uint8_t *)"]}", 2);
    dest->operations->reply_end(dest, &ok, &reply);
    assert_true(reply.understood);
    assert_int_equal(reply.delivered, 500);
    dest_close(dest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_body),   cmocka_unit_test(test_what_it_is),
        cmocka_unit_test(test_open_faults),   cmocka_unit_test(test_replies),
        cmocka_unit_test(test_every_prefix),  cmocka_unit_test(test_first_failure_is_told),
        cmocka_unit_test(test_largest_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
