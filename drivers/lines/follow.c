/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/lines/follow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/fs.h"

/* Splits PATH into its directory (with the slash, or "./") and the name in it. */
static const char *split(const char *path, char directory[FS_PATH_BYTES])
{
    const char *slash = strrchr(path, '/');
    size_t count = slash != NULL ? (size_t)(slash - path) + 1 : 0;
    if (count == 0 || count >= FS_PATH_BYTES) {
        (void)strcpy(directory, "./");
        return path;
    }
    memcpy(directory, path, count);
    directory[count] = '\0';
    return slash + 1;
}

static int open_file(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

static bool is_same(const struct stat *status, uint64_t device, uint64_t inode)
{
    return (uint64_t)status->st_dev == device && (uint64_t)status->st_ino == inode;
}

/* A number of a removed file is given to a new one soon. If a line ends at OFFSET, it is most
 * likely the same file; if not, it is not. The last line of a drained file may lack its newline,
 * which has then been written behind OFFSET. */
static bool ends_line(int fd, uint64_t offset, uint64_t size)
{
    char byte;
    if (offset == 0 || offset == size)
        return true;
    if (pread(fd, &byte, 1, (off_t)offset - 1) == 1 && byte == '\n')
        return true;
    return pread(fd, &byte, 1, (off_t)offset) == 1 && (byte == '\n' || byte == '\r');
}

static bool can_resume(int fd, const struct sample_origin *resume)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
           is_same(&status, resume->device, resume->inode) &&
           (uint64_t)status.st_size >= resume->offset &&
           ends_line(fd, resume->offset, (uint64_t)status.st_size);
}

/* The file that was called PATH and is called PATH.1 or the like now; -1 if it is gone. */
static int open_rotated(const char *path, const struct sample_origin *resume)
{
    char directory[FS_PATH_BYTES];
    const char *name = split(path, directory);
    const struct dirent *entry;
    int fd = -1;
    DIR *listing = opendir(directory);
    if (listing == NULL)
        return -1;
    while (fd < 0 && (entry = readdir(listing)) != NULL) {
        if ((uint64_t)entry->d_ino != resume->inode ||
            strncmp(entry->d_name, name, strlen(name)) != 0)
            continue;
        fd = openat(dirfd(listing), entry->d_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd >= 0 && !can_resume(fd, resume)) {
            (void)close(fd);
            fd = -1;
        }
    }
    (void)closedir(listing);
    return fd;
}

static int take_file(struct follow *follow, int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        int rc = error_sys(errno);
        (void)close(fd);
        return rc;
    }
    if (follow->fd >= 0)
        (void)close(follow->fd);
    follow->fd = fd;
    follow->device = (uint64_t)status.st_dev;
    follow->inode = (uint64_t)status.st_ino;
    return 0;
}

/* The directory tells of successors. Without inotify the caller looks on its schedule. */
static int open_inotify(const char *path)
{
    char directory[FS_PATH_BYTES];
    (void)split(path, directory);
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd >= 0 && inotify_add_watch(fd, directory, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

int follow_open(struct follow *ret_follow, const char *path, const struct sample_origin *resume,
                bool drain, uint64_t *ret_offset)
{
    *ret_follow = (struct follow){.path = path, .drain = drain, .fd = -1, .inotify_fd = -1};
    int fd = open_file(path);
    int rc = fd < 0 ? error_sys(errno) : 0;
    bool resumed = resume->present && fd >= 0 && can_resume(fd, resume);
    if (resume->present && !resumed) {
        int rotated = open_rotated(path, resume);
        resumed = rotated >= 0;
        if (resumed && fd >= 0)
            (void)close(fd);
        fd = resumed ? rotated : fd;
    }
    if (fd < 0)
        return rc;
    rc = take_file(ret_follow, fd);
    if (rc < 0)
        return rc;
    ret_follow->inotify_fd = open_inotify(path);
    *ret_offset = resumed ? resume->offset : 0;
    return 0;
}

static void drain_events(int inotify_fd)
{
    char events[1024] __attribute__((aligned(8)));
    while (inotify_fd >= 0 && read(inotify_fd, events, sizeof events) > 0)
        ;
}

/*
 * At the end of what there is: 0 if there is more by now. The watch is set before the look, so that
 * what happens in between is told; setting it again on the same file changes nothing.
 */
static int look(const struct follow *follow, uint64_t offset)
{
    struct stat named;
    struct stat own;
    if (follow->inotify_fd >= 0)
        (void)inotify_add_watch(follow->inotify_fd, follow->path, IN_MODIFY);
    bool gone = stat(follow->path, &named) < 0;
    bool succeeded = !gone && !is_same(&named, follow->device, follow->inode) &&
                     (named.st_size > 0 || follow->drain);
    if (fstat(follow->fd, &own) < 0)
        return error_sys(errno);
    if ((uint64_t)own.st_size > offset)
        return 0;
    if (succeeded)
        return E_CLOSED;
    if ((uint64_t)own.st_size < offset)
        return E_CHANGED;
    return follow->drain ? E_END : E_AGAIN;
}

int follow_read(struct follow *follow, void *buffer, size_t size, uint64_t offset)
{
    drain_events(follow->inotify_fd);
    for (;;) {
        ssize_t got = pread(follow->fd, buffer, size, (off_t)offset);
        if (got > 0)
            return (int)got;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_sys(errno);
        int rc = look(follow, offset);
        if (rc < 0)
            return rc;
    }
}

int follow_next(struct follow *follow)
{
    int fd = open_file(follow->path);
    if (fd < 0)
        return errno == ENOENT ? E_AGAIN : error_sys(errno);
    return take_file(follow, fd);
}

void follow_close(struct follow *follow)
{
    if (follow->fd >= 0)
        (void)close(follow->fd);
    if (follow->inotify_fd >= 0)
        (void)close(follow->inotify_fd);
    follow->fd = -1;
    follow->inotify_fd = -1;
}
