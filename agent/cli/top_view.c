/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/top_view.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/control/human.h"
#include "platform/base/error.h"

enum { NAME_BYTES = 64, ROUTES = 8, SENSORS = 128, CURVE = 8, SPAN = 6, PIECE_BYTES = 512 };

/* Enough rows for the title, its two lines, the lanes, one route and three sensors. */
enum { ROUTE_ROWS = 4, SENSOR_ROWS_MIN = 5 };

struct route_history {
    char name[NAME_BYTES];
    unsigned count; /* of the latest notes, at most SPAN */
    int64_t at_ms[SPAN];
    uint64_t delivered[SPAN];
    uint64_t bytes[SPAN];
};

struct sensor_history {
    char name[NAME_BYTES];
    unsigned count;
    double values[CURVE]; /* of its first channel, the latest last */
};

struct top_view {
    struct route_history routes[ROUTES];
    struct sensor_history sensors[SENSORS];
};

int top_view_open(struct top_view **ret_view)
{
    struct top_view *view = calloc(1, sizeof(*view));
    if (view == NULL)
        return E_NO_MEMORY;
    *ret_view = view;
    return 0;
}

void top_view_close(struct top_view *view)
{
    free(view);
}

/* ---- history ---- */

static const char *const lane_counters[] = {"accepted", "delivered", "stored", "dead", "evicted"};

enum { ACCEPTED, DELIVERED, STORED, DEAD, EVICTED, COUNTERS };

/* The sums over a route's lanes. */
static void read_counters(const struct status_read *status, const char *route,
                          uint64_t ret_sums[COUNTERS])
{
    const char *lane;
    memset(ret_sums, 0, COUNTERS * sizeof(*ret_sums));
    for (size_t i = 0; (lane = status_read_member(status, i, "routes/%s/lanes", route)) != NULL;
         i++) {
        for (size_t c = 0; c < COUNTERS; c++)
            ret_sums[c] +=
                status_read_number(status, "routes/%s/lanes/%s/%s", route, lane, lane_counters[c]);
    }
}

static void note_route(struct route_history *history, const struct status_read *status,
                       const char *name, int64_t now_ms)
{
    uint64_t sums[COUNTERS];
    read_counters(status, name, sums);
    uint64_t bytes = status_read_number(status, "routes/%s/bytes_out", name);
    unsigned last = history->count > 0 ? history->count - 1 : 0;
    /* Another route took its place, or the agent started again: counters begin anew. */
    if (strncmp(history->name, name, NAME_BYTES - 1) != 0 ||
        history->delivered[last] > sums[DELIVERED] || history->bytes[last] > bytes)
        *history = (struct route_history){0};
    (void)snprintf(history->name, NAME_BYTES, "%s", name);
    if (history->count == SPAN) {
        history->count--;
        memmove(history->at_ms, history->at_ms + 1, (SPAN - 1) * sizeof(*history->at_ms));
        memmove(history->delivered, history->delivered + 1,
                (SPAN - 1) * sizeof(*history->delivered));
        memmove(history->bytes, history->bytes + 1, (SPAN - 1) * sizeof(*history->bytes));
    }
    history->at_ms[history->count] = now_ms;
    history->delivered[history->count] = sums[DELIVERED];
    history->bytes[history->count++] = bytes;
}

static void note_sensor(struct sensor_history *history, const struct status_read *status,
                        const char *name)
{
    const char *channel = status_read_member(status, 0, "sensors/%s/values", name);
    const char *text =
        channel != NULL ? status_read_text(status, "", "sensors/%s/values/%s", name, channel) : "";
    char *end;
    double value = strtod(text, &end);
    if (strncmp(history->name, name, NAME_BYTES - 1) != 0)
        *history = (struct sensor_history){0};
    (void)snprintf(history->name, NAME_BYTES, "%s", name);
    if (end == text || *end != '\0')
        return;
    if (history->count == CURVE) {
        history->count--;
        memmove(history->values, history->values + 1, (CURVE - 1) * sizeof(*history->values));
    }
    history->values[history->count++] = value;
}

void top_view_note(struct top_view *view, const struct status_read *status, int64_t now_ms)
{
    const char *name;
    for (size_t i = 0; i < ROUTES && (name = status_read_member(status, i, "routes")) != NULL; i++)
        note_route(&view->routes[i], status, name, now_ms);
    for (size_t i = 0; i < SENSORS && (name = status_read_member(status, i, "sensors")) != NULL;
         i++)
        note_sensor(&view->sensors[i], status, name);
}

