/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/control/control.h"
#include "agent/control/control_client.h"
#include "agent/control/schema.h"
#include "platform/base/error.h"
#include "platform/clock.h"

enum { TIMEOUT_MS = 30000, REFUSALS_SHOWN = 20 };

static const char usage[] =
    "usage: runnel send SENSOR [--lane LANE] [--timeout DURATION] < JSON-LINES\n\n"
    "Hands JSON objects, one per line, to the running agent as they come. Exits with 0 once all "
    "of\n"
    "them are accepted: durable on flash or delivered.\n\n"
    "  --lane LANE          alarm, normal or bulk\n"
    "  --timeout DURATION   how long to wait for the agent to start, and then for each of its\n"
    "                       answers while lines are open (default 30s)\n\n"
    "Refused lines are named on stderr; the others are accepted all the same, and the exit code\n"
    "is 1. Sending everything again after a failure may send some of it twice.\n";

struct options {
    const char *sensor;
    const char *lane;
    int64_t timeout_ms;
    char path[CONTROL_PATH_BYTES];
};

/* By the rules of runnel.json, before anything is waited for. */
static int check_name(const char *what, const struct schema_key *key, const char *name)
{
    char why[SCHEMA_WHY_BYTES];
    struct schema_value value;
    if (schema_parse(key, name, why, &value) == 0)
        return 0;
    cli_fault(what, name, why);
    return E_INVALID;
}

static int check_names(const struct options *options)
{
    static const struct schema_key sensor = {.kind = SCHEMA_NAME};
    static const struct schema_key lane = {.kind = SCHEMA_CHOICE, .choices = "alarm|normal|bulk"};
    int result = check_name("SENSOR", &sensor, options->sensor);
    return result == 0 && options->lane != NULL ? check_name("--lane", &lane, options->lane)
                                                : result;
}

static int read_options(int argc, char **argv, struct options *options)
{
    static const struct option table[] = {{"lane", required_argument, NULL, 'l'},
                                          {"timeout", required_argument, NULL, 't'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int option;
    while ((option = getopt_long(argc, argv, "h", table, NULL)) >= 0) {
        if (option == 'h')
            return E_STOP;
        if (option == 'l')
            options->lane = optarg;
        else if (option != 't' || cli_read_duration("--timeout", optarg, &options->timeout_ms) < 0)
            return E_INVALID;
    }
    if (optind + 1 != argc)
        return E_INVALID;
    options->sensor = argv[optind];
    return check_names(options);
}

static void print_refusal(void *context, uint64_t line, const char *reason)
{
    unsigned *shown = context;
    if (*shown < REFUSALS_SHOWN)
        (void)fprintf(stderr, "line %" PRIu64 ": %s\n", line, reason);
    else if (*shown == REFUSALS_SHOWN)
        (void)fprintf(stderr, "more lines are refused and not shown\n");
    if (*shown <= REFUSALS_SHOWN)
        *shown += 1;
}

/* What the sender has to know to go on: which lines are safe. */
static void print_failure(int result, const struct control_sent *sent)
{
    const char *why = ERROR_TEXT(result);
    if (result == E_TIMEOUT)
        why = "the agent settled nothing for too long; see `runnel status`";
    else if (result == E_CLOSED)
        why = "the agent went away";
    else if (sent->reason[0] != '\0')
        why = sent->reason;
    (void)fprintf(stderr, "runnel: %s\n", why);
    if (sent->settled == 0) {
        (void)fprintf(stderr, "no line is settled: the agent promised nothing\n");
        return;
    }
    (void)fprintf(stderr,
                  "lines 1 to %" PRIu64 " are settled (%" PRIu64 " accepted, %" PRIu64
                  " refused), of the others the agent promised nothing\n",
                  sent->settled, sent->accepted, sent->refused);
}

static int report(int result, const struct control_sent *sent)
{
    if (result < 0) {
        print_failure(result, sent);
        return CLI_FAILED;
    }
    if (sent->refused == 0)
        return CLI_DONE;
    (void)fprintf(stderr, "runnel: %" PRIu64 " accepted, %" PRIu64 " refused\n", sent->accepted,
                  sent->refused);
    return CLI_FAILED;
}

static int fail(const char *path, int code)
{
    char text[CONTROL_CLIENT_FAULT_BYTES];
    (void)fprintf(stderr, "runnel: %s\n", control_client_fault(code, path, text));
    return CLI_FAILED;
}

static int send_input(const struct options *options)
{
    struct control_client client;
    struct control_sent sent;
    unsigned shown = 0;
    const struct control_send send = {.sensor = options->sensor,
                                      .lane = options->lane,
                                      .input_fd = STDIN_FILENO,
                                      .answer_ms = options->timeout_ms,
                                      .refused = print_refusal,
                                      .context = &shown};
    int result = control_client_open(options->path, clock_mono_ms() + options->timeout_ms, &client);
    if (result < 0)
        return fail(options->path, result);
    result = control_client_send(&client, &send, &sent);
    control_client_close(&client);
    return report(result, &sent);
}

int cmd_send(int argc, char **argv)
{
    struct options options = {.timeout_ms = TIMEOUT_MS};
    int result = read_options(argc, argv, &options);
    if (result < 0) {
        (void)fputs(usage, result == E_STOP ? stdout : stderr);
        return result == E_STOP ? CLI_DONE : CLI_USAGE;
    }
    result = control_path(options.path);
    return result < 0 ? fail("RUNNEL_SOCKET", result) : send_input(&options);
}
