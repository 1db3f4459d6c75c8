/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent_state.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"
#include "platform/fs.h"

enum { LOOK_MS = 1000, AGAIN_MS = 10000 };

static void note_failure(int code)
{
    if (code < 0)
        log_warning("config-trial-not-noted error=\"%s\"", ERROR_TEXT(code));
}

/* ---- how it ended ---- */

static void write_outcome(struct agent_note *note, const struct config_outcome *outcome)
{
    bool reverted = outcome->result == CONFIG_RESULT_REVERTED;
    agent_note_begin(note, reverted ? AGENT_EVENT_CONFIG_REVERTED : AGENT_EVENT_CONFIG_CONFIRMED);
    json_write_text(&note->json, "origin", config_origin_name(outcome->origin));
    json_write_text(&note->json, "document", outcome->digest);
    if (outcome->route[0] != '\0')
        json_write_text(&note->json, "route", outcome->route);
    if (reverted)
        json_write_text(&note->json, "error", outcome->error);
}

void agent_trial_tell(struct agent *agent)
{
    struct agent_trial *trial = &agent->trial;
    const struct config_outcome *outcome = &trial->store.outcome;
    struct agent_note note;
    trial->telling = false;
    if (outcome->result == CONFIG_RESULT_NONE || outcome->told)
        return;
    write_outcome(&note, outcome);
    agent_note_alarm(agent, &note);
    if (note.sequence == 0)
        return;
    trial->telling = true;
    trial->ticket = (struct spool_ticket){
        .lane = note.lane, .sequence = note.sequence, .event_fd = agent->attention.fd};
    spool_ticket_wait(agent->spool, &trial->ticket);
}

static void look_told(struct agent *agent)
{
    struct agent_trial *trial = &agent->trial;
    if (!trial->telling || !spool_ticket_accepted(agent->spool, &trial->ticket))
        return;
    trial->telling = false;
    note_failure(config_store_told(&trial->store));
}

void agent_trial_revert(struct agent *agent, const char *route, const char *error)
{
    char value[LOG_VALUE_BYTES];
    log_error("config-reverted origin=%s route=%s error=\"%s\"",
              config_origin_name(agent->trial.store.trial.applied.origin),
              route[0] != '\0' ? route : "none", log_value(value, error));
    note_failure(config_store_revert(&agent->trial.store, route, error));
}

static void confirm(struct agent *agent)
{
    struct config_store *store = &agent->trial.store;
    int rc = config_store_confirm(store);
    note_failure(rc);
    if (rc < 0)
        return; /* once more at the next look */
    log_info("config-confirmed origin=%s", config_origin_name(store->outcome.origin));
    agent_trial_tell(agent);
}

/* ---- while it is on ---- */

static size_t find_route(const struct agent *agent, const char *name)
{
    size_t i = 0;
    while (i < agent->config->route_count && strcmp(agent->config->routes[i].name, name) != 0)
        i++;
    return i;
}

static bool has_delivered(struct agent *agent, size_t index)
{
    struct uplink_status status;
    uplink_get_status(agent->uplinks[index], &status);
    return status.delivered_age_ms >= 0;
}

/* One that is there no longer, because a fragment was changed meanwhile, has nothing to prove. */
static void look_at_routes(struct agent *agent)
{
    struct config_store *store = &agent->trial.store;
    for (unsigned i = store->trial.route_count; i-- > 0;) {
        size_t index = find_route(agent, store->trial.routes[i]);
        if (index < agent->config->route_count && !has_delivered(agent, index))
            continue;
        if (index < agent->config->route_count)
            uplink_hurry(agent->uplinks[index], false);
        note_failure(config_store_prove(store, store->trial.routes[i]));
    }
}

static void count_time(struct agent *agent, int64_t now_ms)
{
    struct agent_trial *trial = &agent->trial;
    int64_t passed_ms = now_ms - trial->counted_ms;
    int64_t left_ms = trial->store.trial.left_ms;
    if (passed_ms < config_store_step_ms(&trial->store) && passed_ms < left_ms)
        return;
    note_failure(config_store_spend(&trial->store, passed_ms));
    trial->counted_ms = now_ms;
}

