/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/intake/ask.h"

#include <stdlib.h>
#include <unistd.h>

#include "platform/base/error.h"

struct collect_ask {
    pthread_mutex_t lock;
    unsigned holders; /* who asked, and the box */
    bool begun;
    bool answered;
    struct sensor *sensor;
    struct collect_reading reading;
};

void ask_box_enter(struct ask_box *box, struct sensor *sensor)
{
    atomic_store(&box->asked, sensor);
}

int ask_box_open(struct ask_box *box)
{
    *box = (struct ask_box){.fd = -1};
    int rc = pthread_mutex_init(&box->lock, NULL);
    if (rc != 0)
        return error_sys(rc);
    rc = stop_event_open(&box->fd);
    if (rc < 0) {
        box->fd = -1;
        (void)pthread_mutex_destroy(&box->lock);
    }
    return rc;
}

void ask_box_close(struct ask_box *box)
{
    if (box->fd < 0)
        return;
    ask_release(box->ask);
    (void)close(box->fd);
    (void)pthread_mutex_destroy(&box->lock);
    box->fd = -1;
}

static struct collect_ask *make(struct sensor *sensor)
{
    struct collect_ask *ask = calloc(1, sizeof *ask);
    if (ask == NULL || pthread_mutex_init(&ask->lock, NULL) != 0) {
        free(ask);
        return NULL;
    }
    ask->holders = 1;
    ask->sensor = sensor;
    return ask;
}

/* Who is not waited for and not begun is in nobody's way. */
static bool is_forgotten(struct collect_ask *ask)
{
    (void)pthread_mutex_lock(&ask->lock);
    bool forgotten = ask->holders == 1 && !ask->begun;
    (void)pthread_mutex_unlock(&ask->lock);
    return forgotten;
}

/* Under the box's lock. */
static bool has_room(struct ask_box *box)
{
    if (box->ask != NULL && is_forgotten(box->ask)) {
        ask_release(box->ask);
        box->ask = NULL;
    }
    return box->ask == NULL;
}

int ask_box_put(struct ask_box *box, struct sensor *sensor, struct collect_ask **ret_ask)
{
    struct collect_ask *ask = make(sensor);
    if (ask == NULL)
        return E_NO_MEMORY;
    (void)pthread_mutex_lock(&box->lock);
    bool taken = has_room(box);
    if (taken) {
        box->ask = ask;
        ask->holders++;
    }
    (void)pthread_mutex_unlock(&box->lock);
    if (!taken) {
        ask_release(ask);
        return E_BUSY;
    }
    stop_event_signal(box->fd);
    *ret_ask = ask;
    return 0;
}

/* What was put in, or NULL. It stays in the box until it is answered, so that nobody puts in
 * another one. */
static struct collect_ask *begin(struct ask_box *box)
{
    (void)pthread_mutex_lock(&box->lock);
    struct collect_ask *ask = has_room(box) ? NULL : box->ask;
    if (ask != NULL) {
        (void)pthread_mutex_lock(&ask->lock);
        ask->begun = true;
        (void)pthread_mutex_unlock(&ask->lock);
    }
    (void)pthread_mutex_unlock(&box->lock);
    return ask;
}

/* From then on the reading is not written any more. */
static void set_answered(struct collect_ask *ask)
{
    (void)pthread_mutex_lock(&ask->lock);
    ask->answered = true;
    (void)pthread_mutex_unlock(&ask->lock);
}

static void empty(struct ask_box *box)
{
    (void)pthread_mutex_lock(&box->lock);
    box->ask = NULL;
    (void)pthread_mutex_unlock(&box->lock);
}

void ask_box_answer(struct ask_box *box)
{
    stop_event_drain(box->fd);
    struct collect_ask *ask = begin(box);
    if (ask == NULL)
        return;
    ask_box_enter(box, ask->sensor);
    sensor_read_now(ask->sensor, &ask->reading);
    ask_box_enter(box, NULL);
    empty(box); /* first, so that whoever has the answer may ask again */
    set_answered(ask);
    ask_release(ask);
}

int ask_reading(struct collect_ask *ask, const struct collect_reading **ret_reading)
{
    (void)pthread_mutex_lock(&ask->lock);
    bool begun = ask->begun;
    bool answered = ask->answered;
    (void)pthread_mutex_unlock(&ask->lock);
    if (!answered)
        return begun ? E_BUSY : E_AGAIN;
    *ret_reading = &ask->reading;
    return 0;
}

void ask_release(struct collect_ask *ask)
{
    if (ask == NULL)
        return;
    (void)pthread_mutex_lock(&ask->lock);
    bool last = --ask->holders == 0;
    (void)pthread_mutex_unlock(&ask->lock);
    if (!last)
        return;
    (void)pthread_mutex_destroy(&ask->lock);
    free(ask);
}
