/* SPDX-License-Identifier: Apache-2.0 */
/* A planted bug: files are written where they are, and synced. */
#include <fcntl.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/fs.h"

int __wrap_fs_replace_file(const char *path, const void *bytes, size_t count, mode_t mode);

int __wrap_fs_replace_file(const char *path, const void *bytes, size_t count, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    bool done = fd >= 0 && write(fd, bytes, count) == (ssize_t)count && fsync(fd) == 0;
    if (fd >= 0)
        (void)close(fd);
    return done ? 0 : E_CLOSED;
}
