/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/top_view.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "agent/cli/top_routes.h"
#include "agent/cli/top_sensors.h"
#include "agent/control/human.h"

/* What routes leave to sensors: an empty line, the head, and six of them; of a low screen a third.
 */
enum { SENSOR_ROWS = 8 };

enum { CELLS = 40, CELLS_MIN = 10, NARROW_COLUMNS = 80 };

/* ---- the agent ---- */

static void draw_title(struct top_draw *draw, const struct status_read *status)
{
    bool healthy = status_read_is_true(status, "healthy");
    const char *health = healthy ? " healthy " : " NOT HEALTHY ";
    int64_t uptime_ms = status_read_milli(status, -1, "uptime_s");
    unsigned columns = draw->screen->columns;
    unsigned health_columns = (unsigned)strlen(health);
    unsigned right = health_columns + 14;
    top_draw_style(draw, TOP_TITLE);
    top_draw_format(draw, " runnel %s  ", status_read_text(status, "?", "version"));
    if (draw->left > right)
        top_draw_cell(draw, status_read_text(status, "?", "device"), draw->left - right);
    top_draw_format(draw, "  up %-8s ", HUMAN_AGE_TEXT(uptime_ms));
    top_draw_style(draw, healthy ? TOP_GOOD : TOP_BAD);
    top_draw_blanks(draw, columns > health_columns ? columns - health_columns : 0);
    top_draw_text(draw, health);
    top_draw_style(draw, TOP_PLAIN);
}

static void draw_clock(struct top_draw *draw, const struct status_read *status)
{
    const char *quality = status_read_text(status, "?", "clock/quality");
    top_draw_style(draw, strcmp(quality, "estimated") == 0 ? TOP_CAUTION : TOP_PLAIN);
    top_draw_item(draw, 1, "clock %s", quality);
    top_draw_style(draw, TOP_PLAIN);
}

static void draw_agent(struct top_draw *draw, const struct status_read *status)
{
    uint64_t letters = status_read_number(status, "dead/letters");
    int64_t days = status_read_milli(status, INT64_MAX, "certificate/days");
    top_draw_line(draw);
    draw_clock(draw, status);
    top_draw_item(draw, 1, "memory %s",
                  HUMAN_BYTES_TEXT(status_read_number(status, "memory/private")));
    top_draw_item(draw, 1, "flash %s today",
                  HUMAN_BYTES_TEXT(status_read_number(status, "flash/today_bytes")));
    top_draw_item(draw, 1, "%" PRIu64 " commits", status_read_number(status, "flash/commits"));
    if (letters > 0)
        top_draw_item(draw, 1, "dead letters %" PRIu64, letters);
    if (days != INT64_MAX)
        top_draw_item(draw, 1, "certificate %" PRId64 " days", days / 1000);
}

static void draw_trial(struct top_draw *draw, const struct status_read *status)
{
    if (strcmp(status_read_text(status, "", "config/state"), "trial") != 0)
        return;
    top_draw_line(draw);
    top_draw_style(draw, TOP_CAUTION);
    top_draw_item(draw, 1, "configuration on trial for another %s",
                  HUMAN_AGE_TEXT(status_read_milli(status, 0, "config/left_s")));
    top_draw_style(draw, TOP_PLAIN);
}

/* What is wrong; of the rest, where rows are few, the first alone. */
static void draw_troubles(struct top_draw *draw, const struct status_read *status)
{
    unsigned lines_max = top_draw_error_lines(draw);
    const char *warning;
    size_t i = 0;
    top_draw_style(draw, TOP_BAD);
    top_draw_paragraph(draw, 1, status_read_text(status, "", "problem"), lines_max);
    top_draw_style(draw, TOP_CAUTION);
    for (; (warning = status_read_element(status, i, "warnings")) != NULL; i++)
        if (i == 0 || top_draw_is_high(draw))
            top_draw_paragraph(draw, 1, warning, lines_max);
    if (i > 1 && !top_draw_is_high(draw))
        top_draw_item(draw, 1, "(%zu more: runnel status)", i - 1);
    top_draw_style(draw, TOP_PLAIN);
}

/* ---- what waits ---- */

/* Only where there is a limit. */
static void draw_link(struct top_draw *draw, const struct status_read *status)
{
    uint64_t limit = status_read_number(status, "link/month_limit");
    if (limit == 0)
        return;
    top_draw_line(draw);
    top_draw_item(draw, 1, "link     %s of %s this month",
                  HUMAN_BYTES_TEXT(status_read_number(status, "link/month_bytes")),
                  HUMAN_BYTES_TEXT(limit));
    if (!status_read_is_true(status, "link/paused"))
        return;
    top_draw_style(draw, TOP_CAUTION);
    top_draw_item(draw, 10, "paused until %.10s 00:00 UTC",
                  status_read_text(status, "?", "link/paused_until"));
    top_draw_style(draw, TOP_PLAIN);
}

#ifdef CONFIG_COAP
/* Only where something listens. */
static void draw_coap(struct top_draw *draw, const struct status_read *status)
{
    uint64_t throttled = status_read_number(status, "coap/throttled");
    const char *error = status_read_text(status, "", "coap/error");
    if (status_read_text(status, NULL, "coap") == NULL)
        return;
    top_draw_line(draw);
    top_draw_item(draw, 1, "coap     %" PRIu64 " peers, %" PRIu64 " accepted, %" PRIu64 " waiting",
                  status_read_number(status, "coap/sessions"),
                  status_read_number(status, "coap/accepted"),
                  status_read_number(status, "coap/waiting"));
    top_draw_style(draw, TOP_CAUTION);
    if (throttled > 0)
        top_draw_item(draw, 10, "%" PRIu64 " throttled", throttled);
    if (*error != '\0')
        top_draw_paragraph(draw, 10, error, 2);
    top_draw_style(draw, TOP_PLAIN);
}
#endif

