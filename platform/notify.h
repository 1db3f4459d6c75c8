/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_NOTIFY_H
#define RUNNEL_PLATFORM_NOTIFY_H

/**
 * Tells the service manager STATE, such as "READY=1" (sd_notify(3)): one datagram to
 * $NOTIFY_SOCKET. Does nothing where that is not set.
 */
void notify_send(const char *state);

#endif
