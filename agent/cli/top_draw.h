/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CLI_TOP_DRAW_H
#define RUNNEL_AGENT_CLI_TOP_DRAW_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/control/status_read.h"
#include "platform/base/writer.h"

/**
 * Lines of a screen: none is longer than it is wide, none lies below its last row, and foreign text
 * does not steer the terminal. A line that the screen has no row for swallows what is put into it.
 */
struct top_screen {
    unsigned columns; /* no line is longer */
    unsigned rows;    /* no more lines than that; 0: as many as there are */
    bool ansi;        /* draw over what is there, from the top left corner */
    bool colour;
    bool utf8;
};

struct top_draw {
    struct writer *out;
    const struct top_screen *screen;
    unsigned left;  /* columns of this line */
    unsigned lines; /* begun so far */
};

enum top_style {
    TOP_PLAIN,
    TOP_BOLD,
    TOP_DIM,
    TOP_TITLE,
    TOP_GOOD,
    TOP_BAD,
    TOP_CAUTION,
};

/** Begins the first line. */
void top_draw_start(struct top_draw *draw, const struct top_screen *screen, struct writer *out);
void top_draw_end(struct top_draw *draw);

void top_draw_line(struct top_draw *draw);
bool top_draw_has_rows(const struct top_draw *draw, unsigned count);

/** An empty line, where there are rows enough to spend one on looks. */
void top_draw_gap(struct top_draw *draw);

/** For what follows, until another: TOP_PLAIN ends it. */
void top_draw_style(struct top_draw *draw, enum top_style style);

/** TEXT, cut at the edge. */
void top_draw_text(struct top_draw *draw, const char *text);
void top_draw_format(struct top_draw *draw, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Blanks up to COLUMN, from 0. */
void top_draw_blanks(struct top_draw *draw, unsigned column);

/** TEXT and blanks, WIDTH columns in all; what is longer ends in "..". */
void top_draw_cell(struct top_draw *draw, const char *text, unsigned width);

/** The next of some short texts that belong together: three blanks behind the one before, or, if it
 *  does not fit there whole, INDENT columns in on the next line. */
void top_draw_item(struct top_draw *draw, unsigned indent, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** TEXT on lines of its own, INDENT columns in, broken between words; of more than LINES_MAX the
 *  last ends in "...". And how many lines that takes. */
void top_draw_paragraph(struct top_draw *draw, unsigned indent, const char *text,
                        unsigned lines_max);
unsigned top_draw_count_lines(const struct top_draw *draw, unsigned indent, const char *text,
                              unsigned lines_max);

/** Whether there are rows enough for more than the first words of what is wrong; and how many lines
 *  one such text may take. */
bool top_draw_is_high(const struct top_draw *draw);
unsigned top_draw_error_lines(const struct top_draw *draw);

/** How many columns TEXT takes. */
unsigned top_draw_width(const char *text);

/** How wide a column under HEADING is in which STATUS's MEMBER ("routes") have their names, at most
 *  MOST; *ret_count says how many they are. */
unsigned top_draw_name_columns(const struct status_read *status, const char *member,
                               const char *heading, unsigned most, size_t *ret_count);

#endif
