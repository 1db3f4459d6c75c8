/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/ask_spool.h"
#include "agent/cli/cli.h"
#include "agent/control/config.h"
#include "platform/base/error.h"

static const char usage[] =
    "usage: runnel spool show [--json] [-c FILE]\n"
    "       runnel spool export [--lane LANE] [-c FILE]\n"
    "       runnel spool check [--json] [-c FILE]\n\n"
    "Looks into the spool, of the running agent or, when none answers, of a stopped one. Nothing\n"
    "is changed.\n\n"
    "  show          what is stored, what each route is owed, and the last events\n"
    "  export        every record that the spool holds, a line of JSON each, as it is sent\n"
    "  check         whether everything can be read; exit with 1 if not\n"
    "  --json        for programs\n"
    "  --lane LANE   only alarm, normal or bulk\n"
    "  -c FILE       where a stopped agent's spool is (spool.path); instead of $RUNNEL_CONFIG,\n"
    "                else /etc/runnel/runnel.json\n";

struct options {
    bool json, exports, checks;
    const char *lane;
    const char *config;
    char request[32];
};

/* ---- what is said at the end ---- */

static int finish(const struct options *options, const struct control_spooled *spooled)
{
    if (options->exports && fflush(stdout) == 0)
        (void)fprintf(stderr,
                      "exported %" PRIu64 " record%s, %" PRIu64 " damaged block%s passed over\n",
                      spooled->records, spooled->records == 1 ? "" : "s", spooled->damaged,
                      spooled->damaged == 1 ? "" : "s");
    return options->checks && spooled->damaged > 0 ? CLI_FAILED : CLI_DONE;
}

static int run(const struct options *options)
{
    struct control_spooled spooled;
    struct ask_spool ask = {.config = options->config, .request = options->request, .to = stdout};
    int result = ask_spool(&ask, &spooled);
    if (result == E_STOP)
        return ask.exit_code;
    if (result < 0)
        return ask_spool_fail(&ask, result, &spooled, options->exports);
    return finish(options, &spooled);
}

/* ---- the command line ---- */

static int take_action(const char *action, struct options *options)
{
    options->exports = strcmp(action, "export") == 0;
    options->checks = strcmp(action, "check") == 0;
    if (!options->exports && !options->checks && strcmp(action, "show") != 0)
        return E_INVALID;
    if (options->lane != NULL && !options->exports) {
        (void)fprintf(stderr, "runnel: --lane is for export\n");
        return E_INVALID;
    }
    const char *argument = options->json && !options->exports ? "json" : options->lane;
    (void)snprintf(options->request, sizeof(options->request), "%s%s%s", action,
                   argument != NULL ? " " : "", argument != NULL ? argument : "");
    return 0;
}

static int take_lane(const char *lane, struct options *options)
{
    for (int i = 0; i < CFG_LANES; i++)
        if (strcmp(lane, config_lane_name((enum cfg_lane)i)) == 0)
            options->lane = lane;
    if (options->lane != NULL)
        return 0;
    cli_fault("--lane", lane, "is none; choose alarm, normal or bulk");
    return E_INVALID;
}

static int read_options(int argc, char **argv, struct options *options)
{
    static const struct option table[] = {{"json", no_argument, NULL, 'j'},
                                          {"lane", required_argument, NULL, 'l'},
                                          {"config", required_argument, NULL, 'c'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int option;
    while ((option = getopt_long(argc, argv, "c:h", table, NULL)) >= 0) {
        if (option == 'j')
            options->json = true;
        else if (option == 'c')
            options->config = optarg;
        else if (option == 'h')
            return E_STOP;
        else if (option != 'l' || take_lane(optarg, options) < 0)
            return E_INVALID;
    }
    return optind + 1 == argc ? take_action(argv[optind], options) : E_INVALID;
}

int cmd_spool(int argc, char **argv)
{
    struct options options = {0};
    int result = read_options(argc, argv, &options);
    if (result < 0) {
        (void)fputs(usage, result == E_STOP ? stdout : stderr);
        return result == E_STOP ? CLI_DONE : CLI_USAGE;
    }
    /* An export that nobody reads to its end has failed, and says so. */
    (void)signal(SIGPIPE, SIG_IGN);
    return run(&options);
}
