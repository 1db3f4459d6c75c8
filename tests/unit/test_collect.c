/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/intake/collect.h"
#ifdef WITH_CHAIN
#include "agent/transform/chain.h"
#endif
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/thread.h"
#include "tests/unit/driver_rig.h"
#include "tests/unit/fake_spool.h"

enum { SENSORS_MAX = 10, STOP_WITHIN_MS = 60000 };

struct bench {
    struct rig *rig; /* a root and a stop */
    struct spool *spool;
    struct collect *collect;
    struct collect_sensor sensors[SENSORS_MAX];
    struct collect_options options;
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    bench->spool = malloc(sizeof *bench->spool);
    assert_non_null(bench->spool);
    assert_int_equal(rig_setup((void **)&bench->rig), 0);
    fake_spool_init(bench->spool);
    bench->options = (struct collect_options){.sensors = bench->sensors,
                                              .device = "gw-17",
                                              .spool = bench->spool,
                                              .stop = &bench->rig->stop,
                                              .root = bench->rig->root,
                                              .document_bytes_max = 4096};
    *state = bench;
    return 0;
}

static void stop(struct bench *bench)
{
    assert_int_equal(collect_stop(bench->collect, clock_mono_ms() + STOP_WITHIN_MS), 0);
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    if (bench->collect != NULL)
        stop(bench);
    collect_close(bench->collect);
    fake_spool_free(bench->spool);
    (void)rig_teardown((void **)&bench->rig);
    free(bench->spool);
    free(bench);
    return 0;
}

static struct collect_sensor *add(struct bench *bench, const char *name,
                                  const struct driver *driver,
                                  const struct driver_setting *settings, size_t count)
{
    struct collect_sensor *sensor = &bench->sensors[bench->options.sensor_count++];
    assert_non_null(driver);
    *sensor = (struct collect_sensor){.name = name,
                                      .driver = driver,
                                      .settings = settings,
                                      .setting_count = count,
                                      .interval_ms = 5,
                                      .timeout_ms = 1000,
                                      .lane = LANE_NORMAL};
    return sensor;
}

static void start(struct bench *bench)
{
    assert_int_equal(collect_open(&bench->options, &bench->collect), 0);
    assert_int_equal(collect_start(bench->collect), 0);
}

static struct collect_status status_of(struct bench *bench, size_t index)
{
    struct collect_status status;
    collect_get_status(bench->collect, index, &status);
    return status;
}

/* For what shows in the status alone. Fails after a minute. */
static void wait_for_errors(struct bench *bench, size_t index, uint64_t errors)
{
    int64_t until_ms = clock_mono_ms() + STOP_WITHIN_MS;
    while (status_of(bench, index).errors < errors) {
        assert_true(clock_mono_ms() < until_ms);
        (void)stop_wait(&bench->rig->stop, -1, 0, clock_mono_ms() + 1);
    }
}

static void wait_until_finished(struct bench *bench)
{
    int64_t until_ms = clock_mono_ms() + STOP_WITHIN_MS;
    while (!collect_finished(bench->collect)) {
        assert_true(clock_mono_ms() < until_ms);
        (void)stop_wait(&bench->rig->stop, -1, 0, clock_mono_ms() + 1);
    }
}

static void wait_until_settled(struct bench *bench)
{
    int64_t until_ms = clock_mono_ms() + STOP_WITHIN_MS;
    while (!collect_settled(bench->collect)) {
        assert_true(clock_mono_ms() < until_ms);
        (void)stop_wait(&bench->rig->stop, -1, 0, clock_mono_ms() + 1);
    }
}

/* ---- drivers that do what a test needs ---- */

static int no_channels(const void *instance, struct channel *ret_channels)
{
    (void)instance;
    ret_channels[0] = (struct channel){.name = "value", .unit = "Cel", .decimals = 1};
    return 1;
}

static const char *no_fault(const void *instance)
{
    (void)instance;
    return NULL;
}

static int read_value(void *instance, struct sample *ret_sample)
{
    (void)instance;
    *ret_sample = (struct sample){.value_count = 1};
    ret_sample->values[0] = (struct value){.kind = VALUE_DECIMAL, .mantissa = 1, .decimals = 1};
    return 0;
}

static int fetch_nothing(void *instance, int64_t deadline_ms)
{
    (void)instance;
    (void)deadline_ms;
    return 0;
}

static void close_nothing(void *instance)
{
    (void)instance;
}

/* absent: cannot be opened until it is plugged in */
static atomic_bool plugged_in;

static int open_absent(void *instance, const struct driver_context *context)
{
    (void)instance;
    driver_say(context->fault, "/dev/thing: is it plugged in?");
    return atomic_load(&plugged_in) ? 0 : E_NOT_FOUND;
}

static const struct driver absent = {.name = "absent",
                                     .summary = "",
                                     .instance_bytes = 1,
                                     .open = open_absent,
                                     .channels = no_channels,
                                     .fetch = fetch_nothing,
                                     .read = read_value,
                                     .fault = no_fault,
                                     .close = close_nothing};

/* unwilling: answers that it has no value */
static atomic_int opened;

static int open_unwilling(void *instance, const struct driver_context *context)
{
    (void)instance;
    (void)context;
    (void)atomic_fetch_add(&opened, 1);
    return 0;
}

static int fetch_refused(void *instance, int64_t deadline_ms)
{
    (void)instance;
    (void)deadline_ms;
    return E_REFUSED;
}

static const struct driver unwilling = {.name = "unwilling",
                                        .summary = "",
                                        .instance_bytes = 1,
                                        .open = open_unwilling,
                                        .channels = no_channels,
                                        .fetch = fetch_refused,
                                        .read = read_value,
                                        .fault = no_fault,
                                        .close = close_nothing};

/* stuck: does not return from fetch until it is let go, whatever the deadline */
static sem_t entered, let_go;

static int open_nothing(void *instance, const struct driver_context *context)
{
    (void)instance;
    (void)context;
    return 0;
}

static int fetch_stuck(void *instance, int64_t deadline_ms)
{
    (void)instance;
    (void)deadline_ms;
    (void)sem_post(&entered);
    (void)sem_wait(&let_go);
    return 0;
}

static const struct driver stuck = {.name = "stuck",
                                    .summary = "",
                                    .instance_bytes = 1,
                                    .open = open_nothing,
                                    .channels = no_channels,
                                    .fetch = fetch_stuck,
                                    .read = read_value,
                                    .fault = no_fault,
                                    .close = close_nothing};

/* likewise, and each of its sensors by itself */
static const struct driver lonely = {.name = "lonely",
                                     .bus_key = "bus",
                                     .alone = true,
                                     .summary = "",
                                     .instance_bytes = 1,
                                     .open = open_nothing,
                                     .channels = no_channels,
                                     .fetch = fetch_stuck,
                                     .read = read_value,
                                     .fault = no_fault,
                                     .close = close_nothing};

