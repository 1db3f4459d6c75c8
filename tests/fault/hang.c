/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into the program: statvfs(3) of the path $RUNNEL_HANG does not return for as many
 * seconds as $RUNNEL_HANG_S says, as on a network file system whose server is gone. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

typedef int statvfs_function(const char *path, struct statvfs *space);

static void hang_if_named(const char *path)
{
    const char *named = getenv("RUNNEL_HANG");
    const char *seconds = getenv("RUNNEL_HANG_S");
    if (named == NULL || seconds == NULL || strcmp(path, named) != 0)
        return;
    struct timespec left = {.tv_sec = strtol(seconds, NULL, 10)};
    while (nanosleep(&left, &left) < 0)
        ;
}

int statvfs(const char *path, struct statvfs *space)
{
#ifdef __GLIBC__
    const char *name = "statvfs64"; /* what its headers call this one where files may be large */
#else
    const char *name = "statvfs";
#endif
    statvfs_function *next = (statvfs_function *)(uintptr_t)dlsym(RTLD_NEXT, name);
    hang_if_named(path);
    return next(path, space);
}
