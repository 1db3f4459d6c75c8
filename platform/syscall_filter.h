/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_SYSCALL_FILTER_H
#define RUNNEL_PLATFORM_SYSCALL_FILTER_H

/** What happens to a call that is not let through. */
enum syscall_filter_refusal {
    SYSCALL_FILTER_FAILS, /* it fails with ENOSYS, as on an older kernel */
    SYSCALL_FILTER_KILLS, /* for tests: the process ends with SIGSYS */
};

/**
 * From now on the process, all its threads and all programs that it starts can make the system
 * calls of platform/linux/syscalls.list alone, no name spaces with them, and no sockets but of
 * AF_UNIX, AF_INET, AF_INET6, AF_NETLINK and AF_CAN, nor pairs but of AF_UNIX (on i386 of any,
 * since socketcall(2) hides them). A call by the numbers of another architecture ends the process.
 * One without privileges needs no_new_privs for all that. E_UNSUPPORTED: the kernel has no
 * filters; error_sys.
 */
int syscall_filter_install(enum syscall_filter_refusal refusal);

#endif