/* deaf: likewise does not return from open */
static int open_stuck(void *instance, const struct driver_context *context)
{
    (void)context;
    return fetch_stuck(instance, 0);
}

static const struct driver deaf = {.name = "deaf",
                                   .summary = "",
                                   .instance_bytes = 1,
                                   .open = open_stuck,
                                   .channels = no_channels,
                                   .fetch = fetch_nothing,
                                   .read = read_value,
                                   .fault = no_fault,
                                   .close = close_nothing};

/* flaky: a stream of the numbers 1 to 10 at offsets 1 to 10, that breaks after every third */
enum { FLAKY_END = 10, FLAKY_BREAK = 3 };

struct flaky {
    uint64_t at;
    int read_since_open;
};

static int open_flaky(void *instance, const struct driver_context *context)
{
    struct flaky *flaky = instance;
    flaky->at = context->resume.present ? context->resume.offset : 0;
    return 0;
}

static int fetch_flaky(void *instance, int64_t deadline_ms)
{
    struct flaky *flaky = instance;
    (void)deadline_ms;
    if (flaky->at == FLAKY_END)
        return E_END;
    return flaky->read_since_open == FLAKY_BREAK ? E_CLOSED : 0;
}

static int read_flaky(void *instance, struct sample *ret_sample)
{
    struct flaky *flaky = instance;
    if (flaky->read_since_open == FLAKY_BREAK || flaky->at == FLAKY_END)
        return E_AGAIN;
    flaky->read_since_open++;
    flaky->at++;
    *ret_sample =
        (struct sample){.value_count = 1, .origin = {.present = true, .offset = flaky->at}};
    ret_sample->values[0] = (struct value){.kind = VALUE_DECIMAL, .mantissa = (int64_t)flaky->at};
    return 0;
}

static int no_fd(const void *instance)
{
    (void)instance;
    return -1;
}

static const struct driver flaky = {.name = "flaky",
                                    .summary = "",
                                    .instance_bytes = sizeof(struct flaky),
                                    .open = open_flaky,
                                    .channels = no_channels,
                                    .fetch = fetch_flaky,
                                    .read = read_flaky,
                                    .wait_fd = no_fd,
                                    .fault = no_fault,
                                    .close = close_nothing};

/* mute: a stream that is silent for too long, and stays open */
static int mute_fd = -1;
static atomic_uint mute_waits; /* for its descriptor */

int __real_stop_wait(const struct stop *stop, int fd, short events, int64_t deadline_ms);
int __wrap_stop_wait(const struct stop *stop, int fd, short events, int64_t deadline_ms);

int __wrap_stop_wait(const struct stop *stop, int fd, short events, int64_t deadline_ms)
{
    if (fd >= 0 && fd == mute_fd)
        atomic_fetch_add(&mute_waits, 1);
    return __real_stop_wait(stop, fd, events, deadline_ms);
}

static int fetch_mute(void *instance, int64_t deadline_ms)
{
    (void)instance;
    (void)deadline_ms;
    return E_TIMEOUT;
}

static int wait_mute(const void *instance)
{
    (void)instance;
    return mute_fd;
}

static const struct driver mute = {.name = "mute",
                                   .summary = "",
                                   .instance_bytes = 1,
                                   .open = open_nothing,
                                   .channels = no_channels,
                                   .fetch = fetch_mute,
                                   .read = read_value,
                                   .wait_fd = wait_mute,
                                   .fault = no_fault,
                                   .close = close_nothing};

/* talker: two texts, of which the second is too long for the status */
static char long_text[COLLECT_TEXTS_BYTES];

static int talker_channels(const void *instance, struct channel *ret_channels)
{
    (void)instance;
    ret_channels[0] = (struct channel){.name = "state"};
    ret_channels[1] = (struct channel){.name = "story"};
    return 2;
}

static int read_talker(void *instance, struct sample *ret_sample)
{
    (void)instance;
    *ret_sample = (struct sample){.value_count = 2};
    ret_sample->values[0] = (struct value){.kind = VALUE_TEXT, .text = "run", .text_bytes = 3};
    ret_sample->values[1] =
        (struct value){.kind = VALUE_TEXT, .text = long_text, .text_bytes = sizeof long_text};
    return 0;
}

static const struct driver talker = {.name = "talker",
                                     .summary = "",
                                     .instance_bytes = 1,
                                     .open = open_nothing,
                                     .channels = talker_channels,
                                     .fetch = fetch_nothing,
                                     .read = read_talker,
                                     .fault = no_fault,
                                     .close = close_nothing};

/* ---- polled sensors ---- */

static void test_samples_reach_the_spool(void **state)
{
    static const struct driver_setting square[] = {{"wave", "square"}, {"unit", "Cel"}};
    static const struct tag tags[] = {{"site", "pump-4"}};
    struct bench *bench = *state;
    struct collect_sensor *sensor = add(bench, "board", driver_find("sim"), square, 2);
    sensor->lane = LANE_ALARM;
    sensor->tags = tags;
    sensor->tag_count = 1;
    int64_t before_ms = clock_boot_ms();
    start(bench);
    fake_spool_wait(bench->spool, "board", 3);
    stop(bench);
    int64_t after_ms = clock_boot_ms();
    for (size_t i = 0; i < 3; i++) {
        struct fake_record record = fake_spool_record(bench->spool, "board", i);
        assert_int_equal(record.lane, LANE_ALARM);
        assert_in_range(record.boot_ms, before_ms, after_ms);
        assert_int_equal(record.value_count, 1);
        assert_int_equal(record.value.mantissa, 1000);
        assert_false(record.origin.present);
        before_ms = record.boot_ms;
    }
    const struct fake_sensor *defined = &bench->spool->sensors[0];
    assert_string_equal(defined->device, "gw-17");
    assert_string_equal(defined->tag, "site=pump-4");
    assert_int_equal(defined->channel_count, 1);
    assert_string_equal(defined->channels[0].name, "value");
    assert_string_equal(defined->channels[0].unit, "Cel");
    struct collect_status status = status_of(bench, 0);
    assert_int_equal(status.state, COLLECT_RUNNING);
    assert_int_equal(status.samples, fake_spool_count(bench->spool, "board"));
    assert_int_equal(status.errors, 0);
    assert_string_equal(status.error, "");
    assert_true(status.age_ms >= 0);
    assert_int_equal(status.channel_count, 1);
    assert_string_equal(status.channels[0].name, "value");
    assert_int_equal(status.values[0].kind, VALUE_DECIMAL);
}

static void test_nothing_is_known_before_the_start(void **state)
{
    struct bench *bench = *state;
    (void)add(bench, "board", driver_find("sim"), NULL, 0);
    assert_int_equal(collect_open(&bench->options, &bench->collect), 0);
    struct collect_status status = status_of(bench, 0);
    assert_int_equal(status.state, COLLECT_STARTING);
    assert_int_equal(status.age_ms, -1);
    assert_int_equal(status.channel_count, 0);
    assert_string_equal(collect_state_name(status.state), "starting");
}

