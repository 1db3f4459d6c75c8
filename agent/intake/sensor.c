/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/intake/sensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/intake/shape.h"
#include "platform/base/error.h"
#include "platform/clock.h"

/* How long the spool is asked to make room at a time, and how much later than promised a thread may
 * be that the system is slow to wake. */
enum { ROOM_MS = 1000, SLACK_MS = 5000 };

/* What became of a sample, beside 0: it is where it belongs. */
enum { PASSED = 1, NOT_TAKEN = 2 };

int sensor_init(struct sensor *sensor, const struct collect_sensor *setup,
                const struct collect_options *options)
{
    *sensor = (struct sensor){.setup = setup, .options = options};
    sensor->status.age_ms = -1;
    sensor->instance = calloc(1, setup->driver->instance_bytes);
    if (sensor->instance == NULL)
        return E_NO_MEMORY;
    int rc = pthread_mutex_init(&sensor->lock, NULL);
    if (rc == 0)
        return 0;
    free(sensor->instance);
    sensor->instance = NULL;
    return error_sys(rc);
}

void sensor_free(struct sensor *sensor)
{
    if (sensor->instance == NULL)
        return;
    sensor_close(sensor);
    free(sensor->instance);
    sensor->instance = NULL;
    (void)pthread_mutex_destroy(&sensor->lock);
}

bool sensor_is_stream(const struct sensor *sensor)
{
    return sensor->setup->driver->wait_fd != NULL;
}

/* ---- status ---- */

static void clear_error(struct collect_status *status)
{
    status->error[0] = '\0';
    status->code = 0;
}

static void set_error(struct collect_status *status, int code, const char *text)
{
    driver_say(status->error, "%s", text);
    status->code = code;
}

/* NOW_MS 0: it does not fail, or not any more. True: that is news, for tell_trouble. */
static bool note_trouble_locked(struct sensor *sensor, int64_t now_ms)
{
    bool is_news = (now_ms == 0) != (sensor->failing_ms == 0);
    if (is_news)
        sensor->failing_ms = now_ms;
    return is_news;
}

/* Without the lock, since whoever hears of it may ask. */
static void tell_trouble(const struct sensor *sensor, bool is_news)
{
    if (is_news && sensor->options->on_trouble != NULL)
        sensor->options->on_trouble(sensor->options->context);
}

static void set_state(struct sensor *sensor, enum collect_state state)
{
    bool is_news = false;
    (void)pthread_mutex_lock(&sensor->lock);
    if (state == COLLECT_RUNNING && sensor->status.state == COLLECT_FAILING)
        clear_error(&sensor->status);
    if (state == COLLECT_RUNNING || state == COLLECT_WAITING || state == COLLECT_ENDED)
        is_news = note_trouble_locked(sensor, 0);
    sensor->status.state = state;
    sensor->status.missed = sensor->schedule.missed;
    (void)pthread_mutex_unlock(&sensor->lock);
    tell_trouble(sensor, is_news);
}

/* Values are copied with their texts; what does not fit is left out rather than cut. */
static void copy_values(struct collect_status *status, const struct sample *sample)
{
    size_t used = 0;
    for (size_t i = 0; i < status->channel_count; i++) {
        struct value *value = &status->values[i];
        *value = (struct value){.kind = VALUE_ABSENT};
        if (i >= sample->value_count)
            continue;
        *value = sample->values[i];
        if (value->kind != VALUE_TEXT)
            continue;
        if (value->text_bytes > sizeof status->texts - used) {
            *value = (struct value){.kind = VALUE_ABSENT};
            continue;
        }
        memcpy(status->texts + used, value->text, value->text_bytes);
        value->text = status->texts + used;
        used += value->text_bytes;
    }
    status->document_bytes = sample->document_bytes;
    if (sample->document_bytes > 0 && sample->document_bytes <= sizeof status->texts)
        memcpy(status->texts, sample->document, sample->document_bytes);
}

