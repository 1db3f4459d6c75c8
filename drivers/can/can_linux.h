/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_CAN_CAN_LINUX_H
#define RUNNEL_DRIVERS_CAN_CAN_LINUX_H

#include <linux/can.h>
#include <stddef.h>
#include <stdint.h>

/** The system calls of SocketCAN. Nothing is judged here; every error is error_sys. */

/** A frame as received: classic, FD, or of the kernel about errors (CAN_ERR_FLAG in its id). */
struct can_linux_frame {
    struct canfd_frame frame;
    int64_t wall_ns;  /* CLOCK_REALTIME when it came; 0: not known */
    uint32_t dropped; /* all frames so far that did not fit into the socket's buffer */
};

/** Gets the index of an interface, and its flags (IFF_UP, IFF_RUNNING). */
int can_linux_interface(const char *name, int *ret_index, unsigned *ret_flags);

/** Listens on an interface to what passes one of the filters, and to the kernel's frames about
 *  errors. Returns the socket, on which receiving does not wait. */
int can_linux_open(int index, const struct can_filter *filters, size_t count);

/** The next frame. 0; E_AGAIN: there is none; E_SYNTAX: what came is no frame. */
int can_linux_receive(int fd, struct can_linux_frame *ret_frame);

/** Two clocks at one instant: CLOCK_REALTIME, which stamps frames, and CLOCK_BOOTTIME. */
void can_linux_now(int64_t *ret_wall_ns, int64_t *ret_boot_ns);

#endif
