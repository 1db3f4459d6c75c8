/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/control/config_reader.h"
#include "agent/control/generic_name.h"
#include "platform/base/error.h"

enum { WAIT_MS = 1000, MARGIN_MS = 10000, OWN_MS_MIN = 1000 };

bool config_sensor_at_interval(const struct cfg_sensor *sensor)
{
    const struct driver *driver = sensor->driver;
    return driver->wait_fd == NULL || (driver->at_events && sensor->interval_ms > 0);
}

const char *config_lane_name(enum cfg_lane lane)
{
    static const char *const names[CFG_LANES] = {"alarm", "normal", "bulk"};
    return names[lane];
}

const char *config_origin_name(enum cfg_origin origin)
{
    static const char *const names[] = {"local", "source"};
    return names[origin];
}

const char *config_destination_name(enum cfg_destination destination)
{
    static const char *const names[] = {"kinesis", "firehose", "apigateway", "s3", "archive"};
    return names[destination];
}

bool config_makes_objects(const struct cfg_route *route)
{
    return route->destination == CFG_DESTINATION_S3 ||
           route->destination == CFG_DESTINATION_ARCHIVE;
}

const char *config_sse_name(enum cfg_sse sse)
{
    static const char *const names[] = {NULL, "AES256", "aws:kms", "aws:kms:dsse"};
    return names[sse];
}

const char *config_provider_name(enum cfg_provider provider)
{
    static const char *const names[] = {"chain",      "env",        "file",         "iot",
                                        "container",  "imds",       "web_identity", "oauth2",
                                        "token_file", "assume_role"};
    return names[provider];
}

const char *config_auth_name(enum cfg_auth auth)
{
    static const char *const names[] = {"iam", "api-key", "oauth2", "bearer", "header", "none"};
    return names[auth];
}

const char *config_body_name(enum cfg_body body)
{
    static const char *const names[] = {"records", "lines", "array", "single"};
    return names[body];
}

const char *config_variable(const struct config_options *options, const char *name)
{
    const char *value = options->get_variable != NULL
                            ? options->get_variable(options->context, name)
                            : getenv(name);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

/* ---- the spool ---- */

/* systemd lists several directories with colons between them (systemd.exec(5)). */
static const char *first_of(struct config_reader *reader, const char *list)
{
    char path[FS_PATH_BYTES];
    size_t count = strcspn(list, ":");
    if (count >= sizeof path) {
        config_fault(reader->faults, NULL, "STATE_DIRECTORY", "is too long a path");
        return list;
    }
    memcpy(path, list, count);
    path[count] = '\0';
    return config_pool_text(reader->pool, path);
}

void config_spool_path(struct config_reader *reader)
{
    struct cfg_spool *spool = &reader->config->spool;
    const char *state = config_variable(reader->options, "RUNNEL_STATE");
    const char *systemd = config_variable(reader->options, "STATE_DIRECTORY");
    const char *where = state != NULL     ? "RUNNEL_STATE"
                        : systemd != NULL ? "STATE_DIRECTORY"
                                          : "CONFIG_SPOOL_PATH";
    if (state == NULL && spool->path != NULL)
        return;
    if (state != NULL)
        spool->path = config_pool_text(reader->pool, state);
    else
        spool->path = systemd != NULL ? first_of(reader, systemd) : CONFIG_SPOOL_PATH;
    config_place_note(reader, where, &spool->path);
}

static const struct json_node *lanes_node(const struct config_reader *reader)
{
    return config_read_member(config_read_member(reader->root, "spool"), "lanes");
}

/* Lanes without a share divide what the others leave. */
static void resolve_shares(struct config_reader *reader)
{
    struct cfg_lane_setup *lanes = reader->config->spool.lanes;
    unsigned sum = 0;
    unsigned open = 0;
    for (int i = 0; i < CFG_LANES; i++) {
        sum += lanes[i].share_percent;
        open += lanes[i].share_percent == 0 ? 1 : 0;
    }
    if (sum + open > 100) {
        config_fault(reader->faults, lanes_node(reader), NULL,
                     "the shares take %u%% and leave too little; lower them to 100%% together",
                     sum);
        return;
    }
    for (int i = 0; i < CFG_LANES; i++)
        if (lanes[i].share_percent == 0)
            lanes[i].share_percent = (100 - sum) / open;
}

/* A window of 0 is a wish to have every record on flash, not an oversight. */
static void check_windows(struct config_reader *reader)
{
    for (int i = 0; i < CFG_LANES; i++) {
        const struct cfg_lane_setup *lane = &reader->config->spool.lanes[i];
        const char *name = config_lane_name((enum cfg_lane)i);
        const struct json_node *node = config_read_member(lanes_node(reader), name);
        if (lane->window_ms != 0 && lane->window_ms < lane->age_ms + MARGIN_MS)
            config_fault_warn(reader->faults, node, "window",
                              "shorter than age + 10s: every record is written to flash also "
                              "while online; lengthen window or shorten age");
    }
}

/* ---- the link ---- */

/* What is said of a month that has no limit was meant to do something. */
static void check_link(struct config_reader *reader)
{
    static const char *const keys[] = {"reset_day", "alarm_reserve"};
    const struct json_node *link = config_read_member(reader->root, "link");
    if (reader->config->link.month_bytes != 0 || config_read_member(link, "month") != NULL)
        return;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct json_node *node = config_read_member(link, keys[i]);
        if (node != NULL)
            config_fault_key(reader->faults, node,
                             "says something of a month that has no limit; add \"month\"");
    }
}

