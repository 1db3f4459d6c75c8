/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_state.h"
#include "agent/control/human.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/clock.h"

/* ---- status ---- */

static void fill_sensor(void *context, size_t index, struct status_sensor *ret_sensor)
{
    struct agent *agent = context;
    struct collect_status *status = &agent->sensor_status;
    collect_get_status(agent->collect, index, status);
    *ret_sensor = (struct status_sensor){
        .name = agent->config->sensors[index].name,
        .driver = agent->config->sensors[index].driver_name,
        .error = status->error[0] == '\0' ? NULL : status->error,
        .lack = status->lack[0] == '\0' ? NULL : status->lack,
        .samples = status->samples,
        .errors = status->errors,
        .missed = status->missed,
        .suppressed = status->suppressed,
        .unfit = status->unfit,
        .age_ms = status->age_ms,
        .channel_count = status->channel_count,
    };
    memcpy(ret_sensor->channels, status->channels, sizeof ret_sensor->channels);
    memcpy(ret_sensor->values, status->values, sizeof ret_sensor->values);
}

static void fill_lanes(const struct spool_status *spool, struct status *status)
{
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        const struct spool_lane_status *from = &spool->lanes[lane];
        status->lanes[lane] = (struct status_lane){
            .name = lane_name(lane),
            .pending = from->pending,
            .refused = from->refused,
            .stored = from->stored,
            .stored_bytes = from->stored_bytes,
            .oldest_age_ms = from->oldest_age_ms,
        };
    }
}

static void fill_counters(struct spool_route *route, const struct cfg_route *config,
                          struct status_route *ret_route)
{
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        struct spool_counters counters;
        spool_route_counters(route, lane, &counters);
        ret_route->lanes[lane] = config->lanes[lane];
        ret_route->counters[lane] = (struct status_counters){.accepted = counters.accepted,
                                                             .delivered = counters.delivered,
                                                             .stored = counters.stored,
                                                             .dead = counters.dead,
                                                             .evicted = counters.evicted};
    }
}

static void fill_route(struct agent *agent, size_t index, struct uplink_status *uplink,
                       struct status_route *ret_route)
{
    const struct cfg_route *config = &agent->config->routes[index];
    uplink_get_status(agent->uplinks[index], uplink);
    *ret_route = (struct status_route){
        .name = config->name,
        .destination = config_destination_name(config->destination),
        .state = uplink_state_name(uplink->state),
        .error = uplink->error[0] == '\0' ? NULL : uplink->error,
        .hold = config->hold,
        .requests = uplink->requests,
        .retried = uplink->retried,
        .throttled = uplink->throttled,
        .bytes_out = uplink->bytes_out,
        .bytes_in = uplink->bytes_in,
        .handshakes = uplink->handshakes,
        .resumed = uplink->resumed,
        .credentials_failures = uplink->credentials_failures,
        .dns_failures = uplink->dns_failures,
        .delivered_age_ms = uplink->delivered_age_ms,
    };
    fill_counters(uplink_route(agent->uplinks[index]), config, ret_route);
}

/* P8: what is due and was not delivered for a quarter of an hour is a reason for alarm. */
static bool is_overdue(const struct agent *agent, size_t index, const struct uplink_status *uplink)
{
    return agent->config->routes[index].hold && uplink->due_ms >= agent->config->alarm_after_ms;
}

static void fill_health(struct agent *agent, const struct spool_status *spool,
                        struct agent_status *now)
{
    struct status *status = &now->status;
    status->healthy = true;
    if (spool->error < 0) {
        (void)snprintf(now->problem, sizeof now->problem, "the spool cannot be written: %s",
                       ERROR_TEXT(spool->error));
        status->healthy = false;
    }
    for (size_t i = 0; i < agent->config->route_count && status->healthy; i++) {
        const struct uplink_status *uplink = &now->uplinks[i];
        if (!is_overdue(agent, i, uplink))
            continue;
        (void)snprintf(
            now->problem, sizeof now->problem, "route %s has delivered nothing for %s: %s",
            agent->config->routes[i].name, HUMAN_AGE_TEXT(uplink->due_ms),
            uplink->error[0] != '\0' ? uplink->error : "a request has been under way since then");
        status->healthy = false;
    }
    status->problem = status->healthy ? NULL : now->problem;
}

#ifdef CONFIG_COAP
bool agent_control_healthy(struct agent *agent, const struct spool_status *spool,
                           struct uplink_status *uplink)
{
    bool healthy = spool->error >= 0;
    for (size_t i = 0; i < agent->config->route_count && healthy; i++) {
        uplink_get_status(agent->uplinks[i], uplink);
        healthy = !is_overdue(agent, i, uplink);
    }
    return healthy;
}
#endif

