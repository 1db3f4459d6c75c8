/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_GPIO_GPIO_LINUX_H
#define RUNNEL_DRIVERS_GPIO_GPIO_LINUX_H

#include <linux/gpio.h>
#include <stdint.h>

/**
 * The system calls of the GPIO character device, version 2 of its interface (Linux 5.10 and later;
 * include/uapi/linux/gpio.h). Nothing is judged here; every error is error_sys.
 */

/** Opens the chip at PATH. Returns its descriptor. */
int gpio_linux_open_chip(const char *path);

int gpio_linux_chip_info(int chip_fd, struct gpiochip_info *ret_info);
int gpio_linux_line_info(int chip_fd, unsigned offset, struct gpio_v2_line_info *ret_info);

/** Takes what REQUEST says. Returns a descriptor of its own, on which reading does not wait. */
int gpio_linux_request(int chip_fd, struct gpio_v2_line_request *request);

/** The logical level, 0 or 1, of a request of one line. */
int gpio_linux_level(int line_fd);

/** Two clocks at one instant: CLOCK_MONOTONIC, which stamps edges, and CLOCK_BOOTTIME. */
void gpio_linux_now(int64_t *ret_mono_ns, int64_t *ret_boot_ns);

#endif