/* ---- the device ---- */

/* Two machines of one name are one to whoever counts devices. */
static void warn_of_name(struct config_reader *reader, const struct json_node *node)
{
    struct config *config = reader->config;
    static const char subject[] = "device ";
    char text[256];
    (void)snprintf(text, sizeof text,
                   "%s\"%.128s\" is what many machines are called; use ${serial}, ${machine-id} or "
                   "a name of its own",
                   subject, config->device);
    config->device_warning = config_pool_text(reader->pool, text);
    config_fault_warn(reader->faults, node, node != NULL ? NULL : "device", "%s",
                      text + strlen(subject));
}

/* Part of partition keys, file names and topics later on: loosened more easily than tightened. */
static void check_device(struct config_reader *reader)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:@-";
    const char *device = reader->config->device;
    const struct json_node *node = config_read_member(reader->root, "device");
    if (device != NULL && device[strspn(device, allowed)] != '\0')
        config_fault(reader->faults, node != NULL ? node : reader->root,
                     node != NULL ? NULL : "device",
                     "is no name for a device; use letters, digits, \"_\", \".\", \":\", \"@\" "
                     "and \"-\"");
    else if (device != NULL && generic_name(device))
        warn_of_name(reader, node);
}

/* ---- its own records ---- */

static void check_second(struct config_reader *reader, const char *key, int64_t ms,
                         const char *fault)
{
    const struct json_node *node = config_read_member(reader->root, key);
    if (ms > 0 && ms < OWN_MS_MIN)
        config_fault(reader->faults, node != NULL ? node : reader->root, node != NULL ? NULL : key,
                     "%s", fault);
}

static void check_own_records(struct config_reader *reader)
{
    check_second(reader, "health", reader->config->health_ms,
                 "is too often; choose 1s or more, or 0s for never");
    check_second(reader, "events", reader->config->events_ms,
                 "is too soon; choose 1s or more, or 0s for nothing");
}

/* ---- all together ---- */

static int judge(const struct config_faults *faults)
{
    if (faults->faults == 0)
        return 0;
    return faults->faults > faults->awaited ? E_CONFIG : E_AGAIN;
}

