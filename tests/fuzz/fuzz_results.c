/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/uplink/dest/dest.h"
#include "tests/fuzz/fuzz.h"

enum { SENT_MAX = 16 };

/* What a reply comes to: the same, however it was cut into pieces. */
struct result {
    struct dest_reply reply;
    uint8_t delivered[SENT_MAX / 8];
};

static void read_reply(struct dest *dest, size_t sent, const uint8_t *bytes, size_t count,
                       size_t piece, struct result *ret_result)
{
    const struct http_reply head = {.status = 200};
    int rc = 0;
    memset(ret_result, 0, sizeof *ret_result);
    dest->operations->reply_start(dest, sent, ret_result->delivered);
    for (size_t at = 0; at < count && rc == 0; at += piece)
        rc =
            dest->operations->reply_feed(dest, bytes + at, count - at < piece ? count - at : piece);
    dest->operations->reply_end(dest, &head, &ret_result->reply);
}

static size_t bits_set(const uint8_t *bytes, size_t count)
{
    size_t set = 0;
    for (size_t i = 0; i < count * 8; i++)
        set += bytes[i / 8] >> i % 8 & 1;
    return set;
}

static void check(const struct result *result, size_t sent)
{
    const struct dest_reply *reply = &result->reply;
    if (bits_set(result->delivered, sizeof result->delivered) != reply->delivered)
        abort();
    if (reply->understood ? reply->delivered + reply->failed != sent : reply->delivered != 0)
        abort();
    if (reply->throttled > reply->failed)
        abort();
}

/* The first byte says how many records were sent, and where. */
static int open_dest(uint8_t byte, struct dest **ret_dest)
{
    static const char *const names[] = {"kinesis", "apigateway", "firehose", "apigateway"};
    const struct dest_options options = {.stream = "s",
                                         .api = {.path = "/", .per_record = byte >= 0xc0}};
    return dest_open(names[byte >> 6], &options, ret_dest);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct result whole, cut;
    struct dest *dest = NULL;
    if (count < 2 || open_dest(bytes[0], &dest) < 0)
        return 0;
    size_t sent = 1 + bytes[0] % SENT_MAX;
    size_t piece = 1 + bytes[count - 1] % 7;
    read_reply(dest, sent, bytes + 1, count - 1, count - 1, &whole);
    read_reply(dest, sent, bytes + 1, count - 1, piece, &cut);
    dest_close(dest);
    check(&whole, sent);
    check(&cut, sent);
    bool same_end = count < 65536; /* a longer one may be given up in the middle */
    if (same_end && memcmp(whole.delivered, cut.delivered, sizeof whole.delivered) != 0)
        abort();
    return 0;
}
