/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes calls fail, from one on that is counted from the moment when the program arms it. To be
 * preloaded (LD_PRELOAD): it sees what the system's liblmdb does as well. The program finds the
 * functions failer_* by dlsym(3).
 *
 * FAILER_CALLS     memory: malloc, calloc, realloc; files: the writes, sizes and syncs of files and
 *                  directories
 * FAILER_AT        the number of the first call that fails, from 1
 * FAILER_COUNT     how many fail; 0: all from there on
 * FAILER_ERRNO     what they fail with
 * POWERCUT_REPORT  a descriptor that is left alone
 * FAILER_WHILE     for a program that knows nothing of it: all calls about files fail while there
 * is a file of this name, and opening files below FAILER_ROOT for writing too
 */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "the calls below are those of 64-bit machines");

enum { EARLY_BYTES = 65536 };

static atomic_bool armed;
static atomic_long calls;
static atomic_long failed;
static atomic_long failed_files;
static bool memory;
static long at;
static long count;
static int errnum;
static int report_fd = -1;
static const char *while_path;
static const char *root;

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void (*real_free)(void *);

/* ---- for the program ---- */

void failer_arm(void);
void failer_disarm(void);
long failer_calls(void);
long failer_failed(void);
long failer_failed_files(void);

void failer_arm(void)
{
    const char *what = getenv("FAILER_CALLS");
    const char *report = getenv("POWERCUT_REPORT");
    memory = what != NULL && strcmp(what, "memory") == 0;
    at = getenv("FAILER_AT") == NULL ? 0 : atol(getenv("FAILER_AT"));
    count = getenv("FAILER_COUNT") == NULL ? 1 : atol(getenv("FAILER_COUNT"));
    errnum = getenv("FAILER_ERRNO") == NULL ? EIO : atoi(getenv("FAILER_ERRNO"));
    report_fd = report == NULL ? -1 : atoi(report);
    atomic_store(&armed, true);
}

void failer_disarm(void)
{
    atomic_store(&armed, false);
}

long failer_calls(void)
{
    return atomic_load(&calls);
}

long failer_failed(void)
{
    return atomic_load(&failed);
}

/* Those that were about a file, not about the name of one. */
long failer_failed_files(void)
{
    return atomic_load(&failed_files);
}

static bool fails(void)
{
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (at == 0 || number < at || (count > 0 && number >= at + count))
        return false;
    atomic_fetch_add(&failed, 1);
    errno = errnum;
    return true;
}

/* ---- memory ---- */

/* What dlsym(3) itself may want before it has found anything. */
static void *take_early(size_t bytes)
{
    static _Alignas(16) uint8_t early[EARLY_BYTES];
    static atomic_size_t used;
    size_t from = atomic_fetch_add(&used, (bytes + 15) & ~(size_t)15);
    return from + bytes <= sizeof early ? early + from : NULL;
}

__attribute__((constructor)) static void begin(void)
{
    *(void **)&real_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&real_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&real_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&real_free = dlsym(RTLD_NEXT, "free");
    while_path = getenv("FAILER_WHILE");
    root = getenv("FAILER_ROOT");
    if (getenv("FAILER_ERRNO") != NULL)
        errnum = atoi(getenv("FAILER_ERRNO"));
}

static bool memory_fails(void)
{
    if (!atomic_load(&armed) || !memory || !fails())
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t bytes)
{
    if (real_malloc == NULL)
        return take_early(bytes);
    return memory_fails() ? NULL : real_malloc(bytes);
}

void *calloc(size_t members, size_t bytes)
{
    if (real_calloc == NULL)
        return take_early(members * bytes);
    return memory_fails() ? NULL : real_calloc(members, bytes);
}

void *realloc(void *block, size_t bytes)
{
    if (real_realloc == NULL)
        return NULL;
    return memory_fails() ? NULL : real_realloc(block, bytes);
}

void free(void *block)
{
    if (real_free != NULL) /* what is early stays */
        real_free(block);
}

/* ---- files ---- */

static bool all_fails(void)
{
    if (while_path == NULL || syscall(SYS_faccessat, AT_FDCWD, while_path, F_OK) != 0)
        return false;
    errno = errnum;
    return true;
}

static bool file_fails(int fd)
{
    struct stat status;
    int before = errno;
    if (while_path != NULL)
        return fd > STDERR_FILENO && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
               all_fails();
    if (!atomic_load(&armed) || memory || fd == report_fd || fd <= STDERR_FILENO ||
        fstat(fd, &status) != 0 || (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)))
        return false;
    errno = before;
    if (!fails())
        return false;
    atomic_fetch_add(&failed_files, S_ISREG(status.st_mode));
    return true;
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    return file_fails(fd) ? -1 : syscall(SYS_write, fd, data, bytes);
}

ssize_t writev(int fd, const struct iovec *data, int pieces)
{
    return file_fails(fd) ? -1 : syscall(SYS_writev, fd, data, pieces);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t position)
{
    return file_fails(fd) ? -1 : syscall(SYS_pwrite64, fd, data, bytes, position);
}

ssize_t pwritev(int fd, const struct iovec *data, int pieces, off_t position)
{
    return file_fails(fd) ? -1 : syscall(SYS_pwritev, fd, data, pieces, position, 0);
}

int ftruncate(int fd, off_t size)
{
    return file_fails(fd) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int fsync(int fd)
{
    return file_fails(fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return file_fails(fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? (mode_t)va_arg(arguments, unsigned) : 0;
    va_end(arguments);
    if (root != NULL && (flags & O_ACCMODE) != O_RDONLY && strncmp(path, root, strlen(root)) == 0 &&
        all_fails())
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t position)
    __attribute__((alias("pwrite")));
ssize_t pwritev64(int fd, const struct iovec *data, int pieces, off64_t position)
    __attribute__((alias("pwritev")));
int ftruncate64(int fd, off64_t size) __attribute__((alias("ftruncate")));
