/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/top_sensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/control/human.h"

enum { INDENT = 3, VALUE_BYTES = 256, CURVE_COLUMNS = 8, NARROW_COLUMNS = 80 };

struct table {
    struct top_draw *draw;
    const struct top_history *history;
    const struct status_read *status;
    size_t count;
    unsigned name_columns;
    unsigned curve_columns;
};

/* What is wrong with a sensor: its last reading failed, or something is missing from it. */
struct fault {
    const char *error, *lack; /* "": nothing */
};

static struct fault fault_of(const struct table *table, const char *name)
{
    return (struct fault){status_read_text(table->status, "", "sensors/%s/error", name),
                          status_read_text(table->status, "", "sensors/%s/lack", name)};
}

/* Where the values begin. */
static unsigned value_column(const struct table *table)
{
    return 1 + table->name_columns + 9 + 8 + 8 + 2 + table->curve_columns + 2;
}

/* A short error stands where the values would. */
static bool is_short(const struct table *table, const char *error)
{
    return value_column(table) + top_draw_width(error) <= table->draw->screen->columns;
}

static unsigned rows_of(const struct table *table, const char *name)
{
    struct fault fault = fault_of(table, name);
    unsigned rows = 1 + top_draw_count_lines(table->draw, INDENT, fault.lack,
                                             top_draw_error_lines(table->draw));
    if (!is_short(table, fault.error))
        rows += top_draw_count_lines(table->draw, INDENT, fault.error,
                                     top_draw_error_lines(table->draw));
    return rows;
}

/* ---- lines ---- */

/* The latest values as blocks between their least and greatest. */
static void draw_curve(struct top_draw *draw, const double *values, unsigned count)
{
    static const char *const blocks[] = {"\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83",
                                         "\xe2\x96\x84", "\xe2\x96\x85", "\xe2\x96\x86",
                                         "\xe2\x96\x87", "\xe2\x96\x88"};
    static const char *const letters[] = {"_", "_", ".", "-", "-", "=", "^", "^"};
    double least = count > 0 ? values[0] : 0;
    double greatest = least;
    for (unsigned i = 1; i < count; i++) {
        least = values[i] < least ? values[i] : least;
        greatest = values[i] > greatest ? values[i] : greatest;
    }
    double step = (greatest - least) / 8;
    for (unsigned i = 0; i < count; i++) {
        unsigned level = step > 0 ? (unsigned)((values[i] - least) / step) : 3;
        level = level < 8 ? level : 7;
        top_draw_text(draw, draw->screen->utf8 ? blocks[level] : letters[level]);
    }
}

static void draw_value(struct top_draw *draw, const char *channel, const char *text)
{
    top_draw_style(draw, TOP_DIM);
    top_draw_format(draw, "%s ", channel);
    top_draw_style(draw, TOP_PLAIN);
    top_draw_text(draw, text);
}

static size_t count_values(const struct table *table, const char *name)
{
    size_t count = 0;
    while (status_read_member(table->status, count, "sensors/%s/values", name) != NULL)
        count++;
    return count;
}

/* A figure that was cut would be taken for another; a word that ends in dots is not. */
static bool may_be_cut(const char *text)
{
    return text[strspn(text, "0123456789+-.eE")] != '\0';
}

/* Whole ones only, but for a long text in the first place; and how many more there are. */
static void draw_values(const struct table *table, const char *name)
{
    enum { MORE_COLUMNS = 5 };
    struct top_draw *draw = table->draw;
    size_t count = count_values(table, name);
    for (size_t i = 0; i < count; i++) {
        char piece[VALUE_BYTES];
        const char *channel = status_read_member(table->status, i, "sensors/%s/values", name);
        const char *text =
            status_read_text(table->status, "-", "sensors/%s/values/%s", name, channel);
        unsigned kept = i + 1 < count ? MORE_COLUMNS : 0;
        (void)snprintf(piece, sizeof piece, "%s %s", channel, text);
        top_draw_blanks(draw, value_column(table));
        if (i > 0)
            top_draw_text(draw, "  ");
        if (top_draw_width(piece) + kept <= draw->left) {
            draw_value(draw, channel, text);
            continue;
        }
        bool cut = i == 0 && may_be_cut(text) && draw->left > kept;
        if (cut)
            top_draw_cell(draw, piece, draw->left - kept);
        if (count > i + cut)
            top_draw_format(draw, "%s+%zu", cut ? "  " : "", count - i - cut);
        return;
    }
}

static void draw_head(const struct table *table)
{
    top_draw_line(table->draw);
    top_draw_style(table->draw, TOP_BOLD);
    top_draw_text(table->draw, " ");
    top_draw_cell(table->draw, "SENSOR", table->name_columns);
    top_draw_format(table->draw, " %8s %7s %7s", "SAMPLES", "ERRORS", "AGE");
    top_draw_blanks(table->draw, value_column(table));
    top_draw_text(table->draw, "VALUES");
    top_draw_style(table->draw, TOP_PLAIN);
}

