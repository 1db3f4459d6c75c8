/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_BASE_WRITER_H
#define RUNNEL_PLATFORM_BASE_WRITER_H

#include <stddef.h>
#include <stdint.h>

/**
 * A bounded byte sink: the way in which JSON, request heads and bodies are written, be it into
 * memory, a hash or a TLS stream.
 *
 * The caller owns BUFFER. When it is full, FLUSH is handed its bytes; without FLUSH the buffer is
 * the limit. The first error sticks: later writes do nothing, and writer_finish returns it, so
 * that callers check once, at the end.
 */
struct writer {
    uint8_t *buffer;
    size_t buffer_bytes;
    size_t used_bytes;
    uint64_t flushed_bytes;
    int (*flush)(void *context, const uint8_t *bytes, size_t count);
    void *context;
    int error;
};

/** A writer into BUFFER alone; what does not fit is E_TOO_BIG. */
void writer_to_memory(struct writer *writer, void *buffer, size_t buffer_bytes);

/** A writer that hands full buffers to FLUSH, whose negative result becomes the writer's error. */
void writer_to_function(struct writer *writer, void *buffer, size_t buffer_bytes,
                        int (*flush)(void *context, const uint8_t *bytes, size_t count),
                        void *context);

/** Marks WRITER as failed with CODE (< 0), unless it failed before. */
void writer_fail(struct writer *writer, int code);

void writer_bytes(struct writer *writer, const void *bytes, size_t count);
void writer_text(struct writer *writer, const char *text);
void writer_char(struct writer *writer, char character);
void writer_unsigned(struct writer *writer, uint64_t value);
void writer_signed(struct writer *writer, int64_t value);

/** MANTISSA / 10^DECIMALS with exactly DECIMALS digits behind the point: (2150, 2) is 21.50. */
void writer_decimal(struct writer *writer, int64_t mantissa, unsigned decimals);

/** printf into the writer; one call writes at most 255 bytes, more is E_TOO_BIG. */
void writer_format(struct writer *writer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** COUNT bytes as lower-case hexadecimal digits. */
void writer_hex(struct writer *writer, const uint8_t *bytes, size_t count);

/** Everything written so far, flushed or not. */
uint64_t writer_total_bytes(const struct writer *writer);

/**
 * Flushes what is buffered. A writer to memory that has room left gets a terminating NUL that is
 * not counted. Returns 0, or the first error.
 */
int writer_finish(struct writer *writer);

#endif
