/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/i2c-dev.h>
#include <stdarg.h>
#include <string.h>

#include "drivers/i2c/i2c_linux.h"
#include "platform/base/error.h"

/* What the kernel was asked last, and what it answers. */
static struct {
    unsigned calls;
    int fd;
    unsigned long requests[4];
    unsigned long arguments[4];
    int result; /* or -errno */
} kernel;

int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list rest;
    va_start(rest, request);
    unsigned long argument = va_arg(rest, unsigned long);
    va_end(rest);
    kernel.fd = fd;
    kernel.requests[kernel.calls % 4] = request;
    kernel.arguments[kernel.calls++ % 4] = argument;
    if (kernel.result >= 0)
        return kernel.result;
    errno = -kernel.result;
    return -1;
}

static int setup(void **state)
{
    (void)state;
    memset(&kernel, 0, sizeof kernel);
    return 0;
}

static void test_the_bounds_are_in_tens_of_milliseconds(void **state)
{
    (void)state;
    assert_int_equal(i2c_linux_calls()->bound(7, 250, 1), 0);
    assert_int_equal(kernel.fd, 7);
    assert_int_equal(kernel.calls, 2);
    assert_int_equal(kernel.requests[0], I2C_TIMEOUT);
    assert_int_equal(kernel.arguments[0], 25);
    assert_int_equal(kernel.requests[1], I2C_RETRIES);
    assert_int_equal(kernel.arguments[1], 1);
}

static void test_a_chip_is_never_taken_by_force(void **state)
{
    (void)state;
    assert_int_equal(i2c_linux_calls()->choose(7, 0x48), 0);
    assert_int_equal(kernel.requests[0], I2C_SLAVE);
    assert_int_equal(kernel.arguments[0], 0x48);
    kernel.result = -EBUSY;
    assert_int_equal(i2c_linux_calls()->choose(7, 0x48), error_sys(EBUSY));
}

static void test_messages_go_as_one_transfer(void **state)
{
    (void)state;
    struct i2c_msg messages[2] = {{.addr = 0x48, .len = 1}, {.addr = 0x48, .flags = I2C_M_RD}};
    kernel.result = 2;
    assert_int_equal(i2c_linux_calls()->transfer(7, messages, 2), 2);
    assert_int_equal(kernel.requests[0], I2C_RDWR);
    kernel.result = -ETIMEDOUT;
    assert_int_equal(i2c_linux_calls()->transfer(7, messages, 2), error_sys(ETIMEDOUT));
}

static void test_the_functions_and_smbus(void **state)
{
    (void)state;
    unsigned long functions = 0;
    union i2c_smbus_data data = {.word = 0};
    assert_int_equal(i2c_linux_calls()->functions(7, &functions), 0);
    assert_int_equal(kernel.requests[0], I2C_FUNCS);
    assert_ptr_equal((void *)(uintptr_t)kernel.arguments[0], &functions);
    assert_int_equal(i2c_linux_calls()->smbus(7, I2C_SMBUS_READ, 0x10, I2C_SMBUS_WORD_DATA, &data),
                     0);
    assert_int_equal(kernel.requests[1], I2C_SMBUS);
    kernel.result = -ENXIO;
    assert_int_equal(i2c_linux_calls()->smbus(7, I2C_SMBUS_READ, 0x10, I2C_SMBUS_WORD_DATA, &data),
                     error_sys(ENXIO));
}

static void test_a_bus_is_opened_and_closed(void **state)
{
    (void)state;
    int fd = -1;
    assert_int_equal(i2c_linux_calls()->open("/dev/null", &fd), 0);
    assert_true(fd >= 0);
    i2c_linux_calls()->close(fd);
    int kept = -2;
    assert_int_equal(i2c_linux_calls()->open("/dev/no-such-bus", &kept), error_sys(ENOENT));
    assert_int_equal(kept, -2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_bounds_are_in_tens_of_milliseconds, setup),
        cmocka_unit_test_setup(test_a_chip_is_never_taken_by_force, setup),
        cmocka_unit_test_setup(test_messages_go_as_one_transfer, setup),
        cmocka_unit_test_setup(test_the_functions_and_smbus, setup),
        cmocka_unit_test_setup(test_a_bus_is_opened_and_closed, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
