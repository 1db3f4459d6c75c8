/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/clock.h"

#include <sys/timex.h>
#include <time.h>

#include "platform/base/bytes.h"
#include "platform/fs.h"
#include "platform/random.h"

/* clock_gettime cannot fail for a clock that the kernel has; all of these are older than eventfd.
 */
static struct timespec now(clockid_t clock)
{
    struct timespec time = {0};
    (void)clock_gettime(clock, &time);
    return time;
}

static int64_t now_ms(clockid_t clock)
{
    struct timespec time = now(clock);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
    return now_ms(CLOCK_MONOTONIC);
}

int64_t clock_boot_ms(void)
{
    return now_ms(CLOCK_BOOTTIME);
}

int64_t clock_wall_ms(void)
{
    return now_ms(CLOCK_REALTIME);
}

bool clock_kernel_synced(void)
{
    struct timex state = {.modes = 0};
    int rc = adjtimex(&state);
    return rc >= 0 && rc != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

/* "8a3c0e5f-...-..." without its hyphens; false unless that is exactly CLOCK_BOOT_ID_BYTES. */
static bool read_uuid(const char *text, uint8_t id[CLOCK_BOOT_ID_BYTES])
{
    size_t digits = 0;
    for (; *text != '\0' && *text != '\n'; text++) {
        int digit = bytes_hex_digit(*text);
        if (*text == '-')
            continue;
        if (digit < 0 || digits == 2 * CLOCK_BOOT_ID_BYTES)
            return false;
        id[digits / 2] = (uint8_t)(id[digits / 2] << 4 | digit);
        digits++;
    }
    return digits == 2 * CLOCK_BOOT_ID_BYTES;
}

void clock_boot_id(uint8_t ret_id[CLOCK_BOOT_ID_BYTES])
{
    char text[64];
    if (fs_read_file("/proc/sys/kernel/random/boot_id", text, sizeof text) < 0 ||
        !read_uuid(text, ret_id))
        random_bytes(ret_id, CLOCK_BOOT_ID_BYTES);
}

int64_t clock_cpu_us(void)
{
    struct timespec time = now(CLOCK_PROCESS_CPUTIME_ID);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}
