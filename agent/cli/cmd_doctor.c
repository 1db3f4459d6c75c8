/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/agent.h"
#include "agent/cli/cli.h"
#include "agent/control/config.h"
#include "agent/control/control.h"
#include "agent/control/doctor.h"
#include "platform/base/error.h"

enum { BUFFER_BYTES = 512 };

static const char usage[] =
    "usage: runnel doctor [ROUTE] [-c FILE] [--send] [--json]\n\n"
    "Says why records do not arrive, and what helps: looks at the configuration, the clock, the\n"
    "running agent, and for each route, or for ROUTE, at the link, name, proxy, TLS, keys and "
    "what\n"
    "the endpoint answers. Exits with 1 if something fails. It asks each endpoint twice and "
    "stores\n"
    "nothing, unless:\n\n"
    "  --send    one record of the sensor runnel is sent, {\"event\":\"doctor\"}\n"
    "  --json    as JSON, for programs\n"
    "  -c FILE   instead of $RUNNEL_CONFIG, else /etc/runnel/runnel.json\n\n"
    "Members of the group runnel see what they may read; root sees all.\n";

struct options {
    const char *path, *route;
    bool sends, json;
};

static int write_out(void *context, const uint8_t *bytes, size_t count)
{
    return fwrite(bytes, 1, count, context) == count ? E_OK : E_CLOSED;
}

static int fail(const char *what, int code)
{
    (void)fprintf(stderr, "runnel: %s: %s\n", what, ERROR_TEXT(code));
    return CLI_FAILED;
}

static int examine(const struct options *options, const struct config *config, const char *faults)
{
    char socket[CONTROL_PATH_BYTES];
    char buffer[BUFFER_BYTES];
    struct writer out;
    struct doctor doctor;
    int rc = control_path(socket);
    if (rc < 0)
        return fail("RUNNEL_SOCKET", rc);
    const struct agent_doctor_options agent = {.config = config,
                                               .faults = faults,
                                               .route = options->route,
                                               .sends = options->sends,
                                               .socket = socket};
    writer_to_function(&out, buffer, sizeof buffer, write_out, stdout);
    doctor_start(&doctor, options->json, &out);
    rc = agent_doctor(&agent, &doctor);
    if (rc == E_NOT_FOUND) {
        cli_fault("ROUTE", options->route, "is not in the configuration; runnel check lists all");
        return CLI_USAGE;
    }
    if (rc == E_OK)
        rc = writer_finish(&out);
    if (rc < 0)
        return fail("doctor", rc);
    return doctor.failures == 0 ? CLI_DONE : CLI_FAILED;
}

/* What is wrong with the configuration is a finding like others. */
static int load_and_examine(const struct options *options)
{
    char *faults = NULL;
    size_t bytes = 0;
    struct config *config = NULL;
    FILE *to = open_memstream(&faults, &bytes);
    if (to == NULL)
        return fail("doctor", E_NO_MEMORY);
    const struct config_options load = {.path = options->path, .faults = to};
    int rc = config_load(&load, &config);
    (void)fclose(to);
    int code = rc < 0 && rc != E_CONFIG && rc != E_AGAIN ? fail("doctor", rc)
                                                         : examine(options, config, faults);
    config_free(config);
    free(faults);
    return code;
}

int cmd_doctor(int argc, char **argv)
{
    static const struct option table[] = {{"config", required_argument, NULL, 'c'},
                                          {"send", no_argument, NULL, 's'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    struct options options = {0};
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
        options.path = option == 'c' ? optarg : options.path;
        options.sends |= option == 's';
        options.json |= option == 'j';
    }
    if (optind < argc)
        options.route = argv[optind++];
    if (optind == argc)
        return load_and_examine(&options);
    (void)fputs(usage, stderr);
    return CLI_USAGE;
}
