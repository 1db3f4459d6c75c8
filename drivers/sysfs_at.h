/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_SYSFS_AT_H
#define RUNNEL_DRIVERS_SYSFS_AT_H

#include <stdbool.h>
#include <stddef.h>

#include "drivers/sysfs.h"

/**
 * The attributes of a device whose directory is open. Unlike a path, the descriptor never leads to
 * another device that got the number of one that was unplugged: nothing is in it any more.
 */

/** Opens the directory PATH. Returns the descriptor, the caller's to close; error_sys. */
int sysfs_at_open(const char *path);

/** Closes it; -1 is allowed. */
void sysfs_at_close(int directory_fd);

/** Reads the attribute NAME, cuts white space off its end and terminates it. Returns the count;
 *  E_TOO_BIG; error_sys. */
int sysfs_at_read(int directory_fd, const char *name, char *text, size_t text_bytes);

/** Reads a number's text, or why it cannot be read, into ret_raw. */
void sysfs_at_read_raw(int directory_fd, const char *name, struct sysfs_raw *ret_raw);

/** Writes TEXT to an attribute. error_sys. */
int sysfs_at_write(int directory_fd, const char *name, const char *text);

/** Whether there is an attribute NAME. */
bool sysfs_at_has(int directory_fd, const char *name);

#endif
