/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#include "agent/agent.h"
#include "agent/cli/cli.h"
#include "agent/control/config.h"
#include "agent/control/ground.h"
#include "platform/base/error.h"
#include "platform/fs.h"

static const char usage[] =
    "usage: runnel check [-c FILE] [--estimate]\n\n"
    "Validates the configuration and says what would run. Faults go to stderr, one a line, as\n"
    "FILE:LINE:COL: KEY: what is wrong; remedy. The exit code is then 78.\n\n"
    "  -c FILE      instead of $RUNNEL_CONFIG, else /etc/runnel/runnel.json\n"
    "  --estimate   what it costs in a month as well: requests, link, bill and flash\n";

/* They may come later, so they are no faults; but a route without them does not connect. */
static void warn_of_file(const struct cfg_route *route, const char *key, const char *path)
{
    char byte;
    int rc = path == NULL ? 0 : fs_read_file(path, &byte, sizeof byte);
    if (rc < 0 && rc != E_TOO_BIG)
        (void)fprintf(
            stderr, "warning: route %s: %s: %s: %s; the route does not connect until it is there\n",
            route->name, key, path, ERROR_TEXT(rc));
}

static void warn_of_files(const struct config *config)
{
    for (size_t i = 0; i < config->route_count; i++) {
        const struct cfg_route *route = &config->routes[i];
        warn_of_file(route, "ca_file", route->ca_file);
        warn_of_file(route, "cert_file", route->cert_file);
        warn_of_file(route, "key_file", route->key_file);
    }
}

/* Without its mount the state directory cannot be judged; that may come later as well. */
static int check_ground(const struct config *config)
{
    char fault[GROUND_FAULT_BYTES];
    const char *file = config->file[0] == '\0' ? "runnel" : config->file;
    int rc = ground_check(&config->spool, fault);
    if (rc < 0)
        (void)fprintf(stderr, "%s: %s%s\n", file, rc == E_CONFIG ? "" : "warning: ", fault);
    return rc == E_CONFIG ? CLI_CONFIG : CLI_DONE;
}

static int estimate(const struct config *config)
{
    int rc = agent_estimate(config, stdout);
    if (rc == E_OK)
        return CLI_DONE;
    (void)fprintf(stderr, "runnel: what it costs cannot be told: %s\n",
                  rc == E_AGAIN ? "records are so many, or so large, that RAM does not hold them "
                                  "until they are due; lower age or batch"
                                : ERROR_TEXT(rc));
    return CLI_FAILED;
}

static int check(const char *path, bool estimates)
{
    const struct config_options options = {.path = path, .faults = stderr};
    struct config *config = NULL;
    int rc = config_load(&options, &config);
    if (rc == E_CONFIG)
        return CLI_CONFIG;
    if (rc < 0) {
        (void)fprintf(stderr, "runnel: the configuration cannot be read: %s\n", ERROR_TEXT(rc));
        return CLI_FAILED;
    }
    warn_of_files(config);
    int code = check_ground(config);
    if (code == CLI_DONE)
        config_print(config, stdout);
    if (code == CLI_DONE && estimates)
        code = estimate(config);
    config_free(config);
    return fflush(stdout) == 0 ? code : CLI_FAILED;
}

int cmd_check(int argc, char **argv)
{
    static const struct option table[] = {{"config", required_argument, NULL, 'c'},
                                          {"estimate", no_argument, NULL, 'e'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    const char *path = NULL;
    bool estimates = false;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", table, NULL)) >= 0) {
        if (option == 'h') {
            (void)fputs(usage, stdout);
            return CLI_DONE;
        }
        if (option == '?') {
            (void)fputs(usage, stderr);
            return CLI_USAGE;
        }
        if (option == 'c')
            path = optarg;
        else
            estimates = true;
    }
    if (optind == argc)
        return check(path, estimates);
    (void)fputs(usage, stderr);
    return CLI_USAGE;
}
