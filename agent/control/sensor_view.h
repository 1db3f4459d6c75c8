/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_SENSOR_VIEW_H
#define RUNNEL_AGENT_CONTROL_SENSOR_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/control/config.h"
#include "drivers/driver.h"
#include "platform/json/json_write.h"

/**
 * What `runnel sensors` says of a sensor, as JSON: by the agent over the control socket, or by the
 * command itself where no agent runs. Everything belongs to who filled the struct.
 */
struct sensor_view {
    const struct cfg_sensor *config;
    bool known;        /* an agent has it, or it was read: what follows says something */
    const char *state; /* a word, such as "running" */
    const char *error; /* why there is no sample, in the driver's words; NULL: nothing is wrong */
    int code;          /* the same as a number */
    const char *lack;  /* what is missing from the sample; NULL: nothing is */
    uint64_t samples, errors, missed;
    int64_t age_ms; /* of the sample; -1: there is none */
    size_t channel_count;
    const struct channel *channels;
    const struct value *values;
    size_t document_bytes;
    const char *document; /* NULL: it is too long to be shown */
};

/** As a member of the object that is being written, called like the sensor. */
void sensor_view_write(const struct sensor_view *view, struct json_write *json);

/** The bus or path that the sensor is at, or NULL: its driver has none. */
const char *sensor_view_place(const struct cfg_sensor *sensor);

#endif