static void test_no_sensors_are_no_trouble(void **state)
{
    struct bench *bench = *state;
    start(bench);
    assert_true(collect_finished(bench->collect));
    const char *bus;
    assert_null(collect_progress(bench->collect, 0, &bus));
}

static void test_a_polled_sensor_needs_an_interval(void **state)
{
    struct bench *bench = *state;
    add(bench, "board", driver_find("sim"), NULL, 0)->interval_ms = 0;
    assert_int_equal(collect_open(&bench->options, &bench->collect), E_INVALID);
    assert_null(bench->collect);
}

static void test_there_is_one_thread_per_bus(void **state)
{
    static const struct driver_setting left[] = {{"bus", "left"}};
    static const struct driver_setting right[] = {{"bus", "right"}};
    static const char *const names[] = {"sim",   "left",   "stuck", "right",
                                        "first", "second", "third", "fourth"};
    struct bench *bench = *state;
    const char *bus;
    (void)add(bench, "a", driver_find("sim"), NULL, 0);
    (void)add(bench, "b", driver_find("sim"), left, 1);
    (void)add(bench, "c", &stuck, left, 1);
    (void)add(bench, "d", driver_find("sim"), right, 1);
    (void)add(bench, "e", driver_find("sim"), NULL, 0);
    (void)add(bench, "f", &stuck, NULL, 0);
    (void)add(bench, "first", &flaky, NULL, 0);
    (void)add(bench, "second", &flaky, NULL, 0);
    (void)add(bench, "third", &lonely, left, 1);
    (void)add(bench, "fourth", &lonely, left, 1);
    assert_int_equal(collect_open(&bench->options, &bench->collect), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_non_null(collect_progress(bench->collect, i, &bus));
        assert_string_equal(bus, names[i]);
    }
    assert_null(collect_progress(bench->collect, sizeof names / sizeof names[0], &bus));
}

static void test_threads_say_when_they_will_be_back(void **state)
{
    struct bench *bench = *state;
    const char *bus;
    add(bench, "rare", driver_find("sim"), NULL, 0)->interval_ms = 3600000;
    int64_t before_ms = clock_mono_ms();
    start(bench);
    fake_spool_wait(bench->spool, "rare", 1);
    const struct progress *progress = collect_progress(bench->collect, 0, &bus);
    assert_in_range(atomic_load(&progress->due_ms), before_ms + 1, INT64_MAX - 1);
    stop(bench);
    assert_true(atomic_load(&progress->due_ms) == INT64_MAX);
}

static void test_a_failing_sensor_says_so_and_stops_no_other(void **state)
{
    static const struct driver_setting failing[] = {{"fail_every", "1"}};
    struct bench *bench = *state;
    (void)add(bench, "sick", driver_find("sim"), failing, 1);
    (void)add(bench, "well", driver_find("sim"), NULL, 0);
    start(bench);
    wait_for_errors(bench, 0, 2);
    fake_spool_wait(bench->spool, "well", 20);
    stop(bench);
    struct collect_status status = status_of(bench, 0);
    assert_int_equal(status.state, COLLECT_FAILING);
    assert_string_equal(status.error, "simulated: the sensor failed");
    assert_int_equal(status.samples, 0);
    assert_int_equal(status.age_ms, -1);
    assert_int_equal(fake_spool_count(bench->spool, "sick"), 0);
}

static void test_a_sensor_that_recovers_is_read_again(void **state)
{
    static const struct driver_setting failing[] = {{"fail_every", "3"}};
    struct bench *bench = *state;
    (void)add(bench, "shaky", driver_find("sim"), failing, 1);
    start(bench);
    fake_spool_wait(bench->spool, "shaky", 5); /* two, a failure, two, a failure, one */
    stop(bench);
    struct collect_status status = status_of(bench, 0);
    assert_true(status.errors >= 2);
    assert_int_equal(status.samples, fake_spool_count(bench->spool, "shaky"));
}

static void test_a_sensor_that_hangs_is_left_at_its_timeout(void **state)
{
    static const struct driver_setting hanging[] = {{"hang", "7d"}};
    struct bench *bench = *state;
    add(bench, "hung", driver_find("sim"), hanging, 1)->timeout_ms = 20;
    (void)add(bench, "well", driver_find("sim"), NULL, 0);
    start(bench);
    wait_for_errors(bench, 0, 2);
    fake_spool_wait(bench->spool, "well", 20);
    stop(bench);
    struct collect_status status = status_of(bench, 0);
    assert_int_equal(status.state, COLLECT_FAILING);
    assert_non_null(strstr(status.error, "no answer"));
}

static void test_garbage_is_refused_and_counted(void **state)
{
    static const struct driver_setting garbage[] = {{"garbage", "true"}};
    struct bench *bench = *state;
    add(bench, "noise", driver_find("sim"), garbage, 1)->lane = LANE_BULK;
    start(bench);
    wait_for_errors(bench, 0, 10);
    stop(bench);
    struct collect_status status = status_of(bench, 0);
    assert_int_equal(status.state, COLLECT_RUNNING);
    assert_int_equal(status.errors, status.refused);
    assert_int_equal(bench->spool->refused[LANE_BULK], status.refused);
    assert_string_equal(status.error, "simulated: the reading is garbage");
    assert_int_equal(fake_spool_count(bench->spool, NULL), 0);
}

static void test_a_silent_sensor_is_no_error(void **state)
{
    static const struct driver_setting silent[] = {{"silent", "true"}};
    struct bench *bench = *state;
    (void)add(bench, "quiet", driver_find("sim"), silent, 1);
    (void)add(bench, "well", driver_find("sim"), NULL, 0);
    start(bench);
    fake_spool_wait(bench->spool, "well", 5);
    stop(bench);
    struct collect_status status = status_of(bench, 0);
    assert_int_equal(status.samples + status.errors, 0);
    assert_int_equal(status.age_ms, -1);
}

static void test_a_device_that_says_no_stays_open(void **state)
{
    struct bench *bench = *state;
    atomic_store(&opened, 0);
    (void)add(bench, "unwilling", &unwilling, NULL, 0);
    start(bench);
    wait_for_errors(bench, 0, 2);
    stop(bench);
    assert_int_equal(status_of(bench, 0).code, E_REFUSED);
    assert_int_equal(atomic_load(&opened), 1);
}

static void test_a_sensor_that_is_plugged_in_later_is_found(void **state)
{
    struct bench *bench = *state;
    atomic_store(&plugged_in, false);
    (void)add(bench, "usb", &absent, NULL, 0);
    start(bench);
    wait_for_errors(bench, 0, 1);
    assert_string_equal(status_of(bench, 0).error, "/dev/thing: is it plugged in?");
    atomic_store(&plugged_in, true);
    fake_spool_wait(bench->spool, "usb", 2);
    stop(bench);
    struct collect_status status = status_of(bench, 0);
    assert_string_equal(status.error, "");
    assert_int_equal(status.state, COLLECT_RUNNING);
    assert_string_equal(status.channels[0].unit, "Cel");
}

