/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent_state.h"
#include "agent/control/sensor_view.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/clock.h"

/* SLACK_MS: for what its driver does beside a fetch. */
enum { WAIT_MS_MAX = 24 * 3600 * 1000, SLACK_MS = 2000 };

/* ---- the question ---- */

static uint64_t heard(const struct collect_status *status)
{
    return status->samples + status->errors + status->refused;
}

/* "NAME WAIT_MS" */
static int parse_read(const struct config *config, const char *text, struct agent_asking *asking)
{
    size_t name = strcspn(text, " ");
    uint64_t wait_ms;
    if (text[name] != ' ' ||
        parse_unsigned(text + name + 1, strlen(text + name + 1), &wait_ms) < 0 ||
        wait_ms > WAIT_MS_MAX)
        return E_INVALID;
    asking->wait_ms = (int64_t)wait_ms;
    for (asking->index = 0; asking->index < config->sensor_count; asking->index++) {
        const char *other = config->sensors[asking->index].name;
        if (strlen(other) == name && memcmp(other, text, name) == 0)
            return E_OK;
    }
    return E_NOT_FOUND;
}

static int start_read(struct agent *agent, const char *text, struct agent_asking *asking)
{
    int rc = parse_read(agent->config, text, asking);
    if (rc < 0)
        return rc;
    asking->deadline_ms = clock_mono_ms() + asking->wait_ms;
    rc = collect_ask(agent->collect, asking->index, &asking->ask);
    if (rc != E_UNSUPPORTED)
        return rc;
    collect_get_status(agent->collect, asking->index, &agent->sensor_status);
    asking->heard = heard(&agent->sensor_status);
    return E_OK;
}

int agent_sensors_start(void *context, unsigned slot, const char *request)
{
    struct agent *agent = context;
    struct agent_asking *asking = &agent->askings[slot];
    *asking = (struct agent_asking){.is_list = strcmp(request, "list") == 0};
    if (asking->is_list)
        return E_OK;
    return strncmp(request, "read ", 5) == 0 ? start_read(agent, request + 5, asking) : E_INVALID;
}

void agent_sensors_forget(void *context, unsigned slot)
{
    struct agent *agent = context;
    collect_unask(agent->askings[slot].ask);
    agent->askings[slot].ask = NULL;
}

/* ---- the answer ---- */

static struct sensor_view view_of(const struct cfg_sensor *config,
                                  const struct collect_status *status)
{
    bool has_text = status->document_bytes > 0 && status->document_bytes <= sizeof status->texts;
    return (struct sensor_view){.config = config,
                                .known = true,
                                .state = collect_state_name(status->state),
                                .error = status->error[0] != '\0' ? status->error : NULL,
                                .code = status->code,
                                .samples = status->samples,
                                .errors = status->errors,
                                .missed = status->missed,
                                .age_ms = status->age_ms,
                                .channel_count = status->channel_count,
                                .channels = status->channels,
                                .values = status->values,
                                .document_bytes = status->document_bytes,
                                .document = has_text ? status->texts : NULL};
}

static void write_list(struct agent *agent, struct json_write *json)
{
    for (size_t i = 0; i < agent->config->sensor_count; i++) {
        collect_get_status(agent->collect, i, &agent->sensor_status);
        struct sensor_view view = view_of(&agent->config->sensors[i], &agent->sensor_status);
        sensor_view_write(&view, json);
    }
}

/* Who has the bus, which may be the one that was asked for. */
static int say_busy(const struct agent *agent, const struct agent_asking *asking, bool begun,
                    char text[DRIVER_FAULT_BYTES])
{
    const char *name = agent->config->sensors[asking->index].name;
    const char *other = collect_asked(agent->collect, asking->index);
    if (begun || (other != NULL && strcmp(other, name) == 0)) {
        driver_say(text, "it is being asked, and its driver has not come back yet");
        return E_TIMEOUT;
    }
    driver_say(text, "its bus has not come to it%s%s%s", other != NULL ? ": the sensor " : "",
               other != NULL ? other : "", other != NULL ? " is being asked there" : "");
    return E_BUSY;
}

/* Nothing came in time: of a stream what there was before, of a bus who has it. */
static void write_late(struct agent *agent, const struct agent_asking *asking, bool begun,
                       struct json_write *json)
{
    char text[DRIVER_FAULT_BYTES];
    struct collect_status *status = &agent->sensor_status;
    struct sensor_view view = view_of(&agent->config->sensors[asking->index], status);
    view.code = asking->ask == NULL ? E_AGAIN : say_busy(agent, asking, begun, text);
    if (asking->ask == NULL)
        driver_say(text, "nothing new came within %" PRId64 " ms", asking->wait_ms);
    if (asking->ask != NULL || view.error == NULL)
        view.error = text;
    else
        view.code = status->code; /* of a stream that fails, why it does */
    sensor_view_write(&view, json);
}

static void write_reading(const struct agent *agent, const struct agent_asking *asking,
                          const struct collect_reading *reading, struct json_write *json)
{
    struct sensor_view view = view_of(&agent->config->sensors[asking->index], &reading->status);
    view.lack = reading->lack[0] != '\0' ? reading->lack : NULL;
    sensor_view_write(&view, json);
}

/* The bus may be busy for as long as somebody waits; once it has begun the sensor has its own time.
 * E_AGAIN: there is nothing to say yet. */
static int write_asked(struct agent *agent, const struct agent_asking *asking,
                       struct json_write *json)
{
    const struct collect_reading *reading = NULL;
    int64_t deadline_ms = asking->deadline_ms;
    int rc = collect_answer(asking->ask, &reading);
    if (rc == E_OK) {
        write_reading(agent, asking, reading, json);
        return E_OK;
    }
    if (rc == E_BUSY)
        deadline_ms += agent->config->sensors[asking->index].timeout_ms + SLACK_MS;
    if (clock_mono_ms() < deadline_ms)
        return E_AGAIN;
    collect_get_status(agent->collect, asking->index, &agent->sensor_status);
    write_late(agent, asking, rc == E_BUSY, json);
    return E_OK;
}

/* Of a stream, likewise: what it says next. */
static int write_heard(struct agent *agent, const struct agent_asking *asking,
                       struct json_write *json)
{
    struct collect_status *status = &agent->sensor_status;
    collect_get_status(agent->collect, asking->index, status);
    if (heard(status) > asking->heard) {
        struct sensor_view view = view_of(&agent->config->sensors[asking->index], status);
        sensor_view_write(&view, json);
        return E_OK;
    }
    if (clock_mono_ms() < asking->deadline_ms)
        return E_AGAIN;
    write_late(agent, asking, false, json);
    return E_OK;
}

int agent_sensors_next(void *context, unsigned slot, struct writer *out)
{
    struct agent *agent = context;
    struct agent_asking *asking = &agent->askings[slot];
    struct json_write json;
    int rc = E_OK;
    if (asking->is_told)
        return E_END;
    json_write_start(&json, out);
    json_write_object_begin(&json, NULL);
    if (asking->is_list)
        write_list(agent, &json);
    else if (asking->ask != NULL)
        rc = write_asked(agent, asking, &json);
    else
        rc = write_heard(agent, asking, &json);
    if (rc < 0)
        return rc;
    json_write_object_end(&json);
    writer_char(out, '\n');
    asking->is_told = out->error == E_OK;
    return out->error;
}
