/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/control/control.h"
#include "agent/control/control_client.h"
#include "agent/control/status_read.h"
#include "platform/base/error.h"
#include "platform/clock.h"

enum { ANSWER_MS = 5000, PAUSE_MS = 1000 };

static const char usage[] =
    "usage: runnel status [--json] [--healthy [--wait DURATION]]\n\n"
    "Says what the running agent is doing.\n\n"
    "  --json            as JSON, for programs\n"
    "  --healthy         say only whether it is healthy; exit with 1 if not\n"
    "  --wait DURATION   with --healthy: wait so long (such as 10m) for it to become healthy, and\n"
    "                    for each route that records are kept for to deliver since the start of\n"
    "                    the agent; for updates, which keep what was proven to deliver\n\n"
    "The agent is asked over $RUNNEL_SOCKET, else $RUNTIME_DIRECTORY/control.sock, else\n"
    "/run/runnel/control.sock.\n";

struct options {
    bool json, healthy;
    int64_t wait_ms;
    char path[CONTROL_PATH_BYTES];
};

static int fail(const char *path, int code)
{
    char text[CONTROL_CLIENT_FAULT_BYTES];
    (void)fprintf(stderr, "runnel: %s\n", control_client_fault(code, path, text));
    return CLI_FAILED;
}

static int print_status(const struct options *options)
{
    char *text;
    size_t count;
    int result = control_client_status(options->path, !options->json, clock_mono_ms() + ANSWER_MS,
                                       &text, &count);
    if (result < 0)
        return fail(options->path, result);
    bool written = fwrite(text, 1, count, stdout) == count && fflush(stdout) == 0;
    free(text);
    return written ? CLI_DONE : CLI_FAILED;
}

enum { PROBLEM_BYTES = 512 };

/* What the agent says of itself, and what of it is proven. */
struct health {
    bool healthy;
    bool proven; /* each route that holds has delivered since the agent started */
    bool owes;   /* one of those that have not has something to deliver */
    char problem[PROBLEM_BYTES];
};

static bool has_something(const struct status_read *status, const char *route)
{
    const char *lane;
    for (size_t i = 0; (lane = status_read_member(status, i, "routes/%s/lanes", route)) != NULL;
         i++)
        if (status_read_number(status, "routes/%s/lanes/%s/stored", route, lane) > 0 ||
            status_read_number(status, "lanes/%s/pending", lane) > 0)
            return true;
    return false;
}

/* Health is the absence of a fault, so a program that has just started is healthy whatever it can
 * do; that it delivers is another question. A spent data budget is nobody's fault. */
static void judge_routes(const struct status_read *status, struct health *health)
{
    const char *name;
    for (size_t i = 0; (name = status_read_member(status, i, "routes")) != NULL; i++) {
        if (!status_read_is_true(status, "routes/%s/hold", name) ||
            status_read_text(status, NULL, "routes/%s/delivered_age_s", name) != NULL)
            continue;
        health->proven = false;
        if (health->owes || !has_something(status, name) ||
            strcmp(status_read_text(status, "", "routes/%s/state", name), "paused") == 0)
            continue;
        health->owes = true;
        if (health->healthy)
            (void)snprintf(
                health->problem, sizeof health->problem,
                "route %s has delivered nothing since the agent started: %s", name,
                status_read_text(status, "it has not said why", "routes/%s/error", name));
    }
}

static int ask_health(const char *path, struct health *ret_health)
{
    struct status_read *status;
    int result = control_client_read_status(path, clock_mono_ms() + ANSWER_MS, &status);
    if (result < 0)
        return result;
    *ret_health =
        (struct health){.healthy = status_read_is_true(status, "healthy"), .proven = true};
    (void)snprintf(ret_health->problem, sizeof ret_health->problem, "%s",
                   status_read_text(status, "it does not say why", "problem"));
    judge_routes(status, ret_health);
    status_read_close(status);
    return 0;
}

/* Without time to wait there is only what the agent says of itself. */
static bool is_enough(const struct options *options, const struct health *health, bool is_last)
{
    if (!health->healthy || options->wait_ms == 0)
        return health->healthy;
    return health->proven || (is_last && !health->owes);
}

static int print_health(const struct options *options)
{
    int64_t deadline_ms = clock_mono_ms() + options->wait_ms;
    for (;;) {
        struct health health = {0};
        int result = ask_health(options->path, &health);
        bool is_last = clock_mono_ms() >= deadline_ms;
        if (result == 0 && is_enough(options, &health, is_last))
            return puts("healthy") < 0 ? CLI_FAILED : CLI_DONE;
        if (!is_last) {
            (void)poll(NULL, 0, PAUSE_MS);
            continue;
        }
        if (result < 0)
            return fail(options->path, result);
        (void)printf("not healthy: %s\n", health.problem);
        return CLI_FAILED;
    }
}

static int refuse(const char *why)
{
    (void)fprintf(stderr, "runnel: %s\n", why);
    return E_INVALID;
}

static int read_options(int argc, char **argv, struct options *options)
{
    static const struct option table[] = {{"json", no_argument, NULL, 'j'},
                                          {"healthy", no_argument, NULL, 'H'},
                                          {"wait", required_argument, NULL, 'w'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int option;
    while ((option = getopt_long(argc, argv, "h", table, NULL)) >= 0) {
        if (option == 'j')
            options->json = true;
        else if (option == 'H')
            options->healthy = true;
        else if (option == 'h')
            return E_STOP;
        else if (option != 'w' || cli_read_duration("--wait", optarg, &options->wait_ms) < 0)
            return E_INVALID;
    }
    if (options->json && options->healthy)
        return refuse("--json and --healthy exclude each other");
    if (options->wait_ms > 0 && !options->healthy)
        return refuse("--wait needs --healthy");
    return optind < argc ? E_INVALID : 0;
}

int cmd_status(int argc, char **argv)
{
    struct options options = {0};
    int result = read_options(argc, argv, &options);
    if (result < 0) {
        (void)fputs(usage, result == E_STOP ? stdout : stderr);
        return result == E_STOP ? CLI_DONE : CLI_USAGE;
    }
    result = control_path(options.path);
    if (result < 0)
        return fail("RUNNEL_SOCKET", result);
    return options.healthy ? print_health(&options) : print_status(&options);
}
