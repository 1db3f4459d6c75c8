/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/agent_state.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"
#include "platform/machine.h"

enum {
    AGAIN_MS = 60 * 1000, /* after one that found no room */
    HOUR_MS = 60 * 60 * 1000,
};

/* Of one thing: the first ones at once, then what it does all day is said once an hour. Of all of
 * them together so few that three weeks without a route come to some 200 KB. */
static const struct agent_quota_rule of_trouble = {.burst = 4, .every_ms = HOUR_MS};
static const struct agent_quota_rule of_tally = {.burst = 1, .every_ms = HOUR_MS};
static const struct agent_quota_rule of_all = {.burst = 32, .every_ms = HOUR_MS / 2};
/* Numbers that always grow would leave nothing of that to what fails. */
static const struct agent_quota_rule of_tallies = {.burst = 8, .every_ms = 2 * HOUR_MS};

/* One look, at one moment. */
struct look {
    struct agent *agent;
    int64_t now_ms;
    int64_t again_ms; /* when the next one is due */
};

/* What is told of one thing, and what is told of all that is like it. */
struct share {
    struct agent_quota *quota, *all;
    const struct agent_quota_rule *rule, *rule_of_all;
};

static struct share share_of(struct look *look, struct agent_quota *quota)
{
    return (struct share){quota, &look->agent->tell.quota, &of_trouble, &of_all};
}

static void come_back(struct look *look, int64_t when_ms)
{
    if (when_ms < look->again_ms)
        look->again_ms = when_ms;
}

/* Whether what is to be told since SINCE_MS has lasted, and may be told. */
static bool may_tell(struct look *look, int64_t since_ms, const struct share *share)
{
    int64_t due_ms[] = {since_ms + look->agent->config->events_ms,
                        agent_quota_ms(share->quota, share->rule),
                        agent_quota_ms(share->all, share->rule_of_all)};
    bool may = true;
    for (size_t i = 0; i < sizeof due_ms / sizeof *due_ms; i++) {
        if (due_ms[i] <= look->now_ms)
            continue;
        may = false;
        come_back(look, due_ms[i]);
    }
    return may;
}

/* In calm lanes, so that it is delivered from RAM as others are. False: there is no room now. */
static bool send(struct look *look, struct agent_note *note, const struct share *share)
{
    struct agent *agent = look->agent;
    unsigned lanes = agent_lanes_for_all(agent->config);
    int rc = agent_note_end(note);
    bool is_sent = false;
    int64_t again_ms = 0;
    for (enum lane lane = 0; rc != E_TOO_BIG && lane < LANE_COUNT; lane++) {
        if ((lanes >> lane & 1) == 0)
            continue;
        rc = agent_note_put(agent, note, lane, 0);
        is_sent = is_sent || rc == E_OK;
        if (rc == E_AGAIN && again_ms == 0)
            again_ms = AGAIN_MS;
        if (rc == E_REFUSED) /* which its lane counts each time */
            again_ms = HOUR_MS;
    }
    if (rc < 0)
        log_debug("event-not-recorded error=\"%s\"", ERROR_TEXT(rc));
    if (!is_sent && again_ms > 0) {
        come_back(look, look->now_ms + again_ms);
        return false;
    }
    agent_quota_take(share->all, share->rule_of_all, look->now_ms);
    return true;
}

static void write_left_out(struct agent_note *note, uint64_t left_out)
{
    if (left_out > 0)
        json_write_unsigned(&note->json, "left_out", left_out);
}

static void write_for(struct agent_note *note, const struct look *look, int64_t since_ms)
{
    json_write_signed(&note->json, "for_s", (look->now_ms - since_ms) / 1000);
}

/* ---- troubles ---- */

/* What tells of one: its two events, what it is the trouble of, and why. */
struct story {
    enum agent_event begins, ends;
    const char *kind, *name;
    const char *state; /* NULL: there is none */
    const char *error;
};

