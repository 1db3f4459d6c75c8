/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/syscall_filter.h"

enum { CAPABILITIES_MAX = 64 };

static uint64_t find_ambient(void)
{
    uint64_t found = 0;
    for (unsigned i = 0; i < CAPABILITIES_MAX; i++)
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) == 1)
            found |= UINT64_C(1) << i;
    return found;
}

/* What programs that root starts could get again. Who may not do that has no way to get any, but
 * for files with capabilities, which no_new_privs sees to. */
static void bound(uint64_t kept)
{
    for (unsigned i = 0; i < CAPABILITIES_MAX; i++)
        if ((kept >> i & 1) == 0 && prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
            (void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
}

/* Nothing is asked for where nothing changes: a service manager that gave none may refuse the call,
 * as runnel.service does. */
static int keep_capabilities(uint64_t kept)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3], wanted[_LINUX_CAPABILITY_U32S_3];
    for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        uint32_t half = (uint32_t)(kept >> (32 * i));
        wanted[i] = (struct __user_cap_data_struct){
            .effective = half, .permitted = half, .inheritable = half};
    }
    if (syscall(SYS_capget, &header, now) < 0)
        return error_sys(errno);
    if (memcmp(now, wanted, sizeof wanted) == 0)
        return E_OK;
    return syscall(SYS_capset, &header, wanted) < 0 ? error_sys(errno) : E_OK;
}

/* RLIMIT_CORE is for programs that it starts: it does not keep a core from a pipe. */
static int hide_memory(void)
{
    struct rlimit no_core = {0, 0};
    if (setrlimit(RLIMIT_CORE, &no_core) < 0)
        return error_sys(errno);
#ifndef RUNNEL_SANITIZED /* which look for leaks by ptrace(2) */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return error_sys(errno);
#endif
    return E_OK;
}

static int filter(void)
{
#if defined(CONFIG_SECCOMP) && !defined(RUNNEL_SANITIZED)
    return syscall_filter_install(SYSCALL_FILTER_FAILS);
#else
    return E_UNSUPPORTED;
#endif
}

int confine(const struct rights *owned, struct confinement *ret_confinement)
{
    struct confinement result = {.capabilities = 0};
    bound(find_ambient());
    int rc = owned != NULL ? rights_become(owned) : E_OK;
    if (rc < 0)
        return rc;
    result.capabilities = find_ambient();
    rc = keep_capabilities(result.capabilities);
    if (rc < 0)
        return rc;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_sys(errno);
    rc = hide_memory();
    if (rc < 0)
        return rc;
    (void)rights_user(result.user);
    result.is_root = geteuid() == 0;
    result.filter = filter();
    *ret_confinement = result;
    return E_OK;
}
