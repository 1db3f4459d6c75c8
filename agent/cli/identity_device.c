/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/identity_device.h"

#include <stdio.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/control/identity_store.h"
#include "platform/base/error.h"

/* Who names the state directory needs no configuration: it may come later than the key. */
static int load_config(const struct identity_options *options, struct config **ret_config)
{
    const struct config_options config = {.path = options->config,
                                          .faults = options->state == NULL ? stderr : NULL};
    int rc = config_load(&config, ret_config);
    if (rc == 0 || options->state != NULL)
        return CLI_DONE;
    if (rc != E_CONFIG && rc != E_AGAIN)
        (void)fprintf(stderr, "runnel: the configuration cannot be read: %s\n", ERROR_TEXT(rc));
    (void)fprintf(stderr, "runnel: mend the configuration, or say --state DIRECTORY\n");
    return rc == E_CONFIG ? CLI_CONFIG : CLI_FAILED;
}

static void find_credentials(struct identity_device *device)
{
    const struct config *config = device->config;
    for (size_t i = 0; i < config->credentials_count && device->credentials == NULL; i++)
        if (config->credentials[i].cert_file != NULL && config->credentials[i].key_file != NULL)
            device->credentials = &config->credentials[i];
    if (device->credentials == NULL)
        return;
    device->cert_file = device->credentials->cert_file;
    device->key_file = device->credentials->key_file;
    if (device->credentials->thing != NULL)
        device->name = device->credentials->thing;
}

static void find_route(struct identity_device *device)
{
    const struct config *config = device->config;
    for (size_t i = 0; i < config->route_count && device->route == NULL; i++)
        if (config->routes[i].cert_file != NULL && config->routes[i].key_file != NULL)
            device->route = &config->routes[i];
    if (device->route == NULL)
        return;
    device->cert_file = device->route->cert_file;
    device->key_file = device->route->key_file;
}

static int name_files(struct identity_device *device)
{
    int rc = fs_join(device->state, IDENTITY_STORE_CERT, device->default_cert_file, FS_PATH_BYTES);
    if (rc == 0)
        rc = fs_join(device->state, IDENTITY_STORE_KEY, device->default_key_file, FS_PATH_BYTES);
    if (rc == 0)
        rc = identity_store_next_path(device->state, device->next_key_file);
    device->cert_file = device->default_cert_file;
    device->key_file = device->default_key_file;
    return rc;
}

static void name_folder(struct identity_device *device)
{
    const char *file = device->config->main_file;
    const char *end = strrchr(file, '/');
    if (end != NULL)
        (void)snprintf(device->folder, sizeof device->folder, "%.*s", (int)(end - file), file);
}

int identity_device_open(const struct identity_options *options, struct identity_device *ret_device)
{
    *ret_device = (struct identity_device){.state = options->state};
    int code = load_config(options, &ret_device->config);
    if (code != CLI_DONE)
        return code;
    if (ret_device->state == NULL)
        ret_device->state = ret_device->config->spool.path;
    if (name_files(ret_device) < 0) {
        cli_fault("state directory", ret_device->state, "is too long a path");
        identity_device_close(ret_device);
        return CLI_USAGE;
    }
    if (ret_device->config != NULL) {
        name_folder(ret_device);
        ret_device->name = ret_device->config->device;
        find_credentials(ret_device);
        if (ret_device->credentials == NULL)
            find_route(ret_device);
    }
    return CLI_DONE;
}

struct identity_store_options identity_device_store(const struct identity_device *device)
{
    return (struct identity_store_options){.state = device->state,
                                           .cert_file = device->cert_file,
                                           .key_file = device->key_file,
                                           .folder =
                                               device->folder[0] != '\0' ? device->folder : NULL};
}

void identity_device_close(struct identity_device *device)
{
    config_free(device->config);
    device->config = NULL;
}
