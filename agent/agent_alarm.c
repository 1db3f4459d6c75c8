/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent_state.h"
#include "platform/base/bytes.h"

static void begin(struct agent_note *note, enum agent_event event, const char *file)
{
    agent_note_begin(note, event);
    json_write_text(&note->json, "file", file);
}

void agent_alarm_other_hardware(struct agent *agent)
{
    uint8_t id[SPOOL_ID_BYTES];
    char text[SPOOL_ID_TEXT_BYTES];
    struct agent_note note;
    if (spool_get_id_before(agent->spool, id) < 0)
        return;
    bytes_put_hex(text, id, sizeof id);
    agent_note_begin(&note, AGENT_EVENT_SPOOL_ON_OTHER_HARDWARE);
    json_write_text(&note.json, "spool_before", text);
    agent_note_alarm(agent, &note);
}

void agent_alarm_set_aside(struct agent *agent)
{
    struct spool_set_aside aside;
    struct agent_note note;
    if (spool_get_set_aside(agent->spool, &aside) < 0)
        return;
    begin(&note, AGENT_EVENT_SPOOL_SET_ASIDE, aside.file);
    json_write_text(&note.json, "reason", aside.reason);
    json_write_text(&note.json, "salvage", "begun");
    agent_note_alarm(agent, &note);
}

void agent_alarm_salvaged(void *context, const struct spool_salvaged *salvaged)
{
    struct agent *agent = context;
    struct agent_note note;
    begin(&note, AGENT_EVENT_SPOOL_SALVAGED, salvaged->file);
    json_write_text(&note.json, "salvage", salvaged->kept ? "kept" : "ended");
    json_write_unsigned(&note.json, "records", salvaged->records);
    json_write_unsigned(&note.json, "lost", salvaged->lost);
    agent_note_alarm(agent, &note);
}
