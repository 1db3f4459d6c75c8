/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/lines/framer.h"

#include <string.h>

#include "platform/base/error.h"

/* A line may have a byte order mark before it and CR LF behind it. */
enum { MARK_BYTES = 3, EXTRA_BYTES = MARK_BYTES + 2 };

static const uint8_t byte_order_mark[MARK_BYTES] = {0xef, 0xbb, 0xbf};

size_t framer_buffer_bytes(size_t line_bytes_max)
{
    return line_bytes_max + EXTRA_BYTES + FRAMER_READ_BYTES;
}

void framer_start(struct framer *framer, uint8_t *buffer, size_t line_bytes_max, uint64_t offset)
{
    *framer = (struct framer){.buffer = buffer,
                              .buffer_bytes = framer_buffer_bytes(line_bytes_max),
                              .line_bytes_max = line_bytes_max,
                              .offset = offset};
}

void *framer_room(struct framer *framer, size_t *ret_bytes)
{
    if (framer->begin == framer->end)
        framer->begin = framer->end = 0;
    if (framer->buffer_bytes - framer->end < FRAMER_READ_BYTES) {
        framer->end -= framer->begin;
        memmove(framer->buffer, framer->buffer + framer->begin, framer->end);
        framer->begin = 0;
    }
    *ret_bytes = FRAMER_READ_BYTES;
    return framer->buffer + framer->end;
}

void framer_add(struct framer *framer, size_t count)
{
    framer->end += count;
}

uint64_t framer_offset(const struct framer *framer)
{
    return framer->offset + (framer->end - framer->begin);
}

bool framer_has_rest(const struct framer *framer)
{
    return framer->begin < framer->end || framer->skipping;
}

static void take(struct framer *framer, size_t count)
{
    framer->begin += count;
    framer->offset += count;
    framer->scanned = 0;
}

/* Bytes of the next line and its newline; 0 if its end has not come yet. */
static size_t find_end(struct framer *framer, bool at_end)
{
    const uint8_t *from = framer->buffer + framer->begin;
    size_t count = framer->end - framer->begin;
    const uint8_t *newline = memchr(from + framer->scanned, '\n', count - framer->scanned);
    if (newline != NULL)
        return (size_t)(newline - from) + 1;
    framer->scanned = count;
    return at_end ? count : 0;
}

/* The line without what surrounds it. */
static void trim(struct framer *framer, size_t count, struct framer_line *line)
{
    const uint8_t *bytes = framer->buffer + framer->begin;
    if (framer->offset == 0 && count >= MARK_BYTES &&
        memcmp(bytes, byte_order_mark, MARK_BYTES) == 0) {
        bytes += MARK_BYTES;
        count -= MARK_BYTES;
    }
    if (count > 0 && bytes[count - 1] == '\n')
        count--;
    if (count > 0 && bytes[count - 1] == '\r')
        count--;
    *line = (struct framer_line){.bytes = bytes, .count = count};
}

/* The end has not come: what cannot become a line any more is thrown away. */
static int wait_for_end(struct framer *framer)
{
    size_t count = framer->end - framer->begin;
    if (!framer->skipping && count <= framer->line_bytes_max + EXTRA_BYTES - 1)
        return E_AGAIN;
    take(framer, count);
    if (framer->skipping)
        return E_AGAIN;
    framer->skipping = true;
    framer->line++;
    return E_TOO_BIG;
}

int framer_next(struct framer *framer, bool at_end, struct framer_line *ret_line)
{
    struct framer_line line;
    size_t count = find_end(framer, at_end);
    if (framer->skipping && count > 0) {
        take(framer, count);
        framer->skipping = false;
        count = find_end(framer, at_end);
    }
    if (count == 0) {
        framer->skipping = framer->skipping && !at_end;
        return wait_for_end(framer);
    }
    framer->line++;
    trim(framer, count, &line);
    take(framer, count);
    line.offset = framer->offset;
    if (line.count > framer->line_bytes_max)
        return E_TOO_BIG;
    *ret_line = line;
    return 0;
}