/* Whole cells, then eighths of one where the terminal has them: what is there is always seen. */
static void draw_cells(struct top_draw *draw, unsigned per_mille, unsigned cells)
{
    static const char *const parts[] = {"\xe2\x96\x8f", "\xe2\x96\x8e", "\xe2\x96\x8d",
                                        "\xe2\x96\x8c", "\xe2\x96\x8b", "\xe2\x96\x8a",
                                        "\xe2\x96\x89", "\xe2\x96\x88"};
    enum { EIGHTHS = 8 };
    bool utf8 = draw->screen->utf8;
    unsigned left = (per_mille * cells * EIGHTHS + 999) / 1000;
    for (unsigned i = 0; i < cells; i++) {
        unsigned part = left < EIGHTHS ? left : EIGHTHS;
        if (part == 0)
            top_draw_text(draw, utf8 ? "\xc2\xb7" : ".");
        else
            top_draw_text(draw, utf8 ? parts[part - 1] : "#");
        left -= part;
    }
}

static unsigned cells_of(const struct top_screen *screen)
{
    if (screen->columns >= NARROW_COLUMNS)
        return CELLS + (screen->columns - NARROW_COLUMNS) / 2;
    return screen->columns > NARROW_COLUMNS - CELLS + CELLS_MIN
               ? screen->columns - (NARROW_COLUMNS - CELLS)
               : CELLS_MIN;
}

static void draw_bar(struct top_draw *draw, const struct status_read *status)
{
    uint64_t used = status_read_number(status, "flash/used_bytes");
    uint64_t size = status_read_number(status, "flash/size_bytes");
    unsigned per_mille = size > 0 ? (unsigned)((double)used / (double)size * 1000) : 0;
    per_mille = per_mille <= 1000 ? per_mille : 1000;
    top_draw_line(draw);
    top_draw_text(draw, " spool    [");
    top_draw_style(draw, per_mille < 600 ? TOP_GOOD : per_mille < 850 ? TOP_CAUTION : TOP_BAD);
    draw_cells(draw, per_mille, cells_of(draw->screen));
    top_draw_style(draw, TOP_PLAIN);
    top_draw_format(draw, "] %u.%u %% of %s", per_mille / 10, per_mille % 10,
                    HUMAN_BYTES_TEXT(size));
    if (status_read_is_true(status, "durable"))
        return;
    top_draw_style(draw, TOP_BAD);
    top_draw_item(draw, 10, "NOT DURABLE");
    top_draw_style(draw, TOP_PLAIN);
}

static void draw_lane(struct top_draw *draw, const struct status_read *status, const char *lane)
{
    uint64_t pending = status_read_number(status, "lanes/%s/pending", lane);
    uint64_t stored = status_read_number(status, "lanes/%s/stored", lane);
    int64_t age_ms = status_read_milli(status, -1, "lanes/%s/oldest_age_s", lane);
    top_draw_line(draw);
    top_draw_format(draw, " %-8.8s %10" PRIu64 " %12" PRIu64 " %12s %9s %10" PRIu64, lane, pending,
                    stored,
                    HUMAN_BYTES_TEXT(status_read_number(status, "lanes/%s/stored_bytes", lane)),
                    pending + stored > 0 ? HUMAN_AGE_TEXT(age_ms) : "-",
                    status_read_number(status, "lanes/%s/refused", lane));
}

static void draw_lanes(struct top_draw *draw, const struct status_read *status)
{
    const char *lane;
    top_draw_line(draw);
    top_draw_style(draw, TOP_BOLD);
    top_draw_format(draw, " %-8s %10s %12s %12s %9s %10s", "LANE", "PENDING", "STORED", "BYTES",
                    "OLDEST", "REFUSED");
    top_draw_style(draw, TOP_PLAIN);
    for (size_t i = 0; i < 3 && (lane = status_read_member(status, i, "lanes")) != NULL; i++)
        draw_lane(draw, status, lane);
    draw_bar(draw, status);
    draw_link(draw, status);
#ifdef CONFIG_COAP
    draw_coap(draw, status);
#endif
}

void top_view_draw(const struct top_history *history, const struct status_read *status,
                   const struct top_screen *screen, struct writer *out)
{
    struct top_draw draw;
    top_draw_start(&draw, screen, out);
    draw_title(&draw, status);
    draw_agent(&draw, status);
    draw_trial(&draw, status);
    draw_troubles(&draw, status);
    top_draw_gap(&draw);
    draw_lanes(&draw, status);
    top_draw_gap(&draw);
    bool is_low = screen->rows > 0 && screen->rows / 3 < SENSOR_ROWS;
    top_routes_draw(&draw, history, status, is_low ? screen->rows / 3 : SENSOR_ROWS);
    top_draw_gap(&draw);
    top_sensors_draw(&draw, history, status);
    top_draw_end(&draw);
}

void top_view_draw_message(const char *text, const struct top_screen *screen, struct writer *out)
{
    struct top_draw draw;
    top_draw_start(&draw, screen, out);
    top_draw_style(&draw, TOP_TITLE);
    top_draw_text(&draw, " runnel");
    top_draw_blanks(&draw, screen->columns);
    top_draw_style(&draw, TOP_PLAIN);
    top_draw_gap(&draw);
    top_draw_paragraph(&draw, 1, text, 8);
    if (screen->ansi)
        top_draw_paragraph(&draw, 1, "It is asked again and again; q ends.", 1);
    top_draw_end(&draw);
}
