/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>

#include "agent/cli/cli.h"
#include "agent/control/control.h"
#include "agent/control/control_client.h"
#include "agent/control/metrics.h"
#include "platform/base/error.h"
#include "platform/clock.h"

enum { ANSWER_MS = 5000 };

static const char usage[] =
    "usage: runnel metrics\n\n"
    "The numbers of the running agent as Prometheus reads them, such as for node_exporter's\n"
    "textfile collector. It is asked over $RUNNEL_SOCKET, else $RUNTIME_DIRECTORY/control.sock,\n"
    "else /run/runnel/control.sock.\n";

static int fail(const char *path, int code)
{
    char text[CONTROL_CLIENT_FAULT_BYTES];
    (void)fprintf(stderr, "runnel: %s\n", control_client_fault(code, path, text));
    return CLI_FAILED;
}

static int run(void)
{
    char path[CONTROL_PATH_BYTES];
    struct status_read *status;
    int result = control_path(path);
    if (result < 0)
        return fail("RUNNEL_SOCKET", result);
    result = control_client_read_status(path, clock_mono_ms() + ANSWER_MS, &status);
    if (result < 0)
        return fail(path, result);
    metrics_write(status, stdout);
    status_read_close(status);
    return CLI_DONE;
}

int cmd_metrics(int argc, char **argv)
{
    static const struct option table[] = {{"help", no_argument, NULL, 'h'}, {0}};
    int option = getopt_long(argc, argv, "h", table, NULL);
    if (option == 'h') {
        (void)fputs(usage, stdout);
        return CLI_DONE;
    }
    if (option >= 0 || optind < argc) {
        (void)fputs(usage, stderr);
        return CLI_USAGE;
    }
    return run();
}
