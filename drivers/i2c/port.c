/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/i2c/port.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/bus/settings.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/clock.h"

/* A transfer takes some milliseconds; one that does not end in this time never will. The kernel's
 * own second, times its retries, is too long for a thread that reads other chips, too. */
enum { HANG_MS = 250, RETRIES = 1, ADDRESS_LOW = 0x03, ADDRESS_HIGH = 0x77 };

/* ---- settings ---- */

static bool is_number(const char *text)
{
    uint64_t number;
    return parse_unsigned(text, strlen(text), &number) == 0 && number <= 0xffff;
}

const char *port_check_bus(const char *text)
{
    if (is_number(text) || (text[0] == '/' && strlen(text) < PORT_BUS_BYTES))
        return NULL;
    return "is no I2C bus; write it like \"/dev/i2c-1\" or \"1\"";
}

const char *port_check_address(const char *text)
{
    int64_t address = settings_integer(text, -1);
    if (address >= ADDRESS_LOW && address <= ADDRESS_HIGH)
        return NULL;
    return "is no address of a chip; write it like \"0x48\", from \"0x03\" to \"0x77\" (without "
           "the "
           "bit for reading)";
}

/* ---- opening ---- */

static int say_absent_bus(struct port *port, int code)
{
    const char *remedy = "";
    switch (error_errno(code)) {
    case ENOENT:
        remedy =
            "; load i2c-dev (modprobe i2c-dev), enable the bus in the device tree; ls /dev/i2c-*";
        break;
    case EACCES:
    case EPERM:
        remedy = "; the agent's user must be in the group that may use it (ls -l), often i2c";
        break;
    case ENXIO:
    case ENODEV:
        remedy = "; is the adapter plugged in and its kernel driver loaded?";
        break;
    default:
        break;
    }
    driver_say(port->fault, "%s: %s%s", port->bus, ERROR_TEXT(code), remedy);
    return code;
}

/* "i2c-1" at the end of where the path leads, so that links that udev makes serve as well. */
static int find_number(const char *path)
{
    char real[PATH_MAX];
    uint64_t number;
    if (realpath(path, real) == NULL)
        return -1;
    const char *name = strrchr(real, '/') + 1;
    if (strncmp(name, "i2c-", 4) != 0 || parse_unsigned(name + 4, strlen(name + 4), &number) < 0 ||
        number > 0xffff)
        return -1;
    return (int)number;
}

static int say_taken(struct port *port, const char *driver)
{
    driver_say(port->fault,
               "0x%02x on %s belongs to the kernel's driver %s: read it by hwmon or iio, or echo "
               "%d-%04x > /sys/bus/i2c/drivers/%s/unbind",
               port->address, port->bus, driver, port->bus_number, port->address, driver);
    return E_BUSY;
}

/* I2C_RDWR does not ask whether a driver of the kernel has the chip. */
static int refuse_taken(struct port *port, const char *root)
{
    char path[PATH_MAX];
    char target[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/sys/bus/i2c/devices/%d-%04x/driver", root,
                   port->bus_number, port->address);
    ssize_t count = readlink(path, target, sizeof target - 1);
    if (count <= 0)
        return 0;
    target[count] = '\0';
    const char *slash = strrchr(target, '/');
    return say_taken(port, slash != NULL ? slash + 1 : target);
}

/* Told which chip, and how long to wait for it. */
static int set_up(struct port *port)
{
    int rc = port->calls->functions(port->fd, &port->functions);
    if (rc >= 0) {
        port->smbus_only = (port->functions & I2C_FUNC_I2C) == 0;
        rc = port->calls->bound(port->fd, HANG_MS, RETRIES);
    }
    if (rc < 0) {
        driver_say(port->fault, "%s: %s (is it an I2C bus?)", port->bus, ERROR_TEXT(rc));
        return rc;
    }
    rc = port->calls->choose(port->fd, port->address);
    if (error_errno(rc) == EBUSY)
        return say_taken(port, "?");
    if (rc < 0)
        driver_say(port->fault, "%s: 0x%02x cannot be chosen: %s", port->bus, port->address,
                   ERROR_TEXT(rc));
    return rc < 0 ? rc : 0;
}

int port_open(struct port *port, const struct driver_context *context,
              const struct i2c_calls *calls)
{
    char path[PATH_MAX];
    const char *bus = driver_setting(context, "bus");
    *port = (struct port){.calls = calls,
                          .fd = -1,
                          .register_bytes = 1,
                          .stop = context->stop,
                          .deadline_ms = clock_mono_ms() + context->timeout_ms};
    port->address = (unsigned)settings_integer(driver_setting(context, "address"), 0);
    (void)snprintf(port->bus, sizeof port->bus, "%s%s", is_number(bus) ? "/dev/i2c-" : "", bus);
    (void)snprintf(path, sizeof path, "%s%s", context->root, port->bus);
    int rc = calls->open(path, &port->fd);
    if (rc < 0)
        return say_absent_bus(port, rc);
    port->bus_number = find_number(path);
    rc = refuse_taken(port, context->root);
    return rc < 0 ? rc : set_up(port);
}

