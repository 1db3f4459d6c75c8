/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/cli/cli.h"
#include "agent/control/control.h"
#include "agent/control/control_client.h"
#include "platform/base/error.h"
#include "platform/clock.h"

enum { ANSWER_MS = 30000, CONNECT_MS = 0 };

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

/* What the lines came to that were handed on: told when the rest does not come. */
struct output {
    uint64_t bytes;
    uint64_t lines;
};

static int write_output(void *context, const void *bytes, size_t count)
{
    struct output *output = context;
    const char *at = bytes;
    const char *end = at + count;
    if (fwrite(bytes, 1, count, stdout) != count)
        return E_CLOSED;
    output->bytes += count;
    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        output->lines++;
        at++;
    }
    return 0;
}

/* ---- who is asked ---- */

/* E_NOT_FOUND: nobody answers at PATH. */
static int ask_agent(const char *path, const struct control_spool *spool,
                     struct control_spooled *ret_spooled)
{
    struct control_client client;
    int result = control_client_open(path, clock_mono_ms() + CONNECT_MS, &client);
    if (result < 0) {
        *ret_spooled = (struct control_spooled){0};
        (void)control_client_fault(result, path, ret_spooled->reason);
        return result;
    }
    result = control_client_spool(&client, spool, ret_spooled);
    control_client_close(&client);
    /* Only who is not there may be passed over. */
    return result == E_NOT_FOUND ? E_DAMAGED : result;
}

/* Returns the exit code where the configuration is at fault, or -1 and the result. */
static int open_stopped(const struct options *options, const char *socket,
                        const struct control_spool *spool, int *ret_result,
                        struct control_spooled *ret_spooled)
{
    const struct config_options config_options = {.path = options->config, .faults = stderr};
    struct config *config;
    int result = config_load(&config_options, &config);
    if (result < 0) {
        (void)fprintf(stderr,
                      "runnel: no agent answers at %s, and the configuration, which says where "
                      "its spool is, cannot be used: %s\n",
                      socket, ERROR_TEXT(result));
        return result == E_CONFIG ? CLI_CONFIG : CLI_FAILED;
    }
    *ret_result = agent_spool(config, spool, ret_spooled);
    if (*ret_result == E_BUSY)
        (void)snprintf(ret_spooled->reason, sizeof(ret_spooled->reason),
                       "no agent answers at %s, but another process has the spool in %.100s; set "
                       "RUNNEL_SOCKET to the socket of that agent",
                       socket, config->spool.path);
    config_free(config);
    return -1;
}

/* ---- what is said at the end ---- */

static int fail(const struct options *options, int result, const struct output *output,
                const struct control_spooled *spooled)
{
    const char *reason = spooled->reason[0] != '\0' ? spooled->reason : ERROR_TEXT(result);
    if (ferror(stdout) != 0) /* main says it */
        return CLI_FAILED;
    if (output->bytes == 0)
        (void)fprintf(stderr, "runnel: %s\n", reason);
    else if (options->exports)
        (void)fprintf(stderr, "runnel: the export broke off after %" PRIu64 " records: %s\n",
                      output->lines, reason);
    else
        (void)fprintf(stderr, "runnel: the answer broke off: %s\n", reason);
    return CLI_FAILED;
}

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
    char socket[CONTROL_PATH_BYTES];
    struct output output = {0};
    struct control_spooled spooled = {0};
    const struct control_spool spool = {.request = options->request,
                                        .answer_ms = ANSWER_MS,
                                        .write = write_output,
                                        .context = &output};
    int result = control_path(socket);
    if (result < 0) {
        cli_fault("RUNNEL_SOCKET", "", "is too long; a socket's path has at most 107 bytes");
        return CLI_FAILED;
    }
    result = ask_agent(socket, &spool, &spooled);
    if (result == E_NOT_FOUND) {
        int code = open_stopped(options, socket, &spool, &result, &spooled);
        if (code >= 0)
            return code;
    }
    return result < 0 ? fail(options, result, &output, &spooled) : finish(options, &spooled);
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
