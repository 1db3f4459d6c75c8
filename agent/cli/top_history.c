/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/top_history.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/error.h"

enum { NAME_BYTES = 64, ROUTES = 8, SENSORS = 128, SPAN = 6 };

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
    double values[TOP_CURVE]; /* the latest last */
};

struct top_history {
    struct route_history routes[ROUTES];
    struct sensor_history sensors[SENSORS];
};

int top_history_open(struct top_history **ret_history)
{
    struct top_history *history = calloc(1, sizeof(*history));
    if (history == NULL)
        return E_NO_MEMORY;
    *ret_history = history;
    return 0;
}

void top_history_close(struct top_history *history)
{
    free(history);
}

struct top_counters top_history_counters(const struct status_read *status, const char *name)
{
    struct top_counters sum = {0};
    const char *lane;
    for (size_t i = 0; (lane = status_read_member(status, i, "routes/%s/lanes", name)) != NULL;
         i++) {
        sum.accepted += status_read_number(status, "routes/%s/lanes/%s/accepted", name, lane);
        sum.delivered += status_read_number(status, "routes/%s/lanes/%s/delivered", name, lane);
        sum.stored += status_read_number(status, "routes/%s/lanes/%s/stored", name, lane);
        sum.dead += status_read_number(status, "routes/%s/lanes/%s/dead", name, lane);
        sum.evicted += status_read_number(status, "routes/%s/lanes/%s/evicted", name, lane);
    }
    return sum;
}

static void note_route(struct route_history *history, const struct status_read *status,
                       const char *name, int64_t now_ms)
{
    uint64_t delivered = top_history_counters(status, name).delivered;
    uint64_t bytes = status_read_number(status, "routes/%s/bytes_out", name);
    unsigned last = history->count > 0 ? history->count - 1 : 0;
    /* Another route took its place, or the agent started again: counters begin anew. */
    if (strncmp(history->name, name, NAME_BYTES - 1) != 0 || history->delivered[last] > delivered ||
        history->bytes[last] > bytes)
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
    history->delivered[history->count] = delivered;
    history->bytes[history->count++] = bytes;
}

static bool read_value(const struct status_read *status, const char *name, double *ret_value)
{
    const char *channel;
    for (size_t i = 0; (channel = status_read_member(status, i, "sensors/%s/values", name)) != NULL;
         i++) {
        const char *text = status_read_text(status, "", "sensors/%s/values/%s", name, channel);
        char *end;
        double value = strtod(text, &end);
        if (end == text || *end != '\0')
            continue;
        *ret_value = value;
        return true;
    }
    return false;
}

static void note_sensor(struct sensor_history *history, const struct status_read *status,
                        const char *name)
{
    double value;
    if (strncmp(history->name, name, NAME_BYTES - 1) != 0)
        *history = (struct sensor_history){0};
    (void)snprintf(history->name, NAME_BYTES, "%s", name);
    if (!read_value(status, name, &value))
        return;
    if (history->count == TOP_CURVE) {
        history->count--;
        memmove(history->values, history->values + 1, (TOP_CURVE - 1) * sizeof(*history->values));
    }
    history->values[history->count++] = value;
}

void top_history_note(struct top_history *history, const struct status_read *status, int64_t now_ms)
{
    const char *name;
    for (size_t i = 0; i < ROUTES && (name = status_read_member(status, i, "routes")) != NULL; i++)
        note_route(&history->routes[i], status, name, now_ms);
    for (size_t i = 0; i < SENSORS && (name = status_read_member(status, i, "sensors")) != NULL;
         i++)
        note_sensor(&history->sensors[i], status, name);
}

static double rate_of(const struct route_history *history, const uint64_t *series)
{
    if (history->count < 2)
        return 0;
    unsigned last = history->count - 1;
    int64_t span_ms = history->at_ms[last] - history->at_ms[0];
    return span_ms > 0 ? (double)(series[last] - series[0]) * 1000 / (double)span_ms : 0;
}

double top_history_records_rate(const struct top_history *history, size_t index)
{
    return index < ROUTES ? rate_of(&history->routes[index], history->routes[index].delivered) : 0;
}

double top_history_bytes_rate(const struct top_history *history, size_t index)
{
    return index < ROUTES ? rate_of(&history->routes[index], history->routes[index].bytes) : 0;
}

unsigned top_history_curve(const struct top_history *history, size_t index, unsigned max,
                           const double **ret_values)
{
    if (index >= SENSORS)
        return 0;
    const struct sensor_history *sensor = &history->sensors[index];
    unsigned count = sensor->count < max ? sensor->count : max;
    *ret_values = sensor->values + sensor->count - count;
    return count;
}
