/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_EXEC_PROCESS_H
#define RUNNEL_DRIVERS_EXEC_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/stop.h"

/**
 * A program that is run to its end within a bounded time. It is the leader of a process group of
 * its own, with nothing of ours but what is said here: /dev/null to read, two pipes to write to,
 * no other descriptor, no signal blocked or ignored. When process_run returns the group is gone,
 * also those members that the program left behind.
 */
enum { PROCESS_WORDS_BYTES = 100 };

struct process {
    pid_t pid;    /* 0: none; else one that not even SIGKILL has ended yet */
    int epoll_fd; /* of the two pipes */
    int out_fd;   /* -1: at its end */
    int error_fd;
    uint8_t *output; /* the caller's, of output_bytes_max */
    size_t output_bytes_max;
    size_t output_bytes;
    bool too_big;                    /* it wrote more, and was ended for it */
    int status;                      /* as waitpid(2) says it */
    char words[PROCESS_WORDS_BYTES]; /* the last line that it wrote to its standard error */
    bool words_ended;                /* a newline came behind them */
};

/** OUTPUT is the caller's, until process_close. error_sys. */
int process_open(struct process *process, uint8_t *output, size_t output_bytes_max);

/**
 * Runs the program ARGUMENTS[0] with ENVIRONMENT, both ended by NULL. 0: it has ended, or has
 * written too much; E_TIMEOUT: it was ended at DEADLINE_MS (SIGTERM, and SIGKILL soon after);
 * E_STOP: likewise at STOP; E_BUSY: the last one is still there; error_sys: it did not start.
 */
int process_run(struct process *process, char *const *arguments, char *const *environment,
                const struct stop *stop, int64_t deadline_ms);

/** May follow a failed process_open, and one that never was if PROCESS is zeroed. */
void process_close(struct process *process);

#endif
