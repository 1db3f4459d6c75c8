/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void text_line(struct writer *out, const char *format, ...)
{
    char line[TEXT_LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    size_t count = strlen(line);
    while (count > 0 && line[count - 1] == ' ')
        count--;
    for (size_t i = 0; i < count; i++) {
        if (line[i] < ' ' || line[i] > '~')
            line[i] = '?';
    }
    writer_bytes(out, line, count);
    writer_char(out, '\n');
}

void text_headed(struct writer *out, const char *head, const char *text)
{
    enum { WIDTH = 78 };
    size_t left = strlen(text);
    const size_t indent = strlen(head);
    const size_t width = WIDTH - indent;
    while (left > 0) {
        size_t count = left;
        if (count > width) {
            for (count = width; count > 0 && text[count] != ' '; count--)
                ;
            count = count > 0 ? count : width;
        }
        text_line(out, "  %-*s%.*s", (int)indent, head, (int)count, text);
        head = "";
        text += count;
        left -= count;
        for (; left > 0 && *text == ' '; text++)
            left--;
    }
}

void text_paragraph(struct writer *out, const char *text)
{
    text_headed(out, "", text);
}
