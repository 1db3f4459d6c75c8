/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/rights.h"

#include <errno.h>
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
