/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "agent/uplink/dest/kinesis.h"
#include "platform/base/error.h"
#include "platform/json/json_scan.h"

enum { SENT_MAX = 500 };

static struct dest *open_stream(const char *stream, const char *arn)
{
    struct dest *dest = NULL;
    const struct dest_options options = {.stream = stream, .stream_arn = arn};
    assert_int_equal(dest_open("kinesis", &options, &dest), E_OK);
    return dest;
}

/* ---- request ---- */

static void write_body(const struct dest *dest, const char *key, char *ret_body, size_t bytes)
{
    const struct batch_frame *frame = &dest->operations->frame;
    struct writer out;
    writer_to_memory(&out, ret_body, bytes);
    frame->begin(dest, &out);
    for (size_t i = 0; i < 2; i++) {
        frame->record_begin(dest, &out, i);
        writer_text(&out, i == 0 ? "eyJ0IjoxLCJ2Ijo0Mn0K" : "eyJ0IjoyLCJ2Ijo0M30K");
        frame->record_end(dest, &out, key, strlen(key));
    }
    frame->end(dest, &out);
    assert_int_equal(writer_finish(&out), E_OK);
}

/* The body whose SHA-256 test_request.c signs. */
static void assert_target(const struct dest *dest, const char *target)
{
    struct dest_head head;
    dest->operations->head(dest, NULL, &head);
    assert_string_equal(head.method, "POST");
    assert_string_equal(head.path, "/");
    assert_string_equal(head.service, "kinesis");
    assert_string_equal(head.content_type, "application/x-amz-json-1.1");
    assert_int_equal(head.header_count, 1);
    assert_string_equal(head.headers[0].name, "X-Amz-Target");
    assert_string_equal(head.headers[0].value, target);
}

static void test_golden_bodies(void **state)
{
    char body[512];
    (void)state;
    struct dest *dest = open_stream("telemetry", NULL);
    write_body(dest, "device-0001", body, sizeof body);
    assert_string_equal(body,
                        "{\"StreamName\":\"telemetry\",\"Records\":["
                        "{\"Data\":\"eyJ0IjoxLCJ2Ijo0Mn0K\",\"PartitionKey\":\"device-0001\"},"
                        "{\"Data\":\"eyJ0IjoyLCJ2Ijo0M30K\",\"PartitionKey\":\"device-0001\"}]}");
    dest_close(dest);

    dest = open_stream(NULL, "arn:aws:kinesis:eu-central-1:123456789012:stream/telemetry");
    write_body(dest, "d\xc3\xa9vice/\"\\", body, sizeof body);
    assert_string_equal(
        body, "{\"StreamARN\":\"arn:aws:kinesis:eu-central-1:123456789012:stream/telemetry\","
              "\"Records\":["
              "{\"Data\":\"eyJ0IjoxLCJ2Ijo0Mn0K\",\"PartitionKey\":\"d\xc3\xa9vice/\\\"\\\\\"},"
              "{\"Data\":\"eyJ0IjoyLCJ2Ijo0M30K\",\"PartitionKey\":\"d\xc3\xa9vice/\\\"\\\\\"}]}");
    assert_int_equal(json_scan_object(body, strlen(body)), E_OK);
    dest_close(dest);
}

static void test_what_it_is(void **state)
{
    struct dest *dest = open_stream("telemetry", NULL);
    (void)state;
    assert_target(dest, "Kinesis_20131202.PutRecords");
    assert_int_equal(dest->operations->limits.records, 500);
    assert_true(dest->operations->limits.bytes <= 10 * 1024 * 1024);
    assert_int_equal(dest->operations->limits.record_bytes, 1024 * 1024);
    dest_close(dest);
}

static void test_open_faults(void **state)
{
    struct dest *dest = NULL;
    const struct dest_options nothing = {0};
    (void)state;
    assert_int_equal(dest_open("kinesis", &nothing, &dest), E_INVALID);
    assert_int_equal(dest_open("teleport", &nothing, &dest), E_UNSUPPORTED);
    dest_close(NULL);
}

