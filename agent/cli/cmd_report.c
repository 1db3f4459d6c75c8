/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/report_machine.h"
#include "platform/base/error.h"
#include "platform/clock.h"

enum { COMMAND_MS = 60 * 1000, DOCTOR_MS = 10 * 60 * 1000, ARGUMENTS_MAX = 8, PART_BYTES = 4096 };

static const char usage[] =
    "usage: runnel report [--offline] [-c FILE] > FILE\n\n"
    "Everything that a supporter needs, as one text: this program, the machine, its disks and\n"
    "network, the configuration without secrets, the agent's status, its spool, what happened\n"
    "last, and what the doctor finds. Names, addresses and the last values of sensors are in it;\n"
    "keys, tokens, passwords and what is in the files that hold them are not.\n\n"
    "  --offline   without the doctor, who asks the endpoints\n"
    "  -c FILE     instead of $RUNNEL_CONFIG, else /etc/runnel/runnel.json\n";

struct report {
    const char *config; /* -c, or NULL */
    bool offline;
    struct report_filter filter;
};

static void begin_section(struct report *report, const char *heading)
{
    report_filter_line(&report->filter, "\n==== %s ====\n", heading);
}

/* ---- commands of this program, each in a process of its own: whatever one does, the report goes
 * on ---- */

/* 0 or an errno. */
static int spawn(char *const arguments[], pid_t *ret_child, int *ret_fd)
{
    extern char **environ;
    posix_spawn_file_actions_t actions;
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return errno;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, pipes[1], STDERR_FILENO);
    int rc = posix_spawn(ret_child, "/proc/self/exe", &actions, NULL, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(pipes[1]);
    if (rc != 0)
        (void)close(pipes[0]);
    else
        *ret_fd = pipes[0];
    return rc;
}

/* False if it was not through in time. */
static bool copy_output(struct report *report, int fd, int64_t deadline_ms)
{
    char part[PART_BYTES];
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int64_t left_ms = deadline_ms - clock_mono_ms();
        int rc = left_ms > 0 ? poll(&ready, 1, (int)left_ms) : 0;
        if (rc == 0)
            return false;
        if (rc < 0 && errno != EINTR)
            return true;
        ssize_t count = rc > 0 ? read(fd, part, sizeof part) : 1;
        if (count <= 0)
            return true;
        if (rc > 0)
            report_filter_write(&report->filter, part, (size_t)count);
    }
}

static void tell_end(struct report *report, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        report_filter_line(&report->filter, "(exit code %d)\n", WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        report_filter_line(&report->filter, "(ended by signal %d)\n", WTERMSIG(status));
}

/* Whether it was through in time and exited with 0. */
static bool put_command(struct report *report, char *const arguments[], int64_t limit_ms)
{
    pid_t child;
    int fd = -1;
    int status = 0;
    int errnum = spawn(arguments, &child, &fd);
    if (errnum != 0) {
        report_filter_line(&report->filter, "(cannot be started: %s)\n",
                           ERROR_TEXT(error_sys(errnum)));
        return false;
    }
    bool ended = copy_output(report, fd, clock_mono_ms() + limit_ms);
    report_filter_end(&report->filter);
    (void)close(fd);
    if (!ended) {
        report_filter_line(&report->filter, "\n(not through in time)\n");
        (void)kill(child, SIGKILL);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (ended)
        tell_end(report, status);
    return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* COMMAND is one or two words and perhaps an option; -c goes to those that take it. */
static bool put_section(struct report *report, const char *command, bool configured,
                        int64_t limit_ms)
{
    char words[64];
    char *arguments[ARGUMENTS_MAX] = {"runnel"};
    size_t count = 1;
    begin_section(report, command);
    (void)snprintf(words, sizeof words, "%s", command);
    char *rest = words;
    char *word;
    while (count < ARGUMENTS_MAX - 3 && (word = strsep(&rest, " ")) != NULL)
        arguments[count++] = word;
    if (configured && report->config != NULL) {
        arguments[count++] = "-c";
        arguments[count++] = (char *)report->config;
    }
    return put_command(report, arguments, limit_ms);
}

/* ---- all of it ---- */

static void put_machine(struct report *report)
{
    begin_section(report, "machine");
    report_machine_system(&report->filter);
    begin_section(report, "disks");
    report_machine_disks(&report->filter);
    begin_section(report, "network");
    report_machine_network(&report->filter);
}

static int write_report(struct report *report)
{
    static const char *const before[] = {"check", "config show", "identity show"};
    static const char *const behind[] = {"spool show", "dead list", "log"};
    report_filter_line(&report->filter, "runnel report\n");
    report_machine_clock(&report->filter);
    (void)put_section(report, "version", false, COMMAND_MS);
    put_machine(report);
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        (void)put_section(report, before[i], true, COMMAND_MS);
    if (put_section(report, "status", false, COMMAND_MS))
        (void)put_section(report, "status --json", false, COMMAND_MS);
    for (size_t i = 0; i < sizeof behind / sizeof *behind; i++)
        (void)put_section(report, behind[i], true, COMMAND_MS);
    if (!report->offline)
        (void)put_section(report, "doctor", true, DOCTOR_MS);
    begin_section(report, "end");
    return ferror(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}

int cmd_report(int argc, char **argv)
{
    static const struct option table[] = {{"offline", no_argument, NULL, 'o'},
                                          {"config", required_argument, NULL, 'c'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    struct report report = {.filter = {.to = stdout}};
    int option;
    while ((option = getopt_long(argc, argv, "c:h", table, NULL)) >= 0) {
        if (option == 'o')
            report.offline = true;
        else if (option == 'c')
            report.config = optarg;
        else
            break;
    }
    if (option == 'h') {
        (void)fputs(usage, stdout);
        return CLI_DONE;
    }
    if (option >= 0 || optind < argc) {
        (void)fputs(usage, stderr);
        return CLI_USAGE;
    }
    return write_report(&report);
}
