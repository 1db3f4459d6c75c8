/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/json/json_write.h"

#include <stddef.h>
#include <string.h>

#include "platform/base/utf8.h"

void json_write_start(struct json_write *out, struct writer *writer)
{
    *out = (struct json_write){.writer = writer};
}

void json_write_key(struct json_write *out, const char *key)
{
    if (out->comma)
        writer_char(out->writer, ',');
    out->comma = true;
    if (key == NULL)
        return;
    json_write_string(out->writer, key, strlen(key));
    writer_char(out->writer, ':');
}

static void begin(struct json_write *out, const char *key, char bracket)
{
    json_write_key(out, key);
    writer_char(out->writer, bracket);
    out->comma = false;
}

static void end(struct json_write *out, char bracket)
{
    writer_char(out->writer, bracket);
    out->comma = true;
}

void json_write_object_begin(struct json_write *out, const char *key)
{
    begin(out, key, '{');
}

void json_write_object_end(struct json_write *out)
{
    end(out, '}');
}

void json_write_array_begin(struct json_write *out, const char *key)
{
    begin(out, key, '[');
}

void json_write_array_end(struct json_write *out)
{
    end(out, ']');
}

void json_write_text(struct json_write *out, const char *key, const char *text)
{
    if (text == NULL)
        json_write_null(out, key);
    else
        json_write_text_bytes(out, key, text, strlen(text));
}

void json_write_text_bytes(struct json_write *out, const char *key, const char *text, size_t count)
{
    json_write_key(out, key);
    json_write_string(out->writer, text, count);
}

void json_write_unsigned(struct json_write *out, const char *key, uint64_t value)
{
    json_write_key(out, key);
    writer_unsigned(out->writer, value);
}

void json_write_signed(struct json_write *out, const char *key, int64_t value)
{
    json_write_key(out, key);
    writer_signed(out->writer, value);
}

void json_write_decimal(struct json_write *out, const char *key, int64_t mantissa,
                        unsigned decimals)
{
    json_write_key(out, key);
    writer_decimal(out->writer, mantissa, decimals);
}

void json_write_boolean(struct json_write *out, const char *key, bool value)
{
    json_write_key(out, key);
    writer_text(out->writer, value ? "true" : "false");
}

void json_write_null(struct json_write *out, const char *key)
{
    json_write_key(out, key);
    writer_text(out->writer, "null");
}

static bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

static void write_escape(struct writer *writer, uint8_t byte)
{
    static const char meanings[] = "\"\\\b\f\n\r\t";
    static const char names[] = "\"\\bfnrt";
    const char *at = memchr(meanings, byte, sizeof meanings - 1);
    if (at != NULL) {
        writer_char(writer, '\\');
        writer_char(writer, names[at - meanings]);
        return;
    }
    writer_text(writer, "\\u00");
    writer_hex(writer, &byte, 1);
}

/* Writes what stands at FROM, where no plain ASCII does, and returns how many bytes it took. */
static size_t write_special(struct writer *writer, const uint8_t *from, size_t count)
{
    static const char replacement[] = "\xef\xbf\xbd";
    size_t length = utf8_character_bytes(from, count);
    if (length == 1)
        write_escape(writer, from[0]);
    else if (length == 0)
        writer_text(writer, replacement);
    else
        writer_bytes(writer, from, length);
    return length == 0 ? 1 : length;
}

void json_write_string_part(struct writer *writer, const char *text, size_t count)
{
    const uint8_t *from = (const uint8_t *)text;
    for (size_t i = 0; i < count;) {
        size_t run = i;
        while (run < count && is_plain(from[run]))
            run++;
        if (run > i)
            writer_bytes(writer, from + i, run - i);
        i = run;
        if (i < count)
            i += write_special(writer, from + i, count - i);
    }
}

void json_write_string(struct writer *writer, const char *text, size_t count)
{
    writer_char(writer, '"');
    json_write_string_part(writer, text, count);
    writer_char(writer, '"');
}
