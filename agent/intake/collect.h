/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_COLLECT_H
#define RUNNEL_AGENT_INTAKE_COLLECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/intake/transform.h"
#include "agent/spool/spool.h"
#include "drivers/driver.h"
#include "drivers/sample.h"
#include "platform/stop.h"

/**
 * Asks the sensors on their schedules and hands what they say to the spool. One thread per bus: a
 * stream driver's sensor has a thread of its own; polled sensors share one if their driver is the
 * same and so is what they have for its bus_key. So a sensor that hangs delays others only on its
 * own bus, and there at most by its timeout.
 *
 * A sensor that fails is closed and opened again after a back-off with full jitter (up to 1 s, 2 s
 * ... CONFIG_COLLECT_BACKOFF_S); what it said last, and why it says nothing now, is in its status.
 * A sample that the spool has no room for is waited with if it comes from a stream (which then
 * waits in the file, FIFO or socket), else for at most a second; then it is counted as refused.
 */
struct collect;

enum {
    COLLECT_ERROR_BYTES = DRIVER_FAULT_BYTES,
    COLLECT_LACK_BYTES = 2 * DRIVER_FAULT_BYTES,
    COLLECT_TEXTS_BYTES = 512
};

struct collect_sensor {
    const char *name;
    const struct driver *driver;
    const struct driver_setting *settings;
    size_t setting_count;
    int64_t interval_ms; /* of a stream: also look so often where nothing tells of news; 0: never */
    int64_t timeout_ms;  /* the longest that one fetch may take */
    enum lane lane;
    const struct tag *tags;
    size_t tag_count;
    const struct intake_transform *transform; /* that its samples go through; NULL: none */
};

/** Everything that this points to stays the caller's and must stay valid until collect_close. */
struct collect_options {
    const struct collect_sensor *sensors;
    size_t sensor_count;
    const char *device;
    struct spool *spool;
    const struct stop *stop; /* the agent's, which ends collect as well; or NULL */
    bool drain;              /* finite inputs are read to their end */
    const char *root;        /* put before /proc, /sys and /dev; "" but in tests */
    size_t document_bytes_max;
    const struct driver_agent *agent; /* for drivers; or NULL */
    int64_t heartbeat_ms; /* how long a thread may sleep in one go, for a watchdog; 0: for ever */

    /** A sensor began to fail, or is well again: see collect_failing_ms. By the thread of its bus,
     *  which must not be kept waiting. NULL: nobody wants to know. */
    void (*on_trouble)(void *context);
    void *context;
};

/** Allocates all that is needed; touches no sensor. E_NO_MEMORY, E_INVALID, error_sys. */
int collect_open(const struct collect_options *options, struct collect **ret_collect);

/** Starts the threads. On failure some may run: collect_stop, collect_close. E_NO_MEMORY,
 *  error_sys. */
int collect_start(struct collect *collect);

/** Whether every stream has come to its end and all it held is in the spool (options.drain). */
bool collect_finished(struct collect *collect);

/** Whether every stream has come to its end or cannot be opened: twice in a row, because a file
 *  that is being rotated is away for a moment. */
bool collect_settled(struct collect *collect);

/** Ends the threads, of which each closes its sensors, until DEADLINE_MS (clock_mono_ms). 0, or
 *  E_TIMEOUT if one does not return from its driver: it may be asked again. */
int collect_stop(struct collect *collect, int64_t deadline_ms);

/** Gives everything back, but nothing while a thread still runs (after E_TIMEOUT of collect_stop).
 *  NULL is allowed. */
void collect_close(struct collect *collect);

enum collect_state {
    COLLECT_STARTING, /* not opened yet */
    COLLECT_RUNNING,
    COLLECT_WAITING, /* for room in the spool */
    COLLECT_FAILING, /* closed or unanswered, in back-off; error says why */
    COLLECT_ENDED,   /* its input is used up */
};

/** "starting", "running", "waiting", "failing", "ended". */
const char *collect_state_name(enum collect_state state);

struct collect_status {
    enum collect_state state;
    char error[COLLECT_ERROR_BYTES]; /* why the last try gave no sample; "" if it gave one */
    int code;                        /* what error says, as a number */
    unsigned open_failures;          /* in a row, up to now */
    uint64_t samples;                /* handed to the spool */
    uint64_t errors;                 /* failures to open or fetch, and readings refused as bad */
    uint64_t refused;                /* readings that were bad, or that the spool did not take */
    uint64_t suppressed;             /* samples that became no record of their own: transforms */
    uint64_t unfit;                  /* values that transforms made absent: not in any mantissa */
    char lack[COLLECT_ERROR_BYTES];  /* what is missing from the last sample, which was good; "" */
    uint64_t missed;                 /* slots of the schedule that passed unused */
    int64_t age_ms;                  /* of the last sample; -1: there is none */
    size_t channel_count;
    struct channel channels[SAMPLE_CHANNELS_MAX];
    struct value values[SAMPLE_CHANNELS_MAX]; /* of the last sample; texts point into texts */
    size_t document_bytes;                    /* of the last sample, if that was a document */
    char texts[COLLECT_TEXTS_BYTES]; /* what does not fit is VALUE_ABSENT; or the document, if it
                                        fits whole */
};

/** How many sensors are in COLLECT_FAILING. Any thread. */
size_t collect_count_failing(struct collect *collect);

/** Since when (clock_mono_ms) whatever was tried with the INDEX-th sensor of the options has
 *  failed, and in ERROR why; 0: it has not. Any thread. */
int64_t collect_failing_ms(struct collect *collect, size_t index,
                           char ret_error[COLLECT_ERROR_BYTES]);

/** What is known of the INDEX-th sensor of the options. */
void collect_get_status(struct collect *collect, size_t index, struct collect_status *ret_status);

struct collect_reading {
    int code; /* 0; why there is none, as fetch, read or open say it: status.error has it in words
               */
    char lack[COLLECT_LACK_BYTES]; /* what is missing from it; "": nothing is */
    struct collect_status status;  /* with the values of this reading instead of the last sample */
};

/** Where Kconfig did not leave out COMMAND_SENSORS: a question of which both sides hold a part, so
 * that neither waits for the other. */
struct collect_ask;

/**
 * Has the INDEX-th sensor, a polled one, read by the thread of its bus as soon as that is in no
 * driver. The reading is for who asked: it is not recorded, counts as nothing in the status, and
 * the schedule is what it was before, but that a slot that falls into it is late. Waits for
 * nothing. E_UNSUPPORTED: it is a stream; E_BUSY: somebody else asks on this bus; E_NO_MEMORY.
 */
int collect_ask(struct collect *collect, size_t index, struct collect_ask **ret_ask);

/** E_AGAIN: the bus has not come to it; E_BUSY: it is being read; 0: what came of it, valid until
 * collect_unask. Any thread. */
int collect_answer(struct collect_ask *ask, const struct collect_reading **ret_reading);

/** Lets go of it, answered or not; also after collect_close. NULL is allowed. */
void collect_unask(struct collect_ask *ask);

/** The name of the sensor whose driver the thread of the INDEX-th sensor, a polled one, is in at
 *  the moment, or NULL. Any thread. */
const char *collect_asked(const struct collect *collect, size_t index);

/** For a watchdog: of the INDEX-th thread, whose bus RET_BUS names until collect_close. NULL: there
 *  are not so many. */
const struct progress *collect_progress(const struct collect *collect, size_t index,
                                        const char **ret_bus);

#endif
