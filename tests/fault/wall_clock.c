/* SPDX-License-Identifier: Apache-2.0 */
/* Older ways to ask for the wall time, by the clock_gettime of what is preloaded. */
#include <stddef.h>
#include <sys/time.h>
#include <time.h>

time_t time(time_t *ret_time)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (ret_time != NULL)
        *ret_time = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
    struct timespec now = {0};
    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    *ret_time = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}
