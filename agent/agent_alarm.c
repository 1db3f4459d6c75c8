/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent_state.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"
#include "platform/json/json_write.h"

enum { TEXT_BYTES = 512, WAIT_MS = 1000 };

/* The lane for alarms if somebody gets it, else the first that somebody gets. */
static enum lane choose_lane(const struct config *config)
{
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        if (agent_control_carries(config, lane))
            return lane;
    return LANE_COUNT;
}

static int append(struct agent *agent, const struct writer *text)
{
    const struct sensor_definition definition = {.device = agent->config->device, .name = "runnel"};
    struct sample sample = {.document = text->buffer, .document_bytes = text->used_bytes};
    struct spool_append append = {.lane = choose_lane(agent->config),
                                  .sample = &sample,
                                  .deadline_ms = clock_mono_ms() + WAIT_MS};
    uint64_t sequence;
    if (append.lane == LANE_COUNT)
        return E_OK; /* there is nobody to be told */
    int rc = spool_define_sensor(agent->spool, &definition, &append.sensor);
    return rc < 0 ? rc : spool_append(agent->spool, &append, &sequence);
}

static void begin(struct json_write *json, struct writer *text, const char *event, const char *file)
{
    json_write_start(json, text);
    json_write_object_begin(json, NULL);
    json_write_text(json, "event", event);
    json_write_text(json, "file", file);
}

static void send(struct agent *agent, struct json_write *json, struct writer *text)
{
    json_write_object_end(json);
    int rc = text->error < 0 ? text->error : append(agent, text);
    if (rc < 0)
        log_warning("alarm-not-recorded error=\"%s\"", ERROR_TEXT(rc));
}

void agent_alarm_set_aside(struct agent *agent)
{
    uint8_t bytes[TEXT_BYTES];
    struct spool_set_aside aside;
    struct json_write json;
    struct writer text;
    if (spool_get_set_aside(agent->spool, &aside) < 0)
        return;
    writer_to_memory(&text, bytes, sizeof bytes);
    begin(&json, &text, "spool-set-aside", aside.file);
    json_write_text(&json, "reason", aside.reason);
    json_write_text(&json, "salvage", "begun");
    send(agent, &json, &text);
}

void agent_alarm_salvaged(void *context, const struct spool_salvaged *salvaged)
{
    struct agent *agent = context;
    uint8_t bytes[TEXT_BYTES];
    struct json_write json;
    struct writer text;
    writer_to_memory(&text, bytes, sizeof bytes);
    begin(&json, &text, "spool-salvaged", salvaged->file);
    json_write_text(&json, "salvage", salvaged->kept ? "kept" : "ended");
    json_write_unsigned(&json, "records", salvaged->records);
    json_write_unsigned(&json, "lost", salvaged->lost);
    send(agent, &json, &text);
}