static double rate_of(const struct route_history *history, const uint64_t *series)
{
    if (history->count < 2)
        return 0;
    unsigned last = history->count - 1;
    int64_t span_ms = history->at_ms[last] - history->at_ms[0];
    return span_ms > 0 ? (double)(series[last] - series[0]) * 1000 / (double)span_ms : 0;
}

/* ---- lines ---- */

struct drawing {
    struct writer *out;
    const struct top_screen *screen;
    unsigned left;  /* columns of this line */
    unsigned lines; /* begun so far */
};

enum style { PLAIN, BOLD, DIM, TITLE, GOOD, BAD, CAUTION };

static void put_style(struct drawing *drawing, enum style style)
{
    static const char *const codes[] = {"\033[0m",  "\033[1m",    "\033[2m", "\033[7m",
                                        "\033[32m", "\033[1;31m", "\033[33m"};
    if (drawing->screen->colour)
        writer_text(drawing->out, codes[style]);
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

/* Foreign text reaches the terminal here only: cut at the edge, nothing that steers it. */
static void put_text(struct drawing *drawing, const char *text)
{
    while (*text != '\0' && drawing->left > 0) {
        size_t count = character_bytes(text);
        bool shown = count == 1 || (count > 1 && drawing->screen->utf8);
        if (shown)
            writer_bytes(drawing->out, text, count);
        else
            writer_char(drawing->out, '?');
        text += count > 0 ? count : 1;
        drawing->left--;
    }
}

static void put(struct drawing *drawing, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void put(struct drawing *drawing, const char *format, ...)
{
    char text[PIECE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    put_text(drawing, text);
}

/* Fills with blanks up to COLUMN, from 0. */
static void put_blanks(struct drawing *drawing, unsigned column)
{
    while (drawing->left > 0 && drawing->screen->columns - drawing->left < column)
        put_text(drawing, " ");
}

static bool has_rows(const struct drawing *drawing, unsigned count)
{
    return drawing->screen->rows == 0 || drawing->lines + count <= drawing->screen->rows;
}

/* The line break stands before a line, so that the last row does not scroll. A line that the
 * screen has no row for swallows what is put into it. */
static void begin_line(struct drawing *drawing)
{
    drawing->left = 0;
    if (!has_rows(drawing, 1))
        return;
    if (drawing->lines++ > 0)
        writer_text(drawing->out, drawing->screen->ansi ? "\033[K\n" : "\n");
    drawing->left = drawing->screen->columns;
}

static void start(struct drawing *drawing, const struct top_screen *screen, struct writer *out)
{
    *drawing = (struct drawing){.out = out, .screen = screen};
    if (screen->ansi)
        writer_text(out, "\033[H");
    begin_line(drawing);
}

static void end(struct drawing *drawing)
{
    writer_text(drawing->out, drawing->screen->ansi ? "\033[K\033[J" : "\n");
}

/* ---- the parts ---- */

static void draw_title(struct drawing *drawing, const struct status_read *status)
{
    bool healthy = status_read_is_true(status, "healthy");
    const char *health = healthy ? " healthy " : " NOT HEALTHY ";
    int64_t uptime_ms = status_read_milli(status, -1, "uptime_s");
    unsigned columns = drawing->screen->columns;
    unsigned right = (unsigned)strlen(health) + 14;
    put_style(drawing, TITLE);
    put(drawing, " runnel %s  %s", status_read_text(status, "?", "version"),
        status_read_text(status, "?", "device"));
    put_blanks(drawing, columns > right ? columns - right : 0);
    put(drawing, " up %-8s ", HUMAN_AGE_TEXT(uptime_ms));
    put_style(drawing, healthy ? GOOD : BAD);
    put_blanks(drawing, columns > strlen(health) ? columns - (unsigned)strlen(health) : 0);
    put(drawing, "%s", health);
    put_style(drawing, PLAIN);
}

static void draw_agent(struct drawing *drawing, const struct status_read *status)
{
    const char *problem = status_read_text(status, "", "problem");
    const char *warning = status_read_element(status, 0, "warnings");
    begin_line(drawing);
    put(drawing, " clock %s   memory %s private   flash %s in %" PRIu64 " commits",
        status_read_text(status, "?", "clock/quality"),
        HUMAN_BYTES_TEXT(status_read_number(status, "memory/private")),
        HUMAN_BYTES_TEXT(status_read_number(status, "flash/bytes")),
        status_read_number(status, "flash/commits"));
    begin_line(drawing);
    put_style(drawing, *problem != '\0' ? BAD : CAUTION);
    if (*problem != '\0')
        put(drawing, " %s", problem);
    else if (warning != NULL)
        put(drawing, " warning: %s", warning);
    put_style(drawing, PLAIN);
}

/* Only where there is a limit. */
static void draw_link(struct drawing *drawing, const struct status_read *status)
{
    uint64_t limit = status_read_number(status, "link/month_limit");
    if (limit == 0)
        return;
    begin_line(drawing);
    put(drawing, " link     %s of %s this month",
        HUMAN_BYTES_TEXT(status_read_number(status, "link/month_bytes")), HUMAN_BYTES_TEXT(limit));
    if (!status_read_is_true(status, "link/paused"))
        return;
    put_style(drawing, CAUTION);
    put(drawing, "  paused until %.10s 00:00 UTC",
        status_read_text(status, "?", "link/paused_until"));
    put_style(drawing, PLAIN);
}

#ifdef CONFIG_COAP
/* Only where something listens. */
static void draw_coap(struct drawing *drawing, const struct status_read *status)
{
    if (status_read_text(status, NULL, "coap") == NULL)
        return;
    begin_line(drawing);
    put(drawing, " coap     %" PRIu64 " peers, %" PRIu64 " accepted, %" PRIu64 " waiting",
        status_read_number(status, "coap/sessions"), status_read_number(status, "coap/accepted"),
        status_read_number(status, "coap/waiting"));
    uint64_t throttled = status_read_number(status, "coap/throttled");
    if (throttled == 0)
        return;
    put_style(drawing, CAUTION);
    put(drawing, "  %" PRIu64 " throttled", throttled);
    put_style(drawing, PLAIN);
}
#endif

/* Whole cells, then eighths of one where the terminal has them: what is there is always seen. */
static void draw_cells(struct drawing *drawing, unsigned per_mille)
{
    static const char *const parts[] = {"\xe2\x96\x8f", "\xe2\x96\x8e", "\xe2\x96\x8d",
                                        "\xe2\x96\x8c", "\xe2\x96\x8b", "\xe2\x96\x8a",
                                        "\xe2\x96\x89", "\xe2\x96\x88"};
    enum { CELLS = 40, EIGHTHS = 8 };
    bool utf8 = drawing->screen->utf8;
    unsigned left = (per_mille * CELLS * EIGHTHS + 999) / 1000;
    for (unsigned i = 0; i < CELLS; i++) {
        unsigned part = left < EIGHTHS ? left : EIGHTHS;
        if (part == 0)
            put_text(drawing, utf8 ? "\xc2\xb7" : ".");
        else
            put_text(drawing, utf8 ? parts[part - 1] : "#");
        left -= part;
    }
}

static void draw_bar(struct drawing *drawing, uint64_t used, uint64_t size)
{
    unsigned per_mille = size > 0 ? (unsigned)((double)used / (double)size * 1000) : 0;
    per_mille = per_mille <= 1000 ? per_mille : 1000;
    put(drawing, " spool    [");
    put_style(drawing, per_mille < 600 ? GOOD : per_mille < 850 ? CAUTION : BAD);
    draw_cells(drawing, per_mille);
    put_style(drawing, PLAIN);
    put(drawing, "] %u.%u %% of %s", per_mille / 10, per_mille % 10, HUMAN_BYTES_TEXT(size));
}

static void draw_lane(struct drawing *drawing, const struct status_read *status, const char *lane)
{
    uint64_t pending = status_read_number(status, "lanes/%s/pending", lane);
    uint64_t stored = status_read_number(status, "lanes/%s/stored", lane);
    int64_t age_ms = status_read_milli(status, -1, "lanes/%s/oldest_age_s", lane);
    begin_line(drawing);
    put(drawing, " %-8.8s %10" PRIu64 " %12" PRIu64 " %12s %9s %10" PRIu64, lane, pending, stored,
        HUMAN_BYTES_TEXT(status_read_number(status, "lanes/%s/stored_bytes", lane)),
        pending + stored > 0 ? HUMAN_AGE_TEXT(age_ms) : "-",
        status_read_number(status, "lanes/%s/refused", lane));
}

static void draw_lanes(struct drawing *drawing, const struct status_read *status)
{
    const char *lane;
    begin_line(drawing);
    put_style(drawing, BOLD);
    put(drawing, " %-8s %10s %12s %12s %9s %10s", "LANE", "PENDING", "STORED", "BYTES", "OLDEST",
        "REFUSED");
    put_style(drawing, PLAIN);
    for (size_t i = 0; i < 3 && (lane = status_read_member(status, i, "lanes")) != NULL; i++)
        draw_lane(drawing, status, lane);
    begin_line(drawing);
    draw_bar(drawing, status_read_number(status, "flash/used_bytes"),
             status_read_number(status, "flash/size_bytes"));
    if (!status_read_is_true(status, "durable")) {
        put_style(drawing, BAD);
        put(drawing, "  NOT DURABLE");
        put_style(drawing, PLAIN);
    }
    draw_link(drawing, status);
#ifdef CONFIG_COAP
    draw_coap(drawing, status);
#endif
    begin_line(drawing);
}

static void draw_identity(struct drawing *drawing, const uint64_t sums[COUNTERS])
{
    bool holds = sums[ACCEPTED] == sums[DELIVERED] + sums[STORED] + sums[DEAD] + sums[EVICTED];
    begin_line(drawing);
    put_style(drawing, holds ? PLAIN : BAD);
    put(drawing,
        "   accepted %" PRIu64 " %s delivered %" PRIu64 " + stored %" PRIu64 " + dead %" PRIu64
        " + evicted %" PRIu64,
        sums[ACCEPTED], holds ? "=" : "IS NOT", sums[DELIVERED], sums[STORED], sums[DEAD],
        sums[EVICTED]);
    put_style(drawing, PLAIN);
}

static void draw_route_line(struct drawing *drawing, const struct route_history *history,
                            const struct status_read *status, const char *name)
{
    int64_t age_ms = status_read_milli(status, -1, "routes/%s/delivered_age_s", name);
    bool fails = *status_read_text(status, "", "routes/%s/error", name) != '\0';
    begin_line(drawing);
    put(drawing, " %-8.16s ", name);
    put_style(drawing, fails ? BAD : GOOD);
    put(drawing, "%-12s", status_read_text(status, "?", "routes/%s/state", name));
    put_style(drawing, PLAIN);
    put(drawing, " %6s records/s %10s/s   last delivery %s%s",
        HUMAN_RATE_TEXT(rate_of(history, history->delivered)),
        HUMAN_BYTES_TEXT((uint64_t)rate_of(history, history->bytes)), HUMAN_AGE_TEXT(age_ms),
        age_ms < 0 ? "" : " ago");
}

static void draw_route(struct drawing *drawing, const struct route_history *history,
                       const struct status_read *status, const char *name)
{
    uint64_t sums[COUNTERS];
    const char *error = status_read_text(status, "", "routes/%s/error", name);
    read_counters(status, name, sums);
    draw_route_line(drawing, history, status, name);
    draw_identity(drawing, sums);
    begin_line(drawing);
    put(drawing,
        "   requests %" PRIu64 "   throttled %" PRIu64 "   records sent again %" PRIu64 "   %s out",
        status_read_number(status, "routes/%s/requests", name),
        status_read_number(status, "routes/%s/throttled", name),
        status_read_number(status, "routes/%s/retried", name),
        HUMAN_BYTES_TEXT(status_read_number(status, "routes/%s/bytes_out", name)));
    begin_line(drawing);
    if (*error == '\0')
        return;
    put_style(drawing, BAD);
    put(drawing, "   %s", error);
    put_style(drawing, PLAIN);
}

static size_t count_members(const struct status_read *status, const char *object)
{
    size_t count = 0;
    while (status_read_member(status, count, "%s", object) != NULL)
        count++;
    return count;
}

static void draw_more(struct drawing *drawing, size_t count, const char *what)
{
    begin_line(drawing);
    put_style(drawing, DIM);
    put(drawing, " ... and %zu more %s", count, what);
    put_style(drawing, PLAIN);
}

static void draw_routes(struct drawing *drawing, const struct top_view *view,
                        const struct status_read *status)
{
    size_t count = count_members(status, "routes");
    begin_line(drawing);
    put_style(drawing, BOLD);
    put(drawing, " ROUTE");
    put_style(drawing, PLAIN);
    for (size_t i = 0; i < count; i++) {
        if (i >= ROUTES || !has_rows(drawing, ROUTE_ROWS + SENSOR_ROWS_MIN)) {
            draw_more(drawing, count - i, "routes");
            return;
        }
        draw_route(drawing, &view->routes[i], status, status_read_member(status, i, "routes"));
    }
}

/* The latest values of a sensor's first channel as blocks between their least and greatest. */
static void draw_curve(struct drawing *drawing, const struct sensor_history *history)
{
    static const char *const blocks[] = {"\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83",
                                         "\xe2\x96\x84", "\xe2\x96\x85", "\xe2\x96\x86",
                                         "\xe2\x96\x87", "\xe2\x96\x88"};
    static const char *const letters[] = {"_", "_", ".", "-", "-", "=", "^", "^"};
    double least = history->values[0];
    double greatest = least;
    for (unsigned i = 1; i < history->count; i++) {
        least = history->values[i] < least ? history->values[i] : least;
        greatest = history->values[i] > greatest ? history->values[i] : greatest;
    }
    double step = (greatest - least) / 8;
    for (unsigned i = history->count; i < CURVE; i++)
        put_text(drawing, " ");
    for (unsigned i = 0; i < history->count; i++) {
        unsigned level = step > 0 ? (unsigned)((history->values[i] - least) / step) : 3;
        level = level < 8 ? level : 7;
        put_text(drawing, drawing->screen->utf8 ? blocks[level] : letters[level]);
    }
}

static void draw_values(struct drawing *drawing, const struct status_read *status, const char *name)
{
    const char *channel;
    for (size_t i = 0; drawing->left > 0 &&
                       (channel = status_read_member(status, i, "sensors/%s/values", name)) != NULL;
         i++) {
        put_style(drawing, DIM);
        put(drawing, "  %s ", channel);
        put_style(drawing, PLAIN);
        put(drawing, "%s", status_read_text(status, "-", "sensors/%s/values/%s", name, channel));
    }
}

static void draw_sensor(struct drawing *drawing, const struct sensor_history *history,
                        const struct status_read *status, const char *name)
{
    const char *error = status_read_text(status, "", "sensors/%s/error", name);
    int64_t age_ms = status_read_milli(status, -1, "sensors/%s/age_s", name);
    begin_line(drawing);
    put(drawing, " %-12.12s %9" PRIu64 " %6" PRIu64 " %7s ", name,
        status_read_number(status, "sensors/%s/samples", name),
        status_read_number(status, "sensors/%s/errors", name), HUMAN_AGE_TEXT(age_ms));
    if (history != NULL)
        draw_curve(drawing, history);
    if (*error == '\0') {
        draw_values(drawing, status, name);
        return;
    }
    put_style(drawing, CAUTION);
    put(drawing, "  %s", error);
    put_style(drawing, PLAIN);
}

static void draw_sensors(struct drawing *drawing, const struct top_view *view,
                         const struct status_read *status)
{
    size_t count = count_members(status, "sensors");
    if (!has_rows(drawing, 2))
        return;
    begin_line(drawing);
    put_style(drawing, BOLD);
    put(drawing, " %-12s %9s %6s %7s           %s", "SENSOR", "SAMPLES", "ERRORS", "AGE", "VALUES");
    put_style(drawing, PLAIN);
    for (size_t i = 0; i < count; i++) {
        if (!has_rows(drawing, i + 1 < count ? 2 : 1)) {
            draw_more(drawing, count - i, "sensors");
            return;
        }
        draw_sensor(drawing, i < SENSORS ? &view->sensors[i] : NULL, status,
                    status_read_member(status, i, "sensors"));
    }
}

void top_view_draw(const struct top_view *view, const struct status_read *status,
                   const struct top_screen *screen, struct writer *out)
{
    struct drawing drawing;
    start(&drawing, screen, out);
    draw_title(&drawing, status);
    draw_agent(&drawing, status);
    draw_lanes(&drawing, status);
    draw_routes(&drawing, view, status);
    draw_sensors(&drawing, view, status);
    end(&drawing);
}

void top_view_draw_message(const char *text, const struct top_screen *screen, struct writer *out)
{
    struct drawing drawing;
    start(&drawing, screen, out);
    put(&drawing, " %s", text);
    end(&drawing);
}
