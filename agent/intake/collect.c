/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/intake/collect.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/intake/ask.h"
#include "agent/intake/sensor.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/random.h"
#include "platform/thread.h"

/* Sensors that start together are spread a little; a stream without a descriptor to wait for is
 * looked at once a second unless it says how often. */
enum { SPREAD_MS = 250, LOOK_MS = 1000, GIVE_UP_FAILURES = 2 };

/* Sensors that share a thread. */
struct bus {
    const char *name;
    bool is_stream;
    struct stop stop; /* the collect's, with the progress of this thread */
    struct sensor *first;
    struct progress progress;
    struct thread thread;
    void *state;        /* its driver's, for all its sensors */
    struct ask_box box; /* of polled sensors */
};

struct collect {
    struct collect_options options;
    int own_stop;     /* what collect_stop signals */
    struct stop stop; /* readable if that, or the agent's stop, was asked for */
    struct sensor *sensors;
    struct bus *buses; /* at most one per sensor */
    size_t bus_count;
};

/* ---- buses ---- */

/* What names its bus, or NULL: it is on the one of its driver. */
static const char *bus_of(const struct collect_sensor *setup)
{
    const char *key = setup->driver->bus_key;
    if (setup->driver->alone)
        return setup->name;
    for (size_t i = 0; key != NULL && i < setup->setting_count; i++)
        if (strcmp(setup->settings[i].key, key) == 0)
            return setup->settings[i].value;
    return NULL;
}

/* Whether two polled sensors must not be asked at the same time. */
static bool share_bus(const struct collect_sensor *left, const struct collect_sensor *right)
{
    const char *left_bus = bus_of(left);
    const char *right_bus = bus_of(right);
    if (left->driver != right->driver)
        return false;
    return left_bus == right_bus ||
           (left_bus != NULL && right_bus != NULL && strcmp(left_bus, right_bus) == 0);
}

static struct bus *find_bus(struct collect *collect, const struct sensor *sensor)
{
    for (size_t i = 0; i < collect->bus_count; i++) {
        struct bus *bus = &collect->buses[i];
        if (!bus->is_stream && !sensor_is_stream(sensor) &&
            share_bus(bus->first->setup, sensor->setup))
            return bus;
    }
    return NULL;
}

static struct bus *add_bus(struct collect *collect, const struct sensor *sensor)
{
    struct bus *bus = &collect->buses[collect->bus_count++];
    const char *name = bus_of(sensor->setup);
    *bus = (struct bus){.stop = {.fd = collect->stop.fd, .progress = &bus->progress},
                        .is_stream = sensor_is_stream(sensor),
                        .progress = {.every_ms = collect->options.heartbeat_ms},
                        .box = {.fd = -1}};
    bus->name = bus->is_stream ? sensor->setup->name
                : name != NULL ? name
                               : sensor->setup->driver->name;
    return bus;
}

static void join_bus(struct collect *collect, struct sensor *sensor)
{
    struct bus *bus = find_bus(collect, sensor);
    if (bus == NULL)
        bus = add_bus(collect, sensor);
    sensor->stop = &bus->stop;
    sensor->bus_state = &bus->state;
    sensor->next = bus->first;
    bus->first = sensor;
}

/* ---- opening and closing ---- */

static int watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? error_sys(errno) : 0;
}

/* One descriptor that is readable when either stop is: an epoll can be polled itself. */
static int open_stop(struct collect *collect)
{
    int rc = stop_event_open(&collect->own_stop);
    if (rc < 0)
        return rc;
    collect->stop.fd = epoll_create1(EPOLL_CLOEXEC);
    if (collect->stop.fd < 0)
        return error_sys(errno);
    rc = watch(collect->stop.fd, collect->own_stop);
    if (rc == 0 && collect->options.stop != NULL)
        rc = watch(collect->stop.fd, collect->options.stop->fd);
    return rc;
}