static void draw_fault(const struct table *table, const char *text)
{
    top_draw_style(table->draw, TOP_CAUTION);
    top_draw_paragraph(table->draw, INDENT, text, top_draw_error_lines(table->draw));
    top_draw_style(table->draw, TOP_PLAIN);
}

static void draw_numbers(const struct table *table, size_t index, const char *name)
{
    struct top_draw *draw = table->draw;
    int64_t age_ms = status_read_milli(table->status, -1, "sensors/%s/age_s", name);
    const double *values = NULL;
    unsigned count = top_history_curve(table->history, index, table->curve_columns, &values);
    top_draw_line(draw);
    top_draw_text(draw, " ");
    top_draw_cell(draw, name, table->name_columns);
    top_draw_format(draw, " %8s %7s %7s",
                    HUMAN_COUNT_TEXT(status_read_number(table->status, "sensors/%s/samples", name)),
                    HUMAN_COUNT_TEXT(status_read_number(table->status, "sensors/%s/errors", name)),
                    HUMAN_AGE_TEXT(age_ms));
    if (count > 0)
        top_draw_blanks(draw, value_column(table) - 2 - count);
    draw_curve(draw, values, count);
}

static void draw_sensor(const struct table *table, size_t index)
{
    const char *name = status_read_member(table->status, index, "sensors");
    struct fault fault = fault_of(table, name);
    draw_numbers(table, index, name);
    if (*fault.error == '\0')
        draw_values(table, name);
    else if (!is_short(table, fault.error))
        draw_fault(table, fault.error);
    else {
        top_draw_blanks(table->draw, value_column(table));
        top_draw_style(table->draw, TOP_CAUTION);
        top_draw_text(table->draw, fault.error);
        top_draw_style(table->draw, TOP_PLAIN);
    }
    draw_fault(table, fault.lack);
}

/* ---- which ---- */

static bool is_failing(const struct table *table, const char *name)
{
    struct fault fault = fault_of(table, name);
    return *fault.error != '\0' || *fault.lack != '\0';
}

/* As long as there is a row for what is left out; returns how many. */
static size_t draw_some(const struct table *table, bool failing)
{
    size_t drawn = 0;
    for (size_t i = 0; i < table->count; i++) {
        const char *name = status_read_member(table->status, i, "sensors");
        if (is_failing(table, name) != failing)
            continue;
        if (!top_draw_has_rows(table->draw, rows_of(table, name) + 1))
            break;
        draw_sensor(table, i);
        drawn++;
    }
    return drawn;
}

static size_t count_failing(const struct table *table)
{
    size_t count = 0;
    for (size_t i = 0; i < table->count; i++)
        count += is_failing(table, status_read_member(table->status, i, "sensors"));
    return count;
}

static void draw_what_fits(const struct table *table)
{
    size_t failing = draw_some(table, true);
    size_t fine = draw_some(table, false);
    size_t hidden = count_failing(table) - failing;
    top_draw_line(table->draw);
    top_draw_style(table->draw, hidden > 0 ? TOP_CAUTION : TOP_DIM);
    top_draw_format(table->draw, " ... and %zu more", table->count - failing - fine);
    if (hidden > 0)
        top_draw_format(table->draw, ", %zu of them with a fault", hidden);
    top_draw_style(table->draw, TOP_PLAIN);
}

static bool all_fit(const struct table *table)
{
    unsigned rows = 0;
    for (size_t i = 0; i < table->count && top_draw_has_rows(table->draw, rows); i++)
        rows += rows_of(table, status_read_member(table->status, i, "sensors"));
    return top_draw_has_rows(table->draw, rows);
}

static void lay_out(struct table *table)
{
    const struct top_screen *screen = table->draw->screen;
    table->curve_columns = CURVE_COLUMNS;
    if (screen->columns > NARROW_COLUMNS)
        table->curve_columns += (screen->columns - NARROW_COLUMNS) / 3;
    if (table->curve_columns > TOP_CURVE)
        table->curve_columns = TOP_CURVE;
    table->name_columns = top_draw_name_columns(table->status, "sensors", "SENSOR",
                                                screen->columns / 4, &table->count);
}

void top_sensors_draw(struct top_draw *draw, const struct top_history *history,
                      const struct status_read *status)
{
    struct table table = {.draw = draw, .history = history, .status = status};
    if (!top_draw_has_rows(draw, 2))
        return;
    lay_out(&table);
    draw_head(&table);
    if (!all_fit(&table)) {
        draw_what_fits(&table);
        return;
    }
    for (size_t i = 0; i < table.count; i++)
        draw_sensor(&table, i);
}
