/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_EXPAND_H
#define RUNNEL_AGENT_CONTROL_EXPAND_H

#include <stddef.h>

/**
 * Replaces ${...} in a configured text, so that one image serves a fleet:
 *
 *   ${hostname}    gethostname(2)
 *   ${machine-id}  /etc/machine-id, else /var/lib/dbus/machine-id
 *   ${serial}      the serial number (platform/machine.h); of a machine that has none its
 *                  machine-id; a fault where only root may read it
 *   ${mac:IF}      the hardware address of a network interface
 *   ${file:PATH}   a file's text without the line ends behind it
 *   ${device}      the configured device, in every other text
 *   ${thing}       the thing of the credentials called default, in every other text
 *
 * $${ stands for ${ itself.
 */
enum { EXPAND_BYTES = 512, EXPAND_WHY_BYTES = 200 };

struct expand {
    const char *root;        /* put before /etc, /proc, /sys and /var; "" but in tests */
    const char *device;      /* NULL while the device itself is expanded */
    const char *thing;       /* NULL: there is none, and: */
    const char *thing_fault; /* why, and what helps; NULL while the thing itself is expanded */
    int thing_error;         /* what that comes to */
};

/**
 * Writes TEXT with its ${...} replaced. 0; E_AGAIN: a file or an interface is not there, which may
 * come; E_SYNTAX, E_NOT_FOUND, E_TOO_BIG, E_UNSUPPORTED. WHY says what and what helps; no file's
 * contents are in it.
 */
int expand_text(const struct expand *expand, const char *text, char ret_text[EXPAND_BYTES],
                char why[EXPAND_WHY_BYTES]);

#endif
