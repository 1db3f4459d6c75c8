/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent_state.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"

enum {
    FIRST_MS = 300 * 1000, /* by then routes have tried, and the numbers say something */
    AGAIN_MS = 60 * 1000,  /* after one that found no room */
};

static void write_agent(struct json_write *json, const struct status *status)
{
    json_write_text(json, "version", status->version);
    json_write_text(json, "config_id", status->config_id);
    json_write_signed(json, "uptime_s", status->uptime_ms / 1000);
}

static void write_lanes(struct json_write *json, const struct status *status)
{
    uint64_t depth = 0;
    int64_t oldest_ms = 0;
    for (size_t i = 0; i < STATUS_LANES; i++) {
        const struct status_lane *lane = &status->lanes[i];
        depth += lane->pending + lane->stored;
        oldest_ms = lane->oldest_age_ms > oldest_ms ? lane->oldest_age_ms : oldest_ms;
    }
    json_write_unsigned(json, "depth", depth);
    json_write_signed(json, "oldest_age_s", oldest_ms / 1000);
}

/* Of those that something is kept for: what an archive without "hold" did not get was never
 * promised to it. */
static void write_losses(struct json_write *json, const struct config *config,
                         const struct status *status)
{
    uint64_t evicted = 0;
    uint64_t dead = 0;
    for (size_t i = 0; i < status->route_count; i++)
        for (size_t lane = 0; config->routes[i].hold && lane < STATUS_LANES; lane++) {
            evicted += status->routes[i].counters[lane].evicted;
            dead += status->routes[i].counters[lane].dead;
        }
    json_write_unsigned(json, "evicted", evicted);
    json_write_unsigned(json, "dead", dead);
}

static void write_rest(struct json_write *json, const struct status *status)
{
    json_write_text(json, "clock", status->clock_quality);
    if (status->certificate.file != NULL && status->certificate.has_days)
        json_write_signed(json, "certificate_days", status->certificate.days);
    json_write_unsigned(json, "flash_bytes", status->flash_bytes);
    json_write_unsigned(json, "flash_commits", status->flash_commits);
    json_write_unsigned(json, "link_bytes", status->link.month_bytes);
    json_write_boolean(json, "healthy", status->healthy);
    json_write_unsigned(json, "warnings", status->warning_count);
}

static int send(struct agent *agent, const struct agent_status *now, enum lane lane)
{
    struct agent_note note;
    agent_note_begin(&note, "health");
    write_agent(&note.json, &now->status);
    write_lanes(&note.json, &now->status);
    write_losses(&note.json, agent->config, &now->status);
    write_rest(&note.json, &now->status);
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
