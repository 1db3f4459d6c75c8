/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/sysfs_at.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "platform/base/error.h"

int sysfs_at_open(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? error_sys(errno) : fd;
}

void sysfs_at_close(int directory_fd)
{
    if (directory_fd >= 0)
        (void)close(directory_fd);
}

/* An attribute comes whole with the first read. */
int sysfs_at_read(int directory_fd, const char *name, char *text, size_t text_bytes)
{
    int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_sys(errno);
    ssize_t count = read(fd, text, text_bytes);
    int rc = count < 0 ? error_sys(errno) : (int)count;
    (void)close(fd);
    if (rc >= 0 && (size_t)rc == text_bytes)
        return E_TOO_BIG;
    while (rc > 0 && (text[rc - 1] == '\n' || text[rc - 1] == ' '))
        rc--;
    if (rc >= 0)
        text[rc] = '\0';
    return rc;
}

void sysfs_at_read_raw(int directory_fd, const char *name, struct sysfs_raw *ret_raw)
{
    ret_raw->count = sysfs_at_read(directory_fd, name, ret_raw->text, sizeof ret_raw->text);
}

int sysfs_at_write(int directory_fd, const char *name, const char *text)
{
    int fd = openat(directory_fd, name, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_sys(errno);
    int rc = write(fd, text, strlen(text)) < 0 ? error_sys(errno) : 0;
    (void)close(fd);
    return rc;
}

bool sysfs_at_has(int directory_fd, const char *name)
{
    return faccessat(directory_fd, name, F_OK, 0) == 0;
}