/* ---- reply ---- */

static const struct http_reply ok = {.status = 200};

struct result {
    struct dest_reply reply;
    uint8_t delivered[SENT_MAX / 8 + 1];
};

/* Feeds TEXT in pieces that end at SPLIT and behind it. */
static struct result read_pieces(struct dest *dest, size_t sent, const char *text, size_t count,
                                 size_t split)
{
    struct result result;
    memset(&result, 0xff, sizeof result);
    dest->operations->reply_start(dest, sent, result.delivered);
    assert_int_equal(dest->operations->reply_feed(dest, (const uint8_t *)text, split), E_OK);
    assert_int_equal(
        dest->operations->reply_feed(dest, (const uint8_t *)text + split, count - split), E_OK);
    dest->operations->reply_end(dest, &ok, &result.reply);
    return result;
}

/* What TEXT says, which is the same wherever it is cut. */
static struct result read_reply(size_t sent, const char *text)
{
    struct dest *dest = open_stream("telemetry", NULL);
    size_t count = strlen(text);
    struct result whole = read_pieces(dest, sent, text, count, count);
    for (size_t split = 0; split < count; split++) {
        struct result cut = read_pieces(dest, sent, text, count, split);
        assert_int_equal(cut.reply.understood, whole.reply.understood);
        assert_int_equal(cut.reply.delivered, whole.reply.delivered);
        assert_int_equal(cut.reply.failed, whole.reply.failed);
        assert_int_equal(cut.reply.throttled, whole.reply.throttled);
        assert_string_equal(cut.reply.code, whole.reply.code);
        assert_string_equal(cut.reply.message, whole.reply.message);
        assert_memory_equal(cut.delivered, whole.delivered, (sent + 7) / 8);
    }
    dest_close(dest);
    return whole;
}

#define STORED "{\"SequenceNumber\":\"4954\",\"ShardId\":\"shardId-000000000000\"}"
#define THROTTLED                                                                                  \
    "{\"ErrorCode\":\"ProvisionedThroughputExceededException\",\"ErrorMessage\":\"Rate "           \
    "exceeded\"}"
#define FAILED "{\"ErrorCode\":\"InternalFailure\",\"ErrorMessage\":\"Internal service failure.\"}"

static void test_all_delivered(void **state)
{
    struct result result =
        read_reply(2, "{\"FailedRecordCount\":0,\"EncryptionType\":\"KMS\",\"Records\":[" STORED
                      "," STORED "]}");
    (void)state;
    assert_true(result.reply.understood);
    assert_int_equal(result.reply.delivered, 2);
    assert_int_equal(result.reply.failed, 0);
    assert_int_equal(result.delivered[0], 3);
    assert_string_equal(result.reply.code, "");
}

/* Every combination of ten outcomes. */
static void test_partial_failures(void **state)
{
    static const char *const entries[] = {STORED, THROTTLED, FAILED};
    struct dest *dest = open_stream("telemetry", NULL);
    (void)state;
    for (unsigned combination = 0; combination < 59049; combination++) {
        char text[2000] = "{\"Records\":[";
        size_t used = strlen(text);
        size_t counts[3] = {0};
        unsigned expected = 0;
        for (unsigned i = 0, rest = combination; i < 10; i++, rest /= 3) {
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i == 0 ? "" : ",",
                                     entries[rest % 3]);
            counts[rest % 3]++;
            expected |= (unsigned)(rest % 3 == 0) << i;
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "],\"FailedRecordCount\":%zu}",
                                 counts[1] + counts[2]);
        struct result result = read_pieces(dest, 10, text, used, used / 2);
        assert_true(result.reply.understood);
        assert_int_equal(result.reply.delivered, counts[0]);
        assert_int_equal(result.reply.throttled, counts[1]);
        assert_int_equal(result.reply.failed, counts[1] + counts[2]);
        assert_int_equal(result.delivered[0] | result.delivered[1] << 8, expected);
    }
    dest_close(dest);
}