void port_close(struct port *port)
{
    if (port->calls != NULL && port->fd >= 0)
        port->calls->close(port->fd);
    port->fd = -1;
}

/* ---- transfers ---- */

bool port_is_silence(int code)
{
    int number = error_errno(code);
    return number == ENXIO || number == EREMOTEIO || number == EIO;
}

static int explain(struct port *port, int code)
{
    char *fault = port->fault;
    const char *bus = port->bus;
    unsigned address = port->address;
    switch (error_errno(code)) {
    case ENXIO:
    case EREMOTEIO:
        driver_say(fault,
                   "no chip answers at 0x%02x on %s: check power, wiring, address pins, pull-ups; "
                   "i2cdetect -y %d shows what is there (%s)",
                   address, bus, port->bus_number, ERROR_TEXT(code));
        break;
    case EIO:
        driver_say(
            fault,
            "0x%02x on %s: no answer, or a disturbed one: check wiring, length of the lines, "
            "pull-ups; i2cdetect -y %d shows what is there (%s)",
            address, bus, port->bus_number, ERROR_TEXT(code));
        break;
    case ETIMEDOUT: /* some adapters say it also of a chip that is not there */
        driver_say(
            fault,
            "0x%02x on %s does not answer in time: a chip holds SDA or SCL low, pull-ups are "
            "missing, or no chip is there; measure both lines, switch the chips off and on "
            "(%s)",
            address, bus, ERROR_TEXT(code));
        break;
    case EAGAIN:
    case EBUSY:
        driver_say(fault,
                   "%s is not free for 0x%02x: another master is on it, or SDA is held low or "
                   "disturbed (%s)",
                   bus, address, ERROR_TEXT(code));
        break;
    case ENODEV:
        driver_say(fault, "%s is gone: was its adapter unplugged? (%s)", bus, ERROR_TEXT(code));
        break;
    default:
        driver_say(fault, "0x%02x on %s: %s", address, bus, ERROR_TEXT(code));
    }
    return code;
}

static int say_unsupported(struct port *port, const char *what)
{
    driver_say(port->fault,
               "the adapter of %s knows SMBus only and cannot %s, which the chip at 0x%02x needs; "
               "put the chip on another bus",
               port->bus, what, port->address);
    return E_UNSUPPORTED;
}

static int say_short(struct port *port, size_t count)
{
    driver_say(port->fault, "0x%02x on %s: a transfer of %zu bytes was cut short", port->address,
               port->bus, count);
    return error_sys(EIO);
}

static int transfer(struct port *port, struct i2c_msg *messages, unsigned count)
{
    int done = port->calls->transfer(port->fd, messages, count);
    if (done < 0)
        return explain(port, done);
    return (unsigned)done == count ? 0 : say_short(port, messages[count - 1].len);
}

/* The kind of SMBus transfer that carries COUNT bytes behind (or from) a register. */
static uint32_t smbus_size(size_t count)
{
    return count == 0   ? I2C_SMBUS_BYTE
           : count == 1 ? I2C_SMBUS_BYTE_DATA
           : count == 2 ? I2C_SMBUS_WORD_DATA
                        : I2C_SMBUS_I2C_BLOCK_DATA;
}

static int read_smbus(struct port *port, unsigned number, uint8_t *bytes, size_t count)
{
    static const unsigned long needs[] = {
        [I2C_SMBUS_BYTE_DATA] = I2C_FUNC_SMBUS_READ_BYTE_DATA,
        [I2C_SMBUS_WORD_DATA] = I2C_FUNC_SMBUS_READ_WORD_DATA,
        [I2C_SMBUS_I2C_BLOCK_DATA] = I2C_FUNC_SMBUS_READ_I2C_BLOCK,
    };
    union i2c_smbus_data data = {.block = {0}};
    uint32_t size = smbus_size(count);
    if (port->register_bytes != 1)
        return say_unsupported(port, "send register numbers of 16 bits");
    if ((port->functions & needs[size]) == 0)
        return say_unsupported(port,
                               size == I2C_SMBUS_I2C_BLOCK_DATA ? "read blocks" : "read registers");
    data.block[0] = (uint8_t)count; /* the length that is asked for; the others have none */
    int rc = port->calls->smbus(port->fd, I2C_SMBUS_READ, (uint8_t)number, size, &data);
    if (rc < 0)
        return explain(port, rc);
    if (size == I2C_SMBUS_I2C_BLOCK_DATA) {
        if (data.block[0] != count)
            return say_short(port, count);
        memcpy(bytes, data.block + 1, count);
    } else if (size == I2C_SMBUS_WORD_DATA) {
        bytes[0] = (uint8_t)(data.word & 0xff); /* the low byte is first on the wire */
        bytes[1] = (uint8_t)(data.word >> 8);
    } else {
        bytes[0] = data.byte;
    }
    return 0;
}