static void tell_trouble(struct look *look, struct agent_trouble *trouble,
                         const struct story *story)
{
    const struct share share = share_of(look, &trouble->quota);
    struct agent_note note;
    if (!may_tell(look, trouble->is_on ? trouble->since_ms : 0, &share))
        return;
    agent_note_begin(&note, trouble->is_on ? story->begins : story->ends);
    json_write_text(&note.json, story->kind, story->name);
    write_for(&note, look, trouble->since_ms);
    if (trouble->is_on && story->state != NULL)
        json_write_text(&note.json, "state", story->state);
    if (trouble->is_on)
        agent_note_write_text(&note, "error", story->error);
    write_left_out(&note, trouble->changes - 1);
    if (send(look, &note, &share))
        agent_quota_tell_trouble(trouble, &of_trouble, look->now_ms);
}

/* What fails SINCE_MS (0: not) is in trouble once that has lasted. */
static void look_at(struct look *look, struct agent_trouble *trouble, int64_t since_ms,
                    const struct story *story)
{
    int64_t due_ms = since_ms + look->agent->config->events_ms;
    if (since_ms > 0 && due_ms > look->now_ms)
        come_back(look, due_ms);
    bool is_on = since_ms > 0 && due_ms <= look->now_ms;
    if (agent_quota_note_trouble(trouble, is_on, since_ms))
        tell_trouble(look, trouble, story);
}

static void look_at_sensors(struct look *look)
{
    struct agent *agent = look->agent;
    struct agent_tell *tell = &agent->tell;
    size_t count = agent->config->sensor_count;
    size_t first = tell->next_sensor;
    for (size_t i = 0; i < count; i++) {
        char error[COLLECT_ERROR_BYTES];
        size_t index = (first + i) % count;
        const struct agent_trouble before = tell->sensors[index];
        int64_t since_ms = collect_failing_ms(agent->collect, index, error);
        look_at(look, &tell->sensors[index], since_ms,
                &(struct story){.begins = AGENT_EVENT_SENSOR_DOWN,
                                .ends = AGENT_EVENT_SENSOR_UP,
                                .kind = "sensor",
                                .name = agent->config->sensors[index].name,
                                .error = error});
        if (before.is_told != tell->sensors[index].is_told)
            tell->next_sensor = index + 1; /* whoever waits comes before who was heard */
    }
}

static void look_at_credentials(struct look *look)
{
    struct agent *agent = look->agent;
    for (size_t i = 0; i < agent->credentials_count; i++) {
        char fault[CREDENTIALS_FAULT_BYTES];
        int64_t since_ms = credentials_cache_failing_ms(agent->credentials[i].cache, fault);
        look_at(look, &agent->tell.credentials[i], since_ms,
                &(struct story){.begins = AGENT_EVENT_CREDENTIALS_FAILING,
                                .ends = AGENT_EVENT_CREDENTIALS_RECOVERED,
                                .kind = "credentials",
                                .name = agent->credentials[i].config->name,
                                .error = fault});
    }
}

/* ---- routes ---- */

static void tell_tally(struct look *look, struct agent_tally *tally, enum agent_event event,
                       const char *route, uint64_t number, const char *error)
{
    const struct share share = {&tally->quota, &look->agent->tell.tally_quota, &of_tally,
                                &of_tallies};
    struct agent_note note;
    if (!agent_quota_note_tally(tally, number, look->now_ms) ||
        !may_tell(look, tally->since_ms, &share))
        return;
    agent_note_begin(&note, event);
    json_write_text(&note.json, "route", route);
    write_for(&note, look, tally->since_ms);
    json_write_unsigned(&note.json, "count", number - tally->told);
    if (error != NULL)
        agent_note_write_text(&note, "error", error);
    if (send(look, &note, &share))
        agent_quota_tell_tally(tally, &of_tally, number, look->now_ms);
}

/* Since when nothing went that was due, once that is too long; until then it comes back. */
static int64_t overdue_ms(struct look *look, const struct cfg_route *config,
                          const struct uplink_status *status)
{
    int64_t alarm_ms = look->agent->config->alarm_after_ms;
    if (!config->hold || status->due_ms == 0)
        return 0;
    if (status->due_ms < alarm_ms)
        come_back(look, look->now_ms + alarm_ms - status->due_ms);
    return status->due_ms < alarm_ms ? 0 : look->now_ms - status->due_ms;
}