static void note_sample(struct sensor *sensor, const struct sample *sample)
{
    struct collect_status *status = &sensor->status;
    (void)pthread_mutex_lock(&sensor->lock);
    status->state = COLLECT_RUNNING;
    clear_error(status);
    status->samples++;
    status->missed = sensor->schedule.missed;
    sensor->sampled_boot_ms = sample->boot_ms;
    copy_values(status, sample);
    bool is_news = note_trouble_locked(sensor, 0);
    (void)pthread_mutex_unlock(&sensor->lock);
    tell_trouble(sensor, is_news);
}

static void note_failure(struct sensor *sensor, int code, const char *text)
{
    struct collect_status *status = &sensor->status;
    (void)pthread_mutex_lock(&sensor->lock);
    status->state = COLLECT_FAILING;
    status->errors++;
    set_error(status, code, text);
    bool is_news = note_trouble_locked(sensor, clock_mono_ms());
    (void)pthread_mutex_unlock(&sensor->lock);
    tell_trouble(sensor, is_news);
}

int64_t sensor_failing_ms(struct sensor *sensor, char ret_error[COLLECT_ERROR_BYTES])
{
    (void)pthread_mutex_lock(&sensor->lock);
    int64_t since_ms = sensor->failing_ms;
    driver_say(ret_error, "%s", sensor->status.error);
    (void)pthread_mutex_unlock(&sensor->lock);
    return since_ms;
}

enum collect_state sensor_get_state(struct sensor *sensor)
{
    (void)pthread_mutex_lock(&sensor->lock);
    enum collect_state state = sensor->status.state;
    (void)pthread_mutex_unlock(&sensor->lock);
    return state;
}

void sensor_get_status(struct sensor *sensor, struct collect_status *ret_status)
{
    struct collect_status *status = &sensor->status;
    (void)pthread_mutex_lock(&sensor->lock);
    *ret_status = *status;
    if (status->samples + status->suppressed > 0)
        ret_status->age_ms = clock_boot_ms() - sensor->sampled_boot_ms;
    for (size_t i = 0; i < status->channel_count; i++)
        if (status->values[i].kind == VALUE_TEXT)
            ret_status->values[i].text =
                ret_status->texts + (status->values[i].text - status->texts);
    (void)pthread_mutex_unlock(&sensor->lock);
}

/* ---- errors ---- */

static void complain(struct sensor *sensor, const char *event, const char *text)
{
    unsigned long silenced;
    char value[LOG_VALUE_BYTES];
    if (!log_limit_passes(&sensor->limit, clock_mono_ms(), &silenced))
        return;
    log_warning("%s sensor=%s error=\"%s\" silenced=%lu", event, sensor->setup->name,
                log_value(value, text), silenced);
    sensor->complained = true;
}

/* Of the driver, or else of the transforms. */
static const char *find_lack(const struct sensor *sensor)
{
    const struct driver *driver = sensor->setup->driver;
    const struct intake_transform *transform = sensor->setup->transform;
    const char *lack = driver->lack != NULL ? driver->lack(sensor->instance) : NULL;
    return lack == NULL && transform != NULL ? transform->lack(transform->context) : lack;
}

/* Once, until nothing is missing any more: the samples are good without it. */
static void note_lack(struct sensor *sensor)
{
    unsigned long silenced;
    char value[LOG_VALUE_BYTES];
    const char *lack = find_lack(sensor);
    (void)pthread_mutex_lock(&sensor->lock);
    driver_say(sensor->status.lack, "%s", lack == NULL ? "" : lack);
    (void)pthread_mutex_unlock(&sensor->lock);
    if (lack == NULL) {
        sensor->lack_said = false;
        return;
    }
    if (sensor->lack_said || !log_limit_passes(&sensor->lack_limit, clock_mono_ms(), &silenced))
        return;
    log_warning("sensor-incomplete sensor=%s missing=\"%s\"", sensor->setup->name,
                log_value(value, lack));
    sensor->lack_said = true;
}

/* TEXT NULL: nobody knows more than the code. */
static int fail(struct sensor *sensor, int code, const char *text)
{
    char meaning[ERROR_TEXT_BYTES];
    if (code == E_STOP)
        return code;
    if (text == NULL || *text == '\0')
        text = error_text(code, meaning, sizeof meaning);
    note_failure(sensor, code, text);
    complain(sensor, "sensor-failed", text);
    return code == E_AGAIN || code == E_END ? E_INVALID : code;
}

