/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/batch/inspect.h"
#include "agent/control/human.h"
#include "platform/base/error.h"
#include "platform/json/json_write.h"

/* Seconds are enough for people, and fit into 80 columns. */
enum { SECONDS_CHARS = 19 };

static void time_text(int64_t wall_ms, char text[RENDER_JSON_TIME_BYTES])
{
    if (wall_ms == 0) {
        (void)snprintf(text, RENDER_JSON_TIME_BYTES, "-");
        return;
    }
    (void)render_json_time(wall_ms, text);
    (void)snprintf(text + SECONDS_CHARS, RENDER_JSON_TIME_BYTES - SECONDS_CHARS, "Z");
}

/* ---- for people ---- */

static void text_lanes(struct inspect *inspect, struct writer *out)
{
    writer_text(out, "\nLANE      RECORDS  BLOCKS      BYTES  OLDEST                NEWEST\n");
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        struct spool_lane_summary summary;
        char oldest[RENDER_JSON_TIME_BYTES];
        char newest[RENDER_JSON_TIME_BYTES];
        spool_walk_lane(inspect->spool, lane, &summary);
        time_text(summary.oldest_ms, oldest);
        time_text(summary.newest_ms, newest);
        writer_format(out, "%-7s%10" PRIu64 "%8" PRIu64 "%11s  %-20s  %s\n", lane_name(lane),
                      summary.records, summary.blocks, HUMAN_BYTES_TEXT(summary.bytes), oldest,
                      newest);
    }
}

static void text_route(const struct spool_route_summary *route, struct writer *out)
{
    writer_format(out, "\nroute %s%s%s\n", route->name,
                  route->hold ? "" : ", does not hold records", route->open ? "" : ", not running");
    writer_text(out, "LANE     ACCEPTED  DELIVERED     STORED       DEAD    EVICTED\n");
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        const struct spool_counters *counters = &route->counters[lane];
        if (route->lanes[lane])
            writer_format(
                out, "%-7s%10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 "\n",
                lane_name(lane), counters->accepted, counters->delivered, counters->stored,
                counters->dead, counters->evicted);
    }
}

static void text_spool(struct inspect *inspect, struct writer *out)
{
    struct spool_summary summary;
    struct spool_route_summary route;
    char since[RENDER_JSON_TIME_BYTES];
    spool_walk_summary(inspect->spool, &summary);
    time_text(summary.counters_since_ms, since);
    writer_text(out, "spool ");
    writer_text(out, summary.path);
    writer_format(out, "\nid %s   format %u   files set aside %u\n", inspect->id, summary.format,
                  summary.aside);
    writer_format(out, "%s of %s used   counters since %s\n", HUMAN_BYTES_TEXT(summary.used_bytes),
                  HUMAN_BYTES_TEXT(summary.size_bytes), since);
    text_lanes(inspect, out);
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++)
        if (spool_walk_route(inspect->spool, i, &route) == E_OK)
            text_route(&route, out);
}

/* ---- for programs ---- */

static void json_time(struct json_write *json, const char *key, int64_t wall_ms)
{
    char text[RENDER_JSON_TIME_BYTES];
    if (wall_ms == 0)
        return;
    (void)render_json_time(wall_ms, text);
    json_write_text(json, key, text);
}

static void json_lanes(struct inspect *inspect, struct json_write *json)
{
    json_write_object_begin(json, "lanes");
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        struct spool_lane_summary summary;
        spool_walk_lane(inspect->spool, lane, &summary);
        json_write_object_begin(json, lane_name(lane));
        json_write_unsigned(json, "records", summary.records);
        json_write_unsigned(json, "blocks", summary.blocks);
        json_write_unsigned(json, "bytes", summary.bytes);
        json_time(json, "oldest", summary.oldest_ms);
        json_time(json, "newest", summary.newest_ms);
        json_write_object_end(json);
    }
    json_write_object_end(json);
}

static void json_route(const struct spool_route_summary *route, struct json_write *json)
{
    json_write_object_begin(json, route->name);
    json_write_boolean(json, "running", route->open);
    json_write_boolean(json, "hold", route->hold);
    json_write_object_begin(json, "lanes");
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        const struct spool_counters *counters = &route->counters[lane];
        if (!route->lanes[lane])
            continue;
        json_write_object_begin(json, lane_name(lane));
        json_write_unsigned(json, "accepted", counters->accepted);
        json_write_unsigned(json, "delivered", counters->delivered);
        json_write_unsigned(json, "stored", counters->stored);
        json_write_unsigned(json, "dead", counters->dead);
        json_write_unsigned(json, "evicted", counters->evicted);
        json_write_object_end(json);
    }
    json_write_object_end(json);
    json_write_object_end(json);
}

static void json_spool(struct inspect *inspect, struct writer *out)
{
    struct spool_summary summary;
    struct spool_route_summary route;
    struct json_write json;
    spool_walk_summary(inspect->spool, &summary);
    json_write_start(&json, out);
    json_write_object_begin(&json, NULL);
    json_write_text(&json, "file", summary.path);
    json_write_text(&json, "spool", inspect->id);
    json_write_unsigned(&json, "format", summary.format);
    json_write_unsigned(&json, "size_bytes", summary.size_bytes);
    json_write_unsigned(&json, "used_bytes", summary.used_bytes);
    json_write_unsigned(&json, "set_aside", summary.aside);
    json_time(&json, "counters_since", summary.counters_since_ms);
    json_lanes(inspect, &json);
    json_write_object_begin(&json, "routes");
    for (unsigned i = 0; i < SPOOL_ROUTES_MAX; i++)
        if (spool_walk_route(inspect->spool, i, &route) == E_OK)
            json_route(&route, &json);
    json_write_object_end(&json);
    json_write_array_begin(&json, "events"); /* ended by inspect_show_end */
}

/* ---- both ---- */

void inspect_show_spool(struct inspect *inspect, struct writer *out)
{
    if (inspect->json)
        json_spool(inspect, out);
    else
        text_spool(inspect, out);
    inspect_log_show(inspect);
    if (!inspect->json)
        writer_text(out, "\nEVENTS\n");
}

void inspect_show_end(struct inspect *inspect, struct writer *out)
{
    if (inspect->json)
        writer_text(out, "]}\n");
}
