/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_LINES_WRITERS_H
#define RUNNEL_DRIVERS_LINES_WRITERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/lines/framer.h"

enum { WRITERS_PATH_BYTES = 108 }; /* of a socket's path, with its end (unix(7)) */

/**
 * A listening Unix stream socket and those who write to it, each with a framer of its own. Up to
 * CONFIG_DRIVER_LINES_WRITERS at a time; the next ones wait in the kernel's queue until one leaves.
 */
struct writer {
    int fd; /* -1: the place is free */
    struct framer framer;
    uint8_t *buffer;
};

struct writers {
    const char *path;
    int listen_fd;
    int epoll_fd; /* readable when there is something to fetch */
    size_t count;
    bool had_one; /* somebody has been connected */
    bool queueing;
    size_t line_bytes_max;
    struct writer *leaving; /* its rest is being taken; it is closed at the next fetch */
    struct writer writers[CONFIG_DRIVER_LINES_WRITERS];
};

/**
 * Listens on PATH, which must stay valid until writers_close, with mode 0660. A socket that nobody
 * listens on any more is replaced. BUFFERS has CONFIG_DRIVER_LINES_WRITERS times
 * framer_buffer_bytes(LINE_BYTES_MAX) and is the caller's. E_BUSY: somebody else listens; E_EXISTS:
 * PATH is something else; E_TOO_BIG: PATH is too long for a socket; error_sys.
 */
int writers_open(struct writers *ret_writers, const char *path, uint8_t *buffers,
                 size_t line_bytes_max);

/**
 * Reads from one writer who has something to say, each in turn. 0, its framer in ret_framer and
 * whether it has hung up in ret_at_end; E_AGAIN: nobody has anything; E_END: likewise, and all who
 * were there have left; error_sys.
 */
int writers_fetch(struct writers *writers, struct framer **ret_framer, bool *ret_at_end);

/** The place of the writer whose framer is FRAMER, below CONFIG_DRIVER_LINES_WRITERS. */
size_t writers_place(const struct writers *writers, const struct framer *framer);

/** Hangs up on all and removes the socket. May follow a failed writers_open. */
void writers_close(struct writers *writers);

#endif
