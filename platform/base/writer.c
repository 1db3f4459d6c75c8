/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"

enum { DIGITS_MAX = 20, FORMAT_BYTES = 256 };

void writer_to_memory(struct writer *writer, void *buffer, size_t buffer_bytes)
{
    writer_to_function(writer, buffer, buffer_bytes, NULL, NULL);
}

void writer_to_function(struct writer *writer, void *buffer, size_t buffer_bytes,
                        int (*flush)(void *context, const uint8_t *bytes, size_t count),
                        void *context)
{
    *writer = (struct writer){
        .buffer = buffer, .buffer_bytes = buffer_bytes, .flush = flush, .context = context};
}

void writer_fail(struct writer *writer, int code)
{
    if (writer->error == E_OK)
        writer->error = code;
}

static void flush(struct writer *writer)
{
    if (writer->flush == NULL || writer->buffer_bytes == 0) {
        writer_fail(writer, E_TOO_BIG);
        return;
    }
    int rc = writer->flush(writer->context, writer->buffer, writer->used_bytes);
    if (rc < 0)
        writer_fail(writer, rc);
    writer->flushed_bytes += writer->used_bytes;
    writer->used_bytes = 0;
}

void writer_bytes(struct writer *writer, const void *bytes, size_t count)
{
    const uint8_t *from = bytes;
    while (count > 0 && writer->error == E_OK) {
        size_t room = writer->buffer_bytes - writer->used_bytes;
        if (room == 0) {
            flush(writer);
            continue;
        }
        size_t take = count < room ? count : room;
        memcpy(writer->buffer + writer->used_bytes, from, take);
        writer->used_bytes += take;
        from += take;
        count -= take;
    }
}

void writer_text(struct writer *writer, const char *text)
{
    writer_bytes(writer, text, strlen(text));
}

void writer_char(struct writer *writer, char character)
{
    if (writer->error == E_OK && writer->used_bytes < writer->buffer_bytes)
        writer->buffer[writer->used_bytes++] = (uint8_t)character;
    else
        writer_bytes(writer, &character, 1);
}

/* Writes the digits of VALUE so that they end at END, at least MIN_DIGITS of them. */
static char *digits_before(char *end, uint64_t value, unsigned min_digits)
{
    for (; value > 0 || min_digits > 0; value /= 10) {
        *--end = (char)('0' + value % 10);
        if (min_digits > 0)
            min_digits--;
    }
    return end;
}

void writer_unsigned(struct writer *writer, uint64_t value)
{
    char digits[DIGITS_MAX];
    char *end = digits + sizeof digits;
    char *start = digits_before(end, value, 1);
    writer_bytes(writer, start, (size_t)(end - start));
}

static uint64_t magnitude(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

void writer_signed(struct writer *writer, int64_t value)
{
    if (value < 0)
        writer_char(writer, '-');
    writer_unsigned(writer, magnitude(value));
}

void writer_decimal(struct writer *writer, int64_t mantissa, unsigned decimals)
{
    char digits[DIGITS_MAX + 256];
    char *end = digits + sizeof digits;
    if (decimals == 0) {
        writer_signed(writer, mantissa);
        return;
    }
    if (decimals >= sizeof digits) {
        writer_fail(writer, E_RANGE);
        return;
    }
    char *start = digits_before(end, magnitude(mantissa), decimals + 1);
    if (mantissa < 0)
        writer_char(writer, '-');
    writer_bytes(writer, start, (size_t)(end - start) - decimals);
    writer_char(writer, '.');
    writer_bytes(writer, end - decimals, decimals);
}

void writer_format(struct writer *writer, const char *format, ...)
{
    char text[FORMAT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (count < 0 || (size_t)count >= sizeof text)
        writer_fail(writer, E_TOO_BIG);
    else
        writer_bytes(writer, text, (size_t)count);
}

void writer_hex(struct writer *writer, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char digits[3];
        bytes_put_hex(digits, bytes + i, 1);
        writer_bytes(writer, digits, 2);
    }
}

uint64_t writer_total_bytes(const struct writer *writer)
{
    return writer->flushed_bytes + writer->used_bytes;
}

int writer_finish(struct writer *writer)
{
    if (writer->flush != NULL && writer->used_bytes > 0 && writer->error == E_OK)
        flush(writer);
    if (writer->flush == NULL && writer->used_bytes < writer->buffer_bytes)
        writer->buffer[writer->used_bytes] = '\0';
    return writer->error;
}
