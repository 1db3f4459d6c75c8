/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_MACHINE_H
#define RUNNEL_PLATFORM_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * What tells this machine from others of its kind. ROOT is put before /proc and /sys; "" but in
 * tests.
 */
enum { MACHINE_SERIAL_BYTES = 128, MACHINE_ADDRESSES_MAX = 3 };

/**
 * The serial number: the device tree's serial-number, "Serial" in /proc/cpuinfo, DMI's
 * product_serial or board_serial; what board makers leave there instead of a number is none.
 * E_NOT_FOUND: there is none; error_sys(EACCES): only root may read it.
 */
int machine_get_serial(const char *root, char ret_serial[MACHINE_SERIAL_BYTES]);

/** Hashes of what belongs to the hardware and not to the medium that it starts from; 0: unknown. */
struct machine_mark {
    uint64_t serial;
    uint64_t addresses[MACHINE_ADDRESSES_MAX]; /* of network interfaces that are built in */
};

/** The mark of this machine as far as it can be told now: a driver that is loaded later, or a user
 *  who may not read the serial number, leave something out. */
void machine_get_mark(const char *root, struct machine_mark *ret_mark);

/**
 * Whether NOW cannot be the machine that BEFORE is the mark of. Serial numbers decide if both are
 * known, else addresses if both have some and none in common. What is unknown proves nothing.
 */
bool machine_is_other(const struct machine_mark *before, const struct machine_mark *now);

/**
 * Whether a watchdog of the machine says that it was what reset it last (WDIOF_CARDRESET in
 * /sys/class/watchdog/watchdogN/bootstatus; Linux, Documentation/watchdog/watchdog-api.rst). Not
 * every driver knows, nor does every kernel have these files: false.
 */
bool machine_was_reset(const char *root);

/** Adds to MARK what NOW knows of the same machine. */
void machine_learn(struct machine_mark *mark, const struct machine_mark *now);

#endif
