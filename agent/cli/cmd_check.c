/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>

#include "agent/cli/cli.h"
#include "agent/control/config.h"
#include "platform/base/error.h"

static const char usage[] =
    "usage: runnel check [-c FILE]\n\n"
    "Validates the configuration and says what would run. Faults go to stderr, one a line, as\n"
    "FILE:LINE:COL: KEY: what is wrong; remedy. The exit code is then 78.\n\n"
    "  -c FILE   instead of $RUNNEL_CONFIG, else /etc/runnel/runnel.json\n";

static int check(const char *path)
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
    config_print(config, stdout);
    config_free(config);
    return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}

int cmd_check(int argc, char **argv)
{
    static const struct option table[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *path = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", table, NULL)) >= 0) {
        if (option == 'h') {
            (void)fputs(usage, stdout);
            return CLI_DONE;
        }
        if (option != 'c') {
            (void)fputs(usage, stderr);
            return CLI_USAGE;
        }
        path = optarg;
    }
    if (optind == argc)
        return check(path);
    (void)fputs(usage, stderr);
    return CLI_USAGE;
}
