/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/uplink/dest/s3.h"
#include "tests/fuzz/fuzz.h"

static const struct dest_options options = {
    .device = "d",
    .s3 = {.bucket = "b", .region = "eu-west-1", .host = "b.s3.eu-west-1.amazonaws.com"}};

/* What a reply comes to: the same, however it was cut into pieces. */
struct result {
    struct dest_reply reply;
    uint8_t delivered;
    char host[256];
};

static void note_host(const struct dest *dest, struct result *result)
{
    struct dest_head head;
    dest->operations->head(dest, NULL, &head);
    if (head.host != NULL)
        strncpy(result->host, head.host, sizeof result->host - 1);
}

static int read_reply(const struct http_reply *head, const uint8_t *bytes, size_t count,
                      size_t piece, struct result *ret_result)
{
    struct dest *dest = NULL;
    int rc = 0;
    memset(ret_result, 0, sizeof *ret_result);
    if (s3_open(&options, &dest) < 0)
        return -1;
    dest->operations->reply_start(dest, 1, &ret_result->delivered);
    for (size_t at = 0; at < count && rc == 0; at += piece)
        rc =
            dest->operations->reply_feed(dest, bytes + at, count - at < piece ? count - at : piece);
    dest->operations->reply_end(dest, head, &ret_result->reply);
    note_host(dest, ret_result);
    dest_close(dest);
    return rc;
}

/* Delivered is only what S3 says so of; a host is only ever another region's. */
static void check(const struct http_reply *head, size_t count, const struct result *result)
{
    static const char before[] = "b.s3.", behind[] = ".amazonaws.com";
    const struct dest_reply *reply = &result->reply;
    size_t host_bytes = strlen(result->host);
    if (reply->understood != (result->delivered != 0) || (reply->understood && reply->otherwise))
        abort();
    if (reply->understood && head->status == 200 && count > 0)
        abort();
    if (reply->understood && head->status != 200 && strcmp(reply->code, "PreconditionFailed") != 0)
        abort();
    if (!reply->otherwise && host_bytes > 0)
        abort();
    if (reply->otherwise && (strncmp(result->host, before, strlen(before)) != 0 ||
                             strcmp(result->host + host_bytes - strlen(behind), behind) != 0 ||
                             strcspn(result->host, "/:@ ") != host_bytes))
        abort();
}

/* The first byte chooses the status, the second how it is cut. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const int statuses[] = {200, 301, 307, 400, 403, 409, 412, 503};
    struct result whole, cut;
    if (count < 2)
        return 0;
    const struct http_reply head = {.status = statuses[bytes[0] % 8], .request_id = "r"};
    size_t body_bytes = count - 2;
    int rc = read_reply(&head, bytes + 2, body_bytes, body_bytes + 1, &whole);
    if (rc < 0 || read_reply(&head, bytes + 2, body_bytes, 1 + bytes[1] % 7, &cut) < 0)
        return 0;
    check(&head, body_bytes, &whole);
    if (memcmp(&whole.reply, &cut.reply, sizeof whole.reply) != 0 ||
        strcmp(whole.host, cut.host) != 0)
        abort();
    return 0;
}