static void test_first_failure_is_told(void **state)
{
    struct result result = read_reply(3, "{\"Records\":[" STORED "," FAILED "," THROTTLED "]}");
    (void)state;
    assert_string_equal(result.reply.code, "InternalFailure");
    assert_string_equal(result.reply.message, "Internal service failure.");
}

/* Entries that are no proof of delivery. */
static void test_doubtful_entries(void **state)
{
    static const char *const entries[] = {
        "{}",
        "null",
        "\"4954\"",
        "1",
        "[]",
        "[\"SequenceNumber\",\"1\"]",
        "{\"SequenceNumber\":\"\"}",
        "{\"SequenceNumber\":null}",
        "{\"SequenceNumber\":4954}",
        "{\"ShardId\":\"shardId-000000000000\"}",
        "{\"x\":{\"SequenceNumber\":\"1\"}}",
        "{\"SequenceNumber\":\"1\",\"ErrorCode\":\"InternalFailure\"}",
        "{\"ErrorCode\":\"InternalFailure\",\"SequenceNumber\":\"1\"}",
        "{\"SequenceNumber\":\"1\",\"ErrorCode\":7}",
        "{\"SequenceNumber\":\"1\",\"ErrorCode\":{}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        char text[300];
        (void)snprintf(text, sizeof text, "{\"Records\":[" STORED ",%s," STORED "]}", entries[i]);
        struct result result = read_reply(3, text);
        assert_true(result.reply.understood);
        assert_int_equal(result.reply.delivered, 2);
        assert_int_equal(result.reply.failed, 1);
        assert_int_equal(result.delivered[0], 5);
    }
    /* These are as good as without. */
    assert_int_equal(read_reply(1, "{\"Records\":[{\"ErrorCode\":null,\"SequenceNumber\":\"1\","
                                   "\"ErrorMessage\":null,\"New\":[{\"a\":[1]}]}]}")
                         .reply.delivered,
                     1);
}

/* Replies that do not answer for what was sent deliver nothing. */
static void test_replies_that_are_not_understood(void **state)
{
    static const char *const replies[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"Records\":[]}",
        "{\"Records\":[" STORED "]}",
        "{\"Records\":[" STORED "," STORED "," STORED "]}",
        "{\"Records\":{\"0\":" STORED ",\"1\":" STORED "}}",
        "{\"Records\":\""
        "\"}",
        "{\"x\":{\"Records\":[" STORED "," STORED "]}}",
        "[{\"Records\":[" STORED "," STORED "]}]",
        "{\"Records\":[" STORED "],\"Records\":[" STORED "]}",
        "{\"Records\":[" STORED "," STORED "],\"Records\":[]}",
        "{\"Records\":[" STORED "," STORED "]",
        "{\"Records\":[" STORED "," STORED "]}}",
        "{\"Records\":[" STORED "," STORED "]} x",
        "{\"__type\":\"ThrottlingException\",\"Records\":[" STORED "," STORED "]}",
        "{\"Records\":[" STORED "," STORED "],\"__type\":\"ThrottlingException\"}",
        "<html><body>Please log in</body></html>",
        "{\"message\":\"Forbidden\"}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct result result = read_reply(2, replies[i]);
        assert_false(result.reply.understood);
        assert_int_equal(result.reply.delivered, 0);
        assert_int_equal(result.delivered[0], 0);
    }
}

/* Whose count and entries contradict each other has not said what became of the records. */
static void test_count_of_failed_records(void **state)
{
    static const char *const counts[] = {"0", "2", "-1", "1.5", "\"1\" ", "\"one\"", "[1]", "true"};
    struct dest *dest = open_stream("telemetry", NULL);
    char text[512];
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        (void)snprintf(text, sizeof text,
                       "{\"FailedRecordCount\":%s,\"Records\":[" STORED "," FAILED "]}", counts[i]);
        struct result result = read_pieces(dest, 2, text, strlen(text), 0);
        assert_false(result.reply.understood && strcmp(counts[i], "\"1\" ") != 0);
    }
    (void)snprintf(text, sizeof text,
                   "{\"Records\":[" STORED "," FAILED "],\"FailedRecordCount\":null}");
    assert_true(read_pieces(dest, 2, text, strlen(text), 0).reply.understood);
    dest_close(dest);
}

