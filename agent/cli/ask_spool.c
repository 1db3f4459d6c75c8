/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/ask_spool.h"

#include <inttypes.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/cli/cli.h"
#include "agent/control/control.h"
#include "platform/base/error.h"
#include "platform/clock.h"

enum { ANSWER_MS = 30000, CONNECT_MS = 0 };

static int write_output(void *context, const void *bytes, size_t count)
{
    struct ask_spool *ask = context;
    const char *at = bytes;
    const char *end = at + count;
    if (fwrite(bytes, 1, count, ask->to) != count)
        return E_CLOSED;
    ask->bytes += count;
    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        ask->lines++;
        at++;
    }
    return 0;
}

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

static int ask_stopped(struct ask_spool *ask, const char *socket, const struct control_spool *spool,
                       struct control_spooled *ret_spooled)
{
    const struct config_options config_options = {.path = ask->config, .faults = stderr};
    struct config *config;
    int result = config_load(&config_options, &config);
    if (result < 0) {
        (void)fprintf(stderr,
                      "runnel: no agent answers at %s, and the configuration, which says where "
                      "its spool is, cannot be used: %s\n",
                      socket, ERROR_TEXT(result));
        ask->exit_code = result == E_CONFIG ? CLI_CONFIG : CLI_FAILED;
        return E_STOP;
    }
    ask->stopped = true;
    result = agent_spool(config, spool, ret_spooled);
    if (result == E_BUSY)
        (void)snprintf(ret_spooled->reason, sizeof(ret_spooled->reason),
                       "no agent answers at %s, but another process has the spool in %.100s; set "
                       "RUNNEL_SOCKET to the socket of that agent",
                       socket, config->spool.path);
    config_free(config);
    return result;
}

int ask_spool(struct ask_spool *ask, struct control_spooled *ret_spooled)
{
    char socket[CONTROL_PATH_BYTES];
    const struct control_spool spool = {
        .request = ask->request, .answer_ms = ANSWER_MS, .write = write_output, .context = ask};
    *ret_spooled = (struct control_spooled){0};
    if (control_path(socket) < 0) {
        cli_fault("RUNNEL_SOCKET", "", "is too long; a socket's path has at most 107 bytes");
        ask->exit_code = CLI_FAILED;
        return E_STOP;
    }
    int result = ask_agent(socket, &spool, ret_spooled);
    return result == E_NOT_FOUND && !ask->running ? ask_stopped(ask, socket, &spool, ret_spooled)
                                                  : result;
}

int ask_spool_fail(const struct ask_spool *ask, int result, const struct control_spooled *spooled,
                   bool exports)
{
    const char *reason = spooled->reason[0] != '\0' ? spooled->reason : ERROR_TEXT(result);
    if (ferror(stdout) != 0) /* main says it */
        return CLI_FAILED;
    if (ask->bytes == 0)
        (void)fprintf(stderr, "runnel: %s\n", reason);
    else if (exports)
        (void)fprintf(stderr, "runnel: the export broke off after %" PRIu64 " records: %s\n",
                      ask->lines, reason);
    else
        (void)fprintf(stderr, "runnel: the answer broke off: %s\n", reason);
    return CLI_FAILED;
}