/* Fails in the driver's own words. They are gone once it is closed. */
static int fail_driver(struct sensor *sensor, int code)
{
    const char *text = sensor->setup->driver->fault(sensor->instance);
    return fail(sensor, code, text);
}

static void note_refusal(struct sensor *sensor, int code, const char *text, bool bad)
{
    struct collect_status *status = &sensor->status;
    (void)pthread_mutex_lock(&sensor->lock);
    status->state = COLLECT_RUNNING;
    status->errors += bad ? 1 : 0;
    status->refused++;
    set_error(status, code, text);
    /* One whose reading finds no room is well. */
    bool is_news = !bad && note_trouble_locked(sensor, 0);
    (void)pthread_mutex_unlock(&sensor->lock);
    tell_trouble(sensor, is_news);
}

/* What the driver could not make sense of. */
static void refuse_reading(struct sensor *sensor, int code)
{
    char meaning[ERROR_TEXT_BYTES];
    const char *text = sensor->setup->driver->fault(sensor->instance);
    if (text == NULL || *text == '\0')
        text = error_text(code, meaning, sizeof meaning);
    note_refusal(sensor, code, text, true);
    spool_count_refused(sensor->options->spool, sensor->setup->lane);
    complain(sensor, "reading-refused", text);
}

/* A good sample that the spool does not take. */
static void refuse_sample(struct sensor *sensor, enum lane lane, int code)
{
    char meaning[ERROR_TEXT_BYTES];
    const char *text = code == E_AGAIN || code == E_FULL ? "the spool has no room for it"
                       : code == E_REFUSED               ? "its lane is full and refuses more"
                                           : error_text(code, meaning, sizeof meaning);
    note_refusal(sensor, code, text, false);
    if (code != E_REFUSED) /* those spool_append has counted */
        spool_count_refused(sensor->options->spool, lane);
    complain(sensor, "sample-not-taken", text);
}

/* A sample that must not leave the device as it is. */
static void refuse_untransformed(struct sensor *sensor, int code)
{
    char text[DRIVER_FAULT_BYTES];
    driver_say(text, "its transforms cannot be applied: %s", ERROR_TEXT(code));
    note_refusal(sensor, code, text, true);
    spool_count_refused(sensor->options->spool, sensor->setup->lane);
    complain(sensor, "sample-refused", text);
}

/* ---- opening ---- */

static void note_channels(struct sensor *sensor, const struct channel *channels, size_t count)
{
    (void)pthread_mutex_lock(&sensor->lock);
    sensor->status.channel_count = count;
    memcpy(sensor->status.channels, channels, count * sizeof *channels);
    for (size_t i = 0; i < count; i++)
        sensor->status.values[i] = (struct value){.kind = VALUE_ABSENT};
    (void)pthread_mutex_unlock(&sensor->lock);
}

/* Tells the spool what is the same in all of the sensor's records. */
static int define(struct sensor *sensor, struct intake_shape *shape)
{
    const struct collect_sensor *setup = sensor->setup;
    shape_get(setup->transform, setup->tags, setup->tag_count, shape);
    int rc = shape_define(sensor->options->spool, sensor->options->device, setup->name, shape, 0,
                          &sensor->number);
    sensor->is_defined = sensor->is_defined || rc == 0;
    sensor->is_reshaped = rc < 0;
    return rc;
}

/* What its channels are, and what the transform makes of them. */
static int bind(struct sensor *sensor)
{
    const struct intake_transform *transform = sensor->setup->transform;
    struct intake_shape shape;
    int count = sensor->setup->driver->channels(sensor->instance, shape.channels);
    if (count < 0)
        return count;
    shape.channel_count = (size_t)count;
    int rc = transform == NULL ? 0
                               : transform->bind(transform->context, shape.channels,
                                                 shape.channel_count, sensor->fault);
    if (rc < 0)
        return rc;
    rc = define(sensor, &shape);
    if (rc == 0)
        note_channels(sensor, shape.channels, shape.channel_count);
    else
        driver_say(sensor->fault, "its channels cannot be stored: %s", ERROR_TEXT(rc));
    return rc;
}

