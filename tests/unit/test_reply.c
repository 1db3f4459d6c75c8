/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "agent/uplink/dest/kinesis.h"
#include "platform/base/error.h"
#include "tests/unit/read_reply.h"

/*
 * HTTP reader, JSON scanner, destination and verdict behind each other, as a reply meets them: the
 * same verdict however it is cut into pieces, and no prefix of any reply ever delivers anything.
 */

#define JSON_TYPE "Content-Type: application/x-amz-json-1.1\r\n"
#define STORED_1  "{\"SequenceNumber\":\"4959\",\"ShardId\":\"shardId-000000000000\"}"
#define STORED_2  "{\"ShardId\":\"shardId-000000000001\",\"SequenceNumber\":\"4960\"}"
#define TOO_FAST                                                                                   \
    "{\"ErrorCode\":\"ProvisionedThroughputExceededException\",\"ErrorMessage\":\"Rate\"}"
#define TWO_STORED "{\"FailedRecordCount\":0,\"Records\":[" STORED_1 "," STORED_2 "]}"

struct row {
    const char *head; /* without Content-Length and the empty line */
    const char *body; /* NULL: HEAD is all that comes, as it is */
    enum verdict verdict;
    unsigned delivered; /* bits of the two records that were sent */
};

static const struct row rows[] = {
    {"HTTP/1.1 200 OK\r\n" JSON_TYPE, TWO_STORED, VERDICT_DELIVERED, 3},
    {"HTTP/1.1 200 OK\r\n" JSON_TYPE,
     " {\"Records\" : [ " STORED_1 " , " TOO_FAST " ] , \"FailedRecordCount\" : 1 } \n",
     VERDICT_DELIVERED, 1},
    {"HTTP/1.1 200 OK\r\n" JSON_TYPE,
     "{\"EncryptionType\":\"KMS\",\"FailedRecordCount\":2,\"Records\":[" TOO_FAST "," TOO_FAST "]}",
     VERDICT_DELIVERED, 0},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nDate: Thu, 15 Jan 2026 12:34:56 GMT\r\n",
     TWO_STORED, VERDICT_DELIVERED, 3},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
     "28;x=y\r\n{\"FailedRecordCount\":0,\"Records\":[{\"Sequ\r\n"
     "17\r\nenceNumber\":\"4959\"},{\"S\r\n1a\r\nequenceNumber\":\"4960\"}]}  \r\n0\r\nX: "
     "y\r\n\r\n",
     NULL, VERDICT_DELIVERED, 3},
    {"HTTP/1.1 200 OK\r\n" JSON_TYPE, "{\"Records\":[" STORED_1 "]}", VERDICT_RETRY_BATCH, 0},
    {"HTTP/1.1 200 OK\r\n" JSON_TYPE, "{\"Records\":[" STORED_1 "," STORED_2 "," STORED_1 "]}",
     VERDICT_RETRY_BATCH, 0},
    {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n", "<html>Please log in</html>",
     VERDICT_RETRY_BATCH, 0},
    {"HTTP/1.1 200 OK\r\n", "", VERDICT_RETRY_BATCH, 0},
    {"HTTP/1.1 204 No Content\r\n", "", VERDICT_RETRY_BATCH, 0},
    {"HTTP/1.1 200 OK\r\n" JSON_TYPE, "{\"__type\":\"ThrottlingException\",\"Records\":[]}",
     VERDICT_THROTTLE, 0},
    {"HTTP/1.1 302 Found\r\nLocation: https://portal.example/\r\n", "", VERDICT_OPERATOR, 0},
    {"HTTP/1.1 400 Bad Request\r\n" JSON_TYPE,
     "{\"__type\":\"com.amazonaws.kinesis.v20131202#ProvisionedThroughputExceededException\","
     "\"message\":\"Rate exceeded for shard\"}",
     VERDICT_THROTTLE, 0},
    {"HTTP/1.1 400 Bad Request\r\n" JSON_TYPE,
     "{\"__type\":\"ExpiredTokenException\",\"message\":\"The security token included in the "
     "request is expired\"}",
     VERDICT_REFRESH_CREDENTIALS, 0},
    {"HTTP/1.1 400 Bad Request\r\n" JSON_TYPE,
     "{\"message\":\"Signature expired: 20260115T120000Z is now earlier than 20260115T122956Z\","
     "\"__type\":\"InvalidSignatureException\"}",
     VERDICT_FIX_CLOCK, 0},
    {"HTTP/1.1 400 Bad Request\r\n" JSON_TYPE
     "x-amzn-ErrorType: AccessDeniedException:http://internal.amazon.com/coral/\r\n",
     "{\"Message\":\"User is not authorized\"}", VERDICT_OPERATOR, 0},
    {"HTTP/1.1 400 Bad Request\r\n" JSON_TYPE, "{\"__type\":\"ValidationException\"}",
     VERDICT_BISECT, 0},
    {"HTTP/1.1 413 Content Too Large\r\n", "{\"message\":\"Request Too Long\"}", VERDICT_TOO_LARGE,
     0},
    {"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n", "", VERDICT_THROTTLE, 0},
    {"HTTP/1.1 503 Service Unavailable\r\n", "<html>later</html>", VERDICT_RETRY_BATCH, 0},
};

