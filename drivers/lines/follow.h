/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_LINES_FOLLOW_H
#define RUNNEL_DRIVERS_LINES_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/sample.h"

/**
 * A regular file that others append to, and its successors when it is rotated: renamed or removed
 * and made anew under its name. The old file is read to its end first; it is left only when the
 * new one has bytes, because a writer goes on with the old one until it opens the new.
 */
struct follow {
    const char *path;
    bool drain;     /* the end of the file is the end */
    int fd;         /* of the file that is being read; -1: none */
    int inotify_fd; /* readable when there may be news; -1: the system has none left for us */
    uint64_t device;
    uint64_t inode;
};

/**
 * Opens PATH, which must stay valid until follow_close. Where RESUME is present and still fits
 * (device and inode are the same, the file reaches so far and a line ends there) ret_offset is
 * where reading goes on; a file that was rotated meanwhile is looked for beside PATH, under a
 * name that begins like it. Else ret_offset is 0. error_sys.
 */
int follow_open(struct follow *ret_follow, const char *path, const struct sample_origin *resume,
                bool drain, uint64_t *ret_offset);

/**
 * Reads at most SIZE bytes at OFFSET. Returns the count; E_AGAIN: no more at present; E_END: no
 * more, and drain was asked for; E_CHANGED: the file was cut below OFFSET, begin again at 0;
 * E_CLOSED: the file is read to its end and has a successor: follow_next; error_sys.
 */
int follow_read(struct follow *follow, void *buffer, size_t size, uint64_t offset);

/** Opens the successor, to be read from 0. E_AGAIN: it has just gone; error_sys. */
int follow_next(struct follow *follow);

/** May follow a failed follow_open. */
void follow_close(struct follow *follow);

#endif