static void note_open(struct sensor *sensor, bool opened)
{
    (void)pthread_mutex_lock(&sensor->lock);
    sensor->status.open_failures = opened ? 0 : sensor->status.open_failures + 1;
    (void)pthread_mutex_unlock(&sensor->lock);
}

/* On failure it is closed, and sensor->fault says why. */
static int open_driver(struct sensor *sensor)
{
    const struct collect_options *options = sensor->options;
    struct driver_context context = {.sensor = sensor->setup->name,
                                     .root = options->root,
                                     .settings = sensor->setup->settings,
                                     .setting_count = sensor->setup->setting_count,
                                     .interval_ms = sensor->setup->interval_ms,
                                     .timeout_ms = sensor->setup->timeout_ms,
                                     .document_bytes_max = options->document_bytes_max,
                                     .drain = options->drain,
                                     .resume = sensor->origin,
                                     .stop = sensor->stop,
                                     .agent = options->agent,
                                     .bus_state = sensor->bus_state,
                                     .fault = sensor->fault};
    /* What this process has read counts: the spool only knows what it has committed. */
    if (!sensor->origin.present && sensor_is_stream(sensor))
        spool_find_origin(options->spool, sensor->setup->name, &context.resume);
    sensor->fault[0] = '\0';
    memset(sensor->instance, 0, sensor->setup->driver->instance_bytes);
    sensor->is_open = true; /* close follows a failed open, too */
    int rc = sensor->setup->driver->open(sensor->instance, &context);
    if (rc == 0)
        rc = sensor_flush(sensor, INT64_MAX); /* it may come back with other channels */
    if (rc == 0)
        rc = bind(sensor);
    note_open(sensor, rc == 0);
    if (rc < 0)
        sensor_close(sensor);
    return rc;
}

void sensor_close(struct sensor *sensor)
{
    if (sensor->is_open)
        sensor->setup->driver->close(sensor->instance);
    sensor->is_open = false;
}

/* ---- handing on ---- */

static int append(struct sensor *sensor, const struct intake_item *item)
{
    uint64_t sequence;
    const struct spool_append append = {.lane = item->alarm ? LANE_ALARM : sensor->setup->lane,
                                        .sensor = sensor->number,
                                        .sample = item->sample,
                                        .source = sensor->setup->name,
                                        .deadline_ms = clock_mono_ms() + ROOM_MS};
    progress_promise(sensor->stop->progress, append.deadline_ms + SLACK_MS);
    return spool_append(sensor->options->spool, &append, &sequence);
}

/* A stream waits as long as it takes: what is behind it keeps what we do not take. */
static int append_patiently(struct sensor *sensor, const struct intake_item *item)
{
    for (;;) {
        int rc = append(sensor, item);
        if (rc != E_AGAIN && rc != E_FULL)
            return rc;
        set_state(sensor, COLLECT_WAITING);
        int64_t until_ms = clock_mono_ms() + (rc == E_FULL ? ROOM_MS : 0);
        rc = stop_wait(sensor->stop, -1, 0, until_ms);
        if (rc != E_TIMEOUT)
            return rc;
    }
}

static void tell_lost(struct sensor *sensor)
{
    const struct intake_transform *transform = sensor->setup->transform;
    if (transform != NULL)
        transform->lost(transform->context);
}

/* To the spool. 0; NOT_TAKEN, which is counted; E_STOP. */
static int hand_over(struct sensor *sensor, const struct intake_item *item)
{
    struct intake_shape shape;
    int rc = item->reshaped || sensor->is_reshaped ? define(sensor, &shape) : 0;
    if (rc == 0)
        rc = sensor_is_stream(sensor) ? append_patiently(sensor, item) : append(sensor, item);
    if (rc == E_STOP)
        return rc;
    if (rc < 0) {
        refuse_sample(sensor, item->alarm ? LANE_ALARM : sensor->setup->lane, rc);
        tell_lost(sensor);
        return NOT_TAKEN;
    }
    note_sample(sensor, item->sample);
    return 0;
}