/* Whatever the trouble began with, it ends when the route delivers. */
static int64_t route_trouble_ms(struct look *look, const struct cfg_route *config,
                                struct agent_tell_route *route, const struct uplink_status *status)
{
    int64_t since_ms = overdue_ms(look, config, status);
    if (status->state != UPLINK_NEEDS_OPERATOR)
        route->helpless_ms = 0;
    else if (route->helpless_ms == 0)
        route->helpless_ms = look->now_ms;
    if (since_ms == 0)
        since_ms = route->helpless_ms;
    if (since_ms == 0 && route->trouble.is_on && status->state != UPLINK_CONNECTED)
        since_ms = route->trouble.since_ms;
    return since_ms;
}

/* Where a destination takes nothing but readings, what told of a refusal is refused as well: one
 * that comes behind it says nothing by itself. */
static uint64_t refused_by(const struct agent_tell_route *route, const struct uplink_status *status)
{
    uint64_t told = route->dead.told;
    return told > 0 && status->refused == told + 1 ? told : status->refused;
}

static void look_at_route(struct look *look, size_t index)
{
    struct agent *agent = look->agent;
    const struct cfg_route *config = &agent->config->routes[index];
    struct agent_tell_route *route = &agent->tell.routes[index];
    struct uplink_status status;
    uplink_get_status(agent->uplinks[index], &status);
    int64_t since_ms = route_trouble_ms(look, config, route, &status);
    look_at(look, &route->trouble, since_ms,
            &(struct story){.begins = AGENT_EVENT_ROUTE_DOWN,
                            .ends = AGENT_EVENT_ROUTE_UP,
                            .kind = "route",
                            .name = config->name,
                            .state = uplink_state_name(status.state),
                            .error = status.error});
    tell_tally(look, &route->throttled, AGENT_EVENT_THROTTLED, config->name, status.throttled,
               NULL);
    tell_tally(look, &route->dead, AGENT_EVENT_DEAD_LETTERS, config->name,
               refused_by(route, &status), status.refusal);
}

/* ---- the clock ---- */

/* What nobody vouches for is no correction, and what merely grew old is none either. */
static bool is_corrected(const struct agent_tell_clock *told, const struct spool_clock_reading *now)
{
    return now->quality != TIME_ESTIMATED &&
           (told->quality == TIME_ESTIMATED || !agent_clock_agree(now->offset_ms, told->offset_ms));
}

static void look_at_clock(struct look *look)
{
    struct agent_tell_clock *clock = &look->agent->tell.clock;
    const struct share share = share_of(look, &clock->quota);
    struct spool_clock_reading now;
    struct agent_note note;
    agent_clock_read(&look->agent->clock, &now);
    if (!is_corrected(clock, &now)) {
        clock->since_ms = 0;
        return;
    }
    if (clock->since_ms == 0)
        clock->since_ms = look->now_ms;
    if (!may_tell(look, clock->since_ms, &share))
        return;
    agent_note_begin(&note, AGENT_EVENT_CLOCK_CORRECTED);
    json_write_text(&note.json, "from", agent_clock_quality_name(clock->quality));
    json_write_text(&note.json, "to", agent_clock_quality_name(now.quality));
    json_write_signed(&note.json, "step_ms", now.offset_ms - clock->offset_ms);
    if (!send(look, &note, &share))
        return;
    agent_quota_take(&clock->quota, &of_trouble, look->now_ms);
    clock->quality = now.quality;
    clock->offset_ms = now.offset_ms;
    clock->since_ms = 0;
}

/* ---- the start ---- */

static const char *name_end(struct agent *agent)
{
    static const char *const names[] = {[SPOOL_ENDED_UNKNOWN] = "unknown",
                                        [SPOOL_ENDED_CLEAN] = "clean",
                                        [SPOOL_ENDED_KILLED] = "killed",
                                        [SPOOL_ENDED_POWER] = "power"};
    enum spool_ended ended = spool_get_ended(agent->spool);
    if (ended == SPOOL_ENDED_POWER && machine_was_reset(""))
        return "watchdog";
    return names[ended];
}

