/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/ask_spool.h"
#include "agent/cli/cli.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"

enum { PAUSE_MS = 1000, REQUEST_BYTES = 48, COUNT_MAX = 256 };

static const char usage[] =
    "usage: runnel log [-n COUNT] [--follow] [--json] [-c FILE]\n\n"
    "Says what happened: the last 256 lines of the agent's log, which the spool keeps across\n"
    "restarts and power cuts. Of the running agent or, when none answers, of a stopped one.\n\n"
    "  -n COUNT      only so many of them\n"
    "  --follow      go on with what happens, until it is interrupted\n"
    "  --json        for programs: a line of JSON each\n"
    "  -c FILE       where a stopped agent's spool is (spool.path); instead of $RUNNEL_CONFIG,\n"
    "                else /etc/runnel/runnel.json\n";

struct options {
    bool json, follow;
    uint64_t count; /* 0: all */
    const char *config;
};

static int ask(const struct options *options, struct ask_spool *ask, const char *range,
               uint64_t number, struct control_spooled *ret_spooled)
{
    char request[REQUEST_BYTES];
    int used = snprintf(request, sizeof request, "log%s", options->json ? " json" : "");
    if (range != NULL)
        (void)snprintf(request + used, sizeof request - (size_t)used, " %s %" PRIu64, range,
                       number);
    ask->request = request;
    return ask_spool(ask, ret_spooled);
}

/* An agent that is being started anew is waited for. */
static int follow(const struct options *options, uint64_t next)
{
    for (;;) {
        struct control_spooled spooled;
        struct ask_spool again = {.config = options->config, .running = true, .to = stdout};
        (void)poll(NULL, 0, PAUSE_MS);
        int result = ask(options, &again, "from", next, &spooled);
        if (result < 0 && result != E_NOT_FOUND && result != E_CLOSED)
            return ask_spool_fail(&again, result, &spooled, false);
        if (result == E_OK)
            next = spooled.records;
        if (fflush(stdout) != 0)
            return CLI_FAILED;
    }
}

static int run(const struct options *options)
{
    struct control_spooled spooled;
    struct ask_spool first = {.config = options->config, .running = options->follow, .to = stdout};
    int result = ask(options, &first, options->count > 0 ? "last" : NULL, options->count, &spooled);
    if (result == E_STOP)
        return first.exit_code;
    if (result < 0)
        return ask_spool_fail(&first, result, &spooled, false);
    if (!options->follow)
        return CLI_DONE;
    return fflush(stdout) != 0 ? CLI_FAILED : follow(options, spooled.records);
}

static int take_count(const char *text, struct options *options)
{
    if (parse_unsigned(text, strlen(text), &options->count) == 0 && options->count > 0 &&
        options->count <= COUNT_MAX)
        return 0;
    cli_fault("-n", text, "is no number from 1 to 256");
    return E_INVALID;
}

static int read_options(int argc, char **argv, struct options *options)
{
    static const struct option table[] = {{"json", no_argument, NULL, 'j'},
                                          {"follow", no_argument, NULL, 'f'},
                                          {"config", required_argument, NULL, 'c'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int option;
    while ((option = getopt_long(argc, argv, "c:n:fh", table, NULL)) >= 0) {
        if (option == 'j')
            options->json = true;
        else if (option == 'f')
            options->follow = true;
        else if (option == 'c')
            options->config = optarg;
        else if (option == 'h')
            return E_STOP;
        else if (option != 'n' || take_count(optarg, options) < 0)
            return E_INVALID;
    }
    return optind < argc ? E_INVALID : 0;
}

int cmd_log(int argc, char **argv)
{
    struct options options = {0};
    int result = read_options(argc, argv, &options);
    if (result < 0) {
        (void)fputs(usage, result == E_STOP ? stdout : stderr);
        return result == E_STOP ? CLI_DONE : CLI_USAGE;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    return run(&options);
}
