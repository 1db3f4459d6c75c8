/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "agent/uplink/dest/kinesis.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/read_reply.h"

/* Nothing is delivered but by a whole reply of status 200 that answers for every record, and no
 * record dies of what was said to all of them. */
static void check(const struct read_reply *reply, size_t sent)
{
    bool delivered = reply->verdict == VERDICT_DELIVERED;
    if (delivered && (reply->error != 0 || reply->head.status != 200 || !reply->body.understood ||
                      reply->body.delivered + reply->body.failed != sent))
        abort();
    if (reply->error < 0 && delivered)
        abort();
}

/* The first byte says how many records were sent, the second where the reply is cut. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    const struct dest_options options = {.stream = "s"};
    struct dest *dest = NULL;
    if (count < 3 || kinesis_open(&options, &dest) < 0)
        return 0;
    size_t sent = 1 + bytes[0] % READ_REPLY_SENT_MAX;
    size_t split = 1 + bytes[1] * (count - 3) / 256;
    const size_t splits[] = {split, split + 1};
    size_t split_count = split + 1 < count - 2 ? 2 : 0;
    struct read_reply whole = read_reply(dest, sent, bytes + 2, count - 2, NULL, 0);
    struct read_reply cut = read_reply(dest, sent, bytes + 2, count - 2, splits, split_count);
    dest_close(dest);
    check(&whole, sent);
    check(&cut, sent);
    if (!read_reply_same(&whole, &cut))
        abort();
    return 0;
}