int64_t sensor_due_ms(const struct sensor *sensor)
{
    const struct intake_transform *transform = sensor->setup->transform;
    int64_t due_ms = transform == NULL ? INT64_MAX : transform->due_ms(transform->context);
    return due_ms == INT64_MAX ? due_ms : due_ms - clock_boot_ms() + clock_mono_ms();
}

int sensor_flush(struct sensor *sensor, int64_t boot_ms)
{
    const struct intake_transform *transform = sensor->setup->transform;
    int rc = 0;
    if (transform == NULL || !sensor->is_defined)
        return 0;
    for (;;) {
        struct intake_item item = {.sample = &sensor->flushed};
        if (rc < 0)
            return rc;
        int flushed = transform->flush(transform->context, boot_ms, &item);
        if (flushed == 0)
            return 0;
        if (flushed < 0)
            refuse_untransformed(sensor, flushed);
        else
            rc = hand_over(sensor, &item);
    }
}

static void note_transform(struct sensor *sensor, bool suppressed)
{
    const struct intake_transform *transform = sensor->setup->transform;
    (void)pthread_mutex_lock(&sensor->lock);
    sensor->status.state = COLLECT_RUNNING;
    clear_error(&sensor->status);
    sensor->status.suppressed += suppressed;
    sensor->sampled_boot_ms = sensor->sample.boot_ms;
    sensor->status.unfit = transform->unfit(transform->context);
    sensor->status.missed = sensor->schedule.missed;
    bool is_news = note_trouble_locked(sensor, 0);
    (void)pthread_mutex_unlock(&sensor->lock);
    tell_trouble(sensor, is_news);
}

/* PASSED: ITEM is to be handed over; 0: it became no record, or not yet. NOT_TAKEN; E_STOP. */
static int run_transform(struct sensor *sensor, struct intake_item *item)
{
    const struct intake_transform *through = sensor->setup->transform;
    if (through == NULL)
        return PASSED;
    int rc = sensor_flush(sensor, item->sample->boot_ms);
    if (rc < 0)
        return rc;
    rc = through->push(through->context, item);
    if (rc < 0) {
        refuse_untransformed(sensor, rc);
        return NOT_TAKEN;
    }
    note_transform(sensor, rc == 0);
    return rc == 1 ? PASSED : 0;
}

/* Once it is with the spool or with the transform, which live as long as this process does, it is
 * not to be read again when the driver is opened again. */
static int hand_on(struct sensor *sensor)
{
    const struct sample_origin origin = sensor->sample.origin;
    struct intake_item item = {.sample = &sensor->sample};
    if (sensor->sample.boot_ms == 0)
        sensor->sample.boot_ms = clock_boot_ms();
    int rc = run_transform(sensor, &item);
    if (rc == PASSED)
        rc = hand_over(sensor, &item);
    if (rc == 0 && origin.present)
        sensor->origin = origin;
    return rc < 0 ? rc : 0;
}

/* ---- the round ---- */

static bool is_bad_reading(int code)
{
    return code == E_SYNTAX || code == E_RANGE || code == E_TOO_BIG || code == E_DAMAGED;
}

/* Whether what was opened is of no use any more, after an error of read (FETCHED) or of fetch. What
 * the driver said last would be gone behind close. */
static bool is_lost(int code, bool fetched)
{
    if (fetched)
        return !is_bad_reading(code);
    return code != E_TIMEOUT && code != E_REFUSED && code != E_AGAIN && code != E_END;
}

/* A polled driver is read once, a stream until it has no more. */
static int read_all(struct sensor *sensor)
{
    do {
        int rc = sensor->setup->driver->read(sensor->instance, &sensor->sample);
        if (rc == E_AGAIN || rc == E_STOP)
            return rc == E_AGAIN ? 0 : rc;
        if (is_bad_reading(rc)) {
            refuse_reading(sensor, rc);
            continue;
        }
        if (rc < 0) {
            rc = fail_driver(sensor, rc);
            sensor_close(sensor);
            return rc;
        }
        rc = hand_on(sensor);
        if (rc < 0)
            return rc;
        note_lack(sensor);
    } while (sensor_is_stream(sensor));
    return 0;
}

