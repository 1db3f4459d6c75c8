/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/agent_state.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"

enum { WAIT_MS = 1000 };

void agent_note_begin(struct agent_note *note, enum agent_event event)
{
    static const char *const names[] = {
#define AGENT_EVENT(symbol, name, members, meaning) [AGENT_EVENT_##symbol] = (name),
#include "agent/agent_event.def"
#undef AGENT_EVENT
    };
    note->sequence = 0;
    writer_to_memory(&note->text, note->bytes, sizeof note->bytes);
    json_write_start(&note->json, &note->text);
    json_write_object_begin(&note->json, NULL);
    json_write_text(&note->json, "event", names[event]);
}

void agent_note_write_text(struct agent_note *note, const char *key, const char *text)
{
    enum { TEXT_BYTES_MAX = 200 };
    char value[LOG_VALUE_BYTES];
    size_t count = strlen(log_value(value, text));
    json_write_text_bytes(&note->json, key, value, count < TEXT_BYTES_MAX ? count : TEXT_BYTES_MAX);
}

int agent_note_end(struct agent_note *note)
{
    json_write_object_end(&note->json);
    return note->text.error;
}

int agent_note_put(struct agent *agent, struct agent_note *note, enum lane lane, int64_t wait_ms)
{
    const struct sensor_definition definition = {.device = agent->config->device,
                                                 .name = CFG_OWN_SENSOR};
    struct sample sample = {.document = note->text.buffer, .document_bytes = note->text.used_bytes};
    struct spool_append append = {
        .lane = lane, .sample = &sample, .deadline_ms = clock_mono_ms() + wait_ms};
    note->lane = lane;
    int rc = spool_define_sensor(agent->spool, &definition, &append.sensor);
    return rc < 0 ? rc : spool_append(agent->spool, &append, &note->sequence);
}

int agent_note_send(struct agent *agent, struct agent_note *note, enum lane lane, int64_t wait_ms)
{
    int rc = agent_note_end(note);
    return rc < 0 ? rc : agent_note_put(agent, note, lane, wait_ms);
}

/* The lane for alarms if somebody gets it, else the first that somebody gets. */
void agent_note_alarm(struct agent *agent, struct agent_note *note)
{
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        if (!agent_control_carries(agent->config, lane))
            continue;
        int rc = agent_note_send(agent, note, lane, WAIT_MS);
        if (rc < 0)
            log_warning("alarm-not-recorded error=\"%s\"", ERROR_TEXT(rc));
        return;
    }
}
