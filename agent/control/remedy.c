/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/remedy.h"

#include <errno.h>

#include "platform/base/error.h"

static const char is_there[] =
    "is it there: a device plugged in and powered (see dmesg), a program installed?";
static const char who_holds[] = "who has it open: fuser -v PATH, or ls -l /proc/*/fd";
static const char wiring[] = "power, wiring, and the address that is set at the device";
static const char who_may[] = "as which user the agent runs: ps -o user,group,args -C runnel";

#define SYSTEM(name, ...)                                                                          \
    {                                                                                              \
        name, #name,                                                                               \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

/* errno(3), and of the buses Documentation/i2c/fault-codes. */
static const struct remedy of_system[] = {
    SYSTEM(ENOENT, is_there, "is the path in the configuration spelt as it is on this machine?",
           "is the kernel's driver there? lsmod; zcat /proc/config.gz"),
    SYSTEM(ENODEV, is_there, "it was there and is gone, or its kernel driver let it go"),
    SYSTEM(ENXIO, "nothing answers at this address; scan the bus: i2cdetect -y N", wiring),
    SYSTEM(EREMOTEIO, "nothing answers at this address; scan the bus: i2cdetect -y N", wiring),
    SYSTEM(EIO, "the device does not answer, or what it says is damaged", wiring, is_there),
    SYSTEM(EACCES, who_may,
           "the group of the path, and whether that user is in it: ls -l PATH; id USER",
           "a udev rule that gives it the group, and DeviceAllow= of the service"),
    SYSTEM(EPERM, who_may, "the capabilities and DeviceAllow= of the service: systemctl cat"),
    SYSTEM(EROFS, "the service sees this path read-only: ReadWritePaths= of the unit"),
    SYSTEM(EBUSY, who_holds, "a kernel driver may be bound to it: ls -l /sys/bus/*/devices"),
    SYSTEM(EAGAIN, "it has nothing at the moment; ask again", wiring),
    SYSTEM(ENODATA, "the sensor is switched off or has not measured yet; ask again", wiring),
    SYSTEM(ETIMEDOUT, "is it on, and are speed, parity and unit those that are set at the device?",
           wiring, "\"timeout\" of the sensor: is it long enough for this device?"),
    SYSTEM(ECONNREFUSED, "the host is there, and no service listens on this port",
           "port and service at the device; a device that takes one client is busy with another"),
    SYSTEM(EHOSTUNREACH, "address and netmask; ip neigh says whether it answers at all",
           "is the device on, and its link up? ip -br link"),
    SYSTEM(EAFNOSUPPORT, "the kernel lacks this kind of network: lsmod; zcat /proc/config.gz",
           "or the service forbids it: systemctl cat runnel, RestrictAddressFamilies="),
    SYSTEM(ENETUNREACH, "is the interface up, and has it an address? ip -br address; ip route"),
    SYSTEM(ECONNRESET, "the device closed the connection: it may take one client at a time"),
    SYSTEM(EPIPE, "the other side is gone", is_there),
    SYSTEM(ENOTTY, "this path is another kind of device than the driver is for: ls -l PATH"),
    SYSTEM(EINVAL, "the device or its kernel driver does not take one of the settings"),
    SYSTEM(EOPNOTSUPP, "the kernel's driver of this bus cannot do what is asked of it"),
    SYSTEM(ENOTDIR, "a part of the path is a file: is it spelt right?"),
    SYSTEM(EISDIR, "the path is a directory: the file below it is wanted"),
    SYSTEM(ELOOP, "the path is a symbolic link that goes round in a circle"),
    SYSTEM(EMFILE, "the agent has too many files open: LimitNOFILE= of the service"),
    SYSTEM(ENOMEM, "the machine is out of memory: free -m"),
    SYSTEM(ENOSPC, "no room: df, or for CAN and USB the bus itself is full"),
    SYSTEM(ESHUTDOWN, "the interface is down: ip link set NAME up"),
    SYSTEM(ENETDOWN, "the interface is down: ip link set NAME up"),
    SYSTEM(EPROTO, "what came is no answer in the protocol of this bus", wiring),
    SYSTEM(EILSEQ, "a checksum was wrong", wiring, "the length of the cable, and its termination"),
    SYSTEM(EBADMSG, "a checksum was wrong", wiring, "the length of the cable, and its termination"),
};

static const struct remedy of_agent[] = {
    {E_TIMEOUT,
     "E_TIMEOUT",
     {"is it on, and are speed, parity and unit those that are set at the device?", wiring,
      "\"timeout\" of the sensor: is it long enough for this device?"}},
    {E_REFUSED,
     "E_REFUSED",
     {"it answers, and says no: its reason is above",
      "is it this unit and register, or this program with these arguments?"}},
    {E_NOT_FOUND,
     "E_NOT_FOUND",
     {is_there, "is what the configuration names spelt as the device calls itself?"}},
    {E_CLOSED, "E_CLOSED", {"the other side hung up", is_there}},
    {E_BUSY, "E_BUSY", {who_holds}},
    {E_SYNTAX,
     "E_SYNTAX",
     {"it answers, and not as the driver expects: is it this device, with these settings?",
      "speed, parity and format, where there is a line in between"}},
    {E_RANGE, "E_RANGE", {"the value is larger than any sensor's; is it this register, and type?"}},
    {E_DAMAGED,
     "E_DAMAGED",
     {"what it said is damaged", wiring, "the length of the cable, and its termination"}},
    {E_CHECKSUM,
     "E_CHECKSUM",
     {"a checksum was wrong", wiring, "the length of the cable, and its termination"}},
    {E_TOO_BIG,
     "E_TOO_BIG",
     {"what came is longer than expected: is it this file or device, at this speed?"}},
    {E_INVALID, "E_INVALID", {"the settings contradict each other: runnel sensors --driver NAME"}},
    {E_UNSUPPORTED, "E_UNSUPPORTED", {"the device or its kernel driver cannot do this"}},
    {E_NAME, "E_NAME", {"the name of the host: getent hosts NAME", "/etc/resolv.conf"}},
    {E_AGAIN, "E_AGAIN", {"nothing came: is it switched on, and does it send by itself?", wiring}},
    {E_END, "E_END", {"the input is used up"}},
    {E_CHANGED, "E_CHANGED", {"it is another kind of file than before: ls -l PATH"}},
    {E_NO_MEMORY, "E_NO_MEMORY", {"the machine is out of memory: free -m"}},
};

static const struct remedy *find(const struct remedy *remedies, size_t count, int number)
{
    for (size_t i = 0; i < count; i++)
        if (remedies[i].number == number)
            return &remedies[i];
    return NULL;
}

const struct remedy *remedy_find(int code)
{
    int errnum = error_errno(code);
    if (errnum != 0)
        return find(of_system, sizeof of_system / sizeof of_system[0], errnum);
    return find(of_agent, sizeof of_agent / sizeof of_agent[0], code);
}