static void end_unproved(struct agent *agent)
{
    const struct config_trial *trial = &agent->trial.store.trial;
    struct uplink_status status = {.error = ""};
    char route[CFG_NAME_BYTES] = "";
    if (trial->route_count > 0) {
        (void)strcpy(route, trial->routes[0]);
        size_t index = find_route(agent, route);
        if (index < agent->config->route_count)
            uplink_get_status(agent->uplinks[index], &status);
    }
    agent_trial_revert(agent, route,
                       status.error[0] != '\0' ? status.error : "nothing was delivered in time");
    agent_config_load_next(agent);
}

/* Routes have something to prove themselves with, also where sensors are silent for hours. */
static void give_proof(struct agent *agent)
{
    const struct config_trial *trial = &agent->trial.store.trial;
    struct agent_note note;
    unsigned lanes = agent_lanes_for_all(agent->config);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        if ((lanes >> lane & 1) == 0)
            continue;
        agent_note_begin(&note, AGENT_EVENT_CONFIG_TRIAL);
        json_write_text(&note.json, "origin", config_origin_name(trial->applied.origin));
        json_write_text(&note.json, "document", trial->applied.digest);
        int rc = agent_note_send(agent, &note, lane, 0);
        if (rc < 0)
            log_debug("config-trial-not-recorded lane=%s error=\"%s\"", lane_name(lane),
                      ERROR_TEXT(rc));
    }
}

void agent_trial_begin(struct agent *agent)
{
    struct agent_trial *trial = &agent->trial;
    trial->begun_ms = trial->counted_ms = clock_mono_ms();
    if (trial->store.trial.is_on && trial->store.trial.route_count > 0)
        give_proof(agent);
    for (unsigned i = 0; trial->store.trial.is_on && i < trial->store.trial.route_count; i++) {
        size_t index = find_route(agent, trial->store.trial.routes[i]);
        if (index < agent->config->route_count)
            uplink_hurry(agent->uplinks[index], true);
    }
}

/* Without a route to prove anything it has to run for a while: the sensors may end it. */
static bool is_passed(const struct agent_trial *trial, int64_t now_ms)
{
    return trial->store.trial.route_count == 0 &&
           now_ms - trial->begun_ms >= config_store_step_ms(&trial->store);
}

/* What could not be written when it was decided, and what could not be loaded, such as a file on a
 * medium that shows itself long after the start of the machine. */
static int64_t look_again(struct agent *agent, int64_t now_ms)
{
    struct agent_trial *trial = &agent->trial;
    if (!trial->store.unwritten && !trial->uses_main)
        return INT64_MAX;
    if (now_ms < trial->again_ms)
        return trial->again_ms;
    trial->again_ms = now_ms + AGAIN_MS;
    (void)config_store_write(&trial->store); /* else the next time */
    if (trial->uses_main)
        agent_config_return(agent);
    return trial->again_ms;
}

int64_t agent_trial_look(struct agent *agent)
{
    struct agent_trial *trial = &agent->trial;
    int64_t now_ms = clock_mono_ms();
    look_told(agent);
    if (trial->next != NULL)
        return INT64_MAX;
    if (!trial->store.trial.is_on)
        return look_again(agent, now_ms);
    unsigned unproved = trial->store.trial.route_count;
    look_at_routes(agent);
    count_time(agent, now_ms);
    if ((unproved > 0 && trial->store.trial.route_count == 0) || is_passed(trial, now_ms))
        confirm(agent);
    else if (trial->store.trial.left_ms == 0)
        end_unproved(agent);
    agent_config_publish(agent);
    return trial->store.trial.is_on ? now_ms + LOOK_MS : INT64_MAX;
}

bool agent_trial_failed(struct agent *agent, int code)
{
    struct agent_trial *trial = &agent->trial;
    int fd;
    if (!trial->store.trial.is_on || fs_lock_directory(agent->config->spool.path, &fd) < 0)
        return false; /* another process has the spool: that is not the configuration's fault */
    agent_trial_revert(agent, "",
                       trial->start_fault[0] != '\0' ? trial->start_fault : ERROR_TEXT(code));
    (void)close(fd);
    agent_config_load_next(agent);
    agent_config_publish(agent);
    return trial->next != NULL;
}
