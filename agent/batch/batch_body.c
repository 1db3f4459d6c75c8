/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/batch/batch_parts.h"
#include "platform/base/error.h"

/* Tells whether two passes gave the same bytes, at a fraction of the cost of a second SHA-256,
 * which the receiver takes anyway. Depends on how the bytes are cut into calls; both passes cut
 * alike, because both fill the same buffer in the same way. */
static uint64_t add_check(uint64_t check, const uint8_t *bytes, size_t count)
{
    const uint64_t factor = 0x9e3779b97f4a7c15;
    uint64_t word;
    for (; count >= sizeof word; count -= sizeof word, bytes += sizeof word) {
        memcpy(&word, bytes, sizeof word);
        check = (check ^ word) * factor;
        check ^= check >> 29;
    }
    word = (uint64_t)(count + 1) << 56;
    memcpy(&word, bytes, count);
    check = (check ^ word) * factor;
    return check ^ check >> 32;
}

static int hash_body(void *context, const uint8_t *bytes, size_t count)
{
    struct batch *batch = context;
    struct batch_sink *sink = &batch->sink;
    hash_sha256_add(&sink->hash, bytes, count);
    sink->check = add_check(sink->check, bytes, count);
    sink->total_bytes += count;
    return E_OK;
}

static int send_body(void *context, const uint8_t *bytes, size_t count)
{
    struct batch *batch = context;
    struct batch_sink *sink = &batch->sink;
    if (count == 0)
        return E_OK;
    sink->check = add_check(sink->check, bytes, count);
    sink->total_bytes += count;
    if (sink->total_bytes > batch->summary.body_bytes)
        return E_CHANGED;
    if (sink->holding)
        writer_char(sink->out, (char)sink->held);
    writer_bytes(sink->out, bytes, count - 1);
    sink->holding = true;
    sink->held = bytes[count - 1];
    return sink->out->error;
}

static int compress_body(void *context, const uint8_t *bytes, size_t count)
{
    struct batch *batch = context;
    return gzip_add(batch->gzip, bytes, count);
}

void batch_body_start(struct batch *batch, struct writer *out)
{
    int (*to)(void *context, const uint8_t *bytes, size_t count) =
        out == NULL ? hash_body : send_body;
    batch->sink = (struct batch_sink){.out = out};
    hash_sha256_start(&batch->sink.hash);
    if (BATCH_GZIP_BODY(&batch->options)) {
        gzip_start(batch->gzip, to, batch);
        to = compress_body;
    }
    writer_to_function(&batch->body, batch->body_buffer, sizeof batch->body_buffer, to, batch);
    batch->options.frame->begin(batch->options.frame_context, &batch->body);
}

int batch_body_end(struct batch *batch)
{
    batch->options.frame->end(batch->options.frame_context, &batch->body);
    int rc = writer_finish(&batch->body);
    if (BATCH_GZIP_BODY(&batch->options) && rc == E_OK)
        rc = gzip_finish(batch->gzip);
    return rc;
}
