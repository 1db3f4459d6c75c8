/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/rights.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/fs.h"

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

static bool is_roots_alone(const char *directory)
{
    struct stat status;
    return stat(directory, &status) == 0 && status.st_uid == 0 &&
           (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* The lowest first: as long as the one above is root's, nobody puts another in its place. */
static int give(const struct rights *rights, const char *path, const char *existing)
{
    char at[FS_PATH_BYTES];
    for ((void)strcpy(at, path); strcmp(at, existing) != 0; fs_to_parent(at))
        if (lchown(at, rights->owner, rights->owner_group) < 0)
            return error_sys(errno);
    return E_OK;
}

int rights_make_directories(const struct rights *rights, const char *path, mode_t mode)
{
    char existing[FS_PATH_BYTES];
    if (!are_others(rights))
        return E_OK;
    int rc = fs_find_existing(path, existing);
    if (rc < 0 || strcmp(path, existing) == 0 || !is_roots_alone(existing))
        return rc;
    rc = fs_make_directories(path, mode);
    return rc < 0 ? rc : give(rights, path, existing);
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

const char *rights_user(char user[RIGHTS_USER_BYTES])
{
    const struct passwd *entry = getpwuid(geteuid());
    if (entry != NULL)
        (void)snprintf(user, RIGHTS_USER_BYTES, "%s", entry->pw_name);
    else
        (void)snprintf(user, RIGHTS_USER_BYTES, "%u", (unsigned)geteuid());
    return user;
}
