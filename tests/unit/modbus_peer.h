/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_UNIT_MODBUS_PEER_H
#define RUNNEL_TESTS_UNIT_MODBUS_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

#include "platform/stop.h"

/** A Modbus unit or gateway that answers from a script, whole frames as recorded, on a loopback
 *  address or at the other end of a serial line. */
struct peer_step {
    const char *want; /* the request in hexadecimal; blanks do not count */
    const char *say;  /* the answer; NULL: none */
    bool close;       /* then the connection is closed */
};

struct peer;

/** Listens on 127.0.0.1, or on ::1 if SIX; NULL where the machine has no such address. Behind the
 *  last step it requests STOP_THEN, which may be NULL. */
struct peer *peer_tcp(const struct peer_step *steps, size_t count, bool six, uint16_t *ret_port,
                      struct stop *stop_then);

/** A serial line, whose other end is the device RET_PATH. */
enum { PEER_PATH_BYTES = 64 };
struct peer *peer_serial(const struct peer_step *steps, size_t count,
                         char ret_path[PEER_PATH_BYTES]);

/** Puts BYTES (in hexadecimal) on the serial line that nobody asked for. */
void peer_blurt(struct peer *peer, const char *bytes);

/** Fails the test unless the serial line is closed to others as WANTED; QEMU's user emulation does
 * not tell. */
void peer_expect_exclusive(const struct peer *peer, bool wanted);

/** How the serial line is set up. */
void peer_get_line(const struct peer *peer, struct termios *ret_line);

/** Ends it; fails the test unless every step came, as it was wanted, over CONNECTIONS. NULL is
 *  allowed. */
void peer_finish(struct peer *peer, unsigned connections);

#endif
