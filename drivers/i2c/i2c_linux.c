/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/i2c/i2c_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "platform/base/error.h"

enum { TIMEOUT_UNIT_MS = 10 };

static int call(int fd, unsigned long request, unsigned long argument)
{
    int result = ioctl(fd, request, argument);
    return result < 0 ? error_sys(errno) : result;
}

static int linux_open(const char *path, int *ret_fd)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return error_sys(errno);
    *ret_fd = fd;
    return 0;
}

static int linux_functions(int fd, unsigned long *ret_functions)
{
    return call(fd, I2C_FUNCS, (unsigned long)(uintptr_t)ret_functions);
}

static int linux_choose(int fd, unsigned address)
{
    return call(fd, I2C_SLAVE, address);
}

static int linux_bound(int fd, unsigned timeout_ms, unsigned retries)
{
    int rc = call(fd, I2C_TIMEOUT, timeout_ms / TIMEOUT_UNIT_MS);
    return rc < 0 ? rc : call(fd, I2C_RETRIES, retries);
}

static int linux_transfer(int fd, struct i2c_msg *messages, unsigned count)
{
    struct i2c_rdwr_ioctl_data data = {.msgs = messages, .nmsgs = count};
    return call(fd, I2C_RDWR, (unsigned long)(uintptr_t)&data);
}

static int linux_smbus(int fd, uint8_t read_write, uint8_t command, uint32_t size,
                       union i2c_smbus_data *data)
{
    struct i2c_smbus_ioctl_data arguments = {
        .read_write = read_write, .command = command, .size = size, .data = data};
    return call(fd, I2C_SMBUS, (unsigned long)(uintptr_t)&arguments);
}

static void linux_close(int fd)
{
    (void)close(fd);
}

const struct i2c_calls *i2c_linux_calls(void)
{
    static const struct i2c_calls calls = {
        .open = linux_open,
        .functions = linux_functions,
        .choose = linux_choose,
        .bound = linux_bound,
        .transfer = linux_transfer,
        .smbus = linux_smbus,
        .close = linux_close,
    };
    return &calls;
}
