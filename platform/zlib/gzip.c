/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/gzip.h"

#include <stdbool.h>
#include <stdlib.h>

#include <zlib.h>

#include "platform/base/error.h"

enum {
    LEVEL = 6,
    GZIP_HEADER = 16, /* added to the window's bits: the format of RFC 1952 */
    OUT_BYTES = 1024,
    /* What the compressor may hold of what went in. */
    HELD_SYMBOLS = 1 << (CONFIG_GZIP_MEMORY_LEVEL + 6),
    SYMBOL_BYTES = 6, /* the longest: 15 + 5 + 15 + 13 bits */
    HELD_BYTES_MAX = HELD_SYMBOLS * SYMBOL_BYTES + 2048,
    /* Stored as it is: 5 bytes a block, which a full buffer of symbols ends, and head and tail. */
    FRAME_BYTES = 64,
    BLOCK_BYTES = 5,
};

struct gzip {
    z_stream stream;
    bool open;
    int (*flush)(void *context, const uint8_t *bytes, size_t count);
    void *context;
    int error;
    uint64_t in_bytes;
    uint64_t out_bytes;
    uint8_t out[OUT_BYTES];
};

/* For deflateInit2 alone: on the data path there is no heap, and a library that wanted some would
 * be told that there is none. */
static void *take(void *context, unsigned count, unsigned bytes)
{
    const struct gzip *gzip = context;
    return gzip->open ? NULL : calloc(count, bytes);
}

static void give_back(void *context, void *memory)
{
    (void)context;
    free(memory);
}

int gzip_open(struct gzip **ret_gzip)
{
    struct gzip *gzip = calloc(1, sizeof *gzip);
    if (gzip == NULL)
        return E_NO_MEMORY;
    gzip->stream.zalloc = take;
    gzip->stream.zfree = give_back;
    gzip->stream.opaque = gzip;
    int rc = deflateInit2(&gzip->stream, LEVEL, Z_DEFLATED, CONFIG_GZIP_WINDOW_BITS + GZIP_HEADER,
                          CONFIG_GZIP_MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    if (rc != Z_OK) {
        free(gzip);
        return rc == Z_MEM_ERROR ? E_NO_MEMORY : E_UNSUPPORTED;
    }
    gzip->open = true;
    *ret_gzip = gzip;
    return E_OK;
}

void gzip_close(struct gzip *gzip)
{
    if (gzip == NULL)
        return;
    (void)deflateEnd(&gzip->stream);
    free(gzip);
}

void gzip_start(struct gzip *gzip, int (*flush)(void *context, const uint8_t *bytes, size_t count),
                void *context)
{
    (void)deflateReset(&gzip->stream);
    gzip->flush = flush;
    gzip->context = context;
    gzip->error = E_OK;
    gzip->in_bytes = gzip->out_bytes = 0;
}

/* One call of deflate, and what it gave. */
static int step(struct gzip *gzip, int mode)
{
    z_stream *stream = &gzip->stream;
    stream->next_out = gzip->out;
    stream->avail_out = sizeof gzip->out;
    int rc = deflate(stream, mode);
    size_t count = sizeof gzip->out - stream->avail_out;
    gzip->out_bytes += count;
    if (count > 0 && gzip->error == E_OK)
        gzip->error = gzip->flush(gzip->context, gzip->out, count);
    return rc;
}

int gzip_add(struct gzip *gzip, const uint8_t *bytes, size_t count)
{
    z_stream *stream = &gzip->stream;
    gzip->in_bytes += count;
    while (count > 0 && gzip->error >= 0) {
        uInt part = count < UINT16_MAX ? (uInt)count : UINT16_MAX;
        stream->next_in = (Bytef *)(uintptr_t)bytes; /* older headers have no const there */
        stream->avail_in = part;
        while (stream->avail_in > 0 && gzip->error >= 0)
            (void)step(gzip, Z_NO_FLUSH);
        bytes += part;
        count -= part;
    }
    return gzip->error;
}

int gzip_finish(struct gzip *gzip)
{
    int rc = Z_OK;
    while (rc == Z_OK && gzip->error >= 0)
        rc = step(gzip, Z_FINISH);
    return gzip->error;
}

uint64_t gzip_out_bytes(const struct gzip *gzip)
{
    return gzip->out_bytes;
}

/* Whatever does not get shorter is stored as it is, block by block. */
uint64_t gzip_bound_of(uint64_t bytes)
{
    return bytes + (bytes / HELD_SYMBOLS + 1) * BLOCK_BYTES + FRAME_BYTES;
}

/* What is not out yet is at most what the compressor can hold. */
uint64_t gzip_bound(const struct gzip *gzip, uint64_t more)
{
    uint64_t stored = gzip_bound_of(gzip->in_bytes + more);
    uint64_t held = gzip->out_bytes + HELD_BYTES_MAX + gzip_bound_of(more);
    return held < stored ? held : stored;
}
