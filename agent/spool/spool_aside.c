/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/spool/seal.h"
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

/* They go first: who is cut off between the two still finds the spool, and writes them anew. Others
 * that bear the name are told from its own by the spool's id. */
static int put_names(const struct spool *spool, const char *path)
{
    char from[FS_PATH_BYTES];
    char to[FS_PATH_BYTES];
    int rc = spool_names_path(spool->path, from);
    if (rc == E_OK)
        rc = spool_names_path(path, to);
    if (rc == E_OK && rename(from, to) != 0 && errno != ENOENT)
        rc = error_sys(errno);
    return rc;
}

int spool_aside_put(struct spool *spool, char path[FS_PATH_BYTES])
{
    unsigned number = 1;
    while (number < ASIDE_MAX && exists(spool, number))
        number++;
    int rc = spool_aside_name(spool, number, path);
    if (rc < 0)
        return rc;
    rc = put_names(spool, path);
    if (rc < 0)
        return rc;
    if (rename(spool->path, path) != 0)
        return error_sys(errno);
    return fs_sync_directory(spool->options.path);
}

int spool_aside_write(int fd, const void *bytes, size_t count)
{
    const uint8_t *from = bytes;
    while (count > 0) {
        ssize_t written = write(fd, from, count);
        if (written < 0 && errno != EINTR)
            return error_sys(errno);
        from += written > 0 ? written : 0;
        count -= written > 0 ? (size_t)written : 0;
    }
    return E_OK;
}

int spool_aside_write_seal(int fd, const struct store_key *key, const void *content, size_t bytes)
{
    uint8_t sealed[BLOCK_BYTES];
    if (seal_bytes(key->count, bytes) > sizeof sealed)
        return E_TOO_BIG;
    return spool_aside_write(fd, sealed, seal_put(key->bytes, key->count, content, bytes, sealed));
}
