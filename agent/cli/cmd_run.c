/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>

#include "agent/agent.h"
#include "agent/cli/cli.h"
#include "platform/base/error.h"
#include "platform/base/log.h"

static const char usage[] =
    "usage: runnel run [-c FILE] [--drain[=TIMEOUT]] [--verbose]\n"
    "\n"
    "Runs the agent in the foreground until SIGTERM or Ctrl-C.\n"
    "\n"
    "  -c, --config FILE     instead of RUNNEL_CONFIG or /etc/runnel/runnel.json\n"
    "  --drain[=TIMEOUT]     read finite inputs (files, closed pipes) to their end, deliver\n"
    "                        everything and exit 0; 1 if something is left after TIMEOUT "
    "(\"10m\")\n"
    "  --verbose             log every request as well\n";

static int usage_fault(void)
{
    (void)fputs(usage, stderr);
    return CLI_USAGE;
}

int cmd_run(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"drain", optional_argument, NULL, 'd'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct config_options config = {.faults = NULL};
    struct agent_options agent = {.config = &config, .drain_timeout_ms = INT64_MAX};
    for (int option; (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        if (option == 'c') {
            config.path = optarg;
        } else if (option == 'd') {
            agent.drain = true;
            if (optarg != NULL && cli_read_duration("--drain", optarg, &agent.drain_timeout_ms) < 0)
                return usage_fault();
        } else if (option == 'v') {
            log_set_level(LOG_LEVEL_DEBUG);
        } else if (option == 'h') {
            (void)fputs(usage, stdout);
            return CLI_DONE;
        } else {
            return usage_fault();
        }
    }
    if (optind != argc)
        return usage_fault();
    int code = agent_run(&agent);
    return code == E_CONFIG ? CLI_CONFIG : code == 0 ? CLI_DONE : CLI_FAILED;
}
