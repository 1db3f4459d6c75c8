/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/sensor_view.h"

#include <string.h>

#include "agent/control/remedy.h"
#include "agent/control/status.h"
#include "platform/base/error.h"

static const char *find_setting(const struct cfg_sensor *sensor, const char *key)
{
    for (size_t i = 0; key != NULL && i < sensor->setting_count; i++)
        if (strcmp(sensor->settings[i].key, key) == 0)
            return sensor->settings[i].value;
    return NULL;
}

const char *sensor_view_place(const struct cfg_sensor *sensor)
{
    const char *bus = find_setting(sensor, sensor->driver->bus_key);
    return bus != NULL ? bus : find_setting(sensor, "path");
}

static void write_setup(const struct cfg_sensor *sensor, struct json_write *json)
{
    json_write_text(json, "driver", sensor->driver_name);
    json_write_text(json, "place", sensor_view_place(sensor));
    json_write_boolean(json, "stream", sensor->driver->wait_fd != NULL);
    json_write_boolean(json, "at_interval", config_sensor_at_interval(sensor));
    json_write_text(json, "lane", config_lane_name(sensor->lane));
    json_write_decimal(json, "interval_s", sensor->interval_ms, 3);
    json_write_decimal(json, "timeout_s", sensor->timeout_ms, 3);
}

static void write_channel(const struct channel *channel, const struct value *value,
                          struct json_write *json)
{
    json_write_object_begin(json, channel->name);
    status_write_value(json, "value", value);
    if (channel->unit[0] != '\0') {
        json_write_text(json, "unit", channel->unit);
        json_write_text(json, "meaning", driver_unit_meaning(channel->unit));
    }
    json_write_object_end(json);
}

static void write_values(const struct sensor_view *view, struct json_write *json)
{
    json_write_object_begin(json, "values");
    for (size_t i = 0; i < view->channel_count; i++)
        write_channel(&view->channels[i], &view->values[i], json);
    json_write_object_end(json);
    if (view->document_bytes == 0)
        return;
    json_write_unsigned(json, "document_bytes", view->document_bytes);
    if (view->document != NULL)
        json_write_text_bytes(json, "document", view->document, view->document_bytes);
}

static void write_fault(const struct sensor_view *view, struct json_write *json)
{
    const struct remedy *remedy = remedy_find(view->code);
    int errnum = error_errno(view->code);
    if (view->error == NULL) {
        json_write_null(json, "fault");
        return;
    }
    json_write_object_begin(json, "fault");
    json_write_text(json, "text", view->error);
    json_write_text(json, "meaning", ERROR_TEXT(view->code));
    json_write_text(json, "name", remedy != NULL ? remedy->name : NULL);
    if (errnum != 0)
        json_write_signed(json, "errno", errnum);
    json_write_array_begin(json, "check");
    for (size_t i = 0; remedy != NULL && remedy->checks[i] != NULL; i++)
        json_write_text(json, NULL, remedy->checks[i]);
    json_write_array_end(json);
    json_write_object_end(json);
}

static void write_known(const struct sensor_view *view, struct json_write *json)
{
    json_write_text(json, "state", view->state);
    json_write_unsigned(json, "samples", view->samples);
    json_write_unsigned(json, "errors", view->errors);
    json_write_unsigned(json, "missed", view->missed);
    if (view->age_ms < 0)
        json_write_null(json, "age_s");
    else
        json_write_decimal(json, "age_s", view->age_ms, 3);
    write_values(view, json);
    json_write_text(json, "missing", view->lack);
    write_fault(view, json);
}

void sensor_view_write(const struct sensor_view *view, struct json_write *json)
{
    json_write_object_begin(json, view->config->name);
    write_setup(view->config, json);
    if (view->known)
        write_known(view, json);
    json_write_object_end(json);
}
