/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_ASK_H
#define RUNNEL_AGENT_INTAKE_ASK_H

#include <pthread.h>
#include <stdatomic.h>

#include "agent/intake/sensor.h"

/**
 * What somebody puts in for the thread of a bus: to read one of its sensors now (collect_ask). The
 * question belongs to both until each has let go of it, so neither waits for the other.
 */
#ifdef CONFIG_COMMAND_SENSORS

struct ask_box {
    int fd; /* readable once something was put in */
    pthread_mutex_t lock;
    struct collect_ask *ask;      /* under lock; NULL: nothing was */
    struct sensor *_Atomic asked; /* whose driver the thread is in, for who has to wait */
};

/** E_NO_MEMORY, error_sys. On failure nothing is open. */
int ask_box_open(struct ask_box *box);

/** Once its thread has ended. One that is zeroed but for fd -1 was never open. */
void ask_box_close(struct ask_box *box);

/** Puts in the question for SENSOR. E_BUSY: another one is still in there; E_NO_MEMORY. */
int ask_box_put(struct ask_box *box, struct sensor *sensor, struct collect_ask **ret_ask);

/** What collect_answer and collect_unask do. */
int ask_reading(struct collect_ask *ask, const struct collect_reading **ret_reading);
void ask_release(struct collect_ask *ask);

/** For the thread: that it is in SENSOR's driver; NULL: in none. */
void ask_box_enter(struct ask_box *box, struct sensor *sensor);

/** For the thread: does what was put in, if something was. */
void ask_box_answer(struct ask_box *box);

#else /* nobody can ask */

struct ask_box {
    int fd; /* -1 */
};

static inline int ask_box_open(struct ask_box *box)
{
    box->fd = -1;
    return 0;
}

static inline void ask_box_close(struct ask_box *box)
{
    (void)box;
}

static inline void ask_box_enter(struct ask_box *box, struct sensor *sensor)
{
    (void)box;
    (void)sensor;
}

static inline void ask_box_answer(struct ask_box *box)
{
    (void)box;
}

#endif

#endif
