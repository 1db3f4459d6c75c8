/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_CONFINE_H
#define RUNNEL_PLATFORM_CONFINE_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/rights.h"

/** What a process can still do once it was confined. */
struct confinement {
    char user[RIGHTS_USER_BYTES]; /* whose rights it has */
    bool is_root;
    uint64_t capabilities; /* a bit for each (capabilities(7)) */
    int filter;            /* E_OK: its system calls are filtered (syscall_filter.h); E_UNSUPPORTED:
                              the kernel or this build filters none; error_sys */
};

/**
 * Gives up for good what the process has no use for, before its first thread: root becomes the
 * owner of OWNED, with his groups, unless that is root or OWNED is NULL; capabilities go, but for
 * ambient ones, which somebody gave it by name; no program that it starts gets more than it has
 * (no_new_privs); nobody but root reads its memory, and no core of it is written, not into a pipe
 * either (PR_SET_DUMPABLE, core(5)); system calls that it does not need are refused. A kernel that
 * does not filter is no failure. error_sys: the rest of it did not happen.
 */
int confine(const struct rights *owned, struct confinement *ret_confinement);

#endif
