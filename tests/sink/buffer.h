/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_SINK_BUFFER_H
#define RUNNEL_TESTS_SINK_BUFFER_H

#include <stddef.h>

/**
 * Bytes that grow. Starts as {0}. A terminating NUL that is not counted always follows the bytes
 * once something was added. Out of memory ends the program: the sink is a test tool and has no
 * better answer.
 */
struct buffer {
    char *bytes;
    size_t used_bytes;
    size_t room_bytes;
};

void buffer_add(struct buffer *buffer, const void *bytes, size_t count);
void buffer_text(struct buffer *buffer, const char *text);
void buffer_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** TEXT as a JSON string with its quotes. */
void buffer_json_text(struct buffer *buffer, const char *text);

/** Makes room for COUNT more bytes and returns where they begin; used_bytes is not moved. */
char *buffer_reserve(struct buffer *buffer, size_t count);

/** Forgets the bytes and keeps the room. */
void buffer_clear(struct buffer *buffer);

/** Gives the room back; BUFFER is {0} again. */
void buffer_free(struct buffer *buffer);

#endif
