/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/spool/spool_state.h"
#include "platform/base/error.h"
#include "platform/fs.h"

int spool_aside_name(const struct spool *spool, unsigned number, char path[FS_PATH_BYTES])
{
    int count = snprintf(path, FS_PATH_BYTES, "%s.aside-%u", spool->path, number);
    return count < FS_PATH_BYTES ? E_OK : E_TOO_BIG;
}

static bool exists(const struct spool *spool, unsigned number)
{
    char path[FS_PATH_BYTES];
    struct stat file;
    return spool_aside_name(spool, number, path) == E_OK && lstat(path, &file) == 0;
}

unsigned spool_aside_count(const struct spool *spool)
{
    unsigned count = 0;
    for (unsigned number = 1; number <= ASIDE_MAX; number++)
        count += exists(spool, number);
    return count;
}

int spool_aside_put(struct spool *spool, char path[FS_PATH_BYTES])
{
    unsigned number = 1;
    while (number < ASIDE_MAX && exists(spool, number))
        number++;
    int rc = spool_aside_name(spool, number, path);
    if (rc < 0)
        return rc;
    if (rename(spool->path, path) != 0)
        return error_sys(errno);
    return fs_sync_directory(spool->options.path);
}
