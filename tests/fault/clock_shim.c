/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks that are wrong, step, or belong to another boot, for a program that knows nothing of it.
 * To be preloaded (LD_PRELOAD). CLOCK_SHIM names a file of CLOCK_SHIM_BYTES that is looked at anew
 * with every call, so that a clock can be stepped while the program runs (clock_shim.py):
 *
 *   i64  milliseconds that the wall clock is ahead of this machine's
 *   i64  likewise the boot clock; the monotonic clock stays as it is
 *   i64  what adjtimex(2) says: 0 what the kernel says, 1 not synchronised, 2 synchronised
 *   36 bytes  /proc/sys/kernel/random/boot_id; begins with a zero byte: this machine's own
 */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(time_t) == 8, "the calls below are those of 64-bit machines");

enum { KERNELS = 0, UNSYNCED = 1, SYNCED = 2, BOOT_ID_CHARS = 36 };

struct control {
    int64_t wall_ms;
    int64_t boot_ms;
    int64_t sync;
    char boot_id[BOOT_ID_CHARS];
};

static const struct control kernels_own;
static const volatile struct control *control = &kernels_own;

static int real_open(const char *path, int flags, mode_t mode)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("CLOCK_SHIM");
    int fd = path == NULL ? -1 : real_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof *control, PROT_READ, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (mapped != MAP_FAILED)
        control = mapped;
}

/* ---- time ---- */

static void add_ms(struct timespec *time, int64_t ms)
{
    int64_t nanoseconds = time->tv_nsec + ms % 1000 * 1000000;
    int64_t seconds = nanoseconds / 1000000000 - (nanoseconds % 1000000000 < 0);
    time->tv_sec += ms / 1000 + seconds;
    time->tv_nsec = nanoseconds - seconds * 1000000000;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, time);
    if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        add_ms(time, control->wall_ms);
    else if (rc == 0 && clock == CLOCK_BOOTTIME)
        add_ms(time, control->boot_ms);
    return rc;
}

int adjtimex(struct timex *state)
{
    int rc = (int)syscall(SYS_adjtimex, state);
    if (rc < 0 || control->sync == KERNELS)
        return rc;
    if (control->sync == SYNCED) {
        state->status &= ~STA_UNSYNC;
        return TIME_OK;
    }
    state->status |= STA_UNSYNC;
    return TIME_ERROR;
}

/* ---- the boot's id ---- */

static int open_boot_id(void)
{
    char text[BOOT_ID_CHARS + 1];
    int fd = memfd_create("boot_id", MFD_CLOEXEC);
    for (int i = 0; i < BOOT_ID_CHARS; i++)
        text[i] = control->boot_id[i];
    text[BOOT_ID_CHARS] = '\n';
    if (fd >= 0 && (write(fd, text, sizeof text) != sizeof text || lseek(fd, 0, SEEK_SET) != 0))
        return -1;
    return fd;
}

static int open_any(const char *path, int flags, mode_t mode)
{
    if (control->boot_id[0] != '\0' && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
        return open_boot_id();
    return real_open(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return open_any(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return open_any(path, flags, mode);
}