static void fill_warnings(const struct agent *agent, struct agent_status *now)
{
    struct status *status = &now->status;
    status_warn(status, agent->config->device_warning);
    if (!status->durable)
        status_warn(status, "the spool is not durable: a power cut loses what is not delivered");
    if (status->aside > 0)
        status_warn(status, "a damaged spool, or one of another version, was set aside: "
                            "spool.mdb.aside-*; what is whole in it is brought back, then it is "
                            "removed; one that stays needs a newer version");
    status_warn(status, agent_certificate_warning(&status->certificate, now->certificate));
}

static void fill_config(struct agent *agent, struct agent_status *now)
{
    status_warn(&now->status, agent_config_fill_status(agent, &now->store, &now->status.config));
    if (agent_config_is_refused(agent, now->refused))
        status_warn(&now->status, now->refused);
#ifdef CONFIG_CONFIG_SOURCE
    status_warn(&now->status, agent_source_warning(agent, now->source));
#endif
}

static void fill_rest(struct agent *agent, const struct spool_status *spool, struct status *status)
{
    struct spool_clock_reading clock;
    agent_clock_read(&agent->clock, &clock);
    status->device = agent->config->device;
    status->spool = agent->spool_id;
    status->version = RUNNEL_VERSION;
    status->config_id = agent->config_id;
    status->uptime_ms = clock_mono_ms() - agent->started_ms;
    status->durable = agent->storage_durable && spool->durable;
    status->aside = spool->aside;
    status->clock_quality = agent_clock_quality(&agent->clock);
    status->clock_offset_ms = clock.offset_ms;
    status->counters_since_ms = spool->counters_since_ms;
    status->flash_commits = spool->commits;
    status->flash_bytes = spool->flash_bytes;
    status->flash_today_bytes = spool->flash_today_bytes;
    status->flash_size_bytes = spool->size_bytes;
    status->flash_used_bytes = spool->used_bytes;
    spool_dead_count(agent->spool, &status->dead_letters, &status->dead_bytes);
    (void)status_measure_memory("/proc/self/smaps_rollup", &status->memory_rss_bytes,
                                &status->memory_private_bytes);
}

void agent_control_fill_status(struct agent *agent, struct agent_status *ret_status)
{
    struct spool_status spool;
    struct status *status = &ret_status->status;
    *status = (struct status){.route_count = agent->config->route_count,
                              .sensor_count = agent->config->sensor_count,
                              .sensor = fill_sensor,
                              .sensor_context = agent};
    spool_get_status(agent->spool, &spool);
    fill_lanes(&spool, status);
    for (size_t i = 0; i < status->route_count; i++)
        fill_route(agent, i, &ret_status->uplinks[i], &status->routes[i]);
    agent_link_fill_status(agent, &status->link);
    fill_health(agent, &spool, ret_status);
    fill_rest(agent, &spool, status);
    agent_certificate_fill_status(agent, &status->certificate);
    agent_confine_fill_status(agent, &status->confined);
    fill_warnings(agent, ret_status);
    fill_config(agent, ret_status);
#ifdef CONFIG_COAP
    agent_coap_fill_status(agent, ret_status);
#endif
}

static void write_status(void *context, bool text, struct writer *out)
{
    struct agent_status now;
    agent_control_fill_status(context, &now);
    if (text)
        status_write_text(&now.status, out);
    else
        status_write_json(&now.status, out);
}

/* ---- send ---- */

static const struct cfg_sensor *find_sensor(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->sensor_count; i++)
        if (strcmp(config->sensors[i].name, name) == 0)
            return &config->sensors[i];
#ifdef CONFIG_COAP
    for (size_t i = 0; i < config->coap.sensor_count; i++)
        if (strcmp(config->coap.sensors[i].sensor.name, name) == 0)
            return &config->coap.sensors[i].sensor;
#endif
    return NULL;
}

static struct sender *find_sender(struct agent *agent, const char *name)
{
    for (size_t i = 0; i < agent->sender_count; i++)
        if (strcmp(agent->senders[i].name, name) == 0)
            return &agent->senders[i];
    return NULL;
}

/* A sender need not be configured; if it is, it has the lane and the tags of its sensor. */
static int add_sender(struct agent *agent, const char *name, struct sender **ret_sender)
{
    struct tag tags[CFG_TAGS_MAX];
    const struct cfg_sensor *configured = find_sensor(agent->config, name);
    struct sensor_definition definition = {
        .device = agent->config->device, .name = name, .tags = tags};
    struct sender *sender = &agent->senders[agent->sender_count];
    if (strlen(name) >= sizeof sender->name)
        return E_TOO_BIG;
    if (strcmp(name, CFG_OWN_SENSOR) == 0)
        return E_EXISTS;
    if (agent->sender_count == SENDERS_MAX)
        return E_BUSY;
    if (configured != NULL)
        definition.tag_count = agent_tags(configured, tags);
    int rc = spool_define_sensor(agent->spool, &definition, &sender->sensor);
    if (rc < 0)
        return rc;
    (void)snprintf(sender->name, sizeof sender->name, "%s", name);
    sender->lane = configured != NULL ? (enum lane)configured->lane : LANE_NORMAL;
    agent->sender_count++;
    *ret_sender = sender;
    return E_OK;
}