/* A reply that is cut off anywhere is not understood. */
static void test_every_prefix(void **state)
{
    static const char text[] = "{\"FailedRecordCount\":1,\"Records\":[" STORED "," THROTTLED "]}";
    struct dest *dest = open_stream("telemetry", NULL);
    (void)state;
    for (size_t count = 0; count < sizeof text - 1; count++) {
        struct result result = read_pieces(dest, 2, text, count, 0);
        assert_false(result.reply.understood);
        assert_int_equal(result.delivered[0], 0);
        assert_string_equal(result.reply.code, "");
    }
    assert_true(read_pieces(dest, 2, text, sizeof text - 1, 0).reply.understood);
    dest_close(dest);
}

/* XML comes from what stands before the service, or from other services. However it is cut. */
static void test_errors_in_xml(void **state)
{
    static const struct {
        const char *text, *code, *message;
    } replies[] = {
        {"<AccessDeniedException>\n  <Message>Unable to determine</Message>\n"
         "</AccessDeniedException>\n",
         "AccessDeniedException", "Unable to determine"},
        {"<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>a &amp; b</Message>"
         "<RequestId>1</RequestId></Error>",
         "SlowDown", "a & b"},
        {"<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>m</Message>"
         "</Error><Detail><Code>Other</Code></Detail></ErrorResponse>",
         "Throttling", "m"},
        {"{\"__type\":\"a#Throttling:http://internal.amazon.com/#x\"}", "Throttling", ""},
        {"<html><body>AccessDeniedException</body></html>", "", NULL},
        {"<Error><Code>SlowDown</Code>", "", NULL},
        {"<UnknownOperationException/>", "UnknownOperationException", ""},
    };
    struct dest *dest = open_stream("telemetry", NULL);
    (void)state;
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++)
        for (size_t cut = 0; cut <= strlen(replies[i].text); cut++) {
            struct result result =
                read_pieces(dest, 2, replies[i].text, strlen(replies[i].text), cut);
            assert_false(result.reply.understood);
            assert_string_equal(result.reply.code, replies[i].code);
            if (replies[i].message != NULL)
                assert_string_equal(result.reply.message, replies[i].message);
        }
    dest_close(dest);
}

