/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CLI_CLI_H
#define RUNNEL_AGENT_CLI_CLI_H

#include <stdint.h>

/**
 * The sub-commands of runnel(1), one file each. ARGV begins with the sub-command's name. Each
 * returns the exit code of the program.
 */
enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_CONFIG = 78, /* EX_CONFIG of sysexits(3): systemd does not restart on it */
};

int cmd_check(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_dead(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_identity(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_metrics(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_send(int argc, char **argv);
int cmd_sensors(int argc, char **argv);
int cmd_spool(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_version(int argc, char **argv);

/** Reads the value TEXT of OPTION ("--wait"). 0, or E_INVALID after saying on stderr what is wrong
 *  with it. What is read can be added to a clock. */
int cli_read_duration(const char *option, const char *text, int64_t *ret_ms);

/** Says on stderr that WHAT is not in this program, and which SYMBOL of Kconfig brings it. Returns
 *  CLI_USAGE. */
int cli_left_out(const char *what, const char *symbol);

/** One line to stderr: `runnel: WHAT: "VALUE" WHY`. */
void cli_fault(const char *what, const char *value, const char *why);

#endif