static void test_channels_that_cannot_be_stored_are_an_error(void **state)
{
    struct bench *bench = *state;
    bench->spool->define_answer = E_TOO_BIG;
    (void)add(bench, "board", driver_find("sim"), NULL, 0);
    start(bench);
    wait_for_errors(bench, 0, 1);
    assert_non_null(strstr(status_of(bench, 0).error, "larger than the limit"));
}

static void test_a_polled_sample_without_room_is_refused(void **state)
{
    struct bench *bench = *state;
    fake_spool_answer(bench->spool, E_AGAIN, 3);
    (void)add(bench, "board", driver_find("sim"), NULL, 0);
    start(bench);
    fake_spool_wait(bench->spool, "board", 2);
    stop(bench);
    struct collect_status status = status_of(bench, 0);
    assert_int_equal(status.refused, 3);
    assert_int_equal(status.errors, 0);
    assert_int_equal(bench->spool->refused[LANE_NORMAL], 3);
}

static void test_what_the_lane_refuses_is_counted_once(void **state)
{
    struct bench *bench = *state;
    fake_spool_answer(bench->spool, E_REFUSED, 2);
    (void)add(bench, "board", driver_find("sim"), NULL, 0);
    start(bench);
    fake_spool_wait(bench->spool, "board", 1);
    stop(bench);
    assert_int_equal(status_of(bench, 0).refused, 2);
    assert_int_equal(bench->spool->refused_answers, 2);
    assert_int_equal(bench->spool->refused[LANE_NORMAL], 0); /* spool_append has done it */
}

static void test_texts_of_the_status_are_its_own(void **state)
{
    struct bench *bench = *state;
    (void)add(bench, "talker", &talker, NULL, 0);
    start(bench);
    fake_spool_wait(bench->spool, "talker", 2);
    struct collect_status status = status_of(bench, 0);
    assert_int_equal(status.values[0].kind, VALUE_TEXT);
    assert_int_equal(status.values[1].kind, VALUE_ABSENT);
    struct collect_status again;
    collect_get_status(bench->collect, 0, &again);
    assert_in_range((uintptr_t)again.values[0].text, (uintptr_t)again.texts,
                    (uintptr_t)(again.texts + sizeof again.texts));
    assert_memory_equal(again.values[0].text, "run", 3);
}

/* ---- read now ---- */

static const struct collect_reading *await_reading(struct bench *bench, struct collect_ask *ask)
{
    const struct collect_reading *reading = NULL;
    int64_t until_ms = clock_mono_ms() + STOP_WITHIN_MS;
    while (collect_answer(ask, &reading) < 0) {
        assert_true(clock_mono_ms() < until_ms);
        (void)stop_wait(&bench->rig->stop, -1, 0, clock_mono_ms() + 1);
    }
    assert_non_null(reading);
    return reading;
}

/* The saw's next value, and the schedule's next record is the one behind it. */
static void test_a_sensor_is_read_for_who_asks(void **state)
{
    static const struct driver_setting saw[] = {{"wave", "saw"}, {"period", "1000"}};
    struct bench *bench = *state;
    struct collect_ask *ask;
    add(bench, "saw", driver_find("sim"), saw, 2)->interval_ms = 3600 * 1000;
    start(bench);
    fake_spool_wait(bench->spool, "saw", 1);
    assert_int_equal(collect_ask(bench->collect, 0, &ask), 0);
    const struct collect_reading *reading = await_reading(bench, ask);
    assert_int_equal(reading->code, 0);
    assert_string_equal(reading->lack, "");
    assert_int_equal(reading->status.age_ms, 0);
    assert_int_equal(reading->status.channel_count, 1);
    assert_int_equal(reading->status.values[0].mantissa,
                     fake_spool_record(bench->spool, "saw", 0).value.mantissa + 2);
    collect_unask(ask);
    struct collect_status status = status_of(bench, 0);
    assert_int_equal(status.samples, 1);
    assert_int_equal(status.missed, 0);
    stop(bench);
    assert_int_equal(fake_spool_count(bench->spool, "saw"), 1);
}

/* The slots stay where they are: as many come as there is time for, however often it is read. */
static void test_asking_moves_no_slot(void **state)
{
    struct bench *bench = *state;
    struct collect_ask *ask;
    add(bench, "grid", driver_find("sim"), NULL, 0)->interval_ms = 20;
    start(bench);
    fake_spool_wait(bench->spool, "grid", 1);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(collect_ask(bench->collect, 0, &ask), 0);
        (void)await_reading(bench, ask);
        collect_unask(ask);
    }
    fake_spool_wait(bench->spool, "grid", 5);
    stop(bench);
    int64_t first_ms = fake_spool_record(bench->spool, "grid", 0).boot_ms;
    size_t count = fake_spool_count(bench->spool, "grid");
    int64_t last_ms = fake_spool_record(bench->spool, "grid", count - 1).boot_ms;
    struct collect_status status = status_of(bench, 0);
    assert_int_equal(status.samples, count);
    assert_true((last_ms - first_ms + 10) / 20 >= (int64_t)count - 2);
}

static void test_a_reading_that_fails_says_why_and_counts_as_nothing(void **state)
{
    struct bench *bench = *state;
    struct collect_ask *ask;
    atomic_store(&plugged_in, false);
    add(bench, "thing", &absent, NULL, 0);
    start(bench);
    wait_for_errors(bench, 0, 1);
    assert_int_equal(collect_ask(bench->collect, 0, &ask), 0);
    const struct collect_reading *reading = await_reading(bench, ask);
    assert_int_equal(reading->code, E_NOT_FOUND);
    assert_int_equal(reading->status.code, E_NOT_FOUND);
    assert_string_equal(reading->status.error, "/dev/thing: is it plugged in?");
    collect_unask(ask);
    atomic_store(&plugged_in, true);
    assert_int_equal(collect_ask(bench->collect, 0, &ask), 0);
    assert_int_equal(await_reading(bench, ask)->code, 0);
    stop(bench);
    collect_close(bench->collect);
    bench->collect = NULL;
    collect_unask(ask); /* later than everything else */
}