static void test_errors_of_the_request(void **state)
{
    static const struct {
        const char *text, *code, *message;
    } errors[] = {
        {"{\"__type\":\"ExpiredTokenException\",\"message\":\"The token is expired\"}",
         "ExpiredTokenException", "The token is expired"},
        {"{\"__type\":\"com.amazonaws.kinesis.v20131202#ValidationException\",\"Message\":\"No\"}",
         "ValidationException", "No"},
        {"{\"Message\":\"m\",\"__type\":\"a#Throttling:http://internal.amazon.com/x/\"}",
         "Throttling", "m"},
        {"{\"__type\":7,\"message\":null}", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct result result = read_reply(2, errors[i].text);
        assert_false(result.reply.understood);
        assert_string_equal(result.reply.code, errors[i].code);
        assert_string_equal(result.reply.message, errors[i].message);
    }
}

/* Long texts are cut between characters. */
static void test_long_texts_are_cut(void **state)
{
    char text[2000] = "{\"__type\":\"";
    (void)state;
    for (int i = 0; i < 100; i++)
        strcat(text, "\xe2\x82\xac");
    strcat(text, "\",\"message\":\"");
    for (int i = 0; i < 100; i++)
        strcat(text, "\xe2\x82\xac");
    strcat(text, "\"}");
    struct result result = read_reply(2, text);
    assert_int_equal(strlen(result.reply.code), 63);
    assert_int_equal(strlen(result.reply.message), 198);
}

static void test_endless_reply(void **state)
{
    struct dest *dest = open_stream("telemetry", NULL);
    uint8_t delivered[1];
    uint8_t blanks[4096];
    int rc = E_OK;
    (void)state;
    memset(blanks, ' ', sizeof blanks);
    dest->operations->reply_start(dest, 1, delivered);
    for (int i = 0; i < 100 && rc == E_OK; i++)
        rc = dest->operations->reply_feed(dest, blanks, sizeof blanks);
    assert_int_equal(rc, E_TOO_BIG);
    dest_close(dest);
}

/* 500 throttled records with the longest message known take 83 KB. */
static void test_largest_reply(void **state)
{
    struct dest *dest = open_stream("telemetry", NULL);
    struct result result;
    (void)state;
    dest->operations->reply_start(dest, SENT_MAX, result.delivered);
    (void)dest->operations->reply_feed(dest, (const uint8_t *)"{\"Records\":[", 12);
    for (int i = 0; i < SENT_MAX; i++) {
        char entry[300];
        int count =
            snprintf(entry, sizeof entry,
                     "%s{\"ErrorCode\":\"ProvisionedThroughputExceededException\",\"ErrorMessage\":"
                     "\"Rate exceeded for shard shardId-000000000001 in stream telemetry under "
                     "account 123456789012.\"}",
                     i == 0 ? "" : ",");
        assert_int_equal(dest->operations->reply_feed(dest, (const uint8_t *)entry, (size_t)count),
                         E_OK);
    }
    (void)dest->operations->reply_feed(dest, (const uint8_t *)"]}", 2);
    dest->operations->reply_end(dest, &ok, &result.reply);
    assert_true(result.reply.understood);
    assert_int_equal(result.reply.throttled, SENT_MAX);
    dest_close(dest);
}

/* ---- strict ---- */

static struct dest *open_strict(void)
{
    struct dest *dest = NULL;
    const struct dest_options options = {.stream = "telemetry", .strict = true};
    assert_int_equal(dest_open("kinesis", &options, &dest), E_OK);
    return dest;
}

static void assert_single(const struct dest *dest, const char *key, const char *behind)
{
    const struct batch_frame *frame = &dest->operations->frame;
    char expected[512];
    char body[512];
    struct writer out;
    writer_to_memory(&out, body, sizeof body);
    frame->begin(dest, &out);
    frame->record_begin(dest, &out, 0);
    writer_text(&out, "e30=");
    frame->record_end(dest, &out, key, strlen(key));
    frame->end(dest, &out);
    assert_int_equal(writer_finish(&out), E_OK);
    writer_char(&out, '\0');
    (void)snprintf(expected, sizeof expected,
                   "{\"StreamName\":\"telemetry\",\"Data\":\"e30=\",\"PartitionKey\":\"%s\"%s}",
                   key, behind);
    assert_string_equal(body, expected);
}

static struct result answer(struct dest *dest, const char *text)
{
    return read_pieces(dest, 1, text, strlen(text), strlen(text) / 2);
}

#define REFUSED       "{\"__type\":\"InvalidArgumentException\",\"message\":\"m\"}"
#define AFTER(number) ",\"SequenceNumberForOrdering\":\"" number "\""
#define GAVE(number)  "{\"ShardId\":\"shardId-000000000000\",\"SequenceNumber\":\"" number "\"}"

/* Each key has its own last number; a number that the stream refuses is not sent again. */
static void test_strict(void **state)
{
    struct dest *dest = open_strict();
    char buffer[64];
    struct writer question;
    (void)state;
    writer_to_memory(&question, buffer, sizeof buffer);
    assert_target(dest, "Kinesis_20131202.PutRecord");
    assert_int_equal(dest->operations->limits.records, 1);
    assert_single(dest, "a", "");
    struct result result = answer(dest, GAVE("495"));
    assert_true(result.reply.understood);
    assert_int_equal(result.reply.delivered, 1);
    assert_int_equal(result.delivered[0], 1);
    assert_single(dest, "b", "");
    (void)answer(dest, GAVE("700"));
    assert_single(dest, "a", AFTER("495"));
    result =
        answer(dest, "{\"__type\":\"ProvisionedThroughputExceededException\",\"message\":\"m\"}");
    assert_false(result.reply.understood);
    assert_string_equal(result.reply.code, "ProvisionedThroughputExceededException");
    assert_int_equal(result.delivered[0], 0);
    assert_single(dest, "a", AFTER("495"));
    assert_false(result.reply.otherwise);
    result = answer(dest, REFUSED);
    assert_true(result.reply.otherwise);
    assert_single(dest, "a", "");
    result = answer(dest, REFUSED);
    assert_false(result.reply.otherwise); /* it is the record */
    assert_single(dest, "b", AFTER("700"));
    dest->operations->frame.begin(dest, &question);
    assert_false(answer(dest, REFUSED).reply.otherwise);
    assert_single(dest, "b", AFTER("700"));
    dest_close(dest);
}

/* Of a stream that takes none it is not tried for ever. */
static void test_strict_without_numbers(void **state)
{
    struct dest *dest = open_strict();
    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_single(dest, "a", "");
        (void)answer(dest, GAVE("495"));
        if (i >= 3)
            continue;
        assert_single(dest, "a", AFTER("495"));
        assert_true(answer(dest, REFUSED).reply.otherwise);
    }
    dest_close(dest);
    dest = open_strict();
    for (int i = 0; i < 5; i++) {
        assert_single(dest, "a", "");
        (void)answer(dest, GAVE("495"));
        assert_single(dest, "a", AFTER("495"));
        (void)answer(dest, GAVE("496"));
        assert_single(dest, "a", AFTER("496"));
        assert_true(answer(dest, REFUSED).reply.otherwise);
    }
    dest_close(dest);
}