static int read_config(struct config_reader *reader, const struct json_node *root)
{
    struct config *config = reader->config;
    reader->root = root;
    config_read_thing(reader, root, root);
    config->spool.wait_ms = WAIT_MS;
    config_read_object(reader, root, &schema_root, config);
    check_device(reader);
    check_own_records(reader);
    config_spool_path(reader);
    resolve_shares(reader);
    check_windows(reader);
    check_link(reader);
    config_sensors_resolve(reader);
    config_routes_resolve(reader);
#ifdef CONFIG_COAP
    config_coap_resolve(reader);
#endif
    if (config_pool_failed(reader->pool))
        return E_NO_MEMORY;
    return judge(reader->faults);
}

static int keep_names(struct config_reader *reader, const struct config_files *files)
{
    struct config *config = reader->config;
    size_t count = 0;
    while (config_files_name_at(files, count) != NULL)
        count++;
    const char **names = config_pool_take(reader->pool, (count + 1) * sizeof *names);
    if (names == NULL)
        return E_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        names[i] = config_pool_text(reader->pool, config_files_name_at(files, i));
    config->file = config_pool_text(reader->pool, config_files_name(files));
    config->main_file = config_pool_text(reader->pool, config_files_main_name(files));
    config->main_digest = config_pool_text(reader->pool, config_files_main_digest(files));
    config->files = names;
    config->file_count = count;
    return 0;
}

static int load(struct config_reader *reader, struct config_files **ret_files)
{
    const struct json_node *root = NULL;
    reader->pool = config_pool_open();
    if (reader->pool == NULL)
        return E_NO_MEMORY;
    reader->config = config_pool_take(reader->pool, sizeof *reader->config);
    if (reader->config == NULL)
        return E_NO_MEMORY;
    reader->config->pool = reader->pool;
    int rc = config_files_open(reader->options, reader->faults, ret_files);
    if (rc == 0)
        rc = config_layers_choose(reader, *ret_files);
    if (rc == 0)
        rc = keep_names(reader, *ret_files);
    if (rc < 0)
        return rc;
    root = config_files_merge(*ret_files);
    rc = read_config(reader, root);
    if (rc == E_CONFIG && root == NULL)
        config_fault_at(reader->faults, STANDARD_FILE, 0, 0,
                        "does not exist and the defaults are not enough; write it or use -c FILE");
    return rc;
}

int config_load(const struct config_options *options, struct config **ret_config)
{
    struct config_files *files = NULL;
    struct config_reader reader = {.options = options};
    reader.faults = calloc(1, sizeof *reader.faults);
    if (reader.faults == NULL)
        return E_NO_MEMORY;
    int rc = load(&reader, &files);
    if (options->faults != NULL)
        config_fault_print(reader.faults, options->faults);
    config_files_close(files);
    free(reader.faults);
    if (rc < 0)
        config_pool_close(reader.pool);
    else
        *ret_config = reader.config;
    return rc;
}

static int find_state(struct config_reader *reader, struct config_files **ret_files,
                      char ret_path[FS_PATH_BYTES])
{
    const char *state = NULL;
    reader->pool = config_pool_open();
    if (reader->pool == NULL)
        return E_NO_MEMORY;
    int rc = config_files_open(reader->options, reader->faults, ret_files);
    if (rc == E_NO_MEMORY)
        return rc;
    rc = config_layers_find_state(reader, *ret_files, &state);
    if (rc < 0)
        return rc;
    if (strlen(state) >= FS_PATH_BYTES)
        return E_TOO_BIG;
    (void)strcpy(ret_path, state);
    return E_OK;
}

int config_find_state(const struct config_options *options, char ret_path[FS_PATH_BYTES])
{
    struct config_files *files = NULL;
    struct config_reader reader = {.options = options};
    reader.faults = calloc(1, sizeof *reader.faults);
    if (reader.faults == NULL)
        return E_NO_MEMORY;
    int rc = find_state(&reader, &files, ret_path);
    config_files_close(files);
    config_pool_close(reader.pool);
    free(reader.faults);
    return rc;
}

void config_free(struct config *config)
{
    if (config != NULL)
        config_pool_close(config->pool);
}
