/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/top_draw.h"

#include <stdarg.h>
#include <stdio.h>

enum { PIECE_BYTES = 512, ROWS_FOR_LOOKS = 20, ROWS_FOR_WORDS = 40, GAP = 3 };

void top_draw_style(struct top_draw *draw, enum top_style style)
{
    static const char *const codes[] = {"\033[0m",  "\033[1m",    "\033[2m", "\033[7m",
                                        "\033[32m", "\033[1;31m", "\033[33m"};
    if (draw->screen->colour)
        writer_text(draw->out, codes[style]);
}

/* How many bytes the character at TEXT has; 0 if it is no UTF-8, or a control character. */
static size_t character_bytes(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    if (c[0] < 0x80)
        return c[0] >= ' ' && c[0] != 0x7f;
    if (c[0] < 0xc2 || c[0] > 0xf4 || (c[0] == 0xc2 && c[1] < 0xa0))
        return 0;
    size_t count = c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < count; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    }
    return count;
}

static const char *next_character(const char *text)
{
    size_t count = character_bytes(text);
    return text + (count > 0 ? count : 1);
}

/* Foreign text reaches the terminal here only: nothing that steers it. */
static void put(struct top_draw *draw, const char *text, const char *end)
{
    while (text < end && draw->left > 0) {
        size_t count = character_bytes(text);
        if (count == 1 || (count > 1 && draw->screen->utf8))
            writer_bytes(draw->out, text, count);
        else
            writer_char(draw->out, '?');
        text = next_character(text);
        draw->left--;
    }
}

void top_draw_text(struct top_draw *draw, const char *text)
{
    const char *end = text;
    while (*end != '\0')
        end++;
    put(draw, text, end);
}

void top_draw_format(struct top_draw *draw, const char *format, ...)
{
    char text[PIECE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    top_draw_text(draw, text);
}

static unsigned column_of(const struct top_draw *draw)
{
    return draw->screen->columns - draw->left;
}

void top_draw_blanks(struct top_draw *draw, unsigned column)
{
    while (draw->left > 0 && column_of(draw) < column)
        top_draw_text(draw, " ");
}

bool top_draw_has_rows(const struct top_draw *draw, unsigned count)
{
    return draw->screen->rows == 0 || draw->lines + count <= draw->screen->rows;
}

/* The line break stands before a line, so that the last row does not scroll. */
void top_draw_line(struct top_draw *draw)
{
    draw->left = 0;
    if (!top_draw_has_rows(draw, 1))
        return;
    if (draw->lines++ > 0)
        writer_text(draw->out, draw->screen->ansi ? "\033[K\n" : "\n");
    draw->left = draw->screen->columns;
}

void top_draw_gap(struct top_draw *draw)
{
    if (draw->screen->rows == 0 || draw->screen->rows >= ROWS_FOR_LOOKS)
        top_draw_line(draw);
}

void top_draw_start(struct top_draw *draw, const struct top_screen *screen, struct writer *out)
{
    *draw = (struct top_draw){.out = out, .screen = screen};
    if (screen->ansi)
        writer_text(out, "\033[H");
    top_draw_line(draw);
}

void top_draw_end(struct top_draw *draw)
{
    writer_text(draw->out, draw->screen->ansi ? "\033[K\033[J" : "\n");
}

unsigned top_draw_width(const char *text)
{
    unsigned width = 0;
    for (; *text != '\0'; text = next_character(text))
        width++;
    return width;
}

unsigned top_draw_name_columns(const struct status_read *status, const char *member,
                               const char *heading, unsigned most, size_t *ret_count)
{
    unsigned columns = top_draw_width(heading) + 1;
    size_t count = 0;
    for (const char *name; (name = status_read_member(status, count, "%s", member)) != NULL;
         count++)
        if (top_draw_width(name) > columns)
            columns = top_draw_width(name);
    *ret_count = count;
    return columns < most ? columns : most;
}

void top_draw_cell(struct top_draw *draw, const char *text, unsigned width)
{
    enum { DOTS = 2 };
    unsigned column = column_of(draw) + width;
    if (top_draw_width(text) <= width) {
        top_draw_text(draw, text);
        top_draw_blanks(draw, column);
        return;
    }
    const char *end = text;
    for (unsigned i = DOTS; i < width; i++)
        end = next_character(end);
    put(draw, text, end);
    if (draw->left > 0)
        top_draw_text(draw, "..");
}

void top_draw_item(struct top_draw *draw, unsigned indent, const char *format, ...)
{
    char text[PIECE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    bool first = column_of(draw) <= indent;
    if (!first && top_draw_width(text) + GAP > draw->left) {
        top_draw_line(draw);
        first = true;
    }
    top_draw_blanks(draw, first ? indent : column_of(draw) + GAP);
    top_draw_text(draw, text);
}

/* ---- paragraphs ---- */

/* The end of the line of at most WIDTH columns that TEXT begins with: between two words, or within
 * one that no line would hold. */
static const char *end_of_line(const char *text, unsigned width)
{
    const char *space = NULL;
    const char *end = text;
    for (unsigned i = 0; i < width && *end != '\0'; i++) {
        space = *end == ' ' ? end : space;
        end = next_character(end);
    }
    return *end == '\0' || *end == ' ' || space == NULL ? end : space;
}

static const char *skip_blanks(const char *text)
{
    while (*text == ' ')
        text++;
    return text;
}

static unsigned width_within(const struct top_draw *draw, unsigned indent)
{
    return draw->screen->columns > indent + 1 ? draw->screen->columns - indent : 1;
}

bool top_draw_is_high(const struct top_draw *draw)
{
    return draw->screen->rows == 0 || draw->screen->rows >= ROWS_FOR_WORDS;
}

unsigned top_draw_error_lines(const struct top_draw *draw)
{
    return top_draw_is_high(draw) ? 8 : 2;
}

unsigned top_draw_count_lines(const struct top_draw *draw, unsigned indent, const char *text,
                              unsigned lines_max)
{
    unsigned lines = 0;
    for (text = skip_blanks(text); *text != '\0' && lines < lines_max; lines++)
        text = skip_blanks(end_of_line(text, width_within(draw, indent)));
    return lines;
}

void top_draw_paragraph(struct top_draw *draw, unsigned indent, const char *text,
                        unsigned lines_max)
{
    static const char dots[] = " ...";
    unsigned width = width_within(draw, indent);
    text = skip_blanks(text);
    for (unsigned line = 1; *text != '\0' && line <= lines_max; line++) {
        const char *end = end_of_line(text, width);
        bool cut = *skip_blanks(end) != '\0' && (line == lines_max || !top_draw_has_rows(draw, 2));
        if (cut && width > sizeof dots)
            end = end_of_line(text, width - (unsigned)sizeof dots + 1);
        top_draw_line(draw);
        top_draw_blanks(draw, indent);
        put(draw, text, end);
        if (cut)
            top_draw_text(draw, dots);
        text = skip_blanks(end);
    }
}
