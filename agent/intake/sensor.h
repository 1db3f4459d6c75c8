/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_SENSOR_H
#define RUNNEL_AGENT_INTAKE_SENSOR_H

#include <pthread.h>

#include "agent/intake/collect.h"
#include "agent/intake/schedule.h"
#include "platform/base/log.h"

/**
 * One configured sensor of collect: it opens its driver, has it fetch and read, and hands samples
 * to the spool. Used by its bus's thread, but for what is said to be for any.
 */

struct sensor {
    const struct collect_sensor *setup;
    const struct collect_options *options;
    const struct stop *stop; /* of its thread, with its progress */
    void **bus_state;        /* its driver's, of all sensors of that thread */
    struct sensor *next;     /* on the same bus */
    void *instance;
    bool is_open;
    bool ended;      /* a polled one that is used up */
    uint32_t number; /* in the spool's dictionary */
    struct schedule schedule;
    struct sample_origin origin; /* behind the last sample handed to the spool */
    struct sample sample;
    struct sample flushed; /* what its transform held */
    bool is_defined;       /* number counts */
    bool is_reshaped;      /* its transform has other tags than number */
    struct log_limit limit;
    bool complained; /* in the log, and not yet said to be over */
    struct log_limit lack_limit;
    bool lack_said; /* likewise, of what is missing from its samples */
    char fault[DRIVER_FAULT_BYTES];
    pthread_mutex_t lock; /* of the rest, which any thread may read */
    struct collect_status status;
    int64_t sampled_boot_ms;
    int64_t failing_ms; /* since when it has failed; 0: it has not */
};

/** E_NO_MEMORY, error_sys. */
int sensor_init(struct sensor *sensor, const struct collect_sensor *setup,
                const struct collect_options *options);

/** Closes first. */
void sensor_free(struct sensor *sensor);

bool sensor_is_stream(const struct sensor *sensor);

/**
 * Opens it if it is not open, fetches, reads and hands on all that came. 0: a stream may have more
 * at once; E_AGAIN: nothing new; E_END: used up, and closed; E_STOP; any other error: it failed,
 * which is logged and in its status.
 */
int sensor_round(struct sensor *sensor);

/**
 * Opens it if it is not open, fetches and reads for somebody who wants to see it: hands nothing on,
 * logs nothing, and counts nothing. Not for a stream.
 */
void sensor_read_now(struct sensor *sensor, struct collect_reading *ret_reading);

void sensor_close(struct sensor *sensor);

/** When its transform has something to hand on (clock_mono_ms); INT64_MAX: it holds nothing. */
int64_t sensor_due_ms(const struct sensor *sensor);

/** Hands on what its transform has at BOOT_MS; INT64_MAX: all that it holds. 0; E_STOP. */
int sensor_flush(struct sensor *sensor, int64_t boot_ms);

/** Any thread. */
enum collect_state sensor_get_state(struct sensor *sensor);

/** As collect_failing_ms. */
int64_t sensor_failing_ms(struct sensor *sensor, char ret_error[COLLECT_ERROR_BYTES]);

/** For any thread. */
void sensor_get_status(struct sensor *sensor, struct collect_status *ret_status);

#endif
