/* SPDX-License-Identifier: Apache-2.0 */
/* A planted bug: a sync that failed is believed to have worked. */
#include <dlfcn.h>
#include <stddef.h>
#include <unistd.h>

int fdatasync(int fd)
{
    int (*next)(int);
    *(void **)&next = dlsym(RTLD_NEXT, "fdatasync");
    if (next != NULL)
        (void)next(fd);
    return 0;
}