static int open_boxes(struct collect *collect)
{
    for (size_t i = 0; i < collect->bus_count; i++) {
        int rc = collect->buses[i].is_stream ? 0 : ask_box_open(&collect->buses[i].box);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int open_sensors(struct collect *collect)
{
    size_t count = collect->options.sensor_count;
    collect->sensors = calloc(count + 1, sizeof *collect->sensors);
    collect->buses = calloc(count + 1, sizeof *collect->buses);
    if (collect->sensors == NULL || collect->buses == NULL)
        return E_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const struct collect_sensor *setup = &collect->options.sensors[i];
        if (setup->interval_ms <= 0 && setup->driver->wait_fd == NULL)
            return E_INVALID;
        int rc = sensor_init(&collect->sensors[i], setup, &collect->options);
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < count; i++)
        join_bus(collect, &collect->sensors[i]);
    return open_boxes(collect);
}

int collect_open(const struct collect_options *options, struct collect **ret_collect)
{
    struct collect *collect = calloc(1, sizeof *collect);
    if (collect == NULL)
        return E_NO_MEMORY;
    collect->options = *options;
    collect->own_stop = -1;
    collect->stop.fd = -1;
    int rc = open_stop(collect);
    if (rc == 0)
        rc = open_sensors(collect);
    if (rc < 0) {
        collect_close(collect);
        return rc;
    }
    *ret_collect = collect;
    return 0;
}

static bool is_running(const struct collect *collect)
{
    for (size_t i = 0; i < collect->bus_count; i++)
        if (collect->buses[i].thread.running)
            return true;
    return false;
}

void collect_close(struct collect *collect)
{
    if (collect == NULL || is_running(collect))
        return;
    for (size_t i = 0; collect->sensors != NULL && i < collect->options.sensor_count; i++)
        sensor_free(&collect->sensors[i]);
    for (size_t i = 0; i < collect->bus_count; i++)
        ask_box_close(&collect->buses[i].box);
    free(collect->sensors);
    free(collect->buses);
    if (collect->own_stop >= 0)
        (void)close(collect->own_stop);
    stop_close(&collect->stop);
    free(collect);
}

/* ---- the threads ---- */

static void plan(struct sensor *sensor, int rc)
{
    int64_t now_ms = clock_mono_ms();
    bool succeeded = rc == 0 || rc == E_AGAIN;
    if (succeeded && sensor_is_stream(sensor))
        schedule_restart(&sensor->schedule, now_ms);
    else if (succeeded)
        schedule_succeeded(&sensor->schedule, now_ms);
    else
        schedule_failed(&sensor->schedule, now_ms, random_below(UINT64_MAX));
}

static struct sensor *find_due(struct bus *bus)
{
    struct sensor *due = NULL;
    for (struct sensor *sensor = bus->first; sensor != NULL; sensor = sensor->next)
        if (!sensor->ended &&
            (due == NULL || schedule_due_ms(&sensor->schedule) < schedule_due_ms(&due->schedule)))
            due = sensor;
    return due;
}

/* When the first of their transforms has something to hand on. */
static int64_t find_flush_ms(const struct bus *bus)
{
    int64_t first_ms = INT64_MAX;
    for (const struct sensor *sensor = bus->first; sensor != NULL; sensor = sensor->next) {
        int64_t due_ms = sensor_due_ms(sensor);
        first_ms = due_ms < first_ms ? due_ms : first_ms;
    }
    return first_ms;
}

/* What has come due of it, or (INT64_MAX) all. 0; E_STOP. */
static int flush_bus(struct bus *bus, int64_t boot_ms)
{
    int rc = 0;
    for (struct sensor *sensor = bus->first; rc == 0 && sensor != NULL; sensor = sensor->next)
        rc = sensor_flush(sensor, boot_ms);
    return rc;
}

static void start_schedules(struct bus *bus)
{
    int64_t now_ms = clock_mono_ms();
    for (struct sensor *sensor = bus->first; sensor != NULL; sensor = sensor->next) {
        int64_t interval_ms = sensor->setup->interval_ms > 0 ? sensor->setup->interval_ms : LOOK_MS;
        int64_t spread_ms = interval_ms < SPREAD_MS ? interval_ms : SPREAD_MS;
        schedule_start(&sensor->schedule, interval_ms,
                       now_ms + (int64_t)random_below((uint64_t)spread_ms));
    }
}

/* When it is due; E_TIMEOUT: somebody else was to be read in its stead. */
static int wait_for_slot(struct bus *bus, const struct sensor *sensor)
{
    int64_t due_ms = schedule_due_ms(&sensor->schedule);
    int64_t flush_ms = find_flush_ms(bus);
    int rc = stop_wait(&bus->stop, bus->box.fd, POLLIN, flush_ms < due_ms ? flush_ms : due_ms);
    if (rc == E_TIMEOUT && flush_ms < due_ms) {
        rc = flush_bus(bus, clock_boot_ms());
        return rc < 0 ? rc : E_TIMEOUT;
    }
    if (rc == E_TIMEOUT || rc < 0)
        return rc == E_TIMEOUT ? 0 : rc;
    ask_box_answer(&bus->box);
    return E_TIMEOUT;
}

static int run_round(struct bus *bus, struct sensor *sensor)
{
    ask_box_enter(&bus->box, sensor);
    int rc = sensor_round(sensor);
    ask_box_enter(&bus->box, NULL);
    return rc;
}

static void run_polled(struct bus *bus)
{
    struct sensor *sensor;
    while ((sensor = find_due(bus)) != NULL) {
        int rc = wait_for_slot(bus, sensor);
        if (rc == E_TIMEOUT)
            continue;
        if (rc == 0)
            rc = run_round(bus, sensor);
        else if (rc != E_STOP)
            log_error("poll-failed bus=%s error=\"%s\"", bus->name, ERROR_TEXT(rc));
        if (rc == E_STOP)
            return;
        sensor->ended = rc == E_END;
        plan(sensor, rc);
    }
}

/* Until there is news, or it is time to look, or (after a failure) to try again. What its transform
 * has to hand on meanwhile is no news. One that was silent for too long is open all the same: what
 * it says then must not wait for the back-off. */
static int wait_for_news(struct bus *bus, int rc)
{
    struct sensor *sensor = bus->first;
    bool listens = rc == E_AGAIN || (rc == E_TIMEOUT && sensor->is_open);
    int fd = listens ? sensor->setup->driver->wait_fd(sensor->instance) : -1;
    int64_t until_ms = schedule_due_ms(&sensor->schedule);
    if (rc == E_AGAIN && fd >= 0 && sensor->setup->interval_ms <= 0)
        until_ms = INT64_MAX; /* it tells by itself */
    for (;;) {
        int64_t flush_ms = find_flush_ms(bus);
        rc = stop_wait(&bus->stop, fd, POLLIN, flush_ms < until_ms ? flush_ms : until_ms);
        if (rc != E_TIMEOUT || flush_ms >= until_ms)
            return rc;
        rc = flush_bus(bus, clock_boot_ms());
        if (rc < 0)
            return rc;
    }
}

static void run_stream(struct bus *bus)
{
    struct sensor *sensor = bus->first;
    while (!stop_requested(&bus->stop)) {
        int rc = sensor_round(sensor);
        if (rc == E_STOP || rc == E_END)
            return;
        plan(sensor, rc);
        if (rc == 0)
            continue;
        rc = wait_for_news(bus, rc);
        if (rc < 0 && rc != E_TIMEOUT && rc != E_STOP) {
            log_error("poll-failed bus=%s error=\"%s\"", bus->name, ERROR_TEXT(rc));
            sensor_close(sensor);
            plan(sensor, rc);
            (void)wait_for_news(bus, rc); /* now for the back-off alone */
        }
    }
}

static void run_bus(void *context)
{
    struct bus *bus = context;
    start_schedules(bus);
    if (bus->is_stream)
        run_stream(bus);
    else
        run_polled(bus);
    (void)flush_bus(bus, INT64_MAX);
    for (struct sensor *sensor = bus->first; sensor != NULL; sensor = sensor->next)
        sensor_close(sensor);
    progress_promise(&bus->progress, INT64_MAX); /* it owes nothing any more */
}

int collect_start(struct collect *collect)
{
    for (size_t i = 0; i < collect->bus_count; i++) {
        struct bus *bus = &collect->buses[i];
        char name[32];
        (void)snprintf(name, sizeof name, "in-%.24s", bus->name);
        progress_work(&bus->progress);
        int rc = thread_start(&bus->thread, name, run_bus, bus);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int collect_stop(struct collect *collect, int64_t deadline_ms)
{
    int result = 0;
    stop_event_signal(collect->own_stop);
    for (size_t i = 0; i < collect->bus_count; i++) {
        int rc = thread_join(&collect->buses[i].thread, deadline_ms);
        if (rc < 0)
            result = rc;
    }
    return result;
}

/* ---- what others may ask ---- */

/* GIVE_UP failures in a row to open a stream count as its end. */
static bool have_ended(struct collect *collect, unsigned give_up)
{
    struct collect_status status;
    for (size_t i = 0; i < collect->options.sensor_count; i++) {
        if (!sensor_is_stream(&collect->sensors[i]))
            continue;
        sensor_get_status(&collect->sensors[i], &status);
        if (status.state != COLLECT_ENDED && status.open_failures < give_up)
            return false;
    }
    return true;
}

bool collect_finished(struct collect *collect)
{
    return have_ended(collect, UINT_MAX);
}

bool collect_settled(struct collect *collect)
{
    return have_ended(collect, GIVE_UP_FAILURES);
}

const char *collect_state_name(enum collect_state state)
{
    static const char *const names[] = {"starting", "running", "waiting", "failing", "ended"};
    return names[state];
}

void collect_get_status(struct collect *collect, size_t index, struct collect_status *ret_status)
{
    sensor_get_status(&collect->sensors[index], ret_status);
}

#ifdef CONFIG_COMMAND_SENSORS
static struct bus *bus_of_sensor(const struct collect *collect, size_t index)
{
    struct bus *bus = collect->buses;
    while (&bus->stop != collect->sensors[index].stop)
        bus++;
    return bus;
}

int collect_ask(struct collect *collect, size_t index, struct collect_ask **ret_ask)
{
    struct bus *bus = bus_of_sensor(collect, index);
    if (bus->is_stream)
        return E_UNSUPPORTED;
    return ask_box_put(&bus->box, &collect->sensors[index], ret_ask);
}

int collect_answer(struct collect_ask *ask, const struct collect_reading **ret_reading)
{
    return ask_reading(ask, ret_reading);
}

void collect_unask(struct collect_ask *ask)
{
    ask_release(ask);
}

const char *collect_asked(const struct collect *collect, size_t index)
{
    const struct sensor *sensor = atomic_load(&bus_of_sensor(collect, index)->box.asked);
    return sensor == NULL ? NULL : sensor->setup->name;
}
#endif

size_t collect_count_failing(struct collect *collect)
{
    size_t count = 0;
    for (size_t i = 0; i < collect->options.sensor_count; i++)
        count += sensor_get_state(&collect->sensors[i]) == COLLECT_FAILING ? 1 : 0;
    return count;
}

int64_t collect_failing_ms(struct collect *collect, size_t index,
                           char ret_error[COLLECT_ERROR_BYTES])
{
    return sensor_failing_ms(&collect->sensors[index], ret_error);
}

const struct progress *collect_progress(const struct collect *collect, size_t index,
                                        const char **ret_bus)
{
    if (index >= collect->bus_count)
        return NULL;
    *ret_bus = collect->buses[index].name;
    return &collect->buses[index].progress;
}