static void test_a_bus_that_hangs_is_said_to(void **state)
{
    struct bench *bench = *state;
    struct collect_ask *ask;
    struct collect_ask *another;
    const struct collect_reading *reading;
    (void)sem_init(&entered, 0, 0);
    (void)sem_init(&let_go, 0, 0);
    add(bench, "first", &stuck, NULL, 0);
    add(bench, "second", &stuck, NULL, 0);
    add(bench, "other", driver_find("sim"), NULL, 0);
    start(bench);
    (void)sem_wait(&entered);
    const char *name = collect_asked(bench->collect, 0);
    assert_non_null(name);
    assert_string_equal(collect_asked(bench->collect, 1), name);
    assert_int_equal(collect_ask(bench->collect, 0, &ask), 0);
    assert_int_equal(collect_answer(ask, &reading), E_AGAIN);
    assert_int_equal(collect_ask(bench->collect, 1, &another), E_BUSY);
    assert_int_equal(collect_ask(bench->collect, 2, &another), 0);
    assert_int_equal(await_reading(bench, another)->code, 0);
    collect_unask(another);
    collect_unask(ask); /* whom nobody waits for is in nobody's way, and not read */
    assert_int_equal(collect_ask(bench->collect, 1, &ask), 0);
    collect_unask(ask);
    for (int i = 0; i < 1000; i++)
        (void)sem_post(&let_go);
    stop(bench);
}

static void test_an_open_that_hangs_stops_no_other_bus(void **state)
{
    struct bench *bench = *state;
    (void)sem_init(&entered, 0, 0);
    (void)sem_init(&let_go, 0, 0);
    add(bench, "hangs", &deaf, NULL, 0);
    add(bench, "other", driver_find("sim"), NULL, 0);
    start(bench);
    (void)sem_wait(&entered);
    fake_spool_wait(bench->spool, "other", 5);
    assert_string_equal(collect_asked(bench->collect, 0), "hangs");
    assert_int_equal(status_of(bench, 0).state, COLLECT_STARTING);
    (void)sem_post(&let_go);
    fake_spool_wait(bench->spool, "hangs", 1);
}

static void test_a_stream_is_not_read_for_anybody(void **state)
{
    struct bench *bench = *state;
    struct collect_ask *ask;
    add(bench, "numbers", &flaky, NULL, 0);
    start(bench);
    assert_int_equal(collect_ask(bench->collect, 0, &ask), E_UNSUPPORTED);
}

/* ---- streams ---- */

/* What it says after all must not wait for the back-off, in which the kernel's buffer runs over. */
static void test_a_silent_stream_is_listened_to(void **state)
{
    struct bench *bench = *state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    mute_fd = fds[0];
    atomic_store(&mute_waits, 0);
    add(bench, "mute", &mute, NULL, 0);
    start(bench);
    wait_for_errors(bench, 0, 2);
    stop(bench);
    mute_fd = -1;
    (void)close(fds[0]);
    (void)close(fds[1]);
    assert_true(atomic_load(&mute_waits) > 0);
}

static struct collect_sensor *add_lines(struct bench *bench, const char *name,
                                        struct driver_setting *setting, const char *path)
{
    *setting = (struct driver_setting){"path", path};
    struct collect_sensor *sensor = add(bench, name, driver_find("lines"), setting, 1);
    sensor->interval_ms = 0;
    return sensor;
}

static void test_a_file_is_drained_in_order(void **state)
{
    enum { LINES = 10000 };
    struct bench *bench = *state;
    struct driver_setting setting;
    char path[RIG_PATH_BYTES];
    char *text = malloc(LINES * 24);
    size_t used = 0;
    assert_non_null(text);
    for (int i = 0; i < LINES; i++)
        used += (size_t)sprintf(text + used, "{\"n\":%d}\n", i);
    rig_write(bench->rig, "log", text);
    free(text);
    (void)snprintf(path, sizeof path, "%s", rig_path(bench->rig, "log"));
    (void)add_lines(bench, "plc", &setting, path);
    bench->options.drain = true;
    start(bench);
    wait_until_finished(bench);
    stop(bench);
    assert_int_equal(fake_spool_count(bench->spool, "plc"), LINES);
    uint64_t offset = 0;
    for (int i = 0; i < LINES; i++) {
        const struct fake_record *record = &bench->spool->records[i];
        char expected[FAKE_TEXT_BYTES];
        offset += (uint64_t)snprintf(expected, sizeof expected, "{\"n\":%d}", i) + 1;
        assert_string_equal(record->document, expected);
        assert_int_equal(record->value_count, 0);
        assert_string_equal(record->source, "plc");
        assert_true(record->origin.present);
        assert_int_equal(record->origin.offset, offset);
        assert_true(record->boot_ms > 0);
    }
    struct collect_status status = status_of(bench, 0);
    assert_int_equal(status.state, COLLECT_ENDED);
    assert_int_equal(status.samples, LINES);
    assert_int_equal(status.values[0].kind, VALUE_ABSENT);
    assert_int_equal(status.document_bytes, strlen("{\"n\":9999}"));
}

/* Once may be a rotation; who waits for more than that has to say so. */
static void test_a_drain_is_settled_without_a_file_that_is_not_there(void **state)
{
    struct bench *bench = *state;
    struct driver_setting settings[2];
    char paths[2][RIG_PATH_BYTES];
    rig_write(bench->rig, "log", "1\n2\n");
    (void)snprintf(paths[0], sizeof paths[0], "%s", rig_path(bench->rig, "log"));
    (void)snprintf(paths[1], sizeof paths[1], "%s", rig_path(bench->rig, "absent"));
    (void)add_lines(bench, "there", &settings[0], paths[0]);
    (void)add_lines(bench, "away", &settings[1], paths[1]);
    bench->options.drain = true;
    start(bench);
    wait_for_errors(bench, 1, 1);
    wait_until_settled(bench);
    assert_false(collect_finished(bench->collect));
    stop(bench);
    assert_int_equal(fake_spool_count(bench->spool, "there"), 2);
    assert_int_equal(status_of(bench, 0).open_failures, 0);
    struct collect_status status = status_of(bench, 1);
    assert_int_equal(status.state, COLLECT_FAILING);
    assert_true(status.open_failures >= 2);
    assert_non_null(strstr(status.error, paths[1]));
}

static void test_bad_lines_are_counted_and_the_rest_goes_on(void **state)
{
    struct bench *bench = *state;
    struct driver_setting setting;
    char path[RIG_PATH_BYTES];
    rig_write(bench->rig, "log", "1\nbad\n2\n{\n3\n");
    (void)snprintf(path, sizeof path, "%s", rig_path(bench->rig, "log"));
    (void)add_lines(bench, "plc", &setting, path);
    bench->options.drain = true;
    start(bench);
    wait_until_finished(bench);
    stop(bench);
    assert_int_equal(fake_spool_count(bench->spool, "plc"), 3);
    struct collect_status status = status_of(bench, 0);
    assert_int_equal(status.errors, 2);
    assert_int_equal(status.refused, 2);
    assert_int_equal(bench->spool->refused[LANE_NORMAL], 2);
    assert_string_equal(status.error, ""); /* the last line was good */
}

static void test_a_growing_file_is_followed(void **state)
{
    struct bench *bench = *state;
    struct driver_setting setting;
    char path[RIG_PATH_BYTES];
    rig_write(bench->rig, "log", "1\n");
    (void)snprintf(path, sizeof path, "%s", rig_path(bench->rig, "log"));
    (void)add_lines(bench, "plc", &setting, path);
    start(bench);
    for (size_t i = 1; i < 20; i++) {
        fake_spool_wait(bench->spool, "plc", i);
        rig_append(bench->rig, "log", "2\n", 2);
    }
    fake_spool_wait(bench->spool, "plc", 20);
    assert_false(collect_finished(bench->collect));
}

