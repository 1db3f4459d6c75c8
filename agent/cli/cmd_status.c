/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

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
    "  --wait DURATION   with --healthy: wait so long (such as 10m) for it to become healthy\n\n"
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

/* 1: healthy; 0: not, and ret_problem says why. */
static int ask_health(const char *path, char *ret_problem, size_t problem_bytes)
{
    char *text;
    size_t count;
    struct status_read *status;
    int result = control_client_status(path, false, clock_mono_ms() + ANSWER_MS, &text, &count);
    if (result < 0)
        return result;
    result = status_read_open(text, count, &status);
    free(text);
    if (result < 0)
        return result;
    bool healthy = status_read_is_true(status, "healthy");
    (void)snprintf(ret_problem, problem_bytes, "%s",
                   status_read_text(status, "it does not say why", "problem"));
    status_read_close(status);
    return healthy;
}

static int print_health(const struct options *options)
{
    char problem[512] = "";
    int64_t deadline_ms = clock_mono_ms() + options->wait_ms;
    for (;;) {
        int result = ask_health(options->path, problem, sizeof(problem));
        if (result > 0)
            return puts("healthy") < 0 ? CLI_FAILED : CLI_DONE;
        if (clock_mono_ms() < deadline_ms) {
            (void)poll(NULL, 0, PAUSE_MS);
            continue;
        }
        if (result < 0)
            return fail(options->path, result);
        (void)printf("not healthy: %s\n", problem);
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