enum { SENT = 2, TEXT_BYTES = 1024, ROW_COUNT = sizeof rows / sizeof rows[0] };

static size_t spell(const struct row *row, char text[TEXT_BYTES])
{
    int count = row->body == NULL ? snprintf(text, TEXT_BYTES, "%s", row->head)
                                  : snprintf(text, TEXT_BYTES, "%sContent-Length: %zu\r\n\r\n%s",
                                             row->head, strlen(row->body), row->body);
    assert_in_range(count, 1, TEXT_BYTES - 1);
    return (size_t)count;
}

static struct dest *open_kinesis(void)
{
    const struct dest_options options = {.stream = "s"};
    struct dest *dest = NULL;
    assert_int_equal(kinesis_open(&options, &dest), E_OK);
    return dest;
}

static void check_same(struct dest *dest, const struct row *row, const struct read_reply *whole,
                       const char *text, size_t count, const size_t *splits, size_t split_count)
{
    struct read_reply cut =
        read_reply(dest, SENT, (const uint8_t *)text, count, splits, split_count);
    if (!read_reply_same(whole, &cut))
        fail_msg("%s: split at %zu: verdict %d instead of %d", row->head, splits[0],
                 (int)cut.verdict, (int)whole->verdict);
}

static void test_whole(void **state)
{
    struct dest *dest = open_kinesis();
    (void)state;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char text[TEXT_BYTES];
        size_t count = spell(&rows[i], text);
        struct read_reply reply = read_reply(dest, SENT, (const uint8_t *)text, count, NULL, 0);
        if (reply.verdict != rows[i].verdict || reply.delivered[0] != rows[i].delivered)
            fail_msg("row %zu: verdict %d, delivered %#x", i, (int)reply.verdict,
                     reply.delivered[0]);
    }
    dest_close(dest);
}

/* Every place, and every two places that are near each other. */
static void test_every_split(void **state)
{
    struct dest *dest = open_kinesis();
    (void)state;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char text[TEXT_BYTES];
        size_t count = spell(&rows[i], text);
        struct read_reply whole = read_reply(dest, SENT, (const uint8_t *)text, count, NULL, 0);
        for (size_t first = 1; first < count; first++)
            for (size_t second = first; second < count && second < first + 5; second++) {
                const size_t splits[] = {first, second};
                check_same(dest, &rows[i], &whole, text, count, splits, 2);
            }
    }
    dest_close(dest);
}

static void test_byte_by_byte(void **state)
{
    struct dest *dest = open_kinesis();
    size_t splits[TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < TEXT_BYTES; i++)
        splits[i] = i + 1;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char text[TEXT_BYTES];
        size_t count = spell(&rows[i], text);
        struct read_reply whole = read_reply(dest, SENT, (const uint8_t *)text, count, NULL, 0);
        check_same(dest, &rows[i], &whole, text, count, splits, count - 1);
    }
    dest_close(dest);
}

/* Who cuts a reply can neither make a success nor a refusal of it: it is not known what became of
 * the request. */
static void test_every_prefix(void **state)
{
    struct dest *dest = open_kinesis();
    (void)state;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char text[TEXT_BYTES];
        size_t count = spell(&rows[i], text);
        for (size_t prefix = 0; prefix < count; prefix++) {
            struct read_reply reply =
                read_reply(dest, SENT, (const uint8_t *)text, prefix, NULL, 0);
            if (reply.error >= 0 || reply.verdict != VERDICT_RETRY_BATCH)
                fail_msg("row %zu: the first %zu of %zu bytes: verdict %d", i, prefix, count,
                         (int)reply.verdict);
        }
    }
    dest_close(dest);
}

/* A reply that ends with the connection: whoever cuts the connection cuts the reply, so a part of
 * it must not deliver. Only the whole answers for all records. */
static void test_prefixes_that_end_with_the_connection(void **state)
{
    static const char text[] = "HTTP/1.0 200 OK\r\n\r\n" TWO_STORED;
    struct dest *dest = open_kinesis();
    (void)state;
    for (size_t prefix = 0; prefix < sizeof text - 1; prefix++) {
        struct read_reply reply = read_reply(dest, SENT, (const uint8_t *)text, prefix, NULL, 0);
        assert_int_equal(reply.verdict, VERDICT_RETRY_BATCH);
    }
    struct read_reply reply =
        read_reply(dest, SENT, (const uint8_t *)text, sizeof text - 1, NULL, 0);
    assert_int_equal(reply.verdict, VERDICT_DELIVERED);
    assert_int_equal(reply.body.delivered, 2);
    dest_close(dest);
}

/* One byte that is another: whatever it then says, it does not deliver what it did not name. */
static void test_every_altered_byte(void **state)
{
    struct dest *dest = open_kinesis();
    char text[TEXT_BYTES];
    size_t count = spell(&rows[2], text);
    (void)state;
    for (size_t at = 0; at < count; at++) {
        char byte = text[at];
        for (int value = 0; value < 256; value++) {
            text[at] = (char)value;
            struct read_reply reply = read_reply(dest, SENT, (const uint8_t *)text, count, NULL, 0);
            assert_int_equal(reply.body.delivered, 0);
            assert_int_equal(reply.delivered[0], 0);
        }
        text[at] = byte;
    }
    dest_close(dest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_prefixes_that_end_with_the_connection),
        cmocka_unit_test(test_every_altered_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
