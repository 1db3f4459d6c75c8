/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/sensors.h"
#include "agent/control/control.h"
#include "agent/control/control_client.h"
#include "agent/control/sensor_view.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/stop.h"

/* How often a stream without a descriptor is looked at. */
enum { ANSWER_MS = 5000, LOOK_MS = 1000 };

static int fail(struct sensors_ask *ask, int code)
{
    char text[CONTROL_CLIENT_FAULT_BYTES];
    (void)fprintf(stderr, "runnel: %s\n", control_client_fault(code, ask->socket, text));
    ask->exit_code = CLI_FAILED;
    return E_STOP;
}

/* ---- whom to ask ---- */

static int load(struct sensors_ask *ask)
{
    const struct config_options options = {.path = ask->path, .faults = stderr};
    int rc = config_load(&options, &ask->config);
    if (rc == E_OK)
        return rc;
    const char *why =
        rc == E_AGAIN ? "something that it names is missing, see above" : ERROR_TEXT(rc);
    (void)fprintf(stderr,
                  "runnel: no agent answers at %s, and the configuration cannot be used%s%s\n",
                  ask->socket, rc == E_CONFIG ? "" : ": ", rc == E_CONFIG ? "" : why);
    ask->config = NULL;
    ask->exit_code = rc == E_CONFIG ? CLI_CONFIG : CLI_FAILED;
    return E_STOP;
}

/* Only who is not there may be passed over: a device that an agent has open is not opened twice. */
int sensors_ask_open(struct sensors_ask *ask)
{
    struct control_client client;
    _Static_assert(sizeof ask->socket == CONTROL_PATH_BYTES, "sun_path");
    if (control_path(ask->socket) < 0) {
        (void)snprintf(ask->socket, sizeof ask->socket, "RUNNEL_SOCKET");
        return fail(ask, E_TOO_BIG);
    }
    int rc = control_client_open(ask->socket, clock_mono_ms(), &client);
    if (rc == E_OK)
        control_client_close(&client);
    if (rc == E_NOT_FOUND)
        return load(ask);
    return rc < 0 ? fail(ask, rc) : E_OK;
}

void sensors_ask_close(struct sensors_ask *ask)
{
    config_free(ask->config);
    ask->config = NULL;
}

/* ---- a running agent ---- */

static int collect_answer_bytes(void *context, const void *bytes, size_t count)
{
    return fwrite(bytes, 1, count, context) == count ? E_OK : E_NO_MEMORY;
}

static int ask_agent(struct sensors_ask *ask, const char *request, int64_t answer_ms, FILE *to)
{
    struct control_client client;
    struct control_spooled spooled;
    const struct control_spool spool = {.command = "sensor",
                                        .request = request,
                                        .answer_ms = answer_ms,
                                        .write = collect_answer_bytes,
                                        .context = to};
    int rc = control_client_open(ask->socket, clock_mono_ms(), &client);
    if (rc < 0)
        return fail(ask, rc);
    rc = control_client_spool(&client, &spool, &spooled);
    control_client_close(&client);
    if (rc < 0 && spooled.reason[0] == '\0')
        return fail(ask, rc);
    if (rc < 0) {
        (void)fprintf(stderr, "runnel: the agent: %s\n", spooled.reason);
        ask->exit_code = CLI_FAILED;
    }
    return rc < 0 ? E_STOP : E_OK;
}

/* ---- without one ---- */

struct reading {
    const struct cfg_sensor *sensor;
    const struct driver *driver;
    void *instance;
    bool is_open;
    struct channel channels[SAMPLE_CHANNELS_MAX];
    int channel_count;
    struct sample sample;
    char fault[DRIVER_FAULT_BYTES];
};

static const struct stop never = {.fd = -1};

static int open_driver(struct reading *reading)
{
    const struct cfg_sensor *sensor = reading->sensor;
    const struct driver_context context = {.sensor = sensor->name,
                                           .root = "",
                                           .settings = sensor->settings,
                                           .setting_count = sensor->setting_count,
                                           .interval_ms = sensor->interval_ms,
                                           .timeout_ms = sensor->timeout_ms,
                                           .document_bytes_max = (size_t)CONFIG_DOCUMENT_KIB * 1024,
                                           .stop = &never,
                                           .fault = reading->fault};
    reading->instance = calloc(1, reading->driver->instance_bytes);
    if (reading->instance == NULL)
        return E_NO_MEMORY;
    reading->is_open = true; /* close follows a failed open, too */
    int rc = reading->driver->open(reading->instance, &context);
    if (rc < 0)
        return rc;
    reading->channel_count = reading->driver->channels(reading->instance, reading->channels);
    return reading->channel_count < 0 ? reading->channel_count : E_OK;
}

static int wait_for_news(const struct reading *reading, int64_t deadline_ms)
{
    int64_t look_ms = clock_mono_ms() + LOOK_MS;
    int fd = reading->driver->wait_fd(reading->instance);
    if (clock_mono_ms() >= deadline_ms)
        return E_AGAIN;
    int rc = stop_wait(&never, fd, POLLIN, look_ms < deadline_ms ? look_ms : deadline_ms);
    return rc == E_TIMEOUT ? E_OK : rc;
}

