/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records, in one order, all that a process asks of the files below one directory, so that
 * powercut.py can say which states a power cut may leave. To be preloaded (LD_PRELOAD): it sees
 * what the system's liblmdb does as well. A call and its line in the log are one step under a
 * lock: what the log has behind an fsync began after that fsync had returned.
 *
 * POWERCUT_ROOT    the directory, absolute and without links
 * POWERCUT_LOG     the log, which is appended to
 * POWERCUT_REPORT  a descriptor: what is written to it goes into the log and nowhere else
 * POWERCUT_KILL    if set: the process dies as by kill -9 behind that many changes
 *
 * Stores into a shared mapping are not seen. powercut.py finds out: at the end it compares what
 * the log says with what the files are.
 */
/* These are the C library's own names, in both widths: no header may rename them here. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "the calls below are those of 64-bit machines");

enum { FILES_MAX = 1024, PATH_BYTES = 4096, LOG_FD = 1000, PIECES_MAX = 1024 };

/* The numbers are known to powercut.py. */
enum kind {
    MADE_FILE = 1,
    MADE_DIRECTORY = 2,
    WROTE = 3,
    TRUNCATED = 4,
    ALLOCATED = 5,
    RENAMED = 6,
    UNLINKED = 7,
    SYNCED = 8,
    REPORTED = 9,
    LINKED = 10,
};

struct entry {
    uint32_t kind;
    uint32_t durable; /* WROTE: the file was opened with O_DSYNC */
    uint64_t inode;
    uint64_t at; /* WROTE: the position; TRUNCATED, ALLOCATED: the size */
    uint32_t name_bytes;
    uint32_t data_bytes;
};

struct file {
    bool followed;
    bool durable;
    bool appends;
    uint64_t inode;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct file files[FILES_MAX];
static const char *root = "";
static size_t root_bytes;
static int report_fd = -1;
static long changes_left = -1;

/* ---- the log ---- */

static void fail(const char *what)
{
    (void)dprintf(STDERR_FILENO, "recorder: %s: %s\n", what, strerror(errno));
    _exit(98);
}

static void add(const struct entry *entry, const char *name, const struct iovec *data, int count)
{
    struct iovec parts[PIECES_MAX + 2] = {
        {(void *)(uintptr_t)entry, sizeof *entry},
        {(void *)(uintptr_t)name, entry->name_bytes},
    };
    size_t bytes = sizeof *entry + entry->name_bytes + entry->data_bytes;
    if (count > PIECES_MAX)
        fail("too many pieces in one write");
    for (int i = 0; i < count; i++)
        parts[i + 2] = data[i];
    if (syscall(SYS_writev, LOG_FD, parts, count + 2) != (long)bytes)
        fail("the log does not take it");
    if (entry->kind != REPORTED && changes_left > 0 && --changes_left == 0)
        (void)kill(getpid(), SIGKILL);
}

static void add_name(enum kind kind, uint64_t inode, const char *name, size_t name_bytes)
{
    struct entry entry = {
        .kind = (uint32_t)kind, .inode = inode, .name_bytes = (uint32_t)name_bytes};
    add(&entry, name, NULL, 0);
}

static void add_size(enum kind kind, uint64_t inode, uint64_t size)
{
    struct entry entry = {.kind = (uint32_t)kind, .inode = inode, .at = size};
    add(&entry, "", NULL, 0);
}

static void begin(void)
{
    struct stat status;
    const char *path = getenv("POWERCUT_LOG");
    const char *report = getenv("POWERCUT_REPORT");
    const char *changes = getenv("POWERCUT_KILL");
    if (getenv("POWERCUT_ROOT") == NULL || path == NULL)
        return;
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || syscall(SYS_dup3, fd, LOG_FD, O_CLOEXEC) < 0)
        fail(path);
    (void)syscall(SYS_close, fd);
    root = getenv("POWERCUT_ROOT");
    root_bytes = strlen(root);
    report_fd = report != NULL ? atoi(report) : -1;
    if (stat(root, &status) != 0)
        fail(root);
    add_name(MADE_DIRECTORY, status.st_ino, "", 0);
    changes_left = changes != NULL ? atol(changes) : -1;
}

