/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cli.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* NULL: Kconfig left it out */
    const char *summary;
    const char *symbol; /* Kconfig's, that brings it */
};

#ifndef CONFIG_COMMAND_TOP
#define cmd_top NULL
#endif
#ifndef CONFIG_COMMAND_SPOOL
#define cmd_spool NULL
#endif
#ifndef CONFIG_COMMAND_DOCTOR
#define cmd_doctor NULL
#endif
#ifndef CONFIG_COMMAND_DEAD
#define cmd_dead NULL
#endif
#ifndef CONFIG_COMMAND_IDENTITY
#define cmd_identity NULL
#endif
#ifndef CONFIG_COMMAND_CONFIG
#define cmd_config NULL
#endif
#ifndef CONFIG_COMMAND_REPORT
#define cmd_report NULL
#endif
#ifndef CONFIG_COMMAND_METRICS
#define cmd_metrics NULL
#endif
#ifndef CONFIG_COMMAND_LOG
#define cmd_log NULL
#endif
#ifndef CONFIG_COMMAND_SENSORS
#define cmd_sensors NULL
#endif

static const struct command commands[] = {
    {"run", cmd_run, "run the agent in the foreground", NULL},
    {"check", cmd_check, "validate the configuration and say what would run", NULL},
    {"status", cmd_status, "say what the running agent is doing", NULL},
    {"top", cmd_top, "watch the running agent", "CONFIG_COMMAND_TOP"},
    {"doctor", cmd_doctor, "say why records do not arrive, and what helps",
     "CONFIG_COMMAND_DOCTOR"},
    {"sensors", cmd_sensors, "list drivers and sensors, or read one now and say why it fails",
     "CONFIG_COMMAND_SENSORS"},
    {"send", cmd_send, "hand documents to the running agent", NULL},
    {"spool", cmd_spool, "show, export or check what is stored, also without an agent",
     "CONFIG_COMMAND_SPOOL"},
    {"dead", cmd_dead, "list, export, send again or purge dead letters, also without an agent",
     "CONFIG_COMMAND_DEAD"},
    {"identity", cmd_identity, "make, show and install the device's key and certificate",
     "CONFIG_COMMAND_IDENTITY"},
    {"config", cmd_config, "show what is effective, or apply a file that has to prove itself",
     "CONFIG_COMMAND_CONFIG"},
    {"log", cmd_log, "say what happened last, also before a restart", "CONFIG_COMMAND_LOG"},
    {"metrics", cmd_metrics, "the numbers of the running agent for Prometheus",
     "CONFIG_COMMAND_METRICS"},
    {"report", cmd_report, "everything that a supporter needs, without secrets",
     "CONFIG_COMMAND_REPORT"},
    {"version", cmd_version, "say what this program contains", NULL},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *to)
{
    (void)fprintf(to, "usage: runnel COMMAND [OPTION...]\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (commands[i].run != NULL)
            (void)fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].summary);
    (void)fprintf(to, "\nrunnel COMMAND --help says more.\n"
                      "Exit codes: 0 done, 1 failed, 2 usage, 78 bad configuration.\n");
}

/* Whoever starts us with 0, 1 or 2 closed would have the next socket or file take that number, and
 * log lines would be written into it. A path alone can be neither read nor written. */
static void hold_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/", O_PATH);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        (void)close(fd);
}

/* What was asked for and could not be written is a failure, whatever the command made of it. */
static int finish(int code)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return code;
    (void)fprintf(stderr, "runnel: standard output cannot be written; is it closed, or full?\n");
    return code == CLI_DONE ? CLI_FAILED : code;
}

static int run_command(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return CLI_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_usage(stdout);
        return CLI_DONE;
    }
    if (strcmp(name, "--version") == 0)
        name = "version";
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run != NULL ? commands[i].run(argc - 1, argv + 1)
                                           : cli_left_out(name, commands[i].symbol);
    (void)fprintf(stderr, "runnel: there is no command \"%s\"; runnel --help lists them\n", name);
    return CLI_USAGE;
}

int main(int argc, char **argv)
{
    hold_standard_descriptors();
    return finish(run_command(argc, argv));
}
