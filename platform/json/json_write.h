/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_JSON_JSON_WRITE_H
#define RUNNEL_PLATFORM_JSON_JSON_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/writer.h"

/**
 * Writes JSON into a writer; commas come by themselves. KEY NULL: the value is an array's element
 * or the outermost one. Pure; errors stick in the writer.
 */
struct json_write {
    struct writer *writer;
    bool comma;
};

void json_write_start(struct json_write *out, struct writer *writer);
void json_write_object_begin(struct json_write *out, const char *key);
void json_write_object_end(struct json_write *out);
void json_write_array_begin(struct json_write *out, const char *key);
void json_write_array_end(struct json_write *out);
void json_write_text(struct json_write *out, const char *key, const char *text); /* NULL: null */
void json_write_text_bytes(struct json_write *out, const char *key, const char *text, size_t count);
void json_write_unsigned(struct json_write *out, const char *key, uint64_t value);
void json_write_signed(struct json_write *out, const char *key, int64_t value);
void json_write_decimal(struct json_write *out, const char *key, int64_t mantissa,
                        unsigned decimals);
void json_write_boolean(struct json_write *out, const char *key, bool value);
void json_write_null(struct json_write *out, const char *key);

/** Only the comma and the key; the caller writes the value itself, say a document in pieces. */
void json_write_key(struct json_write *out, const char *key);

/** TEXT (UTF-8) as a JSON string with its quotes; what is not valid UTF-8 becomes U+FFFD. */
void json_write_string(struct writer *writer, const char *text, size_t count);

/** Likewise without the quotes, which the caller writes around all parts of a string; a part ends
 *  between characters. */
void json_write_string_part(struct writer *writer, const char *text, size_t count);

#endif