static void enter(void)
{
    (void)pthread_once(&once, begin);
    (void)pthread_mutex_lock(&lock);
}

static void leave(void)
{
    int errnum = errno;
    (void)pthread_mutex_unlock(&lock);
    errno = errnum;
}

/* The part of PATH below the directory, "" for itself; NULL if it lies elsewhere. */
static const char *below(const char *path)
{
    if (root_bytes == 0 || strncmp(path, root, root_bytes) != 0)
        return NULL;
    if (path[root_bytes] == '/')
        return path + root_bytes + 1;
    return path[root_bytes] == '\0' ? path + root_bytes : NULL;
}

static struct file *find(int fd)
{
    static struct file other;
    return fd >= 0 && fd < FILES_MAX && files[fd].followed ? &files[fd] : &other;
}

/* ---- names ---- */

static void follow(int fd, int flags, bool existed, uint64_t size_before)
{
    char link[64];
    char path[PATH_BYTES];
    struct stat status;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long count = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (fd >= FILES_MAX || count < 0 || fstat(fd, &status) != 0)
        return;
    path[count] = '\0';
    const char *name = below(path);
    files[fd] = (struct file){.followed = name != NULL,
                              .durable = (flags & O_DSYNC) != 0,
                              .appends = (flags & O_APPEND) != 0,
                              .inode = status.st_ino};
    if (name != NULL && !existed)
        add_name(MADE_FILE, status.st_ino, name, strlen(name));
    else if (name != NULL && (flags & O_TRUNC) != 0 && size_before > 0)
        add_size(TRUNCATED, status.st_ino, 0);
}

static int open_at(int directory, const char *path, int flags, mode_t mode)
{
    struct stat before = {.st_size = 0};
    enter();
    bool existed = fstatat(directory, path, &before, 0) == 0;
    int fd = (int)syscall(SYS_openat, directory, path, flags, mode);
    if (fd >= 0)
        follow(fd, flags, existed, (uint64_t)before.st_size);
    leave();
    return fd;
}

static mode_t read_mode(int flags, va_list arguments)
{
    return (flags & O_CREAT) != 0 ? (mode_t)va_arg(arguments, unsigned) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = read_mode(flags, arguments);
    va_end(arguments);
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = read_mode(flags, arguments);
    va_end(arguments);
    return open_at(directory, path, flags, mode);
}

int close(int fd)
{
    enter();
    find(fd)->followed = false;
    int rc = (int)syscall(SYS_close, fd);
    leave();
    return rc;
}

int mkdir(const char *path, mode_t mode)
{
    struct stat status;
    enter();
    const char *name = below(path);
    int rc = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (rc == 0 && name != NULL && stat(path, &status) == 0)
        add_name(MADE_DIRECTORY, status.st_ino, name, strlen(name));
    leave();
    return rc;
}

int rename(const char *from, const char *to)
{
    char names[2 * PATH_BYTES];
    enter();
    const char *from_name = below(from);
    const char *to_name = below(to);
    int rc = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (rc == 0 && from_name != NULL && to_name != NULL) {
        int count = snprintf(names, sizeof names, "%s%c%s", from_name, '\0', to_name);
        add_name(RENAMED, 0, names, (size_t)count);
    }
    leave();
    return rc;
}

int unlink(const char *path)
{
    enter();
    const char *name = below(path);
    int rc = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (rc == 0 && name != NULL)
        add_name(UNLINKED, 0, name, strlen(name));
    leave();
    return rc;
}

