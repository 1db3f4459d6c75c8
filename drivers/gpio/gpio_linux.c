/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/gpio/gpio_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "platform/base/error.h"

int gpio_linux_open_chip(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? error_sys(errno) : fd;
}

int gpio_linux_chip_info(int chip_fd, struct gpiochip_info *ret_info)
{
    return ioctl(chip_fd, GPIO_GET_CHIPINFO_IOCTL, ret_info) < 0 ? error_sys(errno) : 0;
}

int gpio_linux_line_info(int chip_fd, unsigned offset, struct gpio_v2_line_info *ret_info)
{
    *ret_info = (struct gpio_v2_line_info){.offset = offset};
    return ioctl(chip_fd, GPIO_V2_GET_LINEINFO_IOCTL, ret_info) < 0 ? error_sys(errno) : 0;
}

int gpio_linux_request(int chip_fd, struct gpio_v2_line_request *request)
{
    if (ioctl(chip_fd, GPIO_V2_GET_LINE_IOCTL, request) < 0)
        return error_sys(errno);
    if (fcntl(request->fd, F_SETFL, O_NONBLOCK) < 0) {
        int rc = error_sys(errno);
        (void)close(request->fd);
        return rc;
    }
    return request->fd;
}

int gpio_linux_level(int line_fd)
{
    struct gpio_v2_line_values values = {.mask = 1};
    if (ioctl(line_fd, GPIO_V2_LINE_GET_VALUES_IOCTL, &values) < 0)
        return error_sys(errno);
    return (int)(values.bits & 1);
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void gpio_linux_now(int64_t *ret_mono_ns, int64_t *ret_boot_ns)
{
    *ret_mono_ns = now_ns(CLOCK_MONOTONIC);
    *ret_boot_ns = now_ns(CLOCK_BOOTTIME);
}