static void test_strict_replies_that_are_not_understood(void **state)
{
    static const char *const replies[] = {
        "{}",
        "",
        "{\"ShardId\":\"s\",\"SequenceNumber\":\"49",
        GAVE("495") "x",
        GAVE(""),
        GAVE("49x"),
        "{\"SequenceNumber\":495}",
        "{\"SequenceNumber\":\"495\",\"__type\":\"InternalFailure\"}",
        "{\"FailedRecordCount\":0,\"Records\":[" STORED "]}",
    };
    struct dest *dest = open_strict();
    (void)state;
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        assert_single(dest, "a", "");
        struct result result = answer(dest, replies[i]);
        assert_false(result.reply.understood);
        assert_int_equal(result.reply.delivered, 0);
        assert_int_equal(result.delivered[0], 0);
    }
    dest_close(dest);
}

/* Of many keys some are forgotten; none gets the number of another. */
static void test_strict_many_keys(void **state)
{
    struct dest *dest = open_strict();
    char key[16];
    (void)state;
    for (int i = 0; i < 1000; i++) {
        char reply[64];
        (void)snprintf(key, sizeof key, "key-%d", i);
        assert_single(dest, key, "");
        (void)snprintf(reply, sizeof reply, "{\"SequenceNumber\":\"%d\"}", 1000 + i);
        (void)answer(dest, reply);
    }
    assert_single(dest, key, AFTER("1999"));
    dest_close(dest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_bodies),
        cmocka_unit_test(test_what_it_is),
        cmocka_unit_test(test_open_faults),
        cmocka_unit_test(test_all_delivered),
        cmocka_unit_test(test_partial_failures),
        cmocka_unit_test(test_count_of_failed_records),
        cmocka_unit_test(test_first_failure_is_told),
        cmocka_unit_test(test_doubtful_entries),
        cmocka_unit_test(test_replies_that_are_not_understood),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_errors_in_xml),
        cmocka_unit_test(test_errors_of_the_request),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_endless_reply),
        cmocka_unit_test(test_largest_reply),
        cmocka_unit_test(test_strict),
        cmocka_unit_test(test_strict_without_numbers),
        cmocka_unit_test(test_strict_replies_that_are_not_understood),
        cmocka_unit_test(test_strict_many_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