int rmdir(const char *path)
{
    enter();
    const char *name = below(path);
    int rc = (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
    if (rc == 0 && name != NULL)
        add_name(UNLINKED, 0, name, strlen(name));
    leave();
    return rc;
}

int symlink(const char *target, const char *path)
{
    char names[2 * PATH_BYTES];
    enter();
    const char *name = below(path);
    int rc = (int)syscall(SYS_symlinkat, target, AT_FDCWD, path);
    if (rc == 0 && name != NULL) {
        int count = snprintf(names, sizeof names, "%s%c%s", name, '\0', target);
        add_name(LINKED, 0, names, (size_t)count);
    }
    leave();
    return rc;
}

/* ---- contents ---- */

/* DATA[0..COUNT) cut to the first BYTES of it; returns how many pieces that takes. */
static int cut(struct iovec *data, int count, size_t bytes)
{
    int used = 0;
    while (used < count && bytes > 0) {
        data[used].iov_len = data[used].iov_len < bytes ? data[used].iov_len : bytes;
        bytes -= data[used++].iov_len;
    }
    return used;
}

static void note_written(const struct file *file, off_t at, ssize_t bytes, const struct iovec *data,
                         int count)
{
    struct iovec written[PIECES_MAX];
    struct entry entry = {.kind = WROTE,
                          .durable = file->durable,
                          .inode = file->inode,
                          .at = (uint64_t)at,
                          .data_bytes = (uint32_t)bytes};
    if (!file->followed || bytes <= 0)
        return;
    if (count > PIECES_MAX)
        fail("too many pieces in one write");
    memcpy(written, data, (size_t)count * sizeof *data);
    add(&entry, "", written, cut(written, count, (size_t)bytes));
}

static off_t position(int fd, const struct file *file)
{
    struct stat status;
    if (!file->followed)
        return 0;
    if (file->appends)
        return fstat(fd, &status) == 0 ? status.st_size : 0;
    return (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
}

static ssize_t report(const void *data, size_t bytes)
{
    struct iovec piece = {(void *)(uintptr_t)data, bytes};
    struct entry entry = {.kind = REPORTED, .data_bytes = (uint32_t)bytes};
    enter();
    add(&entry, "", &piece, 1);
    leave();
    return (ssize_t)bytes;
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    struct iovec piece = {(void *)(uintptr_t)data, bytes};
    (void)pthread_once(&once, begin);
    if (fd == report_fd && fd >= 0)
        return report(data, bytes);
    enter();
    const struct file *file = find(fd);
    off_t at = position(fd, file);
    ssize_t count = syscall(SYS_write, fd, data, bytes);
    note_written(file, at, count, &piece, 1);
    leave();
    return count;
}

ssize_t writev(int fd, const struct iovec *data, int count)
{
    enter();
    const struct file *file = find(fd);
    off_t at = position(fd, file);
    ssize_t bytes = syscall(SYS_writev, fd, data, count);
    note_written(file, at, bytes, data, count);
    leave();
    return bytes;
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at)
{
    struct iovec piece = {(void *)(uintptr_t)data, bytes};
    enter();
    ssize_t count = syscall(SYS_pwrite64, fd, data, bytes, at);
    note_written(find(fd), at, count, &piece, 1);
    leave();
    return count;
}

ssize_t pwritev(int fd, const struct iovec *data, int count, off_t at)
{
    enter();
    ssize_t bytes = syscall(SYS_pwritev, fd, data, count, at, 0);
    note_written(find(fd), at, bytes, data, count);
    leave();
    return bytes;
}

int ftruncate(int fd, off_t size)
{
    enter();
    int rc = (int)syscall(SYS_ftruncate, fd, size);
    if (rc == 0 && find(fd)->followed)
        add_size(TRUNCATED, find(fd)->inode, (uint64_t)size);
    leave();
    return rc;
}

int posix_fallocate(int fd, off_t at, off_t bytes)
{
    enter();
    int rc = syscall(SYS_fallocate, fd, 0, at, bytes) == 0 ? 0 : errno;
    if (rc == 0 && find(fd)->followed)
        add_size(ALLOCATED, find(fd)->inode, (uint64_t)(at + bytes));
    leave();
    return rc;
}

static int sync_file(long call, int fd)
{
    enter();
    int rc = (int)syscall(call, fd);
    if (rc == 0 && find(fd)->followed)
        add_size(SYNCED, find(fd)->inode, 0);
    leave();
    return rc;
}

int fsync(int fd)
{
    return sync_file(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return sync_file(SYS_fdatasync, fd);
}

/* ---- the names for large files: the same here ---- */

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int directory, const char *path, int flags, ...) __attribute__((alias("openat")));
ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t at)
    __attribute__((alias("pwrite")));
ssize_t pwritev64(int fd, const struct iovec *data, int count, off64_t at)
    __attribute__((alias("pwritev")));
int ftruncate64(int fd, off64_t size) __attribute__((alias("ftruncate")));
int posix_fallocate64(int fd, off64_t at, off64_t bytes) __attribute__((alias("posix_fallocate")));
