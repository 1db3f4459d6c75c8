/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/top_routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/control/human.h"

enum { INDENT = 3, NAME_COLUMNS = 20, WIDE_COLUMNS = 132 };
enum { SUM_BYTES = 192, SUM_LINES = 3 };

/* How much of each route is shown. */
enum detail { DETAIL_LINE, DETAIL_SUM, DETAIL_ALL };

struct table {
    struct top_draw *draw;
    const struct top_history *history;
    const struct status_read *status;
    size_t count;
    unsigned name_columns;
    bool wide; /* what DETAIL_ALL has in a line of its own stands in columns */
    enum detail detail;
};

static const char *error_of(const struct table *table, const char *name)
{
    return status_read_text(table->status, "", "routes/%s/error", name);
}

static enum top_style style_of(const struct table *table, const char *name)
{
    const char *state = status_read_text(table->status, "", "routes/%s/state", name);
    if (strcmp(state, "needs-operator") == 0)
        return TOP_BAD;
    return strcmp(state, "paused") == 0 || *error_of(table, name) != '\0' ? TOP_CAUTION : TOP_GOOD;
}

static unsigned rows_of(const struct table *table, const char *name, enum detail detail)
{
    unsigned rows = 1 + top_draw_count_lines(table->draw, INDENT, error_of(table, name),
                                             top_draw_error_lines(table->draw));
    if (detail >= DETAIL_SUM)
        rows++;
    if (detail >= DETAIL_ALL && !table->wide)
        rows++;
    return rows;
}

static unsigned rows_of_all(const struct table *table, enum detail detail)
{
    unsigned rows = 0;
    for (size_t i = 0; i < table->count; i++)
        rows += rows_of(table, status_read_member(table->status, i, "routes"), detail);
    return rows;
}

/* ---- lines ---- */

static void draw_head(const struct table *table)
{
    top_draw_line(table->draw);
    top_draw_style(table->draw, TOP_BOLD);
    top_draw_text(table->draw, " ");
    top_draw_cell(table->draw, "ROUTE", table->name_columns);
    top_draw_format(table->draw, "  %-14s %11s %12s %14s", "STATE", "RECORDS/S", "BYTES/S",
                    "LAST DELIVERY");
    if (table->wide)
        top_draw_format(table->draw, " %12s %11s %11s %12s   %s", "REQUESTS", "THROTTLED",
                        "SENT AGAIN", "BYTES OUT", "DESTINATION");
    top_draw_style(table->draw, TOP_PLAIN);
}

static void draw_wide(const struct table *table, const char *name)
{
    const struct status_read *status = table->status;
    if (!table->wide)
        return;
    top_draw_format(table->draw, " %12" PRIu64 " %11" PRIu64 " %11" PRIu64 " %12s   %s",
                    status_read_number(status, "routes/%s/requests", name),
                    status_read_number(status, "routes/%s/throttled", name),
                    status_read_number(status, "routes/%s/retried", name),
                    HUMAN_BYTES_TEXT(status_read_number(status, "routes/%s/bytes_out", name)),
                    status_read_text(status, "?", "routes/%s/destination", name));
}

static void draw_first(const struct table *table, size_t index, const char *name)
{
    struct top_draw *draw = table->draw;
    int64_t age_ms = status_read_milli(table->status, -1, "routes/%s/delivered_age_s", name);
    double bytes = top_history_bytes_rate(table->history, index);
    top_draw_line(draw);
    top_draw_text(draw, " ");
    top_draw_cell(draw, name, table->name_columns);
    top_draw_style(draw, style_of(table, name));
    top_draw_format(draw, "  %-14s", status_read_text(table->status, "?", "routes/%s/state", name));
    top_draw_style(draw, TOP_PLAIN);
    top_draw_format(draw, " %11s %10s/s",
                    HUMAN_RATE_TEXT(top_history_records_rate(table->history, index)),
                    HUMAN_BYTES_TEXT((uint64_t)bytes));
    top_draw_format(draw, age_ms < 0 ? " %14s" : " %10s ago", HUMAN_AGE_TEXT(age_ms));
    draw_wide(table, name);
}

