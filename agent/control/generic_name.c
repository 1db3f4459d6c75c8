/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/generic_name.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* What distributions, board makers and build systems preset; Yocto calls a system after its
 * MACHINE. Those of our own images are gateway and the names in boards/. */
static const char *const names[] = {
    "(none)",
    "alarm", /* Arch Linux on ARM */
    "alarmpi",
    "alpine",
    "archlinux",
    "arm",
    "armbian",
    "armv7",
    "beagle",
    "beaglebone",
    "beaglebone-yocto",
    "beagleboard",
    "beagleplay",
    "buildroot",
    "busybox",
    "debian",
    "device",
    "dietpi",
    "embedded",
    "fedora",
    "gateway",
    "generic",
    "genericarm64",
    "host",
    "imx6ull",
    "imx6ull14x14evk",
    "imx6ullevk",
    "imx8mmevk",
    "imx8mpevk",
    "iot-gateway",
    "linaro",
    "linux",
    "localhost",
    "localhost4",
    "localhost6",
    "none",
    "openwrt",
    "pi",
    "pocketbeagle",
    "poky",
    "qemu",
    "qemu-aarch64",
    "qemu-armv7",
    "qemuarm",
    "qemuarm64",
    "qemux86",
    "qemux86-64",
    "raspberry",
    "raspberrypi",
    "raspberrypi0",
    "raspberrypi0-2w",
    "raspberrypi0-2w-64",
    "raspberrypi0-wifi",
    "raspberrypi2",
    "raspberrypi3",
    "raspberrypi3-64",
    "raspberrypi4",
    "raspberrypi4-64",
    "raspberrypi5",
    "raspbian",
    "runnel",
    "stm32mp1",
    "ubuntu",
    "unknown",
    "yocto",
};

bool generic_name(const char *name)
{
    size_t count = strcspn(name, ".");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == count && strncasecmp(names[i], name, count) == 0)
            return true;
    return false;
}
