/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sink/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *buffer_reserve(struct buffer *buffer, size_t count)
{
    size_t needed = buffer->used_bytes + count + 1;
    if (needed > buffer->room_bytes) {
        size_t room = needed + needed / 2 + 64;
        char *bytes = realloc(buffer->bytes, room);
        if (bytes == NULL) {
            fputs("sink: out of memory\n", stderr);
            exit(1);
        }
        buffer->bytes = bytes;
        buffer->room_bytes = room;
    }
    return buffer->bytes + buffer->used_bytes;
}

void buffer_add(struct buffer *buffer, const void *bytes, size_t count)
{
    char *to = buffer_reserve(buffer, count);
    if (count > 0)
        memcpy(to, bytes, count);
    to[count] = '\0';
    buffer->used_bytes += count;
}

void buffer_text(struct buffer *buffer, const char *text)
{
    buffer_add(buffer, text, strlen(text));
}

void buffer_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (count < 0)
        return;

    char *to = buffer_reserve(buffer, (size_t)count);
    va_start(arguments, format);
    vsnprintf(to, (size_t)count + 1, format, arguments);
    va_end(arguments);
    buffer->used_bytes += (size_t)count;
}

void buffer_json_text(struct buffer *buffer, const char *text)
{
    buffer_text(buffer, "\"");
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            buffer_format(buffer, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            buffer_format(buffer, "\\u%04x", (unsigned)*text);
        else
            buffer_add(buffer, text, 1);
    }
    buffer_text(buffer, "\"");
}

void buffer_clear(struct buffer *buffer)
{
    buffer->used_bytes = 0;
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}