static void draw_sum(const struct table *table, const char *name)
{
    char text[SUM_BYTES];
    struct top_counters sum = top_history_counters(table->status, name);
    bool holds = sum.accepted == sum.delivered + sum.stored + sum.dead + sum.evicted;
    (void)snprintf(text, sizeof text,
                   "accepted %" PRIu64 " %s delivered %" PRIu64 " + stored %" PRIu64
                   " + dead %" PRIu64 " + evicted %" PRIu64,
                   sum.accepted, holds ? "=" : "IS NOT", sum.delivered, sum.stored, sum.dead,
                   sum.evicted);
    top_draw_style(table->draw, holds ? TOP_PLAIN : TOP_BAD);
    top_draw_paragraph(table->draw, INDENT, text, SUM_LINES);
    top_draw_style(table->draw, TOP_PLAIN);
}

static void draw_requests(const struct table *table, const char *name)
{
    const struct status_read *status = table->status;
    top_draw_line(table->draw);
    top_draw_item(table->draw, INDENT, "requests %" PRIu64,
                  status_read_number(status, "routes/%s/requests", name));
    top_draw_item(table->draw, INDENT, "throttled %" PRIu64,
                  status_read_number(status, "routes/%s/throttled", name));
    top_draw_item(table->draw, INDENT, "records sent again %" PRIu64,
                  status_read_number(status, "routes/%s/retried", name));
    top_draw_item(table->draw, INDENT, "%s out",
                  HUMAN_BYTES_TEXT(status_read_number(status, "routes/%s/bytes_out", name)));
}

static void draw_route(const struct table *table, size_t index)
{
    const char *name = status_read_member(table->status, index, "routes");
    draw_first(table, index, name);
    if (table->detail >= DETAIL_SUM)
        draw_sum(table, name);
    if (table->detail >= DETAIL_ALL && !table->wide)
        draw_requests(table, name);
    top_draw_style(table->draw, style_of(table, name));
    top_draw_paragraph(table->draw, INDENT, error_of(table, name),
                       top_draw_error_lines(table->draw));
    top_draw_style(table->draw, TOP_PLAIN);
}

/* ---- which ---- */

/* Those that deliver, or those that do not, as long as there is room for KEEP rows behind: one in
 * any case. DRAWN were before; returns how many are. */
static size_t draw_some(const struct table *table, bool delivering, unsigned keep, size_t drawn)
{
    for (size_t i = 0; i < table->count; i++) {
        const char *name = status_read_member(table->status, i, "routes");
        if ((style_of(table, name) == TOP_GOOD) != delivering)
            continue;
        unsigned behind = drawn > 0 ? 1 + keep : 1;
        if (!top_draw_has_rows(table->draw, rows_of(table, name, table->detail) + behind))
            break;
        draw_route(table, i);
        drawn++;
    }
    return drawn;
}

static void draw_what_fits(const struct table *table, unsigned keep)
{
    size_t drawn = draw_some(table, false, keep, 0);
    drawn = draw_some(table, true, keep, drawn);
    top_draw_line(table->draw);
    top_draw_style(table->draw, TOP_DIM);
    top_draw_format(table->draw, " ... and %zu more routes", table->count - drawn);
    top_draw_style(table->draw, TOP_PLAIN);
}

static void lay_out(struct table *table, unsigned keep)
{
    table->wide = table->draw->screen->columns >= WIDE_COLUMNS;
    table->name_columns =
        top_draw_name_columns(table->status, "routes", "ROUTE", NAME_COLUMNS, &table->count);
    for (table->detail = DETAIL_ALL; table->detail > DETAIL_LINE; table->detail--)
        if (top_draw_has_rows(table->draw, 1 + rows_of_all(table, table->detail) + keep))
            break;
}

void top_routes_draw(struct top_draw *draw, const struct top_history *history,
                     const struct status_read *status, unsigned keep)
{
    struct table table = {.draw = draw, .history = history, .status = status};
    lay_out(&table, keep);
    draw_head(&table);
    if (table.count > 0 && !top_draw_has_rows(draw, rows_of_all(&table, table.detail) + keep)) {
        draw_what_fits(&table, keep);
        return;
    }
    for (size_t i = 0; i < table.count; i++)
        draw_route(&table, i);
}