static int read_once(struct reading *reading)
{
    int64_t deadline_ms = clock_mono_ms() + reading->sensor->timeout_ms;
    int rc = reading->driver->fetch(reading->instance, deadline_ms);
    return rc < 0 ? rc : reading->driver->read(reading->instance, &reading->sample);
}

static int read_within(struct reading *reading, int64_t wait_ms)
{
    int64_t deadline_ms = clock_mono_ms() + wait_ms;
    for (;;) {
        int rc = read_once(reading);
        if (rc != E_AGAIN || reading->driver->wait_fd == NULL)
            return rc;
        rc = wait_for_news(reading, deadline_ms);
        if (rc < 0)
            return rc;
    }
}

static void take_fault(struct reading *reading, int code, bool was_open)
{
    const char *text = was_open ? reading->driver->fault(reading->instance) : NULL;
    if (code == E_AGAIN)
        driver_say(reading->fault, "nothing new came");
    else if (text != NULL && *text != '\0')
        driver_say(reading->fault, "%s", text);
    else if (was_open || reading->fault[0] == '\0')
        driver_say(reading->fault, "%s", ERROR_TEXT(code));
}

static void write_reading(const struct reading *reading, int code, struct json_write *json)
{
    const struct sample *sample = &reading->sample;
    bool is_good = code >= 0;
    const struct sensor_view view = {.config = reading->sensor,
                                     .known = true,
                                     .state = is_good ? "running" : "failing",
                                     .error = is_good ? NULL : reading->fault,
                                     .code = is_good ? 0 : code,
                                     .lack = is_good && reading->driver->lack != NULL
                                                 ? reading->driver->lack(reading->instance)
                                                 : NULL,
                                     .age_ms = is_good ? 0 : -1,
                                     .channel_count = is_good ? sample->value_count : 0,
                                     .channels = reading->channels,
                                     .values = sample->values,
                                     .document = (const char *)sample->document,
                                     .document_bytes = is_good ? sample->document_bytes : 0};
    sensor_view_write(&view, json);
}

static void read_directly(const struct cfg_sensor *sensor, int64_t wait_ms, struct json_write *json)
{
    struct reading reading = {.sensor = sensor, .driver = sensor->driver};
    int rc = open_driver(&reading);
    bool was_open = rc >= 0;
    if (was_open)
        rc = read_within(&reading, wait_ms);
    if (rc < 0)
        take_fault(&reading, rc, was_open);
    write_reading(&reading, rc, json);
    if (reading.is_open)
        reading.driver->close(reading.instance);
    free(reading.instance);
}

/* ---- either ---- */

static int write_file(void *context, const uint8_t *bytes, size_t count)
{
    return collect_answer_bytes(context, bytes, count);
}

/* NAME NULL: all, and none is read. */
static void write_configured(const struct config *config, const char *name, int64_t wait_ms,
                             FILE *to)
{
    char buffer[512];
    struct writer out;
    struct json_write json;
    writer_to_function(&out, buffer, sizeof buffer, write_file, to);
    json_write_start(&json, &out);
    json_write_object_begin(&json, NULL);
    for (size_t i = 0; i < config->sensor_count; i++) {
        const struct sensor_view view = {.config = &config->sensors[i], .age_ms = -1};
        if (name == NULL)
            sensor_view_write(&view, &json);
        else if (strcmp(name, config->sensors[i].name) == 0)
            read_directly(&config->sensors[i], wait_ms, &json);
    }
    json_write_object_end(&json);
    (void)writer_finish(&out); /* the stream remembers */
}

static int ask_for(struct sensors_ask *ask, const char *name, int64_t timeout_ms, int64_t wait_ms,
                   char **ret_json)
{
    char request[96] = "list";
    char *text = NULL;
    size_t bytes;
    int rc = E_OK;
    FILE *to = open_memstream(&text, &bytes);
    if (to == NULL)
        return fail(ask, E_NO_MEMORY);
    if (name != NULL)
        (void)snprintf(request, sizeof request, "read %s %lld", name, (long long)wait_ms);
    if (ask->config == NULL)
        rc = ask_agent(ask, request, timeout_ms + wait_ms + ANSWER_MS, to);
    else
        write_configured(ask->config, name, wait_ms, to);
    if (fclose(to) != 0 && rc == E_OK)
        rc = fail(ask, E_NO_MEMORY);
    if (rc < 0)
        free(text);
    else
        *ret_json = text;
    return rc;
}

int sensors_ask_list(struct sensors_ask *ask, char **ret_json)
{
    return ask_for(ask, NULL, 0, 0, ret_json);
}

int sensors_ask_read(struct sensors_ask *ask, const char *name, int64_t timeout_ms, int64_t wait_ms,
                     char **ret_json)
{
    return ask_for(ask, name, timeout_ms, wait_ms, ret_json);
}