/* That its driver comes back; by when it has to. */
static int64_t promise_answer(struct sensor *sensor)
{
    int64_t deadline_ms = clock_mono_ms() + sensor->setup->timeout_ms;
    progress_promise(sensor->stop->progress, deadline_ms + SLACK_MS);
    return deadline_ms;
}

static int fetch(struct sensor *sensor)
{
    int64_t deadline_ms = promise_answer(sensor);
    int rc = sensor->setup->driver->fetch(sensor->instance, deadline_ms);
    if (rc >= 0 || rc == E_STOP)
        return rc < 0 ? rc : 0;
    if (rc == E_AGAIN) {
        set_state(sensor, COLLECT_RUNNING);
        return rc;
    }
    if (rc == E_END) {
        if (sensor_flush(sensor, INT64_MAX) == E_STOP)
            return E_STOP;
        sensor_close(sensor);
        set_state(sensor, COLLECT_ENDED);
        return rc;
    }
    bool lost = is_lost(rc, false);
    rc = fail_driver(sensor, rc);
    if (lost)
        sensor_close(sensor);
    return rc;
}

static void note_recovery(struct sensor *sensor)
{
    if (sensor->schedule.failures == 0)
        return;
    if (sensor->complained)
        log_info("sensor-recovered sensor=%s failures=%u", sensor->setup->name,
                 sensor->schedule.failures);
    sensor->complained = false;
}

int sensor_round(struct sensor *sensor)
{
    int rc = 0;
    promise_answer(sensor);
    if (!sensor->is_open && (rc = open_driver(sensor)) < 0)
        rc = fail(sensor, rc, sensor->fault);
    if (rc == 0)
        rc = fetch(sensor);
    if (rc == 0 || rc == E_AGAIN)
        note_recovery(sensor);
    return rc < 0 ? rc : read_all(sensor);
}

/* ---- for somebody who wants to see it ---- */

static void take_fault(struct collect_reading *reading, int code, const char *text)
{
    char meaning[ERROR_TEXT_BYTES];
    if (text == NULL || *text == '\0')
        text = error_text(code, meaning, sizeof meaning);
    reading->code = code;
    set_error(&reading->status, code, text);
}

/* As the driver gives it, before the transforms: the status has what they make of it. */
static void take_sample(struct sensor *sensor, const struct sample *sample,
                        struct collect_reading *reading)
{
    const struct driver *driver = sensor->setup->driver;
    int channels = driver->channels(sensor->instance, reading->status.channels);
    reading->status.channel_count = channels > 0 ? (size_t)channels : 0;
    const char *lack = driver->lack != NULL ? driver->lack(sensor->instance) : NULL;
    reading->status.state = COLLECT_RUNNING;
    reading->status.age_ms = 0;
    clear_error(&reading->status);
    copy_values(&reading->status, sample);
    (void)snprintf(reading->lack, sizeof reading->lack, "%s", lack != NULL ? lack : "");
}

static void read_open(struct sensor *sensor, struct collect_reading *reading)
{
    const struct driver *driver = sensor->setup->driver;
    struct sample sample = {0};
    int rc = driver->fetch(sensor->instance, promise_answer(sensor));
    bool fetched = rc >= 0;
    if (fetched)
        rc = driver->read(sensor->instance, &sample);
    if (rc >= 0) {
        take_sample(sensor, &sample, reading);
        return;
    }
    take_fault(reading, rc, driver->fault(sensor->instance));
    if (rc != E_STOP && is_lost(rc, fetched))
        sensor_close(sensor);
}

void sensor_read_now(struct sensor *sensor, struct collect_reading *ret_reading)
{
    int rc = 0;
    promise_answer(sensor);
    if (!sensor->is_open)
        rc = open_driver(sensor);
    *ret_reading = (struct collect_reading){.code = 0};
    sensor_get_status(sensor, &ret_reading->status);
    if (rc < 0)
        take_fault(ret_reading, rc, sensor->fault);
    else
        read_open(sensor, ret_reading);
}
