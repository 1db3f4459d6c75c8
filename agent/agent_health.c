/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent_state.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"

enum {
    FIRST_MS = 300 * 1000, /* by then routes have tried, and the numbers say something */
    AGAIN_MS = 60 * 1000,  /* after one that found no room */
};

static void gather_lanes(const struct status *status, struct driver_health *health)
{
    for (size_t i = 0; i < STATUS_LANES; i++) {
        const struct status_lane *lane = &status->lanes[i];
        health->pending += lane->pending;
        health->stored += lane->stored;
        health->stored_bytes += lane->stored_bytes;
        if (lane->oldest_age_ms > health->oldest_age_ms)
            health->oldest_age_ms = lane->oldest_age_ms;
    }
}

/* What is lost counts where something is kept: what an archive without "hold" did not get was never
 * promised to it. */
static void gather_route(const struct status_route *route, struct driver_health *health)
{
    health->retried += route->retried;
    health->throttled += route->throttled;
    for (size_t lane = 0; lane < STATUS_LANES; lane++) {
        health->delivered += route->counters[lane].delivered;
        health->evicted += route->hold ? route->counters[lane].evicted : 0;
        health->dead += route->hold ? route->counters[lane].dead : 0;
    }
}

static struct driver_health gather(struct agent *agent, const struct status *status)
{
    struct driver_health health = {
        .uptime_ms = status->uptime_ms,
        .private_bytes = status->memory_private_bytes,
        .spool_bytes = status->flash_size_bytes,
        .spool_used_bytes = status->flash_used_bytes,
        .flash_commits = status->flash_commits,
        .flash_bytes = status->flash_bytes,
        .link_bytes = status->link.month_bytes,
        .failing = collect_count_failing(agent->collect),
        .warnings = status->warning_count,
        .healthy = status->healthy,
        .clock = status->clock_quality,
    };
    gather_lanes(status, &health);
    for (size_t i = 0; i < status->route_count; i++)
        gather_route(&status->routes[i], &health);
    return health;
}

void agent_health_fill(void *context, struct driver_health *ret_health)
{
    struct agent_status now;
    agent_control_fill_status(context, &now);
    *ret_health = gather(context, &now.status);
}

/* ---- the record ---- */

static void write_agent(struct json_write *json, const struct status *status)
{
    json_write_text(json, "version", status->version);
    json_write_text(json, "config_id", status->config_id);
    json_write_signed(json, "uptime_s", status->uptime_ms / 1000);
}

static void write_counts(struct json_write *json, const struct driver_health *health)
{
    json_write_unsigned(json, "depth", health->pending + health->stored);
    json_write_signed(json, "oldest_age_s", health->oldest_age_ms / 1000);
    json_write_unsigned(json, "evicted", health->evicted);
    json_write_unsigned(json, "dead", health->dead);
}

static void write_rest(struct json_write *json, const struct status *status,
                       const struct driver_health *health)
{
    json_write_text(json, "clock", health->clock);
    if (status->certificate.file != NULL && status->certificate.has_days)
        json_write_signed(json, "certificate_days", status->certificate.days);
    json_write_unsigned(json, "flash_bytes", health->flash_bytes);
    json_write_unsigned(json, "flash_commits", health->flash_commits);
    json_write_unsigned(json, "link_bytes", health->link_bytes);
    json_write_boolean(json, "healthy", health->healthy);
    json_write_unsigned(json, "warnings", health->warnings);
}

static int send(struct agent *agent, const struct agent_status *now, enum lane lane)
{
    const struct driver_health health = gather(agent, &now->status);
    struct agent_note note;
    agent_note_begin(&note, AGENT_EVENT_HEALTH);
    write_agent(&note.json, &now->status);
    write_counts(&note.json, &health);
    write_rest(&note.json, &now->status, &health);
    return agent_note_send(agent, &note, lane, 0);
}

/* True unless a lane has no room at present: one that refuses what comes counts it. */
static bool send_all(struct agent *agent)
{
    struct agent_status now;
    unsigned lanes = agent_lanes_for_all(agent->config);
    agent_control_fill_status(agent, &now);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        int rc = (lanes >> lane & 1) != 0 ? send(agent, &now, lane) : E_OK;
        if (rc == E_AGAIN)
            return false;
        if (rc < 0)
            log_debug("health-not-recorded lane=%s error=\"%s\"", lane_name(lane), ERROR_TEXT(rc));
    }
    return true;
}

int64_t agent_health_look(struct agent *agent)
{
    int64_t every_ms = agent->config->health_ms;
    int64_t now_ms = clock_mono_ms();
    if (every_ms == 0)
        return INT64_MAX;
    if (agent->health_ms == 0)
        agent->health_ms = now_ms + (every_ms < FIRST_MS ? every_ms : FIRST_MS);
    if (now_ms >= agent->health_ms)
        agent->health_ms = now_ms + (send_all(agent) || every_ms < AGAIN_MS ? every_ms : AGAIN_MS);
    return agent->health_ms;
}
