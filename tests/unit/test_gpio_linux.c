/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "drivers/gpio/gpio_linux.h"
#include "platform/base/error.h"

/* What the kernel was asked last, and what it answers. */
static struct {
    int fd;
    unsigned long request;
    uint32_t offset; /* of the line that was asked for */
    int line_fd;     /* what a request gives */
    uint64_t bits;
    int error; /* errno; 0: none */
} kernel;

int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    kernel.fd = fd;
    kernel.request = request;
    if (kernel.error != 0) {
        errno = kernel.error;
        return -1;
    }
    if (request == GPIO_V2_GET_LINEINFO_IOCTL) {
        const struct gpio_v2_line_info *info = argument;
        kernel.offset = info->offset;
        for (size_t i = 0; i < sizeof info->padding / sizeof info->padding[0]; i++)
            assert_int_equal(info->padding[i], 0); /* or the kernel refuses it */
    } else if (request == GPIO_V2_GET_LINE_IOCTL) {
        ((struct gpio_v2_line_request *)argument)->fd = kernel.line_fd;
    } else if (request == GPIO_V2_LINE_GET_VALUES_IOCTL) {
        struct gpio_v2_line_values *values = argument;
        assert_int_equal(values->mask, 1);
        values->bits = kernel.bits;
    }
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    memset(&kernel, 0, sizeof kernel);
    return 0;
}

static void test_a_line_is_asked_for_by_its_offset(void **state)
{
    struct gpio_v2_line_info info;
    (void)state;
    memset(&info, 0xff, sizeof info);
    assert_int_equal(gpio_linux_line_info(7, 17, &info), 0);
    assert_int_equal(kernel.fd, 7);
    assert_int_equal(kernel.request, GPIO_V2_GET_LINEINFO_IOCTL);
    assert_int_equal(kernel.offset, 17);
}

static void test_reading_edges_does_not_wait(void **state)
{
    struct gpio_v2_line_request request = {.num_lines = 1};
    int fds[2];
    char byte;
    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    kernel.line_fd = fds[0];
    assert_int_equal(gpio_linux_request(7, &request), fds[0]);
    assert_int_equal(kernel.request, GPIO_V2_GET_LINE_IOCTL);
    assert_int_equal(read(fds[0], &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void test_a_level_is_the_first_bit(void **state)
{
    (void)state;
    kernel.bits = 1;
    assert_int_equal(gpio_linux_level(9), 1);
    assert_int_equal(kernel.fd, 9);
    kernel.bits = 2; /* of another line, which was not asked for */
    assert_int_equal(gpio_linux_level(9), 0);
}

static void test_errors_are_passed_on(void **state)
{
    struct gpiochip_info chip;
    struct gpio_v2_line_request request = {.num_lines = 1};
    (void)state;
    kernel.error = EBUSY;
    assert_int_equal(error_errno(gpio_linux_request(7, &request)), EBUSY);
    kernel.error = ENODEV;
    assert_int_equal(error_errno(gpio_linux_level(9)), ENODEV);
    kernel.error = ENOTTY;
    assert_int_equal(error_errno(gpio_linux_chip_info(7, &chip)), ENOTTY);
    assert_int_equal(error_errno(gpio_linux_open_chip("/dev/null/gpiochip0")), ENOTDIR);
}

static void test_both_clocks_go(void **state)
{
    int64_t mono_ns = 0;
    int64_t boot_ns = 0;
    (void)state;
    gpio_linux_now(&mono_ns, &boot_ns);
    assert_true(mono_ns > 0);
    assert_true(boot_ns >= mono_ns); /* it was taken later, and never stands still */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_line_is_asked_for_by_its_offset, set_up),
        cmocka_unit_test_setup(test_reading_edges_does_not_wait, set_up),
        cmocka_unit_test_setup(test_a_level_is_the_first_bit, set_up),
        cmocka_unit_test_setup(test_errors_are_passed_on, set_up),
        cmocka_unit_test(test_both_clocks_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