static int write_smbus(struct port *port, unsigned number, const uint8_t *bytes, size_t count)
{
    static const unsigned long needs[] = {
        [I2C_SMBUS_BYTE] = I2C_FUNC_SMBUS_WRITE_BYTE,
        [I2C_SMBUS_BYTE_DATA] = I2C_FUNC_SMBUS_WRITE_BYTE_DATA,
        [I2C_SMBUS_WORD_DATA] = I2C_FUNC_SMBUS_WRITE_WORD_DATA,
        [I2C_SMBUS_I2C_BLOCK_DATA] = I2C_FUNC_SMBUS_WRITE_I2C_BLOCK,
    };
    union i2c_smbus_data data = {.block = {0}};
    uint32_t size = smbus_size(count);
    if (port->register_bytes != 1)
        return say_unsupported(port, "send register numbers of 16 bits");
    if ((port->functions & needs[size]) == 0)
        return say_unsupported(port, size == I2C_SMBUS_I2C_BLOCK_DATA ? "write blocks"
                                                                      : "write registers");
    if (size == I2C_SMBUS_I2C_BLOCK_DATA) {
        data.block[0] = (uint8_t)count;
        memcpy(data.block + 1, bytes, count);
    } else if (size == I2C_SMBUS_WORD_DATA) {
        data.word = (uint16_t)(bytes[0] | bytes[1] << 8);
    } else if (size == I2C_SMBUS_BYTE_DATA) {
        data.byte = bytes[0];
    }
    int rc = port->calls->smbus(port->fd, I2C_SMBUS_WRITE, (uint8_t)number, size, &data);
    return rc < 0 ? explain(port, rc) : 0;
}

/* Writes the register's number as it goes over the wire; returns its bytes. */
static size_t put_number(const struct port *port, unsigned number, uint8_t *bytes)
{
    if (port->register_bytes == 2)
        *bytes++ = (uint8_t)(number >> 8 & 0xff);
    *bytes = (uint8_t)(number & 0xff);
    return port->register_bytes;
}

int port_read(struct port *port, unsigned number, uint8_t *bytes, size_t count)
{
    uint8_t head[2];
    if (count == 0 || count > PORT_TRANSFER_BYTES_MAX)
        return E_INVALID;
    if (port->smbus_only)
        return read_smbus(port, number, bytes, count);
    struct i2c_msg messages[] = {
        {.addr = (uint16_t)port->address,
         .len = (uint16_t)put_number(port, number, head),
         .buf = head},
        {.addr = (uint16_t)port->address, .flags = I2C_M_RD, .len = (uint16_t)count, .buf = bytes},
    };
    return transfer(port, messages, 2);
}

int port_write(struct port *port, unsigned number, const uint8_t *bytes, size_t count)
{
    uint8_t sent[2 + PORT_TRANSFER_BYTES_MAX];
    if (count > PORT_TRANSFER_BYTES_MAX)
        return E_INVALID;
    if (port->smbus_only)
        return write_smbus(port, number, bytes, count);
    size_t head = put_number(port, number, sent);
    if (count > 0)
        memcpy(sent + head, bytes, count);
    struct i2c_msg message = {
        .addr = (uint16_t)port->address, .len = (uint16_t)(head + count), .buf = sent};
    return transfer(port, &message, 1);
}

int port_receive(struct port *port, uint8_t *bytes, size_t count)
{
    struct i2c_msg message = {
        .addr = (uint16_t)port->address, .flags = I2C_M_RD, .len = (uint16_t)count, .buf = bytes};
    if (port->smbus_only)
        return say_unsupported(port, "read without a register");
    return transfer(port, &message, 1);
}

/* ---- waiting ---- */

int port_wait(struct port *port, int64_t ms)
{
    int64_t until_ms = clock_mono_ms() + ms + 1; /* the clock's millisecond has begun already */
    bool in_time = until_ms <= port->deadline_ms;
    int rc = stop_wait(port->stop, -1, 0, in_time ? until_ms : port->deadline_ms);
    if (rc == E_TIMEOUT && in_time)
        return 0;
    if (rc == E_TIMEOUT)
        driver_say(port->fault,
                   "0x%02x on %s: its measurement takes longer than the sensor's timeout; raise "
                   "\"timeout\"",
                   port->address, port->bus);
    return rc;
}
