/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/rights.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/error.h"

int rights_find(const char *directory, struct rights *ret_rights)
{
    struct stat status;
    if (stat(directory, &status) < 0)
        return error_sys(errno);
    *ret_rights = (struct rights){.owner = status.st_uid,
                                  .caller = geteuid(),
                                  .owner_group = status.st_gid,
                                  .caller_group = getegid()};
    return E_OK;
}

static bool are_others(const struct rights *rights)
{
    return rights->caller == 0 && rights->owner != 0;
}

int rights_take(const struct rights *rights)
{
    if (are_others(rights) && (setegid(rights->owner_group) < 0 || seteuid(rights->owner) < 0))
        return error_sys(errno);
    return E_OK;
}

void rights_give_back(const struct rights *rights)
{
    if (are_others(rights) && (seteuid(rights->caller) < 0 || setegid(rights->caller_group) < 0))
        abort();
}

int rights_become(const struct rights *rights)
{
    if (!are_others(rights))
        return E_OK;
    const struct passwd *entry = getpwuid(rights->owner);
    gid_t group = entry != NULL ? entry->pw_gid : rights->owner_group;
    int result =
        entry != NULL ? initgroups(entry->pw_name, group) : setgroups(0, NULL); /* no others */
    if (result < 0 || setresgid(group, group, group) < 0 ||
        setresuid(rights->owner, rights->owner, rights->owner) < 0)
        return error_sys(errno);
    return E_OK;
}
