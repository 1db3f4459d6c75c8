/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into the program: the thread whose name stands in the file $RUNNEL_FREEZE never comes
 * back from the next wait that it begins; before, it makes the file with ".done" behind its name.
 */
#undef _FORTIFY_SOURCE /* the C library's own names: no header may make them inline here */

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { NAME_BYTES = 16, PATH_BYTES = 512 };

typedef int poll_function(struct pollfd *fds, nfds_t count, int timeout_ms);

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t bytes);

static int is_named(const char *path)
{
    char wanted[NAME_BYTES] = "";
    char name[NAME_BYTES] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, wanted, sizeof wanted - 1);
    (void)close(fd);
    return got > 0 && prctl(PR_GET_NAME, name) == 0 && strcmp(name, wanted) == 0;
}

static void freeze_if_named(void)
{
    char done[PATH_BYTES];
    const char *path = getenv("RUNNEL_FREEZE");
    if (path == NULL || !is_named(path))
        return;
    (void)snprintf(done, sizeof done, "%s.done", path);
    int fd = open(done, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        (void)close(fd);
    for (;;)
        (void)pause();
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    poll_function *next = (poll_function *)(uintptr_t)dlsym(RTLD_NEXT, "poll");
    if (timeout_ms != 0)
        freeze_if_named();
    return next(fds, count, timeout_ms);
}

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t bytes)
{
    (void)bytes;
    return poll(fds, count, timeout_ms);
}
