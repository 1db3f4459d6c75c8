/* SPDX-License-Identifier: Apache-2.0 */
/* A planted bug: nothing is ever flushed. In the program these go before the C library's, also for
 * liblmdb, and before the recorder's. */
#include <unistd.h>

int fsync(int fd)
{
    (void)fd;
    return 0;
}

int fdatasync(int fd)
{
    (void)fd;
    return 0;
}
