/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/sensors.h"
#include "platform/base/error.h"
#include "platform/json/json_write.h"

static const char usage[] =
    "usage: runnel sensors [--json] [-c FILE]\n"
    "       runnel sensors NAME [--wait DURATION] [--json] [-c FILE]\n"
    "       runnel sensors --driver DRIVER [--json]\n\n"
    "Lists the drivers of this program and the configured sensors; with NAME reads that sensor\n"
    "now, and says of one that cannot be read why, and what to check. Exits with 1 then.\n\n"
    "The running agent reads it between two slots of its schedule, which stays as it is, and\n"
    "does not record it. Of a stream it says what came last, and what comes next. Where no agent\n"
    "runs the command reads the sensor itself; a line that it takes off a stream is gone.\n\n"
    "  --wait DURATION   for a bus that is busy, or a stream that is silent; instead of the\n"
    "                    timeout of the sensor\n"
    "  --driver DRIVER   the keys that it takes in the configuration\n"
    "  --json            as JSON, for programs\n"
    "  -c FILE           where no agent runs; instead of $RUNNEL_CONFIG, else\n"
    "                    /etc/runnel/runnel.json\n";

struct options {
    bool json;
    const char *driver, *name, *config;
    int64_t wait_ms; /* -1: not given */
};

static int write_out(void *context, const uint8_t *bytes, size_t count)
{
    return fwrite(bytes, 1, count, context) == count ? E_OK : E_CLOSED;
}

static int finish(struct writer *out)
{
    return writer_finish(out) < 0 || fflush(stdout) != 0 ? CLI_FAILED : CLI_DONE;
}

/* ---- all of them ---- */

static int print_list(const struct sensors_ask *ask, const char *text, bool json)
{
    char buffer[512];
    struct writer out;
    struct json_write all;
    struct status_read *sensors;
    writer_to_function(&out, buffer, sizeof buffer, write_out, stdout);
    if (!json) {
        int rc = status_read_open(text, strlen(text), &sensors);
        if (rc < 0)
            return CLI_FAILED;
        sensors_driver_list_text(&out);
        sensors_show_list(sensors,
                          ask->config == NULL ? "of the running agent"
                                              : "of the configuration; no agent runs",
                          &out);
        status_read_close(sensors);
        return finish(&out);
    }
    json_write_start(&all, &out);
    json_write_object_begin(&all, NULL);
    sensors_driver_list_json(&all);
    json_write_boolean(&all, "agent", ask->config == NULL);
    json_write_key(&all, "sensors");
    writer_bytes(&out, text, strcspn(text, "\n"));
    json_write_object_end(&all);
    writer_char(&out, '\n');
    return finish(&out);
}

/* The drivers are there whether or not a configuration is. */
static int print_drivers(bool json)
{
    char buffer[512];
    struct writer out;
    struct json_write all;
    writer_to_function(&out, buffer, sizeof buffer, write_out, stdout);
    if (json) {
        json_write_start(&all, &out);
        json_write_object_begin(&all, NULL);
        sensors_driver_list_json(&all);
        json_write_boolean(&all, "agent", false);
        json_write_null(&all, "sensors");
        json_write_object_end(&all);
        writer_char(&out, '\n');
    } else
        sensors_driver_list_text(&out);
    return finish(&out);
}

/* ---- one of them ---- */

static int refuse_name(const struct status_read *sensors, const char *name)
{
    const char *other;
    cli_fault("NAME", name, "is no sensor of this configuration; there are");
    for (size_t i = 0; (other = status_read_member(sensors, i, "%s", "")) != NULL; i++)
        (void)fprintf(stderr, "  %s\n", other);
    return CLI_USAGE;
}

static int print_reading(const struct sensors_ask *ask, const struct options *options,
                         const char *text)
{
    char buffer[512];
    struct writer out;
    struct status_read *sensors;
    int rc = status_read_open(text, strlen(text), &sensors);
    if (rc < 0)
        return CLI_FAILED;
    writer_to_function(&out, buffer, sizeof buffer, write_out, stdout);
    if (options->json)
        writer_text(&out, text);
    else
        sensors_show_read(sensors, options->name, ask->config == NULL, &out);
    bool failed = status_read_text(sensors, NULL, "%s/fault", options->name) != NULL;
    status_read_close(sensors);
    int code = finish(&out);
    return failed ? CLI_FAILED : code;
}

static int read_one(struct sensors_ask *ask, const struct options *options,
                    const struct status_read *sensors)
{
    char *text;
    int64_t timeout_ms = status_read_milli(sensors, 0, "%s/timeout_s", options->name);
    int64_t wait_ms = options->wait_ms >= 0 ? options->wait_ms : timeout_ms;
    if (status_read_text(sensors, NULL, "%s/driver", options->name) == NULL)
        return refuse_name(sensors, options->name);
    if (sensors_ask_read(ask, options->name, timeout_ms, wait_ms, &text) < 0)
        return ask->exit_code;
    int code = print_reading(ask, options, text);
    free(text);
    return code;
}

static int run(struct sensors_ask *ask, const struct options *options)
{
    char *text;
    struct status_read *sensors;
    if (sensors_ask_list(ask, &text) < 0)
        return ask->exit_code;
    int code = CLI_FAILED;
    if (options->name == NULL)
        code = print_list(ask, text, options->json);
    else if (status_read_open(text, strlen(text), &sensors) == E_OK) {
        code = read_one(ask, options, sensors);
        status_read_close(sensors);
    }
    free(text);
    return code;
}

/* ---- the command line ---- */

static int check_options(const struct options *options)
{
    const char *why = NULL;
    if (options->driver != NULL && options->name != NULL)
        why = "--driver tells of a driver, NAME reads a sensor; give one of them";
    else if (options->wait_ms >= 0 && options->name == NULL)
        why = "--wait needs NAME";
    if (why != NULL)
        (void)fprintf(stderr, "runnel: %s\n", why);
    return why != NULL ? E_INVALID : E_OK;
}

static int read_options(int argc, char **argv, struct options *options)
{
    static const struct option table[] = {
        {"json", no_argument, NULL, 'j'},       {"driver", required_argument, NULL, 'd'},
        {"wait", required_argument, NULL, 'w'}, {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},       {0}};
    int option;
    while ((option = getopt_long(argc, argv, "c:h", table, NULL)) >= 0) {
        if (option == 'j')
            options->json = true;
        else if (option == 'd')
            options->driver = optarg;
        else if (option == 'c')
            options->config = optarg;
        else if (option == 'h')
            return E_STOP;
        else if (option != 'w' || cli_read_duration("--wait", optarg, &options->wait_ms) < 0)
            return E_INVALID;
    }
    if (optind < argc)
        options->name = argv[optind++];
    return optind < argc ? E_INVALID : check_options(options);
}

int cmd_sensors(int argc, char **argv)
{
    struct options options = {.wait_ms = -1};
    int result = read_options(argc, argv, &options);
    if (result < 0) {
        (void)fputs(usage, result == E_STOP ? stdout : stderr);
        return result == E_STOP ? CLI_DONE : CLI_USAGE;
    }
    if (options.driver != NULL)
        return sensors_driver(options.driver, options.json);
    struct sensors_ask ask = {.path = options.config};
    if (sensors_ask_open(&ask) < 0) {
        if (options.name == NULL)
            (void)print_drivers(options.json); /* the exit code is about the sensors */
        return ask.exit_code;
    }
    int code = run(&ask, &options);
    sensors_ask_close(&ask);
    return code;
}
