/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_FAULT_POWERCUT_IDENTITY_H
#define RUNNEL_TESTS_FAULT_POWERCUT_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

/** Whether one of the first BYTES of the file REPORTS is REPORT_IDENTITIES. */
bool identity_is_told(const char *reports, size_t bytes);

/**
 * Compares the spool in the directory PATH with what was promised, where records may have changed
 * their places: after a salvage, as dead letters, sent again. Writes a line to VERDICT_FD as
 * powercut_check.c says, and ends the process.
 */
_Noreturn void identity_check(int verdict_fd, const char *path, const char *reports, size_t bytes);

#endif