static void test_a_stream_waits_for_room_and_loses_nothing(void **state)
{
    static const int answers[] = {E_AGAIN, E_FULL};
    struct bench *bench = *state;
    struct driver_setting setting;
    char path[RIG_PATH_BYTES];
    rig_write(bench->rig, "log", "1\n");
    (void)snprintf(path, sizeof path, "%s", rig_path(bench->rig, "log"));
    (void)add_lines(bench, "plc", &setting, path);
    fake_spool_answer(bench->spool, answers[0], 50);
    start(bench);
    fake_spool_wait(bench->spool, "plc", 1);
    fake_spool_answer(bench->spool, answers[1], 1);
    rig_append(bench->rig, "log", "2\n3\n", 4);
    fake_spool_wait(bench->spool, "plc", 3);
    stop(bench);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(fake_spool_record(bench->spool, "plc", i).value.mantissa, i + 1);
    struct collect_status status = status_of(bench, 0);
    assert_int_equal(status.refused, 0);
    assert_int_equal(status.state, COLLECT_RUNNING);
}

static void test_waiting_for_room_ends_with_a_stop(void **state)
{
    struct bench *bench = *state;
    struct driver_setting setting;
    char path[RIG_PATH_BYTES];
    rig_write(bench->rig, "log", "1\n");
    (void)snprintf(path, sizeof path, "%s", rig_path(bench->rig, "log"));
    (void)add_lines(bench, "plc", &setting, path);
    fake_spool_answer(bench->spool, E_FULL, UINT32_MAX);
    start(bench);
    int64_t until_ms = clock_mono_ms() + STOP_WITHIN_MS;
    while (status_of(bench, 0).state != COLLECT_WAITING)
        assert_true(clock_mono_ms() < until_ms);
    stop_request(&bench->rig->stop); /* the agent's, not collect's own */
    stop(bench);
    assert_int_equal(fake_spool_count(bench->spool, "plc"), 0);
}

static void test_a_file_is_resumed_where_the_spool_says(void **state)
{
    struct bench *bench = *state;
    (void)add(bench, "count", &flaky, NULL, 0);
    bench->spool->origin = (struct sample_origin){.present = true, .offset = 8};
    start(bench);
    wait_until_finished(bench);
    stop(bench);
    assert_int_equal(fake_spool_count(bench->spool, "count"), 2);
    assert_int_equal(fake_spool_record(bench->spool, "count", 0).value.mantissa, 9);
}

/* What was handed on but is not committed yet must not be read a second time. */
static void test_a_stream_that_breaks_goes_on_behind_its_last_sample(void **state)
{
    struct bench *bench = *state;
    (void)add(bench, "count", &flaky, NULL, 0);
    start(bench);
    wait_until_finished(bench);
    stop(bench);
    assert_int_equal(fake_spool_count(bench->spool, "count"), FLAKY_END);
    for (size_t i = 0; i < FLAKY_END; i++)
        assert_int_equal(fake_spool_record(bench->spool, "count", i).value.mantissa, i + 1);
    assert_int_equal(status_of(bench, 0).errors, 3);
}

/* ---- transforms ---- */

#ifdef WITH_CHAIN
struct chained {
    struct chain *chain;
    struct intake_transform face;
};

static void chain_up(struct chained *chained, struct collect_sensor *sensor,
                     const struct chain_step *steps, size_t count)
{
    const struct chain_options options = {
        .steps = steps, .step_count = count, .document_bytes_max = 4096};
    assert_int_equal(chain_open(&options, &chained->chain), 0);
    chained->face = chain_face(chained->chain);
    sensor->transform = &chained->face;
}

/* Ends what uses it first. */
static void chain_down(struct bench *bench, struct chained *chained)
{
    stop(bench);
    collect_close(bench->collect);
    bench->collect = NULL;
    chain_close(chained->chain);
}

