/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/config_apply.h"
#include "agent/control/config_store.h"
#include "agent/control/config_walk.h"
#include "platform/base/error.h"
#include "platform/json/json_write.h"

enum { CONFIRM_MS = 15 * 60 * 1000, OUT_BYTES = 4096 };

static const char usage[] =
    "usage: runnel config show [-c FILE] [--json]\n"
    "       runnel config apply FILE [--confirm DURATION] [--wait]\n"
    "       runnel config apply --none [--confirm DURATION] [--wait]\n"
    "       runnel config reload\n\n"
    "show      every value that is effective, and where it comes from, without secrets\n"
    "apply     put FILE in the main file's place, on trial: unless each route that it\n"
    "          changes delivers within the time, the configuration before comes back by\n"
    "          itself, also across a reboot; --none: back to the main file, likewise\n"
    "reload    have the running agent read its files again, and say what changed\n\n"
    "  -c FILE             instead of $RUNNEL_CONFIG, else /etc/runnel/runnel.json\n"
    "  --json              as JSON, for programs\n"
    "  --confirm DURATION  of the trial, 10s to 7d; default 15m\n"
    "  --wait              until the trial is over; exit with 1 if it was not passed\n";

struct options {
    const char *config;
    bool json, none, waits;
    int64_t confirm_ms; /* 0: not said */
};

/* ---- show ---- */

struct show {
    const struct config *config;
    struct json_write json;
};

/* What ${file:} brought in may be a secret: it is shown as it is written. */
static const char *shown_text(const struct config *config, const struct config_value *value,
                              const char **ret_where, char text[CONFIG_SHOWN_BYTES])
{
    const struct config_place *place = config_place(config, value->address);
    *ret_where = place != NULL ? place->where : "default";
    if (place != NULL && place->written != NULL)
        return place->written;
    return config_walk_shown(value, text);
}

static void show_text(void *context, const struct config_value *value)
{
    const struct show *show = context;
    char text[CONFIG_SHOWN_BYTES];
    const char *where;
    const char *shown = shown_text(show->config, value, &where, text);
    (void)printf("%s = %s  (%s)\n", value->path, shown, where);
}

static void show_json(void *context, const struct config_value *value)
{
    struct show *show = context;
    char text[CONFIG_SHOWN_BYTES];
    const char *where;
    const char *shown = shown_text(show->config, value, &where, text);
    json_write_object_begin(&show->json, NULL);
    json_write_text(&show->json, "key", value->path);
    json_write_text(&show->json, "value", shown);
    json_write_text(&show->json, "from", where);
    json_write_object_end(&show->json);
}

static int write_out(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    return fwrite(bytes, 1, count, stdout) == count ? E_OK : E_CLOSED;
}

static const char *state_text(const struct config *config)
{
    static const char *const states[] = {"main", "applied", "trial"};
    return states[config->state];
}

static void print_json(const struct config *config, const char *id)
{
    uint8_t buffer[OUT_BYTES];
    struct writer out;
    struct show show = {.config = config};
    writer_to_function(&out, buffer, sizeof buffer, write_out, NULL);
    json_write_start(&show.json, &out);
    json_write_object_begin(&show.json, NULL);
    json_write_text(&show.json, "config_id", id);
    json_write_text(&show.json, "state", state_text(config));
    json_write_boolean(&show.json, "main_changed", config->main_changed);
    json_write_array_begin(&show.json, "files");
    for (size_t i = 0; i < config->file_count; i++)
        json_write_text(&show.json, NULL, config->files[i]);
    json_write_array_end(&show.json);
    json_write_array_begin(&show.json, "values");
    config_walk(config, show_json, &show);
    json_write_array_end(&show.json);
    json_write_object_end(&show.json);
    writer_char(&out, '\n');
    (void)writer_finish(&out);
}

static void print_text(const struct config *config, const char *id)
{
    struct show show = {.config = config};
    config_print_applied(config, stdout);
    for (size_t i = 0; i < config->file_count; i++)
        (void)printf("# file %s\n", config->files[i]);
    (void)printf("# config_id %s\n", id);
    config_walk(config, show_text, &show);
}

static int show(const struct options *options)
{
    const struct config_options config_options = {
        .path = options->config, .faults = stderr, .places = true};
    struct config *config;
    char id[CONFIG_ID_TEXT_BYTES];
    int rc = config_load(&config_options, &config);
    if (rc < 0)
        return rc == E_CONFIG ? CLI_CONFIG : CLI_FAILED;
    config_walk_name(config, id);
    if (options->json)
        print_json(config, id);
    else
        print_text(config, id);
    config_free(config);
    return CLI_DONE;
}

/* ---- the command ---- */

static int refuse(const char *why)
{
    (void)fprintf(stderr, "runnel: %s\n%s", why, usage);
    return CLI_USAGE;
}

static int apply(const struct options *options, const char *file)
{
    const struct config_apply apply = {.config = options->config,
                                       .file = file,
                                       .confirm_ms = options->confirm_ms != 0 ? options->confirm_ms
                                                                              : CONFIRM_MS,
                                       .waits = options->waits};
    if (apply.confirm_ms < CONFIG_STORE_CONFIRM_MS_MIN ||
        apply.confirm_ms > CONFIG_STORE_CONFIRM_MS_MAX)
        return refuse("--confirm is out of range; choose from 10s to 7d");
    return config_apply_run(&apply);
}

static int read_options(int argc, char **argv, struct options *options)
{
    static const struct option table[] = {{"config", required_argument, NULL, 'c'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"none", no_argument, NULL, 'n'},
                                          {"wait", no_argument, NULL, 'w'},
                                          {"confirm", required_argument, NULL, 't'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int option;
    while ((option = getopt_long(argc, argv, "c:h", table, NULL)) >= 0) {
        if (option == 'c')
            options->config = optarg;
        else if (option == 'j')
            options->json = true;
        else if (option == 'n')
            options->none = true;
        else if (option == 'w')
            options->waits = true;
        else if (option == 'h')
            return E_STOP;
        else if (option != 't' || cli_read_duration("--confirm", optarg, &options->confirm_ms) < 0)
            return E_INVALID;
    }
    return E_OK;
}

int cmd_config(int argc, char **argv)
{
    struct options options = {.config = NULL};
    int rc = read_options(argc, argv, &options);
    if (rc < 0) {
        (void)fputs(usage, rc == E_STOP ? stdout : stderr);
        return rc == E_STOP ? CLI_DONE : CLI_USAGE;
    }
    const char *verb = optind < argc ? argv[optind] : "";
    const char *file = optind + 1 < argc ? argv[optind + 1] : NULL;
    bool is_apply = strcmp(verb, "apply") == 0;
    if (argc - optind > 2 || (!is_apply && file != NULL))
        return refuse("there is an argument too many");
    if (!is_apply && (options.none || options.waits || options.confirm_ms != 0))
        return refuse("--none, --confirm and --wait go with apply");
    if (strcmp(verb, "show") == 0)
        return show(&options);
    if (options.json)
        return refuse("--json goes with show");
    if (strcmp(verb, "reload") == 0)
        return config_apply_reload();
    if (!is_apply)
        return refuse("choose show, apply or reload");
    if (options.none == (file != NULL))
        return refuse("apply takes either a FILE or --none");
    return apply(&options, file);
}