bool agent_control_carries(const struct config *config, enum lane lane)
{
    for (size_t i = 0; i < config->route_count; i++)
        if (config->routes[i].lanes[lane])
            return true;
    return false;
}

static int submit(void *context, const struct control_document *document,
                  struct control_ticket *ticket)
{
    struct agent *agent = context;
    struct sender *sender = find_sender(agent, document->sensor);
    struct sample sample = {.document = document->bytes, .document_bytes = document->count};
    int rc = sender != NULL ? E_OK : add_sender(agent, document->sensor, &sender);
    if (rc < 0)
        return rc;
    struct spool_append append = {
        .lane = sender->lane, .sensor = sender->sensor, .sample = &sample};
    if (document->lane[0] != '\0')
        append.lane = lane_find(document->lane);
    if (append.lane == LANE_COUNT)
        return E_NOT_FOUND;
    if (!agent_control_carries(agent->config, append.lane))
        return E_UNSUPPORTED;
    rc = spool_append(agent->spool, &append, &ticket->sequence);
    if (rc == E_OK)
        ticket->lane = (unsigned)append.lane;
    return rc;
}

static void forget(void *context, unsigned slot)
{
    struct agent *agent = context;
    if (agent->waiting[slot])
        spool_ticket_forget(agent->spool, &agent->tickets[slot]);
    agent->waiting[slot] = false;
}

static bool accepted(void *context, const struct control_ticket *wanted)
{
    struct agent *agent = context;
    struct spool_ticket *ticket = &agent->tickets[wanted->slot];
    bool same = agent->waiting[wanted->slot] && ticket->sequence == wanted->sequence &&
                (unsigned)ticket->lane == wanted->lane;
    if (!same) {
        forget(agent, wanted->slot);
        *ticket = (struct spool_ticket){.lane = (enum lane)wanted->lane,
                                        .sequence = wanted->sequence,
                                        .event_fd = wanted->event_fd};
        spool_ticket_wait(agent->spool, ticket);
        agent->waiting[wanted->slot] = true;
    }
    return spool_ticket_accepted(agent->spool, ticket);
}

/* ---- the configuration ---- */

static int start_config(void *context, const char *request)
{
    struct agent_ask ask = {.wish = AGENT_WISH_NONE, .origin = CFG_ORIGIN_LOCAL};
    uint64_t confirm_ms;
    if (strcmp(request, "reload") == 0)
        ask.wish = AGENT_WISH_RELOAD;
    else if (strncmp(request, "apply ", 6) == 0)
        ask.wish = AGENT_WISH_APPLY;
    else if (strncmp(request, "main ", 5) == 0)
        ask.wish = AGENT_WISH_MAIN;
    else
        return E_INVALID;
    if (ask.wish != AGENT_WISH_RELOAD) {
        const char *number = strchr(request, ' ') + 1;
        if (parse_unsigned(number, strlen(number), &confirm_ms) < 0 ||
            confirm_ms < CONFIG_STORE_CONFIRM_MS_MIN || confirm_ms > CONFIG_STORE_CONFIRM_MS_MAX)
            return E_INVALID;
        ask.confirm_ms = (int64_t)confirm_ms;
    }
    return agent_config_ask(context, &ask);
}

static void forget_config(void *context)
{
    struct agent *agent = context;
    free(agent->reply.text);
    agent->reply = (struct config_reply){.text = NULL};
    agent_config_forget(agent);
}

/* What is wrong first, then what became of it. */
static int next_config(void *context, struct writer *out)
{
    struct agent *agent = context;
    struct config_reply *reply = &agent->reply;
    if (!reply->is_known) {
        int rc = agent_config_answer(agent, &reply->text);
        if (rc == E_AGAIN)
            return rc;
        *reply = (struct config_reply){.is_known = true, .code = rc, .text = reply->text};
    }
    size_t left = reply->text != NULL ? strlen(reply->text + reply->given) : 0;
    size_t count = left < out->buffer_bytes ? left : out->buffer_bytes;
    if (count > 0) {
        writer_bytes(out, reply->text + reply->given, count);
        reply->given += count;
        return E_OK;
    }
    int code = reply->code == E_OK ? E_END : reply->code;
    forget_config(agent);
    return code;
}

const struct control_operations agent_control_operations = {.config_start = start_config,
                                                            .config_next = next_config,
                                                            .config_forget = forget_config,
#ifdef CONFIG_COMMAND_SPOOL
                                                            .spool_start = agent_inspect_start,
                                                            .spool_next = agent_inspect_next,
#endif
#ifdef CONFIG_COMMAND_SENSORS
                                                            .sensor_start = agent_sensors_start,
                                                            .sensor_next = agent_sensors_next,
                                                            .sensor_forget = agent_sensors_forget,
#endif
                                                            .status = write_status,
                                                            .submit = submit,
                                                            .accepted = accepted,
                                                            .forget = forget};
