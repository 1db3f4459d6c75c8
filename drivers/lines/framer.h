/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_LINES_FRAMER_H
#define RUNNEL_DRIVERS_LINES_FRAMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Cuts a stream of bytes into lines: LF or CR LF ends a line, a UTF-8 byte order mark at the start
 * of the stream is no part of the first. A line over the limit is refused as one, and reading goes
 * on behind its newline. Pure.
 */
enum { FRAMER_READ_BYTES = 65536 };

struct framer {
    uint8_t *buffer;
    size_t buffer_bytes;
    size_t line_bytes_max;
    size_t begin;    /* buffer[begin..end) is not taken yet */
    size_t end;      /* */
    size_t scanned;  /* of these, so many at the beginning hold no newline */
    uint64_t offset; /* of buffer[begin] in the stream */
    uint64_t line;   /* the number of the line that framer_next spoke of last */
    bool skipping;   /* inside a line that was refused */
};

struct framer_line {
    const uint8_t *bytes; /* in the buffer, until the next framer_room */
    size_t count;         /* without its end */
    uint64_t offset;      /* behind its end, in the stream */
};

/** How large a buffer framer_start needs for lines of LINE_BYTES_MAX. */
size_t framer_buffer_bytes(size_t line_bytes_max);

/** BUFFER is the caller's and has framer_buffer_bytes(LINE_BYTES_MAX). OFFSET is where in the
 *  stream reading begins: 0 is its start. */
void framer_start(struct framer *framer, uint8_t *buffer, size_t line_bytes_max, uint64_t offset);

/** Where to put the stream's next bytes: up to FRAMER_READ_BYTES. All lines must have been taken
 *  (framer_next said E_AGAIN). */
void *framer_room(struct framer *framer, size_t *ret_bytes);

/** Says that COUNT bytes were put there. */
void framer_add(struct framer *framer, size_t count);

/** The offset in the stream at which framer_room's bytes belong. */
uint64_t framer_offset(const struct framer *framer);

/** Whether the beginning of a line waits for its end. */
bool framer_has_rest(const struct framer *framer);

/**
 * Takes the next line. AT_END: no more will come, the rest is a line too. 0; E_AGAIN: more bytes
 * are needed; E_TOO_BIG: line framer->line is longer than the limit.
 */
int framer_next(struct framer *framer, bool at_end, struct framer_line *ret_line);

#endif