static void tell_start(struct look *look)
{
    enum { BOOT_BYTES = 4 };
    struct agent *agent = look->agent;
    struct agent_tell *tell = &agent->tell;
    const struct share share = share_of(look, &tell->starts_quota);
    uint8_t id[CLOCK_BOOT_ID_BYTES];
    char boot[2 * BOOT_BYTES + 1];
    struct agent_note note;
    if (tell->starts == 0 || !may_tell(look, tell->opened_ms, &share))
        return;
    clock_boot_id(id);
    bytes_put_hex(boot, id, BOOT_BYTES);
    agent_note_begin(&note, AGENT_EVENT_STARTED);
    json_write_text(&note.json, "version", RUNNEL_VERSION);
    json_write_text(&note.json, "config_id", agent->config_id);
    json_write_text(&note.json, "boot", boot);
    json_write_signed(&note.json, "boot_s",
                      (clock_boot_ms() - (look->now_ms - agent->started_ms)) / 1000);
    json_write_text(&note.json, "ended", tell->ended);
    write_left_out(&note, tell->starts - 1);
    if (!send(look, &note, &share))
        return;
    agent_quota_take(&tell->starts_quota, &of_trouble, look->now_ms);
    tell->starts = 0;
}

/* ---- all of it ---- */

void agent_tell_attract(void *context)
{
    struct agent *agent = context;
    if (agent->tell.is_open)
        stop_request(&agent->attention);
}

/* A reload leaves what is still to be told of the clock. */
static void begin_with_clock(struct agent *agent)
{
    struct agent_tell_clock *clock = &agent->tell.clock;
    struct spool_clock_reading now;
    if (clock->is_known)
        return;
    agent_clock_read(&agent->clock, &now);
    *clock = (struct agent_tell_clock){
        .is_known = true, .quality = now.quality, .offset_ms = now.offset_ms};
}

int agent_tell_open(struct agent *agent)
{
    struct agent_tell *tell = &agent->tell;
    if (!tell->has_opened)
        tell->ended = name_end(agent);
    else if (tell->starts == 0) /* else how the run before ended is still to be told */
        tell->ended = "reload";
    tell->has_opened = true;
    tell->starts++;
    tell->opened_ms = clock_mono_ms();
    memset(tell->routes, 0, sizeof tell->routes);
    tell->next_sensor = 0;
    if (agent->config->events_ms == 0)
        return E_OK;
    tell->sensors = calloc(agent->config->sensor_count + 1, sizeof *tell->sensors);
    tell->credentials = calloc(agent->credentials_count + 1, sizeof *tell->credentials);
    if (tell->sensors == NULL || tell->credentials == NULL)
        return E_NO_MEMORY;
    for (size_t i = 0; i < agent->credentials_count; i++)
        credentials_cache_watch(agent->credentials[i].cache, agent_tell_attract, agent);
    begin_with_clock(agent);
    agent_clock_watch(&agent->clock, &agent->attention);
    tell->is_open = true;
    return E_OK;
}

void agent_tell_close(struct agent *agent)
{
    struct agent_tell *tell = &agent->tell;
    agent_clock_watch(&agent->clock, NULL);
    free(tell->sensors);
    free(tell->credentials);
    tell->sensors = tell->credentials = NULL;
    tell->is_open = false;
}

int64_t agent_tell_look(struct agent *agent)
{
    struct look look = {.agent = agent, .now_ms = clock_mono_ms(), .again_ms = INT64_MAX};
    if (!agent->tell.is_open)
        return look.again_ms;
    tell_start(&look);
    look_at_clock(&look);
    look_at_credentials(&look);
    for (size_t i = 0; i < agent->config->route_count; i++)
        look_at_route(&look, i);
    look_at_sensors(&look);
    return look.again_ms;
}