/* Line I says I. */
static void write_numbers(struct bench *bench, int count, char path[RIG_PATH_BYTES])
{
    char text[4096];
    size_t used = 0;
    for (int i = 1; i <= count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%4d\n", i);
    rig_write(bench->rig, "log", text);
    (void)snprintf(path, RIG_PATH_BYTES, "%s", rig_path(bench->rig, "log"));
}

static void test_transforms_stand_before_the_spool(void **state)
{
    static const struct tag names[] = {{"value", "power"}};
    static const struct chain_step steps[] = {
        {.kind = CHAIN_FILTER,
         .channel = "value",
         .comparison = CHAIN_GT,
         .value = {true, {10, 0}}},
        {.kind = CHAIN_SCALE, .factor = {true, {5, 1}}},
        {.kind = CHAIN_ALARM, .channel = "value", .above = {true, {45, 0}}},
        {.kind = CHAIN_RENAME, .pairs = names, .pair_count = 1},
        {.kind = CHAIN_TAG, .tag = {"site", "pump-4"}}};
    struct bench *bench = *state;
    struct driver_setting setting;
    struct chained chained;
    char path[RIG_PATH_BYTES];
    write_numbers(bench, 100, path);
    chain_up(&chained, add_lines(bench, "plc", &setting, path), steps, 5);
    bench->options.drain = true;
    start(bench);
    wait_until_finished(bench);
    assert_string_equal(bench->spool->sensors[0].channels[0].name, "power");
    assert_string_equal(bench->spool->sensors[0].tag, "site=pump-4");
    assert_int_equal(fake_spool_count(bench->spool, "plc"), 90);
    for (size_t i = 0; i < 90; i++) {
        struct fake_record record = fake_spool_record(bench->spool, "plc", i);
        assert_int_equal(record.value.mantissa, 5 * (11 + (int64_t)i));
        assert_int_equal(record.value.decimals, 1);
        assert_int_equal(record.lane, i < 80 ? LANE_NORMAL : LANE_ALARM);
        assert_int_equal(record.origin.offset, 5 * (11 + i));
    }
    struct collect_status status = status_of(bench, 0);
    assert_int_equal(status.samples, 90);
    assert_int_equal(status.suppressed, 10);
    assert_int_equal(status.refused, 0);
    assert_string_equal(status.lack, "");
    chain_down(bench, &chained);
}

/* It must not go out with the tags of another. */
static void test_a_sample_whose_tags_have_no_room_is_refused(void **state)
{
    static const struct chain_step step = {
        .kind = CHAIN_TAG, .channel = "value", .tag = {"batch", NULL}};
    struct bench *bench = *state;
    struct driver_setting setting;
    struct chained chained;
    rig_write(bench->rig, "log", "1\n2\n2\n1\n");
    chain_up(&chained, add_lines(bench, "plc", &setting, rig_path(bench->rig, "log")), &step, 1);
    bench->spool->foreign_tag = "batch=2";
    bench->options.drain = true;
    start(bench);
    wait_until_finished(bench);
    assert_int_equal(fake_spool_count(bench->spool, "plc"), 2);
    assert_int_equal(fake_spool_record(bench->spool, "plc", 1).value.mantissa, 1);
    assert_int_equal(status_of(bench, 0).refused, 2);
    chain_down(bench, &chained);
}

/* The end of the input brings it out of the rate, and there is no room for 64 digits in it. */
static void test_what_was_held_is_refused_as_well(void **state)
{
    static const uint8_t key[] = "key";
    static const struct chain_step steps[] = {{.kind = CHAIN_RATE, .interval_ms = 3600000},
                                              {.kind = CHAIN_REDACT,
                                               .channel = "name",
                                               .action = CHAIN_HMAC,
                                               .key = key,
                                               .key_bytes = 3}};
    struct bench *bench = *state;
    struct driver_setting setting;
    struct chained chained;
    char line[4200];
    (void)snprintf(line, sizeof line, "{\"name\":1,\"more\":\"%04050d\"}\n", 0);
    rig_write(bench->rig, "log", line);
    chain_up(&chained, add_lines(bench, "plc", &setting, rig_path(bench->rig, "log")), steps, 2);
    bench->options.drain = true;
    start(bench);
    wait_until_finished(bench);
    assert_int_equal(fake_spool_count(bench->spool, "plc"), 0);
    assert_int_equal(status_of(bench, 0).refused, 1);
    assert_int_equal(bench->spool->refused[LANE_NORMAL], 1);
    chain_down(bench, &chained);
}

static void test_a_deadband_counts_on_what_was_taken(void **state)
{
    static const struct chain_step step = {.kind = CHAIN_DEADBAND, .delta = {true, {5, 1}}};
    struct bench *bench = *state;
    struct driver_setting setting;
    struct chained chained;
    rig_write(bench->rig, "log", "1\n9\n9\n9\n");
    chain_up(&chained, add_lines(bench, "plc", &setting, rig_path(bench->rig, "log")), &step, 1);
    fake_spool_answer(bench->spool, E_REFUSED, 2);
    bench->options.drain = true;
    start(bench);
    wait_until_finished(bench);
    assert_int_equal(fake_spool_count(bench->spool, "plc"), 1);
    assert_int_equal(fake_spool_record(bench->spool, "plc", 0).value.mantissa, 9);
    assert_int_equal(status_of(bench, 0).suppressed, 1);
    chain_down(bench, &chained);
}

/* The end of the input, here, or a stop: what an interval holds comes out, with the last line. */
static void test_what_an_interval_holds_is_not_lost(void **state)
{
    static const struct chain_step step = {
        .kind = CHAIN_SUMMARIZE, .interval_ms = 3600000, .functions = {[CHAIN_COUNT] = true}};
    struct bench *bench = *state;
    struct driver_setting setting;
    struct chained chained;
    char path[RIG_PATH_BYTES];
    write_numbers(bench, 100, path);
    chain_up(&chained, add_lines(bench, "plc", &setting, path), &step, 1);
    start(bench);
    int64_t until_ms = clock_mono_ms() + STOP_WITHIN_MS;
    while (status_of(bench, 0).suppressed < 100 && clock_mono_ms() < until_ms)
        (void)stop_wait(&bench->rig->stop, -1, 0, clock_mono_ms() + 1);
    uint64_t early = fake_spool_count(bench->spool, "plc"); /* the hour may have ended just now */
    stop(bench);
    int64_t lines = 0;
    size_t count = fake_spool_count(bench->spool, "plc");
    for (size_t i = 0; i < count; i++)
        lines += fake_spool_record(bench->spool, "plc", i).value.mantissa;
    assert_int_equal(lines, 100);
    assert_int_equal(count, early + 1);
    assert_int_equal(fake_spool_record(bench->spool, "plc", count - 1).origin.offset, 500);
    chain_down(bench, &chained);
}

/* Nothing comes any more, and still the interval ends. */
static void test_an_interval_ends_by_itself(void **state)
{
    static const struct chain_step step = {
        .kind = CHAIN_SUMMARIZE, .interval_ms = 100, .functions = {[CHAIN_COUNT] = true}};
    struct bench *bench = *state;
    struct driver_setting setting;
    struct chained chained[2];
    char path[RIG_PATH_BYTES];
    write_numbers(bench, 1, path);
    chain_up(&chained[0], add_lines(bench, "plc", &setting, path), &step, 1);
    struct collect_sensor *rare = add(bench, "rare", driver_find("sim"), NULL, 0);
    rare->interval_ms = 3600000;
    chain_up(&chained[1], rare, &step, 1);
    start(bench);
    fake_spool_wait(bench->spool, "plc", 1);
    fake_spool_wait(bench->spool, "rare", 1);
    chain_down(bench, &chained[0]);
    chain_close(chained[1].chain);
}

/* A driver that is opened again does not give again what the interval holds already. */
static void test_a_stream_that_breaks_within_an_interval(void **state)
{
    static const struct chain_step step = {
        .kind = CHAIN_SUMMARIZE, .interval_ms = 3600000, .functions = {[CHAIN_COUNT] = true}};
    struct bench *bench = *state;
    struct chained chained;
    chain_up(&chained, add(bench, "count", &flaky, NULL, 0), &step, 1);
    start(bench);
    wait_until_finished(bench);
    stop(bench);
    int64_t samples = 0;
    for (size_t i = 0; i < fake_spool_count(bench->spool, "count"); i++)
        samples += fake_spool_record(bench->spool, "count", i).value.mantissa;
    assert_int_equal(samples, FLAKY_END);
    chain_down(bench, &chained);
}

static void test_what_cannot_be_redacted_is_refused(void **state)
{
    static const struct chain_step steps[] = {
        {.kind = CHAIN_SCALE, .channel = "absent", .factor = {true, {1, 0}}},
        {.kind = CHAIN_REDACT, .channel = "value", .action = CHAIN_HMAC}};
    struct bench *bench = *state;
    struct driver_setting setting;
    struct chained chained;
    char path[RIG_PATH_BYTES];
    write_numbers(bench, 1, path);
    chain_up(&chained, add_lines(bench, "plc", &setting, path), steps, 2);
    start(bench);
    wait_for_errors(bench, 0, 1);
    assert_non_null(strstr(status_of(bench, 0).error, "redact: its key could not be read"));
    assert_int_equal(fake_spool_count(bench->spool, "plc"), 0);
    chain_down(bench, &chained);
    chain_up(&chained, &bench->sensors[0], steps, 1);
    start(bench);
    fake_spool_wait(bench->spool, "plc", 1);
    int64_t until_ms = clock_mono_ms() + STOP_WITHIN_MS;
    while (status_of(bench, 0).lack[0] == '\0' && clock_mono_ms() < until_ms)
        (void)stop_wait(&bench->rig->stop, -1, 0, clock_mono_ms() + 1);
    assert_non_null(strstr(status_of(bench, 0).lack, "scale of \"absent\""));
    chain_down(bench, &chained);
}
#endif

/* ---- stopping ---- */

static void test_a_stop_interrupts_what_hangs(void **state)
{
    static const struct driver_setting hanging[] = {{"hang", "7d"}};
    struct bench *bench = *state;
    struct driver_setting setting;
    char path[RIG_PATH_BYTES];
    add(bench, "hung", driver_find("sim"), hanging, 1)->timeout_ms = INT32_MAX;
    rig_write(bench->rig, "log", "1\n");
    (void)snprintf(path, sizeof path, "%s", rig_path(bench->rig, "log"));
    (void)add_lines(bench, "plc", &setting, path);
    add(bench, "rare", driver_find("proc"), NULL, 0)->interval_ms = 3600000;
    start(bench);
    fake_spool_wait(bench->spool, "plc", 1);
    stop(bench);
    stop(bench); /* may be asked again */
    assert_false(stop_requested(&bench->rig->stop));
}

static void test_a_driver_that_never_returns_is_left_behind(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(sem_init(&entered, 0, 0), 0);
    assert_int_equal(sem_init(&let_go, 0, 0), 0);
    (void)add(bench, "rock", &stuck, NULL, 0);
    (void)add(bench, "well", driver_find("sim"), NULL, 0);
    start(bench);
    assert_int_equal(sem_wait(&entered), 0);
    fake_spool_wait(bench->spool, "well", 5);
    assert_int_equal(collect_stop(bench->collect, clock_mono_ms() + 10), E_TIMEOUT);
    collect_close(bench->collect); /* gives nothing back: it is still in use */
    assert_int_equal(status_of(bench, 0).state, COLLECT_STARTING);
    (void)sem_post(&let_go);
    stop(bench);
}

/* ---- many readers of the status ---- */

struct reader {
    struct bench *bench;
    atomic_bool done;
    atomic_ulong read;
    atomic_ulong wrong;
};

static void read_status(void *context)
{
    struct reader *reader = context;
    const char *bus;
    while (!atomic_load(&reader->done)) {
        for (size_t i = 0; i < 2; i++) {
            struct collect_status status = status_of(reader->bench, i);
            if (status.samples > 0 && status.channel_count != 4)
                atomic_fetch_add(&reader->wrong, 1);
        }
        (void)progress_late_ms(collect_progress(reader->bench->collect, 0, &bus), INT64_MAX);
        (void)collect_finished(reader->bench->collect);
        atomic_fetch_add(&reader->read, 1);
    }
}

static void test_the_status_may_be_read_at_any_time(void **state)
{
    static const struct driver_setting four[] = {{"channels", "4"}, {"fail_every", "50"}};
    struct bench *bench = *state;
    struct reader reader = {.bench = bench};
    struct thread thread = {.running = false};
    add(bench, "one", driver_find("sim"), four, 2)->interval_ms = 1;
    add(bench, "two", driver_find("sim"), four, 2)->interval_ms = 1;
    start(bench);
    assert_int_equal(thread_start(&thread, "reader", read_status, &reader), 0);
    fake_spool_wait(bench->spool, "one", 100);
    fake_spool_wait(bench->spool, "two", 100);
    atomic_store(&reader.done, true);
    assert_int_equal(thread_join(&thread, clock_mono_ms() + STOP_WITHIN_MS), 0);
    assert_true(atomic_load(&reader.read) > 0);
    assert_int_equal(atomic_load(&reader.wrong), 0);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(test_samples_reach_the_spool),
        BENCH_TEST(test_nothing_is_known_before_the_start),
        BENCH_TEST(test_no_sensors_are_no_trouble),
        BENCH_TEST(test_a_polled_sensor_needs_an_interval),
        BENCH_TEST(test_there_is_one_thread_per_bus),
        BENCH_TEST(test_threads_say_when_they_will_be_back),
        BENCH_TEST(test_a_failing_sensor_says_so_and_stops_no_other),
        BENCH_TEST(test_a_sensor_that_recovers_is_read_again),
        BENCH_TEST(test_a_sensor_that_hangs_is_left_at_its_timeout),
        BENCH_TEST(test_garbage_is_refused_and_counted),
        BENCH_TEST(test_a_silent_sensor_is_no_error),
        BENCH_TEST(test_a_device_that_says_no_stays_open),
        BENCH_TEST(test_a_sensor_that_is_plugged_in_later_is_found),
        BENCH_TEST(test_channels_that_cannot_be_stored_are_an_error),
        BENCH_TEST(test_a_polled_sample_without_room_is_refused),
        BENCH_TEST(test_what_the_lane_refuses_is_counted_once),
        BENCH_TEST(test_texts_of_the_status_are_its_own),
        BENCH_TEST(test_a_sensor_is_read_for_who_asks),
        BENCH_TEST(test_asking_moves_no_slot),
        BENCH_TEST(test_a_reading_that_fails_says_why_and_counts_as_nothing),
        BENCH_TEST(test_a_bus_that_hangs_is_said_to),
        BENCH_TEST(test_an_open_that_hangs_stops_no_other_bus),
        BENCH_TEST(test_a_stream_is_not_read_for_anybody),
        BENCH_TEST(test_a_file_is_drained_in_order),
        BENCH_TEST(test_a_drain_is_settled_without_a_file_that_is_not_there),
        BENCH_TEST(test_bad_lines_are_counted_and_the_rest_goes_on),
        BENCH_TEST(test_a_growing_file_is_followed),
        BENCH_TEST(test_a_silent_stream_is_listened_to),
        BENCH_TEST(test_a_stream_waits_for_room_and_loses_nothing),
        BENCH_TEST(test_waiting_for_room_ends_with_a_stop),
        BENCH_TEST(test_a_file_is_resumed_where_the_spool_says),
        BENCH_TEST(test_a_stream_that_breaks_goes_on_behind_its_last_sample),
#ifdef WITH_CHAIN
        BENCH_TEST(test_transforms_stand_before_the_spool),
        BENCH_TEST(test_a_sample_whose_tags_have_no_room_is_refused),
        BENCH_TEST(test_what_was_held_is_refused_as_well),
        BENCH_TEST(test_a_deadband_counts_on_what_was_taken),
        BENCH_TEST(test_what_an_interval_holds_is_not_lost),
        BENCH_TEST(test_an_interval_ends_by_itself),
        BENCH_TEST(test_a_stream_that_breaks_within_an_interval),
        BENCH_TEST(test_what_cannot_be_redacted_is_refused),
#endif
        BENCH_TEST(test_a_stop_interrupts_what_hangs),
        BENCH_TEST(test_a_driver_that_never_returns_is_left_behind),
        BENCH_TEST(test_the_status_may_be_read_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
