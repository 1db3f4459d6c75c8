/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fake_i2c.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/stop.h"

struct fake_i2c fake_i2c;

const struct i2c_calls *__wrap_i2c_linux_calls(void);
int __wrap_stop_wait(const struct stop *stop, int fd, short events, int64_t deadline_ms);

void fake_i2c_reset(unsigned address)
{
    int open_count = fake_i2c.open_count; /* who has the bus open keeps it */
    fake_i2c = (struct fake_i2c){.plugged = true,
                                 .address = address,
                                 .head_bytes = 1,
                                 .open_count = open_count,
                                 .functions = I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL};
}

void fake_i2c_put(unsigned number, const void *bytes, size_t count)
{
    memcpy(fake_i2c.bytes + number, bytes, count);
}

int __wrap_stop_wait(const struct stop *stop, int fd, short events, int64_t deadline_ms)
{
    (void)fd;
    (void)events;
    if (stop_requested(stop))
        return E_STOP;
    fake_i2c.waited_ms += deadline_ms - clock_mono_ms();
    return E_TIMEOUT;
}

/* ---- the wire ---- */

static void put_byte(size_t at, uint8_t byte)
{
    if (!fake_i2c.of_words)
        fake_i2c.bytes[(fake_i2c.number + at) % sizeof fake_i2c.bytes] = byte;
    else if (at % 2 == 0)
        fake_i2c.words[fake_i2c.number % 0x100] = (uint16_t)(byte << 8);
    else
        fake_i2c.words[fake_i2c.number % 0x100] |= byte;
}

static uint8_t get_byte(size_t at)
{
    if (!fake_i2c.of_words)
        return fake_i2c.bytes[(fake_i2c.number + at) % sizeof fake_i2c.bytes];
    uint16_t word = fake_i2c.words[fake_i2c.number % 0x100];
    return (uint8_t)(at % 2 == 0 ? word >> 8 : word & 0xff);
}

static int take(const uint8_t *bytes, size_t count)
{
    size_t head = fake_i2c.head_bytes;
    fake_i2c.number = head == 2 ? (unsigned)(bytes[0] << 8 | bytes[1]) : bytes[0];
    for (size_t i = head; i < count; i++)
        put_byte(i - head, bytes[i]);
    bool has_data = count > head || fake_i2c.written != NULL;
    for (size_t i = 0; has_data && i < count && fake_i2c.sent_count < FAKE_I2C_SENT_MAX; i++)
        fake_i2c.sent[fake_i2c.sent_count++] = bytes[i];
    if (fake_i2c.written != NULL)
        fake_i2c.written(&fake_i2c, fake_i2c.number, count - head);
    return 0;
}

static int give(uint8_t *bytes, size_t count)
{
    int number = fake_i2c.asked != NULL ? fake_i2c.asked(&fake_i2c) : 0;
    if (number != 0)
        return error_sys(number);
    for (size_t i = 0; i < count; i++)
        bytes[i] = get_byte(i);
    return 0;
}

/* What every transfer begins with. */
static int address_chip(unsigned address)
{
    fake_i2c.transfers++;
    if (fake_i2c.transfer_errno != 0)
        return error_sys(fake_i2c.transfer_errno);
    return fake_i2c.plugged && address == fake_i2c.address ? 0 : error_sys(ENXIO);
}

/* ---- the calls ---- */

static int fake_open(const char *path, int *ret_fd)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_sys(errno);
    fake_i2c.open_count++;
    *ret_fd = fd;
    return 0;
}

static int fake_functions(int fd, unsigned long *ret_functions)
{
    (void)fd;
    *ret_functions = fake_i2c.functions;
    return fake_i2c.functions_errno == 0 ? 0 : error_sys(fake_i2c.functions_errno);
}

static unsigned chosen;

static int fake_choose(int fd, unsigned address)
{
    (void)fd;
    chosen = address;
    return fake_i2c.choose_errno == 0 ? 0 : error_sys(fake_i2c.choose_errno);
}

static int fake_bound(int fd, unsigned timeout_ms, unsigned retries)
{
    (void)fd;
    fake_i2c.timeout_ms = timeout_ms;
    fake_i2c.retries = retries;
    return 0;
}

static int fake_transfer(int fd, struct i2c_msg *messages, unsigned count)
{
    (void)fd;
    if ((fake_i2c.functions & I2C_FUNC_I2C) == 0)
        return error_sys(EOPNOTSUPP);
    int rc = address_chip(messages[0].addr);
    for (unsigned i = 0; i < count && rc == 0; i++)
        rc = (messages[i].flags & I2C_M_RD) != 0 ? give(messages[i].buf, messages[i].len)
                                                 : take(messages[i].buf, messages[i].len);
    return rc < 0 ? rc : (int)count - (fake_i2c.cuts_short ? 1 : 0);
}

static size_t smbus_bytes(uint32_t size, const union i2c_smbus_data *data)
{
    switch (size) {
    case I2C_SMBUS_BYTE:
        return 0;
    case I2C_SMBUS_BYTE_DATA:
        return 1;
    case I2C_SMBUS_WORD_DATA:
        return 2;
    default:
        return data->block[0];
    }
}

static int fake_smbus(int fd, uint8_t read_write, uint8_t command, uint32_t size,
                      union i2c_smbus_data *data)
{
    (void)fd;
    uint8_t wire[1 + I2C_SMBUS_BLOCK_MAX] = {command};
    size_t count = smbus_bytes(size, data);
    bool is_block = size == I2C_SMBUS_I2C_BLOCK_DATA;
    int rc = address_chip(chosen);
    if (rc < 0)
        return rc;
    if (read_write == I2C_SMBUS_READ) {
        (void)take(wire, 1);
        rc = give(wire + 1, count);
        if (rc < 0)
            return rc;
    }
    /* A word's low byte goes first; in memory its order is the machine's. */
    for (size_t i = 0; i < count; i++) {
        uint8_t *byte = &wire[1 + i];
        if (read_write == I2C_SMBUS_WRITE)
            *byte = (uint8_t)(is_block     ? data->block[1 + i]
                              : count == 2 ? data->word >> 8 * i & 0xff
                                           : data->byte);
        else if (is_block)
            data->block[1 + i] = *byte;
    }
    if (read_write == I2C_SMBUS_WRITE)
        return take(wire, 1 + count);
    if (is_block)
        data->block[0] = (uint8_t)(count - (fake_i2c.cuts_short ? 1 : 0));
    else if (count == 2)
        data->word = (uint16_t)(wire[1] | wire[2] << 8);
    else
        data->byte = wire[1];
    return 0;
}

static void fake_close(int fd)
{
    fake_i2c.open_count--;
    (void)close(fd);
}

const struct i2c_calls *__wrap_i2c_linux_calls(void)
{
    static const struct i2c_calls calls = {.open = fake_open,
                                           .functions = fake_functions,
                                           .choose = fake_choose,
                                           .bound = fake_bound,
                                           .transfer = fake_transfer,
                                           .smbus = fake_smbus,
                                           .close = fake_close};
    return &calls;
}
