/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a program behind the agent's own filter, under which a system call that is not on its list
 * ends the process instead of failing: whatever runs so to its end misses none.
 *
 * usage: strict [--without-fdatasync] PROGRAM [ARGUMENT...]
 *
 * --without-fdatasync: as if that stood on the list no more, for a control. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/syscall_filter.h"

enum { NOT_HERE = 77 };

static int refuse(unsigned number)
{
    struct sock_filter code[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    struct sock_fprog filter = {.len = sizeof code / sizeof *code, .filter = code};
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}

int main(int argc, char **argv)
{
    int first = 1;
    if (argc > 1 && strcmp(argv[1], "--without-fdatasync") == 0)
        first = 2;
    if (first >= argc || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return 2;
    int rc = first == 2 && refuse(SYS_fdatasync) < 0 ? error_sys(errno) : E_OK;
    if (rc == E_OK)
        rc = syscall_filter_install(SYSCALL_FILTER_KILLS);
    if (rc < 0) {
        (void)fprintf(stderr, "strict: %s\n", ERROR_TEXT(rc));
        return NOT_HERE;
    }
    (void)execv(argv[first], argv + first);
    (void)fprintf(stderr, "strict: %s: %s\n", argv[first], strerror(errno));
    return 2;
}
